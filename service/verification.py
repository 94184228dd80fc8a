"""Both logs verified from the stored bytes, and the tables compared with what was sealed."""

from __future__ import annotations

from dataclasses import dataclass

from explainer.core.decision import Actor
from explainer.errors import KeyMissing, LedgerError, StorageFailed
from explainer.ledger.log import LogName
from explainer.ledger.verify import Fault, Result, read_key, read_outside
from service.open_case import agreed_payload, sealed_decision
from service.permissions import Action, check_may
from service.store.cases import case_with_id, get_case, part_of_cases
from service.store.database import Reading, Store
from service.store.decisions import ListedRecord, records_between
from service.store.erasure import is_being_erased, of_unaccounted_state
from service.store.key_check import key_missing, lost_keys
from service.store.of_case import case_of_entry, sealed_and_not_linked
from service.store.records import open_entry, sealed_decisions
from service.store.sealed import Damaged, lost_for_good
from service.store.stored import EveryKey, verify_store
from service.wiring import Tools

PART = 100
"""Entries, or cases, that are looked at in one moment."""
DISAGREES = "The tables say something else than what was sealed, or that does not open."


def verify(actor: Actor, tools: Tools) -> list[Result]:
    """Verify both logs as anybody outside could, from the stored bytes."""
    check_may(actor, Action.VERIFY)
    return verify_files(tools)


def verify_files(tools: Tools) -> list[Result]:
    """Seal both heads, then run the offline verifier with the keys and witnesses beside them.

    Unlike anybody outside it has the keys: so payloads are opened, and the tables the pages are
    drawn from are compared with what was sealed.
    """
    tools.seals.now()
    data = tools.settings.data
    keys = [read_key(str(sealer.key)) for sealer in tools.seals.sealers.values()]
    folders = [data / "witness" / name.value for name in LogName]
    outside = read_outside([folder for folder in folders if any(folder.glob("*.note"))], keys)
    results = verify_store(tools.store, keys, outside, EveryKey(tools.store.keys))
    of = {result.log: result for result in results}
    ledger = LogName.LEDGER.value
    faults = [Fault(ledger, seq, DISAGREES) for seq in rows_that_disagree(tools.store)]
    end = max(of[ledger].size - 1, 0)  # what no entry is about
    faults += [Fault(ledger, end, str(one)) for one in cases_at_fault(tools.store)]
    faults += keys_at_fault(tools.store)
    for fault in faults:
        result = of[fault.log]
        result.faults.append(fault)
        if result.first_bad is None or fault.seq < result.first_bad.seq:
            result.first_bad = fault
    return results


def rows_that_disagree(store: Store) -> list[int]:
    """Entries of which the tables say something else than what was sealed, or nothing at all."""
    with store.reading() as tx:
        size = tx.log(LogName.LEDGER).head().size
    wrong: list[int] = []
    for first in range(0, max(size, 1), PART):
        # who writes has a turn in between; the last part goes on to whatever was added meanwhile
        end = first + PART if first + PART < size else None
        with store.reading() as tx:
            doubtful = _doubtful(tx, first, end)
        for seq in sorted(doubtful):
            with store.reading() as tx:  # what is erased meanwhile shows as that
                if seq in _doubtful(tx, seq, seq + 1) and not _goes(tx, seq):
                    wrong.append(seq)
    return wrong


def _doubtful(tx: Reading, first: int, end: int | None) -> set[int]:
    listed = records_between(tx, first, end)
    wrong = {one.seq for one in listed if not _agrees(tx, one)}
    lost = set(sealed_decisions(tx, first, end)) - {one.seq for one in listed}
    return wrong | lost | set(sealed_and_not_linked(tx, first, end))


def _agrees(tx: Reading, listed: ListedRecord) -> bool:
    try:
        agreed_payload(listed, open_entry(tx, LogName.LEDGER, listed.seq))
        file = get_case(tx, listed.row.case_id)
        if file is not None:
            sealed_decision(tx, file)
    except LedgerError:
        return False
    return True


def _goes(tx: Reading, seq: int) -> bool:
    case_id = case_of_entry(tx, seq)
    return case_id is not None and is_being_erased(tx, case_id)


@dataclass(frozen=True, slots=True)
class CaseFault:
    """What is wrong with the row of a case, where, and how to mend it."""

    case_id: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"The case {self.case_id}: {self.what} {self.mend}"


def cases_at_fault(store: Store) -> list[CaseFault]:
    """Cases that do not open, and those whose state nothing recorded accounts for: without a word
    they would be missing where cases are listed."""
    found: list[CaseFault] = []
    after: int | None = None
    while True:
        with store.reading() as tx:
            part = part_of_cases(tx, after, PART)
        for one in part.cases:
            if isinstance(one, Damaged):
                with store.reading() as tx:
                    again = case_with_id(tx, one.id)
                if isinstance(again, Damaged):
                    lost = isinstance(again.fault, KeyMissing | StorageFailed)
                    mend = lost_for_good(again.id) if lost else _PUT_BACK
                    found.append(CaseFault(again.id, again.fault.what, mend))
        if part.last is None:
            break
        after = part.last
    with store.reading() as tx:
        unaccounted = of_unaccounted_state(tx)
    for case_id, state in unaccounted:
        with store.reading() as tx:
            still = (case_id, state) in of_unaccounted_state(tx, case_id)
        if still:
            found.append(CaseFault(case_id, f"{_UNACCOUNTED} {state!r}.", _SET_BACK))
    return found


def keys_at_fault(store: Store) -> list[Fault]:
    """Lost keys that are of no case, each at the first entry under it. What is under the key of a
    case is named with the case."""
    lost = lost_keys(store)
    at = lost.of_no_case
    found = [] if at is None else [Fault(LogName.LEDGER.value, at, str(key_missing(at)))]
    access = LogName.ACCESS.value
    found += [Fault(access, one.seq, f"{one.what} {one.mend}") for one in lost.months]
    return found


_PUT_BACK = "Put the database back from a backup, or erase the case: `warum ledger erase`."
_UNACCOUNTED = "No erasure and no decision is recorded that accounts for its state"
_SET_BACK = "Somebody wrote that into the table: put the database back from a backup."
