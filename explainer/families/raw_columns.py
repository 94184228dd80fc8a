"""Rows of values as plain columns and back, for models that are asked in raw values.

The n-th column is the n-th feature: a number as it is, a choice as its position among the choices
of the catalogue, NaN where the value is missing. So each column is a player, and mixtures of rows
are mixtures of columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explainer.core.case import Scalar
from explainer.errors import ModelFailed
from explainer.families.engine.forest import Bools, Floats
from explainer.families.engine.function import Function
from explainer.families.json_form import Members
from explainer.families.model import Input, RawRow

StandIns = Mapping[str, float | str]


class RawColumns:
    """The features of a catalogue as columns, and what stands in for a missing value."""

    def __init__(self, inputs: Sequence[Input], stand_ins: StandIns) -> None:
        self.names = tuple(each.name for each in inputs)
        self.stand_ins = dict(stand_ins)
        self._choices = tuple(each.choices for each in inputs)
        self._places = tuple(
            None if each.choices is None else {choice: at for at, choice in enumerate(each.choices)}
            for each in inputs
        )

    @property
    def form(self) -> Function:
        return Function(np.arange(len(self.names), dtype=np.int64), len(self.names))

    def of(self, rows: Sequence[RawRow]) -> Floats:
        """ndarray of shape (n_rows, n_features). Raises ModelFailed, naming the feature."""
        found = np.empty((len(rows), len(self.names)))
        for at, name in enumerate(self.names):
            found[:, at] = [self._coded(at, row[name]) for row in rows]
        return found

    def _coded(self, at: int, value: Scalar | None) -> float:
        if value is None:
            return float("nan")
        places = self._places[at]
        if places is not None:
            if value not in places:
                raise _failed("The model does not know this choice.", self.names[at])
            return float(places[str(value)])
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = float("nan")
        if not np.isfinite(number):
            raise _failed("The value is no finite number.", self.names[at])
        return number

    def filled(self, columns: Floats) -> Floats:
        """The same with stand-ins for missing values; NaN is left where there is none."""
        found = columns.copy()
        for at, name in enumerate(self.names):
            if name in self.stand_ins:
                found[np.isnan(found[:, at]), at] = self._coded(at, self.stand_ins[name])
        return found

    def whole_numbers(self, columns: Floats, at: int) -> NDArray[np.int64]:
        """One feature for a model that takes whole numbers only."""
        given = columns[:, at]
        self._refuse(at, np.isnan(given), "The model takes no missing value here.")
        self._refuse(
            at,
            (given != np.floor(given)) | (np.abs(given) > 2**53),
            "The model takes whole numbers only.",
        )
        return given.astype(np.int64)

    def texts(self, columns: Floats, at: int) -> NDArray[np.object_]:
        """The choices of one feature as text."""
        choices = self._choices[at]
        assert choices is not None  # noqa: S101 - formats ask for texts of choices only
        given = columns[:, at]
        self._refuse(at, np.isnan(given), "The model takes no missing value here.")
        return np.array(choices, dtype=object)[given.astype(np.int64)]

    def values(self, columns: Floats, at: int) -> NDArray[Any]:
        """One feature as a table of training has it: a number, or text; NaN where it is missing."""
        choices = self._choices[at]
        if choices is None:
            return columns[:, at]
        named = np.array([*choices, np.nan], dtype=object)
        codes = np.nan_to_num(columns[:, at], nan=len(choices)).astype(np.int64)
        return np.asarray(named[codes])

    def _refuse(self, at: int, wrong: Bools, what: str) -> None:
        if wrong.any():
            raise _failed(what, self.names[at])


def stand_ins_in(given: Members, inputs: Sequence[Input]) -> StandIns:
    """Stand-ins by feature as a file declares them; what does not fit becomes a fault."""
    found: dict[str, float | str] = {}
    for each in inputs:
        if not given.has(each.name):
            continue
        if each.choices is None:
            found[each.name] = given.number(each.name, among=(-1e300, 1e300))
        else:
            found[each.name] = given.text(each.name, among=each.choices)
    given.finish()
    return found


def _failed(what: str, where: str) -> ModelFailed:
    return ModelFailed(what, where, "Run `warum package check` on the package.")
