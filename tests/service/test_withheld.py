"""Where there is no explanation, nothing is suggested, and the case can be decided all the same."""

from __future__ import annotations

import json
import os
import signal
import time
from copy import copy
from dataclasses import replace
from typing import Any

import pytest
import skops.io
from factories import YES
from offices import MakeOffice, Office, decide_by_form

from explainer import pipeline
from explainer.core.disclosure import Told
from explainer.errors import TextDisagrees
from explainer.families.apart import open_apart
from explainer.ledger.entries import EntryKind
from service.actions import submit
from service.admission import Admitted
from service.demo import SYSTEM
from service.findings import Findings
from service.store.cases import CaseFile

FAILED = "Eine Prüfung ist fehlgeschlagen."


@pytest.fixture
def small_office(make_office: MakeOffice, make_package: Any) -> Office:
    return make_office(make_package())


def with_package(office: Office, package: Any, **changes: Any) -> Office:
    """The same office with another package in force, as if it had been swapped while running."""
    admission = copy(office.tools.admission)
    admission.state = Admitted({package.manifest.id: package}, {}, done=True)
    tools = replace(office.tools, admission=admission, findings=Findings(20.0), **changes)
    return Office(tools, office.cases)


def check_withheld(office: Office, case: CaseFile, code: str, says: str) -> None:
    """No suggestion on the page or in the entry, the form is there, and the decision is taken."""
    visitor, before = office.visitor("caseworker"), office.size()
    page = visitor.get(f"/cases/{case.id}")
    assert page.status == 200
    assert says in page.text
    assert not page.all("p", class_="w-suggestion")
    assert not page.all("li", class_="w-reason")
    assert not page.all("table", class_="xb-table")
    outcomes = office.tools.packages[case.package_id].wordings["de"].part("outcome")
    for key, words in outcomes.items():
        if "suggested" in key:
            assert words not in page.text
    (entry,) = office.entries(since=before)
    assert entry.payload["withheld"] == code
    assert entry.payload["recommendation_class"] is None
    assert not {"margin", "probability", "contributions", "reasons"} & set(entry.payload)
    assert entry.payload["told"] in page.body

    action = f"/cases/{case.id}/decision"
    form = {**page.hidden(action), "outcome": "check_more_closely", "codes": ["M6"]}
    refused = visitor.post(action, {**form, "relation": "agree"})
    assert refused.status == 422
    assert set(refused.errors()) == {"relation"}
    assert visitor.post(action, {**form, "relation": "not_used"}).status == 303
    (decided,) = office.decisions(case)
    assert decided.payload["recommendation_class"] is None
    assert decided.payload["withheld"] == code
    assert decided.payload["relation"] == "not_used"

    # neither is anything suggested to the person whose case it is, nor to those who look later
    applicant = office.visitor("applicant", case.id).get("/application")
    assert applicant.status == 200
    supervisor = office.visitor("supervisor")
    record = supervisor.post(
        f"/records/{decided.payload['record_id']}",
        {"purpose": "audit", "purpose_text": "Stichprobe"},
    )
    assert record.status == 200
    assert "Es gab keinen Vorschlag." in record.text
    assert says in record.text
    for answer in (applicant, record):
        for key, words in outcomes.items():
            if "suggested" in key:
                assert words not in answer.text


def test_a_score_the_running_system_did_not_give(small_office: Office) -> None:
    golden = next(iter(small_office.tools.packages.values())).golden[20]
    case = submit(
        {**golden.case, "ref": "T-other", "reported": {"margin": golden.margins[0] + 0.5}},
        SYSTEM,
        small_office.tools,
    )
    check_withheld(small_office, case, "explanation.score_differs", FAILED)
    right = submit(
        {**golden.case, "ref": "T-right", "reported": {"margin": golden.margins[0]}},
        SYSTEM,
        small_office.tools,
    )
    page = small_office.visitor("caseworker").get(f"/cases/{right.id}")
    assert page.all("p", class_="w-suggestion")


def test_a_case_outside_of_what_the_model_knows(standing: Office) -> None:
    """Three values beyond the range of training: then nothing is suggested to anyone."""
    package = standing.tools.packages["unemployment_benefit"]
    values = json.loads(json.dumps(package.golden[0].case["values"]))
    beyond = [f for f in package.catalogue if f.trained and f.hard and f.trained[1] < f.hard[1]]
    assert len(beyond) >= 3
    for count in (2, 3):
        given = dict(values)
        for feature in beyond[:count]:
            given[feature.name] = feature.hard[1]
        case = submit(
            {"ref": f"OUT-{count}", "package": "unemployment_benefit", "values": given},
            SYSTEM,
            standing.tools,
        )
        if count == 3:
            says = "Das Programm kennt solche Anträge nicht."
            check_withheld(standing, case, "explanation.outside_experience", says)
        else:
            page = standing.visitor("caseworker").get(f"/cases/{case.id}")
            assert page.all("p", class_="w-suggestion")


def test_a_model_that_fails(small_office: Office, small_model: Any) -> None:
    """The process of the model ends in the middle of the day: one explanation is missing."""
    package = next(iter(small_office.tools.packages.values()))
    model = open_apart("skops", small_model.data, package.catalogue, YES, pause=600)
    assert model.process is not None
    os.kill(model.process, signal.SIGKILL)
    broken = replace(package, explained=replace(package.explained, model=model))
    office = with_package(small_office, broken)
    check_withheld(office, office.cases[0], "explanation.model_failed", FAILED)
    # it cost one explanation: the same case in an office whose model works is explained
    page = with_package(small_office, package).visitor("caseworker")
    assert page.get(f"/cases/{office.cases[1].id}").all("p", class_="w-suggestion")


def test_a_text_that_says_another_thing(small_office: Office) -> None:
    """The agency's sentences for and against became the same after admission: what is read back
    from the page is no longer what the numbers say."""
    package = next(iter(small_office.tools.packages.values()))
    german = package.wordings["de"]
    ambiguous = dict(german.texts)
    for key in german.texts:
        if "|reason|check_more_closely" in key:
            ambiguous[key] = ambiguous[key.replace("check_more_closely", "can_be_granted")]
    assert ambiguous != german.texts
    lying = replace(german, texts=ambiguous)
    office = with_package(
        small_office, replace(package, wordings={**package.wordings, "de": lying})
    )
    check_withheld(office, office.cases[0], TextDisagrees.code, FAILED)


def test_where_even_that_text_is_refused_one_sentence_is_left(
    small_office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template that says too much where nothing is explained: the page has a fixed sentence
    instead, which is recorded, and the case can be decided."""
    package = next(iter(small_office.tools.packages.values()))
    suggested = package.wordings["de"]["outcome|can_be_granted|suggested_staff"]
    rendered = pipeline.RENDER["html"]

    def talkative(sentences: Any, language: Any) -> Told:
        told = rendered(sentences, language)
        if sentences.withheld is None:
            return replace(told, body=told.body.replace(b"</h2>", b"!</h2>"))
        more = f"<p>{suggested}</p></article>".encode()
        return replace(told, body=told.body.replace(b"</article>", more))

    monkeypatch.setitem(pipeline.RENDER, "html", talkative)
    check_withheld(small_office, small_office.cases[0], TextDisagrees.code, FAILED)
    applicant = small_office.visitor("applicant", small_office.cases[0].id).get("/application")
    assert package.wordings["de"]["contact|phone"] in applicant.text.replace("\u00a0", " ")
    assert suggested not in applicant.text


def test_an_explanation_that_is_not_ready(make_office: MakeOffice, make_package: Any) -> None:
    office = make_office(make_package(), deadline=0.0)
    says = "Die Erklärung ist noch nicht fertig. Sie können ohne sie entscheiden."
    visitor, case = office.visitor("caseworker"), office.cases[0]
    page = visitor.get(f"/cases/{case.id}")
    assert says in page.text
    assert FAILED not in page.text, "no check failed: it is only late"
    entry = office.entries(EntryKind.SHOWN)[-1]
    assert entry.payload["withheld"] == "explanation.pending"
    assert entry.payload["recommendation_class"] is None
    assert not page.all("p", class_="w-suggestion")
    action = f"/cases/{case.id}/decision"
    form = {**page.hidden(action), "outcome": "check_more_closely", "codes": ["M6"]}
    assert visitor.post(action, {**form, "relation": "not_used"}).status == 303
    (decided,) = office.decisions(case)
    assert decided.payload["withheld"] == "explanation.pending"


def test_a_late_explanation_is_there_later(make_office: MakeOffice, make_package: Any) -> None:
    office = make_office(make_package(), deadline=0.0)
    visitor = office.visitor("caseworker")
    path = f"/cases/{office.cases[0].id}"
    assert not visitor.get(path).all("p", class_="w-suggestion")
    for _ in range(1000):
        page = visitor.get(path)
        if page.all("p", class_="w-suggestion"):
            break
        time.sleep(0.05)
    assert page.all("p", class_="w-suggestion")


def test_a_package_that_is_gone_leaves_its_cases_decidable(
    make_office: MakeOffice, make_package: Any
) -> None:
    """A package taken out of force lends its words; it explains nothing any more."""
    first = make_office(make_package(), cases=2)
    decided = first.decided(0)
    first.tools.close()
    other = make_package(
        "other_benefit",
        manifest=lambda text: text.replace('id = "small', 'id = "other'),
    )
    office = make_office(other, cases=0)
    assert "T-001" in office.visitor("caseworker").get("/cases").text
    case, before = first.cases[1], office.size()
    visitor = office.visitor("caseworker")
    page = visitor.get(f"/cases/{case.id}")
    assert page.status == 200
    assert not page.all("p", class_="w-suggestion")
    (entry,) = office.entries(since=before)
    assert entry.payload["recommendation_class"] is None
    assert entry.payload["withheld"]
    action = f"/cases/{case.id}/decision"
    form = {**page.hidden(action), "outcome": "can_be_granted", "codes": ["M6"]}
    assert visitor.post(action, {**form, "relation": "not_used"}).status == 303
    # what was decided under it is still told with it
    told = office.visitor("applicant", decided.id).get("/application")
    assert told.all("p", class_="w-suggestion")
    assert decided.case_ref in office.visitor("supervisor").get("/records").text


def test_the_api_says_that_it_is_withheld_and_nothing_more(small_office: Office) -> None:
    golden = next(iter(small_office.tools.packages.values())).golden[0]
    case = submit(
        {**golden.case, "ref": "T-other", "reported": {"margin": 99.0}}, SYSTEM, small_office.tools
    )
    decide_by_form(small_office.visitor("caseworker"), case.id)
    for role, audience in (("caseworker", "caseworker"), ("system", "applicant")):
        answer = small_office.machine(role).get(f"/cases/{case.id}/explanation?audience={audience}")
        assert answer.status == 200
        form = answer.json()
        assert form["withheld"] == {"code": "explanation.score_differs"}
        assert set(form) == {
            "schema",
            "audience",
            "language",
            "media_type",
            "case",
            "withheld",
            "text",
            "entry",
        }


def test_the_small_model_is_read_anew_each_time(small_model: Any) -> None:
    """So that breaking one in memory breaks no other test."""
    assert skops.io.dumps(small_model.pipeline)
