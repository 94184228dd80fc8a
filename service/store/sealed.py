"""Number and values of a case as they lie sealed in its row, and rows that do not open."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Row

from explainer.errors import KeyMissing, LedgerError, RecordsDisagree
from explainer.ledger.sealing import NONCE_BYTES
from service.store.database import Reading
from service.store.keys import key_damaged

ERASED = "erased"
"""State of a case until its recorded erasure is carried out."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A case that cannot be read: what its row says in clear, and what reading it raises.

    Attributes
    ----------
    case_ref : None where the row does not open and it was not found by its number
    key_id : as the row says; where the row does not open it is not certain that it is its key
    """

    id: str
    case_ref: str | None
    key_id: str
    unit: str
    submitted_at: str
    state: str
    fault: LedgerError


@dataclass(frozen=True, slots=True)
class Opened:
    """The row of a case, with the number and the values that were sealed in it."""

    row: Row[Any]
    case_ref: str
    values_json: str


def seal(case_id: str, case_ref: str, values_json: str, key: bytes) -> bytes:
    """Return number and values of a case, sealed for its row and for no other."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    plain = json.dumps([case_ref, values_json]).encode()
    return nonce + AESGCM(key).encrypt(nonce, plain, case_id.encode())


def unseal(case_id: str, sealed: bytes, key: bytes | None) -> tuple[str, str] | None:
    """Number and values; None where they do not open."""
    try:
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        case_ref, values = json.loads(AESGCM(key or b"").decrypt(nonce, rest, case_id.encode()))
    except (InvalidTag, ValueError, TypeError):  # SQLite keeps anything in any column
        return None
    return case_ref, values


def open_rows(tx: Reading, rows: Sequence[Row[Any]]) -> Iterator[Opened | Damaged]:
    """Open rows of cases; one that is being erased is left out once its key is gone."""
    keys = tx.keys.several(row.key_id for row in rows)
    for row in rows:
        if row.key_id not in keys:
            if row.state != ERASED:
                yield damaged(row, key_missing(row.id))
            continue
        key = keys[row.key_id]
        found = unseal(row.id, row.sealed, key)
        if found is not None:
            yield Opened(row, *found)
        else:
            yield damaged(row, key_damaged() if key is None else _not_what_was_sealed(row.id))


def damaged(row: Row[Any], fault: LedgerError, case_ref: str | None = None) -> Damaged:
    """What a row says in clear."""
    return Damaged(row.id, case_ref, row.key_id, row.unit, row.submitted_at, row.state, fault)


def key_missing(case_id: str) -> KeyMissing:
    """What is raised for a case whose key is gone."""
    return KeyMissing(
        what="A case is there, its key is not, and no erasure accounts for that.",
        where=f"the case {case_id}",
        mend=lost_for_good(case_id),
    )


def lost_for_good(case_id: str) -> str:
    """What to do about a case whose key is lost."""
    return (
        "Put the key store back from a backup that has it: then the case can be read again. Where "
        f"no copy has it any more, erase the case: `warum ledger erase {case_id} --key-lost`."
    )


def _not_what_was_sealed(case_id: str) -> RecordsDisagree:
    return RecordsDisagree(
        "Number and values of a case are not what was sealed.",
        f"the case {case_id}",
        "Have the database examined; `warum ledger verify` checks the sealed records.",
    )
