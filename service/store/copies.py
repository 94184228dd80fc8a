"""Copies of the two SQLite files while the service runs: each one moment, whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from explainer.errors import BackupRefused
from explainer.ledger.sealing import NONCE_BYTES
from service.store.engine import storage_errors
from service.store.keys import KeyStore

SEALED = "sealed:"

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
            new.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        _sync(target)


def copy_keys(source: Path, target: Path, made_on: date, expires_on: date) -> None:
    """Copy the key store, with the day on which this copy has to be destroyed."""
    copy_database(source, target)
    with storage_errors(str(target)), closing(sqlite3.connect(target)) as copied:
        copied.execute("PRAGMA secure_delete = ON")
        copied.execute(_DAYS)
        days = (made_on.isoformat(), expires_on.isoformat())
        copied.execute("INSERT INTO backup VALUES (?, ?)", days)
        copied.commit()
    _sync(target)


def seal_cases(path: Path, keys: KeyStore) -> None:
    """Seal number and values of every case in a copy of the database, each under its own key.

    So a copy holds nothing about a person that is not gone with the key.
    """
    with storage_errors(str(path)), closing(sqlite3.connect(path)) as copied:
        copied.execute("PRAGMA secure_delete = ON")
        rows = copied.execute("SELECT id, case_ref, values_json FROM case_file").fetchall()
        for case_id, case_ref, values in rows:
            key_id, key = keys.get_or_create(f"case:{case_ref}")
            nonce = secrets.token_bytes(NONCE_BYTES)
            plain = json.dumps([case_ref, values]).encode()
            sealed = nonce + AESGCM(key).encrypt(nonce, plain, case_id.encode())
            copied.execute(
                "UPDATE case_file SET case_ref = ?, values_json = ? WHERE id = ?",
                (f"{SEALED}{case_id}", f"{SEALED}{key_id}:{sealed.hex()}", case_id),
            )
        copied.commit()
    _sync(path)


def open_cases(path: Path, keys: KeyStore) -> None:
    """Undo `seal_cases`, where the key is there; what was erased stays sealed."""
    with storage_errors(str(path)), closing(sqlite3.connect(path)) as placed:
        placed.execute("PRAGMA secure_delete = ON")
        rows = placed.execute("SELECT id, values_json FROM case_file").fetchall()
        for case_id, stored in rows:
            key_id, _, text = str(stored).removeprefix(SEALED).partition(":")
            key = keys.get(key_id)
            if key is None:
                continue
            try:
                data = bytes.fromhex(text)
                nonce, sealed = data[:NONCE_BYTES], data[NONCE_BYTES:]
                plain = AESGCM(key).decrypt(nonce, sealed, case_id.encode())
            except (ValueError, InvalidTag):
                raise BackupRefused(
                    "A case in the backup does not open with its key.",
                    str(path),
                    "Use another copy of the backup.",
                ) from None
            placed.execute(
                "UPDATE case_file SET case_ref = ?, values_json = ? WHERE id = ?",
                (*json.loads(plain), case_id),
            )
        placed.commit()
    _sync(path)


def cases_left_sealed(path: Path) -> int:
    """How many cases could not be opened and were not erased either."""
    with storage_errors(str(path)), closing(sqlite3.connect(path)) as placed:
        query = "SELECT count(*) FROM case_file WHERE case_ref = ? || id"
        return int(placed.execute(query, (SEALED,)).fetchone()[0])


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
    _sync(target)


def _sync(path: Path) -> None:
    for place in (path, path.parent):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
