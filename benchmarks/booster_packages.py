"""Two packages with an XGBoost booster, made here: a real small one, and a large one.

The small one is the recipe of the credit package, trained on its real records. The large one has
500 trees of depth 6 on the made-up applications of `ensembles.py`: 17 features people know, 1,000
comparison rows, and words that say nothing, for only its size counts.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from ensembles import CHOICES, applications
from harness import ROOT

from explainer.packages.scaffold import seal

TRAINING = ROOT / "docs" / "training"
NUMBERS = tuple(f"number_{letter}" for letter in "abcdefghijkl")
WORDS = tuple(f"choice_{letter}" for letter in "abcde")
LEVELS = "klmno"
ROWS, COMPARISON, RECORDED = 5_000, 1_000, 200


def credit(folder: Path) -> Path:
    """The credit package, trained by its recipe."""
    out = folder / "credit"
    recipe = [sys.executable, str(TRAINING / "credit.py"), "--out", str(out)]
    subprocess.run(recipe, check=True, capture_output=True)
    return out


def large(folder: Path) -> Path:
    """A package of 500 trees of depth 6."""
    out = folder / "large"
    shutil.copytree(TRAINING / "credit", out)
    given, label = applications(ROWS + RECORDED, 3)
    table = _table(given)
    train, recorded = table[:ROWS], table[ROWS:]
    settings = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "nthread": 2, "seed": 3}
    matrix = xgboost.DMatrix(train, label[:ROWS], enable_categorical=True)
    booster = xgboost.train(settings, matrix, 500)

    def margins(rows: pd.DataFrame) -> Any:
        return booster.predict(xgboost.DMatrix(rows, enable_categorical=True), output_margin=True)

    (out / "model.ubj").write_bytes(bytes(booster.save_raw("ubj")))
    group = train[:COMPARISON]
    group.to_csv(out / "background.csv", index=False, lineterminator="\n")
    lines = [
        {"case": {"ref": f"G-{at}", "package": "large", "values": row}, "margin": float(margin)}
        for at, (row, margin) in enumerate(
            zip(recorded.to_dict("records"), margins(recorded), strict=True)
        )
    ]
    for line in lines:
        line["probability"] = float(1 / (1 + np.exp(-line["margin"])))
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (out / "golden" / "cases.jsonl").write_text(text, "utf-8")
    (out / "features.toml").write_text("\n".join(_feature(name, train) for name in train), "utf-8")
    low, high = np.quantile(margins(group), [0.1, 0.9])
    manifest = (out / "manifest.toml").read_text("utf-8")
    for old, new in (
        ('id = "credit"', 'id = "large"'),
        ("rows = 300", f"rows = {COMPARISON}"),
        ("base = 0.0", f"base = {margins(group).mean():.6f}"),
        ("margin_scale = 0.0", f"margin_scale = {high - low:.6f}"),
        ("threshold = 1.6", "threshold = 0.0"),
    ):
        if manifest.count(old) != 1:
            raise SystemExit(f"manifest.toml of the credit package: {old} is not there once")
        manifest = manifest.replace(old, new)
    (out / "manifest.toml").write_text(manifest, "utf-8")
    seal(out)
    return out


def _table(given: np.ndarray) -> pd.DataFrame:
    table = pd.DataFrame(given[:, : len(NUMBERS)], columns=list(NUMBERS)).round(2)
    at = len(NUMBERS)
    for name, levels in zip(WORDS, CHOICES, strict=True):
        codes = given[:, at : at + levels].argmax(axis=1)
        table[name] = pd.Categorical.from_codes(codes, list(LEVELS[:levels]))
        at += levels
    return table


def _feature(name: str, train: pd.DataFrame) -> str:
    label = name.replace("number_", "Zahl ").replace("choice_", "Wahl ").upper().capitalize()
    lines = [
        *("[[feature]]", f'name = "{name}"'),
        *("optional = false", 'class = "neutral"', 'sensitivity = "normal"'),
        *('concerns = "applicant"', 'mend = "correctable"', f'label = "{label}"'),
    ]
    if name in NUMBERS:
        low, high = train[name].min(), train[name].max()
        lines += [
            'kind = "number"',
            "range = [-1000000.0, 1000000.0]",
            f"trained = [{low}, {high}]",
        ]
    else:
        levels = list(train[name].cat.categories)
        lines += ['kind = "choice"', f"choices = {json.dumps(levels)}", "[feature.choice_labels]"]
        lines += [f'{level} = "Stufe {level}"' for level in levels]
    lines.append("[feature.reason]")
    for outcome, way in (
        ("can_be_granted", "für die Bewilligung"),
        ("check_more_closely", "für eine genauere Prüfung"),
    ):
        said = f"Die Angabe {label} sprach aus Sicht des Programms {way}."
        lines.append(f'{outcome} = "{said} Die Angabe lautet: {{value}}."')
    return "\n".join(lines) + "\n"
