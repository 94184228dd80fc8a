"""XGBoost's files in Universal Binary JSON: the same structure as in JSON, in another notation."""

from __future__ import annotations

from collections.abc import Sequence

from explainer.families import ubjson
from explainer.families.boosters import Booster
from explainer.families.from_xgboost import Saved, open_saved
from explainer.families.model import Input, Target


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Booster:
    """See `from_xgboost.open_model`."""
    return open_saved(data, inputs, target, saved)


def saved(data: bytes) -> Saved:
    """See `from_xgboost.saved`."""
    return Saved.of(ubjson.read(data))
