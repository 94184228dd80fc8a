"""What is left of an erased case in the files of a database server, which keeps what it deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from offices import NOON, MakeOffice
from servers import OWNER, Server, as_role
from test_backup import lose, put_back
from test_erasing import BASIS, BOTH, CASE, exported, holds, mark, run, traces_in

from service.backup import back_up
from service.verification import verify_files


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_no_file_of_the_server_holds_a_key_or_anything_of_a_case_in_clear_before_or_after_erasing(
    address: str,
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole folder of the server is searched: tables, statistics, its write-ahead log and its
    own log; and so are an export, backups from before and after, and what a restore puts there."""
    monkeypatch.setattr("service.wiring.the_clock", lambda: NOON)
    marked = mark(make_office(make_package()))
    settings = marked.office.tools.settings
    number, note, reason, word, _, values, key_text, told, key, wrapped, *sealed = marked.traces
    never = (number, note, reason, word, values, key_text, told, key, wrapped)

    def holding(*traces: bytes) -> list[str]:
        with psycopg.connect(as_role(address, OWNER), autocommit=True) as owner:
            owner.execute("ANALYZE")  # as the server does by itself
        server.sql("CHECKPOINT")
        files = [path for path in server.folder.rglob("*") if path.is_file()]
        found = [path for path in files if "program" not in path.parts]
        return [str(one) for one in found if holds(one, traces)]

    for trace in sealed:  # the search would find it, in tables and write-ahead log
        assert any("/pg_wal/" in one for one in holding(trace))
    assert holding(*never) == []
    back_up(settings, tmp_path / "before", NOON)
    assert run("erase", CASE, *BASIS, *BOTH, data=marked.office.tools) == 0
    assert holding(*never) == []
    assert traces_in(tmp_path / "before", never) == []  # and the key to what is sealed is gone
    assert traces_in(marked.data, marked.traces) == []
    assert not exported(tmp_path / "out", marked.traces, marked.office.tools)
    back_up(settings, tmp_path / "after", NOON)
    assert traces_in(tmp_path / "after", marked.traces) == []
    models = settings.models
    marked.office.tools.close()
    lose(settings)
    put_back(settings, tmp_path / "after")
    assert holding(*never) == []
    again = make_office(*models)
    assert all(result.clean for result in verify_files(again.tools))
    assert traces_in(marked.data, marked.traces) == []
