"""The trees in CatBoost's files: every index checked, and their nodes laid out one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.boosters import damaged
from explainer.families.engine.forest import MOST_NODES, Floats, Ints
from explainer.families.flatbuffer import Table as Buffer
from explainer.families.objectives import LARGEST_LEAF

DEEPEST = 16
"""Tests one after the other in a tree that asks the same at each level; CatBoost's own limit."""

_BORDERS_AT_ONCE = 254
"""So many borders of one feature the library keeps in one byte."""

_NO_LEAF = 2**32 - 1

# fields by number, as CatBoost's description of its format declares them
_SPLITS, _SIZES, _STARTS, _LEAVES = 1, 2, 3, 8
_STEPS, _NODE_LEAF, _REPACKED = 10, 11, 17


def check_trees(trees: Buffer, n_splits: int | None, outputs: int) -> None:
    """Raise ArtefactRefused unless every index of every tree is sound.

    `n_splits` tests there are to choose from, None where that is not known; each leaf holds a
    number for each of `outputs`.
    """
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
        or not (np.abs(leaves) <= LARGEST_LEAF).all()
        or len(leaves) % outputs
    ):
        raise damaged("The trees of the model do not fit their file.")
    steps, node_leaf = trees.array(_STEPS, "<u2,<u2"), trees.array(_NODE_LEAF, "<u4")
    if not len(steps):
        if (sizes > DEEPEST).any() or (
            int((2 ** sizes.astype(np.int64)).sum()) * outputs != len(leaves)
        ):
            raise damaged("The leaves of the model do not fit its trees.")
        nodes = 2 * len(leaves)
    else:
        if not len(steps) == len(node_leaf) == len(splits):
            raise damaged("The trees of the model do not fit their file.")
        ends = np.repeat(np.cumsum(sizes), sizes)
        here = np.arange(len(splits))
        for side in ("f0", "f1"):
            step = steps[side].astype(np.int64)
            unsound = (
                (node_leaf == _NO_LEAF) | (node_leaf >= len(leaves)) | (node_leaf % outputs != 0)
            )
            stays = (step == 0) & unsound
            if (here + step >= ends).any() or stays.any():
                raise damaged("A tree of the model points outside itself.")
        nodes = 2 * len(splits) * outputs
    if nodes > MOST_NODES:
        raise ArtefactRefused(
            "The model has too many nodes.", "model", f"At most {MOST_NODES:,} are explained."
        )


def check_repacked(trees: Buffer, sizes: Sequence[int]) -> None:
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


@dataclass(frozen=True, slots=True)
class Laid:
    """Nodes of all trees: where one goes on if its test is met and if not, -1 at a leaf, as is
    `split` there. `value` is of one output."""

    roots: Ints
    met: Ints
    not_met: Ints
    split: Ints
    value: Floats


def laid_out(trees: Buffer, output: int, outputs: int) -> Laid:
    """The nodes of trees that were checked, with what they give to one output."""
    leaves = trees.array(_LEAVES, "<f8").reshape(-1, outputs)[:, output]
    if trees.length(_STEPS):
        return _free(trees, leaves, outputs)
    return _level_by_level(trees, leaves)


def _level_by_level(trees: Buffer, leaves: Floats) -> Laid:
    """Trees that ask one test at each level; the n-th test is the n-th bit of a leaf's number."""
    splits = trees.array(_SPLITS, "<i4").astype(np.int64)
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
    return Laid(
        np.array(roots, dtype=np.int64),
        np.concatenate(met),
        np.concatenate(not_met),
        np.concatenate(split),
        np.concatenate(value),
    )


def _free(trees: Buffer, leaves: Floats, outputs: int) -> Laid:
    """Trees of any shape: how many nodes further the next one is, nought to stay and be a leaf."""
    steps, node_leaf = trees.array(_STEPS, "<u2,<u2"), trees.array(_NODE_LEAF, "<u4")
    sizes = trees.array(_SIZES, "<i4").astype(np.int64)
    step = {side: steps[name].astype(np.int64) for side, name in (("no", "f0"), ("yes", "f1"))}
    n = len(steps)
    here = np.arange(n)
    inner = (step["no"] > 0) | (step["yes"] > 0)
    # it is written where the first number of a leaf stands
    own = np.append(leaves, 0.0)[np.minimum(node_leaf // outputs, len(leaves))]
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
    return Laid(
        np.cumsum([0, *sizes[:-1]]),
        np.append(children["yes"], ends),
        np.append(children["no"], ends),
        np.append(split, ends),
        np.concatenate(value),
    )
