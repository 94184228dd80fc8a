"""Reads a rendered text back and compares it with the numbers; fails closed.

Twice, in two ways. `check_agrees` reads the final bytes and recovers feature, direction, order,
strength and value of every reason by matching each sentence of the package, with its slot as a
wildcard; these are compared with the view. `check_complete` goes through the whole text, the
folded table and its bars included: nothing may be missing, and between the sentences nothing may
stand but the headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from explainer.core.attribution import Compared
from explainer.core.disclosure import Pointing, ShownReason, Told, View
from explainer.core.explanation import Opening, Rest, Strength
from explainer.text.fragment import disagrees, read_fragment
from explainer.text.sentences import Sentences
from explainer.text.suggested import (
    contrast_in_words,
    headings,
    opening_key,
    suggestion_in_words,
)
from explainer.text.values import (
    FIRST_STRONG_ISOLATE,
    LEFT_TO_RIGHT_ISOLATE,
    POP_ISOLATE,
    read_amount,
    value_in_words,
)
from explainer.text.voice import Voice
from explainer.text.wording import VALUE

LONGEST = 200
"""Characters of the longest value that is looked for in a sentence."""

_TOLD_STRENGTHS = (Strength.VERY_LARGE, Strength.LARGE, Strength.SMALL)
_BETWEEN = re.compile(r"[\s\-–:().·|]*")
_MARKS = (FIRST_STRONG_ISOLATE, LEFT_TO_RIGHT_ISOLATE, POP_ISOLATE)


@dataclass(frozen=True, slots=True)
class _Read:
    """One reason as it stands in the text."""

    at: int
    feature: str
    outcome: str
    missing: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """Words that stand around a reason: labels by feature, and what is said by strength."""

    labels: Mapping[str, str]
    strengths: Mapping[Strength, str]


def check_agrees(told: Told, view: View, voice: Voice) -> None:
    """Raise TextDisagrees unless `told` says exactly what `view` holds.

    Compared are the suggestion, what it is compared with, the opening, every reason (label,
    feature, direction, order, value, strength), the rest, and that no other reason stands in the
    text.
    """
    text = _plain(told)
    if view.amount is None:
        _check_suggestion(text, view, voice)
    else:
        _check_amount(text, view, voice)
    _check_runner_up(text, view, voice)
    own = "told" if view.table is None else "staff"
    openings = {each: f"{own}.opening.{opening_key(view.task, each)}" for each in Opening}
    _check_only_one_of(openings, view.opening, text, voice)
    _check_only_one_of({each: f"{own}.rest.{each}" for each in Rest}, view.rest, text, voice)
    sections = _sections(text, headings(view, voice))
    found = list(_reasons(text, voice))
    known = _Known(
        {name: _fixed(voice.wording.label(name)) for name in voice.catalogue.names},
        {s: _fixed(voice.say(f"told.strength.{s}")) for s in _TOLD_STRENGTHS},
    )
    expected = [r for r in view.reasons if r.outcome is not None]
    in_order = [r for pointing in Pointing for r in expected if r.pointing is pointing]
    if len(found) != len(in_order):
        raise disagrees(f"{len(found)} reasons where {len(in_order)} belong")
    for read, reason in zip(found, in_order, strict=True):
        _check_reason(read, reason, view, voice)
        if _section_at(sections, read.at) is not reason.pointing:
            raise disagrees(f"a reason for {read.feature} under the wrong heading")
        _check_written(text, read.at, reason, voice, known)
    unclear = [r for r in view.reasons if r.outcome is None]
    _check_unclear(text, unclear, sections, voice, known)
    for key in ("withheld_one", "unclear"):
        wanted = sum(
            r.withheld if key == "withheld_one" else r.outcome is None and not r.withheld
            for r in view.reasons
        )
        if text.count(_fixed(voice.say(f"told.{key}"))) != wanted:
            raise disagrees(f"a reason of kind {key} is missing or was added")


def check_complete(told: Told, sentences: Sentences) -> None:
    """Raise TextDisagrees unless `told` says every sentence, in order, and nothing else."""
    body = told.body.decode()
    table = ""
    if told.media_type.startswith("text/html"):
        parser = read_fragment(body)
        body, table = "".join(parser.words), "".join(parser.folded)
        if parser.bars != [row.bar for row in sentences.rows if row.bar]:
            raise disagrees("another bar in the table")
    frame = _frame((*sentences.heading.values(), *sentences.frame.values()))
    prose = list(_prose(sentences))
    rows = [text for row in sentences.rows for text in (row.label, row.value, row.effect)]
    if told.media_type.startswith("text/html"):
        _nothing_else(_squeeze(body), [*prose, *sentences.correct, *sentences.contact], frame)
        _nothing_else(_squeeze(table), rows, frame)
    else:
        said = [*prose, *rows, *sentences.correct, *sentences.contact]
        _nothing_else(_squeeze(body), said, frame)


@lru_cache(maxsize=256)
def _frame(words: tuple[str, ...]) -> tuple[str, ...]:
    """Headings as they may stand in a text, the longest first."""
    forms = {_squeeze(form) for word in words for form in (word, word.upper())}
    return tuple(sorted(forms, key=len, reverse=True))


def _prose(s: Sentences) -> Iterator[str]:
    """Every sentence in the order in which it is read."""
    yield from filter(None, (s.banner, *s.role, *s.decided, s.suggestion, *s.warnings))
    yield from filter(None, (s.comparison, s.contrast, s.withheld, *s.opening))
    for reason in (*s.towards, *s.away, *s.unclear):
        yield from filter(None, (reason.label, reason.text, reason.strength, reason.parts))
        yield from (*reason.notes, *reason.staff_notes)
        yield from filter(None, (reason.provenance,))
    yield from filter(None, (s.rest, *s.limits))


def _nothing_else(text: str, said: list[str], frame: tuple[str, ...]) -> None:
    at = 0
    for sentence in map(_squeeze, said):
        found = text.find(sentence, at)
        if found < 0:
            raise disagrees("a sentence is missing or stands elsewhere")
        _only_frame(text[at:found], frame)
        at = found + len(sentence)
    _only_frame(text[at:], frame)


def _only_frame(between: str, frame: tuple[str, ...]) -> None:
    """Nothing but headings and the marks around them."""
    if _BETWEEN.fullmatch(between):
        return
    for words in frame:
        between = between.replace(words, " ")
    if not _BETWEEN.fullmatch(between):
        raise disagrees("words that nobody wrote")


def _plain(told: Told) -> str:
    """The prose, without the folded table."""
    body = told.body.decode()
    if told.media_type.startswith("text/html"):
        body = "".join(read_fragment(body).words)
    return _squeeze(body)


def _squeeze(text: str) -> str:
    for mark in _MARKS:
        text = text.replace(mark, "")
    return " ".join(text.split())


@lru_cache(maxsize=8192)
def _fixed(text: str) -> str:
    """The same for texts of a catalog, which come again with every page."""
    return _squeeze(text)


def _check_suggestion(text: str, view: View, voice: Voice) -> None:
    form = "suggested" if view.table is None else "suggested_staff"
    said = {
        outcome
        for outcome in voice.suggesting.outcomes
        if _fixed(voice.wording[f"outcome|{outcome}|{form}"]) in text
    }
    if said != {view.suggestion}:
        raise disagrees("another suggestion")


def _check_amount(text: str, view: View, voice: Voice) -> None:
    """One amount, the right one in the right unit, and on the right side of the mean."""
    assert view.amount is not None  # noqa: S101 - asked for amounts only
    form = "suggested" if view.table is None else "suggested_staff"
    head, _, tail = _fixed(voice.wording[f"amount|{form}"]).partition(VALUE)
    sentence = _squeeze(suggestion_in_words(view, voice))
    at = text.find(sentence)
    if at < 0 or text.count(head) != 1 or text[at + len(sentence) :][:1].isalnum():
        raise disagrees("another amount")
    written = sentence[len(head) : len(sentence) - len(tail)]
    digits = re.search(r"[0-9](?:[0-9.,\u00a0\u202f ]*[0-9])?", written)
    # the Arabic dual says two without a digit
    if digits:
        # the sign stands before the digits, or as in -€5 before the currency
        sign = "-" if re.search(r"[-\u2212]", written[: digits.start()]) else ""
        if read_amount(sign + digits[0], voice.language.locale) != view.amount.text:
            raise disagrees("an amount that cannot be read back")
    sides = {each: f"told.compared.{each}" for each in Compared}
    _check_only_one_of(sides, view.amount.compared, text, voice)


def _check_runner_up(text: str, view: View, voice: Voice) -> None:
    """Of several outcomes: what comes second is named, and nothing else is."""
    head = _fixed(voice.say("told.runner_up")).partition(VALUE)[0]
    named = view.runner_up is not None
    if text.count(head) != named or (
        named and _squeeze(contrast_in_words(view, voice)) not in text
    ):
        raise disagrees("another runner-up")


def _sections(text: str, words: Mapping[str, str]) -> list[tuple[int, Pointing]]:
    found = []
    for pointing in Pointing:
        heading = _fixed(words[pointing])
        at = text.find(heading)
        if at >= 0:
            found.append((at, pointing))
    return sorted(found)


def _section_at(sections: list[tuple[int, Pointing]], at: int) -> Pointing | None:
    under = None
    for start, pointing in sections:
        if start <= at:
            under = pointing
    return under


def _reasons(text: str, voice: Voice) -> Iterator[_Read]:
    """Every sentence of the package that stands in the text, in the order of the text.

    A value is anything here; that it is the right one is looked at when it is known which
    reason the sentence is for.
    """
    found: list[_Read] = []
    for feature in voice.catalogue:
        for outcome in voice.suggesting.outcomes:
            for missing in (False, True) if feature.optional else (False,):
                sentence = _fixed(voice.wording.reason(feature.name, outcome, missing=missing))
                found.extend(
                    _Read(at, feature.name, outcome, missing) for at in _places(sentence, text)
                )
    yield from sorted(found, key=lambda read: read.at)


def _places(sentence: str, text: str) -> Iterator[int]:
    """Where `sentence` stands in `text`, with anything of up to LONGEST characters in its slot."""
    head, _, tail = sentence.partition(VALUE)
    at = text.find(head)
    while at >= 0:
        after = at + len(head)
        if text.find(tail, after, after + LONGEST + len(tail)) >= 0:
            yield at
        at = text.find(head, after)


def _check_reason(read: _Read, reason: ShownReason, view: View, voice: Voice) -> None:
    if (read.feature, read.outcome) != (reason.feature, reason.outcome):
        raise disagrees(f"a reason for {read.feature} that does not belong there")
    towards = read.outcome == view.suggestion
    if towards is not (reason.pointing is Pointing.TOWARDS):
        raise disagrees(f"the direction of {read.feature}")
    if reason.value is None or read.missing is not (reason.value.missing is not None):
        raise disagrees(f"whether {read.feature} is missing")


def _check_written(text: str, at: int, reason: ShownReason, voice: Voice, known: _Known) -> None:
    """Before a reason's sentence stands its label, in it its value, after it its strength."""
    sentence = _sentence(reason, voice)
    if not text.startswith(sentence, at):
        raise disagrees(f"the value of {reason.feature}")
    before, after = text[:at].rstrip(), text[at + len(sentence) :].lstrip()
    labels = known.labels
    if _longest(label for label in labels.values() if before.endswith(label)) != labels.get(
        reason.feature or ""
    ):
        raise disagrees(f"the label of {reason.feature}")
    strengths = known.strengths
    if _longest(s for s in strengths.values() if after.startswith(s)) != strengths.get(
        reason.strength
    ):
        raise disagrees(f"the strength of {reason.feature}")


def _longest(found: Iterable[str]) -> str:
    """One text may begin or end as another does ("large", "large indeed")."""
    return max(found, key=len, default="")


def _sentence(reason: ShownReason, voice: Voice) -> str:
    """The sentence as it must stand in the text, value and all."""
    assert reason.feature is not None  # noqa: S101 - it is not withheld
    assert reason.value is not None  # noqa: S101 - it is not withheld
    value = reason.value
    written = ""
    if value.value is not None:
        written = value_in_words(
            voice.catalogue[reason.feature], value.value, voice.wording, voice.catalog
        )
    if reason.outcome is not None:
        sentence = voice.wording.reason(
            reason.feature, reason.outcome, missing=value.missing is not None
        ).replace(VALUE, written)
    else:
        sentence = voice.say("told.unclear")
        if written:
            sentence += " " + voice.say("told.given", written)
    return _squeeze(sentence)


def _check_unclear(
    text: str,
    reasons: list[ShownReason],
    sections: list[tuple[int, Pointing]],
    voice: Voice,
    known: _Known,
) -> None:
    """A reason without a direction has no sentence of its own: it is found by its label."""
    at = 0
    unclear = _fixed(voice.say("told.unclear"))
    for reason in reasons:
        if reason.withheld:
            continue
        at = text.find(unclear, at)
        if at < 0 or _section_at(sections, at) is not Pointing.UNCLEAR:
            raise disagrees(f"a reason for {reason.feature} is missing")
        _check_written(text, at, reason, voice, known)
        at += len(unclear)


def _check_only_one_of(keys: Mapping[Any, str], meant: StrEnum, text: str, voice: Voice) -> None:
    said = {each for each, key in keys.items() if _fixed(voice.say(key)) in text}
    if said != {meant}:
        raise disagrees(f"the sentence {keys[meant]}")
