"""The exact engine against brute force: every library's way of comparing, every way of summing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Column, Missing, Test, Trees
from explainer.families.engine.reference import brute_force

NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Split:
    """A node as anybody would write it down; a leaf is its value."""

    column: int
    threshold: float
    left: Split | float
    right: Split | float
    missing_left: bool = False
    chosen: tuple[int, ...] = ()
    unseen_missing: bool = False


Node = Split | float


def step(split: Split, column: Column, value: float, known: set[int]) -> bool:
    """Whether a value goes left: the witness, which shares no line with the engine."""
    if column.single:
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    if column.missing is Missing.NEVER:
        value = 0.0 if math.isnan(value) else value
    missing = math.isnan(value)
    if column.missing is Missing.ZERO:
        missing = missing or abs(value) <= float(np.float32(1e-35))
    elif not isinstance(column.missing, Missing):
        missing = missing or value == column.missing
    if missing:
        return split.missing_left
    if column.test is Test.ONE_OF:
        category = int(value) if math.isfinite(value) else None
        if category not in known:
            return split.missing_left and split.unseen_missing
        return category in split.chosen
    return value < split.threshold if column.test is Test.BELOW else value <= split.threshold


def splits(node: Node):
    if isinstance(node, Split):
        yield node
        yield from splits(node.left)
        yield from splits(node.right)


@dataclass(frozen=True)
class World:
    """Trees, how their columns are read, and one case with its comparison rows."""

    trees: tuple[Node, ...]
    columns: tuple[Column, ...]
    case: tuple[float, ...]
    comparison: tuple[tuple[float, ...], ...]
    constant: float = 0.0

    @property
    def n_players(self) -> int:
        return 1 + max(column.player for column in self.columns)

    def known(self) -> list[set[int]]:
        known = [set(column.known) for column in self.columns]
        for tree in self.trees:
            for split in splits(tree):
                known[split.column] |= set(split.chosen)
        return known

    def margins(self, rows) -> np.ndarray:
        known = self.known()

        def margin(row, node: Node) -> float:
            while isinstance(node, Split):
                column = self.columns[node.column]
                left = step(node, column, row[column.source], known[node.column])
                node = node.left if left else node.right
            return node

        return np.array([self.constant + sum(margin(r, t) for t in self.trees) for r in rows])

    def built(self) -> Trees:
        return built(self.trees, self.columns, self.n_players, self.constant)

    def values(self, **how) -> np.ndarray:
        engine = Exact(self.built(), np.array(self.comparison), **how)
        return engine.values(np.array([self.case]))[0]

    def witness(self) -> np.ndarray:
        """By enumerating all coalitions; each player holds all values of its own columns."""
        sources = range(max(c.source for c in self.columns) + 1)
        owner = {column.source: column.player for column in self.columns}
        mine = [[s for s in sources if owner.get(s, 0) == p] for p in range(self.n_players)]

        def by_player(row):
            return [tuple(row[s] for s in mine[p]) for p in range(self.n_players)]

        def by_source(row):
            made = [0.0] * len(sources)
            for p, values in enumerate(row):
                for s, value in zip(mine[p], values, strict=True):
                    made[s] = value
            return made

        return brute_force(
            lambda rows: self.margins([by_source(row) for row in rows]),
            by_player(self.case),
            [by_player(row) for row in self.comparison],
        )


def built(trees, columns, n_players, constant=0.0) -> Trees:
    names = ("left", "right", "column", "threshold", "value", "missing_left", "category_set")
    arrays: dict[str, list] = {name: [] for name in (*names, "unseen_missing")}
    sets: list[tuple[int, ...]] = []

    def add(node: Node) -> int:
        at = len(arrays["left"])
        inner = isinstance(node, Split)
        by_category = inner and columns[node.column].test is Test.ONE_OF
        if by_category:
            sets.append(node.chosen)
        for name, value in {
            "left": -1,
            "right": -1,
            "column": node.column if inner else 0,
            "threshold": node.threshold if inner else 0.0,
            "value": 0.0 if inner else node,
            "missing_left": inner and node.missing_left,
            "category_set": len(sets) - 1 if by_category else -1,
            "unseen_missing": inner and node.unseen_missing,
        }.items():
            arrays[name].append(value)
        if inner:
            arrays["left"][at] = add(node.left)
            arrays["right"][at] = add(node.right)
        return at

    roots = [add(tree) for tree in trees]
    return Trees(
        tuple(columns),
        n_players,
        np.array(roots),
        **{name: np.array(array) for name, array in arrays.items()},
        category_sets=tuple(sets),
        constant=constant,
    )


# thresholds and values from one small pool, so that values often lie exactly on a threshold;
# beside each its neighbours in double and single precision, and amounts in euro cents
POOL = [-INF, -999.0, -1.5, 0.0, 1e-36, 0.1, 84.15, float(np.float32(84.15)), 1e300, INF]
NUMBERS = sorted(
    {*POOL, *(np.nextafter(x, INF) for x in POOL[3:8]), *(np.nextafter(x, -INF) for x in POOL[3:8])}
)
CATEGORIES = [-1.0, 0.0, 1.0, 2.0, 2.5, 3.0, 70.0, 1e20, INF]
WAYS = {
    "tables": {},
    "tables, merged as far as they go": {"spare": 1e9},
    "tables, one per leaf": {"spare": 0.0},
    "walk": {"most_bits": 0},
    "some of both": {"most_bits": 2},
    "without the kernel": {"compiled": False},
}
CLOSE = {"rtol": 0, "atol": 1e-12}


@st.composite
def worlds(draw, most_leaves: int = 9) -> World:
    n_columns = draw(st.integers(1, 6))
    n_players = draw(st.integers(1, min(n_columns, 5)))
    owners = draw(
        st.permutations(
            [
                *range(n_players),
                *(draw(st.integers(0, n_players - 1)) for _ in range(n_columns - n_players)),
            ]
        )
    )
    columns = []
    for source, player in enumerate(owners):
        test = draw(st.sampled_from(list(Test)))
        missing = draw(st.sampled_from([Missing.NAN, *Missing, -999.0]))
        known = (0, 3) if test is Test.ONE_OF and draw(st.booleans()) else ()
        columns.append(Column(source, player, test, draw(st.booleans()), missing, known))
    finite = st.sampled_from([x for x in NUMBERS if x > -INF])
    node = st.recursive(
        st.integers(-8, 8).map(lambda n: n / 4),
        lambda inner: st.builds(
            Split,
            st.integers(0, n_columns - 1),
            finite,
            inner,
            inner,
            st.booleans(),
            st.sets(st.integers(0, 3), max_size=3).map(lambda s: tuple(sorted(s))),
            st.booleans(),
        ),
        max_leaves=most_leaves,
    )

    def no_category_by_number(tree: Node) -> Node:
        if not isinstance(tree, Split):
            return tree
        by_category = columns[tree.column].test is Test.ONE_OF
        return replace(
            tree,
            left=no_category_by_number(tree.left),
            right=no_category_by_number(tree.right),
            chosen=tree.chosen if by_category else (),
        )

    row = st.tuples(
        *(
            st.sampled_from([NAN, *(CATEGORIES if c.test is Test.ONE_OF else NUMBERS)])
            for c in columns
        )
    )
    return World(
        tuple(map(no_category_by_number, draw(st.lists(node, min_size=1, max_size=4)))),
        tuple(columns),
        draw(row),
        tuple(draw(st.lists(row, min_size=1, max_size=5))),
        draw(st.sampled_from([0.0, 1.25])),
    )


@pytest.mark.parametrize("way", WAYS)
@given(worlds())
def test_every_way_equals_brute_force(way: str, world: World):
    assert np.allclose(world.values(**WAYS[way]), world.witness(), **CLOSE)


@given(worlds())
def test_the_internal_form_says_what_the_trees_say(world: World):
    rows = [world.case, *world.comparison]
    assert np.allclose(world.built().sums(np.array(rows)), world.margins(rows), **CLOSE)


@given(worlds())
def test_values_and_base_add_up_to_the_margin(world: World):
    engine = Exact(world.built(), np.array(world.comparison))
    total = engine.values(np.array([world.case]))[0].sum() + engine.base
    assert total == pytest.approx(world.margins([world.case])[0], abs=1e-11)


@given(worlds(), st.data())
def test_a_weight_is_a_row_given_that_many_times(world: World, data):
    weights = data.draw(
        st.lists(
            st.integers(0, 3), min_size=len(world.comparison), max_size=len(world.comparison)
        ).filter(any)
    )
    often = tuple(row for row, n in zip(world.comparison, weights, strict=True) for _ in range(n))
    repeated = replace(world, comparison=often)
    for way in WAYS.values():
        found = world.values(weights=np.array(weights, dtype=float) / 7, **way)
        assert np.allclose(found, repeated.values(**way), **CLOSE)
        assert np.allclose(found, repeated.values(), **CLOSE)


@given(worlds())
def test_values_by_row_are_those_against_each_row_alone(world: World):
    sample = np.array([len(world.comparison) - 1, 0, 0])
    expected = [replace(world, comparison=(world.comparison[k],)).witness() for k in sample]
    for compiled in (True, False):
        engine = Exact(world.built(), np.array(world.comparison), compiled=compiled)
        found = engine.row_values(np.array(world.case), sample)
        assert np.allclose(found, expected, **CLOSE)
