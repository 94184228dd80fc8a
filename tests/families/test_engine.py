"""The engine against brute force: exact means exact, with groups of columns as players."""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explainer.families.engine import interventional, trees
from explainer.families.engine.interventional import row_values
from explainer.families.engine.reference import brute_force
from explainer.families.engine.trees import Leaf, ensemble_of

Node = float | tuple  # a leaf's value, or (column, threshold, left, right)


def walk(node: Node, row, single: bool) -> float:
    """A tree as anybody would walk it: the witness shares no line with the engine."""
    while isinstance(node, tuple):
        column, threshold, left, right = node
        value = float(np.float32(row[column])) if single else row[column]
        node = left if value <= threshold else right
    return node


def leaves_of(node: Node, player_of, path=()) -> list[Leaf]:
    if not isinstance(node, tuple):
        conditions: dict[int, list[tuple[int, float, bool]]] = {}
        for condition in path:
            conditions.setdefault(player_of[condition[0]], []).append(condition)
        return [Leaf(node, conditions)]
    column, threshold, left, right = node
    return leaves_of(left, player_of, (*path, (column, threshold, True))) + leaves_of(
        right, player_of, (*path, (column, threshold, False))
    )


@dataclass(frozen=True)
class Forest:
    """Trees over columns, which belong to players, and one case with its comparison rows."""

    trees: list[Node]
    player_of: list[int]
    case: list[float]
    comparison: list[list[float]]
    single: bool

    @property
    def players(self) -> int:
        return max(self.player_of) + 1

    def ensemble(self):
        leaves = [leaf for tree in self.trees for leaf in leaves_of(tree, self.player_of)]
        return ensemble_of(leaves, n_players=self.players, single_precision=self.single)

    def margins(self, rows) -> np.ndarray:
        return np.array([sum(walk(tree, row, self.single) for tree in self.trees) for row in rows])

    def engine(self, values=row_values) -> np.ndarray:
        """By the engine: mean over the comparison rows."""
        comparison = np.array(self.comparison, dtype=float)
        return values(self.ensemble(), np.array(self.case, dtype=float), comparison).mean(axis=0)

    def witness(self) -> np.ndarray:
        """By enumerating all coalitions of players."""

        def by_player(row):
            return [
                tuple(row[c] for c, owner in enumerate(self.player_of) if owner == player)
                for player in range(self.players)
            ]

        def columns(row):
            left = [list(values) for values in row]
            return [left[player].pop(0) for player in self.player_of]

        return brute_force(
            lambda rows: self.margins([columns(row) for row in rows]),
            by_player(self.case),
            [by_player(row) for row in self.comparison],
        )


# few different numbers, so that values often lie exactly on a threshold
NUMBERS = st.sampled_from([-1.5, -0.1, 0.0, 0.1, 0.25, 84.15, 84.14999999999999, 1e30])


@st.composite
def forests(draw) -> Forest:
    columns = draw(st.integers(1, 6))
    players = draw(st.integers(1, min(columns, 5)))
    rest = draw(
        st.lists(
            st.integers(0, players - 1), min_size=columns - players, max_size=columns - players
        )
    )
    player_of = draw(st.permutations([*range(players), *rest]))
    node = st.recursive(
        st.integers(-8, 8).map(lambda n: n / 4),
        lambda inner: st.tuples(st.integers(0, columns - 1), NUMBERS, inner, inner),
        max_leaves=9,
    )
    row = st.lists(NUMBERS, min_size=columns, max_size=columns)
    return Forest(
        draw(st.lists(node, min_size=1, max_size=4)),
        list(player_of),
        draw(row),
        draw(st.lists(row, min_size=1, max_size=4)),
        draw(st.booleans()),
    )


@given(forests())
def test_engine_equals_brute_force_over_groups_of_columns(forest: Forest):
    assert np.allclose(forest.engine(), forest.witness(), rtol=0, atol=1e-12)


@given(forests())
def test_contributions_are_the_distance_from_the_comparison_group(forest: Forest):
    distance = forest.margins([forest.case])[0] - forest.margins(forest.comparison).mean()
    assert forest.engine().sum() == pytest.approx(distance, abs=1e-11)


@given(forests())
def test_the_internal_form_sums_to_what_the_trees_say(forest: Forest):
    rows = [forest.case, *forest.comparison]
    constant = sum(tree for tree in forest.trees if not isinstance(tree, tuple))
    sums = forest.ensemble().sums(np.array(rows)) + constant
    assert np.allclose(sums, forest.margins(rows), rtol=0, atol=1e-12)


@given(forests(), st.randoms(use_true_random=False))
def test_the_order_of_columns_changes_nothing(forest: Forest, random):
    order = list(range(len(forest.player_of)))
    random.shuffle(order)

    def moved(node: Node) -> Node:
        if not isinstance(node, tuple):
            return node
        column, threshold, left, right = node
        return (order.index(column), threshold, moved(left), moved(right))

    shuffled = replace(
        forest,
        trees=[moved(tree) for tree in forest.trees],
        player_of=[forest.player_of[c] for c in order],
        case=[forest.case[c] for c in order],
        comparison=[[row[c] for c in order] for row in forest.comparison],
    )
    assert np.allclose(shuffled.engine(), forest.engine(), rtol=0, atol=1e-12)


BOTH_AND_B = (0, 0.5, 0.0, (1, 0.5, 0.0, (2, 0.5, 0.0, 1.0)))
"""1 where all three columns are above 0.5."""


def test_a_group_is_one_player_and_not_the_sum_of_its_columns():
    case, others = [1.0, 1.0, 1.0], [[0.0, 0.0, 0.0]]
    grouped = Forest([BOTH_AND_B], [0, 0, 1], case, others, single=False)
    apart = Forest([BOTH_AND_B], [0, 1, 2], case, others, single=False)
    assert grouped.engine().tolist() == pytest.approx([1 / 2, 1 / 2])
    assert apart.engine().tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert apart.engine()[:2].sum() != pytest.approx(grouped.engine()[0], abs=0.1)


def test_who_moves_nothing_gets_nothing():
    forest = Forest([BOTH_AND_B], [0, 1, 2, 3], [1.0, 1.0, 1.0, 9.0], [[0.0] * 4], single=False)
    assert forest.engine()[3] == 0.0


def test_trees_of_one_leaf_move_nobody():
    forest = Forest([2.5, -1.0], [0], [1.0], [[0.0], [2.0]], single=False)
    assert forest.engine().tolist() == [0.0]


def test_a_path_over_more_players_than_fit_a_byte_is_counted_right():
    players = 300
    path = 1.0
    for column in range(players):
        path = (column, 0.5, 0.0, path)
    forest = Forest([path], list(range(players)), [1.0] * players, [[0.0] * players], single=False)
    assert forest.engine().tolist() == pytest.approx([1 / players] * players)
    alike = replace(forest, comparison=[[1.0] * players])
    assert alike.engine().tolist() == [0.0] * players


def test_a_value_is_narrowed_before_it_is_compared_where_the_library_does_so():
    # 84.15 in double precision is below its own float32 rounding
    threshold = 84.15
    assert float(np.float32(84.15)) > threshold
    tree = (0, threshold, -1.0, 1.0)
    narrowed = Forest([tree], [0], [84.15], [[0.0]], single=True)
    exact = Forest([tree], [0], [84.15], [[0.0]], single=False)
    assert narrowed.engine().tolist() == [2.0]
    assert exact.engine().tolist() == [0.0]


MUTANTS = {
    "weights of both sides swapped": (
        "return of_a.ravel(), of_b.ravel()",
        "return -of_b.ravel(), -of_a.ravel()",
    ),
    "weight of a player of A": ("factorial(a - 1) * factorial(b)", "factorial(a) * factorial(b)"),
    "weight of a player of B": ("factorial(a) * factorial(b - 1)", "factorial(a) * factorial(b)"),
    "sign of B": ("-factorial(a) * factorial(b - 1)", "factorial(a) * factorial(b - 1)"),
    "leaves nobody reaches": ("np.where(nobody, 0.0,", "np.where(nobody & False, 0.0,"),
    "who is in A": ("in_a = x & ~self._held", "in_a = x & self._held"),
    "who is in B": ("in_b = ~x & self._held", "in_b = self._held"),
    "gains left out": ("np.where(in_a[k], gain, 0.0) + ", ""),
    "players mixed up": ("values[:, players] +=", "values[:, players[::-1]] +="),
}

FIXED = Forest(
    [BOTH_AND_B, (0, 0.5, (2, 0.2, -1.0, 0.5), (1, 0.7, 2.0, 0.25)), (2, 0.5, 0.0, 3.0)],
    [0, 0, 1],
    [1.0, 0.6, 1.0],
    [[0.0, 0.0, 0.0], [1.0, 1.0, 0.3], [0.0, 0.9, 1.0], [1.0, 0.4, 0.1]],
    single=False,
)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutated_engine_is_told_from_brute_force(name: str):
    """The oracle sees every one of these slips; a test that never fails proves nothing."""
    right, wrong = MUTANTS[name]
    source = inspect.getsource(interventional)
    assert source.count(right) == 1
    mutant = types.ModuleType("mutant")
    exec(compile(source.replace(right, wrong), "mutant", "exec"), mutant.__dict__)
    assert np.allclose(FIXED.engine(), FIXED.witness(), rtol=0, atol=1e-12)
    assert not np.allclose(FIXED.engine(mutant.row_values), FIXED.witness(), rtol=0, atol=1e-3)


def test_a_mutated_comparison_is_told_from_brute_force():
    source = inspect.getsource(trees)
    assert source.count("<= self.threshold") == 1
    mutant = types.ModuleType("mutant_trees")
    mutant.__dict__["__name__"] = trees.__name__  # dataclasses look their module up
    exec(
        compile(source.replace("<= self.threshold", "< self.threshold"), "mutant", "exec"),
        mutant.__dict__,
    )
    on_the_line = Forest([(0, 0.5, -1.0, 1.0)], [0], [0.5], [[0.0], [1.0]], single=False)
    wrong = mutant.ensemble_of(
        [mutant.Leaf(leaf.value, leaf.conditions) for leaf in leaves_of(on_the_line.trees[0], [0])],
        n_players=1,
        single_precision=False,
    )
    found = row_values(wrong, np.array([0.5]), np.array([[0.0], [1.0]])).mean(axis=0)
    assert on_the_line.engine().tolist() == pytest.approx(on_the_line.witness().tolist())
    assert not np.allclose(found, on_the_line.witness(), atol=1e-3)
