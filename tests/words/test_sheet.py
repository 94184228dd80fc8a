"""The sheet for reviewers: every text where it stands on a page, or why no page contains it."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from gettext import c2py
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog as PoCatalog
from kinds import AMOUNT, THREE, write_kind
from pseudo import TAG_OF_IT, forget, other_locales, spoken
from test_cli import warum

from explainer.cli import reviewing
from explainer.packages import package as packages
from explainer.packages.bundled import find_package
from explainer.review import shown
from explainer.review.marked import Marks, in_german, keys_of, leveled_with_marks, without_marks
from explainer.review.pictures import Picture, Truth
from explainer.review.sheet import NOTES, Row
from explainer.text.catalogs import STAFF, catalog, wanted_messages
from explainer.text.languages import Language, all_languages, language, translations
from explainer.text.render import leveled
from explainer.text.translation import SLOT

OFTEN = ("de-simple", "en", "uk", "ar")
"""A level of German, pages of staff, another script and another direction: in every test run."""
TAGS = [
    pytest.param(one.tag, marks=() if one.tag in OFTEN else pytest.mark.long)
    for one in translations()
]
ABOUT = ("", "unemployment_benefit", "mortgage_guarantee")

ON_NO_PAGE = {"told.headed"}
ONE = {"told.one.years", "told.one.months", "told.one.days"}
"""For languages whose words for one year have no number in them."""

ONLY_TRANSLATED = {
    "told.reviewed",
    "told.unreviewed",
    "Diese Seite auf Deutsch",
    "Diesen Teil zeigen wir nur auf Deutsch.",
}
NO_CASE_YET = {
    "Deutscher Text",
    "Diesen Teil zeigen wir nur auf Deutsch.",
    "Gründe der Entscheidung",
    "Rechtsbehelfsbelehrung aus Ihrem Bescheid",
}
"""What templates hold for cases the service never makes so far."""
NO_CASE_YET_FOR_STAFF = {
    "Bestritten, noch in Prüfung",
    "Das Programm ist angehalten. Es gibt keinen Vorschlag. Bitte",
    "Die Erklärung ist noch nicht fertig. Sie können ohne sie ent",
    "Was das Programm beigetragen hat",
    "Wir können den Vorschlag des Programms gerade nicht erklären",
    "wartet auf Unterlagen",
}


@pytest.fixture(scope="module", autouse=True)
def _opened_once() -> Iterator[None]:
    """Packages are opened once, few of their cases told, and the same German pages seen once: which
    picture there is may differ, not whether there is one."""
    before = packages.open_package, shown.pictured, shown.CASES, shown.TRIED
    look, seen = shown.pictured, {}

    def pictured(given, spoken, wanted, step):  # type: ignore[no-untyped-def]
        key = tuple(one.identity for one in given), spoken.tag, tuple(wanted)
        if key not in seen:
            seen[key] = look(given, spoken, wanted, step)
        return seen[key]

    packages.open_package, shown.pictured = lru_cache(packages.open_package), pictured
    shown.CASES, shown.TRIED = 4, 4
    yield
    packages.open_package, shown.pictured, shown.CASES, shown.TRIED = before


@lru_cache
def rows_of(tag: str, about: str) -> list[Row]:
    spoken = all_languages()[tag]
    if about:
        return reviewing.rows_of_package(find_package(about), spoken, about)
    return reviewing.rows_of_product(spoken)


def meant(picture: Picture) -> str:
    """What is yellow on a picture."""
    text = " ".join(
        "".join(text for text, is_meant in line.pieces if is_meant) for line in picture.lines
    )
    return " ".join(html.unescape(re.sub("[\u2066-\u2069]", "", text)).split())


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("tag", TAGS)
def test_every_text_has_a_picture_or_is_one_no_page_contains(tag: str, about: str) -> None:
    rows = rows_of(tag, about)
    without = {row.key for row in rows for place in row.places if isinstance(place, str)}
    expected = set() if about else ON_NO_PAGE | (set() if tag == "ar" else ONE)
    assert without == expected
    assert all(place for row in rows for place in row.places)


@pytest.mark.parametrize("about", ABOUT)
@pytest.mark.parametrize("tag", TAGS)
def test_what_is_yellow_on_a_picture_is_the_text_of_its_row(tag: str, about: str) -> None:
    for row in rows_of(tag, about):
        assert len(row.places) == len(row.said)
        for at, place in enumerate(row.places):
            if isinstance(place, str):
                continue
            text = (row.said if place.lang == tag else row.german)[at]
            pattern = r"\s*.*?\s*".join(
                re.escape(" ".join(part.split()))
                for part in SLOT.split(html.unescape(re.sub(r"<[^>]*>", "", text)))
            )
            assert re.fullmatch(pattern, meant(place)), (row.key, at, meant(place))


@pytest.mark.parametrize("tag", TAGS)
def test_texts_that_wait_for_a_case_are_those_that_are_known(tag: str) -> None:
    waiting = {
        row.key
        for row in rows_of(tag, "")
        for place in row.places
        if isinstance(place, Picture) and place.truth is Truth.FORESEEN
    }
    staff = NO_CASE_YET_FOR_STAFF if all_languages()[tag].staff else set()
    assert waiting == NO_CASE_YET | staff


@pytest.mark.parametrize("tag", TAGS)
def test_documents_of_recorded_cases_are_shown_as_they_are_told(tag: str) -> None:
    by_key = {row.key: row.places for row in rows_of(tag, "")}
    for key in ("told.role_ai", "told.heading.towards", "told.strength.large", "told.decided_by"):
        (picture,) = by_key[key]
        assert isinstance(picture, Picture)
        assert (picture.truth, picture.lang) == (Truth.RECORDED, tag)


def test_a_document_that_is_not_what_was_told_makes_no_picture(monkeypatch) -> None:
    told = shown.tell

    def other(*given, **named):  # type: ignore[no-untyped-def]
        said = told(*given, **named)
        return shown.Told(said.body + b" ", said.media_type, said.language, said.audience)

    monkeypatch.setattr(shown, "tell", other)
    opened = packages.open_package(find_package("unemployment_benefit"))
    album = shown.Album(Marks(), language("en"))
    shown.Stage(opened, language("en"), album).recorded()
    strength = ("told.strength.large", catalog(language("de")).sentence("told.strength.large"))
    assert not album.shows(strength, Truth.EVERY_REASON)


def test_a_page_without_its_marks_is_the_page_in_every_level() -> None:
    marks = Marks()
    one = marks.around(("a", ""), "Das ist nicht gut. Und <b>sehr</b> neu.")
    other = marks.around(("b", ""), "Kein Ding am 1. März 2026. Wie?")
    page = f"<p>{one}  {other} Nein. <bdi>Nicht. Das</bdi></p>"
    for level in (language("de-simple"), language("en")):
        marked = leveled_with_marks(page, level)
        assert without_marks(marked) == leveled(without_marks(page), level)
        inside: dict[str, str] = {}
        open_ = ""
        for text, key, begins in marks.parts(marked):
            open_ = open_ if key is None else key[0] if begins else ""
            inside[open_] = inside.get(open_, "") + text
        said = {key: " ".join(re.sub("<[^>]*>", "", text).split()) for key, text in inside.items()}
        assert (said["a"], said["b"]) == (
            "Das ist nicht gut. Und sehr neu.",
            "Kein Ding am 1. März 2026. Wie?",
        )


@pytest.mark.parametrize("locale", ["uk_UA", "ar_EG"])
def test_each_plural_form_stands_beside_a_number_it_belongs_to(tmp_path, locale: str) -> None:
    plural = c2py(PoCatalog(locale=locale).plural_expr)
    with spoken(tmp_path / "locales", locale):
        text = sheet_of(tmp_path, TAG_OF_IT)
        rows = reviewing.rows_of_product(all_languages()[TAG_OF_IT])
    several = [row for row in rows if len(row.german) > 1]
    assert len(several) > 15
    forms = {plural(number): number for number in (0, 100, 11, 5, 3, 2, 1)}
    for row in several:
        assert len(row.places) == len(row.said) == len(forms)
        for form, number in forms.items():
            place = row.places[form]
            if number == 0:
                # pages say "no entry" there, not "0 entries"
                assert isinstance(place, str)
                assert "Zahl 0" in place
                continue
            assert isinstance(place, Picture)
            assert (place.lang, place.truth) == (TAG_OF_IT, Truth.RECORDED)
            (shown_number,) = re.findall(r"\d+", meant(place))
            assert plural(int(shown_number)) == form, (row.key, meant(place))
    for form in range(1, len(forms) + 1):
        assert text.count(f">Form {form} von {len(forms)}<") == len(several)


def test_german_pages_stand_in_with_the_form_for_the_same_number() -> None:
    """One, two, five: Ukrainian has a form for each, German the same one for two of them."""
    ukrainian, german = language("uk"), language("de")
    album = shown.Album(Marks(), german)
    opened = packages.open_package(find_package("unemployment_benefit"))
    shown.Stage(opened, german, album).site()
    (one,) = (one for one in wanted_messages(STAFF) if one.key == "%(written)s Antrag")
    keys = [in_german(key, ukrainian) for key in keys_of(one, STAFF, ukrainian)]
    pictures = [album.picture(key) for key in keys]
    assert [meant(each) for each in pictures if each] == ["1 Antrag", "2 Anträge", "2 Anträge"]


def test_a_picture_that_is_of_no_recorded_case_says_so() -> None:
    assert set(NOTES) == set(Truth) - {Truth.RECORDED}


def sheet_of(folder: Path, tag: str, *more: str) -> str:
    file = folder / "sheet.html"
    assert warum("language", "review", tag, *more, "-o", file) == 0
    return file.read_text("utf-8")


def test_the_sheet_can_be_read_by_everybody(tmp_path) -> None:
    text = sheet_of(tmp_path, "ar")
    assert text.startswith('<!doctype html>\n<html lang="de">')
    assert len(re.findall(r'<th scope="col"', text)) == 5
    rows = re.findall(r"<tr id=.*?</tr>", text, re.DOTALL)
    assert len(rows) == len(rows_of("ar", ""))
    for number, row in enumerate(rows, start=1):
        assert f'<th scope="row" class="number">{number}</th>' in row
        # each language is said of what is in it
        assert row.count('class="text" lang="ar" dir="rtl"') >= 1
        assert 'class="page' not in row or re.search(r'class="page[^>]*lang="(ar|de)"', row)
    assert "<script" not in text
    # it is whole by itself: every address is on it
    assert not re.search(r"src=|href=\"(?!#)", text)
    for target in re.findall(r'href="#([^"]*)"', text):
        assert f'id="{target}"' in text


def test_what_the_sheet_says_to_do_records_who_read_it(tmp_path) -> None:
    with other_locales(tmp_path / "locales"):
        text = sheet_of(tmp_path, "en")
        command = html.unescape(re.search(r"mit: <code>(warum .*?)</code>", text)[1])
        filled = command.replace('"…"', '"A. Reader"').replace("…", "2026-03-01")
        assert warum(*shlex.split(filled)[1:]) == 0
        forget()
        signed: Language = all_languages()["en"]
        assert (signed.reviewer, signed.reviewed_on) == ("A. Reader", "2026-03-01")


def test_a_translation_that_is_not_whole_is_read_beside_german_pages(tmp_path) -> None:
    with other_locales(tmp_path / "locales"):
        assert warum("language", "new", "sq") == 0
        forget()
        text = sheet_of(tmp_path, "sq")
        rows = reviewing.rows_of_product(all_languages()["sq"])
    places = [place for row in rows for place in row.places]
    assert {place.lang for place in places if isinstance(place, Picture)} == {"de"}
    # what only translations say is on no German page
    without = {row.key for row in rows if "" in row.places}
    assert without == ONE | ONLY_TRANSLATED
    assert text.count("sobald die Übersetzung keine Fehler mehr hat") == len(without)


def test_a_sheet_that_is_there_is_named_before_anything_is_rendered(
    tmp_path, monkeypatch, capsys
) -> None:
    file = tmp_path / "sheet.html"
    file.write_text("read and signed")
    monkeypatch.setattr(reviewing, "rows_of_product", lambda _: pytest.fail("rendered"))
    assert warum("language", "review", "uk", "-o", file) == 1
    assert "there already" in capsys.readouterr().err
    assert file.read_text() == "read and signed"


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A package of three outcomes, and one of amounts."""
    folder = tmp_path_factory.mktemp("kinds")
    return {kind.name: write_kind(folder / kind.name, kind) for kind in (THREE, AMOUNT)}


@pytest.mark.parametrize("tag", ["en", "ar"])
@pytest.mark.parametrize("kind", [THREE.name, AMOUNT.name])
def test_packages_of_every_kind_have_their_texts_on_the_sheet(kinds, kind: str, tag: str) -> None:
    rows = reviewing.rows_of_package(kinds[kind], all_languages()[tag], str(kinds[kind]))
    assert all(isinstance(place, Picture) for row in rows for place in row.places)


def test_a_language_no_package_has_yet_is_shown_on_the_pages_of_the_site(kinds) -> None:
    french = all_languages()["fr"]
    opened = packages.open_package(kinds[THREE.name])
    assert french.tag not in opened.wordings
    keys = {
        "page": ("warum", "Das Programm entscheidet nicht."),
        "document": ("told.rest.much", catalog(language("de")).sentence("told.rest.much")),
    }
    album = shown.pictured([opened], french, list(keys.values()), lambda: None)
    for key in keys.values():
        picture = album.picture(key)
        assert picture is not None
        assert picture.lang == "fr"
