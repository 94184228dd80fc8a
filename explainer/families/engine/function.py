"""Exact interventional Shapley values of a model that is known by its answers only.

Every coalition is asked: the columns of its players from the case, the others from a comparison
row. With 12 players and 300 rows that are 1.2 million answers; beyond the budget values are
estimated (see `estimate`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Floats, Ints

MOST_ANSWERS = 4_200_000
"""For one case, unless the form says less; about four seconds for a small neural network."""

AT_ONCE = 65_536
"""Rows handed to the model in one call."""


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """Which player each of the model's own columns belongs to, and nothing else.

    Attributes
    ----------
    player : ndarray of shape (n_columns,), index of the feature people know
    n_players : number of features people know
    budget : answers that one case may take
    """

    player: Ints
    n_players: int
    budget: int = MOST_ANSWERS

    def __post_init__(self) -> None:
        if self.player.ndim != 1 or not bool(
            ((self.player >= 0) & (self.player < self.n_players)).all()
        ):
            raise ArtefactRefused(
                "A column of the model belongs to no feature.",
                "model",
                "The file is damaged or was tampered with; save it again.",
            )

    def enumerable(self, n_rows: int) -> bool:
        """Whether all coalitions can be asked for every case; else values are estimated."""
        return n_rows << self.n_players <= self.budget


def row_values(
    margins: Callable[[Floats], Floats], function: Function, case: Floats, comparison: Floats
) -> Floats:
    """Shapley values of `case` against each comparison row alone.

    Parameters
    ----------
    margins : raw margins of rows of the model's own columns
    case : ndarray of shape (n_columns,)
    comparison : ndarray of shape (n_rows, n_columns)

    Returns
    -------
    ndarray of shape (n_rows, n_players), in raw margin; their mean over the rows is the value
    against the whole group. Summed coalition by coalition, in a fixed order.
    """
    n, n_rows = function.n_players, len(comparison)
    values = np.zeros((n_rows, n))
    step = max(1, AT_ONCE // n_rows)
    of_member, of_other = _weights(n)
    for first in range(0, 2**n, step):
        coalitions = np.arange(first, min(first + step, 2**n))
        member = (coalitions[:, None] >> np.arange(n)) & 1 == 1
        from_case = member[:, function.player]
        mixed = np.where(from_case[:, None, :], case, comparison[None, :, :])
        asked = margins(mixed.reshape(-1, len(case)))
        worth = np.asarray(asked, dtype=np.float64).reshape(len(coalitions), n_rows)
        size = member.sum(axis=1)
        weight = np.where(member, of_member[size][:, None], -of_other[size][:, None])
        for at in range(len(coalitions)):
            values += worth[at][:, None] * weight[at]
    # who is the same in both moves nothing; what the sums leave there is dust
    same = (comparison == case) | (np.isnan(comparison) & np.isnan(case))
    for player in range(n):
        values[same[:, function.player == player].all(axis=1), player] = 0.0
    return values


def _weights(n: int) -> tuple[Floats, Floats]:
    """Weight of v(S) for a member of S and for another player, by the size of S."""
    whole = factorial(n)
    of_member = [0.0] + [factorial(s - 1) * factorial(n - s) / whole for s in range(1, n + 1)]
    of_other = [factorial(s) * factorial(n - s - 1) / whole for s in range(n)] + [0.0]
    return np.array(of_member), np.array(of_other)
