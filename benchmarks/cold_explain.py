"""`warum explain` as a whole process, what its time goes into, and the same task done with shap.

The other task is what one would write without Warum: import shap and scikit-learn, load the same
pipeline, prepare the same comparison rows, ask the tree explainer about the same case. It gives
numbers of columns, no words and no check. Files are in the cache of the system in both.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from harness import PACKAGE, WARUM, heading, row, shown, timed

RUNS = 7
TOP = 10

WITH_SHAP = """
import json, sys
import numpy, pandas, shap, skops.io
from sklearn.pipeline import Pipeline
folder, path = sys.argv[1:]
data = open(f"{folder}/model.skops", "rb").read()
pipeline = skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
rows = pandas.read_csv(f"{folder}/background.csv")
values = json.load(open(path))["values"]
plain = {n: v.get("value") if isinstance(v, dict) else v for n, v in values.items()}
case = pandas.DataFrame([plain], columns=rows.columns)
for name in rows.columns:
    if rows[name].dtype != "O" and not isinstance(plain[name], str):
        case[name] = case[name].astype(float)
    else:
        for frame in (rows, case):
            frame[name] = frame[name].astype(object).where(frame[name].notna(), numpy.nan)
comparison = pipeline[0].transform(rows)
explainer = shap.TreeExplainer(
    pipeline[-1],
    shap.maskers.Independent(comparison, max_samples=len(comparison)),
    feature_perturbation="interventional",
    model_output="raw",
)
print(explainer.shap_values(pipeline[0].transform(case)))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case.json"
        with (PACKAGE / "golden" / "cases.jsonl").open(encoding="utf-8") as file:
            case.write_text(json.dumps(json.loads(file.readline())["case"]), "utf-8")
        ours = [str(WARUM), "explain", "unemployment_benefit", str(case)]
        theirs = [sys.executable, "-W", "ignore", "-c", WITH_SHAP, str(PACKAGE), str(case)]
        timed(ours)
        timed(theirs)
        spent: dict[str, list[float]] = {"ours": [], "theirs": [], "help": []}
        for _ in range(RUNS):
            spent["ours"].append(timed(ours))
            spent["theirs"].append(timed(theirs))
            spent["help"].append(timed([str(WARUM), "--help"]))
        heading("One case on the command line, whole process")
        first = row("`warum explain`: checked, worded, read back", spent["ours"])
        second = row("shap and scikit-learn: numbers of columns", spent["theirs"])
        row("`warum --help`", spent["help"])
        print(f"\n`warum explain` takes {first / second:.2f} of that time")
        _imports(ours)


def _imports(command: list[str]) -> None:
    """Print which packages the process spends its imports on, each without what it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    own: Counter[str] = Counter()
    for line in done.stderr.splitlines():
        found = re.fullmatch(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", line)
        if found:
            own[found[2].split(".")[0]] += int(found[1])
    whole = sum(own.values())
    print(
        f"\nImports take {shown(whole / 1e6)} of it (measured once, with the cost of measuring):\n"
    )
    print("| package | own time | share |")
    print("|---|---|---|")
    for name, micro in own.most_common(TOP):
        print(f"| {name} | {shown(micro / 1e6)} | {100 * micro / whole:.0f} % |")


if __name__ == "__main__":
    main()
