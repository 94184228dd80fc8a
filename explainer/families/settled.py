"""Whether estimated contributions are precise enough for all that is said of them.

Whoever asks says what would be said of an attribution. It is settled if the same would be said of
every other one that lies three standard errors away: one feature more or less, one of two
neighbours in rank more and the other less, the largest few together more and all others less.
Everything moves as the errors hang together, so what is added here is taken elsewhere and the sum
stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from explainer.core.attribution import Attribution
from explainer.families.engine.forest import Floats

Said = Callable[[Attribution], object]
"""What would be said of an attribution; equal for two that read alike."""

MOST = 0.02
"""Part of the total movement that three standard errors may be at most: larger are not told."""

SMALL = 0.1
"""Margin scales: where the total movement is smaller than that, errors are measured on this, since
no shares are told then."""

TOGETHER = 6
"""So many of the largest are moved together; no more are ever told."""


def precise(attribution: Attribution) -> bool:
    """Whether the contributions may be told at all."""
    whole = max(attribution.movement, SMALL * attribution.comparison.scale)
    return attribution.imprecision <= MOST * whole


def settled(attribution: Attribution, covariance: Floats, said: Said) -> bool:
    """Whether nothing that is said could change; `covariance` is that of the contributions'
    errors, an ndarray of shape (n_features, n_features)."""
    told = said(attribution)
    return all(said(other) == told for other in _others(attribution, covariance))


def _others(attribution: Attribution, covariance: Floats) -> Iterator[Attribution]:
    phi = np.array([each.phi for each in attribution.contributions])
    for direction in _directions(phi):
        moved = covariance @ direction
        square = float(direction @ moved)
        if square <= 0:
            continue
        step = 3 * moved / np.sqrt(square)
        for other in (phi + step, phi - step):
            yield replace(
                attribution,
                contributions=tuple(
                    replace(each, phi=float(value))
                    for each, value in zip(attribution.contributions, other, strict=True)
                ),
            )


def _directions(phi: Floats) -> Iterator[Floats]:
    yield from np.eye(len(phi))
    order = np.argsort(-np.abs(phi), kind="stable")
    size = np.zeros((len(phi), len(phi)))
    size[np.arange(len(phi)), order] = np.sign(phi[order])
    yield from size[:-1] - size[1:]
    yield from np.cumsum(size, axis=0)[: min(TOGETHER, len(phi) - 1)]
