"""Shapley values of a neural network from its answers: what an answer buys, ours and others'.

A pipeline of 17 features people know (32 columns) is trained here; the truth for one case against
100 comparison rows is all 2^17 coalitions, which takes a minute or two. An error is a part of the
total movement. Beside our estimate stand its own makings left out one by one, and shapiq's
estimators where shapiq is installed: those ask whole coalitions, 100 answers each.

    python benchmarks/estimators.py
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ensembles import PLAYERS, applications

from explainer.families.engine import estimate
from explainer.families.engine.estimate import Stage, estimated, stages
from explainer.families.engine.function import Function, row_values

FUNCTION = Function(np.array(PLAYERS), 17)
SEEDS = 8
PEERS = ("KernelSHAP", "LeverageSHAP", "OddSHAP", "ProxySHAP", "SVARM")


def trained() -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = applications(20_000, 0)
    network = MLPClassifier((64, 32), max_iter=60, early_stopping=True, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network).fit(x, y)
    return lambda rows: pipeline.predict_proba(rows)[:, 1]


def line(name: str, answers: float, errors: list[np.ndarray]) -> None:
    found = np.array(errors)
    largest = np.abs(found).max(axis=1).mean()
    print(f"| {name} | {answers:,.0f} | {np.sqrt((found**2).mean()):.5f} | {largest:.5f} |")


def ours(
    name: str, margins: Callable, case: np.ndarray, rows: np.ndarray, truth: np.ndarray
) -> None:
    for rounds in (8, 32, 128):
        stage_list = [Stage(seed * rounds, rounds) for seed in range(SEEDS)]
        found = [estimated(margins, FUNCTION, case, rows, stage) for stage in stage_list]
        moved = np.abs(truth).sum()
        errors = [(one.values - truth) / moved for one in found]
        line(name, np.mean([one.answers for one in found]), errors)


def peers(margins: Callable, case: np.ndarray, rows: np.ndarray, truth: np.ndarray) -> None:
    import shapiq

    def game(coalitions: np.ndarray) -> np.ndarray:
        from_case = np.asarray(coalitions, dtype=bool)[:, FUNCTION.player]
        mixed = np.where(from_case[:, None, :], case, rows[None, :, :])
        return margins(mixed.reshape(-1, len(case))).reshape(-1, len(rows)).mean(axis=1)

    for name in PEERS:
        kind = getattr(shapiq.approximator, name)
        for budget in (256, 1024, 4096):
            errors = []
            for seed in range(SEEDS):
                of_values = {"max_order": 1, "index": "SV"} if name == "ProxySHAP" else {}
                found = kind(n=17, random_state=seed, **of_values).approximate(budget, game)
                values = np.array([found[(player,)] for player in range(17)])
                errors.append((values - truth) / np.abs(truth).sum())
            line(f"shapiq {name}", budget * len(rows), errors)


def main() -> None:
    margins = trained()
    rows, _ = applications(1000, 1)
    case = applications(1, 2)[0][0]
    truth = row_values(margins, FUNCTION, case, rows[:100]).mean(axis=0)
    print("| 17 features, 100 comparison rows | answers | root mean square | largest |")
    print("|---|---|---|---|")
    ours("ours", margins, case, rows[:100], truth)
    by_chance = np.random.default_rng(0).permuted(np.tile(np.arange(17), (16, 1)), axis=1)
    with patch.object(estimate, "balanced_orders", lambda n: by_chance):
        ours("orders not balanced", margins, case, rows[:100], truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            peers(margins, case, rows[:100], truth)
        except ImportError:
            print("\nshapiq is not installed here.")
    for n_rows in (100, 1000):
        print(f"\n| {n_rows} comparison rows, rounds | answers | 3 errors, largest | seconds |")
        print("|---|---|---|---|")
        whole, started = None, time.perf_counter()
        for stage in stages(FUNCTION, n_rows):
            part = estimated(margins, FUNCTION, case, rows[:n_rows], stage)
            whole = part if whole is None else whole.joined(part)
            precise = 3 * whole.errors.max() / np.abs(whole.values).sum()
            seconds = time.perf_counter() - started
            print(f"| {whole.rounds} | {whole.answers:,} | {precise:.5f} | {seconds:.2f} |")


if __name__ == "__main__":
    main()
