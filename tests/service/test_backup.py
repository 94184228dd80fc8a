"""A backup is whole, is no older than what was witnessed, and brings back nobody who was erased.

What is promised holds on both databases, and from each to the other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from offices import (
    NOON,
    MakeOffice,
    Office,
    after_one_decision,
    decide_by_form,
    demo_settings,
)
from older import cases_in_clear
from servers import DATABASES, OWNER, Server, as_role, emptied, reached_into
from test_erasing import BASIS, BOTH, CASE, Marked, mark, on_both, run, traces_in

from explainer.errors import BackupRefused, LogBehindWitness, StorageFailed
from explainer.ledger.entries import EntryKind
from service import erasing
from service.actions import submit
from service.backup import back_up, back_up_keys
from service.demo import SYSTEM
from service.restoring import Restored, restore
from service.settings import Settings
from service.store import snapshot
from service.store.copies import make_durable
from service.store.key_check import check_keys
from service.store.tables import metadata
from service.verification import verify_files

APPROVERS = ("Anna Berg", "Jan Ott")


@pytest.fixture
def package(make_package: Callable[[], Path]) -> Path:
    return make_package()


@pytest.fixture
def office(make_office: MakeOffice, package: Path) -> Office:
    return after_one_decision(make_office(package))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands' clock stands where the office's does."""
    monkeypatch.setattr("service.wiring.the_clock", lambda: NOON)


def put_back(
    settings: Settings,
    out: Path,
    keys: Path | None = None,
    checkpoints: Sequence[Path] = (),
    now: datetime = NOON,
) -> Restored:
    owner = as_role(settings.database, OWNER)
    return restore(settings, out, keys, checkpoints, APPROVERS, now, owner=owner)


def lose(settings: Settings, *names: str) -> Path:
    """The disk with the database is gone; what is kept elsewhere is there."""
    if settings.database:
        emptied(settings.database)
    for path in settings.data.glob("warum.sqlite*"):
        path.unlink()
    for name in names:
        path = settings.data / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return settings.data


def is_empty(settings: Settings) -> bool:
    """Whether there is no record, nor a key store, nor anything half of one."""
    if settings.database:
        assert set(reached_into(settings.database, "SELECT size FROM head")) == {(0,)}
        for table in metadata.tables:
            if table != "head":
                assert not reached_into(settings.database, f"SELECT * FROM {table}")
    drafts = [path for path in settings.data.rglob(".*") if "draft" in path.name]
    return not [*settings.data.glob("*.sqlite*"), *drafts]


def rows(settings: Settings) -> dict[str, set[tuple[object, ...]]]:
    """Every row of every table."""
    found = {}
    for table in metadata.sorted_tables:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        query = f"SELECT {names} FROM {table.name}"
        if settings.database:
            found[table.name] = set(reached_into(settings.database, query))
        else:
            with closing(sqlite3.connect(settings.data / "warum.sqlite")) as database:
                found[table.name] = set(database.execute(query).fetchall())
    return found


def _bytes_of(settings: Settings) -> list[bytes]:
    """What stands in the tables, as it would be found in a file."""
    values = [value for table in rows(settings).values() for row in table for value in row]
    return [one if isinstance(one, bytes) else str(one).encode() for one in values]


@on_both
def test_what_was_backed_up_while_running_is_put_back_and_goes_on(
    office: Office, make_office: MakeOffice, package: Path, tmp_path: Path
) -> None:
    settings = office.tools.settings
    assert run("backup", tmp_path / "out", "--keys", tmp_path / "keys", data=office.tools) == 0
    before = [entry.leaf for entry in office.entries()]
    office.tools.close()
    data = lose(settings, "keys.sqlite", "packages", "session.key", "resolver.pub")
    for part in data.glob("resolver.private-*"):
        part.unlink()
    arguments = [tmp_path / "out", "--keys", tmp_path / "keys", *BOTH, "--data", data]
    assert run("restore", *arguments) == 0
    again = make_office(package)
    entries = again.entries()
    assert [entry.leaf for entry in entries[: len(before)]] == before
    assert entries[len(before)].leaf.type == EntryKind.RESTORE
    assert len(entries[len(before)].payload["approvers"]) == 2  # type: ignore[arg-type, index]
    assert "Anna" not in str(entries[len(before)].payload)
    assert again.visitor("caseworker").get(f"/cases/{office.cases[0].id}").status == 200
    decide_by_form(again.visitor("caseworker"), office.cases[1].id)
    assert all(result.clean for result in verify_files(again.tools))


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
@pytest.mark.parametrize("first", DATABASES)
def test_the_records_move_from_either_database_to_the_other_and_back_unchanged(
    first: str,
    address: str,
    make_office: MakeOffice,
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every row of every table is the same, but for the entry each restore writes."""
    monkeypatch.setattr(snapshot, "PART", 2)  # as with tables that are longer than that
    marked = mark(make_office(package, database=address if first == "postgresql" else ""))
    tools, data = marked.office.tools, marked.data
    marked.office.decided(1)
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0
    tools.seals.now()
    tools.close()
    places = [replace(tools.settings, database=one) for one in ("", address)]
    here, there = places if first == "sqlite" else reversed(places)
    known = rows(here)
    assert all(known[name] for name in ("entry", "payload", "opening", "checkpoint", "case_entry"))
    for number, (source, target) in enumerate([(here, there), (there, here)]):
        out = tmp_path / f"out-{number}"
        monkeypatch.setenv("WARUM_DATABASE", source.database)
        assert run("backup", out, "--data", data) == 0
        lose(source)
        monkeypatch.setenv("WARUM_DATABASE", target.database)
        assert run("restore", out, *BOTH, "--data", data) == 0
        moved = rows(target)
        added = {name: len(moved[name] - known[name]) for name in moved if name != "head"}
        assert {name: count for name, count in added.items() if count} == {
            "entry": 1,
            "payload": 1,
            "checkpoint": 1,
        }
        assert not any(known[name] - moved[name] for name in moved if name != "head")
        known = moved
    again = make_office(package, database=here.database)
    assert again.decisions(again.cases[1])
    decide_by_form(again.visitor("caseworker"), again.cases[2].id)
    assert all(result.clean for result in verify_files(again.tools))


@pytest.fixture
def backup(office: Office, tmp_path: Path) -> Path:
    """A backup of an office that has lost its database since."""
    back_up(office.tools.settings, tmp_path / "out", NOON)
    office.tools.close()
    lose(office.tools.settings)
    return tmp_path / "out"


on_postgresql = pytest.mark.parametrize("address", ["postgresql"], indirect=True)


@on_postgresql
def test_a_restore_into_postgresql_needs_its_owner_and_an_empty_database_made_ready(
    address: str,
    backup: Path,
    office: Office,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, owner = office.tools.settings.data, as_role(address, OWNER)
    restoring = ("restore", backup, *BOTH, "--data", data)

    def refused(database: str, as_owner: str, said: str) -> None:
        monkeypatch.setenv("WARUM_DATABASE", database)
        monkeypatch.setenv("WARUM_DATABASE_OWNER", as_owner)
        capsys.readouterr()
        assert run(*restoring) == 1
        told = capsys.readouterr().err
        assert said in told
        assert "Traceback" not in told
        (data / "keys.sqlite").rename(data / "aside")
        assert is_empty(replace(office.tools.settings, database=address))
        (data / "aside").rename(data / "keys.sqlite")

    refused(address, "", "owner of the database is not named")
    refused(address, address, "may not do this")  # the application's own role
    refused(address, f"{owner}&connect_timeout=x", "no whole number")
    with server.database() as another:
        refused(address, server.address(another, OWNER), "not of the same database")
    with server.unprepared() as nothing:
        refused(server.address(nothing), server.address(nothing, OWNER), "not those of this vers")
    monkeypatch.setenv("WARUM_DATABASE", address)
    monkeypatch.setenv("WARUM_DATABASE_OWNER", owner)
    assert run(*restoring) == 0
    capsys.readouterr()
    there = rows(office.tools.settings)
    assert run(*restoring) == 1
    assert "records in the database already" in capsys.readouterr().err
    assert rows(office.tools.settings) == there


@on_postgresql
def test_a_bit_that_changes_on_the_way_stops_the_restore(
    address: str, backup: Path, office: Office
) -> None:
    reached_into(
        address,
        "CREATE FUNCTION flip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "NEW.ciphertext := set_byte(NEW.ciphertext, 7, get_byte(NEW.ciphertext, 7) # 1); "
        "RETURN NEW; END $$",
        "CREATE TRIGGER flip BEFORE INSERT ON payload FOR EACH ROW EXECUTE FUNCTION flip()",
        "ALTER TABLE payload ENABLE ALWAYS TRIGGER flip",
    )
    with pytest.raises(BackupRefused, match="not what was read"):
        put_back(office.tools.settings, backup)
    reached_into(address, "DROP FUNCTION flip CASCADE")
    put_back(office.tools.settings, backup)


@on_postgresql
@pytest.mark.parametrize("at", [0, 3, -1])
def test_a_server_that_goes_away_in_the_middle_is_left_empty_and_the_second_restore_works(
    at: int, address: str, backup: Path, office: Office
) -> None:
    settings, owner = office.tools.settings, as_role(address, OWNER)
    told: list[str] = []

    def lost(what: str, done: int, total: int) -> None:
        told.append(what)
        if what == names[at]:
            ours = f"usename = '{OWNER}' AND application_name = 'warum'"
            reached_into(
                address, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"
            )

    names = [table.name for table in metadata.sorted_tables if rows_in(backup, table.name)]
    with pytest.raises(StorageFailed, match=r"broke|stopping") as failed:
        restore(settings, backup, None, [], APPROVERS, NOON, owner=owner, told=lost)
    assert "restore again" in failed.value.mend
    assert names[at] in told
    assert set(reached_into(address, "SELECT size FROM head")) == {(0,)}
    assert not [path for path in settings.data.rglob(".*") if "draft" in path.name]
    put_back(settings, backup)


def rows_in(backup: Path, table: str) -> int:
    with closing(sqlite3.connect(backup / "warum.sqlite")) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def signed(backup: Path) -> None:
    """Have the list of files fit the database again."""
    contents = json.loads((backup / "backup.json").read_text())
    changed = (backup / "warum.sqlite").read_bytes()
    contents["files"]["warum.sqlite"] = hashlib.sha256(changed).hexdigest()
    (backup / "backup.json").write_text(json.dumps(contents))


@on_both
def test_a_backup_an_older_version_made_is_put_back_in_todays_form(
    address: str, backup: Path, office: Office, make_office: MakeOffice, package: Path
) -> None:
    with closing(sqlite3.connect(backup / "warum.sqlite")) as database:
        query = "SELECT id, state, key_id, lower(hex(sealed)) FROM case_file"
        stored = {row[0]: row[1:] for row in database.execute(query)}
    there, old = [], []
    for case in office.cases:
        state, key_id, sealed = stored[case.id]
        there.append(replace(case, state=state))
        # as versions that kept cases in clear sealed them for a backup
        sealed = {"case_ref": f"sealed:{case.id}", "values_json": f"sealed:{key_id}:{sealed}"}
        old.append(replace(there[-1], **sealed))
    cases_in_clear(backup / "warum.sqlite", old)
    with closing(sqlite3.connect(backup / "warum.sqlite")) as database:
        # what versions after the first one added
        database.execute("DROP INDEX ix_payload_key_id_log_seq")
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' "
            "AND (sql LIKE '%corrects%' OR name LIKE 'ix_payload%')"
        ).fetchall():
            database.execute(f"DROP INDEX {name}")
        database.execute("ALTER TABLE decision_record DROP COLUMN corrects")
        database.execute("DROP TABLE own_record")
        database.execute("UPDATE alembic_version SET version_num = '0001'")
        database.commit()
    signed(backup)
    put_back(office.tools.settings, backup)
    again = make_office(package)
    assert list(again.cases) == [again.found(case.case_ref) for case in there] == there
    assert len(again.decisions(again.cases[0])) == 1
    decide_by_form(again.visitor("caseworker"), again.cases[1].id)
    assert all(result.clean for result in verify_files(again.tools))


@on_both
def test_a_case_erased_and_submitted_again_while_a_backup_is_made_opens_there_with_no_key(
    make_office: MakeOffice, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = mark(make_office(package))
    tools, again = marked.office.tools, []

    def meanwhile(file: Path) -> None:  # the copy has the case already
        assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0
        (there,) = tools.packages.values()
        again.append(submit({**there.golden[0].case, "ref": CASE}, SYSTEM, tools))
        make_durable(file)

    monkeypatch.setattr(snapshot, "make_durable", meanwhile)
    back_up(tools.settings, tmp_path / "out", NOON)
    with closing(sqlite3.connect(tmp_path / "out" / "warum.sqlite")) as copied:
        query = "SELECT key_id FROM case_file WHERE id = ?"
        ((key_id,),) = copied.execute(query, (marked.case.id,)).fetchall()
    assert key_id not in tools.store.keys.names()
    check_keys(tools.store)  # and the new one has its own
    decide_by_form(marked.office.visitor("caseworker"), again[0].id)


@on_both
def test_a_backup_in_which_a_case_was_exchanged_for_another_is_refused(
    backup: Path, office: Office
) -> None:
    with closing(sqlite3.connect(backup / "warum.sqlite")) as database:
        database.execute(
            "UPDATE case_file SET sealed = (SELECT sealed FROM case_file WHERE id = ?) "
            "WHERE id = ?",
            (office.cases[1].id, office.cases[2].id),
        )
        database.commit()
    signed(backup)
    with pytest.raises(BackupRefused, match="does not open with its key"):
        put_back(office.tools.settings, backup)


@on_both
def test_a_case_that_was_damaged_before_the_backup_keeps_nobody_from_the_others(
    office: Office,
    make_office: MakeOffice,
    package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tools, (decided, sound, broken) = office.tools, office.cases[:3]
    decided = office.found(decided.case_ref)
    office.sql(f"UPDATE case_file SET sealed = '' WHERE id = '{broken.id}'")
    assert run("backup", tmp_path / "out", data=tools) == 1
    assert f"{broken.id}: DAMAGED" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "backup.json",
        "packages",
        "resolver.pub",
        "seals",
        "warum.sqlite",
    ]
    tools.close()
    lose(tools.settings)
    assert put_back(tools.settings, tmp_path / "out").damaged == (broken.id,)
    assert run("erase", broken.id, *BASIS, *BOTH, data=tools) == 0
    again = make_office(package)
    assert [again.found(one.case_ref) for one in (decided, sound)] == [decided, sound]
    assert again.found(broken.case_ref) != broken  # submitted anew by the office
    assert all(result.clean for result in verify_files(again.tools))


@on_both
def test_every_backup_older_than_what_was_sealed_is_refused(office: Office, tmp_path: Path) -> None:
    """N of N: one backup after each entry, all but the newest refused."""
    settings = office.tools.settings
    made = []
    for number, case in enumerate(office.cases[1:5]):
        made.append(tmp_path / f"backup-{2 * number}")
        back_up(settings, made[-1], NOON)
        office.visitor("caseworker").get(f"/cases/{case.id}")
        office.tools.seals.now()
        made.append(tmp_path / f"backup-{2 * number + 1}")
        back_up(settings, made[-1], NOON)
        decide_by_form(office.visitor("caseworker"), case.id)
        office.tools.seals.now()
    newest = tmp_path / "newest"
    back_up(settings, newest, NOON)
    office.tools.close()
    data = lose(settings)
    before = (
        sorted(path.name for path in data.iterdir()),
        rows(settings) if settings.database else 0,
    )
    refused = 0
    for one in made:
        with pytest.raises(LogBehindWitness, match="sealed since"):
            put_back(settings, one)
        now = (
            sorted(path.name for path in data.iterdir()),
            rows(settings) if settings.database else 0,
        )
        assert now == before
        refused += 1
    assert refused == len(made) == 8
    # either of the sealer's memory, the witness folder and a note kept elsewhere is enough
    shutil.move(data / "witness", tmp_path / "elsewhere")
    with pytest.raises(LogBehindWitness):
        put_back(settings, made[-1])
    for memory in data.glob("seals/*/last.note"):
        memory.unlink()
    with pytest.raises(LogBehindWitness):
        put_back(settings, made[-1], None, [tmp_path / "elsewhere"])
    assert run("restore", newest, *BOTH, "--data", data) == 1  # nothing kept outside, no restore
    put_back(settings, newest, None, [tmp_path / "elsewhere"])


@on_both
def test_a_restored_backup_does_not_bring_an_erased_case_back(
    make_office: MakeOffice, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backup of the records has the case still, that of the keys its key."""
    marked: Marked = mark(make_office(package))
    tools = marked.office.tools
    # the erasure is recorded and sealed; then the backup; only then it is carried out
    with monkeypatch.context() as interrupted:
        interrupted.setattr(erasing, "finish_erasures", lambda *_: 0)
        assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0
        back_up(tools.settings, tmp_path / "out", NOON)
        back_up_keys(tools.settings, tmp_path / "keys", NOON)
    assert traces_in(tmp_path / "out", marked.traces) == ["warum.sqlite"]
    assert "keys" in traces_in(tmp_path, marked.traces)
    tools.close()
    data = lose(tools.settings, "keys.sqlite")
    put_back(tools.settings, tmp_path / "out", tmp_path / "keys")
    assert traces_in(data, marked.traces) == []
    assert not any(trace in row for row in _bytes_of(tools.settings) for trace in marked.traces)
    again = make_office(package)
    assert again.visitor("caseworker").get(f"/cases/{marked.case.id}").status == 404
    assert all(result.clean for result in verify_files(again.tools))


@on_both
def test_a_backup_holds_nothing_of_a_person_in_clear(
    make_office: MakeOffice, package: Path, tmp_path: Path
) -> None:
    marked = mark(make_office(package))
    back_up(marked.office.tools.settings, tmp_path / "out", NOON)
    clear = tuple(trace for trace in marked.traces[:8] if trace != marked.case.id.encode())
    assert len(clear) == 7
    assert traces_in(tmp_path / "out", marked.traces) == ["warum.sqlite"]  # sealed, it is there
    for folder in (marked.data, tmp_path / "out"):
        assert traces_in(folder, clear) == []


@on_both
def test_keys_older_than_the_backup_are_refused_and_nothing_is_left(
    office: Office, tmp_path: Path
) -> None:
    settings = office.tools.settings
    back_up_keys(settings, tmp_path / "keys", NOON)
    (there,) = office.tools.packages.values()
    submit({**there.golden[0].case, "ref": "BG-LATER"}, SYSTEM, office.tools)
    back_up(settings, tmp_path / "out", NOON)
    office.tools.close()
    lose(settings, "keys.sqlite")
    with pytest.raises(Exception, match="has no key for 1 cases"):
        put_back(settings, tmp_path / "out", tmp_path / "keys")
    assert is_empty(settings)


@on_both
def test_a_backup_from_before_an_erasure_is_refused(
    make_office: MakeOffice, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marked = mark(make_office(package))
    tools = marked.office.tools
    tools.seals.now()
    assert run("backup", tmp_path / "out", "--keys", tmp_path / "keys", data=tools) == 0
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0
    tools.close()
    data = lose(tools.settings, "keys.sqlite")
    arguments = [tmp_path / "out", "--keys", tmp_path / "keys", *BOTH, "--data", data]
    assert run("restore", *arguments) == 1
    assert "error [ledger.behind_witness]" in capsys.readouterr().err
    assert traces_in(data, marked.traces) == []
    assert not (data / "keys.sqlite").exists()


def test_every_changed_missing_or_added_file_of_a_backup_is_named(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    back_up(office.tools.settings, out, NOON)
    office.tools.close()
    data = lose(office.tools.settings)
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "backup.json"]
    assert len(files) >= 6
    for path in files:
        good = path.read_bytes()
        for bad in (good[:-1], bytes([good[0] ^ 1]) + good[1:], None):
            path.unlink() if bad is None else path.write_bytes(bad)
            assert run("restore", out, *BOTH, "--data", data) == 1
            assert str(path) in capsys.readouterr().err
        path.write_bytes(good)
    (out / "added").write_text("x")
    assert run("restore", out, *BOTH, "--data", data) == 1
    (out / "added").unlink()
    good = (out / "backup.json").read_text()
    for wrong in ("", "[]", "{", good.replace("demo", "other"), good.replace('"v"', '"files"')):
        (out / "backup.json").write_text(wrong)
        assert run("restore", out, *BOTH, "--data", data) == 1
    (out / "backup.json").write_text(good)
    capsys.readouterr()
    assert run("restore", out, "--by", "A", "--data", data) == 1
    assert "Two different people" in capsys.readouterr().err
    assert run("restore", out, *BOTH, "--data", data) == 0


@on_both
def test_a_rewritten_database_is_refused_though_its_digests_fit(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    office.tamper("UPDATE payload SET nonce = ciphertext WHERE seq = 1")
    assert run("backup", out, data=office.tools) == 1  # not even made
    assert not out.exists()
    monkeypatch.setattr("service.backup.check_clean", lambda results, where: None)
    back_up(office.tools.settings, out, NOON)
    monkeypatch.undo()
    office.tools.close()
    data = lose(office.tools.settings)
    assert run("restore", out, *BOTH, "--data", data) == 1
    (data / "keys.sqlite").unlink()
    assert is_empty(office.tools.settings)


def test_a_copy_of_the_keys_expires(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = replace(office.tools.settings, key_backup_days=10)
    out, keys = tmp_path / "out", tmp_path / "keys"
    back_up(settings, out, NOON)
    expires = back_up_keys(settings, keys, NOON)
    assert (expires - NOON.date()).days == 10
    assert keys.stat().st_mode & 0o777 == 0o600
    office.tools.close()
    data = lose(settings, "keys.sqlite")
    late = NOON.replace(month=12, day=4)
    with pytest.raises(Exception, match="expired on 2026-12-03"):
        restore(settings, out, keys, [], APPROVERS, late)
    assert not list(data.glob("*.sqlite*"))
    restore(settings, out, keys, [], APPROVERS, late.replace(day=3))
    with closing(sqlite3.connect(data / "keys.sqlite")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert sorted(tables) == [("case_key",), ("wrapping",)]


def test_where_a_backup_cannot_go_is_said_and_nothing_is_overwritten(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = office.tools.settings.data
    out, keys = tmp_path / "out", tmp_path / "keys"
    for arguments, said in (
        ([], "Nothing is named"),
        ([out, "--keys", out / "keys"], "Keep them apart"),
        ([data], "there already"),
        (["--keys", data / "keys.sqlite"], "there already"),
    ):
        assert run("backup", *arguments, data=office.tools) == 1
        assert said in capsys.readouterr().err
    assert run("backup", out, "--keys", keys, data=office.tools) == 0
    office.tools.close()
    for lost, arguments, said in (
        ((), [out], "database already"),
        (("warum.sqlite",), [out, "--keys", keys], "key store already"),
        (("keys.sqlite",), [out], "no key store"),
        ((), [out, "--keys", out / "warum.sqlite"], "no copy of a key store"),
        ((), [out, "--keys", tmp_path / "none"], "no such file"),
        ((), [tmp_path / "none", "--keys", keys], "no whole backup"),
        (("wrap.key",), [out, "--keys", keys], "in no backup"),
    ):
        for name in lost:
            (data / name).unlink()
        capsys.readouterr()
        assert run("restore", *arguments, *BOTH, "--data", data) == 1
        assert said in capsys.readouterr().err


def test_another_installations_backup_is_refused(
    office: Office, make_office: MakeOffice, package: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    back_up(office.tools.settings, out, NOON)
    other = make_office(package, folder="other")
    other.tools.close()
    lose(other.tools.settings)
    with pytest.raises(Exception, match="sealed with other keys"):
        restore(demo_settings(tmp_path / "other", package), out, None, [], APPROVERS, NOON)
