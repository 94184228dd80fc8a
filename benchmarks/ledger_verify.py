"""Verify a million records on one core: seconds of processor time, and the most memory.

    python benchmarks/ledger_verify.py [ENTRIES]

The export is written by the program itself, with sealed payloads; `verify.py` then checks it as a
process of its own, as an auditor would run it. The promise is 30 s and 300 MB for a million.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from explainer.ledger import verify
from explainer.ledger.checkpoint import Checkpoint, Signer
from explainer.ledger.entries import Entry, EntryKind, Envelope
from explainer.ledger.export import export_log
from explainer.ledger.log import Head, LogName, Record, append
from explainer.ledger.tree import Range, leaf_hash

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PART = 1_000
"""Entries of one case."""


class OneByOne:
    """A log that remembers its head and its newest entry only."""

    name = LogName.LEDGER

    def __init__(self) -> None:
        self._head = Head(Range(), None)
        self.newest: Record | None = None

    def head(self) -> Head:
        return self._head

    def append(self, record: Record, head: Head) -> None:
        self.newest, self._head = record, head

    def read(self, seq: int) -> Record:
        assert self.newest is not None
        assert self.newest.seq == seq
        return self.newest


class Keys:
    def get_or_create(self, case_ref: str) -> tuple[str, bytes]:
        return case_ref, case_ref.encode().ljust(32, b".")[:32]

    def get(self, key_id: str) -> bytes | None:
        return None

    def destroy(self, key_id: str) -> None:
        pass


def entries(count: int, log: OneByOne) -> Iterator[Record]:
    """Shown and decided in turn, as they are really written; payloads of a usual length."""
    keys = Keys()
    for number in range(count):
        kind = EntryKind.DECISION if number % 2 else EntryKind.SHOWN
        payload = {"number": number, "text": "x" * 200}
        entry = Entry(kind, payload, case_ref=f"BG-{number // PART}", model="a" * 64)
        append(log, entry, keys=keys, now=NOON, tenant="jc-musterstadt")
        assert log.newest is not None
        yield log.newest


def written(count: int, folder: Path) -> Signer:
    """Write an export of `count` entries, which lie in a file until their head is known."""
    signer = Signer("warum.jc-musterstadt/ledger", Signer.generate())
    log, spool = OneByOne(), folder / "spool"
    with spool.open("wb") as file:
        for record in entries(count, log):
            assert record.envelope is not None
            for part in (record.leaf, record.envelope.nonce, record.envelope.ciphertext):
                file.write(len(part).to_bytes(4, "big") + part)
    note = signer.sign(Checkpoint(signer.key.name, count, log.head().edge.root()))
    with spool.open("rb") as file:

        def part() -> bytes:
            return file.read(int.from_bytes(file.read(4), "big"))

        again = (
            Record(seq, leaf, leaf_hash(leaf), Envelope("", part(), part()))
            for seq, leaf in ((seq, part()) for seq in range(count))
        )
        export_log(again, [note], signer.key, folder / "export" / "ledger")
    spool.unlink()
    return signer


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        signer = written(count, folder)
        command = [sys.executable, verify.__file__, str(folder / "export"), f"--key={signer.key}"]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    processor = used.ru_utime + used.ru_stime
    print(done.stdout.strip())
    print(
        f"{count:,} entries: {processor:.1f} s of processor time, {wall:.1f} s by the clock,"
        f" {used.ru_maxrss / 1024:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
