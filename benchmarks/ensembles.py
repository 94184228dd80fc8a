"""Ensembles trained here on made-up applications, and their trees in the engine's form.

Loose: only for models trained right here. What a package brings is read by `explainer.families`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from explainer.families.engine.forest import Column, Missing, Test, Trees

CHOICES = (3, 4, 4, 5, 4)
PLAYERS = [*range(12), *(12 + k for k, n in enumerate(CHOICES) for _ in range(n))]


def applications(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Twelve numbers and five choices as one-hot blocks, with interactions and noise."""
    r = np.random.default_rng(seed)
    numbers = np.column_stack(
        [
            *(np.round(r.gamma(2, 700, n), 2), r.integers(18, 67, n), r.normal(0, 1, n)),
            *(r.exponential(3, n), r.integers(0, 12, n), r.normal(5, 2, n), r.random(n)),
            *(r.normal(0, 1, n), r.poisson(2, n), r.normal(0, 3, n), r.random(n) * 100),
            r.integers(0, 40, n),
        ]
    ).astype(float)
    choices = [r.integers(0, k, n) for k in CHOICES]
    blocks = [np.eye(k)[c] for k, c in zip(CHOICES, choices, strict=True)]
    x = numbers.T
    score = x[0] / 1000 + np.sin(x[1] / 8) + x[2] * x[3] / 4 + 2 * x[7] * (x[6] - 0.5)
    score += 1.2 * (choices[0] == 1) - (choices[3] == 2) * x[5] / 5 + np.log1p(x[8])
    score += x[9] * x[11] / 200 - 0.03 * x[10] * (choices[1] == 0)
    answer = score + r.normal(0, 1, n) > np.median(score)
    return np.concatenate([numbers, *blocks], axis=1), answer.astype(int)


# -- models and their trees in our form; loose: only for models trained right here ---------------


def stacked(
    parts: list[dict[str, Any]], test: Test, *, single: bool, missing: Missing = Missing.NAN
) -> Trees:
    start = np.cumsum([0, *(len(part["left"]) for part in parts)])
    arrays: dict[str, list[np.ndarray]] = {}
    for part, first in zip(parts, start, strict=False):
        for name, given in part.items():
            array = np.asarray(given)
            if name in ("left", "right"):
                array = np.where(array < 0, -1, array + first)
            arrays.setdefault(name, []).append(array)
    columns = (Column(k, player, test, single, missing) for k, player in enumerate(PLAYERS))
    joined = {name: np.concatenate(found) for name, found in arrays.items()}
    return Trees(tuple(columns), max(PLAYERS) + 1, start[:-1], **joined)


def of_sklearn(model: Any) -> Trees:
    forest = not hasattr(model, "learning_rate")
    parts = []
    for tree in (estimator.tree_ for estimator in np.ravel(np.asarray(model.estimators_))):
        value = tree.value[:, 0, -1] / (
            tree.value[:, 0].sum(axis=1) * len(model.estimators_) if forest else 10
        )
        sides = {"left": tree.children_left, "right": tree.children_right}
        parts.append(sides | {"column": tree.feature, "threshold": tree.threshold, "value": value})
    return stacked(parts, Test.AT_MOST, single=True)


def of_hist(model: Any) -> Trees:
    parts = []
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        leaf = nodes["is_leaf"].astype(bool)
        parts.append(
            {
                "left": np.where(leaf, -1, nodes["left"].astype(int)),
                "right": np.where(leaf, -1, nodes["right"].astype(int)),
                "column": nodes["feature_idx"],
                "threshold": nodes["num_threshold"],
                "value": nodes["value"],
                "missing_left": nodes["missing_go_to_left"].astype(bool),
            }
        )
    return stacked(parts, Test.AT_MOST, single=False)


def of_xgboost(model: Any) -> Trees:
    document = json.loads(model.get_booster().save_raw("json"))
    parts = []
    for tree in document["learner"]["gradient_booster"]["model"]["trees"]:
        numbers = np.array(tree["split_conditions"], dtype=np.float32).astype(float)
        parts.append(
            {
                "left": tree["left_children"],
                "right": tree["right_children"],
                "column": tree["split_indices"],
                "threshold": numbers,
                "value": numbers,
                "missing_left": np.array(tree["default_left"], dtype=bool),
            }
        )
    return stacked(parts, Test.BELOW, single=True)


def of_lightgbm(model: Any) -> Trees:
    parts = []
    for tree in model.booster_.dump_model()["tree_info"]:
        part: dict[str, list[Any]] = {
            name: [] for name in ("left", "right", "column", "threshold", "value")
        }

        def add(node: dict[str, Any], part: dict[str, list[Any]] = part) -> int:
            at = len(part["left"])
            for name, given in (
                *(("left", -1), ("right", -1), ("column", node.get("split_feature", 0))),
                *(("threshold", node.get("threshold", 0.0)), ("value", node.get("leaf_value", 0))),
            ):
                part[name].append(given)
            if "leaf_value" not in node:
                part["left"][at] = add(node["left_child"])
                part["right"][at] = add(node["right_child"])
            return at

        add(tree["tree_structure"])
        parts.append(part)
    return stacked(parts, Test.AT_MOST, single=False, missing=Missing.NEVER)


def of_catboost(model: Any) -> Trees:
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        model.save_model(file.name, format="json")
        document = json.loads(Path(file.name).read_text("utf-8"))
    parts = []
    for tree in document["oblivious_trees"]:
        depth = len(tree["splits"])
        inner, size = 2**depth - 1, 2 ** (depth + 1) - 1
        at = np.arange(size)
        level = [tree["splits"][(k + 1).bit_length() - 1] for k in range(inner)]
        filler = np.zeros(size - inner)
        leaf = [
            tree["leaf_values"][sum((k >> (depth - 1 - d) & 1) << d for d in range(depth))]
            for k in range(2**depth)
        ]
        parts.append(
            {
                "left": np.where(at < inner, 2 * at + 1, -1),
                "right": np.where(at < inner, 2 * at + 2, -1),
                "column": np.append([s["float_feature_index"] for s in level], filler).astype(int),
                "threshold": np.append([s["border"] for s in level], filler),
                "value": np.append(np.zeros(inner), leaf),
            }
        )
    return stacked(parts, Test.AT_MOST, single=True)


TITLES = {
    "gb": "gradient boosting, 200 of depth 3",
    "hist": "histogram boosting, 300 of 31 leaves",
    "xgb": "XGBoost, 500 of depth 6",
    "lgb": "LightGBM, 500 of 31 leaves",
    "cat": "CatBoost, 500 of depth 6",
    "rf": "random forest, 500 of depth 12",
}
LIBRARIES = {"xgb": "xgboost", "lgb": "lightgbm", "cat": "catboost"}
"""The others are of scikit-learn."""


@dataclass(frozen=True)
class Trained:
    """A model, its trees, and what its library says itself, on so many threads.

    Attributes
    ----------
    margins : what the library says about rows, up to a constant
    native : its own contributions, which are path-dependent; None where it has none
    """

    model: Any
    trees: Trees
    margins: Callable[[np.ndarray], np.ndarray]
    native: Callable[[np.ndarray, int], Any] | None = None

    @property
    def ungrouped(self) -> Trees:
        """The same trees with each column as a player of its own, as other explainers have it."""
        trees = self.trees
        columns = tuple(replace(column, player=column.source) for column in trees.columns)
        return replace(trees, columns=columns, n_players=len(columns))


def trained(name: str, x: np.ndarray, y: np.ndarray) -> Trained:
    """Train the model of this name. Raises ImportError where its library is not installed."""
    if name in ("gb", "hist", "rf"):
        from sklearn import ensemble

        if name == "gb":
            gb = ensemble.GradientBoostingClassifier(n_estimators=200, random_state=0).fit(x, y)
            return Trained(gb, of_sklearn(gb), gb.decision_function)
        if name == "hist":
            hist = ensemble.HistGradientBoostingClassifier(
                max_iter=300, early_stopping=False, random_state=0
            ).fit(x, y)
            return Trained(hist, of_hist(hist), hist.decision_function)
        forest = ensemble.RandomForestClassifier(500, max_depth=12, n_jobs=-1, random_state=0)
        forest.fit(x, y)
        return Trained(forest, of_sklearn(forest), lambda rows: forest.predict_proba(rows)[:, 1])
    if name == "xgb":
        import xgboost

        xgb = xgboost.XGBClassifier(n_estimators=500, max_depth=6, learning_rate=0.05).fit(x, y)

        def contributions(cases: np.ndarray, threads: int) -> Any:
            xgb.get_booster().set_param({"nthread": threads})
            return xgb.get_booster().predict(xgboost.DMatrix(cases), pred_contribs=True)

        return Trained(
            xgb, of_xgboost(xgb), lambda rows: xgb.predict(rows, output_margin=True), contributions
        )
    if name == "lgb":
        import lightgbm

        lgb = lightgbm.LGBMClassifier(
            n_estimators=500, num_leaves=31, learning_rate=0.05, verbose=-1
        ).fit(x, y)
        return Trained(
            lgb,
            of_lightgbm(lgb),
            lambda rows: lgb.booster_.predict(rows, raw_score=True),
            lambda cases, n: lgb.booster_.predict(cases, pred_contrib=True, num_threads=n),
        )
    import catboost

    cat = catboost.CatBoostClassifier(
        iterations=500, depth=6, verbose=0, allow_writing_files=False
    ).fit(x, y)
    return Trained(
        cat,
        of_catboost(cat),
        lambda rows: cat.predict(rows, prediction_type="RawFormulaVal"),
        lambda cases, n: cat.get_feature_importance(
            catboost.Pool(cases), type="ShapValues", thread_count=n
        ),
    )
