"""From the columns a model works with to the features people know.

A one-hot block, or a value and its "was missing" indicator, is one player. Which column belongs
to which feature is read off the fitted transformers, never guessed from column names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.model import Input

KEEPS_COLUMNS = (
    "StandardScaler",
    "MinMaxScaler",
    "RobustScaler",
    "MaxAbsScaler",
    "OrdinalEncoder",
    "PowerTransformer",
    "QuantileTransformer",
)


def column_owners(transformer: Any) -> list[str]:
    """For each column a fitted ColumnTransformer puts out, the raw feature it belongs to.

    Raises ArtefactRefused where a transformer mixes features or is not known: its columns would
    belong to nobody.
    """
    owners: dict[int, str] = {}
    for name, step, columns in transformer.transformers_:
        place = transformer.output_indices_[name]
        if isinstance(step, str) and step == "drop":
            continue
        found = _owners(step, _taken(transformer, name, columns))
        positions = range(place.start, place.stop)
        if len(found) != len(positions):
            raise _refused(name, f"{len(positions)} columns come out where {len(found)} should.")
        owners.update(zip(positions, found, strict=True))
    return [owners[position] for position in range(len(owners))]


def stand_ins(transformer: Any) -> dict[str, float | str]:
    """What the pipeline's imputers put in the place of a missing value, by feature.

    Raises ArtefactRefused where that is no raw value, or not one: people are told it.
    """
    found: dict[str, float | str] = {}
    for name, step, columns in transformer.transformers_:
        for at, inner in enumerate(_chain(step)):
            if type(inner).__name__ != "SimpleImputer":
                continue
            if at > 0 or not _fills_gaps(inner):
                raise ArtefactRefused(
                    "What it puts in the place of a missing value is no value of the feature.",
                    f"pipeline step {name}",
                    "Let SimpleImputer be the first step on these columns, for NaN.",
                )
            features = _taken(transformer, name, columns)
            for feature, value in zip(features, inner.statistics_, strict=True):
                used = value if isinstance(value, str) else float(value)
                other = found.setdefault(feature, used)
                if other != used and not (_is_nan(other) and _is_nan(used)):
                    raise ArtefactRefused(
                        f"{feature} has two values for what is missing.",
                        f"pipeline step {name}",
                        "Use one SimpleImputer for each feature.",
                    )
    return found


def check_categories(transformer: Any, inputs: Sequence[Input]) -> None:
    """Raise ArtefactRefused where an encoder would take no choice for what it is.

    A choice arrives as text: an encoder of numbers, or of None for what is missing, would call
    every one of them unknown and say nothing.
    """
    choices = {each.name: each.choices for each in inputs}
    for feature, categories in encoded(transformer):
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


def encoded(transformer: Any) -> Iterator[tuple[str, list[Any]]]:
    """Features with categories, and the raw values their encoders know."""
    for name, step, columns in transformer.transformers_:
        for inner in _chain(step):
            if type(inner).__name__ in ("OneHotEncoder", "OrdinalEncoder"):
                features = _taken(transformer, name, columns)
                if len(features) == len(inner.categories_):
                    for feature, known in zip(features, inner.categories_, strict=True):
                        yield feature, np.asarray(known).tolist()


def _chain(step: Any) -> list[Any]:
    return [s for _, s in step.steps] if type(step).__name__ == "Pipeline" else [step]


def _fills_gaps(imputer: Any) -> bool:
    return _is_nan(imputer.missing_values)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _taken(transformer: Any, name: str, columns: Any) -> list[str]:
    """The features a step takes, by the positions scikit-learn itself uses. Where the file names
    them too, both must agree: else people would read wrong names."""
    names = [str(feature) for feature in transformer.feature_names_in_]
    taken = np.asarray(transformer._transformer_to_input_indices[name]).tolist()
    if not all(type(at) is int and 0 <= at < len(names) for at in taken):
        raise _refused(name, "It takes columns that are not there.")
    found = [names[at] for at in taken]
    given = [columns] if isinstance(columns, str) else columns
    named = isinstance(given, Sequence | np.ndarray) and any(isinstance(c, str) for c in given)
    if named and list(given) != found:
        raise _refused(name, "Its columns are named in two ways that differ.")
    return found


def names_of(columns: Any, where: str) -> list[str]:
    """The columns a step takes, by name."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, Sequence | np.ndarray) and all(isinstance(c, str) for c in columns):
        return [str(c) for c in columns]
    raise _refused(where, "Its columns are not given by name.")


def _owners(step: Any, features: list[str]) -> list[str]:
    kind = type(step).__name__
    if isinstance(step, str) and step == "passthrough":
        return features
    if kind == "FunctionTransformer" and step.func is None:
        return features  # what scikit-learn makes of "passthrough" when it fits
    if kind in KEEPS_COLUMNS:
        return features
    if kind == "Pipeline":
        for _, inner in step.steps:
            features = _owners(inner, features)
        return features
    if kind == "SimpleImputer":
        return _imputed(step, features)
    if kind == "OneHotEncoder":
        return _one_hot(step, features)
    if kind == "KBinsDiscretizer":
        return _binned(step, features)
    raise _refused(kind, "Its columns cannot be traced back to single features.")


def _imputed(step: Any, features: list[str]) -> list[str]:
    # a feature that was never there in training is dropped unless the imputer was told otherwise
    kept = [
        feature
        for feature, value in zip(features, step.statistics_, strict=True)
        if step.keep_empty_features or isinstance(value, str) or not np.isnan(value)
    ]
    if step.indicator_ is None:
        return kept
    return kept + [features[at] for at in step.indicator_.features_]


def _one_hot(step: Any, features: list[str]) -> list[str]:
    owners: list[str] = []
    widths: list[int] = []
    rare = getattr(step, "infrequent_categories_", None) if _groups_rare(step) else None
    for at, feature in enumerate(features):
        width = len(step.categories_[at])
        if rare is not None and rare[at] is not None:
            width += 1 - len(rare[at])
        if step.drop_idx_ is not None and step.drop_idx_[at] is not None:
            width -= 1
        widths.append(width)
        owners += [feature] * width
    if widths != [int(width) for width in step._n_features_outs]:
        raise _refused("OneHotEncoder", "It gives another number of columns than it says.")
    return owners


def _binned(step: Any, features: list[str]) -> list[str]:
    if step.encode == "ordinal":
        return features
    return [
        feature
        for feature, bins in zip(features, step.n_bins_, strict=True)
        for _ in range(int(bins))
    ]


def _groups_rare(step: Any) -> bool:
    return step.min_frequency is not None or step.max_categories is not None


def _refused(where: str, what: str) -> ArtefactRefused:
    return ArtefactRefused(
        what,
        f"pipeline step {where}",
        "Use ColumnTransformer by column names with one-hot encoding, imputing, scaling or "
        "passthrough.",
    )
