"""A restore that is killed anywhere left nothing, or had done everything; the next one goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from offices import NOON, MakeOffice
from servers import DATABASES, emptied
from test_backup import lose, rows
from test_erasing import BOTH, run

from explainer.ledger.entries import EntryKind
from service.settings import Settings
from service.store.tables import metadata

RESTORER = Path(__file__).with_name("restorer.py")
ALREADY = ("database already", "records in the database already")


@dataclass
class Restorer:
    """The program that restores, and what it said last."""

    process: subprocess.Popen[str]
    errors: Path

    def run(self, point: int, *arguments: object) -> int:
        self.errors.write_text("")
        self.process.stdin.write(json.dumps([point, *map(str, arguments)]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    @property
    def said(self) -> str:
        return self.errors.read_text()


@contextmanager
def restorer(folder: Path) -> Iterator[Restorer]:
    errors = folder / "errors"
    with errors.open("a") as stream:
        process = subprocess.Popen(
            [sys.executable, str(RESTORER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
    try:
        yield Restorer(process, errors)
    finally:
        process.stdin.close()
        process.wait(timeout=60)
        process.stdout.close()


def kill_everywhere(office: MakeOffice, package: Path, tmp_path: Path, every: int) -> int:
    """Kill a restore at every such point, each time anew; returns how often it was killed."""
    first = office(package)
    first.decided(0)
    first.tools.seals.now()
    settings = first.tools.settings
    out, keys = tmp_path / "out", tmp_path / "keys"
    assert run("backup", out, "--keys", keys, data=first.tools) == 0
    before = {name: found for name, found in rows(settings).items() if name != "head"}
    first.tools.close()
    lose(settings, "keys.sqlite", "packages")
    shutil.copytree(settings.data, tmp_path / "lost")
    whole = [out, *BOTH, "--data", settings.data]
    killed = 0
    with restorer(tmp_path) as program:
        while program.run(1 + every * killed, *whole, "--keys", keys) == -9:
            killed += 1
            goes_on(settings, program, whole, keys)
            drafts = [*settings.data.glob(".*"), *(settings.data / "packages").glob(".*")]
            assert not drafts
            after = rows(settings)
            assert all(before[name] <= after[name] for name in before)
            assert len(after["entry"]) == len(before["entry"]) + 1
            shutil.rmtree(settings.data)
            shutil.copytree(tmp_path / "lost", settings.data)
            if settings.database:
                emptied(settings.database)
        assert program.run(0, *whole) == 1
        assert any(said in program.said for said in ALREADY)
    again = office(package)
    assert len(again.entries(EntryKind.RESTORE)) == 1
    return killed


def goes_on(settings: Settings, program: Restorer, whole: list[object], keys: Path) -> None:
    """After a kill: the records are there whole, or nothing is and a second restore works."""
    code = program.run(0, *whole, "--keys", keys)
    if code == 1 and "key store already" in program.said:
        code = program.run(0, *whole)
    if code == 1:
        assert any(said in program.said for said in ALREADY), program.said
    else:
        assert code == 0, program.said
    assert "Traceback" not in program.said
    assert set(rows(settings)) == set(metadata.tables)


@pytest.fixture
def package(make_package: Callable[[], Path]) -> Path:
    return make_package()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.wiring.the_clock", lambda: NOON)


@pytest.mark.parametrize("address", DATABASES, indirect=True)
def test_a_restore_that_is_killed_left_nothing_or_everything(
    address: str, make_office: MakeOffice, package: Path, tmp_path: Path
) -> None:
    killed = kill_everywhere(make_office, package, tmp_path, every=15)
    assert killed >= 4


@pytest.mark.long
@pytest.mark.parametrize("address", DATABASES, indirect=True)
def test_a_restore_that_is_killed_at_any_point_left_nothing_or_everything(
    address: str, make_office: MakeOffice, package: Path, tmp_path: Path
) -> None:
    killed = kill_everywhere(make_office, package, tmp_path, every=1)
    assert killed >= 50
