"""The demonstration: choose whom to be. None of this exists outside demo mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from service.actions import decided_cases
from service.permissions import no_such_case
from service.web.pages import language_for, page
from service.web.people import (
    PERSONS,
    anybody,
    check_form_token,
    keep_session,
    session_of,
    tools_of,
)

router = APIRouter(include_in_schema=False)

HOME = {
    "caseworker": "/cases",
    "supervisor": "/records",
    "operator": "/operation",
    "applicant": "/application",
}


@dataclass(frozen=True, slots=True)
class Applicant:
    """A decided case, to be looked at as the person who applied."""

    number: str
    label: str
    state: str
    choose: str


@router.get("/", dependencies=[anybody()])
def start(request: Request) -> Response:
    """What this is, and whose eyes to look with."""
    tools = tools_of(request)
    language = language_for(request, staff=False)
    admitted = tools.admitted
    origin = ""
    applicants = []
    for file in decided_cases(tools):
        package = admitted.packages.get(file.package_id)
        if package is not None and language.tag in package.wordings:
            label = package.wording(language)["package|benefit"]
            applicants.append(Applicant(file.case_ref, label, file.state, file.id))
    for package in admitted.packages.values():
        if language.tag in package.wordings:
            origin = package.wording(language).texts.get("demo|note", "")
    return page(
        request,
        "public/start.html",
        language,
        staff=False,
        applicants=applicants,
        origin=origin,
        starting=not admitted.done,
    )


@router.post("/demo/person", dependencies=[anybody()])
def choose_person(
    request: Request,
    person: Annotated[str, Form()],
    form_token: Annotated[str, Form()] = "",
    case: Annotated[str, Form()] = "",
) -> Response:
    """Be somebody else from now on."""
    check_form_token(request, form_token)
    tools = tools_of(request)
    session = session_of(request)
    if person not in PERSONS or not tools.settings.demo:
        raise no_such_case()
    if person == "applicant":
        decided = [file.id for file in decided_cases(tools)]
        case = case or session.case_id or (decided[0] if decided else "")
        if case not in decided:
            return RedirectResponse("/", 303)
    else:
        case = ""  # only an applicant is bound to one; what else was sent goes into no cookie
    response = RedirectResponse(HOME[person], 303)
    keep_session(response, replace(session, person=person, case_id=case), tools.secret)
    return response
