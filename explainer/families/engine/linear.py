"""Exact interventional Shapley values of a weighted sum of columns, in closed form.

Each column moves the margin by  w (x - mean of the comparison rows),  whatever the others do; a
player's value is the sum over the columns that belong to it (Lundberg and Lee 2017, corollary 1,
arXiv 1705.07874). Sums of columns are the value of the group here, because nothing interacts. Where
the comparison rows have weights, the mean is the weighted one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A weighted sum of columns, checked when it is built.

    Attributes
    ----------
    player : ndarray of shape (n_columns,), index of the feature people know
    weight : ndarray of shape (n_columns,), raw margin per unit of the column
    constant : raw margin where all columns are 0
    n_players : number of features people know
    """

    player: Ints
    weight: Floats
    constant: float
    n_players: int

    def __post_init__(self) -> None:
        if not (
            self.player.ndim == 1
            and self.player.shape == self.weight.shape
            and bool(((self.player >= 0) & (self.player < self.n_players)).all())
            and bool(np.isfinite(self.weight).all())
            and np.isfinite(self.constant)
        ):
            raise ArtefactRefused(
                "The weights of the model do not fit its columns.",
                "model",
                "The file is damaged or was tampered with; save it again.",
            )

    def sums(self, rows: Floats) -> Floats:
        """Margin of each row; ndarray of shape (n,)."""
        return np.asarray((rows * self.weight).sum(axis=1) + self.constant)


class LinearAgainst:
    """A weighted sum and the rows every case is compared with."""

    def __init__(self, linear: Linear, comparison: Floats, weights: Floats | None = None) -> None:
        """Take the mean of the comparison rows.

        Parameters
        ----------
        comparison : ndarray of shape (n_rows, n_columns), the model's own columns
        weights : ndarray of shape (n_rows,), none below 0, any sum above 0; default: all alike
        """
        self._linear = linear
        self._comparison = comparison
        self._mean = (
            comparison.mean(axis=0)
            if weights is None
            else np.average(comparison, axis=0, weights=weights)
        )

    def values(self, row: Floats) -> Floats:
        """Shapley values of one case; ndarray of shape (n_players,), in raw margin."""
        return np.asarray(self._grouped((row - self._mean)[None, :])[0])

    def row_values(self, row: Floats, sample: Ints) -> Floats:
        """The same against single comparison rows; ndarray of shape (n_sample, n_players)."""
        return self._grouped(row - self._comparison[sample])

    def _grouped(self, distances: Floats) -> Floats:
        moved = distances * self._linear.weight
        grouped = np.zeros((len(moved), self._linear.n_players))
        for at, player in enumerate(self._linear.player):
            grouped[:, player] += moved[:, at]
        return grouped
