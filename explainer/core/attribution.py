"""How far each piece of information moved the model's raw margin; exists only if it adds up."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from itertools import permutations

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


class Task(StrEnum):
    """What kind of answer a model gives; declared by the package."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    AMOUNT = "amount"


class Space(StrEnum):
    """What a raw margin is measured in; declared by the package, and checked against the model.

    Of several classes, log-odds are those of one class against another: the difference of the
    logarithms of their probabilities.
    """

    LOG_ODDS = "log-odds"
    PROBABILITY = "probability"
    AMOUNT = "amount"

    def probability(self, margins: Sequence[float], at: int = 0) -> float | None:
        """The model's own probability of one outcome; None for an amount, which has none.

        `margins` of all outputs of the model: of one, it is that of the upper side of its scale;
        of several, that of output `at`.
        """
        if self is Space.AMOUNT:
            return None
        if self is Space.PROBABILITY:
            return margins[at]
        if len(margins) == 1:
            return 1 / (1 + math.exp(-margins[0])) if margins[0] > -700 else 0.0
        highest = max(margins)
        parts = [math.exp(margin - highest) for margin in margins]
        return parts[at] / math.fsum(parts)


@dataclass(frozen=True, slots=True)
class Contrast:
    """Which output of a model is explained, and against which other one.

    A model of two classes, or of an amount, has one output: it is explained as it is. Of several
    classes the suggested one is explained against the runner-up, so the margin is a difference.
    """

    towards: int
    away: int | None = None


@dataclass(frozen=True, slots=True)
class DecisionLine:
    """Where the suggestion turns: between two outcomes (requirement G15).

    `threshold` is in raw margin; a margin exactly on it belongs to the upper side. Of two classes
    it is declared once, by the package. Of several it is 0 between the suggested outcome and the
    runner-up of the case; of an amount it is the mean of the comparison group, and the "outcomes"
    are a higher and a lower amount.
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

    @property
    def task(self) -> Task:
        return Task.BINARY

    @property
    def outcomes(self) -> tuple[str, ...]:
        return (self.above, self.below)

    def contrasts(self) -> tuple[Contrast, ...]:
        """Everything that a case may be explained as."""
        return (Contrast(0),)

    def contrast(self, margins: Sequence[float]) -> Contrast:
        """What a case with these margins of all outputs is explained as."""
        return Contrast(0)

    def between(self, contrast: Contrast, base: float) -> DecisionLine:
        """The line of a case that is explained as `contrast`; `base` as in ComparisonGroup."""
        return self

    def is_better(self, outcome: str, other: str) -> bool:
        """Whether `outcome` is better for the applicant than `other`."""
        return outcome != other and outcome == self.outcome(self.favours_applicant)

    def canonical(self, outcome: str) -> str | None:
        """What somebody decided, as records hold it; None if it cannot be decided."""
        return outcome if outcome in self.outcomes else None


@dataclass(frozen=True, slots=True)
class SeveralOutcomes:
    """A package of more than two outcomes, in the order of the model's classes.

    The suggested one is that of the largest margin; of equal ones the first. `favourable` are the
    same outcomes, from the best for the applicant to the worst.
    """

    outcomes: tuple[str, ...]
    favourable: tuple[str, ...]

    @property
    def task(self) -> Task:
        return Task.MULTICLASS

    def contrasts(self) -> tuple[Contrast, ...]:
        """See DecisionLine.contrasts."""
        return tuple(Contrast(a, b) for a, b in permutations(range(len(self.outcomes)), 2))

    def contrast(self, margins: Sequence[float]) -> Contrast:
        """The largest margin against the second largest (requirement W2.13)."""
        order = sorted(range(len(margins)), key=lambda at: (-margins[at], at))
        return Contrast(order[0], order[1])

    def between(self, contrast: Contrast, base: float) -> DecisionLine:
        """See DecisionLine.between; where the two are equal, neither is suggested more."""
        if contrast.away is None:
            raise ValueError("of several outcomes two are compared")
        above, below = self.outcomes[contrast.towards], self.outcomes[contrast.away]
        favours = Side.ABOVE if self.is_better(above, below) else Side.BELOW
        return DecisionLine(0.0, above, below, favours)

    def is_better(self, outcome: str, other: str) -> bool:
        """See DecisionLine.is_better."""
        return self.favourable.index(outcome) < self.favourable.index(other)

    def canonical(self, outcome: str) -> str | None:
        """See DecisionLine.canonical."""
        return outcome if outcome in self.outcomes else None


HIGHER, LOWER = "higher", "lower"
"""What an amount may be, compared with the mean of the comparison group."""

_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
_EXACT = Context(prec=400)
"""Enough digits for any number a model can give."""


class Compared(StrEnum):
    """How an amount stands to the mean of the comparison group, both as they are told."""

    HIGHER = HIGHER
    LOWER = LOWER
    EQUAL = "equal"


def is_amount(text: str) -> bool:
    """Whether it is an amount as records hold it: a decimal with a dot, or without."""
    return _DECIMAL.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Amount:
    """A suggested amount as it is told and recorded.

    `text` is a decimal with a dot and as many decimals as the package tells; `unit` as in
    AmountOutcome.
    """

    text: str
    unit: str
    compared: Compared


@dataclass(frozen=True, slots=True)
class AmountOutcome:
    """A package whose suggestion is an amount: no line, only higher or lower than the mean.

    `unit` is a currency such as EUR or a unit as features have them; `decimals` how many are told.
    """

    unit: str
    decimals: int
    favours_applicant: Side

    @property
    def task(self) -> Task:
        return Task.AMOUNT

    @property
    def outcomes(self) -> tuple[str, ...]:
        return (HIGHER, LOWER)

    def contrasts(self) -> tuple[Contrast, ...]:
        """See DecisionLine.contrasts."""
        return (Contrast(0),)

    def contrast(self, margins: Sequence[float]) -> Contrast:
        """See DecisionLine.contrast."""
        return Contrast(0)

    def between(self, contrast: Contrast, base: float) -> DecisionLine:
        """See DecisionLine.between: the mean of the comparison group."""
        return DecisionLine(base, HIGHER, LOWER, self.favours_applicant)

    def is_better(self, outcome: str, other: str) -> bool:
        """See DecisionLine.is_better; both are amounts as records hold them."""
        if self.favours_applicant is Side.BELOW:
            outcome, other = other, outcome
        return Decimal(outcome) > Decimal(other)

    def canonical(self, outcome: str) -> str | None:
        """See DecisionLine.canonical: `1200` and `1200.50`, with at most the package's decimals."""
        if not is_amount(outcome):
            return None
        given = Decimal(outcome)
        return self._written(given) if Decimal(self._written(given)) == given else None

    def told(self, margin: float, base: float) -> Amount:
        """The amount of a case, and how it compares with the mean of its comparison group.

        Rounded as people round: halves away from zero. What reads the same is told to be equal.
        """
        amount, mean = (self._written(Decimal(number)) for number in (margin, base))
        compared = Compared.HIGHER if Decimal(amount) > Decimal(mean) else Compared.LOWER
        return Amount(amount, self.unit, Compared.EQUAL if amount == mean else compared)

    def _written(self, number: Decimal) -> str:
        step = Decimal(1).scaleb(-self.decimals)
        rounded = number.quantize(step, ROUND_HALF_UP, _EXACT)
        # adding nought makes a minus nought a plain one
        return f"{_EXACT.add(rounded, Decimal(0)):f}"


Suggesting = DecisionLine | SeveralOutcomes | AmountOutcome
"""What a package may suggest: one of two outcomes, one of several, or an amount."""


@dataclass(frozen=True, slots=True)
class ComparisonGroup:
    """What every case is compared with.

    `base` is the mean margin of its rows, `scale` (the margin scale) the 90th minus the 10th
    percentile of their margins, `share_above` the share of rows on the upper side of the line; of
    several outcomes, the share that gets the suggested one.
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
    error: float = 0.0
    """Standard error of `phi` where it is estimated, in raw margin. A sign that is less than three
    of them away from the other one is not stable."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """The comparison group's mean margin plus one contribution per feature is the model's margin.

    `margin` comes from the library that trained the model, never from our own walk through its
    trees. Raises DoesNotAddUp, ScoreDiffers or ModelFailed when built from anything else: there
    is no second-best number (Janzing et al. 2020; Lundberg et al. 2020).

    `margin` and all that is measured beside it are those of the contrast: of several outcomes,
    the suggested one's minus the runner-up's. `probability` is the model's for the upper side of
    the line as it was asked; None for an amount. `margins` are those of all the model's outputs.
    """

    comparison: ComparisonGroup
    contributions: tuple[Contribution, ...]
    margin: float
    probability: float | None
    line: DecisionLine
    method: str
    reported_margin: float | None = None
    task: Task = Task.BINARY
    margins: tuple[float, ...] = ()
    answers: int | None = None
    """How many answers of the model the contributions were estimated from; None where they are
    exact."""

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
    def imprecision(self) -> float:
        """How far any contribution may be off: three standard errors of the least precise, in raw
        margin. 0 where nothing is estimated."""
        return 3 * max(c.error for c in self.contributions)

    @property
    def side(self) -> Side:
        return self.line.side(self.margin)
