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
from xml.parsers import expat  # of an agency's text only what was escaped; no entity is declared

from explainer.core.attribution import Compared
from explainer.core.disclosure import Pointing, ShownReason, Told, View
from explainer.core.explanation import Opening, Rest, Strength
from explainer.errors import TextDisagrees
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
_ELEMENTS = frozenset(
    {
        *("a", "address", "article", "bdi", "details", "div", "h2", "h3", "h4", "li", "p"),
        *("section", "span", "summary", "ul", "svg", "rect", "line"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td"),
    }
)
"""Those of the templates."""
_HIDING = ("hidden", "style")
_DRAWN = ("svg", "span")
"""What may be hidden from reading aloud: drawings, whose words stand beside them."""
_BARS = {"xb-pro": 1, "xb-con": -1}
_AXIS = 100
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


class _Text:
    """The words of an HTML fragment, those of the folded table apart, and its bars.

    Read as XML: a fragment that browsers would have to mend first is not ours. So are elements
    no template has, as some of them hide their words.
    """

    def __init__(self, body: str) -> None:
        self.words: list[str] = []
        self.folded: list[str] = []
        self.bars: list[int] = []
        self._depth = 0
        self._to = self.words
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._to.append
        # all three are read in another way in HTML
        parser.CommentHandler = parser.StartCdataSectionHandler = _foreign
        parser.ProcessingInstructionHandler = _foreign
        try:
            # one root around it, so that nothing can be declared in front
            for part, last in (("<div>", False), (body, False), ("</div>", True)):
                parser.Parse(part, last)
        except expat.ExpatError:
            raise _disagrees("markup that is not whole") from None
        finally:
            del self._parser  # it refers back to us

    def _start(self, tag: str, given: dict[str, str]) -> None:
        if tag not in _ELEMENTS:
            raise _disagrees(f"an element {tag}")
        for name in map(str.lower, given):
            if name in _HIDING or (name == "aria-hidden" and tag not in _DRAWN):
                raise _disagrees("words that are hidden")
        if tag == "details":
            self._fold(1)
        if tag == "rect" and given.get("class") in _BARS:
            bar = _BARS[given["class"]] * int(given.get("width") or 0)
            # above nought it begins at the axis, below it ends there
            if given.get("x") != str(_AXIS + min(bar, 0)):
                raise _disagrees("another bar in the table")
            self.bars.append(bar)
        if tag != "bdi":
            self._to.append("\n")

    def _end(self, tag: str) -> None:
        if tag == "details":
            self._fold(-1)
        if tag != "bdi":
            self._to.append("\n")

    def _fold(self, deeper: int) -> None:
        self._depth += deeper
        self._to = self.folded if self._depth else self.words
        self._parser.CharacterDataHandler = self._to.append


def _foreign(*_: str) -> None:
    raise _disagrees("markup that no template has")


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
        raise _disagrees(f"{len(found)} reasons where {len(in_order)} belong")
    for read, reason in zip(found, in_order, strict=True):
        _check_reason(read, reason, view, voice)
        if _section_at(sections, read.at) is not reason.pointing:
            raise _disagrees(f"a reason for {read.feature} under the wrong heading")
        _check_written(text, read.at, reason, voice, known)
    unclear = [r for r in view.reasons if r.outcome is None]
    _check_unclear(text, unclear, sections, voice, known)
    for key in ("withheld_one", "unclear"):
        wanted = sum(
            r.withheld if key == "withheld_one" else r.outcome is None and not r.withheld
            for r in view.reasons
        )
        if text.count(_fixed(voice.say(f"told.{key}"))) != wanted:
            raise _disagrees(f"a reason of kind {key} is missing or was added")


def check_complete(told: Told, sentences: Sentences) -> None:
    """Raise TextDisagrees unless `told` says every sentence, in order, and nothing else."""
    body = told.body.decode()
    table = ""
    if told.media_type.startswith("text/html"):
        parser = _parsed(body)
        body, table = "".join(parser.words), "".join(parser.folded)
        if parser.bars != [row.bar for row in sentences.rows if row.bar]:
            raise _disagrees("another bar in the table")
    frame = [*sentences.heading.values(), *sentences.frame.values()]
    frame = [_fixed(form) for word in frame for form in (word, word.upper())]
    frame = sorted(set(frame), key=len, reverse=True)
    prose = list(_prose(sentences))
    rows = [text for row in sentences.rows for text in (row.label, row.value, row.effect)]
    if told.media_type.startswith("text/html"):
        _nothing_else(_squeeze(body), [*prose, *sentences.correct, *sentences.contact], frame)
        _nothing_else(_squeeze(table), rows, frame)
    else:
        said = [*prose, *rows, *sentences.correct, *sentences.contact]
        _nothing_else(_squeeze(body), said, frame)


def _prose(s: Sentences) -> Iterator[str]:
    """Every sentence in the order in which it is read."""
    yield from filter(None, (s.banner, *s.role, *s.decided, s.suggestion, *s.warnings))
    yield from filter(None, (s.comparison, s.contrast, s.withheld, *s.opening))
    for reason in (*s.towards, *s.away, *s.unclear):
        yield from filter(None, (reason.label, reason.text, reason.strength, reason.parts))
        yield from (*reason.notes, *reason.staff_notes)
        yield from filter(None, (reason.provenance,))
    yield from filter(None, (s.rest, *s.limits))


def _nothing_else(text: str, said: list[str], frame: list[str]) -> None:
    at = 0
    for sentence in map(_squeeze, said):
        found = text.find(sentence, at)
        if found < 0:
            raise _disagrees("a sentence is missing or stands elsewhere")
        _only_frame(text[at:found], frame)
        at = found + len(sentence)
    _only_frame(text[at:], frame)


def _only_frame(between: str, frame: list[str]) -> None:
    """Nothing but headings and the marks around them."""
    if _BETWEEN.fullmatch(between):
        return
    for words in frame:
        between = between.replace(words, " ")
    if not _BETWEEN.fullmatch(between):
        raise _disagrees("words that nobody wrote")


@lru_cache(maxsize=2)
def _parsed(body: str) -> _Text:
    """Read once for both checks."""
    return _Text(body)


def _plain(told: Told) -> str:
    """The prose, without the folded table."""
    body = told.body.decode()
    if told.media_type.startswith("text/html"):
        body = "".join(_parsed(body).words)
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
        raise _disagrees("another suggestion")


def _check_amount(text: str, view: View, voice: Voice) -> None:
    """One amount, the right one in the right unit, and on the right side of the mean."""
    assert view.amount is not None  # noqa: S101 - asked for amounts only
    form = "suggested" if view.table is None else "suggested_staff"
    head, _, tail = _fixed(voice.wording[f"amount|{form}"]).partition(VALUE)
    sentence = _squeeze(suggestion_in_words(view, voice))
    at = text.find(sentence)
    if at < 0 or text.count(head) != 1 or text[at + len(sentence) :][:1].isalnum():
        raise _disagrees("another amount")
    written = sentence[len(head) : len(sentence) - len(tail)]
    digits = re.search(r"[0-9](?:[0-9.,\u00a0\u202f ]*[0-9])?", written)
    # the Arabic dual says two without a digit
    if digits:
        # the sign stands before the digits, or as in -€5 before the currency
        sign = "-" if re.search(r"[-\u2212]", written[: digits.start()]) else ""
        if read_amount(sign + digits[0], voice.language.locale) != view.amount.text:
            raise _disagrees("an amount that cannot be read back")
    sides = {each: f"told.compared.{each}" for each in Compared}
    _check_only_one_of(sides, view.amount.compared, text, voice)


def _check_runner_up(text: str, view: View, voice: Voice) -> None:
    """Of several outcomes: what comes second is named, and nothing else is."""
    head = _fixed(voice.say("told.runner_up")).partition(VALUE)[0]
    named = view.runner_up is not None
    if text.count(head) != named or (
        named and _squeeze(contrast_in_words(view, voice)) not in text
    ):
        raise _disagrees("another runner-up")


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
        raise _disagrees(f"a reason for {read.feature} that does not belong there")
    towards = read.outcome == view.suggestion
    if towards is not (reason.pointing is Pointing.TOWARDS):
        raise _disagrees(f"the direction of {read.feature}")
    if reason.value is None or read.missing is not (reason.value.missing is not None):
        raise _disagrees(f"whether {read.feature} is missing")


def _check_written(text: str, at: int, reason: ShownReason, voice: Voice, known: _Known) -> None:
    """Before a reason's sentence stands its label, in it its value, after it its strength."""
    sentence = _sentence(reason, voice)
    if not text.startswith(sentence, at):
        raise _disagrees(f"the value of {reason.feature}")
    before, after = text[:at].rstrip(), text[at + len(sentence) :].lstrip()
    labels = known.labels
    if _longest(label for label in labels.values() if before.endswith(label)) != labels.get(
        reason.feature or ""
    ):
        raise _disagrees(f"the label of {reason.feature}")
    strengths = known.strengths
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
            raise _disagrees(f"a reason for {reason.feature} is missing")
        _check_written(text, at, reason, voice, known)
        at += len(unclear)


def _check_only_one_of(keys: Mapping[Any, str], meant: StrEnum, text: str, voice: Voice) -> None:
    said = {each for each, key in keys.items() if _fixed(voice.say(key)) in text}
    if said != {meant}:
        raise _disagrees(f"the sentence {keys[meant]}")


def _disagrees(what: str) -> TextDisagrees:
    return TextDisagrees(
        f"The rendered text does not say what the numbers say: {what}.",
        "text",
        "The explanation is withheld; have the package's wording checked.",
    )
