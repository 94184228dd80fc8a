"""Whoever recorded a decision finds it again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from explainer.errors import StorageFailed

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "own_record",
        sa.Column("log", sa.String(16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "seq", name="pk_own_record"),
        sa.ForeignKeyConstraint(
            ["log", "seq"], ["entry.log", "entry.seq"], name="fk_own_record_log_seq"
        ),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER own_record_no_update BEFORE UPDATE ON own_record "
            "BEGIN SELECT RAISE(ABORT, 'own_record is append-only'); END"
        )


def downgrade() -> None:
    raise StorageFailed(
        "A ledger has no way back to an older form.", "the database", "Restore a backup instead."
    )
