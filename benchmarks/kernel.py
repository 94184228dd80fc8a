"""The exact engine on trained ensembles, beside shap's and shapiq's interventional explainers and
the boosters' own path-dependent contributions.

Models are trained here on made-up applications (17 features people know, 32 columns). The others
are asked for columns, since they know no groups, and we for features; everyone compares with the
same 1,000 rows. Each model has a process of its own, in which all are asked in turn, round after
round; a ratio is taken within a round, and the median of the rounds is printed. Every question is
measured by two clocks: the wall's, and the seconds of computing of all threads together, which
other programs on the machine disturb less.

    python benchmarks/kernel.py                  all models whose library is installed
    python benchmarks/kernel.py gb rf            the ones named

shapiq is no dependency of Warum. To have it in the table, run this in an environment that has it
beside NumPy, scikit-learn, shap and the boosters (`benchmarks/peers.txt`); the engine needs NumPy
only, and its kernel is loaded by any Python of the machine.
"""

from __future__ import annotations

import json
import math
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ensembles import LIBRARIES, TITLES, Trained, applications, trained

from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Trees

ROWS = 1000
ROUNDS = 5
ABSENT = "not installed"
TARGETS = {
    "one case, shap / ours": "200; LightGBM 100; forest 10",
    "one case, shapiq / ours": "20 (boosted)",
    "batch on two cores, shap / ours, by the wall": "1,000; forest 20",
    "batch, shap / ours, by computing": "",
    "the library's own, path-dependent / ours, two cores": "XGBoost 10; LightGBM 2",
    "10,000 comparison rows / 100": "1.2",
    "preparation, seconds": "2 (boosted)",
    "preparation, MB at its peak": "200 (boosted)",
}
Found = dict[str, float | str]


@dataclass(frozen=True)
class Spent:
    """Seconds for one case."""

    wall: float
    computing: float


def spent(question: Callable[[], Any], cases: int) -> Spent:
    wall, computing = time.perf_counter(), time.process_time()
    question()
    computing, wall = time.process_time() - computing, time.perf_counter() - wall
    return Spent(wall / cases, computing / cases)


def in_turn(sides: dict[str, tuple[Callable[[], Any], int]], rounds: int) -> dict[str, list[Spent]]:
    """Ask all sides, round after round; the first round only warms up."""
    found: dict[str, list[Spent]] = {name: [] for name in sides}
    for k in range(rounds + 1):
        for name, (question, cases) in sides.items():
            took = spent(question, cases)
            if k:
                found[name].append(took)
    return found


def middle(found: list[Spent], clock: str) -> float:
    return statistics.median(getattr(s, clock) for s in found)


def ratio(theirs: list[Spent], ours: list[Spent], clock: str) -> float:
    each = zip(theirs, ours, strict=True)
    return statistics.median(getattr(t, clock) / getattr(o, clock) for t, o in each)


def one_by_one(ask: Callable[[np.ndarray], Any], cases: np.ndarray) -> Callable[[], None]:
    def question() -> None:
        for k in range(len(cases)):
            ask(cases[k : k + 1])

    return question


# -- memory --------------------------------------------------------------------------------------


def held(what: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM the most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def preparation(model: Trained, rows: np.ndarray) -> tuple[Exact, Found]:
    """Trees are laid out and comparison rows counted, from plain arrays."""
    given = model.trees
    arrays = {
        name: getattr(given, name)
        for name in ("columns", "n_players", "roots", "left", "right", "column", "threshold")
    } | {"value": given.value, "missing_left": given.missing_left}
    took = []
    engine: Exact | None = None
    peaks = []
    for _ in range(3):
        engine = None
        forget_peak()
        before = held("VmRSS")
        started, computing = time.perf_counter(), time.process_time()
        engine = Exact(Trees(**arrays), rows)
        took.append(Spent(time.perf_counter() - started, time.process_time() - computing))
        peaks.append(held("VmHWM") - before)
    assert engine is not None
    return engine, {
        "way": engine.way,
        "preparation, seconds": middle(took, "wall"),
        "preparation, seconds of computing": middle(took, "computing"),
        "preparation, MB at its peak": peaks[0],  # later ones find memory that was given back
        "tables, MB": engine.table_bytes / 1e6,
    }


# -- the others ----------------------------------------------------------------------------------


def of_shap(model: Any, rows: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap
    explainer = shap.TreeExplainer(
        model,
        # told how many rows to keep: left to itself it takes 100 of them
        shap.maskers.Independent(rows, max_samples=len(rows)),
        feature_perturbation="interventional",
        model_output="raw",
    )

    def values(cases: np.ndarray) -> np.ndarray:
        found = np.asarray(explainer.shap_values(cases, check_additivity=False))
        return found[..., -1] if found.ndim == 3 else found

    return values


def of_shapiq(model: Any, rows: np.ndarray) -> Callable[[np.ndarray], Any] | None:
    """None where it is not installed, or an earlier one without this explainer."""
    try:
        from shapiq.tree.interventional.computer import InterventionalTreeSHAPIQ
    except ImportError:
        return None
    explainer = InterventionalTreeSHAPIQ(model, rows, max_order=1, index="SV")
    return lambda case: explainer.explain(case[0])


# -- one model -----------------------------------------------------------------------------------


def measured(name: str) -> Found:
    x, y = applications(20_000, 0)
    many_rows, _ = applications(10_000, 1)
    cases, _ = applications(4000, 2)
    rows = many_rows[:ROWS]
    model = trained(name, x, y)
    forest = name == "rf"
    rounds, n, few = (3, 16, 1) if forest else (ROUNDS, 4000, 50)

    engine, found = preparation(model, rows)
    off = engine.values(cases[:n]).sum(axis=1) + engine.base - model.margins(cases[:n])
    found["sum of values less the library's margin, largest"] = float(np.ptp(off))
    shap_values = of_shap(model.model, rows)
    columns = Exact(model.ungrouped, rows).values(cases[:2])
    found["columns as players: largest difference from shap"] = float(
        np.abs(columns - shap_values(cases[:2])).max()
    )

    # one case: as it comes from a page
    sides: dict[str, tuple[Callable[[], Any], int]] = {
        "ours": (one_by_one(engine.values, cases[:few]), few),
        "shap": (one_by_one(shap_values, cases[:1]), 1),
    }
    shapiq_values = of_shapiq(model.model, rows)
    if shapiq_values is not None:
        sides["shapiq"] = (one_by_one(shapiq_values, cases[:1]), 1)
    sides["single rows"] = (partial(engine.row_values, cases[0], np.arange(100)), 1)
    one = in_turn(sides, rounds)
    found["one case, ours, ms"] = 1e3 * middle(one["ours"], "computing")
    found["one case, shap, ms"] = 1e3 * middle(one["shap"], "computing")
    found["one case, shap / ours"] = ratio(one["shap"], one["ours"], "computing")
    found["one case against 100 single rows, ms"] = 1e3 * middle(one["single rows"], "computing")
    if "shapiq" in one:
        found["one case, shapiq, ms"] = 1e3 * middle(one["shapiq"], "computing")
        found["one case, shapiq / ours"] = ratio(one["shapiq"], one["ours"], "computing")
    else:
        found["one case, shapiq, ms"] = found["one case, shapiq / ours"] = ABSENT

    # many cases, on two cores; shap has no threads, and each of its seconds is one of computing
    asked = 2 if forest else 8
    sides = {
        "ours": (lambda: engine.values(cases[:n], threads=2), n),
        "alone": (lambda: engine.values(cases[:n]), n),
        "shap": (lambda: shap_values(cases[:asked]), asked),
    }
    native = model.native
    if native is not None:
        # CatBoost's has a large share that does not grow with the cases
        own = n if name == "cat" else 400
        sides["native"] = (lambda: native(cases[:own], 2), own)
    batch = in_turn(sides, rounds)
    found["batch, ours on two threads, cases a second"] = 1 / middle(batch["ours"], "wall")
    found["batch, ours on one thread, cases a second"] = 1 / middle(batch["alone"], "computing")
    found["batch, shap, cases a second"] = 1 / middle(batch["shap"], "wall")
    found["batch on two cores, shap / ours, by the wall"] = ratio(
        batch["shap"], batch["ours"], "wall"
    )
    found["batch, shap / ours, by computing"] = ratio(batch["shap"], batch["ours"], "computing")
    if "native" in batch:
        found["the library's own on two threads, cases a second"] = 1 / middle(
            batch["native"], "wall"
        )
        found["the library's own, path-dependent / ours, two cores"] = ratio(
            batch["native"], batch["ours"], "wall"
        )
        found["the same by computing"] = ratio(batch["native"], batch["ours"], "computing")

    # a larger group
    less, more = Exact(model.trees, many_rows[:100]), Exact(model.trees, many_rows)
    grown = in_turn(
        {
            "less": (one_by_one(less.values, cases[:few]), few),
            "more": (one_by_one(more.values, cases[:few]), few),
        },
        2 * ROUNDS + 1,
    )
    found["10,000 comparison rows / 100"] = ratio(grown["more"], grown["less"], "computing")
    return found


# -- the table -----------------------------------------------------------------------------------


def shown(value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if value == 0 or abs(value) < 1e-3:
        return f"{value:.1e}"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def environment(names: list[str]) -> str:
    """Versions of everything that takes part."""
    wanted = ["numpy", "scikit-learn", "shap", "shapiq"]
    parts = [f"Python {platform.python_version()}"]
    for package in wanted + [LIBRARIES[name] for name in names if name in LIBRARIES]:
        for distribution in (package, f"{package}-cpu"):
            try:
                parts.append(f"{package} {version(distribution)}")
                break
            except PackageNotFoundError:
                continue
        else:
            parts.append(f"{package} {ABSENT}")
    return ", ".join(parts)


def table(found: dict[str, Found]) -> None:
    lines = list(dict.fromkeys(line for column in found.values() for line in column))
    print(f"\n| | {' | '.join(TITLES[name] for name in found)} | target |")
    print(f"|---|{'---|' * (len(found) + 1)}")
    for line in lines:
        cells = " | ".join(shown(column.get(line)) for column in found.values())
        print(f"| {line} | {cells} | {TARGETS.get(line, '')} |", flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(sys.argv[2])))
        return
    names = sys.argv[1:] or list(TITLES)
    found: dict[str, Found] = {}
    print("\n## The engine, beside shap, shapiq and the libraries themselves\n")
    print(f"{platform.machine()}, {environment(names)}", flush=True)
    for name in names:
        library = LIBRARIES.get(name, "sklearn")
        if find_spec(library) is None:
            print(f"\n{TITLES[name]}: {library} is {ABSENT}", flush=True)
            continue
        started = time.perf_counter()
        # each in a process of its own: no library's threads or memory meet another's
        done = subprocess.run(
            [sys.executable, __file__, "--one", name],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"\n{TITLES[name]}: not measured, see above", flush=True)
            continue
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    table(found)


if __name__ == "__main__":
    main()
