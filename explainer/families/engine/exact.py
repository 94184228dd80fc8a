"""Exact interventional Shapley values of a tree ensemble, with groups of columns as players.

The worth of a coalition S is the mean, over the comparison rows z and with their weights, of the
margin of (the case on S, z elsewhere). For one leaf of value v and a pair of case x and row z, let
A be the players whose conditions x meets and z does not, B those z meets and x does not. If some
player fails for both, nobody reaches the leaf. Otherwise each player of A gets
v (|A|-1)! |B|! / (|A|+|B|)!  and each of B gets  -v |A|! (|B|-1)! / (|A|+|B|)!  (Lundberg et al.
2020, Nature MI 2, 56; Laberge and Pequignot 2022, arXiv 2209.15123). Several conditions of one
player on a path are one condition, so the formula holds for groups of columns unchanged.

Three ways, chosen when the ensemble is laid out, so that the choice never depends on a case:

- *Tables.* What a leaf gives to whom depends on a row only through the set of players whose
  conditions it fails. The comparison rows are counted by that pattern, and for every pattern a case
  may have the contributions are summed once (tables by pattern: Wettenstein and Nadel 2025,
  Woodelf). Leaves below one node share a table where that makes it no larger. A case costs one
  pattern and one row of a table, however many comparison rows there are.
- *Counts.* Where a path has too many players for a table, only the counts by pattern are kept, one
  or two bytes each. A case sums the counts of the patterns that go with its own: those of rows that
  fail nobody it fails. That costs more than a table, and no more with more rows.
- *Walk.* Where counts would take too much memory, where rows are weighted or where there are few,
  the case goes through the tree with the set of comparison rows that can still reach the leaf, 64
  to a word. B is the same for all of them; how many players of A each has is counted on the way.
  Where nobody is left, the walk turns back.

Everything is summed in double precision in a fixed order: the bits of a value are the same for a
case alone, in a batch, in any thread and in another process.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Protocol

import numpy as np

from explainer.families.engine.forest import Codes, Floats, Ints, Trees
from explainer.families.engine.kernel import Kernel, kernel
from explainer.families.engine.portable import Portable

MOST_BITS = 14
"""Players on the path to a leaf that still has a table, of 2**14 rows. Each further one doubles the
table and trebles what it takes to fill it."""
MOST_BYTES = 150e6
"""All tables together; what does not fit is counted or walked."""
MOST_COUNTED = 600e6
"""Bytes of all counts together; where they do not fit, all leaves without a table are walked to."""
FEWEST_COUNTED = 65
"""Comparison rows from where on leaves without a table are counted: fewer fit one word."""
SPARE = 2.0
"""A shared table may be this much larger than the tables it stands for."""
AT_ONCE = 4096
"""Cases handed to the kernel in one call."""
KEPT_SAMPLES = 4


class Exact:
    """An ensemble and the rows every case is compared with, laid out once."""

    def __init__(
        self,
        trees: Trees,
        comparison: Floats,
        weights: Floats | None = None,
        *,
        most_bits: int = MOST_BITS,
        most_bytes: float = MOST_BYTES,
        spare: float = SPARE,
        most_counted: float | None = None,
        sharing: int = 1,
        compiled: bool = True,
    ) -> None:
        """Count the comparison rows.

        Parameters
        ----------
        comparison : ndarray of shape (n_rows, n_source), the model's own columns
        weights : ndarray of shape (n_rows,), not negative, any sum above 0; default: all alike
        most_bits, most_bytes : from where on a leaf has no table
        most_counted : bytes of counts; default: MOST_COUNTED, or none for few comparison rows
        sharing : how many ensembles of a model share them
        compiled : whether the compiled kernel is used where there is one

        Raises
        ------
        ArtefactRefused : there is no compiled kernel, and a tree is too large to do without
        """
        comparison = np.array(comparison, dtype=np.float64)
        if not len(comparison):
            raise ValueError("there is no row to compare with")
        if not 0 <= most_bits <= 14:
            raise ValueError("tables have 0 to 14 bits")
        if weights is not None:
            weights = np.array(weights, dtype=np.float64)
            if weights.shape != (len(comparison),) or not (
                bool(np.isfinite(weights).all()) and bool((weights >= 0).all())
            ):
                raise ValueError("one weight per comparison row is asked for, none below 0")
            if not weights.any():
                raise ValueError("the weights of the comparison rows sum to 0")
            # only their ratios count, and the sum of numbers up to 1 is neither infinite nor tiny
            weights = weights / weights.max()
        if most_counted is None:
            most_counted = MOST_COUNTED if len(comparison) >= FEWEST_COUNTED else 0.0
        most_counted /= sharing
        self._trees = trees
        self._kernel: Kernel | None = kernel() if compiled else None
        self._limits = (most_bits, most_bytes, spare, most_counted)
        self._codes = self._encode(comparison)
        self._engine = self._build(self._codes, weights, tables=True)
        self._samples: dict[bytes, Engine] = {}
        self._lock = threading.Lock()
        self._comparison, self._weights = comparison, weights

    @property
    def way(self) -> str:
        """`kernel` or `portable`: the same values, faster or slower."""
        return "portable" if self._kernel is None else "kernel"

    @property
    def table_bytes(self) -> int:
        """Memory of the tables and counts."""
        return self._engine.table_bytes

    @cached_property
    def base(self) -> float:
        """Mean margin of the comparison rows: a case's margin less the sum of its values."""
        return float(np.average(self._trees.sums(self._comparison), weights=self._weights))

    def values(self, rows: Floats, threads: int = 1) -> Floats:
        """Shapley values of each case.

        Parameters
        ----------
        rows : ndarray of shape (n_cases, n_source), the model's own columns
        threads : how many threads share the cases; the values do not depend on it

        Returns
        -------
        ndarray of shape (n_cases, n_players), in raw margin
        """
        rows = np.asarray(rows, dtype=np.float64)
        n = len(rows)
        if n == 0:
            return np.zeros((0, self._trees.n_players))
        threads = max(1, threads)
        # as many parts for one thread as for the other
        rounds = -(-n // (AT_ONCE * threads))
        each = -(-n // (rounds * threads))
        parts = [rows[first : first + each] for first in range(0, n, each)]
        if len(parts) == 1 or threads == 1:
            found = [self._part(part) for part in parts]
        else:
            with ThreadPoolExecutor(threads) as pool:
                found = list(pool.map(self._part, parts))
        return found[0] if len(found) == 1 else np.concatenate(found)

    def row_values(self, row: Floats, sample: Ints) -> Floats:
        """Shapley values of one case against single comparison rows, for the stability of signs.

        Parameters
        ----------
        row : ndarray of shape (n_source,), the model's own columns
        sample : ndarray of shape (n_sample,), positions of comparison rows; the first call with a
            sample lays it out, and the last few are kept

        Returns
        -------
        ndarray of shape (n_sample, n_players), in raw margin, weights left aside. Over all rows
        once each, their mean is what `values` gives without weights.
        """
        sample = np.ascontiguousarray(sample, dtype=np.int64)
        key = sample.tobytes()
        with self._lock:
            engine = self._samples.get(key)
            if engine is None:
                engine = self._build(self._codes[sample], None, tables=False)
                while len(self._samples) >= KEPT_SAMPLES:
                    self._samples.pop(next(iter(self._samples)))
                self._samples[key] = engine
        return engine.row_values(self._encode(np.asarray(row, dtype=np.float64)[None, :]))

    def _part(self, rows: Floats) -> Floats:
        return self._engine.values(self._encode(rows))

    def _encode(self, rows: Floats) -> Codes:
        if self._kernel is None:
            return self._trees.encode(rows)
        return self._kernel.encode(self._trees, rows)

    def _build(self, codes: Codes, weights: Floats | None, *, tables: bool) -> Engine:
        total = float(len(codes)) if weights is None else float(weights.sum())
        share = 1 / total if tables else 1.0
        shapley = shapley_weights(min(self._trees.depth, self._trees.n_players) + 1)
        if self._kernel is None:
            return Portable(self._trees, codes, weights, share, shapley)
        most_bits, most_bytes, spare, most_counted = self._limits
        return self._kernel.build(
            self._trees,
            codes,
            weights,
            share,
            shapley,
            tables=tables,
            most_bits=most_bits,
            most_bytes=most_bytes,
            spare=spare,
            most_counted=most_counted,
        )


class Engine(Protocol):
    """What the kernel and its stand-in have in common."""

    table_bytes: int

    def values(self, codes: Codes) -> Floats: ...

    def row_values(self, codes: Codes) -> Floats: ...


def shapley_weights(width: int) -> tuple[Floats, Floats]:
    """Weights of a player of A and of B, both of shape (width, width), by |B|, then |A|.

    (a-1)! b! / (a+b)!  is 1/a for b = 0, and b / (a+b) of its neighbour with one b less.
    """
    a = np.arange(width, dtype=np.float64)
    of_a = np.zeros((width, width))
    of_a[0, 1:] = 1 / a[1:]
    for b in range(1, width):
        of_a[b, 1:] = of_a[b - 1, 1:] * b / (a[1:] + b)
    # a player of B is one of A with the sides exchanged, and loses what that one gains
    return of_a, -of_a.T.copy()
