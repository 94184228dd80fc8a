"""The certificate of a deletion: paper for the file, which names no case and nobody it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from service.erasing import Erased


def certificate(erased: Erased, key_backup_days: int) -> str:
    """The text of the deletion certificate. It names no case and nobody the case is about."""
    last = date.fromisoformat(erased.on) + timedelta(days=key_backup_days)
    return "\n".join(
        [
            "CERTIFICATE OF DELETION",
            "",
            f"Agency:            {erased.tenant}",
            f"Day of deletion:   {erased.on}",
            f"Legal basis:       {erased.basis}",
            f"Approved by:       {', '.join(erased.approvers)}",
            f"Recorded as:       entry {erased.receipt.seq} of the log {erased.log}",
            f"Leaf hash:         {erased.receipt.leaf_hash.hex()}",
            f"Entries covered:   {len(erased.seqs)} ({_ranges(erased.seqs)})",
            "",
            *_what_became_of_the_key(erased),
            "",
            f"The last backup of the key store that can hold the key expires on {last}.",
            "Until then it is to be kept apart from backups of the database, and destroyed by",
            f"that day (WARUM_KEY_BACKUP_DAYS={key_backup_days}).",
            "",
        ]
    )


def _what_became_of_the_key(erased: Erased) -> list[str]:
    if not erased.key_lost:
        return [
            "The key these payloads were sealed under was destroyed, then the sealed payloads and",
            "all rows about them. What stays are leaves without any personal data. Without that",
            "key they can be read in no copy of the database.",
        ]
    return [
        "THE KEY WAS LOST BEFORE, not destroyed by this erasure: the key store had none that",
        "opens these payloads. They were deleted, and all rows about them. What stays are leaves",
        "without any personal data. Whoever has a copy of the key can read them in copies of the",
        "database; should it be put back into the key store, it is destroyed at the next start.",
        *_HOLD_UNREAD[erased.hold_unread],
    ]


_HOLD_UNREAD = {
    False: ("Nothing later is recorded of the case, so no legal hold either.",),
    True: (
        "Whether a legal hold lay on the case could not be read; the approvers erased it",
        "knowing that.",
    ),
}


def _ranges(seqs: Sequence[int]) -> str:
    """7, 9 to 12: positions as people read them."""
    runs: list[list[int]] = []
    for seq in seqs:
        if runs and seq == runs[-1][-1] + 1:
            runs[-1][1:] = [seq]
        else:
            runs.append([seq])
    return ", ".join(" to ".join(map(str, run)) for run in runs)
