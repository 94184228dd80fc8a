"""The lines of LightGBM's text files, each looked at for what it must be.

As many numbers in each as there must be, and every index where it may be. All functions raise
ArtefactRefused, or ValueError and KeyError for what is no number or not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explainer.families.boosters import damaged
from explainer.families.engine.forest import Floats, Ints
from explainer.families.model import named_once
from explainer.families.objectives import LARGEST_LEAF

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
_PARAMETER = re.compile(
    r"\[[a-z0-9_]+: [^\]\[]*\]|\[interaction_constraints: \[[0-9,]+\](,\[[0-9,]+\])*\]"
)
CATEGORY = 1
"""The bit of a test's kind that says it asks for categories."""


def head_of(text: str) -> dict[str, str]:
    """The lines before the first tree, by name."""
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


def behind_the_trees(text: str) -> list[list[str]] | None:
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
    if not all(isinstance(names, list) for names in categories):
        raise damaged("The categories of the model cannot be read.")
    return [list(named_once(names)) for names in categories] or None


def tree_of(block: str, n_columns: int) -> dict[str, Any]:
    """One tree: as many numbers in each line as there must be, each index where it may be."""
    lines = _named(block.rstrip("\n").split("\n")[1:], _TREE)
    leaves, n_sets = int(one(lines, "num_leaves")), int(one(lines, "num_cat"))
    # the shortest number and what parts it from the next take two bytes
    if not 1 <= leaves <= len(block) or not 0 <= n_sets <= len(block):
        raise damaged("A tree of the model has another size than it says.")
    found: dict[str, Any] = {
        "num_leaves": leaves,
        "leaf_value": numbers(lines["leaf_value"]),
        "is_linear": one(lines, "is_linear") if "is_linear" in lines else 0,
    }
    numbers(lines["shrinkage"])
    tests = leaves - 1
    for name in _PER_TEST:
        found[name] = (borders if name == "threshold" else whole)(lines.get(name, ""))
    sizes = dict.fromkeys(_PER_TEST, tests) | {"leaf_value": leaves}
    if any(len(found[name]) != size for name, size in sizes.items()):
        raise damaged("The parts of a tree of the model differ in length.")
    if (np.abs(found["leaf_value"]) > LARGEST_LEAF).any():
        raise damaged("A leaf of the model is larger than a sum can bear.")
    for names, size in ((_PER_TEST_TOO, tests), (_PER_LEAF_TOO, leaves)):
        for name in names:
            # only trees that are a single leaf leave them out
            if len(numbers(lines.get(name, ""))) != size and tests:
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
    found["sets"] = _category_sets(lines, n_sets, found["threshold"][(kind & CATEGORY) == 1])
    if found["is_linear"] not in (0, 1):
        raise damaged("A tree of the model is of an unknown kind.")
    if found["is_linear"]:
        _check_weighed(lines, leaves, n_columns)
    return found


def _category_sets(lines: Mapping[str, str], n: int, named: Floats) -> list[tuple[int, ...]]:
    """The sets of categories a tree's nodes go left for, 32 to a word."""
    if n == 0 and not len(named):
        return []
    starts = whole(lines["cat_boundaries"])
    words = whole(lines["cat_threshold"])
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
    counts = whole(lines["num_features"])
    columns, weights = whole(lines["leaf_features"]), numbers(lines["leaf_coeff"])
    if (
        len(counts) != leaves
        or len(numbers(lines["leaf_const"])) != leaves
        or (counts < 0).any()
        or not counts.sum() == len(columns) == len(weights)
        or ((columns < 0) | (columns >= n_columns)).any()
    ):
        raise damaged("The weights in the leaves of a tree cannot be read.")


def one(lines: Mapping[str, str], name: str) -> int:
    """The only whole number of a line."""
    (found,) = whole(lines[name])
    return int(found)


def whole(text: str) -> Ints:
    """The whole numbers of a line."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("not a list of whole numbers")
    return np.array(text.split(), dtype=np.int64)


def borders(text: str) -> Floats:
    """The borders of a tree's tests: finite numbers, and `inf`.

    The library writes `inf` where every number goes left and only a gap goes right, and reads it
    as the infinity it is.
    """
    if "inf" not in text:
        return numbers(text)
    words = np.array(text.split())
    found = numbers(" ".join(np.where(words == "inf", "0", words)))
    found[words == "inf"] = np.inf
    return found


def numbers(text: str) -> Floats:
    """The finite numbers of a line."""
    if not _ANY.fullmatch(text):
        raise ValueError("not a list of numbers")
    found = np.array(text.split(), dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a number that is not finite")
    return found
