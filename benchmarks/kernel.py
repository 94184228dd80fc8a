"""The exact engine on trained ensembles, beside shap's interventional explainer and, where a
library is there, its own path-dependent contributions.

Models are trained here on made-up applications (17 features people know, 32 columns). shap is
asked for single columns and we for the features; both use the same comparison rows. Where shap is
slow it is asked for few cases. Times are of computing, on one thread; those of two threads are what
a clock on the wall says, and suffer from whatever else the machine does.

    python benchmarks/kernel.py                  scikit-learn models
    python benchmarks/kernel.py gb hist rf       the ones named
    python benchmarks/kernel.py xgb lgb cat      in an environment that has these libraries
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Column, Missing, Test, Trees

CHOICES = (3, 4, 4, 5, 4)
PLAYERS = [*range(12), *(12 + k for k, n in enumerate(CHOICES) for _ in range(n))]
ROWS = 1000


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


def trained(name: str, x: np.ndarray, y: np.ndarray) -> tuple[str, Any, Trees, Any]:
    """Title, model, trees in our form, and the library's own contributions or None."""
    if name in ("gb", "hist", "rf"):
        from sklearn import ensemble

        if name == "gb":
            booster = ensemble.GradientBoostingClassifier(n_estimators=200, random_state=0)
            return "GradientBoosting, 200 x depth 3", booster.fit(x, y), of_sklearn(booster), None
        if name == "hist":
            booster = ensemble.HistGradientBoostingClassifier(
                max_iter=300, early_stopping=False, random_state=0
            ).fit(x, y)
            return "HistGradientBoosting, 300 x 31 leaves", booster, of_hist(booster), None
        forest = ensemble.RandomForestClassifier(500, max_depth=12, n_jobs=-1, random_state=0)
        return "RandomForest, 500 x depth 12", forest.fit(x, y), of_sklearn(forest), None
    if name == "xgb":
        import xgboost

        booster = xgboost.XGBClassifier(n_estimators=500, max_depth=6, learning_rate=0.05)
        booster.fit(x, y)

        def contributions(cases: np.ndarray) -> Any:
            booster.get_booster().set_param({"nthread": 1})
            return booster.get_booster().predict(xgboost.DMatrix(cases), pred_contribs=True)

        return "XGBoost, 500 x depth 6", booster, of_xgboost(booster), contributions
    if name == "lgb":
        import lightgbm

        booster = lightgbm.LGBMClassifier(
            n_estimators=500, num_leaves=31, learning_rate=0.05, verbose=-1
        ).fit(x, y)
        return (
            "LightGBM, 500 x 31 leaves",
            booster,
            of_lightgbm(booster),
            lambda cases: booster.predict(cases, pred_contrib=True, num_threads=1),
        )
    import catboost

    booster = catboost.CatBoostClassifier(
        iterations=500, depth=6, verbose=0, allow_writing_files=False
    ).fit(x, y)
    return (
        "CatBoost, 500 x depth 6",
        booster,
        of_catboost(booster),
        lambda cases: booster.get_feature_importance(
            catboost.Pool(cases), type="ShapValues", thread_count=1
        ),
    )


# -- measuring -----------------------------------------------------------------------------------


def median(question: Callable[[], Any], runs: int, clock: Callable[[], float]) -> float:
    question()
    seconds = []
    for _ in range(runs):
        started = clock()
        question()
        seconds.append(clock() - started)
    return statistics.median(seconds)


BUSY = time.process_time
"""Seconds of computing: what other programs do on the machine meanwhile does not count."""
WALL = time.perf_counter


def memory() -> float:
    """Megabytes this process holds at the moment."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def margins(model: Any, rows: np.ndarray) -> np.ndarray:
    """What the library itself says, up to a constant."""
    kind = type(model).__name__
    if kind == "XGBClassifier":
        answer = model.predict(rows, output_margin=True)
    elif kind == "LGBMClassifier":
        answer = model.predict(rows, raw_score=True)
    elif kind == "CatBoostClassifier":
        answer = model.predict(rows, prediction_type="RawFormulaVal")
    elif kind == "RandomForestClassifier":
        answer = model.predict_proba(rows)[:, 1]
    else:
        answer = model.decision_function(rows)
    return np.asarray(answer, dtype=float)


def measure(name: str, x: np.ndarray, y: np.ndarray, rows: np.ndarray, cases: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    title, model, trees, own = trained(name, x, y)
    walked = name == "rf"
    before = memory()
    started = time.perf_counter()
    engine = Exact(trees, rows[:ROWS])
    prepared = time.perf_counter() - started
    held = memory() - before
    n = 24 if walked else 4000
    one = median(lambda: engine.values(cases[:1]), 7 if walked else 301, BUSY)
    batch = [
        n / median(lambda k=k: engine.values(cases[:n], threads=k), 3 if walked else 9, clock)
        for k, clock in ((1, BUSY), (2, WALL))
    ]
    by_row = median(lambda: engine.row_values(cases[0], np.arange(100)), 15, BUSY)

    explainer = shap.TreeExplainer(
        model,
        # told how many rows to keep: left to itself it takes 100 of them
        shap.maskers.Independent(rows[:ROWS], max_samples=ROWS),
        feature_perturbation="interventional",
        model_output="raw",
    )
    asked = 1 if walked else 8
    theirs = median(
        lambda: explainer.shap_values(cases[:1], check_additivity=False), 1 if walked else 3, BUSY
    )
    theirs_batch = asked / median(
        lambda: explainer.shap_values(cases[:asked], check_additivity=False), 1, BUSY
    )
    off = engine.values(cases[:100]).sum(axis=1) + engine.base - margins(model, cases[:100])
    print(f"\n## {title}\n")
    print(f"sums differ from the library's margin by {np.ptp(off):.1e} at most; {engine.way}\n")
    print("| | ours | shap | times |\n|---|---|---|---|")
    shaps = f"{theirs * 1e3:.1f} ms | {theirs / one:,.0f}"
    print(f"| one case, {ROWS:,} rows | {one * 1e3:.3f} ms | {shaps} |")
    for k, rate in enumerate(batch, 1):
        shaps = f"{theirs_batch:.2f}/s | {rate / theirs_batch:,.0f}"
        print(f"| batch of {n:,}, {k} thread{'s' * (k > 1)} | {rate:,.0f}/s | {shaps} |")
    if own is not None:
        few = cases[:200]
        native = len(few) / median(lambda: own(few), 3, BUSY)
        print(
            f"| its own path-dependent contributions, 1 thread | {native:,.0f}/s | "
            f"ours on 1 and 2 threads | {batch[0] / native:,.0f} and {batch[1] / native:,.0f} |"
        )
    print(f"| against 100 single rows | {by_row * 1e3:.2f} ms | | |")
    print(f"| preparation, {ROWS:,} rows | {prepared:.2f} s | | |")
    print(f"| memory; of it tables | {held:.0f} MB; {engine.table_bytes / 1e6:.0f} MB | | |")
    if walked:
        return
    times = {}
    for n_rows in (100, 10_000):
        started = time.perf_counter()
        engine = Exact(trees, rows[:n_rows])
        prepared = time.perf_counter() - started
        times[n_rows] = median(lambda e=engine: e.values(cases[:1]), 301, BUSY)
        print(f"| one case, {n_rows:,} rows | {times[n_rows] * 1e3:.3f} ms | | |")
    print(f"| preparation, 10,000 rows | {prepared:.2f} s | | |")
    print(f"| 10,000 rows to 100 | {times[10_000] / times[100]:.2f} | | |", flush=True)


def main() -> None:
    x, y = applications(20_000, 0)
    rows, _ = applications(10_000, 1)
    cases, _ = applications(4000, 2)
    for name in sys.argv[1:] or ("gb", "hist", "rf"):
        measure(name, x, y, rows, cases)


if __name__ == "__main__":
    main()
