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
from explainer.families.engine.forest import (
    MOST_NODES,
    Column,
    Floats,
    Ints,
    Test,
    Trees,
)
from explainer.families.engine.function import Function
from explainer.families.flatbuffer import Table as Buffer
from explainer.families.model import Input, Target

try:
    import catboost
except ImportError:
    catboost = None  # an extra; opening a model says so

LOSSES = ("Logloss", "CrossEntropy")

DEEPEST = 16
"""Tests one after the other in a tree that asks the same at each level; CatBoost's own limit."""

_BORDERS_AT_ONCE = 254
"""So many borders of one feature the library keeps in one byte."""

_NAN_RIGHT = 2
"""NanValueTreatment: nought and one send a missing number where small numbers go."""

# fields by number, as CatBoost's description of its format declares them
_TREES, _NOTES, _PARTS = 1, 2, 3
_DIMENSION, _SPLITS, _SIZES, _STARTS = 0, 1, 2, 3
_CATEGORIES, _FLOATS, _ONE_HOT, _COUNTED, _LEAVES = 4, 5, 6, 7, 8
_STEPS, _NODE_LEAF, _TEXTS, _ESTIMATED = 10, 11, 12, 13
_SCALE, _BIAS, _BIASES, _REPACKED, _EMBEDDED = 14, 15, 16, 17, 18

_NO_LEAF = 2**32 - 1


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Booster:
    """Check the description of the trees, then have the library parse the same bytes.

    Raises ArtefactRefused.
    """
    check_installed(catboost, "catboost")
    target.only(Task.BINARY)
    with refused_unless_read():
        model = _Model.of(data)
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
        if model.by_counts:
            form: Trees | Function = Function(player, len(inputs))
        else:
            met = _met(library, model, choices)
            form = _trees(model, player, len(inputs), met)

    def margins(rows: Floats) -> Any:
        return library.predict(
            _as_trained(rows, choices), prediction_type="RawFormulaVal", thread_count=1
        )

    return Booster((form,), Table(tuple(model.names), player, codes), margins)


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
class _Model:
    """What of a file is looked at.

    `category_of` is, by column, the place among the features of categories; `nan_right` are the
    columns whose missing numbers go right.
    """

    names: list[str]
    classes: list[str] | None
    category_of: Mapping[int, int]
    nan_right: frozenset[int]
    splits: Sequence[_Split]
    by_counts: bool
    scale: float
    bias: float
    trees: Buffer

    @classmethod
    def of(cls, data: bytes) -> _Model:
        size = int.from_bytes(data[4:8], "little")
        if data[:4] != b"CBM1" or size > len(data) - 8:
            raise damaged("This is no file of a CatBoost model.")
        core = Buffer.root(data[8 : 8 + size])
        if (core.length(_PARTS) == 0) is not (8 + size == len(data)):
            raise damaged("The file of the model is longer or shorter than it says.")
        trees = core.table(_TREES)
        classes = _check_kind_of_model(core, trees)
        names, category_of, nan_right, splits, sizes = _features(trees)
        by_counts = trees.length(_COUNTED) > 0
        _check_trees(trees, len(splits) if not by_counts else None)
        if not by_counts:
            _check_repacked(trees, sizes)
        biases = trees.array(_BIASES, "<f8")
        bias = float(biases[0]) if len(biases) else trees.number(_BIAS, "<d", 0.0)
        return cls(
            names,
            classes,
            category_of,
            nan_right,
            splits,
            by_counts,
            trees.number(_SCALE, "<d", 1.0),
            bias,
            trees,
        )


def _check_kind_of_model(core: Buffer, trees: Buffer) -> list[str] | None:
    """Names of the classes, once it is known to be a model for two of them."""
    notes = {note.text(0): note.text(1) for note in core.tables(_NOTES)}
    if "params" not in notes:
        raise ArtefactRefused(
            "The file does not say what the model was trained for.",
            "model",
            "Save it with CatBoost's save_model where it was trained.",
        )
    loss = str(json.loads(notes["params"])["loss_function"]["type"])
    if loss not in LOSSES:
        raise ArtefactRefused(
            f"The model was trained with loss function {loss[:50]!r}.",
            "model",
            f"Explained are models for two classes: {' and '.join(LOSSES)}. Rankings have no score "
            "that stands for itself.",
        )
    if trees.number(_DIMENSION, "<i", 0) != 1 or len(trees.array(_BIASES, "<f8")) > 1:
        raise ArtefactRefused(
            "The model gives more than one number a row.",
            "model",
            "Train one model with one output.",
        )
    for field, what in ((_TEXTS, "texts"), (_EMBEDDED, "embeddings"), (_ESTIMATED, "texts")):
        if trees.length(field):
            raise ArtefactRefused(
                f"The model takes {what}.", "model", "Train it on numbers and categories."
            )
    named = json.loads(notes.get("class_params", "{}")).get("class_names")
    return None if not named else [str(name) for name in named]


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


def _check_trees(trees: Buffer, n_splits: int | None) -> None:
    """Every index of every tree, whatever `n_splits` tests there are to choose from."""
    splits, sizes = trees.array(_SPLITS, "<i4"), trees.array(_SIZES, "<i4")
    starts, leaves = trees.array(_STARTS, "<i4"), trees.array(_LEAVES, "<f8")
    if (
        not len(sizes)
        or (sizes < 0).any()
        or int(sizes.sum(dtype=np.int64)) != len(splits)
        or (splits < 0).any()
        or (n_splits is not None and (splits >= max(n_splits, 1)).any())
        or (len(starts) and (starts != np.cumsum([0, *sizes[:-1]])).any())
        or (len(starts) not in (0, len(sizes)))
        or not np.isfinite(leaves).all()
    ):
        raise damaged("The trees of the model do not fit their file.")
    steps, node_leaf = trees.array(_STEPS, "<u2,<u2"), trees.array(_NODE_LEAF, "<u4")
    if not len(steps):
        if (sizes > DEEPEST).any() or int((2 ** sizes.astype(np.int64)).sum()) != len(leaves):
            raise damaged("The leaves of the model do not fit its trees.")
        nodes = 2 * len(leaves)
    else:
        if not len(steps) == len(node_leaf) == len(splits):
            raise damaged("The trees of the model do not fit their file.")
        ends = np.repeat(np.cumsum(sizes), sizes)
        here = np.arange(len(splits))
        for side in ("f0", "f1"):
            step = steps[side].astype(np.int64)
            stays = (step == 0) & ((node_leaf == _NO_LEAF) | (node_leaf >= len(leaves)))
            if (here + step >= ends).any() or stays.any():
                raise damaged("A tree of the model points outside itself.")
        nodes = 2 * len(splits)
    if nodes > MOST_NODES:
        raise ArtefactRefused(
            "The model has too many nodes.", "model", f"At most {MOST_NODES:,} are explained."
        )


def _check_repacked(trees: Buffer, sizes: Sequence[int]) -> None:
    """The library keeps its tests a second time, in bytes, and uses these unchecked."""
    repacked = trees.array(_REPACKED, [("feature", "<u2"), ("mask", "u1"), ("border", "u1")])
    if not len(repacked):
        return
    expected: list[tuple[int, int, int]] = []
    bucket = 0
    for size in sizes:
        for at in range(abs(size)):
            beyond, place = divmod(at, _BORDERS_AT_ONCE)
            one_hot = size < 0
            test = (~(place + 1) & 0xFF, 0xFF) if one_hot else (0, place + 1)
            expected.append((bucket + beyond, *test))
        bucket += -(-abs(size) // _BORDERS_AT_ONCE)
    if not expected:  # a model without a single test
        sound = not repacked["feature"].any()
    else:
        # a node without a test is written as the first one
        wanted = np.array(expected, dtype=repacked.dtype)[trees.array(_SPLITS, "<i4")]
        sound = len(wanted) == len(repacked) and bool((wanted == repacked).all())
    if not sound:
        raise damaged("The two forms of the model's tests differ.")


def _met(
    library: Any, model: _Model, choices: Mapping[int, Sequence[str]]
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
    model: _Model,
    player: Ints,
    n_players: int,
    met: Mapping[tuple[int, int], tuple[int, ...]],
) -> Trees:
    laid = _free(model.trees) if model.trees.length(_STEPS) else _level_by_level(model.trees)
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
        constant=model.bias,
    )


@dataclass(frozen=True, slots=True)
class _Laid:
    """Nodes of all trees: where one goes on if its test is met and if not, -1 at a leaf, as is
    `split` there."""

    roots: Ints
    met: Ints
    not_met: Ints
    split: Ints
    value: Floats


def _level_by_level(trees: Buffer) -> _Laid:
    """Trees that ask one test at each level; the n-th test is the n-th bit of a leaf's number."""
    splits = trees.array(_SPLITS, "<i4").astype(np.int64)
    leaves = trees.array(_LEAVES, "<f8")
    met, not_met, split, value = [], [], [], []
    roots, start, first_leaf, first_split = [], 0, 0, 0
    for depth in trees.array(_SIZES, "<i4").tolist():
        roots.append(start)
        for level in range(depth):
            below = start + 2 ** (level + 1) - 1 + np.arange(2**level)
            not_met.append(below)
            met.append(below + 2**level)
            split.append(np.full(2**level, splits[first_split + level]))
        ends = np.full(2**depth, -1)
        for part in (met, not_met, split):
            part.append(ends)
        value += [np.zeros(2**depth - 1), leaves[first_leaf : first_leaf + 2**depth]]
        start += 2 ** (depth + 1) - 1
        first_leaf += 2**depth
        first_split += depth
    return _Laid(
        np.array(roots, dtype=np.int64),
        np.concatenate(met),
        np.concatenate(not_met),
        np.concatenate(split),
        np.concatenate(value),
    )


def _free(trees: Buffer) -> _Laid:
    """Trees of any shape: how many nodes further the next one is, nought to stay and be a leaf."""
    steps, node_leaf = trees.array(_STEPS, "<u2,<u2"), trees.array(_NODE_LEAF, "<u4")
    leaves, sizes = trees.array(_LEAVES, "<f8"), trees.array(_SIZES, "<i4").astype(np.int64)
    step = {side: steps[name].astype(np.int64) for side, name in (("no", "f0"), ("yes", "f1"))}
    n = len(steps)
    here = np.arange(n)
    inner = (step["no"] > 0) | (step["yes"] > 0)
    own = np.append(leaves, 0.0)[np.minimum(node_leaf, len(leaves))]
    value = [np.where(inner, 0.0, own)]
    children = {}
    for side in ("no", "yes"):
        # where only one side goes on, the other ends in a leaf that the file has no node for
        stays = np.flatnonzero(inner & (step[side] == 0))
        child = np.where(inner, here + step[side], -1)
        child[stays] = n + np.arange(len(stays))
        n += len(stays)
        value.append(own[stays])
        children[side] = child
    ends = np.full(n - len(here), -1)
    split = np.where(inner, trees.array(_SPLITS, "<i4").astype(np.int64), -1)
    return _Laid(
        np.cumsum([0, *sizes[:-1]]),
        np.append(children["yes"], ends),
        np.append(children["no"], ends),
        np.append(split, ends),
        np.concatenate(value),
    )
