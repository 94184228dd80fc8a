"""A database as an older version of the product left it: each case stands there in clear."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from servers import OWNER, reached_into

from service.store.cases import CaseFile

_COLUMNS = (
    "id VARCHAR(64) NOT NULL, case_ref VARCHAR(200) NOT NULL, package_id VARCHAR(200) NOT NULL, "
    "package_digest VARCHAR(80) NOT NULL, unit VARCHAR(200) NOT NULL, values_json TEXT NOT NULL, "
    "submitted_at VARCHAR(17) NOT NULL, state VARCHAR(16) NOT NULL, "
    "CONSTRAINT pk_case_file PRIMARY KEY (id), CONSTRAINT uq_case_file_case_ref UNIQUE (case_ref)"
)


def cases_in_clear(database: Path | str, files: Iterable[CaseFile]) -> None:
    """Make the table of cases what it was at revision 0004, with these in it.

    `database` is a file of SQLite, or the address of PostgreSQL.
    """
    if isinstance(database, Path):
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            _rewrite(lambda *said: connection.execute(*said), files, "?")
            connection.commit()
        return
    linked = ("case_entry", "decision_record")
    _rewrite(
        lambda said, values=(): reached_into(database, _filled(said, values)),
        files,
        "%s",
        before=[f"ALTER TABLE {one} DROP CONSTRAINT fk_{one}_case_id" for one in linked],
        after=[
            *(
                f"ALTER TABLE {one} ADD CONSTRAINT fk_{one}_case_id "
                "FOREIGN KEY (case_id) REFERENCES case_file (id)"
                for one in linked
            ),
            f"ALTER TABLE case_file OWNER TO {OWNER}",
        ],
    )


def _rewrite(
    run: Callable[..., object],
    files: Iterable[CaseFile],
    mark: str,
    before: Iterable[str] = (),
    after: Iterable[str] = (),
) -> None:
    for statement in before:
        run(statement)
    run("DROP TABLE case_file")
    run(f"CREATE TABLE case_file ({_COLUMNS})")
    for file in files:
        row = asdict(file)
        marks = ", ".join([mark] * len(row))
        run(f"INSERT INTO case_file ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    run("CREATE INDEX ix_case_file_unit_state ON case_file (unit, state)")
    for statement in after:
        run(statement)
    run("UPDATE alembic_version SET version_num = '0004'")


def _filled(said: str, values: tuple[object, ...]) -> str:
    """The statement with its values in it, all of which are texts here."""
    return said % tuple("'" + str(one).replace("'", "''") + "'" for one in values)
