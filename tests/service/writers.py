"""Run by tests as a program: processes that write to one store, ended politely or killed.

    python writers.py FOLDER CASE_ID CASE_REF ROUNDS WRITERS THREADS ENTRIES SEED [ADDRESS]

With ENTRIES, each of the THREADS of each of the WRITERS writes that many and ends. Without (0),
all write until they are killed with SIGKILL after a moment, ROUNDS times. What was acknowledged
goes to FOLDER/acks. With ADDRESS the records are on PostgreSQL.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "ledger"))

from ledgers import NOON, TENANT, decision, row

from service.store import records
from service.store.cases import new_id
from service.store.database import Store

LINE = len(f"{0:08d} {'0' * 64} {new_id()}\n")
PATIENCE = 60
"""Seconds within which something has to be acknowledged."""


def write(store: Store, acks: int, case_id: str, case_ref: str, entries: int) -> None:
    try:
        for _ in range(entries) if entries else count():
            key = new_id()
            with store.transaction(NOON) as tx:
                entry = decision(case_ref, key=key)
                receipt = records.add_decision(tx, row(case_id), entry, body=b"form")
            os.write(acks, f"{receipt.seq:08d} {receipt.leaf_hash.hex()} {key}\n".encode())
    except BaseException as fault:
        print(repr(fault), file=sys.stderr, flush=True)
        os._exit(1)


def write_all(folder: Path, address: str, threads: int, *what: Any) -> None:
    acks = os.open(folder / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    store = Store.open(folder, tenant=TENANT, database=address, busy_seconds=600)
    others = [threading.Thread(target=write, args=[store, acks, *what]) for _ in range(1, threads)]
    for other in others:
        other.start()
    write(store, acks, *what)
    for other in others:
        other.join()
    store.close()


def wait_for(acks: Path, more: int) -> None:
    """Wait until so many entries more were acknowledged."""
    wanted, deadline = size(acks) + more * LINE, time.monotonic() + PATIENCE
    while size(acks) < wanted:
        if time.monotonic() > deadline:
            sys.exit("nobody could write any more")
        time.sleep(0.001)


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main() -> None:
    folder, case_id, case_ref = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    rounds, writers, threads, entries, seed = map(int, sys.argv[4:9])
    address = sys.argv[9] if len(sys.argv) > 9 else ""
    chance = random.Random(seed)
    for _ in range(rounds):
        children = []
        for _ in range(writers):
            child = os.fork()
            if child == 0:
                try:
                    write_all(folder, address, threads, case_id, case_ref, entries)
                    os._exit(0)
                except BaseException as fault:
                    print(repr(fault), file=sys.stderr, flush=True)
                    os._exit(1)
            children.append(child)
        if not entries:
            wait_for(folder / "acks", chance.randint(1, 4))
            time.sleep(chance.random() * 0.02)  # anywhere between two system calls
            for child in children:
                os.kill(child, signal.SIGKILL)
        for child in children:
            _, status = os.waitpid(child, 0)
            expected = 0 if entries else signal.SIGKILL
            if status != expected:
                sys.exit(f"a writer ended with {status}")


if __name__ == "__main__":
    main()
