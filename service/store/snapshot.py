"""One moment of the records as a SQLite file, from either database, and back into either.

A backup looks the same wherever it was made, so it is also the way from SQLite to PostgreSQL and
back. Rows are carried table by table as `tables` describes them, and every row is read again where
it was written to: a bit that changed on the way stops the copy.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Table,
    func,
    insert,
    literal,
    select,
    text,
    tuple_,
    update,
)

from explainer.errors import BackupRefused, StorageFailed
from service.store import engine as sqlite
from service.store import postgres, tables
from service.store.copies import copy_database, make_durable
from service.store.database import Store
from service.store.engine import storage_errors
from service.store.keys import KeyStore
from service.store.migrations import upgrade
from service.store.rights import SCHEMA

PART = 500
"""Rows that are in memory at once."""

Told = Callable[[str, int, int], None]
"""What is being done, how many rows are done, of how many."""


def copy_records(store: Store, file: Path, told: Told) -> None:
    """Copy one moment of the records to the new SQLite file `file`. Raises StorageFailed.

    Everything about a person is sealed where it lies, so the copy holds nothing of them either
    that is not gone with the key of their case. Of a database an older version left, the copy gets
    today's form, in which that is so.
    """
    if store.file is not None:
        copy_database(store.file, file)
        where = (store.file.with_name("keys.sqlite"), store.file.with_name("wrap.key"))
        copied = sqlite.open_engine(file)
        try:
            with storage_errors(str(file)):
                upgrade(copied, partial(KeyStore.existing, *where))
        finally:
            copied.dispose()
    else:
        _copy_rows(store, file, told)
    make_durable(file)


@contextmanager
def still_file(file: Path) -> Iterator[Path]:
    """A file with one moment of a database of SQLite, for whoever reads it for long.

    Without a write-ahead log a reader keeps every commit waiting, and in the end failing. So a copy
    is read, for which nobody waits longer than the disk takes to read the file once; it is gone
    afterwards, and holds nothing that is not sealed. Where there is no room for one the file itself
    is read, as is one with a write-ahead log.
    """
    if sqlite.journal_mode(sqlite3.sqlite_version_info)[0] == "wal":
        yield file
        return
    with ExitStack() as gone_afterwards:
        try:
            folder = gone_afterwards.enter_context(tempfile.TemporaryDirectory())
            copy = Path(folder) / file.name
            copy_database(file, copy)
        except (OSError, StorageFailed):
            copy = file
        yield copy


@contextmanager
def still(store: Store) -> Iterator[Store]:
    """The records of one moment, for whoever reads them for long; nobody waits for them."""
    if store.file is None:
        yield store  # on PostgreSQL nobody waits for a reader
        return
    with still_file(store.file) as file:
        engine = sqlite.open_engine(file)
        try:
            yield Store(engine, store.keys, tenant=store.tenant, file=file)
        finally:
            engine.dispose()


def open_copy(file: Path, keys: Path, wrapping: Path, tenant: str) -> Store:
    """Open a copy of the records that lies beside them, in the form this version works with."""
    engine = sqlite.open_engine(file)
    try:
        with storage_errors(str(file)):
            upgrade(engine, partial(KeyStore.existing, keys, wrapping))
        return Store(engine, KeyStore.open(keys, wrapping), tenant=tenant, file=file)
    except BaseException:
        engine.dispose()
        raise


def fill(copy: Store, owner: str, application: str, told: Told) -> None:
    """Put the rows of `copy` into the prepared, empty database: all of them, or none.

    `owner` is the address with the owner's role: the application's may not write what a log holds.
    Raises StorageFailed, and BackupRefused where the database is not empty.
    """
    postgres.check(application)
    into = postgres.open_as_owner(owner)
    try:
        with storage_errors(postgres.WHERE), into.begin() as writing:
            _check_same(writing, application)
            names = ", ".join(f"{SCHEMA}.{table}" for table in tables.metadata.tables)
            writing.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            _check_empty(writing)
            with copy.reading() as tx:
                _carry(tx.connection, writing, ("the backup", postgres.WHERE), told)
    finally:
        into.dispose()


def check_empty(application: str) -> None:
    """Refuse a database that cannot be filled, before anything is done. Raises as `fill` does."""
    postgres.check(application)
    engine = postgres.open_engine(application, writes=False)
    try:
        with storage_errors(postgres.WHERE), engine.connect() as plain:
            reading = plain.execution_options(**postgres.READING_OPTIONS)
            with reading.begin():
                _check_empty(reading)
    finally:
        engine.dispose()


# -- rows -----------------------------------------------------------------------------------------


def _copy_rows(store: Store, file: Path, told: Told) -> None:
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    target = sqlite.open_engine(file)
    try:
        with store.reading() as tx, storage_errors(str(file)):
            postgres.check_version(tx.connection)
            # what was written is read again meanwhile, which takes its time with millions of rows
            tx.connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            upgrade(target)
            with target.begin() as writing:
                _carry(tx.connection, writing, (postgres.WHERE, str(file)), told)
    finally:
        target.dispose()


def _carry(source: Connection, target: Connection, names: tuple[str, str], told: Told) -> None:
    """Write every row of every table of `source` to `target`, and read it again there.

    `names` are what errors call the two.
    """
    ours, (here, there) = tables.metadata.sorted_tables, names
    with storage_errors(here):
        total = sum(_count(source, table) for table in ours)
    done = 0
    for table in ours:
        carried = _Digest()
        for rows in _parts(source, table, here):
            carried.add(rows)
            if table is tables.head:  # its rows are there from the start
                for row in rows:
                    same = table.c.log == row["log"]
                    target.execute(update(table).where(same).values(row))
            elif rows:
                target.execute(insert(table), rows)
            done += len(rows)
            told(table.name, done, total)
        written = _Digest()
        for part in _parts(target, table, there):
            written.add(part)
        if written != carried:
            raise BackupRefused(
                "What was written is not what was read.",
                f"the table {table.name}",
                "Check disk and memory of the machines, then try again.",
            )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _parts(connection: Connection, table: Table, where: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table, older ones first: what refers to another row comes after it.

    Not by a cursor, which would stay open where the copy stops half-way.
    """
    first = [name for name in ("log", "seq") if "seq" in table.c]
    rest = [one.name for one in table.primary_key if one.name not in first]
    order = [table.c[name] for name in (*first, *rest)]
    query = part = select(table).order_by(*order).limit(PART)
    while True:
        with storage_errors(where):
            rows = [dict(row) for row in connection.execute(part).mappings()]
        yield rows
        if len(rows) < PART:
            return
        last = [literal(rows[-1][one.name], one.type) for one in order]
        part = query.where(tuple_(*order) > tuple_(*last))


class _Digest:
    """Number and digest of rows in any order: two databases do not sort texts alike."""

    def __init__(self) -> None:
        self._count, self._sum = 0, 0

    def add(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            exact = [
                (name, bytes(value) if isinstance(value, memoryview) else value)
                for name, value in sorted(row.items())
            ]
            digest = hashlib.sha256(repr(exact).encode()).digest()
            self._count += 1
            self._sum = (self._sum + int.from_bytes(digest)) % 2**256

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Digest) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def _check_empty(connection: Connection) -> None:
    head = tables.head
    sizes = connection.execute(select(head.c.size)).scalars().all()
    others = [table for table in tables.metadata.sorted_tables if table is not head]
    if any(sizes) or any(connection.execute(select(one).limit(1)).first() for one in others):
        raise BackupRefused(
            "There are records in the database already.",
            postgres.WHERE,
            "Name an empty one, made ready by `warum database prepare`, and keep the other: it may "
            "be evidence. If a restore had just been cut short, it had been done: start Warum.",
        )


def _check_same(writing: Connection, application: str) -> None:
    """Both addresses have to lead to one database: a lock taken by one is seen by the other."""
    number = secrets.randbits(62)
    writing.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
    engine = postgres.open_engine(application, writes=False)
    try:
        with storage_errors(postgres.WHERE), engine.connect() as other:
            free = select(func.pg_try_advisory_xact_lock(literal(number, BigInteger)))
            if other.execute(free).scalar_one():
                raise StorageFailed(
                    "The two addresses are not of the same database.",
                    "WARUM_DATABASE_OWNER",
                    "Name the database of WARUM_DATABASE in it.",
                )
    finally:
        engine.dispose()
