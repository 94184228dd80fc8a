"""Cases as rows: what can be looked up and listed.

Number and values of a case are sealed under its key, so no copy of the database tells them once
the key is gone; a case is found by its number through the name of that key, which the key store
tells.
Submitting a case is no event of the ledger: nothing was shown or decided yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, select

from explainer.errors import CaseExists, KeyMissing
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
    rows, total = page_of(tx, query, [table.c.arrival], page)
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


def page_of(
    tx: Reading, query: Select[Any], order: list[ColumnElement[Any]], page: int
) -> tuple[list[Row[Any]], int]:
    """Return the rows on this page of an ordered list, and how many there are in all."""
    total = tx.connection.execute(
        select(func.count()).select_from(query.order_by(None).subquery())
    ).scalar_one()
    rows = tx.connection.execute(
        query.order_by(*order).limit(PAGE_SIZE).offset((max(page, 1) - 1) * PAGE_SIZE)
    ).all()
    return list(rows), total
