"""`append`: the one way into a log, for the ledger and the access log alike.

The store runs it inside the transaction of the change it vouches for. Only after that
transaction has committed may anybody be told that something was recorded.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NoReturn, Protocol

from explainer.errors import EntryMalformed
from explainer.ledger.entries import (
    Entry,
    EntryKind,
    Envelope,
    Leaf,
    Receipt,
    canonical,
    minute,
)
from explainer.ledger.sealing import (
    SALT_BYTES,
    CaseKeys,
    Entropy,
    seal_payload,
    told_commitment,
)
from explainer.ledger.tree import Range, leaf_hash

CLOCK_TOLERANCE = timedelta(seconds=2)
SYSTEM_KEY = "system"


class LogName(StrEnum):
    """Two logs with different purposes, readers and retention; same code, other origin."""

    LEDGER = "ledger"
    ACCESS = "access"


_BOTH = frozenset(
    {
        EntryKind.ERASURE,
        EntryKind.KEYS,
        EntryKind.RESTORE,
        EntryKind.CLOCK,
        EntryKind.CLOSED,
    }
)
_ACCESS_ONLY = frozenset({EntryKind.ACCESS, EntryKind.RESOLVE, EntryKind.EXPORT})

KINDS: dict[LogName, frozenset[EntryKind]] = {
    LogName.LEDGER: frozenset(EntryKind) - _ACCESS_ONLY,
    LogName.ACCESS: _ACCESS_ONLY | _BOTH,
}


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log stands. `last_clock` is overwritten by each append: no history of seconds."""

    edge: Range
    last_clock: datetime | None

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return self.edge.size


@dataclass(frozen=True, slots=True)
class Opening:
    """Salt and payload of an entry whose content everyone may read: erasures.

    Without it nobody could tell an erased payload from a stolen one without holding a key.
    """

    salt: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One entry as stored. `envelope` is None once the payload was erased."""

    seq: int
    leaf: bytes
    leaf_hash: bytes
    envelope: Envelope | None
    opening: Opening | None = None


class LogStore(Protocol):
    """What a storage has to offer, within one running transaction."""

    @property
    def name(self) -> LogName:
        """Which of the two logs this is."""

    def last(self) -> tuple[Head, bytes | None]:
        """Return the head, locked until the transaction ends: no one else may append; and the leaf
        of the last entry, None where there is none. Raises EntryMalformed where it is missing."""

    def append(self, record: Record, head: Head) -> None:
        """Store `record` and overwrite the head."""


def append(
    store: LogStore,
    entry: Entry,
    *,
    keys: CaseKeys,
    now: datetime,
    tenant: str,
    ts_source: str = "system",
    entropy: Entropy = os.urandom,
) -> Receipt:
    """Write `entry` at the end of the log; it counts once the transaction has committed.

    A clock that stepped back by more than two seconds is recorded first, and blocks nothing:
    the order of entries is their position, never their time.
    """
    _check_kind(store.name, entry)
    minute(now)  # refuses a time without zone before anything is locked
    head, last = store.last()
    if last is not None and Leaf.from_bytes(last).type == EntryKind.CLOSED:
        _refuse("The log is closed; nothing can be added.", "Open a new log.")
    write = _Writer(store, keys, now, tenant, ts_source, entropy)
    if head.last_clock is not None and now < head.last_clock - CLOCK_TOLERANCE:
        step = Entry(EntryKind.CLOCK, {"from": minute(head.last_clock), "to": minute(now)})
        head, _ = write(head, step)
    _, receipt = write(head, entry)
    return receipt


@dataclass(frozen=True, slots=True)
class _Writer:
    store: LogStore
    keys: CaseKeys
    now: datetime
    tenant: str
    ts_source: str
    entropy: Entropy

    def __call__(self, head: Head, entry: Entry) -> tuple[Head, Receipt]:
        seq, ts = head.size, minute(self.now)
        payload, told, told_salt = dict(entry.payload), None, None
        if entry.told is not None:
            told_salt = self.entropy(SALT_BYTES)
            told = told_commitment(told_salt, entry.told)
            payload["told_salt"] = told_salt.hex()
        plain = canonical(payload)
        key_id, key = self.keys.get_or_create(_key_name(self.store.name, entry, ts))
        sealed = seal_payload(
            plain,
            key_id,
            key,
            seq=seq,
            kind=entry.kind,
            tenant=self.tenant,
            entropy=self.entropy,
        )
        leaf = Leaf(
            v=1,
            seq=seq,
            type=entry.kind.value,
            ts=ts,
            ts_source=self.ts_source,
            tenant=self.tenant,
            model=entry.model,
            explainer=entry.explainer,
            commit=sealed.commit,
            ct=sealed.ct,
            told=told,
            idem=idempotency_hash(entry.idempotency_key),
        ).to_bytes()
        record = Record(
            seq=seq,
            leaf=leaf,
            leaf_hash=leaf_hash(leaf),
            envelope=sealed.envelope,
            opening=Opening(sealed.salt, plain) if entry.kind is EntryKind.ERASURE else None,
        )
        after = replace(
            head,
            edge=head.edge.append(record.leaf_hash),
            last_clock=self.now.astimezone(UTC).replace(microsecond=0),
        )
        self.store.append(record, after)
        return after, Receipt(seq, record.leaf_hash, leaf, told_salt)


def idempotency_hash(key: str | None) -> str | None:
    """Return SHA-256 of a request's random key; harmless only because the key is random."""
    return None if key is None else hashlib.sha256(key.encode()).hexdigest()


def _key_name(log: LogName, entry: Entry, ts: str) -> str:
    """Name the key: one per case, and one per month for access, which is kept for a year."""
    if log is LogName.ACCESS:
        return f"access:{ts[:7]}"
    if entry.case_ref is None or entry.kind is EntryKind.ERASURE:  # it outlives what it erases
        return SYSTEM_KEY
    return case_key_name(entry.case_ref)


def case_key_name(case_ref: str) -> str:
    """Return under which name the key store knows the key of a case."""
    return f"case:{case_ref}"


def _check_kind(log: LogName, entry: Entry) -> None:
    if entry.kind not in KINDS[log]:
        _refuse(f"An entry of kind {entry.kind} does not belong here.", "Use the other log.")
    if entry.kind is EntryKind.ERASURE and not _covers_something(entry.payload.get("seqs")):
        _refuse("An erasure does not say which entries it covers.", "List them in `seqs`.")


def _covers_something(seqs: object) -> bool:
    return (
        isinstance(seqs, list | tuple)
        and bool(seqs)
        and all(isinstance(seq, int) and not isinstance(seq, bool) and seq >= 0 for seq in seqs)
    )


def _refuse(what: str, mend: str) -> NoReturn:
    raise EntryMalformed(what=what, where="the log", mend=mend)
