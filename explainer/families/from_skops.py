"""scikit-learn pipelines saved with skops: their own margin, and our form of their model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from explainer.core.attribution import Space
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.engine import function
from explainer.families.engine.forest import Floats
from explainer.families.engine.function import Function
from explainer.families.model import Answer, Form, Input, RawRow
from explainer.families.players import column_owners, stand_ins
from explainer.families.sklearn_forms import Estimator, estimator_of
from explainer.families.skops_file import load


def open_model(data: bytes, inputs: Sequence[Input], positive_class: str) -> SkopsModel:
    """Parse `data` and check every index before the model is asked anything.

    Raises ArtefactRefused for anything but a pipeline whose steps and model are known, for two
    classes.
    """
    preparation, model = load_pipeline(data)
    with refused_unless_whole():
        _check_inputs(preparation, inputs)
        classes = [str(c) for c in model.classes_]
        if len(classes) != 2 or classes[1] != positive_class:
            raise ArtefactRefused(
                f"The model's classes are {classes}; its margin is for the second.",
                "model.positive_class",
                "Declare the second class as positive_class.",
            )
        place = {each.name: at for at, each in enumerate(inputs)}
        player = np.array([place[owner] for owner in column_owners(preparation)], dtype=np.int64)
        estimator = estimator_of(model, player, len(inputs))
        return SkopsModel(preparation, estimator, inputs, stand_ins(preparation))


def load_pipeline(data: bytes) -> tuple[Any, Any]:
    """The preparation and the model of a pipeline, not yet checked tree by tree."""
    pipeline = load(data)
    with refused_unless_whole():
        if type(pipeline).__name__ != "Pipeline":
            raise _made_of([pipeline])
        steps = [step for _, step in pipeline.steps]
        if len(steps) != 2 or type(steps[0]).__name__ != "ColumnTransformer":
            raise _made_of(steps)
        return steps[0], steps[1]


def _made_of(steps: Sequence[Any]) -> ArtefactRefused:
    return ArtefactRefused(
        f"The model is made of {', '.join(type(step).__name__ for step in steps)}.",
        "model",
        "Save a Pipeline of a ColumnTransformer, which names its columns, and a model.",
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
        self,
        preparation: Any,
        estimator: Estimator,
        inputs: Sequence[Input],
        replaced: Mapping[str, float | str],
    ) -> None:
        self._preparation = preparation
        self._estimator = estimator
        self._inputs = inputs
        self._stand_ins = replaced

    @property
    def form(self) -> Form:
        return self._estimator.form

    @property
    def space(self) -> Space:
        return self._estimator.space

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return self._stand_ins

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """The pipeline's own output, step by step as it does it: first its own preparation, then
        the model's own margin."""
        with _quietly_failing():
            prepared = self._preparation.transform(self._frame(rows))
            margins = np.asarray(self._estimator.margins(prepared), dtype=np.float64)
            if hasattr(prepared, "toarray"):  # mostly zeros: scikit-learn keeps it sparse
                prepared = prepared.toarray()
            if self._estimator.inner is not None:
                prepared = self._estimator.inner(prepared)
            columns = np.asarray(prepared, dtype=np.float64)
        if not np.isfinite(margins).all() or np.isinf(columns).any():
            raise ModelFailed(
                "The model gave a number that is not finite.",
                "model",
                "Run `warum package check` on the package.",
            )
        return Answer(margins, columns)

    def row_values(self, case: Floats, comparison: Floats) -> Floats:
        """See `Model.row_values`."""
        form = self._estimator.form
        if not isinstance(form, Function):
            raise TypeError("only a model known by its answers is asked about mixtures")
        with _quietly_failing():
            return function.row_values(self._estimator.margins, form, case, comparison)

    def _frame(self, rows: Sequence[RawRow]) -> pd.DataFrame:
        """Raw values as the pipeline was trained on: numbers as floats, choices as objects."""
        columns: dict[str, Any] = {}
        for each in self._inputs:
            given = [row[each.name] for row in rows]
            if each.choices is not None:
                array = np.empty(len(rows), dtype=object)
                array[:] = [np.nan if value is None else value for value in given]
                # said openly: pandas would make a text type of its own of it
                columns[each.name] = pd.Series(array, dtype=object)
            else:
                columns[each.name] = np.array(
                    [np.nan if value is None else value for value in given], dtype=np.float64
                )
        return pd.DataFrame(columns)


@contextmanager
def _quietly_failing() -> Iterator[None]:
    """Whatever the library raises may quote values of the case; its name is enough."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as fault:
        raise ModelFailed(
            f"The model raised {type(fault).__name__}.",
            "model",
            "Run `warum package check` on the package.",
        ) from None


def _check_inputs(transformer: Any, inputs: Sequence[Input]) -> None:
    named = {str(name) for name in getattr(transformer, "feature_names_in_", ())}
    ours = {each.name for each in inputs}
    if named != ours:
        missing = sorted(named - ours)
        extra = sorted(ours - named)
        raise ArtefactRefused(
            "Model and feature catalogue name different inputs"
            + (f"; the catalogue lacks {', '.join(missing)}" if missing else "")
            + (f"; the model does not know {', '.join(extra)}" if extra else "")
            + ".",
            "features.toml",
            "Name in features.toml exactly the columns the pipeline was fitted on.",
        )
