"""The plain-language gate: every message and document of the product or of a package.

Messages are held to rules and word lists, documents to formulas, never the other way round. What
fails stops `make check` and `warum package check`. A warning stays open until a person with a name
accepts it; a note is only reported. What passes may still be hard to read: only readers know.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from html import unescape

from explainer.errors import ManifestInvalid
from explainer.plain.formulas import GATES, SPLIT, measure
from explainer.plain.lists import FAIL, NOTE, TERM, WARN, Concept, Lists, lists_of
from explainer.plain.rules import RULES, rules_for
from explainer.plain.sentences import Sentence
from explainer.plain.words import sentences_in, words_in


class Place(StrEnum):
    """Where a text is read, which says how much of the word lists it is held to."""

    TOLD = "told"
    NAME = "name"
    PAGE = "page"
    STAFF_TOLD = "staff_told"
    STAFF = "staff"

    @property
    def staff(self) -> bool:
        return self in (Place.STAFF_TOLD, Place.STAFF)


_ACTING = frozenset({"machine-decides", "groups", "subject", "address", "gender"})
_CASE = _ACTING | {"cause", "certainty", "blame", "threat"}
_LOOKED_FOR: dict[Place, frozenset[str]] = {
    Place.TOLD: _CASE | {"jargon", "ambiguous"},
    # what a thing is called says nothing of why a suggestion came about: "dismissed for illness"
    Place.NAME: _ACTING | {"jargon", "ambiguous"},
    Place.PAGE: _CASE | {"jargon"},
    Place.STAFF_TOLD: _CASE,
    # grounds of a decision name duties, suspicion and law: they are the person's, not the program's
    Place.STAFF: _ACTING,
}


@dataclass(frozen=True, slots=True)
class Message:
    """One text as its source holds it.

    Attributes
    ----------
    key : says where it belongs
    text : with slots and markup, in the language that is checked
    place : where it is read
    values : what may stand in its slots, the shortest and the longest
    heading : whether it stands alone
    counterfactual : whether it tells what another value had changed
    reason : whether it is the sentence of a reason, which a plainer level words in its own way
    german : the text it translates
    """

    key: str
    text: str
    place: Place
    values: tuple[str, ...] = ("1", "31. Dezember 2026")
    heading: bool = False
    counterfactual: bool = False
    reason: bool = False
    german: str = ""

    @property
    def digest(self) -> str:
        """What an acceptance names: another text has another one."""
        return digest_of(self.text)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A person's word that a warning may stand."""

    language: str
    key: str
    rule: str
    digest: str
    name: str
    date: date


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule broken by one sentence, or missed by one document.

    Attributes
    ----------
    severity : fail, warn or note
    rule : its name in docs/plain-language.md
    language, key : which text
    sentence : as it is read, slots filled
    found : the words, or the figure
    better : another sentence that says such a thing as it should be
    digest : of the message
    accepted : who accepted the warning, if somebody did
    """

    severity: str
    rule: str
    language: str
    key: str
    sentence: str
    found: str
    better: str
    digest: str
    accepted: Acceptance | None = None

    @property
    def open(self) -> bool:
        return self.severity == WARN and self.accepted is None

    @property
    def mend(self) -> str:
        return RULES[self.rule].mend


# -- one message ------------------------------------------------------------------------------

_STRESS = re.compile(r"\*\*(.+?)\*\*|<(?:b|strong)\b[^>]*>(.+?)</(?:b|strong)>")
_TAG = re.compile(r"</?[A-Za-z][^>]*>")
_SLOT = re.compile(r"\{[^{}]*\}|%\([A-Za-z_]+\)[a-z]")
_MONEY = r"(?:€|\$|£|EUR|USD|Euro|Dollar|zł|lei)"
_DECIMAL = {
    "de": re.compile(rf"(?<![\d.,])\d+,\d+(?![\d.,]*\s?{_MONEY})(?!\d)"),
    "en": re.compile(rf"(?<![\d.,$€£])(?<![A-Z] )\d+\.\d+(?![\d.,]*\s?{_MONEY})(?!\d)"),
}
_OF_A_MESSAGE = ("abbreviation", "brackets")
"""Counted over all sentences: abbreviations hold full stops of their own."""
_SPACES = {0xA0: " ", 0x202F: " "}
_COLUMN = re.compile(r"(?<!\w)(?:[a-z]+[A-Z]\w*|\w*[^\W_]_[^\W_]\w*)(?!\w)")


def check_message(message: Message, tag: str) -> list[Finding]:
    """Everything a message breaks, each rule once a sentence."""
    lists = lists_of(tag)
    stressed = frozenset(
        word.lower()
        for both in _STRESS.findall(message.text)
        for part in both
        for word in words_in(part)
    )
    plain = unstressed(message.text)
    banned = frozenset(entry.kind for entry in lists.banned)
    found: dict[tuple[int, str, str], Finding] = {}
    for text in dict.fromkeys(_filled(plain, value) for value in message.values):
        # the message as a whole first, then its sentences
        for at, said in enumerate([text, *sentences_in(text)]):
            sentence = Sentence(said, stressed, message.heading, message.place.staff)
            for severity, rule, words in _broken(sentence, lists, message, whole=at == 0):
                if rule in banned and words not in plain:
                    continue  # of a value: that is a message of its own, and only a name
                found.setdefault(
                    (at, rule, words.casefold()),
                    Finding(
                        severity,
                        rule,
                        tag,
                        message.key,
                        said,
                        words,
                        _better(lists, rule, words),
                        message.digest,
                    ),
                )
    for concept in _untranslated(message, plain, lists):
        found[-1, "glossary", concept.term] = Finding(
            NOTE, "glossary", tag, message.key, plain, concept.term, "", message.digest
        )
    return list(found.values())


def unstressed(text: str) -> str:
    """The words of a text, without stress, markup and other spaces than the plain one."""
    plain = unescape(_TAG.sub("", _STRESS.sub(lambda m: m[1] or m[2], text)))
    return plain.translate(_SPACES)


def _untranslated(message: Message, text: str, lists: Lists) -> Iterator[Concept]:
    """Concepts the German text names and the translation does not, by its own glossary."""
    if message.reason and lists.plainer:
        return
    for key, concept in lists_of("de").concepts.items():
        there = lists.concepts.get(key)
        if there is None or not concept.forms.search(message.german):
            continue
        if not there.forms.search(text):
            yield there


def _filled(text: str, value: str) -> str:
    # a function, as a value may hold a backslash
    return _SLOT.sub(lambda _: value, text)


def _better(lists: Lists, rule: str, words: str) -> str:
    if rule == TERM:
        for entry in lists.banned:
            if entry.kind == TERM and entry.pattern.search(words):
                return entry.instead
    return lists.better_for(rule)


def _broken(
    sentence: Sentence, lists: Lists, message: Message, *, whole: bool
) -> Iterator[tuple[str, str, str]]:
    """Severity, rule and the words found, in a sentence or in the `whole` message."""
    for rule, marks, look in rules_for(lists):
        if (rule in _OF_A_MESSAGE) is not whole:
            continue
        if rule == "subjunctive" and message.counterfactual:
            continue
        words = look(sentence, lists)
        for severity, allowed in marks:
            if len(words) > allowed:
                yield severity, rule, _shown(rule, words)
                break
    if whole:
        return
    yield from banned_words(sentence.text, lists, message.place)
    if not message.place.staff:
        for word in _of_other_form(sentence.text, lists):
            yield FAIL, "form", word


def _shown(rule: str, words: Sequence[str]) -> str:
    if rule == "length":
        return f"{len(words)} words"
    return ", ".join(words) if rule != "commas" else f"{len(words)} commas"


def banned_words(text: str, lists: Lists, place: Place) -> Iterator[tuple[str, str, str]]:
    """Severity, rule and word of everything in a text that must not stand there."""
    looked_for = _LOOKED_FOR[place]
    for entry in lists.banned:
        if entry.kind in looked_for or (entry.kind == TERM and (entry.staff or not place.staff)):
            for match in entry.pattern.finditer(text):
                yield entry.severity, entry.kind, match.group()


def _of_other_form(text: str, lists: Lists) -> Iterator[str]:
    decimal = _DECIMAL.get(lists.tag[:2])
    if decimal is not None:
        yield from decimal.findall(text)
    if "%" in text or "٪" in text:
        yield "%"
    yield from _COLUMN.findall(text)


# -- documents --------------------------------------------------------------------------------


def check_document(name: str, text: str, tag: str) -> list[Finding]:
    """Gates a rendered document misses (fail), targets (note), and how its sentences are."""
    figures, lists = measure(text, tag), lists_of(tag)
    if figures is None:
        return []
    found: list[Finding] = []
    better, digest = lists.better_for("length"), digest_of(text)

    def say(severity: str, rule: str, words: str) -> None:
        found.append(Finding(severity, rule, tag, name, "", words, better, digest))

    whole = measure(text, tag, split=False) if tag in SPLIT else None
    for gate in GATES[tag]:
        figure = gate.figure(figures)
        said = f"{gate.name} {figure:.1f}"
        if whole is not None:
            said += f" ({gate.figure(whole):.1f} with compounds whole)"
        if gate.missed(figure):
            say(FAIL, gate.rule, f"{said}, limit {gate.limit}")
        elif gate.short(figure):
            say(NOTE, gate.rule, f"{said}, target {gate.target}")
    if figures.per_sentence > lists.document["mean_length"]:
        say(WARN, "mean-length", f"{figures.per_sentence:.1f} words a sentence")
    if figures.words > lists.document["words"]:
        say(NOTE, "document-length", f"{figures.words} words")
    sentences = [Sentence(said) for said in sentences_in(text)]
    look = next(look for rule, _, look in rules_for(lists) if rule == "passive")
    share = 100 * sum(bool(look(each, lists)) for each in sentences) / len(sentences)
    if share > lists.document["passive_share"]:
        say(WARN, "passive-share", f"{share:.0f} of 100 sentences")
    return found


# -- what people accepted ---------------------------------------------------------------------


def read_acceptances(data: bytes, where: str) -> list[Acceptance]:
    """The accepted warnings of a file. Raises ManifestInvalid with what is wrong with it."""
    try:
        rows = tomllib.loads(data.decode()).get("accepted", [])
        found = [Acceptance(**row) for row in rows]
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, AttributeError) as fault:
        raise ManifestInvalid(
            f"The list of accepted warnings cannot be read ({fault}).",
            where,
            "Each [[accepted]] needs language, key, rule, digest, name and date, and nothing else.",
        ) from None
    for each in found:
        texts: tuple[object, ...] = (each.language, each.key, each.rule, each.digest, each.name)
        whole = all(isinstance(text, str) and text.strip() for text in texts)
        if not (whole and type(each.date) is date):
            raise ManifestInvalid(
                f"An accepted warning lacks a name or a date ({each.key}).",
                where,
                "Write who accepted it, and the date without quotation marks.",
            )
    return found


def with_acceptances(
    findings: Iterable[Finding], accepted: Sequence[Acceptance], tags: Iterable[str]
) -> list[Finding]:
    """Findings with who accepted them; what was accepted and is not found any more is reported."""
    named = {(a.language, a.key, a.rule, a.digest): a for a in accepted}
    result, used = [], set()
    for finding in findings:
        at = (finding.language, finding.key, finding.rule, finding.digest)
        if finding.severity == WARN and at in named:
            used.add(at)
            finding = replace(finding, accepted=named[at])
        result.append(finding)
    asked = set(tags)
    for at, each in named.items():
        if at not in used and each.language in asked:
            what = f"accepted by {each.name} on {each.date}: {each.rule}"
            result.append(
                Finding(WARN, "acceptance", each.language, each.key, "", what, "", each.digest)
            )
    return result


# -- for people -------------------------------------------------------------------------------


def report(findings: Sequence[Finding], *, notes: bool = False) -> Iterator[str]:
    """The findings as lines for a terminal, the worst first, and how many there are."""
    order = {FAIL: 0, WARN: 1, NOTE: 2}
    for finding in sorted(findings, key=lambda f: (order[f.severity], f.language)):
        if finding.severity == NOTE and not notes:
            continue
        by = f", accepted by {finding.accepted.name}" if finding.accepted else ""
        yield (
            f"{finding.severity}  {finding.language}  {finding.key}  "
            f"[{finding.rule}] {finding.found}{by}"
        )
        if finding.sentence:
            yield f"      {finding.sentence}"
        if finding.accepted is None:
            better = f" Better: {finding.better}" if finding.better else ""
            yield f"      {finding.mend}{better}"
            yield f"      digest {finding.digest}"
    yield summary(findings)


def summary(findings: Iterable[Finding]) -> str:
    """How many fail, are open, were accepted, and are only noted."""
    found = list(findings)
    counts = {
        "faults": sum(f.severity == FAIL for f in found),
        "open warnings": sum(f.open for f in found),
        "accepted": sum(f.accepted is not None for f in found),
        "notes": sum(f.severity == NOTE for f in found),
    }
    return ", ".join(f"{name}: {count}" for name, count in counts.items())
