"""What was sealed of a case is found by the name of its key."""

from __future__ import annotations

from alembic import op

from explainer.errors import StorageFailed

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_payload_key_id_log_seq", "payload", ["key_id", "log", "seq"])


def downgrade() -> None:
    raise StorageFailed(
        "A ledger has no way back to an older form.", "the database", "Restore a backup instead."
    )
