"""Erasing a case: the entry first, then the key, then the rows. The tree stays whole.

Committing the entry before anything is destroyed means that an interruption leaves work to be
finished and never a loss nobody can account for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import ARRAY, Integer, cast, delete, func, literal, select, tuple_, update

from explainer.errors import RecordsDisagree
from explainer.ledger.entries import Entry, EntryKind, Leaf, Receipt
from explainer.ledger.log import LogName, case_key_name
from explainer.ledger.sealing import CaseKeys
from service.store import tables
from service.store.astray import intact
from service.store.cases import DECIDED, OPEN, CaseFile, case_with_id
from service.store.covered import covered_seqs, malformed_erasure, read_erasure
from service.store.database import Reading, Store, Transaction
from service.store.engine import empty_write_ahead_log, storage_errors
from service.store.of_case import OfCase, of_another, of_case, of_damaged
from service.store.sealed import ERASED, Damaged

PART = 500
"""Positions, or recorded erasures, that are asked about at a time."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What an erasure covers: positions in a log, and the keys that are to go."""

    seqs: frozenset[int]
    key_ids: frozenset[str]
    log: LogName = LogName.LEDGER


def covered_by_case(tx: Reading, case_id: str) -> Covered:
    """Everything the ledger holds about a case, whether its link is still there or not, and
    whether the case opens or not.

    Raises RecordsDisagree where the tables link an entry of another case to it, or name another
    case's key for it: the other case's key would be destroyed.
    """
    return _covered(tx, case_id, _entries(tx, case_id))


def entries_to_erase(tx: Reading, file: CaseFile | Damaged) -> OfCase:
    """The entries of a case, whether it opens or not.

    Raises as `of_damaged` does, and RecordsDisagree where one of them is as it was written and the
    case's own key does not open it: it is another case's, whatever the tables say. What is damaged
    is the case's if they say so.
    """
    found = of_damaged(tx, file) if isinstance(file, Damaged) else of_case(tx, file)
    own = None if found.key_id is None else tx.keys.get(found.key_id)
    if own is not None and not all(one.opens_with(own) for one in intact(tx, found.all)):
        raise of_another(file.id)
    return found


def _entries(tx: Reading, case_id: str) -> OfCase:
    file = case_with_id(tx, case_id)
    return OfCase({}, None, {}) if file is None else entries_to_erase(tx, file)


def _covered(tx: Reading, case_id: str, ours: OfCase) -> Covered:
    seqs = frozenset(ours.all)
    key_ids = _keys_of(tx, LogName.LEDGER, seqs)
    if key_ids - {ours.key_id}:
        raise RecordsDisagree(
            "The tables link an entry of another case to this one.",
            f"the case {case_id}",
            "Have the database examined; nothing was erased.",
        )
    # what was submitted is sealed under it as well, if nothing else is any more
    return Covered(seqs, key_ids if ours.key_id is None else frozenset({ours.key_id}))


@dataclass(frozen=True, slots=True)
class _AtItsEnd:
    """The keys of a store, with another one for a case whose own is lost."""

    case_ref: str
    others: CaseKeys

    def get_or_create(self, case_ref: str) -> tuple[str, bytes]:
        ours = case_ref == case_key_name(self.case_ref)
        return self.others.get_or_create(f"lost:{self.case_ref}" if ours else case_ref)


def record_end_without_key(tx: Transaction, case_id: str, ours: OfCase, entry: Entry) -> OfCase:
    """Record that a case ends whose key is lost and of which nothing was recorded: an erasure
    covers entries. It is sealed under a key that is made for it and goes with it."""
    if entry.kind is not EntryKind.FOLLOW_UP or entry.case_ref != case_id or ours.all:
        raise malformed_erasure(
            "The entry does not say that a case ends of which nothing was recorded."
        )
    receipt = tx.append(LogName.LEDGER, entry, _AtItsEnd(case_id, tx.keys))
    _link(tx, case_id, receipt.seq)
    return replace(ours, linked={receipt.seq: receipt.leaf})


def covered_by_lost_key(tx: Reading, case_id: str, ours: OfCase) -> Covered:
    """The entries of a case whose key is lost, and the names of its keys, the lost one among them:
    it is to go, too, should it be put back one day."""
    seqs = frozenset(ours.all)
    return Covered(seqs, _keys_of(tx, LogName.LEDGER, seqs) | {str(ours.key_id)})


def record_erasure(
    tx: Transaction, case_id: str, entry: Entry, lost: OfCase | None = None
) -> Receipt:
    """Record that a case is to be erased; `finish_erasures` does it after the commit.

    `entry` names legal basis, approvers (sealed) and in `seqs` every entry of the case: one key
    seals them all, so a part of a case cannot be erased alone. In `key_ids` it may name the keys
    that go, so that they go again where an older key store is put back. Its payload stays readable
    for everyone, so that a verifier can tell an erased payload from a stolen one.

    `lost` is what `of_lost_key` says of a case whose key is lost, with its end where that was
    recorded.
    """
    case = tables.case_file
    if entry.kind is not EntryKind.ERASURE:
        raise malformed_erasure(f"An entry of kind {entry.kind} does not record an erasure.")
    found = lost or _entries(tx, case_id)
    ours = covered_by_lost_key(tx, case_id, lost) if lost else _covered(tx, case_id, found)
    listed, named = entry.payload.get("seqs"), entry.payload.get("key_ids", ())
    if not isinstance(listed, list | tuple) or set(listed) != ours.seqs:
        raise malformed_erasure("The erasure does not list exactly the entries of the case.")
    if not isinstance(named, list | tuple) or not ours.key_ids.issuperset(named):
        raise malformed_erasure("The erasure names a key that is not the case's.")
    for seq in found.sealed.keys() - found.linked.keys():  # by its links its rows are found to go
        _link(tx, case_id, seq)
    tx.connection.execute(update(case).where(case.c.id == case_id).values(state=ERASED))
    return tx.append(LogName.LEDGER, entry)


def _link(tx: Transaction, case_id: str, seq: int) -> None:
    row = {"case_id": case_id, "log": LogName.LEDGER.value, "seq": seq}
    tx.connection.execute(tables.case_entry.insert(), row)


def how_many_before(tx: Reading, before: str) -> int:
    """How many cases, those being erased left out, were submitted before a day (YYYY-MM-DD).

    Opens none of them.
    """
    table = tables.case_file
    query = select(func.count()).where(table.c.submitted_at < before, table.c.state != ERASED)
    return int(tx.connection.execute(query).scalar_one())


def months_of_access(tx: Reading) -> dict[str, Covered]:
    """The months (YYYY-MM) the access log still has payloads of; each month has one key, or two
    where one of them is lost."""
    payload, access = tables.payload, LogName.ACCESS
    rows = tx.connection.execute(
        select(payload.c.key_id, payload.c.seq).where(payload.c.log == access.value)
    ).all()
    by_key: dict[str, set[int]] = {}
    for row in rows:
        by_key.setdefault(row.key_id, set()).add(row.seq)
    months: dict[str, Covered] = {}
    for key_id, seqs in by_key.items():
        month = Leaf.from_bytes(tx.log(access).leaf(min(seqs))).ts[:7]
        known = months.get(month, Covered(frozenset(), frozenset(), access))
        months[month] = Covered(known.seqs | seqs, known.key_ids | {key_id}, access)
    return months


def record_erasure_of_access(tx: Transaction, month: str, entry: Entry) -> Receipt:
    """Record that a month of the access log is to be erased; `finish_erasures` does it."""
    ours = months_of_access(tx).get(month)
    listed = entry.payload.get("seqs")
    if ours is None or not isinstance(listed, list | tuple) or set(listed) != ours.seqs:
        raise malformed_erasure("The erasure does not list exactly the entries of the month.")
    return tx.append(LogName.ACCESS, entry)


def finish_erasures(store: Store, just: Covered | None = None) -> int:
    """Do what recorded erasures demand and return how many were unfinished; repeatable.

    Run it at every start and after a backup was put back; after each erasure `just` for what that
    one covers, as looking through all that were ever recorded takes its time.
    """
    pending = _pending(store) if just is None else [just]
    for erasure in pending:
        for key_id in erasure.key_ids:
            store.keys.destroy(key_id)
        with storage_errors("an erasure"), store.exclusive() as tx:
            _delete_rows(tx, erasure)
    if store.file is not None:
        empty_write_ahead_log(store.engine)
    store.keys.empty_write_ahead_log()
    return len(pending)


def is_being_erased(tx: Reading, case_id: str) -> bool:
    """Whether a recorded erasure covers the case and is still to be carried out: everything that
    is linked to it is covered, and lies there sealed. That a row says so proves nothing."""
    link, payload = tables.case_entry, tables.payload
    rows = tx.connection.execute(
        select(link.c.seq, payload.c.key_id)
        .outerjoin(payload, (payload.c.log == link.c.log) & (payload.c.seq == link.c.seq))
        .where(link.c.case_id == case_id, link.c.log == LogName.LEDGER.value)
    ).all()
    covered = covered_seqs(tx, LogName.LEDGER) if rows else frozenset()
    return bool(rows) and all(row.key_id is not None and row.seq in covered for row in rows)


def of_unaccounted_state(tx: Reading, case_id: str | None = None) -> list[tuple[str, str]]:
    """Id and state of the cases, or of this one, that are in no list of open cases though nothing
    recorded accounts for that: no decision, and no erasure that is still to be carried out."""
    case, record = tables.case_file, tables.decision_record
    decided = select(record.c.case_id).where(record.c.case_id == case.c.id).exists()
    query = select(case.c.id, case.c.state).where(
        case.c.state != OPEN, ~((case.c.state == DECIDED) & decided)
    )
    query = query if case_id is None else query.where(case.c.id == case_id)
    rows = tx.connection.execute(query.order_by(case.c.arrival)).all()
    return [
        (row.id, row.state)
        for row in rows
        if row.state != ERASED or not is_being_erased(tx, row.id)
    ]


def _pending(store: Store) -> list[Covered]:
    """Part by part: who writes has a turn in between."""
    there, table = store.keys.names(), tables.opening
    order = (table.c.log, table.c.seq)
    query = part = select(table.c.log, table.c.seq, table.c.payload).order_by(*order).limit(PART)
    found: list[Covered] = []
    while True:
        with store.reading() as tx:
            rows = tx.connection.execute(part).all()
            for row in rows:
                seqs, named = read_erasure(row.payload)
                log = LogName(row.log)
                key_ids = _keys_of(tx, log, seqs) | there & named  # which an older store brings
                if key_ids or _linked(tx, log, seqs):
                    found.append(Covered(seqs, key_ids, log))
        if len(rows) < PART:
            return found
        last = (literal(rows[-1].log), literal(rows[-1].seq))
        part = query.where(tuple_(*order) > tuple_(*last))


def _parts(seqs: Iterable[int]) -> Iterator[list[int]]:
    """Positions, some at a time: a database takes only so many in one statement."""
    ordered = sorted(seqs)
    return (ordered[at : at + PART] for at in range(0, len(ordered), PART))


def _keys_of(tx: Reading, log: LogName, seqs: frozenset[int]) -> frozenset[str]:
    payload = tables.payload
    query = select(payload.c.key_id).where(payload.c.log == log.value).distinct()
    return frozenset(
        key_id
        for part in _parts(seqs)
        for key_id in tx.connection.execute(query.where(payload.c.seq.in_(part))).scalars()
    )


def _linked(tx: Reading, log: LogName, seqs: frozenset[int]) -> frozenset[str]:
    """The ids of the cases that are linked to one of these positions."""
    link = tables.case_entry
    query = select(link.c.case_id).where(link.c.log == log.value).distinct()
    return frozenset(
        case_id
        for part in _parts(seqs)
        for case_id in tx.connection.execute(query.where(link.c.seq.in_(part))).scalars()
    )


def _delete_rows(tx: Reading, erased: Covered) -> None:
    link, payload = tables.case_entry, tables.payload
    record, case, own = tables.decision_record, tables.case_file, tables.own_record
    run, log, seqs = tx.connection.execute, erased.log.value, erased.seqs
    ids = _linked(tx, erased.log, seqs)
    if tx.connection.dialect.name == "postgresql":
        # the owner's function, which asks whether a recorded erasure covers them
        run(select(func.erase_payloads(log, cast(sorted(seqs), ARRAY(Integer)))))
    for part in _parts(seqs):
        if tx.connection.dialect.name != "postgresql":
            run(delete(payload).where(payload.c.log == log, payload.c.seq.in_(part)))
        run(delete(link).where(link.c.log == log, link.c.seq.in_(part)))
        run(delete(own).where(own.c.log == log, own.c.seq.in_(part)))
    if erased.log is LogName.ACCESS:
        return  # that a case was looked up is forgotten, the case is not
    run(delete(link).where(link.c.case_id.in_(ids)))
    run(delete(record).where(record.c.case_id.in_(ids)))
    run(delete(case).where(case.c.id.in_(ids)))
