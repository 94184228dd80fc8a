"""Whatever call of the disk fails: nothing acknowledged is lost, and what failed says so.

A sample here; every point in the long tests. `faults.py` and `power.py` say how it is done,
`faulted.py` what is done and what has to be true afterwards. These tests need strace, which
`make test` sees to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faulted import OPERATIONS
from restored import RESTORES

from explainer.ledger import verify

ROOT = Path(verify.__file__).parents[2]
SAMPLE = 41
FEW = 401


def under(program: str, folder: Path, step: int, *operations: str) -> dict[str, dict[str, Any]]:
    """Try every `step`-th point of these operations; returns what the program counted of each."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(program)), folder, str(step), *operations],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=7200,
    )
    assert done.returncode == 0, done.stderr
    counted = dict(zip(operations, map(json.loads, done.stdout.splitlines()), strict=True))
    for operation, counts in counted.items():
        print(f"\n{operation}: {counts}")
    return counted


def check(counted: dict[str, Any], step: int) -> None:
    assert counted["wrong"] == []
    assert counted["recovered"] == counted["points"] == len(range(0, counted["of"], step)) > 0


def check_kinds(counted: dict[str, Any]) -> None:
    assert min(counted[kind] for kind in ("killed", "sticky", "single", "refused")) > 0


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each operation at a sample of the points."""
    return under("faults.py", tmp_path_factory.mktemp("faults"), SAMPLE, *OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_lost_or_half_there_whichever_call_fails(sampled: Any, operation: str) -> None:
    check(sampled[operation], SAMPLE)
    check_kinds(sampled[operation])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_everything_written_is_forced_to_disk_before_it_is_acknowledged(
    sampled: Any, operation: str
) -> None:
    """What a power cut would take is on disk; kills alone do not show that."""
    counted = sampled[operation]
    assert counted["acknowledgements"] > 0
    assert counted["told_too_early"] == []


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_lost_or_half_there_at_any_call_at_all(tmp_path: Path, operation: str) -> None:
    counted = under("faults.py", tmp_path, 1, operation)[operation]
    check(counted, 1)
    check_kinds(counted)


@pytest.mark.parametrize("operation", RESTORES)
def test_a_restore_did_nothing_or_everything_whichever_call_fails(
    tmp_path: Path, operation: str
) -> None:
    """On PostgreSQL the calls of the command: what the server's disk does is the server's own."""
    check(under("faults.py", tmp_path, FEW, operation)[operation], FEW)


@pytest.mark.long
@pytest.mark.parametrize("operation", RESTORES)
def test_a_restore_did_nothing_or_everything_at_any_tenth_call(
    tmp_path: Path, operation: str
) -> None:
    counted = under("faults.py", tmp_path, 10, operation)[operation]
    check(counted, 10)
    check_kinds(counted)


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each operation where the power went at a sample of the moments."""
    return under("power.py", tmp_path_factory.mktemp("power"), SAMPLE, *OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_lost_when_the_power_goes(cut: Any, operation: str) -> None:
    check(cut[operation], SAMPLE)


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS)
def test_nothing_is_lost_whenever_the_power_goes(tmp_path: Path, operation: str) -> None:
    check(under("power.py", tmp_path, 1, operation)[operation], 1)
