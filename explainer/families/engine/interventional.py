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

from explainer.families.engine.trees import Bools, Ensemble, Floats


@lru_cache(maxsize=8)
def _weights(most: int) -> tuple[Floats, Floats]:
    """Weights of a player of A and of B by |A| * (most + 1) + |B|; both of shape
    ((most + 1)**2,)."""
    of_a = np.zeros((most + 1, most + 1))
    of_b = np.zeros((most + 1, most + 1))
    for a in range(most + 1):
        for b in range(most + 1 - a):
            if a:
                of_a[a, b] = factorial(a - 1) * factorial(b) / factorial(a + b)
            if b:
                of_b[a, b] = -factorial(a) * factorial(b - 1) / factorial(a + b)
    return of_a.ravel(), of_b.ravel()


class Against:
    """An ensemble and the rows every case is compared with, laid out once.

    The k-th player on the path of each leaf is looked at together, for all leaves: so the
    longest path says how many passes there are. A leaf with fewer players is filled up with one
    that everybody meets, who moves nobody.
    """

    def __init__(self, ensemble: Ensemble, comparison: Floats) -> None:
        """`comparison` : ndarray of shape (n_rows, n_columns), the model's own columns."""
        self._ensemble = ensemble
        n_slots = len(ensemble.slot_player)
        size = np.diff(np.append(ensemble.leaf_start, n_slots))
        self._longest = int(size.max()) if n_slots else 0
        passes = np.arange(self._longest)[:, None]
        # n_slots is the place of the filler in what _laid_out returns
        self._slot = np.where(passes < size, ensemble.leaf_start + passes, n_slots)
        players = np.append(ensemble.slot_player, 0)[self._slot]
        self._order = np.argsort(players, axis=1, kind="stable")
        self._players = [
            np.unique(np.take(row, order), return_index=True)
            for row, order in zip(players, self._order, strict=True)
        ]
        self._rows = len(comparison)
        self._held = self._laid_out(comparison)

    def _laid_out(self, rows: Floats) -> Bools:
        """Which slots hold; ndarray of shape (longest path, n_rows, n_leaves)."""
        held = self._ensemble.slots_held(rows) if self._longest else np.ones((len(rows), 0), bool)
        filled = np.concatenate([held, np.ones((len(rows), 1), dtype=np.bool_)], axis=1)
        return np.stack([filled[:, slots] for slots in self._slot]) if self._longest else held[None]

    def row_values(self, case: Floats) -> Floats:
        """Shapley values of `case` against each comparison row alone.

        Parameters
        ----------
        case : ndarray of shape (n_columns,), the model's own columns

        Returns
        -------
        ndarray of shape (n_rows, n_players), in raw margin. Their mean over the rows is the
        interventional Shapley value against the whole comparison group. One case at a time and
        a fixed order of summation, so that the bits do not depend on what else is asked.
        """
        values = np.zeros((self._rows, self._ensemble.n_players))
        if not self._longest:
            return values
        x = self._laid_out(case[None, :])
        in_a = x & ~self._held
        in_b = ~x & self._held
        nobody = (~x & ~self._held).any(axis=0)
        width = self._longest + 1
        at = in_a.sum(axis=0, dtype=np.intp) * width + in_b.sum(axis=0, dtype=np.intp)
        worth = np.where(nobody, 0.0, self._ensemble.value)
        of_a, of_b = _weights(self._longest)
        gain, loss = worth * of_a[at], worth * of_b[at]
        for k in range(self._longest):
            moved = np.where(in_a[k], gain, 0.0) + np.where(in_b[k], loss, 0.0)
            players, first = self._players[k]
            values[:, players] += np.add.reduceat(moved[:, self._order[k]], first, axis=1)
        return values


def row_values(ensemble: Ensemble, case: Floats, comparison: Floats) -> Floats:
    """`Against.row_values` for a comparison that is used once."""
    return Against(ensemble, comparison).row_values(case)
