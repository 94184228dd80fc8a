"""Whether everything that is sealed has its key; asked at every start and after a restore."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import BindParameter, bindparam, func, select

from explainer.errors import KeyMissing, LedgerError, StorageFailed
from explainer.ledger.entries import Leaf
from explainer.ledger.log import LogName
from service.store import tables
from service.store.covered import covered_seqs
from service.store.database import Reading, Store
from service.store.keys import key_damaged
from service.store.sealed import ERASED, lost_for_good

PART = 500
"""Keys that are asked for at a time."""
NAMED = 5
"""Cases that an error names; `warum ledger verify` names all."""


@dataclass(frozen=True, slots=True)
class LostMonth:
    """A lost key of a month of the access log: no case hangs on it, and what it sealed, who looked
    something up in that month, can be read by nobody.

    Attributes
    ----------
    seq : the first entry of the access log under it that no erasure covers
    month : YYYY-MM, as that entry says; empty where it cannot be read
    damaged : whether it is there and does not open
    """

    key_id: str
    seq: int
    month: str
    damaged: bool

    @property
    def what(self) -> str:
        of = f"of the month {self.month}" if self.month else "of a month"
        return f"The key {of} of the access log is lost: nobody can read who looked something up."

    @property
    def mend(self) -> str:
        return (
            "If a copy of the key store has it, put that back before more is recorded. Else the "
            "entries stay as they are until retention erases the month."
        )


@dataclass(frozen=True, slots=True)
class LostKeys:
    """Keys that are not there, or do not open, though something is sealed under them and no
    erasure accounts for that.

    Attributes
    ----------
    cases : ids of the cases they are of, sorted
    there : how many cases have theirs
    of_no_case : position of the first entry of the ledger that is sealed under one of no case
    damaged : whether one of them, of a month left out, is there and does not open
    months : those of months of the access log; nothing has to stop for them
    opens : whether anything at all is sealed under a key that opens
    """

    cases: tuple[str, ...]
    there: int
    of_no_case: int | None
    damaged: bool
    months: tuple[LostMonth, ...] = ()
    opens: bool = True

    @property
    def any(self) -> bool:
        """Whether the records cannot be gone on with."""
        return bool(self.cases) or self.of_no_case is not None

    @property
    def few(self) -> bool:
        """Whether it can be the loss of single keys.

        What is under the system's key is of no case; and where more cases lost theirs than have it,
        the key store is another. An only case proves nothing, but what else opens does.
        """
        most = max(self.there, 1) if self.opens else self.there
        return self.of_no_case is None and len(self.cases) <= most


def lost_keys(store: Store) -> LostKeys:
    """Look for them, part by part.

    What an erasure takes away meanwhile is not among them: it was recorded before the key went, and
    what is recorded is read after the key was looked for; cases are looked at once more.
    """
    with store.reading() as tx:
        used = tx.connection.execute(select(tables.payload.c.key_id).distinct()).scalars().all()
    found: list[_Under] = []
    opens = False
    for at in range(0, len(used), PART):
        part = used[at : at + PART]
        keys = store.keys.several(part)
        gone = {key_id: key_id in keys for key_id in part if keys.get(key_id) is None}
        opens = opens or len(gone) < len(part)
        if gone:
            with store.reading() as tx:
                found += _sealed_under(tx, gone)
    with store.reading() as tx:
        total = tx.connection.execute(_CASES).scalar_one()
        bare = cases_without_key(tx)
        months = tuple(_month(tx, one) for one in found if one.of_month)
    if bare:
        with store.reading() as tx:
            bare &= cases_without_key(tx)
    cases = bare.union(one.case_id for one in found if one.case_id is not None)
    others = [one for one in found if not one.of_month]
    return LostKeys(
        tuple(sorted(cases)),
        total - len(cases),
        min((one.seq for one in others if one.case_id is None), default=None),
        any(one.damaged for one in others),
        months,
        opens,
    )


@dataclass(frozen=True, slots=True)
class _Under:
    """A lost key: the first entry of a log sealed under it that no erasure covers, and the case
    whose row names it."""

    key_id: str
    log: LogName
    seq: int
    case_id: str | None
    damaged: bool

    @property
    def of_month(self) -> bool:
        return self.log is LogName.ACCESS and self.case_id is None


def _sealed_under(tx: Reading, gone: Mapping[str, bool]) -> list[_Under]:
    covered = {name: covered_seqs(tx, name) for name in LogName}
    wanted = {"wanted": list(gone)}
    cases = {row.key_id: row.id for row in tx.connection.execute(_OF_KEYS, wanted)}
    first: dict[tuple[str, LogName], int] = {}
    for row in tx.connection.execute(_UNDER, wanted):
        log = LogName(row.log)
        if row.seq not in covered[log]:
            first.setdefault((row.key_id, log), row.seq)
    return [
        _Under(key_id, log, seq, cases.get(key_id), gone[key_id])
        for (key_id, log), seq in first.items()
    ]


def _month(tx: Reading, one: _Under) -> LostMonth:
    month = ""
    with suppress(LedgerError):  # what is no leaf any more is for the verifier to name
        month = Leaf.from_bytes(tx.log(LogName.ACCESS).leaf(one.seq)).ts[:7]
    return LostMonth(one.key_id, one.seq, month, one.damaged)


def check_keys(store: Store) -> tuple[LostMonth, ...]:
    """Raise KeyMissing unless every sealed payload of the ledger, and every case, has its key, and
    StorageFailed where one is there and does not open; return which months of the access log lost
    theirs, for which nothing has to stop.

    Erased payloads are gone together with their keys; whatever is left must open. Where single
    keys are lost, the error names their cases and the way out.
    """
    lost = lost_keys(store)
    if not lost.any:
        return lost.months
    check_few(lost)
    what, where, mend = _unopened(lost), _where(lost.cases), lost_for_good(_one_of(lost.cases))
    if lost.damaged:
        raise StorageFailed(key_damaged().what, where, mend)
    raise KeyMissing(what, where, mend)


def check_few(lost: LostKeys) -> None:
    """Raise KeyMissing, or StorageFailed, where more is lost than the keys of single cases: then
    the key store is not that of these records, or an older one, and nothing else helps."""
    if lost.few:
        return
    if lost.damaged:
        mend = "Put the key store and its wrap.key back from their newest backups."
        raise StorageFailed(key_damaged().what, "the key store", mend)
    if lost.of_no_case is not None:
        raise key_missing(lost.of_no_case)
    raise KeyMissing(
        _unopened(lost),
        f"the key store, which opens {lost.there}",
        "Put it back from its newest backup; nothing else can be done about so many.",
    )


def _unopened(lost: LostKeys) -> str:
    return f"No key opens {len(lost.cases)} of the cases, and no erasure accounts for that."


def _where(cases: Sequence[str]) -> str:
    named = ", ".join(cases[:NAMED])
    more = f" and {len(cases) - NAMED} more" if len(cases) > NAMED else ""
    return f"the key store; the cases with the ids {named}{more}"


def _one_of(cases: Sequence[str]) -> str:
    return cases[0] if len(cases) == 1 else "ID"


def keys_of_no_case(store: Store) -> frozenset[str]:
    """The names of keys made for a case that no case is under, and nothing that was recorded.

    A submission that broke off leaves one behind, which serves where the case is submitted again.
    So does a case that was taken out of the tables before anybody saw it: nothing else tells of it.
    """
    left = _of_no_case(store)
    return left & _of_no_case(store) if left else left  # one may have been about to be used


def _of_no_case(store: Store) -> frozenset[str]:
    there = store.keys.names_of_cases()
    with store.reading() as tx:
        used = [
            tx.connection.execute(select(table.c.key_id).distinct()).scalars().all()
            for table in (tables.case_file, tables.payload)
        ]
    return there.difference(*used)


def cases_without_key(tx: Reading) -> frozenset[str]:
    """The ids of the cases, those being erased left out, of which no key is there."""
    table = tables.case_file
    rows = tx.connection.execute(select(table.c.id, table.c.key_id).where(table.c.state != ERASED))
    used = {row.id: row.key_id for row in rows}  # before the keys, which come before their case
    there = tx.keys.names()
    return frozenset(case_id for case_id, key_id in used.items() if key_id not in there)


def key_missing(seq: int) -> KeyMissing:
    """What is raised for an entry whose key is gone."""
    return KeyMissing(
        what="A sealed record is there, its key is not, and no erasure accounts for that.",
        where=f"entry {seq}",
        mend="Put the key store back from its backup; nothing can be read without it.",
    )


# made once, as they are asked for each part
_SEALED, _CASE = tables.payload, tables.case_file
_WANTED: BindParameter[str] = bindparam("wanted", expanding=True)
_UNDER = (
    select(_SEALED.c.log, _SEALED.c.seq, _SEALED.c.key_id)
    .where(_SEALED.c.key_id.in_(_WANTED))
    .order_by(_SEALED.c.seq)
)
_OF_KEYS = select(_CASE.c.key_id, _CASE.c.id).where(_CASE.c.key_id.in_(_WANTED))
_CASES = select(func.count()).where(_CASE.c.state != ERASED)
