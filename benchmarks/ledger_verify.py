"""Verify a million records on one core: seconds of processor time, and the most memory.

    python benchmarks/ledger_verify.py [ENTRIES]

The export is written by the program itself, with sealed payloads; `verify.py` then checks it as a
process of its own, as an auditor would run it. The promise is 30 s and 300 MB for a million.
"""

from __future__ import annotations

import hashlib
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from explainer.ledger import verify
from explainer.ledger.checkpoint import Checkpoint, Signer
from explainer.ledger.entries import Envelope, Leaf
from explainer.ledger.export import export_log
from explainer.ledger.log import Record
from explainer.ledger.tree import Range, leaf_hash

SEALED = 280
"""Bytes of a sealed payload."""


def entries(count: int) -> Iterator[Record]:
    """Shown and decided in turn, the same each time. What is sealed is chance: nobody opens it."""
    chance = random.Random(6962)
    for seq in range(count):
        nonce, ciphertext = chance.randbytes(12), chance.randbytes(SEALED)
        leaf = Leaf(
            v=1,
            seq=seq,
            type="decision" if seq % 2 else "shown",
            ts="2026-11-21T12:00Z",
            ts_source="system",
            tenant="jc-musterstadt",
            model="a" * 64,
            explainer="b" * 64,
            commit=chance.randbytes(32).hex(),
            ct=hashlib.sha256(nonce + ciphertext).hexdigest(),
            told=None if seq % 2 else chance.randbytes(32).hex(),
            idem=chance.randbytes(32).hex() if seq % 2 else None,
        ).to_bytes()
        yield Record(seq, leaf, leaf_hash(leaf), Envelope("", nonce, ciphertext))


def written(count: int, folder: Path) -> Signer:
    """Write an export of `count` entries; made twice, so that they are never all in memory."""
    signer = Signer("warum.jc-musterstadt/ledger", Signer.generate())
    root = Range().extend(record.leaf_hash for record in entries(count)).root()
    note = signer.sign(Checkpoint(signer.key.name, count, root))
    export_log(entries(count), [note], signer.key, folder / "export" / "ledger")
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
