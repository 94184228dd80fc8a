"""Reads a rendered text back and compares it with the numbers; fails closed.

The final bytes are read, not the sentences they were made from: what is found there (feature,
direction, order, strength, value) is recovered by matching every sentence of the package, with
its slot as a wildcard. A text that says more, less or anything else is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from explainer.core.disclosure import Pointing, ShownReason, Told, View
from explainer.errors import TextDisagrees
from explainer.text.sentences import Voice
from explainer.text.values import (
    FIRST_STRONG_ISOLATE,
    LEFT_TO_RIGHT_ISOLATE,
    POP_ISOLATE,
    value_in_words,
)
from explainer.text.wording import VALUE

_MARKS = str.maketrans("", "", FIRST_STRONG_ISOLATE + LEFT_TO_RIGHT_ISOLATE + POP_ISOLATE)


@dataclass(frozen=True, slots=True)
class _Read:
    """One reason as it stands in the text."""

    at: int
    end: int
    feature: str
    outcome: str
    missing: bool
    value: str


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

    Compared are the suggestion, every reason (feature, direction, order, value, strength) and
    that no other reason stands in the text.
    """
    text = _plain(told)
    _check_suggestion(text, view, voice)
    sections = _sections(text, voice)
    found = list(_reasons(text, voice))
    expected = [r for r in view.reasons if r.outcome is not None]
    in_order = [r for pointing in Pointing for r in expected if r.pointing is pointing]
    if len(found) != len(in_order):
        raise _disagrees(f"{len(found)} reasons where {len(in_order)} belong")
    for read, reason, after in zip(found, in_order, [*found[1:], None], strict=True):
        _check_reason(read, reason, view, voice)
        if _section_at(sections, read.at) is not reason.pointing:
            raise _disagrees(f"a reason for {read.feature} under the wrong heading")
        until = after.at if after else len(text)
        _check_strength(text[read.end : until], reason, voice)
    for key in ("withheld_one", "unclear"):
        wanted = sum(
            r.withheld if key == "withheld_one" else r.outcome is None and not r.withheld
            for r in view.reasons
        )
        if text.count(_squeeze(voice.say(f"told.{key}"))) != wanted:
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


def _check_suggestion(text: str, view: View, voice: Voice) -> None:
    form = "suggested" if view.table is None else "suggested_staff"
    said = {
        outcome
        for outcome in _outcomes(voice)
        if _squeeze(voice.wording[f"outcome|{outcome}|{form}"]) in text
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
        heading = _squeeze(voice.say(f"told.heading.{pointing}"))
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
    """Every sentence of the package that stands in the text, in the order of the text."""
    found: list[_Read] = []
    for feature in voice.catalogue:
        for outcome in _outcomes(voice):
            for missing in (False, True) if feature.optional else (False,):
                sentence = _squeeze(voice.wording.reason(feature.name, outcome, missing=missing))
                pattern = re.escape(sentence).replace(re.escape(VALUE), "(?P<value>.{0,200}?)")
                for match in re.finditer(pattern, text):
                    value = match.groupdict().get("value") or ""
                    found.append(
                        _Read(match.start(), match.end(), feature.name, outcome, missing, value)
                    )
    yield from sorted(found, key=lambda read: read.at)


def _check_reason(read: _Read, reason: ShownReason, view: View, voice: Voice) -> None:
    if (read.feature, read.outcome) != (reason.feature, reason.outcome):
        raise _disagrees(f"a reason for {read.feature} that does not belong there")
    towards = read.outcome == view.suggestion
    if towards is not (reason.pointing is Pointing.TOWARDS):
        raise _disagrees(f"the direction of {read.feature}")
    if reason.value is None or read.missing is not (reason.value.missing is not None):
        raise _disagrees(f"whether {read.feature} is missing")
    if reason.value.value is not None and read.value:
        feature = voice.catalogue[read.feature]
        written = value_in_words(feature, reason.value.value, voice.wording, voice.catalog)
        if read.value != _squeeze(written):
            raise _disagrees(f"the value of {read.feature}")


def _check_strength(after: str, reason: ShownReason, voice: Voice) -> None:
    """The first strength after a reason's sentence is its own."""
    places = {
        strength: after.find(_squeeze(voice.say(f"told.strength.{strength}")))
        for strength in ("very_large", "large", "small")
    }
    said = {strength: at for strength, at in places.items() if at >= 0}
    if not said or min(said, key=said.__getitem__) != reason.strength:
        raise _disagrees(f"the strength of {reason.feature}")


def _disagrees(what: str) -> TextDisagrees:
    return TextDisagrees(
        f"The rendered text does not say what the numbers say: {what}.",
        "text",
        "The explanation is withheld; have the package's wording checked.",
    )
