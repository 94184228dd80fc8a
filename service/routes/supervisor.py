"""Supervision: override records without staff, one record for a stated purpose, verification."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from explainer.core.attribution import AmountOutcome, is_amount
from explainer.core.days import recorded_day
from explainer.core.disclosure import Audience, Told
from explainer.errors import DecisionFaulty
from explainer.ledger.verify import Result
from explainer.packages.package import ModelPackage
from explainer.text.catalogs import catalog
from explainer.text.languages import Language
from explainer.text.render import as_markup
from explainer.text.values import clean, day, moment
from service.permissions import GROUNDS_FOR_SUPERVISION, Action
from service.routes.caseworker import RELATIONS, ReceiptWords, at, particulars_of
from service.store.cases import PAGE_SIZE
from service.store.decisions import ListedRecord, RecordFilter
from service.store.records import decided_day
from service.supervision import (
    PURPOSES,
    Inspected,
    RecordLine,
    list_records,
    open_record,
    record_to_open,
)
from service.verification import verify
from service.web.pages import language_for, page
from service.web.people import check_form_token, session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)

EMPTY = {"case_number": "", "period": "", "unit": "", "relation": "", "code": ""}


@router.get("/records", dependencies=[visitor(Action.LIST_RECORDS)])
def records(request: Request) -> Response:
    """All records, newest first."""
    return _records_page(request, EMPTY, 1)


@router.post("/records", dependencies=[visitor(Action.LIST_RECORDS)])
def search_records(
    request: Request,
    form_token: Annotated[str, Form()] = "",
    case_number: Annotated[str, Form(max_length=64)] = "",
    period: Annotated[str, Form(max_length=40)] = "",
    unit: Annotated[str, Form(max_length=64)] = "",
    relation: Annotated[str, Form(max_length=64)] = "",
    code: Annotated[str, Form(max_length=8)] = "",
    number: Annotated[int, Form(alias="page", ge=1, le=100000)] = 1,
) -> Response:
    """Narrowed by what the form has. Posted, so that no case number stands in an address."""
    check_form_token(request, form_token)
    wanted = {
        "case_number": clean(case_number),
        "period": period.strip(),
        "unit": unit,
        "relation": relation,
        "code": code,
    }
    return _records_page(request, wanted, number)


def _records_page(request: Request, wanted: dict[str, str], number: int) -> Response:
    tools = tools_of(request)
    language = language_for(request, staff=True)
    errors: tuple[tuple[str, str], ...] = ()
    if wanted["period"] and not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", wanted["period"]):
        words = catalog(language, staff=True)
        errors = (("period", words.sentence("staff.error.period")),)
    narrowed = RecordFilter(
        case_ref=wanted["case_number"] or None,
        period=(wanted["period"] or None) if not errors else None,
        unit=wanted["unit"] or None,
        relation=wanted["relation"] or None,
        code=wanted["code"] or None,
    )
    listed = list_records(narrowed, number, session_of(request).actor, tools)
    units = {
        tools.unit_of(p): p.wording(language)["contact|office"]
        for p in tools.packages.values()
        if language.tag in p.wordings
    }
    return page(
        request,
        "staff/records.html",
        language,
        staff=True,
        errors=errors,
        status=422 if errors else 200,
        records=[_row(one, request, language, units) for one in listed.rows],
        filter=wanted,
        units=list(units.items()),
        relations=RELATIONS,
        grounds=GROUNDS_FOR_SUPERVISION,
        filtered=any(wanted.values()),
        page={"number": number, "count": max(1, -(-listed.total // PAGE_SIZE))},
    )


def _row(
    line: RecordLine, request: Request, language: Language, units: dict[str, str]
) -> dict[str, Any]:
    one = line.listed
    if not line.agrees:
        # nothing the tables say of it can be believed, and half of it would be
        return {"case_number": one.case_ref, "agrees": False, "href": _href(one)}
    return {
        "agrees": True,
        "case_number": one.case_ref,
        "day": day(recorded_day(one.row.decided_on), language.locale),
        "benefit": _labels(request, one, language)["benefit"],
        "unit": units.get(one.row.unit, one.row.unit),
        "relation": one.row.relation,
        "codes": one.row.codes,
        "href": _href(one),
        **_chain(one),
    }


def _chain(one: ListedRecord) -> dict[str, str]:
    """Addresses of the record this one corrects, and of the one that corrects it; "" for none."""
    return {
        "corrects_href": f"/records/{one.row.corrects}" if one.row.corrects else "",
        "corrected_href": f"/records/{one.correction}" if one.correction else "",
    }


def _href(one: ListedRecord) -> str:
    return f"/records/{one.row.record_id}"


def _labels(
    request: Request, one: ListedRecord, language: Language, initial: str = ""
) -> dict[str, str]:
    """The agency's words for a record; its identifiers where the package is gone. `initial` is
    what was thought before the suggestion was shown."""
    row = one.row
    for package in tools_of(request).packages.values():
        if package.manifest.benefit_type == row.benefit_type and language.tag in package.wordings:
            wording = package.wording(language)
            return {
                "benefit": wording["package|benefit"],
                "unit": wording["contact|office"],
                "outcome": _outcome(row.outcome, package, language),
                "suggestion": _outcome(row.suggested or "", package, language),
                "initial": _outcome(initial, package, language),
            }
    return {
        "benefit": row.benefit_type,
        "unit": row.unit,
        "outcome": row.outcome,
        "suggestion": row.suggested or "",
        "initial": initial,
    }


def _outcome(outcome: str, package: ModelPackage, language: Language) -> str:
    """Its label or the amount, as far as the package in force knows it."""
    voice = package.voice(language, staff=True)
    if isinstance(voice.suggesting, AmountOutcome) and is_amount(outcome):
        return voice.outcome(outcome, "label")
    return voice.wording.texts.get(f"outcome|{outcome}|label", outcome)


@router.get("/records/{record_id}", dependencies=[visitor(Action.OPEN_RECORD)])
def ask_purpose(request: Request, record_id: str) -> Response:
    """Before a record opens: what for?"""
    return _purpose_page(request, record_id, {"purpose": "", "purpose_text": ""})


def _purpose_page(
    request: Request,
    record_id: str,
    form: dict[str, str],
    errors: tuple[tuple[str, str], ...] = (),
    status: int = 200,
) -> Response:
    record = record_to_open(record_id, session_of(request).actor, tools_of(request))
    return page(
        request,
        "staff/record_purpose.html",
        language_for(request, staff=True),
        staff=True,
        errors=errors,
        status=status,
        record={"case_number": record.case_ref, "open_href": f"/records/{record_id}"},
        purposes=PURPOSES,
        form=form,
    )


@router.post("/records/{record_id}", dependencies=[visitor(Action.OPEN_RECORD)])
def record(
    request: Request,
    record_id: str,
    form_token: Annotated[str, Form()] = "",
    purpose: Annotated[str, Form(max_length=64)] = "",
    purpose_text: Annotated[str, Form()] = "",
) -> Response:
    """One record, after its opening was written to the access log."""
    check_form_token(request, form_token)
    language = language_for(request, staff=True)
    words = catalog(language, staff=True)
    reason = clean(purpose_text)
    try:
        inspected = open_record(
            record_id,
            purpose,
            reason,
            session_of(request).actor,
            tools_of(request),
        )
    except DecisionFaulty as faulty:
        errors = tuple(
            (field, words.sentence(f"staff.error.{field}")) for field, _ in faulty.faults
        )
        form = {"purpose": purpose, "purpose_text": reason}
        return _purpose_page(request, record_id, form, errors, 422)
    return page(
        request,
        "staff/record.html",
        language,
        staff=True,
        record=_opened(inspected, purpose, reason, request, language),
        shown_html=_shown(inspected),
        shown_state="unavailable" if inspected.shown is None else "",
        shown_since=moment(at(inspected.listed.row.decided_on), language.locale),
    )


def _opened(
    inspected: Inspected, purpose: str, text: str, request: Request, language: Language
) -> dict[str, Any]:
    listed, payload = inspected.listed, inspected.payload
    row = listed.row
    title, checklist = "", {}
    for package in tools_of(request).packages.values():
        if package.manifest.id == payload.get("model_id") and language.tag in package.wordings:
            checklist = package.wording(language).part("checklist")
            title = package.wording(language)["package|title"]
    facts = payload.get("facts_considered", [])
    labels = _labels(request, listed, language, str(payload.get("initial_assessment") or ""))
    return {
        "case_number": listed.case_ref,
        "benefit": labels["benefit"],
        "unit": labels["unit"],
        **_chain(listed),
        "seen_since": inspected.seen_since,
        "decided_at": day(decided_day(payload), language.locale),
        "initial": labels["initial"],
        "particulars": particulars_of(payload),
        "suggestion": labels["suggestion"] if row.suggested else "",
        "outcome": labels["outcome"],
        "relation": row.relation,
        "codes": row.codes,
        "facts": tuple(checklist.get(str(f), str(f)) for f in facts)
        if isinstance(facts, list)
        else (),
        "note": inspected.note,
        "purpose": purpose,
        "purpose_text": text,
        "program": title,
        "model": f"{payload.get('model_id', '')} {payload.get('model_version', '')}".strip(),
        "receipt": ReceiptWords(
            listed.seq,
            inspected.entry.receipt.leaf_hash.hex(),
            moment(at(row.decided_on), language.locale),
        ),
    }


def _shown(inspected: Inspected) -> str | None:
    """What the caseworker was shown, from the sealed bytes its entry vouches for."""
    if inspected.shown is None:
        return None
    return as_markup(
        Told(
            str(inspected.shown["told"]).encode(),
            str(inspected.shown["media_type"]),
            str(inspected.shown["language"]),
            Audience.CASEWORKER,
        )
    )


@router.get("/verify", dependencies=[visitor(Action.VERIFY)])
def verify_page(request: Request) -> Response:
    """The button, and what a check can show."""
    return _verify_page(request, None)


@router.post("/verify", dependencies=[visitor(Action.VERIFY)])
def verify_now(
    request: Request,
    form_token: Annotated[str, Form()] = "",
) -> Response:
    """Check both logs from the stored bytes."""
    check_form_token(request, form_token)
    return _verify_page(request, verify(session_of(request).actor, tools_of(request)))


def _verify_page(request: Request, results: list[Result] | None) -> Response:
    language = language_for(request, staff=True)
    result = None
    if results is not None:
        result = _verdict(results, moment(tools_of(request).now(), language.locale))
    return page(
        request,
        "staff/verify.html",
        language,
        staff=True,
        result=result,
        idempotency_key="",
    )


def _verdict(results: list[Result], checked_at: str) -> dict[str, Any]:
    bad = next((one for one in results if not one.clean), None)
    return {
        "ok": bad is None,
        "entries": sum(one.size for one in results),
        "erased": sum(one.counts.get("ERASED", 0) for one in results),
        "checked_at": checked_at,
        "log": "" if bad is None else bad.log,
        "first_bad": None if bad is None or bad.first_bad is None else bad.first_bad.seq,
        "problem": "" if bad is None else _problem(bad),
        "checkpoints": [
            {
                "log": one.log,
                "size": one.last_good.size,
                "origin": one.last_good.origin,
                "root_hash": one.last_good.root.hex(),
            }
            for one in results
            if one.last_good is not None
        ],
    }


def _problem(bad: Result) -> str:
    if bad.counts.get("ALTERED", 0):
        return "changed"
    if bad.counts.get("MISSING", 0):
        return "missing"
    if bad.first_bad is not None and bad.first_bad.seq >= bad.size:
        return "shorter"
    return "tree"
