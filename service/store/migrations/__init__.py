"""Migrations, run by the program itself; the tables of the logs are never altered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from explainer.errors import StorageFailed
from service.store.keys import KeyStore

NEWEST = "0005"
"""Revision of the newest migration; a test holds it to the files."""


CLEAR = frozenset({"0001", "0002", "0003", "0004"})
"""Revisions in which cases stand in clear."""


def upgrade(engine: Engine, keys: Callable[[], KeyStore] | None = None) -> str | None:
    """Bring the database to the newest form, in one transaction; returns the revision it had.

    `keys` opens the key store; it is called where cases have to be sealed. Raises StorageFailed,
    and KeyMissing where it is not the key store of these records.
    """
    with engine.connect() as connection, connection.begin():
        before = revision(connection)
        if before == NEWEST:
            return before
        if before is not None and before not in CLEAR:
            raise StorageFailed(
                "The tables are of no form this version of Warum knows: a newer one made them, or"
                " the file is damaged.",
                "the database",
                "Use the version that wrote them last, or restore a backup and verify it.",
            )
        # imported here: a start that has nothing to migrate should not wait for it
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        config.attributes["keys"] = keys
        command.upgrade(config, "head")
        return before


def revision(connection: Connection) -> str | None:
    """Return the revision the database is at; None where nothing was made yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)
