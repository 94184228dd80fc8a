"""The exact engine against brute force: every library's way of comparing, every way of summing."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explainer.errors import ArtefactRefused
from explainer.families.engine import exact, forest, portable
from explainer.families.engine.exact import Exact, shapley_weights
from explainer.families.engine.forest import Column, Missing, Test, Trees
from explainer.families.engine.kernel import kernel
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

    def witness(self, weights=None) -> np.ndarray:
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
            weights,
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
    "counts": {"most_bits": 0, "most_counted": 1e9},
    "walk": {"most_bits": 0, "most_counted": 0.0},
    "tables and counts": {"most_bits": 2, "most_counted": 1e9},
    "tables and walk": {"most_bits": 2, "most_counted": 0.0},
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


@given(worlds(), st.data())
def test_weighted_values_equal_brute_force_with_weights(world: World, data):
    n = len(world.comparison)
    weight = st.floats(0, allow_infinity=False, allow_nan=False)
    weights = np.array(data.draw(st.lists(weight, min_size=n, max_size=n).filter(any)))
    # brute force adds weights up as they are given
    expected = world.witness(weights / weights.max())
    for way in WAYS.values():
        assert np.allclose(world.values(weights=weights, **way), expected, **CLOSE)


@given(worlds())
def test_values_by_row_are_those_against_each_row_alone(world: World):
    sample = np.array([len(world.comparison) - 1, 0, 0])
    expected = [replace(world, comparison=(world.comparison[k],)).witness() for k in sample]
    for compiled in (True, False):
        engine = Exact(world.built(), np.array(world.comparison), compiled=compiled)
        found = engine.row_values(np.array(world.case), sample)
        assert np.allclose(found, expected, **CLOSE)


# -- bits -------------------------------------------------------------------------------------


def many_trees(n_trees: int = 40, depth: int = 7, n_columns: int = 12) -> Trees:
    """Full trees over twelve columns of eight players, from a fixed seed."""
    random = np.random.default_rng(7)

    def grow(left: int) -> Node:
        if not left or random.random() < 0.05:
            return float(random.normal())
        column, limit = int(random.integers(n_columns)), float(random.normal())
        return Split(column, limit, grow(left - 1), grow(left - 1), bool(random.integers(2)))

    columns = [Column(source, source % 8, single=True) for source in range(n_columns)]
    return built([grow(depth) for _ in range(n_trees)], columns, 8)


def many_rows(n: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, 12))
    rows[rows > 2] = np.nan
    return rows


@pytest.mark.parametrize("way", WAYS)
def test_the_bits_of_a_value_do_not_depend_on_the_batch(way: str):
    trees = many_trees() if way != "without the kernel" else many_trees(4)
    engine = Exact(trees, many_rows(700, 1), **WAYS[way])
    cases = many_rows(37, 2)
    together = engine.values(cases)
    alone = np.stack([engine.values(case[None, :])[0] for case in cases])
    assert together.tobytes() == alone.tobytes()
    for n in (2, 3, 4, 15, 16, 17, 33):
        assert engine.values(cases[:n]).tobytes() == together[:n].tobytes()
    for threads in (2, 3, 8):
        assert engine.values(cases, threads=threads).tobytes() == together.tobytes()
    again = Exact(trees, many_rows(700, 1), **WAYS[way])
    assert again.values(cases[::-1])[::-1].tobytes() == together.tobytes()


def test_all_ways_agree_where_brute_force_would_take_too_long():
    """More rows than one block of the walk holds, and weights."""
    trees, rows, cases = many_trees(10), many_rows(1100, 1), many_rows(5, 2)
    weights = np.random.default_rng(3).random(1100)
    for weighted in (None, weights):
        found = [Exact(trees, rows, weighted, **how).values(cases) for how in WAYS.values()]
        for other in found[1:]:
            assert np.allclose(other, found[0], **CLOSE)
        base = np.average(trees.sums(rows), weights=weighted)
        assert np.allclose(found[0].sum(axis=1) + base, trees.sums(cases), rtol=0, atol=1e-11)


def chain(players: int) -> Trees:
    """One tree that asks one player after the other, and on the way back the first ones again."""
    asked = [*range(players), *range(min(3, players))]
    tree: Node = 1.0
    for at, player in enumerate(reversed(asked)):
        tree = Split(player, 0.1 * (at - 8), at / 4, tree, bool(at % 2))
    return built([tree], [Column(k, k) for k in range(players)], players)


@pytest.mark.parametrize("players", [1, 2, 3, 4, 9, 12, 14])
def test_long_paths_are_counted_like_walked(players: int):
    random = np.random.default_rng(players)
    rows, cases = random.normal(size=(900, players)), random.normal(size=(40, players))
    rows[random.random(rows.shape) < 0.1] = np.nan
    counted = Exact(chain(players), rows, most_bits=0)
    walked = Exact(chain(players), rows, most_bits=0, most_counted=0.0)
    assert (counted.table_bytes > 0, walked.table_bytes) == (True, 0)
    assert np.allclose(counted.values(cases), walked.values(cases), **CLOSE)


def test_what_is_too_much_to_count_is_walked_to():
    """A path too long, memory that ends at once or on the way, more rows than two bytes count."""
    random = np.random.default_rng(5)
    rows, cases = random.normal(size=(900, 16)), random.normal(size=(5, 16))
    long = Exact(chain(16), rows, most_bits=0)
    assert long.table_bytes == 0
    fits = Exact(chain(9), rows[:, :9], most_bits=0)
    for most in (fits.table_bytes - 1, fits.table_bytes / 2, 1.0):
        less = Exact(chain(9), rows[:, :9], most_bits=0, most_counted=most)
        assert less.table_bytes == 0
        assert np.allclose(less.values(cases[:, :9]), fits.values(cases[:, :9]), **CLOSE)
    many = np.resize(rows[:, :3], (65_536, 3))
    assert Exact(chain(3), many, most_bits=0).table_bytes == 0
    most = Exact(chain(3), many[:-1], most_bits=0)
    assert most.table_bytes > 0
    walked = Exact(chain(3), many[:-1], most_bits=0, most_counted=0.0)
    assert np.allclose(most.values(cases[:, :3]), walked.values(cases[:, :3]), **CLOSE)


def test_ensembles_of_one_model_share_the_memory_for_counts(monkeypatch):
    rows = np.random.default_rng(6).normal(size=(200, 9))
    taken = Exact(chain(9), rows, most_bits=0).table_bytes
    monkeypatch.setattr(exact, "MOST_COUNTED", 3 * taken)
    assert Exact(chain(9), rows, most_bits=0, sharing=3).table_bytes == taken
    assert Exact(chain(9), rows, most_bits=0, sharing=4).table_bytes == 0


def test_few_rows_and_weighted_ones_are_walked_to():
    rows = np.random.default_rng(6).normal(size=(200, 9))
    assert Exact(chain(9), rows[:64], most_bits=0).table_bytes == 0
    assert Exact(chain(9), rows[:65], most_bits=0).table_bytes > 0
    assert Exact(chain(9), rows, np.ones(200), most_bits=0).table_bytes == 0


@pytest.mark.parametrize("compiled", [True, False])
def test_values_by_row_have_the_whole_as_their_mean(compiled: bool):
    trees = many_trees(5)
    engine = Exact(trees, many_rows(600, 1), compiled=compiled)
    case = many_rows(1, 2)[0]
    by_row = engine.row_values(case, np.arange(600))
    assert np.allclose(by_row.mean(axis=0), engine.values(case[None, :])[0], **CLOSE)
    assert engine.row_values(case, np.arange(600)).tobytes() == by_row.tobytes()
    assert np.array_equal(engine.row_values(case, np.array([7, 599])), by_row[[7, 599]])


def test_many_cases_are_shared_out_evenly_and_come_back_in_order(monkeypatch):
    monkeypatch.setattr(exact, "AT_ONCE", 5)
    engine, cases = Exact(many_trees(3), many_rows(20, 1)), many_rows(23, 2)
    alone = np.stack([engine.values(case[None, :])[0] for case in cases])
    sizes = []
    part = engine._part
    monkeypatch.setattr(engine, "_part", lambda rows: [sizes.append(len(rows)), part(rows)][1])
    for threads in (0, 1, 2, 3):
        sizes.clear()
        assert engine.values(cases, threads=threads).tobytes() == alone.tobytes()
        assert sum(sizes) == 23
        assert max(sizes) <= 5
        assert len(sizes) % max(1, threads) == 0


# -- single promises --------------------------------------------------------------------------


def test_a_group_is_one_player_and_not_the_sum_of_its_columns():
    tree = Split(0, 0.5, 0.0, Split(1, 0.5, 0.0, Split(2, 0.5, 0.0, 1.0)))
    grouped = (Column(0, 0), Column(1, 0), Column(2, 1))
    apart = (Column(0, 0), Column(1, 1), Column(2, 2))
    for way in WAYS.values():
        found = World((tree,), grouped, (1.0,) * 3, ((0.0,) * 3,)).values(**way)
        assert found.tolist() == pytest.approx([1 / 2, 1 / 2])
        found = World((tree,), apart, (1.0,) * 3, ((0.0,) * 3,)).values(**way)
        assert found.tolist() == pytest.approx([1 / 3] * 3)


def test_a_path_over_more_players_than_fit_a_word_is_counted_right():
    players = 130
    path: Node = 1.0
    for column in range(players):
        path = Split(column, 0.5, 0.0, path)
    columns = tuple(Column(k, k) for k in range(players))
    for way in WAYS.values():
        world = World((path,), columns, (1.0,) * players, ((0.0,) * players,))
        assert world.values(**way).tolist() == pytest.approx([1 / players] * players, rel=1e-12)
        alike = replace(world, comparison=((1.0,) * players,))
        assert alike.values(**way).tolist() == [0.0] * players


def test_trees_of_one_leaf_move_nobody():
    for way in WAYS.values():
        assert World((2.5, -1.0), (Column(0, 0),), (1.0,), ((0.0,),)).values(**way).tolist() == [0]


@pytest.mark.parametrize(
    ("column", "threshold", "value", "left"),
    [
        # 84.15 in double precision is below its own float32 rounding
        (Column(0, 0, Test.AT_MOST, single=True), 84.15, 84.15, False),
        (Column(0, 0, Test.AT_MOST), 84.15, 84.15, True),
        (Column(0, 0, Test.BELOW), 84.15, 84.15, False),
        (Column(0, 0, Test.BELOW), 84.15, np.nextafter(84.15, 0), True),
        (Column(0, 0, Test.BELOW, single=True), 1.0, np.nextafter(1.0, 0), False),
        (Column(0, 0, Test.AT_MOST), 1.0, np.nextafter(1.0, 2), False),
        (Column(0, 0), INF, INF, True),
        (Column(0, 0), 1e300, INF, False),
        (Column(0, 0), -1e300, -INF, True),
        (Column(0, 0, single=True), 1e300, 1e299, False),  # infinite as float32
        (Column(0, 0), 0.0, -0.0, True),
        (Column(0, 0, Test.BELOW), 0.0, -0.0, False),
        (Column(0, 0), INF, NAN, False),
        (Column(0, 0, missing=Missing.NEVER), 0.0, NAN, True),
        (Column(0, 0, missing=Missing.ZERO), 1.0, 1e-36, False),
        (Column(0, 0, missing=Missing.ZERO), 1.0, -1e-35, False),
        (Column(0, 0, missing=Missing.ZERO), 1.0, 1.1e-35, True),
        (Column(0, 0, missing=-999.0), 1.0, -999.0, False),
        (Column(0, 0, missing=-999.0), 1.0, NAN, False),
        (Column(0, 0, missing=-999.0), 1.0, -998.0, True),
        (Column(0, 0, missing=0.1, single=True), 1.0, 0.1, False),
    ],
)
def test_a_value_goes_where_its_library_sends_it(column, threshold, value, left):
    trees = built([Split(0, threshold, 1.0, 2.0)], [column], 1)
    assert trees.sums(np.array([[value]])).tolist() == [1.0 if left else 2.0]
    for compiled in (True, False):
        engine = Exact(trees, np.array([[5e8]]), compiled=compiled)
        moved = trees.sums(np.array([[value]])) - trees.sums(np.array([[5e8]]))
        assert engine.values(np.array([[value]]))[0].tolist() == moved.tolist()


@given(worlds())
def test_the_kernel_reads_a_row_as_the_trees_do(world: World):
    engine = kernel()
    assert engine is not None, "`make test` brings a compiler"
    trees, rows = world.built(), np.array([world.case, *world.comparison])
    assert np.array_equal(engine.encode(trees, rows), trees.encode(rows))


def test_the_weights_are_those_of_the_formula():
    of_a, of_b = shapley_weights(40)
    f = math.factorial
    for a in range(40):
        for b in range(40):
            if a:
                assert of_a[b, a] == pytest.approx(f(a - 1) * f(b) / f(a + b), rel=1e-14)
            if b:
                assert of_b[b, a] == pytest.approx(-f(a) * f(b - 1) / f(a + b), rel=1e-14)


# -- a second opinion -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["GradientBoostingClassifier", "RandomForestRegressor"])
def test_a_trained_model_gets_what_shap_gives_it(name: str):
    from sklearn import ensemble

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 5)).astype(np.float32).astype(float)
    answer = rows[:, 0] * rows[:, 1] + rows[:, 2] > 0.3
    model = getattr(ensemble, name)(n_estimators=10, max_depth=4, random_state=0)
    model.fit(rows, answer.astype(int))
    rate = 0.1 if hasattr(model, "learning_rate") else 1 / 10
    trees = [tree.tree_ for tree in np.ravel(model.estimators_)]
    start = np.cumsum([0, *(t.node_count for t in trees)])

    def shifted(children: str) -> np.ndarray:
        parts = [getattr(t, children) for t in trees]
        return np.concatenate(
            [np.where(p < 0, -1, p + s) for p, s in zip(parts, start, strict=False)]
        )

    ours = Trees(
        tuple(Column(k, k, single=True) for k in range(5)),
        5,
        start[:-1],
        shifted("children_left"),
        shifted("children_right"),
        np.concatenate([t.feature for t in trees]),
        np.concatenate([t.threshold for t in trees]),
        np.concatenate([rate * t.value[:, 0, 0] for t in trees]),
    )
    masker = shap.maskers.Independent(rows[:60], max_samples=60)
    explainer = shap.TreeExplainer(
        model, masker, feature_perturbation="interventional", model_output="raw"
    )
    theirs = explainer.shap_values(rows[60:90], check_additivity=False)
    for way in WAYS.values():
        found = Exact(ours, rows[:60], **way).values(rows[60:90])
        assert np.allclose(found, theirs, rtol=0, atol=1e-6)  # shap keeps leaves as float32


# -- what is refused --------------------------------------------------------------------------

SOUND = {
    "columns": (Column(0, 0), Column(1, 1, Test.ONE_OF)),
    "n_players": 2,
    "roots": [0, 5],
    "left": [1, -1, 3, -1, -1, -1],
    "right": [2, -1, 4, -1, -1, -1],
    "column": [0, 0, 1, 0, 0, 0],
    "threshold": [0.5, 0, 0, 0, 0, 0],
    "value": [0, 1, 0, 2, 3, 4],
    "category_set": [-1, -1, 0, -1, -1, -1],
    "category_sets": ((1, 2),),
}

CROOKED = {
    "a child outside": {"right": [6, -1, 4, -1, -1, -1]},
    "a child far below zero": {"left": [1, -2, 3, -1, -1, -1]},
    "half a leaf": {"right": [2, -1, -1, -1, -1, -1]},
    "one child for two": {"right": [2, -1, 1, -1, -1, -1]},
    "the same child twice": {"left": [1, -1, 4, -1, -1, -1]},
    "a ring through the root": {"right": [2, -1, 0, -1, -1, -1]},
    "a ring nobody reaches": {
        "roots": [0],
        "left": [-1, 2, 1, -1, -1, -1],
        "right": [-1, 3, 4, -1, -1, -1],
    },
    "a node nobody reaches": {"roots": [0]},
    "a root twice": {"roots": [0, 5, 5]},
    "a root inside a tree": {"roots": [0, 5, 2]},
    "a root outside": {"roots": [0, 6]},
    "no tree": {"roots": []},
    "a column outside": {"column": [2, 0, 1, 0, 0, 0]},
    "a column below zero": {"column": [-1, 0, 1, 0, 0, 0]},
    "a threshold that is none": {"threshold": [NAN, 0, 0, 0, 0, 0]},
    "an infinite leaf": {"value": [0, 1, 0, INF, 3, 4]},
    "a leaf that is no number": {"value": [0, 1, 0, NAN, 3, 4]},
    "a constant that is none": {"constant": NAN},
    "a set outside": {"category_set": [-1, -1, 1, -1, -1, -1]},
    "a set for a number": {"category_set": [0, -1, 0, -1, -1, -1]},
    "an enormous category": {"category_sets": ((1, 10**9),)},
    "a player outside": {"n_players": 1},
    "a source below zero": {"columns": (Column(-1, 0), Column(1, 1, Test.ONE_OF))},
    "a sentinel that is none": {"columns": (Column(0, 0, missing=INF), Column(1, 1, Test.ONE_OF))},
    "arrays of different length": {"value": [0, 1, 0, 2, 3]},
}


def test_sound_trees_are_taken():
    trees = Trees(**SOUND)
    assert trees.depth == 2
    assert trees.sums(np.array([[0.5, 1.0], [0.6, 2.9], [0.6, 3.0]])).tolist() == [5, 6, 7]


@pytest.mark.parametrize("name", CROOKED)
def test_trees_that_point_outside_themselves_are_refused(name: str):
    with pytest.raises(ArtefactRefused) as fault:
        Trees(**SOUND | CROOKED[name])
    assert fault.value.what
    assert fault.value.mend


def test_trees_beyond_the_limits_are_refused(monkeypatch):
    monkeypatch.setattr(forest, "MOST_NODES", 5)
    with pytest.raises(ArtefactRefused, match="nodes"):
        Trees(**SOUND)
    monkeypatch.undo()
    monkeypatch.setattr(forest, "DEEPEST", 1)
    with pytest.raises(ArtefactRefused, match="deeper"):
        Trees(**SOUND)
    monkeypatch.undo()
    monkeypatch.setattr(forest, "LARGEST_LUT", 1)
    with pytest.raises(ArtefactRefused, match="categories"):
        Trees(**SOUND)


def test_without_the_kernel_trees_are_written_down_in_shares(monkeypatch):
    trees, rows, cases = many_trees(4, 4), many_rows(30, 1), many_rows(3, 2)
    whole = Exact(trees, rows, compiled=False)
    expected, by_row = whole.values(cases), whole.row_values(cases[0], np.arange(30))
    monkeypatch.setattr(portable, "MOST_AT_ONCE", 1)
    shared = Exact(trees, rows, compiled=False)
    assert np.allclose(shared.values(cases), expected, **CLOSE)
    assert shared.values(cases).tobytes() == shared.values(cases).tobytes()
    assert np.allclose(shared.row_values(cases[0], np.arange(30)), by_row, **CLOSE)


def test_without_the_kernel_a_tree_too_large_for_the_memory_is_refused(monkeypatch):
    # paths of one, two and two tests
    trees = built([Split(0, 0.5, 0.0, Split(1, 0.5, 0.0, 1.0))], (Column(0, 0), Column(1, 1)), 2)
    monkeypatch.setattr(portable, "MOST_OF_ONE", 5)
    Exact(trees, np.zeros((1, 2)), compiled=False)
    monkeypatch.setattr(portable, "MOST_OF_ONE", 4)
    with pytest.raises(ArtefactRefused, match="5 tests on the paths") as fault:
        Exact(trees, np.zeros((1, 2)), compiled=False)
    assert "compiler" in fault.value.mend
    if kernel() is not None:
        Exact(trees, np.zeros((1, 2)))


def test_checked_trees_cannot_be_changed_afterwards():
    left = np.array(SOUND["left"])
    trees = Trees(**SOUND | {"left": left})
    left[0] = 1000
    assert trees.left[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        trees.left[0] = 1000


@pytest.mark.parametrize(
    ("rows", "weights"),
    [
        (np.zeros((0, 2)), None),
        (np.zeros((2, 1)), None),
        (np.zeros(2), None),
        (np.zeros((2, 2)), np.ones(3)),
        (np.zeros((2, 2)), np.zeros(2)),
        (np.zeros((2, 2)), np.array([1.0, -0.5])),
        (np.zeros((2, 2)), np.array([1.0, NAN])),
    ],
)
@pytest.mark.parametrize("compiled", [True, False])
def test_comparison_rows_that_do_not_fit_are_an_error(rows, weights, compiled):
    with pytest.raises(ValueError):
        Exact(Trees(**SOUND), rows, weights, compiled=compiled)


@pytest.mark.parametrize("compiled", [True, False])
def test_cases_that_do_not_fit_are_an_error(compiled):
    engine = Exact(Trees(**SOUND), np.zeros((2, 2)), compiled=compiled)
    for rows in (np.zeros((3, 1)), np.zeros(2)):
        with pytest.raises(ValueError):
            engine.values(rows)
    with pytest.raises(IndexError):
        engine.row_values(np.zeros(2), np.array([2]))
    assert engine.values(np.zeros((0, 2))).shape == (0, 2)
