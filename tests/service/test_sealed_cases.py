"""Number and values of a case are sealed where they lie, and found all the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from ledgers import NOON, Attacker, Installation, case, decision, row, shown
from offices import MakeOffice, Office, decide_by_form, demo_settings, open_office
from older import cases_in_clear
from servers import ADMIN, DATABASES, OWNER, Server, as_role
from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from test_erasing import BASIS, BOTH, holds, run

from explainer.errors import CaseExists, KeyMissing, RecordsDisagree, StorageFailed
from service import erasing
from service.actions import submit
from service.cli import main
from service.demo import SYSTEM
from service.settings import Settings
from service.store import cases, decisions, engine, key_check, records
from service.store.cases import CaseFile, get_case
from service.store.database import Reading
from service.store.erasure import covered_by_case
from service.store.keys import KeyStore
from service.verification import verify_files
from service.wiring import open_ledger

# -- what is stored -------------------------------------------------------------------------------


@pytest.fixture
def two(installation: Installation) -> tuple[str, str]:
    """Two cases nobody has looked at yet."""
    with closing(installation.open()) as store:
        return case(store, "BG-CANARY-1"), case(store, "BG-CANARY-2")


def test_a_case_is_sealed_from_its_first_moment_and_found_by_its_whole_number(
    installation: Installation, two: tuple[str, str]
) -> None:
    (stored,) = [row for row in installation.attacker.contents()["case_file"] if row[0] == two[0]]
    assert "CANARY" not in repr(stored)
    assert "410.00" not in repr(stored)
    with closing(installation.open()) as store:
        assert store.keys.find("case:BG-CANARY-1") == stored[1]
        with store.reading() as tx:
            found = cases.find_case_by_ref(tx, "BG-CANARY-1")
            assert found == get_case(tx, two[0])
            assert found is not None
            assert (found.case_ref, found.values_json) == ("BG-CANARY-1", '{"rent":"410.00"}')
            for other in ("BG-CANARY", "bg-canary-1", "BG-CANARY-1 ", "%", ""):
                assert cases.find_case_by_ref(tx, other) is None
        with pytest.raises(CaseExists):
            case(store, "BG-CANARY-1")
        assert store.keys.find("case:BG-CANARY") is None  # looking makes no key


def test_cases_of_one_minute_are_listed_as_they_came(installation: Installation) -> None:
    numbers = [f"BG-{at}" for at in (7, 3, 9, 1, 8, 2)]
    with closing(installation.open()) as store:
        for number in numbers:
            case(store, number)
        with store.reading() as tx:
            assert [one.case_ref for one in cases.queue(tx, "unit-1").rows] == numbers
            assert [one.case_ref for one in cases.every_case(tx)] == numbers


def test_a_page_of_cases_is_opened_with_one_question_to_the_key_store(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    several = KeyStore.several

    def counted(self: KeyStore, key_ids: object) -> dict[str, bytes]:
        wanted = list(key_ids)  # type: ignore[call-overload]
        asked.append(len(wanted))
        return several(self, wanted)

    monkeypatch.setattr(KeyStore, "several", counted)
    monkeypatch.setattr(cases, "PAGE_SIZE", 5)
    with closing(installation.open()) as store:
        for number in range(12):
            case(store, f"BG-{number}")
        with store.reading() as tx:
            asked.clear()
            assert len(cases.queue(tx, "unit-1", page=2).rows) == 5
        assert asked == [5]


# -- what was changed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE case_file SET sealed = (SELECT sealed FROM case_file WHERE id = '{1}') "
        "WHERE id = '{0}'",
        "UPDATE case_file SET sealed = '' WHERE id = '{0}'",
    ],
)
def test_a_case_that_was_exchanged_is_refused_and_keeps_nobody_from_the_others(
    change: str, installation: Installation, two: tuple[str, str]
) -> None:
    installation.attacker.run(change.format(*two))
    with closing(installation.open()) as store, store.reading() as tx:
        with pytest.raises(RecordsDisagree):
            get_case(tx, two[0])
        with pytest.raises(RecordsDisagree):
            cases.find_case_by_ref(tx, "BG-CANARY-1")
        listed = {one.id: one.case_ref for one in cases.queue(tx, "unit-1").rows}
        assert listed == {two[0]: "?", two[1]: "BG-CANARY-2"}


@pytest.mark.parametrize("damage", ["zeroblob(60)", "''", "'a text of more than twelve letters'"])
def test_a_key_that_is_damaged_keeps_nobody_from_the_other_cases(
    damage: str, installation: Installation, two: tuple[str, str]
) -> None:
    with closing(installation.open()) as store:
        for number, one in enumerate(two, 1):
            with store.transaction(NOON) as tx:
                made = decision(f"BG-CANARY-{number}", key=one)
                records.add_decision(tx, row(one), made, body=b"form")
        key_id = store.keys.find("case:BG-CANARY-1")
        with closing(sqlite3.connect(installation.folder / "keys.sqlite")) as keys:
            said = f"UPDATE case_key SET wrapped = {damage} WHERE key_id = ?"
            keys.execute(said, [key_id])
            keys.commit()
        with store.reading() as tx:
            listed = cases.queue(tx, "unit-1", cases.DECIDED).rows
            assert {one.id: one.case_ref for one in listed} == {two[0]: "?", two[1]: "BG-CANARY-2"}
            found = decisions.list_records(tx, decisions.RecordFilter()).rows
            assert {one.case_ref for one in found} == {"?", "BG-CANARY-2"}
            with pytest.raises(StorageFailed, match="does not open with the wrapping key"):
                get_case(tx, two[0])
        with pytest.raises(StorageFailed, match="does not open with the wrapping key"):
            key_check.check_keys(store)


def test_a_case_whose_key_is_lost_stops_the_start(
    installation: Installation, two: tuple[str, str]
) -> None:
    with closing(installation.open()) as store:
        key_check.check_keys(store)
        key_id = store.keys.find("case:BG-CANARY-1")
        assert key_id is not None
        store.keys.destroy(key_id)
        with pytest.raises(KeyMissing, match="opens 1 of the cases"):
            key_check.check_keys(store)
        with store.reading() as tx, pytest.raises(KeyMissing):
            get_case(tx, two[0])


def test_nothing_is_recorded_about_a_case_under_the_number_of_another(
    installation: Installation, two: tuple[str, str]
) -> None:
    with closing(installation.open()) as store:
        for wrong in ("BG-CANARY-2", "BG-NOBODYS"):
            with (
                pytest.raises(Exception, match="not about this case"),
                store.transaction(NOON) as tx,
            ):
                records.record_shown(tx, two[0], shown(wrong))
        assert store.keys.find("case:BG-NOBODYS") is None


def test_the_key_of_a_case_goes_though_somebody_took_all_that_was_recorded_of_it(
    make_office: MakeOffice, make_package: Callable[[], Path]
) -> None:
    office = make_office(make_package())
    case = office.decided(0)
    office.tamper("DELETE FROM payload WHERE log = 'ledger'")
    with office.tools.store.reading() as tx:
        assert covered_by_case(tx, case.id).key_ids == {
            office.tools.store.keys.find(f"case:{case.case_ref}")
        }


# -- from an older version ------------------------------------------------------------------------

SEEN, UNSEEN, GOING = OLD = ("BG-ALTBESTAND-1", "BG-ALTBESTAND-2", "BG-ALTBESTAND-3")
MARKS = (b"ALTBESTAND", b"Altbestand")


@dataclass(frozen=True)
class Older:
    """An installation as a version left it that kept cases in clear: one decided, one nobody saw,
    and one of which the erasure was recorded and not carried out."""

    settings: Settings
    files: tuple[CaseFile, ...]

    @property
    def database(self) -> Path | str:
        return self.settings.database or self.settings.data / "warum.sqlite"

    @property
    def keys(self) -> tuple[Path, Path]:
        return self.settings.data / "keys.sqlite", self.settings.data / "wrap.key"

    def prepare(self) -> int:
        """What has to be done on PostgreSQL before the first start of a new version."""
        return main(["database", "prepare"]) if self.settings.database else 0

    def rows(self) -> list[tuple[object, ...]]:
        admin = as_role(self.settings.database, ADMIN)
        return Attacker(admin or self.database).find("SELECT * FROM case_file ORDER BY id")


@pytest.fixture(params=[*DATABASES, "write-ahead"])
def older(
    request: pytest.FixtureRequest,
    make_package: Callable[[], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Older:
    address = ""
    if request.param == "write-ahead":
        monkeypatch.setattr(engine, "journal_mode", lambda library: ("wal", "FULL"))
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("server")
        address = server.address(server.make())
        monkeypatch.setenv("WARUM_DATABASE", address)
        monkeypatch.setenv("WARUM_DATABASE_OWNER", as_role(address, OWNER))
    monkeypatch.setenv("WARUM_DATA", str(tmp_path / "data"))
    settings = demo_settings(tmp_path / "data", make_package(), database=address)
    office = open_office(settings, 0)
    (package,) = office.tools.packages.values()
    for golden, number in zip(package.golden, OLD, strict=False):
        submit({**golden.case, "ref": number}, SYSTEM, office.tools)
    decide_by_form(office.visitor("caseworker"), there(office, SEEN).id)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(erasing, "finish_erasures", lambda *_: 0)
        assert run("erase", GOING, *BASIS, *BOTH, data=office.tools) == 0
    unseen = replace(there(office, UNSEEN), values_json='{"name": "Altbestand"}')
    # of what goes nothing is written again, so its pages stay free
    going = replace(there(office, GOING), values_json='{"name": "Altbestand"}' * 1000)
    files = (there(office, SEEN), unseen, going)
    # it had no key until somebody saw the case
    office.tools.store.keys.destroy(str(office.tools.store.keys.find(f"case:{UNSEEN}")))
    office.tools.close()
    made = Older(settings, files)
    cases_in_clear(made.database, files)
    return made


def test_a_key_store_of_others_is_found_out_though_nobody_has_seen_a_case_yet(
    make_office: MakeOffice, make_package: Callable[[], Path]
) -> None:
    office = make_office(make_package(), cases=1)
    settings, files = office.tools.settings, office.cases
    office.tools.close()
    made = Older(settings, files)
    cases_in_clear(made.database, files)
    before = made.rows()
    for name in ("keys.sqlite", "wrap.key"):
        (settings.data / name).unlink()
    KeyStore.open(settings.data / "keys.sqlite", settings.data / "wrap.key").close()
    with pytest.raises(KeyMissing, match="not that of these records"):
        open_ledger(settings)
    assert made.rows() == before


def there(office: Office, number: str) -> CaseFile:
    found = office.found(number)
    assert found is not None
    return found


def test_what_an_older_version_kept_in_clear_is_sealed_and_stays_in_no_file(
    older: Older, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on_server = bool(older.settings.database)
    folder = server.folder if on_server else older.settings.data

    def holding() -> set[str]:
        if on_server:
            server.sql("CHECKPOINT")
        # what was in the write-ahead log stays there until it is overwritten: that is told
        files = [path for path in folder.rglob("*") if path.is_file()]
        found = [one for one in files if not {"program", "pg_wal"} & set(one.parts)]
        return {one.name for one in found if holds(one, MARKS)}

    assert holding()
    capsys.readouterr()
    assert older.prepare() == 0
    said = capsys.readouterr().out
    assert ("write-ahead log" in said) == on_server
    if on_server:
        (today,) = server.sql("SELECT current_date::text")[0]
        assert f"sealed since {today}. " in said
    with closing(open_ledger(older.settings)) as ledger, ledger.store.reading() as tx:
        assert list(cases.every_case(tx)) == list(older.files[:2])  # the erasure is done, too
        for file in older.files[:2]:
            assert cases.find_case_by_ref(tx, file.case_ref) == file
        assert cases.find_case_by_ref(tx, GOING) is None
        assert ledger.store.keys.find(f"case:{GOING}") is None
    assert holding() == set()
    office = open_office(older.settings, 0)
    with closing(office.tools):
        assert all(result.clean for result in verify_files(office.tools))
        (package,) = office.tools.packages.values()
        submit({**package.golden[3].case, "ref": "BG-NEU"}, SYSTEM, office.tools)
        decide_by_form(office.visitor("caseworker"), there(office, "BG-NEU").id)
        assert run("erase", SEEN, *BASIS, *BOTH, data=office.tools) == 0
        assert all(result.clean for result in verify_files(office.tools))
    capsys.readouterr()
    assert older.prepare() == 0
    assert capsys.readouterr().out == said  # whoever missed it is told again


@pytest.mark.parametrize("older", ["postgresql"], indirect=True)
def test_the_server_does_not_give_up_while_keys_are_made(
    older: Older, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one is forced to disk; between two statements that is long where disks are slow."""
    opened: list[DBAPIConnection] = []
    limits: list[str] = []
    make = KeyStore.get_or_create

    def noting(self: KeyStore, case_ref: str) -> tuple[str, bytes]:
        cursor = opened[-1].cursor()
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        limits.append(cursor.fetchone()[0])  # type: ignore[index]
        cursor.close()
        return make(self, case_ref)

    def opens(connection: DBAPIConnection, _: object) -> None:
        if hasattr(connection, "pgconn"):
            opened.append(connection)

    monkeypatch.setattr(KeyStore, "get_or_create", noting)
    event.listen(Engine, "connect", opens)
    try:
        assert older.prepare() == 0
    finally:
        event.remove(Engine, "connect", opens)
    assert limits == ["0"]


def test_a_backup_of_what_an_older_version_left_holds_nothing_in_clear(
    older: Older, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = older.rows()
    done = main(["ledger", "backup", str(tmp_path / "out"), "--data", str(older.settings.data)])
    assert older.rows() == before
    if older.settings.database:
        assert done == 1
        assert "warum database prepare" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
        return
    assert done == 0
    assert [
        one for one in (tmp_path / "out").rglob("*") if one.is_file() and holds(one, MARKS)
    ] == []
    with closing(KeyStore.existing(*older.keys)) as keys:
        engine_of_copy = engine.open_engine(tmp_path / "out" / "warum.sqlite")
        with engine_of_copy.connect() as connection:
            found = list(cases.every_case(Reading(connection, keys)))
        engine_of_copy.dispose()
    assert found == list(older.files[:2])


@pytest.mark.parametrize("missing", ["the key store", "the case's key", "the file"])
def test_with_another_key_store_nothing_of_an_older_version_is_changed(
    missing: str, older: Older, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, before = older.settings.data, older.rows()
    kept = {name: (data / name).read_bytes() for name in ("keys.sqlite", "wrap.key")}

    def start() -> None:
        if older.settings.database:
            capsys.readouterr()
            if older.prepare() != 0:
                raise StorageFailed(capsys.readouterr().err, "", "")
        open_ledger(older.settings).close()

    if missing == "the case's key":
        with closing(KeyStore.existing(data / "keys.sqlite", data / "wrap.key")) as keys:
            keys.destroy(str(keys.find(f"case:{SEEN}")))
    else:
        for name in kept:
            (data / name).unlink()
    if missing == "the key store":
        KeyStore.open(data / "keys.sqlite", data / "wrap.key").close()
    said = "no such file" if missing == "the file" else "not that of these records"
    with pytest.raises((KeyMissing, StorageFailed), match=said):
        start()
    assert older.rows() == before
    for name, content in kept.items():
        (data / name).write_bytes(content)
        (data / name).chmod(0o600)
    start()
    with closing(open_ledger(older.settings)) as ledger, ledger.store.reading() as tx:
        assert list(cases.every_case(tx)) == list(older.files[:2])
