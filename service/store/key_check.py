"""Whether everything that is sealed has its key; asked at every start and after a restore."""

from __future__ import annotations

from sqlalchemy import select

from explainer.errors import KeyMissing
from explainer.ledger.log import LogName
from service.store import tables
from service.store.database import Reading, Store
from service.store.erasure import covered_seqs
from service.store.sealed import ERASED

PART = 500
"""Keys that are asked for at a time."""


def check_keys(store: Store) -> None:
    """Raise KeyMissing unless every sealed payload of both logs, and every case, has its key.

    Erased payloads are gone together with their keys; whatever is left must open. What an erasure
    takes away meanwhile is looked at once more: then it is seen to be one.
    """
    table = tables.payload
    with store.reading() as tx:
        used = tx.connection.execute(select(table.c.key_id).distinct()).scalars().all()
    for at in range(0, len(used), PART):
        part = used[at : at + PART]
        keys = store.keys.several(part)
        for key_id in part:
            if keys.get(key_id) is None and store.keys.get(key_id) is None:  # raises if damaged
                _check_erased(store, key_id)
    with store.reading() as tx:
        left = cases_without_key(tx)
    if left:
        with store.reading() as tx:
            left &= cases_without_key(tx)
    if left:
        raise KeyMissing(
            what=f"No key opens {len(left)} of the cases, and no erasure accounts for that.",
            where="the key store",
            mend="Put it back from its backup; nothing can be read without it.",
        )


def keys_of_no_case(store: Store) -> frozenset[str]:
    """The names of keys made for a case that no case is under, and nothing that was recorded.

    A submission that broke off leaves one behind, which serves where the case is submitted again.
    So does a case that was taken out of the tables before anybody saw it: nothing else tells of it.
    """
    left = _of_no_case(store)
    return left & _of_no_case(store) if left else left  # one may have been about to be used


def _of_no_case(store: Store) -> frozenset[str]:
    there = store.keys.names_of_cases()
    with store.reading() as tx:
        used = [
            tx.connection.execute(select(table.c.key_id).distinct()).scalars().all()
            for table in (tables.case_file, tables.payload)
        ]
    return there.difference(*used)


def cases_without_key(tx: Reading) -> frozenset[str]:
    """The ids of the cases, those being erased left out, of which no key is there."""
    table = tables.case_file
    rows = tx.connection.execute(select(table.c.id, table.c.key_id).where(table.c.state != ERASED))
    used = {row.id: row.key_id for row in rows}  # before the keys, which come before their case
    there = tx.keys.names()
    return frozenset(case_id for case_id, key_id in used.items() if key_id not in there)


def _check_erased(store: Store, key_id: str) -> None:
    table = tables.payload
    with store.reading() as tx:
        query = select(table.c.log, table.c.seq).where(table.c.key_id == key_id)
        for log, seq in tx.connection.execute(query.order_by(table.c.seq)).all():
            if seq not in covered_seqs(tx, LogName(log)):
                raise key_missing(seq)


def key_missing(seq: int) -> KeyMissing:
    """What is raised for an entry whose key is gone."""
    return KeyMissing(
        what="A sealed record is there, its key is not, and no erasure accounts for that.",
        where=f"entry {seq}",
        mend="Put the key store back from its backup; nothing can be read without it.",
    )
