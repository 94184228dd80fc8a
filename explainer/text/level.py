"""What a plainer level of German asks of a page beyond its words: every sentence begins a line, and
words that turn a sentence round are bold.

Both are done here and not in catalogs, which hold no markup. Line feeds show as lines because the
sheets say `white-space: pre-line`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BETWEEN_SENTENCES = re.compile(
    # after a word and its full stop; a day such as "1. März" is no end, a year is
    r"(?:(?<=[^\W\d_][.!?])|(?<=[0-9]{3}\.)|(?<=[.!?][“\")])|(?<=^[.!?]))"
    r" +(?=[„\"(]?[A-ZÄÖÜ0-9])"
)
_TURNING = re.compile(
    r"\b(?:nicht|nichts|nie|niemals|niemand(?:em|en)?|kein(?:e|en|em|er|es)?|sehr)\b",
    re.IGNORECASE,
)

_PIECES = re.compile(r"(<[^>]*>)")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)([^>]*?)(/?)>")
_LANG = re.compile(r" lang=\"([^\"]*)\"")
_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
_AS_IT_IS = frozenset({"bdi", "code", "option", "style", "textarea", "title"})
"""What is somebody else's, or can hold no markup."""


def becomes_bold(word: str) -> bool:
    """Whether this word is put in bold wherever it is shown as running text."""
    return _TURNING.fullmatch(word) is not None


def simple_html(html: str, lang: str) -> str:
    """A page or fragment in the level `lang`: the same words, in lines and with emphasis.

    Nothing is changed in what is marked as another language, in values, or in attributes; a page
    this was done to is not changed by doing it again.
    """
    pieces = _PIECES.split(html)
    open_: list[tuple[str, bool, bool]] = [("", True, True)]  # name; is it ours; may it be bold
    for at, piece in enumerate(pieces):
        _, ours, plain = open_[-1]
        if at % 2 == 0:
            if ours and piece.strip():
                pieces[at] = _said(piece, emphasis=plain)
            continue
        tag = _TAG.fullmatch(piece)
        if tag is None or tag[2] in _VOID or tag[4]:
            continue
        if tag[1]:
            while len(open_) > 1 and open_.pop()[0] != tag[2]:
                pass
            continue
        given = _LANG.search(tag[3])
        ours = given[1] == lang if given else ours
        inside = ours and tag[2] not in _AS_IT_IS
        open_.append((tag[2], inside, plain and tag[2] not in ("strong", "b")))
    return "".join(pieces)


def _said(text: str, *, emphasis: bool) -> str:
    lines = _BETWEEN_SENTENCES.sub("\n", text)
    return _TURNING.sub(r"<strong>\g<0></strong>", lines) if emphasis else lines


def simple_lines(line: str) -> Iterator[str]:
    """One line of plain text as several: all but the last end with a space, as in RFC 3676, which
    says that the next one belongs to them."""
    indent = line[: len(line) - len(line.lstrip(" -|"))]
    *before, last = _BETWEEN_SENTENCES.sub("\n", line).split("\n")
    for number, sentence in enumerate((*before, last)):
        again = " " * len(indent) if number else ""
        yield f"{again}{sentence}{'' if number == len(before) else ' '}"
