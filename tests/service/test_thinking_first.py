"""Where a package asks for it, a person says what they think before they know the suggestion."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from kinds import AMOUNT, THREE, write_kind
from offices import NOON, MakeOffice, Office, decide_by_form
from test_erasing import on_both
from visiting import Answer, check_problem

from explainer.text.catalogs import catalog
from explainer.text.languages import language
from service.store.cases import CaseFile
from service.verification import verify_files

Think = Callable[..., Office]


def think_first(text: str) -> str:
    return text.replace("[suggestion]\n", "[suggestion]\nthink_first = true\n")


@pytest.fixture
def thinking(make_office: MakeOffice, make_package: Callable[..., Path]) -> Office:
    return make_office(make_package(manifest=think_first))


def shown(office: Office, case: CaseFile) -> list[Any]:
    return [
        one
        for one in office.entries()
        if one.leaf.type == "shown" and one.payload["case_ref"] == case.case_ref
    ]


@on_both
def test_until_then_no_page_and_no_answer_holds_a_trace_of_the_suggestion(
    thinking: Office,
) -> None:
    office, case = thinking, thinking.cases[0]
    caseworker, machine = office.visitor("caseworker"), office.machine("caseworker")
    first = caseworker.get(f"/cases/{case.id}")
    explanation = f"/cases/{case.id}/explanation?audience=caseworker"
    check_problem(machine.get(explanation), 403, "decision.assessment_missing")
    assert shown(office, case) == []
    assert not first.all("p", class_="w-suggestion")
    assert not first.all("p", class_="w-suggestion")
    assert "Einfluss:" not in first.text
    assert not first.hidden(f"/cases/{case.id}/decision")
    action = f"/cases/{case.id}/assessment"
    sent = {**first.hidden(action), "outcome": "check_more_closely"}
    answer = caseworker.post(action, sent)
    assert (answer.status, answer.headers["location"]) == (303, f"/cases/{case.id}")
    # sent again, the same; and the suggestion is there
    assert caseworker.post(action, sent).status == 303
    after = caseworker.get(f"/cases/{case.id}")
    assert after.all("p", class_="w-suggestion")
    assert machine.get(explanation).status == 200
    decide_by_form(caseworker, case.id)
    (entry,) = office.decisions(case)
    assert entry.payload["initial_assessment"] == "check_more_closely"
    assessed = [e for e in office.entries() if (e.payload or {}).get("event") == "assessed"]
    assert [e.payload["initial_assessment"] for e in assessed] == ["check_more_closely"]
    assert assessed[0].leaf.seq < shown(office, case)[0].leaf.seq < entry.leaf.seq
    page = caseworker.get(f"/cases/{case.id}")
    assert "Erste Einschätzung, vor dem Vorschlag" in page.text
    record = office.visitor("supervisor").post(
        f"/records/{entry.payload['record_id']}", {"purpose": "audit"}
    )
    assert "Erste Einschätzung, vor dem Vorschlag" in record.text
    assert all(result.clean for result in verify_files(office.tools))


def assess_by_api(office: Office, case: CaseFile, outcome: str, key: str) -> Answer:
    path = f"/cases/{case.id}/assessments"
    return office.machine("caseworker").post(path, {"outcome": outcome}, key=key)


def test_an_assessment_is_given_once_and_never_changed(thinking: Office) -> None:
    case, key = thinking.cases[0], "a random key of a request"
    check_problem(assess_by_api(thinking, case, "granted", key), 422, "decision.faulty")
    first = assess_by_api(thinking, case, "not_sure", key)
    assert first.status == 201
    assert assess_by_api(thinking, case, "not_sure", key).json() == first.json()
    check_problem(
        assess_by_api(thinking, case, "can_be_granted", key), 409, "ledger.idempotency_conflict"
    )
    late = assess_by_api(thinking, case, "can_be_granted", f"{key} 2")
    check_problem(late, 409, "decision.suggestion_outdated")
    visitor = thinking.visitor("caseworker")
    by_form = visitor.post(f"/cases/{case.id}/assessment", {"outcome": "can_be_granted"})
    assert by_form.status == 409
    assert "schon eine Einschätzung" in by_form.one("div", id="fehler").text
    decide_by_form(visitor, case.id)
    assert thinking.decisions(case)[0].payload["initial_assessment"] == "not_sure"
    assert "noch nicht sicher" in visitor.get(f"/cases/{case.id}").text


def test_a_form_under_the_key_of_another_comes_back_and_says_so(thinking: Office) -> None:
    visitor = thinking.visitor("caseworker")
    first, second = thinking.cases[:2]
    forms = {}
    for case in (first, second):
        action = f"/cases/{case.id}/assessment"
        forms[case.id] = {**visitor.get(f"/cases/{case.id}").hidden(action), "outcome": "not_sure"}
    assert visitor.post(f"/cases/{first.id}/assessment", forms[first.id]).status == 303
    taken = {**forms[second.id], "idempotency_key": forms[first.id]["idempotency_key"]}
    answer = visitor.post(f"/cases/{second.id}/assessment", taken)
    assert answer.status == 409
    told = catalog(language("de"), staff=True).sentence("staff.error.ledger.idempotency_conflict")
    assert told in answer.text
    assert not answer.all("p", class_="w-suggestion")
    assert shown(thinking, second) == []


def test_of_two_at_once_one_is_recorded(thinking: Office) -> None:
    case = thinking.cases[0]
    assess_by_api(thinking, case, "nothing", "a random key of a request")
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda at: assess_by_api(thinking, case, "not_sure", f"a random key of {at:09}"),
                range(4),
            )
        )
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409]


@pytest.mark.parametrize("tag", ["de", "en"])
def test_an_assessment_that_is_none_is_asked_for_again(thinking: Office, tag: str) -> None:
    case, visitor = thinking.cases[0], thinking.visitor("caseworker")
    page = visitor.get(f"/cases/{case.id}?lang={tag}")
    assert not [e for e in page.all("input") if "checked" in e.attrs]
    action = f"/cases/{case.id}/assessment"
    for outcome in ("", "granted"):
        answer = visitor.post(action, {**page.hidden(action), "outcome": outcome})
        assert (answer.status, set(answer.errors())) == (422, {"outcome"})
    assert shown(thinking, case) == []


def test_a_decision_sent_too_early_comes_back_with_the_question(thinking: Office) -> None:
    case, visitor = thinking.cases[0], thinking.visitor("caseworker")
    answer = visitor.post(f"/cases/{case.id}/decision", {"note": "Frau Keller"})
    assert (answer.status, set(answer.errors())) == (422, {"outcome"})
    assert answer.hidden(f"/cases/{case.id}/assessment")
    assert shown(thinking, case) == []


def test_who_never_asked_for_the_suggestion_can_decide_without_it(thinking: Office) -> None:
    """Casework goes on: no assessment, no suggestion, a decision."""
    case = thinking.cases[0]
    form = {"outcome": "can_be_granted", "relation": "agree", "codes": ["A1"]}
    path, machine = f"/cases/{case.id}/decisions", thinking.machine("caseworker")
    check_problem(machine.post(path, form, key="a random key of a request"), 422)
    form |= {"relation": "not_used", "codes": ["P5"]}
    assert machine.post(path, form, key="a random key of a request").status == 201
    (entry,) = thinking.decisions(case)
    assert entry.payload["initial_assessment"] is None
    assert entry.payload["recommendation_class"] is None
    # afterwards nobody is asked any more
    assert thinking.visitor("caseworker").get(f"/cases/{case.id}").all("p", class_="w-suggestion")


def test_supervision_reads_that_the_suggestion_was_seen_between_decision_and_correction(
    thinking: Office,
) -> None:
    """Whoever decides without it, looks, and then corrects was not thinking first."""
    case, caseworker = thinking.cases[0], thinking.visitor("caseworker")
    machine = thinking.machine("caseworker")
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    first = machine.post(f"/cases/{case.id}/decisions", form, key="a random key of one").json()
    assert caseworker.get(f"/cases/{case.id}").all("p", class_="w-suggestion")
    correction = f"/cases/{case.id}/correction"
    for _ in range(2):
        sent = {**caseworker.get(correction).hidden(correction), **form}
        assert caseworker.post(correction, sent).status == 303
    records = [one.payload for one in thinking.decisions(case)]
    assert [one["initial_assessment"] for one in records] == [None] * 3
    assert [one["recommendation_class"] is None for one in records] == [True, False, False]
    assert records[0]["record_id"] == first["record"]
    supervisor = thinking.visitor("supervisor")
    said = "Vor dieser Korrektur war der Vorschlag zu sehen."
    # only of the one between which and the decision before it the suggestion was seen
    assert [
        said in supervisor.post(f"/records/{one['record_id']}", {"purpose": "audit"}).text
        for one in records
    ] == [False, True, False]


def test_a_correction_without_the_suggestion_is_not_said_to_know_it(thinking: Office) -> None:
    case, machine = thinking.cases[0], thinking.machine("caseworker")
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    path = f"/cases/{case.id}/decisions"
    first = machine.post(path, form, key="a random key of one").json()["record"]
    second = machine.post(path, {**form, "corrects": first}, key="a random key of two").json()
    record = thinking.visitor("supervisor").post(
        f"/records/{second['record']}", {"purpose": "audit"}
    )
    assert "Diese Entscheidung korrigiert eine frühere." in record.text
    assert "Vor dieser Korrektur war der Vorschlag zu sehen." not in record.text


def test_what_was_assessed_after_a_decision_on_paper_came_not_before_it(thinking: Office) -> None:
    early, late = thinking.cases[:2]
    tools, day = thinking.tools, NOON.date().isoformat()
    on_paper = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["P5"]}
    assess_by_api(thinking, early, "not_sure", f"a random key {early.id}")
    object.__setattr__(tools, "now", lambda: NOON + timedelta(days=1))
    assess_by_api(thinking, late, "not_sure", f"a random key {late.id}")
    for case, assessed in ((early, "not_sure"), (late, None)):
        path = f"/cases/{case.id}/decisions"
        sent = {**on_paper, "entered_afterwards": day}
        answer = thinking.machine("caseworker").post(path, sent, key=f"another key {case.id}")
        assert answer.status == 201
        assert thinking.decisions(case)[0].payload["initial_assessment"] == assessed


def test_where_a_suggestion_was_seen_before_nobody_is_asked_for_a_first_assessment(
    make_office: MakeOffice, make_package: Callable[..., Path]
) -> None:
    before = make_office(make_package("one/small_benefit"))
    case = before.cases[0]
    visitor = before.visitor("caseworker")
    assert visitor.get(f"/cases/{case.id}").all("p", class_="w-suggestion")
    before.tools.close()
    later = make_office(
        make_package(
            "two/small_benefit",
            manifest=lambda text: think_first(text).replace('"1.0.0"', '"1.1.0"', 1),
        )
    )
    seen, unseen = later.cases[:2]
    assert seen.id == case.id
    visitor = later.visitor("caseworker")
    assert visitor.get(f"/cases/{seen.id}").all("p", class_="w-suggestion")
    assert not visitor.get(f"/cases/{unseen.id}").all("p", class_="w-suggestion")
    late = assess_by_api(later, seen, "not_sure", "a random key of a request")
    check_problem(late, 409, "decision.suggestion_outdated")


@pytest.mark.parametrize(
    ("kind", "sent", "recorded", "wrong"),
    [
        (AMOUNT, {"amount": "1.200,50"}, "1200.50", {"amount": "viel"}),
        (AMOUNT, {"outcome": "not_sure"}, "not_sure", {"amount": ""}),
        (THREE, {"outcome": "talk"}, "talk", {"outcome": "1200"}),
    ],
)
def test_several_outcomes_and_amounts_are_assessed_as_they_are_decided(
    make_office: MakeOffice,
    tmp_path: Path,
    kind: Any,
    sent: dict[str, str],
    recorded: str,
    wrong: dict[str, str],
) -> None:
    folder = write_kind(tmp_path / kind.name, kind)
    manifest = folder / "manifest.toml"
    manifest.write_text(think_first(manifest.read_text()))
    office = make_office(folder)
    case, visitor = office.cases[0], office.visitor("caseworker")
    action = f"/cases/{case.id}/assessment"
    fields = visitor.get(f"/cases/{case.id}").hidden(action)
    refused = visitor.post(action, {**fields, **wrong})
    assert (refused.status, set(refused.errors())) == (422, set(wrong))
    assert visitor.post(action, {**fields, **sent}).status == 303
    assessed = [e.payload for e in office.entries() if (e.payload or {}).get("event") == "assessed"]
    assert [one["initial_assessment"] for one in assessed] == [recorded]
    assert visitor.get(f"/cases/{case.id}").hidden(f"/cases/{case.id}/decision")


def test_nothing_of_an_assessment_is_logged(thinking: Office, logged: io.StringIO) -> None:
    case = thinking.cases[0]
    answer = assess_by_api(thinking, case, "check_more_closely", "a random key of a request")
    assert answer.status == 201
    assert "check_more_closely" not in logged.getvalue()
    assert case.case_ref not in logged.getvalue()
