"""A decision is never changed: a correction is a new record that names the one it takes over."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pytest
from offices import NOON, Office, decide_by_form
from test_erasing import BASIS, BOTH, on_both, run
from visiting import Answer, Visitor, check_problem

from explainer.errors import RecordsDisagree
from explainer.ledger.entries import EntryKind
from service.actions import Shown, show
from service.erasing import Event, held, record_event
from service.open_case import sealed_decision
from service.retention import CLASSES, RetentionClass, plan
from service.routes import applicant
from service.store import records
from service.store.cases import CaseFile, get_case
from service.verification import verify_files

FORM = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
OTHER = {"outcome": "check_more_closely", "relation": "not_used", "codes": ["D2"]}


def correct(visitor: Visitor, case: CaseFile, **changes: object) -> Answer:
    """Open the form for a correction and send it."""
    action = f"/cases/{case.id}/correction"
    return visitor.post(action, {**visitor.get(action).hidden(action), **OTHER, **changes})


def everywhere_clean(office: Office) -> bool:
    return all(result.clean for result in verify_files(office.tools))


def records_of(office: Office, case: CaseFile) -> list[dict[str, Any]]:
    """The case's lines in supervision's list, newest first."""
    found = office.machine("supervisor").get("/records").json()["records"]
    return [one for one in found if one["ref"] == case.case_ref]


@on_both
def test_a_correction_takes_over_and_what_it_corrects_stays_readable(office: Office) -> None:
    case = office.decided(0)
    caseworker = office.visitor("caseworker")
    before = caseworker.get(f"/cases/{case.id}")
    assert before.all("a", href=f"/cases/{case.id}/correction#entscheidung")
    answer = correct(caseworker, case, note="Mietvertrag lag doch vor.")
    assert (answer.status, answer.headers["location"]) == (303, f"/cases/{case.id}?saved=1")

    first, second = office.decisions(case)
    assert first.payload["corrects"] is None
    assert second.payload["corrects"] == first.payload["record_id"]
    assert set(first.payload) == set(second.payload)
    assert (first.payload["human_outcome"], second.payload["human_outcome"]) == (
        "can_be_granted",
        "check_more_closely",
    )
    page = caseworker.get(f"/cases/{case.id}")
    section = page.one("section", class_="w-decision--done")
    assert "Diese Entscheidung korrigiert eine frühere." in section.text
    assert "Mietvertrag lag doch vor." in section.text
    (earlier,) = [e for e in page.all("details") if "Frühere Entscheidung" in e.text]
    assert first.receipt.leaf_hash.hex() in earlier.text
    assert second.receipt.leaf_hash.hex() not in earlier.text
    assert everywhere_clean(office)


@on_both
def test_the_applicant_is_told_what_holds_and_since_when(office: Office) -> None:
    case = office.decided(0)
    applicant = office.visitor("applicant", case.id)
    before = applicant.get("/application")
    assert "Korrigiert am" not in before.text
    assert correct(office.visitor("caseworker"), case).status == 303
    after = applicant.get("/application")
    assert "Korrigiert am" in after.text
    assert before.one("p", class_="w-outcome").text != after.one("p", class_="w-outcome").text
    for tag, words in (("en", "Corrected on"), ("ar", "تاريخ التصحيح")):
        assert words in applicant.get(f"/application?lang={tag}").text


def test_of_a_correction_in_that_moment_the_page_says_all_or_nothing(
    standing: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, caseworker = standing.fresh(), standing.visitor("caseworker")
    decide_by_form(caseworker, case.id)
    visitor = standing.visitor("applicant", case.id)

    def corrected_first(*asked: Any) -> Shown:
        assert correct(caseworker, case).status == 303
        return show(*asked)

    monkeypatch.setattr(applicant, "show", corrected_first)
    page = visitor.get("/application")
    monkeypatch.undo()
    after = visitor.get("/application")
    assert page.one("article", class_="w-told").text == after.one("article", class_="w-told").text
    assert page.one("p", class_="w-outcome").text == after.one("p", class_="w-outcome").text
    assert "Korrigiert am" in page.text


@on_both
def test_supervision_sees_both_linked_and_marked(office: Office) -> None:
    case = office.decided(0)
    assert correct(office.visitor("caseworker"), case).status == 303
    newer, older = records_of(office, case)
    assert (newer["corrects"], newer["correction"]) == (older["record"], None)
    assert (older["corrects"], older["correction"]) == (None, newer["record"])
    supervisor = office.visitor("supervisor")
    page = supervisor.get("/records")
    assert page.all("a", class_="kern-link", href=f"/records/{newer['record']}")
    assert page.all("a", class_="kern-link", href=f"/records/{older['record']}")
    opened = supervisor.post(f"/records/{older['record']}", {"purpose": "audit"})
    assert "Diese Entscheidung gilt nicht mehr." in opened.text
    assert opened.all("a", href=f"/records/{newer['record']}")
    opened = supervisor.post(f"/records/{newer['record']}", {"purpose": "audit"})
    assert "Diese Entscheidung korrigiert eine frühere." in opened.text
    assert opened.all("a", href=f"/records/{older['record']}")


def test_a_correction_can_be_corrected_and_the_chain_is_one_line(standing: Office) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    decide_by_form(visitor, case.id)
    for _ in range(3):
        assert correct(visitor, case).status == 303
    chain = [one.payload for one in standing.decisions(case)]
    assert [one["corrects"] for one in chain] == [None, *(one["record_id"] for one in chain[:-1])]
    page = visitor.get(f"/cases/{case.id}")
    assert len([e for e in page.all("details") if "Frühere Entscheidung" in e.text]) == 3


def test_the_form_of_a_correction_asks_for_the_same_and_chooses_nothing(standing: Office) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    first = visitor.get(f"/cases/{case.id}")
    decide_by_form(visitor, case.id)
    again = visitor.get(f"/cases/{case.id}/correction")

    def asked(page: Answer) -> list[tuple[str, bool]]:
        fields = [e for e in page.elements if e.tag in ("input", "textarea")]
        return [
            (e.attrs["name"], "required" in e.attrs)
            for e in fields
            if e.attrs.get("type") != "hidden"
        ]

    assert asked(first) == asked(again)
    assert not [e for e in again.all("input") if "checked" in e.attrs]
    assert again.hidden(f"/cases/{case.id}/correction")["corrects"]
    faulty = visitor.post(
        f"/cases/{case.id}/correction", again.hidden(f"/cases/{case.id}/correction")
    )
    assert faulty.status == 422
    assert set(faulty.errors()) == {"outcome", "relation", "codes"}
    assert faulty.hidden(f"/cases/{case.id}/correction")["corrects"]


def test_an_open_case_has_nothing_to_correct(standing: Office) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    page = visitor.get(f"/cases/{case.id}/correction")
    assert page.hidden(f"/cases/{case.id}/decision")
    answer = standing.machine("caseworker").post(
        f"/cases/{case.id}/decisions", {**FORM, "corrects": "nothing"}, key=f"key {case.id} open"
    )
    check_problem(answer, 409, "decision.suggestion_outdated")
    assert not standing.decisions(case)


def test_the_api_corrects_by_naming_the_record(standing: Office) -> None:
    case, machine = standing.fresh(), standing.machine("caseworker")
    path = f"/cases/{case.id}/decisions"
    first = machine.post(path, FORM, key=f"key {case.id} 1").json()
    elsewhere = standing.fresh()
    other = machine.post(
        f"/cases/{elsewhere.id}/decisions", FORM, key=f"key {elsewhere.id} 1"
    ).json()
    for named in (None, "unknown", other["record"]):
        answer = machine.post(path, {**OTHER, "corrects": named}, key=f"key {case.id} {named}")
        check_problem(answer, 409, "decision.suggestion_outdated")
    sent = {**OTHER, "corrects": first["record"]}
    second = machine.post(path, sent, key=f"key {case.id} 2")
    assert second.status == 201
    assert machine.post(path, sent, key=f"key {case.id} 2").json() == second.json()
    # whoever comes with the old record is told that it no longer holds
    late = machine.post(path, sent, key=f"key {case.id} 3")
    check_problem(late, 409, "decision.suggestion_outdated")
    check_problem(
        machine.post(path, {**sent, "corrects": second.json()["record"]}, key=f"key {case.id} 2"),
        409,
        "ledger.idempotency_conflict",
    )
    assert len(standing.decisions(case)) == 2


@on_both
def test_of_corrections_at_once_one_is_recorded_and_the_others_are_told(office: Office) -> None:
    case = office.decided(0)
    record = office.decisions(case)[0].payload["record_id"]
    path = f"/cases/{case.id}/decisions"

    def send(at: int) -> Answer:
        sent = {**OTHER, "corrects": record}
        return office.machine("caseworker").post(path, sent, key=f"a key of its own {at}")

    office.machine("caseworker").post(path, {}, key="a key of its own")
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]
    for answer in answers:
        if answer.status == 409:
            check_problem(answer, 409, "decision.suggestion_outdated")
    assert len(office.decisions(case)) == 2
    assert everywhere_clean(office)


def test_who_is_late_by_the_form_keeps_what_was_entered(standing: Office) -> None:
    case, one, two = standing.fresh(), *(standing.visitor("caseworker") for _ in range(2))
    decide_by_form(one, case.id)
    action = f"/cases/{case.id}/correction"
    fields = two.get(action).hidden(action)
    assert correct(one, case).status == 303
    late = two.post(action, {**fields, **OTHER, "note": "Zweiter Blick"})
    assert late.status == 409
    assert late.errors()
    assert "Zweiter Blick" in late.one("textarea", id="note").text
    # the form that came back corrects what holds now
    again = two.post(action, {**late.hidden(action), **OTHER, "note": "Zweiter Blick"})
    assert again.status == 303
    assert len(standing.decisions(case)) == 3


BROKEN = {
    "entry": "BEFORE INSERT ON entry",
    "record": "BEFORE INSERT ON decision_record",
    "key": "BEFORE INSERT ON idempotency",
}


@pytest.mark.parametrize("at", BROKEN)
def test_a_correction_that_cannot_be_recorded_leaves_the_old_one_in_force(
    standing: Office, at: str
) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    decide_by_form(visitor, case.id)
    action = f"/cases/{case.id}/correction"
    fields = {**visitor.get(action).hidden(action), **OTHER}
    standing.sql(f"CREATE TRIGGER broken {BROKEN[at]} BEGIN SELECT RAISE(ABORT, 'no'); END")
    try:
        assert visitor.post(action, fields).status == 503
    finally:
        standing.sql("DROP TRIGGER broken")
    assert len(standing.decisions(case)) == 1
    assert len(records_of(standing, case)) == 1
    assert visitor.post(action, fields).status == 303


# -- what the tables say, and what was sealed ----------------------------------------------------

CHANGED = {
    "the correction is gone": "DELETE FROM decision_record WHERE corrects = '{first}'",
    "it corrects nothing": "UPDATE decision_record SET corrects = NULL "
    "WHERE record_id = '{second}'",
    "the first is gone": "DELETE FROM decision_record WHERE record_id = '{first}'",
    "the correction and its link are gone": "DELETE FROM case_entry WHERE seq = "
    "(SELECT seq FROM decision_record WHERE corrects = '{first}');"
    "DELETE FROM decision_record WHERE corrects = '{first}'",
    "its link is gone": "DELETE FROM case_entry WHERE seq = "
    "(SELECT seq FROM decision_record WHERE corrects = '{first}')",
    "nothing was ever decided": "DELETE FROM case_entry WHERE case_id = '{case}';"
    "DELETE FROM decision_record WHERE case_id = '{case}';"
    "UPDATE case_file SET state = 'open' WHERE id = '{case}'",
    "the correction is another case's": "UPDATE case_entry SET case_id = '{other}' WHERE seq = "
    "(SELECT seq FROM decision_record WHERE corrects = '{first}');"
    "DELETE FROM decision_record WHERE corrects = '{first}'",
    "its payload is gone as well, its link is not": "DELETE FROM payload WHERE seq = "
    "(SELECT seq FROM decision_record WHERE corrects = '{first}');"
    "DELETE FROM decision_record WHERE corrects = '{first}'",
    "it goes the other way": "UPDATE decision_record SET corrects = CASE record_id "
    "WHEN '{first}' THEN '{second}' END WHERE record_id IN ('{first}', '{second}')",
}


@pytest.mark.parametrize("name", CHANGED)
@on_both
def test_tables_that_tell_another_chain_are_believed_by_nobody(office: Office, name: str) -> None:
    case = office.decided(0)
    caseworker = office.visitor("caseworker")
    assert correct(caseworker, case).status == 303
    applicant = office.visitor("applicant", case.id)
    first, second = (one.payload["record_id"] for one in office.decisions(case))
    named = {"first": first, "second": second, "case": case.id, "other": office.cases[1].id}
    office.tamper(*CHANGED[name].format(**named).split(";"))
    for visitor, path in (
        (caseworker, f"/cases/{case.id}"),
        (applicant, "/application"),
    ):
        assert visitor.get(path).status == 500
    assert not everywhere_clean(office)
    with office.tools.store.reading() as tx:
        file = get_case(tx, case.id)
        assert file is not None
        with pytest.raises(RecordsDisagree):
            sealed_decision(tx, file)


# -- keeping and erasing -------------------------------------------------------------------------


@on_both
def test_a_corrected_case_is_erased_as_a_whole(office: Office) -> None:
    case = office.decided(0)
    assert correct(office.visitor("caseworker"), case).status == 303
    assert run("erase", case.case_ref, *BASIS, *BOTH, data=office.tools) == 0
    with office.tools.store.reading() as tx:
        assert get_case(tx, case.id) is None
    assert office.sql("SELECT count(*) FROM decision_record") == [(0,)]
    assert everywhere_clean(office)


@on_both
def test_a_hold_holds_a_corrected_case_and_time_runs_on(office: Office) -> None:
    case, tools = office.decided(0), office.tools
    today = date(2029, 1, 1)
    soon = {**CLASSES, "case_file": RetentionClass(13, 13, "Test")}
    record_event(tools.ledger, case.case_ref, Event.NOTIFIED, "Anna Berg", NOON, on=NOON.date())
    record_event(tools.ledger, case.case_ref, Event.HOLD, "Anna Berg", NOON, reason="Klage")
    assert correct(office.visitor("caseworker"), case).status == 303
    with tools.store.reading() as tx:
        assert held(records.entries_of_case(tx, case.id))
    planned = plan(tools.ledger, soon, today)
    assert [one.name for one in planned.on_hold] == [case.case_ref]
    # what the record forecast is what the retention goes by, under the classes in force
    corrected = office.decisions(case)[-1].payload
    assert corrected["erase_after"] == "2036-11-23"
    assert run("erase", case.case_ref, *BASIS, *BOTH, data=tools) != 0
    assert len(office.decisions(case)) == 2


@on_both
def test_what_was_just_corrected_is_kept_as_long_as_what_was_just_decided(office: Office) -> None:
    case, tools = office.decided(0), office.tools
    soon = {**CLASSES, "case_file": RetentionClass(13, 13, "Test")}
    record_event(tools.ledger, case.case_ref, Event.NOTIFIED, "Anna Berg", NOON, on=NOON.date())
    later = datetime(2027, 12, 22, 12, 0, tzinfo=UTC)
    object.__setattr__(tools, "now", lambda: later)
    assert correct(office.visitor("caseworker"), case).status == 303
    assert office.decisions(case)[-1].payload["erase_after"] == "2037-12-22"
    for day, due in (
        (date(2027, 12, 23), []),
        (date(2029, 1, 21), []),
        (date(2029, 1, 22), [case]),
    ):
        planned = plan(tools.ledger, soon, day)
        assert [one.name for one in planned.due if not one.access] == [c.case_ref for c in due]


def test_a_correction_cannot_be_told_from_a_first_decision_by_its_leaf(standing: Office) -> None:
    case, visitor = standing.fresh(), standing.visitor("caseworker")
    decide_by_form(visitor, case.id)
    assert correct(visitor, case).status == 303
    first, second = (json.loads(one.receipt.leaf) for one in standing.decisions(case))
    assert {key for key in first if first[key] != second[key]} <= {"seq", "commit", "ct", "idem"}
    assert first["type"] == second["type"] == EntryKind.DECISION
