"""Estimated values: unbiased, exact in their sum, honest about their error, the same every time."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, pairwise

import numpy as np
import pytest

from explainer.families.engine.estimate import (
    LARGEST_BLOCK,
    Estimate,
    Stage,
    answers_of_a_round,
    asked,
    balanced_orders,
    estimated,
    stages,
)
from explainer.families.engine.function import MOST_ANSWERS, Function, row_values

PLAYERS = 11
COLUMNS = np.array([*range(PLAYERS), 3, 3, 7])
"""Two players are groups of columns."""


class Network:
    """A small neural network with interactions of every order, and how often it was asked."""

    def __init__(self, seed: int = 3) -> None:
        random = np.random.default_rng(seed)
        self._first = random.normal(0, 0.8, (len(COLUMNS), 24))
        self._second = random.normal(0, 0.6, (24, 12))
        self._third = random.normal(0, 1, 12)
        self.asked = 0

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        self.asked += len(rows)
        hidden = np.maximum(rows @ self._first, 0)
        score = np.tanh(hidden @ self._second) @ self._third
        return np.asarray(1 / (1 + np.exp(-score)))


FUNCTION = Function(COLUMNS, PLAYERS)


def rows(count: int, seed: int = 0) -> np.ndarray:
    """Rows of half rounded, half whole numbers, so that some features are often alike."""
    random = np.random.default_rng(seed)
    found = random.normal(0, 1, (count, len(COLUMNS)))
    found[:, 5:9] = np.round(found[:, 5:9])
    return found


def truth(network: Network, case: np.ndarray, comparison: np.ndarray) -> np.ndarray:
    return row_values(network, FUNCTION, case, comparison)


def draws(network, case, comparison, count: int, rounds: int) -> list[Estimate]:
    """Estimates from other orders each."""
    return [
        estimated(network, FUNCTION, case, comparison, Stage(k * rounds, rounds))
        for k in range(count)
    ]


def test_the_errors_are_honest_and_nothing_is_biased():
    """Intervals over 40 draws for each of six cases and eleven features, against all coalitions:
    as many as there should be hold the truth, also for few comparison rows and few rounds."""
    network = Network()
    for n_rows, rounds in ((30, 4), (60, 8), (30, 32)):
        comparison = rows(n_rows, 1)
        offs, means = [], []
        for case in rows(6, 2):
            exact = truth(network, case, comparison).mean(axis=0)
            found = draws(network, case, comparison, 40, rounds)
            off = np.array([(one.values - exact) / one.errors for one in found])
            offs.append(off)
            values = np.array([one.values for one in found])
            spread = values.std(axis=0, ddof=1) / np.sqrt(len(found))
            means.append((values.mean(axis=0) - exact) / spread)
        off = np.abs(np.array(offs)).ravel()
        assert len(off) == 6 * 40 * 11
        assert 0.93 < (off <= 2).mean() < 0.98  # 0.954 in theory
        assert (off <= 3).mean() > 0.99  # 0.997
        assert (off <= 5).all()
        # no systematic distance: the mean of the draws lies where chance would put it
        assert 0.7 < np.sqrt((np.array(means) ** 2).mean()) < 1.3


def test_the_errors_hang_together_as_the_covariance_says():
    """The error of a difference of two values, and of a sum of several, is as honest."""
    network, comparison, case = Network(), rows(30, 17), rows(1, 18)[0]
    exact = truth(network, case, comparison).mean(axis=0)
    mixed = np.random.default_rng(3).normal(0, 1, (20, PLAYERS))
    offs = []
    for one in draws(network, case, comparison, 60, 8):
        error = np.sqrt(np.einsum("ki,ij,kj->k", mixed, one.covariance, mixed))
        offs.append(mixed @ (one.values - exact) / error)
        # the sum has none
        assert abs(one.covariance.sum()) < 1e-15
    assert 0.85 < np.sqrt((np.array(offs) ** 2).mean()) < 1.15


def test_every_estimate_adds_up_exactly_for_every_comparison_row():
    network, comparison, case = Network(), rows(30, 4), rows(1, 5)[0]
    for one in draws(network, case, comparison, 3, 4):
        moved = network(case[None])[0] - network(comparison)
        np.testing.assert_allclose(one.by_row.sum(axis=1), moved, atol=1e-14)
        assert one.values.sum() == pytest.approx(moved.mean(), abs=1e-14)


def test_what_two_features_do_together_is_exact_at_once():
    random = np.random.default_rng(8)
    pairs = np.triu(random.normal(0, 1, (len(COLUMNS), len(COLUMNS))))

    def margins(some: np.ndarray) -> np.ndarray:
        return np.einsum("ni,ij,nj->n", some, pairs, some)

    comparison, case = rows(30, 6), rows(1, 7)[0]
    found = estimated(margins, FUNCTION, case, comparison, Stage(0, 2))
    exact = row_values(margins, FUNCTION, case, comparison)
    np.testing.assert_allclose(found.by_row, exact, atol=1e-12)
    assert found.errors.max() < 1e-13


def test_features_that_are_alike_get_nothing_and_cost_nothing():
    network, comparison, case = Network(), rows(30, 9), rows(1, 10)[0]
    alike = np.isin(COLUMNS, (0, 3, 7))
    comparison[:, alike] = case[alike]
    whole = estimated(network, FUNCTION, case, comparison, Stage(0, 8))
    assert (whole.by_row[:, [0, 3, 7]] == 0).all()
    assert whole.errors[[0, 3, 7]].max() == 0
    exact = row_values(network, FUNCTION, case, comparison)
    assert (exact[:, [0, 3, 7]] == 0).all()
    # one column of a group that differs is enough
    comparison[:, -1] = 5.0
    partly = estimated(network, FUNCTION, case, comparison, Stage(0, 8))
    assert (partly.by_row[:, 7] != 0).all()
    assert whole.answers < partly.answers


def test_a_case_that_is_a_comparison_row_moves_nothing():
    network, comparison = Network(), rows(30, 9)
    comparison[4, 2] = np.nan

    def margins(some: np.ndarray) -> np.ndarray:
        # some libraries give other last digits in another place of a batch
        return network(np.nan_to_num(some)) + 1e-12 * np.arange(len(some))

    found = estimated(margins, FUNCTION, comparison[4], comparison, Stage(0, 4))
    assert (found.by_row[4] == 0).all()


def test_the_number_of_answers_is_what_was_asked_and_within_what_was_planned():
    network, comparison, case = Network(), rows(50, 11), rows(1, 12)[0]
    stage = Stage(0, 8)
    found = estimated(network, FUNCTION, case, comparison, stage)
    assert network.asked == found.answers
    assert found.answers < 8 * answers_of_a_round(PLAYERS, 50) + 51
    comparison[:, :11] += 0.01  # nothing is alike any more
    network.asked = 0
    found = estimated(network, FUNCTION, case, comparison, stage)
    assert network.asked == found.answers == 8 * answers_of_a_round(PLAYERS, 50) + 51


def test_weights_count_rows_as_often_as_they_say():
    network, comparison, case = Network(), rows(30, 13), rows(1, 14)[0]
    weights = np.random.default_rng(1).integers(0, 4, 30).astype(float)
    found = estimated(network, FUNCTION, case, comparison, Stage(0, 16), weights)
    exact = np.average(truth(network, case, comparison), axis=0, weights=weights)
    assert (np.abs(found.values - exact) <= 4.5 * found.errors).all()
    # a row that counts twice is drawn once: its error counts twice as well
    alike = estimated(network, FUNCTION, case, comparison, Stage(0, 16), np.full(30, 0.2))
    plain = estimated(network, FUNCTION, case, comparison, Stage(0, 16))
    np.testing.assert_allclose(alike.values, plain.values, atol=1e-15)
    np.testing.assert_allclose(alike.covariance, plain.covariance, atol=1e-15)


def test_stages_together_are_one_estimate_of_all_their_rounds():
    network, comparison, case = Network(), rows(30, 15), rows(1, 16)[0]
    exact = truth(network, case, comparison).mean(axis=0)
    parts = [
        estimated(network, FUNCTION, case, comparison, stage)
        for stage in (Stage(0, 4), Stage(4, 4), Stage(8, 8))
    ]
    whole = parts[0].joined(parts[1]).joined(parts[2])
    assert whole.rounds == 16
    assert whole.answers == sum(part.answers for part in parts)
    of_rounds = (4 * parts[0].by_row + 4 * parts[1].by_row + 8 * parts[2].by_row) / 16
    np.testing.assert_allclose(whole.by_row, of_rounds, atol=1e-15)
    assert (np.abs(whole.values - exact) <= 4.5 * whole.errors).all()
    expected = (parts[0].covariance + parts[1].covariance + 4 * parts[2].covariance) / 16
    np.testing.assert_allclose(whole.covariance, expected, atol=1e-18)


@pytest.mark.parametrize(("n_players", "n_rows"), [(17, 100), (17, 1000), (40, 500), (2, 30)])
@pytest.mark.parametrize("budget", [MOST_ANSWERS, 500_000])
def test_stages_double_and_stay_within_the_budget(n_players, n_rows, budget):
    form = Function(np.arange(n_players), n_players, budget)
    planned = list(stages(form, n_rows))
    assert planned[0].first == 0
    assert planned[0].rounds >= 2
    for before, after in pairwise(planned):
        assert after.first == after.rounds == before.first + before.rounds
    rounds = planned[-1].first + planned[-1].rounds
    assert rounds * answers_of_a_round(n_players, n_rows) <= budget
    assert 2 * rounds * answers_of_a_round(n_players, n_rows) > budget


def _unevenness(orders: np.ndarray) -> float:
    """Variance of how often each of three is the middle one, over all threes."""
    place = np.argsort(orders, axis=1)
    times = [
        np.bincount(np.argsort(place[:, three], axis=1)[:, 1], minlength=3)
        for three in combinations(range(orders.shape[1]), 3)
    ]
    return float(np.var(times))


def test_blocks_of_orders_are_more_even_than_chance():
    random = np.random.default_rng(5)
    for n in (5, 12, 25):
        orders = balanced_orders(n)
        assert orders.shape == (LARGEST_BLOCK, n)
        assert (np.sort(orders, axis=1) == np.arange(n)).all()
        for size in (4, LARGEST_BLOCK):
            drawn = [random.permuted(np.tile(np.arange(n), (size, 1)), axis=1) for _ in range(9)]
            by_chance = np.mean([_unevenness(one) for one in drawn])
            assert _unevenness(orders[:size]) < 0.85 * by_chance


def test_without_a_stage_all_coalitions_are_asked():
    network, comparison, case = Network(), rows(30, 19), rows(1, 20)[0]
    found = asked(network, FUNCTION, case, comparison, None)
    np.testing.assert_array_equal(found.by_row, truth(network, case, comparison))
    np.testing.assert_array_equal(found.values, found.by_row.mean(axis=0))
    assert found.errors.max() == 0
    assert found.answers == 30 * 2**PLAYERS
    some = asked(network, FUNCTION, case, comparison, Stage(0, 4))
    np.testing.assert_array_equal(
        some.by_row, estimated(network, FUNCTION, case, comparison, Stage(0, 4)).by_row
    )


SAME = """
from tests.families.test_estimate import *
found = estimated(Network(), FUNCTION, rows(1, 2)[0], rows(40, 1), Stage(8, 8))
import hashlib
print(hashlib.sha256(found.by_row.tobytes() + found.covariance.tobytes()).hexdigest())
"""


def test_the_same_case_gives_the_same_bytes_in_any_process():
    told = {
        subprocess.run(
            [sys.executable, "-c", SAME], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(told) == 1
    assert len(told.pop().strip()) == 64
