"""How long records are kept: classes with a shortest time by law and a time of the agency's own.

The time of a case runs from the newest of the days it was notified, final and closed; without one
of them it is never due. A month of the access log is due when its last day lies back long enough.
"""

from __future__ import annotations

import calendar
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from explainer.core.days import local_day
from explainer.errors import (
    CaseNotFound,
    ErasureRefused,
    ExplainerError,
    LedgerError,
    RecordsDisagree,
    SettingsInvalid,
    StorageFailed,
)
from explainer.ledger.entries import Entry, EntryKind, Json
from explainer.ledger.log import case_key_name
from service.erasing import STARTS, Erased, erase_case, erase_month, held
from service.events import log
from service.store.astray import Astray, check_none_gone, check_none_hidden, find_astray
from service.store.cases import CaseFile, case_with_id, find_case_by_ref, part_of_cases
from service.store.database import Reading, Store
from service.store.erasure import finish_erasures, months_of_access
from service.store.of_case import of_case
from service.store.records import (
    OpenedEntry,
    decided_day,
    entries_of_case,
    last_policy,
    open_entries,
    record_system,
)
from service.store.sealed import ERASED, Damaged
from service.wiring import Ledger

SHORTEST = 13
"""Months from the newest of those days. By law a record is kept for 13 months after notification
and for 3 after it became final, whichever ends later: this is never less."""

ACCESS_LOG = "access_log"
PART = 50
"""Cases that are read in one moment. On SQLite whoever wants to commit waits that long."""


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """How long, on what legal basis; `minimum` is the shortest an agency may set."""

    months: int
    minimum: int
    basis: str


CLASSES: Mapping[str, RetentionClass] = {
    "case_file": RetentionClass(120, SHORTEST, "§ 84 Abs. 2 SGB X, Frist der Akte"),
    ACCESS_LOG: RetentionClass(12, 6, "Art. 5 Abs. 1 Buchst. e DSGVO, Zugriffsprotokoll"),
}
"""Of a fresh installation; an agency sets its own by its file plan."""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to go: a case by its number, or a month of the access log; and since when."""

    name: str
    of_class: str
    since: date
    access: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is due, what would be but is on hold, classes nobody set a time for, and old cases
    that cannot be read, so that nobody knows whether they are due."""

    due: tuple[Due, ...]
    on_hold: tuple[Due, ...]
    without_rule: Mapping[str, int]
    damaged: tuple[Damaged, ...] = ()
    astray: Astray = field(default_factory=Astray)


def read_classes(path: Path | None) -> dict[str, RetentionClass]:
    """Read an agency's table. Raises SettingsInvalid, also where a time is below the minimum."""
    classes = dict(CLASSES)
    if path is None:
        return classes
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        raise _invalid("The file cannot be read, or is no TOML.", str(path)) from None
    for name, row in table.items():
        minimum = CLASSES[name].minimum if name in CLASSES else SHORTEST
        where = f"{path}, [{name}]"
        if not isinstance(row, dict) or set(row) != {"months", "basis"}:
            raise _invalid("A class has exactly months and basis.", where)
        months, basis = row["months"], row["basis"]
        if type(months) is not int or not minimum <= months <= 1200:
            raise _invalid(f"The time is no whole number of {minimum} to 1200 months.", where)
        if not isinstance(basis, str) or not 0 < len(basis.strip()) <= 200:
            raise _invalid("The legal basis is no text of at most 200 characters.", where)
        classes[name] = RetentionClass(months, minimum, basis)
    return classes


def plan(ledger: Ledger, classes: Mapping[str, RetentionClass], today: date) -> Plan:
    """Say what is due today; changes nothing.

    Cases are read part by part, each in a moment of its own: whoever writes has a turn in between.
    Where some are due, it is looked for what was recorded of them and lies elsewhere in the tables.
    Raises RecordsDisagree where a legal hold of any case may be gone.
    """
    due: list[Due] = []
    on_hold: list[Due] = []
    damaged: list[Damaged] = []
    without_rule: dict[str, int] = {}
    for file, entries in _cases_before(ledger.store, old_enough_before(classes, today)):
        if isinstance(file, Damaged):
            damaged.append(file)
            continue
        of_class = _class_of(entries)
        if of_class not in classes or of_class == ACCESS_LOG:
            without_rule[of_class] = without_rule.get(of_class, 0) + 1
            continue
        since = due_on(entries, classes[of_class])
        if since is not None and since <= today:
            one = Due(file.case_ref, of_class, since)
            (on_hold if held(entries) else due).append(one)
    astray = find_astray(ledger.store) if due else Astray()
    check_none_gone(astray)
    for one in tuple(due) if astray.unopened else ():
        fault = _hides_something(ledger.store, one, astray)
        if fault is not None:
            due.remove(one)
            damaged.append(fault)
    for listed in (due, on_hold):
        listed.sort(key=lambda one: one.name)  # people look for numbers
    damaged.sort(key=name_of)
    with ledger.store.reading() as tx:
        due.extend(_months_due(tx, classes[ACCESS_LOG], today))
    return Plan(tuple(due), tuple(on_hold), without_rule, tuple(damaged), astray)


def shortest_time(classes: Mapping[str, RetentionClass]) -> int:
    """How many months a case is kept at the least."""
    return min(one.months for name, one in classes.items() if name != ACCESS_LOG)


def old_enough_before(classes: Mapping[str, RetentionClass], today: date) -> str:
    """The day (YYYY-MM-DD) before which a case came in whose time may be over today."""
    return (add_months(today, -shortest_time(classes)) + timedelta(days=1)).isoformat()


def name_of(one: Damaged) -> str:
    """What people can call a damaged case by: its number, where that can be read, or its id."""
    return one.case_ref or one.id


_Read = tuple[CaseFile | Damaged, tuple[OpenedEntry, ...]]


def _cases_before(store: Store, before: str) -> Iterator[_Read]:
    """Each case that was submitted before a day, with its entries, but those being erased."""
    after: int | None = None
    while True:
        with store.reading() as tx:
            part = part_of_cases(tx, after, PART, before)
            read = [_read(tx, one) for one in part.cases]
        for one in read:
            # what is erased meanwhile looks like damage, as its key goes first: the next moment
            # shows that an erasure was recorded
            again = _read_again(store, one[0].id) if isinstance(one[0], Damaged) else one
            if again is not None and again[0].state != ERASED:
                yield again
        if part.last is None:
            return
        after = part.last


def _read_again(store: Store, case_id: str) -> _Read | None:
    with store.reading() as tx:
        found = case_with_id(tx, case_id)
        return None if found is None else _read(tx, found)


def _read(tx: Reading, file: CaseFile | Damaged) -> _Read:
    """A case with its entries; damaged where one of them cannot be read."""
    if isinstance(file, Damaged) or file.state == ERASED:
        return file, ()
    try:
        found = of_case(tx, file)
        if found.astray:
            raise _astray(file.id)
        entries = open_entries(tx, found.all)
        held(entries)
    except StorageFailed:
        raise
    except LedgerError as fault:
        return _damaged(tx, file, fault), ()
    return file, entries


def _damaged(tx: Reading, file: CaseFile, fault: LedgerError) -> Damaged:
    key_id = tx.keys.find(case_key_name(file.case_ref)) or ""
    said = (file.unit, file.submitted_at, file.state)
    return Damaged(file.id, file.case_ref, key_id, *said, fault)


def _hides_something(store: Store, one: Due, astray: Astray) -> Damaged | None:
    """The case, where something recorded of it lies with another one or with none."""
    with store.reading() as tx:
        file = find_case_by_ref(tx, one.name)
        if file is None:
            return None
        ours = of_case(tx, file)
        own = None if ours.key_id is None else tx.keys.get(ours.key_id)
        try:
            check_none_hidden(file.id, own, ours.all, astray)
        except RecordsDisagree as fault:
            return _damaged(tx, file, fault)
    return None


def _astray(case_id: str) -> RecordsDisagree:
    return RecordsDisagree(
        "The tables link entries of one case to another.",
        f"the case {case_id}",
        "Put the database back from a backup: `warum ledger restore`.",
    )


def due_on(
    entries: Sequence[OpenedEntry], rule: RetentionClass, decided: date = date.min
) -> date | None:
    """The first day on which a case may go; None while no time runs.

    It never runs from before the newest decision, of the entries or on the day `decided`: who
    corrects a case years later has to notify people anew.
    """
    days: dict[str, date] = {}
    for entry in entries:
        said = entry.payload or {}
        if entry.leaf.type == EntryKind.DECISION and said:
            decided = max(decided, decided_day(said))
        if entry.leaf.type == EntryKind.FOLLOW_UP and said.get("event") in STARTS:
            days[str(said["event"])] = date.fromisoformat(str(said["on"]))  # the newest word counts
    if not days:
        return None
    return add_months(max(decided, *days.values()), rule.months)


def forecast(
    entries: Sequence[OpenedEntry], of_class: str, path: Path | None, decided: date
) -> date | None:
    """The first day on which a case may go that is decided on this day, as far as that is known;
    None where it is not."""
    if not any(entry.leaf.type == EntryKind.FOLLOW_UP for entry in entries):
        return None  # no time runs, whatever the table says
    try:
        classes = read_classes(path)
    except SettingsInvalid:
        return None  # a forecast keeps nobody from deciding; the erasing itself names the fault
    return due_on(entries, classes[of_class], decided) if of_class in classes else None


def retain(
    ledger: Ledger,
    classes: Mapping[str, RetentionClass],
    approvers: Sequence[str],
    now: datetime,
    done: Callable[[Erased], None] = lambda erased: None,
    left: Callable[[Damaged], None] = lambda damaged: None,
) -> int:
    """Erase what is due, each with an entry of its own; returns how many.

    The rules are recorded when they are others than last time. A case put on hold meanwhile stays;
    so do those that are damaged, which `left` is told: whether they are due cannot be known.
    """
    finish_erasures(ledger.store)  # what an interruption left since the start
    planned = plan(ledger, classes, local_day(now))
    if planned.due:
        _record_rules(ledger, classes, now)
    count = 0
    for one in planned.due:
        basis = classes[one.of_class].basis
        asked = (ledger, one.name, basis, approvers, now)
        try:
            erased = erase_month(*asked) if one.access else erase_case(*asked, planned.astray)
        except CaseNotFound:
            continue  # somebody else was faster
        except ErasureRefused:
            if _may_go(ledger, one):
                raise
            continue  # put on hold meanwhile
        count += 1
        done(erased)
    for each in planned.damaged:
        left(each)
    if planned.damaged:
        log.error("cases damaged, not looked at by retention", count=len(planned.damaged))
    return count


def _may_go(ledger: Ledger, one: Due) -> bool:
    """Whether nothing keeps it that came since it was found to be due."""
    with ledger.store.reading() as tx:
        if one.access:
            return one.name in months_of_access(tx)
        file = find_case_by_ref(tx, one.name)
        return file is not None and not held(entries_of_case(tx, file.id, EntryKind.FOLLOW_UP))


class Daily:
    """A thread that does something once a day, and once at its start."""

    def __init__(self, task: Callable[[], int], now: Callable[[], datetime]) -> None:
        self._task, self._now = task, now
        self._last: date | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(timeout=10)

    def look(self) -> None:
        """Do it if it was not done today. A failure is logged, and tried again in an hour."""
        today = local_day(self._now())
        if today == self._last:
            return
        try:
            count = self._task()
        except ExplainerError as fault:
            log.error("retention failed", code=fault.code)
            return
        self._last = today
        log.info("retention done", count=count)

    def _run(self) -> None:
        self.look()
        while not self._closing.wait(3600):
            self.look()


def add_months(day: date, months: int) -> date:
    """The same day so many months on, or the last of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _class_of(entries: Sequence[OpenedEntry]) -> str:
    """What the newest decision says, else what was shown; "case_file" where neither was."""
    for entry in reversed(entries):
        said = (entry.payload or {}).get("retention_class")
        if isinstance(said, str):
            return said
    return "case_file"


def _months_due(tx: Reading, rule: RetentionClass, today: date) -> Iterator[Due]:
    for month in sorted(months_of_access(tx)):
        since = add_months(date.fromisoformat(f"{month}-01"), rule.months + 1)
        if since <= today:
            yield Due(month, ACCESS_LOG, since, access=True)


def _record_rules(ledger: Ledger, classes: Mapping[str, RetentionClass], now: datetime) -> None:
    rules: dict[str, Json] = {
        name: {"months": one.months, "basis": one.basis} for name, one in sorted(classes.items())
    }
    with ledger.store.reading() as looking:
        # the log is read from one end to the other: nobody who writes waits for that
        if last_policy(looking, "retention") == rules:
            return
    with ledger.store.transaction(now) as tx:
        payload: dict[str, Json] = {"policy": "retention", "rules": rules}
        record_system(tx, Entry(EntryKind.POLICY, payload))


def _invalid(what: str, where: str) -> SettingsInvalid:
    return SettingsInvalid(what, f"WARUM_RETENTION: {where}", "See docs/reliability.md.")
