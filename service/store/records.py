"""What was shown, decided and looked up: recorded by an entry, opened again with its key.

Every function that changes what was shown or decided takes its `Entry`, and writes it in the same
transaction; a test reads these signatures.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import NoReturn

from sqlalchemy import bindparam, select

from explainer.core.days import recorded_day
from explainer.errors import (
    CaseNotFound,
    EntryMalformed,
    IdempotencyConflict,
)
from explainer.ledger.entries import Entry, EntryKind, Json, Leaf, Receipt, parse_canonical
from explainer.ledger.log import LogName, case_key_name, idempotency_hash
from explainer.ledger.sealing import CaseKeys, open_payload
from service.store import tables
from service.store.cases import DECIDED, get_case
from service.store.database import Reading, Transaction
from service.store.decisions import DecisionRow, ListedRecord, find_record
from service.store.key_check import key_missing
from service.store.of_case import of_case
from service.store.own import remember
from service.store.sealed import ERASED


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """One entry with its payload; None where the payload was erased."""

    log: LogName
    leaf: Leaf
    receipt: Receipt
    payload: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A decision, with everything that was recorded about it."""

    listed: ListedRecord
    entry: OpenedEntry


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request with this idempotency key was answered before."""

    log: LogName
    receipt: Receipt
    record_id: str | None


# -- recording ----------------------------------------------------------------------------------


def record_shown(
    tx: Transaction, case_id: str, entry: Entry, *, body: bytes | None = None
) -> Receipt:
    """Record what was shown about a case."""
    return _record(tx, LogName.LEDGER, entry, {EntryKind.SHOWN}, case_id=case_id, body=body)


def add_decision(
    tx: Transaction,
    row: DecisionRow,
    entry: Entry,
    *,
    body: bytes | None = None,
    by: str | None = None,
) -> Receipt:
    """Record a decision and mark its case as decided.

    `body` is the request, for `replay`; `by` is who recorded it, and finds it again.
    """
    if not 1 <= len(row.codes) <= 3:
        _malformed("A decision has one to three codes.")
    receipt = _record(
        tx,
        LogName.LEDGER,
        entry,
        {EntryKind.DECISION},
        case_id=row.case_id,
        body=body,
        record_id=row.record_id,
    )
    values = {**asdict(row), "codes": json.dumps(row.codes)}
    place = {"log": LogName.LEDGER.value, "seq": receipt.seq}
    tx.connection.execute(_RECORD, {**values, **place})
    tx.connection.execute(_DECIDED, {"decided": row.case_id})
    if by is not None:
        remember(tx, receipt.seq, by)
    return receipt


def record_follow_up(
    tx: Transaction, case_id: str, entry: Entry, *, body: bytes | None = None
) -> Receipt:
    """Record what happened later: a correction is an entry of its own, nothing is changed."""
    return _record(tx, LogName.LEDGER, entry, {EntryKind.FOLLOW_UP}, case_id=case_id, body=body)


def record_end(tx: Transaction, case_id: str, entry: Entry) -> Receipt:
    """Record that a case ends whose number nobody can read any more: sealed under the key its row
    names."""
    return _record(tx, LogName.LEDGER, entry, {EntryKind.FOLLOW_UP}, case_id=case_id, unread=True)


def record_system(tx: Transaction, entry: Entry) -> Receipt:
    """Record what concerns no case: packages, rules, keys, a restored backup, the last entry."""
    allowed = {
        EntryKind.MODEL,
        EntryKind.POLICY,
        EntryKind.KEYS,
        EntryKind.RESTORE,
        EntryKind.CLOSED,
    }
    return _record(tx, LogName.LEDGER, entry, allowed)


def record_access(
    tx: Transaction, entry: Entry, *, case_id: str | None = None, body: bytes | None = None
) -> Receipt:
    """Record in the access log that something was read, resolved or exported."""
    allowed = {EntryKind.ACCESS, EntryKind.RESOLVE, EntryKind.EXPORT}
    return _record(tx, LogName.ACCESS, entry, allowed, case_id=case_id, body=body)


def replay(tx: Transaction, key: str, body: bytes) -> Answer | None:
    """Return what this request was answered before, or None if it is new.

    "Not acknowledged but committed" happens whenever a connection breaks after the commit.
    Another body under the same key is refused (IdempotencyConflict).
    """
    table = tables.idempotency
    row = tx.connection.execute(
        select(table).where(table.c.key_hash == idempotency_hash(key))
    ).one_or_none()
    if row is None:
        return None
    if not hmac.compare_digest(row.body_mac, tx.keys.body_mac(body)):
        raise IdempotencyConflict(
            what="This form was sent before with other content.",
            where="the request",
            mend="Open the page again and fill it in anew.",
        )
    log = LogName(row.log)
    return Answer(log, open_entry(tx, log, row.seq).receipt, row.record_id)


@dataclass(frozen=True, slots=True)
class _InHand:
    """The keys of a store, one of which was looked up already."""

    name: str
    key: tuple[str, bytes]
    others: CaseKeys

    def get_or_create(self, case_ref: str) -> tuple[str, bytes]:
        return self.key if case_ref == self.name else self.others.get_or_create(case_ref)


def _record(
    tx: Transaction,
    log: LogName,
    entry: Entry,
    allowed: set[EntryKind],
    *,
    case_id: str | None = None,
    body: bytes | None = None,
    record_id: str | None = None,
    unread: bool = False,
) -> Receipt:
    """Append `entry`, and tie it to its case and its request, all in this transaction."""
    if entry.kind not in allowed:
        _malformed(f"An entry of kind {entry.kind} does not record this.")
    if (entry.idempotency_key is None) != (body is None):
        _malformed("Idempotency key and request body come together or not at all.")
    keys: CaseKeys = tx.keys
    if case_id is not None and log is LogName.LEDGER:
        keys = _InHand(*_key_of_case(tx, case_id, entry, unread=unread), tx.keys)
    receipt = tx.append(log, entry, keys)
    place = {"log": log.value, "seq": receipt.seq}
    if case_id is not None:
        tx.connection.execute(_LINK, {"case_id": case_id, **place})
    if body is not None:
        asked = {
            "key_hash": idempotency_hash(entry.idempotency_key),
            "body_mac": tx.keys.body_mac(body),
            "record_id": record_id,
        }
        tx.connection.execute(_ASKED, {**asked, **place})
    return receipt


def _key_of_case(
    tx: Reading, case_id: str, entry: Entry, *, unread: bool
) -> tuple[str, tuple[str, bytes]]:
    """The name the entry's key is asked for by, and the key of the case."""
    case = tx.connection.execute(_ABOUT, {"wanted": case_id}).one_or_none()
    name = None if entry.case_ref is None else case_key_name(entry.case_ref)
    key = None if name is None else tx.keys.key_of(name)
    if unread and case is not None and name is not None:
        found = tx.keys.get(case.key_id)
        key = None if found is None else (case.key_id, found)
    # by its key, which the entry is sealed under as well: so nothing has to be opened
    if case is None or name is None or key is None or case.key_id != key[0]:
        _malformed("The entry is not about this case.")
    if case.state == ERASED:
        _malformed("The case is being erased; nothing can be added to it.")
    return name, key


# made once: making a statement anew takes longer than the database does
_LINK, _ASKED, _RECORD = (
    table.insert() for table in (tables.case_entry, tables.idempotency, tables.decision_record)
)
_ABOUT = select(tables.case_file.c.key_id, tables.case_file.c.state).where(
    tables.case_file.c.id == bindparam("wanted")
)
_DECIDED = (
    tables.case_file.update()
    .where(tables.case_file.c.id == bindparam("decided"))
    .values(state=DECIDED)
)


# -- opening ------------------------------------------------------------------------------------


def get_record(tx: Reading, record_id: str) -> OpenedRecord:
    """Return one decision with its opened payload; raises CaseNotFound."""
    listed = find_record(tx, record_id)
    if listed is None:
        raise CaseNotFound(
            what="There is no such record.",
            where="the records",
            mend="Look it up by its case number.",
        )
    return OpenedRecord(listed, open_entry(tx, LogName.LEDGER, listed.seq))


def entries_of_case(
    tx: Reading, case_id: str, kind: EntryKind | None = None
) -> tuple[OpenedEntry, ...]:
    """Return what the ledger holds about a case, oldest first, with opened payloads.

    There is nothing about one that is not there. With `kind` nothing else is opened: a case that
    was looked at often has many entries.
    """
    file = get_case(tx, case_id)
    return () if file is None else open_entries(tx, of_case(tx, file).all, kind)


def open_entries(
    tx: Reading, leaves: Mapping[int, object], kind: EntryKind | None = None
) -> tuple[OpenedEntry, ...]:
    """Return the entries at these positions of the ledger, with `kind` only those; `leaves` are
    theirs as they are stored."""
    opened = (
        open_entry(tx, LogName.LEDGER, seq)
        for seq, leaf in leaves.items()
        # what is no leaf any more is opened too, and named as what it is
        if kind is None or not isinstance(leaf, bytes) or _is(leaf, kind)
    )
    return tuple(one for one in opened if kind is None or one.leaf.type == kind)


def is_place(given: str) -> bool:
    """Whether this can be the position of an entry: PostgreSQL keeps it in four bytes."""
    return given.isascii() and given.isdigit() and len(given) <= 10 and int(given) < 2**31


def entry_of_case(tx: Reading, case_id: str, place: str) -> OpenedEntry | None:
    """Return the entry at this position of the ledger if it is about this case."""
    table = tables.case_entry
    if not is_place(place):
        return None
    found = tx.connection.execute(
        select(table.c.seq).where(
            table.c.case_id == case_id,
            table.c.log == LogName.LEDGER.value,
            table.c.seq == int(place),
        )
    ).one_or_none()
    return None if found is None else open_entry(tx, LogName.LEDGER, found.seq)


def open_entry(tx: Reading, log: LogName, seq: int) -> OpenedEntry:
    """Return one entry; the payload is checked against its leaf before anyone reads it."""
    record = tx.log(log).read(seq)
    leaf = Leaf.from_bytes(record.leaf)
    payload: Mapping[str, Json] | None = None
    key = None if record.envelope is None else tx.keys.get(record.envelope.key_id)
    if record.envelope is not None and key is None:
        raise key_missing(seq)
    if record.envelope is not None and key is not None:
        value = parse_canonical(open_payload(record.envelope, key, leaf))
        if not isinstance(value, Mapping):
            _malformed("A payload is not an object.")
        payload = value
    salt = None if payload is None else payload.get("told_salt")
    told_salt = bytes.fromhex(salt) if isinstance(salt, str) else None
    return OpenedEntry(log, leaf, Receipt(seq, record.leaf_hash, record.leaf, told_salt), payload)


def sealed_decisions(tx: Reading, first: int, end: int | None) -> list[int]:
    """Return the positions, of [first, end), of the decisions whose payload was not erased."""
    entry, sealed = tables.entry, tables.payload
    query = (
        select(entry.c.seq, entry.c.leaf)
        .join(sealed, (sealed.c.log == entry.c.log) & (sealed.c.seq == entry.c.seq))
        .where(entry.c.log == LogName.LEDGER.value, entry.c.seq >= first)
    )
    query = query if end is None else query.where(entry.c.seq < end)
    found = tx.connection.execute(query.order_by(entry.c.seq))
    return [row.seq for row in found if _is(row.leaf, EntryKind.DECISION)]


def _is(leaf: object, kind: EntryKind) -> bool:
    # the exact bytes of a leaf are canonical, so its type is spelled in one way only; a leaf that
    # is no bytes any more is for the verifier to name
    return isinstance(leaf, bytes) and f'"type":"{kind}"'.encode() in leaf


def decisions_among(entries: Mapping[int, object]) -> list[int]:
    """Return the positions of the decisions among leaves as they are stored, in their order."""
    return [seq for seq, leaf in entries.items() if _is(leaf, EntryKind.DECISION)]


def decided_day(payload: Mapping[str, Json]) -> date:
    """The day it was decided; of one entered afterwards not the day it was entered."""
    on_paper = payload.get("entered_afterwards")
    if on_paper is not None:
        return date.fromisoformat(str(on_paper))
    return recorded_day(str(payload["created_at"]))


def last_admitted(tx: Reading, package_id: str) -> str | None:
    """Return the digest of the package of this id that came into force last."""
    # the exact bytes of a leaf are canonical, so its type is spelled in one way only
    leaves = enumerate(tx.log(LogName.LEDGER).leaves())
    found = None
    for seq in [seq for seq, leaf in leaves if b'"type":"model"' in leaf]:
        opened = open_entry(tx, LogName.LEDGER, seq)
        if opened.payload is not None and opened.payload.get("package") == package_id:
            found = opened.leaf.model
    return found


def admitted_digests(tx: Reading, begin: int = 0) -> frozenset[str]:
    """Return the digests of the packages that came into force, from this position on.

    Reads every leaf from there: some 2 µs each.
    """
    leaves = tx.log(LogName.LEDGER).leaves(begin)
    made = (Leaf.from_bytes(leaf).model for leaf in leaves if b'"type":"model"' in leaf)
    return frozenset(digest for digest in made if digest is not None)


def last_policy(tx: Reading, policy: str) -> Mapping[str, Json] | None:
    """Return the rules of this policy as they were recorded last."""
    leaves = enumerate(tx.log(LogName.LEDGER).leaves())
    for seq in reversed([seq for seq, leaf in leaves if b'"type":"policy"' in leaf]):
        said = open_entry(tx, LogName.LEDGER, seq).payload or {}
        rules = said.get("rules")
        if said.get("policy") == policy and isinstance(rules, Mapping):
            return rules
    return None


def _malformed(what: str) -> NoReturn:
    raise EntryMalformed(what=what, where="the store", mend="This is a fault of the program.")
