"""Words that say of themselves where they stand: rendered as always, with marks around each.

A sheet shows a text where it stands on a page. Looking for its words there would take one text for
another that reads alike; so the renderer is given catalogs whose texts carry marks, signs of the
private use area that stand in no text. Without its marks such a page is the page, byte for byte.
"""

from __future__ import annotations

import gettext as standard_gettext
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from babel.messages.catalog import Catalog as PoCatalog

from explainer.text.catalogs import (
    PUBLIC,
    STAFF,
    Catalog,
    catalog,
    source_sentences,
    wanted_messages,
)
from explainer.text.languages import Language
from explainer.text.level import simple_html
from explainer.text.translation import Wanted
from explainer.text.voice import Voice
from explainer.text.wording import Wording

Key = tuple[str, ...]
"""A message: its context, or where it has none the catalog it is in, and its German text, the first
of several; of one with plural forms, then the number of the form, from 0. Of a package's text its
key and nothing."""

_OPEN, _CLOSE, _END, _NOUGHT = "\ue000", "\ue001", "\ue002", 0xE010
MARK = re.compile(f"([{_OPEN}{_CLOSE}])([\ue010-\ue019]+){_END}")
"""Where a message begins or ends, and its number in `Marks`."""

_EMPHASIS = re.compile(r"</?strong>")


class Marks:
    """The messages that carry marks, each by its number."""

    def __init__(self) -> None:
        self._numbers: dict[Key, str] = {}
        self._keys: list[Key] = []

    def around(self, key: Key, text: str) -> str:
        """`text` between the marks of the message `key`."""
        if key not in self._numbers:
            digits = str(len(self._keys))
            self._numbers[key] = "".join(chr(_NOUGHT + int(digit)) for digit in digits)
            self._keys.append(key)
        number = self._numbers[key]
        return f"{_OPEN}{number}{_END}{text}{_CLOSE}{number}{_END}"

    def parts(self, text: str) -> Iterator[tuple[str, Key | None, bool]]:
        """The pieces of marked `text` in order: text and None, or "" and the message that begins
        (True) or ends here."""
        at = 0
        for mark in MARK.finditer(text):
            if mark.start() > at:
                yield text[at : mark.start()], None, False
            number = int("".join(str(ord(digit) - _NOUGHT) for digit in mark[2]))
            yield "", self._keys[number], mark[1] == _OPEN
            at = mark.end()
        if at < len(text):
            yield text[at:], None, False

    def catalog(self, of: Catalog, *, staff: bool = False) -> Catalog:
        """The product's words with marks; `staff` as `of` was loaded."""
        return _MarkedCatalog(of, self, staff=staff)

    def voice(self, of: Voice, *, staff: bool) -> Voice:
        """Product and package words with marks."""
        texts = {key: self.around((key, ""), text) for key, text in of.wording.texts.items()}
        wording = Wording(of.wording.language, texts, of.wording.reviewed)
        return replace(of, catalog=self.catalog(of.catalog, staff=staff), wording=wording)


class _MarkedCatalog(Catalog):
    def __init__(self, of: Catalog, marks: Marks, *, staff: bool) -> None:
        super().__init__(of.language, {}, of.form)
        self._of, self._marks = of, marks
        self._public = catalog(of.language) if staff else of
        self._both = _bare(PUBLIC) & _bare(STAFF) if staff else frozenset()
        self._staff = _bare(STAFF) - self._both if staff else frozenset()

    def _around(self, source: str, said: str, say: Callable[[Catalog], str], *form: str) -> str:
        """A message without context. Where both catalogs have it, pages of staff show theirs; it is
        that of the others as well where they say the same."""
        if source in self._both:
            said = self._marks.around((STAFF, source, *form), said)
            same = say(self._public) == say(self._of)
            return self._marks.around((PUBLIC, source, *form), said) if same else said
        domain = STAFF if source in self._staff else PUBLIC
        return self._marks.around((domain, source, *form), said)

    def sentence(self, key: str) -> str:
        said = self._of.sentence(key)
        return self._marks.around((key, source_sentences()[key]), said)

    def gettext(self, source: str) -> str:
        return self._around(source, self._of.gettext(source), lambda words: words.gettext(source))

    def pgettext(self, context: str, source: str) -> str:
        return self._marks.around((context, source), self._of.pgettext(context, source))

    def ngettext(self, one: str, many: str, n: int) -> str:
        said = self._of.ngettext(one, many, n)
        form = str(self.form(n))
        return self._around(one, said, lambda words: words.ngettext(one, many, n), form)

    def npgettext(self, context: str, one: str, many: str, n: int) -> str:
        said = self._of.npgettext(context, one, many, n)
        return self._marks.around((context, one, str(self.form(n))), said)


@lru_cache(maxsize=64)
def numbers(language: Language) -> Mapping[int, int]:
    """The plural forms of a language, each with the smallest number it stands with; with nought
    where it stands with no other."""
    plural = standard_gettext.c2py(PoCatalog(locale=language.locale).plural_expr)
    found: dict[int, int] = {}
    for number in (*range(1, 1000), 0):
        found.setdefault(plural(number), number)
    return found


def keys_of(one: Wanted, domain: str, language: Language) -> list[Key]:
    """A message of the catalog `domain`, or each of its plural forms in order."""
    key = one.context or domain, one.sources[0]
    if len(one.sources) == 1:
        return [key]
    return [(*key, str(form)) for form in sorted(numbers(language))]


def number_of(key: Key, language: Language) -> int | None:
    """The smallest number a plural form stands with, as `numbers` gives it; None for what is no
    plural form."""
    return numbers(language)[int(key[2])] if len(key) > 2 else None


def in_german(key: Key, language: Language) -> Key:
    """The German message beside one of `language`, in the form for the same number."""
    number = number_of(key, language)
    return key if number is None else (*key[:2], str(int(number != 1)))


def _bare(domain: str) -> frozenset[str]:
    """The German texts of a catalog that have no context."""
    return frozenset(one.sources[0] for one in wanted_messages(domain) if one.context is None)


def without_marks(text: str) -> str:
    return MARK.sub("", text)


def leveled_with_marks(html: str, language: Language) -> str:
    """`render.leveled` of a page with marks: every sentence in its line, as without them."""
    if not language.level:
        return html
    plain = without_marks(html)
    moved = _moved(plain, simple_html(plain, language.tag))
    pieces, at, shift = [], 0, 0
    for mark in MARK.finditer(html):
        begin = mark.start() - shift
        pieces += [moved[0][moved[1][at] : moved[1][begin]], mark[0]]
        at, shift = begin, shift + len(mark[0])
    return "".join([*pieces, moved[0][moved[1][at] :]])


def _moved(plain: str, leveled: str) -> tuple[str, list[int]]:
    """The leveled page, and where each sign of the plain one, and its end, is in it."""
    places, to, at = [], 0, 0
    while at < len(plain):
        added = _EMPHASIS.match(leveled, to)
        if added and not plain.startswith(added[0], at):
            to = added.end()
            continue
        places.append(to)
        if plain[at] == leveled[to]:
            to += 1
        elif plain[at + 1 : at + 2] != " ":
            to += 1  # the last of the spaces between two sentences is a line feed
        at += 1
    return leveled, [*places, len(leveled)]
