"""Which decisions somebody recorded themselves: found with their name, and told by nothing else.

The table has one row for each decision: its place, and a digest of that place and of who recorded
it, under a key that is not in the database. No two rows of a person are alike, so nothing can be
grouped, counted or followed by person, and nothing here does. To find somebody's rows, each row's
digest is made anew with their name and compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from explainer.ledger.log import LogName
from service.store import tables
from service.store.database import Reading, Transaction

AT_MOST = 20
"""Records that are found at a time."""
LOOKED_THROUGH = 50_000
"""Rows that are compared at a time; about a quarter of a second."""
PART = 1000

_NEW = tables.own_record.insert()  # made once: making it takes longer than the database does


@dataclass(frozen=True, slots=True)
class Found:
    """Places of somebody's own decisions, newest first. `before` is where to go on looking, None
    where nothing older is left."""

    seqs: tuple[int, ...]
    before: int | None


def remember(tx: Transaction, seq: int, subject: str) -> None:
    """Let whoever recorded the decision at this place of the ledger find it again."""
    mark = tx.keys.own_mark(subject, seq)
    tx.connection.execute(_NEW, {"log": LogName.LEDGER.value, "seq": seq, "mark": mark})


def find_own(tx: Reading, subject: str, before: int | None = None) -> Found:
    """Return where `subject` recorded decisions, of those older than `before`."""
    table = tables.own_record
    query = select(table.c.seq, table.c.mark).where(table.c.log == LogName.LEDGER.value)
    found: list[int] = []
    looked = 0
    while True:
        part = query if before is None else query.where(table.c.seq < before)
        rows = tx.connection.execute(part.order_by(table.c.seq.desc()).limit(PART)).all()
        for row in rows:
            if row.mark == tx.keys.own_mark(subject, row.seq):
                if len(found) == AT_MOST:
                    return Found(tuple(found), found[-1])
                found.append(row.seq)
            before = row.seq
        looked += len(rows)
        if len(rows) < PART:
            return Found(tuple(found), None)
        if looked >= LOOKED_THROUGH:
            return Found(tuple(found), before)
