"""The finding, in no language: which pieces of information are told as reasons, and how strong.

The rules carry the ids under which `docs/how-reasons-are-chosen.md` states them (R1 to R10).
Selection happens here, before any language: the same reasons, in the same order, with the same
strength, for every reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from explainer.core.attribution import (
    Amount,
    Attribution,
    ComparisonGroup,
    DecisionLine,
    Side,
    Task,
)
from explainer.core.case import Case, Feature, FeatureCatalogue, Value


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


def share_in_thousandths(part: float, whole: float) -> int:
    """R2: rounded half to even before any comparison, so that no bit decides the word used."""
    return round(1000 * part / whole) if whole > 0 else 0


def strength_of(share: int, policy: ReasonPolicy) -> Strength:
    """R4: bands of the share of the total movement."""
    if share >= 400:
        return Strength.VERY_LARGE
    if share >= 150:
        return Strength.LARGE
    if share >= policy.floor:
        return Strength.SMALL
    return Strength.HARDLY


def choose_reasons(
    attribution: Attribution, case: Case, catalogue: FeatureCatalogue, policy: ReasonPolicy
) -> Choice:
    """Choose which features are told as reasons, in which order, and how the case is opened."""
    findings = _findings(attribution, case, catalogue, policy)
    ordered = sorted(findings.values(), key=lambda finding: finding.rank)
    shown = _shown(ordered, attribution.side, policy)
    flat = _is_flat(attribution, policy)
    reasons = tuple(
        Reason(
            finding=finding,
            direction=finding.direction if finding.stable else None,
            # R9: clearly the largest; R10: without it the suggestion would be another
            # where nothing had a large influence, nothing had the largest
            leading=not flat
            and finding is ordered[0]
            and finding.stable
            and finding.share - (ordered[1].share if len(ordered) > 1 else 0) >= 100,
            decisive=finding.stable
            and finding.direction is attribution.side
            and _would_cross(finding.phi, attribution),
        )
        for finding in shown
    )
    named = {finding.feature.name for finding in shown}
    left = sum(abs(f.phi) for f in ordered if f.feature.name not in named)
    rest_share = share_in_thousandths(left, attribution.movement)
    return Choice(
        reasons,
        tuple(findings[feature.name] for feature in catalogue),
        _opening(attribution, ordered, policy),
        _rest(rest_share, left),
        rest_share,
    )


def _is_flat(attribution: Attribution, policy: ReasonPolicy) -> bool:
    """Whether all movement together is so small that shares of it would mislead."""
    return attribution.movement < policy.nearness * attribution.comparison.scale


def _would_cross(phi: float, attribution: Attribution) -> bool:
    """Whether the case would lie on the other side of the line without this contribution.

    Of several outcomes: whether the runner-up would be ahead. An amount has no line to cross.
    """
    if attribution.task is Task.AMOUNT:
        return False
    return attribution.line.side(attribution.margin - phi) is not attribution.side


def _findings(
    attribution: Attribution, case: Case, catalogue: FeatureCatalogue, policy: ReasonPolicy
) -> Mapping[str, Finding]:
    """R1: in order of size; equal ones in catalogue order, never at random."""
    position = {feature.name: at for at, feature in enumerate(catalogue)}
    ordered = sorted(attribution.contributions, key=lambda c: (-abs(c.phi), position[c.feature]))
    flat = _is_flat(attribution, policy)
    movement = attribution.movement
    findings = {}
    for rank, contribution in enumerate(ordered, start=1):
        share = share_in_thousandths(abs(contribution.phi), movement)
        direction = None
        strength = Strength.NONE
        if contribution.phi != 0:
            direction = Side.ABOVE if contribution.phi > 0 else Side.BELOW
            strength = strength_of(share, policy)
            if flat and strength is not Strength.HARDLY:
                # shares of almost nothing must not sound large
                strength = Strength.SMALL
        findings[contribution.feature] = Finding(
            catalogue[contribution.feature],
            case.values[contribution.feature],
            contribution.phi,
            share,
            direction,
            contribution.stable,
            strength,
            rank,
            contribution.error,
        )
    return findings


def precision_of(attribution: Attribution) -> Precision | None:
    """How precise estimated contributions are, rounded so that nothing sounds better than it is."""
    if attribution.answers is None:
        return None
    moved = attribution.movement
    share = math.ceil(1000 * attribution.imprecision / moved) if moved > 0 else 1000
    return Precision(attribution.answers, min(max(share, 1), 1000))


def _shown(ordered: list[Finding], side: Side, policy: ReasonPolicy) -> list[Finding]:
    def may_be_told(finding: Finding) -> bool:
        # R3: a direction that is not stable is told as unclear if it is large, else it is rest
        floor = policy.floor if finding.stable else policy.unclear_floor
        return finding.direction is not None and finding.share >= floor

    shown: list[Finding] = []
    covered = 0
    towards = away = 0
    for finding in filter(may_be_told, ordered):
        # R5: strongest first until enough is said, but two where there are two
        if len(shown) == policy.cap or (covered >= policy.coverage and len(shown) >= 2):
            break
        if finding.stable:
            if finding.direction is side:
                if towards == policy.cap_towards:
                    continue
                towards += 1
            else:
                if away == policy.cap_away:
                    continue
                away += 1
        shown.append(finding)
        covered += finding.share
    if away == 0:
        # R6: the other side is heard
        opposing = next(
            (
                finding
                for finding in filter(may_be_told, ordered)
                if finding.stable
                and finding.direction is not side
                and finding.share >= policy.opposing_floor
            ),
            None,
        )
        if opposing is not None:
            if len(shown) == policy.cap:
                shown.pop()
            shown.append(opposing)
    return shown


def _opening(attribution: Attribution, ordered: list[Finding], policy: ReasonPolicy) -> Opening:
    """R8: the first that matches."""
    scale = attribution.comparison.scale
    side = attribution.side
    distance = abs(attribution.margin - attribution.line.threshold)
    if attribution.task is not Task.AMOUNT and distance <= policy.nearness * scale:
        return Opening.CLOSE
    if _is_flat(attribution, policy):
        return Opening.FLAT
    moved = attribution.margin - attribution.comparison.base
    points_away = moved < 0 if side is Side.ABOVE else moved > 0
    same = attribution.comparison.share_above
    if side is Side.BELOW:
        same = 1 - same
    if points_away and same > 0.5:
        return Opening.USUAL
    strongest = {
        at: max((f.share for f in ordered if f.stable and f.direction is at), default=0)
        for at in Side
    }
    if strongest[side] >= 250 and strongest[side.other] >= 250:
        return Opening.MIXED
    if all(finding.share < 150 for finding in ordered):
        return Opening.SPREAD
    return Opening.CLEAR


def _rest(share: int, left: float) -> Rest:
    """R7: the rest is always told, and what is told is true."""
    if left == 0 or share == 0:
        return Rest.NONE
    if share < 100:
        return Rest.LITTLE
    return Rest.SOME if share < 300 else Rest.MUCH
