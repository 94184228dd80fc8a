"""The store: nothing acknowledged is lost, nothing unrecorded is there, nobody is monitored."""

from __future__ import annotations

import inspect
import json
import shutil
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from servers import APPLICATION
from sqlalchemy import event

sys.path.append(str(Path(__file__).parents[1] / "ledger"))

from ledgers import (
    NOON,
    RESOLVER_PRIVATE,
    TENANT,
    Installation,
    case,
    decision,
    row,
    shown,
)

from explainer.errors import (
    CaseExists,
    CaseNotFound,
    EntryMalformed,
    IdempotencyConflict,
    LogBehindWitness,
    LogForked,
    ProofInvalid,
    StorageFailed,
)
from explainer.ledger.entries import Entry, EntryKind, Receipt
from explainer.ledger.log import LogName
from explainer.ledger.sealing import open_actor
from service.store import cases, decisions, erasure, migrations, records, seals, tables
from service.store.database import Reading, Store, Transaction
from service.store.engine import journal_mode, open_engine
from service.store.keys import KeyStore

LEDGER = LogName.LEDGER


@pytest.fixture
def store(installation: Installation) -> Iterator[Store]:
    store = installation.open()
    yield store
    store.close()


def decide(
    store: Store, case_id: str, case_ref: str, *, key: str | None = None, **changes: object
) -> tuple[str, Receipt]:
    decided = row(case_id, **changes)  # type: ignore[arg-type]
    with store.transaction(NOON) as tx:
        receipt = records.add_decision(
            tx, decided, decision(case_ref, key=key), body=None if key is None else b"form"
        )
    return decided.record_id, receipt


def sizes(store: Store) -> tuple[int, int]:
    with store.reading() as tx:
        return tx.log(LogName.LEDGER).head().size, tx.log(LogName.ACCESS).head().size


# -- one transaction, one answer ------------------------------------------------------------------


def test_a_decision_is_recorded_with_its_entry_and_can_be_looked_up(store: Store) -> None:
    case_id = case(store, "BG-1")
    record_id, receipt = decide(store, case_id, "BG-1")
    with store.reading() as tx:
        record = records.get_record(tx, record_id)
        assert record.listed.case_ref == "BG-1"
        assert record.listed.seq == receipt.seq
        assert record.entry.receipt == receipt
        assert record.entry.payload is not None
        assert record.entry.payload["free_text"] == "Frau Yılmaz hat die Miete belegt."
        found = cases.get_case(tx, case_id)
        assert found is not None
        assert found.state == "decided"
        file = cases.get_case(tx, case_id)
        assert file is not None
        latest = decisions.decisions_of(tx, file)[-1]
        assert latest == record.listed


def test_what_was_shown_keeps_the_salt_for_its_holder(store: Store) -> None:
    case_id = case(store, "BG-1")
    with store.transaction(NOON) as tx:
        receipt = records.record_shown(tx, case_id, shown("BG-1"))
    with store.reading() as tx:
        (entry,) = records.entries_of_case(tx, case_id, EntryKind.SHOWN)
        assert records.entries_of_case(tx, case_id, EntryKind.DECISION) == ()
    assert entry.receipt == receipt
    assert receipt.told_salt is not None


def test_a_failing_commit_leaves_neither_entry_nor_decision_and_raises(
    store: Store, installation: Installation
) -> None:
    case_id = case(store, "BG-1")
    rights = f"GRANT INSERT ON promise TO {APPLICATION}"
    installation.attacker.run(
        "CREATE TABLE promise (id VARCHAR(64) REFERENCES case_file(id) "
        "DEFERRABLE INITIALLY DEFERRED)",
        *([rights] if installation.address else []),
    )
    before = installation.attacker.contents()
    answered = []

    def act() -> None:
        with store.transaction(NOON) as tx:
            records.add_decision(tx, row(case_id), decision("BG-1"))
            tx.connection.exec_driver_sql("INSERT INTO promise VALUES ('4711')")
        answered.append(True)

    with pytest.raises(StorageFailed):
        act()
    assert not answered
    assert sizes(store) == (0, 0)
    with store.reading() as tx:
        assert decisions.list_records(tx, decisions.RecordFilter()).total == 0
        found = cases.get_case(tx, case_id)
        assert found is not None
        assert found.state == "open"
    assert installation.attacker.contents() == before
    decide(store, case_id, "BG-1")  # and the store goes on
    assert sizes(store) == (1, 0)
    installation.attacker.run("DROP TABLE promise")


def test_an_error_in_an_action_leaves_nothing(store: Store) -> None:
    case_id = case(store, "BG-1")

    def act() -> None:
        with store.transaction(NOON) as tx:
            records.record_shown(tx, case_id, shown("BG-1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()
    assert sizes(store) == (0, 0)


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_full_disk_is_told_as_such_and_nothing_is_recorded(store: Store) -> None:
    case_id = case(store, "BG-1")
    big = Entry(EntryKind.SHOWN, {"snapshot": "x" * 200_000}, case_ref="BG-1")

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 60")

    event.listen(store.engine, "connect", limit)
    store.engine.dispose()
    with pytest.raises(StorageFailed, match="disk is full"), store.transaction(NOON) as tx:
        records.record_shown(tx, case_id, big)
    event.remove(store.engine, "connect", limit)
    store.engine.dispose()
    assert sizes(store) == (0, 0)
    with store.transaction(NOON) as tx:
        records.record_shown(tx, case_id, big)
    assert sizes(store) == (1, 0)


def test_a_database_held_by_another_program_is_told_as_such(installation: Installation) -> None:
    store, other = installation.open(busy_seconds=0.1), installation.open()
    try:
        with (
            other.exclusive(),
            pytest.raises(StorageFailed, match="Another program"),
        ):
            case(store, "BG-1")
        case(store, "BG-1")
    finally:
        store.close()
        other.close()


def test_no_error_of_the_database_tells_a_value(store: Store) -> None:
    case_id = case(store, "CANARY-REF")
    decided = row(case_id, outcome="CANARY-OUTCOME")
    for _ in range(2):
        with suppress(StorageFailed), store.transaction(NOON) as tx:
            records.add_decision(tx, decided, decision("CANARY-REF"))
    with pytest.raises(StorageFailed) as failed, store.transaction(NOON) as tx:
        records.add_decision(tx, decided, decision("CANARY-REF"))
    text = f"{failed.value!s} {failed.value!r} {failed.value.__cause__!r}"
    assert "CANARY" not in text
    assert failed.value.__suppress_context__
    assert sizes(store) == (1, 0)


@pytest.mark.parametrize("content", [b"this is not a database at all, not even nearly" * 30])
def test_a_file_that_is_no_database_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "warum.sqlite").write_bytes(content)
    with pytest.raises(StorageFailed):
        Store.open(tmp_path, tenant=TENANT)


# -- idempotency ----------------------------------------------------------------------------------


def test_the_same_request_again_gets_the_same_answer_and_no_second_entry(store: Store) -> None:
    case_id = case(store, "BG-1")
    with store.transaction(NOON) as tx:
        assert records.replay(tx, "key-1", b"form") is None
    record_id, receipt = decide(store, case_id, "BG-1", key="key-1")
    for _ in range(2):
        with store.transaction(NOON) as tx:
            answer = records.replay(tx, "key-1", b"form")
        assert answer == records.Answer(LEDGER, receipt, record_id)
    assert sizes(store) == (1, 0)


def test_the_same_key_with_another_body_is_refused(store: Store) -> None:
    case_id = case(store, "BG-1")
    decide(store, case_id, "BG-1", key="key-1")
    with pytest.raises(IdempotencyConflict), store.transaction(NOON) as tx:
        records.replay(tx, "key-1", b"other form")


def test_a_key_never_makes_two_entries_though_nobody_asked_for_a_replay(store: Store) -> None:
    case_id = case(store, "BG-1")
    decide(store, case_id, "BG-1", key="key-1")
    with pytest.raises(StorageFailed):
        decide(store, case_id, "BG-1", key="key-1")
    assert sizes(store) == (1, 0)


def test_the_stored_digest_of_a_request_cannot_be_guessed(
    store: Store, installation: Installation, tmp_path: Path
) -> None:
    other = Installation(tmp_path / "other").open()
    try:
        assert store.keys.body_mac(b"form") != other.keys.body_mac(b"form")
    finally:
        other.close()


# -- who reads -----------------------------------------------------------------------------------


def test_a_reader_sees_one_moment_and_cannot_write(store: Store) -> None:
    case_id = case(store, "BG-1")
    file = cases.CaseFile("id", "BG-2", "p", "d" * 64, "u", "{}", "2026-11-21T12:00Z")
    with pytest.raises(StorageFailed), store.reading() as tx:
        tx.connection.execute(tables.case_file.delete())
    with pytest.raises(StorageFailed), store.reading() as tx:
        cases.add_case(tx, file)  # type: ignore[arg-type]
    with store.reading() as tx:
        assert cases.get_case(tx, case_id) is not None


# -- what is refused ------------------------------------------------------------------------------


def test_a_case_number_is_taken_only_once(store: Store) -> None:
    case(store, "BG-1")
    with pytest.raises(CaseExists) as refused:
        case(store, "BG-1")
    assert "BG-1" not in str(refused.value)


def test_an_entry_about_another_case_or_of_another_kind_is_refused(store: Store) -> None:
    one, other = case(store, "BG-1"), case(store, "BG-2")
    refused = [
        (records.record_shown, (one, shown("BG-2"))),
        (records.record_shown, (one, decision("BG-1"))),
        (records.record_shown, ("unknown", shown("BG-1"))),
        (records.add_decision, (row(other), decision("BG-1"))),
        (records.add_decision, (row(one), shown("BG-1"))),
        (records.add_decision, (row(one, codes=()), decision("BG-1"))),
        (records.add_decision, (row(one, codes=("D1",) * 4), decision("BG-1"))),
        (records.add_decision, (row(one), decision("BG-1", key="without body"))),
        (records.record_follow_up, (one, decision("BG-1"))),
        (records.record_system, (decision("BG-1"),)),
        (records.record_access, (decision("BG-1"),)),
        (erasure.record_erasure, (one, decision("BG-1"))),
    ]
    for function, arguments in refused:
        with pytest.raises(EntryMalformed), store.transaction(NOON) as tx:
            function(tx, *arguments)  # type: ignore[operator]
    assert sizes(store) == (0, 0)


def test_every_function_that_writes_takes_the_entry_that_vouches_for_it() -> None:
    without_entry = {"add_case", "replay"}  # a submission is no event; a replay only reads
    writing = {}
    for module in (cases, records, erasure):
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ != module.__name__ or name.startswith("_"):
                continue
            parameters = inspect.signature(function, eval_str=True).parameters
            if any(one.annotation is Transaction for one in parameters.values()):
                writing[name] = parameters
    assert {name for name in writing if "entry" not in writing[name]} == without_entry
    assert {
        "add_decision",
        "record_shown",
        "record_access",
        "record_follow_up",
        "record_system",
        "record_erasure",
    } <= set(writing)
    for name, parameters in writing.items():
        if name not in without_entry:
            assert parameters["entry"].annotation is Entry
            assert parameters["entry"].default is inspect.Parameter.empty


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET leaf = leaf_hash",
        "DELETE FROM entry",
        "UPDATE payload SET ciphertext = nonce",
        "UPDATE opening SET payload = salt",
        "DELETE FROM opening",
        "DELETE FROM checkpoint",
        "UPDATE checkpoint SET note = range",
        "UPDATE decision_record SET outcome = 'refuse'",
    ],
)
def test_changing_what_was_recorded_is_refused(
    statement: str, store: Store, installation: Installation
) -> None:
    case_id = case(store, "BG-1")
    _, receipt = decide(store, case_id, "BG-1")
    with store.transaction(NOON) as tx:
        basis = {"legal_basis": "x", "seqs": [receipt.seq]}
        erasure.record_erasure(tx, case_id, Entry(EntryKind.ERASURE, basis))
    installation.seal(store)
    with pytest.raises(StorageFailed), store.transaction(NOON) as tx:
        tx.connection.exec_driver_sql(statement)


# -- lists ----------------------------------------------------------------------------------------


def test_a_list_is_narrowed_by_case_period_unit_relation_and_code(store: Store) -> None:
    ids = [case(store, f"BG-{number}", unit=f"unit-{number % 2}") for number in range(4)]
    made = [
        decide(store, ids[0], "BG-0", unit="unit-0", codes=("D1", "E1"))[0],
        decide(store, ids[1], "BG-1", unit="unit-1", period="2026-10", relation="agree")[0],
        decide(store, ids[2], "BG-2", unit="unit-0", codes=("D10",))[0],
        decide(store, ids[3], "BG-3", unit="unit-1", codes=("E1",))[0],
    ]
    wanted = {
        decisions.RecordFilter(): [3, 2, 1, 0],
        decisions.RecordFilter(case_ref="BG-2"): [2],
        decisions.RecordFilter(period="2026-10"): [1],
        decisions.RecordFilter(unit="unit-0"): [2, 0],
        decisions.RecordFilter(relation="agree"): [1],
        decisions.RecordFilter(code="E1"): [3, 0],
        decisions.RecordFilter(code="D1"): [1, 0],
        decisions.RecordFilter(code="D"): [2, 1, 0],
        decisions.RecordFilter(code="%"): [],
        decisions.RecordFilter(code='"'): [],
        decisions.RecordFilter(unit="unit-1", code="E1"): [3],
        decisions.RecordFilter(case_ref="BG-2", unit="unit-1"): [],
    }
    with store.reading() as tx:
        for narrowed, expected in wanted.items():
            page = decisions.list_records(tx, narrowed)
            assert [made.index(one.row.record_id) for one in page.rows] == expected
            assert page.total == len(expected)


def test_lists_come_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "PAGE_SIZE", 2)
    for number in range(5):
        decide(store, case(store, f"BG-{number}"), f"BG-{number}")
    case(store, "BG-open")
    with store.reading() as tx:
        pages = [
            decisions.list_records(tx, decisions.RecordFilter(), page) for page in (1, 2, 3, 4)
        ]
        assert [len(page.rows) for page in pages] == [2, 2, 1, 0]
        assert {page.total for page in pages} == {5}
        assert decisions.list_records(tx, decisions.RecordFilter(), 0).rows == pages[0].rows
        waiting = cases.queue(tx, "unit-1")
        assert [one.case_ref for one in waiting.rows] == ["BG-open"]
        assert cases.queue(tx, "unit-1", "decided").total == 5
        assert cases.queue(tx, "unit-2").total == 0


def test_an_unknown_record_is_not_found(store: Store) -> None:
    with pytest.raises(CaseNotFound), store.reading() as tx:
        records.get_record(tx, "unknown")
    with store.reading() as tx:
        assert cases.get_case(tx, "unknown") is None
        assert cases.find_case_by_ref(tx, "unknown") is None
        assert records.entries_of_case(tx, "unknown") == ()


# -- people ---------------------------------------------------------------------------------------


def test_no_table_list_or_filter_knows_the_person_who_acted() -> None:
    words = ("actor", "staff", "person", "user", "subject", "officer", "worker", "author")
    names = [column.name for table in tables.metadata.tables.values() for column in table.columns]
    for kind in (cases.CaseFile, decisions.DecisionRow, decisions.RecordFilter):
        names += [field.name for field in fields(kind)]
    names += [
        name
        for module in (cases, records)
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        for name in inspect.signature(function).parameters
    ]
    assert not [name for name in names if any(word in name for word in words)]


def test_no_acting_person_and_no_free_text_lies_in_clear_in_any_file(
    store: Store, installation: Installation
) -> None:
    case_id = case(store, "BG-CANARY-REF")
    with store.transaction(NOON) as tx:
        entry = decision("BG-CANARY-REF", subject="canary.subject@agency")
        records.add_decision(tx, row(case_id), entry)
        access = Entry(EntryKind.ACCESS, {"purpose": "audit", "note": "CANARY-NOTE"})
        records.record_access(tx, access, case_id=case_id)
    installation.seal(store)
    with store.reading() as tx:
        (entry_,) = records.entries_of_case(tx, case_id)
    assert entry_.payload is not None
    pseudonym = entry_.payload["actor_pseudonym"]
    assert isinstance(pseudonym, str)
    assert open_actor(RESOLVER_PRIVATE, pseudonym) == "canary.subject@agency"
    store.close()
    files = [path for path in installation.folder.rglob("*") if path.is_file()]
    assert len(files) >= 5
    for path in files:
        data = path.read_bytes()
        for canary in (b"canary.subject", b"Miete belegt", b"CANARY", pseudonym.encode()):
            assert canary not in data, path.name
    contents = installation.attacker.contents()
    for canary in ("canary.subject", "Miete belegt", "CANARY", pseudonym):
        assert canary not in repr(contents)


@pytest.mark.parametrize("year", [2026, 2038, 2039, 2107])
def test_a_clock_of_any_year_and_one_that_steps_back_are_kept(store: Store, year: int) -> None:
    late = NOON.replace(year=year)
    for now in (late, late - timedelta(minutes=1)):
        with store.transaction(now) as tx:
            records.record_system(tx, Entry(EntryKind.POLICY, {"rule": "x"}))
    with store.reading() as tx:
        head = tx.log(LEDGER).head()
        kinds = [records.open_entry(tx, LEDGER, seq).leaf.type for seq in range(head.size)]
    assert kinds == ["policy", "clock", "policy"]
    assert head.last_clock == late - timedelta(minutes=1)


def test_nothing_in_the_database_is_finer_than_a_minute(store: Store) -> None:
    case_id = case(store, "BG-1")
    decide(store, case_id, "BG-1")
    with store.reading() as tx:
        found = cases.get_case(tx, case_id)
        assert found is not None
        latest = decisions.decisions_of(tx, found)[-1]
        leaf = records.open_entry(tx, LEDGER, 0).leaf
    for text in (found.submitted_at, latest.row.decided_on, leaf.ts):
        assert text == "2026-11-21T12:00Z"


# -- erasure --------------------------------------------------------------------------------------


def erase(store: Store, case_id: str, seqs: list[int]) -> None:
    with store.transaction(NOON) as tx:
        basis = {"legal_basis": "Art. 17 DSGVO", "seqs": seqs}
        erasure.record_erasure(tx, case_id, Entry(EntryKind.ERASURE, basis))


def test_an_erased_case_leaves_key_and_text_in_no_file_and_the_tree_whole(
    store: Store, installation: Installation
) -> None:
    case_id, other = case(store, "BG-CANARY"), case(store, "BG-2")
    record_id, receipt = decide(store, case_id, "BG-CANARY", outcome="CANARY-OUTCOME")
    decide(store, other, "BG-2")
    installation.seal(store)
    with store.reading() as tx:
        envelope = tx.log(LEDGER).read(receipt.seq).envelope
    assert envelope is not None
    key = store.keys.get(envelope.key_id)
    with closing(sqlite3.connect(installation.folder / "keys.sqlite")) as database:
        (wrapped,) = database.execute(
            "SELECT wrapped FROM case_key WHERE key_id = ?", (envelope.key_id,)
        ).fetchone()
    assert key is not None
    erase(store, case_id, [receipt.seq])
    assert erasure.finish_erasures(store) == 1
    assert erasure.finish_erasures(store) == 0
    assert store.keys.get(envelope.key_id) is None
    with store.reading() as tx:
        assert cases.get_case(tx, case_id) is None
        assert records.open_entry(tx, LEDGER, receipt.seq).payload is None
        with pytest.raises(CaseNotFound):
            records.get_record(tx, record_id)
        assert decisions.list_records(tx, decisions.RecordFilter()).total == 1
    installation.seal(store)
    store.close()
    if installation.address:  # what the server keeps beside its tables: docs/reliability.md
        for rows in installation.attacker.contents().values():
            assert "CANARY" not in repr(rows)
            assert repr(envelope.ciphertext) not in repr(rows)
    for path in installation.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for trace in (b"CANARY", key, wrapped, envelope.ciphertext, envelope.key_id.encode()):
                assert trace not in data, path.name
    result = installation.verify()["ledger"]
    assert result.clean
    assert result.counts == {"OK": 2, "ERASED": 1, "MISSING": 0, "ALTERED": 0}


@pytest.mark.parametrize("reached", ["recorded", "key destroyed"])
def test_an_interrupted_erasure_is_finished_at_the_next_start(
    reached: str, store: Store, installation: Installation
) -> None:
    case_id = case(store, "BG-1")
    _, receipt = decide(store, case_id, "BG-1")
    erase(store, case_id, [receipt.seq])
    if reached == "key destroyed":
        with store.reading() as tx:
            envelope = tx.log(LEDGER).read(receipt.seq).envelope
        assert envelope is not None
        store.keys.destroy(envelope.key_id)
    assert erasure.finish_erasures(store) == 1
    with store.reading() as tx:
        assert cases.find_case_by_ref(tx, "BG-1") is None


def test_an_erasure_covers_a_whole_case_and_nothing_else(store: Store) -> None:
    case_id, other = case(store, "BG-1"), case(store, "BG-2")
    seqs = [decide(store, one, ref)[1].seq for one, ref in ((case_id, "BG-1"), (other, "BG-2"))]
    seqs.append(decide(store, case_id, "BG-1")[1].seq)
    for wrong in ([seqs[0]], [*seqs], [seqs[1]], [99]):
        with pytest.raises(EntryMalformed):
            erase(store, case_id, wrong)
    erase(store, case_id, [seqs[0], seqs[2]])
    with pytest.raises(EntryMalformed):
        decide(store, case_id, "BG-1")  # nothing is added to a case that is being erased


def test_a_month_of_the_access_log_is_erased_and_its_cases_are_not(
    store: Store, installation: Installation
) -> None:
    case_id = case(store, "BG-1")
    decide(store, case_id, "BG-1")
    for _ in range(2):
        with store.transaction(NOON) as tx:
            access = Entry(EntryKind.ACCESS, {"purpose": "audit"}, case_ref="BG-1")
            records.record_access(tx, access, case_id=case_id)
    with store.reading() as tx:
        ((month, ours),) = erasure.months_of_access(tx).items()
    assert (month, ours.seqs) == ("2026-11", {0, 1})
    basis = {"legal_basis": "x", "key_ids": sorted(ours.key_ids)}
    for wrong in ([0], [0, 1, 2], []):
        entry = Entry(EntryKind.ERASURE, {**basis, "seqs": wrong})
        with pytest.raises(EntryMalformed), store.transaction(NOON) as tx:
            erasure.record_erasure_of_access(tx, month, entry)
    with store.transaction(NOON.replace(year=2027)) as tx:
        entry = Entry(EntryKind.ERASURE, {**basis, "seqs": [0, 1]})
        erasure.record_erasure_of_access(tx, month, entry)
    assert erasure.finish_erasures(store) == 1
    assert erasure.finish_erasures(store) == 0
    (key_id,) = ours.key_ids
    assert store.keys.get(key_id) is None
    with store.reading() as tx:
        assert cases.get_case(tx, case_id) is not None
        assert len(records.entries_of_case(tx, case_id)) == 1
    installation.seal(store)
    results = installation.verify()
    assert results["access"].clean
    assert results["access"].counts["ERASED"] == 2
    assert results["ledger"].clean
    assert results["ledger"].counts["OK"] == 1


def test_a_key_destroyed_by_somebody_else_is_no_erasure(
    store: Store, installation: Installation
) -> None:
    case_id = case(store, "BG-1")
    _, receipt = decide(store, case_id, "BG-1")
    installation.seal(store)
    installation.attacker.run("DELETE FROM payload")
    assert installation.verify()["ledger"].counts["MISSING"] == 1
    assert receipt.seq == 0


# -- the key store --------------------------------------------------------------------------------


def key_store(folder: Path) -> KeyStore:
    return KeyStore.open(folder / "keys.sqlite", folder / "wrap.key")


def test_a_case_key_is_the_same_after_a_restart_and_gone_after_destruction(tmp_path: Path) -> None:
    first = key_store(tmp_path)
    key_id, key = first.get_or_create("case:BG-1")
    first.close()
    second = key_store(tmp_path)
    assert second.get_or_create("case:BG-1") == (key_id, key)
    assert second.get(key_id) == key
    second.destroy(key_id)
    second.destroy(key_id)
    assert second.get(key_id) is None
    assert second.get_or_create("case:BG-1")[0] != key_id
    second.close()


def test_the_key_files_are_for_their_owner_only_and_name_no_case(tmp_path: Path) -> None:
    keys = key_store(tmp_path)
    _, key = keys.get_or_create("case:BG-CANARY")
    keys.close()
    for name in ("keys.sqlite", "wrap.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        data = (tmp_path / name).read_bytes()
        assert b"CANARY" not in data
        assert key not in data


def test_a_wrapping_key_that_is_gone_wrong_or_readable_by_others_is_refused(
    tmp_path: Path,
) -> None:
    keys = key_store(tmp_path)
    keys.get_or_create("case:BG-1")
    keys.close()
    path = tmp_path / "wrap.key"
    good = path.read_bytes()
    path.chmod(0o644)
    with pytest.raises(StorageFailed, match="read by others"):
        key_store(tmp_path)
    path.chmod(0o600)
    for wrong in (b"", b"zz", b"00" * 31, b"00" * 32, b"\xff"):
        path.write_bytes(wrong)
        with pytest.raises(StorageFailed):
            key_store(tmp_path)
    path.unlink()
    with pytest.raises(StorageFailed, match="gone"):
        key_store(tmp_path)
    assert not path.exists()  # no new key that could open nothing
    path.write_bytes(good)
    path.chmod(0o600)
    key_store(tmp_path).close()


def test_a_damaged_case_key_is_our_error(tmp_path: Path) -> None:
    keys = key_store(tmp_path)
    key_id, _ = keys.get_or_create("case:BG-1")
    with closing(sqlite3.connect(tmp_path / "keys.sqlite")) as database:
        database.execute("UPDATE case_key SET wrapped = x'00'")
        database.commit()
    with pytest.raises(StorageFailed):
        keys.get(key_id)
    keys.close()


def test_threads_that_ask_at_once_get_one_key(tmp_path: Path) -> None:
    keys, got = key_store(tmp_path), []
    threads = [
        threading.Thread(target=lambda: got.append(keys.get_or_create("case:BG-1")))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys.close()
    assert len(got) == 6
    assert len(set(got)) == 1


# -- migrations and the engine --------------------------------------------------------------------


def test_an_empty_database_is_migrated_to_exactly_the_tables_of_the_program(
    tmp_path: Path,
) -> None:
    engine = open_engine(tmp_path / "new.sqlite")
    try:
        migrations.upgrade(engine)
        migrations.upgrade(engine)  # the second time there is nothing to do
        with engine.connect() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), tables.metadata)
        assert differences == []
    finally:
        engine.dispose()


@pytest.mark.parametrize("since", ["0001", "0002", "0003", "0004"])
def test_an_older_database_becomes_this_one_and_keeps_its_records(
    tmp_path: Path, since: str
) -> None:
    engine = open_engine(tmp_path / "old.sqlite")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    decided = {
        "record_id": "r",
        "case_id": "c",
        "log": "ledger",
        "seq": 0,
        "unit": "u",
        "benefit_type": "b",
        "period": "2026-11",
        "decided_on": "2026-11-21T12:00Z",
        "outcome": "o",
        "relation": "not_used",
        "direction": "neutral",
        "codes": '["E6"]',
    }
    case = {
        "id": "c",
        "case_ref": "BG-1",
        "package_id": "p",
        "package_digest": "d",
        "unit": "u",
        "values_json": "{}",
        "submitted_at": "2026-11-21T12:00Z",
        "state": "decided",
    }
    entry = {"log": "ledger", "seq": 0, "leaf": b"leaf", "leaf_hash": b"hash"}
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, since)
        with engine.begin() as connection:
            names = ", ".join(case)
            connection.exec_driver_sql(
                f"INSERT INTO case_file ({names}) VALUES (:{', :'.join(case)})", case
            )
            for table, row in ((tables.entry, entry), (tables.decision_record, decided)):
                connection.execute(table.insert().values(**row))
        assert migrations.upgrade(engine, lambda: key_store(tmp_path)) == since
        with engine.connect() as connection:
            differences = compare_metadata(MigrationContext.configure(connection), tables.metadata)
            kept = connection.execute(tables.decision_record.select()).one()._asdict()
            leaf = connection.execute(tables.entry.select()).one()._asdict()
            stored = connection.execute(tables.case_file.select()).one()
            wrong = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        with closing(key_store(tmp_path)) as keys, engine.connect() as connection:
            found = cases.get_case(Reading(connection, keys), "c")
        assert found == cases.CaseFile(**case)
        assert stored.arrival == 1
        assert wrong == []
        assert differences == []
        assert kept == {**decided, "suggested": None, "corrects": None}
        assert leaf == entry
    finally:
        engine.dispose()


def test_there_is_no_way_back(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "new.sqlite")
    try:
        migrations.upgrade(engine)
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            with pytest.raises(StorageFailed):
                command.downgrade(config, "base")
    finally:
        engine.dispose()


def test_a_migration_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE case_entry (mine TEXT)")
        database.commit()
    with pytest.raises(StorageFailed):
        Store.open(_named(path), tenant=TENANT)
    with closing(sqlite3.connect(tmp_path / "warum.sqlite")) as database:
        names = database.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [("case_entry",)]


def _named(path: Path) -> Path:
    path.rename(path.with_name("warum.sqlite"))
    return path.parent


@pytest.mark.parametrize(
    ("library", "mode"),
    [
        ((3, 40, 1), "delete"),
        ((3, 44, 5), "delete"),
        ((3, 44, 6), "wal"),
        ((3, 45, 0), "delete"),
        ((3, 50, 6), "delete"),
        ((3, 50, 7), "wal"),
        ((3, 51, 0), "delete"),
        ((3, 51, 2), "delete"),
        ((3, 51, 3), "wal"),
        ((3, 53, 4), "wal"),
        ((4, 0, 0), "wal"),
    ],
)
def test_wal_is_used_only_where_its_bug_is_mended(library: tuple[int, int, int], mode: str) -> None:
    assert journal_mode(library) == (mode, "FULL" if mode == "wal" else "EXTRA")


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_every_connection_is_safe(store: Store) -> None:
    mode, synchronous = journal_mode(sqlite3.sqlite_version_info)
    wanted = {
        "journal_mode": mode,
        "synchronous": {"FULL": 2, "EXTRA": 3}[synchronous],
        "foreign_keys": 1,
        "secure_delete": 1,
        "trusted_schema": 0,
    }
    with store.reading() as tx:
        for name, value in wanted.items():
            assert tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() == value


# -- seals and the start --------------------------------------------------------------------------


def written(store: Store, count: int) -> None:
    for _ in range(count):
        with store.transaction(NOON) as tx:
            records.record_system(tx, Entry(EntryKind.POLICY, {"rule": "x"}))


def guard(installation: Installation, store: Store) -> None:
    seals.guard(store, LEDGER, installation.sealer(LEDGER), installation.witness_of(LEDGER))


def seal(installation: Installation, store: Store) -> bytes | None:
    return seals.seal(store, LEDGER, installation.sealer(LEDGER), installation.witness_of(LEDGER))


def test_each_seal_is_stored_remembered_and_witnessed(
    store: Store, installation: Installation
) -> None:
    assert seal(installation, store) is None
    sealer, witness = installation.sealer(LEDGER), installation.witness_of(LEDGER)
    for count in (1, 2, 5):
        written(store, count)
        assert installation.sizes(store, LEDGER)[0] > 0
        note = seal(installation, store)
        assert note == sealer.last_note() == witness.newest_note(sealer.key)
        assert seal(installation, store) == note  # nothing new, nothing signed
    assert installation.sizes(store, LEDGER) == (8, 8, 8)
    written(store, 1)
    assert installation.sizes(store, LEDGER) == (9, 8, 8)
    guard(installation, store)


def test_a_restored_older_database_is_refused_at_the_start_and_never_sealed(
    store: Store, installation: Installation
) -> None:
    snapshots = []
    for _ in range(4):
        written(store, 1)
        seal(installation, store)
        store.close()
        snapshots.append(installation.attacker.contents())
    for snapshot in snapshots[:-1]:
        installation.attacker.put_back(snapshot)
        with pytest.raises(LogBehindWitness):
            guard(installation, store)
        with pytest.raises(LogBehindWitness):
            seal(installation, store)
        written(store, 6)  # growing past the witnessed size does not help
        with pytest.raises(LogForked):
            guard(installation, store)
        with pytest.raises(LogForked):
            seal(installation, store)
        store.close()
    installation.attacker.put_back(snapshots[-1])
    guard(installation, store)


def test_a_rewritten_database_is_refused_though_everything_inside_fits(
    store: Store, installation: Installation
) -> None:
    written(store, 4)
    seal(installation, store)
    attacker = installation.attacker
    leaves = [leaf.replace(b"2026", b"2025") for leaf in attacker.leaves()]
    attacker.rewrite(leaves, [0, 1, 2, 3])
    with pytest.raises(LogForked):
        guard(installation, store)
    with pytest.raises(LogForked):
        seal(installation, store)


@pytest.mark.parametrize("lost", ["sealer", "witness", "both"])
def test_either_of_sealer_and_witness_is_enough_to_notice(
    lost: str, store: Store, installation: Installation
) -> None:
    written(store, 3)
    seal(installation, store)
    if lost in {"sealer", "both"}:
        (installation.folder / "sealer" / "ledger.note").unlink()
    if lost in {"witness", "both"}:
        shutil.rmtree(installation.witness)
    attacker = installation.attacker
    attacker.rewrite(attacker.leaves()[:2], [0, 1])
    if lost == "both":
        guard(installation, store)  # nothing is left that could know better: the honest limit
    else:
        with pytest.raises(LogBehindWitness):
            guard(installation, store)


def test_a_sealer_that_lost_its_memory_takes_up_the_witnessed_head(
    store: Store, installation: Installation
) -> None:
    written(store, 3)
    seal(installation, store)
    (installation.folder / "sealer" / "ledger.note").unlink()
    guard(installation, store)
    written(store, 1)
    assert seal(installation, store) is not None
    installation.seal(store)
    assert installation.verify()["ledger"].clean


def test_a_head_signed_before_a_crash_is_stored_and_witnessed_by_the_next_seal(
    store: Store, installation: Installation
) -> None:
    written(store, 3)
    seal(installation, store)
    installation.attacker.run("DELETE FROM checkpoint")  # as if never committed
    shutil.rmtree(installation.witness)
    guard(installation, store)
    note = seal(installation, store)
    sealer = installation.sealer(LEDGER)
    assert installation.witness_of(LEDGER).newest_note(sealer.key) == note
    with store.reading() as tx:
        stored = tx.log(LEDGER).last_checkpoint()
    assert stored is not None
    assert stored[1] == note


def test_a_head_that_does_not_fit_the_entries_is_neither_sealed_nor_started_on(
    store: Store, installation: Installation
) -> None:
    written(store, 3)
    installation.attacker.run(("UPDATE head SET range = ? WHERE log = 'ledger'", (bytes(64),)))
    with pytest.raises(LogForked):
        seal(installation, store)
    with pytest.raises(LogForked):
        guard(installation, store)


def test_a_tampered_payload_is_not_shown_to_anybody(
    store: Store, installation: Installation
) -> None:
    one, other = case(store, "BG-1"), case(store, "BG-2")
    record_id, _ = decide(store, one, "BG-1")
    decide(store, other, "BG-2")
    installation.attacker.run(
        "UPDATE payload SET (key_id, nonce, ciphertext) = "
        "(SELECT key_id, nonce, ciphertext FROM payload WHERE log = 'ledger' AND seq = 1) "
        "WHERE log = 'ledger' AND seq = 0"
    )
    with pytest.raises(ProofInvalid), store.reading() as tx:
        records.get_record(tx, record_id)


def test_a_witness_that_cannot_be_written_does_not_undo_what_was_recorded(
    store: Store, installation: Installation
) -> None:
    written(store, 1)
    installation.witness.parent.mkdir(exist_ok=True)
    installation.witness.write_bytes(b"a file where the folder should be")
    with pytest.raises(StorageFailed):
        seal(installation, store)
    assert sizes(store) == (1, 0)
    installation.witness.unlink()
    assert seal(installation, store) is not None
    assert json.loads(installation.attacker.leaves()[0])["seq"] == 0
