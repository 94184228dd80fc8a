"""Shapley values by brute force over all coalitions: slow, obvious, the oracle.

v(S) is the mean, weighted where weights are given, over comparison rows of the model's margin with
the players of S taken from the case and the others from the comparison row (Janzing et al. 2020,
arXiv 1910.13413).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import factorial
from typing import TypeVar

import numpy as np

from explainer.families.engine.forest import Floats

AT_ONCE = 1024
"""Coalitions asked in one go: a pipeline takes milliseconds for a row, and for many at once."""

Item = TypeVar("Item")
Row = Sequence[Item]


def brute_force(
    margin: Callable[[list[list[Item]]], Floats],
    case: Row[Item],
    comparison: Sequence[Row[Item]],
    weights: Sequence[float] | Floats | None = None,
) -> Floats:
    """Shapley value of each position of `case`; ndarray of shape (n_players,).

    `margin` takes rows of players' values and gives their raw margins: it may be the original
    model itself, so that no step of ours is trusted. `weights` are of the comparison rows; default:
    all alike. Costs 2^players * rows evaluations.
    """
    n = len(case)
    worth = np.empty(2**n)
    for first in range(0, 2**n, AT_ONCE):
        coalitions = range(first, min(first + AT_ONCE, 2**n))
        rows = [
            [case[i] if coalition >> i & 1 else row[i] for i in range(n)]
            for coalition in coalitions
            for row in comparison
        ]
        margins = np.asarray(margin(rows)).reshape(len(coalitions), len(comparison))
        worth[first : first + len(coalitions)] = np.average(margins, axis=1, weights=weights)
    values = np.zeros(n)
    for coalition in range(2**n):
        size = coalition.bit_count()
        for i in range(n):
            if not coalition >> i & 1:
                weight = factorial(size) * factorial(n - size - 1) / factorial(n)
                values[i] += weight * (worth[coalition | 1 << i] - worth[coalition])
    return values
