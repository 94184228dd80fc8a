"""Pages every visitor may read."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.web.pages import language_for, page
from service.web.people import anybody

router = APIRouter(include_in_schema=False)


@router.get("/accessibility", dependencies=[anybody()])
def accessibility(request: Request) -> Response:
    """What is accessible, what is not yet, and whom to tell."""
    return page(
        request, "public/accessibility.html", language_for(request, staff=False), staff=False
    )


@router.get("/feedback", dependencies=[anybody()])
def feedback(request: Request) -> Response:
    """How to say what could be better; the demonstration has nobody to receive it."""
    return page(request, "public/feedback.html", language_for(request, staff=False), staff=False)
