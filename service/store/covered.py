"""What recorded erasures cover: it lies open for everybody, and is read by everything else here."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from explainer.errors import EntryMalformed
from explainer.ledger.entries import parse_canonical
from explainer.ledger.log import LogName
from service.store import tables
from service.store.database import Reading


def covered_seqs(tx: Reading, log: LogName) -> frozenset[int]:
    """Every position of a log that a recorded erasure covers."""
    opening = tables.opening
    rows = tx.connection.execute(select(opening.c.payload).where(opening.c.log == log.value))
    return frozenset(seq for row in rows for seq in read_erasure(row.payload)[0])


def read_erasure(payload: bytes) -> tuple[frozenset[int], frozenset[str]]:
    """The positions an erasure covers, and the keys it names."""
    value = parse_canonical(payload)
    listed = value.get("seqs") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(listed, list):
        raise malformed_erasure("An erasure does not say what it covers.")
    named = value.get("key_ids")
    return frozenset(listed), frozenset(named if isinstance(named, list) else ())


def malformed_erasure(what: str) -> EntryMalformed:
    """What is raised for an erasure that does not say what it has to."""
    return EntryMalformed(
        what=what, where="an erasure", mend="List the entries of one whole case and try again."
    )
