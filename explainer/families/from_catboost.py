"""CatBoost's own files: the description of the trees checked before the library parses them.

A file is `CBM1`, a length, a FlatBuffer with everything about features and trees, and, where
categories were turned into counts in training, tables of these counts. The FlatBuffer is read and
checked here; the tables are the library's own, and such a model is known by its answers only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainer.core.attribution import Task
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.boosters import (
    Booster,
    Table,
    check_installed,
    check_kind,
    damaged,
    in_order,
    placed,
    refused_unless_read,
)
from explainer.families.catboost_trees import check_repacked, check_trees, laid_out
from explainer.families.engine.forest import Column, Floats, Ints, Test, Trees
from explainer.families.engine.function import Function
from explainer.families.flatbuffer import Table as Buffer
from explainer.families.model import Input, Target
from explainer.families.objectives import (
    LOGARITHM,
    ONE_VS_ALL,
    RANKING,
    check_outputs,
    one_number,
    space_of,
    task_of,
)

try:
    import catboost
except ImportError:
    catboost = None  # an extra; opening a model says so

LOSSES = {
    Task.BINARY: ("Logloss", "CrossEntropy"),
    Task.MULTICLASS: ("MultiClass",),
    Task.AMOUNT: ("RMSE", "MAE", "Quantile", "MAPE", "Huber", "LogCosh", "Lq", "Expectile"),
}
"""Those where the sum of the trees is the log-odds, or the amount."""
_OTHERS = {
    "MultiClassOneVsAll": ONE_VS_ALL,
    "Poisson": LOGARITHM,
    "Tweedie": LOGARITHM,
    "LogLinQuantile": LOGARITHM,
    "Cox": LOGARITHM,
    "SurvivalAft": LOGARITHM,
    "YetiRank": RANKING,
    "PairLogit": RANKING,
    "Query": RANKING,
    "StochasticRank": RANKING,
    "LambdaMart": RANKING,
}

_NAN_RIGHT = 2
"""NanValueTreatment: nought and one send a missing number where small numbers go."""

# fields by number, as CatBoost's description of its format declares them
_TREES, _NOTES, _PARTS = 1, 2, 3
_DIMENSION, _CATEGORIES, _FLOATS, _ONE_HOT, _COUNTED = 0, 4, 5, 6, 7
_TEXTS, _ESTIMATED, _SCALE, _BIAS, _BIASES, _EMBEDDED = 12, 13, 14, 15, 16, 18


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Booster:
    """Check the description of the trees, then have the library parse the same bytes.

    Raises ArtefactRefused.
    """
    check_installed(catboost, "catboost")
    with refused_unless_read():
        model = Saved.of(data)
        target.only(model.task)
        check_outputs(target, model.outputs)
        if model.classes is not None:
            target.check(model.classes)
        player = placed(model.names, inputs)
        choices: dict[int, tuple[str, ...]] = {}
        for at, owner in enumerate(player):
            check_kind(inputs[owner], by_category=at in model.category_of)
            choices |= {at: inputs[owner].choices or ()} if at in model.category_of else {}
        codes = {at: in_order(given) for at, given in choices.items()}
    with refused_unless_read():
        library = catboost.CatBoost()
        library.load_model(blob=data)
        forms: tuple[Trees | Function, ...]
        if model.by_counts:
            forms = (Function(player, len(inputs)),) * model.outputs
        else:
            met = _met(library, model, choices)
            forms = tuple(
                _trees(model, at, player, len(inputs), met) for at in range(model.outputs)
            )

    def margins(rows: Floats) -> Any:
        return library.predict(
            _as_trained(rows, choices), prediction_type="RawFormulaVal", thread_count=1
        )

    table = Table(tuple(model.names), player, codes)
    return Booster(forms, table, margins, space=space_of(model.task))


def _as_trained(rows: Floats, choices: Mapping[int, Sequence[str]]) -> Any:
    """Numbers as numbers, categories as the texts they were."""
    if not choices:
        return rows
    given = np.empty(rows.shape, dtype=object)
    given[:] = rows
    for at, names in choices.items():
        codes = rows[:, at]
        if np.isnan(codes).any():
            raise ModelFailed(
                "A choice is missing, and CatBoost takes no missing category.",
                "model",
                "Give it a choice of its own in the table of training and in the catalogue.",
            )
        given[:, at] = [names[int(code)] for code in codes]
    return given


@dataclass(frozen=True, slots=True)
class _Split:
    """One of the tests all trees choose from: a border of a number, or one category."""

    column: int
    border: float
    value: int | None = None
    """Position among the categories of its feature that the model tests for."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What of a file is looked at.

    `category_of` is, by column, the place among the features of categories; `nan_right` are the
    columns whose missing numbers go right.
    """

    names: list[str]
    task: Task
    outputs: int
    classes: list[str] | None
    category_of: Mapping[int, int]
    nan_right: frozenset[int]
    splits: Sequence[_Split]
    by_counts: bool
    scale: float
    biases: list[float]
    """What is added to the trees of each output."""
    trees: Buffer

    @classmethod
    def of(cls, data: bytes) -> Saved:
        size = int.from_bytes(data[4:8], "little")
        if data[:4] != b"CBM1" or size > len(data) - 8:
            raise damaged("This is no file of a CatBoost model.")
        core = Buffer.root(data[8 : 8 + size])
        if (core.length(_PARTS) == 0) is not (8 + size == len(data)):
            raise damaged("The file of the model is longer or shorter than it says.")
        trees = core.table(_TREES)
        task, outputs, classes = _asked_for(core, trees)
        names, category_of, nan_right, splits, sizes = _features(trees)
        by_counts = trees.length(_COUNTED) > 0
        check_trees(trees, len(splits) if not by_counts else None, outputs)
        if not by_counts:
            check_repacked(trees, sizes)
        biases = trees.array(_BIASES, "<f8")
        if outputs == 1 and not len(biases):  # as early versions wrote it
            biases = np.array([trees.number(_BIAS, "<d", 0.0)])
        if len(biases) != outputs or not np.isfinite(biases).all():
            raise damaged("The biases of the model cannot be read.")
        return cls(
            names,
            task,
            outputs,
            classes,
            category_of,
            nan_right,
            splits,
            by_counts,
            trees.number(_SCALE, "<d", 1.0),
            biases.tolist(),
            trees,
        )


def _asked_for(core: Buffer, trees: Buffer) -> tuple[Task, int, list[str] | None]:
    """The kind of answer, how many numbers it has, and the names of the classes."""
    notes = {note.text(0): note.text(1) for note in core.tables(_NOTES)}
    if "params" not in notes:
        raise ArtefactRefused(
            "The file does not say what the model was trained for.",
            "model",
            "Save it with CatBoost's save_model where it was trained.",
        )
    task = task_of(str(json.loads(notes["params"])["loss_function"]["type"]), LOSSES, _OTHERS)
    outputs = trees.number(_DIMENSION, "<i", 0)
    if task is not Task.MULTICLASS and outputs != 1:
        raise one_number()
    if task is Task.MULTICLASS and outputs < 2:
        raise damaged("The number of classes of the model cannot be read.")
    for field, what in ((_TEXTS, "texts"), (_EMBEDDED, "embeddings"), (_ESTIMATED, "texts")):
        if trees.length(field):
            raise ArtefactRefused(
                f"The model takes {what}.", "model", "Train it on numbers and categories."
            )
    classes = json.loads(notes.get("class_params", "{}"))
    named = [str(name) for name in classes.get("class_names") or ()]
    labels = list(classes["class_to_label"]) if task is Task.MULTICLASS else []
    # the n-th number must be for the n-th class
    if task is Task.MULTICLASS and (
        len(named) not in (0, outputs)
        or classes.get("classes_count", 0) not in (0, outputs)
        or labels != list(range(len(labels)))
        or len(labels) != outputs
    ):
        raise ArtefactRefused(
            "The numbers the model gives are not for the classes it names, one by one.",
            "model",
            "Train it on rows of every class that it names.",
        )
    return task, outputs, named or None


def _features(
    trees: Buffer,
) -> tuple[list[str], dict[int, int], frozenset[int], list[_Split], list[int]]:
    """Names, categories, missing numbers and tests; and how many tests each feature has."""
    names: dict[int, str] = {}
    splits: list[_Split] = []
    sizes: list[int] = []
    nan_right = set()
    for feature in trees.tables(_FLOATS):
        at = feature.number(2, "<i", -1)
        if at in names:
            raise damaged("Two columns of the model have the same place.")
        names[at] = feature.text(4)
        borders = np.asarray(feature.array(3, "<f4"), dtype=np.float64)
        if np.isnan(borders).any() or (np.diff(borders) <= 0).any():
            raise damaged("The borders of a column are not in order.")
        splits += [_Split(at, border) for border in borders.tolist()]
        sizes.append(len(borders))
        if feature.number(5, "<b", 0) == _NAN_RIGHT:
            nan_right.add(at)
    places: dict[int, int] = {}
    for feature in trees.tables(_CATEGORIES):
        place, at = feature.number(0, "<i", -1), feature.number(1, "<i", -1)
        if at in names or place in places or not 0 <= place < trees.length(_CATEGORIES):
            raise damaged("Two columns of the model have the same place.")
        names[at] = feature.text(2)
        places[place] = at
    for feature in trees.tables(_ONE_HOT):
        values = feature.array(1, "<i4")
        at = places[feature.number(0, "<i", -1)]
        splits += [_Split(at, 0.0, value) for value in range(len(values))]
        sizes.append(-len(values))
    if sorted(names) != list(range(len(names))):
        raise damaged("The columns of the model leave places free.")
    return (
        [names[at] for at in range(len(names))],
        {at: place for place, at in places.items()},
        frozenset(nan_right),
        splits,
        sizes,
    )


def _met(
    library: Any, model: Saved, choices: Mapping[int, Sequence[str]]
) -> Mapping[tuple[int, int], tuple[int, ...]]:
    """By column and category tested for: the codes of the choices that meet the test.

    The file holds hashes of the categories; which text has which is asked of the library itself.
    """
    found: dict[tuple[int, int], tuple[int, ...]] = {}
    for at in {split.column for split in model.splits if split.value is not None}:
        place = model.category_of[at]
        hashed = [
            library._object._calc_cat_feature_perfect_hash(choice, place) for choice in choices[at]
        ]
        for value in set(hashed):
            found[at, value] = tuple(c for c, each in enumerate(hashed) if each == value)
    return found


def _trees(
    model: Saved,
    output: int,
    player: Ints,
    n_players: int,
    met: Mapping[tuple[int, int], tuple[int, ...]],
) -> Trees:
    """The trees of one output."""
    laid = laid_out(model.trees, output, model.outputs)
    inner = laid.split >= 0
    # a node without a test asks nothing, and a model may have no test at all
    tests = model.splits or [_Split(0, 0.0)]
    by_category = np.array([test.value is not None for test in tests])
    sets = [met.get((test.column, test.value), ()) for test in tests if test.value is not None]
    place = np.where(by_category, np.cumsum(by_category) - 1, -1)
    column = np.array([test.column for test in tests], dtype=np.int64)
    to_left = ~by_category & ~np.isin(column, list(model.nan_right))
    border = np.array([test.border for test in tests])
    split = np.where(inner, laid.split, 0)
    # the category a node asks for goes right, in our form left
    swapped = inner & by_category[split]
    return Trees(
        columns=tuple(
            Column(at, int(owner), Test.ONE_OF)
            if at in model.category_of
            else Column(at, int(owner), Test.AT_MOST, single=True)
            for at, owner in enumerate(player)
        ),
        n_players=n_players,
        roots=laid.roots,
        left=np.where(swapped, laid.met, laid.not_met),
        right=np.where(swapped, laid.not_met, laid.met),
        column=column[split],
        threshold=border[split],
        value=laid.value * model.scale,
        missing_left=to_left[split],
        category_set=np.where(inner, place[split], -1),
        category_sets=tuple(sets),
        constant=model.biases[output],
    )
