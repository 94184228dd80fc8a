"""What a hostile export could do to whoever checks it: hide the answer, or break the verifier."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ledgers import Installation
from test_export import export
from test_verify import run_alone

from explainer.ledger import verify
from explainer.ledger.log import LogName

NOBODY = 65534
HIDING = {
    # a terminal would wipe the line, go up, and show nothing more
    "\x1b[2K\x1b[1A\x1b[8m": r"\x1b[2K\x1b[1A\x1b[8m",
    "\x9b8m": r"\x9b8m",
    "clean\r": r"clean\r",
    "x\nclean": r"x\nclean",
    "\u202eNAELC TON": r"\u202eNAELC TON",
    "\u2028clean": r"\u2028clean",
}
"""Names, and how they are to be told."""


@pytest.fixture
def exported(installation: Installation, tmp_path: Path) -> Path:
    export(installation, tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def key(installation: Installation) -> str:
    return str(installation.sealer(LogName.LEDGER).key)


# -- the terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HIDING)
def test_a_file_name_cannot_hide_what_is_said(name: str, exported: Path, key: str) -> None:
    (exported / "ledger" / name).write_text("")
    done = run_alone(exported.parent / "alone", exported, "--key", key)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "NOT CLEAN"
    assert all(line.isprintable() for line in done.stdout.split("\n"))
    assert "clean" not in done.stdout.split("\n")
    assert f"The file {HIDING[name]} belongs to no entry" in done.stdout


@pytest.mark.parametrize("name", HIDING)
def test_no_refusal_hides_what_is_said(name: str, exported: Path, key: str) -> None:
    kept = exported.parent / name
    kept.write_text("no checkpoint")
    done = run_alone(exported.parent / "alone", exported, "--key", key, "--checkpoint", kept)
    assert done.returncode == 2
    assert done.stderr.startswith("Cannot verify: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.removesuffix("\n").isprintable()
    assert f"/{HIDING[name]} holds no checkpoint" in done.stderr


def test_a_name_that_is_no_text_is_spelled_out(exported: Path, key: str) -> None:
    (exported / "ledger" / os.fsdecode(b"\xff\xfe")).write_text("")
    done = run_alone(exported.parent / "alone", exported, "--key", key)
    assert (done.returncode, done.stderr) == (1, "")
    assert "The file \\udcff\\udcfe belongs to no entry" in done.stdout


def test_a_name_the_terminal_has_no_signs_for_is_spelled_out(
    exported: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (exported / "ledger" / "中文").write_text("")
    plain = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", plain)
    assert verify.main([str(exported), "--key", key]) == 1
    plain.flush()
    said = plain.buffer.getvalue().decode("cp1252")  # type: ignore[attr-defined]
    assert "The file \\u4e2d\\u6587 belongs to no entry" in said
    assert said.splitlines()[-1] == "NOT CLEAN"


def test_a_name_in_letters_stays_as_it_is() -> None:
    assert verify.printable("Prüfung 中文 (1).note") == "Prüfung 中文 (1).note"


# -- files that cannot be read ------------------------------------------------------------------


@contextmanager
def somebody() -> Iterator[None]:
    """As somebody whom the rights of files keep out; the administrator reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    "closed",
    [".", "ledger", "ledger/checkpoints", "ledger/checkpoint", "ledger/tile", "ledger/payload"],
)
def test_what_cannot_be_read_ends_in_words(
    closed: str,
    exported: Path,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in (exported.parent, exported, *exported.rglob("*")):
        path.chmod(0o755)
    monkeypatch.chdir(exported.parent)
    (exported / closed).chmod(0)
    try:
        with somebody():
            said = verify.main([exported.name, "--key", key])
    finally:
        (exported / closed).chmod(0o755)
    assert said == 2
    assert capsys.readouterr().err.startswith("Cannot verify: ")


def test_of_a_folder_of_kept_checkpoints_none_is_passed_over_because_it_cannot_be_read(
    installation: Installation, exported: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = exported.parent / "kept"
    (kept / "later").mkdir(parents=True)
    notes = sorted((installation.witness / "ledger").glob("*.note"))
    shutil.copy(notes[0], kept)
    shutil.copy(notes[-1], kept / "later")
    for path in (exported.parent, *kept.rglob("*")):
        path.chmod(0o755)
    monkeypatch.chdir(exported.parent)
    keys = [verify.read_key(key)]
    with somebody():
        assert len(verify.read_outside([Path("kept")], keys)) == 2
    (kept / "later").chmod(0)
    try:
        with somebody(), pytest.raises(verify.Unusable, match="later cannot be read"):
            verify.read_outside([Path("kept")], keys)
    finally:
        (kept / "later").chmod(0o755)


@pytest.mark.parametrize("place", ["checkpoint", "checkpoints/7", "tile/0/000.p/7"])
def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(
    place: str, installation: Installation, exported: Path, key: str
) -> None:
    path = exported / "ledger" / place
    path.unlink()
    os.mkfifo(path)
    assert verify.main([str(exported), "--key", key]) in (1, 2)
