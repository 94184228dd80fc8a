"""XGBoost's own files: every index checked before the library parses them.

XGBoost says of itself that it does not validate models: a child, a column or a ring of nodes that
should not be there ends its process (four of four crafted files did). So the structure is read
here first, from the same bytes, and our form of the trees is made of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from explainer.core.attribution import Task
from explainer.errors import ArtefactRefused
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
    MOST_CATEGORIES,
    MOST_NODES,
    Column,
    Floats,
    Ints,
    Missing,
    Test,
    Trees,
)
from explainer.families.engine.linear import Linear
from explainer.families.model import Input, Target

try:
    import xgboost
except ImportError:
    xgboost = None  # type: ignore[assignment] # an extra; opening a model says so

OBJECTIVES = ("binary:logistic", "binary:logitraw")

MISSING = "missing"
"""Attribute of a file that names what marks a missing value beside NaN. XGBoost keeps it nowhere:
it is told anew with every table. `booster.set_attr(missing="-999")` before saving declares it."""


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Booster:
    """Check a model in JSON, then have the library parse the same bytes.

    The file does not name its classes: they are those of `target`, in the order of the labels.
    Raises ArtefactRefused.
    """
    return open_read(data, inputs, target, _read_json)


def open_read(
    data: bytes, inputs: Sequence[Input], target: Target, read: Callable[[bytes], Any]
) -> Booster:
    """The same for any notation that `read` turns into dicts, lists and numbers."""
    check_installed(xgboost, "xgboost")
    target.only(Task.BINARY)
    with refused_unless_read():
        model = _Model.of(read(data))
        player = placed(model.names, inputs)
        table = Table(tuple(model.names), player, _codes(model, inputs, player))
        form = _linear(model, player, inputs) if model.linear else _trees(model, player, inputs)
    with refused_unless_read():
        booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(data))

    def margins(rows: Floats) -> Any:
        matrix = xgboost.DMatrix(
            rows,
            missing=np.nan if model.missing is None else model.missing,
            feature_types=model.types if "c" in model.types else None,
            nthread=1,
        )
        # the columns were placed by their names already
        return booster.predict(matrix, output_margin=True, validate_features=False)

    if not model.linear:
        return Booster((form,), table, margins)
    # what is left out of a sum counts as nought
    return Booster(
        (form,), table, margins, model.as_weighed, stand_ins=dict.fromkeys(model.names, 0.0)
    )


def _read_json(data: bytes) -> Any:
    return json.loads(data.decode("utf-8"), object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name we might check the one and the library use the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


@dataclass(frozen=True, slots=True)
class _Model:
    """What of a file is looked at."""

    names: list[str]
    types: list[str]
    base: float
    missing: float | None
    linear: bool
    booster: Mapping[str, Any]
    weights: Floats | None
    """How much each tree counts, where trees were dropped in training (DART)."""
    categories: Mapping[int, tuple[str, ...]]
    """Names of the categories by column, where the file holds them."""

    @classmethod
    def of(cls, whole: Any) -> _Model:
        learner = whole["learner"]
        _check_objective(learner)
        names, types = _columns_of(learner)
        attributes = learner.get("attributes", {})
        booster = learner["gradient_booster"]
        kind = str(booster["name"])
        if kind not in ("gbtree", "dart", "gblinear"):
            raise ArtefactRefused(
                f"The booster is of kind {kind[:50]!r}.",
                "model",
                "Explained are gbtree, dart and gblinear.",
            )
        weights = None
        if kind == "dart":
            weights = np.asarray(_numbers(booster["weight_drop"]), dtype=np.float64)
            booster = booster["gbtree"]
        if kind != "gblinear":
            _check_rounds(booster["model"], attributes)
        return cls(
            names,
            types,
            _base_margin(learner),
            _sentinel(attributes),
            kind == "gblinear",
            booster["model"],
            weights,
            {} if kind == "gblinear" else _stored_categories(booster["model"], types),
        )

    def as_weighed(self, table: Floats) -> Floats:
        """A linear booster leaves a missing value out of its sum, and narrows the others."""
        with np.errstate(over="ignore"):
            narrowed = table.astype(np.float32).astype(np.float64)
        gone = np.isnan(narrowed)
        if self.missing is not None:
            gone |= narrowed == float(np.float32(self.missing))
        return np.where(gone, 0.0, narrowed)


def _check_objective(learner: Mapping[str, Any]) -> None:
    objective = str(learner["objective"]["name"])
    parameters = learner["learner_model_param"]
    if objective not in OBJECTIVES:
        raise ArtefactRefused(
            f"The model was trained with objective {objective[:50]!r}.",
            "model",
            f"Explained are models for two classes: {' and '.join(OBJECTIVES)}. Rankings have no "
            "score that stands for itself.",
        )
    if int(parameters.get("num_class", 0)) > 1 or int(parameters.get("num_target", 1)) != 1:
        raise ArtefactRefused(
            "The model gives more than one number a row.",
            "model",
            "Train one model with one output.",
        )


def _columns_of(learner: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    names = [_text(name) for name in learner.get("feature_names", [])]
    n = int(learner["learner_model_param"]["num_feature"])
    if names and len(names) != n:
        raise damaged("The file names another number of columns than the model has.")
    types = [_text(kind) for kind in learner.get("feature_types", [])] or ["float"] * n
    if len(types) != n or not set(types) <= {"float", "int", "i", "q", "c"}:
        raise damaged("The kinds of the model's columns cannot be read.")
    return names, types


def _base_margin(learner: Mapping[str, Any]) -> float:
    """The base score stands in the file as a probability, or, where the model gives margins only,
    as a margin; from 3.1 on as a list of one."""
    written = json.loads(_text(learner["learner_model_param"]["base_score"]))
    if isinstance(written, list):
        (written,) = written
    share = float(np.float32(written))
    if learner["objective"]["name"] == "binary:logitraw":
        return share
    if not 0 < share < 1:
        raise damaged("The base score of the model is no probability.")
    return float(-np.log(1 / share - 1))


def _sentinel(attributes: Mapping[str, Any]) -> float | None:
    if MISSING not in attributes:
        return None
    marked = float(_text(attributes[MISSING]))
    if np.isnan(marked):
        return None
    if np.isinf(marked):
        raise ArtefactRefused(
            "An infinity cannot mark a missing value.", "model", "Train it with NaN or a number."
        )
    return marked


def _check_rounds(booster: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    """Which trees are used must not depend on how the model is asked."""
    parameters = booster["gbtree_model_param"]
    trees = len(booster["trees"])
    at_once = int(parameters.get("num_parallel_tree") or 1)
    if int(parameters["num_trees"]) != trees or at_once < 1 or trees % at_once:
        raise damaged("The file holds another number of trees than it says.")
    starts = [int(n) for n in booster.get("iteration_indptr", range(0, trees + 1, at_once))]
    if [int(n) for n in booster["tree_info"]] != [0] * trees or (
        starts[0] != 0 or starts[-1] != trees or starts != sorted(starts)
    ):
        raise damaged("The rounds of the model's training cannot be read.")
    best = attributes.get("best_iteration")
    if best is not None and int(best) + 1 != len(starts) - 1:
        raise ArtefactRefused(
            "Training was stopped early: the file holds rounds after the best one, and XGBoost's "
            "two interfaces differ in whether they count.",
            "model",
            "Save booster[: booster.best_iteration + 1], or all rounds without that attribute.",
        )


def _stored_categories(
    booster: Mapping[str, Any], types: Sequence[str]
) -> dict[int, tuple[str, ...]]:
    """Names of categories; since 3.1 a file holds them if the model was trained on a frame."""
    stored = booster.get("cats", {}).get("enc", [])
    if stored and len(stored) != len(types):
        raise damaged("The categories of the model do not fit its columns.")
    found: dict[int, tuple[str, ...]] = {}
    for at, kind in enumerate(types):
        if kind != "c" or not stored or not len(stored[at]["values"]):
            continue
        values = np.asarray(_numbers(stored[at]["values"]))
        if "offsets" not in stored[at]:
            found[at] = tuple(f"{value:g}" for value in values)
            continue
        text = (values.astype(np.int64) & 0xFF).astype(np.uint8).tobytes()
        ends = [int(n) for n in stored[at]["offsets"]]
        if ends[0] != 0 or ends[-1] != len(text) or ends != sorted(ends):
            raise damaged("The categories of the model cannot be read.")
        found[at] = tuple(text[start:end].decode("utf-8") for start, end in pairwise(ends))
    return found


def _codes(model: _Model, inputs: Sequence[Input], player: Ints) -> dict[int, Mapping[str, float]]:
    found: dict[int, Mapping[str, float]] = {}
    for at, kind in enumerate(model.types):
        each = inputs[player[at]]
        check_kind(each, by_category=kind == "c")
        if each.choices is not None:
            found[at] = in_order(model.categories.get(at, each.choices))
    return found


def _linear(model: _Model, player: Ints, inputs: Sequence[Input]) -> Linear:
    if "c" in model.types:
        raise damaged("A linear booster takes no categories.")
    weights = np.asarray(_numbers(model.booster["weights"]), dtype=np.float32).astype(np.float64)
    if weights.shape != (len(player) + 1,):
        raise damaged("The weights of the model do not fit its columns.")
    return Linear(player, weights[:-1], float(weights[-1]) + model.base, len(inputs))


def _trees(model: _Model, player: Ints, inputs: Sequence[Input]) -> Trees:
    trees = model.booster["trees"]
    drops = np.ones(len(trees)) if model.weights is None else model.weights
    if drops.shape != (len(trees),) or not np.isfinite(drops).all():
        raise damaged("The weights of the model's trees do not fit them.")
    parts: list[Mapping[str, Any]] = []
    sets: list[tuple[int, ...]] = []
    at = 0
    for tree, weight in zip(trees, drops, strict=True):
        nodes = _tree(tree, at, sets, model.types)
        nodes["value"] = nodes["value"] * weight
        parts.append(nodes)
        at += len(nodes["left"])
        if at > MOST_NODES:
            raise ArtefactRefused(
                "The model has too many nodes.", "model", f"At most {MOST_NODES:,} are explained."
            )
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sizes = [len(part["left"]) for part in parts]
    columns = tuple(
        Column(
            source,
            int(owner),
            Test.ONE_OF if kind == "c" else Test.BELOW,
            single=True,
            missing=Missing.NAN if model.missing is None else model.missing,
        )
        for source, (owner, kind) in enumerate(zip(player, model.types, strict=True))
    )
    return Trees(
        columns=columns,
        n_players=len(inputs),
        roots=np.cumsum([0, *sizes[:-1]]),
        category_sets=tuple(sets),
        constant=model.base,
        **whole,
    )


def _tree(
    tree: Mapping[str, Any], start: int, sets: list[tuple[int, ...]], types: Sequence[str]
) -> dict[str, Any]:
    """The nodes of one tree that can be reached; nodes that pruning deleted are left out."""
    left, right = _whole(tree["left_children"]), _whole(tree["right_children"])
    n = len(left)
    if int(tree["tree_param"].get("size_leaf_vector") or 1) > 1:
        raise ArtefactRefused(
            "The leaves of the model hold several numbers each.",
            "model",
            'Train it with multi_strategy="one_output_per_tree".',
        )
    split = _whole(tree["split_indices"])
    # early versions wrote true and false
    default = np.asarray(tree["default_left"])
    default = default.astype(np.int64) if default.dtype.kind == "b" else _whole(default)
    parents = _whole(tree["parents"])
    condition = np.asarray(_numbers(tree["split_conditions"]), dtype=np.float32).astype(np.float64)
    kind = _whole(tree.get("split_type", np.zeros(n, dtype=np.int64)))
    others = [len(tree[name]) for name in ("base_weights", "loss_changes", "sum_hessian")]
    if (
        {len(a) for a in (right, split, default, parents, condition, kind)} | set(others) != {n}
        or n < 1
        or int(tree["tree_param"]["num_nodes"]) != n
    ):
        raise damaged("The parts of a tree of the model differ in length.")
    inner = left != -1
    order = _reached(left, right, parents)
    if len(order) != n - int(tree["tree_param"].get("num_deleted") or 0):
        raise damaged("A tree of the model has nodes that nothing leads to.")
    tests = order[inner[order]]
    if ((split[tests] < 0) | (split[tests] >= len(types))).any():
        raise damaged("A tree of the model asks for a column that does not exist.")
    if not np.isin(kind, (0, 1)).all() or not np.isin(default, (0, 1)).all():
        raise damaged("A tree of the model holds a test of an unknown kind.")
    by_category = np.array([name == "c" for name in types], dtype=np.bool_)
    if (by_category[split[tests]] != (kind[tests] == 1)).any():
        raise damaged("A tree of the model compares a category as a number, or the reverse.")
    chosen = _category_sets(tree, tests[kind[tests] == 1], n, sets)
    # the library sends the categories of a node to the right, our form to the left
    swapped = inner & (kind == 1)
    swapped_left = np.where(swapped, right, left)
    swapped_right = np.where(swapped, left, right)
    place = np.full(n + 1, -1, dtype=np.int64)  # of -1, which is a leaf's child, it is -1
    place[order] = start + np.arange(len(order))
    return {
        "left": place[swapped_left[order]],
        "right": place[swapped_right[order]],
        "column": np.where(inner, split, 0)[order],
        "threshold": np.where(inner & ~swapped, condition, 0.0)[order],
        "value": np.where(inner, 0.0, condition)[order],
        "missing_left": ((default == 1) != swapped)[order],
        "category_set": chosen[order],
    }


def _reached(left: Ints, right: Ints, parents: Ints) -> Ints:
    """Nodes from the root on, level by level; every step back must lead where it came from."""
    n = len(left)
    if ((left == -1) != (right == -1)).any() or (
        (left < -1) | (left >= n) | (right < -1) | (right >= n)
    ).any():
        raise damaged("A tree of the model points outside itself.")
    level = np.zeros(1, dtype=np.int64)
    seen = np.zeros(n, dtype=np.bool_)
    levels = []
    while len(level):
        if seen[level].any() or len(np.unique(level)) != len(level):
            raise damaged("A tree of the model comes back to itself.")
        seen[level] = True
        levels.append(level)
        above = level[left[level] != -1]
        level = np.concatenate([left[above], right[above]])
        if (parents[level] != np.concatenate([above, above])).any():
            raise damaged("A tree of the model names another way up than down.")
    return np.concatenate(levels)


def _category_sets(
    tree: Mapping[str, Any], nodes: Ints, n: int, sets: list[tuple[int, ...]]
) -> Ints:
    """Adds the categories of each node to `sets`; where they stand there, by node."""
    chosen = np.full(n, -1, dtype=np.int64)
    named = _whole(tree.get("categories_nodes", []))
    starts, sizes = (
        _whole(tree.get("categories_segments", [])),
        _whole(tree.get("categories_sizes", [])),
    )
    categories = _whole(tree.get("categories", []))
    ends = starts + sizes if len(starts) == len(sizes) else starts - 1
    if (
        not len(named) == len(starts) == len(sizes)
        or sorted(named) != sorted(nodes)
        or (starts < 0).any()
        or (sizes < 0).any()
        or (ends > len(categories)).any()
        or ((categories < 0) | (categories > MOST_CATEGORIES)).any()
    ):
        raise damaged("The sets of categories of a tree cannot be read.")
    for node, start, end in zip(named, starts, ends, strict=True):
        chosen[node] = len(sets)
        sets.append(tuple(int(c) for c in categories[start:end]))
    return chosen


def _numbers(given: Any) -> Any:
    """Numbers of a file; a text or a list among them is a fault."""
    array = np.asarray(given)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise ValueError("not a list of numbers")
    return array


def _whole(given: Any) -> Ints:
    array = _numbers(given)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError("not a list of whole numbers")
    return np.asarray(array, dtype=np.int64)


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError("not a text")
    return given
