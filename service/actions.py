"""The use cases: submit, show, decide, list, open, verify. Each takes an actor.

This is one of the four files that carry a property of the whole product: nothing is shown or
decided unrecorded. Every action that shows or decides leaves an entry in the same transaction,
and answers only after it has committed.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from explainer.core.case import Case, read_case
from explainer.core.decision import Actor, Decision, ReasonCode, Relation, Role, take_decision
from explainer.core.disclosure import Audience, Told
from explainer.core.explanation import Explanation
from explainer.errors import (
    CaseFaulty,
    CaseMalformed,
    DecisionFaulty,
    DecisionIncomplete,
    LedgerError,
    ModelFailed,
    NotExplainable,
    NotYetDecided,
    PackageReplaced,
    RecordsDisagree,
    SuggestionOutdated,
)
from explainer.families.attribute import SEED
from explainer.ledger.entries import Entry, EntryKind, Json, Receipt, canonical, minute
from explainer.ledger.log import LogName
from explainer.ledger.sealing import seal_actor
from explainer.ledger.verify import Fault, Result, read_key, read_outside, verify_database
from explainer.packages.package import ModelPackage
from explainer.pipeline import tell, tell_withheld
from explainer.text.languages import Language
from explainer.text.sentences import HumanDecision
from service.events import log
from service.permissions import (
    Action,
    check_may,
    check_may_see,
    check_may_see_any,
    no_such_case,
)
from service.store import records
from service.store.database import Reading
from service.store.records import (
    DECIDED,
    CaseFile,
    DecisionRow,
    ListedRecord,
    OpenedEntry,
    OpenedRecord,
    Page,
    RecordFilter,
)
from service.wiring import Tools

NOT_FOR_SUPERVISION = frozenset({ReasonCode.M5.value})
"""Suspected disadvantage is for the fairness contact, not for the line of command (C8)."""

PURPOSES = ("appeal", "complaint", "audit", "quality_sample")
PURPOSE_LIMIT = 300
TEMPLATES = "1"
"""Version of the document templates, recorded with everything that is shown."""


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
        there = records.find_case_by_ref(tx, case.ref)
        if there is not None and there.values_json == values:
            return there
        file = CaseFile(
            id=records.new_id(),
            case_ref=case.ref,
            package_id=package.manifest.id,
            package_digest=package.identity.digest,
            unit=tools.unit_of(package),
            values_json=values,
            submitted_at=minute(tx.now),
        )
        records.add_case(tx, file)
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


# -- reading ----------------------------------------------------------------------------------


def queue(actor: Actor, state: str, page: int, tools: Tools) -> Page[CaseFile]:
    """The cases of the actor's own unit."""
    check_may(actor, Action.QUEUE)
    with tools.store.reading() as tx:
        return records.queue(tx, actor.unit or "", state, page)


@dataclass(frozen=True, slots=True)
class Decided:
    """The newest decision of a case, as its sealed entry says it."""

    row: DecisionRow
    entry: OpenedEntry
    payload: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case with its package, and the newest decision if there is one.

    `speaks` says whether this package may explain the case: it is in force, or it is the very
    one the case was decided under. Otherwise it only lends its words, so that the case can be
    read and decided.
    """

    file: CaseFile
    case: Case
    package: ModelPackage
    speaks: bool
    decided: Decided | None


def open_case(case_id: str, audience: Audience, actor: Actor, tools: Tools) -> OpenCase:
    """The case, if it is theirs. Raises CaseNotFound, also where it may not be seen."""
    tools.check_intact()
    with tools.store.reading() as tx:
        return _open(tx, case_id, audience, actor, tools)


def _open(tx: Reading, case_id: str, audience: Audience, actor: Actor, tools: Tools) -> OpenCase:
    # before the look-up: the answer to a role that sees no case may not tell which cases there are
    check_may_see_any(actor, audience)
    file = records.get_case(tx, case_id)
    if file is None:
        # the same refusal as for a case that is not theirs
        raise no_such_case()
    check_may_see(actor, file.id, file.unit, audience)
    decided = _decided(tx, file)
    package, speaks = _package_of(file, decided, tools)
    case = read_case(json.loads(file.values_json), package.catalogue)
    return OpenCase(file, case, package, speaks, decided)


def _decided(tx: Reading, file: CaseFile) -> Decided | None:
    """The newest decision from its sealed entry. Raises RecordsDisagree where the tables say
    anything else: what people are told comes from what was sealed."""
    listed = records.latest_decision(tx, file.id)
    if listed is None:
        return None
    entry = records.open_entry(tx, LogName.LEDGER, listed.seq)
    if entry.payload is None or not records.agrees_with(listed.row, entry.payload):
        raise _disagree(listed.seq)
    seen = records.entry_of_case(tx, file.id, str(entry.payload.get("explanation_entry")))
    if seen is not None and seen.payload is not None and seen.payload["values"] != file.values_json:
        raise _disagree(listed.seq)
    return Decided(listed.row, entry, entry.payload)


def _disagree(seq: int) -> RecordsDisagree:
    return RecordsDisagree(
        "The tables say something else than what was sealed.",
        f"entry {seq}",
        "Have the database examined; `warum ledger verify` checks the sealed records.",
    )


def _package_of(file: CaseFile, decided: Decided | None, tools: Tools) -> tuple[ModelPackage, bool]:
    if decided is not None and decided.entry.leaf.model is not None:
        try:
            return tools.exactly(decided.entry.leaf.model), True
        except ModelFailed:
            # never explained with another one; the decision itself can still be told
            return tools.packages.get(file.package_id) or tools.shelf.last_of(
                file.package_id
            ), False
    in_force = tools.packages.get(file.package_id)
    if in_force is not None:
        try:
            read_case(json.loads(file.values_json), in_force.catalogue)
        except CaseFaulty:
            # submitted for an older package with other features
            return tools.exactly(file.package_digest), False
        return in_force, True
    return tools.shelf.last_of(file.package_id), False


def decided_cases(tools: Tools) -> list[CaseFile]:
    """Cases that were decided, for the demonstration's first page; nowhere else."""
    if not tools.settings.demo:
        return []
    units = dict.fromkeys(map(tools.unit_of, tools.packages.values()))
    with tools.store.reading() as tx:
        pages = [records.queue(tx, unit, DECIDED, 1) for unit in units]
    return [file for found in pages for file in found.rows]


def case_by_ref(ref: str, actor: Actor, tools: Tools) -> CaseFile:
    """The case of this number, for the API; refused as unseen as any other."""
    with tools.store.reading() as tx:
        file = records.find_case_by_ref(tx, ref)
    if file is None:
        raise no_such_case()
    return file


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
    entry = _shown_entry(opened, finding, told, actor, now, tools)
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


def _shown_entry(
    opened: OpenCase,
    finding: Explanation | NotExplainable,
    told: Told,
    actor: Actor,
    now: datetime,
    tools: Tools,
) -> Entry:
    """The snapshot a court needs: values as given, numbers, and the very bytes."""
    payload: dict[str, Json] = {
        "record_id": records.new_id(),
        "created_at": minute(now),
        "case_ref": opened.file.case_ref,
        "unit_id": opened.file.unit,
        "audience": told.audience.value,
        "language": told.language,
        "media_type": told.media_type,
        "told": told.body.decode(),
        "role": actor.role.value,
        "actor_pseudonym": seal_actor(tools.resolver, actor.subject),
        "model_id": opened.package.manifest.id,
        "model_version": opened.package.manifest.version,
        "explainer_version": _version("warum"),
        "template_version": TEMPLATES,
        "values": opened.file.values_json,
        "environment": _environment(),
        "retention_class": opened.package.manifest.retention_class,
    }
    if isinstance(finding, Explanation):
        payload |= _numbers(finding)
    else:
        payload |= {"recommendation_class": None, "withheld": finding.code}
    return Entry(
        EntryKind.SHOWN,
        payload,
        case_ref=opened.file.case_ref,
        model=opened.package.identity.digest,
        explainer=tools.explainer_digest,
        told=told.digest,
    )


def _numbers(finding: Explanation) -> dict[str, Json]:
    """Numbers as the exact text of their bits: an entry holds no floats."""
    return {
        "recommendation_class": finding.suggestion,
        "score_band": _band(finding),
        "limits_flags": sorted(limit.value for limit in finding.limits),
        "margin": finding.margin.hex(),
        "probability": finding.probability.hex(),
        "threshold": finding.line.threshold.hex(),
        "baseline": finding.comparison.base.hex(),
        "background": finding.comparison.digest,
        "method": finding.method,
        "seed": SEED,
        "case_digest": finding.case_digest,
        "contributions": {f.feature.name: f.phi.hex() for f in finding.findings},
        "reasons": [reason.finding.feature.name for reason in finding.reasons],
    }


def _band(finding: Explanation) -> int:
    """1 to 5 by distance from the line in fifths of the margin scale; 3 lies around the line."""
    distance = (finding.margin - finding.line.threshold) / finding.comparison.scale
    return 1 + sum(distance >= edge for edge in (-0.5, -0.1, 0.1, 0.5))


@cache
def _version(distribution: str) -> str:
    return version(distribution)


@cache
def _environment() -> Mapping[str, Json]:
    """What is needed to recompute; the packages that shape the numbers."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in ("numpy", "scikit-learn", "skops")},
    }


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
        opened = _open(tx, case_id, Audience.CASEWORKER, actor, tools)
        before = records.replay(tx, idempotency_key, body)
        if before is not None and before.record_id is not None:
            return Recorded(before.record_id, before.receipt, repeated=True)
        if opened.file.state == DECIDED:
            raise _outdated("The case was decided in the meantime.")
        seen = _what_was_shown(tx, sent.shown, opened) or _shown_last(tx, opened)
        suggested = None if seen is None else (seen.payload or {})["recommendation_class"]
        decision = take_decision(
            suggested=suggested if isinstance(suggested, str) else None,
            line=opened.package.manifest.line,
            outcome=sent.outcome,
            relation=sent.relation,
            codes=list(sent.codes),
            checklist=list(sent.facts),
            known_checklist=frozenset(opened.package.checklist),
            note=sent.note,
        )
        row = _decision_row(opened, decision, now)
        entry = _decision_entry(opened, decision, row, seen, actor, now, idempotency_key, tools)
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


def _decision_row(opened: OpenCase, decision: Decision, now: datetime) -> DecisionRow:
    at = minute(now)
    return DecisionRow(
        record_id=records.new_id(),
        case_id=opened.file.id,
        unit=opened.file.unit,
        benefit_type=opened.package.manifest.benefit_type,
        period=at[:7],
        decided_on=at,
        suggested=decision.suggested,
        outcome=decision.outcome,
        relation=decision.relation.value,
        direction=decision.effect.value,
        codes=tuple(code.value for code in decision.codes),
    )


def _decision_entry(
    opened: OpenCase,
    decision: Decision,
    row: DecisionRow,
    seen: OpenedEntry | None,
    actor: Actor,
    now: datetime,
    idempotency_key: str,
    tools: Tools,
) -> Entry:
    """The same fields for agreement and deviation, with other values."""
    manifest = opened.package.manifest
    shown = None if seen is None else seen.payload
    payload: dict[str, Json] = {
        "record_id": row.record_id,
        "case_ref": opened.file.case_ref,
        "created_at": row.decided_on,
        "unit_id": row.unit,
        "benefit_type": row.benefit_type,
        "decision_type": manifest.decision_type,
        "model_id": manifest.id,
        "model_version": manifest.version,
        "explainer_version": _version("warum"),
        "template_version": TEMPLATES,
        "recommendation_class": decision.suggested,
        "score_band": None if shown is None else shown.get("score_band"),
        "limits_flags": [] if shown is None else shown.get("limits_flags", []),
        "initial_assessment": None,
        "recommendation_shown_at": None if shown is None else shown["created_at"],
        "explanation_doc_hash": None if shown is None else _told_hash(shown),
        "explanation_entry": None if seen is None else seen.leaf.seq,
        "withheld": None if shown is None else shown.get("withheld"),
        "human_outcome": decision.outcome,
        "relation": decision.relation.value,
        "direction": decision.effect.value,
        "reason_codes": list(row.codes),
        "facts_considered": list(decision.checklist),
        "free_text": decision.note,
        "evidence_refs": [],
        "legal_basis_ref": None,
        "hearing_ref": None,
        "instruction_ref": None,
        "actor_pseudonym": seal_actor(tools.resolver, actor.subject),
        "role": actor.role.value,
        "second_person": None,
        "retention_class": manifest.retention_class,
        "erase_after": None,
    }
    return Entry(
        EntryKind.DECISION,
        payload,
        case_ref=opened.file.case_ref,
        model=opened.package.identity.digest,
        explainer=tools.explainer_digest,
        idempotency_key=idempotency_key,
    )


def _told_hash(shown: Mapping[str, Json]) -> str:
    return hashlib.sha256(str(shown["told"]).encode()).hexdigest()


# -- supervision ------------------------------------------------------------------------------


def list_records(wanted: RecordFilter, page: int, actor: Actor, tools: Tools) -> Page[ListedRecord]:
    """Override records, newest first; without any field of staff."""
    check_may(actor, Action.LIST_RECORDS)
    with tools.store.reading() as tx:
        return records.list_records(tx, wanted, page)


def record_to_open(record_id: str, actor: Actor, tools: Tools) -> ListedRecord:
    """The line of the list that a record has, to ask for the purpose."""
    check_may(actor, Action.OPEN_RECORD)
    with tools.store.reading() as tx:
        return records.get_record(tx, record_id).listed


@dataclass(frozen=True, slots=True)
class Inspected:
    """A single record, opened for a purpose, and what the caseworker was shown."""

    record: OpenedRecord
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
        payload = record.entry.payload
        if payload is None or not records.agrees_with(record.listed.row, payload):
            raise _disagree(record.listed.seq)
        entry = Entry(
            EntryKind.ACCESS,
            {
                "created_at": minute(now),
                "record_id": record_id,
                "case_ref": record.listed.case_ref,
                "unit_id": record.listed.row.unit,
                "purpose": purpose,
                "purpose_text": purpose_text,
                "role": actor.role.value,
                "actor_pseudonym": seal_actor(tools.resolver, actor.subject),
            },
            case_ref=record.listed.case_ref,
        )
        records.record_access(tx, entry, case_id=record.listed.row.case_id)
        shown = _shown_before(tx, record)
    tools.seals.soon(LogName.ACCESS)
    return Inspected(record, shown)


def _shown_before(tx: Reading, record: OpenedRecord) -> Mapping[str, Json] | None:
    """What the caseworker had before them when they decided."""
    payload = record.entry.payload
    place = None if payload is None else payload.get("explanation_entry")
    if place is None:
        return None
    entry = records.entry_of_case(tx, record.listed.row.case_id, str(place))
    return None if entry is None else entry.payload


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
        while (page := records.list_records(tx, RecordFilter(), number)).rows:
            for listed in page.rows:
                file = records.get_case(tx, listed.row.case_id)
                try:
                    if file is not None:
                        _decided(tx, file)
                except LedgerError:
                    yield listed.seq
            number += 1


def applicant_of(case_id: str) -> Actor:
    """The person whose case this is."""
    return Actor(f"applicant-{case_id}", Role.APPLICANT, case_id=case_id)
