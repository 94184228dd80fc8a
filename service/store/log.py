"""The two logs on SQLAlchemy: what `explainer.ledger.log.append` needs of a storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    Row,
    Select,
    String,
    bindparam,
    func,
    select,
)

from explainer.errors import EntryMalformed
from explainer.ledger.entries import Envelope
from explainer.ledger.log import Head, LogName, Opening, Record
from explainer.ledger.tree import Range
from service.store import tables

PART = 1000
"""Entries that are read at a time."""


@dataclass(frozen=True, slots=True)
class SqlLog:
    """One log within one running transaction (LogStore)."""

    connection: Connection
    name: LogName

    def head(self) -> Head:
        """Return the head; who writes has held it since the transaction began."""
        return _head(self.connection.execute(_HEAD, {"name": self.name.value}).one())

    def last(self) -> tuple[Head, bytes | None]:
        """Return the head and the leaf of the last entry, both by one question."""
        row = self.connection.execute(_LAST, {"name": self.name.value}).one()
        head = _head(row)
        if head.size and row.leaf is None:
            raise self._missing(head.size - 1)
        return head, None if row.leaf is None else _bytes(row.leaf)

    def append(self, record: Record, head: Head) -> None:
        """Store `record` and overwrite the head."""
        clock = None if head.last_clock is None else int(head.last_clock.timestamp())
        if self.connection.dialect.name == "postgresql":
            self._append_as_owner(record, head.edge, clock)
            return
        place = {"log": self.name.value, "seq": record.seq}
        run = self.connection.execute
        run(_ENTRY, {**place, "leaf": record.leaf, "leaf_hash": record.leaf_hash})
        sealed, opening = record.envelope, record.opening
        if sealed is not None:
            values = {"key_id": sealed.key_id, "nonce": sealed.nonce}
            run(_PAYLOAD, {**place, **values, "ciphertext": sealed.ciphertext})
        if opening is not None:
            run(_OPENING, {**place, "salt": opening.salt, "payload": opening.payload})
        edge = head.edge.to_bytes()
        grown = {"name": self.name.value, "size": head.size, "range": edge, "last_clock": clock}
        run(_NEW_HEAD, grown)

    def _append_as_owner(self, record: Record, edge: Range, clock: int | None) -> None:
        """The application has no right to write here; the owner's function looks before it does."""
        sealed, opening = record.envelope, record.opening
        values = {
            "log": self.name.value,
            "seq": record.seq,
            "leaf": record.leaf,
            "leaf_hash": record.leaf_hash,
            "key_id": sealed and sealed.key_id,
            "nonce": sealed and sealed.nonce,
            "ciphertext": sealed and sealed.ciphertext,
            "salt": opening and opening.salt,
            "opened": opening and opening.payload,
            "range": edge.to_bytes(),
            "clock": clock,
        }
        self.connection.execute(_APPEND, values)

    def read(self, seq: int) -> Record:
        """Return one entry with its payload and opening, where it has them."""
        return _record(self._at(_ONE, seq))

    def leaf(self, seq: int) -> bytes:
        """Return the leaf of one entry."""
        return _bytes(self._at(_LEAF, seq).leaf)

    def _at(self, query: Select[Any], seq: int) -> Row[Any]:
        row = self.connection.execute(query, {"name": self.name.value, "at": seq}).one_or_none()
        if row is None:
            raise self._missing(seq)
        return row

    def _missing(self, seq: int) -> EntryMalformed:
        return EntryMalformed(
            what="There is no entry at this position.",
            where=f"the log {self.name}, entry {seq}",
            mend="Verify the log.",
        )

    def records(self) -> Iterator[Record]:
        """Yield all entries with what is stored beside them, in order."""
        query = join_entries().where(tables.entry.c.log == self.name.value)
        yield from map(_record, in_order(self.connection, query))

    def notes(self) -> list[bytes]:
        """Return every signed note that is stored, in order of size."""
        table = tables.checkpoint
        query = select(table.c.note).where(table.c.log == self.name.value).order_by(table.c.size)
        return [_bytes(note) for note in self.connection.execute(query).scalars()]

    def leaf_hashes(self, begin: int, end: int) -> Iterator[bytes]:
        """Yield the stored leaf hashes of the entries [begin, end)."""
        table = tables.entry
        query = select(table.c.seq, table.c.leaf_hash).where(
            table.c.log == self.name.value, table.c.seq >= begin, table.c.seq < end
        )
        yield from (_bytes(row.leaf_hash) for row in in_order(self.connection, query))

    def leaves(self, begin: int | None = None) -> Iterator[bytes]:
        """Yield the stored leaf bytes of all entries, or of those from `begin` on, in order."""
        table = tables.entry
        query = select(table.c.seq, table.c.leaf).where(table.c.log == self.name.value)
        query = query if begin is None else query.where(table.c.seq >= begin)
        yield from (_bytes(row.leaf) for row in in_order(self.connection, query))

    def last_checkpoint(self, at_most: int | None = None) -> tuple[Range, bytes] | None:
        """Return the right edge and note of the newest stored checkpoint up to that size."""
        table = tables.checkpoint
        query = select(table).where(table.c.log == self.name.value)
        if at_most is not None:
            query = query.where(table.c.size <= at_most)
        row = self.connection.execute(query.order_by(table.c.size.desc()).limit(1)).one_or_none()
        return None if row is None else (_edge(row.size, row.range), _bytes(row.note))

    def add_checkpoint(self, edge: Range, note: bytes) -> None:
        """Store a signed checkpoint with the right edge it was made from."""
        self.connection.execute(
            tables.checkpoint.insert().values(
                log=self.name.value, size=edge.size, range=edge.to_bytes(), note=note
            )
        )


def join_entries() -> Select[Any]:
    """Entries with the payload and the opening beside them, where they have them."""
    entry, payload, opening = tables.entry, tables.payload, tables.opening
    return (
        select(
            entry.c.seq,
            entry.c.leaf,
            entry.c.leaf_hash,
            payload.c.key_id,
            payload.c.nonce,
            payload.c.ciphertext,
            opening.c.salt,
            opening.c.payload.label("opened"),
        )
        .outerjoin(payload, (payload.c.log == entry.c.log) & (payload.c.seq == entry.c.seq))
        .outerjoin(opening, (opening.c.log == entry.c.log) & (opening.c.seq == entry.c.seq))
    )


def _head(row: Row[Any]) -> Head:
    try:
        clock = None if row.last_clock is None else datetime.fromtimestamp(row.last_clock, UTC)
    except (TypeError, ValueError, OverflowError, OSError):  # beyond the year 9999, or no number
        raise _damaged("The time of the newest entry is none.") from None
    return Head(_edge(row.size, row.range), clock)


def _edge(size: Any, data: Any) -> Range:
    if type(size) is not int:
        raise _damaged("The size that is stored is no whole number.")
    return Range.from_bytes(size, _bytes(data))


# made once: making a statement anew takes longer than the database does
_HEAD = select(tables.head).where(tables.head.c.log == bindparam("name"))
_LAST = (
    select(tables.head, tables.entry.c.leaf)
    .select_from(
        tables.head.outerjoin(
            tables.entry,
            (tables.entry.c.log == tables.head.c.log)
            & (tables.entry.c.seq == tables.head.c.size - 1),
        )
    )
    .where(tables.head.c.log == bindparam("name"))
)
_NEW_HEAD = (
    tables.head.update()
    .where(tables.head.c.log == bindparam("name"))
    .values({name: bindparam(name) for name in ("size", "range", "last_clock")})
)
_ENTRY, _PAYLOAD, _OPENING = (
    table.insert() for table in (tables.entry, tables.payload, tables.opening)
)
_HERE = (tables.entry.c.log == bindparam("name"), tables.entry.c.seq == bindparam("at"))
_ONE = join_entries().where(*_HERE)
_LEAF = select(tables.entry.c.leaf).where(*_HERE)
_APPEND = select(
    func.append_entry(
        bindparam("log", type_=String),
        bindparam("seq", type_=Integer),
        bindparam("leaf", type_=LargeBinary),
        bindparam("leaf_hash", type_=LargeBinary),
        bindparam("key_id", type_=String),
        *(bindparam(name, type_=LargeBinary) for name in ("nonce", "ciphertext", "salt", "opened")),
        bindparam("range", type_=LargeBinary),
        bindparam("clock", type_=BigInteger),
    )
)


def in_order(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """Yield the rows of a query on `entry` by their position, a thousand at a time.

    Not by a cursor: who stops half-way would leave one open on a connection others use next.
    """
    seq = tables.entry.c.seq
    part = query
    while True:
        rows = connection.execute(part.order_by(seq).limit(PART)).all()
        yield from rows
        if len(rows) < PART:
            return
        part = query.where(seq > rows[-1].seq)


def _record(row: Any) -> Record:
    sealed = row.key_id is not None
    return Record(
        seq=row.seq,
        leaf=_bytes(row.leaf),
        leaf_hash=_bytes(row.leaf_hash),
        envelope=Envelope(row.key_id, _bytes(row.nonce), _bytes(row.ciphertext))
        if sealed
        else None,
        opening=Opening(_bytes(row.salt), _bytes(row.opened)) if row.salt is not None else None,
    )


def _bytes(value: Any) -> bytes:
    """`value`; in SQLite it may be of another type than its column, if somebody changed it."""
    if not isinstance(value, bytes):
        raise _damaged("What is stored are no bytes.")
    return value


def _damaged(what: str) -> EntryMalformed:
    return EntryMalformed(what, "the log", "Verify the log.")
