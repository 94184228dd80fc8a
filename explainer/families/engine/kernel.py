"""The compiled kernel, loaded where it was built into the package; see `build_kernel`.

Without it `portable.py` gives the same values, slower.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explainer.families.engine.build_kernel import SOURCE, built_name
from explainer.families.engine.forest import Bytes, Codes, Floats, Test, Trees

ABI = 2


class Kernel:
    """The loaded library; every array is checked for type, order and length before it is passed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        library = ctypes.CDLL(str(path))
        library.warum_kernel_abi.restype = ctypes.c_int32
        if library.warum_kernel_abi() != ABI:
            raise OSError(f"{path} is of another version")
        i32, i64, f64, data = ctypes.c_int32, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
        library.warum_kernel_vectors.restype = i32
        library.warum_encode.argtypes = [data, i64, i32, data, data, data, data]
        library.warum_encode.restype = None
        library.warum_build.argtypes = [
            *(i64, i64, i32, i32),
            *(data, data, data, data, data, data, data, data, i64, data, data),
            *(data, i64, data, f64, data, data, i32, i32, i32, f64, f64, f64),
        ]
        library.warum_build.restype = data
        library.warum_free.argtypes = [data]
        library.warum_free.restype = None
        library.warum_figures.argtypes = [data, data]
        library.warum_figures.restype = None
        library.warum_values.argtypes = [data, data, i64, data]
        library.warum_values.restype = i32
        library.warum_row_values.argtypes = [data, data, data]
        library.warum_row_values.restype = i32
        self._library = library

    @property
    def vectors(self) -> str:
        """The instruction set it runs on here."""
        return ("any", "avx2", "avx512")[self._library.warum_kernel_vectors()]

    def encode(self, trees: Trees, rows: Floats) -> Codes:
        """The same as `Trees.encode`, faster for a single row."""
        values, _ = trees.prepared(rows)
        values = np.ascontiguousarray(values)
        codes = np.empty(values.shape, dtype=np.int32)
        how = _how(trees)
        self._library.warum_encode(
            values.ctypes.data,
            values.shape[0],
            values.shape[1],
            trees.scale.ctypes.data,
            trees.scale_start.ctypes.data,
            how.ctypes.data,
            codes.ctypes.data,
        )
        return codes

    def build(
        self,
        trees: Trees,
        rows: Codes,
        weights: Floats | None,
        share: float,
        shapley: tuple[Floats, Floats],
        *,
        tables: bool,
        most_bits: int,
        most_bytes: float,
        spare: float,
        most_counted: float,
    ) -> Laid:
        """Tables and walk over `rows`; see kernel.cpp. `shapley` : weights of A and of B, both of
        shape (width, width) and indexed by |B|, then |A|."""
        n_nodes = len(trees.left)
        n_columns = len(trees.columns)
        width = len(shapley[0])
        rows = np.ascontiguousarray(rows, dtype=np.int32)
        if rows.ndim != 2 or rows.shape[1] != n_columns or not len(rows):
            raise ValueError("comparison rows do not fit the trees")
        if weights is not None:
            weights = np.ascontiguousarray(weights, dtype=np.float64)
            if weights.shape != (len(rows),):
                raise ValueError("there is not one weight per row")
        if width <= min(trees.depth, trees.n_players) or width > 1 << 15:
            raise ValueError("Shapley weights do not cover the longest path")
        arrays: list[NDArray[Any]] = [
            *(np.ascontiguousarray(a, dtype=np.int32) for a in (trees.roots, trees.left)),
            *(np.ascontiguousarray(a, dtype=np.int32) for a in (trees.right, trees.column)),
            *(trees.low, trees.high, trees.lut_at, trees.lut),
            np.array([column.player for column in trees.columns], dtype=np.int32),
            trees.value,
            *(np.ascontiguousarray(a, dtype=np.float64) for a in shapley),
        ]
        if any(a.shape != (width, width) for a in arrays[-2:]):
            raise ValueError("Shapley weights are not square")
        at = [array.ctypes.data for array in arrays]
        handle = self._library.warum_build(
            *(len(trees.roots), n_nodes, n_columns, trees.n_players),
            *(*at[:8], len(trees.lut), at[8], at[9]),
            *(rows.ctypes.data, len(rows)),
            *(None if weights is None else weights.ctypes.data, share, at[10], at[11], width),
            *(0 if tables else 1, most_bits, most_bytes, spare, most_counted),
        )
        if not handle:
            raise MemoryError("no memory for the tables of the model")
        return Laid(self._library, handle, n_columns, trees.n_players, len(rows), self)


class Laid:
    """What `Kernel.build` made; frees itself. Read only once built: any thread may ask."""

    def __init__(
        self,
        library: ctypes.CDLL,
        handle: int,
        n_columns: int,
        n_players: int,
        n_rows: int,
        kernel: Kernel,
    ) -> None:
        self._library = library
        self._handle = handle
        self._n_columns = n_columns
        self._n_players = n_players
        self._n_rows = n_rows
        self._kernel = kernel
        figures = np.zeros(4, dtype=np.int64)
        library.warum_figures(handle, figures.ctypes.data)
        self.table_bytes, self.groups, self.walked_leaves, self.walked_nodes = map(int, figures)

    def __del__(self) -> None:
        self._library.warum_free(self._handle)

    def values(self, codes: Codes) -> Floats:
        """ndarray of shape (n, n_players) for codes of shape (n, n_columns)."""
        codes = self._fitting(codes)
        values = np.zeros((len(codes), self._n_players))
        if self._library.warum_values(
            self._handle, codes.ctypes.data, len(codes), values.ctypes.data
        ):
            raise MemoryError("no memory to explain a case")
        return values

    def row_values(self, codes: Codes) -> Floats:
        """ndarray of shape (n_rows, n_players) for one case, codes of shape (1, n_columns)."""
        codes = self._fitting(codes)
        if len(codes) != 1:
            raise ValueError("one case is asked for")
        values = np.zeros((self._n_rows, self._n_players))
        if self._library.warum_row_values(self._handle, codes.ctypes.data, values.ctypes.data):
            raise MemoryError("no memory to explain a case")
        return values

    def _fitting(self, codes: Codes) -> Codes:
        codes = np.ascontiguousarray(codes, dtype=np.int32)
        if codes.ndim != 2 or codes.shape[1] != self._n_columns:
            raise ValueError("cases do not fit the trees")
        return codes


@lru_cache(maxsize=16)
def _how_of(tests: tuple[Test, ...]) -> Bytes:
    how = {Test.AT_MOST: 0, Test.BELOW: 1, Test.ONE_OF: 2}
    return np.array([how[test] for test in tests], dtype=np.uint8)


def _how(trees: Trees) -> Bytes:
    return _how_of(tuple(column.test for column in trees.columns))


@lru_cache(maxsize=1)
def kernel() -> Kernel | None:
    """The kernel of this process, or None where none was built, or WARUM_KERNEL=off."""
    if os.environ.get("WARUM_KERNEL") == "off":
        return None
    return load(SOURCE.parent)


def load(folder: Path) -> Kernel | None:
    """The library that was built into `folder` from the source as it is now, or None."""
    built = folder / built_name()
    if not built.is_file():
        return None
    try:
        return Kernel(built)
    except (OSError, AttributeError):
        return None  # built for another machine; portable.py gives the same values
