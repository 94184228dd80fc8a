"""Receipts of entries, from what is stored: the proof, and the signed head above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from sqlalchemy import select

from explainer.errors import ProofInvalid
from explainer.ledger.checkpoint import VerifierKey, WitnessDirectory, parse_note, verify
from explainer.ledger.log import LogName
from explainer.ledger.receipt import write_receipt
from explainer.ledger.tree import Range, subtrees
from service.store import tables
from service.store.database import Reading
from service.store.log import SqlLog
from service.store.records import OpenedEntry, open_entry

SPAN = 16_384
"""A head so many entries further on is near enough: all between has to be hashed, and read, while
somebody waits."""
LOOKED_THROUGH = 1000
"""Heads that are looked through for the signature of a witness."""

_MARK = re.compile("[0-9a-f]{64}")


def entry_marked(tx: Reading, case_id: str, mark: str) -> OpenedEntry | None:
    """Return the entry of the ledger with this leaf hash, as 64 hexadecimal digits, if it is
    about this case."""
    link, entry = tables.case_entry, tables.entry
    if not _MARK.fullmatch(mark):
        return None
    seq = tx.connection.execute(
        select(link.c.seq)
        .join(entry, (entry.c.log == link.c.log) & (entry.c.seq == link.c.seq))
        .where(
            link.c.case_id == case_id,
            link.c.log == LogName.LEDGER.value,
            entry.c.leaf_hash == bytes.fromhex(mark),
        )
    ).scalar_one_or_none()
    return None if seq is None else open_entry(tx, LogName.LEDGER, seq)


def is_sealed(tx: Reading, seq: int) -> bool:
    """Whether a signed head covers this entry of the ledger."""
    newest = tx.log(LogName.LEDGER).last_checkpoint()
    return newest is not None and newest[0].size > seq


def receipt_of(
    tx: Reading, seq: int, key: VerifierKey, folder: WitnessDirectory | None = None
) -> bytes:
    """A receipt of a ledger entry (C2SP tlog-proof), under the newest signed head within SPAN.

    With the `folder` of its heads it is the newest one there that a witness signed as well, if
    there is one: a witness signs a moment later than the service.

    Raises EntryMalformed where there is no such entry, ProofInvalid where no head covers it yet.
    """
    log = tx.log(LogName.LEDGER)
    entry = open_entry(tx, LogName.LEDGER, seq)
    note = _cosigned(folder, seq, key) or _newest(log, seq)
    sealed = log.last_checkpoint(at_most=seq)
    edge = Range() if sealed is None else sealed[0]
    before = edge.extend(log.leaf_hashes(edge.size, seq))
    after = list(log.leaf_hashes(seq, verify(note, key).size))
    told_salt = entry.receipt.told_salt
    return write_receipt(entry.receipt.leaf, told_salt, note, key, subtrees(after, before))


def _newest(log: SqlLog, seq: int) -> bytes:
    for found in (log.last_checkpoint(at_most=seq + SPAN), log.last_checkpoint()):
        if found is not None and found[0].size > seq:
            return found[1]
    raise ProofInvalid(
        what="No signed head covers this entry yet.",
        where=f"entry {seq}",
        mend="Try again in a minute: heads are signed at least every minute.",
    )


def _cosigned(folder: WitnessDirectory | None, seq: int, key: VerifierKey) -> bytes | None:
    """The newest head above the entry that more than the log itself has signed."""
    for note in () if folder is None else islice(_kept(folder, seq), LOOKED_THROUGH):
        try:
            if len(parse_note(note)[1]) > 1:
                verify(note, key)
                return note
        except ProofInvalid:
            continue  # damaged; the receipt does without it
    return None


def _kept(folder: WitnessDirectory, seq: int) -> Iterator[bytes]:
    try:
        for _, note in folder.newest_first(above=seq, up_to=seq + SPAN):
            yield note
    except OSError:
        return  # a share that is out of reach costs the witness's line, not the receipt
