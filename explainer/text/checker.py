"""Reads a rendered text back and compares it with the numbers; fails closed.

The final bytes are read, not the sentences they were made from: what is found there (feature,
direction, order, strength, value) is recovered by matching every sentence of the package, with
its slot as a wildcard. A text that says more, less or anything else is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from html.parser import HTMLParser

from explainer.core.disclosure import Pointing, ShownReason, Told, View
from explainer.core.explanation import Opening, Rest, Strength
from explainer.errors import TextDisagrees
from explainer.text.sentences import Voice
from explainer.text.values import (
    FIRST_STRONG_ISOLATE,
    LEFT_TO_RIGHT_ISOLATE,
    POP_ISOLATE,
    value_in_words,
)
from explainer.text.wording import VALUE

LONGEST = 200
"""Characters of the longest value that is looked for in a sentence."""

_TOLD_STRENGTHS = (Strength.VERY_LARGE, Strength.LARGE, Strength.SMALL)
_MARKS = str.maketrans("", "", FIRST_STRONG_ISOLATE + LEFT_TO_RIGHT_ISOLATE + POP_ISOLATE)


@dataclass(frozen=True, slots=True)
class _Read:
    """One reason as it stands in the text."""

    at: int
    feature: str
    outcome: str
    missing: bool


class _Text(HTMLParser):
    """The words of an HTML fragment. The folded table is not prose and is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._folded = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._folded += tag == "details"
        if tag != "bdi":
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._folded -= tag == "details"
        if tag != "bdi":
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._folded:
            self.words.append(data)


def check_agrees(told: Told, view: View, voice: Voice) -> None:
    """Raise TextDisagrees unless `told` says exactly what `view` holds.

    Compared are the suggestion, the opening, every reason (label, feature, direction, order,
    value, strength), the rest, and that no other reason stands in the text.
    """
    text = _plain(told)
    _check_suggestion(text, view, voice)
    own = "told" if view.table is None else "staff"
    _check_only_one_of(Opening, f"{own}.opening", view.opening, text, voice)
    _check_only_one_of(Rest, f"{own}.rest", view.rest, text, voice)
    sections = _sections(text, voice)
    found = list(_reasons(text, voice))
    expected = [r for r in view.reasons if r.outcome is not None]
    in_order = [r for pointing in Pointing for r in expected if r.pointing is pointing]
    if len(found) != len(in_order):
        raise _disagrees(f"{len(found)} reasons where {len(in_order)} belong")
    for read, reason in zip(found, in_order, strict=True):
        _check_reason(read, reason, view, voice)
        if _section_at(sections, read.at) is not reason.pointing:
            raise _disagrees(f"a reason for {read.feature} under the wrong heading")
        _check_written(text, read.at, reason, voice)
    _check_unclear(text, [r for r in view.reasons if r.outcome is None], sections, voice)
    for key in ("withheld_one", "unclear"):
        wanted = sum(
            r.withheld if key == "withheld_one" else r.outcome is None and not r.withheld
            for r in view.reasons
        )
        if text.count(_fixed(voice.say(f"told.{key}"))) != wanted:
            raise _disagrees(f"a reason of kind {key} is missing or was added")


def _plain(told: Told) -> str:
    body = told.body.decode()
    if told.media_type.startswith("text/html"):
        parser = _Text()
        parser.feed(body)
        parser.close()
        body = "".join(parser.words)
    return _squeeze(body)


def _squeeze(text: str) -> str:
    return re.sub(r"\s+", " ", text.translate(_MARKS)).strip()


@lru_cache(maxsize=8192)
def _fixed(text: str) -> str:
    """The same for texts of a catalog, which come again with every page."""
    return _squeeze(text)


def _check_suggestion(text: str, view: View, voice: Voice) -> None:
    form = "suggested" if view.table is None else "suggested_staff"
    said = {
        outcome
        for outcome in _outcomes(voice)
        if _fixed(voice.wording[f"outcome|{outcome}|{form}"]) in text
    }
    if said != {view.suggestion}:
        raise _disagrees("another suggestion")


def _outcomes(voice: Voice) -> list[str]:
    return [
        key.removesuffix("|label")
        for key in voice.wording.part("outcome")
        if key.endswith("|label")
    ]


def _sections(text: str, voice: Voice) -> list[tuple[int, Pointing]]:
    found = []
    for pointing in Pointing:
        heading = _fixed(voice.say(f"told.heading.{pointing}"))
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
        for outcome in _outcomes(voice):
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
        raise _disagrees(f"a reason for {read.feature} that does not belong there")
    towards = read.outcome == view.suggestion
    if towards is not (reason.pointing is Pointing.TOWARDS):
        raise _disagrees(f"the direction of {read.feature}")
    if reason.value is None or read.missing is not (reason.value.missing is not None):
        raise _disagrees(f"whether {read.feature} is missing")


def _check_written(text: str, at: int, reason: ShownReason, voice: Voice) -> None:
    """Before a reason's sentence stands its label, in it its value, after it its strength."""
    sentence = _sentence(reason, voice)
    if not text.startswith(sentence, at):
        raise _disagrees(f"the value of {reason.feature}")
    before, after = text[:at].rstrip(), text[at + len(sentence) :].lstrip()
    labels = {name: _fixed(voice.wording.label(name)) for name in voice.catalogue.names}
    if _longest(label for label in labels.values() if before.endswith(label)) != labels.get(
        reason.feature or ""
    ):
        raise _disagrees(f"the label of {reason.feature}")
    strengths = {s: _fixed(voice.say(f"told.strength.{s}")) for s in _TOLD_STRENGTHS}
    if _longest(s for s in strengths.values() if after.startswith(s)) != strengths.get(
        reason.strength
    ):
        raise _disagrees(f"the strength of {reason.feature}")


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
    text: str, reasons: list[ShownReason], sections: list[tuple[int, Pointing]], voice: Voice
) -> None:
    """A reason without a direction has no sentence of its own: it is found by its label."""
    at = 0
    unclear = _fixed(voice.say("told.unclear"))
    for reason in reasons:
        if reason.withheld:
            continue
        at = text.find(unclear, at)
        if at < 0 or _section_at(sections, at) is not Pointing.UNCLEAR:
            raise _disagrees(f"a reason for {reason.feature} is missing")
        _check_written(text, at, reason, voice)
        at += len(unclear)


def _check_only_one_of(
    among: type[Opening] | type[Rest], keys: str, meant: StrEnum, text: str, voice: Voice
) -> None:
    said = {each for each in among if _fixed(voice.say(f"{keys}.{each}")) in text}
    if said != {meant}:
        raise _disagrees(f"the sentence {keys}")


def _disagrees(what: str) -> TextDisagrees:
    return TextDisagrees(
        f"The rendered text does not say what the numbers say: {what}.",
        "text",
        "The explanation is withheld; have the package's wording checked.",
    )
