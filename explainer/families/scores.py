"""Numbers that a model from elsewhere gives for rows become margins, one for each output."""

from __future__ import annotations

from typing import Any

import numpy as np

from explainer.core.attribution import Space, Task
from explainer.errors import ModelFailed
from explainer.families.engine.forest import Floats
from explainer.families.model import Target

SUM = 1e-5
"""How far the scores of a row may be from their sum in single precision: probabilities from 1, the
log-odds of two classes from 0."""


def spaces_of(target: Target) -> tuple[Space, ...]:
    """What the numbers of a model for this target may be."""
    if target.task is Task.AMOUNT:
        return (Space.AMOUNT,)
    return (Space.PROBABILITY, Space.LOG_ODDS)


def margins_of(scores: Any, n_rows: int, target: Target, space: Space, where: str) -> Floats:
    """Margins, ndarray of shape (n_rows, n_outputs), from what a model gave.

    Of two classes: scores of shape (n,), (n, 1) or (n, 2), whose margin is for the second. Of
    several: (n, n_classes), in the order of the target's classes. An amount: (n,) or (n, 1). All
    scores of a row must be what its classes have: probabilities that add up to 1; of two classes,
    log-odds that add up to 0. Raises ModelFailed.
    """
    found = np.asarray(scores, dtype=np.float64)
    if found.shape == (n_rows,):
        found = found[:, None]
    widths = {Task.AMOUNT: (1,), Task.BINARY: (1, 2)}.get(target.task, (target.outputs,))
    if found.ndim != 2 or len(found) != n_rows or found.shape[1] not in widths:
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
    if found.shape[1] > 1:
        _check_sums(found, space, where)
    if space is Space.PROBABILITY and not ((found >= -SUM) & (found <= 1 + SUM)).all():
        raise ModelFailed(
            "The model gave a number that is no probability.",
            where,
            'Declare what the model gives: "gives", docs/formats.md.',
        )
    return np.ascontiguousarray(found[:, -target.outputs :])


def _check_sums(scores: Floats, space: Space, where: str) -> None:
    """The log-odds of three or more classes may have any sum: only differences count."""
    n_classes = scores.shape[1]
    if space is not Space.PROBABILITY and n_classes > 2:
        return
    whole = 1.0 if space is Space.PROBABILITY else 0.0
    size = np.maximum(1.0, np.abs(scores).max(axis=1))
    with np.errstate(over="ignore"):
        sums = scores.sum(axis=1)
    if not (np.abs(sums - whole) <= SUM * size).all():
        count = "two" if n_classes == 2 else n_classes
        raise ModelFailed(
            f"The {count} scores of a row are no {space} of {count} classes.",
            where,
            'Declare what the model gives: "gives", docs/formats.md.',
        )
