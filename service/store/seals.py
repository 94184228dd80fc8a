"""Sealing after a commit, and the question at start-up: is this the log that was sealed?

None of this makes anybody wait for an answer: position and leaf hash are handed out after the
commit, the seal follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import NoReturn

from explainer.errors import LogBehindWitness, LogForked
from explainer.ledger.checkpoint import Checkpoint, Sealer, WitnessDirectory
from explainer.ledger.entries import Leaf
from explainer.ledger.log import LogName
from explainer.ledger.tree import Range, consistency_proof, leaf_hash, subtrees
from service.store.database import Store
from service.store.engine import storage_errors
from service.store.log import SqlLog

PART = 1000
"""Entries that are read in one moment."""

_MEND = "Do not go on with this database: verify it against its witnesses, or put it back."


def seal(store: Store, name: LogName, sealer: Sealer, witness: WitnessDirectory) -> bytes | None:
    """Sign the log's present head, store the checkpoint and hand it to the witness.

    Returns the newest signed note, or None while the log is empty. Two processes cannot sign
    two histories: this holds the writer's lock. What an interruption left undone (signed but
    not stored, stored but not witnessed) the next call makes good.
    """
    with storage_errors("the seal"):
        with store.exclusive() as tx:
            log = tx.log(name)
            edge = log.head().edge
            last, note, sealed = sealer.last(), sealer.last_note(), Range()
            if last is not None:
                if edge.size < last.size:
                    _behind(name)
                sealed = _edge_at(log, last.size)
                if sealed.root() != last.root:
                    _forked(name)
                _keep(log, sealed, note)
            if edge.size > sealed.size:
                added = list(log.leaf_hashes(sealed.size, edge.size))
                if sealed.extend(added) != edge:
                    _forked(name)
                note = sealer.seal(
                    sealed.size,
                    _proof(sealed, added),
                    Checkpoint(sealer.key.name, edge.size, edge.root()),
                )
                _keep(log, edge, note)
        if note is not None:
            witness.keep(note, sealer.key)
        return note


def guard(store: Store, name: LogName, sealer: Sealer, witness: WitnessDirectory) -> None:
    """Refuse to start on a log that is not the one the sealer and the witness know.

    The tree is built anew from every stored leaf. A shorter log raises LogBehindWitness,
    another one LogForked. A sealer whose memory is gone takes up the witness's newest head.
    """
    with storage_errors("the check at start-up"):
        kept = witness.newest_note(sealer.key)
        if sealer.last() is None and kept is not None:
            sealer.adopt(kept)
        outside = {known for known in (sealer.last(), witness.newest(sealer.key)) if known}
        expected = sorted(outside, key=lambda known: known.size)
        edge, head, whole = Range(), Range(), False
        while not whole:
            with store.reading() as tx:  # part by part: who writes has a turn in between
                log = tx.log(name)
                added = [leaf_hash(leaf) for leaf in islice(log.leaves(edge.size or None), PART)]
                head, whole = log.head().edge, len(added) < PART
            while expected and expected[0].size <= edge.size + len(added):
                known = expected.pop(0)
                here = known.size - edge.size
                edge, added = edge.extend(added[:here]), added[here:]
                if edge.root() != known.root:
                    _forked(name)
            edge = edge.extend(added)
        if expected:
            _behind(name)
        if edge != head:
            _forked(name)


def proof_since(store: Store, name: LogName, old: int, size: int) -> list[bytes]:
    """Return the proof that the head of `size` continues that of `old`; empty for `old` 0."""
    with storage_errors("the witness"), store.reading() as tx:
        log = tx.log(name)
        if not 0 < old < size:
            return []
        return _proof(_edge_at(log, old), list(log.leaf_hashes(old, size)))


def written_at(store: Store, name: LogName, seq: int) -> datetime | None:
    """Return when an entry was written, to the minute; None where there is none yet."""
    with storage_errors("the witness"), store.reading() as tx:
        log = tx.log(name)
        if seq >= log.head().size:
            return None
        return datetime.fromisoformat(Leaf.from_bytes(log.leaf(seq)).ts)


def _edge_at(log: SqlLog, size: int) -> Range:
    known = log.last_checkpoint(at_most=size)
    edge = Range() if known is None else known[0]
    return edge.extend(log.leaf_hashes(edge.size, size))


def _proof(sealed: Range, added: Sequence[bytes]) -> list[bytes]:
    if not sealed.size:
        return []
    return consistency_proof(sealed.size, sealed.size + len(added), subtrees(added, sealed))


def _keep(log: SqlLog, edge: Range, note: bytes | None) -> None:
    known = log.last_checkpoint(at_most=edge.size)
    if note is not None and (known is None or known[0].size != edge.size):
        log.add_checkpoint(edge, note)


def _behind(name: LogName) -> NoReturn:
    raise LogBehindWitness(
        what="The log is shorter than a checkpoint held outside it: its tail was cut.",
        where=f"the log {name}",
        mend=_MEND,
    )


def _forked(name: LogName) -> NoReturn:
    raise LogForked(
        what="The entries are not those that were sealed.", where=f"the log {name}", mend=_MEND
    )
