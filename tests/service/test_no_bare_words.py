"""Every word on every page comes from a catalog: shown in a made-up language, none is bare."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from babel.dates import get_month_names
from offices import Office, decide_by_form, demo_settings, open_office
from pseudo import TAG_OF_IT, speaking, spoken
from visiting import Answer, Element

from explainer.packages.bundled import find_package
from explainer.text.languages import language
from explainer.text.render import environment
from service.admission import Admitted
from service.web.pages import TEMPLATES

SPOKEN_ATTRIBUTES = ("aria-label", "title", "alt", "placeholder", "data-l")
DATA = ("bdi", "code", "textarea", "output")
"""What these hold is of the case, of the agency or of the records."""

MONTHS = set(get_month_names("wide", locale="en_GB").values())
ALLOWED = {"Warum", "months", *MONTHS}
"""The product's name, and what CLDR says."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("pseudo")
    with spoken(folder / "locales"):
        first = speaking(find_package("unemployment_benefit"), folder / "unemployment_benefit")
        second = speaking(
            find_package("mortgage_guarantee"),
            folder / "mortgage_guarantee",
            ("[suggestion]\n", "[suggestion]\nthink_first = true\n"),
        )
        opened = open_office(demo_settings(folder / "data", first, second), 12)
        decide_by_form(opened.visitor("caseworker"), opened.case_of("unemployment_benefit").id)
        opened.tools.seals.now()
        yield opened
        opened.tools.close()


def outside_brackets(text: str) -> str:
    """What of `text` stands in no brackets, which may stand in one another."""
    before = None
    while before != text:
        before, text = text, re.sub(r"⟦[^⟦⟧]*⟧", " ", text)
    return text


def own_words(answer: Answer) -> list[str]:
    """Words and attributes that must come from a catalog, each with the element it stands in."""
    found = []
    for element in answer.elements:
        around = [element, *element.inside()]
        if any(map(apart, around)):
            continue
        found += [element.attrs[name] for name in SPOKEN_ATTRIBUTES if name in element.attrs]
    marked = [e for e in answer.elements if apart(e) and not any(map(apart, e.inside()))]
    text = "".join(answer.one("html").words)
    for own in sorted(("".join(element.words) for element in marked), key=len, reverse=True):
        text = text.replace(own, " ", 1)
    return [*found, text]


def apart(element: Element) -> bool:
    other = element.attrs.get("lang", TAG_OF_IT) != TAG_OF_IT
    return other or element.tag in DATA or element.attrs.get("class") == "w-code"


def bare(answer: Answer) -> list[str]:
    assert answer.lang == TAG_OF_IT
    said = " ".join(outside_brackets(text) for text in own_words(answer))
    return sorted(set(re.findall(r"[^\W\d_]{2,}", said)) - ALLOWED)


def pages(office: Office) -> Iterator[tuple[str, Answer]]:
    asked = f"?lang={TAG_OF_IT}"
    first = office.case_of("unemployment_benefit").id
    applicant = office.visitor("applicant", first)
    for path in ("/", "/application", "/accessibility", "/feedback", "/nowhere"):
        yield f"public {path}", applicant.get(path + asked)
    links = applicant.get("/application").all("a", class_="kern-link")
    href = next(e.attrs["href"] for e in links if "/receipts/" in e.attrs["href"])
    yield "public receipt", applicant.get(href + asked)

    caseworker = office.visitor("caseworker")
    case = office.case_of("unemployment_benefit", 1)
    action = f"/cases/{case.id}/decision"
    yield "queue", caseworker.get("/cases" + asked)
    yield "decided", caseworker.get("/cases", params={"state": "decided", "lang": TAG_OF_IT})
    opened = caseworker.get(f"/cases/{case.id}{asked}")
    yield "case", opened
    yield "case with errors", caseworker.post(action, opened.hidden(action))
    form = {**opened.hidden(action), "outcome": "can_be_granted", "relation": "not_used"}
    form |= {"codes": ["E1", "L5", "P5"], "note": "12/3"}
    saved = caseworker.post(action, form)
    yield "decision saved", caseworker.get(saved.headers["location"])
    yield "own records", caseworker.get("/own-records" + asked)
    yield "verify", caseworker.get("/verify" + asked)
    yield "verified", caseworker.post("/verify", caseworker.get("/verify").hidden("/verify"))
    decided = caseworker.get(f"/cases/{first}{asked}")
    yield "decided case", decided
    for link in decided.all("a"):
        if "/receipts/" in link.attrs.get("href", ""):
            receipt = caseworker.get(link.attrs["href"] + asked)
            if receipt.is_page:
                yield "staff receipt", receipt

    thinking = office.case_of("mortgage_guarantee")
    action = f"/cases/{thinking.id}/assessment"
    asked_first = caseworker.get(f"/cases/{thinking.id}{asked}")
    yield "assessment", asked_first
    yield "no assessment", caseworker.post(action, asked_first.hidden(action))
    caseworker.post(action, {**asked_first.hidden(action), "outcome": "not_sure"})
    yield "case after assessment", caseworker.get(f"/cases/{thinking.id}")

    supervisor = office.visitor("supervisor")
    listed = supervisor.get("/records" + asked)
    yield "records", listed
    yield "no such period", supervisor.post("/records", {"period": "soon"})
    href = listed.all("a", class_="w-list__link")[0].attrs["href"]
    asking = supervisor.get(href)
    yield "purpose", asking
    yield "purpose missing", supervisor.post(href, asking.hidden(href))
    form = {**asking.hidden(href), "purpose": "audit", "purpose_text": "12/3"}
    yield "record", supervisor.post(href, form)

    operator = office.visitor("operator")
    yield "operation", operator.get("/operation" + asked)


def hardly_reached(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Answer]]:
    """Pages of a moment: before anybody decided, and while packages are being admitted."""
    case = office.fresh()
    monkeypatch.setattr("service.routes.demo.decided_cases", lambda _: [case])
    applicant = office.visitor("applicant", case.id)
    yield "waiting", applicant.get(f"/application?lang={TAG_OF_IT}")
    caseworker = office.visitor("caseworker")
    opened = caseworker.get(f"/cases/{case.id}?lang={TAG_OF_IT}")
    monkeypatch.setattr(office.tools.admission, "state", Admitted({}, {}, done=False))
    yield "starting", caseworker.get(f"/cases/{case.id}")
    action = f"/cases/{case.id}/decision"
    yield "starting, with a form", caseworker.post(action, opened.hidden(action))
    yield "start", caseworker.get("/")


def test_no_word_on_any_page_is_outside_the_catalogs(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for name, answer in (*pages(office), *hardly_reached(office, monkeypatch)):
        assert answer.is_page, f"{name}: {answer.status} {answer.body[:200]}"
        found[name] = bare(answer)
    assert {name: words for name, words in found.items() if words} == {}
    row = language(TAG_OF_IT)
    rendered = {
        name
        for staff in (False, True)
        for _, name in environment(row, staff=staff, extra=TEMPLATES).cache
    }
    made = {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")}
    assert made - rendered == set()


def test_a_word_outside_the_catalogs_is_found(office: Office) -> None:
    german = office.visitor("caseworker").get("/cases?lang=de")
    german.one("html").attrs = {**german.one("html").attrs, "lang": TAG_OF_IT}
    assert {"Antrag", "Protokoll"} & set(bare(german))
