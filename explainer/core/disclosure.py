"""Who may see what of an explanation, and what they were shown.

This is one of the four files that carry a property of the whole product: nobody sees more than
their audience may. A test asserts that no audience ever gains a field.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from enum import StrEnum

from explainer.core.attribution import Amount, Side, Task
from explainer.core.case import Concerns, FeatureClass, Missing, Scalar, Value
from explainer.core.explanation import (
    Explanation,
    Finding,
    Limit,
    Opening,
    PackageIdentity,
    Reason,
    Rest,
    Strength,
)


class Audience(StrEnum):
    """Whom an explanation is worded for."""

    APPLICANT = "applicant"
    CASEWORKER = "caseworker"


class Pointing(StrEnum):
    """How a reason stands to the suggestion; never "positive" or "negative"."""

    TOWARDS = "towards"
    AWAY = "away"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class ShownReason:
    """One reason as an audience may see it.

    `withheld` keeps the reason's place without its content: the next one never moves up.
    `outcome` is the outcome its sentence speaks for, None if unclear or withheld. `parts` is
    the share in parts of 100, rounded to five, for caseworkers only.
    """

    rank: int
    pointing: Pointing
    strength: Strength
    leading: bool
    withheld: bool
    feature: str | None
    outcome: str | None
    value: Value | None
    stand_in: Scalar | None
    can_be_supplied: bool
    parts: int | None = None
    decisive: bool = False
    proxy_for: str | None = None
    kept: bool = False
    """Whether the person who applied sees it as withheld; told to caseworkers only."""


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One line of the caseworker's full table, in catalogue order."""

    feature: str
    value: Value
    stand_in: Scalar | None
    pointing: Pointing | None
    strength: Strength
    parts: int | None
    told: bool


@dataclass(frozen=True, slots=True)
class View:
    """What one audience may see of an explanation. Holds no margin and no probability.

    An amount is no margin: it is the suggestion itself, as it is told.
    """

    audience: Audience
    package: PackageIdentity
    case_ref: str
    suggestion: str
    opening: Opening
    reasons: tuple[ShownReason, ...]
    rest: Rest
    limits: tuple[Limit, ...]
    as_of: int | None
    table: tuple[ShownRow, ...] | None
    gaps: int = 0
    """How many pieces of information with a strength of their own were missing."""
    within: int | None = None
    """How far estimated shares may be off, in parts of 100; for caseworkers only."""
    task: Task = Task.BINARY
    runner_up: str | None = None
    amount: Amount | None = None


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What of the package's rules disclosing needs.

    Attributes
    ----------
    as_of : the year the model is as of
    nearness : see ReasonPolicy; where everything together moved a case by less than this part of
        the comparison group's scale, shares of it get no number
    """

    as_of: int | None
    nearness: float


@dataclass(frozen=True, slots=True)
class Told:
    """Exactly what a person was shown: bytes, and what they are."""

    body: bytes
    media_type: str
    language: str
    audience: Audience

    @property
    def digest(self) -> bytes:
        """SHA-256 of the bytes; only ever stored salted, because short texts can be guessed."""
        return hashlib.sha256(self.body).digest()


def disclose(explanation: Explanation, audience: Audience, rules: Disclosure) -> View:
    """What `audience` may see of `explanation`."""
    staff = audience is Audience.CASEWORKER
    flat = _is_flat(explanation, rules)
    return View(
        audience=audience,
        package=explanation.package,
        case_ref=explanation.case_ref,
        suggestion=explanation.suggestion,
        opening=explanation.opening,
        reasons=tuple(_shown(reason, explanation, flat, staff) for reason in explanation.reasons),
        rest=explanation.rest,
        limits=tuple(limit for limit in Limit if limit in explanation.limits),
        as_of=rules.as_of,
        table=tuple(_row(finding, explanation, flat) for finding in explanation.findings)
        if staff
        else None,
        gaps=sum(
            finding.value.missing is not None
            and finding.strength not in (Strength.NONE, Strength.HARDLY)
            for finding in explanation.findings
        ),
        within=-(-explanation.precision.within // 10) if staff and explanation.precision else None,
        task=explanation.task,
        runner_up=explanation.runner_up,
        amount=explanation.amount,
    )


def parts_of_100(share: int) -> int:
    """A share in thousandths as parts of 100, to the nearest five (halves go up).

    It never rounds across the bands of the words: the same number has one word only.
    """
    rounded = 5 * ((share + 25) // 50)
    if share >= 400:
        return max(rounded, 40)
    if share >= 150:
        return min(max(rounded, 15), 35)
    return min(rounded, 10)


def _is_flat(explanation: Explanation, rules: Disclosure) -> bool:
    # not by the opening: a case that is close to the line as well is opened as close
    movement = math.fsum(abs(finding.phi) for finding in explanation.findings)
    return movement < rules.nearness * explanation.comparison.scale


def _pointing(direction: Side | None, side: Side) -> Pointing:
    if direction is None:
        return Pointing.UNCLEAR
    return Pointing.TOWARDS if direction is side else Pointing.AWAY


def _shown(reason: Reason, explanation: Explanation, flat: bool, staff: bool) -> ShownReason:
    finding = reason.finding
    feature = finding.feature
    third_person = feature.concerns is Concerns.THIRD_PERSON
    withheld = third_person and not staff
    outcome = None if reason.direction is None else explanation.line.outcome(reason.direction)
    missing = finding.value.missing is not None
    # nobody is asked for what is not needed in their case
    wanted = missing and finding.value.missing is not Missing.NOT_APPLICABLE
    proxy = feature.feature_class is FeatureClass.PROXY_SUSPECT
    return ShownReason(
        rank=finding.rank,
        pointing=_pointing(reason.direction, explanation.side),
        strength=finding.strength,
        leading=reason.leading,
        withheld=withheld,
        feature=None if withheld else feature.name,
        outcome=None if withheld else outcome,
        value=None if withheld else finding.value,
        stand_in=feature.stand_in if missing and not withheld else None,
        can_be_supplied=wanted and not withheld,
        # shares of almost nothing get no number either
        parts=parts_of_100(finding.share) if staff and not flat else None,
        decisive=reason.decisive if staff else False,
        proxy_for=feature.proxy_for if staff and proxy else None,
        kept=third_person and staff,
    )


def _row(finding: Finding, explanation: Explanation, flat: bool) -> ShownRow:
    told = any(reason.finding is finding for reason in explanation.reasons)
    pointing = None
    if finding.direction is not None:
        pointing = _pointing(finding.direction if finding.stable else None, explanation.side)
    return ShownRow(
        feature=finding.feature.name,
        value=finding.value,
        stand_in=finding.feature.stand_in if finding.value.missing is not None else None,
        pointing=pointing,
        strength=finding.strength,
        parts=None if flat else parts_of_100(finding.share),
        told=told,
    )
