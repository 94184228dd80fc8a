"""Which language a reader gets, and that it is one language."""

from __future__ import annotations

import re

import pytest
from offices import Office
from visiting import Answer

from explainer.text.catalogs import catalog, source_sentences
from explainer.text.languages import languages
from service.web.language_choice import choose_language

ALL = list(languages().values())


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "de"),
        ("", "de"),
        ("en", "en"),
        ("EN-gb", "en"),
        ("ar-EG,en;q=0.8", "ar"),
        ("vi,en;q=0.5,de;q=0.9", "de"),
        ("vi, en;q=0.5 , ar;q=0.4", "en"),
        ("en;q=0.1,ar;q=0.2", "ar"),
        ("en;q=0", "de"),
        ("en;q=0,ar;q=0", "de"),
        ("*", "de"),
        ("*;q=0.5,en;q=0.4", "en"),
        ("vi,es", "de"),
        # malformed: what cannot be read is as if it were not there
        ("en;q=abc,ar;q=0.1", "ar"),
        ("en;q=nan,ar;q=0.1", "ar"),
        ("en;q=inf,ar;q=0.1", "ar"),
        ("en;q=-1,ar;q=0.1", "ar"),
        ("en;q=2,ar", "ar"),
        (";;;,,,;q=1", "de"),
        ("-", "de"),
        ("en-", "de"),
        ("x" * 10_000, "de"),
        ("en," * 5_000, "en"),
        ("\u0000en", "de"),
        ("<script>", "de"),
        ("../../en", "de"),
    ],
)
def test_the_header_is_read_as_far_as_it_can_be(header: str | None, expected: str) -> None:
    assert choose_language(ALL, asked=None, kept=None, accepted=header).tag == expected


@pytest.mark.parametrize(
    ("asked", "kept", "accepted", "expected"),
    [
        ("en", "ar", "de", "en"),
        ("AR", "en", "de", "ar"),
        ("vi", "ar", "en", "ar"),
        (None, "ar", "en", "ar"),
        (None, "vi", "en", "en"),
        ("", "", "", "de"),
        ("de-LS", None, None, "de"),
        ("en-GB", None, "ar", "ar"),  # a choice is one of those offered, not a wish
    ],
)
def test_what_was_chosen_goes_before_what_was_kept_and_what_is_accepted(
    asked: str | None, kept: str | None, accepted: str | None, expected: str
) -> None:
    assert choose_language(ALL, asked=asked, kept=kept, accepted=accepted).tag == expected


def test_a_choice_is_kept(standing: Office) -> None:
    visitor = standing.visitor(**{"accept-language": "ar"})
    assert visitor.get("/").lang == "ar"
    assert visitor.get("/?lang=en").lang == "en"
    assert visitor.get("/accessibility").lang == "en"
    # a language there is not changes nothing
    assert visitor.get("/?lang=vi").lang == "en"
    assert visitor.get("/").lang == "en"


@pytest.mark.parametrize("kept", ["vi", "", "../en", "x" * 5000, '"', "en; Path=/x"])
def test_a_kept_language_that_is_none_is_ignored(standing: Office, kept: str) -> None:
    answer = standing.visitor().get("/", headers={"cookie": f"warum_lang={kept}"})
    assert answer.status == 200
    assert answer.lang in ("de", "en")


@pytest.mark.parametrize("asked", ["ar", "vi", "de-simple", "", "xx" * 500])
def test_pages_of_staff_are_german_or_english(standing: Office, asked: str) -> None:
    for visitor, path in (
        (standing.visitor("caseworker", **{"accept-language": "ar"}), "/cases"),
        (
            standing.visitor("caseworker", **{"accept-language": "ar"}),
            f"/cases/{standing.cases[1].id}",
        ),
        (standing.visitor("supervisor", **{"accept-language": "ar"}), "/records"),
    ):
        answer = visitor.get(path, params={"lang": asked})
        assert answer.lang == "de"
        offered = {e.attrs["hreflang"] for e in answer.all("a", class_="w-languages__link")}
        assert offered == {"de", "en"}


def test_pages_for_all_are_offered_in_every_language(standing: Office) -> None:
    applicant = standing.visitor("applicant", standing.cases[0].id)
    for path in ("/", "/application", "/accessibility", "/nowhere"):
        answer = applicant.get(path)
        links = answer.all("a", class_="w-languages__link")
        assert [e.attrs["hreflang"] for e in links] == list(languages())
        for link in links:
            tag = link.attrs["hreflang"]
            assert link.attrs["lang"] == tag
            assert link.attrs["dir"] == languages()[tag].dir
            assert link.text == languages()[tag].autonym
            assert applicant.get(link.attrs["href"]).lang == tag
        # the one that is shown is marked, and only that
        current = answer.all("a", class_="w-languages__link", **{"aria-current": "true"})
        assert [e.attrs["hreflang"] for e in current] == [answer.lang]


def test_a_package_that_lacks_a_language_is_not_offered_in_it(make_office, make_package) -> None:
    office = make_office(make_package(), cases=1)
    case = office.decided(0)
    applicant = office.visitor("applicant", case.id, **{"accept-language": "ar,en;q=0.5"})
    answer = applicant.get("/application")
    assert answer.lang == "en"
    offered = {e.attrs["hreflang"] for e in answer.all("a", class_="w-languages__link")}
    assert offered == {"de", "en"}
    # the site around it is Arabic all the same
    assert applicant.get("/accessibility").lang == "ar"
    refused = office.machine("system").get(f"/cases/{case.id}/explanation?language=ar")
    assert refused.status == 406
    assert refused.json()["code"] == "language.not_offered"


@pytest.mark.parametrize("tag", ["en", "ar"])
def test_a_translation_nobody_checked_says_so(standing: Office, tag: str) -> None:
    says = catalog(languages()[tag]).sentence("told.unreviewed")
    applicant = standing.visitor("applicant", standing.cases[0].id)
    for path in ("/", "/application", "/accessibility", "/feedback", "/nowhere"):
        body = applicant.get(f"{path}?lang={tag}").body
        assert says in body.partition("<h1")[0]  # before anything that is translated
        assert body.count(says) == (2 if path == "/application" else 1)  # what is kept says it too
        assert says not in applicant.get(f"{path}?lang=de").body


@pytest.mark.parametrize(
    ("path", "tag"), [("queue", "en"), ("case", "en"), ("records", "en"), ("verify", "en")]
)
def test_a_page_of_staff_that_nobody_checked_says_so(standing: Office, path: str, tag: str) -> None:
    says = catalog(languages()[tag]).sentence("told.unreviewed")
    person = "supervisor" if path == "records" else "caseworker"
    address = {"queue": "/cases", "case": f"/cases/{standing.cases[1].id}"}.get(path, f"/{path}")
    assert standing.visitor(person).get(f"{address}?lang={tag}").body.count(says) == 1


# -- one language -----------------------------------------------------------------------------


def german_sentences() -> dict[str, re.Pattern[str]]:
    """Every German text of the product that cannot be mistaken for another language's.

    What is the same in a translation is no German leaking through: names of standards, a date.
    """
    from babel.messages.pofile import read_po

    from explainer.text.languages import locales_dir

    sources = set(source_sentences().values())
    for name in ("warum.pot", "staff.pot"):
        with (locales_dir() / name).open("rb") as file:
            sources |= {str(message.id) for message in read_po(file) if message.id}
    found = {}
    for source in sources:
        plain = re.sub(r"<[^>]+>", "", source)
        longest = max(re.split(r"\{[^}]*\}|%\([a-z_]+\)s", plain), key=len).strip()
        if len(longest) > 12:
            found[source] = re.compile(re.escape(" ".join(longest.split())))
    assert len(found) > 150
    return found


GERMAN = german_sentences()
# of the agency or German by design: the address of the office, a link to the German page
OUTSIDE = "address"


def words(answer: Answer) -> str:
    """What stands on the page and in its attributes, without what is marked as another language."""
    tag = answer.lang
    said = []
    for element in answer.elements:
        around = [element, *element.inside()]
        other = any(e.attrs.get("lang", tag) != tag or e.tag == OUTSIDE for e in around)
        if not other:
            said += [v for n, v in element.attrs.items() if n in ("title", "alt", "aria-label")]
            said += [v for n, v in element.attrs.items() if n in ("data-l", "placeholder")]
    marked = [
        e.text for e in answer.elements if e.attrs.get("lang", tag) != tag or e.tag == OUTSIDE
    ]
    text = answer.one("html").text
    for own in marked:
        text = text.replace(own, " ")
    return " ".join([text, *said])


def the_same_in(office: Office, tag: str) -> str:
    """All words that belong into this language: a name or a term may be the German one."""
    catalogs = [catalog(languages()[tag], staff=languages()[tag].staff)]
    texts = [text for one in catalogs for group in one._messages.values() for text in group]
    for package in office.tools.packages.values():
        if tag in package.wordings:
            texts += package.wordings[tag].texts.values()
    return "\n".join(texts)


def check_one_language(office: Office, answer: Answer, tag: str) -> None:
    assert answer.lang == tag
    text, fitting = words(answer), the_same_in(office, tag)
    leaked = [
        source
        for source, pattern in GERMAN.items()
        if pattern.search(text) and not pattern.search(fitting)
    ]
    assert leaked == []


@pytest.mark.parametrize("tag", ["en", "ar"])
def test_no_german_of_ours_on_a_page_for_all(standing: Office, tag: str) -> None:
    applicant = standing.visitor("applicant", standing.cases[0].id)
    applicant.get(f"/?lang={tag}")
    for path in ("/", "/application", "/accessibility", "/feedback", "/nowhere", "/cases"):
        check_one_language(standing, applicant.get(path), tag)
    check_one_language(standing, applicant.post("/nowhere", {}), tag)
    check_one_language(standing, applicant.post("/demo/person", {"person": "nobody"}), tag)
    check_one_language(
        standing, applicant.post("/demo/person", {"form_token": "x", "person": "x"}), tag
    )


def test_no_german_of_ours_on_an_english_page_of_staff(standing: Office) -> None:
    caseworker = standing.visitor("caseworker")
    caseworker.get("/?lang=en")
    case = standing.fresh()
    action = f"/cases/{case.id}/decision"
    page = caseworker.get(f"/cases/{case.id}")
    check_one_language(standing, page, "en")
    check_one_language(standing, caseworker.post(action, page.hidden(action)), "en")
    form = {**page.hidden(action), "outcome": "can_be_granted", "relation": "not_used"}
    saved = caseworker.post(action, {**form, "codes": ["E1", "L5", "P5"], "note": "note"})
    check_one_language(standing, caseworker.get(saved.headers["location"]), "en")
    check_one_language(standing, caseworker.post(action, form), "en")
    for path in ("/cases", "/cases?state=decided", "/verify"):
        check_one_language(standing, caseworker.get(path), "en")
    check_one_language(standing, caseworker.post("/verify", {}), "en")

    supervisor = standing.visitor("supervisor")
    supervisor.get("/?lang=en")
    listed = supervisor.get("/records")
    check_one_language(standing, listed, "en")
    check_one_language(standing, supervisor.post("/records", {"period": "soon"}), "en")
    check_one_language(standing, supervisor.post("/records", {"period": "1990-01"}), "en")
    href = listed.all("a", class_="w-list__link")[0].attrs["href"]
    check_one_language(standing, supervisor.get(href), "en")
    check_one_language(standing, supervisor.post(href, {}), "en")
    # what the caseworker was shown is shown as it was: this one in English
    opened = supervisor.post(href, {"purpose": "audit", "purpose_text": "sample"})
    assert opened.status == 200
    check_one_language(standing, opened, "en")


def test_the_check_for_german_finds_german(standing: Office) -> None:
    page = standing.visitor().get("/?lang=de")
    found = [source for source, pattern in GERMAN.items() if pattern.search(words(page))]
    assert len(found) > 10
