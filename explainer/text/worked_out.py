"""What the contributions of a case mean, worked out a second time.

By the rules R1 to R10 of `core/reasons`, written down again by themselves: signs, order, shares,
bands, the side of the line, the first line and the rest. What the two find must be the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from explainer.core.attribution import TOLERANCE, Side, Task
from explainer.core.disclosure import Pointing, parts_of_100
from explainer.core.explanation import (
    Explanation,
    Finding,
    Opening,
    ReasonPolicy,
    Rest,
    Strength,
)
from explainer.text.fragment import disagrees


@dataclass(frozen=True, slots=True)
class Worked:
    """What the contribution of one feature means.

    `direction` is the side its sign points to; `outcome` the one its sentence must speak for, None
    where the direction is not clear. `parts` are parts of 100, None where shares would mislead.
    """

    finding: Finding
    share: int
    parts: int | None
    strength: Strength
    direction: Side | None
    outcome: str | None
    pointing: Pointing | None
    leading: bool
    decisive: bool


def work_out(explanation: Explanation, policy: ReasonPolicy) -> dict[str, Worked]:
    """Every feature by name, from the contributions alone.

    Raises TextDisagrees where the explanation says anything else of them.
    """
    findings, line = explanation.findings, explanation.line
    group, margin = explanation.comparison, explanation.margin
    total = group.base + math.fsum(f.phi for f in findings)
    if not abs(total - margin) <= TOLERANCE * group.scale:
        raise disagrees("the sum of the contributions")
    side = Side.ABOVE if margin >= line.threshold else Side.BELOW
    if side is not explanation.side or explanation.suggestion != line.outcome(side):
        raise disagrees("the side of the line")
    movement = math.fsum(abs(f.phi) for f in findings)
    flat = movement < policy.nearness * group.scale
    order = sorted(range(len(findings)), key=lambda at: (-abs(findings[at].phi), at))
    shares = [_thousandths(abs(f.phi), movement) for f in findings]
    ahead = shares[order[0]] - (shares[order[1]] if len(order) > 1 else 0)
    found = {}
    for rank, at in enumerate(order, start=1):
        finding, share = findings[at], shares[at]
        phi = finding.phi
        direction = None if phi == 0 else Side.ABOVE if phi > 0 else Side.BELOW
        strength = _strength(share, policy.floor, flat) if phi else Strength.NONE
        clear = direction if finding.stable else None
        one = Worked(
            finding,
            share,
            None if flat else parts_of_100(share),
            strength,
            direction,
            None if clear is None else line.outcome(clear),
            None if direction is None else _pointing(clear, side),
            not flat and rank == 1 and finding.stable and ahead >= 100,
            clear is side
            and explanation.task is not Task.AMOUNT
            and (margin - phi >= line.threshold) is not (side is Side.ABOVE),
        )
        if (finding.rank, finding.share, finding.direction, finding.strength) != (
            rank,
            share,
            direction,
            strength,
        ):
            raise disagrees(f"rank, share, direction or strength of {finding.feature.name}")
        found[finding.feature.name] = one
    if explanation.opening is not _opening(explanation, found, policy, flat):
        raise disagrees("the first line")
    _check_rest(explanation, found)
    return found


def _thousandths(part: float, whole: float) -> int:
    return round(1000 * part / whole) if whole > 0 else 0


def _strength(share: int, floor: int, flat: bool) -> Strength:
    if share < floor:
        return Strength.HARDLY
    if flat or share < 150:
        return Strength.SMALL
    return Strength.LARGE if share < 400 else Strength.VERY_LARGE


def _pointing(direction: Side | None, side: Side) -> Pointing:
    if direction is None:
        return Pointing.UNCLEAR
    return Pointing.TOWARDS if direction is side else Pointing.AWAY


def _opening(
    explanation: Explanation, worked: dict[str, Worked], policy: ReasonPolicy, flat: bool
) -> Opening:
    group, margin, side = explanation.comparison, explanation.margin, explanation.side
    near = abs(margin - explanation.line.threshold) <= policy.nearness * group.scale
    if near and explanation.task is not Task.AMOUNT:
        return Opening.CLOSE
    if flat:
        return Opening.FLAT
    above = side is Side.ABOVE
    away = margin < group.base if above else margin > group.base
    if away and (group.share_above if above else 1 - group.share_above) > 0.5:
        return Opening.USUAL
    pointing = [w.pointing for w in worked.values() if w.share >= 250]
    if Pointing.TOWARDS in pointing and Pointing.AWAY in pointing:
        return Opening.MIXED
    return Opening.SPREAD if all(w.share < 150 for w in worked.values()) else Opening.CLEAR


def _check_rest(explanation: Explanation, worked: dict[str, Worked]) -> None:
    """From the contributions of all that is no reason."""
    told = {reason.finding.feature.name for reason in explanation.reasons}
    sizes = {name: abs(w.finding.phi) for name, w in worked.items()}
    left = sum(size for name, size in sizes.items() if name not in told)
    share = _thousandths(left, math.fsum(sizes.values()))
    rest = Rest.MUCH
    if left == 0 or share == 0:
        rest = Rest.NONE
    elif share < 300:
        rest = Rest.LITTLE if share < 100 else Rest.SOME
    if (explanation.rest_share, explanation.rest) != (share, rest):
        raise disagrees("how much all the rest is")
