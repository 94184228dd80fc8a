"""The key store: case keys in a file of their own, wrapped by a key in yet another.

The database may be copied, the key store has backups of short retention, and the wrapping key
is kept apart from both: whoever destroys a case key here has erased the case everywhere.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Row,
    Select,
    String,
    Table,
    bindparam,
    select,
)

from explainer.errors import StorageFailed
from explainer.ledger.durable import write_new
from explainer.ledger.sealing import KEY_BYTES, NONCE_BYTES
from service.store.engine import READING, empty_write_ahead_log, open_engine, storage_errors

WHERE = "the key store"

_metadata = MetaData()
_case_key = Table(
    "case_key",
    _metadata,
    Column("key_id", String(32), primary_key=True),
    Column("ref_mac", LargeBinary, nullable=False, unique=True),  # no case numbers in here
    Column("wrapped", LargeBinary, nullable=False),
    Column("retention_class", String(32), nullable=False),
)
_OF_CASE = select(_case_key).where(_case_key.c.ref_mac == bindparam("wanted"))
_NAMED = select(_case_key.c.key_id, _case_key.c.wrapped).where(
    _case_key.c.key_id.in_(bindparam("wanted", expanding=True))
)
_wrapping = Table(
    "wrapping",
    _metadata,
    Column("check", LargeBinary, primary_key=True),
)


class KeyStore:
    """Case keys on SQLite (CaseKeys)."""

    def __init__(self, engine: Engine, wrapping_key: bytes) -> None:
        self._engine = engine
        self._wrap = AESGCM(_derive(wrapping_key, "wrap"))
        self._refs = _derive(wrapping_key, "refs")
        self._bodies = _derive(wrapping_key, "bodies")
        self._own = _derive(wrapping_key, "own records")

    @classmethod
    def open(cls, path: Path, wrapping: Path) -> KeyStore:
        """Open the key store at `path`, with the wrapping key in the file `wrapping`.

        Both are created if neither is there. One without the other is refused: a new wrapping
        key could open none of the old case keys, and every record would be lost.
        """
        with storage_errors(WHERE):
            key = _wrapping_key(wrapping, may_create=not path.exists())
        engine = open_engine(path)
        try:
            with storage_errors(WHERE), engine.begin() as connection:
                _metadata.create_all(connection)
                _check_wrapping(connection, _derive(key, "check"))
            with storage_errors(WHERE):
                path.chmod(0o600)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, key)

    @classmethod
    def existing(cls, path: Path, wrapping: Path) -> KeyStore:
        """Open a key store that has to be there; nothing is made. Raises StorageFailed."""
        for needed in (path, wrapping):
            if not needed.is_file():
                raise StorageFailed(
                    what="There is no such file.",
                    where=str(needed),
                    mend="Put it back from its backup.",
                )
        return cls.open(path, wrapping)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def find(self, case_ref: str) -> str | None:
        """Return the name of the key for `case_ref`; None where there is none, or none any more."""
        row = self._of_case(self._ref_mac(case_ref))
        return None if row is None else str(row.key_id)

    def key_of(self, case_ref: str) -> tuple[str, bytes] | None:
        """Return name and key for `case_ref`; None where there is none, or none any more."""
        row = self._of_case(self._ref_mac(case_ref))
        return None if row is None else (row.key_id, self._unwrap(row.key_id, row.wrapped))

    def get_or_create(self, case_ref: str) -> tuple[str, bytes]:
        """Return name and key for `case_ref`; a new key is on disk before this returns."""
        ref_mac = self._ref_mac(case_ref)
        row = self._of_case(ref_mac)
        if row is None:
            asked = {"wanted": ref_mac}
            with storage_errors(WHERE), self._engine.begin() as connection:
                row = connection.execute(_OF_CASE, asked).one_or_none()  # another was faster
                if row is None:
                    return self._create(connection, case_ref, ref_mac)
        return row.key_id, self._unwrap(row.key_id, row.wrapped)

    def get(self, key_id: str) -> bytes | None:
        """Return the key, or None once it was destroyed."""
        rows = self._named([key_id])
        return self._unwrap(key_id, rows[0].wrapped) if rows else None

    def several(self, key_ids: Iterable[str]) -> dict[str, bytes | None]:
        """Return those of these keys that are there, by name; some hundreds at a time.

        None is one that is damaged: it keeps nobody from the others.
        """
        return self._unwrapped(self._named(set(key_ids)))

    def _unwrapped(self, rows: Iterable[Row[Any]]) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for row in rows:
            found[row.key_id] = None
            with suppress(StorageFailed):
                found[row.key_id] = self._unwrap(row.key_id, row.wrapped)
        return found

    def _named(self, key_ids: Iterable[str]) -> Sequence[Row[Any]]:
        wanted = list(key_ids)
        return self._read(_NAMED, {"wanted": wanted}) if wanted else ()

    def all(self) -> dict[str, bytes | None]:
        """Return every key by its name, None for one that is damaged."""
        return self._unwrapped(self._read(select(_case_key.c.key_id, _case_key.c.wrapped)))

    def names(self) -> frozenset[str]:
        """Return the name of every key that is there."""
        return frozenset(row.key_id for row in self._read(select(_case_key.c.key_id)))

    def names_of_cases(self) -> frozenset[str]:
        """Return the name of every key that was made for a case."""
        query = select(_case_key.c.key_id).where(_case_key.c.retention_class == "case")
        return frozenset(row.key_id for row in self._read(query))

    def empty_write_ahead_log(self) -> None:
        """Leave no destroyed key behind in it."""
        with storage_errors(WHERE):
            empty_write_ahead_log(self._engine)

    def destroy(self, key_id: str) -> None:
        """Forget the key for good; harmless when it is already gone."""
        with storage_errors(WHERE), self._engine.begin() as connection:
            connection.execute(_case_key.delete().where(_case_key.c.key_id == key_id))

    def set_aside(self, key_id: str) -> None:
        """Have another key made for what this one was for, which is damaged; it stays as it is."""
        nobodys = {"ref_mac": secrets.token_bytes(KEY_BYTES)}
        with storage_errors(WHERE), self._engine.begin() as connection:
            connection.execute(
                _case_key.update().where(_case_key.c.key_id == key_id).values(nobodys)
            )

    def body_mac(self, body: bytes) -> bytes:
        """Return a keyed digest of a request, to know it again without being able to guess it."""
        return hmac.digest(self._bodies, body, "sha256")

    def own_mark(self, subject: str, seq: int) -> bytes:
        """Return a keyed digest of who recorded the entry at `seq`; another one at every place."""
        return hmac.digest(self._own, f"{seq}:{subject}".encode(), "sha256")

    def _ref_mac(self, case_ref: str) -> bytes:
        return hmac.digest(self._refs, case_ref.encode(), "sha256")

    def _of_case(self, ref_mac: bytes) -> Row[Any] | None:
        return next(iter(self._read(_OF_CASE, {"wanted": ref_mac})), None)

    def _read(
        self, query: Select[Any], asked: Mapping[str, object] | None = None
    ) -> Sequence[Row[Any]]:
        """What one question brings, in a transaction that only reads."""
        with storage_errors(WHERE), self._engine.connect() as plain:
            reading = plain.execution_options(**{READING: True})
            with reading.begin():
                return reading.execute(query, asked).all()

    def _create(self, connection: Connection, case_ref: str, ref_mac: bytes) -> tuple[str, bytes]:
        key_id, key = secrets.token_hex(16), secrets.token_bytes(KEY_BYTES)
        nonce = secrets.token_bytes(NONCE_BYTES)
        connection.execute(
            _case_key.insert().values(
                key_id=key_id,
                ref_mac=ref_mac,
                wrapped=nonce + self._wrap.encrypt(nonce, key, key_id.encode()),
                retention_class=case_ref.partition(":")[0],
            )
        )
        return key_id, key

    def _unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        try:
            nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
            return self._wrap.decrypt(nonce, sealed, key_id.encode())
        except (InvalidTag, ValueError, TypeError):  # SQLite keeps anything in any column
            raise key_damaged() from None


def _wrapping_key(path: Path, *, may_create: bool) -> bytes:
    if may_create and not path.exists():
        with suppress(FileExistsError):  # another process of ours was faster; its key counts
            write_new(path, secrets.token_bytes(KEY_BYTES).hex().encode() + b"\n", exclusive=True)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise _failed("The wrapping key is gone, but there are case keys under it.") from None
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise _failed("The wrapping key may be read by others.", "Set its mode to 0600.")
    try:
        key = bytes.fromhex(text.decode().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise _failed("The wrapping key is not 64 hexadecimal digits.")
    return key


def _check_wrapping(connection: Connection, check: bytes) -> None:
    known = connection.execute(select(_wrapping.c.check)).scalars().all()
    if not known:
        connection.execute(_wrapping.insert().values(check=check))
    elif known != [check]:
        raise _failed("The wrapping key is not the one these case keys were wrapped with.")


def _derive(wrapping_key: bytes, purpose: str) -> bytes:
    """One key per purpose, so that no value made for one serves for another."""
    return hmac.digest(wrapping_key, f"warum {purpose} v1".encode(), "sha256")


def key_damaged() -> StorageFailed:
    """What is raised for a key that is there and does not open."""
    return _failed("A case key does not open with the wrapping key.")


def _failed(
    what: str, mend: str = "Put the right wrap.key back from where it is kept."
) -> StorageFailed:
    return StorageFailed(what=what, where=WHERE, mend=mend)
