"""Counting: sentences, words, syllables, and the formulas made of them."""

from __future__ import annotations

import pytest

from explainer.plain.formulas import (
    FEWEST_WORDS,
    GATES,
    Figures,
    english_syllables,
    german_syllables,
    measure,
)
from explainer.plain.gate import check_document
from explainer.plain.words import sentences_in, words_in


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("Antrag", 2),
        ("Bescheid", 2),
        ("Quelle", 2),
        ("Vorschlag", 2),
        ("Einkommen", 3),
        ("genauere", 4),
        ("Sachbearbeitung", 5),
        ("Häuser", 2),
        ("Pflicht", 1),
        ("zzgl", 1),
        ("1.200", 2),
        ("2026", 2),
    ],
)
def test_german_syllables_are_counted_the_same_way_for_ever(word, syllables):
    assert german_syllables(word) == syllables


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("rate", 1),
        ("table", 2),
        ("whole", 1),
        ("used", 1),
        ("wanted", 2),
        ("checked", 1),
        ("suggestion", 3),
        ("program", 2),
        ("the", 1),
        ("2025", 2),
    ],
)
def test_english_syllables_are_counted_the_same_way_for_ever(word, syllables):
    assert english_syllables(word) == syllables


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Wir prüfen neu. Dann schreiben wir.", 2),
        ("Entschieden hat: Frau Keller.", 2),
        ("Eine Zeile\nNoch eine", 2),
        ("Am 1. März 2026 schreiben wir.", 1),
        ("Es sind 1.200 Anträge.", 1),
        ("Um 9:00 Uhr ist offen.", 1),
        ("Es waren 3. Dann kam einer dazu.", 2),
        ("Stimmt das? „Ja.“ So ist es!", 3),
        ("—", 0),
    ],
)
def test_a_sentence_ends_at_full_stop_colon_and_line_but_not_within_a_date(text, sentences):
    assert len(sentences_in(text)) == sentences


def test_a_date_and_a_word_with_hyphens_are_one_word():
    assert words_in("Am 1. März 2026 kam der Miet-Vertrag.") == [
        "Am",
        "1. März 2026",
        "kam",
        "der",
        "Miet-Vertrag",
    ]


# 10 sentences of 10 words, each with one word of two syllables and no long one.
EVEN = "\n".join(["Sie und wir sind hier und nun ist alles gut."] * 10)
HARD = "\n".join(
    [
        "Die Verwaltungsvorschrift regelt Aufbewahrung, Bereitstellung, Weiterleitung, "
        "Veröffentlichung, Berichtigung, Benachrichtigung, Verschwiegenheit."
    ]
    * 12
)


def test_shares_are_those_counted_by_hand():
    figures = measure(EVEN, "de")
    assert figures == Figures(
        words=100,
        sentences=10,
        per_sentence=10.0,
        long_words=0.0,
        many_syllables=0.0,
        one_syllable=90.0,
        per_word=1.1,
    )


def test_formulas_are_those_of_their_authors():
    """Each computed by hand from one set of counts."""
    figures = Figures(200, 20, 10.0, 30.0, 25.0, 50.0, 1.8)
    assert figures.wstf1 == pytest.approx(4.8375 + 1.672 + 3.891 - 1.635 - 0.875)
    assert figures.amstad == pytest.approx(180 - 10 - 105.3)
    assert figures.lix == pytest.approx(40)
    assert figures.flesch_kincaid == pytest.approx(3.9 + 21.24 - 15.59)
    assert figures.reading_ease == pytest.approx(206.835 - 10.15 - 152.28)


def test_a_short_text_and_a_language_without_a_formula_have_no_figure():
    short = " ".join(["gut"] * (FEWEST_WORDS - 1))
    assert measure(short, "de") is None
    assert measure(short + " gut", "de") is not None
    assert all(measure(EVEN, tag) is None for tag in ("uk", "ar", "tr", "ro", "fa"))


def test_easy_texts_are_counted_by_the_parts_of_their_words_and_plain_ones_are_not():
    text = "\n".join(["Das ist der Miet-Vertrag für die Wohnung."] * 15)
    for level, words in (("de", 105), ("de-simple", 120)):
        figures = measure(text, level)
        assert figures is not None
        assert figures.words == words
    unsplit = measure(text, "de-simple", split=False)
    assert unsplit is not None
    assert unsplit.words == 105


@pytest.mark.parametrize("level", ["de", "de-simple"])
def test_a_document_that_misses_a_gate_fails_and_says_the_figure(level):
    found = check_document("one", HARD, level)
    rules = {finding.rule for finding in found if finding.severity == "fail"}
    assert rules == {"wstf1", "amstad", "lix"}
    assert all(any(sign.isdigit() for sign in f.found) for f in found)
    assert [f for f in check_document("one", EVEN, level) if f.severity == "fail"] == []


def test_an_english_document_is_held_to_english_formulas():
    hard = "\n".join(["Administrative authorities subsequently communicate considerations."] * 25)
    assert {f.rule for f in check_document("one", hard, "en") if f.severity == "fail"} == {
        "flesch-kincaid",
        "reading-ease",
    }
    assert GATES.keys() == {"de", "de-simple", "en"}


def test_a_missed_target_is_only_noted():
    """Words of six letters and more, short sentences: between target and gate."""
    text = "\n".join(
        ["Das Programm hat Ihren Antrag verglichen."] * 9
        + ["Diese Angaben waren für den Vorschlag wichtig."] * 9
    )
    found = check_document("one", text, "de")
    assert {(f.severity, f.rule) for f in found} == {("note", "lix"), ("note", "wstf1")}


def test_a_document_of_long_or_passive_sentences_is_warned_of():
    long = "\n".join(["Wir und Sie und er und sie und es und wir sind nun hier gut."] * 10)
    assert {f.rule for f in check_document("one", long, "de") if f.severity == "warn"} == {
        "mean-length"
    }
    wordy = "\n".join(["Das ist nun gut."] * 51)
    assert [(f.severity, f.rule) for f in check_document("one", wordy, "de")] == [
        ("note", "document-length")
    ]
    passive = "\n".join(["Der Brief wird von uns an Sie gesandt."] * 6 + ["Er ist gut."] * 20)
    assert {f.rule for f in check_document("one", passive, "de") if f.severity == "warn"} == {
        "passive-share"
    }
