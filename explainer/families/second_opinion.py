"""Witnesses against our own numbers: brute force through the original model, and shap.

Slow, and shap alone takes seconds to import: they speak when a package is checked and in the
tests, never while a person waits.

Where the rows of the comparison group do not weigh alike, the few rows that witnesses are asked
about do not either: the first weighs 1, the second 2, and on. Witnesses that know no weights are
given each row as often as it weighs. That the group's own weights are the ones that count, every
explanation shows by its sum.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainer.core.case import FeatureCatalogue, Scalar
from explainer.families.against import against
from explainer.families.attribute import Explained
from explainer.families.engine import forest
from explainer.families.engine.estimate import Stage
from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Floats, Test, Trees
from explainer.families.engine.kernel import kernel
from explainer.families.engine.linear import Linear
from explainer.families.engine.reference import brute_force
from explainer.families.model import RawRow
from explainer.families.weights import mean

MOST_ENUMERATED = 14
"""Features up to which all coalitions are asked: each more doubles the answers that takes."""

AT_A_TIME = 10
"""Features that differ between case and comparison row where there are more than that."""

ROUNDS = 64
ALLOWED = 6.0
"""How our estimate is asked beside brute force, and how many standard errors it may be off: few
rows tell the error itself less well than a comparison group does."""

SEED = 20261122


@dataclass(frozen=True, slots=True)
class Witness:
    """A second way to the numbers.

    `name` says which, as the report has it. `differs` is how far our values for a case against
    some comparison rows are from its own, at most; NaN counts as far.
    """

    name: str
    differs: Callable[[RawRow, Sequence[RawRow]], float]


def witnesses(explained: Explained) -> list[Witness]:
    """Who can be asked about this model; never nobody."""
    form = explained.model.forms[0]
    estimate = Witness(
        f"brute force, {AT_A_TIME} features at a time, within the error of the estimate",
        lambda row, comparison: estimate_by_parts(explained, row, comparison),
    )
    if len(explained.catalogue) <= MOST_ENUMERATED:
        return [
            _whole("brute force over all coalitions", explained, by_brute_force),
            _whole("shap's exact explainer", explained, by_shap),
            *([estimate] if explained.estimated else []),
        ]
    if explained.estimated:
        return [estimate]
    found = [
        Witness(
            f"brute force, {AT_A_TIME} features at a time",
            lambda row, comparison: by_parts(explained, row, comparison),
        )
    ]
    if isinstance(form, Linear):
        found.append(_whole("the model itself, one feature at a time", explained, one_at_a_time))
    elif isinstance(form, Trees) and _plain(form):
        found.append(_whole("shap's tree explainer on our trees", explained, by_tree_shap))
    elif isinstance(form, Trees) and kernel() is not None:
        found.append(_whole("the kernel's twin in NumPy", explained, by_twin))
    return found


def _whole(
    name: str,
    explained: Explained,
    values: Callable[[Explained, RawRow, Sequence[RawRow]], Floats],
) -> Witness:
    def differs(row: RawRow, comparison: Sequence[RawRow]) -> float:
        mine = ours(explained, row, comparison)
        return float(abs(mine - values(explained, row, comparison)).max())

    weighed = "" if explained.weights is None else ", comparison rows weighed 1, 2, 3 and on"
    return Witness(name + weighed, differs)


def _weights(explained: Explained, count: int) -> Floats | None:
    """What the rows weigh that witnesses are asked about."""
    return None if explained.weights is None else np.arange(1.0, count + 1)


def _as_often(explained: Explained, comparison: Sequence[RawRow]) -> Sequence[RawRow]:
    """The rows, each as often as it weighs."""
    weights = _weights(explained, len(comparison))
    if weights is None:
        return comparison
    return [z for z, times in zip(comparison, weights, strict=True) for _ in range(int(times))]


def ours(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """Our values for one case against the given comparison rows; shape (n_features,)."""
    answer = explained.model.answer([row, *comparison])
    contrast = explained.contrast(row)
    nobody = np.zeros(1, dtype=np.int64)
    found = against(explained.model, answer.columns[1:], _weights(explained, len(comparison)))
    return next(found.measured(answer.columns[0], contrast, nobody)).values


def by_brute_force(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """The same by enumerating every coalition, with the original pipeline's own margins."""
    names, contrast = explained.catalogue.names, explained.contrast(row)

    def margin(rows: list[list[Scalar | None]]) -> Floats:
        asked = [dict(zip(names, r, strict=True)) for r in rows]
        return explained.model.answer(asked).of(contrast)

    return brute_force(
        margin,
        [row[n] for n in names],
        [[z[n] for n in names] for z in comparison],
        _weights(explained, len(comparison)),
    )


def by_shap(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """The same by shap's exact explainer on the raw features, with an explicit masker.

    The masker is told how many rows to keep: left to itself shap cuts them to 100 unasked.
    """
    comparison = _as_often(explained, comparison)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shap = _shap()
        codes = _Codes(explained.catalogue, [row, *comparison])
        masker = shap.maskers.Independent(codes.encode(comparison), max_samples=len(comparison))
        contrast = explained.contrast(row)
        explainer = shap.explainers.Exact(
            lambda rows: explained.model.answer(codes.decode(rows)).of(contrast), masker
        )
        answer = explainer(
            codes.encode([row]), max_evals=2 ** len(explained.catalogue), silent=True
        )
    return np.asarray(answer.values[0], dtype=np.float64)


def by_parts(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> float:
    """How far our values are from brute force where only few features differ, at most.

    The comparison row is the case with some features from another row. A feature that does not
    differ gives nothing, so enumerating the others is the whole game, however many there are.
    """
    gaps = [
        abs(ours(explained, row, [mixed]) - theirs).max()
        for mixed, theirs in _parts(explained, row, comparison)
    ]
    return float(np.max(gaps))  # a NaN stays one


def estimate_by_parts(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> float:
    """How much further than their errors allow our estimates are from brute force, at most, over
    the same mixed rows as one comparison group. Where nothing is estimated, no error is allowed."""
    parts = list(_parts(explained, row, comparison))
    columns = explained.model.answer([row, *(mixed for mixed, _ in parts)]).columns
    weights = _weights(explained, len(parts))
    found = explained.model.row_values(
        columns[0], columns[1:], explained.contrast(row), Stage(0, ROUNDS), weights
    )
    gaps = abs(found.values - mean(np.array([theirs for _, theirs in parts]), weights))
    return float(np.max(np.maximum(gaps - ALLOWED * found.errors, 0)))


def _parts(
    explained: Explained, row: RawRow, comparison: Sequence[RawRow]
) -> Iterator[tuple[RawRow, Floats]]:
    """The case with some features from another row, and its values against that row by brute
    force; each feature is in one part of each comparison row."""
    random = np.random.default_rng(SEED)
    names, contrast = explained.catalogue.names, explained.contrast(row)
    for other in comparison:
        order = [names[at] for at in random.permutation(len(names))]
        for first in range(0, len(order), AT_A_TIME):
            part = order[first : first + AT_A_TIME]

            def margin(rows: list[list[Scalar | None]], part: list[str] = part) -> Floats:
                asked = [{**row, **dict(zip(part, given, strict=True))} for given in rows]
                return explained.model.answer(asked).of(contrast)

            theirs = brute_force(margin, [row[n] for n in part], [[other[n] for n in part]])
            of_part = dict(zip(part, theirs, strict=True))
            yield (
                {**row, **{name: other[name] for name in part}},
                np.array([of_part.get(name, 0.0) for name in names]),
            )


def one_at_a_time(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """The same for a weighted sum, by the original model: what one feature changes in a
    comparison row is its value against that row, whatever the others are."""
    answer, contrast = explained.model.answer, explained.contrast(row)
    before = answer(comparison).of(contrast)
    weights = _weights(explained, len(comparison))
    moved = [
        answer([{**z, name: row[name]} for z in comparison]).of(contrast) - before
        for name in explained.catalogue.names
    ]
    return mean(np.array(moved).T, weights)


def by_tree_shap(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """The same by shap's interventional tree explainer on our form of the trees.

    It knows numbers with a threshold only, and columns, not features. Because it narrows thresholds
    to single precision, it is given the codes that the trees compare. That the trees and their
    codes are the model's own, every explanation shows by its sum.
    """
    columns = explained.model.answer([row, *_as_often(explained, comparison)]).columns
    return _of_contrast(explained, row, lambda form: _tree_shap(form, columns))


def _tree_shap(form: Trees, columns: Floats) -> Floats:
    codes = form.encode(columns).astype(np.float64)
    codes[codes == forest.MISSING] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shap = _shap()
        masker = shap.maskers.Independent(codes[1:], max_samples=len(codes) - 1)
        explainer = shap.TreeExplainer(
            {"trees": list(_as_shap_has_them(form)), "input_dtype": np.float64},
            masker,
            feature_perturbation="interventional",
        )
        told = explainer.shap_values(codes[:1], check_additivity=False)
    by_column = np.asarray(told, dtype=np.float64).reshape(-1)
    found = np.zeros(form.n_players)
    found[[column.player for column in form.columns]] = by_column
    return found


def by_twin(explained: Explained, row: RawRow, comparison: Sequence[RawRow]) -> Floats:
    """The same by the engine's second implementation, which the compiled kernel shares no code
    with but the form of the trees."""
    columns = explained.model.answer([row, *comparison]).columns
    weights = _weights(explained, len(comparison))

    def values(form: Trees) -> Floats:
        found: Floats = Exact(form, columns[1:], weights, compiled=False).values(columns[:1])[0]
        return found

    return _of_contrast(explained, row, values)


def _of_contrast(explained: Explained, row: RawRow, values: Callable[[Trees], Floats]) -> Floats:
    """Values of the suggested output, minus those of the runner-up where there is one."""
    contrast = explained.contrast(row)
    towards, away = explained.model.forms[contrast.towards], contrast.away
    assert isinstance(towards, Trees)  # noqa: S101 - see `witnesses`
    if away is None:
        return values(towards)
    other = explained.model.forms[away]
    assert isinstance(other, Trees)  # noqa: S101
    return values(towards) - values(other)


def _plain(trees: Trees) -> bool:
    """Whether every feature is one column, and every column numbers with thresholds."""
    players = [column.player for column in trees.columns]
    return len(set(players)) == len(players) and all(
        column.test is not Test.ONE_OF for column in trees.columns
    )


def _as_shap_has_them(trees: Trees) -> Iterator[dict[str, Any]]:
    """A code goes left up to the node's highest; a missing value where the node says."""
    for root in trees.roots:
        levels = [np.array([root])]
        while len(levels[-1]):
            inner = levels[-1][trees.left[levels[-1]] >= 0]
            levels.append(np.concatenate([trees.left[inner], trees.right[inner]]))
        nodes = np.concatenate(levels)
        leaf = trees.left[nodes] < 0
        place = np.zeros(len(trees.left), dtype=np.int64)
        place[nodes] = np.arange(len(nodes))
        left = np.where(leaf, -1, place[trees.left[nodes]])
        right = np.where(leaf, -1, place[trees.right[nodes]])
        yield {
            "children_left": left,
            "children_right": right,
            "children_default": np.where(trees.missing_left[nodes], left, right),
            "features": np.where(leaf, 0, trees.column[nodes]),
            "thresholds": np.where(leaf, 0, trees.high[nodes]).astype(np.float64),
            "values": np.where(leaf, trees.value[nodes], 0.0)[:, None],
            "node_sample_weight": np.ones(len(nodes)),
        }


def _shap() -> Any:
    # shap compiles its loops for 25 seconds; for the few rows asked here, plain Python answers in
    # half a second. Set later than numba is imported, it would leave what is compiled already
    # beside what is not, and neither can call the other.
    if "numba" not in sys.modules:
        os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
    import shap

    return shap


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
