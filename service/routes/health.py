"""Whether the service lives, and whether it is ready."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from service.web.people import anybody, tools_of

router = APIRouter()


@router.get("/healthz", dependencies=[anybody()], include_in_schema=False)
def healthz() -> JSONResponse:
    """The process answers."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz", dependencies=[anybody()], include_in_schema=False)
def readyz(request: Request) -> JSONResponse:
    """Packages are admitted, the log is the one that was sealed, cases can be decided."""
    tools = tools_of(request)
    if tools.seals.broken is not None:
        return JSONResponse({"status": "broken", "code": tools.seals.broken.code}, 503)
    return JSONResponse(
        {
            "status": "ready",
            "packages": sorted(tools.packages),
            "refused": sorted(tools.refused),
        }
    )
