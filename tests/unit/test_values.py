"""Numbers, money and dates as the reader writes them: always Latin digits, never raw patterns."""

from __future__ import annotations

import re
from datetime import date

import pytest
from babel.numbers import list_currencies
from factories import choice, feature

from explainer.core.case import Kind
from explainer.errors import MessageMissing
from explainer.text.catalogs import catalog
from explainer.text.languages import all_languages, languages
from explainer.text.read_values import plain, read_number
from explainer.text.values import (
    UNITS,
    amount_in_words,
    clean,
    day,
    decimal,
    isolate,
    value_in_words,
)
from explainer.text.wording import Wording

COUNTS = (0, 1, 2, 3, 5, 11, 21, 100, 101, 102)
TAGS = list(languages())
DURATIONS = ("years", "months", "days")
CURRENCIES = sorted(list_currencies("en"))

# separators of the tables below: a narrow or plain no-break space stands as "_"
SPACES = re.compile("[\u00a0\u202f]")


def said(value, unit, tag) -> str:
    spoken = languages()[tag]
    kind = feature("n", kind=Kind.INTEGER, unit=unit)
    return value_in_words(kind, value, Wording(spoken, {}), catalog(spoken))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("unit", [None, *UNITS])
@pytest.mark.parametrize("count", COUNTS)
def test_every_unit_in_every_language_is_words_and_latin_digits(tag, unit, count):
    text = said(count, unit, tag)
    assert text.strip() == text
    assert text
    assert "duration" not in text
    assert "{" not in text
    assert all(c in "0123456789" for c in text if c.isdigit())
    # Arabic has words of their own for one and two of a unit
    if not (tag == "ar" and unit in DURATIONS and count in (1, 2)):
        assert str(count) in re.sub(r"[.,\s]", "", text)
    assert not re.search("[\u200e\u200f\u061c\u202a-\u202e]", text)


GERMAN = [
    (0, "years", "0 Jahre"),
    (1, "years", "1 Jahr"),
    (2, "years", "2 Jahre"),
    (101, "months", "101 Monate"),
    (1, "days", "1 Tag"),
    (-1, "years", "-1 Jahr"),
    (1234, "usd", "1.234,00_$"),
    (5, "eur", "5,00_€"),
    (49, "per_hundred", "49 von 100"),
    (62, "per_thousand", "62 von 1.000"),
    (12345, None, "12.345"),
    (0.1, None, "0,1"),
]
ENGLISH = [
    (0, "years", "0 years"),
    (1, "years", "1 year"),
    (21, "months", "21 months"),
    (1, "days", "1 day"),
    (1234, "usd", "US$1,234.00"),
    (5, "eur", "€5.00"),
    (12345, None, "12,345"),
]
ARABIC = [
    (0, "years", "0 سنة"),
    (1, "years", "سنة واحدة"),
    (1.0, "years", "سنة واحدة"),
    (2, "years", "سنتان"),
    (3, "years", "3 سنوات"),
    (11, "years", "11 سنة"),
    (102, "years", "102 سنة"),
    (1, "months", "شهر واحد"),
    (2, "months", "شهران"),
    (1, "days", "يوم واحد"),
    (2, "days", "يومان"),
    (5, "days", "5 أيام"),
    (-1, "years", "-1 سنة"),
    (-2, "days", "-2 يوم"),
    (1.5, "months", "1.5 شهر"),
    (12345, None, "12,345"),
]


@pytest.mark.parametrize(
    ("tag", "value", "unit", "text"),
    [
        (tag, *row)
        for tag, rows in (("de", GERMAN), ("en", ENGLISH), ("ar", ARABIC))
        for row in rows
    ],
)
def test_values_read_as_people_write_them(tag, value, unit, text):
    # no line ends between a number and its unit
    assert SPACES.sub("_", said(value, unit, tag)) == text.replace(" ", "_")


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("unit", DURATIONS)
def test_no_two_durations_read_alike_and_none_is_a_bare_unit(tag, unit):
    values = (-2, -1, 0, 0.5, 1, 1.5, 2, 3, 11, 100)
    texts = [said(value, unit, tag) for value in values]
    assert len(set(texts)) == len(values)
    # the unit as it stands beside a number says nothing by itself
    assert not set(texts) & {
        text.lstrip("0123456789 \u00a0") for text in texts if text[0].isdigit()
    }


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("currency", ["usd", "eur"])
def test_money_has_two_decimals_and_its_sign(tag, currency):
    text = said(1234, currency, tag)
    if tag == "de-simple":
        # nobody has to know a sign, and nought cents are not said
        name = {"usd": "US-Dollar", "eur": "Euro"}[currency]
        assert SPACES.sub("_", text) == f"1.234_{name}"
        assert SPACES.sub("_", said(1234.5, currency, tag)) == f"1.234,50_{name}"
        return
    assert re.search(r"1[.,\u00a0\u202f]?234[.,]00", text)
    assert re.search(r"[$€]|US|EUR", text)


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("de", "1. März 2026"),
        ("en", "1 March 2026"),
        ("uk", "1 березня 2026\u202fроку"),
        ("ar", "1 مارس 2026"),
        ("ru", "1 марта 2026\u202fгода"),
        ("tr", "1 Mart 2026"),
        ("fa", "1 مارس 2026"),
        ("bg", "1 март 2026\u202fгодина"),
        ("ro", "1 martie 2026"),
        ("pl", "1 marca 2026"),
        ("fr", "1 mars 2026"),
    ],
)
def test_dates_are_gregorian_with_latin_digits_and_the_whole_year(tag, text):
    written = day(date(2026, 3, 1), all_languages()[tag].locale)
    assert written.replace("\u00a0", "\u202f") == text


@pytest.mark.parametrize("tag", TAGS)
def test_no_value_ends_as_a_sentence_does(tag):
    """Most stand at the end of one: there would be two full stops."""
    spoken = languages()[tag]
    words = [said(1234, unit, tag) for unit in (None, *UNITS)]
    words += [day(date(2026, month, 1), spoken.locale) for month in range(1, 13)]
    words += [amount_in_words("1234.50", code, catalog(spoken)) for code in CURRENCIES]
    assert [text for text in words if text[-1] in ".!?"] == []


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("amount", ["1234.50", "-1234.50", "1", "0.05", "1000000"])
def test_an_amount_is_read_back_in_every_currency_a_package_may_have(tag, amount):
    words = catalog(languages()[tag])
    wrong = [
        (code, written)
        for code in CURRENCIES
        if read_number(plain(written := amount_in_words(amount, code, words)), code.lower(), words)
        != amount
    ]
    assert wrong == []


def test_an_amount_of_another_currency_is_not_taken_for_the_amount():
    words = catalog(languages()["en"])
    assert read_number(amount_in_words("5", "CHF", words), "eur", words) is None


def test_the_capital_of_a_turkish_i_keeps_its_dot():
    text = "işin adı"
    assert languages()["tr"].capitals(text) == "İŞİN ADI"
    assert languages()["de"].capitals(text) == "IŞIN ADI"


@pytest.mark.parametrize("tag", TAGS)
def test_a_fraction_keeps_at_most_three_places(tag):
    assert re.fullmatch(r"0[.,]333", decimal(1 / 3, languages()[tag].locale))


def test_a_choice_is_said_by_its_label_never_by_its_identifier():
    spoken = languages()["de"]
    words = Wording(spoken, {"feature|tenancy|choice|rent": "Zur Miete"})
    assert value_in_words(choice("tenancy"), "rent", words, catalog(spoken)) == "Zur Miete"
    with pytest.raises(MessageMissing):
        value_in_words(choice("tenancy"), "own", words, catalog(spoken))


def test_text_where_a_number_belongs_is_an_error():
    spoken = languages()["de"]
    with pytest.raises(MessageMissing):
        value_in_words(feature("n"), "many", Wording(spoken, {}), catalog(spoken))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  a\n\tb  ", "a b"),
        ("a\u202eb\u2066c\u2069", "a b c"),
        ("\x1b[31mrot", "[31mrot"),
        ("Straße 7", "Straße 7"),
        ("\u200f\u200e", ""),
        # Persian writes these as one word whose letters do not join
        ("وام\u200cها", "وام\u200cها"),
        ("\u200cوام\u200c ها\u200c\u200c7", "وام ها 7"),
    ],
)
def test_text_from_outside_cannot_steer_the_page(given, kept):
    assert clean(given) == kept


def test_a_value_is_set_apart_from_the_direction_around_it():
    assert isolate("x") == "\u2068x\u2069"
    assert isolate("7", number=True) == "\u20667\u2069"
