"""How long recording a decision takes while eight write at once, on both databases.

From the beginning of the transaction until it has committed, waiting for the others included. All
begin together, after each has written some that do not count. "Without a pause" a writer begins
again as soon as it is done, which is harder than any office; "five a second" each begins at moments
of its own, forty decisions a second in all. The threads are those of one service, which is how
Warum runs; the processes are eight services on the same database. The processor's time is that of
the writers, making the entry included; a server's own is not in it.

    python benchmarks/ledger.py [ENTRIES]
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from harness import ROOT, machine

sys.path[:0] = [str(ROOT / "tests" / "service"), str(ROOT / "tests" / "ledger")]

from ledgers import NOON, TENANT, case, decision, row  # noqa: E402
from servers import Server  # noqa: E402

from explainer.ledger.log import LogName  # noqa: E402
from service.store import records  # noqa: E402
from service.store.database import Store  # noqa: E402

WRITERS = 8
WARM = 20
"""Entries each writer writes before it is measured."""
Took = tuple[list[float], float]
"""The seconds each entry took, and those the processor worked for all of them."""
Ready = Callable[[], object]
LIMITS = {"SQLite": 0.025, "PostgreSQL": 0.1}
"""What is promised for the slowest of a hundred, in seconds."""


def record(
    store: Store, case_id: str, case_ref: str, entries: int, pace: float, ready: Ready
) -> Took:
    """Record so many decisions, one every `pace` seconds."""

    def one() -> float:
        entry, about = decision(case_ref), row(case_id)
        started = time.perf_counter()
        with store.transaction(NOON) as tx:
            records.add_decision(tx, about, entry)
        return time.perf_counter() - started

    for _ in range(WARM):
        one()
    ready()
    took = []
    due, worked = time.perf_counter(), time.thread_time()
    for _ in range(entries):
        if pace:
            due += random.uniform(0, 2 * pace)
            time.sleep(max(0.0, due - time.perf_counter()))
        took.append(one())
    return took, time.thread_time() - worked


def _together(parts: Iterable[Took]) -> Took:
    all_of_them = list(parts)
    return [one for took, _ in all_of_them for one in took], sum(cpu for _, cpu in all_of_them)


def by_threads(folder: Path, database: str, ids: list[str], entries: int, pace: float) -> Took:
    barrier = threading.Barrier(len(ids))
    with (
        closing(Store.open(folder, tenant=TENANT, database=database)) as store,
        ThreadPoolExecutor(len(ids)) as pool,
    ):
        runs = [
            pool.submit(record, store, case_id, f"BG-{at}", entries, pace, barrier.wait)
            for at, case_id in enumerate(ids)
        ]
        return _together(run.result() for run in runs)


def _begin_together(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _process(arguments: tuple[Path, str, int, str, int, float]) -> Took:
    folder, database, at, case_id, entries, pace = arguments
    with closing(Store.open(folder, tenant=TENANT, database=database, busy_seconds=60)) as store:
        return record(store, case_id, f"BG-{at}", entries, pace, _barrier.wait)


def by_processes(folder: Path, database: str, ids: list[str], entries: int, pace: float) -> Took:
    work = [(folder, database, at, case_id, entries, pace) for at, case_id in enumerate(ids)]
    context = multiprocessing.get_context("spawn")
    begin = (context.Barrier(len(ids)),)
    with context.Pool(len(ids), initializer=_begin_together, initargs=begin) as pool:
        return _together(pool.map(_process, work, chunksize=1))


WAYS: dict[str, tuple[Callable[..., Took], int, float]] = {
    "one alone": (by_threads, 1, 0.0),
    f"{WRITERS} threads, five a second each": (by_threads, WRITERS, 0.2),
    f"{WRITERS} threads without a pause": (by_threads, WRITERS, 0.0),
    f"{WRITERS} processes, five a second each": (by_processes, WRITERS, 0.2),
    f"{WRITERS} processes without a pause": (by_processes, WRITERS, 0.0),
}


def measure(name: str, folder: Path, database: str, entries: int) -> None:
    ids: list[str] = []
    expected = 0
    for way, (run, writers, pace) in WAYS.items():
        with closing(Store.open(folder, tenant=TENANT, database=database)) as store:
            ids += [case(store, f"BG-{at}") for at in range(len(ids), writers)]
        took, worked = run(folder, database, ids[:writers], entries, pace)
        took.sort()
        expected += writers * (WARM + entries)
        with (
            closing(Store.open(folder, tenant=TENANT, database=database)) as store,
            store.reading() as tx,
        ):
            written = tx.log(LogName.LEDGER).head().size
        if written != expected:
            sys.exit(f"{written} entries instead of {expected}")
        p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
        kept = "yes" if p99 <= LIMITS[name] else "NO"
        figures = f"{p50 * 1000:.1f} ms | {p99 * 1000:.1f} ms | {took[-1] * 1000:.0f} ms"
        work = f"{worked / len(took) * 1000:.1f} ms"
        limit = f"{LIMITS[name] * 1000:.0f} ms: {kept}"
        print(f"| {name}, {way} | {figures} | {work} | {len(took)} | {limit} |", flush=True)


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    busy = os.getloadavg()[0]
    print(f"\n## Recording a decision\n\n{machine()}; {busy:.1f} others waiting for one of them\n")
    print("| | median | p99 | slowest | processor, each | entries | p99 at most |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", Path(folder) / "sqlite", "", entries)
        with closing(Server()) as server, server.database() as name:
            measure("PostgreSQL", Path(folder) / "keys", server.address(name), entries)


if __name__ == "__main__":
    main()
