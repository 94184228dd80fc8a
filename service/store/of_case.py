"""Which entries of the ledger are about a case, found in two ways that cannot both be bent.

A table links entries to cases. And every entry of a case is sealed under the one key of that case,
whose name is asked of the key store: whoever may change the tables, and takes a link out, takes
nothing out of what was sealed under that key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from explainer.ledger.log import SYSTEM_KEY, LogName, case_key_name
from service.store import tables
from service.store.cases import get_case
from service.store.database import Reading

LEDGER = LogName.LEDGER.value


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


def of_case(tx: Reading, case_id: str) -> OfCase:
    """Return the entries of the case with this opaque id; there are none of one there is not."""
    linked = tx.connection.execute(_LINKED, {"wanted": case_id})
    file = get_case(tx, case_id)
    key_id = None if file is None else tx.keys.find(case_key_name(file.case_ref))
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


def sealed_and_not_linked(tx: Reading) -> list[int]:
    """Return where something is sealed under the key of a case, and linked to none."""
    payload, link = tables.payload, tables.case_entry
    found = tx.connection.execute(
        select(payload.c.seq)
        .where(
            payload.c.log == LEDGER,
            payload.c.key_id != (tx.keys.find(SYSTEM_KEY) or ""),
            ~select(link.c.seq)
            .where(link.c.log == payload.c.log, link.c.seq == payload.c.seq)
            .exists(),
        )
        .order_by(payload.c.seq)
    )
    return list(found.scalars())


# made once: making a statement anew takes longer than the database does
_ENTRY, _LINK, _PAYLOAD = tables.entry, tables.case_entry, tables.payload
_LINKED, _SEALED = (
    select(_ENTRY.c.seq, _ENTRY.c.leaf)
    .join(table, (table.c.log == _ENTRY.c.log) & (table.c.seq == _ENTRY.c.seq))
    .where(whose == bindparam("wanted"), table.c.log == LEDGER)
    for table, whose in ((_LINK, _LINK.c.case_id), (_PAYLOAD, _PAYLOAD.c.key_id))
)
