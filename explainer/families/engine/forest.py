"""One internal form of a tree ensemble, whatever library trained it.

A library's own way of comparing numbers ends here. `Trees.encode` turns a row into one small
integer per column, and from then on every test of every tree is a comparison of integers: narrowing
to float32, `<` or `<=`, what counts as missing and which categories are known live in this file and
nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explainer.errors import ArtefactRefused

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

MOST_NODES = 5_000_000
DEEPEST = 1_000
MOST_PLAYERS = 10_000
MOST_CATEGORIES = 1_000_000
MOST_LISTED = 20 * MOST_CATEGORIES
LARGEST_LUT = 256 * 1024 * 1024
"""Bytes of the tables that say which categories go left."""

ZERO = float(np.float32(1e-35))
"""LightGBM's kZeroThreshold, a float32 number held in double precision."""

MISSING, UNSEEN = -1, 0
"""Codes. A missing value is -1 in every column. In a column of categories an unseen one is 0 and
the k-th known category k + 1; in a column of numbers the code counts the thresholds passed."""


class Test(Enum):
    """What sends a value to the left child."""

    AT_MOST = "x <= threshold"
    BELOW = "x < threshold"
    ONE_OF = "x in the node's categories"

    __test__ = False  # no test of pytest's


class Missing(Enum):
    """What counts as missing, where it is no sentinel."""

    NAN = "NaN"
    NEVER = "nothing: NaN is compared as 0.0"
    ZERO = "NaN and every |x| <= 1e-35"


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a model is read and compared.

    Two columns may have the same source, where a library treats a value in two ways.

    Attributes
    ----------
    source : position in the row of the model's own columns
    player : index of the feature people know that the column belongs to
    test : what goes left; an infinity is compared like any other number
    single : whether the value is narrowed to float32 first; thresholds stay as they are given
    missing : what counts as missing; a number is a sentinel beside NaN
    known : categories the model knows, beside those its nodes name. A fraction is cut off first
    """

    source: int
    player: int
    test: Test = Test.AT_MOST
    single: bool = False
    missing: Missing | float = Missing.NAN
    known: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A sum of trees as arrays over all their nodes, checked when it is built.

    Nodes may stand in any order; a leaf has -1 for both children. What is given for a test at a
    leaf, or for a value at an inner node, is not looked at. Several outputs are several `Trees`.

    Attributes
    ----------
    columns : how each column is compared; nodes name them by position
    n_players : number of features people know
    roots : ndarray of shape (n_trees,), a node each
    left, right : ndarray of shape (n_nodes,), nodes, or -1 at a leaf
    column : ndarray of shape (n_nodes,), position in `columns`
    threshold : ndarray of shape (n_nodes,); may be infinite, never NaN
    value : ndarray of shape (n_nodes,), in raw margin, with learning rate and weights of trees
    missing_left : ndarray of shape (n_nodes,), where a missing value goes; default: right
    category_set : ndarray of shape (n_nodes,), position in `category_sets`; default: none
    category_sets : the categories that go left
    unseen_missing : ndarray of shape (n_nodes,), whether an unseen category goes where a missing
        value goes, and not right; default: no
    constant : what is added to the sum of the leaves, in raw margin
    """

    columns: tuple[Column, ...]
    n_players: int
    roots: Ints
    left: Ints
    right: Ints
    column: Ints
    threshold: Floats
    value: Floats
    missing_left: Bools = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    category_set: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    category_sets: tuple[tuple[int, ...], ...] = ()
    unseen_missing: Bools = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    constant: float = 0.0
    depth: int = field(init=False)
    """Number of tests on the longest path."""
    scale: Floats = field(init=False, repr=False)
    """All thresholds (or known categories) that are used, sorted, column after column."""
    scale_start: Ints = field(init=False, repr=False)
    """ndarray of shape (n_columns + 1,), first of each column in `scale`."""
    low: Codes = field(init=False, repr=False)
    high: Codes = field(init=False, repr=False)
    """ndarrays of shape (n_nodes,): a node over numbers sends low <= code <= high left."""
    lut_at: Ints = field(init=False, repr=False)
    """ndarray of shape (n_nodes,): a node over categories sends codes left where
    lut[lut_at + 1 + code] is 1; -1 at other nodes."""
    lut: Bytes = field(init=False, repr=False)
    n_source: int = field(init=False)
    """How many columns a row must at least have."""
    _sources: Ints = field(init=False, repr=False)
    _single: Bools = field(init=False, repr=False)
    _special: tuple[tuple[int, Column], ...] = field(init=False, repr=False)
    """Columns where NaN is not all, or nothing, that counts as missing."""

    def __post_init__(self) -> None:
        n = len(np.asarray(self.left))
        array: NDArray[Any]
        for name, kind, filler in _ARRAYS:
            given = np.asarray(getattr(self, name))
            if given.size == 0 and filler is not None:
                given = np.full(n, filler)
            # a copy nobody can write to: what was checked is what is used
            array = np.array(given, dtype=kind, order="C")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "depth", _checked(self))
        self._lay_out()
        sources = [column.source for column in self.columns]
        special = [(k, c) for k, c in enumerate(self.columns) if c.missing is not Missing.NAN]
        object.__setattr__(self, "n_source", 1 + max(sources, default=-1))
        object.__setattr__(self, "_sources", np.array(sources, dtype=np.intp))
        object.__setattr__(self, "_single", np.array([c.single for c in self.columns], dtype=bool))
        object.__setattr__(self, "_special", tuple(special))

    def _lay_out(self) -> None:
        """Thresholds become positions in the sorted thresholds of their column."""
        inner = np.flatnonzero(self.left >= 0)
        inner = inner[np.argsort(self.column[inner], kind="stable")]
        at = np.searchsorted(self.column[inner], np.arange(len(self.columns) + 1))
        low = np.zeros(len(self.left), dtype=np.int32)
        high = np.full(len(self.left), -1, dtype=np.int32)
        lut_at = np.full(len(self.left), -1, dtype=np.int64)
        scales: list[Floats] = []
        luts: list[Bytes] = [np.zeros(0, dtype=np.uint8)]
        size = 0
        for k, column in enumerate(self.columns):
            nodes = inner[at[k] : at[k + 1]]
            if column.test is Test.ONE_OF:
                asked = set(self.category_set[nodes].tolist())
                known = set(column.known).union(*(self.category_sets[each] for each in asked))
                scale = np.array(sorted(known), dtype=np.float64)
                for node, table in self._tables(nodes, scale):
                    lut_at[node] = size
                    luts.append(table)
                    size += len(table)
                    if size > LARGEST_LUT:
                        raise _refuse("The model has too many sets of categories.")
                scales.append(scale)
            else:
                scale, places = np.unique(self.threshold[nodes], return_inverse=True)
                scales.append(scale)
                high[nodes] = places
                low[nodes] = np.where(self.missing_left[nodes], MISSING, 0)
        laid: tuple[tuple[str, NDArray[Any]], ...] = (
            ("scale", np.concatenate([np.empty(0), *scales])),
            ("scale_start", np.cumsum([0, *map(len, scales)], dtype=np.int64)),
            ("low", low),
            ("high", high),
            ("lut_at", lut_at),
            ("lut", np.concatenate(luts)),
        )
        for name, array in laid:
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def _tables(self, nodes: Ints, known: Floats) -> Iterator[tuple[Ints, Bytes]]:
        """Nodes that ask the same, and the answer for every code from MISSING on."""
        asked = np.stack(
            [self.category_set[nodes], self.missing_left[nodes], self.unseen_missing[nodes]], axis=1
        )
        kinds, which = np.unique(asked, axis=0, return_inverse=True)
        which = which.reshape(-1)
        for kind, (chosen, missing_left, unseen_missing) in enumerate(kinds):
            table = np.zeros(2 + len(known), dtype=np.uint8)
            table[0] = missing_left
            table[1] = missing_left and unseen_missing
            table[2:] = np.isin(known, np.asarray(self.category_sets[chosen], dtype=np.float64))
            yield nodes[which == kind], table

    def prepared(self, rows: Floats) -> tuple[Floats, Bools]:
        """Values as they are compared, and which are missing; both of shape (n, n_columns)."""
        rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] < self.n_source:
            raise ValueError(f"rows of {self.n_source} columns are asked for, not {rows.shape}")
        values = rows[:, self._sources]
        if self._single.any():
            with np.errstate(over="ignore", invalid="ignore"):
                narrowed = values.astype(np.float32).astype(np.float64)
            values = narrowed if self._single.all() else np.where(self._single, narrowed, values)
        missing = np.isnan(values)
        for k, column in self._special:
            if column.missing is Missing.NEVER:
                values[missing[:, k], k] = 0.0
                missing[:, k] = False
            elif column.missing is Missing.ZERO:
                missing[:, k] |= np.abs(values[:, k]) <= ZERO
            elif not isinstance(column.missing, Missing):
                sentinel = np.float32(column.missing) if column.single else column.missing
                missing[:, k] |= values[:, k] == float(sentinel)
            values[missing[:, k], k] = np.nan
        return values, missing

    def encode(self, rows: Floats) -> Codes:
        """One integer per column, which is all a tree ever looks at: shape (n, n_columns).

        `rows` are the model's own columns, an ndarray of shape (n, n_source).
        """
        values, missing = self.prepared(rows)
        codes = np.empty(values.shape, dtype=np.int32)
        for k, column in enumerate(self.columns):
            scale = self.scale[self.scale_start[k] : self.scale_start[k + 1]]
            given = values[:, k]
            if column.test is Test.ONE_OF:
                whole = np.trunc(given)
                place = np.searchsorted(scale, whole)
                padded = np.append(scale, np.nan)
                codes[:, k] = np.where(padded[place] == whole, place + 1, UNSEEN)
            else:
                at_most = column.test is Test.AT_MOST
                codes[:, k] = np.searchsorted(scale, given, side="left" if at_most else "right")
        codes[missing] = MISSING
        return codes

    def goes_left(self, nodes: Ints, codes: Codes) -> Bools:
        """Whether each code, taken from the column of its node, goes left there."""
        numbers = (codes >= self.low[nodes]) & (codes <= self.high[nodes])
        if not len(self.lut):
            return np.asarray(numbers)
        at = self.lut_at[nodes]
        chosen = self.lut[np.where(at < 0, 0, at + 1 + codes)] == 1
        return np.where(at < 0, numbers, chosen)

    def sums(self, rows: Floats) -> Floats:
        """Margin of each row by these trees; ndarray of shape (n,), constant included."""
        codes = self.encode(rows)
        sums = np.empty(len(codes))
        for first in range(0, len(codes), 1024):
            part = codes[first : first + 1024]
            nodes = np.tile(self.roots, (len(part), 1))
            row = np.arange(len(part))[:, None]
            for _ in range(self.depth):
                left = self.left[nodes]
                column = np.where(left < 0, 0, self.column[nodes])
                onward = np.where(self.goes_left(nodes, part[row, column]), left, self.right[nodes])
                nodes = np.where(left < 0, nodes, onward)
            sums[first : first + 1024] = self.value[nodes].sum(axis=1)
        return sums + self.constant


_ARRAYS: tuple[tuple[str, type, float | bool | None], ...] = (
    ("roots", np.int64, None),
    ("left", np.int64, None),
    ("right", np.int64, None),
    ("column", np.int64, None),
    ("threshold", np.float64, None),
    ("value", np.float64, None),
    ("missing_left", np.bool_, False),
    ("category_set", np.int64, -1),
    ("unseen_missing", np.bool_, False),
)


def _refuse(
    what: str, mend: str = "The file is damaged or was tampered with; save it again."
) -> ArtefactRefused:
    return ArtefactRefused(what, "model", mend)


def _checked(trees: Trees) -> int:
    """Depth of the trees, once every index was looked at; raises ArtefactRefused.

    Whatever passes here can be walked without another look: the compiled kernel relies on it.
    """
    n = len(trees.left)
    if n > MOST_NODES:
        raise _refuse(f"The model has {n:,} nodes.", f"At most {MOST_NODES:,} are explained.")
    if trees.n_players > MOST_PLAYERS or len(trees.columns) > MOST_PLAYERS:
        raise _refuse("The model has too many columns.", f"At most {MOST_PLAYERS:,} are explained.")
    shapes = {np.shape(getattr(trees, name)) for name, _, _ in _ARRAYS[1:]}
    if shapes != {(n,)} or trees.roots.ndim != 1 or not len(trees.roots):
        raise _refuse("The arrays of the model's trees differ in length.")
    _check_columns(trees)
    inner = trees.left >= 0
    tests, leaves = np.flatnonzero(inner), np.flatnonzero(~inner)
    sound = (
        # -1 marks a leaf, and only -1
        _within(trees.roots, n)
        and bool((trees.left[leaves] == -1).all() and (trees.right[leaves] == -1).all())
        and _within(trees.left[tests], n)
        and _within(trees.right[tests], n)
    )
    depth = _depth(trees) if sound else None
    if depth is None:
        raise _refuse("A tree of the model points outside itself.")
    column = trees.column[tests]
    if not _within(column, len(trees.columns)):
        raise _refuse("A tree of the model asks for a column that does not exist.")
    by_category = np.array([c.test is Test.ONE_OF for c in trees.columns], dtype=np.bool_)[column]
    chosen = trees.category_set[tests]
    if (
        not _within(chosen[by_category], len(trees.category_sets))
        or bool((chosen[~by_category] != -1).any())
        or bool(np.isnan(trees.threshold[tests][~by_category]).any())
        or not bool(np.isfinite(trees.value[leaves]).all())
        or not np.isfinite(trees.constant)
    ):
        raise _refuse("A tree of the model holds a number or a set of categories that is none.")
    # a set is gone through once for each column that asks for it, however many nodes do
    sizes = np.array([0, *map(len, trees.category_sets)], dtype=np.int64)
    asked = np.unique(column[by_category] * len(sizes) + chosen[by_category] + 1)
    if sizes[asked % len(sizes)].sum() > MOST_LISTED:
        raise _refuse("The model has too many categories.")
    return depth


def _within(indices: Ints, n: int) -> bool:
    return bool(((indices >= 0) & (indices < n)).all())


def _check_columns(trees: Trees) -> None:
    for column in trees.columns:
        if not (0 <= column.player < trees.n_players and 0 <= column.source < MOST_PLAYERS):
            raise _refuse("A column of the model belongs to no feature.")
        if not isinstance(column.missing, Missing) and not np.isfinite(column.missing):
            raise _refuse("What marks a missing value is no number.")
    sizes = sum(map(len, trees.category_sets)) + sum(len(c.known) for c in trees.columns)
    if sizes > MOST_LISTED:
        raise _refuse("The model has too many categories.")
    for items in (*trees.category_sets, *(column.known for column in trees.columns)):
        if any(not 0 <= abs(item) <= MOST_CATEGORIES for item in items):
            raise _refuse("A category of the model is out of range.")


def _depth(trees: Trees) -> int | None:
    """Level by level from the roots; None unless every node is reached exactly once."""
    n = len(trees.left)
    tests = np.flatnonzero(trees.left >= 0)
    parents = np.bincount(
        np.concatenate([trees.left[tests], trees.right[tests], trees.roots]), minlength=n
    )
    if (parents != 1).any():
        return None
    # with one way into each node and none into a root, only a ring nobody reaches is left
    level, reached, depth = trees.roots, len(trees.roots), 0
    while True:
        level = level[trees.left[level] >= 0]
        if not len(level):
            return depth if reached == n else None
        depth += 1
        if depth > DEEPEST:
            raise _refuse(
                f"A tree of the model is deeper than {DEEPEST:,} tests.", "Train shallower trees."
            )
        level = np.concatenate([trees.left[level], trees.right[level]])
        reached += len(level)
