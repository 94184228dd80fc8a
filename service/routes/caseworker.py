"""The caseworker's queue, case and decision."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from explainer.core.attribution import AmountOutcome
from explainer.core.case import Feature, Value
from explainer.core.days import recorded_day
from explainer.core.decision import ReasonCode, Relation
from explainer.core.disclosure import Audience
from explainer.errors import AssessmentMissing, LanguageNotOffered
from explainer.ledger.entries import Json
from explainer.text.languages import Language, all_languages
from explainer.text.render import as_markup
from explainer.text.sentences import provenance_parts, value_or_missing
from explainer.text.values import day, moment, number_in_words, value_in_words
from explainer.text.voice import Voice
from explainer.text.wording import named_outcomes
from service.actions import queue, show
from service.assessing import NOT_SURE
from service.open_case import Decided, OpenCase, open_case
from service.permissions import Action
from service.store.cases import DECIDED, OPEN, PAGE_SIZE
from service.web.pages import language_for, page
from service.web.people import session_of, tools_of, visitor

router = APIRouter(include_in_schema=False)

CODE_GROUPS = tuple(
    (letter, tuple(code.value for code in codes))
    for letter, codes in groupby(ReasonCode, key=lambda code: code.group)
)
RELATIONS = tuple(relation.value for relation in Relation)
FURTHER = (
    "evidence_refs",
    "legal_basis_ref",
    "hearing_ref",
    "instruction_ref",
    "entered_afterwards",
)
"""Fields of the form that few decisions need; they are folded away."""


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
            day(recorded_day(file.submitted_at), language.locale),
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
    return case_page(request, case_id)


@router.get("/cases/{case_id}/correction", dependencies=[visitor(Action.DECIDE)])
def correction(request: Request, case_id: str) -> Response:
    """The same for a decided case, with the form to correct the decision."""
    return case_page(request, case_id, correcting=True)


EMPTY_FORM: Mapping[str, Any] = {
    "outcome": "",
    "amount": "",
    "relation": "",
    "codes": (),
    "facts": (),
    "note": "",
    "note_confirmed": False,
    "evidence_refs": "",
    "legal_basis_ref": "",
    "hearing_ref": "",
    "instruction_ref": "",
    "entered_afterwards": "",
}


def case_page(
    request: Request,
    case_id: str,
    *,
    correcting: bool = False,
    form: Mapping[str, Any] = EMPTY_FORM,
    errors: tuple[tuple[str, str], ...] = (),
    note_warned: bool = False,
    status: int = 200,
) -> Response:
    """The page of a case, with the form as it was sent where it comes back."""
    tools = tools_of(request)
    actor = session_of(request).actor
    language = language_for(request, staff=True)
    try:
        try:
            shown = show(case_id, Audience.CASEWORKER, language, actor, tools)
        except LanguageNotOffered:
            # the package has no such words; its German ones are always there
            language = all_languages()["de"]
            shown = show(case_id, Audience.CASEWORKER, language, actor, tools)
    except AssessmentMissing:
        # of a decision that was sent all the same, only the outcome has a field there; what is
        # said of no field belongs under the heading
        places = {"outcome": "outcome", "amount": "amount", "entscheidung": "einschaetzung"}
        known = tuple((places[field], said) for field, said in errors if field in places)
        return assess_page(request, case_id, errors=known, status=status)
    opened = shown.opened
    voice = opened.package.voice(language, staff=True)
    wording = voice.wording
    file = opened.file
    holds = opened.decided
    correcting = correcting and holds is not None
    hidden = [("shown", str(shown.receipt.seq)), ("written_in", language.tag)]
    if correcting and holds is not None:
        hidden.append(("corrects", holds.row.record_id))
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
            **_headline(opened, voice),
            "decide_href": f"/cases/{file.id}/{'correction' if correcting else 'decision'}",
            "correct_href": f"/cases/{file.id}/correction",
            "href": f"/cases/{file.id}",
        },
        told_html=as_markup(shown.told),
        told_state="",
        told_since="",
        data=_data_rows(opened, voice),
        unknown=list(wording.part("checklist").items()),
        outcomes=_outcomes(voice),
        amount=_amount_field(voice),
        relations=RELATIONS,
        code_groups=CODE_GROUPS,
        form=form,
        note_warned=note_warned or form["note_confirmed"],
        further_open=any(form[name] for name in FURTHER)
        or any(field in FURTHER for field, _ in errors),
        hidden_fields=tuple(hidden),
        idempotency_key=secrets.token_urlsafe(24),
        decided=_decided(opened, voice),
        correcting=correcting,
        saved=bool(opened.decided) and "saved" in request.query_params,
    )


def assess_page(
    request: Request,
    case_id: str,
    *,
    form: Mapping[str, str] = EMPTY_FORM,
    errors: tuple[tuple[str, str], ...] = (),
    status: int = 200,
) -> Response:
    """A case before its suggestion may be shown: the data, and what the person thinks."""
    opened = open_case(case_id, Audience.CASEWORKER, session_of(request).actor, tools_of(request))
    language = language_for(request, staff=True, package=opened.package)
    voice = opened.package.voice(language, staff=True)
    return page(
        request,
        "staff/assess.html",
        language,
        staff=True,
        package=opened.package,
        here=f"/cases/{case_id}",
        status=status,
        errors=errors,
        case={**_headline(opened, voice), "assess_href": f"/cases/{case_id}/assessment"},
        data=_data_rows(opened, voice, used=False),
        outcomes=_outcomes(voice),
        amount=_amount_field(voice),
        form=form,
        hidden_fields=(("written_in", language.tag),),
        idempotency_key=secrets.token_urlsafe(24),
    )


def _headline(opened: OpenCase, voice: Voice) -> dict[str, str]:
    return {
        "number": opened.file.case_ref,
        "benefit": voice.wording["package|benefit"],
        "received": day(recorded_day(opened.file.submitted_at), voice.language.locale),
        "unit": voice.wording["contact|office"],
    }


def _outcomes(voice: Voice) -> list[tuple[str, str]]:
    return [
        (outcome, voice.outcome(outcome, "decide")) for outcome in named_outcomes(voice.suggesting)
    ]


@dataclass(frozen=True, slots=True)
class AmountField:
    """Where an amount is decided: the agency's name for it, and how it is written."""

    label: str
    hint: str


def _amount_field(voice: Voice) -> AmountField | None:
    if not isinstance(voice.suggesting, AmountOutcome):
        return None
    hint = voice.say("staff.form.amount", example(voice.suggesting, voice.language))
    return AmountField(voice.wording["amount|decide"], hint)


def example(amount: AmountOutcome, language: Language) -> str:
    return number_in_words(amount.canonical("1234") or "", language.locale)


def _data_rows(opened: OpenCase, voice: Voice, *, used: bool = True) -> list[DataRow]:
    """The data in the order of the application, never by influence; with `used`, what the program
    put in the place of missing ones."""
    rows = []
    for feature in opened.package.catalogue:
        value = opened.case.values[feature.name]
        as_of, source = ("", "") if value.missing else provenance_parts(value, voice)
        rows.append(
            DataRow(
                voice.wording.label(feature.name),
                voice.wording.texts.get(f"feature|{feature.name}|help", ""),
                value_or_missing(feature.name, value, voice, staff=True)
                + (_used(feature, value, voice) if used else ""),
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
    return {
        **_record(opened.decided, voice),
        "earlier": [_record(one, voice) for one in reversed(opened.decided.earlier)],
        "receipt_href": f"/cases/{opened.file.id}/receipts/"
        + opened.decided.entry.receipt.leaf_hash.hex(),
    }


def _record(decided: Decided, voice: Voice) -> dict[str, Any]:
    entry, payload, row = decided.entry, decided.payload, decided.row
    checklist = voice.wording.part("checklist")
    facts = payload.get("facts_considered", [])
    return {
        "outcome": voice.outcome(row.outcome, "label"),
        "relation": row.relation,
        "codes": row.codes,
        "note": payload.get("free_text", ""),
        "facts": tuple(checklist[str(f)] for f in facts) if isinstance(facts, list) else (),
        "day": day(decided.day, voice.language.locale),
        "corrects": row.corrects is not None,
        "particulars": particulars_of(payload),
        "initial": initial_words(payload, voice),
        "receipt": ReceiptWords(
            entry.receipt.seq,
            entry.receipt.leaf_hash.hex(),
            moment(at(row.decided_on), voice.language.locale),
        ),
    }


def initial_words(payload: Mapping[str, Json], voice: Voice) -> str:
    """The outcome somebody had in mind before the suggestion; "" where nobody was asked."""
    said = str(payload.get("initial_assessment") or "")
    return voice.outcome(said, "label") if said not in ("", NOT_SURE) else said


@dataclass(frozen=True, slots=True)
class ParticularWords:
    """What a record says it rests on, as it was typed; "" or empty where nothing was."""

    evidence: tuple[str, ...]
    legal_basis: str
    hearing: str
    instruction: str
    afterwards: bool


def particulars_of(payload: Mapping[str, Json]) -> ParticularWords:
    """Of a record from before there were any, none."""
    evidence = payload.get("evidence_refs") or ()
    return ParticularWords(
        evidence=tuple(map(str, evidence)) if isinstance(evidence, Sequence) else (),
        legal_basis=str(payload.get("legal_basis_ref") or ""),
        hearing=str(payload.get("hearing_ref") or ""),
        instruction=str(payload.get("instruction_ref") or ""),
        afterwards=bool(payload.get("entered_afterwards")),
    )
