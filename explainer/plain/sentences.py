"""What is looked for in one sentence, in German and English alike; `german.py` and `english.py` add
their own.

Each rule gives the words it found; how many are too many stands in `locales/plain/<tag>.toml`.
There is no grammar here, only words and their neighbours: a rule can miss, and can take a word for
what it is not. It is no proof that a text is plain, only a reason to look again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from explainer.plain.lists import Lists
from explainer.plain.words import words_in

_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_INITIALS = re.compile(r"(?<![\w(])[A-ZÄÖÜ]{2,5}(?![\w)])")
LAW = re.compile(r"§+ ?\d+\w*|(?:Absatz|Abs\.|Satz|section) \d+|SGB [IVX]+")
_RUN = re.compile(
    r"[\w-]+(?: [\w-]+)?(?:, [\w-]+(?: [\w-]+)?)+,? (?:und|oder|and|or) [\w-]+"
    r"|^[^\s,.]+(?: [^\s,.]+)?(?:, [^\s,.]+(?: [^\s,.]+)?)+$"
)
"""A run such as `A, B und C`, or a label that is nothing but one."""
_ADVICE = {
    "de": re.compile(
        r"\b(?:wenn|falls) sie\b[^.!?]*,\s*(?:dann )?"
        r"(?:(?:wird|werden)\b[^.!?]*\b(?:bewilligt|genehmigt|gezahlt|besser|höher)"
        r"|bewilligen|bekommen sie|erhalten sie|zahlen wir)",
        re.IGNORECASE,
    ),
    "en": re.compile(
        r"\bif you\b[^.!?]*,\s*(?:then )?(?:you will (?:get|receive)|we will (?:grant|pay)"
        r"|[^.!?,]*\bwill be (?:granted|approved|paid))",
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence as people read it.

    Attributes
    ----------
    text : without markup
    stressed : words that stand in bold, in small letters
    heading : whether it stands alone as a heading
    staff : whether people at work read it
    """

    text: str
    stressed: frozenset[str] = frozenset()
    heading: bool = False
    staff: bool = False

    @property
    def words(self) -> list[str]:
        return words_in(self.text)

    @property
    def small(self) -> list[str]:
        return [word.lower() for word in self.words]


Rule = Callable[[Sentence, Lists], list[str]]


# -- both languages ---------------------------------------------------------------------------


def length(sentence: Sentence, lists: Lists) -> list[str]:
    return sentence.words


def listed(name: str) -> Rule:
    def found(sentence: Sentence, lists: Lists) -> list[str]:
        known = lists.words(name)
        return [word for word in sentence.words if word.lower() in known]

    return found


def abbreviations(sentence: Sentence, lists: Lists) -> list[str]:
    text = sentence.text
    if sentence.staff:
        text = LAW.sub("", text)
    return [
        short
        for short in lists.grammar.get("abbreviations", ())
        if re.search(rf"(?<![\w.]){re.escape(short)}(?!\w)", text)
    ]


def initials(sentence: Sentence, lists: Lists) -> list[str]:
    text = LAW.sub("", sentence.text)
    allowed = lists.grammar.get("initials_allowed", ())
    return [word for word in _INITIALS.findall(text) if word not in allowed]


def brackets(sentence: Sentence, lists: Lists) -> list[str]:
    return _BRACKETS.findall(sentence.text)


def items(sentence: Sentence, lists: Lists) -> list[str]:
    """Items of a run such as `A, B, C oder D`, if there is one."""
    run = re.search(
        r"[^\W\d_][\w-]*(?: [\w-]+)?(?:, [\w-]+(?: [\w-]+)?){2,},? (?:und|oder|and|or) [\w-]+",
        sentence.text,
    )
    return re.split(r",? (?:und|oder|and|or) |, ", run.group()) if run else []


def commas(sentence: Sentence, lists: Lists) -> list[str]:
    text = re.sub(r"(?<=\d),(?=\d)", "", sentence.text)
    return [","] * (text.count(",") - sum(run.count(",") for run in _RUN.findall(text)))


def made_nouns(sentence: Sentence, lists: Lists) -> list[str]:
    """Nouns made from other words; terms of the glossary are what must be said."""
    endings = "|".join(lists.grammar["noun_endings"])
    plain = lists.words("noun_plain")
    free = [
        found.span()
        for concept in lists.concepts.values()
        for found in concept.forms.finditer(sentence.text)
    ]
    capital = "[A-ZÄÖÜ]" if lists.tag.startswith("de") else ""
    plural = "(?:en)?" if lists.tag.startswith("de") else "s?"
    return [
        noun.group()
        for noun in re.finditer(
            rf"(?<![\w-]){capital}[\w-]{{3,}}(?:{endings}){plural}(?![\w-])", sentence.text
        )
        # of a word with hyphens the last part says what it is
        if not plain & {word := noun.group().lower().rpartition("-")[2], word.removesuffix("en")}
        and not any(start <= noun.start() < end for start, end in free)
    ]


def advice(sentence: Sentence, lists: Lists) -> list[str]:
    return [found.group() for found in _ADVICE[lists.tag[:2]].finditer(sentence.text)]
