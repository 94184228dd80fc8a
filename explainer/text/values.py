"""Money, dates and counts in the reader's language: Latin digits, Gregorian calendar, always."""

from __future__ import annotations

import math
import re
import unicodedata
from copy import copy
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from babel import Locale
from babel.dates import format_date
from babel.numbers import (
    format_currency,
    format_decimal,
    get_currency_name,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
    list_currencies,
)
from babel.units import format_unit

from explainer.core.case import Feature, Kind, Scalar
from explainer.core.days import ZONE, local_day
from explainer.errors import MessageMissing
from explainer.text.catalogs import Catalog
from explainer.text.wording import Wording

LEFT_TO_RIGHT_ISOLATE = "\u2066"
FIRST_STRONG_ISOLATE = "\u2068"
POP_ISOLATE = "\u2069"
ZERO_WIDTH_NON_JOINER = "\u200c"
WORD_JOINER = "\u2060"
"""No line breaks beside it, and nobody sees it."""
NO_BREAK_SPACE = "\u00a0"

DURATIONS = ("years", "months", "days")
UNITS = (*DURATIONS, "usd", "eur", "per_hundred", "per_thousand")
"""The units a feature may declare; each has words in every language."""


def isolate(text: str, *, number: bool = False) -> str:
    """`text` set apart from the direction of the sentence around it (UAX #9)."""
    opening = LEFT_TO_RIGHT_ISOLATE if number else FIRST_STRONG_ISOLATE
    return f"{opening}{text}{POP_ISOLATE}"


def clean(text: str) -> str:
    """Text from outside without control and direction characters.

    What keeps the letters of a Persian word apart without a space stays between letters.
    """
    kept = "".join(
        c if unicodedata.category(c) not in ("Cc", "Cf") or _inside_word(text, at) else " "
        for at, c in enumerate(text)
    )
    return re.sub(r"\s+", " ", kept).strip()


def _inside_word(text: str, at: int) -> bool:
    beside = text[at - 1 : at] + text[at + 1 : at + 2]
    return text[at] == ZERO_WIDTH_NON_JOINER and len(beside) == 2 and all(map(str.isalpha, beside))


_TIME = r"[0-9]{1,2}[:.][0-9]{2}"
_WORD_RANGE = re.compile(rf"(?<![0-9]){_TIME}(?:\s[^\W\d]{{1,8}}){{1,2}}\s{_TIME}(?![0-9])")
_UNIT_OF_TIME = re.compile(rf"(?<![0-9])({_TIME})\s(?=[^\W\d]{{1,4}}\b)")
_DASH = re.compile(r"(?<=[0-9)])(\s?)([-\u2010-\u2014/])(\s?)(?=[0-9(])")


def unbroken(text: str) -> str:
    """A line such as hours or a phone number, whose numbers are not torn apart at the end of a
    line: times with what stands between them, and the groups of one number."""
    text = _WORD_RANGE.sub(lambda found: _in_one_piece(found[0]), text)
    text = _UNIT_OF_TIME.sub(rf"\1{NO_BREAK_SPACE}", text)
    text = _DASH.sub(_held, text)
    return re.sub(r"(?<=[0-9)]) (?=[0-9(])", NO_BREAK_SPACE, text)


def _in_one_piece(text: str) -> str:
    return re.sub(r"\s", NO_BREAK_SPACE, text)


def _held(dash: re.Match[str]) -> str:
    before, sign, after = dash.groups()
    space = NO_BREAK_SPACE
    return f"{before and space}{WORD_JOINER}{sign}{WORD_JOINER}{after and space}"


def value_in_words(feature: Feature, value: Scalar, wording: Wording, catalog: Catalog) -> str:
    """A value as the reader writes it: `3 Jahre`, `49 von 100`, the label of a choice."""
    if feature.kind is Kind.CHOICE:
        return wording.choice(feature.name, str(value))
    if isinstance(value, str):
        raise MessageMissing("A number is expected.", feature.name, "Correct the catalogue.")
    return _in_one_piece(_number(value, feature.unit, catalog))


def amount_in_words(amount: str, unit: str, catalog: Catalog) -> str:
    """An amount as the reader writes it, with all the decimals it has: `1.234,50 €`.

    `amount` is a decimal as records hold it, `unit` a currency or a unit that features may have.
    """
    return _in_one_piece(_amount(amount, unit, catalog))


def _amount(amount: str, unit: str, catalog: Catalog) -> str:
    locale = catalog.language.locale
    if is_currency(unit):
        if catalog.language.level:
            return _spelled_out(_as_written(amount, locale), Decimal(amount), unit, locale)
        return _as_written(amount, locale, unit.upper())
    written = _as_written(amount, locale)
    if unit in DURATIONS:
        if "." not in amount:
            return _duration(int(amount), unit, catalog)
        hundred = _by_cldr(100, unit[:-1], locale)
        return hundred.replace(decimal(100, locale), written)
    return catalog.sentence(f"told.unit.{unit}").replace("{value}", written)


def number_in_words(amount: str, locale: str) -> str:
    """The number of an amount alone, as the reader writes it: `1.234,50`."""
    return _as_written(amount, locale)


@lru_cache(maxsize=64)
def is_currency(unit: str) -> bool:
    """Whether it is a code of three letters such as EUR, in capitals or not."""
    return unit.upper() in list_currencies("en")


def read_amount(text: str, locale: str) -> str | None:
    """What somebody wrote as a number, as a decimal with a dot; None where it is none.

    Read as `locale` writes numbers and in no other way, so that 1.234 is never taken for 1,234.
    """
    point = get_decimal_symbol(locale, numbering_system="latn")
    group = get_group_symbol(locale, numbering_system="latn")
    plain = "".join(c for c in text if c not in "\u00a0\u202f ").replace("\u2212", "-")
    parts = re.fullmatch(
        rf"(-?)([0-9]{{1,3}}(?:{re.escape(group)}[0-9]{{3}})+|[0-9]+)"
        rf"(?:{re.escape(point)}([0-9]+))?",
        plain,
    )
    if parts is None:
        return None
    sign, whole, fraction = parts.groups()
    return sign + whole.replace(group, "") + (f".{fraction}" if fraction else "")


def _number(value: float, unit: str | None, catalog: Catalog) -> str:
    locale = catalog.language.locale
    if unit is None:
        return decimal(value, locale)
    if unit in DURATIONS:
        return _duration(value, unit, catalog)
    if unit in ("usd", "eur"):
        if catalog.language.level:
            # whole amounts without nought cents
            cents = None if rounded(value) == int(value) else "#,##0.00######"
            return _spelled_out(decimal(value, locale, cents), value, unit, locale)
        return _money(value, unit.upper(), locale)
    return catalog.sentence(f"told.unit.{unit}").replace("{value}", decimal(value, locale))


def rounded(value: float) -> float:
    """The number as it is told: three decimals, or three digits of what is smaller than those
    would show. Nothing is ever rounded away to nought."""
    if abs(value) >= 0.1 or value == 0:
        return round(value, 3)
    return round(value, 2 - math.floor(math.log10(abs(value))))


@lru_cache(maxsize=4096)
def decimal(value: float, locale: str, pattern: str | None = None) -> str:
    written: str = format_decimal(
        rounded(value), pattern, locale=locale, numbering_system="latn", decimal_quantization=False
    )
    return written


@lru_cache(maxsize=4096)
def _as_written(amount: str, locale: str, currency: str | None = None) -> str:
    """A decimal with all its decimals, as a plain number or as money."""
    spoken, number = Locale.parse(locale), Decimal(amount)
    patterns = spoken.decimal_formats if currency is None else spoken.currency_formats
    pattern = copy(patterns[None if currency is None else "standard"])
    decimals = len(amount.partition(".")[2])
    pattern.frac_prec = (decimals, decimals)
    written: str = pattern.apply(
        number, locale, currency=currency, currency_digits=False, numbering_system="latn"
    )
    if currency is not None:
        written = _without_full_stop(written, currency, locale)
    # CLDR sets letters apart from the digits beside them: "CHF 10", but "€10"
    return re.sub(r"(?<=[^\W\d_])(?=[0-9])", "\u00a0", _without_marks(written))


def _duration(value: float, unit: str, catalog: Catalog) -> str:
    """Years, months or days as CLDR writes them, and never without saying how many."""
    locale = catalog.language.locale
    written = _by_cldr(value, unit[:-1], locale)
    if value != round(value, 3):  # CLDR's pattern ends there
        written = written.replace(decimal(round(value, 3), locale), decimal(value, locale))
    if any(map(str.isdigit, written)) or value == 2:
        return written  # the Arabic dual says two without a digit
    if value == 1:
        # in Arabic CLDR writes "year" for 1 year: right in a sentence, bare where a value is told
        return catalog.sentence(f"told.one.{unit}")
    # the plural rules take -1 for 1 and lose its sign as well; the form for 100 has its digits
    hundred = _by_cldr(100, unit[:-1], locale)
    return hundred.replace(decimal(100, locale), decimal(value, locale))


@lru_cache(maxsize=4096)
def _by_cldr(value: float, unit: str, locale: str) -> str:
    name = f"duration-{unit}"
    for length in ("long", "short"):
        # CLDR leaves the long form out where it is the short one; Babel then says "duration-day"
        written = format_unit(value, name, length=length, locale=locale, numbering_system="latn")
        if name not in written:
            return written
    raise MessageMissing(
        f"CLDR has no words for {unit}.", locale, "Declare the feature without a unit."
    )


@lru_cache(maxsize=4096)
def _money(value: float, currency: str, locale: str) -> str:
    written = format_currency(
        rounded(value), currency, locale=locale, numbering_system="latn", decimal_quantization=False
    )
    return _without_marks(_without_full_stop(written, currency, locale))


def _spelled_out(written: str, value: float | Decimal, currency: str, locale: str) -> str:
    """Money without a sign, which not everybody reads: `250 US-Dollar`."""
    return f"{written} {get_currency_name(currency.upper(), value, locale=locale)}"


def _without_full_stop(written: str, currency: str, locale: str) -> str:
    """Money by its code where its symbol is an abbreviation, such as щ.д. for USD: at the end of a
    sentence that would be two full stops."""
    symbol = get_currency_symbol(currency, locale)
    return written.replace(symbol, currency) if _without_marks(symbol)[-1:] == "." else written


def _without_marks(written: str) -> str:
    # Arabic puts a mark before the amount that steers the direction of what follows; amounts are
    # isolated as a whole instead
    return written.replace("\u200f", "").replace("\u200e", "")


@lru_cache(maxsize=1024)
def day(when: date, locale: str) -> str:
    """A date in long form, with four digits of the year and no abbreviation.

    CLDR ends it with the first letter of "year" in some languages: at the end of a sentence that
    would be two full stops.
    """
    written: str = format_date(when, format="long", locale=locale)
    whole = _YEAR.get(locale[:2])
    return re.sub(r"[^\W\d]\.$", whole, written) if whole else written


_YEAR = {"bg": "година", "ru": "года", "uk": "року"}


@lru_cache(maxsize=1024)
def moment(when: datetime, locale: str) -> str:
    """A date in long form and the time to the minute, as clocks in Germany show it."""
    return f"{day(local_day(when), locale)}, {when.astimezone(ZONE):%H:%M}"
