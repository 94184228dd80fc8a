"""The applicant's page: the decision first, then what the program contributed."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from explainer.core.disclosure import Audience
from explainer.text.render import as_markup
from explainer.text.values import day, unbroken
from service.actions import show
from service.open_case import open_case
from service.permissions import Action
from service.web.pages import language_for, page
from service.web.people import session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)


@router.get("/application", dependencies=[visitor(Action.SEE_AS_APPLICANT)])
def application(request: Request) -> Response:
    """The reader's own case; which one is known from the visit, never from the address."""
    tools = tools_of(request)
    session = session_of(request)
    opened = open_case(session.case_id, Audience.APPLICANT, session.actor, tools)
    package = opened.package
    language = language_for(request, staff=False, package=package)
    wording = package.wording(language)
    phone = wording["contact|phone"]
    office = {
        "name": wording["contact|office"],
        "role": wording["contact|function"],
        "person": "",
        "phone": phone,
        "phone_href": "tel:" + "".join(c for c in phone if c.isdigit() or c == "+"),
        "hours": unbroken(wording["contact|hours"]),
        "post": tuple(wording["contact|address"].splitlines()),
    }
    german_href = None if language.is_source else f"{request.url.path}?lang=de"
    if opened.decided is None:
        # nothing about the program before a person has decided: it could look like a decision
        return page(
            request,
            "public/waiting.html",
            language,
            staff=False,
            package=package,
            office=office,
            case_number=opened.file.case_ref,
        )
    shown = show(session.case_id, Audience.APPLICANT, language, session.actor, tools)
    # a correction may have come in between: all of the page is about what was recorded as shown
    package, holds = shown.opened.package, shown.opened.decided
    assert holds is not None  # noqa: S101 - a decision is corrected, and never taken back
    first, row = (*holds.earlier, holds)[0], holds.row
    return page(
        request,
        "public/applicant.html",
        language,
        staff=False,
        package=package,
        decision={
            "outcome": package.voice(language, staff=False).outcome(row.outcome, "decided"),
            "day": day(first.day, language.locale),
            "corrected": day(holds.day, language.locale) if holds.earlier else "",
            "interim": row.outcome in package.manifest.interim,
            "reasons": (),
            "lang": language.tag,
            "dir": language.dir,
        },
        office=office,
        case_number=opened.file.case_ref,
        told_html=as_markup(shown.told),
        receipt_href=f"/application/receipts/{shown.receipt.leaf_hash.hex()}",
        remedies=None,
        german_href=german_href,
    )
