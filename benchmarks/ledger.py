"""How long recording a decision takes while eight write at once, on both databases.

From the beginning of the transaction until it has committed, waiting for the others included; each
writer starts again as soon as it is done, which is harder than any office. The threads are those of
one service, the processes are eight services on the same database.

    python benchmarks/ledger.py [ENTRIES]
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from harness import ROOT, machine

sys.path[:0] = [str(ROOT / "tests" / "service"), str(ROOT / "tests" / "ledger")]

from ledgers import NOON, TENANT, case, decision, row  # noqa: E402
from servers import Server  # noqa: E402

from explainer.ledger.log import LogName  # noqa: E402
from service.store import records  # noqa: E402
from service.store.database import Store  # noqa: E402

WRITERS = 8
LIMITS = {"SQLite": 0.025, "PostgreSQL": 0.1}
"""What is promised for the slowest of a hundred, in seconds."""


def record(store: Store, case_id: str, case_ref: str, entries: int) -> list[float]:
    """Record so many decisions; returns the seconds each took."""
    took = []
    for _ in range(entries):
        started = time.perf_counter()
        with store.transaction(NOON) as tx:
            records.add_decision(tx, row(case_id), decision(case_ref))
        took.append(time.perf_counter() - started)
    return took


def by_threads(folder: Path, database: str, ids: list[str], entries: int) -> list[float]:
    took: list[float] = []
    with closing(Store.open(folder, tenant=TENANT, database=database)) as store:
        threads = [
            threading.Thread(
                target=lambda at=at, case_id=case_id: took.extend(
                    record(store, case_id, f"BG-{at}", entries)
                )
            )
            for at, case_id in enumerate(ids)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return took


def _process(arguments: tuple[Path, str, int, str, int]) -> list[float]:
    folder, database, at, case_id, entries = arguments
    with closing(Store.open(folder, tenant=TENANT, database=database, busy_seconds=60)) as store:
        return record(store, case_id, f"BG-{at}", entries)


def by_processes(folder: Path, database: str, ids: list[str], entries: int) -> list[float]:
    work = [(folder, database, at, case_id, entries) for at, case_id in enumerate(ids)]
    with multiprocessing.get_context("spawn").Pool(len(ids)) as pool:
        return [one for took in pool.map(_process, work, chunksize=1) for one in took]


WAYS: dict[str, Callable[[Path, str, list[str], int], list[float]]] = {
    "one alone": by_threads,
    f"{WRITERS} threads": by_threads,
    f"{WRITERS} processes": by_processes,
}


def measure(name: str, folder: Path, database: str, entries: int) -> None:
    ids: list[str] = []
    expected = 0
    for way, run in WAYS.items():
        writers = 1 if way == "one alone" else WRITERS
        with closing(Store.open(folder, tenant=TENANT, database=database)) as store:
            ids += [case(store, f"BG-{at}") for at in range(len(ids), writers)]
        started = time.perf_counter()
        took = sorted(run(folder, database, ids[:writers], entries))
        whole = time.perf_counter() - started
        expected += writers * entries
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
        rate = f"{len(took) / whole:.0f} | {len(took)} | {LIMITS[name] * 1000:.0f} ms: {kept}"
        print(f"| {name}, {way} | {figures} | {rate} |", flush=True)


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    busy = os.getloadavg()[0]
    print(f"\n## Recording a decision\n\n{machine()}; {busy:.1f} others waiting for one of them\n")
    print("| | median | p99 | slowest | a second | entries | p99 at most |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", Path(folder) / "sqlite", "", entries)
        with closing(Server()) as server, server.database() as name:
            measure("PostgreSQL", Path(folder) / "keys", server.address(name), entries)


if __name__ == "__main__":
    main()
