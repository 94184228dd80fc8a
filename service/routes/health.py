"""Whether the service lives, whether it is ready, and figures a monitor can watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse

from explainer.errors import ExplainerError, StorageFailed
from explainer.ledger.entries import minute
from explainer.ledger.log import LogName
from service.admission import Starting
from service.events import log
from service.store.seals import written_at
from service.web.people import anybody, tools_of
from service.web.problems import RETRY
from service.wiring import Tools

EXPOSITION = "text/plain; version=0.0.4"
"""Media type of the text format that Prometheus and its likes read."""

FIGURES = {
    "warum_ready": "1 when every package was tried and the log can be read and is the sealed one",
    "warum_log_intact": "0 when the log is not the one that was sealed",
    "warum_packages": "model packages by state",
    "warum_entries": "entries of a log",
    "warum_sealed_entries": "entries of a log under its newest signed head",
    "warum_unsealed_seconds": "age of the oldest entry no signed head covers; 0 when all are",
    "warum_witnessed_entries": "entries of a log that a witness has vouched for",
    "warum_unwitnessed_seconds": "age of the oldest entry a witness has not vouched for; else 0",
    "warum_lost_keys": "cases that have no key, and nobody can open; a minute old, or older",
    "warum_witness_alarm": "1 when a witness knows another log than this one",
}
"""All figures there are, each a gauge; to the minute, as entries are dated."""

router = APIRouter()


@router.get("/healthz", dependencies=[anybody()], include_in_schema=False)
def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", dependencies=[anybody()], include_in_schema=False)
def readyz(request: Request) -> JSONResponse:
    """Packages are admitted, the log is the one that was sealed, cases can be decided; and how far
    each witness has vouched for each log. A witness out of reach stops nobody; where something of
    the logs cannot be read, nobody is told that all is well."""
    tools = tools_of(request)
    if tools.seals.broken is not None:
        return JSONResponse({"status": "broken", "code": tools.seals.broken.code}, 503)
    admitted = tools.admitted
    known = {"packages": sorted(admitted.packages), "refused": sorted(admitted.refused)}
    if not admitted.done:
        starting = {"status": "starting", "code": Starting.code, **known}
        return JSONResponse(starting, 503, RETRY)
    try:
        for sealer in tools.seals.sealers.values():
            _read(sealer.last)
        witnesses = _read(tools.outside.standing)
    except ExplainerError as fault:
        return JSONResponse({"status": "unreadable", "code": fault.code}, 503)
    return JSONResponse(
        {
            "status": "ready",
            **known,
            "witnesses": [
                {
                    "witness": one.witness,
                    "log": one.log.value,
                    "covered": one.covered,
                    "unwitnessed_since": _minute(one.unwitnessed_since),
                    "fault": None if one.fault is None else one.fault.code,
                }
                for one in witnesses
            ],
        }
    )


def _minute(since: datetime | None) -> str | None:
    return None if since is None else minute(since)


T = TypeVar("T")


def _read(part: Callable[[], T]) -> T:
    """Read it, and raise nothing but ours: a program that watches is told even of what nobody
    foresaw, and by no page."""
    try:
        return part()
    except ExplainerError:
        raise
    except Exception as fault:
        log.error("not read", kind=type(fault).__name__)
        raise StorageFailed("It cannot be read.", "the records", "See the log.") from None


@router.get("/metrics", dependencies=[anybody()], include_in_schema=False)
def metrics(request: Request) -> PlainTextResponse:
    """What `/readyz` says, and since when something is open, as figures; also while it starts and
    when the log is broken. What cannot be read is left out, and then it is not ready. Nothing of a
    case, a record or a person."""
    found: dict[str, list[str]] = {name: [] for name in FIGURES}
    tools = tools_of(request)
    intact, admitted = tools.seals.broken is None, tools.admitted
    ready = intact and admitted.done
    for name, labels, figure in _figures(tools):
        try:
            value = _read(figure)
        except ExplainerError:
            # whoever cannot count keys shows and decides all the same
            ready = ready and name == "warum_lost_keys"
            continue
        named = ",".join(f'{label}="{said}"' for label, said in labels.items())
        found[name].append(f"{name}{{{named}}} {value}" if named else f"{name} {value}")
    found["warum_ready"].append(f"warum_ready {int(ready)}")
    found["warum_log_intact"].append(f"warum_log_intact {int(intact)}")
    lines = [
        line
        for name, about in FIGURES.items()
        for line in (f"# HELP {name} {about}", f"# TYPE {name} gauge", *found[name])
    ]
    return PlainTextResponse("\n".join([*lines, ""]), media_type=EXPOSITION)


def _figures(tools: Tools) -> Iterator[tuple[str, dict[str, str], Callable[[], int]]]:
    """All but whether it is ready, each still to be read: one that cannot be keeps none away."""
    admitted, now, store = tools.admitted, tools.now(), tools.store

    def age(name: LogName, seq: int) -> int:
        since = written_at(store, name, seq)
        return 0 if since is None else max(0, int((now - since).total_seconds()))

    def sealed(name: LogName) -> int:
        last = tools.seals.sealers[name].last()
        return 0 if last is None else last.size

    def unsealed(name: LogName) -> int:
        return age(name, sealed(name))

    def entries(name: LogName) -> int:
        with store.reading() as tx:
            return tx.log(name).head().size

    yield "warum_packages", {"state": "in_force"}, lambda: len(admitted.packages)
    yield "warum_packages", {"state": "refused"}, lambda: len(admitted.refused)
    for each in LogName:
        of_log = {"log": each.value}
        yield "warum_entries", of_log, partial(entries, each)
        yield "warum_sealed_entries", of_log, partial(sealed, each)
        yield "warum_unsealed_seconds", of_log, partial(unsealed, each)
    yield "warum_lost_keys", {}, tools.key_watch.lost
    for one in tools.outside.as_kept():
        which = {"log": one.log.value, "witness": one.witness}
        yield "warum_witnessed_entries", which, partial(int, one.covered)
        yield "warum_unwitnessed_seconds", which, partial(age, one.log, one.covered)
        yield "warum_witness_alarm", which, partial(int, one.alarm)
