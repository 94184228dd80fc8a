"""What the tables hold of the logs, handed to the verifier as it lies there; nothing is trusted.

On SQLite the verifier reads the file itself, as it does for anybody outside, or a copy of it where
others would have to wait. A server has no file to give away: there the rows are read for it, within
one moment of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, func, select

from explainer.ledger.log import LogName
from explainer.ledger.verify import (
    Checkpoint,
    Key,
    Result,
    StoredEntry,
    StoredLog,
    verify_database,
    verify_log,
)
from service.store import tables
from service.store.database import Store
from service.store.keys import KeyStore
from service.store.log import in_order, join_entries
from service.store.snapshot import still_file


class EveryKey(dict[str, bytes | None]):
    """The keys of a key store by their names, for checking that payloads open.

    None is one that is damaged, or not there: `lost_keys` finds those, and knows what is being
    erased. One that was made meanwhile is asked for when it is met.
    """

    def __init__(self, keys: KeyStore) -> None:
        super().__init__(keys.all())
        self._keys = keys

    def __contains__(self, key_id: object) -> bool:
        return True

    def __missing__(self, key_id: str) -> bytes | None:
        return self._keys.several([key_id]).get(key_id)


def verify_store(
    store: Store,
    keys: Sequence[Key],
    outside: Sequence[Checkpoint] = (),
    case_keys: Mapping[str, bytes | None] | None = None,
) -> list[Result]:
    """Check every log that one of `keys` is for, on either database."""
    if store.file is not None:
        return verify_file(store.file, keys, outside, case_keys)
    with store.reading() as tx:
        return [
            verify_log(
                _stored_log(tx.connection, key.log),
                key,
                [one for one in outside if one.origin == key.name],
                case_keys,
            )
            for key in keys
        ]


def verify_file(
    file: Path,
    keys: Sequence[Key],
    outside: Sequence[Checkpoint] = (),
    case_keys: Mapping[str, bytes | None] | None = None,
) -> list[Result]:
    """Check every log that one of `keys` is for, in a file of SQLite. Raises Unusable."""
    if not file.is_file():
        return verify_database(file, keys)  # which says so
    with still_file(file) as one:
        return verify_database(one, keys, outside, case_keys)


def _stored_log(connection: Connection, name: str) -> StoredLog:
    head, notes = tables.head, tables.checkpoint
    row = connection.execute(select(head).where(head.c.log == name)).one_or_none()
    checkpoints = connection.execute(
        select(notes.c.size, notes.c.range, notes.c.note)
        .where(notes.c.log == name)
        .order_by(notes.c.size)
    ).all()
    return StoredLog(
        name,
        _entries(connection, name),
        None if row is None else row.size,
        None if row is None else row.range,
        [(one.size, one.range, one.note) for one in checkpoints],
        list(_strays(connection, name)),
    )


def _entries(connection: Connection, name: str) -> Iterator[StoredEntry]:
    for row in in_order(connection, join_entries().where(tables.entry.c.log == name)):
        sealed, opened = row.key_id is not None, row.salt is not None
        yield StoredEntry(
            seq=row.seq,
            leaf=row.leaf,
            leaf_hash=row.leaf_hash,
            payload=(row.key_id, row.nonce, row.ciphertext) if sealed else None,
            opening=(row.salt, row.opened) if opened else None,
        )


def _strays(connection: Connection, name: str) -> Iterator[str]:
    """Say what belongs to no entry of this log, or to no log at all."""
    entry = tables.entry
    for table in (entry, tables.head, tables.payload, tables.opening, tables.checkpoint):
        others = select(func.count()).where(table.c.log.not_in(list(LogName)))
        if connection.execute(others).scalar_one():
            yield f"The table {table.name} has rows of no known log."
    for table in (tables.payload, tables.opening):
        alone = select(func.count()).where(
            table.c.log == name,
            ~select(entry.c.seq)
            .where(entry.c.log == table.c.log, entry.c.seq == table.c.seq)
            .exists(),
        )
        if connection.execute(alone).scalar_one():
            yield f"The table {table.name} has rows of no entry."
