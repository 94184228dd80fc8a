"""LightGBM's text files: every line checked before the library parses them.

Damaged text makes the library abort, crash or hang. So nothing is left to it that was not read
here before, from the same bytes: which lines there are, how many numbers stand in each, where each
tree begins, and where every branch leads.
"""

from __future__ import annotations

import json
import re
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
from explainer.families.model import Input, Target

try:
    import lightgbm
except ImportError:
    lightgbm = None  # type: ignore[assignment] # an extra; opening a model says so

_HEAD = frozenset(
    {"version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx"}
    | {"objective", "average_output", "feature_names", "feature_infos", "tree_sizes"}
    | {"monotone_constraints"}
)
_PER_TEST = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_PER_TEST_TOO = ("split_gain", "internal_value", "internal_weight", "internal_count")
_PER_LEAF_TOO = ("leaf_weight", "leaf_count")
_LINEAR = ("leaf_const", "num_features", "leaf_features", "leaf_coeff")
_TREE = frozenset(
    {"num_leaves", "num_cat", "leaf_value", "cat_boundaries", "cat_threshold", "is_linear"}
    | {"shrinkage", *_PER_TEST, *_PER_TEST_TOO, *_PER_LEAF_TOO, *_LINEAR}
)
_WHOLE, _ANY = re.compile(r"[0-9 -]*"), re.compile(r"[0-9 .e+-]*")
_PARAMETER = re.compile(r"\[[a-z0-9_]+: [^\]\[]*\]")
_CATEGORY, _DEFAULT_LEFT = 1, 2
_MISSING = (Missing.NEVER, Missing.ZERO, Missing.NAN)


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Booster:
    """Check the text of a model, then have the library parse the same text.

    The file does not name its classes: they are those of `target`, in the order of the labels.
    Raises ArtefactRefused.
    """
    check_installed(lightgbm, "lightgbm")
    target.only(Task.BINARY)
    with refused_unless_read():
        model = _Model.of(data)
        player = placed(model.names, inputs)
        table = Table(tuple(model.names), player, _codes(model, inputs, player))
        linear = any(tree["is_linear"] for tree in model.trees)
        form = Function(player, len(inputs)) if linear else _trees(model, player, len(inputs))
    with refused_unless_read():
        booster = lightgbm.Booster(model_str=data.decode("utf-8"))

    def margins(rows: Floats) -> Any:
        # the library's raw score is the plain sum, whatever its objective makes of it afterwards
        raw = booster.predict(rows, raw_score=True, num_threads=1)
        return np.asarray(raw, dtype=np.float64) * model.log_odds

    if not isinstance(form, Trees):
        return Booster((form,), table, margins)
    noughts = {model.names[c.source]: 0.0 for c in form.columns if c.missing is Missing.NEVER}
    return Booster((form,), table, margins, _without_dust, stand_ins=noughts)


def _without_dust(table: Floats) -> Floats:
    """What the library takes for nought it does not look at."""
    return np.where(np.abs(table) <= ZERO, 0.0, table)


@dataclass(frozen=True, slots=True)
class _Model:
    """What of a file is looked at.

    `log_odds` is what the sum of the leaves is multiplied with to be the log-odds.
    """

    names: list[str]
    kinds: list[str]
    log_odds: float
    trees: Sequence[Mapping[str, Any]]
    categories: list[list[str]] | None

    @classmethod
    def of(cls, data: bytes) -> _Model:
        start = data.index(b"\nTree=0\n") + 1
        head = _head(data[:start].decode("utf-8"))
        sigmoid = _sigmoid(head)
        names = head["feature_names"].split(" ")
        kinds = head["feature_infos"].split(" ")
        columns = int(_one(head, "max_feature_idx")) + 1
        if not len(names) == len(kinds) == columns:
            raise damaged("The file names another number of columns than the model has.")
        trees, at = [], start
        for number, size in enumerate(_whole(head["tree_sizes"])):
            block = data[at : at + size]
            if size < 1 or not block.startswith(f"Tree={number}\n".encode()):
                raise damaged("The trees do not stand where the file says.")
            trees.append(_tree(block.decode("ascii"), columns))
            at += size
        if not data[at:].startswith(b"end of trees\n"):
            raise damaged("The trees do not stand where the file says.")
        if sum(tree["num_leaves"] for tree in trees) * 2 > MOST_NODES:
            raise ArtefactRefused(
                "The model has too many nodes.", "model", f"At most {MOST_NODES:,} are explained."
            )
        averaged = "average_output" in head
        return cls(
            names,
            kinds,
            sigmoid / len(trees) if averaged else sigmoid,
            trees,
            _behind_the_trees(data[at:].decode("utf-8")),
        )


def _head(text: str) -> dict[str, str]:
    lines = text.rstrip("\n").split("\n")
    if lines[0] != "tree":
        raise damaged("This is no text file of a LightGBM model.")
    return _named(lines[1:], _HEAD)


def _named(lines: Sequence[str], known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition("=")
        if name not in known or name in found:
            raise damaged("The file of the model holds a line that does not belong there.")
        found[name] = value
    return found


def _sigmoid(head: Mapping[str, str]) -> float:
    objective = head["objective"].split(" ")
    if objective[0] != "binary":
        raise ArtefactRefused(
            f"The model was trained with objective {objective[0][:50]!r}.",
            "model",
            "Explained are models for two classes, trained with objective binary. Rankings have "
            "no score that stands for itself.",
        )
    if head["num_class"] != "1" or head["num_tree_per_iteration"] != "1":
        raise ArtefactRefused(
            "The model gives more than one number a row.",
            "model",
            "Train one model with one output.",
        )
    if head["version"] not in ("v3", "v4"):
        raise ArtefactRefused(
            "The version of the file's form is not known.", "model", "Known are v3 and v4."
        )
    settings = dict(part.split(":") for part in objective[1:])
    if set(settings) != {"sigmoid"}:
        raise damaged("The objective of the model cannot be read.")
    (sigmoid,) = _numbers(settings["sigmoid"])
    if not 0 < sigmoid < 1e6:
        raise damaged("The objective of the model cannot be read.")
    return float(sigmoid)


def _behind_the_trees(text: str) -> list[list[str]] | None:
    """Names of the categories of the columns that were categories in the table of training."""
    _, found, rest = text.partition("\nparameters:\n")
    parameters, ended, last = rest.partition("\nend of parameters\n")
    if found and not (
        ended and all(_PARAMETER.fullmatch(line) for line in parameters.split("\n") if line)
    ):
        raise damaged("The parameters of the model cannot be read.")
    _, named, listed = (last if found else text).partition("\npandas_categorical:")
    if not named:
        return None
    categories = json.loads(listed)
    if categories is None:
        return None
    if not all(isinstance(one, list) for one in categories):
        raise damaged("The categories of the model cannot be read.")
    return [[str(name) for name in one] for one in categories] or None


def _tree(block: str, n_columns: int) -> dict[str, Any]:
    """One tree: as many numbers in each line as there must be, each index where it may be."""
    lines = _named(block.rstrip("\n").split("\n")[1:], _TREE)
    leaves, n_sets = int(_one(lines, "num_leaves")), int(_one(lines, "num_cat"))
    # the shortest number and what parts it from the next take two bytes
    if not 1 <= leaves <= len(block) or not 0 <= n_sets <= len(block):
        raise damaged("A tree of the model has another size than it says.")
    found: dict[str, Any] = {
        "num_leaves": leaves,
        "leaf_value": _numbers(lines["leaf_value"]),
        "is_linear": _one(lines, "is_linear") if "is_linear" in lines else 0,
    }
    _numbers(lines["shrinkage"])
    tests = leaves - 1
    for name in _PER_TEST:
        found[name] = (_numbers if name == "threshold" else _whole)(lines.get(name, ""))
    sizes = dict.fromkeys(_PER_TEST, tests) | {"leaf_value": leaves}
    if any(len(found[name]) != size for name, size in sizes.items()):
        raise damaged("The parts of a tree of the model differ in length.")
    for names, size in ((_PER_TEST_TOO, tests), (_PER_LEAF_TOO, leaves)):
        for name in names:
            # only trees that are a single leaf leave them out
            if len(_numbers(lines.get(name, ""))) != size and tests:
                raise damaged("The parts of a tree of the model differ in length.")
    for name in ("left_child", "right_child"):
        child = found[name]
        if ((child < -leaves) | (child >= tests)).any():
            raise damaged("A tree of the model points outside itself.")
    if ((found["split_feature"] < 0) | (found["split_feature"] >= n_columns)).any():
        raise damaged("A tree of the model asks for a column that does not exist.")
    kind = found["decision_type"]
    if ((kind < 0) | (kind > 11)).any():
        raise damaged("A tree of the model holds a test of an unknown kind.")
    found["sets"] = _category_sets(lines, n_sets, found["threshold"][(kind & _CATEGORY) == 1])
    if found["is_linear"] not in (0, 1):
        raise damaged("A tree of the model is of an unknown kind.")
    if found["is_linear"]:
        _check_weighed(lines, leaves, n_columns)
    return found


def _category_sets(lines: Mapping[str, str], n: int, named: Floats) -> list[tuple[int, ...]]:
    """The sets of categories a tree's nodes go left for, 32 to a word."""
    if n == 0 and not len(named):
        return []
    starts = _whole(lines["cat_boundaries"])
    words = _whole(lines["cat_threshold"])
    if (
        len(starts) != n + 1
        or starts[0] != 0
        or starts[-1] != len(words)
        or (np.diff(starts) < 0).any()
        or ((words < 0) | (words >= 2**32)).any()
        or not np.isin(named, np.arange(n)).all()
    ):
        raise damaged("The sets of categories of a tree cannot be read.")
    return [
        tuple(
            32 * at + bit
            for at, word in enumerate(words[start:end].tolist())
            for bit in range(32)
            if word >> bit & 1
        )
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]


def _check_weighed(lines: Mapping[str, str], leaves: int, n_columns: int) -> None:
    """The leaves of a linear tree: a constant and weights of columns each."""
    counts = _whole(lines["num_features"])
    columns, weights = _whole(lines["leaf_features"]), _numbers(lines["leaf_coeff"])
    if (
        len(counts) != leaves
        or len(_numbers(lines["leaf_const"])) != leaves
        or (counts < 0).any()
        or not counts.sum() == len(columns) == len(weights)
        or ((columns < 0) | (columns >= n_columns)).any()
    ):
        raise damaged("The weights in the leaves of a tree cannot be read.")


def _codes(model: _Model, inputs: Sequence[Input], player: Ints) -> dict[int, Mapping[str, float]]:
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


def _trees(model: _Model, player: Ints, n_players: int) -> Trees:
    columns: dict[tuple[int, Test, Missing], int] = {}
    parts: dict[str, list[Any]] = {name: [] for name in ("left", "right", "column", "threshold")}
    parts |= {"value": [], "missing_left": [], "category_set": []}
    sets: list[tuple[int, ...]] = []
    roots, at = [], 0
    for tree in model.trees:
        leaves = tree["num_leaves"]
        tests = leaves - 1
        kind = tree["decision_type"]
        chosen = (kind & _CATEGORY) == 1
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
        parts["value"].append(np.append(np.zeros(tests), tree["leaf_value"] * model.log_odds))
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


def _one(lines: Mapping[str, str], name: str) -> int:
    (found,) = _whole(lines[name])
    return int(found)


def _whole(text: str) -> Ints:
    if not _WHOLE.fullmatch(text):
        raise ValueError("not a list of whole numbers")
    return np.array(text.split(), dtype=np.int64)


def _numbers(text: str) -> Floats:
    if not _ANY.fullmatch(text):
        raise ValueError("not a list of numbers")
    found = np.array(text.split(), dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a number that is not finite")
    return found
