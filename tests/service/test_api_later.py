"""The JSON API after a decision: what happened to the case, and receipts that programs keep."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from offices import NOON, Office
from test_receipts import alone, key_of, shown
from visiting import check_problem

from explainer.core.days import recorded_day
from explainer.core.disclosure import Audience
from explainer.ledger.entries import EntryKind
from service import sealing
from service.cli_erasing import EVENTS
from service.erasing import HAPPENED
from service.retention import forecast
from service.store.cases import CaseFile
from service.store.records import entries_of_case

KEY = "a random key of later things"
TODAY = recorded_day("2026-11-23T12:00Z")


def events(office: Office, case: CaseFile) -> list[dict[str, object]]:
    with office.tools.store.reading() as tx:
        entries = entries_of_case(tx, case.id, EntryKind.FOLLOW_UP)
    return [dict(one.payload or {}) for one in entries]


def said(event: str = "notified", on: object = TODAY) -> dict[str, str]:
    return {"event": event, "on": str(on)}


def test_commands_and_programs_know_the_same_events(standing: Office) -> None:
    description = standing.machine(None).get("/openapi.json").json()
    offered = description["components"]["schemas"]["EventIn"]["properties"]["event"]["enum"]
    assert tuple(offered) == EVENTS == tuple(one.value for one in HAPPENED)


@pytest.mark.parametrize("role", ["system", "caseworker"])
def test_what_happened_to_a_case_is_recorded_once(standing: Office, role: str) -> None:
    case, machine = standing.fresh(), standing.machine(role)
    path = f"/cases/{case.id}/events"
    answers = [machine.post(path, said(), key=f"{KEY} {role}") for _ in range(2)]
    assert [one.status for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert set(answers[0].json()) == {"entry", "leaf_hash"}
    (recorded,) = events(standing, case)
    assert (recorded["event"], recorded["on"]) == ("notified", str(TODAY))
    assert recorded["role"] == role
    assert "api-" not in str(recorded)
    assert case.case_ref not in str(answers[0].json())
    # another thing under the same key is refused, also of another
    for form in (said("final"), said(on=TODAY - timedelta(1))):
        problem = machine.post(path, form, key=f"{KEY} {role}")
        check_problem(problem, 409, "ledger.idempotency_conflict")
    assert machine.post(path, said("objection"), key=f"{KEY} {role} too").status == 201
    assert [one["event"] for one in events(standing, case)] == ["notified", "objection"]


def test_the_time_to_keep_a_case_runs_from_what_a_program_recorded(standing: Office) -> None:
    case = standing.fresh()

    def runs_out() -> date | None:
        with standing.tools.store.reading() as tx:
            entries = entries_of_case(tx, case.id, EntryKind.FOLLOW_UP)
        return forecast(entries, "case_file", None, TODAY)

    assert runs_out() is None
    sent = standing.machine("system").post(f"/cases/{case.id}/events", said("closed"), key=KEY)
    assert sent.status == 201
    assert runs_out() is not None


def test_a_hold_is_nothing_a_program_gives_or_lifts(standing: Office) -> None:
    case = standing.fresh()
    for event in ("hold", "release", "assessed", "", "court "):
        answer = standing.machine("system").post(
            f"/cases/{case.id}/events", said(event), key=f"{KEY} {event}"
        )
        check_problem(answer, 422, "request.invalid")
    assert events(standing, case) == []


@pytest.mark.parametrize(
    ("on", "code"),
    [
        (TODAY + timedelta(1), "decision.day_impossible"),
        (date(2001, 1, 1), "decision.day_impossible"),
        ("2026-02-30", "request.invalid"),
        ("23.11.2026", "request.invalid"),
        ("", "request.invalid"),
    ],
)
def test_a_day_on_which_nothing_can_have_happened_is_refused(
    standing: Office, on: object, code: str
) -> None:
    case = standing.cases[1]
    answer = standing.machine("system").post(f"/cases/{case.id}/events", said(on=on), key=KEY + "d")
    check_problem(answer, 422, code)
    assert events(standing, case) == []


def test_what_happened_needs_a_key_of_its_own_and_nothing_else(standing: Office) -> None:
    path, machine = f"/cases/{standing.cases[1].id}/events", standing.machine("system")
    for key in (None, "short"):
        answer = machine.post(path, said(), key=key)
        check_problem(answer, 400, "request.idempotency_key_missing")
    for form in ({**said(), "by": "Frau M."}, {"event": "final"}, {"on": str(TODAY)}, []):
        check_problem(machine.post(path, form, key=KEY + "f"), 422, "request.invalid")
    assert events(standing, standing.cases[1]) == []


def test_of_another_units_case_nothing_is_recorded_and_nothing_is_said(standing: Office) -> None:
    other = standing.case_of("small_benefit")
    size = standing.size()
    for case_id in (other.id, "nowhere"):
        answer = standing.machine("caseworker").post(
            f"/cases/{case_id}/events", said(), key=f"{KEY} {case_id}"
        )
        check_problem(answer, 404, "case.not_found")
    for role in ("supervisor", None):
        answer = standing.machine(role).post(f"/cases/{other.id}/events", said(), key=KEY + "r")
        check_problem(answer, 403, "access.not_allowed")
    assert standing.size() == size


# -- receipts ---------------------------------------------------------------------------------


def test_a_program_gets_the_receipt_of_a_decision_and_others_can_check_it(
    standing: Office, tmp_path: Path
) -> None:
    case, machine = standing.fresh(), standing.machine("caseworker")
    seen = machine.get(f"/cases/{case.id}/explanation?audience=caseworker").json()
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    decided = machine.post(
        f"/cases/{case.id}/decisions", {**form, "shown": seen["entry"]}, key=f"{KEY} {case.id}"
    ).json()
    standing.tools.seals.now()
    size = standing.size()
    path = f"/cases/{case.id}/receipts/{decided['entry']}?audience=caseworker"
    answer = machine.get(path)
    assert answer.status == 200
    assert answer.headers["content-disposition"].startswith('attachment; filename="warum-')
    receipt = answer.response.content
    code, told = alone(tmp_path, key_of(standing), receipt, None)
    assert code == 0, told
    assert f"index {decided['entry']}\n".encode() in receipt
    assert standing.size() == size, "asking leaves no entry"


def test_a_program_gets_receipts_of_its_own_audience_only(standing: Office) -> None:
    case = standing.cases[0]
    standing.visitor("applicant", case.id).get("/application")
    standing.tools.seals.now()
    (decision, *_) = standing.decisions(case)
    mine = shown(standing, case, Audience.APPLICANT).leaf.seq
    theirs = shown(standing, case, Audience.CASEWORKER).leaf.seq
    system, caseworker = standing.machine("system"), standing.machine("caseworker")
    base = f"/cases/{case.id}/receipts"
    assert system.get(f"{base}/{mine}").status == 200
    for entry in (decision.leaf.seq, theirs):
        assert caseworker.get(f"{base}/{entry}?audience=caseworker").status == 200
        check_problem(system.get(f"{base}/{entry}"), 404, "case.not_found")
    for path in (
        f"{base}/{mine}?audience=caseworker",
        f"{base}/999999?audience=caseworker",
        f"/cases/{standing.cases[2].id}/receipts/{theirs}?audience=caseworker",
        f"/cases/{standing.case_of('small_benefit').id}/receipts/{theirs}?audience=caseworker",
        f"/cases/nowhere/receipts/{theirs}?audience=caseworker",
    ):
        check_problem(caseworker.get(path), 404, "case.not_found")
    for machine, audience in ((system, "caseworker"), (caseworker, "applicant")):
        answer = machine.get(f"{base}/{mine}?audience={audience}")
        check_problem(answer, 403, "access.not_allowed")
    check_problem(standing.machine("supervisor").get(f"{base}/{mine}"), 403, "access.not_allowed")
    for wrong in ("-1", "first", decision.receipt.leaf_hash.hex()):
        check_problem(caseworker.get(f"{base}/{wrong}"), 422, "request.invalid")


def test_before_a_head_is_signed_a_program_is_told_to_ask_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = office.cases[0]
    office.tools.seals.now()
    monkeypatch.setattr(sealing, "LOOK", 3600.0)
    for quiet in ("soon", "later"):
        monkeypatch.setattr(office.tools.seals, quiet, lambda name: None)
    machine = office.machine("caseworker")
    entry = machine.get(f"/cases/{case.id}/explanation?audience=caseworker").json()["entry"]
    path = f"/cases/{case.id}/receipts/{entry}?audience=caseworker"
    answer = machine.get(path)
    check_problem(answer, 503, "receipt.pending")
    assert int(answer.headers["retry-after"]) > 0
    office.tools.seals.now()
    assert machine.get(path).status == 200
    assert NOON.date() == TODAY
