"""What an entry holds: the snapshot of what was shown, a decision, the opening of a record.

These payloads are what a court or an auditor reads years later. Their form is a contract.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.metadata import version

from explainer.core.days import local_day
from explainer.core.decision import Actor, Decision
from explainer.core.disclosure import Told
from explainer.core.explanation import Explanation
from explainer.errors import NotExplainable
from explainer.families import versions_for
from explainer.families.attribute import SEED
from explainer.families.engine.kernel import kernel
from explainer.ledger.entries import Entry, EntryKind, Json, minute
from explainer.ledger.sealing import seal_actor
from explainer.text.editions import catalog_version, template_version
from explainer.text.languages import languages
from service.open_case import OpenCase
from service.store.cases import new_id
from service.store.decisions import DecisionRow, ListedRecord
from service.store.records import OpenedEntry
from service.wiring import Tools


@dataclass(frozen=True, slots=True)
class Basis:
    """What a decision stands on, beside what the person sent.

    Attributes
    ----------
    seen : what the person had before them, None if nothing
    corrects : the record it takes the place of
    initial_assessment : what was recorded before the suggestion was shown to anybody
    erase_after : first day on which the case may go, None while no time runs
    """

    seen: OpenedEntry | None
    corrects: str | None
    initial_assessment: str | None
    erase_after: date | None


def shown_entry(
    opened: OpenCase,
    finding: Explanation | NotExplainable,
    told: Told,
    actor: Actor,
    now: datetime,
    tools: Tools,
) -> Entry:
    """The snapshot a court needs: values as given, numbers, and the very bytes."""
    payload: dict[str, Json] = {
        "record_id": new_id(),
        "created_at": minute(now),
        "explained_on": local_day(now).isoformat(),
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
        "model_digest": opened.package.identity.digest,
        "explainer_version": _version("warum"),
        "template_version": template_version(),
        "catalog_version": catalog_version(languages()[told.language]),
        "values": opened.file.values_json,
        "environment": environment(opened.package.manifest.format),
        "retention_class": opened.package.manifest.retention_class,
    }
    if isinstance(finding, Explanation):
        payload |= numbers_of(finding)
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


def numbers_of(finding: Explanation) -> dict[str, Json]:
    """Numbers as the exact text of their bits: an entry holds no floats."""
    return {
        "recommendation_class": finding.recommended,
        "score_band": _band(finding),
        "limits_flags": sorted(limit.value for limit in finding.limits),
        "margin": finding.margin.hex(),
        "probability": None if finding.probability is None else finding.probability.hex(),
        "threshold": finding.line.threshold.hex(),
        "baseline": finding.comparison.base.hex(),
        "background": finding.comparison.digest,
        "method": finding.method,
        "seed": SEED,
        "case_digest": finding.case_digest,
        "contributions": {f.feature.name: f.phi.hex() for f in finding.findings},
        "reasons": [reason.finding.feature.name for reason in finding.reasons],
        **_of_its_kind(finding),
    }


def _of_its_kind(finding: Explanation) -> dict[str, Json]:
    """What only several outcomes or an amount have."""
    if finding.amount is not None:
        return {"task": finding.task.value, "amount_unit": finding.amount.unit}
    if finding.runner_up is not None:
        return {
            "task": finding.task.value,
            "runner_up": finding.runner_up,
            "margins": [margin.hex() for margin in finding.margins],
        }
    return {}


def _band(finding: Explanation) -> int:
    """1 to 5 by distance from the line in fifths of the margin scale; 3 lies around the line."""
    distance = (finding.margin - finding.line.threshold) / finding.comparison.scale
    return 1 + sum(distance >= edge for edge in (-0.5, -0.1, 0.1, 0.5))


@cache
def _version(distribution: str) -> str:
    return version(distribution)


@cache
def environment(declared: str) -> Mapping[str, Json]:
    """What is needed to recompute a model of this format: what shapes the numbers here."""
    built = kernel()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "kernel": f"compiled, {built.vectors}" if built else "NumPy",
        **{name: _version(name) for name in ("numpy", "scikit-learn", "skops")},
        **versions_for(declared),
    }


def decision_row(opened: OpenCase, decision: Decision, basis: Basis, now: datetime) -> DecisionRow:
    at = minute(now)
    return DecisionRow(
        record_id=new_id(),
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
        corrects=basis.corrects,
    )


def decision_entry(
    opened: OpenCase,
    decision: Decision,
    row: DecisionRow,
    basis: Basis,
    actor: Actor,
    idempotency_key: str,
    tools: Tools,
) -> Entry:
    """The same fields for agreement, deviation and correction, with other values."""
    manifest = opened.package.manifest
    seen = basis.seen
    shown = None if seen is None else seen.payload
    rests_on = decision.particulars
    payload: dict[str, Json] = {
        "record_id": row.record_id,
        "corrects": row.corrects,
        "case_ref": opened.file.case_ref,
        "created_at": row.decided_on,
        "entered_afterwards": _iso(rests_on.entered_afterwards),
        "unit_id": row.unit,
        "benefit_type": row.benefit_type,
        "decision_type": manifest.decision_type,
        "model_id": manifest.id,
        "model_version": manifest.version,
        "model_digest": opened.package.identity.digest,
        "explainer_version": _version("warum"),
        "template_version": None if shown is None else shown.get("template_version"),
        "catalog_version": None if shown is None else shown.get("catalog_version"),
        "recommendation_class": decision.suggested,
        "score_band": None if shown is None else shown.get("score_band"),
        "limits_flags": [] if shown is None else shown.get("limits_flags", []),
        "initial_assessment": basis.initial_assessment,
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
        "evidence_refs": list(rests_on.evidence_refs),
        "legal_basis_ref": rests_on.legal_basis_ref,
        "hearing_ref": rests_on.hearing_ref,
        "instruction_ref": rests_on.instruction_ref,
        "actor_pseudonym": seal_actor(tools.resolver, actor.subject),
        "role": actor.role.value,
        # nobody has to approve a decision, so there is nobody to name beside who took it
        "second_person": None,
        "retention_class": manifest.retention_class,
        "erase_after": _iso(basis.erase_after),
    }
    return Entry(
        EntryKind.DECISION,
        payload,
        case_ref=opened.file.case_ref,
        model=opened.package.identity.digest,
        explainer=tools.explainer_digest,
        idempotency_key=idempotency_key,
    )


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _told_hash(shown: Mapping[str, Json]) -> str:
    return hashlib.sha256(str(shown["told"]).encode()).hexdigest()


def access_entry(
    listed: ListedRecord, purpose: str, text: str, actor: Actor, now: datetime, tools: Tools
) -> Entry:
    """Who opened which record, and what for.

    It outlives an erasure of the case by months, so it has no case number: the record leads there.
    """
    return Entry(
        EntryKind.ACCESS,
        {
            "created_at": minute(now),
            "record_id": listed.row.record_id,
            "unit_id": listed.row.unit,
            "purpose": purpose,
            "purpose_text": text,
            "role": actor.role.value,
            "actor_pseudonym": seal_actor(tools.resolver, actor.subject),
        },
    )
