"""The form of a decision, first or correcting, as it was sent. With faults it comes back."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from explainer.core.attribution import AmountOutcome, Suggesting
from explainer.core.disclosure import Audience
from explainer.core.particulars import SentParticulars
from explainer.errors import (
    DecisionError,
    DecisionFaulty,
    IdempotencyConflict,
    NotePersonal,
    SuggestionOutdated,
)
from explainer.text.catalogs import catalog
from explainer.text.languages import Language, languages
from explainer.text.values import clean, read_amount
from explainer.text.wording import VALUE
from service.actions import SentDecision, decide
from service.assessing import assess
from service.open_case import open_case
from service.permissions import Action
from service.routes.caseworker import assess_page, case_page, example
from service.web.pages import language_for
from service.web.people import check_form_token, session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)

FIELD_IDS = {"checklist": "facts"}
"""Where the form calls a field otherwise than the decision does."""

LONG, SHORT = 4000, 400
"""Characters of a field that are read at all; what is too long for a decision says so itself."""


@router.post("/cases/{case_id}/decision", dependencies=[visitor(Action.DECIDE)])
@router.post("/cases/{case_id}/correction", dependencies=[visitor(Action.DECIDE)])
def decision(
    request: Request,
    case_id: str,
    form_token: Annotated[str, Form()] = "",
    idempotency_key: Annotated[str, Form(max_length=128)] = "",
    outcome: Annotated[str, Form(max_length=64)] = "",
    amount: Annotated[str, Form(max_length=64)] = "",
    written_in: Annotated[str, Form(max_length=20)] = "",
    relation: Annotated[str, Form(max_length=64)] = "",
    codes: Annotated[list[str] | None, Form()] = None,
    facts: Annotated[list[str] | None, Form()] = None,
    note: Annotated[str, Form()] = "",
    note_confirmed: Annotated[str, Form(max_length=20)] = "",
    evidence_refs: Annotated[str, Form(max_length=LONG)] = "",
    legal_basis_ref: Annotated[str, Form(max_length=SHORT)] = "",
    hearing_ref: Annotated[str, Form(max_length=SHORT)] = "",
    instruction_ref: Annotated[str, Form(max_length=SHORT)] = "",
    entered_afterwards: Annotated[str, Form(max_length=40)] = "",
    corrects: Annotated[str, Form(max_length=64)] = "",
    shown: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Record what the caseworker decided. Agreeing, deviating and correcting are the same form."""
    check_form_token(request, form_token)
    language = language_for(request, staff=True)
    # as the page was written on which it was filled in: 1.234 is not the same number everywhere
    writing = languages().get(written_in, language)
    sent = SentDecision(
        outcome or read_amount(clean(amount), writing.locale) or "",
        relation,
        tuple(codes or ()),
        tuple(facts or ()),
        note.replace("\r\n", "\n"),
        shown,
        SentParticulars(
            tuple(filter(None, map(clean, evidence_refs.split("\n")))),
            clean(legal_basis_ref),
            clean(hearing_ref),
            clean(instruction_ref),
            clean(entered_afterwards),
        ),
        corrects,
    )
    form = _form(sent, amount, bool(note_confirmed))
    correcting = request.url.path.endswith("/correction")
    try:
        decide(
            case_id,
            sent,
            idempotency_key or secrets.token_urlsafe(24),
            session_of(request).actor,
            tools_of(request),
            ask_about_note=not note_confirmed,
        )
    except DecisionFaulty as faulty:
        package = open_case(
            case_id, Audience.CASEWORKER, session_of(request).actor, tools_of(request)
        ).package
        errors = tuple(
            (_field_id(field, fault), _words(language, field, fault, package.manifest.suggesting))
            for field, fault in faulty.faults
        )
        return case_page(
            request,
            case_id,
            correcting=correcting,
            form=form,
            errors=errors,
            note_warned=any(isinstance(fault, NotePersonal) for _, fault in faulty.faults),
            status=422,
        )
    except (SuggestionOutdated, IdempotencyConflict) as fault:
        words = catalog(language, staff=True)
        # no field is at fault, and a decided case has none: the link leads to the heading
        errors = (("entscheidung", words.sentence(f"staff.error.{fault.code}")),)
        return case_page(
            request, case_id, correcting=correcting, form=form, errors=errors, status=409
        )
    return RedirectResponse(f"/cases/{case_id}?saved=1", 303)


@router.post("/cases/{case_id}/assessment", dependencies=[visitor(Action.DECIDE)])
def assessment(
    request: Request,
    case_id: str,
    form_token: Annotated[str, Form()] = "",
    idempotency_key: Annotated[str, Form(max_length=128)] = "",
    outcome: Annotated[str, Form(max_length=64)] = "",
    amount: Annotated[str, Form(max_length=64)] = "",
    written_in: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Record what the caseworker thinks before the suggestion is shown; then show it."""
    check_form_token(request, form_token)
    language = language_for(request, staff=True)
    writing = languages().get(written_in, language)
    actor, tools = session_of(request).actor, tools_of(request)
    said = outcome or read_amount(clean(amount), writing.locale) or ""
    try:
        assess(case_id, said, idempotency_key or secrets.token_urlsafe(24), actor, tools)
    except DecisionFaulty as faulty:
        suggesting = open_case(
            case_id, Audience.CASEWORKER, actor, tools
        ).package.manifest.suggesting
        field = "amount" if isinstance(suggesting, AmountOutcome) else "outcome"
        told = catalog(language, staff=True).sentence(f"staff.error.assessment.{field}")
        errors = tuple((field, told) for _ in faulty.faults)
        form = {"outcome": outcome, "amount": clean(amount)}
        return assess_page(request, case_id, form=form, errors=errors, status=422)
    except (SuggestionOutdated, IdempotencyConflict) as fault:
        # somebody was faster, or the form was sent before: what holds now is on the page
        late = isinstance(fault, SuggestionOutdated)
        key = "staff.error.assessment.late" if late else f"staff.error.{fault.code}"
        words = catalog(language, staff=True).sentence(key)
        return case_page(request, case_id, errors=(("entscheidung", words),), status=409)
    return RedirectResponse(f"/cases/{case_id}", 303)


def _form(sent: SentDecision, amount: str, note_confirmed: bool) -> dict[str, Any]:
    rests_on = sent.particulars
    return {
        "outcome": sent.outcome,
        "amount": clean(amount),
        "relation": sent.relation,
        "codes": sent.codes,
        "facts": sent.facts,
        "note": "\n".join(map(clean, sent.note.split("\n"))),
        "note_confirmed": note_confirmed,
        "evidence_refs": "\n".join(rests_on.evidence_refs),
        "legal_basis_ref": rests_on.legal_basis_ref,
        "hearing_ref": rests_on.hearing_ref,
        "instruction_ref": rests_on.instruction_ref,
        "entered_afterwards": rests_on.entered_afterwards,
    }


def _field_id(field: str, fault: DecisionError) -> str:
    return "amount" if fault.where == "amount" else FIELD_IDS.get(field, field)


def _words(language: Language, field: str, fault: DecisionError, suggesting: Suggesting) -> str:
    words = catalog(language, staff=True)
    key = fault.code
    if isinstance(suggesting, AmountOutcome) and fault.where == "amount":
        told = words.sentence("staff.error.decision.incomplete.amount")
        return told.replace(VALUE, example(suggesting, language))
    if isinstance(fault, NotePersonal):
        kinds = [words.sentence(f"staff.personal.{kind}") for kind in fault.where.split(", ")]
        told = words.sentence("staff.error.decision.note_personal")
        return told.replace(VALUE, catalog(language).sentence("told.comma").join(kinds))
    if key in ("decision.incomplete", "decision.reference_invalid"):
        key = f"{key}.{field}"
    elif key in ("decision.grounds_missing", "decision.contradicts", "decision.day_impossible"):
        # several situations share a code; each has words of its own
        key = f"{key}.{fault.where}"
    return words.sentence(f"staff.error.{key}")
