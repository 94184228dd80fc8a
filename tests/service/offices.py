"""A service of its own for a test: real packages, a real database, a clock that stands still."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path

import pytest
from servers import reached_into
from starlette.types import ASGIApp
from visiting import Machine, Visitor

from explainer.ledger.entries import EntryKind
from explainer.ledger.log import LogName
from explainer.packages.admit import admit
from explainer.packages.bundled import bundled_packages, find_package
from explainer.packages.package import ModelPackage
from service import admission
from service.actions import submit
from service.app import create_app
from service.demo import SYSTEM
from service.settings import Settings
from service.store import records
from service.store.cases import CaseFile, find_case_by_ref, seal_case
from service.store.records import OpenedEntry
from service.wiring import Tools, open_tools

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CASES = 5


MakeOffice = Callable[..., "Office"]


def demo_settings(
    data: Path, *models: Path, deadline: float = 20.0, database: str = ""
) -> Settings:
    return Settings(
        data=data,
        models=models or (find_package("unemployment_benefit"),),
        host="127.0.0.1",
        port=8000,
        tenant="demo",
        deadline=deadline,
        demo=True,
        database=database,
    )


@dataclass(frozen=True)
class Office:
    """A running office: the tools of its service, and the cases it has."""

    tools: Tools
    cases: tuple[CaseFile, ...]

    @cached_property
    def app(self) -> ASGIApp:
        return create_app(self.tools)

    @cached_property
    def _waiting(self) -> Iterator[CaseFile]:
        return iter([case for case in self.cases if case.unit == "demo_office"][4:])

    def fresh(self) -> CaseFile:
        """An open case nobody has touched so far, of the demonstration's unit."""
        return next(self._waiting)

    def case_of(self, package: str, at: int = 0) -> CaseFile:
        """One of the cases of this package."""
        return [case for case in self.cases if case.package_id == package][at]

    def visitor(self, person: str = "", case: str = "", **headers: str) -> Visitor:
        """Somebody new at a browser, as this person."""
        visitor = Visitor(self.app, self.tools, **headers)
        return visitor.be(person, case) if person else visitor

    def machine(self, role: str | None) -> Machine:
        return Machine(self.app, self.tools, role)

    def size(self, log: LogName = LogName.LEDGER) -> int:
        """How many entries one of the logs has."""
        with self.tools.store.reading() as tx:
            return tx.log(log).head().size

    def entries(
        self, kind: EntryKind | None = None, log: LogName = LogName.LEDGER, since: int = 0
    ) -> list[OpenedEntry]:
        """What one of the logs holds, oldest first."""
        with self.tools.store.reading() as tx:
            size = tx.log(log).head().size
            opened = [records.open_entry(tx, log, seq) for seq in range(since, size)]
        return [one for one in opened if kind is None or one.leaf.type == kind]

    def decisions(self, case: CaseFile) -> list[OpenedEntry]:
        """The entries of decisions about a case."""
        with self.tools.store.reading() as tx:
            return list(records.entries_of_case(tx, case.id, EntryKind.DECISION))

    def found(self, ref: str) -> CaseFile | None:
        """The case with this number, if there is one."""
        with self.tools.store.reading() as tx:
            return find_case_by_ref(tx, ref)

    def reseal(self, case: CaseFile, **changes: str) -> None:
        """Put another number or other values into a case's row, as whoever has its key could."""
        _, key = self.tools.store.keys.get_or_create(f"case:{case.case_ref}")
        sealed = seal_case(replace(case, **changes), key).hex()
        literal = f"'\\x{sealed}'" if self.tools.settings.database else f"x'{sealed}'"
        self.sql(f"UPDATE case_file SET sealed = {literal} WHERE id = '{case.id}'")

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Reach into the database as somebody with a shell could."""
        if self.tools.settings.database:
            return reached_into(self.tools.settings.database, statement)
        with sqlite3.connect(self.tools.settings.data / "warum.sqlite") as database:
            rows = database.execute(statement).fetchall()
        database.close()
        return rows

    def tamper(self, *statements: str) -> None:
        """Change what was recorded, as somebody could who may do anything with the file: first
        the triggers go that keep records from being changed, and afterwards they are back."""
        if self.tools.settings.database:
            self.sql(";".join(statements))
            return
        triggers = self.sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        drops = [f"DROP TRIGGER {name}" for name, _ in triggers]
        for statement in (*drops, *statements, *(str(made) for _, made in triggers)):
            self.sql(statement)

    def decided(self, at: int = 0) -> CaseFile:
        """One of the cases, after a caseworker decided it by the form."""
        decide_by_form(self.visitor("caseworker"), self.cases[at].id)
        return self.cases[at]


def decide_by_form(visitor: Visitor, case_id: str, **changes: object) -> object:
    """Open the case and send its form: unlike the suggestion's use, that always fits."""
    action = f"/cases/{case_id}/decision"
    page = visitor.get(f"/cases/{case_id}")
    answer = visitor.post(
        action,
        {
            **page.hidden(action),
            "outcome": "can_be_granted",
            "relation": "not_used",
            "codes": ["E6"],
            "note_confirmed": "1",
            **changes,
        },
    )
    assert answer.status == 303, answer.body
    return answer


def after_one_decision(office: Office) -> Office:
    """The office, its first case decided and under a sealed head."""
    office.decided(0)
    office.tools.seals.now()
    return office


@cache
def _admitted(folder: Path) -> ModelPackage:
    return admit(folder)


def _admitted_once(folder: Path) -> ModelPackage:
    """Packages that come with Warum are nobody's to change: admitted once for all offices."""
    return _admitted(folder) if folder.is_relative_to(bundled_packages()) else admit(folder)


def open_office(settings: Settings, count: int) -> Office:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, "admit", _admitted_once)
        tools = open_tools(settings, lambda: NOON)
    cases = tuple(
        submit({**golden.case, "package": package.manifest.id}, SYSTEM, tools)
        for package in tools.packages.values()
        for golden in package.golden[:count]
    )
    return Office(tools, cases)


def elsewhere(office: Office) -> Office:
    """The same office, the cases of its small package in another unit.

    The demonstration has one unit for all; that there are others is written into the database.
    """
    office.sql("UPDATE case_file SET unit = 'test_office' WHERE package_id = 'small_benefit'")
    cases = tuple(
        replace(case, unit="test_office") if case.package_id == "small_benefit" else case
        for case in office.cases
    )
    return Office(office.tools, cases)
