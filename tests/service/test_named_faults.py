"""Each fault of the house is named as what it is; what was acknowledged stays."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from offices import NOON, MakeOffice, Office, after_one_decision, decide_by_form
from servers import ADMIN, DATABASES, POSTGRESQL, Server, as_role
from sqlalchemy import event
from test_erasing import on_both, run

from explainer.errors import KeyMissing, LogBehindWitness, SettingsInvalid, StorageFailed
from explainer.ledger.entries import EntryKind
from service.store import copies
from service.verification import verify_files
from service.wiring import open_tools

sys.path.append(str(Path(__file__).parents[1] / "ledger"))
from ledgers import Attacker


@pytest.fixture
def package(make_package: Callable[[], Path]) -> Path:
    return make_package()


@pytest.fixture
def office(make_office: MakeOffice, package: Path) -> Office:
    """An office with one decision that was acknowledged."""
    return after_one_decision(make_office(package))


def holds(office: Office) -> None:
    """What was acknowledged is there, whole, and the next decision can be taken."""
    assert len(office.decisions(office.cases[0])) == 1
    decide_by_form(office.visitor("caseworker"), office.cases[1].id)
    assert all(result.clean for result in verify_files(office.tools))


def refuses(office: Office) -> str:
    """A decision is answered by 503 with words, and nothing of it is recorded."""
    case, size = office.cases[1], office.size()
    visitor = office.visitor("caseworker")
    answer = visitor.get(f"/cases/{case.id}")
    assert answer.status == 503
    assert office.size() == size
    return str(answer.body)


@pytest.fixture
def listening(office: Office) -> Iterator[Callable[..., None]]:
    """Have every connection of the office be something else, until `mend`."""
    engine, added = office.tools.store.engine, []

    def listen(what: str = "", function: Callable[..., object] | None = None) -> None:
        for one in added:
            event.remove(engine, *one)
        added.clear()
        if function is not None:
            event.listen(engine, what, function)
            added.append((what, function))
        engine.dispose()

    yield listen
    listen()


def test_a_full_disk(
    office: Office, listening: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    pages = int(str(office.sql("PRAGMA page_count")[0][0]))
    listening("connect", lambda dbapi, _: dbapi.execute(f"PRAGMA max_page_count = {pages}"))
    said = refuses(office)
    assert "Traceback" not in said
    with pytest.raises(StorageFailed, match="disk is full"), office.tools.store.exclusive() as tx:
        tx.connection.exec_driver_sql("CREATE TABLE fill AS SELECT zeroblob(9999999) AS x")
    listening()
    holds(office)


FULL_DISK = Path(__file__).with_name("full_disk.py")


@pytest.mark.parametrize("where", DATABASES)
def test_a_disk_without_a_free_byte(where: str, tmp_path: Path) -> None:
    """A real disk of four megabytes, filled to the last byte, and then not."""
    root = os.geteuid() == 0
    alone = ["unshare", "--mount", *([] if root else ["--map-root-user"])]
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("nobody may mount a disk here; tests/service/test_faults.py has the same fault")
    if where == POSTGRESQL and not root:
        pytest.skip("the server does not run as root, and only root may mount a disk for it")
    ran = subprocess.run(
        [*alone, sys.executable, FULL_DISK, where, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert "storage.failed" in ran.stderr + ran.stdout


def test_a_database_that_may_not_be_written(office: Office, listening: Callable[..., None]) -> None:
    uri = f"file:{office.tools.settings.data / 'warum.sqlite'}?mode=ro"

    def read_only(*_: object) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, check_same_thread=False)

    listening("do_connect", read_only)
    refuses(office)
    with (
        pytest.raises(StorageFailed, match=r"may not be written \(SQLITE_READONLY"),
        office.tools.store.exclusive() as tx,
    ):
        tx.connection.exec_driver_sql("CREATE TABLE fill (x)")
    listening()
    holds(office)


@on_both
@pytest.mark.parametrize("number", [28, 30, 13])
def test_a_disk_that_takes_no_backup(
    number: int,
    office: Office,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(path: Path) -> None:
        raise OSError(number, "no")

    with monkeypatch.context() as broken:
        broken.setattr(copies, "_sync", fails)
        assert run("backup", tmp_path / "out", data=office.tools) == 1
        assert run("backup", "--keys", tmp_path / "keys", data=office.tools) == 1
    said = capsys.readouterr().err
    assert {28: "disk is full", 30: "disk may not be written", 13: "read or written"}[
        number
    ] in said
    left = [path.name for path in tmp_path.iterdir()]
    assert not {"out", ".out.draft", "keys"} & set(left)
    assert run("backup", tmp_path / "out", "--keys", tmp_path / "keys", data=office.tools) == 0


@on_both
@pytest.mark.parametrize(
    ("lost", "error", "said"),
    [
        ("keys.sqlite", KeyMissing, "its key is not, and no erasure accounts for that"),
        ("wrap.key", StorageFailed, "The wrapping key is gone"),
        ("seals/ledger/signing.key", SettingsInvalid, "The signing key is gone"),
        ("seals/access/signing.key", SettingsInvalid, "The signing key is gone"),
        ("resolver.pub", SettingsInvalid, "public half of the resolver key is gone"),
    ],
)
def test_a_lost_key(
    lost: str,
    error: type[Exception],
    said: str,
    office: Office,
    make_office: MakeOffice,
    package: Path,
    tmp_path: Path,
) -> None:
    settings = office.tools.settings
    office.tools.close()
    path = settings.data / lost
    shutil.move(path, tmp_path / "aside")
    for _ in range(2):  # a start that was refused made nothing that hides it
        with pytest.raises(error, match=said):
            open_tools(settings, lambda: NOON)
    path.unlink(missing_ok=True)
    shutil.move(tmp_path / "aside", path)
    holds(make_office(package))


@on_both
def test_another_signing_key(office: Office) -> None:
    settings = office.tools.settings
    office.tools.close()
    path = settings.data / "seals" / "ledger" / "signing.key"
    path.write_bytes(bytes(reversed(path.read_bytes())))
    with pytest.raises(SettingsInvalid, match="not the one the heads were signed with"):
        open_tools(settings, lambda: NOON)


@on_both
def test_a_clock_that_steps_back(office: Office) -> None:
    earlier = Office(replace(office.tools, now=lambda: NOON - timedelta(days=40)), office.cases)
    decide_by_form(earlier.visitor("caseworker"), office.cases[2].id)
    (step,) = office.entries(EntryKind.CLOCK)
    assert step.payload == {"from": "2026-11-23T12:00Z", "to": "2026-10-14T12:00Z"}
    assert len(office.decisions(office.cases[2])) == 1
    holds(office)


def test_a_database_restored_to_last_week(
    office: Office,
    make_office: MakeOffice,
    package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, settings = office.tools.settings.data, office.tools.settings
    shutil.copyfile(data / "warum.sqlite", tmp_path / "last-week")
    decide_by_form(office.visitor("caseworker"), office.cases[2].id)
    office.tools.seals.now()
    office.tools.close()
    shutil.copyfile(data / "warum.sqlite", tmp_path / "today")
    shutil.copyfile(tmp_path / "last-week", data / "warum.sqlite")
    with pytest.raises(LogBehindWitness, match="its tail was cut"):
        open_tools(settings, lambda: NOON)
    assert run("verify", data) == 1
    assert "The tail was cut" in capsys.readouterr().out
    erasing = ["erase", office.cases[0].case_ref, "--basis", "x", "--by", "A", "--by", "B"]
    assert run(*erasing, "--data", data) == 1  # no command goes on with it either
    shutil.copyfile(tmp_path / "today", data / "warum.sqlite")
    again = make_office(package)
    assert len(again.decisions(office.cases[2])) == 1
    holds(again)


@on_both
def test_a_truncated_export(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = office.tools.settings.data, tmp_path / "out"
    assert run("export", out, data=office.tools) == 0
    keys = [
        f"--key={(data / 'seals' / log / 'verifier.key').read_text().strip()}"
        for log in ("ledger", "access")
    ]
    assert run("verify", out, *keys) == 0
    files = [path for path in (out / "ledger").rglob("*") if path.is_file()]
    named = 0
    for path in files:
        good = path.read_bytes()
        for cut in (good[:-1], good[: len(good) // 2], b""):
            path.write_bytes(cut)
            capsys.readouterr()
            assert run("verify", out, *keys) in (1, 2), path
            captured = capsys.readouterr()
            assert "NOT CLEAN" in captured.out or "Cannot verify" in captured.err
            assert "Traceback" not in captured.err
            named += 1
        path.write_bytes(good)
    assert named == 3 * len(files) >= 12
    holds(office)


# -- what only a server can do --------------------------------------------------------------------

on_postgresql = pytest.mark.parametrize("address", [POSTGRESQL], indirect=True)


@on_postgresql
def test_a_server_put_back_to_last_week(
    address: str,
    office: Office,
    make_office: MakeOffice,
    package: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, attacker = office.tools.settings, Attacker(as_role(address, ADMIN))
    last_week = attacker.contents()
    decide_by_form(office.visitor("caseworker"), office.cases[2].id)
    office.tools.seals.now()
    office.tools.close()
    today = attacker.contents()
    attacker.put_back(last_week)
    with pytest.raises(LogBehindWitness, match="its tail was cut"):
        open_tools(settings, lambda: NOON)
    assert run("verify", settings.data) == 1
    assert "The tail was cut" in capsys.readouterr().out
    erasing = ["erase", office.cases[0].case_ref, "--basis", "x", "--by", "A", "--by", "B"]
    assert run(*erasing, "--data", settings.data) == 1
    attacker.put_back(today)
    again = make_office(package)
    assert len(again.decisions(again.cases[2])) == 1
    holds(again)


@on_postgresql
def test_a_server_that_is_away_while_people_work(
    address: str, server: Server, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    server.stop()
    try:
        case = office.cases[1]
        answer = office.visitor("caseworker").get(f"/cases/{case.id}")
        assert answer.status == 503
        assert run("backup", office.tools.settings.data.parent / "out", data=office.tools) == 1
        assert "not reached" in capsys.readouterr().err
    finally:
        server.start()
    holds(office)


@on_postgresql
@pytest.mark.parametrize("recorded", [False, True], ids=["before", "after"])
def test_a_connection_lost_at_commit_is_told_and_the_same_form_is_recorded_once(
    recorded: bool, address: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can know whether the server had committed; the form sent again finds out."""
    case, action = office.cases[1], f"/cases/{office.cases[1].id}/decision"
    visitor = office.visitor("caseworker")
    form = visitor.get(f"/cases/{case.id}").hidden(action)
    form |= {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    dialect = office.tools.store.engine.dialect
    commit = dialect.do_commit

    def lost(connection: Any) -> None:
        if recorded:
            commit(connection)
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("the connection is closed")

    with monkeypatch.context() as broken:
        broken.setattr(dialect, "do_commit", lost)
        assert visitor.post(action, form).status == 503
    assert len(office.decisions(case)) == recorded
    assert visitor.post(action, form).status == 303
    assert len(office.decisions(case)) == 1
    assert len(office.decisions(office.cases[0])) == 1
    assert all(result.clean for result in verify_files(office.tools))
