"""The only folder that knows numpy and the learning libraries.

`FORMATS` is the table from the format a manifest declares to the module that opens it; a module
is imported when a package of its format is opened, never before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

FORMATS = {
    "skops": "explainer.families.from_skops",
    "xgboost-json": "explainer.families.from_xgboost",
    "xgboost-ubj": "explainer.families.from_xgboost_ubj",
    "lightgbm-txt": "explainer.families.from_lightgbm",
    "catboost-cbm": "explainer.families.from_catboost",
    "linear-json": "explainer.families.from_linear_json",
    "onnx": "explainer.families.from_onnx",
    "remote-oip-v2": "explainer.families.from_remote",
}

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "skops": ("scikit-learn", "numpy", "pandas", "skops"),
    "xgboost-json": ("xgboost", "xgboost-cpu"),
    "xgboost-ubj": ("xgboost", "xgboost-cpu"),
    "lightgbm-txt": ("lightgbm",),
    "catboost-cbm": ("catboost",),
    "onnx": ("onnxruntime",),
}
"""By format: the distributions whose versions matter, of which not all need be installed."""


@cache
def versions_for(declared: str) -> Mapping[str, str]:
    """The versions of what a format is opened with, as far as it is installed here."""
    found = {}
    for name in DISTRIBUTIONS.get(declared, ()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # whoever opens the model says what is not installed
    return found


MAY_NAME_NO_CLASSES = frozenset({"xgboost-json", "xgboost-ubj", "lightgbm-txt", "catboost-cbm"})
"""Formats whose files need not name the classes: XGBoost's and LightGBM's never do."""
