"""From the columns a model works with to the features people know.

A one-hot block, or a value and its "was missing" indicator, is one player. Which column belongs
to which feature is read off the fitted transformers, never guessed from column names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from explainer.errors import ArtefactRefused

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
        found = _owners(step, names_of(columns, name))
        positions = range(place.start, place.stop)
        if len(found) != len(positions):
            raise _refused(name, f"{len(positions)} columns come out where {len(found)} should.")
        owners.update(zip(positions, found, strict=True))
    return [owners[position] for position in range(len(owners))]


def stand_ins(transformer: Any) -> dict[str, float | str]:
    """What the pipeline's imputers put in the place of a missing value, by feature."""
    found: dict[str, float | str] = {}
    for name, step, columns in transformer.transformers_:
        steps = [s for _, s in step.steps] if type(step).__name__ == "Pipeline" else [step]
        for inner in steps:
            if type(inner).__name__ == "SimpleImputer":
                for feature, value in zip(names_of(columns, name), inner.statistics_, strict=True):
                    found[feature] = value if isinstance(value, str) else float(value)
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
    rare = getattr(step, "infrequent_categories_", None) if _groups_rare(step) else None
    for at, feature in enumerate(features):
        width = len(step.categories_[at])
        if rare is not None and rare[at] is not None:
            width += 1 - len(rare[at])
        if step.drop_idx_ is not None and step.drop_idx_[at] is not None:
            width -= 1
        owners += [feature] * width
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
