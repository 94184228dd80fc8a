"""Text as sentences and words: the one way of counting, for rules and formulas alike."""

from __future__ import annotations

import re

_MONTHS = "Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"
_ORDINAL = rf"\d{{1,2}}\. (?:{_MONTHS})(?: \d{{4}})?"
_WORD = re.compile(rf"{_ORDINAL}|\d+(?:[.,:-]\d+)*|[^\W\d_]+(?:[-’'·\u00ad][^\W_]+)*")
_END = re.compile(
    rf"(?<=\S)(?<!\d)(?<!\s[a-zA-Z])[.!?:]+(?=[\"“”’‘»)\]]*(?:\s|$))"
    rf"|(?<=\d)[.!?:]+(?=[\"“”’‘»)\]]*(?:\s|$))(?!\s+(?:{_MONTHS}))"
)


def sentences_in(text: str) -> list[str]:
    """Sentences in order; a colon and the end of a line end one, as they do for a reader.

    The full stop of a date (`1. März 2026`) does not, nor that of a single letter (`z. B.`).
    """
    found: list[str] = []
    for line in text.splitlines():
        start = 0
        for end in _END.finditer(line):
            found.append(line[start : end.end()].strip())
            start = end.end()
        found.append(line[start:].strip())
    return [sentence for sentence in found if _WORD.search(sentence)]


def words_in(sentence: str) -> list[str]:
    """Words and numbers; a date with its month is one, and so is a word with hyphens."""
    return _WORD.findall(sentence)
