"""Two witnesses against our own numbers: brute force through the original model, and shap.

Slow, and shap alone takes seconds to import: they speak when a package is checked and in the
tests, never while a person waits.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence

import numpy as np

from explainer.core.case import FeatureCatalogue, Scalar
from explainer.families.attribute import Explained, against
from explainer.families.engine.forest import Floats
from explainer.families.engine.reference import brute_force
from explainer.families.model import RawRow


def ours(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """Our values for one case against the given comparison rows; shape (n_features,)."""
    columns = explained.model.answer([row, *comparison]).columns
    nobody = np.zeros(1, dtype=np.int64)
    return against(explained.model, columns[1:]).measured(columns[0], nobody)[0]


def by_brute_force(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """The same by enumerating every coalition, with the original pipeline's own margins."""
    names = explained.catalogue.names

    def margin(rows: list[list[Scalar | None]]) -> Floats:
        return explained.model.answer([dict(zip(names, r, strict=True)) for r in rows]).margins

    return brute_force(margin, [row[n] for n in names], [[z[n] for n in names] for z in comparison])


def by_shap(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """The same by shap's exact explainer on the raw features, with an explicit masker.

    The masker is told how many rows to keep: left to itself shap cuts them to 100 unasked.
    """
    # shap compiles its loops for 25 seconds; for the few rows asked here, plain Python answers in
    # half a second. The setting is read when shap is first imported.
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

        codes = _Codes(explained.catalogue, [row, *comparison])
        masker = shap.maskers.Independent(codes.encode(comparison), max_samples=len(comparison))
        explainer = shap.explainers.Exact(
            lambda rows: explained.model.answer(codes.decode(rows)).margins, masker
        )
        answer = explainer(
            codes.encode([row]), max_evals=2 ** len(explained.catalogue), silent=True
        )
    return np.asarray(answer.values[0], dtype=np.float64)


class _Codes:
    """Raw rows as numbers and back, because shap's maskers mix arrays of numbers only."""

    def __init__(self, catalogue: FeatureCatalogue, rows: Sequence[RawRow]) -> None:
        self._names = catalogue.names
        self._values = {
            name: list(dict.fromkeys(row[name] for row in rows)) for name in self._names
        }

    def encode(self, rows: Sequence[RawRow]) -> Floats:
        return np.array(
            [[self._values[n].index(row[n]) for n in self._names] for row in rows],
            dtype=np.float64,
        )

    def decode(self, rows: Floats) -> list[RawRow]:
        return [
            {n: self._values[n][round(code)] for n, code in zip(self._names, row, strict=True)}
            for row in rows
        ]
