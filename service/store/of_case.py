"""Which entries of the ledger are about a case, found in two ways that cannot both be bent.

A table links entries to cases. And every entry of a case is sealed under the one key of that case,
whose name is asked of the key store: whoever may change the tables, and takes a link out, takes
nothing out of what was sealed under that key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from sqlalchemy import bindparam, or_, select

from explainer.errors import CaseNotFound, ErasureRefused, LedgerError, RecordsDisagree
from explainer.ledger.entries import Envelope, Leaf
from explainer.ledger.log import SYSTEM_KEY, LogName, Record, case_key_name
from explainer.ledger.sealing import open_payload
from service.store import tables
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
            raise _exchanged(case.id)
    others = tx.connection.execute(_OTHERS, {"wanted": case.id})
    if any(unseal(other.id, other.sealed, own) for other in others):
        raise _exchanged(case.id)
    return _of_none_else(tx, case.id, case.key_id)


def of_lost_key(tx: Reading, name: str) -> tuple[Damaged, OfCase]:
    """Return the case with this id whose key is lost, and its entries; none of them opens.

    A number leads there only where the key is damaged. Raises CaseNotFound, ErasureRefused where
    its key is there and opens, and RecordsDisagree where anything says that its key is another
    than the lost one: a key that is there opens its row or what is linked to it, or what is
    sealed under the lost one is linked to another case.
    """
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
    log = tx.log(LogName.LEDGER)
    sealed = [log.read(seq) for seq in found.all]
    if any(one.envelope and one.envelope.key_id != row.key_id for one in sealed):
        raise _exchanged(row.id)
    oldest = next((one for one in sealed if one.envelope), None)
    for key in _other_keys(tx, row.key_id):
        if unseal(row.id, row.sealed, key) or (oldest and _opens(oldest, key)):
            raise _exchanged(row.id)
    return damaged(row, key_damaged() if keys else key_missing(row.id)), found


def may_be_follow_up(leaf: object) -> bool:
    """Whether a leaf, as it is stored, is of something recorded later: a legal hold perhaps.

    Its type is public. What is no leaf any more may be anything.
    """
    # the exact bytes of a leaf are canonical, so its type is spelled in one way only
    return not isinstance(leaf, bytes) or b'"type":"follow_up"' in leaf


def _opens(record: Record, key: bytes) -> bool:
    try:
        open_payload(cast(Envelope, record.envelope), key, Leaf.from_bytes(record.leaf))
    except LedgerError:
        return False
    return True


def _other_keys(tx: Reading, key_id: str) -> Iterator[bytes]:
    """Every key that is there and opens, but this one."""
    names = sorted(tx.keys.names() - {key_id})
    for at in range(0, len(names), PART):
        yield from filter(None, tx.keys.several(names[at : at + PART]).values())


def _of_none_else(tx: Reading, case_id: str, key_id: str) -> OfCase:
    """The entries of a case, none of which, sealed under its key, is linked to another one."""
    of_others = tx.connection.execute(_LINKED_ELSEWHERE, {"key": key_id, "case": case_id})
    if of_others.first() is not None:
        raise _exchanged(case_id)
    return _of(tx, case_id, key_id)


def _exchanged(case_id: str) -> RecordsDisagree:
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
    """Return where, of [first, end), something is sealed under the key of a case, and linked to
    none."""
    payload, link = tables.payload, tables.case_entry
    query = select(payload.c.seq).where(
        payload.c.log == LEDGER,
        payload.c.seq >= first,
        payload.c.key_id != (tx.keys.find(SYSTEM_KEY) or ""),
        ~select(link.c.seq)
        .where(link.c.log == payload.c.log, link.c.seq == payload.c.seq)
        .exists(),
    )
    query = query if end is None else query.where(payload.c.seq < end)
    return list(tx.connection.execute(query.order_by(payload.c.seq)).scalars())


# made once: making a statement anew takes longer than the database does
_ENTRY, _LINK, _PAYLOAD = tables.entry, tables.case_entry, tables.payload
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
