"""The final bytes read back: what they say, in no language.

Each line is looked up in the dictionary of its language. A line that stands in none of them, or
stands where it does not belong, is refused: there are no words here that nobody can account for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from explainer.core.disclosure import Told
from explainer.core.explanation import Strength
from explainer.text.fragment import disagrees
from explainer.text.phrases import Note, Phrases, Sentence
from explainer.text.reading_frame import FrameReader


@dataclass(frozen=True, slots=True)
class ReadReason:
    """One reason as it stands there.

    `side` is the heading it stands under; `outcomes` are those its sentence may speak for, none
    where it says that no direction is clear. `feature` None: withheld. Values and days are as they
    are written.
    """

    side: str
    feature: str | None
    outcomes: frozenset[str]
    missing: bool
    value: str | None
    strength: Strength
    parts: str | None
    notes: tuple[Note, ...]
    as_of: str | None
    source: str | None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One line of the full table; `way` and `parts` None where there are none."""

    feature: str
    value: str
    way: str | None
    strength: Strength
    parts: str | None
    shown: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a text with an explanation says."""

    banner: bool
    role: str | None
    decided_by: str | None
    decided: str | None
    suggestion: str = ""
    warnings: tuple[str, ...] = ()
    runner_up: str | None = None
    compared: str | None = None
    opening: str = ""
    reasons: tuple[ReadReason, ...] = ()
    rest: str = ""
    stale: str | None = None
    limits: tuple[str, ...] = ()
    within: str | None = None
    rows: tuple[ReadRow, ...] = ()
    ends: tuple[str | None, ...] | None = None
    """What the two ends of the bars are called, where there are bars."""
    bars: Mapping[int, int] | None = None
    """By number of the row, from 0; those that are drawn."""


def read(told: Told, known: Phrases, banner: str | None) -> Reading:
    """What the bytes of `told` say; `banner` is what a translation has to say about itself.

    Raises TextDisagrees for everything that is not understood.
    """
    return _Reader(told, known).read(banner)


class _Reader(FrameReader):
    """Reads a whole explanation."""

    _known: Phrases

    # -- the parts of a document, in their order -----------------------------------------------

    def read(self, banner: str | None) -> Reading:
        known = self._known
        role, decided_by, decided = self._begin(banner)
        suggestion = self._suggestion()
        warnings = []
        while (warning := self._maybe(known.warnings)) is not None:
            warnings.append(warning)
        self._need(known.comparison, "what it was compared with")
        compared = self._maybe(known.compared)
        runner_up = None if compared else self._slot(known.runner_up)
        if known.staff:
            self._exactly(known.quoted, "whose words these are")
        opening = self._need(known.openings, "the first line")
        reasons = self._reasons()
        rest = self._need(known.rests, "the rest")
        if known.staff:
            self._exactly(known.not_shown, "the heading of the limits")
        stale = self._slot(known.stale)
        limits = self._limits(headed=False)
        within = self._slot(known.estimated) if known.staff else None
        self._end()
        return Reading(
            banner is not None,
            role,
            decided_by,
            decided,
            suggestion,
            tuple(warnings),
            runner_up,
            compared,
            opening,
            reasons,
            rest,
            stale,
            limits,
            within,
            tuple(map(self._row, self._table())),
            self._ends,
            self._bars,
        )

    def _suggestion(self) -> str:
        known = self._known
        if known.amount is None:
            return self._need(known.suggestions, "the suggestion")
        amount = self._slot(known.amount)
        if amount is None:
            raise self._unknown("the suggestion")
        return amount

    # -- reasons -------------------------------------------------------------------------------

    def _reasons(self) -> tuple[ReadReason, ...]:
        known = self._known
        found: list[ReadReason] = []
        while (side := self._maybe(known.sides)) is not None:
            count = len(found)
            while (reason := self._reason(side)) is not None:
                found.append(reason)
            if len(found) == count:
                raise self._unknown("a reason")
        return tuple(found)

    def _reason(self, side: str) -> ReadReason | None:
        known = self._known
        feature = self._maybe(known.labels)
        if feature is None:
            if self._maybe(known.withheld_one) is None:
                return None
            strength, parts = self._strength()
            return ReadReason(
                side, None, frozenset(), False, None, strength, parts, self._notes(""), None, None
            )
        sentence, value = self._sentence(known.sentences[feature])
        if sentence is None:
            value = self._slot(known.unclear_given)
            if value is None:
                self._need(known.unclear, f"a sentence about {feature}")
        strength, parts = self._strength()
        notes = self._notes(feature)
        as_of, source = self._provenance()
        return ReadReason(
            side,
            feature,
            frozenset() if sentence is None else sentence.outcomes,
            sentence.missing if sentence is not None else value is None,
            value,
            strength,
            parts,
            notes,
            as_of,
            source,
        )

    def _sentence(self, sentences: Sequence[Sentence]) -> tuple[Sentence | None, str | None]:
        for sentence in sentences:
            if sentence.pattern is None:
                if self._maybe({sentence.whole: True}):
                    return sentence, None
            elif (value := self._slot(sentence.pattern)) is not None:
                return sentence, value
        return None, None

    def _strength(self) -> tuple[Strength, str | None]:
        known = self._known
        strength = self._maybe(known.strengths)
        if strength is not None:
            return strength, None
        if known.staff:
            text, _, rest = self._line().partition(" (")
            parts = known.parts.value(rest.removesuffix(")")) if rest.endswith(")") else None
            if text in known.strengths and parts is not None:
                self._at += 1
                return known.strengths[text], parts
        raise self._unknown("a strength")

    def _notes(self, feature: str) -> tuple[Note, ...]:
        known = self._known
        found: list[Note] = []
        supply = {known.supplies[feature]: True} if feature and known.supplies[feature] else {}
        while True:
            note = self._maybe(known.notes)
            if note is None and (value := self._slot(known.stand_in)) is not None:
                note = "stand_in", value
            if note is None and supply and self._maybe(supply):
                note = "supply", feature
            if note is None and known.staff and (label := self._slot(known.proxy)) is not None:
                note = "proxy", label
            if note is None:
                return tuple(found)
            found.append(note)

    def _provenance(self) -> tuple[str | None, str | None]:
        as_of, source = self._known.as_of, self._known.source
        line = self._line()
        if line.startswith(as_of.head):
            # both in one line: the day ends where the source begins
            day, both, rest = line.partition(f"{as_of.tail} {source.head}")
            if both:
                self._at += 1
                found = source.value(source.head + rest)
                if found is None:
                    raise disagrees("where a value comes from")
                return day[len(as_of.head) :], found
        return self._slot(as_of), self._slot(source)

    # -- the table -----------------------------------------------------------------------------

    def _table(self) -> Sequence[Sequence[str]]:
        known = self._known
        if not known.staff:
            if self._heads or self._rows or self._named:
                raise disagrees("a table nobody asked for")
            return ()
        frame, rows = known.frame, self._rows
        columns = [frame["information"], frame["value"], frame["effect"]]
        if known.html:
            heads = [frame["table"], frame["caption"]]
            if not rows or list(rows[0][:3]) != columns:
                raise disagrees("the columns of the table")
            self._ends = tuple(map(known.ends.get, rows[0][3:]))
            rows = rows[1:]
            if list(self._named) != columns[1:] * len(rows):
                raise disagrees("the names of the columns")
        else:
            heads = [known.table, f"{columns[0]}: {columns[1]} – {columns[2]}"]
        if self._heads != heads:
            raise disagrees("the heading of the table")
        return rows

    def _row(self, cells: Sequence[str]) -> ReadRow:
        known = self._known
        label, value, effect, *above = cells if len(cells) in (3, 4) else ("", "", "")
        feature, written = known.labels.get(label), known.unwrapped(value)
        if feature is None or written is None or above not in ([], [known.frame["above"]]):
            raise disagrees("a line of the table")
        said, dot, rest = effect.partition(" · ")
        way = known.ways.get(said) if dot else None
        strength, _, parts = (rest if dot else said).partition(" (")
        number = known.parts.value(parts.removesuffix(")")) if parts.endswith(")") else None
        if strength not in known.effects or (dot and way is None) or (parts and number is None):
            raise disagrees("a line of the table")
        return ReadRow(feature, written, way, known.effects[strength], number, bool(above))
