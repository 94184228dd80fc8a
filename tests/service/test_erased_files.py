"""What is left of an erased case in the files of a database server, which keeps what it deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from offices import MakeOffice
from servers import OWNER, Server, as_role
from test_erasing import BASIS, BOTH, CASE, mark, run


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_no_file_of_the_server_ever_holds_a_key_or_what_was_sealed_and_after_rewriting_no_case(
    address: str,
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    server: Server,
) -> None:
    """The whole folder of the server is searched, its write-ahead log and its own log included."""
    marked = mark(make_office(make_package()))

    def holding(trace: bytes) -> list[str]:
        server.sql("CHECKPOINT")
        files = [path for path in server.folder.rglob("*") if path.is_file()]
        found = [path for path in files if "program" not in path.parts]
        return [str(path) for path in found if trace in path.read_bytes()]

    number, note, reason, word, _, values, key_text, told, key, wrapped, *sealed = marked.traces
    clear, never = (number, values), (note, reason, word, key_text, told, key, wrapped)
    assert all(map(holding, (*clear, *sealed)))  # the search would find it
    assert not any(map(holding, never))
    with psycopg.connect(as_role(address, OWNER), autocommit=True) as owner:
        owner.execute("ANALYZE warum.case_file, warum.payload")  # as the server does by itself
    assert run("erase", CASE, *BASIS, *BOTH, data=marked.office.tools) == 0
    assert not any(map(holding, never))
    with psycopg.connect(as_role(address, OWNER), autocommit=True) as owner:
        for table in ("case_file", "payload"):  # as docs/reliability.md says
            owner.execute(f"VACUUM FULL warum.{table}")
    for trace in (*clear, *sealed):
        # the write-ahead log keeps what was written until the server uses its files again
        assert not [path for path in holding(trace) if "/pg_wal/" not in path]
