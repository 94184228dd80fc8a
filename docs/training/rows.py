"""The comparison group and the golden cases: which rows, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from records import ALL_NUMBERS, FEATURES, OPTIONAL

SEED_BACKGROUND = 1982
SEED_GOLDEN = 1991

BACKGROUND_ROWS = 300


def draw_background(inputs: pd.DataFrame) -> pd.DataFrame:
    """300 training records, each as likely as the next; in the order of the records."""
    chosen = np.random.default_rng(SEED_BACKGROUND).choice(
        len(inputs), BACKGROUND_ROWS, replace=False
    )
    return inputs.iloc[np.sort(chosen)]


def background_csv(rows: pd.DataFrame) -> str:
    plain = rows.copy()
    for name in ALL_NUMBERS:
        plain[name] = plain[name].astype("Int64")
    return plain.to_csv(index=False, lineterminator="\n")


def choose_golden(inputs: pd.DataFrame, margins: pd.Series, line: float) -> list[str]:
    """60 held-out cases: those a wrong engine would get wrong first, then anybody.

    Close to the line, far on both sides, missing values (each optional feature, several at
    once), values at and beyond the edges of what was trained, every way of losing a job.
    """
    generator = np.random.default_rng(SEED_GOLDEN)
    missing = inputs[list(OPTIONAL)].isna()
    chosen: dict[str, None] = {}

    def take(refs: Iterable[str], number: int) -> None:
        fresh = [ref for ref in refs if ref not in chosen]
        chosen.update(dict.fromkeys(fresh[:number]))

    def drawn(condition: pd.Series) -> list[str]:
        refs = inputs.index[condition].to_numpy()
        return [str(ref) for ref in generator.permutation(refs)]

    take((margins - line).abs().sort_values(kind="stable").index, 10)
    take(margins.sort_values(kind="stable").index, 5)
    take(margins.sort_values(kind="stable", ascending=False).index, 5)
    take(missing.sum(axis=1).sort_values(kind="stable", ascending=False).index, 3)
    for name in OPTIONAL:
        take(drawn(missing[name] & (missing.sum(axis=1) == 1)), 4)
    take(drawn(missing.sum(axis=1) == 2), 3)
    for name in ALL_NUMBERS:
        take(drawn(inputs[name] == inputs[name].max()), 1)
        take(drawn(inputs[name] == inputs[name].min()), 1)
    for way in sorted(inputs["job_lost_by"].dropna().unique()):
        take(drawn(inputs["job_lost_by"] == way), 2)
    take(drawn(pd.Series(True, index=inputs.index)), 60 - len(chosen))
    return sorted(chosen)


# Who says so, in the form {"type", "label"}; labels are looked up in wording.toml. The records do
# not tell where a value came from: this is how an agency would have come by it.
SOURCES = {
    "age": ("own_statement", "application_form"),
    "married": ("own_statement", "application_form"),
    "household_head": ("own_statement", "application_form"),
    "children": ("own_statement", "application_form"),
    "young_children": ("own_statement", "application_form"),
    "metropolitan_area": ("own_statement", "application_form"),
    "more_than_12_years_school": ("own_statement", "application_form"),
    "job_lost_by": ("authority", "employer_certificate"),
    "tenure": ("authority", "employer_certificate"),
    "replacement_rate": ("computed", "benefit_calculation"),
    "weekly_maximum": ("authority", "benefit_rules"),
    "state_unemployment": ("authority", "labour_market_statistics"),
}

# In what way a masked value is missing; repeated entries are more frequent. Ours as well.
WAYS_TO_BE_MISSING = {
    "more_than_12_years_school": (
        "not_given",
        "not_given",
        "not_asked",
        "unreadable",
        "not_applicable",
    ),
    "job_lost_by": ("source_down", "source_down", "unreadable", "not_given"),
    "tenure": ("source_down", "not_given", "unreadable"),
    "replacement_rate": ("not_given", "not_given", "source_down", "unreadable"),
}


def golden_lines(
    inputs: pd.DataFrame, margins: pd.Series, probabilities: pd.Series, refs: list[str]
) -> str:
    """One JSON object a line. No dates: the records carry none, and none are made up."""
    generator = np.random.default_rng(SEED_GOLDEN + 1)
    lines = []
    for number, ref in enumerate(refs):
        bare = number % 12 == 5  # a few cases the way a bare system would send them
        values = {
            name: golden_value(name, inputs.at[ref, name], bare, generator) for name in FEATURES
        }
        line = {
            "case": {"ref": ref, "package": "unemployment_benefit", "values": values},
            "margin": float(margins[ref]),
            "probability": float(probabilities[ref]),
        }
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)


def golden_value(name: str, raw: Any, bare: bool, generator: np.random.Generator) -> Any:
    if pd.isna(raw):
        value: dict[str, Any] = {"missing": str(generator.choice(WAYS_TO_BE_MISSING[name]))}
    else:
        value = {"value": int(raw) if name in ALL_NUMBERS else str(raw)}
    if bare:
        return value.get("value", value)
    if value.get("missing") != "not_asked":  # nobody was asked, so there is no source
        type_, label = SOURCES[name]
        value["source"] = {"type": type_, "label": label}
    return value
