"""`append`: what it writes, in which order, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from ledgers import NOON, MemoryKeys, MemoryLog

from explainer.errors import EntryMalformed
from explainer.ledger.entries import Entry, EntryKind, Json, Leaf, Receipt
from explainer.ledger.log import KINDS, LogName, append
from explainer.ledger.sealing import open_payload, told_commitment
from explainer.ledger.tree import leaf_hash, root


def write(
    log: MemoryLog, entry: Entry, now: datetime = NOON, keys: MemoryKeys | None = None
) -> Receipt:
    return append(log, entry, keys=keys or MemoryKeys(), now=now, tenant="jc", ts_source="ntp")


def payload_of(log: MemoryLog, seq: int, keys: MemoryKeys) -> dict[str, Json]:
    record = log.records[seq]
    assert record.envelope is not None
    key = keys.get(record.envelope.key_id)
    assert key is not None
    opened = open_payload(record.envelope, key, Leaf.from_bytes(record.leaf))
    value = json.loads(opened)
    assert isinstance(value, dict)
    return value


def test_an_entry_is_written_with_its_leaf_envelope_head_and_receipt() -> None:
    log, keys = MemoryLog(), MemoryKeys()
    entry = Entry(
        EntryKind.SHOWN,
        {"audience": "applicant"},
        case_ref="BG-1",
        model="a" * 64,
        explainer="b" * 64,
        told=leaf_hash(b"told"),
        idempotency_key="random",
    )
    receipt = write(log, entry, keys=keys)
    record = log.records[0]
    leaf = Leaf.from_bytes(record.leaf)
    assert (leaf.seq, leaf.type, leaf.ts, leaf.ts_source) == (
        0,
        "shown",
        "2026-11-21T12:00Z",
        "ntp",
    )
    assert receipt.leaf == record.leaf
    assert receipt.leaf_hash == leaf_hash(record.leaf) == record.leaf_hash
    assert log.head().edge.root() == root([record.leaf_hash])
    assert receipt.told_salt is not None
    assert leaf.told == told_commitment(receipt.told_salt, leaf_hash(b"told"))
    assert payload_of(log, 0, keys) == {
        "audience": "applicant",
        "told_salt": receipt.told_salt.hex(),
    }


def test_a_leaf_names_neither_case_nor_person_nor_agreement() -> None:
    log, keys = MemoryLog(), MemoryKeys()
    for relation in ("agree", "deviate"):
        fields = {"relation": relation, "actor_pseudonym": "anna", "unit_id": "unit-7"}
        write(log, Entry(EntryKind.DECISION, fields, case_ref="BG-4711"), keys=keys)
    for record in log.records:
        for word in (b"BG-4711", b"anna", b"unit-7", b"agree", b"deviate"):
            assert word not in record.leaf
    assert {len(record.leaf) for record in log.records} == {len(log.records[0].leaf)}


def test_entries_of_one_case_share_a_key_and_other_cases_have_others() -> None:
    log, keys = MemoryLog(), MemoryKeys()
    for ref in ("BG-1", "BG-1", "BG-2", None):
        write(log, Entry(EntryKind.POLICY, {}, case_ref=ref), keys=keys)
    ids = [record.envelope.key_id for record in log.records if record.envelope]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_the_access_log_has_a_key_for_each_month() -> None:
    log, keys = MemoryLog(LogName.ACCESS), MemoryKeys()
    for day in (0, 1, 20):
        entry = Entry(EntryKind.ACCESS, {}, case_ref="BG-1")
        write(log, entry, NOON + timedelta(days=day), keys)
    assert list(keys.by_ref) == ["access:2026-11", "access:2026-12"]


@pytest.mark.parametrize(
    ("step", "recorded"),
    [
        (timedelta(0), False),
        (timedelta(seconds=5), False),
        (timedelta(seconds=-2), False),
        (timedelta(seconds=-3), True),
        (timedelta(days=-400), True),
        (timedelta(days=9000), False),
    ],
)
def test_a_clock_that_steps_back_is_recorded_and_blocks_nothing(
    step: timedelta, recorded: bool
) -> None:
    log, keys = MemoryLog(), MemoryKeys()
    write(log, Entry(EntryKind.POLICY, {}), NOON, keys)
    receipt = write(log, Entry(EntryKind.POLICY, {}), NOON + step, keys)
    kinds = [Leaf.from_bytes(record.leaf).type for record in log.records]
    assert kinds == (["policy", "clock", "policy"] if recorded else ["policy", "policy"])
    assert receipt.seq == len(log.records) - 1
    if recorded:
        assert set(payload_of(log, 1, keys)) == {"from", "to"}
    assert log.head().last_clock == NOON + step


def test_the_clock_is_compared_with_the_last_entry_only() -> None:
    log = MemoryLog()
    for seconds in (0, -10, -9, -8):
        write(log, Entry(EntryKind.POLICY, {}), NOON + timedelta(seconds=seconds))
    kinds = [Leaf.from_bytes(record.leaf).type for record in log.records]
    assert kinds == ["policy", "clock", "policy", "policy", "policy"]


def test_every_kind_has_a_log() -> None:
    assert KINDS[LogName.LEDGER] | KINDS[LogName.ACCESS] == frozenset(EntryKind)


@pytest.mark.parametrize("log", LogName)
@pytest.mark.parametrize("kind", EntryKind)
def test_a_kind_is_written_only_to_its_log(log: LogName, kind: EntryKind) -> None:
    store, entry = MemoryLog(log), Entry(kind, {"seqs": [0]})
    if kind in KINDS[log]:
        write(store, entry)
    else:
        with pytest.raises(EntryMalformed):
            write(store, entry)
        assert not store.records


@pytest.mark.parametrize("seqs", [None, [], [-1], ["1"], [True], 3])
def test_an_erasure_has_to_say_what_it_covers(seqs: Json) -> None:
    with pytest.raises(EntryMalformed):
        write(MemoryLog(), Entry(EntryKind.ERASURE, {"seqs": seqs}))


def test_only_an_erasure_lies_open_and_under_a_key_that_it_does_not_destroy() -> None:
    log, keys = MemoryLog(), MemoryKeys()
    write(log, Entry(EntryKind.DECISION, {}, case_ref="BG-1"), keys=keys)
    write(log, Entry(EntryKind.ERASURE, {"seqs": [0]}, case_ref="BG-1"), keys=keys)
    decided, erased = log.records
    assert decided.opening is None
    assert erased.opening is not None
    assert json.loads(erased.opening.payload) == {"seqs": [0]}
    assert decided.envelope is not None
    assert erased.envelope is not None
    assert erased.envelope.key_id != decided.envelope.key_id


def test_nothing_follows_the_last_entry_of_a_closed_log() -> None:
    log = MemoryLog()
    write(log, Entry(EntryKind.CLOSED, {}))
    with pytest.raises(EntryMalformed, match="closed"):
        write(log, Entry(EntryKind.POLICY, {}))
    assert len(log.records) == 1


def test_a_time_without_zone_is_refused_before_anything_is_written() -> None:
    log = MemoryLog()
    write(log, Entry(EntryKind.POLICY, {}))
    with pytest.raises(EntryMalformed):
        write(log, Entry(EntryKind.POLICY, {}), datetime(2026, 1, 1))  # noqa: DTZ001
    assert len(log.records) == 1


def test_same_input_and_entropy_give_the_same_bytes() -> None:
    logs = [MemoryLog(), MemoryLog()]
    for log in logs:
        append(
            log,
            Entry(EntryKind.POLICY, {"rule": "x"}),
            keys=MemoryKeys(),
            now=NOON.astimezone(UTC),
            tenant="jc",
            entropy=lambda count: b"\x07" * count,
        )
    assert logs[0].records == logs[1].records
