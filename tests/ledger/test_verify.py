"""The offline verifier: what it finds, what it cannot find and says so, and hostile files."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import NOON, Attacker, Installation, MemoryKeys, MemoryLog, case, shown

from explainer.ledger import verify
from explainer.ledger.checkpoint import Checkpoint, Signer
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.log import LogName, append
from explainer.ledger.tree import root
from service.store import records

MASKS = (0x01, 0x80)


# -- a clean ledger -----------------------------------------------------------------------------


def test_a_clean_ledger_is_clean_and_ok_erased_and_missing_are_told_apart(
    installation: Installation,
) -> None:
    result = installation.verify(opened=True)["ledger"]
    assert result.clean
    assert result.counts == {"OK": 5, "ERASED": 2, "MISSING": 0, "ALTERED": 0}
    assert result.erased_by == {0: 6, 1: 6}
    assert (result.size, result.covered, result.opened) == (7, 7, 5)
    assert result.last_good is not None
    assert result.last_good.size == 7

    Attacker(installation.database).run("DELETE FROM payload WHERE log='ledger' AND seq=3")
    result = installation.verify()["ledger"]
    assert result.counts == {"OK": 4, "ERASED": 2, "MISSING": 1, "ALTERED": 0}
    assert result.first_bad is not None
    assert (result.first_bad.log, result.first_bad.seq) == ("ledger", 3)
    assert result.last_good is not None  # the leaves are whole, the payload is not


def test_both_logs_are_checked_by_the_same_code(installation: Installation) -> None:
    results = installation.verify(opened=True)
    assert results["access"].counts["OK"] == results["access"].size == 3
    assert results["access"].clean


def test_a_log_without_a_key_given_is_not_spoken_of(installation: Installation) -> None:
    ledger = installation.keys[:1]
    results = verify.verify_database(installation.database, ledger)
    assert [result.log for result in results] == ["ledger"]


def test_erasure_leaves_the_tree_and_older_checkpoints_whole(installation: Installation) -> None:
    sizes = [one.size for one in installation.outside() if one.origin.endswith("/ledger")]
    assert sorted(sizes) == [2, 4, 6, 7]  # three of them signed before the erasure
    assert installation.verify()["ledger"].clean


def test_an_erasure_cannot_be_claimed_without_its_entry(installation: Installation) -> None:
    """Deleting what lies open of the erasure turns ERASED into MISSING; forging it shows."""
    attacker = Attacker(installation.database)
    attacker.run("DELETE FROM opening")
    result = installation.verify()["ledger"]
    assert result.counts["MISSING"] == 2
    attacker.run(
        "DELETE FROM payload WHERE log = 'ledger' AND seq = 4",
        ("INSERT INTO opening VALUES ('ledger', 6, ?, ?)", (bytes(32), b'{"seqs":[0,1,4]}')),
    )
    result = installation.verify()["ledger"]
    assert result.counts["ALTERED"] == 1
    assert result.counts["MISSING"] == 3


def test_an_erasure_covers_only_what_came_before_it(pristine: Installation) -> None:
    log, keys = MemoryLog(), MemoryKeys()
    for entry in (
        Entry(EntryKind.DECISION, {}, case_ref="BG-1"),
        Entry(EntryKind.ERASURE, {"seqs": [0, 1, 2]}),
        Entry(EntryKind.DECISION, {}, case_ref="BG-1"),
    ):
        append(log, entry, keys=keys, now=NOON, tenant="jc")
    entries = [
        verify.StoredEntry(
            record.seq,
            record.leaf,
            record.leaf_hash,
            opening=record.opening and (record.opening.salt, record.opening.payload),
        )
        for record in log.records
    ]
    edge = log.head().edge
    stored = verify.StoredLog("ledger", entries, edge.size, edge.to_bytes())
    result = verify.verify_log(stored, pristine.keys[0])
    assert result.counts == {"OK": 0, "ERASED": 1, "MISSING": 2, "ALTERED": 0}


def test_a_true_opening_of_another_kind_of_entry_erases_nothing(pristine: Installation) -> None:
    """A decision could list `seqs` too; only an erasure may lie open and cover others."""
    log, keys = MemoryLog(), MemoryKeys()
    for payload in ({}, {"seqs": [0]}):
        entry = Entry(EntryKind.POLICY, payload)
        append(log, entry, keys=keys, now=NOON, tenant="jc", entropy=lambda count: bytes(count))
    entries = [
        verify.StoredEntry(record.seq, record.leaf, record.leaf_hash) for record in log.records
    ]
    entries[1] = replace(entries[1], opening=(bytes(32), b'{"seqs":[0]}'))
    edge = log.head().edge
    stored = verify.StoredLog("ledger", entries, edge.size, edge.to_bytes())
    result = verify.verify_log(stored, pristine.keys[0])
    assert result.counts == {"OK": 0, "ERASED": 0, "MISSING": 1, "ALTERED": 1}


# -- alone, as a program ------------------------------------------------------------------------


def run_alone(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a copy of verify.py in an empty folder, without our packages in reach."""
    folder.mkdir(exist_ok=True)
    alone = folder / "verify.py"
    shutil.copy(Path(verify.__file__), alone)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", str(alone), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_file_alone_verifies_a_database(installation: Installation, tmp_path: Path) -> None:
    source = Path(verify.__file__).read_text()
    assert "from explainer" not in source
    assert "import explainer" not in source
    ledger, access = (str(installation.sealer(log).key) for log in LogName)
    keys = tmp_path / "keys.json"
    handed_out = {name: key and key.hex() for name, key in installation.case_keys().items()}
    keys.write_text(json.dumps(handed_out))
    given = [
        installation.database,
        "--key",
        ledger,
        "--key",
        access,
        "--checkpoint",
        installation.witness,
        "--keys",
        keys,
    ]
    done = run_alone(tmp_path / "alone", *given)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ledger: 7 entries: 5 OK, 2 ERASED, 0 MISSING, 0 ALTERED" in done.stdout
    assert "entries 0 to 6 are under a checkpoint from outside" in done.stdout
    assert "5 payloads were opened" in done.stdout

    without = run_alone(tmp_path / "alone", installation.database, "--key", ledger)
    assert without.returncode == 0
    assert "no checkpoint from outside covers any entry" in without.stdout

    Attacker(installation.database).run("DELETE FROM payload WHERE log='ledger' AND seq=3")
    bad = run_alone(tmp_path / "alone", *given)
    assert bad.returncode == 1
    assert "FAULT at entry 3" in bad.stdout
    assert "last good checkpoint: size 7" in bad.stdout


def test_unusable_arguments_and_files_end_with_a_sentence_and_exit_code_2(
    installation: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, database = str(installation.sealer(LogName.LEDGER).key), str(installation.database)
    empty, text, folder = tmp_path / "empty", tmp_path / "text", tmp_path / "folder"
    empty.write_bytes(b"")
    text.write_text("no database, no checkpoint, no keys")
    folder.mkdir()
    other = tmp_path / "other.note"
    signer = Signer("somebody/ledger", Signer.generate())
    other.write_bytes(signer.sign(Checkpoint("somebody/ledger", 0, root([]))))
    damaged = tmp_path / "damaged.note"
    note = next(installation.witness.rglob("*.note")).read_bytes()
    damaged.write_bytes(note.replace(b"\xe2\x80\x94 ", b"\xe2\x80\x94 x", 1))
    for arguments in (
        [str(tmp_path / "nowhere"), "--key", key],
        [str(tmp_path), "--key", key],
        [str(empty), "--key", key],
        [str(text), "--key", key],
        [database, "--key", "not a key"],
        [database, "--key", key, "--checkpoint", str(tmp_path / "nowhere")],
        [database, "--key", key, "--checkpoint", str(text)],
        [database, "--key", key, "--checkpoint", str(folder)],
        [database, "--key", key, "--checkpoint", str(other)],
        [database, "--key", key, "--checkpoint", str(damaged)],
        [database, "--key", key, "--keys", str(text)],
        [database, "--key", key, "--keys", str(folder)],
    ):
        assert verify.main(arguments) == 2, arguments
        assert capsys.readouterr().err.startswith("Cannot verify: ")
    for arguments in ([], [database], ["--key", key], [database, "--key", key, "--what"]):
        with pytest.raises(SystemExit) as ended:
            verify.main(arguments)
        assert ended.value.code == 2
        capsys.readouterr()


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"a":1}', '{"a":"zz"}', '{"a":"00"}', "[" * 100_000, "\x00"]
)
def test_a_damaged_key_file_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(verify.Unusable):
        verify.read_case_keys(path)


# -- one byte ------------------------------------------------------------------------------------


def rows(installation: Installation) -> verify.StoredLog:
    with closing(sqlite3.connect(installation.database)) as database:
        stored = verify._stored_log(database, "ledger")
        return replace(stored, entries=list(stored.entries))


def flips(data: object) -> Iterator[object]:
    """Yield `data` with one byte changed, for each byte and mask."""
    if isinstance(data, bytes):
        for at in range(len(data)):
            for mask in MASKS:
                yield data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]
    elif isinstance(data, str):
        for changed in flips(data.encode()):
            assert isinstance(changed, bytes)
            yield changed.decode(errors="replace")
    else:
        assert isinstance(data, int)
        for byte in range(8):
            for mask in MASKS:
                changed_number = data ^ (mask << (8 * byte))
                yield changed_number - 2**64 if changed_number >= 2**63 else changed_number


def test_every_changed_byte_of_every_vouched_column_is_detected(pristine: Installation) -> None:
    stored, key = rows(pristine), pristine.keys[0]
    case_keys = pristine.case_keys()
    assert verify.verify_log(stored, key).clean
    assert verify.verify_log(stored, key, keys=case_keys).clean
    entries, tried, missed = list(stored.entries), 0, []

    def check(changed: verify.StoredLog, what: str) -> None:
        nonlocal tried
        tried += 1
        # the name of a key is in no leaf: only whoever holds the keys can miss one
        result = verify.verify_log(changed, key, keys=case_keys if "key id" in what else None)
        if result.clean or result.first_bad is None:
            missed.append(what)

    for at, entry in enumerate(entries):
        variants: list[tuple[str, verify.StoredEntry]] = []
        for name in ("seq", "leaf", "leaf_hash"):
            variants += [
                (name, replace(entry, **{name: value})) for value in flips(getattr(entry, name))
            ]
        for name in ("payload", "opening"):
            whole = getattr(entry, name) or ()
            for part, data in enumerate(whole):
                what = "key id" if isinstance(data, str) else name
                variants += [
                    (what, replace(entry, **{name: (*whole[:part], value, *whole[part + 1 :])}))
                    for value in flips(data)
                ]
        for name, variant in variants:
            changed = [*entries[:at], variant, *entries[at + 1 :]]
            # without a checkpoint to help: the entry alone has to show it
            check(replace(stored, entries=changed, checkpoints=()), f"{name} of {at}")
    for name in ("size", "edge"):
        for value in flips(getattr(stored, name)):
            check(replace(stored, **{name: value}), name)
    for at, checkpoint in enumerate(stored.checkpoints):
        for part, data in enumerate(checkpoint):
            for value in flips(data):
                other = (*checkpoint[:part], value, *checkpoint[part + 1 :])
                notes = [*stored.checkpoints[:at], other, *stored.checkpoints[at + 1 :]]
                check(replace(stored, checkpoints=notes), f"checkpoint {at} part {part}")
    assert tried > 8000
    assert not missed


def test_every_changed_byte_of_a_log_name_is_detected(installation: Installation) -> None:
    tables = {"entry": "seq", "head": "size", "payload": "seq", "opening": "seq"}
    for table, column in tables.items():
        with closing(sqlite3.connect(installation.database)) as database:
            query = f"SELECT max({column}) FROM {table} WHERE log = 'ledger'"
            (last,) = database.execute(query).fetchone()
        for name in ("ledgez", "Ledger", "access"):
            copy = installation.copy(installation.folder.with_name(f"{table}-{name}"))
            if table == "head":
                change = f"UPDATE head SET log = '{name}' WHERE log = 'ledger'"
                before = "DELETE FROM head WHERE log = 'access'"
            else:
                change = f"UPDATE {table} SET log='{name}' WHERE log='ledger' AND seq={last}"
                before = f"DELETE FROM {table} WHERE log = '{name}'"
            Attacker(copy.database).run("PRAGMA foreign_keys = OFF", before, change)
            assert not all(result.clean for result in copy.verify().values()), (table, name)


# -- whoever may write the database --------------------------------------------------------------


def drop(leaves: list[bytes], order: list[int | None], at: int) -> None:
    del leaves[at], order[at]


def swap(leaves: list[bytes], order: list[int | None], at: int) -> None:
    leaves[at], leaves[at - 1] = leaves[at - 1], leaves[at]
    order[at], order[at - 1] = order[at - 1], order[at]


def insert(leaves: list[bytes], order: list[int | None], at: int) -> None:
    leaves.insert(at, leaves[2])
    order.insert(at, 2)


def edit(leaves: list[bytes], order: list[int | None], at: int) -> None:
    leaves[at] = leaves[at].replace(b"2026-11-21", b"2026-11-20")


def cut(leaves: list[bytes], order: list[int | None], at: int) -> None:
    del leaves[at:], order[at:]


@pytest.mark.parametrize("change", [drop, swap, insert, edit, cut], ids=lambda one: one.__name__)
@pytest.mark.parametrize("at", range(7))
def test_a_recomputed_ledger_is_caught_by_one_outside_checkpoint_and_by_nothing_else(
    change: Callable[[list[bytes], list[int | None], int], None],
    at: int,
    installation: Installation,
) -> None:
    if change is swap and at == 0:
        at = 6
    attacker = Attacker(installation.database)
    leaves = attacker.leaves()
    order: list[int | None] = list(range(len(leaves)))
    change(leaves, order, at)
    attacker.rewrite(leaves, order)

    newest = max(
        (one for one in installation.outside() if one.origin.endswith("/ledger")),
        key=lambda one: one.size,
    )
    ledger = installation.keys[:1]
    (with_one,) = verify.verify_database(installation.database, ledger, [newest])
    assert not with_one.clean
    assert with_one.covered == 0
    (with_all,) = verify.verify_database(installation.database, ledger, installation.outside())
    assert not with_all.clean
    assert with_all.last_good is None or with_all.last_good.size <= at
    assert with_all.first_bad is not None

    inside = installation.verify(outside=False)["ledger"]
    tree_faults = [fault for fault in inside.faults if "payload" not in fault.what]
    assert not tree_faults  # the honest limit of any check inside a database
    assert "would not notice" in verify.report(inside)


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("change", ["drop", "swap", "insert", "edit", "cut"])
def test_a_change_without_recomputing_is_placed(
    change: str, at: int, installation: Installation
) -> None:
    attacker = Attacker(installation.database)
    leaf = attacker.leaves()[at]
    here = f"log = 'ledger' AND seq = {at}"
    off = "PRAGMA foreign_keys = OFF"
    if change == "drop":
        attacker.run(off, f"DELETE FROM entry WHERE {here}", f"DELETE FROM payload WHERE {here}")
    elif change == "cut":
        rest = f"log = 'ledger' AND seq >= {at}"
        attacker.run(off, f"DELETE FROM entry WHERE {rest}", f"DELETE FROM payload WHERE {rest}")
    elif change == "swap":
        other = (at + 1) % 7
        attacker.run(
            off,
            f"UPDATE entry SET seq = 99 WHERE {here}",
            f"UPDATE entry SET seq = {at} WHERE log = 'ledger' AND seq = {other}",
            f"UPDATE entry SET seq = {other} WHERE log = 'ledger' AND seq = 99",
        )
    elif change == "insert":
        attacker.run(
            off,
            f"UPDATE entry SET seq = -seq - 1 WHERE log = 'ledger' AND seq >= {at}",
            "UPDATE entry SET seq = -seq WHERE log = 'ledger' AND seq < 0",
            ("INSERT INTO entry VALUES ('ledger', ?, ?, ?)", (at, leaf, bytes(32))),
        )
    else:
        edited = leaf.replace(b'"ts":"2026', b'"ts":"2025')
        attacker.run((f"UPDATE entry SET leaf = ? WHERE {here}", (edited,)))
    for outside in (False, True):
        result = installation.verify(outside=outside)["ledger"]
        assert not result.clean
        assert result.first_bad is not None
        assert result.first_bad.seq <= at
        if change != "swap":
            last_good = result.last_good.size if result.last_good else 0
            # an inserted copy stands where its original stood, so that one more head still fits
            assert last_good <= at + (change == "insert")


def test_a_cut_tail_is_noticed_though_the_head_was_adjusted(installation: Installation) -> None:
    attacker = Attacker(installation.database)
    leaves = attacker.leaves()[:4]
    attacker.rewrite(leaves, list(range(4)))
    result = installation.verify()["ledger"]
    said = [fault.what for fault in result.faults]
    assert "The tail was cut: 4 entries are there, 7 were sealed." in said
    assert result.last_good is not None
    assert result.last_good.size == 4


def test_an_older_copy_of_the_database_is_noticed(
    installation: Installation, tmp_path: Path
) -> None:
    older = installation.copy(tmp_path / "older")
    store = installation.open()
    try:
        case_id = case(store, "BG-9")
        with store.transaction(NOON) as tx:
            records.record_shown(tx, case_id, shown("BG-9"))
        installation.seal(store)
    finally:
        store.close()
    shutil.copy(older.database, installation.database)
    assert not installation.verify()["ledger"].clean
    assert installation.verify(outside=False)["ledger"].clean


def test_two_outside_checkpoints_of_one_size_that_differ_are_noticed(
    installation: Installation,
) -> None:
    outside = installation.outside()
    (ledger,) = [one for one in outside if one.origin.endswith("/ledger") and one.size == 7]
    forked = replace(ledger, root=bytes(32))
    results = verify.verify_database(installation.database, installation.keys, [*outside, forked])
    assert not results[0].clean


def test_payloads_that_open_to_something_else_are_found_with_the_keys(
    installation: Installation,
) -> None:
    stored, key = rows(installation), installation.keys[0]
    case_keys = installation.case_keys()
    wrong = dict.fromkeys(case_keys, bytes(32))
    assert verify.verify_log(stored, key, keys=wrong).counts["ALTERED"] == 5
    assert verify.verify_log(stored, key, keys={}).counts["ALTERED"] == 5
    withheld = verify.verify_log(stored, key, keys=dict.fromkeys(case_keys))
    assert withheld.clean
    assert withheld.opened == 0


# -- hostile files --------------------------------------------------------------------------------


HOSTILE = [None, 0, -1, 2**62, 1.5, "", "text", b"", b"\xff" * 40, b"[" * 50_000, b"x" * 70_000]


def test_no_value_in_any_column_ends_in_a_stray_exception(pristine: Installation) -> None:
    stored, key = rows(pristine), pristine.keys[0]
    entries, case_keys = list(stored.entries), pristine.case_keys()
    changed: list[verify.StoredLog] = []
    for value in HOSTILE:
        for name in ("seq", "leaf", "leaf_hash"):
            entry = replace(entries[3], **{name: value})
            changed.append(replace(stored, entries=[*entries[:3], entry, *entries[4:]]))
        for part in range(3):
            payload = entries[3].payload
            assert payload is not None
            sealed = (*payload[:part], value, *payload[part + 1 :])
            entry = replace(entries[3], payload=sealed)
            changed.append(replace(stored, entries=[*entries[:3], entry, *entries[4:]]))
        for part in range(2):
            opening = entries[6].opening
            assert opening is not None
            entry = replace(entries[6], opening=(*opening[:part], value, *opening[part + 1 :]))
            changed.append(replace(stored, entries=[*entries[:6], entry]))
        changed.append(replace(stored, size=value))
        changed.append(replace(stored, edge=value))
        for part in range(3):
            first = stored.checkpoints[0]
            note = (*first[:part], value, *first[part + 1 :])
            changed.append(replace(stored, checkpoints=[note, *stored.checkpoints[1:]]))
    for log in changed:
        result = verify.verify_log(log, key, keys=case_keys)
        assert not result.clean
        assert verify.report(result)


@pytest.mark.parametrize("table", ["entry", "head", "payload", "opening", "checkpoint"])
def test_a_database_without_one_of_the_tables_is_unusable(
    table: str, installation: Installation
) -> None:
    Attacker(installation.database).run("PRAGMA foreign_keys = OFF", f"DROP TABLE {table}")
    with pytest.raises(verify.Unusable):
        installation.verify()


def test_an_emptied_database_is_not_clean(installation: Installation) -> None:
    tables = ("opening", "payload", "entry", "checkpoint")
    Attacker(installation.database).run(
        "PRAGMA foreign_keys = OFF",
        *(f"DELETE FROM {table}" for table in tables),
        "UPDATE head SET size = 0, range = x''",
    )
    result = installation.verify()["ledger"]
    assert result.first_bad is not None
    assert "0 entries are there, 7 were sealed" in result.first_bad.what
    Attacker(installation.database).run("DELETE FROM head")
    assert not installation.verify(outside=False)["ledger"].clean


def test_many_faults_are_counted_but_not_all_listed(pristine: Installation) -> None:
    stored, key = rows(pristine), pristine.keys[0]
    entry = next(iter(stored.entries))
    many = [replace(entry, seq=seq, leaf=b"{}") for seq in range(3000)]
    result = verify.verify_log(replace(stored, entries=many), key)
    assert result.counts["ALTERED"] == 3000
    assert len(result.faults) == verify.MOST_FAULTS


# -- the fast way to read a leaf says what the slow one says -------------------------------------


@given(st.integers(0, 2**32))
def test_a_leaf_read_at_once_is_what_json_says_it_is(seed: int) -> None:
    source = random.Random(seed)
    log, keys = MemoryLog(), MemoryKeys()
    append(log, shown("BG-1"), keys=keys, now=NOON, tenant="jc-musterstadt")
    leaf = bytearray(log.records[0].leaf)
    for _ in range(source.randrange(3)):
        at = source.randrange(len(leaf))
        leaf[at : at + source.randrange(3)] = source.choice([b"0", b"a", b"null", b'"', b" ", b"v"])
    asked = bytes(leaf), source.choice([0, 0, 0, 1])
    assert outcome(verify.read_leaf, *asked) == outcome(verify._read_any_leaf, *asked)


def outcome(read: Callable[[bytes, int], dict[str, object]], leaf: bytes, seq: int) -> object:
    try:
        return read(leaf, seq)
    except verify.Wrong as wrong:
        return str(wrong)
