"""The documented JSON forms: the whole explanation for machines and auditors, and what one
audience may see.

`docs/explanation-1.schema.json` and `docs/view-1.schema.json` describe them; tests hold both to
each other.
"""

from __future__ import annotations

import math
from typing import Any

from explainer.core.attribution import Task
from explainer.core.case import Case, Value
from explainer.core.disclosure import ShownReason, ShownRow, Told, View
from explainer.core.explanation import Explanation, Finding, PackageIdentity
from explainer.errors import ExplainerError, NotExplainable

EXPLANATION = "warum.explanation/1"
VIEW = "warum.view/1"


def explanation_form(explanation: Explanation) -> dict[str, Any]:
    """Everything, numbers included: for machines, experts and auditors."""
    told = {reason.finding.feature.name: reason for reason in explanation.reasons}
    return {
        "schema": EXPLANATION,
        "package": _identity(explanation.package),
        "case": {"ref": explanation.case_ref, "digest": explanation.case_digest},
        "suggestion": _suggestion(explanation) | _numbers(explanation),
        "baseline": {
            "value": explanation.comparison.base,
            "rows": explanation.comparison.rows,
            "digest": explanation.comparison.digest,
            "margin_scale": explanation.comparison.scale,
        },
        "features": [_finding(finding, explanation) for finding in explanation.findings],
        "opening": explanation.opening.value,
        "reasons": [
            {
                "feature": reason.finding.feature.name,
                "direction": None
                if reason.direction is None
                else explanation.line.outcome(reason.direction),
                "strength": reason.finding.strength.value,
                "rank": reason.finding.rank,
                "leading": reason.leading,
                "decisive": reason.decisive,
            }
            for reason in explanation.reasons
        ],
        "remainder": {
            "share": explanation.rest_share / 1000,
            "size": explanation.rest.value,
            "features": [
                f.feature.name for f in explanation.findings if f.feature.name not in told
            ],
        },
        "method": explanation.method,
        **_precision(explanation),
        "verified": {
            "model_output": explanation.margin,
            "sum": explanation.total,
            "difference": explanation.difference,
        },
        "limits": sorted(limit.value for limit in explanation.limits),
    }


def _precision(explanation: Explanation) -> dict[str, Any]:
    """Only where contributions are estimated: from how many answers, and how far off at most."""
    found = explanation.precision
    if found is None:
        return {}
    return {"estimate": {"answers": found.answers, "within": found.within / 1000}}


def _suggestion(said: Explanation | View) -> dict[str, Any]:
    """Of two outcomes the suggested one; of several the runner-up as well; or an amount."""
    if said.amount is not None:
        return {
            "task": said.task.value,
            "amount": said.amount.text,
            "unit": said.amount.unit,
            "compared": said.amount.compared.value,
        }
    if said.runner_up is not None:
        return {
            "task": said.task.value,
            "outcome": said.suggestion,
            "runner_up": said.runner_up,
        }
    return {"outcome": said.suggestion}


def _numbers(explanation: Explanation) -> dict[str, Any]:
    if explanation.task is Task.AMOUNT:
        return {"margin": explanation.margin}
    numbers: dict[str, Any] = {
        "margin": explanation.margin,
        "probability": explanation.probability,
        "threshold": explanation.line.threshold,
    }
    if explanation.task is Task.MULTICLASS:
        numbers["margins"] = list(explanation.margins)
    return numbers


def withheld_explanation_form(
    fault: NotExplainable, case: Case, package: PackageIdentity, method: str
) -> dict[str, Any]:
    """That there is no explanation, for machines, experts and auditors: who was asked, how, why
    not, and the numbers that were compared. No suggestion and no contribution."""
    form: dict[str, Any] = {
        "schema": EXPLANATION,
        "package": _identity(package),
        "case": {"ref": case.ref, "digest": case.digest},
        "method": method,
        "withheld": {"code": fault.code},
    }
    if fault.model_output is not None and fault.total is not None:
        difference = fault.total - fault.model_output
        form["checked"] = {
            "model_output": fault.model_output,
            # a sum that is no number has no place in JSON
            "sum": fault.total if math.isfinite(fault.total) else None,
            "difference": difference if math.isfinite(difference) else None,
        }
        if case.reported_margin is not None:
            said = case.reported_margin
            form["checked"]["reported"] = list(said) if isinstance(said, tuple) else said
    return form


def _identity(package: PackageIdentity) -> dict[str, str]:
    return {"id": package.id, "version": package.version, "digest": package.digest}


def view_form(view: View, told: Told) -> dict[str, Any]:
    """What one audience may see, and the text they were told; no margin, no probability."""
    form: dict[str, Any] = {
        "schema": VIEW,
        "audience": view.audience.value,
        "language": told.language,
        "package": {"id": view.package.id, "version": view.package.version},
        "case": {"ref": view.case_ref},
        "suggestion": _suggestion(view),
        "opening": view.opening.value,
        "reasons": [_shown(reason, staff=view.table is not None) for reason in view.reasons],
        "remainder": view.rest.value,
        "limits": [limit.value for limit in view.limits],
        "media_type": told.media_type,
        "text": told.body.decode(),
    }
    if view.table is not None:
        form["table"] = [_row(row) for row in view.table]
    return form


def withheld_form(fault: ExplainerError, told: Told, case_ref: str) -> dict[str, Any]:
    """That an explanation is withheld, and why; carries no suggestion."""
    return {
        "schema": VIEW,
        "audience": told.audience.value,
        "language": told.language,
        "case": {"ref": case_ref},
        "withheld": {"code": fault.code},
        "media_type": told.media_type,
        "text": told.body.decode(),
    }


def value_form(value: Value) -> dict[str, Any]:
    form: dict[str, Any] = {"value": value.value}
    if value.missing is not None:
        form["missing"] = value.missing.value
    if value.as_of is not None:
        form["as_of"] = value.as_of.isoformat()
    if value.source is not None:
        form["source"] = {"type": value.source.type.value, "label": value.source.label}
    return form


def _finding(finding: Finding, explanation: Explanation) -> dict[str, Any]:
    return {
        "feature": finding.feature.name,
        **value_form(finding.value),
        "outside_trained": finding.value.value is not None
        and not finding.feature.knows(finding.value.value),
        "contribution": finding.phi,
        "share": finding.share / 1000,
        "direction": None
        if finding.direction is None
        else explanation.line.outcome(finding.direction),
        "stable": finding.stable,
        "rank": finding.rank,
        **({} if explanation.precision is None else {"standard_error": finding.error}),
    }


def _shown(reason: ShownReason, *, staff: bool) -> dict[str, Any]:
    form: dict[str, Any] = {
        "rank": reason.rank,
        "pointing": reason.pointing.value,
        "strength": reason.strength.value,
    }
    if reason.withheld or reason.value is None:
        return {**form, "withheld": True}
    form |= {"feature": reason.feature, **value_form(reason.value)}
    if reason.stand_in is not None:
        form["stand_in"] = reason.stand_in
    if reason.parts is not None:
        form["parts_of_100"] = reason.parts
    if staff:
        form["decisive"] = reason.decisive
        if reason.proxy_for is not None:
            form["proxy_for"] = reason.proxy_for
    return form


def _row(row: ShownRow) -> dict[str, Any]:
    return {
        "feature": row.feature,
        **value_form(row.value),
        "pointing": None if row.pointing is None else row.pointing.value,
        "strength": row.strength.value,
        "parts_of_100": row.parts,
        "told": row.told,
    }


def error_form(fault: ExplainerError) -> dict[str, Any]:
    """An error as JSON: its code, what happened, where, and how to mend it."""
    form: dict[str, Any] = {
        "code": fault.code,
        "what": fault.what,
        "where": fault.where,
        "mend": fault.mend,
    }
    inner = [f[1] if isinstance(f, tuple) else f for f in getattr(fault, "faults", ())]
    if inner:
        form["faults"] = [error_form(each) for each in inner]
    return form
