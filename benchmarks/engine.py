"""One explanation: our engine, and shap's tree explainer on the same model and comparison rows.

They do not do the same: ours takes the features people know as players, shap's takes columns (it
cannot do otherwise). Both are exact, both sums are compared with the model's own margin here, and
both are asked in turn within one run.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
from harness import PACKAGE, heading, row

from explainer.core.case import read_case
from explainer.families.attribute import raw_row
from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Trees
from explainer.families.from_skops import load_pipeline
from explainer.packages.admit import admit

ROUNDS = 5


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    package = admit(PACKAGE)
    explained = package.explained
    cases = [read_case(golden.case, package.catalogue) for golden in package.golden]
    _, booster = load_pipeline((PACKAGE / package.manifest.model_file).read_bytes())
    comparison = explained.comparison_columns
    columns = explained.model.answer([raw_row(case) for case in cases]).columns
    margins = explained.model.answer([raw_row(case) for case in cases]).margin
    tree_explainer = shap.TreeExplainer(
        booster,
        # told how many rows to keep: left to itself it takes 100 of them
        shap.maskers.Independent(comparison, max_samples=len(comparison)),
        feature_perturbation="interventional",
        model_output="raw",
    )

    form = explained.model.forms[0]
    assert isinstance(form, Trees)
    engine = Exact(form, comparison)

    def ours(at: int) -> float:
        return float(engine.values(columns[at : at + 1]).sum()) + explained.comparison.base

    def shaps(at: int) -> float:
        phi = tree_explainer.shap_values(columns[at : at + 1], check_additivity=False)
        return float(np.sum(phi)) + float(np.ravel(tree_explainer.expected_value)[0])

    def own(at: int) -> float:
        return float(explained.model.answer([raw_row(cases[at])]).margin[0])

    def whole(at: int) -> float:
        return explained.attribute(cases[at]).total

    asked: dict[str, Callable[[int], float]] = {
        "our engine, one case": ours,
        "shap's tree explainer, one case": shaps,
        "the pipeline's own answer about one raw case, in its process": own,
        "ours with preparation, own margin, stability and check": whole,
    }
    spent: dict[str, list[float]] = {name: [] for name in asked}
    worst = dict.fromkeys(asked, 0.0)
    for _ in range(ROUNDS):
        for at in range(len(cases)):
            for name, ask in asked.items():
                started = time.perf_counter()
                total = ask(at)
                spent[name].append(time.perf_counter() - started)
                worst[name] = max(worst[name], abs(total - margins[at]))
    trees = len(booster.estimators_)
    heading(
        f"One explanation: {len(package.catalogue)} features as {comparison.shape[1]} columns, "
        f"{trees} trees, {len(comparison)} comparison rows"
    )
    medians = {name: row(name, seconds) for name, seconds in spent.items()}
    first, second, alone, complete = medians.values()
    print(f"\nshap's tree explainer takes {second / first:.0f} times as long as our engine")
    print(f"explained and verified: {complete / alone:.2f} of the pipeline's own answer")
    together = explained.model.answer([raw_row(case) for case in cases]).columns
    batch = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        tree_explainer.shap_values(together, check_additivity=False)
        batch.append((time.perf_counter() - started) / len(cases))
    print(f"shap's, {len(cases)} cases at once: {statistics.median(batch) * 1000:.2f} ms a case")
    for name, difference in worst.items():
        print(f"largest difference from the model's own margin, {name}: {difference:.1e}")


if __name__ == "__main__":
    main()
