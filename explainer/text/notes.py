"""Does a note hold what belongs in the file? A word list and a few patterns that warn, no more.

What is found is named by its kind only: nothing of a note goes into a message or a log.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from enum import StrEnum
from functools import lru_cache

from explainer.errors import DecisionError, NotePersonal
from explainer.text.languages import locales_dir

READ = 2000
"""Characters that are looked at; a note of more than 500 is refused anyway."""

_DAY = r"(?:[0-3]?\d\s?[./-]\s?[01]?\d\s?[./-]\s?|[0-3]?\d\.?\s[a-zäöü]{3,9}\.?\s)"


class Kind(StrEnum):
    """What a note may hold."""

    HEALTH = "health"
    NAME = "name"
    BIRTH = "birth"
    PHONE = "phone"
    EMAIL = "email"
    ACCOUNT = "account"
    NUMBER = "number"
    ADDRESS = "address"


_PATTERNS: dict[Kind, re.Pattern[str]] = {
    # long numbers first: a part of one could pass for a phone number
    Kind.ACCOUNT: re.compile(
        r"\b(?i:DE)\d{2}(?:\s?\d{4}){4}\s?\d{2}\b"
        r"|\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?\b"
        r"|\b(?:[Kk]onto|[Kk]to|[Aa]ccount)(?:nummer|-?[Nn]r|\snumber)?\W{0,3}\d{6,10}\b"
    ),
    # of pension insurance, of health insurance, for tax; a customer's, British national insurance
    Kind.NUMBER: re.compile(
        r"\b\d{2}\s?\d{6}\s?[A-Z]\s?\d{3}\b|\b[A-Z]\d{9}\b|\b\d{2}\s\d{3}\s\d{3}\s\d{3}\b"
        r"|(?<!\d)[1-9]\d{10}(?!\d)|\b\d{2,3}/\d{3}/\d{5}\b|\b\d{3}[A-Z]\d{6}\b"
        r"|\b[A-Z]{2}\s?(?:\d{2}\s?){3}[A-D]\b"
    ),
    # a form of address, or what stands before families and colleagues, and a capital letter
    Kind.NAME: re.compile(
        r"\b(?:Frau|Herrn?|Fr|Hr|Mrs?|Ms|Miss|Familie|Eheleuten?|Kolleg(?:in|en?)|Dr|Prof)\.?\s"
        r"(?:(?:Dr|Prof)\.\s)*(?:(?:von|van|de|der|den|zu)\s){0,2}[A-ZÄÖÜ][\w’'-]"
        r"|\b(?:FRAU|HERRN?)\s[A-ZÄÖÜ]{3}"
    ),
    Kind.BIRTH: re.compile(
        r"\b(?:geb(?:\.|oren)?|geburtsdatum|geburtstag|born|birthda(?:y|te)|date of birth|dob)\b"
        rf"\W{{0,4}}(?:(?:am|on|ist|is)\b\W{{0,3}})?(?:{_DAY}\d{{2,4}}|\d{{4}}-\d\d-\d\d)"
        rf"|\b{_DAY}(?:19|20)?\d\d\s(?:geboren|born)\b|\bjahrgang\s(?:19|20)\d\d\b"
        # two figures of a year that is no year of a letter
        r"|\b\d{1,2}\.\d{1,2}\.[3-9]\d\b(?!\.?\d)"
        # days that far back are seldom those of a letter
        rf"|\b{_DAY}(?:19\d\d|200\d)\b|\b(?:19\d\d|200\d)-\d\d-\d\d\b",
        re.IGNORECASE,
    ),
    Kind.PHONE: re.compile(
        r"(?<![\w/.,-])(?:\+\d{1,3}|00\d{1,3}|0)(?:\s?[/()-]?\s?\d){7,13}(?![\w/-])"
        r"|\b(?:tel|telefon|handy|mobil|phone|mobile)(?:nummer|\snumber)?\b\W{0,3}\d(?:[\s/-]?\d){4}",
        re.IGNORECASE,
    ),
    Kind.EMAIL: re.compile(
        r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
        r"|[\w.+-]{1,64}\s?[(\[]at[)\]]\s?[\w-]{1,63}\.\w{2}"
    ),
    Kind.ADDRESS: re.compile(
        r"\b[A-ZÄÖÜ][\w-]{0,40}(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm)\s\d{1,4}[a-z]?\b"
        r"|\b[A-ZÄÖÜ][\wäöüß]+er\s(?:Straße|Str\.|Weg|Platz|Allee)\s\d{1,4}[a-z]?\b"
        r"|\b(?:Anschrift|Adresse)\W{1,3}(?:\w{1,30}\s){1,4}\d{1,4}[a-z]?\b"
        r"|\b\d{1,4}\s[A-Z]\w+\s(?:Street|Road|Avenue|Lane|Drive|Grove|Court|Close|Gardens)\b"
    ),
}


def personal_in(note: str) -> tuple[Kind, ...]:
    """What this note seems to hold of health, or of who somebody is."""
    # a soft hyphen or a letter of another width hides nothing
    even = unicodedata.normalize("NFKC", note[:READ])
    plain = "".join(c for c in even if unicodedata.category(c) not in ("Cf", "Mn"))
    start, inside, taken_out = _health_words()
    words = taken_out.sub(" ", plain.casefold())
    found = [Kind.HEALTH] if start.search(words) or inside.search(words) else []
    for kind, pattern in _PATTERNS.items():
        plain, count = pattern.subn(" ", plain)
        if count:
            found.append(kind)
    return tuple(found)


def note_faults(note: str) -> tuple[tuple[str, DecisionError], ...]:
    """The same as something to be asked about, beside the faults of a decision."""
    found = personal_in(note)
    if not found:
        return ()
    return (
        (
            "note",
            NotePersonal(
                "The note may hold what belongs in the file.",
                ", ".join(found),
                "Leave it out, or confirm that it is to be recorded.",
            ),
        ),
    )


@lru_cache(maxsize=1)
def _health_words() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    table = tomllib.loads((locales_dir() / "personal.toml").read_text("utf-8"))["health"]

    def any_of(key: str) -> str:
        return "|".join(re.escape(word.casefold()) for word in table[key])

    return (
        re.compile(rf"(?<!\w)(?:{any_of('start')})"),
        re.compile(any_of("inside")),
        re.compile(rf"(?:{any_of('not')})\w*"),
    )
