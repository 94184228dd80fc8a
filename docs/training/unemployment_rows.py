"""Where the values of the unemployment cases come from, and how they may be missing."""

from __future__ import annotations

from golden import Golden
from unemployment_records import INPUTS

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

GOLDEN = Golden(
    package="unemployment_benefit",
    inputs=INPUTS,
    shown="job_lost_by",
    sources=SOURCES,
    ways=WAYS_TO_BE_MISSING,
    number=60,
    seed=1991,
    classes=("no", "yes"),
)
