"""How far each piece of information moved the model's raw margin; exists only if it adds up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from explainer.errors import DoesNotAddUp, ModelFailed, ScoreDiffers

TOLERANCE = 1e-4
"""Largest difference between our sum and the model's own margin, relative to the margin scale.

Measured on known-bad set-ups of common tools: the worst correct error was about 2e-6, the
smallest wrong one 0.18, so the gate lies far from both.
"""


class Side(StrEnum):
    """A side of the decision line in margin space; the package says which outcome lies there."""

    ABOVE = "above"
    BELOW = "below"

    @property
    def other(self) -> Side:
        return Side.BELOW if self is Side.ABOVE else Side.ABOVE


class Space(StrEnum):
    """What a raw margin is measured in; declared by the package, and checked against the model."""

    LOG_ODDS = "log-odds"
    PROBABILITY = "probability"

    def probability(self, margin: float) -> float:
        """The model's probability for the upper side of its own scale."""
        if self is Space.PROBABILITY:
            return margin
        return 1 / (1 + math.exp(-margin)) if margin > -700 else 0.0


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """Where the suggestion turns, declared once, by the package (requirement G15).

    `threshold` is in raw margin; a margin exactly on it belongs to the upper side.
    """

    threshold: float
    above: str
    below: str
    favours_applicant: Side

    def side(self, margin: float) -> Side:
        return Side.ABOVE if margin >= self.threshold else Side.BELOW

    def outcome(self, side: Side) -> str:
        return self.above if side is Side.ABOVE else self.below

    def side_of(self, outcome: str) -> Side:
        return Side.ABOVE if outcome == self.above else Side.BELOW


@dataclass(frozen=True, slots=True)
class ComparisonGroup:
    """What every case is compared with.

    `base` is the mean margin of its rows, `scale` (the margin scale) the 90th minus the 10th
    percentile of their margins, `share_above` the share of rows on the upper side of the line.
    """

    digest: str
    rows: int
    base: float
    scale: float
    share_above: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """Interventional Shapley value of one feature, in raw margin.

    `stable` says whether its sign was the same in at least 27 of 30 resamples of the comparison
    group: a direction that depends on who was drawn is not told as a direction.
    """

    feature: str
    phi: float
    stable: bool


@dataclass(frozen=True, slots=True)
class Attribution:
    """The comparison group's mean margin plus one contribution per feature is the model's margin.

    `margin` comes from the library that trained the model, never from our own walk through its
    trees. Raises DoesNotAddUp, ScoreDiffers or ModelFailed when built from anything else: there
    is no second-best number (Janzing et al. 2020; Lundberg et al. 2020).
    """

    comparison: ComparisonGroup
    contributions: tuple[Contribution, ...]
    margin: float
    probability: float
    line: DecisionLine
    method: str
    reported_margin: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.margin):
            raise ModelFailed(
                "The model gave no finite score.", "margin", "Have the model owner check it."
            )
        # "not <=" instead of ">" so that a NaN among the contributions is caught as well
        if not abs(self.difference) <= TOLERANCE * self.comparison.scale:
            raise DoesNotAddUp(
                "The contributions do not add up to the model's own output.",
                "attribution",
                "The explanation is withheld; run `warum package check` on the package.",
                model_output=self.margin,
                total=self.total,
            )
        if (
            self.reported_margin is not None
            and not abs(self.reported_margin - self.margin) <= TOLERANCE * self.comparison.scale
        ):
            raise ScoreDiffers(
                "The running system reported another score than the package's model gives.",
                "reported.margin",
                "Check that system and package hold the same model version.",
                model_output=self.margin,
                total=self.total,
            )

    @property
    def total(self) -> float:
        """Base value plus all contributions: what must equal the margin."""
        return self.comparison.base + math.fsum(c.phi for c in self.contributions)

    @property
    def difference(self) -> float:
        return self.total - self.margin

    @property
    def movement(self) -> float:
        """Total movement, the sum of absolute contributions."""
        return math.fsum(abs(c.phi) for c in self.contributions)

    @property
    def side(self) -> Side:
        return self.line.side(self.margin)
