"""The trees in XGBoost's files: every index checked, and their nodes as our form has them; and the
names of the categories they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.boosters import damaged
from explainer.families.engine.forest import MOST_CATEGORIES, Ints
from explainer.families.model import named_once


def tree_of(
    tree: Mapping[str, Any], start: int, sets: list[tuple[int, ...]], types: Sequence[str]
) -> dict[str, Any]:
    """The nodes of one tree that can be reached; nodes that pruning deleted are left out.

    `start` is the place of its first node, `types` are the kinds of the model's columns; the
    categories of its nodes are added to `sets`. Arrays by the names that `Trees` has for them.
    Raises ArtefactRefused, or KeyError and ValueError for what is not there or no number.
    """
    left, right = whole(tree["left_children"]), whole(tree["right_children"])
    n = len(left)
    split = whole(tree["split_indices"])
    # early versions wrote true and false
    default = np.asarray(tree["default_left"])
    default = default.astype(np.int64) if default.dtype.kind == "b" else whole(default)
    parents = whole(tree["parents"])
    condition = np.asarray(numbers(tree["split_conditions"]), dtype=np.float32).astype(np.float64)
    kind = whole(tree.get("split_type", np.zeros(n, dtype=np.int64)))
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
    named = whole(tree.get("categories_nodes", []))
    starts, sizes = (
        whole(tree.get("categories_segments", [])),
        whole(tree.get("categories_sizes", [])),
    )
    categories = whole(tree.get("categories", []))
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


def numbers(given: Any) -> Any:
    """Numbers of a file; a text or a list among them is a fault."""
    array = np.asarray(given)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iuf"):
        raise ValueError("not a list of numbers")
    return array


def whole(given: Any) -> Ints:
    """Whole numbers of a file."""
    array = numbers(given)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError("not a list of whole numbers")
    return np.asarray(array, dtype=np.int64)


def stored_categories(
    booster: Mapping[str, Any], names: Sequence[str], types: Sequence[str]
) -> dict[int, tuple[str, ...]]:
    """Names of categories; since 3.1 a file holds them if the model was trained on a frame.

    Raises ArtefactRefused where two of a column have the same, or where XGBoost wrote them wrongly.
    """
    stored = booster.get("cats", {}).get("enc", [])
    if stored and len(stored) != len(types):
        raise damaged("The categories of the model do not fit its columns.")
    found: dict[int, tuple[str, ...]] = {}
    for at, kind in enumerate(types):
        if kind != "c" or not stored or not len(stored[at]["values"]):
            continue
        values = np.asarray(numbers(stored[at]["values"]))
        column = names[at] if names else None
        if "offsets" not in stored[at]:
            # to the last digit: keys of places have eight of them
            exact = [int(n) if n == int(n) else n for n in values.tolist()]
            found[at] = named_once(exact, column)
            continue
        text = (values.astype(np.int64) & 0xFF).astype(np.uint8).tobytes()
        ends = [int(n) for n in stored[at]["offsets"]]
        if ends[0] != 0 or ends[-1] != len(text) or ends != sorted(ends):
            raise damaged("The categories of the model cannot be read.")
        if not text.isascii():
            # XGBoost takes lengths in letters for lengths in bytes: names and places are shifted
            raise ArtefactRefused(
                "XGBoost stores names of categories with letters outside ASCII so that nobody can "
                "tell which is whose.",
                f"model, {column}" if column else "model",
                "Rename the categories (a to z, digits, _ . -) and train again.",
            )
        words = [text[start:end].decode("ascii") for start, end in pairwise(ends)]
        found[at] = named_once(words, column)
    return found
