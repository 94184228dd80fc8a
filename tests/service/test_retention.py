"""Records go when their time is over, not a day sooner, and never past a legal hold."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from offices import NOON, MakeOffice, Office
from test_erasing import BOTH, on_both, run, traces_in

from explainer.errors import DayImpossible, ErasureRefused, SettingsInvalid, StorageFailed
from explainer.ledger.entries import EntryKind
from explainer.ledger.log import LogName
from service.cli import _daily
from service.cli_erasing import EVENTS
from service.erasing import Event, record_event
from service.retention import (
    CLASSES,
    Daily,
    RetentionClass,
    add_months,
    plan,
    read_classes,
    retain,
)
from service.store.cases import get_case
from service.verification import verify_files

APPROVERS = ("Anna Berg", "Jan Ott")
TODAY = NOON.date()
SHORT = {**CLASSES, "case_file": RetentionClass(13, 13, "Aktenplan 7.3")}


@pytest.fixture
def office(make_office: MakeOffice, make_package: Callable[[], Path]) -> Office:
    office = make_office(make_package())
    office.decided(0)
    return office


def event(office: Office, what: Event, on: date, at: int = 0) -> None:
    ledger, ref = office.tools.ledger, office.cases[at].case_ref
    record_event(ledger, ref, what, "Eva Lind", _noon(on), on=on, reason="Klage")


def _noon(day: date) -> datetime:
    return NOON + (day - TODAY)


def due(office: Office, day: date, classes: dict[str, RetentionClass] = SHORT) -> list[str]:
    return [one.name for one in plan(office.tools.ledger, classes, day).due]


NOTIFIED, FINAL, CLOSED = Event.NOTIFIED, Event.FINAL, Event.CLOSED


@on_both
@pytest.mark.parametrize(
    ("months", "events", "first"),
    [
        (120, {CLOSED: "2027-02-01"}, "2037-02-01"),  # the default of the class
        (120, {NOTIFIED: "2026-11-23", CLOSED: "2028-02-29"}, "2038-02-28"),
        (13, {NOTIFIED: "2026-11-30"}, "2027-12-30"),  # 13 months after notification
        (13, {NOTIFIED: "2026-11-30", FINAL: "2027-01-31"}, "2028-02-29"),
        (13, {FINAL: "2027-06-15", NOTIFIED: "2026-12-01"}, "2028-07-15"),
        (13, {NOTIFIED: "2026-11-30", Event.OBJECTION: "2027-05-01"}, "2027-12-30"),
        (13, {Event.REMEDY: "2027-05-01", Event.COURT: "2028-05-01"}, None),
        (13, {}, None),  # no day to run from: never
    ],
)
def test_the_time_of_a_case_runs_from_the_newest_day_and_ends_on_that_day(
    months: int, events: dict[Event, str], first: str | None, office: Office
) -> None:
    for what, on in events.items():
        event(office, what, date.fromisoformat(on))
    classes = {**CLASSES, "case_file": RetentionClass(months, 13, "Aktenplan")}
    ref = office.cases[0].case_ref
    if first is None:
        assert due(office, date(2126, 1, 1), classes) == []
        return
    day = date.fromisoformat(first)
    assert due(office, day - timedelta(days=1), classes) == []
    assert due(office, day, classes) == [ref]
    before = office.size()
    assert retain(office.tools.ledger, classes, APPROVERS, _noon(day - timedelta(days=1))) == 0
    assert office.size() == before
    assert retain(office.tools.ledger, classes, APPROVERS, _noon(day)) == 1
    assert retain(office.tools.ledger, classes, APPROVERS, _noon(day)) == 0
    with office.tools.store.reading() as tx:
        assert get_case(tx, office.cases[0].id) is None
        assert get_case(tx, office.cases[1].id) is not None
    assert all(result.clean for result in verify_files(office.tools))


@on_both
def test_a_month_of_the_access_log_goes_twelve_months_after_its_last_day(office: Office) -> None:
    supervisor = office.visitor("supervisor")
    record = (office.decisions(office.cases[0])[0].payload or {})["record_id"]
    page = supervisor.get(f"/records/{record}")
    action = f"/records/{record}"
    answer = supervisor.post(action, {**page.hidden(action), "purpose": "audit"})
    assert answer.status in (200, 303), answer.body
    assert office.size(LogName.ACCESS) == 1
    assert due(office, date(2027, 11, 30)) == []
    assert due(office, date(2027, 12, 1)) == ["2026-11"]
    traces = [row[0] for row in office.sql("SELECT ciphertext FROM payload WHERE log = 'access'")]
    assert retain(office.tools.ledger, SHORT, APPROVERS, _noon(date(2027, 12, 1))) == 1
    assert traces_in(office.tools.settings.data, tuple(traces)) == []  # type: ignore[arg-type]
    with office.tools.store.reading() as tx:
        assert get_case(tx, office.cases[0].id) is not None  # looked up, not erased
    assert office.decisions(office.cases[0])
    results = {result.log: result for result in verify_files(office.tools)}
    assert results["access"].clean
    assert results["access"].counts["ERASED"] == 1
    # the erasure's own month goes in its turn, and what it covers stays accounted for
    assert due(office, date(2029, 1, 1)) == ["2027-12"]
    assert retain(office.tools.ledger, SHORT, APPROVERS, _noon(date(2029, 1, 1))) == 1
    assert all(result.clean for result in verify_files(office.tools))


@on_both
def test_a_hold_stands_above_every_time_until_it_is_released(office: Office) -> None:
    event(office, CLOSED, TODAY)
    day = date(2030, 1, 1)
    event(office, Event.HOLD, TODAY)
    planned = plan(office.tools.ledger, SHORT, day)
    assert (planned.due, [one.name for one in planned.on_hold]) == (
        (),
        [office.cases[0].case_ref],
    )
    assert retain(office.tools.ledger, SHORT, APPROVERS, _noon(day)) == 0
    event(office, Event.RELEASE, TODAY)
    assert due(office, day) == [office.cases[0].case_ref]


@on_both
def test_a_case_put_on_hold_while_others_are_erased_stays(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in (0, 1):
        event(office, CLOSED, TODAY, at)
    day = date(2030, 1, 1)
    last = due(office, day)[-1]
    at = next(n for n, case in enumerate(office.cases) if case.case_ref == last)

    def meanwhile(erased: object) -> None:
        event(office, Event.HOLD, TODAY, at)

    assert retain(office.tools.ledger, SHORT, APPROVERS, _noon(day), meanwhile) == 1
    with office.tools.store.reading() as tx:
        assert get_case(tx, office.cases[at].id) is not None


@on_both
def test_a_class_nobody_set_a_time_for_stays_and_is_named(office: Office) -> None:
    event(office, CLOSED, TODAY)
    classes = {"other": RetentionClass(13, 13, "x"), "access_log": CLASSES["access_log"]}
    planned = plan(office.tools.ledger, classes, date(2100, 1, 1))
    assert planned.due == ()
    assert planned.without_rule["case_file"] >= 1


@on_both
def test_the_command_lists_without_deleting_then_deletes_with_certificates(
    office: Office,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools, ref = office.tools, office.cases[0].case_ref
    event(office, CLOSED, TODAY)
    event(office, CLOSED, TODAY, 1)
    event(office, Event.HOLD, TODAY, 1)
    monkeypatch.setattr("service.wiring.the_clock", lambda: _noon(date(2036, 11, 23)))
    size, told = office.size(), (tmp_path / "certificates")
    assert run("retain", "--dry-run", data=tools) == 0
    said = capsys.readouterr().out
    assert f"{ref}: case_file, due since 2036-11-23" in said
    assert f"{office.cases[1].case_ref}: case_file, due since 2036-11-23, but on legal hold" in said
    assert "1 would go. Nothing was changed." in said
    for value in ("Eva Lind", "Klage", office.cases[0].values_json):
        assert value not in said
    assert office.size() == size
    assert run("retain", data=tools) == 1
    assert "Two different people" in capsys.readouterr().err
    assert run("retain", *BOTH, "--certificates", told, data=tools) == 0
    (certificate,) = told.iterdir()
    assert "expires on 2036-12-23." in certificate.read_text()
    (rules,) = office.entries(EntryKind.POLICY)
    assert (rules.payload or {})["rules"]["case_file"]["months"] == 120  # type: ignore[index, call-overload]
    assert office.entries(EntryKind.ERASURE)
    # the same rules are recorded once
    event(office, Event.RELEASE, TODAY, 1)
    assert run("retain", *BOTH, data=tools) == 0
    assert len(office.entries(EntryKind.POLICY)) == 1
    assert len(office.entries(EntryKind.ERASURE)) == 2


@pytest.mark.parametrize("what", EVENTS)
def test_what_happened_to_a_case_is_recorded_sealed(what: str, office: Office) -> None:
    case = office.cases[0]
    event(office, Event(what), TODAY)
    entry = office.entries(EntryKind.FOLLOW_UP)[-1]
    assert entry.payload is not None
    assert (entry.payload["event"], entry.payload["on"]) == (what, f"{TODAY}")
    assert entry.payload["case_ref"] == case.case_ref
    # any three letters may come of what is sealed or drawn by lot
    drawn = {"record_id", *(name for name in entry.payload if name.startswith("actor"))}
    told = {name: said for name, said in entry.payload.items() if name not in drawn}
    assert "Eva" not in str(told)
    assert "Eva" not in entry.payload.values()
    assert what.encode() not in entry.leaf.to_bytes()


def test_days_that_cannot_be_are_refused(office: Office) -> None:
    with pytest.raises(DayImpossible, match="not come yet"):
        record_event(
            office.tools.ledger,
            office.cases[0].case_ref,
            CLOSED,
            "Eva",
            NOON,
            on=TODAY + timedelta(days=1),
        )
    with pytest.raises(DayImpossible, match="not been submitted"):
        event(office, CLOSED, TODAY - timedelta(days=1))


@pytest.mark.parametrize(
    "text",
    [
        "[case_file]\nmonths = 12\nbasis = 'x'",  # below 13 months
        "[access_log]\nmonths = 5\nbasis = 'x'",
        "[other]\nmonths = 12\nbasis = 'x'",
        "[case_file]\nmonths = 13.0\nbasis = 'x'",
        "[case_file]\nmonths = true\nbasis = 'x'",
        "[case_file]\nmonths = 9999\nbasis = 'x'",
        "[case_file]\nmonths = 13",
        "[case_file]\nmonths = 13\nbasis = ''",
        "[case_file]\nmonths = 13\nbasis = 'x'\nmore = 1",
        "case_file = 13",
        "[[[",
    ],
)
def test_a_table_below_the_minimum_or_malformed_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "retention.toml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid):
        read_classes(path)
    path.write_text("[sgb3]\nmonths = 60\nbasis = 'Aktenplan 4'\n")
    assert read_classes(path)["sgb3"].months == 60
    assert read_classes(path)["case_file"].months == 120


def test_what_is_done_daily_is_done_once_a_day_and_again_after_a_failure() -> None:
    clock, runs, fail = [NOON], [], [False]

    def task() -> int:
        runs.append(clock[0])
        if fail[0]:
            raise StorageFailed("x", "y", "z")
        return 0

    daily = Daily(task, lambda: clock[0])
    for hours in (0, 1, 10):
        clock[0] = NOON + timedelta(hours=hours)
        daily.look()
    assert len(runs) == 1
    clock[0], fail[0] = NOON + timedelta(hours=11), True  # midnight in Germany
    daily.look()
    daily.look()
    fail[0] = False
    daily.look()
    daily.look()
    assert len(runs) == 4


@on_both
def test_the_service_itself_erases_only_where_two_people_approved_that(office: Office) -> None:
    from dataclasses import replace

    event(office, CLOSED, TODAY)
    day = _noon(date(2036, 11, 23))
    tools = replace(office.tools, now=lambda: day)
    assert _daily(tools.settings, tools) is None
    with pytest.raises(ErasureRefused):
        _daily(replace(tools.settings, retain_by=("Anna Berg",)), tools)
    daily = _daily(replace(tools.settings, retain_by=APPROVERS), tools)
    assert daily is not None
    daily.close()  # after its first look
    assert len(office.entries(EntryKind.ERASURE)) == 1


def test_months_are_counted_to_the_last_day_of_a_shorter_one() -> None:
    assert add_months(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert add_months(date(2027, 11, 30), 3) == date(2028, 2, 29)
    assert add_months(date(2026, 12, 15), 1) == date(2027, 1, 15)
    assert add_months(date(2027, 1, 15), -13) == date(2025, 12, 15)
