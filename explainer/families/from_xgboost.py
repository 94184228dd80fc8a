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
    Missing,
    Test,
    Trees,
)
from explainer.families.engine.linear import Linear
from explainer.families.json_form import shown, written_number
from explainer.families.model import Input, Target
from explainer.families.objectives import (
    LOGARITHM,
    RANKING,
    check_outputs,
    one_number,
    space_of,
    task_of,
)
from explainer.families.xgboost_trees import numbers, stored_categories, tree_of, whole

try:
    import xgboost
except ImportError:
    xgboost = None  # type: ignore[assignment] # an extra; opening a model says so

OBJECTIVES = {
    Task.BINARY: ("binary:logistic", "binary:logitraw"),
    Task.MULTICLASS: ("multi:softprob", "multi:softmax"),
    Task.AMOUNT: (
        *("reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror"),
        *("reg:quantileerror", "reg:squaredlogerror"),
    ),
}
"""Those where the sum of the trees is the log-odds, or the amount."""
_OTHERS = {
    "count:poisson": LOGARITHM,
    "reg:gamma": LOGARITHM,
    "reg:tweedie": LOGARITHM,
    "survival:": LOGARITHM,
    "reg:logistic": "It adds up the log-odds of a share, so nothing it adds is a part of it.",
    "rank:": RANKING,
}

MISSING = "missing"
"""Attribute of a file that names what marks a missing value beside NaN. XGBoost keeps it nowhere:
it is told anew with every table. `booster.set_attr(missing="-999")` before saving declares it."""


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Booster:
    """Check a model in JSON, then have the library parse the same bytes.

    The file does not name its classes: they are those of `target`, in the order of the labels.
    Raises ArtefactRefused.
    """
    return open_saved(data, inputs, target, saved)


def open_saved(
    data: bytes, inputs: Sequence[Input], target: Target, saved_in: Callable[[bytes], Saved]
) -> Booster:
    """The same for any notation that `saved_in` reads."""
    check_installed(xgboost, "xgboost")
    with refused_unless_read():
        model = saved_in(data)
        target.only(model.task)
        check_outputs(target, model.outputs)
        player = placed(model.names, inputs)
        table = Table(tuple(model.names), player, _codes(model, inputs, player))
        form_of = _linear if model.linear else _trees
        forms = tuple(form_of(model, at, player, inputs) for at in range(model.outputs))
    with refused_unless_read():
        booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(data))

    missing = np.nan if model.missing is None else model.missing

    def margins(rows: Floats) -> Any:
        _check_finite(rows, model.names)
        # the columns were placed by their names already
        if not model.linear and model.weights is None:
            # the same sum without a matrix; of dropped trees it adds in another order
            return booster.inplace_predict(
                rows, predict_type="margin", missing=missing, validate_features=False
            )
        types = model.types if "c" in model.types else None
        matrix = xgboost.DMatrix(rows, missing=missing, feature_types=types, nthread=1)
        return booster.predict(matrix, output_margin=True, validate_features=False)

    space = space_of(model.task)
    if not model.linear:
        return Booster(forms, table, margins, space=space)
    # what is left out of a sum counts as nought
    noughts = dict.fromkeys(model.names, 0.0)
    return Booster(forms, table, margins, model.as_weighed, space, noughts)


def _check_finite(rows: Floats, names: Sequence[str]) -> None:
    """One of the library's interfaces refuses an infinity, the other takes it for a number."""
    with np.errstate(over="ignore"):
        (beyond,) = np.nonzero(np.isinf(rows.astype(np.float32)).any(axis=0))
    if len(beyond):
        raise ModelFailed(
            "The value is larger than any number the model calculates with.",
            names[int(beyond[0])],
            "Correct it, or decide without the program.",
        )


def saved(data: bytes) -> Saved:
    """What of a file in JSON is looked at. Raises ArtefactRefused, or ValueError and the like where
    it is none."""
    return Saved.of(json.loads(data.decode("utf-8"), object_pairs_hook=_once))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name we might check the one and the library use the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


@dataclass(frozen=True, slots=True)
class Saved:
    """What of a file is looked at."""

    names: list[str]
    types: list[str]
    task: Task
    outputs: int
    bases: list[float]
    """What is added to the trees of each output."""
    missing: float | None
    linear: bool
    booster: Mapping[str, Any]
    weights: Floats | None
    """How much each tree counts, where trees were dropped in training (DART)."""
    categories: Mapping[int, tuple[str, ...]]
    """Names of the categories by column, where the file holds them."""

    @classmethod
    def of(cls, whole: Any) -> Saved:
        learner = whole["learner"]
        task, outputs = _asked_for(learner)
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
            weights, booster = booster["weight_drop"], booster["gbtree"]
        elif kind == "gbtree" and "weight_drop" in booster["model"]:  # from 3.4 on
            weights = booster["model"]["weight_drop"]
            _check_weights_are_read(whole["version"])
        if kind != "gblinear":
            _check_rounds(booster["model"], outputs, attributes)
        elif len(booster["model"]["weights"]) != (len(types) + 1) * outputs:
            raise damaged("The weights of the model do not fit its columns.")
        return cls(
            names,
            types,
            task,
            outputs,
            _base_margins(learner, outputs),
            _sentinel(attributes),
            kind == "gblinear",
            booster["model"],
            None if weights is None else np.asarray(numbers(weights), dtype=np.float64),
            {} if kind == "gblinear" else stored_categories(booster["model"], names, types),
        )

    def as_weighed(self, table: Floats) -> Floats:
        """A linear booster leaves a missing value out of its sum, and narrows the others."""
        with np.errstate(over="ignore"):
            narrowed = table.astype(np.float32).astype(np.float64)
        gone = np.isnan(narrowed)
        if self.missing is not None:
            gone |= narrowed == float(np.float32(self.missing))
        return np.where(gone, 0.0, narrowed)


def _check_weights_are_read(written: Any) -> None:
    """An older library passes over weights that a newer one wrote, and answers without them."""
    file, here = [int(n) for n in written[:2]], str(xgboost.__version__)
    if [int(n) for n in here.split(".")[:2]] < file:
        raise ArtefactRefused(
            f"XGBoost {here}, installed here, does not read how much each tree counts (DART).",
            "model",
            f"Install xgboost-cpu {file[0]}.{file[1]} or newer, or train with the older one.",
        )


def _asked_for(learner: Mapping[str, Any]) -> tuple[Task, int]:
    """The kind of answer, and how many numbers it has."""
    parameters, objective = learner["learner_model_param"], learner["objective"]
    task = task_of(str(objective["name"]), OBJECTIVES, _OTHERS)
    classes = int(parameters.get("num_class", 0))
    if (task is not Task.MULTICLASS and classes > 1) or int(parameters.get("num_target", 1)) != 1:
        raise one_number()
    if task is not Task.MULTICLASS:
        return task, 1
    if classes < 2 or int(objective["softmax_multiclass_param"]["num_class"]) != classes:
        raise damaged("The number of classes of the model cannot be read.")
    return task, classes


def _columns_of(learner: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    names = [_text(name) for name in learner.get("feature_names", [])]
    n = int(learner["learner_model_param"]["num_feature"])
    if names and len(names) != n:
        raise damaged("The file names another number of columns than the model has.")
    types = [_text(kind) for kind in learner.get("feature_types", [])] or ["float"] * n
    if len(types) != n or not set(types) <= {"float", "int", "i", "q", "c"}:
        raise damaged("The kinds of the model's columns cannot be read.")
    return names, types


def _base_margins(learner: Mapping[str, Any], outputs: int) -> list[float]:
    """For binary:logistic the base score stands in the file as a probability, else as a margin;
    as one number for all outputs, or from 3.1 on as a list with one for each."""
    written = json.loads(_text(learner["learner_model_param"]["base_score"]))
    listed = written if isinstance(written, list) else [written] * outputs
    bases = np.asarray(numbers(listed), dtype=np.float32).astype(np.float64)
    if len(bases) != outputs or not np.isfinite(bases).all():
        raise damaged("The base score of the model cannot be read.")
    if learner["objective"]["name"] == "binary:logistic":
        if not ((bases > 0) & (bases < 1)).all():
            raise damaged("The base score of the model is no probability.")
        bases = -np.log(1 / bases - 1)
    return [float(base) for base in bases]


def _sentinel(attributes: Mapping[str, Any]) -> float | None:
    if MISSING not in attributes:
        return None
    said = _text(attributes[MISSING])
    if said.lower() == "nan":
        return None
    marked = np.inf if said.lstrip("-") == "inf" else written_number(said)
    if marked is None:
        raise ArtefactRefused(
            f"The mark of a missing value, {shown(said)}, is not a number.",
            "model",
            'Write it in plain digits, as in booster.set_attr(missing="-999").',
        )
    if abs(marked) > float(np.finfo(np.float32).max):
        raise ArtefactRefused(
            "An infinity cannot mark a missing value.", "model", "Train it with NaN or a number."
        )
    return marked


def _check_rounds(booster: Mapping[str, Any], outputs: int, attributes: Mapping[str, Any]) -> None:
    """Which trees are used, and for which output, must not depend on how the model is asked."""
    parameters = booster["gbtree_model_param"]
    trees = booster["trees"]
    if any(int(tree["tree_param"].get("size_leaf_vector") or 1) > 1 for tree in trees):
        raise ArtefactRefused(
            "The leaves of the model hold several numbers each.",
            "model",
            'Train it with multi_strategy="one_output_per_tree".',
        )
    if sum(len(tree["left_children"]) for tree in trees) > MOST_NODES:
        raise ArtefactRefused(
            "The model has too many nodes.", "model", f"At most {MOST_NODES:,} are explained."
        )
    at_once = int(parameters.get("num_parallel_tree") or 1)
    a_round = at_once * outputs
    counted = int(parameters["num_trees"]) == len(trees) > 0
    if not counted or at_once < 1 or len(trees) % a_round:
        raise damaged("The file holds another number of trees than it says.")
    starts = [int(n) for n in booster.get("iteration_indptr", range(0, len(trees) + 1, a_round))]
    if starts[0] != 0 or starts[-1] != len(trees) or starts != sorted(starts):
        raise damaged("The rounds of the model's training cannot be read.")
    owners = whole(booster["tree_info"])
    sizes = np.diff(starts)
    # in each round as many trees for each output, those of the first output first
    if (
        len(owners) != len(trees)
        or (sizes % outputs).any()
        or any(
            (owners[start:end] != np.repeat(np.arange(outputs), (end - start) // outputs)).any()
            for start, end in pairwise(starts)
        )
    ):
        raise damaged("The trees of the model do not belong to its classes one by one.")
    best = attributes.get("best_iteration")
    if best is not None and int(best) + 1 != len(starts) - 1:
        raise ArtefactRefused(
            "Training was stopped early: the file holds rounds after the best one, and XGBoost's "
            "two interfaces differ in whether they count.",
            "model",
            "Save booster[: booster.best_iteration + 1], or all rounds without that attribute.",
        )


def _codes(model: Saved, inputs: Sequence[Input], player: Ints) -> dict[int, Mapping[str, float]]:
    found: dict[int, Mapping[str, float]] = {}
    for at, kind in enumerate(model.types):
        each = inputs[player[at]]
        check_kind(each, by_category=kind == "c")
        if each.choices is not None:
            found[at] = in_order(model.categories.get(at, each.choices))
    return found


def _linear(model: Saved, output: int, player: Ints, inputs: Sequence[Input]) -> Linear:
    if "c" in model.types:
        raise damaged("A linear booster takes no categories.")
    if len(set(model.bases)) > 1:
        raise ArtefactRefused(
            "The classes of this linear booster have base scores of their own, and XGBoost 3.2 "
            "adds that of the first to all of them.",
            "model",
            "Train it with one for all, such as base_score=0.5.",
        )
    weights = np.asarray(numbers(model.booster["weights"]), dtype=np.float32).astype(np.float64)
    *own, bias = weights[output :: model.outputs]
    return Linear(player, np.array(own), float(bias) + model.bases[output], len(inputs))


def _trees(model: Saved, output: int, player: Ints, inputs: Sequence[Input]) -> Trees:
    """The trees of one output."""
    trees, owners = model.booster["trees"], whole(model.booster["tree_info"])
    drops = np.ones(len(trees)) if model.weights is None else model.weights
    if drops.shape != (len(trees),) or not np.isfinite(drops).all():
        raise damaged("The weights of the model's trees do not fit them.")
    parts: list[Mapping[str, Any]] = []
    sets: list[tuple[int, ...]] = []
    at = 0
    for place in np.flatnonzero(owners == output):
        tree, weight = trees[place], drops[place]
        nodes = tree_of(tree, at, sets, model.types)
        nodes["value"] = nodes["value"] * weight
        parts.append(nodes)
        at += len(nodes["left"])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
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
        constant=model.bases[output],
        **joined,
    )


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError("not a text")
    return given
