"""A day is a day in Germany: at half past midnight there it is today, whatever UTC says."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from offices import Office, decide_by_form
from test_erasing import BASIS, BOTH, run
from visiting import Answer

from explainer.core.days import local_day, recorded_day
from explainer.errors import DayImpossible
from explainer.ledger.entries import EntryKind, minute
from service.erasing import Event, record_event
from service.retention import Daily, plan
from service.retention import read_classes as classes_of
from service.store.cases import CaseFile

WINTER = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)  # 0:30 on the 25th, by the clock on the wall
SUMMER = datetime(2027, 7, 1, 22, 30, tzinfo=UTC)  # 0:30 on the 2nd


def at(office: Office, now: datetime) -> Office:
    object.__setattr__(office.tools, "now", lambda: now)
    return office


def afterwards(office: Office, case: CaseFile, day: str) -> Answer:
    """Enter today, what was decided on paper on this day."""
    action = f"/cases/{case.id}/decision"
    visitor = office.visitor("caseworker")
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    fields = visitor.get(f"/cases/{case.id}").hidden(action)
    return visitor.post(action, {**fields, **form, "entered_afterwards": day})


@pytest.mark.parametrize(
    ("when", "day"),
    [
        (WINTER, date(2026, 11, 25)),
        (WINTER.replace(hour=22, minute=59), date(2026, 11, 24)),
        (SUMMER, date(2027, 7, 2)),
        (SUMMER.replace(hour=21, minute=59), date(2027, 7, 1)),
        (datetime(2027, 3, 28, 1, 30, tzinfo=UTC), date(2027, 3, 28)),
        (datetime(2027, 10, 30, 22, 0, tzinfo=UTC), date(2027, 10, 31)),
    ],
)
def test_a_moment_and_what_is_recorded_of_it_are_on_the_same_day(when: datetime, day: date) -> None:
    assert local_day(when) == recorded_day(minute(when)) == day


@pytest.mark.parametrize(("now", "today"), [(WINTER, "2026-11-25"), (SUMMER, "2027-07-02")])
def test_after_midnight_today_can_be_entered_and_tomorrow_not(
    office: Office, now: datetime, today: str
) -> None:
    at(office, now)
    tomorrow = f"{today[:-1]}{int(today[-1]) + 1}"
    assert afterwards(office, office.cases[0], tomorrow).status == 422
    assert afterwards(office, office.cases[0], today).status == 303
    (decision,) = office.decisions(office.cases[0])
    assert decision.payload is not None
    assert decision.payload["entered_afterwards"] == today


def test_pages_give_one_day_for_what_happened_after_midnight(office: Office) -> None:
    at(office, WINTER)
    caseworker, case = office.visitor("caseworker"), office.cases[0]
    decide_by_form(caseworker, case.id)
    (decision,) = office.decisions(case)
    assert decision.payload is not None
    assert decision.payload["created_at"] == "2026-11-24T23:30Z"
    supervisor = office.visitor("supervisor")
    record = supervisor.post(f"/records/{decision.payload['record_id']}", {"purpose": "audit"})
    for page in (
        caseworker.get(f"/cases/{case.id}"),
        caseworker.get("/own-records"),
        office.visitor("applicant", case.id).get("/application"),
        supervisor.get("/records"),
        record,
    ):
        assert "25. November 2026" in page.text
        assert "24. November 2026" not in page.text


def test_a_case_that_came_in_after_midnight_was_decided_that_day_at_the_earliest(
    office: Office,
) -> None:
    case = office.cases[0]
    office.sql(f"UPDATE case_file SET submitted_at = '2026-11-24T23:30Z' WHERE id = '{case.id}'")
    at(office, datetime(2026, 11, 26, 9, 0, tzinfo=UTC))
    assert afterwards(office, case, "2026-11-24").status == 422
    assert afterwards(office, case, "2026-11-25").status == 303


def test_what_was_shown_after_midnight_took_no_part_in_a_decision_of_the_day_before(
    office: Office,
) -> None:
    at(office, WINTER)
    case = office.cases[0]
    office.visitor("caseworker").get(f"/cases/{case.id}")
    assert afterwards(office, case, "2026-11-24").status == 303
    (decision,) = office.decisions(case)
    assert decision.payload is not None
    assert decision.payload["recommendation_class"] is None


def test_holds_and_times_begin_and_end_on_days_of_the_clock_on_the_wall(office: Office) -> None:
    case, ledger = office.decided(0), office.tools.ledger
    notified = date(2026, 11, 25)
    with pytest.raises(DayImpossible, match="not come yet"):
        record_event(
            ledger, case.case_ref, Event.NOTIFIED, "A", WINTER.replace(hour=22), on=notified
        )
    record_event(ledger, case.case_ref, Event.NOTIFIED, "A", WINTER, on=notified)
    classes = classes_of(None)
    (due,) = (
        one.since
        for one in plan(ledger, classes, date(2050, 1, 1)).due
        if one.name == case.case_ref
    )
    assert (due.month, due.day) == (notified.month, notified.day)
    moments = [WINTER.replace(hour=22), WINTER, WINTER.replace(day=25, hour=22, minute=59)]
    done: list[date] = []

    def task() -> int:
        done.append(local_day(moments[0]))
        return 0

    daily = Daily(task, lambda: moments[0])
    while moments:
        daily.look()
        moments.pop(0)
    assert done == [date(2026, 11, 24), date(2026, 11, 25)]


def test_the_certificate_has_the_day_it_was_done_on(
    office: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = office.decided(0)
    monkeypatch.setattr("service.wiring.the_clock", lambda: WINTER)
    assert run("erase", case.case_ref, *BASIS, *BOTH, data=office.tools) == 0
    assert "Day of deletion:   2026-11-25" in capsys.readouterr().out


def test_an_explanation_is_computed_again_for_the_day_it_was_made_for(office: Office) -> None:
    at(office, WINTER)
    case = office.cases[0]
    office.visitor("caseworker").get(f"/cases/{case.id}")
    (shown,) = office.entries(EntryKind.SHOWN)
    assert shown.payload is not None
    assert shown.payload["explained_on"] == "2026-11-25"
