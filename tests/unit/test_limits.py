"""What the model does not know about a case, as a table."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from factories import attribution, catalogue, choice, feature, raw_case

from explainer.core.case import Case, FeatureCatalogue, read_case
from explainer.core.explanation import Limit
from explainer.errors import OutsideExperience
from explainer.families.limits import Comparable, ComparableRows, LimitRules, limits_of

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


# -- few comparable rows: two features move a case of income 400 and tenancy "rent" -------------

SPREAD = [{"income": float(at), "tenancy": "rent"} for at in range(0, 1000, 10)]
"""100 rows; 80 of 100 lie within 792, so what is within 198 is near."""


def comparable(rows: list[dict], phis: dict, **values: object) -> int:
    known = FeatureCatalogue([feature("income", optional=True), choice("tenancy")])
    given = {"income": 400.0, "tenancy": "rent"} | values
    case = read_case({"ref": "A-1", "values": given}, known)
    return ComparableRows(rows, known).like(case, attribution(phis)).rows


BOTH = {"income": 1.0, "tenancy": -1.0}


@pytest.mark.parametrize(
    ("phis", "values", "expect"),
    [
        ({"income": 1.0, "tenancy": 0.0}, {}, 39),
        ({"income": -1.0, "tenancy": 0.0}, {}, 39),
        ({"income": 1.0, "tenancy": 0.0}, {"income": 999.0}, 19),
        ({"income": 1.0, "tenancy": 0.0}, {"income": None}, 0),
        # either is half of what moved the case
        (BOTH, {}, 100),
        (BOTH, {"tenancy": "own"}, 39),
        ({"income": 0.9, "tenancy": 1.1}, {"tenancy": "own"}, 0),
        ({"income": 1.1, "tenancy": 0.9}, {"tenancy": "own"}, 39),
        # nothing moved: all are alike in what did
        ({"income": 0.0, "tenancy": 0.0}, {"tenancy": "own"}, 100),
    ],
)
def test_a_row_is_comparable_if_it_agrees_in_at_least_half_of_what_moved_the_case(
    phis, values, expect
):
    assert comparable(SPREAD, phis, **values) == expect


def test_missing_values_are_like_missing_values_and_near_no_number():
    rows = [*SPREAD, *({"income": None, "tenancy": "rent"} for _ in range(7))]
    only = {"income": 1.0, "tenancy": 0.0}
    assert comparable(rows, only, income=None) == 7
    assert comparable(rows, only) == comparable(SPREAD, only) == 39


def test_where_all_rows_have_the_same_number_only_that_one_is_near():
    rows = [{"income": 400.0, "tenancy": "rent"}] * 50
    only = {"income": 1.0, "tenancy": 0.0}
    assert comparable(rows, only) == 50
    assert comparable(rows, only, income=400.5) == 0


@pytest.mark.parametrize(
    ("rows", "found", "stated", "few"),
    [
        # a group of 300 is a sample: fewer than one row in 50, and fewer than 30
        (300, 5, None, True),
        (300, 6, None, False),
        (5000, 29, None, True),
        (5000, 30, None, False),
        (40, 0, None, True),
        (40, 1, None, False),
        # what a package states counts as it is
        (300, 29, 30, True),
        (300, 30, 30, False),
        (300, 0, 0, False),
    ],
)
def test_too_few_goes_by_the_size_of_the_group_unless_the_package_states_a_number(
    rows, found, stated, few
):
    group = ComparableRows([{"income": 1.0}] * rows, FeatureCatalogue([feature("income")]))
    assert group.too_few(Comparable(found, float(found)), stated) is few


@pytest.mark.parametrize(
    ("others", "times", "stated", "few"),
    [
        # by rows one in a hundred; a stratum that was sampled thinly is not rare for that
        (1980, 1, None, True),
        (1980, 100, None, False),
        # by rows one in ten; one that was sampled densely is rare all the same
        (180, 1, None, False),
        (180, 0.01, None, True),
        # exactly one in fifty, which a sum of tenths misses by its last bit, is not fewer
        (294, 0.3, None, False),
        (295, 0.3, None, True),
        # what a package states are rows
        (1980, 100, 21, True),
        (180, 0.01, 20, False),
    ],
)
def test_how_rare_a_case_is_goes_by_weight_and_what_was_seen_by_rows(others, times, stated, few):
    """Twenty rows are like the case, and weigh so many times as much as each of the others."""
    known = FeatureCatalogue([choice("tenancy")])
    rows = [{"tenancy": "own"}] * 20 + [{"tenancy": "rent"}] * others
    weights = np.array([float(times)] * 20 + [1.0] * others)
    group = ComparableRows(rows, known, weights / weights.max())
    case = read_case({"ref": "A-1", "values": {"tenancy": "own"}}, known)
    found = group.like(case, attribution({"tenancy": 1.0}))
    assert found.rows == 20
    assert group.too_few(found, stated) is few


def test_what_is_near_goes_by_the_weighted_spread():
    """Of nine rows in ten that weigh next to nothing the spread is that of the others."""
    known = FeatureCatalogue([feature("income")])
    rows = [{"income": float(at)} for at in range(1000)]
    weights = np.where(np.arange(1000) < 100, 1.0, 1e-6)
    case = read_case({"ref": "A-1", "values": {"income": 50}}, known)
    moved = attribution({"income": 1.0})
    assert ComparableRows(rows, known).like(case, moved).rows == 250
    assert ComparableRows(rows, known, weights).like(case, moved).rows == 41


@pytest.mark.parametrize(("stated", "expect"), [(None, set()), (41, {FEW}), (40, set())])
def test_a_case_with_few_comparable_rows_says_so(stated, expect):
    rules = LimitRules(comparable_rows=stated)
    assert limits({}, {"income": 1.0}, "2026-03-01", rules) == expect
