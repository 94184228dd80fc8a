"""Where the values of the mortgage cases come from, and in what way they may be missing.

The records tell neither: this is how a public bank would have come by them.
"""

from __future__ import annotations

from golden import Golden
from mortgage_records import INPUTS

SOURCES = {
    "term": ("authority", "loan_offer"),
    "loan_to_price": ("computed", "ratio_calculation"),
    "units": ("own_statement", "application_form"),
    "housing_ratio": ("computed", "ratio_calculation"),
    "obligation_ratio": ("computed", "ratio_calculation"),
    "self_employed": ("own_statement", "application_form"),
    "industry_unemployment": ("authority", "labour_market_statistics"),
    "payment_history": ("authority", "credit_report"),
    "mortgage_history": ("authority", "credit_report"),
    "public_record": ("authority", "public_register"),
    "unverifiable": ("authority", "paper_check"),
}

# Repeated entries are more frequent.
WAYS_TO_BE_MISSING = {
    "term": ("not_given", "unreadable", "source_down"),
    "units": ("not_given", "not_given", "not_asked", "unreadable"),
    "obligation_ratio": ("not_given", "not_given", "source_down", "unreadable"),
    "payment_history": ("source_down", "source_down", "not_given", "not_applicable"),
}

GOLDEN = Golden(
    package="mortgage_guarantee",
    inputs=INPUTS,
    shown="payment_history",
    sources=SOURCES,
    ways=WAYS_TO_BE_MISSING,
    number=72,
    seed=1992,
    classes=("not_granted", "granted"),
)
