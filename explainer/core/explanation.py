"""The finding, in no language: why the model scores one case as it does. See `reasons`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from explainer.core.attribution import (
    Amount,
    ComparisonGroup,
    DecisionLine,
    Side,
    Task,
)
from explainer.core.case import Feature, Value


class Strength(StrEnum):
    """How large a share of the total movement is; beside a number only for caseworkers."""

    VERY_LARGE = "very_large"
    LARGE = "large"
    SMALL = "small"
    HARDLY = "hardly"
    """Under the floor: in the caseworker's table, never a reason."""
    NONE = "none"


class Opening(StrEnum):
    """The shape of the case, told in the first line about the reasons."""

    CLOSE = "close"
    FLAT = "flat"
    USUAL = "usual"
    MIXED = "mixed"
    SPREAD = "spread"
    CLEAR = "clear"


class Rest(StrEnum):
    """How much influence all pieces of information that are not named had together."""

    NONE = "none"
    LITTLE = "little"
    SOME = "some"
    MUCH = "much"


class Limit(StrEnum):
    """What the model does not know about a case."""

    FEW = "few"
    MANY_MISSING = "many_missing"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class ReasonPolicy:
    """How many reasons are told, and from which share on. Shares are thousandths.

    The numbers are proposals with a default, not constants: a package states its own.
    """

    cap: int = 4
    cap_towards: int = 3
    cap_away: int = 2
    floor: int = 50
    coverage: int = 800
    opposing_floor: int = 100
    unclear_floor: int = 150
    nearness: float = 0.1
    """How near the line is close, in margin scales."""


@dataclass(frozen=True, slots=True)
class PackageIdentity:
    """Which package spoke: the digest covers model, comparison group and words."""

    id: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What one feature did in this case.

    `share` is its part of the total movement in thousandths; `rank` counts from 1 in order of
    size. `direction` is the side of the line it points to, None where it moved nothing.
    """

    feature: Feature
    value: Value
    phi: float
    share: int
    direction: Side | None
    stable: bool
    strength: Strength
    rank: int
    error: float = 0.0
    """Standard error of `phi` where it is estimated."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A finding that is told. `direction` None means: it mattered, but points nowhere clearly."""

    finding: Finding
    direction: Side | None
    leading: bool
    """Clearly the largest influence: one tenth of the movement ahead of the next."""
    decisive: bool
    """Without its contribution the case would lie on the other side of the line."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What `choose_reasons` returns: the reasons in order, and what is left."""

    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...]
    opening: Opening
    rest: Rest
    rest_share: int

    @property
    def said(self) -> object:
        """All that is said of it in words. Equal for two choices that read alike, whatever their
        numbers are."""
        return (
            tuple(
                (
                    reason.finding.feature.name,
                    reason.direction,
                    reason.finding.strength,
                    reason.leading,
                    reason.decisive,
                )
                for reason in self.reasons
            ),
            tuple(finding.strength for finding in self.findings),
            self.opening,
            self.rest,
        )


@dataclass(frozen=True, slots=True)
class Precision:
    """That contributions are estimated, and how well.

    `answers` is how many answers of the model that took. `within` is how far any contribution may
    be off, three standard errors of the least precise one, in thousandths of the total movement.
    """

    answers: int
    within: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the model scores one case as it does, in no language.

    `suggestion` is the side of the line the case lies on, in the package's names. Of several
    outcomes the line lies between the suggested one and the runner-up, and `margin` is the
    difference of theirs; `margins` are those of all the model's outputs. Of an amount it is
    "higher" or "lower" than the mean of the comparison group, and `amount` is what is suggested.
    """

    package: PackageIdentity
    case_ref: str
    case_digest: str
    side: Side
    suggestion: str
    line: DecisionLine
    margin: float
    probability: float | None
    total: float
    comparison: ComparisonGroup
    method: str
    reasons: tuple[Reason, ...]
    findings: tuple[Finding, ...]
    """Every feature, in catalogue order."""
    opening: Opening
    rest: Rest
    rest_share: int
    limits: frozenset[Limit]
    precision: Precision | None = None
    """None where the contributions are exact."""
    task: Task = Task.BINARY
    margins: tuple[float, ...] = ()
    amount: Amount | None = None

    @property
    def runner_up(self) -> str | None:
        """Of several outcomes, the one the suggested outcome was compared with."""
        return self.line.outcome(self.side.other) if self.task is Task.MULTICLASS else None

    @property
    def recommended(self) -> str:
        """The suggestion as records hold it: an outcome, or an amount as a decimal."""
        return self.suggestion if self.amount is None else self.amount.text

    @property
    def difference(self) -> float:
        """Our sum minus the model's own margin."""
        return self.total - self.margin
