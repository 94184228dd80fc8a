"""Which pieces of information are told as reasons, in which order, and how strong.

The rules carry the ids under which `docs/how-reasons-are-chosen.md` states them (R1 to R10).
Selection happens here, before any language: the same reasons, in the same order, with the same
strength, for every reader.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from explainer.core.attribution import Attribution, Side, Task
from explainer.core.case import Case, FeatureCatalogue
from explainer.core.explanation import (
    Choice,
    Finding,
    Opening,
    Precision,
    Reason,
    ReasonPolicy,
    Rest,
    Strength,
)


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
        if len(shown) == policy.cap:
            break
        if finding.stable:
            if covered >= policy.coverage and len(shown) >= 2:
                continue
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
