"""PostgreSQL: what is refused, what the application may not do, and what a broken server leaves."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from offices import CASES, demo_settings, open_office
from servers import ADMIN, APPLICATION, OWNER, Server
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

sys.path.append(str(Path(__file__).parents[1] / "ledger"))

from ledgers import NOON, TENANT, Installation, case, decision, row

from explainer.errors import LogBehindWitness, LogForked, SettingsInvalid, StorageFailed
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.log import LogName
from explainer.ledger.tree import leaf_hash
from service import cli
from service.doctor import _database
from service.settings import check_owner_is_away, read_settings
from service.store import cases, erasure, postgres, records, rights, tables
from service.store.database import Store
from service.store.stored import verify_store
from service.verification import verify_files

LOG_TABLES = ("entry", "head", "payload", "opening", "checkpoint")


@pytest.fixture
def installation(tmp_path: Path, server: Server) -> Iterator[Installation]:
    with server.database() as name:
        yield Installation(tmp_path / "data", server.address(name), server.address(name, ADMIN))


@pytest.fixture
def store(installation: Installation) -> Iterator[Store]:
    with closing(installation.open()) as store:
        yield store


def decide(store: Store, case_id: str, case_ref: str, *, then: str = "SELECT 1") -> int:
    with store.transaction(NOON) as tx:
        receipt = records.add_decision(tx, row(case_id), decision(case_ref))
        tx.connection.exec_driver_sql(then)
    return receipt.seq


def size(store: Store) -> int:
    with store.reading() as tx:
        return tx.log(LogName.LEDGER).head().size


def name_of(installation: Installation) -> str:
    return installation.address.partition("@/")[2].partition("?")[0]


@contextmanager
def administrator(
    server: Server, installation: Installation, statement: str, back: str
) -> Iterator[None]:
    """While the block runs, the administrator has done this."""
    server.sql(statement, database=name_of(installation))
    try:
        yield
    finally:
        server.sql(back, database=name_of(installation))


# -- servers that are refused ---------------------------------------------------------------------

SAFE = ("on", "on", "on", "", "UTF8", 180000, False, "read committed")


@pytest.mark.parametrize(
    ("at", "value", "named"),
    [
        (0, "off", "fsync is off"),
        (1, "off", "full_page_writes is off"),
        (2, "off", "synchronous_commit is off"),
        (4, "SQL_ASCII", "encoded in SQL_ASCII"),
        (5, 130021, "older than 14"),
        (6, True, "standby"),
        (7, "repeatable read", "repeatable read"),
    ],
)
def test_an_unsafe_server_is_named_for_what_is_unsafe(at: int, value: object, named: str) -> None:
    assert postgres._unsafe(*SAFE) is None
    found = [*SAFE[:at], value, *SAFE[at + 1 :]]
    what, mend = postgres._unsafe(*found)  # type: ignore[arg-type,misc]
    assert named in what
    assert mend


def test_acknowledging_before_a_promised_standby_has_it_is_refused() -> None:
    assert postgres._unsafe("on", "on", "local", "", *SAFE[4:]) is None  # type: ignore[arg-type]
    fault = postgres._unsafe("on", "on", "local", "second", *SAFE[4:])  # type: ignore[arg-type]
    assert fault is not None
    assert "standby" in fault[0]


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_the_start_is_refused_on_a_server_that_can_lose_what_was_acknowledged(
    setting: str, server: Server, installation: Installation
) -> None:
    with (
        server.setting(f"SET {setting} = off", f"RESET {setting}"),
        pytest.raises(StorageFailed, match=f"{setting} is off") as refused,
    ):
        installation.open()
    assert setting in refused.value.mend
    installation.open().close()


@pytest.mark.parametrize("whose", [f"ROLE {APPLICATION}", "DATABASE {name}"])
def test_a_setting_of_role_or_database_is_found_as_well(
    whose: str, server: Server, installation: Installation
) -> None:
    whose = whose.format(name=name_of(installation))
    with (
        administrator(
            server,
            installation,
            f"ALTER {whose} SET synchronous_commit = off",
            f"ALTER {whose} RESET synchronous_commit",
        ),
        pytest.raises(StorageFailed, match="synchronous_commit"),
    ):
        installation.open()


def test_a_server_that_became_unsafe_is_refused_by_the_next_connection(
    server: Server, store: Store
) -> None:
    case_id = case(store, "BG-1")
    with server.setting("SET fsync = off", "RESET fsync"):
        store.engine.dispose()  # as after a restart
        with pytest.raises(StorageFailed, match="fsync"):
            decide(store, case_id, "BG-1")
    assert decide(store, case_id, "BG-1") == 0


ROLE = "postgresql://role:CANARY"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("postgresql://", "not that of a PostgreSQL database"),
        ("postgresql:///records", "not that of a PostgreSQL database"),
        ("postgresql://role@", "not that of a PostgreSQL database"),
        ("mysql://role:CANARY@localhost/records", "not that of a PostgreSQL database"),
        ("postgresql+asyncpg://role@localhost/records", "not that of a PostgreSQL database"),
        ("records.sqlite", "not understood"),
        (f"{ROLE}@localhost:port/records", "not understood"),
        (f"{ROLE}@localhost/records?options=-cfsync%3Doff", "may not: options"),
        (f"{ROLE}@localhost/records?connect_timeout=soon", "no whole number"),
        (f"{ROLE}@db.agency.example/records", "certificate is checked"),
        (f"{ROLE}@db.agency.example/records?sslmode=require", "certificate is checked"),
        (f"{ROLE}@localhost/records?host=db.agency.example", "certificate is checked"),
        (f"{ROLE}@localhost/records?host=localhost&host=db.agency.example", "certificate"),
    ],
)
def test_an_address_that_is_no_good_is_refused_without_telling_it(
    address: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(StorageFailed, match=says) as refused:
        Store.open(tmp_path, tenant=TENANT, database=address)
    assert "CANARY" not in repr(refused.value) + str(refused.value)
    assert refused.value.mend


def test_the_password_is_in_no_setting_that_is_printed_and_in_no_error(
    server: Server, tmp_path: Path
) -> None:
    address = f"postgresql://nobody_known:CANARY@/records?host={server.folder}"
    settings = read_settings({"WARUM_DATABASE": address}, tmp_path)
    assert settings.database == address
    assert "CANARY" not in repr(settings)
    with pytest.raises(StorageFailed, match="not reached, or turns the role away") as refused:
        Store.open(tmp_path, tenant=TENANT, database=address)
    assert "CANARY" not in repr(refused.value) + str(refused.value)
    assert refused.value.__suppress_context__


def test_a_folder_with_a_database_of_its_own_is_not_used_with_a_server(
    installation: Installation, tmp_path: Path
) -> None:
    Installation(tmp_path / "data").open().close()
    with pytest.raises(StorageFailed, match="database of its own"):
        installation.open()


# -- what the application may not -----------------------------------------------------------------


def filled(store: Store) -> None:
    """Something in every table of the log."""
    case_id = case(store, "BG-1")
    seq = decide(store, case_id, "BG-1")
    with store.transaction(NOON) as tx:
        basis = {"legal_basis": "x", "seqs": [seq]}
        erasure.record_erasure(tx, case_id, Entry(EntryKind.ERASURE, basis))


def test_the_application_may_change_or_remove_nothing_a_log_holds(
    store: Store, installation: Installation
) -> None:
    filled(store)
    installation.seal(store)
    before = installation.attacker.contents()
    statements = [
        *(f"DELETE FROM {table}" for table in LOG_TABLES),
        *(f"TRUNCATE {table}" for table in tables.metadata.tables),
        *(f"UPDATE {table} SET log = 'other'" for table in (*LOG_TABLES, "decision_record")),
        *(f"INSERT INTO {table} SELECT * FROM {table}" for table in LOG_TABLES[:4]),
        *(f"DROP TABLE {table}" for table in tables.metadata.tables),
        "ALTER TABLE entry DISABLE TRIGGER ALL",
        "SELECT * FROM head FOR UPDATE",
        "CREATE TABLE mine (id integer)",
        "CREATE OR REPLACE FUNCTION lock_heads() RETURNS void LANGUAGE sql AS ''",
        "UPDATE alembic_version SET version_num = '0'",
        "SET session_replication_role = replica",
        f"SET ROLE {OWNER}",
    ]
    for statement in statements:
        with (
            pytest.raises(StorageFailed, match="42501"),
            store.transaction(NOON) as tx,
        ):
            tx.connection.exec_driver_sql(statement)
    assert installation.attacker.contents() == before


def test_even_the_owner_does_not_change_records_by_accident(
    store: Store, server: Server, installation: Installation
) -> None:
    filled(store)
    installation.seal(store)
    owner = server.address(name_of(installation), OWNER)
    for table in ("entry", "opening", "checkpoint", "decision_record"):
        for statement in (f"UPDATE {table} SET log = log", f"TRUNCATE {table} CASCADE"):
            with (
                psycopg.connect(owner, options="-c search_path=warum") as connection,
                pytest.raises(psycopg.Error) as refused,
            ):
                connection.execute(statement)
            assert refused.value.sqlstate == "WR000", statement


VERSION = "UPDATE warum.alembic_version SET version_num = "


@pytest.mark.parametrize(
    ("statement", "back", "named"),
    [
        ("GRANT UPDATE ON warum.entry TO", "REVOKE UPDATE ON warum.entry FROM", "UPDATE on entry"),
        ("GRANT DELETE ON warum.head TO", "REVOKE DELETE ON warum.head FROM", "DELETE on head"),
        (
            "GRANT TRUNCATE ON warum.case_file TO",
            "REVOKE TRUNCATE ON warum.case_file FROM",
            "TRUNCATE on case_file",
        ),
        (
            "GRANT UPDATE (size) ON warum.head TO",
            "REVOKE UPDATE (size) ON warum.head FROM",
            "UPDATE on head",
        ),
        (
            "GRANT CREATE ON SCHEMA warum TO",
            "REVOKE CREATE ON SCHEMA warum FROM",
            "may make tables",
        ),
        (f"GRANT {OWNER} TO", f"REVOKE {OWNER} FROM", "owns the tables"),
    ],
)
def test_the_start_is_refused_where_the_application_could_do_more(
    statement: str, back: str, named: str, server: Server, installation: Installation
) -> None:
    with (
        administrator(server, installation, f"{statement} {APPLICATION}", f"{back} {APPLICATION}"),
        pytest.raises(StorageFailed, match=named) as refused,
    ):
        installation.open()
    assert "warum database prepare" in refused.value.mend
    installation.open().close()


@pytest.mark.parametrize(
    ("statement", "back", "named"),
    [
        (
            f"ALTER ROLE {APPLICATION} SUPERUSER",
            f"ALTER ROLE {APPLICATION} NOSUPERUSER",
            "administrator",
        ),
        (
            "GRANT DELETE ON warum.payload TO PUBLIC",
            "REVOKE DELETE ON warum.payload FROM PUBLIC",
            "DELETE on payload",
        ),
        (f"{VERSION} '9999'", f"{VERSION} '{postgres.NEWEST}'", "this version"),
    ],
)
def test_the_start_is_refused_on_a_database_that_is_not_as_it_was_made_ready(
    statement: str, back: str, named: str, server: Server, installation: Installation
) -> None:
    with (
        administrator(server, installation, statement, back),
        pytest.raises(StorageFailed, match=named) as refused,
    ):
        installation.open()
    assert "warum database prepare" in refused.value.mend


def test_a_log_grows_at_its_end_only_by_the_right_hash_and_edge(
    store: Store, installation: Installation
) -> None:
    for _ in range(5):
        with store.transaction(NOON) as tx:
            records.record_system(tx, Entry(EntryKind.POLICY, {"rule": "x"}))
    kept = installation.attacker.contents()
    with store.reading() as tx:
        edge, leaf = tx.log(LogName.LEDGER).head().edge, tx.log(LogName.LEDGER).read(4).leaf
    leaf = leaf.replace(b'"seq":4', b'"seq":5')
    right = edge.append(leaf_hash(leaf)).to_bytes()
    good = {"s": 5, "l": leaf, "h": leaf_hash(leaf), "e": right}
    wrong = [
        {"s": 4},
        {"s": 6},
        {"l": leaf + b" "},
        {"l": leaf.replace(b'"seq":5', b'"seq":4')},
        {"h": bytes(32)},
        {"e": bytes(64)},
        {"e": right[:32]},
        {"e": b""},
    ]
    call = text("SELECT append_entry('ledger', :s, :l, :h, NULL, NULL, NULL, NULL, NULL, :e, NULL)")
    for change in wrong:
        with (
            pytest.raises(StorageFailed, match="does not belong at the end of the log"),
            store.transaction(NOON) as tx,
        ):
            tx.connection.execute(call, {**good, **change})
    assert installation.attacker.contents() == kept
    with store.transaction(NOON) as tx:
        tx.connection.execute(call, good)
    assert size(store) == 6


def test_a_payload_goes_only_where_a_recorded_erasure_covers_it(
    store: Store, installation: Installation
) -> None:
    one, other = case(store, "BG-1"), case(store, "BG-2")
    covered, kept = decide(store, one, "BG-1"), decide(store, other, "BG-2")
    call = text("SELECT erase_payloads(:log, :seqs)")

    def erase(log: str, *seqs: int) -> None:
        with store.transaction(NOON) as tx:
            tx.connection.execute(call, {"log": log, "seqs": list(seqs)})

    with pytest.raises(StorageFailed, match="No recorded erasure"):
        erase("ledger", covered)
    with store.transaction(NOON) as tx:
        basis = {"legal_basis": "x", "seqs": [covered]}
        erasure.record_erasure(tx, one, Entry(EntryKind.ERASURE, basis))
    for log, seqs in (("ledger", (kept,)), ("ledger", (covered, kept)), ("access", (covered,))):
        with pytest.raises(StorageFailed, match="No recorded erasure"):
            erase(log, *seqs)
    assert len(installation.attacker.find("SELECT seq FROM payload")) == 3
    erase("ledger", covered)
    assert installation.attacker.find("SELECT seq FROM payload ORDER BY seq") == [(kept,), (2,)]


# -- one after the other --------------------------------------------------------------------------


def test_who_writes_reads_committed_who_reads_sees_one_moment(store: Store) -> None:
    asked = (
        "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    )
    case_id = case(store, "BG-1")
    for _ in range(2):  # the same connections again
        with store.transaction(NOON) as tx:
            assert tuple(tx.connection.exec_driver_sql(asked).one()) == ("read committed", "off")
        with store.reading() as tx:
            assert tuple(tx.connection.exec_driver_sql(asked).one()) == ("repeatable read", "on")
    with store.reading() as tx:
        assert tx.log(LogName.LEDGER).head().size == 0
        other = threading.Thread(target=decide, args=(store, case_id, "BG-1"))
        other.start()
        other.join()
        assert tx.log(LogName.LEDGER).head().size == 0
    assert size(store) == 1


def test_what_a_writer_looked_up_still_holds_when_it_writes(installation: Installation) -> None:
    """Two processes that decide the same case at once: the second finds it decided."""
    stores = [installation.open() for _ in range(4)]
    case_id = case(stores[0], "BG-1")
    decided, start = [], threading.Barrier(len(stores))

    def act(store: Store) -> None:
        start.wait()
        with store.transaction(NOON) as tx:
            found = cases.get_case(tx, case_id)
            if found is not None and found.state == cases.OPEN:
                records.add_decision(tx, row(case_id), decision("BG-1"))
                decided.append(store)

    threads = [threading.Thread(target=act, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decided) == 1
    assert size(stores[0]) == 1
    for store in stores:
        store.close()


def test_a_transaction_in_which_a_statement_failed_is_never_acknowledged(store: Store) -> None:
    case_id = case(store, "BG-1")
    answered = []

    def act() -> None:
        with store.transaction(NOON) as tx:
            records.add_decision(tx, row(case_id), decision("BG-1"))
            with suppress(DBAPIError):
                tx.connection.exec_driver_sql("SELECT * FROM nowhere")
        answered.append(True)

    with pytest.raises(StorageFailed, match="nothing of this was recorded"):
        act()
    assert not answered
    assert size(store) == 0
    assert decide(store, case_id, "BG-1") == 0


# -- what breaks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("53100", "disk of the database server is full"),
        ("53300", "too little of something"),
        ("40001", "Two changes met"),
        ("40P01", "Two changes met"),
        ("55P03", "Another program"),
        ("25006", "may not be written"),
        ("57P01", "stopping or starting"),
        ("58030", "disk of the database server fails"),
        ("XX001", "damaged"),
        ("22000", "could not be read or written"),
    ],
)
def test_what_the_server_reports_is_told_in_words_and_without_a_value(
    state: str, says: str, store: Store
) -> None:
    case_id = case(store, "BG-1")
    fail = f"DO $$ BEGIN RAISE EXCEPTION 'CANARY' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(StorageFailed, match=says) as failed:
        decide(store, case_id, "BG-1", then=fail)
    assert state in str(failed.value)
    assert "CANARY" not in repr(failed.value) + str(failed.value)
    assert size(store) == 0


def test_a_server_that_may_not_be_written_is_told_as_such_and_can_be_read(
    server: Server, installation: Installation, store: Store
) -> None:
    case_id = case(store, "BG-1")
    with administrator(
        server,
        installation,
        f"ALTER ROLE {APPLICATION} SET default_transaction_read_only = on",
        f"ALTER ROLE {APPLICATION} RESET default_transaction_read_only",
    ):
        store.engine.dispose()
        with pytest.raises(StorageFailed, match="may not be written"):
            decide(store, case_id, "BG-1")
        assert size(store) == 0
    store.engine.dispose()
    assert decide(store, case_id, "BG-1") == 0


def test_a_broken_connection_is_told_and_the_next_action_works(store: Store) -> None:
    case_id = case(store, "BG-1")
    end_me = "SELECT pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(StorageFailed, match=r"stopping|broke"):
        decide(store, case_id, "BG-1", then=end_me)
    assert size(store) == 0
    assert decide(store, case_id, "BG-1") == 0


def test_after_a_restart_of_the_server_nobody_notices(server: Server, store: Store) -> None:
    case_id = case(store, "BG-1")
    server.stop()
    with pytest.raises(StorageFailed, match="not reached"):
        decide(store, case_id, "BG-1")
    server.start()
    assert decide(store, case_id, "BG-1") == 0
    server.stop()
    server.start()
    assert decide(store, case_id, "BG-1") == 1


def crash(server: Server, installation: Installation, crashes: int) -> int:
    """Stop the server as a crash does while four people write; returns what was acknowledged."""
    acknowledged: dict[int, bytes] = {}
    over = threading.Event()
    with closing(installation.open()) as store:
        case_id = case(store, "BG-1")

        def write() -> None:
            while not over.is_set():
                try:
                    with store.transaction(NOON) as tx:
                        receipt = records.add_decision(tx, row(case_id), decision("BG-1"))
                except StorageFailed:
                    over.wait(0.01)
                else:
                    assert acknowledged.setdefault(receipt.seq, receipt.leaf_hash) == (
                        receipt.leaf_hash
                    )

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(crashes):
            wanted = len(acknowledged) + 10
            while len(acknowledged) < wanted:
                over.wait(0.01)
            server.stop("immediate")
            server.start()
        over.set()
        for thread in threads:
            thread.join()
        with store.reading() as tx:
            for seq, digest in acknowledged.items():
                assert tx.log(LogName.LEDGER).read(seq).leaf_hash == digest
        installation.seal(store)
    assert installation.verify(opened=True)["ledger"].clean
    return len(acknowledged)


def test_a_server_that_crashes_while_people_write_loses_nothing_acknowledged(
    server: Server, installation: Installation
) -> None:
    assert crash(server, installation, crashes=1) >= 10


@pytest.mark.long
def test_a_server_that_crashes_often_loses_nothing_acknowledged(
    server: Server, installation: Installation
) -> None:
    assert crash(server, installation, crashes=20) >= 200


# -- what was changed is found --------------------------------------------------------------------

CHANGES = [
    "UPDATE entry SET leaf = set_byte(leaf, 10, 255) WHERE log = 'ledger' AND seq = 1",
    "UPDATE entry SET leaf_hash = set_byte(leaf_hash, 0, get_byte(leaf_hash, 0) # 1) WHERE seq = 1",
    "DELETE FROM entry WHERE log = 'ledger' AND seq = 1",
    "DELETE FROM entry WHERE log = 'ledger' AND seq = 2",
    "DELETE FROM head",
    "UPDATE head SET size = 2 WHERE log = 'ledger'",
    "UPDATE head SET range = set_byte(range, 0, get_byte(range, 0) # 1) WHERE log = 'ledger'",
    "DELETE FROM payload WHERE log = 'ledger' AND seq = 1",
    "UPDATE payload SET ciphertext = set_byte(ciphertext, 0, get_byte(ciphertext, 0) # 1)",
    "UPDATE payload SET nonce = set_byte(nonce, 0, get_byte(nonce, 0) # 1)",
    "UPDATE payload SET key_id = 'another'",
    "UPDATE opening SET payload = set_byte(payload, 3, 65)",
    "UPDATE checkpoint SET note = set_byte(note, 0, 65)",
    "UPDATE checkpoint SET size = 1 WHERE log = 'ledger'",
    "UPDATE checkpoint SET range = set_byte(range, 0, get_byte(range, 0) # 1)",
    "INSERT INTO payload VALUES ('ledger', 77, 'key', '', '')",
    "INSERT INTO head VALUES ('third', 0, '', NULL)",
    "UPDATE entry SET seq = seq + 1 WHERE log = 'ledger' AND seq = 3",
]


def test_whatever_an_administrator_changes_is_found(
    store: Store, installation: Installation
) -> None:
    filled(store)
    decide(store, case(store, "BG-2"), "BG-2")
    erasure.finish_erasures(store)
    decide(store, case(store, "BG-3"), "BG-3")
    installation.seal(store)
    known = installation.keys, installation.outside(), store.keys.all()
    good = installation.attacker.contents()
    for change in CHANGES:
        assert verify_store(store, *known)[0].clean
        installation.attacker.run(change)
        assert not verify_store(store, *known)[0].clean, change
        installation.attacker.put_back(good)
    assert verify_store(store, *known)[0].clean


# -- making it ready ------------------------------------------------------------------------------


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """The name of a database in which nothing was made yet."""
    with server.unprepared() as name:
        yield name


def test_an_empty_database_is_refused_made_ready_and_then_used(
    server: Server, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    address, owner = server.address(empty), server.address(empty, OWNER)
    with pytest.raises(StorageFailed, match="not those of this version"):
        Store.open(tmp_path, tenant=TENANT, database=address)
    asked = demo_settings(tmp_path, tmp_path)
    assert not _database(replace(asked, database=address)).well
    assert cli.main(["database", "prepare"]) == 1
    assert "WARUM_DATABASE" in capsys.readouterr().err
    monkeypatch.setenv("WARUM_DATABASE", address)
    assert cli.main(["database", "prepare"]) == 1
    assert "WARUM_DATABASE_OWNER" in capsys.readouterr().err
    monkeypatch.setenv("WARUM_DATABASE_OWNER", owner)
    for round_ in range(2):  # the second time there is nothing to do
        assert cli.main(["database", "prepare"]) == 0
        assert "in clear" not in capsys.readouterr().out  # nothing ever was
        with closing(Store.open(tmp_path, tenant=TENANT, database=address)) as store:
            case(store, f"BG-{round_}")
    assert _database(replace(asked, database=address)).well
    engine = create_engine(
        owner.replace("postgresql:", "postgresql+psycopg:"),
        connect_args={"options": "-c search_path=warum"},
    )
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, tables.metadata) == []
    finally:
        engine.dispose()


def test_making_ready_that_fails_half_way_leaves_nothing(server: Server, empty: str) -> None:
    owner = server.address(empty, OWNER)
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE SCHEMA warum")
        connection.execute("CREATE TABLE warum.case_entry (mine TEXT)")
    with pytest.raises(StorageFailed):
        postgres.prepare(owner, server.address(empty))
    asked = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'warum'"
    assert server.sql(asked, database=empty) == [("case_entry",)]


def test_making_ready_names_what_is_missing(server: Server, empty: str) -> None:
    owner = server.address(empty, OWNER)
    with pytest.raises(StorageFailed, match="same role"):
        postgres.prepare(owner, owner)
    with pytest.raises(StorageFailed, match="no role of the application's name"):
        postgres.prepare(owner, server.address(empty, "not_made"))
    with pytest.raises(StorageFailed, match="may not do this"):
        postgres.prepare(server.address(empty, APPLICATION), server.address(empty, ADMIN))


def test_the_service_does_not_start_where_the_owner_is_known(monkeypatch, capsys) -> None:
    monkeypatch.setenv("WARUM_DEMO", "1")
    monkeypatch.setenv("WARUM_DATABASE_OWNER", "postgresql://owner:CANARY@/records")
    assert cli.main(["serve"]) == 1
    said = capsys.readouterr().err
    assert "WARUM_DATABASE_OWNER" in said
    assert "CANARY" not in said
    with pytest.raises(SettingsInvalid):
        check_owner_is_away({"WARUM_DATABASE_OWNER": "x"})


def test_every_table_has_its_rights_and_no_log_can_be_changed() -> None:
    for table in LOG_TABLES:
        assert not {"UPDATE", "DELETE"} & set(rights.rights_of(table))
    assert not any("TRUNCATE" in rights.rights_of(table) for table in tables.metadata.tables)


# -- the whole service ----------------------------------------------------------------------------


def test_the_service_runs_is_verified_and_exported_on_postgresql(
    installation: Installation, make_package, tmp_path: Path, monkeypatch, capsys
) -> None:
    data = tmp_path / "office"
    settings = replace(demo_settings(data, make_package()), database=installation.address)
    monkeypatch.setenv("WARUM_DATABASE", installation.address)
    office = open_office(settings, CASES)
    try:
        decided = office.decided(0)
        assert len(office.decisions(decided)) == 1
        listed = office.visitor("supervisor").get("/records")
        assert listed.status == 200
        assert decided.case_ref in listed.text
        assert all(result.clean for result in verify_files(office.tools))
        keys = [
            f"--key={(data / 'seals' / log / 'verifier.key').read_text('ascii').strip()}"
            for log in LogName
        ]
        assert cli.main(["ledger", "verify", str(data), *keys]) == 0
        assert "what they say of decisions is what was sealed" in capsys.readouterr().out
        out = tmp_path / "out"
        assert cli.main(["ledger", "export", str(out), "--data", str(data)]) == 0
        alone = [sys.executable, "-I", "verify.py", ".", *keys]
        assert subprocess.run(alone, cwd=out, capture_output=True).returncode == 0
        installation.attacker.run("UPDATE decision_record SET outcome = 'other'")
        assert not verify_files(office.tools)[0].clean
        assert cli.main(["ledger", "verify", str(data), *keys]) == 1
    finally:
        office.tools.close()
    installation.attacker.run("DELETE FROM entry WHERE log = 'ledger' AND seq = 0")
    with pytest.raises((LogForked, LogBehindWitness)):
        open_office(settings, 0)


@pytest.mark.long
def test_an_older_server_does_the_same(tmp_path: Path) -> None:
    with closing(Server("pginstall")) as server, server.database() as name:
        assert server.sql("SHOW server_version")[0][0].startswith("16.")
        older = Installation(tmp_path, server.address(name), server.address(name, ADMIN))
        with closing(older.open()) as store:
            filled(store)
            assert erasure.finish_erasures(store) == 1
            decide(store, case(store, "BG-2"), "BG-2")
            older.seal(store)
            (result,) = verify_store(store, older.keys[:1], older.outside(), store.keys.all())
        assert result.clean
        assert result.counts == {"OK": 2, "ERASED": 1, "MISSING": 0, "ALTERED": 0}
