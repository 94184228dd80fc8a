"""Whether the service lives, whether it is ready, and figures a monitor can watch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse

from explainer.ledger.entries import minute
from explainer.ledger.log import LogName
from service.admission import Starting
from service.store.seals import written_at
from service.web.people import anybody, tools_of
from service.web.problems import RETRY
from service.wiring import Tools

EXPOSITION = "text/plain; version=0.0.4"
"""Media type of the text format that Prometheus and its likes read."""

FIGURES = {
    "warum_ready": "1 when every package was tried and the log is the one that was sealed",
    "warum_log_intact": "0 when the log is not the one that was sealed",
    "warum_packages": "model packages by state",
    "warum_entries": "entries of a log",
    "warum_sealed_entries": "entries of a log under its newest signed head",
    "warum_unsealed_seconds": "age of the oldest entry no signed head covers; 0 when all are",
    "warum_witnessed_entries": "entries of a log that a witness has vouched for",
    "warum_unwitnessed_seconds": "age of the oldest entry a witness has not vouched for; else 0",
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
    each witness has vouched for each log. A witness out of reach stops nobody."""
    tools = tools_of(request)
    if tools.seals.broken is not None:
        return JSONResponse({"status": "broken", "code": tools.seals.broken.code}, 503)
    admitted = tools.admitted
    known = {"packages": sorted(admitted.packages), "refused": sorted(admitted.refused)}
    if not admitted.done:
        starting = {"status": "starting", "code": Starting.code, **known}
        return JSONResponse(starting, 503, RETRY)
    witnesses = tools.outside.standing()
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


@router.get("/metrics", dependencies=[anybody()], include_in_schema=False)
def metrics(request: Request) -> PlainTextResponse:
    """What `/readyz` says, and since when something is open, as figures; also while it starts and
    when the log is broken. Nothing of a case, a record or a person."""
    found: dict[str, list[str]] = {name: [] for name in FIGURES}
    for name, labels, value in _figures(tools_of(request)):
        named = ",".join(f'{label}="{said}"' for label, said in labels.items())
        found[name].append(f"{name}{{{named}}} {value}" if named else f"{name} {value}")
    lines = [
        line
        for name, about in FIGURES.items()
        for line in (f"# HELP {name} {about}", f"# TYPE {name} gauge", *found[name])
    ]
    return PlainTextResponse("\n".join([*lines, ""]), media_type=EXPOSITION)


def _figures(tools: Tools) -> Iterator[tuple[str, dict[str, str], int]]:
    intact, admitted, now = tools.seals.broken is None, tools.admitted, tools.now()
    yield "warum_ready", {}, int(intact and admitted.done)
    yield "warum_log_intact", {}, int(intact)
    yield "warum_packages", {"state": "in_force"}, len(admitted.packages)
    yield "warum_packages", {"state": "refused"}, len(admitted.refused)
    for name in LogName:
        log = {"log": name.value}
        last = tools.seals.sealers[name].last()
        sealed = 0 if last is None else last.size
        with tools.store.reading() as tx:
            yield "warum_entries", log, tx.log(name).head().size
        yield "warum_sealed_entries", log, sealed
        yield "warum_unsealed_seconds", log, _age(written_at(tools.store, name, sealed), now)
    for one in tools.outside.standing():
        which = {"log": one.log.value, "witness": one.witness}
        yield "warum_witnessed_entries", which, one.covered
        yield "warum_unwitnessed_seconds", which, _age(one.unwitnessed_since, now)
        yield "warum_witness_alarm", which, int(one.alarm)


def _age(since: datetime | None, now: datetime) -> int:
    return 0 if since is None else max(0, int((now - since).total_seconds()))
