"""Catalogs are strict: what is missing, fuzzy or malformed is an error, never German or English."""

from __future__ import annotations

import pytest

from explainer.errors import LanguageNotOffered, MessageMissing, WordingIncomplete
from explainer.plain.lists import lists_of
from explainer.text.catalogs import (
    PUBLIC,
    STAFF,
    Catalog,
    catalog,
    read_strictly,
    sound_messages,
    source_sentences,
    wanted_messages,
)
from explainer.text.languages import Status, language, languages
from explainer.text.translation import Wanted, ids_of
from explainer.text.wording import (
    Wording,
    check_texts,
    needed_keys,
    source_wording,
    translated_wording,
)

OTHERS = [tag for tag, row in languages().items() if not row.is_source]

HEADER = (
    'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
)


def po(*entries: str, header: str = HEADER) -> bytes:
    return (header + "\n\n".join(entries) + "\n").encode()


def entry(source: str, translation: str, mark: str = "", context: str = "") -> str:
    lines = [mark] if mark else []
    if context:
        lines.append(f'msgctxt "{context}"')
    return "\n".join([*lines, f'msgid "{source}"', f'msgstr "{translation}"'])


def plural(one: str, many: str, *translations: str) -> str:
    lines = [f'msgid "{one}"', f'msgid_plural "{many}"']
    lines += [f'msgstr[{at}] "{text}"' for at, text in enumerate(translations)]
    return "\n".join(lines)


def read(data: bytes):
    """The texts of an English catalog, of which nothing is wanted but what it has."""
    catalog = read_strictly(data, "test.po")
    wanted = [Wanted(m.context, ids_of(m), m.context is None) for m in catalog if m.id]
    return sound_messages(languages()["en"], catalog, wanted)


# -- the product's words ----------------------------------------------------------------------


def test_a_sound_catalog_is_taken():
    found = read(
        po(
            entry("Guten Tag", "Good morning"),
            entry("Seite {value}", "Page {value}", context="page"),
            plural("%(n)s Fall", "%(n)s Fälle", "%(n)s case", "%(n)s cases"),
        )
    )
    assert found[None, "Guten Tag"] == ("Good morning",)
    assert found["page", "Seite {value}"] == ("Page {value}",)
    assert found[None, "%(n)s Fall"] == ("%(n)s case", "%(n)s cases")


FAULTY = {
    "not translated": (entry("Guten Tag", ""), "not translated"),
    "only blanks": (entry("Guten Tag", "  "), "not translated"),
    "fuzzy": (entry("Guten Tag", "Good day", "#, fuzzy"), "fuzzy"),
    "an empty plural": (plural("%(n)s Fall", "%(n)s Fälle", "%(n)s case", ""), "not translated"),
    "a plural left out": (plural("%(n)s Fall", "%(n)s Fälle", "%(n)s case"), "not translated"),
    "another slot": (entry("Seite {value}", "Page {page}"), "slots"),
    "a slot lost": (entry("Seite {value}", "Page"), "slots"),
    "a slot more": (entry("Seite", "Page {value}"), "slots"),
    "a slot twice": (entry("Seite {value}", "Page {value} {value}"), "slots"),
    "another number slot": (entry("%(n)s von %(m)s", "%(n)s of %(n)s"), "slots"),
    "markup": (entry("Guten Tag", "Good <b>day</b>"), "markup"),
    "a script": (entry("Guten Tag", "Good<script>x</script>"), "markup"),
    "other markup": (entry("Ein <b>Wort</b>", "A <strong>word</strong>"), "markup"),
    "an attribute": (entry("Ein <b>Wort</b>", "A <b onclick=1>word</b>"), "markup"),
    "a percent sign read as a slot": (entry("Alle Angaben", "100% of it"), "percent"),
    "another character reference": (entry("Guten Tag", "Good&nbsp;day"), "markup"),
    "a text without end": (entry("Guten Tag", "Good day " * 1112), "characters long"),
    "an isolate": (entry("Guten Tag", "Good \u2066day"), "invisible"),
    "a mark of direction": (entry("Guten Tag", "Good \u200fday"), "invisible"),
    "a bell": (entry("Guten Tag", "Good \x07day"), "invisible"),
    "other digits": (entry("Seite 1", "Page \u0661"), "digits"),
    "another number": (entry("300 Anträge", "200 applications"), "number 300"),
    "more lines": (entry("Guten Tag", "Good\\nday"), "lines"),
    "the German text": (
        entry("Wir haben Ihnen geschrieben.", "Wir haben Ihnen geschrieben."),
        "is the German text",
    ),
    "German words": (entry("Guten Tag", "Das ist nicht der gute Tag"), "reads like de"),
    "Cyrillic letters": (entry("Guten Tag", "Good dаy"), "script"),
    "another script": (entry("Guten Tag", "Good день"), "script"),
    "letters it has not": (entry("Guten Tag", "Göod day"), "letters its language"),
    "an override of direction": (entry("Guten Tag", "Good \u202eyad"), "direction"),
    "an embedding": (entry("Guten Tag", "Good \u202bday\u202c"), "direction"),
}


@pytest.mark.parametrize("faulty", FAULTY)
def test_a_faulty_message_is_an_error(faulty):
    text, says = FAULTY[faulty]
    with pytest.raises(MessageMissing, match=says):
        read(po(entry("In Ordnung", "All right"), text))


BROKEN = {
    "no catalog at all": b"Das ist keine Katalogdatei.\n",
    "text after an entry": po(entry("a", "b"), "lost words"),
    "an unknown charset": po(entry("a", "b"), header=HEADER.replace("utf-8", "klingon")),
    "bytes of another charset": po(entry("Gr\u00fc\u00dfe", "x")).replace(b"\xc3\xbc", b"\xfc"),
    "a date that is none": po(
        entry("a", "b"),
        header=HEADER.replace('"Plural', '"POT-Creation-Date: gestern\\n"\n"Plural'),
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_catalog_is_our_error_and_no_other(broken):
    def ask() -> str:
        # a catalog that is merely empty has nothing to give
        return Catalog(languages()["en"], read(BROKEN[broken]), int).gettext("Gr\u00fc\u00dfe")

    with pytest.raises(MessageMissing):
        ask()


@pytest.mark.parametrize("tag", OTHERS)
def test_a_missing_message_is_an_error_in_every_way_of_asking(tag):
    empty = Catalog(languages()[tag], {}, lambda n: int(n != 1))
    for ask in (
        lambda: empty.gettext("Guten Tag"),
        lambda: empty.pgettext("page", "Guten Tag"),
        lambda: empty.ngettext("ein Fall", "Fälle", 2),
        lambda: empty.npgettext("page", "ein Fall", "Fälle", 2),
        lambda: empty.sentence("told.unclear"),
        lambda: empty.sentence("there.is.no.such.key"),
    ):
        with pytest.raises(MessageMissing):
            ask()


def test_german_is_what_it_says_itself():
    german = catalog(language("de"))
    assert german.gettext("Guten Tag") == "Guten Tag"
    assert german.ngettext("ein Fall", "mehrere Fälle", 1) == "ein Fall"
    assert german.ngettext("ein Fall", "mehrere Fälle", 0) == "mehrere Fälle"
    assert german.npgettext("c", "ein Fall", "mehrere Fälle", 3) == "mehrere Fälle"
    with pytest.raises(MessageMissing):
        german.sentence("there.is.no.such.key")


def test_a_catalog_counts_in_its_own_way():
    six = {(None, "ein Fall"): ("0", "1", "2", "few", "many", "other")}
    arabic = Catalog(languages()["ar"], six, lambda n: min(n, 5))
    assert [arabic.ngettext("ein Fall", "Fälle", n) for n in (0, 1, 2, 7)] == [
        "0",
        "1",
        "2",
        "other",
    ]


@pytest.mark.parametrize("tag", OTHERS)
def test_every_sentence_of_the_product_is_there_in_every_language(tag):
    spoken = language(tag)
    words = catalog(spoken, staff=spoken.staff)
    missing = []
    for key in source_sentences():
        if spoken.staff or not key.startswith("staff."):
            try:
                assert words.sentence(key).strip()
            except MessageMissing:
                missing.append(key)
    assert missing == []


@pytest.mark.parametrize("tag", OTHERS)
def test_whoever_runs_the_service_has_one_name_in_each_language(tag):
    row = language(tag)
    german, said = (lists_of(of).concepts["operator"].forms for of in ("de", tag))
    words, named = catalog(row, staff=row.staff), 0
    for domain in (PUBLIC, STAFF) if row.staff else (PUBLIC,):
        for one in wanted_messages(domain):
            if german.search(one.sources[0]):
                text = words.sentence(one.context) if one.context else words.gettext(*one.sources)
                assert said.search(text), (one.key, text)
                named += 1
    assert named >= 2
    # a program that runs, and the place where somebody works, are called otherwise
    assert not german.search("Das Programm ist nicht mehr in Betrieb.")
    assert not german.search("Bescheinigung vom letzten Betrieb")


@pytest.mark.parametrize("tag", [tag for tag, row in languages().items() if not row.staff])
def test_a_language_without_staff_pages_has_no_words_for_them(tag):
    words = catalog(language(tag))
    of_staff = [key for key in source_sentences() if key.startswith("staff.")]
    assert len(of_staff) > 20
    for key in of_staff:
        with pytest.raises(MessageMissing):
            words.sentence(key)


@pytest.mark.parametrize("tag", ["vi", "", "DE", "de-LS", "../de", "de\n"])
def test_a_language_without_a_row_is_not_offered_and_none_stands_in(tag):
    with pytest.raises(LanguageNotOffered):
        language(tag)


def test_the_table_of_languages_is_whole():
    rows = languages()
    assert [tag for tag, row in rows.items() if row.is_source] == ["de"]
    for tag, row in rows.items():
        assert row.tag == tag
        assert row.dir in ("ltr", "rtl")
        assert row.status is not Status.REVIEWED or (row.reviewer and row.reviewed_on)
    assert rows["ar"].dir == "rtl"


# -- the agency's words -----------------------------------------------------------------------

GERMAN = {
    "feature|age|label": "Alter",
    "feature|age|reason|grant": "Ihr Alter sprach dafür. Die Angabe lautet: {value}.",
}
ENGLISH = [
    entry("Alter", "Age", context="feature|age|label"),
    entry(
        GERMAN["feature|age|reason|grant"],
        "Your age pointed towards it. You wrote: {value}.",
        context="feature|age|reason|grant",
    ),
]


def test_a_whole_translation_is_taken():
    found = translated_wording(language("en"), GERMAN, po(*ENGLISH))
    assert found.label("age") == "Age"
    assert "{value}" in found.reason("age", "grant", missing=False)


HALF = {
    "missing": ([ENGLISH[1]], "feature|age|label is missing"),
    "fuzzy": (["#, fuzzy\n" + ENGLISH[0], ENGLISH[1]], "feature|age|label is fuzzy"),
    "empty": ([entry("Alter", "", context="feature|age|label"), ENGLISH[1]], "not translated"),
    "another context": ([entry("Alter", "Age", context="elsewhere"), ENGLISH[1]], "is missing"),
    "another German text": (
        [entry("Lebensalter", "Age", context="feature|age|label"), ENGLISH[1]],
        "is missing",
    ),
    "another slot": (
        [ENGLISH[0], ENGLISH[1].replace("wrote: {value}", "wrote: {age}")],
        "other slots",
    ),
    "a slot elsewhere than after a colon": (
        [ENGLISH[0], ENGLISH[1].replace("wrote: {value}", "wrote {value}")],
        "after a colon",
    ),
    "markup": (
        [entry("Alter", "<b>Age</b>", context="feature|age|label"), ENGLISH[1]],
        "markup",
    ),
    "an override of direction": (
        [entry("Alter", "\u202eegA", context="feature|age|label"), ENGLISH[1]],
        "direction",
    ),
    "an isolate": (
        [entry("Alter", "A\u2066ge", context="feature|age|label"), ENGLISH[1]],
        "invisible",
    ),
    "a soft hyphen": (
        [entry("Alter", "A\u00adge", context="feature|age|label"), ENGLISH[1]],
        "invisible",
    ),
}


@pytest.mark.parametrize("half", HALF)
def test_a_translation_that_is_not_whole_is_refused_with_its_key(half):
    entries, says = HALF[half]
    with pytest.raises(WordingIncomplete, match=says):
        translated_wording(language("en"), GERMAN, po(*entries))


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(WordingIncomplete) as caught:
        translated_wording(language("en"), GERMAN, po())
    assert all(key in caught.value.what for key in GERMAN)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"lost words\n"])
def test_a_file_that_is_no_catalog_is_refused(data):
    with pytest.raises(WordingIncomplete):
        translated_wording(language("en"), GERMAN, data)


TEXTS = [
    ("feature|a|label", "Ihr Alter", True),
    ("feature|a|reason|grant", "Dafür. Angabe: {value}.", True),
    ("feature|a|reason|grant", "Dafür, ohne den Wert zu nennen.", True),
    ("contact|address", "Straße 1\n12345 Ort", True),
    ("feature|a|label", "ZWJ \u200d and ZWNJ \u200c", True),
    ("feature|a|label", "Ihr {value}", False),
    ("feature|a|reason|grant|missing", "Es fehlte: {value}.", False),
    ("feature|a|reason|grant", "{value} Jahre sprachen dafür.", False),
    ("feature|a|reason|grant", "Ihre {value} Jahre sprachen dafür.", False),
    ("feature|a|reason|grant", "Dafür: {value} und {value}.", False),
    ("feature|a|reason|grant", "Dafür: {name}.", False),
    ("feature|a|reason|grant", "Dafür: {value.__class__}.", False),
    ("feature|a|label", "<b>Alter</b>", False),
    ("feature|a|label", "Alter > 30", False),
    ("feature|a|label", "  ", False),
    ("feature|a|label", "Al\u202eter", False),
    ("feature|a|label", "Al\u2066ter", False),
    ("feature|a|label", "Al\u200bter", False),
    ("feature|a|label", "Al\x07ter", False),
    ("feature|a|label", "Al\tter", False),
]


@pytest.mark.parametrize(("key", "text", "good"), TEXTS)
def test_agency_texts_hold_words_and_one_slot_at_most(key, text, good):
    if good:
        check_texts({key: text}, "here")
    else:
        with pytest.raises(WordingIncomplete):
            check_texts({key: text}, "here")


@pytest.mark.parametrize(
    ("features", "wording"),
    [
        ({"feature": [{"name": "a", "reason": {"grant": 5}}]}, {}),
        ({"feature": [{"name": "a", "choice_labels": {"x": ["y"]}}]}, {}),
        ({"feature": [{"name": "a", "reason": {"grant": {"more": "x"}}}]}, {}),
        ({}, {"package": {"title": 5}}),
        ({}, {"contact": {"phone": [1, 2]}}),
        ({}, {"demo": True}),
    ],
)
def test_what_is_no_text_is_refused_by_its_key(features, wording):
    with pytest.raises(WordingIncomplete, match="not text"):
        source_wording(features, wording)


def test_a_text_that_is_not_there_raises_and_is_never_made_up():
    words = Wording(language("de"), {"feature|age|label": "Alter"})
    assert words.label("age") == "Alter"
    assert words.supply("age") is None
    assert words.source("own words") == "own words"
    for ask in (
        lambda: words["feature|age"],
        lambda: words.label("tenure"),
        lambda: words.choice("age", "x"),
        lambda: words.reason("age", "grant", missing=False),
    ):
        with pytest.raises(MessageMissing):
            ask()


def test_every_key_a_package_needs_is_there_in_every_language_it_offers(demo):
    needed = [key for key, _ in needed_keys(demo.catalogue, demo.manifest.suggesting)]
    assert len(needed) > 70
    assert set(demo.wordings) == set(demo.manifest.offered)
    for words in demo.wordings.values():
        assert [key for key in needed if key not in words.texts] == []


def test_no_two_sentences_of_a_package_can_be_mistaken_for_one_another(demo):
    """The checker reads a text back by its sentences; two that are equal cannot be told apart."""
    # of a level both directions of a feature may read alike: there the heading says which it is
    for words in (one for one in demo.wordings.values() if not one.language.level):
        sentences = [text for key, text in words.texts.items() if "|reason|" in key]
        fixed = [sentence.partition("{value}")[0] for sentence in sentences]
        assert len(fixed) >= 2 * len(demo.catalogue.names)
        for at, part in enumerate(fixed):
            assert not any(part in other for other in sentences[:at] + sentences[at + 1 :])


def test_only_a_reason_whose_value_is_there_has_a_slot(demo):
    slots = [key for key, slot in needed_keys(demo.catalogue, demo.manifest.suggesting) if slot]
    assert len(slots) == 2 * len(demo.catalogue.names)
    assert all("|reason|" in key and not key.endswith("|missing") for key in slots)
