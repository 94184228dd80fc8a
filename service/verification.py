"""Both logs verified from the stored bytes, and the tables compared with what was sealed."""

from __future__ import annotations

from collections.abc import Iterator

from explainer.core.decision import Actor
from explainer.errors import LedgerError
from explainer.ledger.log import LogName
from explainer.ledger.verify import Fault, Result, read_key, read_outside, verify_database
from service.open_case import sealed_decision
from service.permissions import Action, check_may
from service.store.cases import RecordFilter, get_case, list_records
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
    results = verify_database(data / "warum.sqlite", keys, outside, tools.store.keys.all())
    ledger = next(result for result in results if result.log == LogName.LEDGER.value)
    for seq in _rows_that_disagree(tools):
        fault = Fault(ledger.log, seq, "The tables say something else than what was sealed.")
        ledger.faults.append(fault)
        if ledger.first_bad is None or seq < ledger.first_bad.seq:
            ledger.first_bad = fault
    return results


def _rows_that_disagree(tools: Tools) -> Iterator[int]:
    with tools.store.reading() as tx:
        number = 1
        while (page := list_records(tx, RecordFilter(), number)).rows:
            for listed in page.rows:
                file = get_case(tx, listed.row.case_id)
                try:
                    if file is not None:
                        sealed_decision(tx, file)
                except LedgerError:
                    yield listed.seq
            number += 1
