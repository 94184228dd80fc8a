"""Many write at once, and are killed: no fork, no gap, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "ledger"))

from ledgers import NOON, Installation, case, decision, row

from explainer.ledger import verify
from explainer.ledger.log import LogName
from service.store import cases, records
from service.store.database import _Turns

ROOT = Path(verify.__file__).parents[2]


def run_writers(
    installation: Installation,
    rounds: int,
    writers: int,
    entries: int,
    *,
    seed: int = 20,
    timeout: float = 300,
) -> list[str]:
    """Have so many processes write; returns the lines of what was acknowledged."""
    with closing(installation.open()) as store:
        case_id = case(store, "BG-1")
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("writers.py")),
            str(installation.folder),
            case_id,
            "BG-1",
            *map(str, (rounds, writers, entries, seed)),
            installation.address,
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return (installation.folder / "acks").read_text().splitlines()


def check_acks(installation: Installation, acks: list[str]) -> int:
    """Every acknowledged entry is there, once, unchanged; the whole is clean. Return its size."""
    with closing(installation.open()) as store:
        seqs = [int(ack.split()[0]) for ack in acks]
        assert len(set(seqs)) == len(seqs)
        with store.transaction(NOON) as tx:
            log = tx.log(LogName.LEDGER)
            for ack in acks:
                seq, digest, key = ack.split()
                assert log.read(int(seq)).leaf_hash.hex() == digest
                answer = records.replay(tx, key, b"form")
                assert answer is not None
                assert answer.receipt.seq == int(seq)
            listed = cases.list_records(tx, cases.RecordFilter()).total
            size = log.head().size
        assert size == listed
        installation.seal(store)
    result = installation.verify(opened=True)["ledger"]
    assert result.clean
    assert result.counts["OK"] == result.size == size
    return size


def test_processes_that_write_at_once_make_no_fork_and_no_gap(installation: Installation) -> None:
    acks = run_writers(installation, rounds=1, writers=3, entries=20)
    assert len(acks) == 60
    assert check_acks(installation, acks) == 60


@pytest.mark.parametrize(
    ("installation", "rounds"), [("sqlite", 250), ("postgresql", 20)], indirect=["installation"]
)
def test_killed_writers_lose_nothing_that_was_acknowledged(
    installation: Installation, rounds: int
) -> None:
    acks = run_writers(installation, rounds, writers=2, entries=0)
    assert len(acks) >= rounds
    assert check_acks(installation, acks) >= len(acks)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_writers_killed_ten_thousand_times_lose_nothing_that_was_acknowledged(
    installation: Installation, seed: int
) -> None:
    writers = 4 if seed % 2 else 2
    acks = run_writers(installation, 1000 // writers, writers, 0, seed=seed, timeout=3600)
    assert check_acks(installation, acks) >= len(acks) >= 1000 // writers
    print(f"\n1000 kills, {len(acks)} acknowledged, {writers} processes")


@pytest.mark.long
@pytest.mark.parametrize("installation", ["postgresql"], indirect=True)
def test_writers_killed_a_thousand_times_lose_nothing_that_was_acknowledged(
    installation: Installation,
) -> None:
    acks = run_writers(installation, rounds=500, writers=2, entries=0, timeout=3600)
    assert check_acks(installation, acks) >= len(acks) >= 500
    print(f"\n1000 kills, {len(acks)} acknowledged")


@pytest.mark.long
def test_sixteen_processes_with_a_thousand_entries_each_make_no_fork_and_no_gap(
    installation: Installation,
) -> None:
    acks = run_writers(installation, rounds=1, writers=16, entries=1000, timeout=3600)
    assert sorted(int(ack.split()[0]) for ack in acks) == list(range(16_000))
    assert check_acks(installation, acks) == 16_000


def test_threads_that_write_at_once_make_no_fork_and_no_gap(installation: Installation) -> None:
    receipts = []
    with closing(installation.open()) as store:
        case_id = case(store, "BG-1")

        def write() -> None:
            for _ in range(15):
                with store.transaction(NOON) as tx:
                    receipts.append(records.add_decision(tx, row(case_id), decision("BG-1")))

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        installation.seal(store)
    assert sorted(receipt.seq for receipt in receipts) == list(range(60))
    assert len({receipt.leaf_hash for receipt in receipts}) == 60
    assert installation.verify()["ledger"].clean


# -- turns within one process ---------------------------------------------------------------------


def wait_until(told: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_who_waited_longest_writes_next_though_another_is_awake_already() -> None:
    turns, order = _Turns(), []

    def take(name: int) -> None:
        with turns:
            order.append(name)

    turns.__enter__()
    threads = []
    for name in range(6):
        threads.append(threading.Thread(target=take, args=[name]))
        threads[-1].start()
        wait_until(lambda: len(turns._waiting) == len(threads))
    turns.__exit__()
    take(6)  # begins again at once, and is the last all the same
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4, 5, 6]


def test_somebody_who_gives_up_waiting_keeps_nobody_else_from_writing() -> None:
    turns = _Turns()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupt() -> None:
        wait_until(lambda: len(turns._waiting) == 1)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupted)
    thread = threading.Thread(target=interrupt)
    try:
        turns.__enter__()
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            turns.__enter__()
    finally:
        signal.signal(signal.SIGUSR1, before)
        thread.join()
    assert not turns._waiting
    turns.__exit__()
    for _ in range(2):
        with turns:
            pass
