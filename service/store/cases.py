"""Cases and their decisions as rows: what can be looked up, listed and narrowed.

A row says of a decision only what may be looked up; what vouches for it is its sealed entry.
Submitting a case is no event of the ledger: nothing was shown or decided yet.
Nothing here filters, sorts or groups by the person who acted; there is no column to do it by.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select

from explainer.errors import CaseExists
from explainer.ledger.entries import Json
from service.store import tables
from service.store.database import Reading, Transaction

PAGE_SIZE = 50
OPEN, DECIDED = "open", "decided"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case as submitted. It has no field for staff.

    Attributes
    ----------
    id : opaque and random, fit for an address; `case_ref` never is
    package_digest : of the package in force when the case was submitted
    values_json : the case as submitted, as JSON text
    submitted_at : to the minute, as `explainer.ledger.entries.minute` writes it
    state : "open" or "decided"
    """

    id: str
    case_ref: str
    package_id: str
    package_digest: str
    unit: str
    values_json: str
    submitted_at: str
    state: str = OPEN


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """What a decision's payload says that may be looked up: no person, no free text.

    Attributes
    ----------
    period : YYYY-MM
    decided_on : to the minute
    suggested : the outcome the program suggested, None where it suggested nothing
    corrects : the record of the same case that this one takes the place of, None for a first one
    """

    record_id: str
    case_id: str
    unit: str
    benefit_type: str
    period: str
    decided_on: str
    suggested: str | None
    outcome: str
    relation: str
    direction: str
    codes: tuple[str, ...]
    corrects: str | None = None


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A decision as a list shows it, with its case number and its place in the ledger.

    Attributes
    ----------
    correction : the record that took the place of this one, None while it holds
    """

    row: DecisionRow
    case_ref: str
    seq: int
    correction: str | None = None


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """All there is to narrow a list by. A person is not among it, on purpose.

    `code` is a ground, or the one letter all grounds of a group begin with.
    """

    case_ref: str | None = None
    period: str | None = None
    unit: str | None = None
    relation: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, and how many rows there are in all. Pages count from 1."""

    rows: tuple[T, ...]
    total: int
    number: int
    size: int = PAGE_SIZE


def new_id() -> str:
    """Return an opaque random id of 128 bits, for cases and records.

    None begins with a hyphen: a command would take that for an option.
    """
    while (made := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return made


# -- cases --------------------------------------------------------------------------------------


def add_case(tx: Transaction, case: CaseFile) -> None:
    """Store a submitted case; a case number is taken only once."""
    if find_case_by_ref(tx, case.case_ref) is not None:
        raise CaseExists(
            what="A case with this number was submitted before.",
            where="the case number",
            mend="Open the case that is there.",
        )
    tx.connection.execute(tables.case_file.insert().values(**asdict(case)))


def get_case(tx: Reading, case_id: str) -> CaseFile | None:
    """Return the case with this opaque id."""
    row = tx.connection.execute(_CASE, {"wanted": case_id}).one_or_none()
    return None if row is None else CaseFile(**row._mapping)


# made once: making a statement anew takes longer than the database does
_CASE = select(tables.case_file).where(tables.case_file.c.id == bindparam("wanted"))


def find_case_by_ref(tx: Reading, case_ref: str) -> CaseFile | None:
    """Return the case with this case number."""
    table = tables.case_file
    row = tx.connection.execute(select(table).where(table.c.case_ref == case_ref)).one_or_none()
    return None if row is None else CaseFile(**row._mapping)


def queue(tx: Reading, unit: str, state: str = OPEN, page: int = 1) -> Page[CaseFile]:
    """Return the cases of a unit in one state, longest waiting first."""
    table = tables.case_file
    query = select(table).where(table.c.unit == unit, table.c.state == state)
    rows, total = _page(tx, query, [table.c.submitted_at, table.c.case_ref], page)
    return Page(tuple(CaseFile(**row._mapping) for row in rows), total, page)


def submitted_before(tx: Reading, day: str) -> list[CaseFile]:
    """Return the cases submitted before a day (YYYY-MM-DD), by their numbers."""
    table = tables.case_file
    query = select(table).where(table.c.submitted_at < day).order_by(table.c.case_ref)
    return [CaseFile(**row._mapping) for row in tx.connection.execute(query)]


# -- decisions ----------------------------------------------------------------------------------


def list_records(tx: Reading, wanted: RecordFilter, page: int = 1) -> Page[ListedRecord]:
    """Return decisions, latest first, by the order of the ledger."""
    table, case = tables.decision_record, tables.case_file
    query = _records()
    if wanted.case_ref is not None:
        query = query.where(case.c.case_ref == wanted.case_ref)
    if wanted.period is not None:
        query = query.where(table.c.period == wanted.period)
    if wanted.unit is not None:
        query = query.where(table.c.unit == wanted.unit)
    if wanted.relation is not None:
        query = query.where(table.c.relation == wanted.relation)
    if wanted.code is not None:
        quoted = json.dumps(wanted.code)
        if len(wanted.code) == 1 and wanted.code.isalpha():
            quoted = quoted.removesuffix('"')
        query = query.where(table.c.codes.contains(quoted, autoescape=True))
    rows, total = _page(tx, query, [table.c.seq.desc()], page)
    return Page(tuple(map(_listed, rows)), total, page)


def find_record(tx: Reading, record_id: str) -> ListedRecord | None:
    """Return the decision of this record."""
    row = tx.connection.execute(
        _records().where(tables.decision_record.c.record_id == record_id)
    ).one_or_none()
    return None if row is None else _listed(row)


def record_at(tx: Reading, seq: int) -> ListedRecord | None:
    """Return the decision at this place of the ledger."""
    row = tx.connection.execute(_records().where(tables.decision_record.c.seq == seq)).one_or_none()
    return None if row is None else _listed(row)


def decisions_of(tx: Reading, case_id: str) -> list[ListedRecord]:
    """Return the decisions in a case, oldest first; each but the first corrects the one before."""
    table = tables.decision_record
    rows = tx.connection.execute(_records().where(table.c.case_id == case_id).order_by(table.c.seq))
    return list(map(_listed, rows))


def agrees_with(listed: ListedRecord, payload: Mapping[str, Json]) -> bool:
    """Whether the tables say of a decision what its sealed payload says."""
    row = listed.row
    return (
        payload.get("case_ref") == listed.case_ref
        and payload.get("record_id") == row.record_id
        and payload.get("unit_id") == row.unit
        and payload.get("benefit_type") == row.benefit_type
        and payload.get("recommendation_class") == row.suggested
        and payload.get("human_outcome") == row.outcome
        and payload.get("relation") == row.relation
        and payload.get("direction") == row.direction
        and payload.get("reason_codes") == list(row.codes)
        and payload.get("corrects") == row.corrects
        and payload.get("created_at") == row.decided_on
        and row.decided_on[:7] == row.period
    )


def _records() -> Select[Any]:
    table, case = tables.decision_record, tables.case_file
    later = table.alias("later")
    return (
        select(table, case.c.case_ref, later.c.record_id.label("correction"))
        .join(case, case.c.id == table.c.case_id)
        .outerjoin(later, later.c.corrects == table.c.record_id)
    )


def _listed(row: Row[Any]) -> ListedRecord:
    columns = dict(row._mapping)
    del columns["log"]
    case_ref, seq = columns.pop("case_ref"), columns.pop("seq")
    correction = columns.pop("correction")
    columns["codes"] = _codes(columns["codes"])
    return ListedRecord(DecisionRow(**columns), case_ref, seq, correction)


def _codes(stored: Any) -> tuple[str, ...]:
    """The codes of a row; none where somebody put something else there, which then disagrees."""
    try:
        codes = json.loads(stored)
    except (TypeError, ValueError):
        return ()
    return tuple(map(str, codes)) if isinstance(codes, list) else ()


def _page(
    tx: Reading, query: Select[Any], order: list[ColumnElement[Any]], page: int
) -> tuple[list[Row[Any]], int]:
    total = tx.connection.execute(
        select(func.count()).select_from(query.order_by(None).subquery())
    ).scalar_one()
    rows = tx.connection.execute(
        query.order_by(*order).limit(PAGE_SIZE).offset((max(page, 1) - 1) * PAGE_SIZE)
    ).all()
    return list(rows), total
