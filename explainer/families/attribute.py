"""A case becomes an Attribution, or it is withheld: row -> engine -> check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from explainer.core.attribution import (
    Attribution,
    ComparisonGroup,
    Contribution,
    DecisionLine,
)
from explainer.core.case import Case, FeatureCatalogue
from explainer.errors import BackgroundInvalid
from explainer.families.engine.interventional import Against
from explainer.families.engine.trees import Floats
from explainer.families.model import Model, RawRow

METHOD = "interventional-exact-groups/1"
"""Recorded with every explanation; another way to reach the numbers gets another name."""

RESAMPLES = 30
STABLE = 27
SEED = 20261122
"""Resamples of the comparison group for the stability of a sign; fixed and recorded."""


@dataclass(frozen=True)
class Explained:
    """A model, its comparison group and its line: answers with checked attributions."""

    model: Model
    catalogue: FeatureCatalogue
    line: DecisionLine
    comparison: ComparisonGroup
    comparison_columns: Floats

    @cached_property
    def _against(self) -> Against:
        return Against(self.model.ensemble, self.comparison_columns)

    def attribute(self, case: Case) -> Attribution:
        """How far each feature moved the margin of `case` away from the comparison group.

        Raises DoesNotAddUp, ScoreDiffers or ModelFailed: there is no second-best number.
        """
        row = raw_row(case)
        answer = self.model.answer([row])
        margin = float(answer.margins[0])
        by_row = self._against.row_values(answer.columns[0])
        phi = by_row.mean(axis=0)
        stable = _stable_signs(by_row, phi)
        return Attribution(
            self.comparison,
            tuple(
                Contribution(feature.name, float(phi[at]), bool(stable[at]))
                for at, feature in enumerate(self.catalogue)
            ),
            margin,
            1 / (1 + math.exp(-margin)) if margin > -700 else 0.0,
            self.line,
            METHOD,
            case.reported_margin,
        )


def explained(
    model: Model,
    catalogue: FeatureCatalogue,
    line: DecisionLine,
    rows: Sequence[RawRow],
    digest: str,
) -> Explained:
    """Set the model beside its comparison group.

    Raises BackgroundInvalid where the group cannot serve: fewer than 30 rows, or all alike.
    """
    if len(rows) < 30:
        raise BackgroundInvalid(
            f"The comparison group has {len(rows)} rows.", "background.csv", "Give at least 30."
        )
    answer = model.answer(rows)
    margins = answer.margins
    low, high = np.quantile(margins, [0.1, 0.9])
    if not high > low:
        raise BackgroundInvalid(
            "All rows of the comparison group have the same score.",
            "background.csv",
            "Choose rows that differ.",
        )
    group = ComparisonGroup(
        digest,
        len(rows),
        float(margins.mean()),
        float(high - low),
        float((margins >= line.threshold).mean()),
    )
    return Explained(model, catalogue, line, group, answer.columns)


def raw_row(case: Case) -> RawRow:
    """The values of a case as a model takes them."""
    return {name: value.value for name, value in case.values.items()}


def _stable_signs(by_row: Floats, phi: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each sign holds in at least 27 of 30 resamples of the comparison rows."""
    draws = np.random.default_rng(SEED).integers(0, len(by_row), size=(RESAMPLES, len(by_row)))
    means = by_row[draws].mean(axis=1)
    agree = (np.sign(means) == np.sign(phi)).sum(axis=0)
    return np.asarray((agree >= STABLE) & (phi != 0))
