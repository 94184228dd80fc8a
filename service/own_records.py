"""The decisions somebody recorded themselves: theirs to read, and nobody else's to ask for.

Reading them is no look-up of a person, so it leaves no entry. Nothing here counts, ranks or
narrows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from explainer.core.decision import Actor
from explainer.core.disclosure import Audience
from explainer.errors import ExplainerError, LedgerError, ModelFailed, StorageFailed
from explainer.ledger.entries import Json
from explainer.ledger.log import LogName
from explainer.packages.package import ModelPackage
from service.admission import Starting
from service.events import log
from service.open_case import agreed_payload
from service.permissions import Action, check_may, check_may_see
from service.store.cases import CaseFile, get_case
from service.store.database import Reading
from service.store.decisions import ListedRecord, record_at
from service.store.own import find_own
from service.store.records import OpenedEntry, open_entry
from service.store.sealed import ERASED
from service.wiring import Tools


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """One decision as it was sealed.

    Attributes
    ----------
    payload : None where the tables say something else than was sealed
    package : the one it was decided under; None where it is not there any more
    open_to_them : whether its case is one they may open now
    """

    listed: ListedRecord
    entry: OpenedEntry
    payload: Mapping[str, Json] | None
    package: ModelPackage | None
    open_to_them: bool


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A decision of theirs that is damaged, or that the tables know no more: only its place in
    the ledger can be told."""

    seq: int


@dataclass(frozen=True, slots=True)
class OwnRecords:
    """Newest first; `before` is where older ones are looked for, None where there are none."""

    rows: tuple[OwnRecord | Unreadable, ...]
    before: int | None


def own_records(before: int | None, actor: Actor, tools: Tools) -> OwnRecords:
    """What the actor recorded themselves, of all that is older than the entry `before`."""
    check_may(actor, Action.READ_OWN)
    tools.check_intact()
    with tools.store.reading() as tx:
        found = find_own(tx, actor.subject, before)
        rows = [_record(tx, seq, actor, tools) for seq in found.seqs]
    return OwnRecords(tuple(row for row in rows if row is not None), found.before)


def _record(tx: Reading, seq: int, actor: Actor, tools: Tools) -> OwnRecord | Unreadable | None:
    """One of their decisions; None while its case is being erased."""
    listed = record_at(tx, seq)
    if listed is None:
        return Unreadable(seq)
    try:
        file = get_case(tx, listed.row.case_id)
        if file is None or file.state == ERASED:
            return None
        entry = open_entry(tx, LogName.LEDGER, seq)
    except StorageFailed:
        raise
    except LedgerError as fault:
        # one that is damaged does not keep them from the others
        log.error("own record unreadable", seq=seq, code=fault.code)
        return Unreadable(seq)
    payload: Mapping[str, Json] | None = None
    try:
        payload = agreed_payload(listed, entry)
    except StorageFailed:
        raise
    except LedgerError:
        payload = None
    return OwnRecord(listed, entry, payload, _package(entry, tools), _may_open(file, actor))


def _package(entry: OpenedEntry, tools: Tools) -> ModelPackage | None:
    try:
        return None if entry.leaf.model is None else tools.exactly(entry.leaf.model)
    except (ModelFailed, Starting):
        return None


def _may_open(file: CaseFile, actor: Actor) -> bool:
    try:
        check_may_see(actor, file.id, file.unit, Audience.CASEWORKER)
    except ExplainerError:
        return False
    return True
