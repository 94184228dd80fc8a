"""What the model does not know about a case; computed here, carried by the explanation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from explainer.core.attribution import Attribution
from explainer.core.case import Case, FeatureCatalogue
from explainer.core.explanation import Limit, share_in_thousandths
from explainer.errors import OutsideExperience


@dataclass(frozen=True, slots=True)
class LimitRules:
    """From when on a case is outside what the model knows. Shares are thousandths.

    The numbers are proposals with a default; a package states its own.
    """

    outside_values: int = 3
    outside_share: int = 50
    stand_in_share: int = 300
    stale_after: date | None = None
    as_of: int | None = None


def limits_of(
    case: Case,
    attribution: Attribution,
    catalogue: FeatureCatalogue,
    rules: LimitRules,
    today: date,
) -> frozenset[Limit]:
    """The limits to be told with this case.

    Raises OutsideExperience where the model knows too little: then no suggestion is delivered
    to anyone (requirement G5).
    """
    outside = {
        feature.name
        for feature in catalogue
        if (value := case.values[feature.name].value) is not None and not feature.knows(value)
    }
    if len(outside) >= rules.outside_values:
        raise OutsideExperience(
            f"{len(outside)} values lie outside what the model was trained on.",
            ", ".join(sorted(outside)),
            "Decide without the program.",
        )
    limits = set()
    moved = {c.feature: abs(c.phi) for c in attribution.contributions}
    total = attribution.movement
    if any(share_in_thousandths(moved[name], total) >= rules.outside_share for name in outside):
        limits.add(Limit.FEW)
    stand_ins = sum(moved[name] for name, value in case.values.items() if value.missing)
    if share_in_thousandths(stand_ins, total) >= rules.stand_in_share:
        limits.add(Limit.MANY_MISSING)
    if rules.stale_after is not None and today > rules.stale_after:
        limits.add(Limit.STALE)
    return frozenset(limits)
