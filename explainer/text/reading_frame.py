"""What every text has, read back from its final bytes: one about a missing explanation is no more
than that.

Each line is looked up in the dictionary of its language. A line that stands in none of them, or
stands where it does not belong, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explainer.core.disclosure import Told
from explainer.text.fragment import Fragment, disagrees
from explainer.text.phrases import Frame, Meaning, Pattern
from explainer.text.plain_text import PlainText
from explainer.text.read_values import plain


@dataclass(frozen=True, slots=True)
class ReadWithheld:
    """All that a text says where there is no explanation. `withheld` is why."""

    banner: bool
    role: str | None
    decided_by: str | None
    decided: str | None
    withheld: str
    limits: tuple[str, ...]


def read_withheld(told: Told, known: Frame, banner: str | None) -> ReadWithheld:
    """What the bytes of `told` say where they say that there is no explanation, and nothing else.

    Raises TextDisagrees for everything that is not understood.
    """
    return FrameReader(told, known).read_withheld(banner)


class FrameReader:
    """Line by line: what every text has."""

    _known: Frame

    def __init__(self, told: Told, known: Frame) -> None:
        self._known = known
        self._at = 0
        self._bars: Mapping[int, int] | None = None
        self._ends: tuple[str | None, ...] | None = None
        self._named: Sequence[str] = ()
        body = told.body.decode()
        text: Fragment | PlainText
        if known.html:
            text = fragment = Fragment(body)
            language = known.voice.language
            if (fragment.lang, fragment.dir) != (language.tag, language.dir):
                raise disagrees("words of another language")
            self._named = fragment.named
            # above the first row stand the names of the columns
            self._bars = {row - 1: bar for row, bar in fragment.bars.items()}
        else:
            text = PlainText(body, known)
        self._heads: Sequence[str] = text.heads
        self._rows: Sequence[Sequence[str]] = text.rows
        # so that there is always a next line to look at
        self._lines = [*text.lines, ""]

    def read_withheld(self, banner: str | None) -> ReadWithheld:
        known = self._known
        role, decided_by, decided = self._begin(banner)
        withheld = self._need(known.withheld, "that there is no explanation")
        limits = self._limits()
        self._end()
        if self._heads or self._rows or self._named or self._bars:
            raise disagrees("a table nobody asked for")
        return ReadWithheld(banner is not None, role, decided_by, decided, withheld, limits)

    def _begin(self, banner: str | None) -> tuple[str | None, str | None, str | None]:
        """The part of the program, who decided, and how."""
        known = self._known
        if banner is not None:
            self._exactly(plain(banner), "what a translation says about itself")
        self._exactly(known.title, "the heading")
        return self._maybe(known.roles), self._slot(known.decided_by), self._maybe(known.decided)

    def _limits(self, *, headed: bool = True) -> tuple[str, ...]:
        known = self._known
        if known.staff and headed:
            self._exactly(known.not_shown, "the heading of the limits")
        found = []
        while (limit := self._maybe(known.limits)) is not None:
            found.append(limit)
        return tuple(found)

    def _end(self) -> None:
        known = self._known
        if not known.staff:
            self._exactly(known.correct_heading, "how to correct a mistake")
            self._need(known.correct, "how to correct a mistake")
            for line in known.contact:
                self._exactly(line, "whom to ask")
        if self._at != len(self._lines) - 1:
            raise self._unknown("the end")

    # -- line by line --------------------------------------------------------------------------

    def _line(self) -> str:
        return self._lines[self._at]

    def _maybe(self, known: Mapping[str, Meaning]) -> Meaning | None:
        """What the next line says, if it is one of these."""
        found = known.get(self._lines[self._at])
        if found is not None:
            self._at += 1
        return found

    def _need(self, known: Mapping[str, Meaning], what: str) -> Meaning:
        found = self._maybe(known)
        if found is None:
            raise self._unknown(what)
        return found

    def _exactly(self, text: str, what: str) -> None:
        if self._line() != text:
            raise self._unknown(what)
        self._at += 1

    def _slot(self, pattern: Pattern) -> str | None:
        """What stands in the slot, if the next line is of this pattern."""
        found = pattern.value(self._lines[self._at])
        if found is not None:
            self._at += 1
        return found

    def _unknown(self, what: str) -> Exception:
        return disagrees(f"{what} is missing or stands elsewhere, or words that nobody wrote")
