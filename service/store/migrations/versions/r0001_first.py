"""The first form of the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from explainer.errors import StorageFailed

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LOGS = ("ledger", "access")

# A seat belt against accidents, no proof: whoever administers the database can drop these.
APPEND_ONLY = {
    "entry": ("UPDATE", "DELETE"),
    "opening": ("UPDATE", "DELETE"),
    "checkpoint": ("UPDATE", "DELETE"),
    "payload": ("UPDATE",),
    "decision_record": ("UPDATE",),
}


def upgrade() -> None:
    head = op.create_table(
        "head",
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("range", sa.LargeBinary(), nullable=False),
        sa.Column("last_clock", sa.BigInteger().with_variant(sa.Integer(), "sqlite")),
        sa.PrimaryKeyConstraint("log", name="pk_head"),
    )
    op.bulk_insert(head, [{"log": log, "size": 0, "range": b""} for log in LOGS])
    op.create_table(
        "entry",
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", name="pk_entry"),
        sa.UniqueConstraint("leaf_hash", name="uq_entry_leaf_hash"),
    )
    op.create_table(
        "payload",
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", name="pk_payload"),
        _of_entry("payload"),
    )
    op.create_table(
        "opening",
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", name="pk_opening"),
        _of_entry("opening"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("range", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size", name="pk_checkpoint"),
    )
    op.create_table(
        "idempotency",
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("body_mac", sa.LargeBinary(), nullable=False),
        sa.Column("record_id", sa.String(64)),
        sa.PrimaryKeyConstraint("key_hash", name="pk_idempotency"),
        _of_entry("idempotency"),
    )
    op.create_table(
        "case_file",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("case_ref", sa.String(200), nullable=False),
        sa.Column("package_id", sa.String(200), nullable=False),
        sa.Column("package_digest", sa.String(80), nullable=False),
        sa.Column("unit", sa.String(200), nullable=False),
        sa.Column("values_json", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.String(17), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_file"),
        sa.UniqueConstraint("case_ref", name="uq_case_file_case_ref"),
    )
    op.create_index("ix_case_file_unit_state", "case_file", ["unit", "state"])
    op.create_table(
        "case_entry",
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", "case_id", name="pk_case_entry"),
        _of_case("case_entry"),
        _of_entry("case_entry"),
    )
    op.create_index("ix_case_entry_case_id", "case_entry", ["case_id"])
    op.create_table(
        "decision_record",
        sa.Column("record_id", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(64), nullable=False),
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("unit", sa.String(200), nullable=False),
        sa.Column("benefit_type", sa.String(200), nullable=False),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("decided_on", sa.String(17), nullable=False),
        sa.Column("suggested", sa.String(200)),
        sa.Column("outcome", sa.String(200), nullable=False),
        sa.Column("relation", sa.String(32), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("codes", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("record_id", name="pk_decision_record"),
        sa.UniqueConstraint("log", "seq", name="uq_decision_record_log_seq"),
        _of_case("decision_record"),
        _of_entry("decision_record"),
    )
    op.create_index("ix_decision_record_case_id", "decision_record", ["case_id"])
    op.create_index("ix_decision_record_unit_period", "decision_record", ["unit", "period"])
    if op.get_bind().dialect.name == "sqlite":
        for table, changes in APPEND_ONLY.items():
            for change in changes:
                op.execute(
                    f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )


def downgrade() -> None:
    raise StorageFailed(
        "A ledger has no way back to an older form.", "the database", "Restore a backup instead."
    )


def _of_entry(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["log", "seq"], ["entry.log", "entry.seq"], name=f"fk_{table}_log_seq"
    )


def _of_case(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["case_id"], ["case_file.id"], name=f"fk_{table}_case_id")
