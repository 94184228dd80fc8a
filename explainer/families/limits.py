"""What the model does not know about a case; computed here, carried by the explanation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from explainer.core.attribution import Attribution
from explainer.core.case import Case, FeatureCatalogue, Kind
from explainer.core.explanation import Limit
from explainer.core.reasons import share_in_thousandths
from explainer.errors import OutsideExperience
from explainer.families.engine.forest import Floats
from explainer.families.model import RawRow
from explainer.families.weights import spread

FEWEST_COMPARABLE = 30
RARE = 50
"""A case is rare where fewer rows than these are comparable with it, and fewer than one in RARE:
the comparison group is a sample, and stands for more applications than it has rows."""

NEAR = 0.25
"""How far apart two numbers may lie to be near: part of the group's 90th minus 10th percentile."""


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
    comparable_rows: int | None = None
    """The fewest comparable rows; None means that it goes by the size of the group."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """How many rows of the comparison group are comparable with a case, and what they weigh: where
    all rows weigh alike, one each."""

    rows: int
    weight: float


class ComparableRows:
    """The rows of the comparison group, as people know them, to be compared with a case.

    `weights` of the rows, ndarray of shape (n_rows,), or None where all weigh alike.
    """

    def __init__(
        self, rows: Sequence[RawRow], catalogue: FeatureCatalogue, weights: Floats | None = None
    ) -> None:
        self._names = catalogue.names
        self._codes = [
            {choice: at for at, choice in enumerate(feature.choices)}
            if feature.kind is Kind.CHOICE
            else None
            for feature in catalogue
        ]
        self._rows = np.array([self._numbers(row) for row in rows])
        self._missing = np.isnan(self._rows)
        self._weights = np.ones(len(rows)) if weights is None else weights
        # a choice is near itself only
        self._near = np.zeros(len(self._names))
        for at, codes in enumerate(self._codes):
            there = ~self._missing[:, at]
            given = self._rows[there, at]
            if codes is None and len(given):
                of_given = None if weights is None else weights[there]
                self._near[at] = NEAR * spread(given, of_given)

    def like(self, case: Case, attribution: Attribution) -> Comparable:
        """How many rows are comparable with the case.

        Two values agree if they are the same choice, near each other, or both missing. A row is
        comparable if it agrees with the case in information that has at least half of the total
        movement: a weighted similarity (Gower 1971), the weights being what moved this case.
        """
        moved = {each.feature: abs(each.phi) for each in attribution.contributions}
        weights = np.array([moved[name] for name in self._names])
        own = np.array(self._numbers({name: value.value for name, value in case.values.items()}))
        # a value that is missing is near none
        agree = np.abs(self._rows - own) <= self._near
        gone = np.isnan(own)
        if gone.any():
            agree |= self._missing & gone
        # a little less than half, so that no last bit of a sum decides
        enough = (0.5 - 1e-9) * weights.sum()
        comparable = agree.astype(np.float64) @ weights >= enough
        return Comparable(int(np.count_nonzero(comparable)), float(self._weights[comparable].sum()))

    def too_few(self, comparable: Comparable, stated: int | None) -> bool:
        """Whether so few comparable rows are told; `stated` is the package's own number of rows.

        What has been seen goes by the number of rows: a heavy row is still one record. How rare
        such cases are goes by weight: an application of a stratum that was sampled thinly is not
        rare for being in few rows.
        """
        if stated is not None:
            return comparable.rows < stated
        # exactly one in RARE is not fewer, whatever the last bit of a sum says
        rare = comparable.weight * RARE < self._weights.sum() * (1 - 1e-9)
        return bool(comparable.rows < FEWEST_COMPARABLE and rare)

    def _numbers(self, row: RawRow) -> list[float]:
        """Choices by their place in the list; NaN where a value is missing."""
        numbers = []
        for name, codes in zip(self._names, self._codes, strict=True):
            value = row[name]
            if value is None:
                numbers.append(math.nan)
            else:
                numbers.append(float(value if codes is None else codes[str(value)]))
        return numbers


def limits_of(
    case: Case,
    attribution: Attribution,
    catalogue: FeatureCatalogue,
    rules: LimitRules,
    today: date,
    rows: ComparableRows,
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
    if rows.too_few(rows.like(case, attribution), rules.comparable_rows):
        limits.add(Limit.FEW)
    stand_ins = sum(moved[name] for name, value in case.values.items() if value.missing)
    if share_in_thousandths(stand_ins, total) >= rules.stand_in_share:
        limits.add(Limit.MANY_MISSING)
    if rules.stale_after is not None and today > rules.stale_after:
        limits.add(Limit.STALE)
    return frozenset(limits)
