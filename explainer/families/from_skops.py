"""scikit-learn pipelines saved with skops: their own margin, and our form of their model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from explainer.core.attribution import Contrast, Space, Task
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.engine.estimate import Estimate, Stage, asked
from explainer.families.engine.forest import Floats, Ints, Trees
from explainer.families.model import (
    Answer,
    Form,
    Input,
    RawRow,
    Target,
    check_names,
    failed,
    known_by_answers,
    margin_of,
    quietly_failing,
)
from explainer.families.players import Traced, traced
from explainer.families.raw_columns import RawColumns
from explainer.families.sklearn_estimator import Estimator
from explainer.families.sklearn_forms import classes_of, estimator_of
from explainer.families.skops_file import load

NUMBERS = (1.0, 30.0, 0.25, 2000.0)
"""Values a number is tried with, to see which columns change."""

MOST_VALUES = 12
MOST_TRIED = 4_000_000
"""Values of a feature that are tried, and cells of a model's own columns at once."""


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> SkopsModel:
    """Parse `data` and check every index before the model is asked anything.

    Raises ArtefactRefused for anything but a pipeline whose steps and model are known, and that
    gives what the target asks for; and for steps that mix features, unless the target takes the
    model by its answers.
    """
    preparation, model = load_pipeline(data)
    with refused_unless_whole():
        names = input_names(preparation)
        check_names(names, inputs)
        classes = classes_of(model)
        target.only(_task(classes))
        target.check(classes)
        found = traced(preparation, names)
        found.check_categories(inputs)
        if target.by_answers:
            if not found.mixing:
                raise ArtefactRefused(
                    "No step of this model mixes features.",
                    "manifest.toml, model.mixing",
                    "Remove the key: the model is explained by its own columns.",
                )
            # columns that belong to nobody: looked through, and asked about the features themselves
            nobody = np.zeros(len(found.columns), dtype=np.int64)
            estimator = estimator_of(model, nobody, 1)
        else:
            place = {each.name: at for at, each in enumerate(inputs)}
            player = np.array([place[owner] for owner in found.owners()], dtype=np.int64)
            estimator = estimator_of(model, player, len(inputs))
        opened = SkopsModel(preparation, estimator, inputs, found)
        opened.check_columns()
        return opened


def _task(classes: Sequence[str]) -> Task:
    if not classes:
        return Task.AMOUNT
    return Task.BINARY if len(classes) == 2 else Task.MULTICLASS


def load_pipeline(data: bytes) -> tuple[Any, Any]:
    """The preparation and the model of a pipeline, not yet checked tree by tree."""
    pipeline = load(data)
    with refused_unless_whole():
        if type(pipeline).__name__ != "Pipeline":
            raise _made_of([pipeline])
        steps = [step for _, step in pipeline.steps]
        if len(steps) < 2 or not hasattr(steps[0], "feature_names_in_"):
            raise _made_of(steps)
        return (steps[0] if len(steps) == 2 else pipeline[:-1]), steps[-1]


def input_names(preparation: Any) -> list[str]:
    """The raw inputs, in the order of training."""
    return [str(name) for name in preparation.feature_names_in_]


def _made_of(steps: Sequence[Any]) -> ArtefactRefused:
    return ArtefactRefused(
        f"The model is made of {', '.join(type(step).__name__ for step in steps)}.",
        "model",
        "Save a Pipeline of steps, the first of them fitted on a DataFrame, which names its "
        "columns, and a model.",
    )


@contextmanager
def refused_unless_whole() -> Iterator[None]:
    """A pipeline that was never fitted, or lost a part, lacks what is looked for here."""
    try:
        yield
    except ArtefactRefused:
        raise
    except Exception as fault:
        raise ArtefactRefused(
            f"The model is not fitted or not whole ({type(fault).__name__}).",
            "model",
            "Fit the pipeline, then save it with skops.io.dump.",
        ) from None


class SkopsModel:
    """A pipeline that answers with its own margin."""

    def __init__(
        self, preparation: Any, estimator: Estimator, inputs: Sequence[Input], found: Traced
    ) -> None:
        self._preparation = preparation
        self._estimator = estimator
        self._inputs = inputs
        self._found = found
        self._raw = RawColumns(inputs, {}) if found.mixing else None

    @property
    def forms(self) -> tuple[Form, ...]:
        if self._raw is not None:
            return (self._raw.form,) * len(self._estimator.forms)
        return self._estimator.forms

    @property
    def space(self) -> Space:
        return self._estimator.space

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return self._found.stand_ins

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """The pipeline's own output, step by step as it does it: first its own preparation, then
        the model's own margin."""
        with quietly_failing():
            prepared = self._preparation.transform(self._frame(rows))
            margins = self._margins(prepared)
            columns = self._inner(prepared) if self._raw is None else self._raw.of(rows)
        if not np.isfinite(margins).all() or np.isinf(columns).any():
            raise failed("The model gave a number that is not finite.")
        return Answer(margins, columns)

    def check_columns(self) -> None:
        """Raise ArtefactRefused where the preparation gives other columns than were read off it."""
        if self._raw is None:
            self._check_names()
        else:
            some = {name: values[0] for name, values in self._values_to_try().items()}
            self._columns([some], len(self._found.columns))

    def _check_names(self) -> None:
        """Change one feature at a time and see that only its own columns change.

        Raises ArtefactRefused where another column does: the sum of the contributions would be
        right, and the names beside them wrong.
        """
        owner = _owner_of_sources(self._estimator.forms[0])
        tried = self._values_to_try()
        at_once = max(1, MOST_TRIED // max(1, len(owner)))
        gaps = self._gaps({name: values[0] for name, values in tried.items()})
        for turn in range(2):
            base: dict[str, float | str | None] = {
                name: values[turn % len(values)] for name, values in tried.items()
            }
            rows: list[RawRow] = []
            changed: list[int] = []
            for player, (name, values) in enumerate(tried.items()):
                for value in [*values, *([None] if name in gaps else [])]:
                    rows.append({**base, name: value})
                    changed.append(player)
            (usual,) = self._columns([base], len(owner))
            for first in range(0, len(rows), at_once):
                part = slice(first, first + at_once)
                columns = self._columns(rows[part], len(owner))
                same = np.isclose(columns, usual, rtol=1e-9, atol=1e-9, equal_nan=True)
                if not (same | (owner == np.array(changed[part])[:, None])).all():
                    raise ArtefactRefused(
                        "A column of the model changes with a feature it does not belong to.",
                        "model",
                        "The file is damaged or was tampered with; save the pipeline again.",
                    )

    def _gaps(self, row: RawRow) -> set[str]:
        """Features the pipeline has a stand-in for, and takes a missing value of. It may take none
        all the same, because it met none in training."""

        def taken(names: Iterable[str]) -> bool:
            try:
                with quietly_failing():
                    self._preparation.transform(self._frame([{**row, **dict.fromkeys(names)}]))
            except ModelFailed:
                return False
            return True

        named = set(self.stand_ins)
        return named if taken(named) else {name for name in named if taken([name])}

    def _columns(self, rows: Sequence[RawRow], n: int) -> Floats:
        with quietly_failing():
            columns = self._inner(self._preparation.transform(self._frame(rows)))
        if columns.shape != (len(rows), n):
            raise ArtefactRefused(
                "The model prepares another number of columns than it says.",
                "model",
                "The file is damaged or was tampered with; save the pipeline again.",
            )
        return columns

    def _values_to_try(self) -> dict[str, list[float | str]]:
        """A few values of every feature that its encoder knows, or numbers of several sizes."""
        tried: dict[str, list[float | str]] = {}
        for each in self._inputs:
            usual = each.choices if each.choices is not None else NUMBERS
            kind = str if each.choices is not None else (int, float)
            learned = [
                value
                for value in self._found.known.get(each.name, ())
                if isinstance(value, kind) and value == value
            ]
            told = [value for value in usual if value in learned]
            tried[each.name] = list(told or learned or usual)[:MOST_VALUES]
        return tried

    def row_values(
        self,
        case: Floats,
        comparison: Floats,
        contrast: Contrast,
        stage: Stage | None = None,
        weights: Floats | None = None,
    ) -> Estimate:
        """See `Model.row_values`."""
        ask = self._margins if self._raw is None else self._margins_of_raw
        with quietly_failing():
            return asked(
                lambda rows: margin_of(ask(rows), contrast),
                known_by_answers(self.forms),
                case,
                comparison,
                stage,
                weights,
            )

    def _margins(self, prepared: Any) -> Floats:
        """ndarray of shape (n_rows, n_outputs); scikit-learn gives one output without an axis."""
        margins = np.asarray(self._estimator.margins(prepared), dtype=np.float64)
        margins = margins[:, None] if margins.ndim == 1 else margins
        if margins.ndim != 2 or margins.shape[1] != len(self._estimator.forms):
            raise failed("The model gave another count of numbers than it has outputs.")
        return margins

    def _margins_of_raw(self, rows: Floats) -> Floats:
        """The same through the whole pipeline; a step may make many columns of a few."""
        at_once = max(1, MOST_TRIED // max(1, len(self._found.columns)))
        return np.concatenate(
            [
                self._margins(self._preparation.transform(self._table(rows[at : at + at_once])))
                for at in range(0, len(rows), at_once)
            ]
        )

    def _inner(self, prepared: Any) -> Floats:
        """Prepared columns as the form works on them."""
        if hasattr(prepared, "toarray"):  # mostly zeros: scikit-learn keeps it sparse
            prepared = prepared.toarray()
        if self._estimator.inner is not None:
            prepared = self._estimator.inner(prepared)
        return np.asarray(prepared, dtype=np.float64)

    def _frame(self, rows: Sequence[RawRow]) -> pd.DataFrame:
        """Raw values as the pipeline was trained on: numbers as floats, choices as objects."""
        return self._in_order(
            {
                each.name: [np.nan if row[each.name] is None else row[each.name] for row in rows]
                for each in self._inputs
            }
        )

    def _table(self, columns: Floats) -> pd.DataFrame:
        """The same of features as `RawColumns` has them, shape (n_rows, n_features)."""
        assert self._raw is not None  # noqa: S101 - only mixtures of features come as such
        return self._in_order(
            {name: self._raw.values(columns, at) for at, name in enumerate(self._raw.names)}
        )

    def _in_order(self, values: Mapping[str, Any]) -> pd.DataFrame:
        """In the order of training: some steps take no other."""
        choice = {each.name: each.choices is not None for each in self._inputs}
        columns: dict[str, Any] = {}
        for name in input_names(self._preparation):
            if choice[name]:
                # said openly: pandas would make a text type of its own of it
                array = np.empty(len(values[name]), dtype=object)
                array[:] = values[name]
                columns[name] = pd.Series(array, dtype=object)
            else:
                columns[name] = np.array(values[name], dtype=np.float64)
        return pd.DataFrame(columns)


def _owner_of_sources(form: Form) -> Ints:
    if not isinstance(form, Trees):
        return form.player
    owner = np.full(form.n_source, -1, dtype=np.int64)
    for column in form.columns:
        owner[column.source] = column.player
    return owner
