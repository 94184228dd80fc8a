"""Which languages are offered, to whom, and what is said where a text is not there in one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offices import MakeOffice, Office, demo_settings
from pseudo import forget, other_locales
from test_languages import check_one_language
from visiting import check_problem

from explainer.packages.admit import admit
from explainer.packages.bundled import find_package
from explainer.text.catalogs import catalog
from explainer.text.languages import all_languages, language, languages
from service.doctor import examine
from service.offer import Offer, make_offer
from service.web.language_choice import best_accepted, choose_language

ROWS = list(all_languages().values())
"""Those in work too: what is chosen from is not the matter here."""


@pytest.fixture
def locales(tmp_path: Path) -> Iterator[Path]:
    with other_locales(tmp_path / "locales") as folder:
        yield folder


# -- the header -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("prs", "fa"),
        ("prs-AF, de;q=0.9", "fa"),
        ("fa-AF", "fa"),
        ("arb", "ar"),
        ("ar-SY,ar;q=0.9,de;q=0.8", "ar"),
        ("mo", "ro"),
        ("uk-UA,uk;q=0.9,en-US;q=0.8,en;q=0.7", "uk"),
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("de-simple", "de-simple"),
        ("DE-Simple-x-leicht", "de-simple"),
        ("de-DE-simple", "de-simple"),
        ("de-simple;q=0.1, de;q=0.9", "de"),
        ("de-simple;q=0, de-simple-x-leicht", "de"),
        ("fr-x-uk", "fr"),
        ("x-uk", None),
        ("i-uk", None),
        ("zh-Hant-CN-x-private, tr;q=0.001", "tr"),
        ("en;q=1.000, uk;q=1", "en"),
        ("en;q=0.9999", None),
        ("en;q=1.1, uk;q=0.5", "uk"),
        ("en; q=0.5, uk;Q=0.6", "uk"),
        ("en;q=0.5;x=1, tr;q=0.1", "tr"),
        ("en, en;q=0", None),
        ("en-GB, en;q=0, pl;q=0.5", "pl"),
        ("*, pl;q=0.1", "pl"),
        ("\tpl\t,\tbg;q=0.9", "pl"),
        ("pl bg", None),
        ("p\u0142", None),
        (",".join(["xx"] * 20 + ["uk"]), None),
        (" " * 5000 + "uk", None),
    ],
)
def test_a_header_is_looked_up(header: str, expected: str | None) -> None:
    found = best_accepted(ROWS, header)
    assert (found.tag if found else None) == expected


SUBTAG = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789", min_size=1, max_size=9)
RANGE = st.one_of(
    st.sampled_from([one.tag for one in ROWS] + ["prs", "de-DE-simple", "*", "", "x"]),
    st.lists(SUBTAG, min_size=1, max_size=4).map("-".join),
)
WEIGHT = st.one_of(
    st.just(""),
    st.decimals(0, 1, places=3).map(lambda q: f";q={q}"),
    st.text(max_size=8).map(lambda text: f";{text}"),
)
HEADER = st.one_of(
    st.text(max_size=200),
    st.lists(st.tuples(RANGE, WEIGHT).map("".join), max_size=12).map(",".join),
    st.lists(st.tuples(RANGE, WEIGHT).map("".join), max_size=12).map(" , ".join),
)


@given(HEADER)
def test_no_header_fails_and_a_level_is_shown_only_to_who_names_it(header: str) -> None:
    shown = choose_language(ROWS, asked=None, kept=None, accepted=header)
    assert shown in ROWS
    if shown.tag == "de-simple":
        assert "simple" in header.lower()


@given(st.permutations([one.tag for one in ROWS]))
def test_the_heaviest_counts_and_of_equals_the_first(tags: list[str]) -> None:
    falling = ",".join(f"{tag};q={1 - number / 100:.3f}" for number, tag in enumerate(tags))
    found = best_accepted(ROWS, falling)
    assert found is not None
    assert found.tag == tags[0]
    equal = best_accepted(ROWS, ",".join(f"{tag};q=0.5" for tag in tags))
    assert equal is not None
    assert equal.tag == tags[0]
    rising = ",".join(f"{tag};q={number / 100:.3f}" for number, tag in enumerate(tags, start=1))
    last = best_accepted(ROWS, rising)
    assert last is not None
    assert last.tag == tags[-1]


def test_where_nothing_fits_it_is_the_default_of_the_package() -> None:
    english = choose_language(ROWS, asked="xx", kept=None, accepted="vi", default="en")
    assert english.tag == "en"
    few = [row for row in ROWS if row.tag in ("de", "uk")]
    assert choose_language(few, asked=None, kept=None, accepted="vi", default="en").tag == "de"


# -- what is offered --------------------------------------------------------------------------


def offered(offer: Offer, *, staff: bool = False, package: object = None) -> list[str]:
    return [row.tag for row in offer.of(package, staff=staff)]


def settings(tmp_path: Path, *, demo: bool, unreviewed: tuple[str, ...] | None) -> object:
    return replace(demo_settings(tmp_path), demo=demo, unreviewed=unreviewed)


def test_what_nobody_reviewed_is_off_until_an_agency_names_it(tmp_path: Path) -> None:
    every = list(languages())
    assert offered(make_offer(settings(tmp_path, demo=True, unreviewed=None))) == every
    assert offered(make_offer(settings(tmp_path, demo=False, unreviewed=None))) == ["de"]
    named = make_offer(settings(tmp_path, demo=False, unreviewed=("ar",)))
    assert offered(named) == ["de", "ar"]
    assert offered(named, staff=True) == ["de"]
    # a demonstration can be narrowed as well
    assert offered(make_offer(settings(tmp_path, demo=True, unreviewed=()))) == ["de"]


def test_a_reviewed_language_is_offered_for_packages_that_were_reviewed_too(
    tmp_path: Path, locales: Path
) -> None:
    from explainer.text.languages import digest_of_words

    row = language("en")
    table = locales / "languages.toml"
    before, own, after = table.read_text("utf-8").partition('tag = "en"\n')
    signed = (
        f'status = "reviewed"\nreviewer = "A"\nreviewed_on = "2026-03-01"\n'
        f'digest = "{digest_of_words(row)}"'
    )
    after = after.replace('status = "unreviewed"', signed, 1)
    table.write_text(before + own + after, "utf-8")
    forget()
    offer = make_offer(settings(tmp_path, demo=False, unreviewed=None))
    package = admit(find_package("unemployment_benefit"))
    assert offered(offer) == ["de", "en"]
    assert offered(offer, package=package) == ["de"]
    read = replace(package.wordings["en"], reviewed=True)
    reviewed = replace(package, wordings={**package.wordings, "en": read})
    assert offered(offer, package=reviewed) == ["de", "en"]


def test_a_broken_catalog_stops_its_language_alone_and_the_operator_is_told(
    tmp_path: Path, locales: Path, capsys: pytest.CaptureFixture[str], make_office: MakeOffice
) -> None:
    po = locales / "ar" / "LC_MESSAGES" / "warum.po"
    sentence = catalog(language("ar")).sentence("error.title")
    po.write_text(po.read_text("utf-8").replace(f'"{sentence}"', '""'), "utf-8")
    forget()
    office = make_office(cases=1)
    assert list(office.tools.offer.stopped) == ["ar"]
    visitor = office.visitor(**{"accept-language": "ar, en;q=0.5"})
    page = visitor.get("/")
    assert page.lang == "en"
    assert "ar" not in {e.attrs["hreflang"] for e in page.all("a", class_="w-languages__link")}
    assert visitor.get("/?lang=ar").lang == "en"
    from service.cli import _say_admitted

    _say_admitted(office.tools)
    told = capsys.readouterr().err
    assert "The language ar is not offered:" in told
    assert "error.title" in told
    found = {one.about: one for one in examine({}, find_package("unemployment_benefit"))}
    assert not found["language ar"].well
    assert "error.title" in found["language ar"].says
    assert found["language en"].well


def test_a_package_with_a_broken_translation_works_in_the_others(
    make_office: MakeOffice, make_package, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(text: str) -> str:
        return text.replace('msgctxt "feature|age|label"', 'msgctxt "x"')

    office = make_office(make_package(english=broken), cases=2)
    case = office.decided(0)
    applicant = office.visitor("applicant", case.id, **{"accept-language": "en"})
    assert applicant.get("/").lang == "en"
    assert applicant.get("/application").lang == "de"
    refused = office.machine("system").get(f"/cases/{case.id}/explanation?language=en")
    check_problem(refused, 406, "language.not_offered")
    # a caseworker who works in English reads the case in German
    caseworker = office.visitor("caseworker", **{"accept-language": "en"})
    assert caseworker.get("/cases").lang == "en"
    assert caseworker.get(f"/cases/{office.cases[1].id}").lang == "de"
    from service.cli import _say_admitted

    _say_admitted(office.tools)
    told = capsys.readouterr().err
    assert "not offered in en" in told
    assert "feature|age|label" in told


# -- what is said -----------------------------------------------------------------------------


def not_there(answer: object) -> list[tuple[str, str, str]]:
    """Language, direction and words of what stands above a page in another language."""
    return [
        (e.attrs.get("lang", ""), e.attrs.get("dir", ""), e.text)
        for e in answer.all("p", class_="w-translation")
        if "lang" in e.attrs
    ]


def test_a_text_that_is_not_there_is_shown_in_german_and_said_to_be(
    make_office: MakeOffice, make_package
) -> None:
    office = make_office(make_package(), cases=1)
    case = office.decided(0)
    words = catalog(language("ar"))
    says = f"{words.sentence('error.language.not_offered')} {words.sentence('told.german_instead')}"
    applicant = office.visitor("applicant", case.id)
    answer = applicant.get("/application?lang=ar")
    assert (answer.lang, answer.one("html").attrs["dir"]) == ("de", "ltr")
    assert not_there(answer) == [("ar", "rtl", says)]
    assert answer.headers["content-language"] == "de"
    assert '<article class="w-told w-told--applicant" lang="de"' in answer.body
    # where it is there nothing is said, and a kept wish is a wish as well
    assert applicant.get("/?lang=ar").lang == "ar"
    assert not_there(applicant.get("/accessibility")) == []
    assert not_there(applicant.get("/application")) == [("ar", "rtl", says)]


def test_a_tag_that_is_none_gets_german_and_words_about_it(standing: Office) -> None:
    german = "Diesen Text gibt es noch nicht in der gewählten Sprache. Hier ist der deutsche Text."
    for asked in ("vi", "de-LS", "xx" * 500, "<b>", "\u202een"):
        answer = standing.visitor().get("/", params={"lang": asked})
        assert not_there(answer) == [("de", "ltr", german)], asked
        assert "<b>" not in answer.body
    answer = standing.visitor(**{"accept-language": "en"}).get("/?lang=vi")
    assert not_there(answer) == [
        ("en", "ltr", catalog(language("en")).sentence("error.language.not_offered"))
    ]
    # by another name of itself it is there
    assert not_there(standing.visitor().get("/?lang=arb")) == []


# a level shares sentences with the German it is a level of
@pytest.mark.parametrize("tag", [tag for tag in languages() if tag.partition("-")[0] != "de"])
def test_every_language_is_whole_on_every_page_for_all(standing: Office, tag: str) -> None:
    applicant = standing.visitor("applicant", standing.cases[0].id)
    for path in ("/", "/accessibility", "/feedback", "/nowhere"):
        answer = applicant.get(f"{path}?lang={tag}")
        check_one_language(standing, answer, tag)
        assert answer.one("html").attrs["dir"] == language(tag).dir


def test_a_translation_stands_beside_a_way_to_the_german_text(standing: Office) -> None:
    applicant = standing.visitor("applicant", standing.cases[0].id)
    for path in ("/", "/application", "/accessibility", "/nowhere"):
        answer = applicant.get(f"{path}?lang=en")
        links = [
            e
            for e in answer.all("a", hreflang="de")
            if "w-languages__link" not in e.attrs.get("class", "")
        ]
        assert len(links) == 1, path
        assert applicant.get(links[0].attrs["href"]).lang == "de"
        # and without one in German itself
        german = applicant.get(f"{path}?lang=de")
        assert len(german.all("a", hreflang="de")) == 1


def test_no_address_of_the_switch_says_more_than_a_language(standing: Office) -> None:
    applicant = standing.visitor("applicant", standing.cases[0].id)
    for link in applicant.get("/application?lang=en&x=1").all("a", class_="w-languages__link"):
        assert re.fullmatch(r"/application\?lang=[a-z-]+", link.attrs["href"])
