"""Scores of two classes, as a model from elsewhere gives them, become one margin a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from explainer.core.attribution import Space
from explainer.errors import ModelFailed
from explainer.families.engine.forest import Floats

SCORES = (Space.PROBABILITY, Space.LOG_ODDS)
"""What scores of classes may be."""

SUM = 1e-5
"""How far the two scores of a row may be from their sum, 1 or 0, in single precision."""


def second_class(scores: Any, n_rows: int, space: Space, where: str) -> Floats:
    """Margins, ndarray of shape (n_rows,), from scores of shape (n,), (n, 1) or (n, 2).

    Two scores of a row must be what two classes have: probabilities that add up to 1, or log-odds
    that add up to 0. Raises ModelFailed.
    """
    found = np.asarray(scores, dtype=np.float64)
    if found.shape == (n_rows, 2):
        whole = 1.0 if space is Space.PROBABILITY else 0.0
        size = np.maximum(1.0, np.abs(found).max(axis=1, initial=0.0))
        # "not <=" so that a NaN is caught as well
        if not (np.abs(found.sum(axis=1) - whole) <= SUM * size).all():
            raise ModelFailed(
                f"The two scores of a row are no {space} of two classes.",
                where,
                'Declare what the model gives: "gives", docs/formats.md.',
            )
        found = found[:, 1]
    elif found.shape in ((n_rows,), (n_rows, 1)):
        found = found.reshape(-1)
    else:
        raise ModelFailed(
            "The model gave another number of scores than it was asked for.",
            where,
            "Run `warum package check` on the package.",
        )
    if not np.isfinite(found).all():
        raise ModelFailed(
            "The model gave a number that is not finite.",
            where,
            "Run `warum package check` on the package.",
        )
    if space is Space.PROBABILITY and not ((found >= -SUM) & (found <= 1 + SUM)).all():
        raise ModelFailed(
            "The model gave a number that is no probability.",
            where,
            'Declare what the model gives: "gives", docs/formats.md.',
        )
    return np.ascontiguousarray(found)
