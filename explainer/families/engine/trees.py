"""One internal form of a tree ensemble: every leaf as the conditions on the way to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A sum of trees, flattened to leaves, with players in place of columns.

    A *slot* is one player on the path to one leaf; it holds when all conditions the path puts on
    that player's columns hold. Slots are ordered by leaf, then by player; conditions by slot.

    Attributes
    ----------
    value : ndarray of shape (n_leaves,), in raw margin, learning rate included
    leaf_start : ndarray of shape (n_leaves,), first slot of each leaf
    slot_player : ndarray of shape (n_slots,), index of the player
    slot_start : ndarray of shape (n_slots,), first condition of each slot
    column : ndarray of shape (n_conditions,), index of the model column
    threshold : ndarray of shape (n_conditions,)
    goes_left : ndarray of shape (n_conditions,), True where the path takes `x <= threshold`
    single_precision : whether the library narrows values to float32 before comparing
    n_players : number of features people know
    """

    value: Floats
    leaf_start: Ints
    slot_player: Ints
    slot_start: Ints
    column: Ints
    threshold: Floats
    goes_left: Bools
    single_precision: bool
    n_players: int

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All but the number of players, by name."""
        return {
            **{name: getattr(self, name) for name in _ARRAYS},
            "single_precision": np.array([self.single_precision]),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]], n_players: int) -> Ensemble:
        """Put together again, and checked. Raises KeyError or ValueError."""
        for name, kind in _ARRAYS.items():
            if arrays[name].dtype != kind or arrays[name].ndim != 1:
                raise ValueError(name)
        n_leaves, n_slots = len(arrays["value"]), len(arrays["slot_player"])
        n_conditions = len(arrays["column"])
        if not (
            len(arrays["leaf_start"]) == n_leaves
            and len(arrays["slot_start"]) == n_slots
            and len(arrays["threshold"]) == len(arrays["goes_left"]) == n_conditions
            and _within(arrays["leaf_start"], n_slots)
            and _within(arrays["slot_start"], n_conditions)
            and _within(arrays["slot_player"], n_players)
            and bool((arrays["column"] >= 0).all())
            and bool(np.isfinite(arrays["value"]).all())
        ):
            raise ValueError("ensemble")
        return cls(
            **{name: arrays[name] for name in _ARRAYS},
            single_precision=bool(arrays["single_precision"][0]),
            n_players=n_players,
        )

    def slots_held(self, rows: Floats) -> Bools:
        """Which slots hold for each row; ndarray of shape (n_rows, n_slots)."""
        if self.single_precision:
            # scikit-learn narrows the value and leaves the threshold in double precision
            rows = rows.astype(np.float32).astype(np.float64)
        met = (rows[:, self.column] <= self.threshold) == self.goes_left
        return np.logical_and.reduceat(met, self.slot_start, axis=1)

    def sums(self, rows: Floats) -> Floats:
        """Sum of the leaves each row falls into; ndarray of shape (n_rows,), without constant."""
        held = np.logical_and.reduceat(self.slots_held(rows), self.leaf_start, axis=1)
        return np.asarray((held * self.value).sum(axis=1))


_ARRAYS = {
    "value": np.float64,
    "leaf_start": np.int64,
    "slot_player": np.int64,
    "slot_start": np.int64,
    "column": np.int64,
    "threshold": np.float64,
    "goes_left": np.bool_,
}


def _within(places: NDArray[Any], end: int) -> bool:
    return bool((places >= 0).all() and (places < end).all())


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf while an ensemble is being built: its value and conditions by player."""

    value: float
    conditions: dict[int, list[tuple[int, float, bool]]]
    """player -> (column, threshold, goes_left) on the path"""


def ensemble_of(leaves: list[Leaf], *, n_players: int, single_precision: bool) -> Ensemble:
    """Lay leaves out as arrays. A leaf without conditions (a tree that is one leaf) moves
    nobody and is left out: it belongs to the constant."""
    value: list[float] = []
    leaf_start: list[int] = []
    slot_player: list[int] = []
    slot_start: list[int] = []
    column: list[int] = []
    threshold: list[float] = []
    goes_left: list[bool] = []
    for leaf in leaves:
        if not leaf.conditions:
            continue
        value.append(leaf.value)
        leaf_start.append(len(slot_player))
        for player in sorted(leaf.conditions):
            slot_player.append(player)
            slot_start.append(len(column))
            for at, limit, left in leaf.conditions[player]:
                column.append(at)
                threshold.append(limit)
                goes_left.append(left)
    return Ensemble(
        np.array(value, dtype=np.float64),
        np.array(leaf_start, dtype=np.int64),
        np.array(slot_player, dtype=np.int64),
        np.array(slot_start, dtype=np.int64),
        np.array(column, dtype=np.int64),
        np.array(threshold, dtype=np.float64),
        np.array(goes_left, dtype=np.bool_),
        single_precision,
        n_players,
    )
