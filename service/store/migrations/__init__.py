"""Migrations, run by the program itself; the tables of the logs are never altered."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

NEWEST = "0004"
"""Revision of the newest migration; a test holds it to the files."""


def upgrade(engine: Engine) -> None:
    """Bring the database to the newest form, in one transaction."""
    with engine.connect() as connection, connection.begin():
        if revision(connection) == NEWEST:
            return
        # imported here: a start that has nothing to migrate should not wait for it
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def revision(connection: Connection) -> str | None:
    """Return the revision the database is at; None where nothing was made yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)
