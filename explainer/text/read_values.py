"""Values read back from what a person reads: numbers with their unit, choices, days.

The other direction of values.py, and on purpose not by its help: what a locale writes around a
number is asked of CLDR again, and a number is put together from its digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from babel import Locale
from babel.numbers import (
    format_currency,
    get_currency_name,
    get_currency_symbol,
    get_decimal_symbol,
    get_group_symbol,
)
from babel.units import format_unit

from explainer.core.case import Feature, Kind, Scalar
from explainer.text.catalogs import Catalog
from explainer.text.values import DURATIONS, is_currency
from explainer.text.voice import Voice
from explainer.text.wording import VALUE

_NUMBER = re.compile(r"[0-9](?:[0-9.,'’٬٫ ]*[0-9])?")
_SIGN = re.compile(r"[-\u2212]")
_MARKS = re.compile("[\u200e\u200f\u061c]")
_PLURALS = (0, 1, 2, 3, 5, 11, 21, 100, 1.5)
"""One number at least for each form of the plural of each language."""
_HOLE = "#"


def read_value(feature: Feature, written: str, voice: Voice) -> Scalar | None:
    """The value of `feature` that somebody wrote as `written`; None where it is none.

    Spaces of all kinds are read alike; units, grouping and the decimal point are not.
    """
    if feature.kind is Kind.CHOICE:
        found = [
            c for c in feature.choices if plain(voice.wording.choice(feature.name, c)) == written
        ]
        return found[0] if len(found) == 1 else None
    number = read_number(written, feature.unit, voice.catalog)
    if number is None:
        return None
    return int(float(number)) if feature.kind is Kind.INTEGER else float(number)


def read_number(written: str, unit: str | None, catalog: Catalog) -> str | None:
    """The number of a value with its unit, as a decimal with a dot; None where it is none."""
    bare = _MARKS.sub("", written)
    frames, words = _frames(unit, catalog)
    if bare in words:
        return words[bare]
    digits = _NUMBER.search(bare)
    if digits is None:
        return None
    before = bare[: digits.start()]
    number = _decimal(digits[0], catalog.language.locale)
    if (
        number is None
        or _SIGN.sub("", before).lstrip() + _HOLE + bare[digits.end() :] not in frames
    ):
        return None
    return f"-{number}" if _SIGN.search(before) else number


@lru_cache(maxsize=1_024)
def read_day(written: str, locale: str) -> date | None:
    """The day of a date in long form; None where it is none."""
    months = Locale.parse(locale).months["format"]["wide"]
    named = [at for at, name in months.items() if name in written]
    # May may stand in the name of another month
    month = max(named, key=lambda at: len(months[at]), default=None)
    numbers = [int(number) for number in re.findall("[0-9]+", written)]
    years = [number for number in numbers if number > 31]
    days = [number for number in numbers if number <= 31]
    if month is None or len(years) != 1 or len(days) != 1:
        return None
    try:
        return date(years[0], month, days[0])
    except ValueError:
        return None


def is_told_as(read: Scalar | None, value: Scalar) -> bool:
    """Whether what was read is the value, but for a rounding at the third decimal that changes it
    by less than one part in a hundred."""
    if read == value or isinstance(read, str | None) or isinstance(value, str):
        return read == value
    return abs(read - value) <= min(0.0005, 0.01 * abs(value))


def plain(text: str) -> str:
    """Text as it is compared: one space where there are several, of whatever kind."""
    return " ".join(text.split())


@lru_cache(maxsize=64)
def _spelling(locale: str) -> tuple[re.Pattern[str], str, str]:
    group = plain(get_group_symbol(locale, numbering_system="latn")) or " "
    point = get_decimal_symbol(locale, numbering_system="latn")
    pattern = (
        rf"([0-9]{{1,3}}(?:{re.escape(group)}[0-9]{{3}})+|[0-9]+)(?:{re.escape(point)}([0-9]+))?"
    )
    return re.compile(pattern), group, point


def _decimal(digits: str, locale: str) -> str | None:
    pattern, group, _ = _spelling(locale)
    parts = pattern.fullmatch(digits)
    if parts is None:
        return None
    whole, fraction = parts.groups()
    return whole.replace(group, "") + (f".{fraction}" if fraction else "")


@lru_cache(maxsize=512)
def _frames(unit: str | None, catalog: Catalog) -> tuple[frozenset[str], dict[str, str]]:
    """What stands around the number, and what is said without digits, by what it says."""
    locale = catalog.language.locale
    if unit is None:
        return frozenset({_HOLE}), {}
    if unit in DURATIONS:
        said = {n: _duration(n, unit[:-1], locale) for n in _PLURALS}
        words = {text: str(n) for n, text in said.items() if not _NUMBER.search(text) and n == 2}
        if not _NUMBER.search(said[1]):
            words[plain(catalog.sentence(f"told.one.{unit}"))] = "1"
        # where a count has words of its own, the form for others may have to carry its digits
        return frozenset(map(_hollow, filter(_NUMBER.search, said.values()))), words
    if is_currency(unit):
        if catalog.language.level:
            names = (get_currency_name(unit.upper(), n, locale=locale) for n in _PLURALS)
            return frozenset(f"{_HOLE} {plain(name)}" for name in names), {}
        return frozenset(_money(unit.upper(), locale)), {}
    return frozenset({plain(catalog.sentence(f"told.unit.{unit}")).replace(VALUE, _HOLE)}), {}


def _money(currency: str, locale: str) -> Iterator[str]:
    """By symbol and by code, letters with or without a space before the digits."""
    by_symbol = format_currency(1234.5, currency, locale=locale, numbering_system="latn")
    symbol = get_currency_symbol(currency, locale)
    for money in (by_symbol, by_symbol.replace(symbol, currency)):
        frame = _hollow(plain(_MARKS.sub("", money)))
        yield frame
        yield re.sub(rf"(?<=[^\W\d_]){_HOLE}", f" {_HOLE}", frame)


def _hollow(written: str) -> str:
    return _NUMBER.sub(_HOLE, written, count=1)


def _duration(n: float, unit: str, locale: str) -> str:
    for length in ("long", "short"):
        name = f"duration-{unit}"
        written = format_unit(n, name, length=length, locale=locale, numbering_system="latn")
        if name not in written:
            break
    return plain(_MARKS.sub("", written))
