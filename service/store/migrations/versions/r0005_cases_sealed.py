"""Number and values of a case are sealed under its key.

The table is made anew, so that the old one goes with its pages: what PostgreSQL keeps of a row that
was only changed, no erasure reaches. Everything that is about the form of today is written out here
once more: a later one must not change what this migration does.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from explainer.errors import KeyMissing, StorageFailed
from service.store.keys import KeyStore

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PART = 500
SEALED = "sealed:"
"""Begins the number of a case of a backup, which was sealed as it is now, as text."""
ERASED = "erased"
NONCE_BYTES = 12

_metadata = sa.MetaData()
_old = sa.Table(
    "case_file",
    _metadata,
    *(
        sa.Column(name, sa.String)
        for name in ("id", "case_ref", "package_id", "package_digest", "unit", "values_json")
    ),
    *(sa.Column(name, sa.String) for name in ("submitted_at", "state")),
)
_link = sa.Table(
    "case_entry",
    _metadata,
    *(sa.Column(name, sa.String) for name in ("case_id", "log")),
    sa.Column("seq", sa.Integer),
)
_payload = sa.Table(
    "payload",
    _metadata,
    *(sa.Column(name, sa.String) for name in ("log", "key_id")),
    sa.Column("seq", sa.Integer),
)
_KEPT = ("id", "package_id", "package_digest", "unit", "submitted_at", "state")


def upgrade() -> None:
    connection = op.get_bind()
    on_server = connection.dialect.name == "postgresql"
    if on_server:
        op.execute("LOCK TABLE case_file IN ACCESS EXCLUSIVE MODE")
        # keys are made and forced to disk between statements, which takes its time
        op.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    else:
        op.execute("PRAGMA defer_foreign_keys = ON")  # until the rows are back
    aside = op.create_table("case_file_aside", *_columns())
    _seal_into(connection, aside)
    if on_server:
        for table in ("case_entry", "decision_record"):
            op.drop_constraint(f"fk_{table}_case_id", table, type_="foreignkey")
    op.drop_table("case_file")
    anew = op.create_table(
        "case_file",
        *_columns(),
        sa.PrimaryKeyConstraint("id", name="pk_case_file"),
        sa.UniqueConstraint("key_id", name="uq_case_file_key_id"),
        sa.UniqueConstraint("arrival", name="uq_case_file_arrival"),
    )
    names = [column.name for column in aside.columns]
    op.execute(sa.insert(anew).from_select(names, sa.select(aside)))
    op.drop_table("case_file_aside")
    op.create_index("ix_case_file_unit_state", "case_file", ["unit", "state"])
    if on_server:
        for table in ("case_entry", "decision_record"):
            op.create_foreign_key(f"fk_{table}_case_id", table, "case_file", ["case_id"], ["id"])


def downgrade() -> None:
    raise StorageFailed(
        "A ledger has no way back to an older form.", "the database", "Restore a backup instead."
    )


def _columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("package_id", sa.String(200), nullable=False),
        sa.Column("package_digest", sa.String(80), nullable=False),
        sa.Column("unit", sa.String(200), nullable=False),
        sa.Column("submitted_at", sa.String(17), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("arrival", sa.Integer(), nullable=False),
    ]


def _seal_into(connection: sa.Connection, aside: sa.Table) -> None:
    order = sa.select(_old.c.id).order_by(_old.c.submitted_at, _old.c.case_ref)
    ids = connection.execute(order).scalars().all()
    if not ids:
        return
    with closing(_key_store()) as keys:
        _check_keys(connection, keys)
        for first in range(0, len(ids), PART):
            part = ids[first : first + PART]
            rows = connection.execute(sa.select(_old).where(_old.c.id.in_(part))).all()
            names = _keys_of(connection, part)
            by_id = {row.id: _row(row, names.get(row.id), keys) for row in rows}
            places = enumerate(part, first + 1)
            connection.execute(
                sa.insert(aside), [{**by_id[one], "arrival": at} for at, one in places]
            )


def _key_store() -> KeyStore:
    keys = context.config.attributes.get("keys")
    if keys is None:
        raise StorageFailed(
            "There are cases to be sealed, and no key store to do it with.",
            "the database",
            "Name the service's data folder: set WARUM_DATA as for the service.",
        )
    found = keys()
    if not isinstance(found, KeyStore):
        raise TypeError
    return found


def _check_keys(connection: sa.Connection, keys: KeyStore) -> None:
    """What is about no case is sealed under the system's key, which no erasure destroys."""
    about_cases = (
        sa.select(_link.c.seq)
        .where(_link.c.log == _payload.c.log, _link.c.seq == _payload.c.seq)
        .exists()
    )
    query = sa.select(_payload.c.key_id).where(_payload.c.log == "ledger", ~about_cases)
    if set(connection.execute(query.distinct()).scalars()) - keys.names():
        raise _foreign_keys()


def _keys_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, str]:
    """Name of the key that what was recorded about each of these cases is sealed under."""
    query = (
        sa.select(_link.c.case_id, _payload.c.key_id)
        .join(_payload, (_payload.c.log == _link.c.log) & (_payload.c.seq == _link.c.seq))
        .where(_link.c.log == "ledger", _link.c.case_id.in_(ids))
        .distinct()
    )
    return {row.case_id: row.key_id for row in connection.execute(query)}


def _row(row: sa.Row[Any], key_id: str | None, keys: KeyStore) -> dict[str, Any]:
    kept = {name: row._mapping[name] for name in _KEPT}
    if row.case_ref == SEALED + row.id:
        key_id, _, stored = row.values_json.removeprefix(SEALED).partition(":")
        # without a name it was being erased; then it opens with nothing, here as well
        return {**kept, "key_id": key_id or _nobodys(), "sealed": bytes.fromhex(stored)}
    if row.state == ERASED:  # its key is gone or about to go, and none is made for it again
        return {**kept, "key_id": _nobodys(), "sealed": b""}
    if key_id is None:
        key_id, key = keys.get_or_create(f"case:{row.case_ref}")
    else:
        found = keys.get(key_id)
        if found is None:
            raise _foreign_keys()
        key = found
    nonce = secrets.token_bytes(NONCE_BYTES)
    plain = json.dumps([row.case_ref, row.values_json]).encode()
    sealed = nonce + AESGCM(key).encrypt(nonce, plain, row.id.encode())
    return {**kept, "key_id": key_id, "sealed": sealed}


def _nobodys() -> str:
    return secrets.token_hex(16)


def _foreign_keys() -> KeyMissing:
    return KeyMissing(
        "The key store is not that of these records.",
        "the key store",
        "Put it back from its backup; until then nothing is changed.",
    )
