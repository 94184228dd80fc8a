"""From the columns a model works with to the features people know.

A one-hot block, or a value and its "was missing" indicator, is one player. Which column belongs
to which feature is read off the fitted steps, never guessed from column names. A step whose
columns are made of several features at once is named: they belong to none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.model import Input, named_once


@dataclass(frozen=True, slots=True)
class Traced:
    """What is read off a fitted preparation.

    Attributes
    ----------
    columns : for each column that comes out, the features it is made of
    stand_ins : what imputers put in the place of a missing value, by feature
    known : the raw values that encoders know, by feature
    mixing : the steps that make columns of several features, each as a person would name it;
        empty where every column belongs to one feature
    """

    columns: tuple[frozenset[str], ...]
    stand_ins: Mapping[str, float | str]
    known: Mapping[str, list[Any]]
    mixing: tuple[str, ...]

    def owners(self) -> list[str]:
        """The feature each column belongs to. Raises ArtefactRefused where one belongs to none."""
        if self.mixing:
            raise ArtefactRefused(
                "Columns of the model are made of several features at once: "
                f"{'; '.join(self.mixing)}.",
                "manifest.toml, model.mixing",
                'Write mixing = "by-answers" under [model]: then the whole pipeline is asked about '
                "every mixture of features. Or train without that step.",
            )
        return [min(column) for column in self.columns]

    def check_categories(self, inputs: Sequence[Input]) -> None:
        """Raise ArtefactRefused where an encoder would take a choice for something else, or one of
        two that it knows by the same name.

        A choice arrives as text: an encoder of numbers, or of None for what is missing, would call
        every one of them unknown and say nothing.
        """
        choices = {each.name: each.choices for each in inputs}
        for feature, categories in self.known.items():
            if choices.get(feature) is None:
                continue
            for category in categories:
                if not isinstance(category, str) and not _is_nan(category):
                    raise ArtefactRefused(
                        f"The model knows a category of {feature} that is no text "
                        f"({type(category).__name__}).",
                        f"features.toml, {feature}",
                        "Train with text for choices and NaN for what is missing.",
                    )
            named_once([each for each in categories if isinstance(each, str)], feature)


def traced(preparation: Any, names: Sequence[str]) -> Traced:
    """Follow the features `names` through a fitted preparation: one step, or a Pipeline of them.

    Raises ArtefactRefused where a step is not known, or puts something that is no value of a
    feature in the place of what is missing.
    """
    walk = _Walk()
    found = walk.through(preparation, [_Column(frozenset({name}), True) for name in names], "")
    return Traced(
        tuple(column.features for column in found),
        walk.stand_ins,
        walk.known,
        tuple(dict.fromkeys(walk.mixing)),
    )


@dataclass(frozen=True, slots=True)
class _Column:
    """The features a column is made of; whether it is the value of one as it came; and whether its
    gaps are filled."""

    features: frozenset[str]
    raw: bool = False
    filled: bool = False


_Columns = list[_Column]


@dataclass(slots=True)
class _Walk:
    stand_ins: dict[str, float | str] = field(default_factory=dict)
    known: dict[str, list[Any]] = field(default_factory=dict)
    mixing: list[str] = field(default_factory=list)

    def through(self, step: Any, columns: _Columns, where: str) -> _Columns:
        """The columns that come out of `step` when `columns` go in."""
        if step is None or (isinstance(step, str) and step == "passthrough"):
            return columns
        kind = type(step).__name__
        if kind not in _STEPS:
            raise _refused(where or kind, f"What {kind} makes of its columns is not known.")
        given = getattr(step, "n_features_in_", len(columns))
        if given != len(columns):
            raise _refused(where or kind, f"{kind} is given another number of columns.")
        return _STEPS[kind](self, step, columns, where)

    def mixed(self, step: Any, columns: _Columns, where: str) -> frozenset[str]:
        """All features of `columns`; more than one are written down."""
        features = _union(columns)
        if len(features) > 1:
            place = f"{type(step).__name__} in step {where}" if where else type(step).__name__
            self.mixing.append(f"{place}, of {', '.join(sorted(features))}")
        return features


def _kept(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    """One column out for each that goes in, made of nothing else."""
    return [replace(column, raw=False) for column in columns]


def _function(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    if step.func is None:  # what scikit-learn makes of "passthrough" when it fits
        return columns
    if isinstance(step.func, np.ufunc) and (step.func.nin, step.func.nout) == (1, 1):
        return _kept(walk, step, columns, where)
    raise _refused(where, "What the function of FunctionTransformer does is not known.")


def _steps(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    for name, inner in step.steps:
        columns = walk.through(inner, columns, _path(where, name))
    return columns


def _side_by_side(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    found: _Columns = []
    for name, inner in step.transformer_list:
        if not (isinstance(inner, str) and inner == "drop"):
            found += walk.through(inner, columns, _path(where, name))
    # it may weigh what comes out
    return found if not step.transformer_weights else _kept(walk, step, found, where)


def _by_columns(walk: _Walk, transformer: Any, columns: _Columns, where: str) -> _Columns:
    places: dict[int, _Column] = {}
    for name, step, given in transformer.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        here = _path(where, name)
        place = transformer.output_indices_[name]
        found = walk.through(step, _taken(transformer, name, given, columns, here), here)
        positions = range(place.start, place.stop)
        if len(found) != len(positions):
            raise _refused(here, f"{len(positions)} columns come out where {len(found)} should.")
        places.update(zip(positions, found, strict=True))
    return [places[position] for position in range(len(places))]


def _taken(transformer: Any, name: str, given: Any, columns: _Columns, where: str) -> _Columns:
    """The columns a step takes, by the positions scikit-learn itself uses. Where the file names
    them too, both must agree: else people would read wrong names."""
    taken = np.asarray(transformer._transformer_to_input_indices[name]).tolist()
    if not all(type(at) is int and 0 <= at < len(columns) for at in taken):
        raise _refused(where, "It takes columns that are not there.")
    given = [given] if isinstance(given, str) else given
    if isinstance(given, Sequence | np.ndarray) and any(isinstance(c, str) for c in given):
        names = [str(each) for each in transformer.feature_names_in_]
        if list(given) != [names[at] for at in taken]:
            raise _refused(where, "Its columns are named in two ways that differ.")
    return [columns[at] for at in taken]


def _filled(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    first = all(column.raw and not column.filled for column in columns)
    if not first or not _is_nan(step.missing_values):
        raise ArtefactRefused(
            "What it puts in the place of a missing value is no value of the feature.",
            f"pipeline step {where}",
            "Let SimpleImputer be the first step on these columns, for NaN.",
        )
    kept: _Columns = []
    for column, value in zip(columns, step.statistics_, strict=True):
        feature = min(column.features)
        used = value if isinstance(value, str) else float(value)
        other = walk.stand_ins.setdefault(feature, used)
        if other != used and not (_is_nan(other) and _is_nan(used)):
            raise ArtefactRefused(
                f"{feature} has two values for what is missing.",
                f"pipeline step {where}",
                "Use one SimpleImputer for each feature.",
            )
        # a feature that was never there in training is dropped unless it was told otherwise
        if step.keep_empty_features or not _is_nan(used):
            kept.append(replace(column, filled=True))
    return kept + _indicated(step.indicator_, columns)


def _indicator(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    return _indicated(step, columns)


def _indicated(indicator: Any, columns: _Columns) -> _Columns:
    if indicator is None:
        return []
    taken = np.asarray(indicator.features_).tolist()
    return [replace(columns[at], raw=False) for at in taken]


def _encoded(walk: _Walk, step: Any, columns: _Columns, where: str) -> list[int]:
    """How many categories each column has; those of raw values are written down."""
    for column, known in zip(columns, step.categories_, strict=True):
        if column.raw:
            walk.known.setdefault(min(column.features), np.asarray(known).tolist())
    return [len(known) for known in step.categories_]


def _one_hot(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    widths = _encoded(walk, step, columns, where)
    grouped = step.min_frequency is not None or step.max_categories is not None
    rare = getattr(step, "infrequent_categories_", None) if grouped else None
    for at in range(len(columns)):
        if rare is not None and rare[at] is not None:
            widths[at] += 1 - len(rare[at])
        if step.drop_idx_ is not None and step.drop_idx_[at] is not None:
            widths[at] -= 1
    if widths != [int(width) for width in step._n_features_outs]:
        raise _refused(where, "OneHotEncoder gives another number of columns than it says.")
    return _repeated(columns, widths)


def _ordinal(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    _encoded(walk, step, columns, where)
    return _kept(walk, step, columns, where)


def _by_target(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    _encoded(walk, step, columns, where)
    # one mean of what was to be learned, or one for each of several classes
    width = len(step.classes_) if step.target_type_ == "multiclass" else 1
    return _repeated(columns, [width] * len(columns))


def _binned(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    if step.encode == "ordinal":
        return _kept(walk, step, columns, where)
    return _repeated(columns, [int(bins) for bins in step.n_bins_])


def _curved(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    if step.extrapolation == "error":
        raise ArtefactRefused(
            "It gives no column for a value beyond those of training.",
            f"pipeline step {where}",
            'Train SplineTransformer with extrapolation="constant" or "linear".',
        )
    each = int(step.bsplines_[0].c.shape[1]) - (0 if step.include_bias else 1)
    return _repeated(columns, [each] * len(columns))


def _selected(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    return [columns[at] for at in np.flatnonzero(step.get_support()).tolist()]


def _products(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    found: _Columns = []
    for powers in np.asarray(step.powers_):
        # a column of ones never changes, whoever it is said to belong to
        used = [columns[at] for at in np.flatnonzero(powers).tolist()] or columns[:1]
        found.append(_Column(walk.mixed(step, used, where)))
    return found


def _components(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    return [_Column(walk.mixed(step, columns, where))] * len(step.components_)


def _whole_rows(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    return [_Column(walk.mixed(step, columns, where))] * len(columns)


def _from_neighbours(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    empty = np.asarray(step._mask_fit_X, dtype=np.bool_).all(axis=0)
    return _guessed(walk, step, columns, where, empty)


def _from_others(walk: _Walk, step: Any, columns: _Columns, where: str) -> _Columns:
    kinds = {type(each.estimator).__name__ for each in step.imputation_sequence_}
    if not kinds <= {"BayesianRidge"}:
        raise _refused(where, f"It asks other models: {', '.join(sorted(kinds))}.")
    empty = np.array([_is_nan(float(value)) for value in step.initial_imputer_.statistics_])
    return _guessed(walk, step, columns, where, empty)


def _guessed(walk: _Walk, step: Any, columns: _Columns, where: str, empty: Any) -> _Columns:
    """What is missing is put in from the other columns: no stand-in that could be told."""
    features = walk.mixed(step, columns, where)
    kept = len(columns) if step.keep_empty_features else len(columns) - int(np.sum(empty))
    return [_Column(features)] * kept + _indicated(step.indicator_, columns)


def _repeated(columns: _Columns, widths: Iterable[int]) -> _Columns:
    return [
        replace(column, raw=False)
        for column, width in zip(columns, widths, strict=True)
        for _ in range(width)
    ]


def _union(columns: _Columns) -> frozenset[str]:
    return frozenset().union(*(column.features for column in columns))


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else str(name)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _refused(where: str, what: str) -> ArtefactRefused:
    return ArtefactRefused(
        what, f"pipeline step {where}", f"Use one of these: {', '.join(sorted(_STEPS))}."
    )


_STEPS: Mapping[str, Callable[[_Walk, Any, _Columns, str], _Columns]] = {
    "Binarizer": _kept,
    "ColumnTransformer": _by_columns,
    "FeatureUnion": _side_by_side,
    "FunctionTransformer": _function,
    "IterativeImputer": _from_others,
    "KBinsDiscretizer": _binned,
    "KNNImputer": _from_neighbours,
    "MaxAbsScaler": _kept,
    "MinMaxScaler": _kept,
    "MissingIndicator": _indicator,
    "Normalizer": _whole_rows,
    "OneHotEncoder": _one_hot,
    "OrdinalEncoder": _ordinal,
    "PCA": _components,
    "Pipeline": _steps,
    "PolynomialFeatures": _products,
    "PowerTransformer": _kept,
    "QuantileTransformer": _kept,
    "RobustScaler": _kept,
    "SimpleImputer": _filled,
    "SplineTransformer": _curved,
    "StandardScaler": _kept,
    "TargetEncoder": _by_target,
    "TruncatedSVD": _components,
    "VarianceThreshold": _selected,
}
