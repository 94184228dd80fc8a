"""The caseworker's queue, case and decision."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from explainer.core.attribution import AmountOutcome, Suggesting
from explainer.core.case import Feature, Value
from explainer.core.decision import ReasonCode, Relation
from explainer.core.disclosure import Audience
from explainer.errors import DecisionFaulty, ExplainerError, IdempotencyConflict, SuggestionOutdated
from explainer.text.catalogs import catalog
from explainer.text.languages import Language, languages
from explainer.text.render import as_markup
from explainer.text.sentences import provenance_parts, value_or_missing
from explainer.text.values import (
    clean,
    day,
    moment,
    number_in_words,
    read_amount,
    value_in_words,
)
from explainer.text.voice import Voice
from explainer.text.wording import VALUE, named_outcomes
from service.actions import SentDecision, decide, queue, show
from service.open_case import OpenCase, open_case
from service.permissions import Action
from service.store.cases import DECIDED, OPEN, PAGE_SIZE
from service.web.pages import language_for, page
from service.web.people import check_form_token, session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)

CODE_GROUPS = tuple(
    (letter, tuple(code.value for code in codes))
    for letter, codes in groupby(ReasonCode, key=lambda code: code.group)
)
RELATIONS = tuple(relation.value for relation in Relation)
FIELD_IDS = {"checklist": "facts"}
"""Where the form calls a field otherwise than the decision does."""


@dataclass(frozen=True, slots=True)
class QueueRow:
    number: str
    received: str
    benefit: str
    state: str
    href: str


@dataclass(frozen=True, slots=True)
class PageLinks:
    number: int
    count: int
    previous_href: str | None
    next_href: str | None


@dataclass(frozen=True, slots=True)
class DataRow:
    label: str
    help: str
    value: str
    missing: bool
    source: str
    as_of: str
    disputed: bool


@dataclass(frozen=True, slots=True)
class ReceiptWords:
    position: int
    leaf_hash: str
    recorded_at: str


def at(stored: str) -> datetime:
    """A time as records keep it, to the minute and in UTC."""
    return datetime.fromisoformat(stored.replace("Z", "+00:00"))


@router.get("/cases", dependencies=[visitor(Action.QUEUE)])
def cases(
    request: Request,
    state: str = OPEN,
    number: Annotated[int, Query(alias="page", ge=1, le=100000)] = 1,
) -> Response:
    """The applications of the caseworker's own unit."""
    tools = tools_of(request)
    language = language_for(request, staff=True)
    state = DECIDED if state == DECIDED else OPEN
    listed = queue(session_of(request).actor, state, number, tools)
    rows = [
        QueueRow(
            file.case_ref,
            day(at(file.submitted_at).date(), language.locale),
            _benefit(request, file.package_id, language),
            file.state,
            f"/cases/{file.id}",
        )
        for file in listed.rows
    ]
    count = max(1, -(-listed.total // PAGE_SIZE))
    links = PageLinks(
        number,
        count,
        f"/cases?state={state}&page={number - 1}" if number > 1 else None,
        f"/cases?state={state}&page={number + 1}" if number < count else None,
    )
    return page(
        request,
        "staff/queue.html",
        language,
        staff=True,
        cases=rows,
        state=state,
        total=listed.total,
        page=links,
    )


def _benefit(request: Request, package_id: str, language: Language) -> str:
    package = tools_of(request).packages.get(package_id)
    if package is None or language.tag not in package.wordings:
        return package_id
    return package.wording(language)["package|benefit"]


@router.get("/cases/{case_id}", dependencies=[visitor(Action.SEE_AS_CASEWORKER)])
def case(request: Request, case_id: str) -> Response:
    """One case: suggestion, reasons, data, and the form to decide."""
    return _case_page(request, case_id)


def _case_page(
    request: Request,
    case_id: str,
    *,
    form: Mapping[str, Any] | None = None,
    errors: tuple[tuple[str, str], ...] = (),
    status: int = 200,
) -> Response:
    tools = tools_of(request)
    actor = session_of(request).actor
    language = language_for(request, staff=True)
    shown = show(case_id, Audience.CASEWORKER, language, actor, tools)
    opened = shown.opened
    voice = opened.package.voice(language, staff=True)
    wording = voice.wording
    file = opened.file
    return page(
        request,
        "staff/case.html",
        language,
        staff=True,
        package=opened.package,
        here=f"/cases/{case_id}",
        status=status,
        errors=errors,
        case={
            "number": file.case_ref,
            "benefit": wording["package|benefit"],
            "received": day(at(file.submitted_at).date(), language.locale),
            "unit": wording["contact|office"],
            "decide_href": f"/cases/{file.id}/decision",
        },
        told_html=as_markup(shown.told),
        told_state="",
        told_since="",
        data=_data_rows(opened, voice),
        unknown=list(wording.part("checklist").items()),
        outcomes=[
            (outcome, voice.outcome(outcome, "decide"))
            for outcome in named_outcomes(voice.suggesting)
        ],
        amount=_amount_field(voice),
        relations=RELATIONS,
        code_groups=CODE_GROUPS,
        form=form
        or {"outcome": "", "amount": "", "relation": "", "codes": (), "facts": (), "note": ""},
        hidden_fields=(("shown", str(shown.receipt.seq)), ("written_in", language.tag)),
        idempotency_key=secrets.token_urlsafe(24),
        decided=_decided(opened, voice),
        saved=bool(opened.decided) and "saved" in request.query_params,
    )


@dataclass(frozen=True, slots=True)
class AmountField:
    """Where an amount is decided: the agency's name for it, and how it is written."""

    label: str
    hint: str


def _amount_field(voice: Voice) -> AmountField | None:
    if not isinstance(voice.suggesting, AmountOutcome):
        return None
    hint = voice.say("staff.form.amount", _example(voice.suggesting, voice.language))
    return AmountField(voice.wording["amount|decide"], hint)


def _example(amount: AmountOutcome, language: Language) -> str:
    return number_in_words(amount.canonical("1234") or "", language.locale)


def _data_rows(opened: OpenCase, voice: Voice) -> list[DataRow]:
    """The data in the order of the application, never by influence."""
    rows = []
    for feature in opened.package.catalogue:
        value = opened.case.values[feature.name]
        as_of, source = ("", "") if value.missing else provenance_parts(value, voice)
        rows.append(
            DataRow(
                voice.wording.label(feature.name),
                voice.wording.texts.get(f"feature|{feature.name}|help", ""),
                value_or_missing(feature.name, value, voice, staff=True)
                + _used(feature, value, voice),
                value.missing is not None,
                source,
                as_of,
                False,
            )
        )
    return rows


def _used(feature: Feature, value: Value, voice: Voice) -> str:
    """What the program put in the place of a missing value; "" where nothing was missing."""
    if value.missing is None or feature.stand_in is None:
        return ""
    words = value_in_words(feature, feature.stand_in, voice.wording, voice.catalog)
    return " " + voice.say("staff.told.used", words)


def _decided(opened: OpenCase, voice: Voice) -> dict[str, Any] | None:
    if opened.decided is None:
        return None
    entry, payload, row = opened.decided.entry, opened.decided.payload, opened.decided.row
    checklist = voice.wording.part("checklist")
    facts = payload.get("facts_considered", [])
    return {
        "outcome": voice.outcome(row.outcome, "label"),
        "relation": row.relation,
        "codes": row.codes,
        "note": payload.get("free_text", ""),
        "facts": tuple(checklist[str(f)] for f in facts) if isinstance(facts, list) else (),
        "receipt": ReceiptWords(
            entry.receipt.seq,
            entry.receipt.leaf_hash.hex(),
            moment(at(row.decided_on), voice.language.locale),
        ),
        "receipt_href": f"/cases/{opened.file.id}/receipts/{entry.receipt.leaf_hash.hex()}",
    }


@router.post("/cases/{case_id}/decision", dependencies=[visitor(Action.DECIDE)])
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
    shown: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Record what the caseworker decided. Agreeing and deviating are the same form."""
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
    )
    try:
        decide(
            case_id,
            sent,
            idempotency_key or secrets.token_urlsafe(24),
            session_of(request).actor,
            tools_of(request),
        )
    except DecisionFaulty as faulty:
        package = open_case(
            case_id, Audience.CASEWORKER, session_of(request).actor, tools_of(request)
        ).package
        errors = tuple(
            (_field_id(field, fault), _words(language, field, fault, package.manifest.suggesting))
            for field, fault in faulty.faults
        )
        return _case_page(request, case_id, form=_form(sent, amount), errors=errors, status=422)
    except (SuggestionOutdated, IdempotencyConflict) as fault:
        words = catalog(language, staff=True)
        # no field is at fault, and a decided case has none: the link leads to the heading
        errors = (("entscheidung", words.sentence(f"staff.error.{fault.code}")),)
        return _case_page(request, case_id, form=_form(sent, amount), errors=errors, status=409)
    return RedirectResponse(f"/cases/{case_id}?saved=1", 303)


def _form(sent: SentDecision, amount: str) -> dict[str, Any]:
    return {
        "outcome": sent.outcome,
        "amount": clean(amount),
        "relation": sent.relation,
        "codes": sent.codes,
        "facts": sent.facts,
        "note": "\n".join(map(clean, sent.note.split("\n"))),
    }


def _field_id(field: str, fault: ExplainerError) -> str:
    return "amount" if fault.where == "amount" else FIELD_IDS.get(field, field)


def _words(language: Language, field: str, fault: ExplainerError, suggesting: Suggesting) -> str:
    words = catalog(language, staff=True)
    key = fault.code
    if isinstance(suggesting, AmountOutcome) and fault.where == "amount":
        told = words.sentence("staff.error.decision.incomplete.amount")
        return told.replace(VALUE, _example(suggesting, language))
    if key == "decision.incomplete":
        key = f"decision.incomplete.{field}"
    elif key in ("decision.grounds_missing", "decision.contradicts"):
        # several situations share a code; each has words of its own
        key = f"{key}.{fault.where}"
    return words.sentence(f"staff.error.{key}")
