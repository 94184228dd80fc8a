"""Both logs verified from the stored bytes, and the tables compared with what was sealed."""

from __future__ import annotations

from explainer.core.decision import Actor
from explainer.errors import LedgerError
from explainer.ledger.log import LogName
from explainer.ledger.verify import Fault, Result, read_key, read_outside
from service.open_case import agreed_payload, sealed_decision
from service.permissions import Action, check_may
from service.store.cases import ListedRecord, RecordFilter, get_case, list_records
from service.store.database import Reading, Store
from service.store.of_case import sealed_and_not_linked
from service.store.records import open_entry, sealed_decisions
from service.store.stored import verify_store
from service.wiring import Tools


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
    results = verify_store(tools.store, keys, outside, tools.store.keys.all())
    ledger = next(result for result in results if result.log == LogName.LEDGER.value)
    for seq in rows_that_disagree(tools.store):
        fault = Fault(ledger.log, seq, "The tables say something else than what was sealed.")
        ledger.faults.append(fault)
        if ledger.first_bad is None or seq < ledger.first_bad.seq:
            ledger.first_bad = fault
    return results


def rows_that_disagree(store: Store) -> list[int]:
    """Entries of which the tables say something else than what was sealed, or nothing at all."""
    with store.reading() as tx:
        wrong, listed = set(), set()
        number = 1
        while (page := list_records(tx, RecordFilter(), number)).rows:
            for one in page.rows:
                listed.add(one.seq)
                try:
                    _check(tx, one)
                except LedgerError:
                    wrong.add(one.seq)
            number += 1
        lost = set(sealed_decisions(tx)) - listed
        return sorted(wrong | lost | set(sealed_and_not_linked(tx)))


def _check(tx: Reading, listed: ListedRecord) -> None:
    agreed_payload(listed, open_entry(tx, LogName.LEDGER, listed.seq))
    file = get_case(tx, listed.row.case_id)
    if file is not None:
        sealed_decision(tx, file)
