"""scikit-learn pipelines saved with skops: opened with our own allow-list, indices checked."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.engine.trees import Ensemble, Leaf, ensemble_of
from explainer.families.model import Answer, Input, RawRow
from explainer.families.players import column_owners, stand_ins
from explainer.families.skops_file import load

MOST_NODES = 5_000_000


def open_model(data: bytes, inputs: Sequence[Input], positive_class: str) -> SkopsModel:
    """Parse `data` and check every index before the model is asked anything.

    Raises ArtefactRefused for anything but a Pipeline of a ColumnTransformer and gradient-boosted
    trees for two classes.
    """
    pipeline = load(data)
    with _refused_unless_whole():
        transformer, booster = _steps(pipeline)
        _check_inputs(transformer, inputs)
        classes = [str(c) for c in booster.classes_]
        if len(classes) != 2 or classes[1] != positive_class:
            raise ArtefactRefused(
                f"The model's classes are {classes}; its margin is for the second.",
                "model.positive_class",
                "Declare the second class as positive_class.",
            )
        owners = column_owners(transformer)
        _check_shape(booster, len(owners))
        player = {each.name: at for at, each in enumerate(inputs)}
        leaves: list[Leaf] = []
        for (tree,) in booster.estimators_:
            leaves += _leaves(
                tree.tree_, [player[owner] for owner in owners], float(booster.learning_rate)
            )
        ensemble = ensemble_of(leaves, n_players=len(inputs), single_precision=True)
        return SkopsModel(pipeline, inputs, ensemble, stand_ins(transformer))


def load_pipeline(data: bytes) -> tuple[Any, Any]:
    """The preparation and the booster of a pipeline, not yet checked tree by tree."""
    pipeline = load(data)
    with _refused_unless_whole():
        return _steps(pipeline)


@contextmanager
def _refused_unless_whole() -> Iterator[None]:
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
    """A pipeline that answers with its own margin, and its trees in our form."""

    def __init__(
        self,
        pipeline: Any,
        inputs: Sequence[Input],
        ensemble: Ensemble,
        replaced: Mapping[str, float | str],
    ) -> None:
        self._pipeline = pipeline
        self._inputs = inputs
        self._ensemble = ensemble
        self._stand_ins = replaced

    @property
    def ensemble(self) -> Ensemble:
        return self._ensemble

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return self._stand_ins

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """The pipeline's own decision function, step by step as it does it: first its own
        preparation, then the booster's own margin."""
        with _quietly_failing():
            prepared = self._pipeline[0].transform(self._frame(rows))
            margins = np.asarray(self._pipeline[-1].decision_function(prepared), dtype=np.float64)
            if hasattr(prepared, "toarray"):  # mostly zeros: scikit-learn keeps it sparse
                prepared = prepared.toarray()
            columns = np.asarray(prepared, dtype=np.float64)
        if not (np.isfinite(margins).all() and np.isfinite(columns).all()):
            raise ModelFailed(
                "The model gave a number that is not finite.",
                "model",
                "Run `warum package check` on the package.",
            )
        return Answer(margins, columns)

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


def _steps(pipeline: Any) -> tuple[Any, Any]:
    kinds = (
        [type(step).__name__ for _, step in pipeline.steps]
        if type(pipeline).__name__ == "Pipeline"
        else [type(pipeline).__name__]
    )
    if kinds != ["ColumnTransformer", "GradientBoostingClassifier"]:
        raise ArtefactRefused(
            f"The model is made of {', '.join(kinds)}.",
            "model",
            "This version explains a Pipeline of a ColumnTransformer and a "
            "GradientBoostingClassifier.",
        )
    transformer, booster = (step for _, step in pipeline.steps)
    if booster.init_ != "zero" and type(booster.init_).__name__ != "DummyClassifier":
        raise ArtefactRefused(
            "The booster starts from another model.",
            "model.init",
            "Train it with init=None or init='zero'.",
        )
    return transformer, booster


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


def _check_shape(booster: Any, n_columns: int) -> None:
    """The booster works on the columns we traced, and gives one margin a row."""
    if booster.n_features_in_ != n_columns or booster.n_trees_per_iteration_ != 1:
        raise ArtefactRefused(
            "The booster does not fit the columns it is given.",
            "model",
            "The file is damaged or was tampered with; save the pipeline again.",
        )


def _leaves(tree: Any, player_of_column: list[int], rate: float) -> list[Leaf]:
    left, right = tree.children_left, tree.children_right
    _check_tree(left, right, tree.feature, tree.threshold, tree.value, len(player_of_column))
    leaves: list[Leaf] = []
    todo: list[tuple[int, tuple[tuple[int, float, bool], ...]]] = [(0, ())]
    while todo:
        node, path = todo.pop()
        if left[node] < 0:
            conditions: dict[int, list[tuple[int, float, bool]]] = {}
            for condition in path:
                conditions.setdefault(player_of_column[condition[0]], []).append(condition)
            leaves.append(Leaf(rate * float(tree.value[node, 0, 0]), conditions))
            continue
        column, threshold = int(tree.feature[node]), float(tree.threshold[node])
        todo.append((int(right[node]), (*path, (column, threshold, False))))
        todo.append((int(left[node]), (*path, (column, threshold, True))))
    return leaves


def _check_tree(
    left: Any, right: Any, feature: Any, threshold: Any, value: Any, n_columns: int
) -> None:
    """Every child in range, every node reached once, every split on a column that exists.

    scikit-learn uses these numbers without looking; a crafted file could read foreign memory.
    """
    n = len(left)
    inner = left >= 0
    sound = (
        0 < n <= MOST_NODES
        and len(right) == len(feature) == len(threshold) == n
        and value.shape == (n, 1, 1)
        and bool(np.isfinite(value).all())
        # -1 marks a leaf, and only -1: scikit-learn follows any other number
        and bool((left[~inner] == -1).all() and (right[~inner] == -1).all())
        and bool((right[inner] >= 0).all())
        and bool((left[inner] < n).all() and (right[inner] < n).all())
        and bool((feature[inner] >= 0).all() and (feature[inner] < n_columns).all())
        and bool(np.isfinite(threshold[inner]).all())
    )
    if sound:
        parents = np.bincount(np.concatenate([left[inner], right[inner]]), minlength=n)
        # n - 1 nodes with one parent each and a root without any, all reached: a tree
        sound = parents[0] == 0 and bool((parents[1:] == 1).all()) and _all_reached(left, right)
    if not sound:
        raise ArtefactRefused(
            "A tree of the model points outside itself.",
            "model",
            "The file is damaged or was tampered with; save the pipeline again.",
        )


def _all_reached(left: Any, right: Any) -> bool:
    seen = 0
    todo = [0]
    while todo:
        node = todo.pop()
        seen += 1
        if left[node] >= 0:
            todo += [int(left[node]), int(right[node])]
    return seen == len(left)
