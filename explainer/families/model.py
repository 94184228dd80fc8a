"""What every model format must give so that its cases can be explained and verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from explainer.core.attribution import Space
from explainer.core.case import FeatureCatalogue, Kind, Scalar
from explainer.families.engine.forest import Floats, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear

RawRow = Mapping[str, Scalar | None]
"""The raw values of one case by feature; None where a value is missing."""

Form = Trees | Linear | Function
"""Our form of a model, on the model's own columns: what its contributions are computed from."""


@dataclass(frozen=True, slots=True)
class Input:
    """One feature as a model takes it: its name, and its choices where it is not a number."""

    name: str
    choices: tuple[str, ...] | None


def inputs_of(catalogue: FeatureCatalogue) -> tuple[Input, ...]:
    """The features of a catalogue as the inputs of a model; the n-th is the n-th player."""
    return tuple(
        Input(
            feature.name,
            tuple(map(str, feature.choices)) if feature.kind is Kind.CHOICE else None,
        )
        for feature in catalogue
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says about rows.

    Attributes
    ----------
    margins : ndarray of shape (n_rows,), raw margin, from the library that trained the model
    columns : ndarray of shape (n_rows, n_columns), the rows as the model's own columns
    """

    margins: Floats
    columns: Floats


class Model(Protocol):
    """A model opened from an artefact.

    The margins of an answer must come from the library that trained the model: they are what
    explanations are checked against. `form` works on the columns of an answer.
    """

    @property
    def form(self) -> Form: ...

    @property
    def space(self) -> Space:
        """What the margin is measured in."""
        ...

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        """What the model itself puts in the place of a missing value, by feature.

        Not of features whose missing values it takes as they are, or not at all.
        """
        ...

    def answer(self, rows: Sequence[RawRow]) -> Answer: ...

    def row_values(self, case: Floats, comparison: Floats) -> Floats:
        """For a `Function`: Shapley values of `case` against each comparison row alone, by asking
        the model about mixtures of their columns; ndarray of shape (n_rows, n_players)."""
        ...
