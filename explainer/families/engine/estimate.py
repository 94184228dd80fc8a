"""Interventional Shapley values of a model known by its answers, estimated, with standard errors.

Along an order of the features the case's values join a comparison row one by one, and each feature
gets what the margin changed when it joined. The mean over all orders is the Shapley value (Shapley
1953); here it is the mean over some, drawn with a fixed seed, others for each comparison row
(Castro, Gomez and Tejada 2009). Each order is walked backwards as well, which cancels whatever two
features do together (Lomeli et al. 2019; Mitchell et al. 2022). What is left are three and more, so
orders come in blocks in which, of any three features, each is about equally often the middle one.
A block is dealt to a comparison row by naming the features anew at random: so every order is
equally likely, a block alone is an unbiased estimate that adds up exactly, and how far the blocks
of one comparison row are apart tells the standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Bools, Floats, Ints
from explainer.families.engine.function import AT_ONCE, Function, row_values

SEED = 20261122

FIRST_ANSWERS = 40_000
"""Answers that the first stage may take; each stage doubles what all before it took."""

MOST_ESTIMATED = 100
"""Features; finding out whether what is said is settled takes the square of them."""

LEAST_ROUNDS = 8
"""A model that could not be asked as many is not explained at all."""

LARGEST_BLOCK = 16
"""Orders balanced among each other. More take longer to lay out, and blocks must be several."""

_CANDIDATES, _TRIPLES = 1000, 700


@dataclass(frozen=True, slots=True)
class Stage:
    """Rounds asked in one go. In a round each comparison row has one order, there and back."""

    first: int
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Shapley values as some orders have them.

    Attributes
    ----------
    by_row : ndarray of shape (n_rows, n_players), values against each comparison row alone, in raw
        margin; the sum of each row is exact
    values : ndarray of shape (n_players,), values against the whole group
    covariance : ndarray of shape (n_players, n_players), how the errors of `values` hang together,
        in squared raw margin; zeros where all coalitions were asked
    rounds, answers : how many orders each comparison row had, and what was asked in all
    """

    by_row: Floats
    values: Floats
    covariance: Floats
    rounds: int
    answers: int

    @property
    def errors(self) -> Floats:
        """Standard error of each of `values`; ndarray of shape (n_players,)."""
        found: Floats = np.sqrt(np.diag(self.covariance))
        return found

    def joined(self, other: Estimate) -> Estimate:
        """Both together, each by the number of its rounds."""
        rounds = self.rounds + other.rounds
        mine, theirs = self.rounds / rounds, other.rounds / rounds
        return Estimate(
            mine * self.by_row + theirs * other.by_row,
            mine * self.values + theirs * other.values,
            mine**2 * self.covariance + theirs**2 * other.covariance,
            rounds,
            self.answers + other.answers,
        )


def stages(function: Function, n_rows: int) -> Iterator[Stage]:
    """What to ask one after the other until the errors are small enough, or the budget is used.

    A power of two of rounds, and then always as many as before.
    """
    a_round = answers_of_a_round(function.n_players, n_rows)
    rounds = 2
    while 2 * rounds * a_round <= FIRST_ANSWERS:
        rounds *= 2
    first = 0
    while (first + rounds) * a_round <= function.budget:
        yield Stage(first, rounds)
        first += rounds
        rounds = first


def check_feasible(function: Function, n_rows: int) -> None:
    """Raise ArtefactRefused where the budget buys too few rounds to be worth anything."""
    if function.enumerable(n_rows):
        return
    n_players, budget = function.n_players, function.budget
    if n_players > MOST_ESTIMATED:
        raise ArtefactRefused(
            f"With {n_players} features this kind of model cannot be explained.",
            "model",
            f"Use at most {MOST_ESTIMATED} features, or a model of trees or a linear one.",
        )
    least = LEAST_ROUNDS * answers_of_a_round(n_players, 1)
    if least * n_rows > budget:
        raise ArtefactRefused(
            f"With {n_players} features and {n_rows} comparison rows this kind of model cannot be "
            f"explained within {budget:,} answers a case.",
            "model",
            f"Use at most {budget // least:,} comparison rows, fewer features, or a model of "
            "trees or a linear one."
            if least * 30 <= budget
            else "Use fewer features, or a model of trees or a linear one.",
        )


def answers_of_a_round(n_players: int, n_rows: int) -> int:
    """At most; fewer where case and comparison row have features alike."""
    return 2 * max(1, n_players - 1) * n_rows


def estimated(
    margins: Callable[[Floats], Floats],
    function: Function,
    case: Floats,
    comparison: Floats,
    stage: Stage,
    weights: Floats | None = None,
) -> Estimate:
    """Ask one stage.

    Parameters
    ----------
    margins : raw margins of rows of the model's own columns
    case : ndarray of shape (n_columns,)
    comparison : ndarray of shape (n_rows, n_columns)
    weights : ndarray of shape (n_rows,), none below 0, any sum above 0; default: all alike

    The same arguments give the same bits as long as the model's answers do.
    """
    n, n_rows = function.n_players, len(comparison)
    ends = np.asarray(margins(np.concatenate([case[None, :], comparison])), dtype=np.float64)
    walk = _Walk(margins, function, case, comparison, ends[0], ends[1:])
    # so many blocks that how far they are apart can be told
    size = max(1, min(LARGEST_BLOCK, stage.rounds // 4))
    design = balanced_orders(n)
    blocks = np.empty((stage.rounds // size, n_rows, n))
    for at in range(len(blocks)):
        random = np.random.default_rng([SEED, stage.first + at * size])
        names = random.permuted(np.tile(np.arange(n), (n_rows, 1)), axis=1)
        blocks[at] = sum(walk.there_and_back(names[:, order]) for order in design[:size]) / size
    by_row = blocks.mean(axis=0)
    shares = np.full(n_rows, 1 / n_rows) if weights is None else weights / weights.sum()
    # the rows' errors are independent, and within a row the blocks' are
    apart = ((blocks - by_row) * shares[:, None]).reshape(-1, n)
    covariance = apart.T @ apart / (len(blocks) * (len(blocks) - 1))
    answers = walk.answers + n_rows + 1
    return Estimate(by_row, shares @ by_row, covariance, stage.rounds, answers)


def asked(
    margins: Callable[[Floats], Floats],
    function: Function,
    case: Floats,
    comparison: Floats,
    stage: Stage | None,
    weights: Floats | None = None,
) -> Estimate:
    """One stage, or where `stage` is None all coalitions: then nothing is estimated. `weights` of
    the comparison rows as in `estimated`."""
    if stage is not None:
        return estimated(margins, function, case, comparison, stage, weights)
    by_row = row_values(margins, function, case, comparison)
    n = function.n_players
    answers = 2**n * len(comparison)
    values = by_row.mean(axis=0) if weights is None else np.average(by_row, axis=0, weights=weights)
    return Estimate(by_row, values, np.zeros((n, n)), 0, answers)


class _Walk:
    """Asks for mixtures along orders, and counts what that took."""

    def __init__(
        self,
        margins: Callable[[Floats], Floats],
        function: Function,
        case: Floats,
        comparison: Floats,
        at_case: float,
        at_rows: Floats,
    ) -> None:
        self._margins, self._player = margins, function.player
        self._case, self._comparison = case, comparison
        self._at_case, self._at_rows = at_case, at_rows
        self._differs = _differing(function, case, comparison)
        self._count = self._differs.sum(axis=1)
        self.answers = 0

    def there_and_back(self, orders: Ints) -> Floats:
        """Gains along `orders`, ndarray of shape (n_rows, n_players), and along their reverse;
        the mean of both."""
        # a feature that is the same in both changes nothing: those that differ come first
        differs = np.take_along_axis(self._differs, orders, axis=1)
        orders = np.take_along_axis(orders, np.argsort(~differs, axis=1, kind="stable"), axis=1)
        place = np.arange(orders.shape[1])
        count = self._count[:, None]
        back = np.where(place < count, count - 1 - place, place)
        return (self._gains(orders) + self._gains(np.take_along_axis(orders, back, axis=1))) / 2

    def _gains(self, orders: Ints) -> Floats:
        n_rows, n = orders.shape
        worth = np.full((n_rows, n + 1), self._at_case)
        worth[:, 0] = self._at_rows
        # after the last that differs the mixture is the case
        row, step = np.nonzero(np.arange(1, n) < self._count[:, None])
        place = np.empty_like(orders)
        np.put_along_axis(place, orders, np.broadcast_to(np.arange(n), orders.shape), axis=1)
        column_place = place[:, self._player]
        for first in range(0, len(row), AT_ONCE):
            r, s = row[first : first + AT_ONCE], step[first : first + AT_ONCE]
            mixed = np.where(column_place[r] <= s[:, None], self._case, self._comparison[r])
            worth[r, s + 1] = self._margins(mixed)
        self.answers += len(row)
        gains = np.zeros((n_rows, n))
        np.put_along_axis(gains, orders, np.diff(worth, axis=1), axis=1)
        gains[~self._differs] = 0.0
        return gains


def _differing(function: Function, case: Floats, comparison: Floats) -> Bools:
    """Which players are not bit for bit the same in case and row; (n_rows, n_players)."""
    other = np.ascontiguousarray(comparison).view(np.int64) != np.ascontiguousarray(case).view(
        np.int64
    )
    found = np.zeros((len(comparison), function.n_players), dtype=bool)
    for column, player in enumerate(function.player):
        found[:, player] |= other[:, column]
    return found


@lru_cache(maxsize=8)
def balanced_orders(n: int) -> Ints:
    """Orders of n players in which, for any three, each is about equally often the middle one;
    ndarray of shape (LARGEST_BLOCK, n).

    The first few are balanced as well: each is the one that serves best after those before it,
    among a fixed number of random ones. With many players some of the triples stand for all.
    """
    random = np.random.default_rng([SEED, n])
    orders = random.permuted(np.tile(np.arange(n), (_CANDIDATES, 1)), axis=1)
    if n < 3:
        return orders[:LARGEST_BLOCK]
    if comb(n, 3) <= _TRIPLES:
        triples = np.array(list(combinations(range(n), 3)))
    else:
        triples = np.array([random.choice(n, 3, replace=False) for _ in range(_TRIPLES)])
    place = np.argsort(orders, axis=1)
    a, b, c = (place[:, triples[:, k]] for k in range(3))
    middle = np.where((a < b) != (a < c), 0, np.where((b < a) != (b < c), 1, 2))
    each = np.arange(len(triples))
    times = np.zeros((len(triples), 3))
    chosen = []
    for _ in range(LARGEST_BLOCK):
        best = int(times[each, middle].sum(axis=1).argmin())
        chosen.append(best)
        times[each, middle[best]] += 1
    return orders[chosen]
