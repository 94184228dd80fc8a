"""What is looked for in an English sentence."""

from __future__ import annotations

import re

from explainer.plain.lists import Lists
from explainer.plain.sentences import (
    Rule,
    Sentence,
    abbreviations,
    advice,
    commas,
    initials,
    items,
    length,
    listed,
    made_nouns,
)

_DOUBLE_EN = re.compile(
    r"\b(?:not|never|nobody|nothing) (?:\w+ ){0,3}?(?:not|no|never|nothing|without"
    r"|un(?!der|til|less|it|ion|ivers|ique)\w{3,}|im(?:possible|proper))\b",
    re.IGNORECASE,
)
_FAMILIAR_EN = re.compile(r"\bthe (?:applicant|claimant)\b", re.IGNORECASE)


def _clauses_en(sentence: Sentence, lists: Lists) -> list[str]:
    known = lists.words("subordinators")
    # a question that begins with one has no clause
    words = sentence.words[1:] if sentence.text.rstrip().endswith("?") else sentence.words
    return [word for word in words if word.lower() in known]


def _passive_en(sentence: Sentence, lists: Lists) -> list[str]:
    words, be = sentence.small, lists.words("be")
    known, never = lists.words("participles"), lists.words("no_participles")
    for at, word in enumerate(words[:-1]):
        if word not in be:
            continue
        for following in words[at + 1 : at + 4]:
            if following in never or following in be:
                continue
            if following in known or re.fullmatch(r"[a-z]{3,}ed", following):
                return [f"{word} … {following}"]
            if following not in ("not", "also", "only", "already", "still", "yet", "now", "later"):
                break
    return []


def _would(sentence: Sentence, lists: Lists) -> list[str]:
    return re.findall(r"\b(?:would|might have)\b(?! (?:you )?like)", sentence.text, re.IGNORECASE)


def _tense_en(sentence: Sentence, lists: Lists) -> list[str]:
    return re.findall(
        r"\b(?:had (?:not )?(?:been|\w+ed)|will have (?:been|\w+ed))\b",
        sentence.text,
        re.IGNORECASE,
    )


def _double_en(sentence: Sentence, lists: Lists) -> list[str]:
    return [
        found.group() for part in sentence.text.split(",") for found in _DOUBLE_EN.finditer(part)
    ]


def _address_en(sentence: Sentence, lists: Lists) -> list[str]:
    return [] if sentence.staff else _FAMILIAR_EN.findall(sentence.text)


ENGLISH: dict[str, Rule] = {
    "length": length,
    "clauses": _clauses_en,
    "commas": commas,
    "passive": _passive_en,
    "double-negation": _double_en,
    "subjunctive": _would,
    "tense": _tense_en,
    "noun-style": made_nouns,
    "abbreviation": abbreviations,
    "initials": initials,
    "address": _address_en,
    "number": listed("number_words"),
    "list": items,
    "advice": advice,
}
