"""The JSON API for the agency's specialist procedure and for people who build on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from explainer.core.decision import Actor, ReasonCode, Relation
from explainer.core.disclosure import Audience, disclose
from explainer.core.explanation import Explanation
from explainer.core.forms import view_form, withheld_form
from explainer.core.particulars import EVIDENCE_LIMIT, REFERENCE_LIMIT, SentParticulars
from explainer.errors import LanguageNotOffered, NotExplainable, RecordsDisagree
from explainer.text.languages import Language
from explainer.text.notes import Kind, personal_in
from service.actions import SentDecision, Shown, decide, show, submit
from service.assessing import NOT_SURE, assess
from service.permissions import GROUNDS_FOR_SUPERVISION, Action
from service.store.cases import PAGE_SIZE
from service.store.decisions import RecordFilter
from service.supervision import list_records
from service.web.description import CASE, EXPLANATION, described
from service.web.people import machine, tools_of
from service.web.problems import IdempotencyKeyMissing
from service.web.strict import StrictRoute
from service.wiring import Tools

router = APIRouter(prefix="/api/v1", tags=["v1"], route_class=StrictRoute)


class Strict(BaseModel):
    """Exactly the fields a client may set; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")


class Submitted(Strict):
    """The answer to a submitted case; the id is opaque and fit for an address."""

    id: str
    ref: str
    package: str
    state: str


class DecisionIn(Strict):
    """A decision; `shown` is the `entry` of the explanation the person saw, if any."""

    outcome: Annotated[
        str,
        Field(
            max_length=64,
            description="An outcome of the package; of an amount, a decimal such as 1200.50.",
        ),
    ]
    relation: Literal["agree", "agree_other_reasons", "partly", "deviate", "not_used"]
    # how many there have to be is said by the decision itself, with a code of its own
    codes: Annotated[
        list[str],
        Field(
            description="One to three reason codes.",
            json_schema_extra={
                "minItems": 1,
                "maxItems": 3,
                "items": {"enum": [code.value for code in ReasonCode]},
            },
        ),
    ] = []
    facts: Annotated[list[str], Field(max_length=50)] = []
    note: Annotated[str, Field(max_length=500)] = ""
    evidence_refs: Annotated[
        list[Annotated[str, Field(max_length=REFERENCE_LIMIT)]],
        Field(max_length=EVIDENCE_LIMIT, description="Where the evidence stands in the file."),
    ] = []
    legal_basis_ref: Annotated[str, Field(max_length=REFERENCE_LIMIT)] = ""
    hearing_ref: Annotated[str, Field(max_length=REFERENCE_LIMIT)] = ""
    instruction_ref: Annotated[
        str, Field(max_length=REFERENCE_LIMIT, description="Needed beside code P4.")
    ] = ""
    entered_afterwards: Annotated[
        str | None,
        Field(
            pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            description="The day the case was decided on paper, where it is recorded later.",
        ),
    ] = None
    corrects: Annotated[
        str | None,
        Field(max_length=64, description="The record that this decision takes the place of."),
    ] = None
    shown: Annotated[int | None, Field(ge=0)] = None


class AssessmentIn(Strict):
    """What somebody thinks of a case before they know the suggestion."""

    outcome: Annotated[
        str,
        Field(max_length=64, description=f"An outcome as of a decision, or `{NOT_SURE}`."),
    ]


class AssessmentOut(Strict):
    """Its place in the ledger."""

    entry: int
    leaf_hash: str


class DecisionOut(Strict):
    """The record and its place in the ledger; a signed checkpoint over it follows. `warnings` names
    what the note seems to hold that belongs in the file; it is recorded all the same."""

    record: str
    entry: int
    leaf_hash: str
    warnings: list[Kind]


class RecordOut(Strict):
    """One line of the list of records. There is no field of staff, and of the grounds about the
    program only that there is one: `M`."""

    record: str
    ref: str
    unit: str
    benefit_type: str
    period: str
    suggested: str | None
    outcome: str
    relation: str
    direction: str
    codes: list[str]
    entry: int
    corrects: str | None
    correction: str | None


class RecordsOut(Strict):
    """One page of records, newest first."""

    total: int
    page: int
    page_size: int
    records: list[RecordOut]


class ProblemOut(BaseModel):
    """What happened, where, and how to mend it; docs/errors.md lists the codes. Where several
    things are wrong, `faults` names each."""

    code: str
    what: str
    where: str
    mend: str
    faults: list[ProblemOut] = []


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemOut} for status in (400, 403, 404, 406, 409, 413, 422, 500, 503)
}


def one_of(choices: Iterable[str]) -> AfterValidator:
    """Refuses what is none of `choices`."""
    known = frozenset(choices)

    def check(value: str) -> str:
        if value not in known:
            raise ValueError("not one of the choices")
        return value

    return AfterValidator(check)


@router.post(
    "/cases",
    status_code=201,
    responses=PROBLEMS,
    openapi_extra={"requestBody": {"content": described(CASE), "required": True}},
)
async def submit_case(
    request: Request,
    case: dict[str, Any],
    actor: Annotated[Actor, machine(Action.SUBMIT)],
) -> Submitted:
    """Submit a case, in the form `docs/case-1.schema.json` describes.

    The same case sent again gets the same answer; another case of the same number is refused.
    """
    from starlette.concurrency import run_in_threadpool

    file = await run_in_threadpool(submit, case, actor, tools_of(request))
    return Submitted(id=file.id, ref=file.case_ref, package=file.package_id, state=file.state)


@router.get(
    "/cases/{case_id}/explanation",
    responses={200: {"content": described(EXPLANATION)}, **PROBLEMS},
)
def explanation(
    request: Request,
    case_id: str,
    actor: Annotated[Actor, machine(Action.READ_PUBLIC)],
    audience: Annotated[Literal["applicant", "caseworker"], Query()] = "applicant",
    tag: Annotated[str, Query(alias="language", max_length=35)] = "de",
) -> Response:
    """What this audience may see of the explanation, and its text. Reading it is recorded. Where
    the package asks people to think first, caseworkers get 403 until an assessment is recorded."""
    tools = tools_of(request)
    wanted = Audience(audience)
    shown = show(case_id, wanted, _spoken(tag, wanted, tools), actor, tools)
    return JSONResponse(
        {**_form(shown, wanted), "entry": shown.receipt.seq},
        headers={"content-language": shown.told.language},
    )


def _spoken(tag: str, audience: Audience, tools: Tools) -> Language:
    """The language of this tag. Raises LanguageNotOffered."""
    staff = audience is Audience.CASEWORKER
    offered = {spoken.tag: spoken for spoken in tools.languages_of(None, staff=staff)}
    if tag not in offered:
        raise LanguageNotOffered(
            "This language is not offered here.",
            "language",
            f"Choose from {', '.join(offered)}.",
        )
    return offered[tag]


def _form(shown: Shown, audience: Audience) -> dict[str, Any]:
    if isinstance(shown.finding, Explanation):
        view = disclose(shown.finding, audience, shown.opened.package.disclosure)
        return view_form(view, shown.told)
    assert isinstance(shown.finding, NotExplainable)  # noqa: S101 - the only other finding
    return withheld_form(shown.finding, shown.told, shown.opened.file.case_ref)


@router.post("/cases/{case_id}/assessments", status_code=201, responses=PROBLEMS)
def record_assessment(
    request: Request,
    case_id: str,
    sent: AssessmentIn,
    actor: Annotated[Actor, machine(Action.DECIDE)],
    idempotency_key: Annotated[str | None, Header(max_length=128)] = None,
) -> AssessmentOut:
    """Record somebody's own assessment, where the package asks for it before it shows the
    suggestion (`think_first`). Once for each case; it cannot be changed. Needs a random
    `Idempotency-Key`."""
    key = idempotent(idempotency_key)
    receipt = assess(case_id, sent.outcome, key, actor, tools_of(request))
    return AssessmentOut(entry=receipt.seq, leaf_hash=receipt.leaf_hash.hex())


def idempotent(idempotency_key: str | None) -> str:
    """The key of a writing request. Raises IdempotencyKeyMissing."""
    if idempotency_key is None or len(idempotency_key) < 16:
        raise IdempotencyKeyMissing(
            "What is recorded needs a key of its own, so that it is never recorded twice.",
            "Idempotency-Key",
            "Send a random header of at least 16 characters.",
        )
    return idempotency_key


@router.post("/cases/{case_id}/decisions", status_code=201, responses=PROBLEMS)
def record_decision(
    request: Request,
    response: Response,
    case_id: str,
    sent: DecisionIn,
    actor: Annotated[Actor, machine(Action.DECIDE)],
    idempotency_key: Annotated[str | None, Header(max_length=128)] = None,
) -> DecisionOut:
    """Record a decision. Needs a random `Idempotency-Key`; a repeated request with the same key
    gets the same answer. Answered only after the ledger entry is stored. A decision is never
    changed: to correct it, record another one that names it in `corrects`."""
    key = idempotent(idempotency_key)
    recorded = decide(
        case_id,
        SentDecision(
            sent.outcome,
            sent.relation,
            tuple(sent.codes),
            tuple(sent.facts),
            sent.note,
            "" if sent.shown is None else str(sent.shown),
            SentParticulars(
                tuple(sent.evidence_refs),
                sent.legal_basis_ref,
                sent.hearing_ref,
                sent.instruction_ref,
                sent.entered_afterwards or "",
            ),
            sent.corrects or "",
        ),
        key,
        actor,
        tools_of(request),
    )
    return DecisionOut(
        record=recorded.record_id,
        entry=recorded.receipt.seq,
        leaf_hash=recorded.receipt.leaf_hash.hex(),
        warnings=list(personal_in(sent.note)),
    )


RELATIONS = [relation.value for relation in Relation]


@router.get("/records", responses=PROBLEMS)
def records(
    request: Request,
    actor: Annotated[Actor, machine(Action.LIST_RECORDS)],
    period: Annotated[str | None, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")] = None,
    unit: Annotated[str | None, Query(max_length=64)] = None,
    relation: Annotated[
        Annotated[str, one_of(RELATIONS)] | None, Query(json_schema_extra={"enum": RELATIONS})
    ] = None,
    code: Annotated[
        Annotated[str, one_of(GROUNDS_FOR_SUPERVISION)] | None,
        Query(json_schema_extra={"enum": list(GROUNDS_FOR_SUPERVISION)}),
    ] = None,
    page: Annotated[int, Query(ge=1, le=100000)] = 1,
) -> RecordsOut:
    """Override records, newest first. No parameter narrows them to a member of staff, and the
    case number is none either: it would stand in an address. Where a row of the tables says
    something else than was sealed, the page is refused."""
    wanted = RecordFilter(period=period, unit=unit, relation=relation, code=code)
    listed = list_records(wanted, page, actor, tools_of(request))
    wrong = [line.listed.seq for line in listed.rows if not line.agrees]
    if wrong:
        raise RecordsDisagree(
            "The tables say something else than what was sealed.",
            ", ".join(f"entry {seq}" for seq in wrong),
            "Have the database examined; `warum ledger verify` checks the sealed records.",
        )
    return RecordsOut(
        total=listed.total,
        page=page,
        page_size=PAGE_SIZE,
        records=[
            RecordOut(
                record=one.row.record_id,
                ref=one.case_ref,
                unit=one.row.unit,
                benefit_type=one.row.benefit_type,
                period=one.row.period,
                suggested=one.row.suggested,
                outcome=one.row.outcome,
                relation=one.row.relation,
                direction=one.row.direction,
                codes=list(one.row.codes),
                entry=one.seq,
                corrects=one.row.corrects,
                correction=one.correction,
            )
            for one in (line.listed for line in listed.rows)
        ],
    )
