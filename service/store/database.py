"""The store: opens the database, runs transactions, and answers only after they committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine

from explainer.errors import StorageFailed
from explainer.ledger.entries import Entry, Receipt
from explainer.ledger.log import LogName, append
from explainer.ledger.sealing import CaseKeys
from service.store import engine as sqlite
from service.store import postgres
from service.store.engine import BUSY_SECONDS, READING, storage_errors
from service.store.keys import KeyStore
from service.store.log import SqlLog
from service.store.migrations import upgrade
from service.store.writers import Writers

WHERE = "the database"


@dataclass(frozen=True, slots=True)
class Reading:
    """A transaction that only reads."""

    connection: Connection
    keys: KeyStore

    def log(self, name: LogName) -> SqlLog:
        """Return one of the two logs within this transaction."""
        return SqlLog(self.connection, name)


@dataclass(frozen=True, slots=True)
class Transaction(Reading):
    """A transaction that writes: state and the entries that vouch for it, together or not at all.

    Attributes
    ----------
    now : what the clock said when the action began; entries keep it to the minute
    """

    tenant: str
    now: datetime
    ts_source: str

    def append(self, log: LogName, entry: Entry, keys: CaseKeys | None = None) -> Receipt:
        """Write `entry` at the end of a log, under this transaction's clock and keys.

        `keys` are the same keys, of whoever has looked one up already.
        """
        return append(
            self.log(log),
            entry,
            keys=keys or self.keys,
            now=self.now,
            tenant=self.tenant,
            ts_source=self.ts_source,
        )


class Store:
    """Holds the engine and the key store of one installation.

    `file` is the database's file on SQLite, None on PostgreSQL. The key store is a file of its own
    with either.
    """

    def __init__(
        self,
        engine: Engine,
        keys: KeyStore,
        *,
        tenant: str,
        ts_source: str = "system",
        file: Path | None = None,
    ) -> None:
        self.engine = engine
        self.keys = keys
        self.tenant = tenant
        self.file = file
        self._ts_source = ts_source
        self._writers = Writers(engine)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        tenant: str,
        database: str = "",
        ts_source: str = "system",
        busy_seconds: float = BUSY_SECONDS,
    ) -> Store:
        """Open the store of `folder`: on SQLite there, or on PostgreSQL at the address `database`.

        SQLite is created and migrated here, PostgreSQL by `warum database prepare`.
        """
        with storage_errors(WHERE):
            folder.mkdir(parents=True, exist_ok=True)
        file = _file(folder, database)
        engine = _engine(file, database, busy_seconds, writes=True)
        where = (folder / "keys.sqlite", folder / "wrap.key")
        try:
            if file is None:
                postgres.check_prepared(engine)
            else:
                with storage_errors(WHERE):
                    upgrade(engine, partial(KeyStore.existing, *where))
            keys = KeyStore.open(*where)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, keys, tenant=tenant, ts_source=ts_source, file=file)

    @classmethod
    def examine(cls, folder: Path, database: str = "") -> Store:
        """Open the store as it is, only to be read: nothing is made or migrated."""
        file = _file(folder, database)
        if file is not None and not file.is_file():
            raise StorageFailed(
                what="There is no such file.",
                where=str(file),
                mend="Put it back from its backup.",
            )
        keys = KeyStore.existing(folder / "keys.sqlite", folder / "wrap.key")
        return cls(_engine(file, database, BUSY_SECONDS, writes=False), keys, tenant="", file=file)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self.keys.close()

    @contextmanager
    def transaction(self, now: datetime) -> Iterator[Transaction]:
        """Run a writing transaction; it has committed when the `with` block was left.

        Nothing may be answered from inside the block: a commit can still fail after it. Blocks
        are not nested, and seals come after them: there is one writer.
        """
        turn = self._writers.alone if self.file is None else self._writers.together
        with storage_errors(WHERE), turn() as connection:
            yield Transaction(connection, self.keys, self.tenant, now, self._ts_source)

    @contextmanager
    def exclusive(self) -> Iterator[Reading]:
        """Hold the writer's lock for what is no action of anybody: seals, finished erasures."""
        with storage_errors(WHERE), self._writers.alone() as connection:
            yield Reading(connection, self.keys)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Run a transaction that sees one moment of the database and cannot write."""
        with storage_errors(WHERE), self.engine.connect() as plain:
            options = {READING: True} if self.file else postgres.READING_OPTIONS
            connection = plain.execution_options(**options)
            with connection.begin():
                yield Reading(connection, self.keys)


def _file(folder: Path, database: str) -> Path | None:
    """The file of the database; None where it is on PostgreSQL."""
    file = folder / "warum.sqlite"
    if not database:
        return file
    if file.exists():
        raise StorageFailed(
            what="The data folder has a database of its own, and a server is named as well.",
            where=str(file),
            mend="Name another WARUM_DATA, or leave WARUM_DATABASE out.",
        )
    return None


def _engine(file: Path | None, database: str, busy_seconds: float, *, writes: bool) -> Engine:
    if file is not None:
        # a file that every installation has and that is never written; SQLite's own must not be
        # opened beside it: closing it again would let go of all locks SQLite has
        line = file.with_name("wrap.key")
        return sqlite.open_engine(file, busy_seconds=busy_seconds, line=line)
    return postgres.open_engine(database, busy_seconds=busy_seconds, writes=writes)
