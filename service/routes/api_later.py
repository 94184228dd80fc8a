"""The JSON API after a decision: what happened to the case, and receipts to keep."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import Field
from starlette.responses import Response

from explainer.core.decision import Actor
from explainer.core.disclosure import Audience
from service.erasing import Event
from service.happened import record_happened
from service.permissions import Action
from service.receipts import ReceiptPending, take
from service.routes.api import PROBLEMS, Strict, idempotent
from service.web.people import machine, tools_of
from service.web.problems import RequestInvalid
from service.web.strict import StrictRoute

router = APIRouter(prefix="/api/v1", tags=["v1"], route_class=StrictRoute)


class EventIn(Strict):
    """Something that happened to a case, and the day it happened."""

    event: Annotated[
        Literal["notified", "final", "closed", "objection", "remedy", "court"],
        Field(description="From the first three runs the time to keep a case; from no other."),
    ]
    on: Annotated[
        str,
        Field(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            description="The day, in Germany, from the one the case came in to today.",
        ),
    ]


class EventOut(Strict):
    """Its place in the ledger."""

    entry: int
    leaf_hash: str


@router.post("/cases/{case_id}/events", status_code=201, responses=PROBLEMS)
def record_event(
    request: Request,
    case_id: str,
    sent: EventIn,
    actor: Annotated[Actor, machine(Action.RECORD_EVENT)],
    idempotency_key: Annotated[str | None, Header(max_length=128)] = None,
) -> EventOut:
    """Record that a decision was notified, became final or was disputed, or that the case was
    closed. Needs a random `Idempotency-Key`; a repeated request with the same key gets the same
    answer. It cannot be changed: record the right day as well, the newest one counts."""
    key = idempotent(idempotency_key)
    try:
        on = date.fromisoformat(sent.on)
    except ValueError:
        raise RequestInvalid(
            "There is no such day.", "body.on", "Give a day of the calendar."
        ) from None
    receipt = record_happened(case_id, Event(sent.event), on, key, actor, tools_of(request))
    return EventOut(entry=receipt.seq, leaf_hash=receipt.leaf_hash.hex())


@router.get(
    "/cases/{case_id}/receipts/{entry}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string"}}}},
        **PROBLEMS,
    },
)
def receipt(
    request: Request,
    case_id: str,
    entry: Annotated[int, Path(ge=0)],
    actor: Annotated[Actor, machine(Action.READ_PUBLIC)],
    audience: Annotated[Literal["applicant", "caseworker"], Query()] = "applicant",
) -> Response:
    """The receipt (`.tlog-proof`) of a decision, or of what this audience was shown, by its
    `entry`. Anybody can check it offline with `verify.py`. Until a signed head covers it, within
    a minute, the answer is 503 (`receipt.pending`) with `Retry-After`. Asking leaves no entry."""
    kept, proof = take(case_id, entry, Audience(audience), actor, tools_of(request))
    if proof is None:
        raise ReceiptPending(
            "No signed head covers this entry yet.", "entry", "Ask again in a moment."
        )
    return Response(
        proof,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{kept.receipt_name}"'},
    )
