"""Erasing a case: the entry first, then the key, then the rows. The tree stays whole.

Committing the entry before anything is destroyed means that an interruption leaves work to be
finished and never a loss nobody can account for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from sqlalchemy import ARRAY, Integer, cast, delete, func, select, update

from explainer.errors import EntryMalformed, RecordsDisagree
from explainer.ledger.entries import Entry, EntryKind, Leaf, Receipt, parse_canonical
from explainer.ledger.log import LogName
from service.store import tables
from service.store.cases import ERASED
from service.store.database import Reading, Store, Transaction
from service.store.engine import empty_write_ahead_log, storage_errors
from service.store.of_case import of_case


@dataclass(frozen=True, slots=True)
class Covered:
    """What an erasure covers: positions in a log, and the keys that are to go."""

    seqs: frozenset[int]
    key_ids: frozenset[str]
    log: LogName = LogName.LEDGER


def covered_by_case(tx: Reading, case_id: str) -> Covered:
    """Everything the ledger holds about a case, whether its link is still there or not.

    Raises RecordsDisagree where the tables link an entry of another case to it: the other case's
    key would be destroyed.
    """
    ours = of_case(tx, case_id)
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


def record_erasure(tx: Transaction, case_id: str, entry: Entry) -> Receipt:
    """Record that a case is to be erased; `finish_erasures` does it after the commit.

    `entry` names legal basis, approvers (sealed) and in `seqs` every entry of the case: one key
    seals them all, so a part of a case cannot be erased alone. In `key_ids` it may name the keys
    that go, so that they go again where an older key store is put back. Its payload stays readable
    for everyone, so that a verifier can tell an erased payload from a stolen one.
    """
    case = tables.case_file
    if entry.kind is not EntryKind.ERASURE:
        _malformed(f"An entry of kind {entry.kind} does not record an erasure.")
    ours = covered_by_case(tx, case_id)
    listed, named = entry.payload.get("seqs"), entry.payload.get("key_ids", ())
    if not isinstance(listed, list | tuple) or set(listed) != ours.seqs:
        _malformed("The erasure does not list exactly the entries of the case.")
    if not isinstance(named, list | tuple) or not ours.key_ids.issuperset(named):
        _malformed("The erasure names a key that is not the case's.")
    found = of_case(tx, case_id)
    for seq in found.sealed.keys() - found.linked.keys():  # by its links its rows are found to go
        tx.connection.execute(
            tables.case_entry.insert().values(case_id=case_id, log=LogName.LEDGER.value, seq=seq)
        )
    tx.connection.execute(update(case).where(case.c.id == case_id).values(state=ERASED))
    return tx.append(LogName.LEDGER, entry)


def months_of_access(tx: Reading) -> dict[str, Covered]:
    """The months (YYYY-MM) the access log still has payloads of; each month has one key."""
    payload, access = tables.payload, LogName.ACCESS
    rows = tx.connection.execute(
        select(payload.c.key_id, payload.c.seq).where(payload.c.log == access.value)
    ).all()
    by_key: dict[str, set[int]] = {}
    for row in rows:
        by_key.setdefault(row.key_id, set()).add(row.seq)
    months = {}
    for key_id, seqs in by_key.items():
        first = Leaf.from_bytes(tx.log(access).leaf(min(seqs)))
        months[first.ts[:7]] = Covered(frozenset(seqs), frozenset({key_id}), access)
    return months


def record_erasure_of_access(tx: Transaction, month: str, entry: Entry) -> Receipt:
    """Record that a month of the access log is to be erased; `finish_erasures` does it."""
    ours = months_of_access(tx).get(month)
    listed = entry.payload.get("seqs")
    if ours is None or not isinstance(listed, list | tuple) or set(listed) != ours.seqs:
        _malformed("The erasure does not list exactly the entries of the month.")
    return tx.append(LogName.ACCESS, entry)


def finish_erasures(store: Store) -> int:
    """Do what recorded erasures demand and return how many were unfinished; repeatable.

    Run it after each erasure, at every start, and after a backup was put back.
    """
    with store.reading() as reading:
        pending = list(_pending(reading))
    for erasure in pending:
        for key_id in erasure.key_ids:
            store.keys.destroy(key_id)
        with storage_errors("an erasure"), store.exclusive() as tx:
            _delete_rows(tx, erasure)
    if store.file is not None:
        empty_write_ahead_log(store.engine)
    store.keys.empty_write_ahead_log()
    return len(pending)


def _pending(tx: Reading) -> Iterator[Covered]:
    opening, link = tables.opening, tables.case_entry
    rows = tx.connection.execute(select(opening.c.log, opening.c.payload)).all()
    there = tx.keys.names()
    for row in rows:
        value, log = parse_canonical(row.payload), LogName(row.log)
        listed = value.get("seqs") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(listed, list):
            _malformed("An erasure does not say what it covers.")
        seqs = frozenset(listed)
        named = value.get("key_ids")
        come_back = there.intersection(named if isinstance(named, list) else ())
        key_ids = _keys_of(tx, log, seqs) | come_back
        links = tx.connection.execute(
            select(link.c.seq).where(link.c.log == log.value, link.c.seq.in_(seqs))
        ).first()
        if key_ids or links is not None:
            yield Covered(seqs, key_ids, log)


def _keys_of(tx: Reading, log: LogName, seqs: frozenset[int]) -> frozenset[str]:
    payload = tables.payload
    found = tx.connection.execute(
        select(payload.c.key_id).where(payload.c.log == log.value, payload.c.seq.in_(seqs))
    ).scalars()
    return frozenset(found.all())


def _delete_rows(tx: Reading, erased: Covered) -> None:
    link, payload = tables.case_entry, tables.payload
    record, case, own = tables.decision_record, tables.case_file, tables.own_record
    run, log, seqs = tx.connection.execute, erased.log.value, erased.seqs
    linked = (link.c.log == log) & link.c.seq.in_(seqs)
    ids = list(run(select(link.c.case_id).where(linked).distinct()).scalars().all())
    if tx.connection.dialect.name == "postgresql":
        # the owner's function, which asks whether a recorded erasure covers them
        run(select(func.erase_payloads(log, cast(sorted(seqs), ARRAY(Integer)))))
    else:
        run(delete(payload).where(payload.c.log == log, payload.c.seq.in_(seqs)))
    run(delete(link).where(linked))
    run(delete(own).where(own.c.log == log, own.c.seq.in_(seqs)))
    if erased.log is LogName.ACCESS:
        return  # that a case was looked up is forgotten, the case is not
    run(delete(link).where(link.c.case_id.in_(ids)))
    run(delete(record).where(record.c.case_id.in_(ids)))
    run(delete(case).where(case.c.id.in_(ids)))


def _malformed(what: str) -> NoReturn:
    raise EntryMalformed(
        what=what, where="an erasure", mend="List the entries of one whole case and try again."
    )
