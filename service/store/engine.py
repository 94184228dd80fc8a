"""How the database is opened: one writer at a time, and on disk before anybody is told.

SQLAlchemy's own way with SQLite runs the SELECT of a log's head outside the transaction: in a
trial with four threads 240 appends were acknowledged at 63 positions, without one error. So
the driver's transactions are switched off and `BEGIN IMMEDIATE` is said here.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from explainer.errors import StorageFailed
from service.store.waiting import first_in_line

BUSY_SECONDS = 10.0
POLL_SECONDS = 0.0005
READING = "warum_reading"  # execution option: this transaction writes nothing


def journal_mode(library: tuple[int, int, int]) -> tuple[str, str]:
    """Return journal mode and synchronous setting that are safe on this SQLite library.

    From 3.7.0 to 3.51.2 WAL can lose committed writes when two connections write and
    checkpoint at once; mended in 3.51.3, and in 3.50.7 and 3.44.6 of the older lines.
    """
    mended = (
        library >= (3, 51, 3)
        or (3, 50, 7) <= library < (3, 51, 0)
        or (3, 44, 6) <= library < (3, 45, 0)
    )
    return ("wal", "FULL") if mended else ("delete", "EXTRA")


def open_engine(
    path: Path, *, busy_seconds: float = BUSY_SECONDS, line: Path | None = None
) -> Engine:
    """Return an engine for the SQLite file at `path`; local disks only.

    `line` is the file at which all processes that write to `path` wait for each other.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        hide_parameters=True,  # values of a case never reach an error text
        connect_args={"timeout": busy_seconds, "check_same_thread": False},
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", partial(_on_begin, busy_seconds=busy_seconds, line=line))
    return engine


def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        mode, synchronous = journal_mode(sqlite3.sqlite_version_info)
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() != (mode,):
            cursor.execute(f"PRAGMA journal_mode = {mode}")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA secure_delete = ON")  # what is erased leaves no bytes in the file
        cursor.execute("PRAGMA trusted_schema = OFF")
    finally:
        cursor.close()


def _on_begin(connection: Connection, *, busy_seconds: float, line: Path | None) -> None:
    # to the driver at once: SQLAlchemy takes ten times as long as SQLite for each of these
    plain: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    if connection.get_execution_options().get(READING):
        plain.execute("PRAGMA query_only = ON")
        plain.execute("BEGIN")
    else:
        plain.execute("PRAGMA query_only = OFF")
        last = time.monotonic() + busy_seconds
        with nullcontext() if line is None else first_in_line(line, busy_seconds):
            _begin_writing(plain, busy_seconds, last)


def _begin_writing(plain: sqlite3.Connection, busy_seconds: float, last: float) -> None:
    """Begin as soon as nobody else writes; at `last` on the clock that never goes back, fail.

    SQLite itself asks ever less often, at last every tenth of a second.
    """
    plain.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < last:
            try:
                plain.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as fault:
                # also while another connection recovers or takes a snapshot
                if not fault.sqlite_errorname.startswith("SQLITE_BUSY"):
                    break
                time.sleep(POLL_SECONDS)
            else:
                return
        plain.execute("BEGIN IMMEDIATE")  # what is wrong now is told
    finally:
        plain.execute(f"PRAGMA busy_timeout = {round(busy_seconds * 1000)}")


def empty_write_ahead_log(engine: Engine) -> None:
    """Carry over and empty the write-ahead log, where there is one: erased rows lie in it, too.

    Raises TimeoutError where somebody reads it all the while.
    """
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy, *_ = cursor.fetchone() or (0,)
        cursor.close()
    finally:
        connection.close()
    if busy:
        raise TimeoutError("the write-ahead log is being read")


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn the database's errors into StorageFailed, without any value in the text."""
    try:
        yield
    except DBAPIError as fault:
        raise _failed(_name_of(fault), where) from None
    except SQLAlchemyError as fault:
        raise _failed(type(fault).__name__, where) from None
    except (UnicodeDecodeError, MemoryError) as fault:
        # a damaged file, where SQLite's own words or the lengths it asks for come out of the file
        raise _failed(type(fault).__name__, where) from None
    except sqlite3.Error as fault:
        raise _failed(getattr(fault, "sqlite_errorname", type(fault).__name__), where) from None
    except OSError as fault:
        name = errno.errorcode.get(fault.errno or 0, type(fault).__name__)
        raise _failed(name, where) from None


def _name_of(fault: DBAPIError) -> str:
    """What the driver calls this error: SQLite's name for it, or PostgreSQL's five letters."""
    state = getattr(fault.orig, "sqlstate", None)
    if state is not None:
        return f"SQLSTATE {state}"
    if fault.connection_invalidated:
        return "connection lost"
    if hasattr(fault.orig, "pgconn") and isinstance(fault, OperationalError):
        return "no connection"
    return str(getattr(fault.orig, "sqlite_errorname", type(fault.orig).__name__))


def _failed(name: str, where: str) -> StorageFailed:
    for start, what, mend in _KNOWN:
        if name.startswith(start):
            return StorageFailed(what=f"{what} ({name}).", where=where, mend=mend)
    return StorageFailed(
        what=f"The database could not be read or written ({name}).",
        where=where,
        mend="Check disk, rights and file, then try again.",
    )


_NOTHING = "nothing was recorded."
_AGAIN = "Send the form again: if it was recorded, it is not recorded twice."
_DAMAGED = "Look at the disk first; if it is the file, restore a backup and verify it."
_REACH = "Start the server, and check address, role and password."

_KNOWN = (
    ("SQLITE_FULL", "The disk is full", "Make room; nothing was recorded."),
    ("SQLITE_BUSY", "Another program holds the database", "Try again; nothing was recorded."),
    ("SQLITE_LOCKED", "Another program holds the database", "Try again; nothing was recorded."),
    ("SQLITE_READONLY", "The database may not be written", "Check the rights of the file."),
    ("SQLITE_CANTOPEN", "The database could not be opened", "Check path and rights."),
    ("SQLITE_IOERR", "The disk fails", "Look there. " + _AGAIN),
    # SQLite calls it the same when the disk gives a page out no more
    ("SQLITE_CORRUPT", "The database file is damaged, or the disk fails", _DAMAGED),
    ("SQLITE_ERROR", "The tables are not those Warum made, or the file is damaged", _DAMAGED),
    ("OperationalError", "The database file is damaged", _DAMAGED),  # a text that is no UTF-8
    ("UnicodeDecodeError", "The database file is damaged", _DAMAGED),
    ("MemoryError", "There is too little memory, or the database file is damaged", _DAMAGED),
    ("SQLITE_NOTADB", "The file is not a database", "Check the configured path."),
    ("ENOSPC", "The disk is full", "Make room, then try again."),
    ("EDQUOT", "The disk is full", "Make room, then try again."),
    ("EROFS", "The disk may not be written", "Check how it is mounted."),
    ("EINTR", "An action was broken off while it was being recorded", _AGAIN),
    ("EACCES", "The file may not be read or written", "Check the rights of file and folder."),
    ("no connection", "The database server is not reached, or turns the role away", _REACH),
    ("connection lost", "The connection to the database broke", _AGAIN),
    ("SQLSTATE 08", "The connection to the database broke", _AGAIN),
    ("SQLSTATE 57P", "The database server is stopping or starting", _AGAIN),
    ("SQLSTATE 25P03", "The action took too long, and the server gave it up", _AGAIN),
    ("SQLSTATE 53100", "The disk of the database server is full", "Make room there; " + _NOTHING),
    ("SQLSTATE 53", "The database server has too little of something", "Look there; " + _NOTHING),
    ("SQLSTATE 55P03", "Another program holds the database", "Try again; " + _NOTHING),
    ("SQLSTATE 40", "Two changes met", "Try again; " + _NOTHING),
    ("SQLSTATE 25006", "The database may not be written", "Name the primary, and no standby."),
    ("SQLSTATE 42501", "The role may not do this", "Run `warum database prepare` anew."),
    ("SQLSTATE 28", "The database server turns the role away", "Check role and password."),
    ("SQLSTATE 3D", "The server has no such database", "Check the address."),
    ("SQLSTATE 58", "The disk of the database server fails", "Look there; " + _NOTHING),
    ("SQLSTATE XX", "The database is damaged", "Restore a backup and verify it."),
    ("SQLSTATE WR001", "This does not belong at the end of the log", "This is a fault of Warum."),
    ("SQLSTATE WR002", "No recorded erasure covers this", "This is a fault of Warum."),
)
