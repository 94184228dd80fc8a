"""The use cases: submit, show, decide, list, open. Each takes an actor.

This is one of the four files that carry a property of the whole product: nothing is shown or
decided unrecorded. Every action that shows or decides leaves an entry in the same transaction,
and answers only after it has committed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from explainer.core.case import read_case
from explainer.core.decision import Actor, Relation, take_decision
from explainer.core.disclosure import Audience, Told
from explainer.core.explanation import Explanation
from explainer.errors import (
    CaseFaulty,
    CaseMalformed,
    DecisionFaulty,
    DecisionIncomplete,
    LedgerError,
    NotExplainable,
    NotYetDecided,
    PackageReplaced,
    StorageFailed,
    SuggestionOutdated,
)
from explainer.ledger.entries import EntryKind, Json, Receipt, canonical, minute
from explainer.ledger.log import LogName
from explainer.packages.package import ModelPackage
from explainer.pipeline import tell, tell_withheld
from explainer.text.languages import Language
from explainer.text.sentences import HumanDecision
from service.entries import access_entry, decision_entry, decision_row, shown_entry
from service.events import log
from service.open_case import OpenCase, agreed_payload, open_case, open_in, seen_for
from service.permissions import (
    GROUNDS_FOR_SUPERVISION,
    PROGRAM_GROUND,
    Action,
    check_may,
    grounds_for_supervision,
)
from service.store import cases, records
from service.store.cases import DECIDED, CaseFile, ListedRecord, Page, RecordFilter
from service.store.database import Reading
from service.store.records import OpenedEntry
from service.wiring import Tools

PURPOSES = ("appeal", "complaint", "audit", "quality_sample")
PURPOSE_LIMIT = 300


# -- submitting -------------------------------------------------------------------------------


def submit(raw: Any, actor: Actor, tools: Tools) -> CaseFile:
    """Take in a case. The same case sent again gets the same answer.

    Raises CaseFaulty with every fault, and CaseExists for another case of the same number.
    """
    check_may(actor, Action.SUBMIT)
    package = _package_named(raw, tools)
    case = read_case(raw, package.catalogue)
    values = json.dumps(case.to_json(), ensure_ascii=False, sort_keys=True)
    with tools.store.transaction(tools.now()) as tx:
        there = cases.find_case_by_ref(tx, case.ref)
        if there is not None and there.values_json == values:
            return there
        file = CaseFile(
            id=cases.new_id(),
            case_ref=case.ref,
            package_id=package.manifest.id,
            package_digest=package.identity.digest,
            unit=tools.unit_of(package),
            values_json=values,
            submitted_at=minute(tx.now),
        )
        cases.add_case(tx, file)
    return file


def _package_named(raw: Any, tools: Tools) -> ModelPackage:
    named = raw.get("package") if isinstance(raw, Mapping) else None
    if named is None and len(tools.packages) == 1:
        return next(iter(tools.packages.values()))
    if isinstance(named, str) and named in tools.packages:
        return tools.packages[named]
    raise CaseFaulty(
        "case",
        [
            CaseMalformed(
                "The case does not name a package that is in force.",
                "package",
                f"Name one of: {', '.join(tools.packages)}.",
            )
        ],
    )


# -- listing --------------------------------------------------------------------------------


def queue(actor: Actor, state: str, page: int, tools: Tools) -> Page[CaseFile]:
    """The cases of the actor's own unit."""
    check_may(actor, Action.QUEUE)
    with tools.store.reading() as tx:
        return cases.queue(tx, actor.unit or "", state, page)


def decided_cases(tools: Tools) -> list[CaseFile]:
    """Cases that were decided, for the demonstration's first page; nowhere else."""
    if not tools.settings.demo:
        return []
    units = dict.fromkeys(map(tools.unit_of, tools.packages.values()))
    with tools.store.reading() as tx:
        pages = [cases.queue(tx, unit, DECIDED, 1) for unit in units]
    return [file for found in pages for file in found.rows]


# -- showing ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown, and its place in the ledger. `finding` is None of a person's business."""

    opened: OpenCase
    told: Told
    finding: Explanation | NotExplainable
    receipt: Receipt


def show(case_id: str, audience: Audience, language: Language, actor: Actor, tools: Tools) -> Shown:
    """Show an explanation, or that it is withheld, and record the exact bytes.

    No entry, no page: whatever fails before the commit, nothing is shown.
    """
    opened = open_case(case_id, audience, actor, tools)
    if audience is Audience.APPLICANT and opened.decided is None:
        # a suggestion read before a person decided could look like the decision
        raise NotYetDecided(
            "Nobody has decided yet.", "case", "The applicant is told once a person decided."
        )
    now = tools.now()
    finding = _find(opened, now, tools)
    decision = _told_decision(opened, audience)
    told = None
    if isinstance(finding, Explanation):
        try:
            told = tell(finding, audience, language, opened.package, decision=decision)
        except NotExplainable as fault:
            log.error("text withheld", code=fault.code, package=opened.file.package_id)
            finding = fault
    if told is None:
        assert isinstance(finding, NotExplainable)  # noqa: S101 - the other case returned a text
        told = tell_withheld(finding, audience, language, opened.package, decision=decision)
    entry = shown_entry(opened, finding, told, actor, now, tools)
    with tools.store.transaction(now) as tx:
        receipt = records.record_shown(tx, case_id, entry)
    tools.seals.later(LogName.LEDGER)
    return Shown(opened, told, finding, receipt)


def _find(opened: OpenCase, now: datetime, tools: Tools) -> Explanation | NotExplainable:
    if not opened.speaks:
        return PackageReplaced(
            "The package of this case is not in force.", "package", "Decide without the program."
        )
    return tools.findings.of(opened.case, opened.package, now.date())


def _told_decision(opened: OpenCase, audience: Audience) -> HumanDecision | None:
    if audience is Audience.CASEWORKER or opened.decided is None:
        return None
    row = opened.decided.row
    return HumanDecision(row.outcome, Relation(row.relation), row.suggested)


# -- deciding ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SentDecision:
    """A decision as it came in, nothing checked. `shown` is the ledger position of what the
    person was shown, "" if nothing was."""

    outcome: str
    relation: str
    codes: tuple[str, ...]
    facts: tuple[str, ...]
    note: str
    shown: str

    def to_bytes(self) -> bytes:
        return canonical({name: _listed(getattr(self, name)) for name in self.__slots__})


def _listed(value: Any) -> Json:
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to a decision: its record and its place in the ledger."""

    record_id: str
    receipt: Receipt
    repeated: bool


def decide(
    case_id: str, sent: SentDecision, idempotency_key: str, actor: Actor, tools: Tools
) -> Recorded:
    """Record a decision and its entry in one transaction; answers only after the commit.

    Raises DecisionFaulty with every fault, SuggestionOutdated where the case was decided or its
    package changed since, IdempotencyConflict for another decision under the same key.
    """
    check_may(actor, Action.DECIDE)
    now = tools.now()
    tools.check_intact()
    # another person's request is another request, also under the same key
    body = canonical({"case": case_id, "by": actor.subject}) + sent.to_bytes()
    with tools.store.transaction(now) as tx:
        opened = open_in(tx, case_id, Audience.CASEWORKER, actor, tools)
        before = records.replay(tx, idempotency_key, body)
        if before is not None and before.record_id is not None:
            return Recorded(before.record_id, before.receipt, repeated=True)
        if opened.file.state == DECIDED:
            raise _outdated("The case was decided in the meantime.")
        seen = _what_was_shown(tx, sent.shown, opened) or _shown_last(tx, opened)
        suggested = None if seen is None else (seen.payload or {})["recommendation_class"]
        decision = take_decision(
            suggested=suggested if isinstance(suggested, str) else None,
            suggesting=opened.package.manifest.suggesting,
            outcome=sent.outcome,
            relation=sent.relation,
            codes=list(sent.codes),
            checklist=list(sent.facts),
            known_checklist=frozenset(opened.package.checklist),
            note=sent.note,
        )
        row = decision_row(opened, decision, now)
        entry = decision_entry(opened, decision, row, seen, actor, now, idempotency_key, tools)
        receipt = records.add_decision(tx, row, entry, body=body)
    tools.seals.soon(LogName.LEDGER)
    log.info("decision recorded", seq=receipt.seq)
    return Recorded(row.record_id, receipt, repeated=False)


def _what_was_shown(tx: Reading, place: str, opened: OpenCase) -> OpenedEntry | None:
    """What this case's caseworker was shown, at this position of the ledger; None if nothing."""
    if not place:
        return None
    entry = records.entry_of_case(tx, opened.file.id, place)
    if (
        entry is None
        or entry.payload is None
        or entry.leaf.type != EntryKind.SHOWN
        or entry.payload["audience"] != Audience.CASEWORKER.value
    ):
        raise _outdated("What was shown does not belong to this case.")
    if entry.leaf.model != opened.package.identity.digest:
        raise _outdated("The package changed since the page was opened.")
    return entry


def _shown_last(tx: Reading, opened: OpenCase) -> OpenedEntry | None:
    """The newest thing a caseworker was shown of this case: who saw it cannot unsee it."""
    for entry in reversed(records.entries_of_case(tx, opened.file.id, EntryKind.SHOWN)):
        if (
            entry.payload is not None
            and entry.payload["audience"] == Audience.CASEWORKER.value
            and entry.leaf.model == opened.package.identity.digest
        ):
            return entry
    return None


def _outdated(what: str) -> SuggestionOutdated:
    return SuggestionOutdated(what, "case", "Load the page again and decide anew.")


# -- supervision ------------------------------------------------------------------------------


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
        found = cases.list_records(tx, wanted, page)
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


def record_to_open(record_id: str, actor: Actor, tools: Tools) -> ListedRecord:
    """The line of the list that a record has, to ask for the purpose."""
    check_may(actor, Action.OPEN_RECORD)
    with tools.store.reading() as tx:
        return records.get_record(tx, record_id).listed


@dataclass(frozen=True, slots=True)
class Inspected:
    """A single record, opened for a purpose, and what the caseworker was shown. `note` is None
    where it is not for supervision, whether there is one or not."""

    listed: ListedRecord
    entry: OpenedEntry
    payload: Mapping[str, Json]
    note: str | None
    shown: Mapping[str, Json] | None


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
        entry = access_entry(record.listed, purpose, purpose_text, actor, now, tools)
        records.record_access(tx, entry, case_id=case_id)
        seen = seen_for(tx, case_id, payload)
    tools.seals.soon(LogName.ACCESS)
    listed = _for_supervision(record.listed)
    # a note beside such a ground would tell which it is
    note = None if PROGRAM_GROUND in listed.row.codes else str(payload.get("free_text") or "")
    return Inspected(listed, record.entry, payload, note, None if seen is None else seen.payload)
