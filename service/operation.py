"""What whoever runs Warum has to know, gathered part by part; changes nothing.

A part that cannot be read is named and keeps no other away. No case is opened and nobody is named:
what is counted here are packages, entries and cases as a whole, never anything of a person or unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from importlib.metadata import version
from typing import TypeVar

from explainer.core.days import local_day
from explainer.core.decision import Actor
from explainer.errors import ExplainerError, PackageFaulty
from explainer.families.apart import Condition, ModelApart
from explainer.families.engine.kernel import kernel
from explainer.ledger.log import LogName
from explainer.packages.package import ModelPackage
from explainer.text.editions import catalog_version, template_version
from explainer.text.languages import Language, Status, all_languages
from explainer.text.values import clean
from service.doctor import Examined, examine_at_once
from service.events import log
from service.permissions import Action, check_may
from service.reported import Said, fit_for_a_page, said
from service.retention import (
    RetentionClass,
    old_enough_before,
    read_classes,
    shortest_time,
)
from service.settings import Settings
from service.store.erasure import how_many_before
from service.store.migrations import NEWEST, revision
from service.store.seals import written_at
from service.wiring import Tools
from service.witnesses import LATE, Standing

MOST_TOLD = 5
"""Faults of one package that are told; `warum package check` names them all."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that could not be read; `said` is None where nobody foresaw that."""

    said: Said | None


class PackageState(StrEnum):
    """How far a package has come."""

    IN_FORCE = "in_force"
    TRYING = "trying"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Group:
    """The comparison group of a package: how many rows, of which year, and until when it holds."""

    rows: int
    as_of: int | None
    stale_after: date | None
    stale: bool


@dataclass(frozen=True, slots=True)
class OnePackage:
    """One model package.

    Attributes
    ----------
    name : its id where it is in force, else the name of its folder
    approved : whether its manifest says that somebody approved it
    process : how its model's process is; None where it has none
    faults : why it is refused, at most MOST_TOLD of `count`
    stopped : languages it offers and cannot speak, and why not
    """

    name: str
    state: PackageState
    version: str = ""
    approved: bool = False
    process: Condition | None = None
    group: Group | None = None
    faults: tuple[Said, ...] = ()
    count: int = 0
    stopped: tuple[tuple[str, Said], ...] = ()


class WhyOff(StrEnum):
    """Why a language is not offered."""

    IN_WORK = "in_work"
    FAULTY = "faulty"
    NOT_SWITCHED_ON = "not_switched_on"


@dataclass(frozen=True, slots=True)
class OneLanguage:
    """One row of the table of languages, without the name of whoever reviewed it.

    Attributes
    ----------
    off : why it is not offered on pages about no package; None where it is
    fault : what is wrong with it, where it is not whole
    edition : SHA-256 of the product's words in it, "" where they did not load
    """

    row: Language
    off: WhyOff | None
    fault: Said | None
    edition: str


@dataclass(frozen=True, slots=True)
class OneWitness:
    """How far a witness has vouched for one log."""

    standing: Standing
    late: bool
    fault: Said | None


@dataclass(frozen=True, slots=True)
class OneLog:
    """One of the two logs.

    Attributes
    ----------
    entries : how many it has
    sealed : how many the newest signed checkpoint is over
    newest : when the newest of those was written
    unsealed_since : when the first entry after them was written, None where there is none
    """

    name: LogName
    entries: int
    sealed: int
    newest: datetime | None
    unsealed_since: datetime | None
    late: bool
    witnesses: tuple[OneWitness, ...]


@dataclass(frozen=True, slots=True)
class Database:
    """What the records lie in, the revision of its tables, and how many cases have no key."""

    postgresql: bool
    revision: str
    expected: str
    lost_keys: int


@dataclass(frozen=True, slots=True)
class Retention:
    """What is erased when, and by whom.

    Attributes
    ----------
    old_enough : how many cases were submitted longer ago than the shortest time there is; whether
        the time of one is over only its entries say, which are not opened here
    """

    classes: tuple[tuple[str, RetentionClass], ...]
    by_itself: bool
    shortest: int
    old_enough: int


@dataclass(frozen=True, slots=True)
class Versions:
    """What runs, by version and digest."""

    warum: str
    explainer: str
    templates: str
    compiled: bool


@dataclass(frozen=True, slots=True)
class Point:
    """Something to look into: which, in which part of the page, and how often."""

    about: str
    part: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Operation:
    """How the service stands at one moment."""

    now: datetime
    broken: Said | None
    packages: tuple[OnePackage, ...] | Unread
    languages: tuple[OneLanguage, ...] | Unread
    logs: tuple[OneLog, ...] | Unread
    database: Database | Unread
    retention: Retention | Unread
    examined: tuple[Examined, ...] | Unread
    versions: Versions | Unread

    @property
    def points(self) -> tuple[Point, ...]:
        """What needs somebody, the most urgent first."""
        return tuple(point for point in _points(self) if point.count)


def look(actor: Actor, tools: Tools) -> Operation:
    """How the service stands now. Raises NotAllowed for everybody but whoever runs it."""
    check_may(actor, Action.OPERATE)
    now, settings = tools.now(), tools.settings
    broken = tools.seals.broken

    def part(read: Callable[[], T]) -> T | Unread:
        try:
            return read()
        except ExplainerError as fault:
            return Unread(said(fault, settings))
        except Exception as fault:  # where something is broken this page is needed most
            log.error("part not read", kind=type(fault).__name__)
            return Unread(None)

    return Operation(
        now=now,
        broken=None if broken is None else said(broken, settings),
        packages=part(lambda: tuple(_packages(tools, local_day(now)))),
        languages=part(lambda: tuple(_languages(tools))),
        logs=part(lambda: tuple(_logs(tools, now))),
        database=part(lambda: _database(tools)),
        retention=part(lambda: _retention(tools, local_day(now))),
        examined=part(lambda: tuple(_examined(settings))),
        versions=part(lambda: _versions(tools)),
    )


# -- the parts --------------------------------------------------------------------------------


def _packages(tools: Tools, today: date) -> Iterator[OnePackage]:
    trying, admitted = tools.admission.trying, tools.admitted
    for package in admitted.packages.values():
        yield _in_force(package, tools.settings, today)
    for name, fault in admitted.refused.items():
        faults = fault.faults if isinstance(fault, PackageFaulty) else (fault,)
        told = tuple(said(one, tools.settings) for one in faults[:MOST_TOLD])
        yield OnePackage(clean(name), PackageState.REFUSED, faults=told, count=len(faults))
    for name in trying:
        if name not in admitted.refused:
            yield OnePackage(clean(name), PackageState.TRYING)


def _in_force(package: ModelPackage, settings: Settings, today: date) -> OnePackage:
    manifest, model = package.manifest, package.explained.model
    limits = manifest.limits
    stale = limits.stale_after is not None and today > limits.stale_after
    return OnePackage(
        name=manifest.id,
        state=PackageState.IN_FORCE,
        version=clean(manifest.version),
        approved=manifest.review_status == "approved",
        process=model.condition if isinstance(model, ModelApart) else None,
        group=Group(manifest.background_rows, limits.as_of, limits.stale_after, stale),
        stopped=tuple((tag, said(fault, settings)) for tag, fault in package.stopped.items()),
    )


def _languages(tools: Tools) -> Iterator[OneLanguage]:
    offered = tools.languages_of(None, staff=False)
    for tag, row in all_languages().items():
        fault = tools.offer.stopped.get(tag)
        if row.status is Status.IN_WORK:
            off: WhyOff | None = WhyOff.IN_WORK
        elif fault is not None:
            off = WhyOff.FAULTY
        else:
            off = None if row in offered else WhyOff.NOT_SWITCHED_ON
        whole = off in (None, WhyOff.NOT_SWITCHED_ON)
        yield OneLanguage(
            row,
            off,
            None if fault is None else said(fault, tools.settings),
            catalog_version(row) if whole else "",
        )


def _logs(tools: Tools, now: datetime) -> Iterator[OneLog]:
    standing = tools.outside.standing()
    for name in LogName:
        with tools.store.reading() as tx:
            entries = tx.log(name).head().size
        last = tools.seals.sealers[name].last()
        sealed = 0 if last is None else last.size
        since = written_at(tools.store, name, sealed)
        yield OneLog(
            name=name,
            entries=entries,
            sealed=sealed,
            newest=written_at(tools.store, name, sealed - 1) if sealed else None,
            unsealed_since=since,
            late=since is not None and now - since > LATE,
            witnesses=tuple(
                OneWitness(
                    one,
                    one.late(now),
                    None if one.fault is None else said(one.fault, tools.settings),
                )
                for one in standing
                if one.log is name
            ),
        )


def _database(tools: Tools) -> Database:
    with tools.store.reading() as tx:
        found = revision(tx.connection)
    lost = tools.key_watch.lost()
    return Database(bool(tools.settings.database), found or "", NEWEST, lost)


def _retention(tools: Tools, today: date) -> Retention:
    classes = read_classes(tools.settings.retention)
    with tools.store.reading() as tx:
        old_enough = how_many_before(tx, old_enough_before(classes, today))
    rows = tuple(sorted((clean(name), one) for name, one in classes.items()))
    by_itself = bool(tools.settings.retain_by)
    return Retention(rows, by_itself, shortest_time(classes), old_enough)


def _examined(settings: Settings) -> Iterator[Examined]:
    for one in examine_at_once(settings):
        says, mend = (fit_for_a_page(text, settings) for text in (one.says, one.mend))
        yield Examined(one.about, one.well, says, mend)


def _versions(tools: Tools) -> Versions:
    return Versions(
        version("warum"), tools.explainer_digest, template_version(), kernel() is not None
    )


def _points(found: Operation) -> Iterator[Point]:
    if found.broken is not None:
        yield Point("broken", "logs")
    for part in ("packages", "languages", "logs", "database", "retention", "examined", "versions"):
        if isinstance(getattr(found, part), Unread):
            yield Point("unread", part)
    if not isinstance(found.database, Unread):
        yield Point("lost_keys", "database", found.database.lost_keys)
    if not isinstance(found.logs, Unread):
        witnesses = [one for each in found.logs for one in each.witnesses]
        yield Point("alarm", "logs", sum(one.standing.alarm for one in witnesses))
        yield Point("unsealed", "logs", sum(one.late for one in found.logs))
        late = [one for one in witnesses if one.late and not one.standing.alarm]
        yield Point("late", "logs", len({one.standing.witness for one in late}))
    if not isinstance(found.packages, Unread):
        states = [one.state for one in found.packages]
        yield Point("refused", "packages", states.count(PackageState.REFUSED))
        processes = [one.process for one in found.packages if one.process is not None]
        yield Point("process", "packages", sum(not one.started for one in processes))
        groups = [one.group for one in found.packages if one.group is not None]
        yield Point("stale", "packages", sum(one.stale for one in groups))
        in_force = [one for one in found.packages if one.state is PackageState.IN_FORCE]
        yield Point("unapproved", "packages", sum(not one.approved for one in in_force))
        yield Point("wording", "packages", sum(bool(one.stopped) for one in found.packages))
        yield Point("trying", "packages", states.count(PackageState.TRYING))
    if not isinstance(found.languages, Unread):
        faulty = [one for one in found.languages if one.off is WhyOff.FAULTY]
        yield Point("language", "languages", len(faulty))
        yield Point("lapsed", "languages", sum(one.row.lapsed for one in found.languages))
    if not isinstance(found.database, Unread):
        yield Point("tables", "database", int(found.database.revision != found.database.expected))
    if not isinstance(found.examined, Unread):
        yield Point("finding", "examined", sum(not one.well for one in found.examined))
