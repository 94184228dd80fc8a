"""The store: opens the database, runs transactions, and answers only after they committed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from explainer.errors import StorageFailed
from explainer.ledger.log import LogName
from service.store.engine import BUSY_SECONDS, READING, open_engine, storage_errors
from service.store.keys import KeyStore
from service.store.log import SqlLog
from service.store.migrations import upgrade

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


class Store:
    """Holds the engine and the key store of one installation."""

    def __init__(
        self, engine: Engine, keys: KeyStore, *, tenant: str, ts_source: str = "system"
    ) -> None:
        self.engine = engine
        self.keys = keys
        self.tenant = tenant
        self._ts_source = ts_source
        self._one_writer = threading.Lock()  # fair between threads, where SQLite only polls

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        tenant: str,
        ts_source: str = "system",
        busy_seconds: float = BUSY_SECONDS,
    ) -> Store:
        """Open the store in `folder`, creating and migrating what is not there yet."""
        with storage_errors(WHERE):
            folder.mkdir(parents=True, exist_ok=True)
        engine = open_engine(folder / "warum.sqlite", busy_seconds=busy_seconds)
        try:
            with storage_errors(WHERE):
                upgrade(engine)
            keys = KeyStore.open(folder / "keys.sqlite", folder / "wrap.key")
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, keys, tenant=tenant, ts_source=ts_source)

    @classmethod
    def examine(cls, folder: Path) -> Store:
        """Open the store in `folder` as it is, only to be read: nothing is made or migrated."""
        for name in ("warum.sqlite", "keys.sqlite", "wrap.key"):
            if not (folder / name).is_file():
                raise StorageFailed(
                    what="There is no such file.",
                    where=str(folder / name),
                    mend="Put it back from its backup.",
                )
        keys = KeyStore.open(folder / "keys.sqlite", folder / "wrap.key")
        return cls(open_engine(folder / "warum.sqlite"), keys, tenant="")

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
        with self._one_writer, storage_errors(WHERE), self.engine.begin() as connection:
            yield Transaction(connection, self.keys, self.tenant, now, self._ts_source)

    @contextmanager
    def exclusive(self) -> Iterator[Reading]:
        """Hold the writer's lock for what is no action of anybody: seals, finished erasures."""
        with self._one_writer, storage_errors(WHERE), self.engine.begin() as connection:
            yield Reading(connection, self.keys)

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """Run a transaction that sees one moment of the database and cannot write."""
        with storage_errors(WHERE), self.engine.connect() as plain:
            connection = plain.execution_options(**{READING: True})
            with connection.begin():
                yield Reading(connection, self.keys)
