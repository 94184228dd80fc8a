"""Cases where models and their forms most easily part: on thresholds and beside them, with values
missing, with choices nobody has seen. Each must add up, or be refused.

Asked when a package is checked; the margin they must add up to is the library's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from explainer.core.case import Case, Feature, Kind, Missing, Scalar, Value
from explainer.errors import CaseError, DoesNotAddUp, NotExplainable
from explainer.families.attribute import Explained, raw_row
from explainer.families.engine import forest
from explainer.families.engine.forest import Floats, Test, Trees

MOST_OF_A_COLUMN = 12
MOST_ON_THRESHOLDS = 300
"""Thresholds that are tried, of a column and in all; those of a column spread over its range."""

UNSEEN = "a choice nobody has seen"


class Sort(StrEnum):
    """What is particular about a case."""

    ON = "on thresholds and beside them"
    NEAR = "nearest to thresholds of prepared columns"
    MISSING = "with a value missing"
    CHOICE = "with each choice, and one never seen"


@dataclass(frozen=True, slots=True)
class Tried:
    """One case that was tried: does it add up, or was it refused? `fault` says what is wrong."""

    sort: Sort
    feature: str
    adds_up: bool
    fault: str | None = None


def borders(explained: Explained, cases: Sequence[Case]) -> Iterator[Tried]:
    """Try cases made of recorded ones, a feature or two of each changed."""
    rows = explained.model.answer([raw_row(case) for case in cases]).columns
    for form in explained.model.forms:
        if isinstance(form, Trees):
            yield from _on_thresholds(explained, form, cases, rows)
    yield from _missing(explained, cases)
    yield from _choices(explained, cases)


def _on_thresholds(
    explained: Explained, form: Trees, cases: Sequence[Case], rows: Floats
) -> Iterator[Tried]:
    features = explained.catalogue.features
    used = np.unique(form.column[form.left >= 0])
    numbers = [int(k) for k in used if form.columns[k].test is not Test.ONE_OF]
    each = max(1, min(MOST_OF_A_COLUMN, MOST_ON_THRESHOLDS // max(1, len(numbers))))
    turn = 0
    for k in numbers:
        column = form.columns[k]
        feature = features[column.player]
        scale = form.scale[form.scale_start[k] : form.scale_start[k + 1]]
        scale = scale[np.isfinite(scale)]
        if not len(scale):  # only gaps are told from numbers
            continue
        chosen = scale[np.unique(np.linspace(0, len(scale) - 1, each).round().astype(int))]
        given = rows[:, column.source]
        if not _is_raw(feature, cases, given):
            if not np.isfinite(given).any():
                continue
            nearest = {int(np.nanargmin(abs(given - threshold))) for threshold in chosen}
            for at in sorted(nearest):
                yield _tried(explained, Sort.NEAR, feature, cases[at])
            continue
        values = [value for threshold in chosen for value in _beside(threshold, column, feature)]
        for value in dict.fromkeys(values + _special(column)):
            turn += 1
            yield _changed(explained, Sort.ON, cases[turn % len(cases)], feature, value)


def _is_raw(feature: Feature, cases: Sequence[Case], given: Floats) -> bool:
    """Whether a column is the feature's own value, as far as the recorded cases show."""
    if feature.kind is Kind.CHOICE:
        return False
    there = [
        (case.values[feature.name].value, given[at])
        for at, case in enumerate(cases)
        if case.values[feature.name].value is not None
    ]
    return bool(there) and all(raw == column for raw, column in there)


def _beside(threshold: float, column: forest.Column, feature: Feature) -> list[float]:
    """A threshold and its neighbours, in the precision in which it is compared."""
    if feature.kind is Kind.INTEGER:
        return [float(np.floor(threshold)), float(np.ceil(threshold))]
    around = [threshold, np.nextafter(threshold, -np.inf), np.nextafter(threshold, np.inf)]
    if column.single:
        with np.errstate(over="ignore"):
            narrow = np.float32(threshold)
            ways = (np.float32(-np.inf), np.float32(np.inf))
            around += [float(np.nextafter(narrow, way)) for way in ways]
    return [float(value) for value in around if np.isfinite(value)]


def _special(column: forest.Column) -> list[float]:
    """Numbers that a column takes for missing."""
    if isinstance(column.missing, forest.Missing):
        return [] if column.missing is forest.Missing.NAN else [0.0, forest.ZERO, -forest.ZERO]
    return [column.missing]


def _missing(explained: Explained, cases: Sequence[Case]) -> Iterator[Tried]:
    """Each feature that may be missing alone, and all of them at once."""
    optional = [feature for feature in explained.catalogue if feature.optional]
    nothing = Value(None, Missing.NOT_GIVEN)
    for turn, feature in enumerate(optional):
        case = _with(cases[turn % len(cases)], {feature.name: nothing})
        yield _tried(explained, Sort.MISSING, feature, case)
    if len(optional) > 1:
        case = _with(cases[0], {feature.name: nothing for feature in optional})
        yield _tried(explained, Sort.MISSING, optional[0], case)


def _choices(explained: Explained, cases: Sequence[Case]) -> Iterator[Tried]:
    """A choice that is not in the catalogue no case can have: here it is put before the model."""
    turn = 0
    for feature in explained.catalogue:
        if feature.kind is not Kind.CHOICE:
            continue
        for choice in (*feature.choices, UNSEEN):
            turn += 1
            case = _with(cases[turn % len(cases)], {feature.name: Value(choice)})
            yield _tried(explained, Sort.CHOICE, feature, case)


def _changed(
    explained: Explained, sort: Sort, case: Case, feature: Feature, value: Scalar
) -> Tried:
    try:
        given = Value(feature.check(value))
    except CaseError:  # outside the hard range
        return Tried(sort, feature.name, adds_up=False)
    return _tried(explained, sort, feature, _with(case, {feature.name: given}))


def _with(case: Case, values: Mapping[str, Value]) -> Case:
    return replace(case, values={**case.values, **values}, reported_margin=None)


def _tried(explained: Explained, sort: Sort, feature: Feature, case: Case) -> Tried:
    try:
        explained.attribute(case)
    except DoesNotAddUp as fault:
        return Tried(sort, feature.name, adds_up=False, fault=fault.what)
    except NotExplainable as fault:
        # a number that the catalogue allows needs an answer; a gap or a choice may be refused
        wrong = fault.what if sort in (Sort.ON, Sort.NEAR) else None
        return Tried(sort, feature.name, adds_up=False, fault=wrong)
    return Tried(sort, feature.name, adds_up=True)
