"""What the rows of a comparison group weigh, and what follows from that.

Weights are an ndarray of shape (n_rows,), the heaviest 1; None where all rows weigh alike. Only
their ratios count. They say for how many applications a row of a sample stands, as the design
weights of a stratified sample do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from explainer.errors import BackgroundInvalid
from explainer.families.engine.forest import Floats, Ints

FEWEST_ROWS = 30
"""A comparison group has at least as many; one whose rows weigh unevenly, at least their worth."""

LIGHTEST = 1e-9
"""A row that weighs less, beside the heaviest, is as good as left out: then it had better be."""


def weights_of(given: Sequence[float] | None) -> Floats | None:
    """Weights as they are used, from positive finite numbers, one for each row.

    Weights that are all the same are none, so that nothing depends on whether they were written.

    Raises BackgroundInvalid where they are so uneven that the group is worth fewer than 30 rows.
    """
    if given is None:
        return None
    weights: Floats = np.array(given, dtype=np.float64)
    weights /= weights.max()
    if bool((weights == 1).all()):
        return None
    heaviest = int(weights.argmax()) + 2  # its line
    if weights.min() < LIGHTEST:
        middle = float(np.median(weights))
        if middle * middle < weights.min():  # nearer to the lightest, as ratios go
            raise BackgroundInvalid(
                f"Line {heaviest} weighs more than a billion times as much as the lightest row.",
                "background.csv",
                "Correct its weight: next to it no other row counts.",
            )
        raise BackgroundInvalid(
            f"Line {int(weights.argmin()) + 2} weighs less than a billionth of the heaviest row.",
            "background.csv",
            "Leave out rows that hardly count, or correct their weights.",
        )
    worth = rows_worth(len(weights), weights)
    # a little less, so that no last bit of a weight decides
    if worth < FEWEST_ROWS * (1 - 1e-9):
        raise BackgroundInvalid(
            f"Its {len(weights)} rows weigh so unevenly that they are worth only "
            f"{math.floor(10 * worth) / 10} rows that weigh alike. The heaviest stands in line "
            f"{heaviest}.",
            "background.csv",
            f"Give more rows, or rows that weigh more evenly: worth at least {FEWEST_ROWS}.",
        )
    return weights


def rows_worth(n_rows: int, weights: Floats | None) -> float:
    """How many rows that weigh alike tell a mean as well as these do: (sum of w)^2 / sum of w^2
    (Kish 1965, Survey Sampling, 11.7)."""
    return float(n_rows) if weights is None else float(weights.sum() ** 2 / (weights**2).sum())


def mean(values: Floats, weights: Floats | None) -> Floats:
    """Mean over the rows, which are the first axis."""
    found: Floats = (
        values.mean(axis=0) if weights is None else np.average(values, axis=0, weights=weights)
    )
    return found


def spread(values: Floats, weights: Floats | None) -> Floats:
    """The 90th less the 10th percentile over the rows, which are the first axis.

    Percentiles lie between two rows by linear interpolation (Hyndman and Fan 1996, definition 7).
    Of rows with weights they are those of a group in which every row stands as often as it weighs,
    the lightest once: sorted, a row of weight w fills the places from w_before to w_before + w - 1,
    between two rows one goes straight from one to the other, and a share q is looked up at place
    q (sum - 1). For whole weights, the lightest 1, that is the group with its rows repeated; where
    all weigh alike, the percentile without weights; and a last bit of a weight moves it by no more.
    """
    if weights is None:
        low, high = np.quantile(values, [0.1, 0.9], axis=0)
        found: Floats = high - low
        return found
    if values.ndim > 1:
        return np.array([spread(column, weights) for column in values.T])
    order = np.argsort(values, kind="stable")
    times = weights[order] / weights.min()
    until = np.cumsum(times)
    places = np.stack([until - times, until - 1], axis=1).reshape(-1)
    asked = np.array([0.1, 0.9]) * (until[-1] - 1)
    low, high = np.interp(asked, places, np.repeat(values[order], 2))
    return np.asarray(high - low)


def sample(n_rows: int, weights: Floats | None, size: int, seed: int) -> Ints:
    """Fixed positions of rows that stand for the group, in order; each counts once.

    Where all weigh alike, `size` different rows, or all where they are fewer. Otherwise a row comes
    as often as its part of the weight asks for, rounded up or down: the rows are lined up in a
    drawn order, each as long as it weighs, and taken wherever one of `size` even steps falls.
    """
    order = np.random.default_rng(seed).permutation(n_rows)
    if weights is None:
        drawn = order[:size]
    else:
        until = np.cumsum(weights[order])
        steps = (np.arange(size) + 0.5) / size * until[-1]
        drawn = order[np.searchsorted(until, steps, side="right")]
    return np.sort(drawn).astype(np.int64)
