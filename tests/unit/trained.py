"""A small package around a small pipeline that is really trained: on the comparison rows of the
demonstration, to say what the demonstration's model says about them."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from explainer.packages.bundled import bundled_packages
from explainer.packages.scaffold import seal

DEMO = bundled_packages() / "unemployment_benefit"
NUMBERS = ("age", "tenure")
CHOICES = ("married", "job_lost_by")
NAMES = ("age", "married", "tenure", "job_lost_by")
GOLDEN = 50


@dataclass(frozen=True)
class SmallModel:
    """A fitted pipeline, its bytes as skops, and the rows it was trained on."""

    pipeline: Pipeline
    data: bytes
    rows: pd.DataFrame


def demo_rows() -> pd.DataFrame:
    """The comparison rows of the demonstration: numbers as floats, an empty cell as NaN."""
    rows = pd.read_csv(DEMO / "background.csv", dtype=str, keep_default_na=False)
    for name in rows:
        if name in ("age", "tenure", "replacement_rate", "weekly_maximum", "state_unemployment"):
            rows[name] = [float(cell) if cell else np.nan for cell in rows[name]]
        else:
            rows[name] = pd.Series([cell or np.nan for cell in rows[name]], dtype=object)
    return rows


def labels(rows: pd.DataFrame) -> np.ndarray:
    """Something to learn, made of the inputs, with noise that is the same every time."""
    noise = np.random.default_rng(7).normal(0, 1, len(rows))
    worth = (
        (rows["age"].to_numpy() - 36) / 12
        + (rows["married"].to_numpy() == "yes") * 0.8
        + np.nan_to_num(rows["tenure"].to_numpy(), nan=9) / 8
        - (rows["job_lost_by"].to_numpy() == "seasonal_job_ended") * 1.0
    )
    return np.where(worth + noise > 1.2, "yes", "no")


def small_pipeline(**booster: Any) -> Pipeline:
    """One column passed on, one filled with an indicator, one and another one-hot encoded."""
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("numbers", "passthrough", ["age"]),
                        ("choices", OneHotEncoder(handle_unknown="ignore"), ["married"]),
                        (
                            "filled",
                            SimpleImputer(strategy="median", add_indicator=True),
                            ["tenure"],
                        ),
                        (
                            "filled_choices",
                            Pipeline(
                                [
                                    ("fill", SimpleImputer(strategy="most_frequent")),
                                    ("one_hot", OneHotEncoder(handle_unknown="ignore")),
                                ]
                            ),
                            ["job_lost_by"],
                        ),
                    ]
                ),
            ),
            (
                "booster",
                GradientBoostingClassifier(
                    **{"n_estimators": 12, "max_depth": 3, "random_state": 1, **booster}
                ),
            ),
        ]
    )


def train(**booster: Any) -> SmallModel:
    rows = demo_rows()[list(NAMES)]
    pipeline = small_pipeline(**booster).fit(rows, labels(rows))
    return SmallModel(pipeline, skops.io.dumps(pipeline), rows)


MANIFEST = """\
protocol = 1
id = "small_benefit"
version = "1.0.0"
owner = "Musteramt"
created = 2026-03-01
licence = "EUPL-1.2"
purpose = "Ein kleines Paket für Tests."
benefit_type = "small_benefit"
unit = "test_office"
artificial_intelligence = true

[model]
format = "skops"
file = "model.skops"
kind = "binary"
space = "log-odds"
positive_class = "yes"
classes = ["no", "yes"]
trained_with = { python = "3.11" }

[suggestion]
threshold = 0.0
above = "can_be_granted"
below = "check_more_closely"
favours_applicant = "above"
decision_type = "bound"

[background]
file = "background.csv"
rows = 300
note = "Alle Zeilen."
base = 0.0
margin_scale = 1.0

[reasons]
cap_applicant = 4
cap_towards = 3
floor = "0.05"
coverage = "0.80"
opposing_floor = "0.10"

[limits]
outside_values = 2
stand_in_share = "0.30"
as_of = 2020
stale_after = 2027-12-31

[languages]
source = "de"
offered = ["de", "en"]
default = "de"

[review]
status = "not_approved"
note = "Nur für Tests."

[retention]
class = "case_file"
"""


def manifest_of(model: SmallModel) -> str:
    """The manifest with the figures of the comparison group, as the bare pipeline gives them."""
    margins = model.pipeline.decision_function(model.rows)
    low, high = np.quantile(margins, [0.1, 0.9])
    figures = f"base = {margins.mean()}\nmargin_scale = {high - low}\n"
    return MANIFEST.replace("base = 0.0\nmargin_scale = 1.0\n", figures)


def write_package(
    folder: Path,
    model: SmallModel,
    *,
    manifest: Callable[[str], str] = str,
    features: Callable[[str], str] = str,
    wording: Callable[[str], str] = str,
    english: Callable[[str], str] = str,
    files: Mapping[str, bytes | None] = {},
    sealed: bool = True,
) -> Path:
    """Write a whole package. The functions change the text of a file on its way; `files` puts
    other bytes in a file's place, or leaves it out for None."""
    parsed = tomllib.loads((DEMO / "features.toml").read_text("utf-8"))
    agency = tomllib.loads((DEMO / "wording.toml").read_text("utf-8"))
    features_text = features(_features(parsed["feature"]))
    wording_text = wording(_wording(agency))
    content: dict[str, bytes | None] = {
        "manifest.toml": manifest(manifest_of(model)).encode(),
        "features.toml": features_text.encode(),
        "wording.toml": wording_text.encode(),
        "model.skops": model.data,
        "background.csv": background(model.rows),
        "golden/cases.jsonl": golden(model),
        "locales/en/wording.po": english(_english()).encode(),
        "CARD.md": b"# small_benefit\n",
    }
    for name, data in {**content, **files}.items():
        if data is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
    if sealed:
        seal(folder)
    return folder


def background(rows: pd.DataFrame) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.columns)
    for row in rows.itertuples(index=False):
        writer.writerow(["" if v != v else int(v) if isinstance(v, float) else v for v in row])
    return text.getvalue().encode()


def golden(model: SmallModel, count: int = GOLDEN) -> bytes:
    """Recorded cases with the numbers of the bare pipeline."""
    rows = model.rows.head(count)
    margins = model.pipeline.decision_function(rows)
    chances = model.pipeline.predict_proba(rows)[:, 1]
    lines = []
    for at, row in enumerate(rows.to_dict("records")):
        values = {
            name: {"missing": "not_given"}
            if value != value
            else int(value)
            if isinstance(value, float)
            else value
            for name, value in row.items()
        }
        lines.append(
            json.dumps(
                {
                    "case": {"ref": f"T-{at:03}", "values": values},
                    "margin": float(margins[at]),
                    "probability": float(chances[at]),
                }
            )
        )
    return ("\n".join(lines) + "\n").encode()


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _features(all_features: list[dict[str, Any]]) -> str:
    parts = []
    for feature in all_features:
        if feature["name"] not in NAMES:
            continue
        if feature["name"] == "married":
            feature = feature | {"concerns": "third_person"}
        if feature["name"] == "tenure":
            feature = feature | {"stand_in": 4}
        plain = {k: v for k, v in feature.items() if not isinstance(v, dict)}
        lines = ["[[feature]]"]
        lines += [f"{key} = {_text(value)}" for key, value in plain.items()]
        for key, table in feature.items():
            if isinstance(table, dict):
                lines.append(f"[feature.{key}]")
                lines += [f"{_text(inner)} = {_text(text)}" for inner, text in table.items()]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _wording(agency: dict[str, Any]) -> str:
    lines = []

    def table(path: str, content: dict[str, Any]) -> None:
        texts = {k: v for k, v in content.items() if isinstance(v, str)}
        if texts:
            lines.append(f"[{path}]")
            lines.extend(f"{_text(key)} = {_text(text)}" for key, text in texts.items())
        for key, inner in content.items():
            if isinstance(inner, dict):
                table(f"{path}.{key}", inner)

    for part, content in agency.items():
        table(part, content)
    return "\n".join(lines) + "\n"


def _english() -> str:
    """The demonstration's English texts: the small package's German texts are among them."""
    return (DEMO / "locales" / "en" / "wording.po").read_text("utf-8")
