"""Real core objects from few words. No numpy: these are what the words mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from explainer.core.attribution import (
    Attribution,
    ComparisonGroup,
    Contribution,
    DecisionLine,
    Side,
    Task,
)
from explainer.core.case import (
    Case,
    Concerns,
    Feature,
    FeatureCatalogue,
    FeatureClass,
    Kind,
    Mend,
    Missing,
    Source,
    SourceType,
    Value,
)
from explainer.core.explanation import Explanation, Limit, PackageIdentity, ReasonPolicy
from explainer.core.reasons import choose_reasons
from explainer.families.model import Target

YES = Target(Task.BINARY, ("no", "yes"))


def two(*classes: str) -> Target:
    """Two classes; the margin is for the second."""
    return Target(Task.BINARY, classes)


LINE = DecisionLine(0.0, "grant", "check", Side.ABOVE)
TODAY = date(2026, 3, 1)


def feature(name: str = "income", **changes: Any) -> Feature:
    known: dict[str, Any] = {
        "name": name,
        "kind": Kind.NUMBER,
        "unit": None,
        "hard": (0.0, 1000.0),
        "trained": (10.0, 500.0),
        "choices": (),
        "optional": False,
        "stand_in": None,
        "feature_class": FeatureClass.NEUTRAL,
        "proxy_for": None,
        "mend": Mend.NONE,
        "concerns": Concerns.APPLICANT,
    }
    return Feature(**{**known, **changes})


def choice(name: str = "tenancy", *choices: str, **changes: Any) -> Feature:
    return feature(
        name,
        kind=Kind.CHOICE,
        hard=None,
        trained=None,
        choices=choices or ("rent", "own", "other"),
        **changes,
    )


def catalogue() -> FeatureCatalogue:
    """One feature of each kind, two of them optional, one about another person."""
    return FeatureCatalogue(
        [
            feature("income"),
            feature("age", kind=Kind.INTEGER, unit="years", hard=(16, 80), trained=(20, 60)),
            choice("tenancy"),
            feature("savings", optional=True, stand_in=120.0),
            choice("job_lost_by", "season", "other", optional=True, stand_in="other"),
            feature("partner_income", concerns=Concerns.THIRD_PERSON),
        ]
    )


VALUES: dict[str, Any] = {
    "income": 420.5,
    "age": 33,
    "tenancy": "rent",
    "savings": None,
    "job_lost_by": "season",
    "partner_income": 77.25,
}


def raw_case(**changes: Any) -> dict[str, Any]:
    """A case as it is submitted; changes are values by feature."""
    return {"ref": "A-1", "values": {**VALUES, **changes}}


def group(**changes: Any) -> ComparisonGroup:
    known: dict[str, Any] = {
        "digest": "0" * 64,
        "rows": 100,
        "base": 0.0,
        "scale": 1.0,
        "share_above": 0.5,
    }
    return ComparisonGroup(**{**known, **changes})


def attribution(
    phis: Mapping[str, float],
    *,
    base: float = 0.0,
    scale: float = 1.0,
    threshold: float = 0.0,
    share_above: float = 0.5,
    unstable: Sequence[str] = (),
    **changes: Any,
) -> Attribution:
    """An attribution that adds up, from contributions by feature."""
    known: dict[str, Any] = {
        "comparison": group(base=base, scale=scale, share_above=share_above),
        "contributions": tuple(Contribution(n, phi, n not in unstable) for n, phi in phis.items()),
        "margin": base + sum(phis.values()),
        "probability": 0.5,
        "line": DecisionLine(threshold, "grant", "check", Side.ABOVE),
        "method": "by hand",
    }
    return Attribution(**{**known, **changes})


def plain(names: Sequence[str]) -> tuple[FeatureCatalogue, Case]:
    """A catalogue of plain numbers and a case that has them all."""
    features = FeatureCatalogue([feature(name) for name in names])
    return features, Case("A-1", None, {name: Value(100.0) for name in names})


def explanation(
    phis: Mapping[str, float] | None = None,
    *,
    unstable: Sequence[str] = (),
    limits: frozenset[Limit] = frozenset(),
    policy: ReasonPolicy | None = None,
    **facts: Any,
) -> Explanation:
    """An explanation over `catalogue()`, as the pipeline makes it."""
    features = catalogue()
    moved = dict.fromkeys(features.names, 0.0)
    moved |= phis or {"income": 2.0, "age": -1.0, "partner_income": 0.8, "savings": 0.6}
    found = attribution(moved, unstable=unstable, **facts)
    values = {
        "income": Value(420.5, None, date(2026, 2, 1), Source(SourceType.OWN_STATEMENT, "form")),
        "age": Value(33),
        "tenancy": Value("rent"),
        "savings": Value(None, Missing.NOT_GIVEN),
        "job_lost_by": Value("season"),
        "partner_income": Value(77.25),
    }
    case = Case("A-1", None, values)
    chosen = choose_reasons(found, case, features, policy or ReasonPolicy())
    return Explanation(
        package=PackageIdentity("made_up", "1", "1" * 64),
        case_ref=case.ref,
        case_digest=case.digest,
        side=found.side,
        suggestion=found.line.outcome(found.side),
        line=found.line,
        margin=found.margin,
        probability=found.probability,
        total=found.total,
        comparison=found.comparison,
        method=found.method,
        reasons=chosen.reasons,
        findings=chosen.findings,
        opening=chosen.opening,
        rest=chosen.rest,
        rest_share=chosen.rest_share,
        limits=limits,
    )
