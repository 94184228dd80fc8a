"""Which entries of the ledger are about a case, found in two ways that cannot both be bent.

A table links entries to cases. And every entry of a case is sealed under the one key of that case,
whose name is asked of the key store: whoever may change the tables, and takes a link out, takes
nothing out of what was sealed under that key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, bindparam, or_, select

from explainer.errors import CaseNotFound, ErasureRefused, RecordsDisagree
from explainer.ledger.log import LogName, case_key_name
from service.store import tables
from service.store.astray import Astray, check_none_gone, hidden, intact, is_of_a_case
from service.store.cases import CaseFile
from service.store.database import Reading
from service.store.keys import key_damaged
from service.store.sealed import Damaged, damaged, key_missing, unseal

LEDGER = LogName.LEDGER.value
PART = 500
"""Keys that are tried at a time."""


@dataclass(frozen=True, slots=True)
class OfCase:
    """The entries of a case: position in the ledger -> leaf, as it is stored.

    Attributes
    ----------
    linked : by the table of links
    key_id : name of the key of the case; None where there is none yet, or none any more
    sealed : under that key
    """

    linked: Mapping[int, object]
    key_id: str | None
    sealed: Mapping[int, object]

    @property
    def all(self) -> dict[int, object]:
        """Found in either way, oldest first: what is missing in one of them is still the case's."""
        return dict(sorted({**self.linked, **self.sealed}.items()))

    @property
    def astray(self) -> tuple[int, ...]:
        """Positions that only one of the two ways leads to: somebody reached into the tables.

        There are none while a case is being erased: its key goes first, then its rows.
        """
        return () if self.key_id is None else tuple(sorted(self.linked.keys() ^ self.sealed.keys()))


def of_case(tx: Reading, file: CaseFile) -> OfCase:
    """Return the entries of a case that was opened."""
    return _of(tx, file.id, tx.keys.find(case_key_name(file.case_ref)))


def of_damaged(tx: Reading, case: Damaged) -> OfCase:
    """Return the entries of a case that does not open.

    That its row names its key is then vouched for by nothing. Raises what is wrong with the case
    where the key is not there, and RecordsDisagree where anything says that it is another case's:
    what is sealed in the row opens with another key, another row opens with this one, or what is
    sealed under this one is linked to another case.
    """
    own = tx.keys.get(case.key_id)
    if own is None:
        raise case.fault
    row = tx.connection.execute(_ROW, {"wanted": case.id}).one()
    for key in _other_keys(tx, case.key_id):
        if unseal(case.id, row.sealed, key):
            raise of_another(case.id)
    others = tx.connection.execute(_OTHERS, {"wanted": case.id})
    if any(unseal(other.id, other.sealed, own) for other in others):
        raise of_another(case.id)
    return _of_none_else(tx, case.id, case.key_id)


def of_lost_key(tx: Reading, name: str, astray: Astray) -> tuple[Damaged, OfCase]:
    """Return the case with this id whose key is lost, and its entries; none of them opens.

    A number leads there only where the key is damaged. Raises CaseNotFound, ErasureRefused where
    its key is there and opens, and RecordsDisagree where anything says that its key is another
    than the lost one: a key that is there opens its row or an entry that is linked to it, what is
    sealed under the lost one is linked to another case, or a follow-up entry `astray` that no key
    opens may be its. Every key that is there is tried on each of these: some 3 µs a try.
    """
    check_none_gone(astray)
    key_id = tx.keys.find(case_key_name(name))
    rows = tx.connection.execute(_WHOLE, {"id": name, "key": key_id}).all()
    row = next((one for one in rows if one.id == name), rows[0] if rows else None)
    if row is None:
        raise CaseNotFound(
            "There is no such case.",
            name,
            "Give the id `warum ledger verify` names: without its key no number leads to a case.",
        )
    keys = tx.keys.several([row.key_id])
    if keys.get(row.key_id) is not None:
        raise ErasureRefused(
            "The key of this case is there; it was not lost.",
            name,
            "Erase the case without --key-lost, where it is to be erased.",
        )
    found = _of_none_else(tx, row.id, row.key_id)
    sealed = list(intact(tx, found.all))
    if any(one.key_id != row.key_id for one in sealed):
        raise of_another(row.id)
    elsewhere = [
        one
        for one in astray.unopened
        if one.seq not in found.all and one.seq not in astray.of_lost_keys
    ]
    for key in _other_keys(tx, row.key_id):
        if unseal(row.id, row.sealed, key) or any(one.opens_with(key) for one in sealed):
            raise of_another(row.id)
        elsewhere = [one for one in elsewhere if not one.opens_with(key)]
    if elsewhere:  # no key that is there opens it, so it may be under the lost one
        raise hidden(row.id)
    return damaged(row, key_damaged() if keys else key_missing(row.id)), found


def _other_keys(tx: Reading, key_id: str) -> Iterator[bytes]:
    """Every key that is there and opens, but this one."""
    names = sorted(tx.keys.names() - {key_id})
    for at in range(0, len(names), PART):
        yield from filter(None, tx.keys.several(names[at : at + PART]).values())


def _of_none_else(tx: Reading, case_id: str, key_id: str) -> OfCase:
    """The entries of a case, none of which, sealed under its key, is linked to another one."""
    of_others = tx.connection.execute(_LINKED_ELSEWHERE, {"key": key_id, "case": case_id})
    if of_others.first() is not None:
        raise of_another(case_id)
    return _of(tx, case_id, key_id)


def of_another(case_id: str) -> RecordsDisagree:
    """What is raised where the tables give a case what is another's."""
    return RecordsDisagree(
        "The tables name the key of another case for this one.",
        f"the case {case_id}",
        "Have the database examined; nothing was done.",
    )


def _of(tx: Reading, case_id: str, key_id: str | None) -> OfCase:
    linked = tx.connection.execute(_LINKED, {"wanted": case_id})
    sealed = tx.connection.execute(_SEALED, {"wanted": key_id})  # of no key there is nothing
    return OfCase(
        {row.seq: row.leaf for row in linked},
        key_id,
        {row.seq: row.leaf for row in sealed},
    )


def case_of_entry(tx: Reading, seq: int) -> str | None:
    """Return the id of the case an entry of the ledger is linked to, if it is linked to one."""
    link = tables.case_entry
    return tx.connection.execute(
        select(link.c.case_id).where(link.c.log == LEDGER, link.c.seq == seq)
    ).scalar_one_or_none()


def sealed_and_not_linked(tx: Reading, first: int, end: int | None) -> list[int]:
    """Return where, of [first, end), something is sealed that is about a case, and linked to none.

    What it is about says its leaf: the name of the key beside a payload is a row like any other.
    """
    query = select(_ENTRY.c.seq, _ENTRY.c.leaf).where(
        _ENTRY.c.log == LEDGER,
        _ENTRY.c.seq >= first,
        _beside(_PAYLOAD),
        ~_beside(_LINK),
    )
    query = query if end is None else query.where(_ENTRY.c.seq < end)
    rows = tx.connection.execute(query.order_by(_ENTRY.c.seq))
    return [row.seq for row in rows if is_of_a_case(row.leaf)]


# made once: making a statement anew takes longer than the database does
_ENTRY, _LINK, _PAYLOAD = tables.entry, tables.case_entry, tables.payload


def _beside(table: Table) -> ColumnElement[bool]:
    """Whether a table has a row of the entry."""
    place = (table.c.log == _ENTRY.c.log) & (table.c.seq == _ENTRY.c.seq)
    return select(table.c.seq).where(place).exists()


_WHOLE = select(tables.case_file).where(
    or_(tables.case_file.c.id == bindparam("id"), tables.case_file.c.key_id == bindparam("key"))
)
_ROW = select(tables.case_file.c.sealed).where(tables.case_file.c.id == bindparam("wanted"))
_OTHERS = select(tables.case_file.c.id, tables.case_file.c.sealed).where(
    tables.case_file.c.id != bindparam("wanted")
)
_LINKED_ELSEWHERE = (
    select(_LINK.c.seq)
    .join(_PAYLOAD, (_PAYLOAD.c.log == _LINK.c.log) & (_PAYLOAD.c.seq == _LINK.c.seq))
    .where(
        _LINK.c.log == LEDGER,
        _PAYLOAD.c.key_id == bindparam("key"),
        _LINK.c.case_id != bindparam("case"),
    )
    .limit(1)
)
_LINKED, _SEALED = (
    select(_ENTRY.c.seq, _ENTRY.c.leaf)
    .join(table, (table.c.log == _ENTRY.c.log) & (table.c.seq == _ENTRY.c.seq))
    .where(whose == bindparam("wanted"), table.c.log == LEDGER)
    for table, whose in ((_LINK, _LINK.c.case_id), (_PAYLOAD, _PAYLOAD.c.key_id))
)
