"""LightGBM's text files: every line checked before the library parses them.

Damaged text makes the library abort, crash or hang. So nothing is left to it that was not read
here before, from the same bytes: which lines there are, how many numbers stand in each, where each
tree begins, and where every branch leads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    MOST_NODES,
    ZERO,
    Column,
    Floats,
    Ints,
    Missing,
    Test,
    Trees,
)
from explainer.families.engine.function import Function
from explainer.families.lightgbm_file import (
    CATEGORY,
    behind_the_trees,
    head_of,
    numbers,
    one,
    tree_of,
    whole,
)
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
    import lightgbm
except ImportError:
    lightgbm = None  # type: ignore[assignment] # an extra; opening a model says so

OBJECTIVES = {
    Task.BINARY: ("binary",),
    Task.MULTICLASS: ("multiclass",),
    Task.AMOUNT: ("regression", "regression_l1", "huber", "fair", "quantile", "mape"),
}
"""Those where the sum of the trees is the log-odds, or the amount."""
_OTHERS = {
    "multiclassova": ONE_VS_ALL,
    "poisson": LOGARITHM,
    "gamma": LOGARITHM,
    "tweedie": LOGARITHM,
    "lambdarank": RANKING,
    "rank_xendcg": RANKING,
    "regression sqrt": "It adds up the root of an amount (reg_sqrt).",
}

_DEFAULT_LEFT = 2
_MISSING = (Missing.NEVER, Missing.ZERO, Missing.NAN)


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Booster:
    """Check the text of a model, then have the library parse the same text.

    The file does not name its classes: they are those of `target`, in the order of the labels.
    Raises ArtefactRefused.
    """
    check_installed(lightgbm, "lightgbm")
    with refused_unless_read():
        model = Saved.of(data)
        target.only(model.task)
        check_outputs(target, model.outputs)
        player = placed(model.names, inputs)
        table = Table(tuple(model.names), player, _codes(model, inputs, player))
        trees: tuple[Trees, ...] = ()
        if not any(tree["is_linear"] for tree in model.trees):
            # the trees of a round, one for each output, stand one behind the other
            trees = tuple(
                _trees(model, model.trees[at :: model.outputs], player, len(inputs))
                for at in range(model.outputs)
            )
    with refused_unless_read():
        booster = lightgbm.Booster(model_str=data.decode("utf-8"))

    def margins(rows: Floats) -> Any:
        # the library's raw score is the plain sum, whatever its objective makes of it afterwards
        raw = booster.predict(rows, raw_score=True, num_threads=1)
        return np.asarray(raw, dtype=np.float64) * model.factor

    space = space_of(model.task)
    if not trees:
        by_answers = (Function(player, len(inputs)),) * model.outputs
        return Booster(by_answers, table, margins, space=space)
    asked = [column for form in trees for column in form.columns]
    noughts = {model.names[c.source]: 0.0 for c in asked if c.missing is Missing.NEVER}
    return Booster(trees, table, margins, _without_dust, space, noughts)


def _without_dust(table: Floats) -> Floats:
    """What the library takes for nought it does not look at."""
    return np.where(np.abs(table) <= ZERO, 0.0, table)


@dataclass(frozen=True, slots=True)
class Saved:
    """What of a file is looked at.

    `factor` is what the sum of the leaves of an output is multiplied with to be its margin.
    """

    names: list[str]
    kinds: list[str]
    task: Task
    outputs: int
    factor: float
    trees: Sequence[Mapping[str, Any]]
    categories: list[list[str]] | None

    @classmethod
    def of(cls, data: bytes) -> Saved:
        start = data.index(b"\nTree=0\n") + 1
        head = head_of(data[:start].decode("utf-8"))
        task, outputs, factor = _asked_for(head)
        names = head["feature_names"].split(" ")
        kinds = head["feature_infos"].split(" ")
        columns = int(one(head, "max_feature_idx")) + 1
        if not len(names) == len(kinds) == columns:
            raise damaged("The file names another number of columns than the model has.")
        trees, at = [], start
        for number, size in enumerate(whole(head["tree_sizes"])):
            block = data[at : at + size]
            if size < 1 or not block.startswith(f"Tree={number}\n".encode()):
                raise damaged("The trees do not stand where the file says.")
            trees.append(tree_of(block.decode("ascii"), columns))
            at += size
        if not data[at:].startswith(b"end of trees\n"):
            raise damaged("The trees do not stand where the file says.")
        if sum(tree["num_leaves"] for tree in trees) * 2 > MOST_NODES:
            raise ArtefactRefused(
                "The model has too many nodes.", "model", f"At most {MOST_NODES:,} are explained."
            )
        if not trees or len(trees) % outputs:
            raise damaged("A class of the model lacks trees.")
        averaged = "average_output" in head
        return cls(
            names,
            kinds,
            task,
            outputs,
            factor * outputs / len(trees) if averaged else factor,
            trees,
            behind_the_trees(data[at:].decode("utf-8")),
        )


def _asked_for(head: Mapping[str, str]) -> tuple[Task, int, float]:
    """The kind of answer, how many numbers it has, and what turns a sum of leaves into log-odds."""
    name, *rest = head["objective"].split(" ")
    if "sqrt" in rest:
        name += " sqrt"
    task = task_of(name, OBJECTIVES, _OTHERS)
    settings = dict(part.split(":") for part in rest)
    given = {Task.BINARY: {"sigmoid"}, Task.MULTICLASS: {"num_class"}, Task.AMOUNT: set()}
    if set(settings) != given[task]:
        raise damaged("The objective of the model cannot be read.")
    outputs = int(one(head, "num_class"))
    if head["num_tree_per_iteration"] != head["num_class"]:
        raise damaged("The model has another number of trees a round than of classes.")
    if task is not Task.MULTICLASS and outputs != 1:
        raise one_number()
    if task is Task.MULTICLASS and (outputs < 2 or settings["num_class"] != head["num_class"]):
        raise damaged("The number of classes of the model cannot be read.")
    if head["version"] not in ("v3", "v4"):
        raise ArtefactRefused(
            "The version of the file's form is not known.", "model", "Known are v3 and v4."
        )
    (factor,) = numbers(settings.get("sigmoid", "1"))
    if not 0 < factor < 1e6:
        raise damaged("The objective of the model cannot be read.")
    return task, outputs, float(factor)


def _codes(model: Saved, inputs: Sequence[Input], player: Ints) -> dict[int, Mapping[str, float]]:
    """The number of each choice. One the model has never seen is missing to it, as the library
    itself has it; that it is outside of what the model knows, the catalogue says."""
    by_category = [at for at, owner in enumerate(player) if inputs[owner].choices is not None]
    for at, owner in enumerate(player):
        kind = model.kinds[at]
        if kind != "none":  # the column never varied in training
            check_kind(inputs[owner], by_category=not kind.startswith("["))
    if model.categories is not None and len(model.categories) != len(by_category):
        raise ArtefactRefused(
            f"The table of training had {len(model.categories)} columns of categories, the "
            f"catalogue has {len(by_category)} choices.",
            "features.toml",
            "Train the model on a table where exactly the choices are of pandas' category type.",
        )
    found: dict[int, Mapping[str, float]] = {}
    for place, at in enumerate(by_category):
        choices = inputs[player[at]].choices or ()
        known = in_order(choices if model.categories is None else model.categories[place])
        found[at] = dict.fromkeys(choices, np.nan) | known
    return found


def _trees(model: Saved, trees: Sequence[Mapping[str, Any]], player: Ints, n_players: int) -> Trees:
    """The trees of one output."""
    columns: dict[tuple[int, Test, Missing], int] = {}
    parts: dict[str, list[Any]] = {name: [] for name in ("left", "right", "column", "threshold")}
    parts |= {"value": [], "missing_left": [], "category_set": []}
    sets: list[tuple[int, ...]] = []
    roots, at = [], 0
    for tree in trees:
        leaves = tree["num_leaves"]
        tests = leaves - 1
        kind = tree["decision_type"]
        chosen = (kind & CATEGORY) == 1
        missing = kind >> 2
        if (missing > 2).any():
            raise damaged("A tree of the model holds a test of an unknown kind.")
        asked = [
            # a missing category goes right, whatever the node says of missing numbers
            (int(source), Test.ONE_OF, Missing.NAN)
            if by_category
            else (int(source), Test.AT_MOST, _MISSING[rule])
            for source, by_category, rule in zip(
                tree["split_feature"], chosen, missing, strict=True
            )
        ]
        for key in asked:
            if model.kinds[key[0]].startswith("[") is not (key[1] is Test.AT_MOST):
                raise damaged("A tree of the model compares a category as a number.")
            columns.setdefault(key, len(columns))
        # tests first, then leaves; the n-th leaf is written -n - 1
        roots.append(at)
        for name in ("left", "right"):
            child = tree[f"{name}_child"]
            place = np.where(child >= 0, child, tests - child - 1) + at
            parts[name].append(np.append(place, np.full(leaves, -1)))
        nowhere = np.zeros(leaves)
        parts["column"].append(np.append([columns[key] for key in asked], nowhere))
        threshold = np.where(chosen, 0.0, tree["threshold"])
        parts["threshold"].append(np.append(threshold, nowhere))
        parts["value"].append(np.append(np.zeros(tests), tree["leaf_value"] * model.factor))
        default = ((kind & _DEFAULT_LEFT) != 0) & ~chosen
        parts["missing_left"].append(np.append(default, nowhere != 0))
        named = np.where(chosen, tree["threshold"] + len(sets), -1)
        parts["category_set"].append(np.append(named, np.full(leaves, -1)))
        sets += tree["sets"]
        at += tests + leaves
    whole: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    for name in ("left", "right", "column", "category_set"):
        whole[name] = whole[name].astype(np.int64)
    return Trees(
        columns=tuple(
            Column(source, int(player[source]), test, missing=missing)
            for source, test, missing in columns
        ),
        n_players=n_players,
        roots=np.array(roots, dtype=np.int64),
        category_sets=tuple(sets),
        **whole,
    )
