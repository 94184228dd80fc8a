"""A caseworker's own records: what they entered themselves, for them alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from explainer.core.attribution import AmountOutcome, is_amount
from explainer.core.days import recorded_day
from explainer.text.languages import Language
from explainer.text.values import day, moment
from service.own_records import OwnRecord, Unreadable, own_records
from service.permissions import Action
from service.routes.caseworker import ReceiptWords, at, particulars_of
from service.store.records import decided_day
from service.web.pages import language_for, page
from service.web.people import session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)


@router.get("/own-records", dependencies=[visitor(Action.READ_OWN)])
def own(
    request: Request, before: Annotated[int | None, Query(ge=0, le=2**53 - 1)] = None
) -> Response:
    """Newest first. There is no search, and no number of them."""
    language = language_for(request, staff=True)
    found = own_records(before, session_of(request).actor, tools_of(request))
    return page(
        request,
        "staff/own.html",
        language,
        staff=True,
        records=[_words(one, language) for one in found.rows],
        older_href="" if found.before is None else f"/own-records?before={found.before}",
        newest_href="" if before is None else "/own-records",
    )


def _words(one: OwnRecord | Unreadable, language: Language) -> dict[str, Any]:
    if isinstance(one, Unreadable):
        return {"unreadable_at": one.seq}
    row, payload = one.listed.row, one.payload
    case_href = f"/cases/{row.case_id}" if one.open_to_them else ""
    if payload is None:
        # nothing the tables say of it can be believed
        return {"agrees": False, "case_number": one.listed.case_ref, "case_href": case_href}
    known = one.package is not None and language.tag in one.package.wordings
    texts = one.package.wording(language).texts if one.package is not None and known else {}
    facts = payload.get("facts_considered", [])
    mark = one.entry.receipt.leaf_hash.hex()
    return {
        "agrees": True,
        "case_number": one.listed.case_ref,
        "case_href": case_href,
        "receipt_href": f"{case_href}/receipts/{mark}" if case_href else "",
        "recorded_on": day(recorded_day(row.decided_on), language.locale),
        "benefit": texts.get("package|benefit", row.benefit_type),
        "suggestion": _outcome(row.suggested, one, language) if row.suggested else "",
        "outcome": _outcome(row.outcome, one, language),
        "day": day(decided_day(payload), language.locale),
        "relation": row.relation,
        "codes": row.codes,
        "facts": tuple(texts.get(f"checklist|{f}", str(f)) for f in facts)
        if isinstance(facts, list)
        else (),
        "note": str(payload.get("free_text") or ""),
        "particulars": particulars_of(payload),
        "initial": _outcome(str(payload.get("initial_assessment") or ""), one, language),
        "corrects": row.corrects is not None,
        "corrected": one.listed.correction is not None,
        "receipt": ReceiptWords(one.listed.seq, mark, moment(at(row.decided_on), language.locale)),
    }


def _outcome(outcome: str, one: OwnRecord, language: Language) -> str:
    """The agency's label, or the amount; its own identifier where the package is gone."""
    if one.package is None or language.tag not in one.package.wordings:
        return outcome
    voice = one.package.voice(language, staff=True)
    if isinstance(voice.suggesting, AmountOutcome) and is_amount(outcome):
        return voice.outcome(outcome, "label")
    return voice.wording.texts.get(f"outcome|{outcome}|label", outcome)
