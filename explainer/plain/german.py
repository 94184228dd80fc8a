"""What is looked for in a German sentence, plain or easy."""

from __future__ import annotations

import re

from explainer.plain.lists import Lists
from explainer.plain.sentences import (
    LAW,
    Rule,
    Sentence,
    abbreviations,
    advice,
    brackets,
    commas,
    initials,
    items,
    length,
    listed,
    made_nouns,
)
from explainer.plain.words import words_in
from explainer.text.level import becomes_bold

_LETTERS = re.compile(r"[^\W\d_]")
_ROMAN = re.compile(r"(?<!\w)[IVX]{2,}(?!\w)")
_SHORT_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.(?:\d{2,4})?(?!\d)")
_EARLY_HOUR = re.compile(r"(?<!\d)0\d:\d\d")
_DOUBLE_DE = re.compile(
    r"nicht (?:ohne|kein\w*|un(?!ter|s\b|ser|d\b|iv|bedingt)\w{3,})"
    r"|(?:kein\w*|nie|niemals|niemand\w*|nichts) (?:[^\W\d_]+ ){0,4}?nicht\b",
    re.IGNORECASE,
)


def _lowered(sentence: Sentence) -> list[str]:
    """Words with the first in small letters: it has a capital whatever it is."""
    words = sentence.words
    return [words[0].lower(), *words[1:]] if words else []


def _clauses(sentence: Sentence, lists: Lists) -> list[str]:
    """What opens a subordinate clause; a clause that begins with its verb is one as well."""
    alone, after = lists.words("subordinators"), lists.words("after_comma")
    before = lists.words("prepositions")
    found = [word for word in sentence.words if word.lower() in alone]
    for part in sentence.text.split(",")[1:]:
        words = [word.lower() for word in words_in(part)]
        if words and words[0] in before:
            words = words[1:]
        if words and words[0] in after and words[0] not in alone and not _is_item(part):
            found.append(words[0])
    first = sentence.small[:1]
    if (
        first
        and first[0] in lists.words("finite")
        and "," in sentence.text
        and not sentence.text.rstrip(' "“”’').endswith("?")
    ):
        found.append(sentence.words[0])
    return found


def _is_item(part: str) -> bool:
    """Whether what stands after a comma is a noun with its article, one of a list."""
    return bool(
        re.fullmatch(r"\s*(?:der|die|das|den|dem) [A-ZÄÖÜ][\w-]*(?: (?:und|oder) .*)?[.!?]?", part)
    )


def _verbs(sentence: Sentence, lists: Lists) -> list[str]:
    finite, plural = lists.words("finite"), lists.words("plural_verbs")
    words = _lowered(sentence)
    found: list[str] = []
    for at, word in enumerate(words):
        if word not in finite:
            continue
        beside = {w.lower() for w in words[max(0, at - 1) : at + 2]}
        # the last word after a verb is an infinitive: "Sie können … haben"
        if word in plural and not beside & {"sie", "wir", "die"} and at:
            continue
        if word in plural and at == len(words) - 1 and found:
            continue
        found.append(word)
    return found


_PARTICIPLE = re.compile(
    r"(?:\w{0,9}ge\w{2,}(?:t|en)|\w{3,}iert|(?:be|ver|er|ent|zer|miss|über|unter|wider)\w{2,}t)"
)


def _passive(sentence: Sentence, lists: Lists) -> list[str]:
    words = _lowered(sentence)
    auxiliaries = [word for word in words if word in lists.words("passive_auxiliaries")]
    if not auxiliaries:
        return []
    known, never = lists.words("participles"), lists.words("no_participles")
    for word in words:
        if word in never or word in auxiliaries:
            continue
        if word in known or (_PARTICIPLE.fullmatch(word) and word[0].islower()):
            return [f"{auxiliaries[0]} … {word}"]
    return []


def _negations(sentence: Sentence, lists: Lists) -> list[str]:
    """Of an easy text only those that no page puts in bold by itself: values stay as they are,
    and begin with a capital."""
    simple = lists.tag == "de-simple"
    return [
        word
        for word in sentence.words
        if word.lower() in lists.words("negations")
        and word.lower() not in sentence.stressed
        and not (simple and word.islower() and becomes_bold(word))
    ]


def _double_de(sentence: Sentence, lists: Lists) -> list[str]:
    return [
        found.group() for part in sentence.text.split(",") for found in _DOUBLE_DE.finditer(part)
    ]


_ARTICLE = r"(?:der|einer|dieser|jeder|aller|ihrer|unserer|seiner|keiner)"
_OF_A_NOUN = re.compile(
    rf"([A-ZÄÖÜ][\w-]+) ({_ARTICLE}|Ihrer) ((?:[a-zäöü]+e[nr] )?[A-ZÄÖÜ][\w-]+)"
)
_OF_AN_S = re.compile(
    r"\b(des|eines|dieses|jenes|jedes|ihres|Ihres|seines|unseres|keines|meines)"
    r" ((?:[a-zäöü]+en )?[A-ZÄÖÜ][\w-]*s)\b"
)
_PRONOUNS = frozenset({"Sie", "Ihnen", "Wir", "Das", "Es", "Frau", "Herr"})


def _genitives(sentence: Sentence, lists: Lists) -> list[str]:
    text = sentence.text
    nominative = tuple(lists.grammar["genitive_nouns_not"])
    functional, finite = set(lists.grammar["no_nouns"]) | _PRONOUNS, lists.words("finite")
    found = [
        f"{article} {noun}"
        for article, noun in _OF_AN_S.findall(text)
        if article == "des" or not noun.lower().endswith(nominative)
    ]
    at = 0
    while match := _OF_A_NOUN.search(text, at):
        at = match.start(2)
        first = match.group(1)
        if first in functional or first.lower() in finite or first.lower().endswith("weise"):
            continue
        found.append(f"{match.group(2)} {match.group(3)}")
    return found


def _past(sentence: Sentence, lists: Lists) -> list[str]:
    """Simple past: strong verbs by list, weak ones by ending, unless they stand before a noun."""
    strong, never = lists.words("past"), lists.words("no_past")
    allowed = lists.words("past_allowed")
    words = _lowered(sentence)
    found = []
    # the first word of a statement is no verb, whatever it looks like without its capital
    for at, word in enumerate(words[1:], start=1):
        if word in allowed:
            continue
        if word in strong:
            found.append(word)
        elif re.fullmatch(r"[a-zäöüß]{2,}te", word) and word not in never:
            following = words[at + 1] if at + 1 < len(words) else ""
            if following[:1].isupper() and following not in _PRONOUNS:
                continue
            found.append(word)
    fixed = lists.words("past_simple") - allowed
    return found + [word for word in words if word in fixed]


def _long_words(sentence: Sentence, lists: Lists) -> list[str]:
    limit, most = lists.grammar["long_word"], lists.grammar["many_parts"]
    allowed = lists.words("long_allowed")
    found = []
    for word in sentence.words:
        parts = word.split("-")
        letters = (
            [len(_LETTERS.findall(part)) for part in parts if part.lower() not in allowed]
            if lists.tag == "de-simple"
            else [len(_LETTERS.findall(word))] * (word.lower() not in allowed)
        )
        if any(n > limit for n in letters) or len(parts) > most:
            found.append(word)
    return found


def _signs(sentence: Sentence, lists: Lists) -> list[str]:
    return [sign for sign in sentence.text if sign in lists.grammar["signs"]]


def _soft_hyphens(sentence: Sentence, lists: Lists) -> list[str]:
    return [word for word in sentence.words if "\u00ad" in word] or (
        ["\u00ad"] if "\u00ad" in sentence.text else []
    )


def _small_parts(sentence: Sentence, lists: Lists) -> list[str]:
    """Words with a hyphen whose later part begins small."""
    return [w for w in sentence.words if w[:1].isupper() and re.search(r"-[a-zäöü]", w)]


def _numbers_de(sentence: Sentence, lists: Lists) -> list[str]:
    found = [word for word in sentence.words if word.lower() in lists.words("number_words")]
    if lists.tag == "de-simple":
        text = LAW.sub("", sentence.text)
        for pattern in (_ROMAN, _SHORT_DATE, _EARLY_HOUR):
            found += pattern.findall(text)
    return found


def _heading(sentence: Sentence, lists: Lists) -> list[str]:
    if not sentence.heading or sentence.text.rstrip().endswith("?"):
        return []
    return [] if 2 <= len(sentence.words) <= 5 else sentence.words


def _label(sentence: Sentence, lists: Lists) -> list[str]:
    return re.findall(r"\b(?:Leichte|Einfache)\w* Sprache\b", sentence.text, re.IGNORECASE)


GERMAN: dict[str, Rule] = {
    "length": length,
    "clauses": _clauses,
    "commas": commas,
    "verbs": _verbs,
    "passive": _passive,
    "negation": _negations,
    "double-negation": _double_de,
    "genitive": _genitives,
    "subjunctive": listed("subjunctives"),
    "tense": _past,
    "noun-style": made_nouns,
    "long-word": _long_words,
    "abbreviation": abbreviations,
    "initials": initials,
    "brackets": brackets,
    "sign": _signs,
    "soft-hyphen": _soft_hyphens,
    "hyphen": _small_parts,
    "address": listed("familiar"),
    "number": _numbers_de,
    "list": items,
    "heading": _heading,
    "label": _label,
    "advice": advice,
}
