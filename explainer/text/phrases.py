"""The dictionary a text is read with: what each sentence of a language and a package says.

Made from the catalogs alone, never from what was written with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import TypeVar

from explainer.core.attribution import HIGHER, LOWER, Compared, Task
from explainer.core.case import SOURCE_LABEL, Missing, Scalar
from explainer.core.disclosure import Pointing
from explainer.core.explanation import Limit, Opening, Rest, Strength
from explainer.text.fragment import STAFF_NOTE, disagrees
from explainer.text.read_values import is_told_as, plain, read_day, read_value
from explainer.text.suggested import FRAME
from explainer.text.values import (
    FIRST_STRONG_ISOLATE,
    POP_ISOLATE,
    WORD_JOINER,
    clean,
    day,
    unbroken,
    value_in_words,
)
from explainer.text.voice import Voice
from explainer.text.wording import VALUE

Meaning = TypeVar("Meaning")
Note = tuple[str, Scalar]
"""What a note says, and of what: `("missing", "unreadable")`, `("stand_in", 3)`."""

MOST_KEPT = 4_096
"""Values whose words were looked at once and are not read again."""

_TOLD = (Strength.VERY_LARGE, Strength.LARGE, Strength.SMALL)
_ROLES = ("role", "role_unused", "role_undelivered")
_EMPHASIS = ("<strong>", "</strong>")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A sentence with a slot: what stands before and after it."""

    head: str
    tail: str

    def value(self, text: str) -> str | None:
        """What stands in the slot of `text`; None where it is another sentence."""
        head, tail = self.head, self.tail
        if text.startswith(head) and text.endswith(tail) and len(text) >= len(head) + len(tail):
            return text[len(head) : len(text) - len(tail)]
        return None


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a reason. `outcomes` it may speak for: both where only the heading says which.

    `pattern` is that of the sentence; without a slot `whole` is all of it.
    """

    whole: str
    pattern: Pattern | None
    outcomes: frozenset[str]
    missing: bool


class Frame:
    """What every text of one voice has, one about a missing explanation too, for one audience and
    as it stands in one medium.

    Raises TextDisagrees where two of its sentences that say different things read alike.
    """

    def __init__(self, voice: Voice, *, staff: bool, html: bool) -> None:
        self.voice = voice
        self.staff = staff
        self.html = html
        self.isolated = html or voice.language.dir == "rtl"
        self.leveled = bool(voice.language.level)
        say, wording = voice.say, voice.wording
        self.title = self._text(say("told.heading.contributed"))
        if not html and voice.language.dir == "ltr":
            self.title = voice.language.capitals(self.title)
        kinds = [f"{key}{ai}" for key in _ROLES for ai in ("", "_ai")]
        self.roles = self._by_text((say(f"told.{key}"), key) for key in kinds)
        self.decided = self._by_text(
            (say(f"told.{key}"), key) for key in ("differs", "same_other", "partly")
        )
        self.decided_by = self._pattern(say("told.decided_by"))
        gone = (
            "withheld_all",
            "outside",
            "replaced",
            "pending",
            *(() if staff else ("undelivered",)),
        )
        at = "staff.told" if staff else "told"
        self.withheld = self._by_text((say(f"{at}.{key}"), key) for key in gone)
        self.limits = self._by_text(self._limits())
        self.correct = self._by_text([(say("told.correct"), "correct")])
        self.correct_heading = self._headed(say("told.heading.correct"))
        contact = [unbroken(wording[f"contact|{key}"]) for key in ("office", "phone", "hours")]
        contact += wording["contact|address"].splitlines()
        self.contact = [
            self._isolate(self._text(line)) if html else self._text(line.replace(WORD_JOINER, ""))
            for line in contact
        ]
        self.labels: Mapping[str, str] = {}
        if staff:
            self.frame = {key: self._text(say(f"staff.frame.{key}")) for key in FRAME}
            self.quoted = self.frame["quoted"]
            self.not_shown = self._headed(self.frame["not_shown"])
            self.table = self._headed(self.frame["table"])

    def _limits(self) -> Iterator[tuple[str, str]]:
        if self.staff:
            yield self.voice.say("staff.told.limits"), "limits"
            yield self.voice.say("staff.told.linked"), "linked"
        else:
            yield self.voice.say("told.limits"), "limits"

    def _headed(self, text: str) -> str:
        """A heading as it stands in this medium."""
        return self._text(text if self.html else self.voice.say("told.headed", text))

    def _text(self, text: str) -> str:
        for mark in _EMPHASIS:
            text = text.replace(mark, "")
        return plain(text)

    def _isolate(self, text: str) -> str:
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"

    def _pattern(self, text: str, *, isolated: bool = True) -> Pattern:
        head, _, tail = self._text(text).partition(VALUE)
        if isolated and self.isolated:
            return Pattern(head + FIRST_STRONG_ISOLATE, POP_ISOLATE + tail)
        return Pattern(head, tail)

    def _by_text(self, said: Iterable[tuple[str, Meaning]]) -> dict[str, Meaning]:
        found: dict[str, Meaning] = {}
        for text, meaning in said:
            text = self._text(text)
            if found.setdefault(text, meaning) != meaning:
                raise disagrees(f"{found[text]} and {meaning} read alike")
        return found


class Phrases(Frame):
    """The sentences of one voice for one audience, as they stand in one medium.

    Raises TextDisagrees where two of them that say different things read alike.
    """

    def __init__(self, voice: Voice, *, staff: bool, html: bool) -> None:
        super().__init__(voice, staff=staff, html=html)
        self._says: dict[tuple[str, str | None, Scalar], bool] = {}
        self._sources: dict[str, str] = {}
        say, wording, own = voice.say, voice.wording, "staff" if staff else "told"
        sides = (*Pointing, HIGHER, LOWER)
        self.sides = self._by_text((self._headed(say(f"told.heading.{s}")), str(s)) for s in sides)
        form = "suggested_staff" if staff else "suggested"
        task = voice.suggesting.task
        self.suggestions: Mapping[str, str] = {}
        self.amount: Pattern | None = None
        if task is Task.AMOUNT:
            self.amount = self._pattern(wording[f"amount|{form}"])
        else:
            self.suggestions = self._by_text(
                (wording[f"outcome|{o}|{form}"], o) for o in voice.suggesting.outcomes
            )
        warnings = (
            Limit.FEW,
            *(f"{kind}_missing{bare}" for kind in ("one", "many") for bare in ("", "_bare")),
        )
        self.warnings = self._by_text((say(f"told.limit.{key}"), str(key)) for key in warnings)
        self.comparison = self._by_text(
            [(wording[f"comparison|{'staff' if staff else 'applicant'}"], "comparison")]
        )
        self.compared = self._by_text((say(f"told.compared.{c}"), str(c)) for c in Compared)
        self.runner_up = self._pattern(say("told.runner_up"))
        self.labels_of_outcomes: Mapping[str, str] = {}
        if task is not Task.AMOUNT:
            self.labels_of_outcomes = self._by_text(
                (wording[f"outcome|{o}|label"], o) for o in voice.suggesting.outcomes
            )
        openings = (*Opening, "close_multiclass", "mixed_amount")
        self.openings = self._by_text((say(f"{own}.opening.{o}"), str(o)) for o in openings)
        self.rests = self._by_text((say(f"{own}.rest.{r}"), str(r)) for r in Rest)
        self.labels = self._by_text((wording.label(n), n) for n in voice.catalogue.names)
        self.withheld_one = self._by_text([(say("told.withheld_one"), "withheld")])
        self.sentences = {
            feature.name: self._sentences(feature.name) for feature in voice.catalogue
        }
        unclear = self._text(say("told.unclear"))
        self.unclear = {unclear: "unclear"}
        given = self._pattern(say("told.given"))
        self.unclear_given = Pattern(f"{unclear} {given.head}", given.tail)
        self.strengths = self._by_text((say(f"told.strength.{s}"), s) for s in _TOLD)
        self.supplies = {
            feature.name: self._text(wording.supply(feature.name) or "")
            for feature in voice.catalogue
        }
        self.notes = self._by_text(self._plain_notes())
        self.stand_in = self._pattern(say("told.stand_in"))
        self.as_of = self._pattern(say("told.as_of"))
        self.source = self._pattern(say("told.source"))
        self.stale = self._pattern(say("told.limit.stale"))
        if staff:
            self._for_staff()

    def says(self, written: str | None, feature: str, value: Scalar) -> bool:
        """Whether `written`, read back, is `value`, and is written as values are."""
        key = (feature, written, value)
        found = self._says.get(key)
        if found is None:
            voice, of = self.voice, self.voice.catalogue[feature]
            found = (
                written is not None
                and is_told_as(read_value(of, written, voice), value)
                and plain(value_in_words(of, value, voice.wording, voice.catalog)) == written
            )
            if len(self._says) < MOST_KEPT:
                self._says[key] = found
        return found

    def says_day(self, written: str, when: date) -> bool:
        """The same of a day in long form."""
        locale = self.voice.language.locale
        return read_day(written, locale) == when and plain(day(when, locale)) == written

    def source_words(self, label: str) -> str | None:
        """How the source of this label is told."""
        found = self._sources.get(label)
        if found is None:
            words = self.voice.wording.source(label)
            if words == label and not SOURCE_LABEL.fullmatch(label):
                raise disagrees("where a value comes from is a text of its own")
            found = plain(clean(words))
            if len(self._sources) < MOST_KEPT:
                self._sources[label] = found
        return found or None

    def unwrapped(self, text: str) -> str | None:
        """What is set apart from the direction of its sentence; None where it is not."""
        if not self.html:
            return text
        if text[:1] == FIRST_STRONG_ISOLATE and text[-1:] == POP_ISOLATE:
            return text[1:-1]
        return None

    def _for_staff(self) -> None:
        say = self.voice.say
        self.ends = self._by_text(
            (say(f"staff.frame.{key}"), key) for key in ("towards", "away", HIGHER, LOWER)
        )
        self.parts = self._pattern(say("staff.told.parts"), isolated=False)
        self.estimated = self._pattern(say("staff.told.estimated"), isolated=False)
        proxy = self._pattern(say("staff.told.proxy"))
        self.proxy = Pattern(STAFF_NOTE + proxy.head, proxy.tail)
        self.row_stand_in = self._pattern(say("staff.told.stand_in"), isolated=False)
        self.row_missing = self._by_text((say(f"staff.missing.{m}"), str(m)) for m in Missing)
        ways = (*Pointing, HIGHER, LOWER)
        self.ways = self._by_text((say(f"staff.effect.{way}"), str(way)) for way in ways)
        self.effects = self._by_text((say(f"staff.effect.{s}"), s) for s in Strength)

    def _plain_notes(self) -> Iterator[tuple[str, Note]]:
        say = self.voice.say
        yield from ((say(f"told.missing.{m}"), ("missing", str(m))) for m in Missing)
        yield say("told.without_it"), ("without_it", "")
        yield say("told.leading"), ("leading", "")
        if self.staff:
            for key in ("decisive", "decisive_multiclass", "third_person"):
                yield STAFF_NOTE + say(f"staff.told.{key}"), (key, "")

    def _sentences(self, feature: str) -> tuple[Sentence, ...]:
        found: dict[tuple[str, bool], set[str]] = {}
        optional = self.voice.catalogue[feature].optional
        for outcome in self.voice.suggesting.outcomes:
            for missing in (False, True) if optional else (False,):
                text = self._text(self.voice.wording.reason(feature, outcome, missing=missing))
                found.setdefault((text, missing), set()).add(outcome)
        for (text, missing), outcomes in found.items():
            # else only the heading would say which of two it was: see unique.py
            if len(outcomes) > 1 and not missing and not self.leveled:
                raise disagrees(f"{text[:40]}… is said for {' and '.join(sorted(outcomes))}")
        return tuple(
            Sentence(
                text,
                self._pattern(text) if VALUE in text else None,
                frozenset(outcomes),
                missing,
            )
            for (text, missing), outcomes in found.items()
        )


@lru_cache(maxsize=256)
def phrases(voice: Voice, *, staff: bool, html: bool) -> Phrases:
    """Made once for each voice, audience and medium."""
    return Phrases(voice, staff=staff, html=html)


@lru_cache(maxsize=256)
def frame_of(voice: Voice, *, staff: bool, html: bool) -> Frame:
    """The frame alone: an agency's sentences that read alike keep nobody from being told that
    there is no explanation."""
    return Frame(voice, staff=staff, html=html)
