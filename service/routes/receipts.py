"""Receipts to take away: a page that hands them out, the receipt, and the bytes it vouches for."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from explainer.core.disclosure import Audience
from service.permissions import Action, no_such_case
from service.receipts import Kept, offer, take
from service.web.pages import language_for, page
from service.web.people import session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)

CASEWORKER, APPLICANT = Audience.CASEWORKER, Audience.APPLICANT
OF_CASE, OF_APPLICATION = "/cases/{case_id}/receipts/{mark}", "/application/receipts/{mark}"


@router.get(OF_CASE, dependencies=[visitor(Action.SEE_AS_CASEWORKER)])
def of_case(request: Request, case_id: str, mark: str) -> Response:
    """What a caseworker may take away of an entry: of a decision also what they saw before it."""
    offered = offer(case_id, mark, CASEWORKER, session_of(request).actor, tools_of(request))
    base = f"/cases/{case_id}/receipts"
    return page(
        request,
        "staff/receipt.html",
        language_for(request, staff=True),
        staff=True,
        case={"number": offered.opened.file.case_ref, "href": f"/cases/{case_id}"},
        entry=_files(base, offered.entry),
        seen=None if offered.seen is None else _files(base, offered.seen),
        ready=offered.ready,
    )


@router.get(OF_CASE + "/proof", dependencies=[visitor(Action.SEE_AS_CASEWORKER)])
def proof_of_case(request: Request, case_id: str, mark: str) -> Response:
    """The receipt; while there is none yet, the page that says so."""
    return _proof(request, case_id, mark, CASEWORKER)


@router.get(OF_CASE + "/told", dependencies=[visitor(Action.SEE_AS_CASEWORKER)])
def told_of_case(request: Request, case_id: str, mark: str) -> Response:
    """The very bytes the receipt vouches for."""
    return _told(request, case_id, mark, CASEWORKER)


@router.get(OF_APPLICATION, dependencies=[visitor(Action.SEE_AS_APPLICANT)])
def of_application(request: Request, mark: str) -> Response:
    """What an applicant may take away; which case it is of is known from the visit."""
    session = session_of(request)
    offered = offer(session.case_id, mark, APPLICANT, session.actor, tools_of(request))
    package = offered.opened.package
    return page(
        request,
        "public/receipt.html",
        language_for(request, staff=False, package=package),
        staff=False,
        package=package,
        entry=_files("/application/receipts", offered.entry),
        ready=offered.ready,
    )


@router.get(OF_APPLICATION + "/proof", dependencies=[visitor(Action.SEE_AS_APPLICANT)])
def proof_of_application(request: Request, mark: str) -> Response:
    """The receipt; while there is none yet, the page that says so."""
    return _proof(request, session_of(request).case_id, mark, APPLICANT)


@router.get(OF_APPLICATION + "/told", dependencies=[visitor(Action.SEE_AS_APPLICANT)])
def told_of_application(request: Request, mark: str) -> Response:
    """The very bytes the receipt vouches for."""
    return _told(request, session_of(request).case_id, mark, APPLICANT)


def _files(base: str, kept: Kept) -> dict[str, str]:
    href = f"{base}/{kept.mark}"
    return {
        "proof_href": f"{href}/proof",
        "proof_name": kept.receipt_name,
        "told_href": "" if kept.told is None else f"{href}/told",
        "told_name": "" if kept.told is None else kept.told_name,
    }


def _proof(request: Request, case_id: str, mark: str, audience: Audience) -> Response:
    kept, proof = take(case_id, mark, audience, session_of(request).actor, tools_of(request))
    if proof is None:
        return RedirectResponse(request.url.path.removesuffix("/proof"), 303)
    return _file(proof, kept.receipt_name)


def _told(request: Request, case_id: str, mark: str, audience: Audience) -> Response:
    kept = offer(case_id, mark, audience, session_of(request).actor, tools_of(request)).entry
    if kept.told is None:
        raise no_such_case()
    return _file(kept.told, kept.told_name)


def _file(data: bytes, name: str) -> Response:
    """A file to keep, never to be opened under our address. `name` is ours, in plain ASCII."""
    return Response(
        data,
        media_type="application/octet-stream",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
