"""Copies of the two SQLite files while the service runs: each one moment, whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

from explainer.errors import BackupRefused
from explainer.ledger.durable import sync
from service.store.engine import storage_errors

_DAYS = "CREATE TABLE backup (made_on TEXT NOT NULL, expires_on TEXT NOT NULL)"


def copy_database(source: Path, target: Path) -> None:
    """Copy one consistent moment of a SQLite file to `target`, and make it durable."""
    with storage_errors(str(target)):
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(handle)
        uri = f"{source.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(uri, uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
        make_durable(target)


def make_durable(path: Path) -> None:
    """Have a SQLite file be one file on the disk, with nothing beside it."""
    with storage_errors(str(path)):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
        _sync(path)


def put_in_place(draft: Path, target: Path) -> None:
    """Give a finished SQLite file its name, in one step; raises StorageFailed if that is taken."""
    make_durable(draft)
    with storage_errors(str(target)):
        os.link(draft, target)
        _sync(target)
        draft.unlink()


def copy_keys(source: Path, target: Path, made_on: date, expires_on: date) -> None:
    """Copy the key store, with the day on which this copy has to be destroyed."""
    copy_database(source, target)
    with storage_errors(str(target)), closing(sqlite3.connect(target)) as copied:
        copied.execute("PRAGMA secure_delete = ON")
        copied.execute(_DAYS)
        days = (made_on.isoformat(), expires_on.isoformat())
        copied.execute("INSERT INTO backup VALUES (?, ?)", days)
        copied.commit()
    make_durable(target)


def put_keys_back(source: Path, target: Path, today: date) -> None:
    """Make a key store of a copy. Raises BackupRefused where it is none, or has expired."""
    if not source.is_file():
        raise BackupRefused("There is no such file.", str(source), "Name the copy of the keys.")
    uri = f"{source.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as copied:
            ((until,),) = copied.execute("SELECT expires_on FROM backup").fetchall()
        expires_on = date.fromisoformat(until)
    except (sqlite3.Error, ValueError, TypeError):
        raise BackupRefused(
            "This is no copy of a key store.",
            str(source),
            "`warum ledger backup --keys` makes one.",
        ) from None
    if today > expires_on:
        raise BackupRefused(
            f"The copy of the keys expired on {expires_on}: it may hold keys of erased cases.",
            str(source),
            "Destroy it, and use a newer one.",
        )
    copy_database(source, target)
    with storage_errors(str(target)), closing(sqlite3.connect(target)) as keys:
        keys.execute("DROP TABLE backup")
        keys.commit()
    make_durable(target)


def _sync(path: Path) -> None:
    sync(path)
    sync(path.parent)
