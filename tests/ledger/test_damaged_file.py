"""A database file with a wrong byte in it: found, or everything vouched for is as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledgers import NOON, Attacker, Installation, case, shown
from test_export import export
from test_verify import run_alone

from explainer.cli import REFUSED
from explainer.errors import LedgerError, StorageFailed
from explainer.ledger import verify
from explainer.ledger.log import LogName
from service.cli import main
from service.store import records
from service.store.cases import part_of_cases
from service.store.database import Store

MASKS = (0x01, 0x20, 0x80, 0xFF)
PAGE = 4096
HEAD = 256
"""Bytes at the beginning of a page that say where on it its rows are."""
VOUCHED = ("entry", "head", "payload", "opening", "checkpoint")


# -- every byte ---------------------------------------------------------------------------------


def contents(path: Path) -> list[object] | None:
    """Everything the ledger vouches for; None where it cannot be read."""
    try:
        with closing(sqlite3.connect(path)) as database:
            logs = [verify._stored_log(database, name) for name in verify.LOGS]
            return [
                (list(log.entries), log.size, log.edge, log.checkpoints, log.strays) for log in logs
            ]
    except (sqlite3.Error, UnicodeDecodeError, MemoryError):
        return None


def exported(made: Installation, folder: Path) -> dict[str, bytes] | None:
    """Every file of an export; None where it was refused in words."""
    try:
        for name in LogName:
            export(made, folder, name)
    except LedgerError:
        return None
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def tried(
    pristine: Installation, scratch: Path, places: Iterable[tuple[int, int]]
) -> tuple[int, int, int]:
    """Flip each (byte, mask) of the file; return how many times, how many changed what is vouched
    for, and how many files the verifier was shown.

    All of those that change something have to be found. Where everything is as it was, whatever
    the verifier says is right, if it says it in words: it is asked every tenth time, and every
    hundredth the program's own export has to be the same.
    """
    good, keys = pristine.database.read_bytes(), pristine.keys
    outside, case_keys = pristine.outside(), pristine.case_keys()
    whole, made = contents(pristine.database), pristine.copy(scratch / "flipped")
    as_it_was = exported(made, scratch / "before")
    assert whole is not None
    assert as_it_was is not None
    flips = changed = asked = 0
    for at, mask in places:
        flips += 1
        made.database.write_bytes(good[:at] + bytes([good[at] ^ mask]) + good[at + 1 :])
        same = contents(made.database) == whole
        changed += not same
        if same and flips % 10:
            continue
        asked += 1
        try:
            results = verify.verify_database(made.database, keys, outside, case_keys)
            found = not all(result.clean for result in results)
        except verify.Unusable:
            found = True
        assert found or same, f"byte {at} with {mask:#x} was missed"
        if not found and flips % 100 == 0:
            said = exported(made, scratch / f"{at}-{mask}")
            assert said in (None, as_it_was), f"byte {at} with {mask:#x} changes the export"
    return flips, changed, asked


def pages_of_schema_and_checkpoints(made: Installation) -> list[int]:
    """The pages whose damage hides rows or tables rather than changing them."""
    good = made.database.read_bytes()
    roots = [
        number - 1
        for (number,) in made.attacker.find(
            "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'checkpoint' AND rootpage > 0"
        )
    ]
    schema = [
        page
        for page in range(len(good) // PAGE)
        if b"CREATE T" in good[page * PAGE : (page + 1) * PAGE]
    ]
    assert 0 not in schema  # that is inner
    assert len(roots) == 2
    return sorted({0, *schema, *roots})


def test_a_changed_byte_of_the_file_is_detected_or_changes_nothing_that_counts(
    pristine: Installation, tmp_path: Path
) -> None:
    """In the pages of schema and checkpoints every byte that is something where a page says what is
    on it, and every third of the rest; and some of all."""
    good = pristine.database.read_bytes()
    pages = pages_of_schema_and_checkpoints(pristine)
    places = [
        (at, MASKS[at % 4])
        for page in pages
        for at in range(page * PAGE, (page + 1) * PAGE)
        if good[at] and (at % PAGE < HEAD or at % 3 == 0)
    ]
    places += [(at, MASKS[at % 4]) for at in range(0, len(good), 97)]
    flips, changed, asked = tried(pristine, tmp_path, places)
    assert flips == len(places) > 2_500
    assert 500 < changed < asked < flips


@pytest.mark.long
@pytest.mark.parametrize("mask", MASKS)
def test_every_changed_byte_of_the_file_is_detected_or_changes_nothing_that_counts(
    mask: int, pristine: Installation, tmp_path: Path
) -> None:
    good = pristine.database.read_bytes()
    places = sorted(((at, mask) for at in range(len(good))), key=lambda one: not good[one[0]])
    flips, changed, asked = tried(pristine, tmp_path, places)
    print(f"mask {mask:#x}: {flips} bytes; {changed} changed something, {changed} found; {asked}")
    assert flips == len(good) > 100_000
    assert 5_000 < changed < asked < flips


# -- rows that are hidden -----------------------------------------------------------------------


def hide_the_last_row(made: Installation, index: str) -> None:
    """Have the page of an index say that it has one row less, as one flipped bit could."""
    ((root,),) = made.attacker.find(f"SELECT rootpage FROM sqlite_master WHERE name = '{index}'")
    good = bytearray(made.database.read_bytes())
    at = (root - 1) * PAGE + 3
    rows = int.from_bytes(good[at : at + 2], "big")
    good[at : at + 2] = (rows - 1).to_bytes(2, "big")
    made.database.write_bytes(good)


@pytest.mark.parametrize("table", VOUCHED)
def test_a_table_in_which_damage_hides_a_row_is_named(
    table: str, installation: Installation
) -> None:
    hide_the_last_row(installation, f"sqlite_autoindex_{table}_1")
    for result in installation.verify(outside=False).values():
        said = [fault.what for fault in result.faults]
        assert any(f"The table {table} of the file is damaged" in what for what in said)


def test_damage_in_a_table_that_is_not_vouched_for_is_no_fault_of_a_log(
    installation: Installation,
) -> None:
    hide_the_last_row(installation, "sqlite_autoindex_case_entry_1")
    assert all(result.clean for result in installation.verify().values())


# -- what is told -------------------------------------------------------------------------------


def unreadable(made: Installation) -> None:
    """Make a name in the schema no UTF-8: SQLite's own words of what is wrong then hold it."""
    good = made.database.read_bytes()
    at = good.index(b"sqlite_autoindex_checkpoint_1")
    made.database.write_bytes(good[:at] + b"\xb2" + good[at + 1 :])


def test_a_schema_that_is_no_text_is_told_as_damage_by_the_file_alone(
    installation: Installation, tmp_path: Path
) -> None:
    unreadable(installation)
    with pytest.raises(verify.Unusable, match="damaged"):
        installation.verify()
    key = installation.sealer(LogName.LEDGER).key
    done = run_alone(tmp_path / "alone", installation.database, "--key", key)
    assert done.returncode == 2
    assert done.stderr.startswith("Cannot verify: ")
    assert "Restore a backup and verify that" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_schema_that_is_no_text_is_told_as_damage_by_the_service_and_its_commands(
    installation: Installation,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    unreadable(installation)
    with pytest.raises(StorageFailed, match="damaged") as told:
        installation.open()
    assert "restore a backup and verify it" in str(told.value)
    data = str(installation.folder)
    for command in (
        ["export", str(tmp_path / "out"), "--data", data],
        ["retain", "--dry-run", "--data", data],
    ):
        assert main(["ledger", *command]) == REFUSED, command
        assert "restore a backup and verify it" in capsys.readouterr().err


def changed_rows() -> Iterator[tuple[str, str, Any]]:
    """Table, column and a value no writer could have stored there."""
    for value in (-1, 2**62, 1.5, "text", b"\xff" * 40):
        yield "head", "size", value
    for value in (7, "text", b"", b"\xff" * 40):
        yield "head", "range", value
    for value in (2**62, -(2**62), 253_402_300_800, 1.5, "text", b"\xff"):
        yield "head", "last_clock", value
    for column in ("range", "note"):
        for value in (7, "text", b"", b"\xff" * 40):
            yield "checkpoint", column, value
    for column in ("leaf", "leaf_hash"):
        for value in (7, "text", b"", b"\xff" * 40):
            yield "entry", column, value
    for column in ("key_id", "nonce", "ciphertext"):
        for value in (7, "text", b"", b"\xff" * 40):
            yield "payload", column, value
    for column in ("key_id", "sealed", "submitted_at", "state", "arrival", "package_id"):
        for value in (7, "text", b"", b"\xff" * 40):
            yield "case_file", column, value
    for value in ("9999", "", "00\x105", b"\xff"):
        yield "alembic_version", "version_num", value


@pytest.mark.parametrize(("table", "column", "value"), list(changed_rows()))
def test_whatever_stands_in_a_row_the_store_answers_in_words(
    table: str, column: str, value: Any, installation: Installation
) -> None:
    """A value of another kind, or one that is no text where there should be one."""
    no_text = f"CAST(x'{value.hex()}' AS TEXT)" if isinstance(value, bytes) else "?"
    for number, change in enumerate({no_text, "?"}):
        made = installation.copy(installation.folder.with_name(f"copy-{number}"))
        last = f"rowid = (SELECT max(rowid) FROM {table})"
        given = (value,) if change == "?" else ()
        Attacker(made.database).run(
            "PRAGMA foreign_keys = OFF",
            (f"UPDATE {table} SET {column} = {change} WHERE {last}", given),
        )
        told = [answer(made, act) for act in (read_all, write_one)]
        assert all(told), told


def answer(made: Installation, act: Callable[[Store], None]) -> str:
    """What somebody is told who does this: that it is done, or what is wrong and the way out."""
    try:
        with closing(made.open()) as store:
            act(store)
    except LedgerError as refused:
        return refused.mend
    return "done"


def read_all(store: Store) -> None:
    with store.reading() as tx:
        for name in LogName:
            log = tx.log(name)
            log.head()
            log.last_checkpoint()
            list(log.records())
            log.notes()
        part_of_cases(tx, None, 100)


def write_one(store: Store) -> None:
    case_id = case(store, "BG-new")
    with store.transaction(NOON) as tx:
        records.record_shown(tx, case_id, shown("BG-new"))
