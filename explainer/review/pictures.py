"""Pictures of where a text stands: pieces of pages that were rendered with marks.

A picture holds the lines around the text as the page has them, in their order, each with what it
is there: a heading, a choice, a button. It is no drawing of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from explainer.review.marked import MARK, Key, Marks
from explainer.text.languages import Language

AROUND = 2
"""Lines shown before and after, and more of the same row, choice or reason."""
LONGEST_GROUP = 7

_PIECES = re.compile(r"(<[^>]*>)")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)([^>]*?)/?>", re.DOTALL)
_ATTRIBUTE = re.compile(r"\s([a-z-]+)=(?:\"([^\"]*)\"|'([^']*)')")
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "rect", "line"})
_INLINE = frozenset({"a", "abbr", "b", "bdi", "code", "em", "small", "span", "strong"})
_OWN_LINE = ("w-line", "w-cell-line", "w-contact__line", "w-data__", "xb-shown", "kern-label")
"""Classes of a span the sheet of the site gives a line of its own."""
_GROUPS = frozenset({"li", "tr", "fieldset", "nav", "dl", "details"})
_HEADINGS = ("h1", "h2", "h3", "h4")
_SHOWN_LAST = ("option", "title", "narrow", "spoken")
_NOT_SHOWN = frozenset({"style", "svg"})
_KIND = {
    **{name: name for name in ("title", "button", "label", "dt", "option", "summary")},
    "a": "button",
    "legend": "h4",
    "caption": "h4",
    "th": "cell",
    "td": "cell",
}
_BY_CLASS = (("w-notice", "notice"), ("w-reason__label", "dt"), ("w-suggestion", "dt"))
_SPOKEN = {"aria-label": "spoken", "data-l": "narrow", "alt": "spoken", "placeholder": "p"}


class Truth(IntEnum):
    """How a page came about; the first is best."""

    RECORDED = 0
    MADE = 1
    EVERY_REASON = 2
    INVENTED = 3
    FORESEEN = 4


@dataclass(frozen=True, slots=True)
class PictureLine:
    """One line of a picture: pieces of text that were escaped, each with whether it is meant."""

    kind: str
    lang: str
    dir: str
    pieces: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A piece of the page called `page`."""

    page: str
    truth: Truth
    lang: str
    dir: str
    lines: tuple[PictureLine, ...]


@dataclass(slots=True)
class _Line:
    kind: str
    group: int
    lang: str
    dir: str
    pieces: list[tuple[str, tuple[Key, ...]]] = field(default_factory=list)

    @property
    def holds_words(self) -> bool:
        return any(text.strip() for text, _ in self.pieces)


class Album:
    """The best picture there is of every message that stood on a page so far."""

    def __init__(self, marks: Marks, language: Language) -> None:
        self.marks, self.language = marks, language
        self._found: dict[Key, tuple[tuple[int, int], Picture]] = {}

    def add(self, page: str, html: str, truth: Truth = Truth.RECORDED) -> None:
        """Look for messages on a page or in a document that was rendered with marks."""
        lines = list(_lines(html, self.marks))
        for at, line in enumerate(lines):
            rank = int(truth), _SHOWN_LAST.index(line.kind) if line.kind in _SHOWN_LAST else -1
            for key in {key for _, keys in line.pieces for key in keys}:
                known = self._found.get(key)
                if known is None or rank < known[0]:
                    self._found[key] = rank, self._cut(page, truth, lines, at, key)

    def __contains__(self, key: Key) -> bool:
        return key in self._found

    def shows(self, key: Key, truth: Truth) -> bool:
        """Whether there is a picture of it at least as good as `truth`."""
        return key in self._found and self._found[key][0][0] <= truth

    def picture(self, key: Key) -> Picture | None:
        found = self._found.get(key)
        return None if found is None else found[1]

    def lacks(self, keys: Iterable[Key]) -> list[Key]:
        return [key for key in keys if key not in self._found]

    def _cut(self, page: str, truth: Truth, lines: list[_Line], at: int, key: Key) -> Picture:
        last = at
        while last + 1 < len(lines) and any(key in keys for _, keys in lines[last + 1].pieces):
            last += 1
        group = lines[at].group
        first_of = at
        while first_of > 0 and lines[first_of - 1].group == group:
            first_of -= 1
        end_of = last
        while end_of + 1 < len(lines) and lines[end_of + 1].group == group:
            end_of += 1
        if group and end_of - first_of < LONGEST_GROUP:
            begin, end = first_of, end_of + 1
        else:
            begin, end = max(0, at - AROUND), min(len(lines), last + AROUND + 1)
        shown = list(range(begin, end))
        above = next((n for n in range(begin - 1, -1, -1) if lines[n].kind in _HEADINGS), None)
        if above is not None and lines[at].kind not in (*_HEADINGS, "title", "spoken"):
            shown.insert(0, above)
        # what only screen readers say stands where it is meant, and nowhere else
        kept = [n for n in shown if lines[n].kind not in ("spoken", "narrow", "title") or n == at]
        return Picture(
            page,
            truth,
            self.language.tag,
            self.language.dir,
            tuple(
                PictureLine(
                    lines[n].kind,
                    lines[n].lang,
                    lines[n].dir,
                    tuple(
                        (text, at <= n <= last and key in keys) for text, keys in lines[n].pieces
                    ),
                )
                for n in kept
            ),
        )


@dataclass(slots=True)
class _Open:
    name: str
    kind: str
    group: int
    lang: str
    dir: str
    breaks: bool
    shown: bool


def _lines(html: str, marks: Marks) -> Iterator[_Line]:
    """The lines of a page in order, with the messages each piece of text belongs to."""
    stack = [_Open("", "p", 0, "", "", breaks=True, shown=True)]
    inside: list[Key] = []
    groups = 0
    line: _Line | None = None
    choice = ""
    for piece in _PIECES.split(html):
        tag = _TAG.fullmatch(piece)
        if tag is None:
            if piece.startswith("<") or not stack[-1].shown:
                continue
            line = line or _Line(stack[-1].kind, stack[-1].group, stack[-1].lang, stack[-1].dir)
            _take(line, piece, inside, marks)
            continue
        name = tag[2]
        if tag[1]:
            while len(stack) > 1:
                closed = stack.pop()
                if closed.breaks and line is not None:
                    if line.holds_words:
                        yield line
                    line = None
                if closed.name == name:
                    break
            continue
        given = {one[1]: one[2] or one[3] or "" for one in _ATTRIBUTE.finditer(tag[3])}
        if name == "input":
            choice = given.get("type", "")
        above = stack[-1]
        own_line = any(part in given.get("class", "") for part in _OWN_LINE)
        button = name == "a" and "kern-btn" in given.get("class", "")
        own_line &= above.kind not in ("button", "radio", "checkbox")
        breaks = name not in _INLINE or own_line or button
        if breaks and line is not None:
            if line.holds_words:
                yield line
            line = None
        if name in _VOID:
            continue
        kind = above.kind if name in _INLINE and not button else _kind(name, choice, given)
        choice = "" if name == "label" else choice
        if name in _GROUPS or "__row" in given.get("class", ""):
            groups += 1
        stack.append(
            _Open(
                name,
                kind,
                groups if name in _GROUPS or "__row" in given.get("class", "") else above.group,
                given.get("lang", above.lang),
                given.get("dir", above.dir) if name != "bdi" else above.dir,
                breaks,
                above.shown and name not in _NOT_SHOWN,
            )
        )
        for attribute, spoken in _SPOKEN.items():
            if MARK.search(given.get(attribute, "")):
                said = _Line(spoken, stack[-1].group, stack[-1].lang, stack[-1].dir)
                _take(said, given[attribute], [], marks)
                yield said


def _kind(name: str, choice: str, given: dict[str, str]) -> str:
    if name == "label" and choice in ("radio", "checkbox"):
        return choice
    if name == "p":
        return next((kind for part, kind in _BY_CLASS if part in given.get("class", "")), "p")
    return _KIND.get(name, name if name in _HEADINGS else "p")


def _take(line: _Line, text: str, inside: list[Key], marks: Marks) -> None:
    """Add text to a line; `inside`, the messages that are open, is kept up."""
    for part, key, begins in marks.parts(text):
        if key is None:
            line.pieces.append((part, tuple(inside)))
        elif begins:
            inside.append(key)
        elif key in inside:
            inside.remove(key)
