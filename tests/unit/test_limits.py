"""What the model does not know about a case, as a table."""

from __future__ import annotations

from datetime import date

import pytest
from factories import attribution, catalogue, raw_case

from explainer.core.case import Case, read_case
from explainer.core.explanation import Limit
from explainer.errors import OutsideExperience
from explainer.families.limits import ComparableRows, LimitRules, limits_of

FEW, MANY, STALE = Limit.FEW, Limit.MANY_MISSING, Limit.STALE
END = date(2026, 6, 30)

# income and partner_income are trained from 10 to 500, savings and job_lost_by may be missing
TABLE = [
    # values, contributions, today, limits
    ({}, {"income": 1.0}, "2026-03-01", set()),
    ({"income": 501}, {"income": 1.0, "age": 1.0}, "2026-03-01", {FEW}),
    ({"income": 500}, {"income": 1.0}, "2026-03-01", set()),
    ({"income": 9}, {"income": 0.05, "age": 0.95}, "2026-03-01", {FEW}),
    ({"income": 9}, {"income": 0.04, "age": 0.96}, "2026-03-01", set()),
    ({"income": 9}, {"income": -0.05, "age": 0.95}, "2026-03-01", {FEW}),
    ({"savings": 400}, {"savings": 0.3, "age": 0.7}, "2026-03-01", set()),
    ({"savings": None}, {"savings": 0.3, "age": 0.7}, "2026-03-01", {MANY}),
    ({"savings": None}, {"savings": 0.29, "age": 0.71}, "2026-03-01", set()),
    ({"savings": None}, {"savings": -0.3, "age": 0.7}, "2026-03-01", {MANY}),
    (
        {"savings": None, "job_lost_by": None},
        {"savings": 0.15, "job_lost_by": -0.15, "age": 0.7},
        "2026-03-01",
        {MANY},
    ),
    ({}, {"income": 1.0}, "2026-06-30", set()),
    ({}, {"income": 1.0}, "2026-07-01", {STALE}),
    ({}, {}, "2026-03-01", set()),
    (
        {"income": 999, "savings": None},
        {"income": 0.5, "savings": 0.5},
        "2027-01-01",
        {FEW, MANY, STALE},
    ),
]


def limits(values: dict, phis: dict, today: str, rules: LimitRules) -> frozenset[Limit]:
    values = {"savings": 100.0, **values}
    moved = dict.fromkeys(catalogue().names, 0.0) | phis
    case = read_case(raw_case(**values), catalogue())
    day = date.fromisoformat(today)
    return limits_of(case, attribution(moved), catalogue(), rules, day, like(case))


def like(case: Case, count: int = 40) -> ComparableRows:
    """A comparison group of rows that are all like the case."""
    row = {name: value.value for name, value in case.values.items()}
    return ComparableRows([row] * count, catalogue())


@pytest.mark.parametrize(("values", "phis", "today", "expect"), TABLE)
def test_limits_are_told_from_here_on(values, phis, today, expect):
    assert limits(values, phis, today, LimitRules(stale_after=END, as_of=2024)) == expect


def test_a_model_without_an_end_is_never_stale():
    assert limits({}, {"income": 1.0}, "2099-01-01", LimitRules()) == frozenset()


@pytest.mark.parametrize(("allowed", "outside"), [(1, True), (2, True), (3, False)])
def test_too_many_values_outside_of_training_and_no_suggestion_is_delivered(allowed, outside):
    far = {"income": 999, "partner_income": 1}
    rules = LimitRules(outside_values=allowed)
    if outside:
        with pytest.raises(OutsideExperience) as caught:
            limits(far, {"income": 1.0}, "2026-03-01", rules)
        assert caught.value.where == "income, partner_income"
        assert "999" not in str(caught.value)
    else:
        assert limits(far, {"income": 1.0}, "2026-03-01", rules) == {FEW}
