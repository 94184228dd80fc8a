"""The commands that need the service: the demonstration, verification, help."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from service.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demonstration")


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, as a person runs it, in a folder of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("WARUM_")}
    return subprocess.run(
        [sys.executable, "-m", "service.start", *arguments],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def first(folder: Path) -> subprocess.CompletedProcess[str]:
    return run("demo", "--no-serve", folder=folder)


def test_the_demonstration_tells_one_case_in_three_languages(
    first: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert first.returncode == 0, first.stderr
    for autonym in ("Deutsch", "English", "العربية"):
        assert re.search(rf"^-- (MG|UB)-\d{{4}} · {autonym} -+$", first.stdout, re.MULTILINE)
    for words in (
        "Das Programm entscheidet nicht.",
        "The program does not decide.",
        "البرنامج لا يتخذ القرار",
    ):
        assert words in first.stdout
    assert "A person decides" in first.stdout
    assert re.search(r"Entry \d+ of the ledger, [0-9a-f]{64}$", first.stdout, re.MULTILINE)
    assert first.stdout.rstrip().endswith("clean")
    assert "60 cases loaded" in first.stderr
    with closing(sqlite3.connect(folder / "var/demo/warum.sqlite")) as database:
        rows = database.execute("SELECT package_id, count(*) FROM case_file GROUP BY 1").fetchall()
    assert dict(rows) == {"mortgage_guarantee": 30, "unemployment_benefit": 30}
    assert "Traceback" not in first.stderr


PARTS = [f"resolver.private-part-{number}-take-me-away" for number in (1, 2)]


def test_the_folder_is_for_nobody_else(
    first: subprocess.CompletedProcess[str], folder: Path
) -> None:
    data = folder / "var" / "demo"
    for name in ("session.key", "demo-api-tokens", "wrap.key", *PARTS):
        assert (data / name).stat().st_mode & 0o077 == 0, name


@pytest.fixture
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where the first demonstration was."""
    monkeypatch.chdir(folder)


def test_a_second_demonstration_goes_on(
    first: subprocess.CompletedProcess[str],
    folder: Path,
    there: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["demo", "--no-serve"]) == 0
    second = capsys.readouterr().out
    numbers = [
        set(re.findall(r"^-- ((?:MG|UB)-\d{4}) ·", said, re.MULTILINE))
        for said in (first.stdout, second)
    ]
    assert numbers[0] != numbers[1], "the next case in the queue"
    with closing(sqlite3.connect(folder / "var/demo/warum.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM decision_record").fetchone() == (2,)
        assert database.execute("SELECT count(*) FROM case_file").fetchone() == (60,)


def test_a_fresh_demonstration_forgets_the_others(
    first: subprocess.CompletedProcess[str], folder: Path, there: None
) -> None:
    assert main(["demo", "--no-serve", "--fresh"]) == 0
    with closing(sqlite3.connect(folder / "var/demo/warum.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM decision_record").fetchone() == (1,)


def test_fresh_removes_nothing_but_a_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder with something else in it is not a demonstration, whatever it is called."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "important.txt").write_text("keep me")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARUM_DATA", "letters")
    monkeypatch.setenv("WARUM_PORT", "0")  # refused before anything happens
    assert main(["demo", "--no-serve", "--fresh"]) != 0
    monkeypatch.delenv("WARUM_PORT")
    main(["demo", "--no-serve", "--fresh"])
    assert (tmp_path / "letters" / "important.txt").read_text() == "keep me"


# -- ledger verify ----------------------------------------------------------------------------


@pytest.fixture
def data(first: subprocess.CompletedProcess[str], folder: Path, tmp_path: Path) -> Path:
    """A copy of the demonstration's folder, to do anything with."""
    import shutil

    shutil.copytree(folder / "var" / "demo", tmp_path / "data")
    return tmp_path / "data"


def tamper(data: Path, *statements: str) -> None:
    """Write into the file as somebody with a shell: the triggers that forbid it go first."""
    with closing(sqlite3.connect(data / "warum.sqlite")) as database:
        named = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in named.fetchall():
            database.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            database.execute(statement)
        database.commit()


def verify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["ledger", "verify", *arguments])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_a_ledger_nobody_touched(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = verify(capsys, str(data))
    assert code == 0, said
    assert "ledger: 4 entries" in said  # two packages admitted, one case shown and decided
    assert "0 ALTERED" in said


def test_it_is_found_without_being_named(
    first: subprocess.CompletedProcess[str], there: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(capsys)[0] == 0


def test_an_entry_that_was_changed_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tamper(
        data,
        "UPDATE entry SET leaf = CAST(replace(CAST(leaf AS TEXT), 'demo', 'demx') AS BLOB) "
        "WHERE log = 'ledger' AND seq = 2",
    )
    code, said = verify(capsys, str(data))
    assert code == 1
    assert "ALTERED" in said
    assert re.search(r"\b2\b", said)


def test_a_payload_that_was_changed_is_named(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(data, "UPDATE payload SET ciphertext = randomblob(99) WHERE log = 'ledger' AND seq = 1")
    code, said = verify(capsys, str(data))
    assert code == 1
    assert re.search(r"\b1\b", said)


def test_a_tail_that_was_cut_is_noticed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = ("idempotency", "decision_record", "case_entry", "payload", "entry")
    tamper(
        data,
        *(f"DELETE FROM {table} WHERE log = 'ledger' AND seq = 2" for table in tables),
        "DELETE FROM checkpoint WHERE log = 'ledger' AND size > 2",
    )
    code, said = verify(capsys, str(data))
    assert code == 1, said


def test_where_there_is_no_ledger_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said = verify(capsys, str(tmp_path))
    assert code == 1
    assert "There is no ledger here." in said
    assert verify(capsys)[0] == 1
    (tmp_path / "warum.sqlite").write_bytes(b"this is no database, only its name")
    code, said = verify(capsys, str(tmp_path))
    assert code == 1
    assert "Give the one you hold with --key." in said


def test_a_key_of_somebody_else_is_no_key(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = (data / "seals/ledger/verifier.key").read_text("ascii").strip()
    assert verify(capsys, str(data), "--key", own)[0] == 0
    assert verify(capsys, str(data), "--key", "not a key")[0] == 2
    name, number, _ = own.split("+", 2)
    assert name
    other = (data / "seals/access/verifier.key").read_text("ascii").strip().split("+", 2)
    forged = f"{name}+{number}+{other[2]}"
    assert verify(capsys, str(data), "--key", forged)[0] in (1, 2)


# -- help -------------------------------------------------------------------------------------


def listed(text: str) -> list[str]:
    """The commands a help text lists."""
    part = text.partition("  COMMAND\n")[2].partition("\n\n")[0]
    return re.findall(r"^    ([a-z]+)\b", part, re.MULTILINE)


def test_help_of_every_command_helps(capsys: pytest.CaptureFixture[str]) -> None:
    waiting, seen = [["warum"]], []
    while waiting:
        command = waiting.pop()
        with pytest.raises(SystemExit) as ended:
            main([*command[1:], "--help"])
        said = capsys.readouterr().out
        assert ended.value.code == 0
        assert said.startswith(f"usage: {' '.join(command)} ")
        assert "exit codes:" in said or "examples:" in said, command
        waiting += [[*command, name] for name in listed(said)]
        seen.append(" ".join(command[1:]))
    assert {"explain", "package check", "ledger verify", "serve", "demo", "doctor"} <= set(seen)


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explian"])
    assert ended.value.code == 2
    assert "explain" in capsys.readouterr().err
