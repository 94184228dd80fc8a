"""Decisions as rows: what can be looked up, listed and narrowed.

A row says of a decision only what may be looked up; what vouches for it is its sealed entry.
Nothing here filters, sorts or groups by the person who acted; there is no column to do it by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, bindparam, select

from explainer.ledger.entries import Json
from explainer.ledger.log import case_key_name
from service.store import tables
from service.store.cases import UNREADABLE, CaseFile, Page, page_of
from service.store.database import Reading
from service.store.sealed import unseal


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
    case_ref : UNREADABLE where the case does not open
    correction : the record that took the place of this one, None while it holds
    """

    row: DecisionRow
    case_ref: str
    seq: int
    correction: str | None = None


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """All there is to narrow a list by. A person is not among it, on purpose.

    A case number is found whole or not at all: parts of it stand nowhere.
    `code` is a ground, or the one letter all grounds of a group begin with.
    """

    case_ref: str | None = None
    period: str | None = None
    unit: str | None = None
    relation: str | None = None
    code: str | None = None


def list_records(tx: Reading, wanted: RecordFilter, page: int = 1) -> Page[ListedRecord]:
    """Return decisions, latest first, by the order of the ledger."""
    table, case = tables.decision_record, tables.case_file
    query = _records()
    if wanted.case_ref is not None:
        query = query.where(case.c.key_id == tx.keys.find(case_key_name(wanted.case_ref)))
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
    rows, total = page_of(tx, query, [table.c.seq.desc()], page)
    return Page(tuple(_listed(tx, rows)), total, page)


def find_record(tx: Reading, record_id: str) -> ListedRecord | None:
    """Return the decision of this record."""
    rows = tx.connection.execute(
        _records().where(tables.decision_record.c.record_id == record_id)
    ).all()
    return next(_listed(tx, rows), None)


def record_at(tx: Reading, seq: int) -> ListedRecord | None:
    """Return the decision at this place of the ledger."""
    rows = tx.connection.execute(_records().where(tables.decision_record.c.seq == seq)).all()
    return next(_listed(tx, rows), None)


def records_between(tx: Reading, first: int, end: int | None) -> list[ListedRecord]:
    """Return the decisions at the places [first, end) of the ledger; without end, to its own."""
    place = tables.decision_record.c.seq
    query = _records().where(place >= first)
    query = query if end is None else query.where(place < end)
    return list(_listed(tx, tx.connection.execute(query).all()))


def decisions_of(tx: Reading, file: CaseFile) -> list[ListedRecord]:
    """Return the decisions in a case, oldest first; each but the first corrects the one before."""
    rows = tx.connection.execute(_DECISIONS, {"wanted": file.id}).all()
    return [_line(row, file.case_ref) for row in rows]


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
        select(table, case.c.key_id, case.c.sealed, later.c.record_id.label("correction"))
        .join(case, case.c.id == table.c.case_id)
        .outerjoin(later, later.c.corrects == table.c.record_id)
    )


_DECISIONS = (
    _records()
    .where(tables.decision_record.c.case_id == bindparam("wanted"))
    .order_by(tables.decision_record.c.seq)
)


def _listed(tx: Reading, rows: Sequence[Row[Any]]) -> Iterator[ListedRecord]:
    keys = tx.keys.several(row.key_id for row in rows)
    numbers: dict[str, str] = {}
    for row in rows:
        if row.case_id not in numbers:  # decisions of one case need it opened only once
            found = unseal(row.case_id, row.sealed, keys.get(row.key_id))
            numbers[row.case_id] = UNREADABLE if found is None else found[0]
        yield _line(row, numbers[row.case_id])


def _line(row: Row[Any], case_ref: str) -> ListedRecord:
    columns = dict(row._mapping)
    for name in ("log", "key_id", "sealed"):
        del columns[name]
    seq, correction = columns.pop("seq"), columns.pop("correction")
    columns["codes"] = _codes(columns["codes"])
    return ListedRecord(DecisionRow(**columns), case_ref, seq, correction)


def _codes(stored: Any) -> tuple[str, ...]:
    """The codes of a row; none where somebody put something else there, which then disagrees."""
    try:
        codes = json.loads(stored)
    except (TypeError, ValueError):
        return ()
    return tuple(map(str, codes)) if isinstance(codes, list) else ()
