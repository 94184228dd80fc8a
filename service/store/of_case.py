"""Which entries of the ledger are about a case, found in two ways that cannot both be bent.

A table links entries to cases. And every entry of a case is sealed under the one key of that case,
whose name is asked of the key store: whoever may change the tables, and takes a link out, takes
nothing out of what was sealed under that key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from explainer.errors import RecordsDisagree
from explainer.ledger.log import SYSTEM_KEY, LogName, case_key_name
from service.store import tables
from service.store.cases import CaseFile
from service.store.database import Reading
from service.store.sealed import Damaged, unseal

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
    if tx.keys.get(case.key_id) is None:
        raise case.fault
    row = tx.connection.execute(_ROW, {"wanted": case.id}).one()
    names = sorted(tx.keys.names() - {case.key_id})
    for at in range(0, len(names), PART):
        keys = tx.keys.several(names[at : at + PART]).values()
        if any(key is not None and unseal(case.id, row.sealed, key) for key in keys):
            raise _exchanged(case.id)
    own = tx.keys.get(case.key_id)
    others = tx.connection.execute(_OTHERS, {"wanted": case.id})
    if any(unseal(other.id, other.sealed, own) for other in others):
        raise _exchanged(case.id)
    found = _of(tx, case.id, case.key_id)
    of_others = tx.connection.execute(_LINKED_ELSEWHERE, {"key": case.key_id, "case": case.id})
    if of_others.first() is not None:
        raise _exchanged(case.id)
    return found


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
