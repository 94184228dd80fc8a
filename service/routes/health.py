"""Whether the service lives, and whether it is ready."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from explainer.ledger.entries import minute
from service.admission import Starting
from service.web.people import anybody, tools_of
from service.web.problems import RETRY

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
