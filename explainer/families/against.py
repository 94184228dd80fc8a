"""A model's form and its comparison rows, laid out once: what Shapley values are asked of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from explainer.core.attribution import Contrast
from explainer.families.engine.estimate import Estimate, Stage, check_feasible, stages
from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Floats, Ints, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import LinearAgainst
from explainer.families.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Shapley values of one case, in the contrast's margin.

    Attributes
    ----------
    values : ndarray of shape (n_players,), against the whole group
    by_row : ndarray of shape (n_sample, n_players), against the single rows of the sample
    covariance : ndarray of shape (n_players, n_players), of the errors of `values` where they are
        estimated, from so many `answers`; else None
    """

    values: Floats
    by_row: Floats
    covariance: Floats | None = None
    answers: int | None = None


class Against(Protocol):
    """A model's form and the rows every case is compared with, laid out once."""

    def measured(self, row: Floats, contrast: Contrast, sample: Ints) -> Iterator[Measured]:
        """Values of one case: once where they are exact, else better ones each time."""
        ...


class _Single(Protocol):
    """One output, its comparison rows laid out once."""

    def values(self, row: Floats) -> Floats: ...

    def row_values(self, row: Floats, sample: Ints) -> Floats: ...


class Outputs:
    """A form for each output. Shapley values of a difference are the difference of theirs."""

    def __init__(self, outputs: Sequence[_Single]) -> None:
        self._outputs = outputs

    def measured(self, row: Floats, contrast: Contrast, sample: Ints) -> Iterator[Measured]:
        towards = self._outputs[contrast.towards]
        phi, by_row = towards.values(row), towards.row_values(row, sample)
        if contrast.away is not None:
            away = self._outputs[contrast.away]
            phi, by_row = phi - away.values(row), by_row - away.row_values(row, sample)
        yield Measured(phi, by_row)


class _Trees:
    def __init__(
        self, trees: Trees, comparison: Floats, weights: Floats | None, sharing: int
    ) -> None:
        self._exact = Exact(trees, comparison, weights, sharing=sharing)

    def values(self, row: Floats) -> Floats:
        found: Floats = self._exact.values(row[None, :])[0]
        return found

    def row_values(self, row: Floats, sample: Ints) -> Floats:
        return self._exact.row_values(row, sample)


class _Function:
    def __init__(
        self, model: Model, function: Function, comparison: Floats, weights: Floats | None
    ) -> None:
        check_feasible(function, len(comparison))
        self._model = model
        self._function = function
        self._comparison, self._weights = comparison, weights

    def measured(self, row: Floats, contrast: Contrast, sample: Ints) -> Iterator[Measured]:
        n_rows = len(self._comparison)
        if self._function.enumerable(n_rows):
            found = self._asked(row, contrast)
            yield Measured(found.values, found.by_row[sample])
            return
        whole: Estimate | None = None
        for stage in stages(self._function, n_rows):
            found = self._asked(row, contrast, stage)
            whole = found if whole is None else whole.joined(found)
            yield Measured(whole.values, whole.by_row[sample], whole.covariance, whole.answers)

    def _asked(self, row: Floats, contrast: Contrast, stage: Stage | None = None) -> Estimate:
        return self._model.row_values(row, self._comparison, contrast, stage, self._weights)


def against(model: Model, comparison: Floats, weights: Floats | None = None) -> Against:
    """Lay out `comparison`, an ndarray of shape (n_rows, n_columns), for the model's forms.

    `weights` of its rows, ndarray of shape (n_rows,), none below 0, any sum above 0; default: all
    alike.

    Raises ArtefactRefused where a form cannot be explained against so many rows.
    """
    outputs: list[_Single] = []
    for form in model.forms:
        if isinstance(form, Function):
            return _Function(model, form, comparison, weights)
        if isinstance(form, Trees):
            outputs.append(_Trees(form, comparison, weights, len(model.forms)))
        else:
            outputs.append(LinearAgainst(form, comparison, weights))
    return Outputs(outputs)
