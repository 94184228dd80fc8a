"""Thinking first: somebody's own assessment, recorded before anybody is shown the suggestion.

Where a package asks for it, no page and no answer holds a trace of the suggestion until then. The
assessment is an entry of its own: it can be given once, and never changed.
"""

from __future__ import annotations

from datetime import date

from explainer.core.days import recorded_day
from explainer.core.decision import Actor
from explainer.core.disclosure import Audience
from explainer.errors import (
    AssessmentMissing,
    DecisionFaulty,
    DecisionIncomplete,
    SuggestionOutdated,
)
from explainer.ledger.entries import Entry, EntryKind, Receipt, canonical, minute
from explainer.ledger.log import LogName
from explainer.ledger.sealing import seal_actor
from service.erasing import Event
from service.open_case import OpenCase, open_in
from service.permissions import Action, check_may
from service.store import records
from service.store.cases import new_id
from service.store.database import Reading
from service.store.records import OpenedEntry
from service.wiring import Tools

NOT_SURE = "not_sure"
"""The assessment of somebody who cannot say yet: a valid one."""


def check_assessed(opened: OpenCase, tools: Tools) -> None:
    """Raise AssessmentMissing while the suggestion may not be shown to caseworkers."""
    if _asks(opened):
        with tools.store.reading() as tx:
            if _due(tx, opened):
                raise AssessmentMissing(
                    "This case is assessed by a person before the suggestion is shown.",
                    "case",
                    "Record your own assessment first; `not_sure` is one.",
                )


def assess(case_id: str, outcome: str, idempotency_key: str, actor: Actor, tools: Tools) -> Receipt:
    """Record an assessment: an outcome of the package, or `not_sure`.

    Raises DecisionFaulty where it is neither, and SuggestionOutdated where none is asked for any
    more: the case was assessed or decided, or its suggestion shown.
    """
    check_may(actor, Action.DECIDE)
    now = tools.now()
    tools.check_intact()
    body = canonical({"assess": case_id, "by": actor.subject, "outcome": outcome})
    with tools.store.transaction(now) as tx:
        opened = open_in(tx, case_id, Audience.CASEWORKER, actor, tools)
        before = records.replay(tx, idempotency_key, body)
        if before is not None:
            return before.receipt
        if not (_asks(opened) and _due(tx, opened)):
            raise SuggestionOutdated(
                "No assessment is asked for in this case any more.", "case", "Load the page again."
            )
        manifest = opened.package.manifest
        said = outcome if outcome == NOT_SURE else manifest.suggesting.canonical(outcome)
        if said is None:
            fault = DecisionIncomplete(
                "This is no outcome of the package.", "outcome", "Choose one, or not_sure."
            )
            raise DecisionFaulty("assessment", [("outcome", fault)])
        entry = Entry(
            EntryKind.FOLLOW_UP,
            {
                "record_id": new_id(),
                "event": Event.ASSESSED.value,
                "created_at": minute(now),
                "case_ref": opened.file.case_ref,
                "unit_id": opened.file.unit,
                "initial_assessment": said,
                "role": actor.role.value,
                "actor_pseudonym": seal_actor(tools.resolver, actor.subject),
                "retention_class": manifest.retention_class,
            },
            case_ref=opened.file.case_ref,
            model=opened.package.identity.digest,
            idempotency_key=idempotency_key,
        )
        receipt = records.record_follow_up(tx, case_id, entry, body=body)
    tools.seals.later(LogName.LEDGER)
    return receipt


def initial_assessment(tx: Reading, case_id: str, by: date | None) -> str | None:
    """What was recorded of a case before its suggestion was shown; None where nothing was.

    Of a decision that was taken on paper, only what was assessed by its day.
    """
    for entry in records.entries_of_case(tx, case_id, EntryKind.FOLLOW_UP):
        said = entry.payload or {}
        if _is_assessment(entry):
            in_time = by is None or recorded_day(str(said["created_at"])) <= by
            return str(said["initial_assessment"]) if in_time else None
    return None


def _asks(opened: OpenCase) -> bool:
    return opened.package.manifest.think_first and opened.speaks and opened.decided is None


def _due(tx: Reading, opened: OpenCase) -> bool:
    """Nobody assessed the case yet, and nobody saw its suggestion: then it is too late."""
    return not any(
        _is_assessment(entry) or _shows_suggestion(entry)
        for entry in records.entries_of_case(tx, opened.file.id)
    )


def _is_assessment(entry: OpenedEntry) -> bool:
    return (entry.payload or {}).get("event") == Event.ASSESSED


def _shows_suggestion(entry: OpenedEntry) -> bool:
    return (
        entry.leaf.type == EntryKind.SHOWN
        and (entry.payload or {}).get("recommendation_class") is not None
    )
