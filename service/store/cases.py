"""Cases and their decisions as rows: what can be looked up, listed and narrowed.

A row says of a decision only what may be looked up; what vouches for it is its sealed entry.
Number and values of a case are sealed under its key, so no copy of the database tells them once
the key is gone; a case is found by its number through the name of that key, which the key store
tells.
Submitting a case is no event of the ledger: nothing was shown or decided yet.
Nothing here filters, sorts or groups by the person who acted; there is no column to do it by.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select

from explainer.errors import CaseExists, KeyMissing
from explainer.ledger.entries import Json
from explainer.ledger.log import case_key_name
from service.store import tables
from service.store.database import Reading, Transaction
from service.store.sealed import Damaged, open_rows, seal, unseal

PAGE_SIZE = 50
PART = 500
"""Cases that are opened at a time."""
OPEN, DECIDED = "open", "decided"
UNREADABLE = "?"
"""Stands in a list for the number of a case that does not open."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case as submitted. It has no field for staff.

    Attributes
    ----------
    id : opaque and random, fit for an address; `case_ref` never is
    case_ref, values_json : number, and the case as submitted as JSON text; sealed in the database
    package_digest : of the package in force when the case was submitted
    submitted_at : to the minute, as `explainer.ledger.entries.minute` writes it
    state : "open" or "decided"; "erased" until an erasure is carried out
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
    """Store a submitted case, sealed under the key of its number, which is made here.

    A case number is taken only once: raises CaseExists.
    """
    if find_case_by_ref(tx, case.case_ref) is not None:
        raise CaseExists(
            what="A case with this number was submitted before.",
            where="the case number",
            mend="Open the case that is there.",
        )
    key_id, key = tx.keys.get_or_create(case_key_name(case.case_ref))
    row = asdict(case)
    del row["case_ref"], row["values_json"]
    tx.connection.execute(_NEW, {**row, "key_id": key_id, "sealed": seal_case(case, key)})


def seal_case(case: CaseFile, key: bytes) -> bytes:
    """Return number and values of a case, sealed for its row and for no other."""
    return seal(case.id, case.case_ref, case.values_json, key)


def get_case(tx: Reading, case_id: str) -> CaseFile | None:
    """Return the case with this opaque id. Raises KeyMissing, RecordsDisagree."""
    row = tx.connection.execute(_CASE, {"wanted": case_id}).one_or_none()
    return None if row is None else next(_sound(_each(tx, [row])), None)


def find_case_by_ref(tx: Reading, case_ref: str) -> CaseFile | None:
    """Return the case with this case number. Raises as `get_case` does."""
    return next(_sound(_each(tx, _of_number(tx, case_ref))), None)


def case_with_id(tx: Reading, case_id: str) -> CaseFile | Damaged | None:
    """Return the case with this id, damaged or not."""
    return next(_each(tx, tx.connection.execute(_CASE, {"wanted": case_id}).all()), None)


def look_up(tx: Reading, name: str) -> CaseFile | Damaged | None:
    """Return the case with this number or, if there is none, with this id; damaged or not."""
    by_number = _of_number(tx, name)
    if not by_number:
        return case_with_id(tx, name)
    found = next(_each(tx, by_number), None)
    return replace(found, case_ref=name) if isinstance(found, Damaged) else found


def _of_number(tx: Reading, case_ref: str) -> Sequence[Row[Any]]:
    key_id = tx.keys.find(case_key_name(case_ref))
    return [] if key_id is None else tx.connection.execute(_CASE_OF_KEY, {"wanted": key_id}).all()


# made once: making a statement anew takes longer than the database does
_CASE, _CASE_OF_KEY = (
    select(tables.case_file).where(column == bindparam("wanted"))
    for column in (tables.case_file.c.id, tables.case_file.c.key_id)
)
_NEW = tables.case_file.insert().values(
    arrival=select(func.coalesce(func.max(tables.case_file.c.arrival), 0) + 1).scalar_subquery()
)


def queue(tx: Reading, unit: str, state: str = OPEN, page: int = 1) -> Page[CaseFile]:
    """Return the cases of a unit in one state, longest waiting first.

    One that does not open has the number UNREADABLE and no values: it keeps nobody from the others.
    """
    table = tables.case_file
    query = select(table).where(table.c.unit == unit, table.c.state == state)
    rows, total = _page(tx, query, [table.c.arrival], page)
    keys = tx.keys.several(row.key_id for row in rows)
    files = [
        _file(row, unseal(row.id, row.sealed, keys.get(row.key_id)) or (UNREADABLE, ""))
        for row in rows
    ]
    return Page(tuple(files), total, page)


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the cases, as they came; `last` is after which to go on, None where none are left."""

    cases: tuple[CaseFile | Damaged, ...]
    last: int | None


def part_of_cases(tx: Reading, after: int | None, at_most: int, before: str | None = None) -> Part:
    """Return some of the cases, of those submitted before a day (YYYY-MM-DD) or of all.

    One that is being erased is left out once its key is gone.
    """
    table = tables.case_file
    query = select(table).order_by(table.c.arrival).limit(at_most)
    if after is not None:
        query = query.where(table.c.arrival > after)
    if before is not None:
        query = query.where(table.c.submitted_at < before)
    rows = tx.connection.execute(query).all()
    return Part(tuple(_each(tx, rows)), rows[-1].arrival if len(rows) == at_most else None)


def every_case(tx: Reading) -> Iterator[CaseFile | Damaged]:
    """Yield the cases, as they came, damaged ones too."""
    part = part_of_cases(tx, None, PART)
    yield from part.cases
    while part.last is not None:
        part = part_of_cases(tx, part.last, PART)
        yield from part.cases


def unopened(tx: Reading) -> tuple[str, ...]:
    """The ids of the cases that do not open although a key is there, sound or damaged; sorted."""
    return tuple(
        sorted(
            one.id
            for one in every_case(tx)
            if isinstance(one, Damaged) and not isinstance(one.fault, KeyMissing)
        )
    )


def _sound(cases: Iterable[CaseFile | Damaged]) -> Iterator[CaseFile]:
    for one in cases:
        if isinstance(one, Damaged):
            raise one.fault
        yield one


def _each(tx: Reading, rows: Sequence[Row[Any]]) -> Iterator[CaseFile | Damaged]:
    for one in open_rows(tx, rows):
        yield one if isinstance(one, Damaged) else _file(one.row, (one.case_ref, one.values_json))


def _file(row: Row[Any], found: tuple[str, str]) -> CaseFile:
    columns = dict(row._mapping)
    for name in ("key_id", "sealed", "arrival"):
        del columns[name]
    return CaseFile(**columns, case_ref=found[0], values_json=found[1])


# -- decisions ----------------------------------------------------------------------------------


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
    rows, total = _page(tx, query, [table.c.seq.desc()], page)
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
