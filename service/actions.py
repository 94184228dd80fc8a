"""The use cases around a case: submit, list, show, decide and correct. Each takes an actor.

This is one of the four files that carry a property of the whole product: nothing is shown or
decided unrecorded. Every action that shows or decides leaves an entry in the same transaction,
and answers only after it has committed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import date, datetime
from typing import Any

from explainer.core.case import read_case
from explainer.core.days import local_day, recorded_day
from explainer.core.decision import Actor, Decision, Relation, take_decision
from explainer.core.disclosure import Audience, Told
from explainer.core.explanation import Explanation
from explainer.core.particulars import SentParticulars, day_of
from explainer.errors import (
    CaseFaulty,
    CaseMalformed,
    DecisionFaulty,
    LanguageNotOffered,
    NotExplainable,
    NotYetDecided,
    PackageReplaced,
    SuggestionOutdated,
)
from explainer.ledger.entries import EntryKind, Json, Receipt, canonical, minute
from explainer.ledger.log import LogName
from explainer.packages.package import ModelPackage
from explainer.pipeline import tell, tell_plainly, tell_withheld
from explainer.text.languages import Language
from explainer.text.notes import note_faults
from explainer.text.sentences import HumanDecision
from service.assessing import check_assessed, initial_assessment
from service.entries import Basis, decision_entry, decision_row, shown_entry
from service.events import log
from service.open_case import OpenCase, open_case, open_in
from service.permissions import Action, check_may
from service.retention import forecast
from service.store import cases, records
from service.store.cases import DECIDED, CaseFile, Page
from service.store.database import Reading
from service.store.records import OpenedEntry
from service.wiring import DEMO_UNIT, Tools

# -- submitting -------------------------------------------------------------------------------


def submit(raw: Any, actor: Actor, tools: Tools) -> CaseFile:
    """Take in a case. The same case sent again gets the same answer.

    Raises CaseFaulty with every fault, CaseExists for another case of the same number, and Starting
    while its package is being admitted.
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
    admitted = tools.admitted
    if isinstance(named, str) and named in admitted.packages:
        return admitted.packages[named]
    # which one is meant by none, and which ones there are, is known once all were tried
    admitted.check_tried()
    if named is None and len(admitted.packages) == 1:
        return next(iter(admitted.packages.values()))
    raise CaseFaulty(
        "case",
        [
            CaseMalformed(
                "The case does not name a package that is in force.",
                "package",
                f"Name one of: {', '.join(admitted.packages)}.",
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
    with tools.store.reading() as tx:
        return list(cases.queue(tx, DEMO_UNIT, DECIDED, 1).rows)


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

    No entry, no page: whatever fails before the commit, nothing is shown. Raises AssessmentMissing
    where a caseworker has to say first what they think, and LanguageNotOffered.
    """
    opened = open_case(case_id, audience, actor, tools)
    offered = tools.languages_of(opened.package, staff=audience is Audience.CASEWORKER)
    if language not in offered:
        raise LanguageNotOffered(
            "This case is not explained in this language.",
            "language",
            f"Choose from {', '.join(one.tag for one in offered)}.",
        )
    if audience is Audience.APPLICANT and opened.decided is None:
        # a suggestion read before a person decided could look like the decision
        raise NotYetDecided(
            "Nobody has decided yet.", "case", "The applicant is told once a person decided."
        )
    if audience is Audience.CASEWORKER:
        check_assessed(opened, tools)
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
        try:
            told = tell_withheld(finding, audience, language, opened.package, decision=decision)
        except NotExplainable as fault:
            log.error(
                "text without reasons refused", code=fault.code, package=opened.file.package_id
            )
            told = tell_plainly(audience, language, opened.package)
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
    return tools.findings.of(opened.case, opened.package, local_day(now))


def _told_decision(opened: OpenCase, audience: Audience) -> HumanDecision | None:
    if audience is Audience.CASEWORKER or opened.decided is None:
        return None
    row = opened.decided.row
    return HumanDecision(row.outcome, Relation(row.relation), row.suggested)


# -- deciding ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SentDecision:
    """A decision as it came in, nothing checked.

    Attributes
    ----------
    shown : ledger position of what the person was shown, "" if nothing was
    corrects : the record this one is to take the place of, "" for a first decision
    """

    outcome: str
    relation: str
    codes: tuple[str, ...]
    facts: tuple[str, ...]
    note: str
    shown: str
    particulars: SentParticulars = field(default_factory=SentParticulars)
    corrects: str = ""

    def to_bytes(self) -> bytes:
        return canonical(_plain(self))


def _plain(value: Any) -> Json:
    if isinstance(value, tuple):
        return list(value)
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return str(value)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The answer to a decision: its record and its place in the ledger."""

    record_id: str
    receipt: Receipt


def decide(
    case_id: str,
    sent: SentDecision,
    idempotency_key: str,
    actor: Actor,
    tools: Tools,
    *,
    ask_about_note: bool = False,
) -> Recorded:
    """Record a decision and its entry in one transaction; answers only after the commit.

    A decision is never changed: one that names the record it corrects is a new record, by the
    same rules. Raises DecisionFaulty with every fault (with `ask_about_note` also where the note
    may hold what belongs in the file), SuggestionOutdated where the case was decided or corrected
    or its package changed since, IdempotencyConflict for another decision under the same key.
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
            return Recorded(before.record_id, before.receipt)
        _check_still_holds(opened, sent.corrects)
        seen = _seen_for_decision(tx, opened, sent)
        suggested = None if seen is None else (seen.payload or {})["recommendation_class"]
        decision = _take(opened, sent, suggested, now, ask_about_note)
        basis = Basis(
            seen=seen,
            corrects=sent.corrects or None,
            initial_assessment=initial_assessment(
                tx, case_id, decision.particulars.entered_afterwards
            ),
            erase_after=forecast(
                records.entries_of_case(tx, case_id, EntryKind.FOLLOW_UP),
                opened.package.manifest.retention_class,
                tools.settings.retention,
                decision.particulars.entered_afterwards or local_day(now),
            ),
        )
        row = decision_row(opened, decision, basis, now)
        entry = decision_entry(opened, decision, row, basis, actor, idempotency_key, tools)
        receipt = records.add_decision(tx, row, entry, body=body, by=actor.subject)
    tools.seals.soon(LogName.LEDGER)
    log.info("decision recorded", seq=receipt.seq)
    return Recorded(row.record_id, receipt)


def _check_still_holds(opened: OpenCase, corrects: str) -> None:
    holds = "" if opened.decided is None else opened.decided.row.record_id
    if holds != corrects:
        raise _outdated(
            "The case was decided in the meantime."
            if not corrects
            else "The decision was corrected in the meantime, or is none of this case."
        )


def _take(
    opened: OpenCase, sent: SentDecision, suggested: Json, now: datetime, ask_about_note: bool
) -> Decision:
    asked = note_faults(sent.note) if ask_about_note else ()
    try:
        decision = take_decision(
            suggested=suggested if isinstance(suggested, str) else None,
            suggesting=opened.package.manifest.suggesting,
            outcome=sent.outcome,
            relation=sent.relation,
            codes=list(sent.codes),
            checklist=list(sent.facts),
            known_checklist=frozenset(opened.package.checklist),
            note=sent.note,
            particulars=sent.particulars,
            first_day=_first_day(opened),
            today=local_day(now),
        )
    except DecisionFaulty as faulty:
        raise DecisionFaulty("decision", (*faulty.faults, *asked)) from None
    if asked:
        raise DecisionFaulty("decision", asked)
    return decision


def _first_day(opened: OpenCase) -> date:
    """Before it nothing was decided: the case was not there, or what is corrected did not hold."""
    if opened.decided is not None:
        return opened.decided.day
    return recorded_day(opened.file.submitted_at)


def _seen_for_decision(tx: Reading, opened: OpenCase, sent: SentDecision) -> OpenedEntry | None:
    """What the person had before them; of a decision on paper only what they saw by that day."""
    day = day_of(sent.particulars.entered_afterwards)
    named = _what_was_shown(tx, sent.shown, opened)
    if named is not None and (day is None or _shown_by(named, day)):
        return named
    return _shown_last(tx, opened, day)


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


def _shown_last(tx: Reading, opened: OpenCase, day: date | None) -> OpenedEntry | None:
    """The newest thing a caseworker was shown of this case: who saw it cannot unsee it."""
    for entry in reversed(records.entries_of_case(tx, opened.file.id, EntryKind.SHOWN)):
        if (
            entry.payload is not None
            and entry.payload["audience"] == Audience.CASEWORKER.value
            and entry.leaf.model == opened.package.identity.digest
            and (day is None or _shown_by(entry, day))
        ):
            return entry
    return None


def _shown_by(entry: OpenedEntry, day: date) -> bool:
    return recorded_day(str((entry.payload or {})["created_at"])) <= day


def _outdated(what: str) -> SuggestionOutdated:
    return SuggestionOutdated(what, "case", "Load the page again and decide anew.")
