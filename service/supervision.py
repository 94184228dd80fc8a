"""The use cases of supervision: list records, open one for a purpose. No field of staff anywhere.

A record is opened only after the purpose stands in the access log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from explainer.core.decision import Actor
from explainer.errors import DecisionFaulty, DecisionIncomplete, LedgerError, StorageFailed
from explainer.ledger.entries import Json
from explainer.ledger.log import LogName
from service.entries import access_entry
from service.open_case import Decided, agreed_payload, sealed_decision, seen_for
from service.permissions import (
    GROUNDS_FOR_SUPERVISION,
    PROGRAM_GROUND,
    Action,
    check_may,
    grounds_for_supervision,
)
from service.store import decisions, records
from service.store.cases import Page, get_case
from service.store.database import Reading
from service.store.decisions import ListedRecord, RecordFilter
from service.store.records import OpenedEntry
from service.wiring import Tools

PURPOSES = ("appeal", "complaint", "audit", "quality_sample")
PURPOSE_LIMIT = 300


@dataclass(frozen=True, slots=True)
class RecordLine:
    """A line of the list, its grounds as supervision may read them. Where it does not agree with
    what was sealed, nothing of it is to be believed."""

    listed: ListedRecord
    agrees: bool


def list_records(wanted: RecordFilter, page: int, actor: Actor, tools: Tools) -> Page[RecordLine]:
    """Override records, newest first; without any field of staff."""
    check_may(actor, Action.LIST_RECORDS)
    if wanted.code is not None and wanted.code not in GROUNDS_FOR_SUPERVISION:
        # as for a code there is not: what is hidden cannot be searched for
        return Page((), 0, page)
    with tools.store.reading() as tx:
        found = decisions.list_records(tx, wanted, page)
        lines = tuple(RecordLine(_for_supervision(one), _agrees(tx, one)) for one in found.rows)
    return Page(lines, found.total, found.number)


def _for_supervision(listed: ListedRecord) -> ListedRecord:
    return replace(listed, row=replace(listed.row, codes=grounds_for_supervision(listed.row.codes)))


def _agrees(tx: Reading, listed: ListedRecord) -> bool:
    try:
        agreed_payload(listed, records.open_entry(tx, LogName.LEDGER, listed.seq))
    except StorageFailed:
        raise
    except LedgerError:
        return False
    return True


_KEPT_BACK: Mapping[str, Json] = {
    "free_text": "",
    "evidence_refs": [],
    "legal_basis_ref": None,
    "hearing_ref": None,
}
"""Fields that supervision does not see beside a ground about the program, and what stands there."""


def record_to_open(record_id: str, actor: Actor, tools: Tools) -> ListedRecord:
    """The line of the list that a record has, to ask for the purpose."""
    check_may(actor, Action.OPEN_RECORD)
    with tools.store.reading() as tx:
        return records.get_record(tx, record_id).listed


@dataclass(frozen=True, slots=True)
class Inspected:
    """A single record, opened for a purpose, and what the caseworker was shown. `note` is None
    where it is not for supervision, whether there is one or not; then there is no evidence either.
    `seen_since` says of a correction that the decision before it was taken without a suggestion,
    and that this one was taken after it had been seen: thinking first did not come first.
    """

    listed: ListedRecord
    entry: OpenedEntry
    payload: Mapping[str, Json]
    note: str | None
    shown: Mapping[str, Json] | None
    seen_since: bool


def open_record(
    record_id: str,
    purpose: str,
    purpose_text: str,
    actor: Actor,
    tools: Tools,
) -> Inspected:
    """Open one record. The purpose is recorded in the access log before anything is shown."""
    check_may(actor, Action.OPEN_RECORD)
    tools.check_intact()
    faults: list[tuple[str, Any]] = []
    if purpose not in PURPOSES:
        faults.append(
            (
                "purpose",
                DecisionIncomplete("A purpose is needed.", "purpose", "Choose a purpose."),
            )
        )
    if len(purpose_text) > PURPOSE_LIMIT:
        faults.append(
            (
                "purpose_text",
                DecisionIncomplete("The text is too long.", "purpose_text", "Shorten it."),
            )
        )
    if faults:
        raise DecisionFaulty("purpose", faults)
    now = tools.now()
    with tools.store.transaction(now) as tx:
        record = records.get_record(tx, record_id)
        payload = agreed_payload(record.listed, record.entry)
        case_id = record.listed.row.case_id
        file = get_case(tx, case_id)
        # whether it still holds is said too, so the case's other decisions have to agree
        holds = None if file is None else sealed_decision(tx, file)
        entry = access_entry(record.listed, purpose, purpose_text, actor, now, tools)
        records.record_access(tx, entry, case_id=case_id)
        seen = seen_for(tx, case_id, payload)
    tools.seals.soon(LogName.ACCESS)
    listed = _for_supervision(record.listed)
    note: str | None = str(payload.get("free_text") or "")
    if PROGRAM_GROUND in listed.row.codes:
        # a note beside such a ground, where its proof stands or its law, would tell which it is
        note, payload = None, {**payload, **_KEPT_BACK}
    return Inspected(
        listed,
        record.entry,
        payload,
        note,
        None if seen is None else seen.payload,
        _seen_since(payload, holds),
    )


def _seen_since(payload: Mapping[str, Json], holds: Decided | None) -> bool:
    line = () if holds is None else (*holds.earlier, holds)
    before = [one for one in line if one.row.record_id == payload.get("corrects")]
    suggested = payload.get("recommendation_class")
    return suggested is not None and any(one.row.suggested is None for one in before)
