"""The only folder that knows numpy and the learning libraries.

`FORMATS` is the table from the format a manifest declares to the module that opens it; a module
is imported when a package of its format is opened, never before.
"""

from __future__ import annotations

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
