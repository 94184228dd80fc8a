"""How hard a document is to read, as far as counting can say: never asked about one sentence.

Formulas count letters and syllables. They say nothing about meaning, reward chopped sentences, and
single good sentences lie all over the scale; so they stand for whole texts of at least
`FEWEST_WORDS` words, and sentences are held to rules (`sentences.py`).

Sources: R. Bamberger, E. Vanecek (Wiener Sachtextformeln, 1984); T. Amstad (1978); C. H. Björnsson
(LIX, 1968); J. P. Kincaid and others (1975); R. Flesch (1948).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from explainer.plain.words import sentences_in, words_in

T = TypeVar("T")

FEWEST_WORDS = 100
"""A shorter text has no figure."""

MANY_SYLLABLES = 3
MANY_LETTERS = 6

_ONE_SOUND = re.compile("ie|ei|ai|ay|ey|au|äu|eu|aa|ee|oo|ui")
_GERMAN_VOWEL = re.compile("[aeiouyäöü]")
_ENGLISH_VOWELS = re.compile("[aeiouy]+")
_SILENT_E = re.compile(r"(?<![^aeiouy]l)(?<=.)e$")
_MUTE_ED = re.compile(r"(?<=[^td])ed$")


def german_syllables(word: str) -> int:
    """Vowels and double sounds of a German word, at least 1; a number counts 2."""
    if any(sign.isdigit() for sign in word):
        return 2
    sounds = _ONE_SOUND.sub("a", word.lower().replace("qu", "q"))
    return max(1, len(_GERMAN_VOWEL.findall(sounds)))


def english_syllables(word: str) -> int:
    """Groups of vowels of an English word without its silent ending, at least 1; a number 2."""
    if any(sign.isdigit() for sign in word):
        return 2
    spoken = _MUTE_ED.sub("", word.lower())
    if spoken == word.lower():
        spoken = _SILENT_E.sub("", spoken)
    return max(1, len(_ENGLISH_VOWELS.findall(spoken)))


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted in one document.

    Attributes
    ----------
    words, sentences : how many
    per_sentence : words a sentence
    long_words : words of more than six letters, in per cent
    many_syllables, one_syllable : words of three syllables and more, of exactly one, in per cent
    per_word : syllables a word
    """

    words: int
    sentences: int
    per_sentence: float
    long_words: float
    many_syllables: float
    one_syllable: float
    per_word: float

    @property
    def wstf1(self) -> float:
        """First Wiener Sachtextformel: years of school, German; lower is easier."""
        return (
            0.1935 * self.many_syllables
            + 0.1672 * self.per_sentence
            + 0.1297 * self.long_words
            - 0.0327 * self.one_syllable
            - 0.875
        )

    @property
    def amstad(self) -> float:
        """Flesch's reading ease with Amstad's constants for German; higher is easier."""
        return 180 - self.per_sentence - 58.5 * self.per_word

    @property
    def lix(self) -> float:
        """Läsbarhetsindex; lower is easier."""
        return self.per_sentence + self.long_words

    @property
    def flesch_kincaid(self) -> float:
        """Years of school, English; lower is easier."""
        return 0.39 * self.per_sentence + 11.8 * self.per_word - 15.59

    @property
    def reading_ease(self) -> float:
        """Flesch's reading ease, English; higher is easier."""
        return 206.835 - 1.015 * self.per_sentence - 84.6 * self.per_word


@dataclass(frozen=True, slots=True)
class Gate:
    """A formula with the figure a text should reach, and the one it must."""

    rule: str
    name: str
    target: float
    limit: float
    figure: Callable[[Figures], float]
    higher_is_easier: bool = False

    def missed(self, figure: float) -> bool:
        """Whether the text may not go out."""
        return figure < self.limit if self.higher_is_easier else figure > self.limit

    def short(self, figure: float) -> bool:
        """Whether the text misses the target; reported only."""
        return figure < self.target if self.higher_is_easier else figure > self.target


Bounds = tuple[float, float]


def _german(wstf1: Bounds, amstad: Bounds, lix: Bounds) -> tuple[Gate, ...]:
    return (
        Gate("wstf1", "Wiener Sachtextformel 1", *wstf1, lambda f: f.wstf1),
        Gate("amstad", "Amstad", *amstad, lambda f: f.amstad, True),
        Gate("lix", "LIX", *lix, lambda f: f.lix),
    )


GATES: dict[str, tuple[Gate, ...]] = {
    "de": _german((7, 9), (60, 50), (40, 47)),
    "de-simple": _german((4, 5), (75, 65), (30, 36)),
    "en": (
        Gate("flesch-kincaid", "Flesch-Kincaid", 8, 10, lambda f: f.flesch_kincaid),
        Gate("reading-ease", "Flesch reading ease", 60, 50, lambda f: f.reading_ease, True),
    ),
}
"""Target and limit by level. Proposals, to be settled with readers; other languages have none,
because constants made for one language say nothing about another."""

SPLIT = {"de-simple"}
"""Levels whose compounds are written with hyphens: their parts are what people read."""


def measure(text: str, level: str, *, split: bool | None = None) -> Figures | None:
    """Count a whole rendered document; None where it is too short or the level has no formula.

    `split` counts the parts of words with hyphens as words; by default as the level is gated.
    """
    if level not in GATES:
        return None
    parts = level in SPLIT if split is None else split
    counted = [words_in(sentence) for sentence in sentences_in(text)]
    if parts:
        counted = [[part for word in words for part in word.split("-")] for words in counted]
    counted = [words for words in counted if words]
    words = [word for sentence in counted for word in sentence]
    if len(words) < FEWEST_WORDS:
        return None
    syllables = [(english_syllables if level == "en" else german_syllables)(w) for w in words]
    return Figures(
        words=len(words),
        sentences=len(counted),
        per_sentence=len(words) / len(counted),
        long_words=_share(words, lambda word: sum(map(str.isalpha, word)) > MANY_LETTERS),
        many_syllables=_share(syllables, lambda n: n >= MANY_SYLLABLES),
        one_syllable=_share(syllables, lambda n: n == 1),
        per_word=sum(syllables) / len(words),
    )


def _share(of: Sequence[T], which: Callable[[T], bool]) -> float:
    return 100 * sum(map(which, of)) / len(of)
