"""Exact interventional Shapley values of a tree ensemble, with groups of columns as players.

For one leaf of value v and a pair of case x and comparison row z, let A be the players whose
conditions x meets and z does not, B those z meets and x does not. If some player fails for both,
nobody reaches the leaf. Otherwise each player of A gets  v (|A|-1)! |B|! / (|A|+|B|)!  and each
of B gets  -v |A|! (|B|-1)! / (|A|+|B|)!  (Lundberg et al. 2020; Laberge and Pequignot 2022,
arXiv 2209.15123). Several conditions of one player on a path are one condition, so the formula
holds for groups of columns unchanged. A sum of column values would be another number.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import numpy as np

from explainer.families.engine.trees import Ensemble, Floats


@lru_cache(maxsize=8)
def _weights(most: int) -> tuple[Floats, Floats]:
    """Weights of a player of A and of B by (|A|, |B|); both of shape (most + 1, most + 1)."""
    of_a = np.zeros((most + 1, most + 1))
    of_b = np.zeros((most + 1, most + 1))
    for a in range(most + 1):
        for b in range(most + 1 - a):
            if a:
                of_a[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                of_b[a, b] = -factorial(a) * factorial(b - 1) / factorial(a + b)
    return of_a, of_b


def row_values(ensemble: Ensemble, case: Floats, comparison: Floats) -> Floats:
    """Shapley values of `case` against each comparison row alone.

    Parameters
    ----------
    case : ndarray of shape (n_columns,), the model's own columns
    comparison : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of shape (n_rows, n_players), in raw margin. Their mean over the rows is the
    interventional Shapley value against the whole comparison group. One case at a time and a
    fixed order of summation, so that the bits do not depend on what else is asked.
    """
    values = np.zeros((len(comparison), ensemble.n_players))
    if not len(ensemble.value):
        return values
    x = ensemble.slots_held(case[None, :])[0]
    z = ensemble.slots_held(comparison)
    in_a = x & ~z
    in_b = ~x & z
    start = ensemble.leaf_start
    size_a = np.add.reduceat(in_a, start, axis=1, dtype=np.int64)
    size_b = np.add.reduceat(in_b, start, axis=1, dtype=np.int64)
    reached = ~np.logical_or.reduceat(~x & ~z, start, axis=1)
    slots_of_leaf = np.diff(np.append(start, len(ensemble.slot_player)))
    of_a, of_b = _weights(int(slots_of_leaf.max()))
    worth = np.where(reached, ensemble.value, 0.0)
    gain = np.repeat(worth * of_a[size_a, size_b], slots_of_leaf, axis=1)
    loss = np.repeat(worth * of_b[size_a, size_b], slots_of_leaf, axis=1)
    moved = np.where(in_a, gain, 0.0) + np.where(in_b, loss, 0.0)
    by_player = np.argsort(ensemble.slot_player, kind="stable")
    players, first = np.unique(ensemble.slot_player[by_player], return_index=True)
    values[:, players] = np.add.reduceat(moved[:, by_player], first, axis=1)
    return values
