"""A decision may correct an earlier one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from explainer.errors import StorageFailed

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decision_record", sa.Column("corrects", sa.String(64)))
    op.create_index("ix_decision_record_corrects", "decision_record", ["corrects"], unique=True)


def downgrade() -> None:
    raise StorageFailed(
        "A ledger has no way back to an older form.", "the database", "Restore a backup instead."
    )
