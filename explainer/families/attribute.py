"""A case becomes an Attribution, or it is withheld: row -> engine -> check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Protocol

import numpy as np

from explainer.core.attribution import (
    Attribution,
    ComparisonGroup,
    Contribution,
    DecisionLine,
)
from explainer.core.case import Case, FeatureCatalogue
from explainer.errors import BackgroundInvalid, ModelFailed
from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Floats, Ints, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear, LinearAgainst
from explainer.families.model import Model, RawRow

METHODS = {
    Trees: "interventional-exact-groups/2",
    Linear: "interventional-linear-groups/1",
    Function: "interventional-all-coalitions/1",
}
"""Recorded with every explanation; another way to reach the numbers gets another name."""

RESAMPLES = 30
STABLE = 27
SEED = 20261122
SAMPLE = 128
"""Resamples for the stability of a sign, and the comparison rows they are drawn from; fixed."""


class Against(Protocol):
    """A model's form and the rows every case is compared with, laid out once."""

    def measured(self, row: Floats, sample: Ints) -> tuple[Floats, Floats]:
        """Shapley values of one case against the whole group, shape (n_players,), and against
        the single rows of the sample, shape (n_sample, n_players); in raw margin."""
        ...


class _Trees:
    def __init__(self, trees: Trees, comparison: Floats) -> None:
        self._exact = Exact(trees, comparison)

    def measured(self, row: Floats, sample: Ints) -> tuple[Floats, Floats]:
        return self._exact.values(row[None, :])[0], self._exact.row_values(row, sample)


class _Linear:
    def __init__(self, linear: Linear, comparison: Floats) -> None:
        self._against = LinearAgainst(linear, comparison)

    def measured(self, row: Floats, sample: Ints) -> tuple[Floats, Floats]:
        return self._against.values(row), self._against.row_values(row, sample)


class _Function:
    def __init__(self, model: Model, function: Function, comparison: Floats) -> None:
        function.check_feasible(len(comparison))
        self._model = model
        self._comparison = comparison

    def measured(self, row: Floats, sample: Ints) -> tuple[Floats, Floats]:
        by_row = self._model.row_values(row, self._comparison)
        return by_row.mean(axis=0), by_row[sample]


def against(model: Model, comparison: Floats) -> Against:
    """Lay out `comparison`, an ndarray of shape (n_rows, n_columns), for the model's form.

    Raises ArtefactRefused where the form cannot be explained exactly against so many rows.
    """
    form = model.form
    if isinstance(form, Trees):
        return _Trees(form, comparison)
    if isinstance(form, Linear):
        return _Linear(form, comparison)
    return _Function(model, form, comparison)


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
        return against(self.model, self.comparison_columns)

    @cached_property
    def _sample(self) -> Ints:
        """Fixed positions of comparison rows; all of them where they are few."""
        rows = len(self.comparison_columns)
        drawn = np.random.default_rng(SEED).permutation(rows)[:SAMPLE]
        return np.sort(drawn).astype(np.int64)

    def attribute(self, case: Case) -> Attribution:
        """How far each feature moved the margin of `case` away from the comparison group.

        Raises DoesNotAddUp, ScoreDiffers or ModelFailed: there is no second-best number.
        """
        answer = self.model.answer([raw_row(case)])
        margin = float(answer.margins[0])
        phi, by_row = self._against.measured(answer.columns[0], self._sample)
        stable = _stable_signs(by_row, phi, len(self.comparison_columns))
        return Attribution(
            self.comparison,
            tuple(
                Contribution(feature.name, float(phi[at]), bool(stable[at]))
                for at, feature in enumerate(self.catalogue)
            ),
            margin,
            self.model.space.probability(margin),
            self.line,
            self.method,
            case.reported_margin,
        )

    @property
    def method(self) -> str:
        """How the numbers are reached, as it is recorded."""
        return METHODS[type(self.model.form)]

    def prepare(self) -> None:
        """Lay the comparison group out now rather than for the first case.

        Raises ArtefactRefused where the model's form cannot be explained against it.
        """
        _ = self._against


def explained(
    model: Model,
    catalogue: FeatureCatalogue,
    line: DecisionLine,
    rows: Sequence[RawRow],
    digest: str,
) -> Explained:
    """Set the model beside its comparison group.

    Raises BackgroundInvalid where the group cannot serve: fewer than 30 rows, all alike, or some
    that the model gives no answer for.
    """
    if len(rows) < 30:
        raise BackgroundInvalid(
            f"The comparison group has {len(rows)} rows.", "background.csv", "Give at least 30."
        )
    try:
        answer = model.answer(rows)
    except ModelFailed as fault:
        # no case is withheld here: without its group the whole package cannot be admitted
        raise BackgroundInvalid(
            f"The model does not answer for the comparison group. {fault.what}",
            fault.where,
            fault.mend,
        ) from None
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
    found = Explained(model, catalogue, line, group, answer.columns)
    found.prepare()
    return found


def raw_row(case: Case) -> RawRow:
    """The values of a case as a model takes them."""
    return {name: value.value for name, value in case.values.items()}


def _stable_signs(
    by_row: Floats, phi: Floats, n_rows: int
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each sign holds in at least 27 of 30 resamples of the comparison group.

    Drawn from a sample of its rows: how far the mean of a resample strays from the mean of the
    sample, less by the root of how much larger the group is, is how far the group's own would.
    """
    n = len(by_row)
    draws = np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))
    strayed = by_row[draws].mean(axis=1) - by_row.mean(axis=0)
    means = phi + strayed * sqrt(n / n_rows)
    agree = (np.sign(means) == np.sign(phi)).sum(axis=0)
    return np.asarray((agree >= STABLE) & (phi != 0))
