"""How the service stands, in words, for whoever runs it; read-only, and about no case."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from explainer.core.days import local_day
from explainer.families.apart import Condition
from explainer.ledger.log import LogName
from explainer.text.catalogs import Catalog, catalog
from explainer.text.values import amount_in_words, clean, day, decimal, moment
from service.operation import (
    Database,
    Group,
    OneLanguage,
    OneLog,
    OnePackage,
    OneWitness,
    Operation,
    Retention,
    Unread,
    look,
)
from service.permissions import Action
from service.settings import Settings
from service.web.pages import language_for, page
from service.web.people import session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)

SHORT = 12
"""Digits of a digest that tell two editions of words apart."""


@router.get("/operation", dependencies=[visitor(Action.OPERATE)])
def operation(request: Request) -> Response:
    """What runs, what is checked and what is missing."""
    tools = tools_of(request)
    language = language_for(request, staff=True)
    found = look(session_of(request).actor, tools)
    told = _Told(catalog(language, staff=True), found.now)
    return page(
        request,
        "staff/operation.html",
        language,
        staff=True,
        now=told.moment(found.now),
        points=[(one.about, one.part, told.counted(one.count)) for one in found.points],
        broken=found.broken,
        packages=_each(found.packages, told.package),
        languages_table=_each(found.languages, told.language),
        logs=_each(found.logs, told.log),
        outside=_has_outside(found),
        database=_one(found.database, told.database),
        retention=_one(found.retention, told.retention),
        examined=found.examined,
        versions=found.versions,
        settings=told.settings(tools.settings),
    )


def _each(part: Any, words: Callable[[Any], Any]) -> Any:
    return part if isinstance(part, Unread) else [words(one) for one in part]


def _one(part: Any, words: Callable[[Any], Any]) -> Any:
    return part if isinstance(part, Unread) else words(part)


def _has_outside(found: Operation) -> bool:
    if isinstance(found.logs, Unread):
        return False
    return any(one.standing.witness != "directory" for each in found.logs for one in each.witnesses)


class _Told:
    """Values as the reader writes them; which words go with them the template knows."""

    def __init__(self, words: Catalog, now: datetime) -> None:
        self._words = words
        self._locale = words.language.locale
        self._now = now

    def moment(self, when: datetime) -> str:
        return moment(when, self._locale)

    def counted(self, number: int) -> tuple[int, str]:
        """A number for the plural, and as it is written."""
        return number, decimal(number, self._locale)

    def package(self, one: OnePackage) -> dict[str, Any]:
        return {
            "name": one.name,
            "version": one.version,
            "state": one.state.value,
            "approved": one.approved,
            "process": None if one.process is None else self._process(one.process),
            "group": None if one.group is None else self._group(one.group),
            "faults": one.faults,
            "more": self.counted(one.count - len(one.faults)),
            "stopped": one.stopped,
        }

    def _process(self, condition: Condition) -> dict[str, Any]:
        return {
            "state": "started"
            if condition.started
            else ("resting" if condition.resting else "ended"),
            "failures": self.counted(condition.failures),
            "seconds": self.counted(max(1, round(condition.resting))),
        }

    def _group(self, group: Group) -> dict[str, Any]:
        return {
            "rows": self.counted(group.rows),
            "as_of": "" if group.as_of is None else str(group.as_of),
            "until": self._day(group.stale_after),
            "stale": group.stale,
        }

    def _day(self, when: date | None) -> str:
        return "" if when is None else day(when, self._locale)

    def language(self, one: OneLanguage) -> dict[str, Any]:
        row = one.row
        reviewed = date.fromisoformat(row.reviewed_on) if row.reviewed_on else None
        return {
            "tag": row.tag,
            "autonym": row.autonym,
            "dir": row.dir,
            "staff": row.staff,
            "off": "" if one.off is None else one.off.value,
            "status": row.status.value,
            "lapsed": row.lapsed,
            "reviewed": self._day(reviewed),
            "fault": one.fault,
            "edition": one.edition[:SHORT],
        }

    def log(self, one: OneLog) -> dict[str, Any]:
        return {
            "name": "ledger" if one.name is LogName.LEDGER else "access",
            "entries": self.counted(one.entries),
            "sealed": self.counted(one.sealed),
            "newest": "" if one.newest is None else self.moment(one.newest),
            "age": self._age(one.newest),
            "unsealed": self.counted(max(0, one.entries - one.sealed)),
            "unsealed_since": "" if one.unsealed_since is None else self.moment(one.unsealed_since),
            "late": one.late,
            "witnesses": [self._witness(each, one.entries) for each in one.witnesses],
        }

    def _age(self, when: datetime | None) -> str:
        """How many days ago that was; "" for today."""
        days = 0 if when is None else (local_day(self._now) - local_day(when)).days
        return self._amount(days, "days") if days > 0 else ""

    def _witness(self, one: OneWitness, entries: int) -> dict[str, Any]:
        standing = one.standing
        return {
            "name": standing.witness,
            "covered": self.counted(standing.covered),
            "all": standing.covered >= entries,
            "since": ""
            if standing.unwitnessed_since is None
            else self.moment(standing.unwitnessed_since),
            "late": one.late,
            "alarm": standing.alarm,
            "asked": "" if standing.asked_at is None else self.moment(standing.asked_at),
            "fault": one.fault,
        }

    def database(self, found: Database) -> dict[str, Any]:
        return {
            "postgresql": found.postgresql,
            "revision": found.revision,
            "expected": found.expected,
            "lost_keys": self.counted(found.lost_keys),
        }

    def retention(self, found: Retention) -> dict[str, Any]:
        return {
            "classes": [
                (name, self._amount(one.months, "months"), clean(one.basis))
                for name, one in found.classes
            ],
            "by_itself": found.by_itself,
            "shortest": self._amount(found.shortest, "months"),
            "old_enough": self.counted(found.old_enough),
        }

    def settings(self, given: Settings) -> dict[str, Any]:
        """What is switched on. No address, no folder and nobody's name is among it."""
        return {
            "tenant": given.tenant,
            "demo": given.demo,
            "deadline": self._number(given.deadline),
            "key_days": self._amount(given.key_backup_days, "days"),
            "own_table": given.retention is not None,
            "places": self.counted(len(given.models)),
        }

    def _amount(self, number: int, unit: str) -> str:
        return amount_in_words(str(number), unit, self._words)

    def _number(self, number: float) -> str:
        return decimal(number, self._locale)
