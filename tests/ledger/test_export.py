"""The exported log: the layout others can read, whole or not at all, and no change unnoticed."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledgers import NOON, Installation, build, case, shown

from explainer.errors import ExportFailed
from explainer.ledger import verify
from explainer.ledger.durable import whole_folder
from explainer.ledger.entries import Entry, EntryKind
from explainer.ledger.export import Exported, export_log, file_name, tile_name
from explainer.ledger.log import LogName, Record
from explainer.ledger.tree import leaf_hash
from service.store import records

MASKS = (0x01, 0x20, 0x80)


def export(made: Installation, folder: Path, name: LogName = LogName.LEDGER, **options: object):
    store = made.open()
    try:
        with store.reading() as tx:
            log = tx.log(name)
            key = made.sealer(name).key
            return export_log(log.records(), log.notes(), key, folder / name, **options)
    finally:
        store.close()


def checked(made: Installation, folder: Path, *, outside: bool = True) -> verify.Result:
    known = made.outside() if outside else ()
    (result,) = verify.verify_export(folder, made.keys, known)
    return result


@pytest.fixture
def exported(installation: Installation, tmp_path: Path) -> Path:
    export(installation, tmp_path / "export")
    return tmp_path / "export"


# -- the layout ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "000"), (67, "067"), (1000, "x001/000"), (1234067, "x001/x234/067")],
)
def test_numbers_of_tiles_are_written_in_groups_of_three(index: int, name: str) -> None:
    assert tile_name(index) == name
    assert file_name(index, 256) == name
    assert file_name(index, 17) == f"{name}.p/17"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Some 600 entries: two full tiles and a part of one."""
    made = build(tmp_path_factory.mktemp("long") / "data", cases=2)
    store = made.open()
    try:
        many = case(store, "BG-many")
        for at in range(600):
            with store.transaction(NOON) as tx:
                records.record_shown(tx, many, shown("BG-many", number=str(at)))
        made.seal(store)
    finally:
        store.close()
    return made


def test_a_log_of_several_tiles_has_exactly_the_files_of_the_layout(
    long: Installation, tmp_path: Path
) -> None:
    done = export(long, tmp_path)
    assert done == Exported(606, 604)
    ledger = tmp_path / "ledger"
    files = {p.relative_to(ledger).as_posix() for p in ledger.rglob("*") if p.is_file()}
    tiles = {name for name in files if name.startswith("tile")}
    assert tiles == {
        *(f"tile/{at}/{name}" for at in ("0", "entries") for name in ("000", "001", "002.p/94")),
        "tile/1/000.p/2",
    }
    assert {name for name in files if name.startswith("payload")} == {
        "payload/000",
        "payload/001",
        "payload/002.p/94",
    }
    result = checked(long, tmp_path)
    assert result.clean
    assert result.counts == {"OK": 604, "ERASED": 2, "MISSING": 0, "ALTERED": 0}
    assert result.covered == 606


def test_the_export_says_of_every_entry_what_the_database_says(
    installation: Installation, exported: Path
) -> None:
    of_database = installation.verify()["ledger"]
    of_export = checked(installation, exported)
    assert of_export.counts == of_database.counts
    assert of_export.erased_by == of_database.erased_by
    assert of_export.clean
    assert not checked(installation, exported, outside=False).covered


# -- who gets what ------------------------------------------------------------------------------


def test_recipients_differ_in_payloads_and_never_in_leaves(
    installation: Installation, tmp_path: Path
) -> None:
    keys = installation.case_keys()
    export(installation, tmp_path / "court", keys=keys)
    done = export(installation, tmp_path / "applicant", keys=keys, gives=lambda r: r.seq in (2, 3))
    assert done.given == 2
    court, applicant = (tmp_path / name / "ledger" for name in ("court", "applicant"))
    for path in court.rglob("*"):
        if path.is_file() and "payload" not in path.parts:
            assert path.read_bytes() == (applicant / path.relative_to(court)).read_bytes()
    whole, part = checked(installation, court.parent), checked(installation, applicant.parent)
    assert whole.clean
    assert part.clean
    assert (whole.opened, whole.not_given) == (5, 0)
    assert (part.opened, part.not_given) == (2, 3)
    assert "were not given to you" in verify.report(part)


def test_without_keys_payloads_stay_sealed(installation: Installation, exported: Path) -> None:
    assert checked(installation, exported).opened == 0
    texts = b"".join(path.read_bytes() for path in exported.rglob("*") if path.is_file())
    assert b'"key"' not in texts
    assert "Yılmaz".encode() not in texts


# -- whole or not at all ------------------------------------------------------------------------


def test_what_cannot_be_exported_leaves_nothing_behind(
    installation: Installation, tmp_path: Path
) -> None:
    key = installation.sealer(LogName.LEDGER).key
    with pytest.raises(ExportFailed, match="no signed head"):
        export_log((), (), key, tmp_path / "none")
    store = installation.open()
    try:
        with store.reading() as tx:
            log = tx.log(LogName.LEDGER)
            fewer = list(log.records())[:-1]
            with pytest.raises(ExportFailed, match="not those under"):
                export_log(fewer, log.notes(), key, tmp_path / "fewer")

            def breaking() -> Iterator[Record]:
                yield fewer[0]
                raise OSError(28, "No space left on device")

            with pytest.raises(ExportFailed, match="No space left"):
                export_log(breaking(), log.notes(), key, tmp_path / "full")
    finally:
        store.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
    (tmp_path / "there" / "ledger").mkdir(parents=True)
    with pytest.raises(ExportFailed, match="there already"):
        export(installation, tmp_path / "there")


def test_entries_after_the_newest_seal_are_left_for_the_next_export(
    installation: Installation, tmp_path: Path
) -> None:
    store = installation.open()
    try:
        with store.transaction(NOON) as tx:
            records.record_access(tx, Entry(EntryKind.ACCESS, {"purpose": "audit"}))
    finally:
        store.close()
    done = export(installation, tmp_path / "export", LogName.ACCESS)
    assert done.size == 3


# -- no change unnoticed ------------------------------------------------------------------------


def noticed(made: Installation, folder: Path) -> bool:
    try:
        return not checked(made, folder).clean
    except verify.Unusable:
        return True


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
def test_every_byte_of_every_file_counts(
    installation: Installation, tmp_path: Path, step: int
) -> None:
    """Usually the first and every seventh after it, file by file."""
    export(installation, tmp_path / "export", keys=installation.case_keys())
    assert not noticed(installation, tmp_path / "export")
    tried = 0
    for path in sorted((tmp_path / "export").rglob("*")):
        if not path.is_file():
            continue
        whole = path.read_bytes()
        for at in range(0, len(whole), step):
            mask = MASKS[at % len(MASKS)]
            path.write_bytes(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :])
            tried += 1
            assert noticed(installation, tmp_path / "export"), (path.name, at)
        path.write_bytes(whole)
    assert tried * step > 6_000
    assert not noticed(installation, tmp_path / "export")


def test_a_file_that_is_gone_cut_doubled_or_added_is_noticed(
    long: Installation, tmp_path: Path
) -> None:
    export(long, tmp_path / "export")
    files = [p for p in sorted((tmp_path / "export").rglob("*")) if p.is_file()]
    for path in files:
        whole = path.read_bytes()
        history = path.parent.name == "checkpoints"
        path.unlink()
        # the history may be handed over in part; all else must be there
        assert noticed(long, tmp_path / "export") is not history, path
        for changed in (b"", whole[:-1], whole + b"\n", whole + whole):
            path.write_bytes(changed)
            assert noticed(long, tmp_path / "export"), path
        path.write_bytes(whole)
        beside = path.with_name(f"{path.name}x")
        beside.write_bytes(whole)
        assert noticed(long, tmp_path / "export"), path
        beside.unlink()
    assert not noticed(long, tmp_path / "export")


def test_bundles_that_changed_places_are_noticed(long: Installation, tmp_path: Path) -> None:
    export(long, tmp_path / "export")
    ledger = tmp_path / "export" / "ledger"
    for part in ("tile/0", "tile/entries", "payload"):
        one, other = (ledger / part / name for name in ("000", "001"))
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        assert noticed(long, tmp_path / "export"), part
        one.write_bytes(first)
        other.write_bytes(second)


def renumbered(whole: dict[int, int]) -> Iterator[tuple[str, dict[int, int]]]:
    """Other numbers for the entries: any two exchanged, or all from one on moved up or down."""
    for one in whole:
        for other in range(one + 1, len(whole)):
            yield f"{one} and {other} exchanged", {**whole, one: other, other: one}
        for step in (-1, 1, 2**32):
            if one + step >= 0:
                moved = {at: number + step * (at >= one) for at, number in whole.items()}
                yield f"from {one} on moved by {step}", moved


def number_anew(data: bytes, numbers: dict[int, int]) -> bytes:
    return re.sub(rb'"seq":(\d+)', lambda found: b'"seq":%d' % numbers[int(found[1])], data)


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize(
    ("parts", "recomputed"),
    [("leaves", False), ("leaves", True), ("payloads", False), ("both", False), ("both", True)],
)
def test_every_renumbering_is_noticed(
    parts: str, in_order: bool, recomputed: bool, installation: Installation, exported: Path
) -> None:
    """With the records left in their places or put where their new numbers are, and with the hashes
    left or made to fit; only the signed head cannot be."""
    ledger = exported / "ledger"
    leaves_file, hashes_file, lines_file = (
        ledger / part / "000.p" / "7" for part in ("tile/entries", "tile/0", "payload")
    )
    kept = {path: path.read_bytes() for path in (leaves_file, hashes_file, lines_file)}
    leaves = [record.leaf for record in records_of(installation)]
    lines = kept[lines_file].splitlines(keepends=True)
    tried = 0
    for what, numbers in renumbered({at: at for at in range(7)}):
        tried += 1
        order = sorted(numbers, key=numbers.__getitem__) if in_order else list(numbers)
        if parts != "payloads":
            new = [number_anew(leaves[at], numbers) for at in order]
            leaves_file.write_bytes(b"".join(len(one).to_bytes(2, "big") + one for one in new))
            if recomputed:
                hashes_file.write_bytes(b"".join(map(leaf_hash, new)))
        if parts != "leaves":
            lines_file.write_bytes(b"".join(number_anew(lines[at], numbers) for at in order))
        # of two entries that were erased nothing is left to be exchanged but these very numbers
        same = parts == "payloads" and what == "0 and 1 exchanged"
        assert noticed(installation, exported) is not same, what
        for path, data in kept.items():
            path.write_bytes(data)
    assert tried == 21 + 20
    assert not noticed(installation, exported)


def records_of(made: Installation) -> list[Record]:
    with closing(made.open()) as store, store.reading() as tx:
        return list(tx.log(LogName.LEDGER).records())


@given(seed=st.integers(0, 2**32))
def test_whatever_stands_in_an_export_the_verifier_answers_in_words(
    seed: int, pristine: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = random.Random(seed)
    folder = tmp_path_factory.mktemp("hostile") / "export"
    export(pristine, folder, keys=pristine.case_keys())
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in source.sample(files, 3):
        whole = bytearray(path.read_bytes())
        for _ in range(source.randrange(1, 20)):
            at = source.randrange(len(whole) + 1)
            whole[at : at + source.randrange(4)] = source.randbytes(source.randrange(4))
        path.write_bytes(whole)
    said = answer(folder, pristine.keys)
    assert said
    assert said.isprintable() or "\n" in said
    shutil.rmtree(folder)


def answer(folder: Path, keys: list[verify.Key]) -> str:
    try:
        return "\n".join(map(verify.report, verify.verify_export(folder, keys)))
    except verify.Unusable as refused:
        return str(refused)


def test_the_one_file_checks_an_export_alone(
    installation: Installation, exported: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "elsewhere" / "verify.py"
    alone.parent.mkdir()
    shutil.copy(verify.__file__, alone)
    asked = [sys.executable, "-I", str(alone), str(exported)]
    asked += ["--key", str(installation.sealer(LogName.LEDGER).key)]
    asked += ["--checkpoint", str(installation.witness / "ledger")]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=alone.parent)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "clean"), done.stderr
    leaves = exported / "ledger" / "tile" / "entries" / "000.p" / "7"
    leaves.write_bytes(leaves.read_bytes().replace(b"decision", b"decisiom", 1))
    done = subprocess.run(asked, capture_output=True, text=True, cwd=alone.parent)
    assert done.returncode == 1
    assert "Entry 1 was altered." in done.stdout


def test_of_two_who_write_one_folder_one_is_whole_and_the_other_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with whole_folder(out, ExportFailed) as first:
        (first / "one").write_text("first")
        with (
            pytest.raises(ExportFailed, match="being written"),
            whole_folder(out, ExportFailed) as second,
        ):
            (second / "one").write_text("second")
        (first / "two").write_text("first")
    assert {one.name: one.read_text() for one in out.iterdir()} == {"one": "first", "two": "first"}
    assert list(tmp_path.iterdir()) == [out]


def test_what_a_killed_attempt_left_behind_is_in_no_folder(tmp_path: Path) -> None:
    left = tmp_path / ".out.draft" / "deep"
    left.mkdir(parents=True)
    (left.parent / "half").write_text("half")
    with whole_folder(tmp_path / "out", ExportFailed) as draft:
        (draft / "one").write_text("whole")
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["one"]
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
