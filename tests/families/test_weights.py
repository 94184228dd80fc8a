"""Comparison groups whose rows do not weigh alike: every number as if each row stood there as often
as it weighs, and nothing changed where they weigh alike."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from factories import two
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from test_estimated import cases, network
from test_second_opinion import by_boosting, by_pipeline, many
from trained_formats import SUGGESTING, apart, case, comparison, made, raw, tolerance

from explainer.core.attribution import Attribution, DecisionLine, Side, Task
from explainer.errors import BackgroundInvalid
from explainer.families import attribute
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.attribute import SAMPLE, SEED, WEIGHTED, Explained, explained
from explainer.families.engine import exact
from explainer.families.engine.estimate import Stage
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear, LinearAgainst
from explainer.families.engine.reference import brute_force
from explainer.families.model import Answer, Model, RawRow, margin_of
from explainer.families.second_opinion import by_brute_force, by_shap, ours, witnesses
from explainer.families.weights import mean, rows_worth, sample, spread, weights_of

# XGBoost 3.4 warns of gblinear; people have models of it
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*is deprecated:UserWarning")


OWN_MODEL = Path(__file__).parents[2] / "docs" / "own-model.md"


def uneven(count: int, seed: int = 4) -> np.ndarray:
    """Weights between 0.2 and 3, no two alike."""
    return np.random.default_rng(seed).uniform(0.2, 3, count)


def whole(count: int, seed: int = 4) -> np.ndarray:
    """Whole ones of 1 to 4; 1 and another occur."""
    found = np.random.default_rng(seed).integers(1, 5, count)
    found[:2] = 1, 3
    return found


def repeated(rows: list, times: np.ndarray) -> list:
    return [row for row, n in zip(rows, times, strict=True) for _ in range(n)]


# -- what follows from weights ------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 6)), min_size=2, max_size=40).filter(
        lambda drawn: min(times for _, times in drawn) == 1
    ),
    st.floats(1e-3, 1e3),
)
def test_mean_and_spread_are_those_of_the_rows_repeated(drawn, unit):
    """The lightest row once, whatever the unit the weights are written in."""
    values, times = np.array([v for v, _ in drawn]), np.array([n for _, n in drawn])
    often = np.repeat(values, times)
    close = {"rel": 1e-9, "abs": 1e-6}
    assert mean(values, times * unit) == pytest.approx(often.mean(), **close)
    low, high = np.quantile(often, [0.1, 0.9])
    assert spread(values, times * unit) == pytest.approx(high - low, **close)


def test_the_lines_for_the_environment_of_training_say_the_same(capsys):
    """What an agency is told to run, as it stands in docs/own-model.md."""
    _, _, page = OWN_MODEL.read_text("utf-8").partition("### Where rows do not weigh alike")
    lines = page.partition("```python\n")[2].partition("```")[0]
    margins, weights = np.random.default_rng(8).normal(0, 2, 200), uneven(200)
    exec(lines, {"numpy": np, "margins": margins, "weights": weights})
    base, scale = (line.split(" = ") for line in capsys.readouterr().out.splitlines())
    assert base == ["base", str(mean(margins, weights))]
    assert scale == ["margin_scale", str(float(spread(margins, weights)))]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.floats(1e-3, 1e3))
def test_of_rows_that_weigh_alike_the_weighted_spread_is_the_plain_one(given_values, weight):
    values = np.array(given_values)
    low, high = np.quantile(values, [0.1, 0.9])
    found = spread(values, np.full(len(values), weight))
    assert found == pytest.approx(high - low, rel=1e-12, abs=1e-8)


def test_a_last_bit_of_a_weight_hardly_moves_the_spread():
    """Thirty even steps: the tenth part falls exactly between two of them."""
    values = np.arange(30.0)
    weights = np.ones(30)
    for at in range(30):
        nudged = weights.copy()
        nudged[at] = np.nextafter(1.0, 2)
        assert spread(values, nudged) == pytest.approx(spread(values, None), abs=1e-12)


def test_of_several_outputs_each_has_its_own_spread():
    values = np.random.default_rng(2).normal(0, [1, 5, 0.1], (80, 3))
    weights = uneven(80)
    assert spread(values, weights).tolist() == [spread(v, weights) for v in values.T]


@pytest.mark.parametrize("size", [30, 300])
def test_weights_that_are_all_the_same_are_none(size):
    for weight in (1.0, 0.1, 7e300, 5e-324):
        assert weights_of([weight] * size) is None
    assert weights_of(None) is None


def test_a_group_is_worth_as_many_rows_as_kish_says():
    assert rows_worth(50, None) == 50
    assert rows_worth(4, np.array([1.0, 1.0, 1.0, 1.0])) == 4
    # half of the rows weigh three times as much: (4 / 2)^2 / (10 / 2) = 0.8 of them
    assert rows_worth(100, np.array([1.0, 3.0] * 50)) == pytest.approx(80)


def test_the_variance_of_a_weighted_mean_is_that_of_so_many_rows():
    """What `rows_worth` is for: groups drawn anew, their weighted mean strays so far."""
    random = np.random.default_rng(1)
    weights = uneven(60)
    means = [mean(random.normal(0, 1, 60), weights) for _ in range(20_000)]
    assert np.var(means) == pytest.approx(1 / rows_worth(60, weights), rel=0.05)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([1.0] * 30 + [100.0], r"31 rows .* worth only 1\.6 rows"),
        # a hair fewer than thirty is not rounded up to thirty
        ([1.0] * 29 + [1.1], r"30 rows .* worth only 29\.9 rows"),
        ([1.0] * 99 + [1e-10], r"Line 101 weighs less than a billionth"),
        ([1e308] * 99 + [1e-308], r"Line 101 weighs less than a billionth"),
        ([1.0] * 40 + [1e12] + [1.0] * 59, r"Line 42 weighs more than a billion times"),
        ([3.0] * 40 + [1e300] + [0.5] * 59, r"Line 42 weighs more than a billion times"),
        ([1.0] * 40 + [1e6] + [1.0] * 59, r"worth only 1\.0 rows .* stands in line 42\."),
    ],
)
def test_weights_that_are_too_uneven_are_refused(weights, says):
    with pytest.raises(BackgroundInvalid, match=says) as caught:
        weights_of(weights)
    assert caught.value.where == "background.csv"
    assert caught.value.mend


def test_a_last_bit_of_a_weight_refuses_no_group():
    """Thirty rows that weigh alike but for the way their weights were worked out."""
    assert weights_of([0.3] * 29 + [0.1 + 0.2]) is not None


def test_the_sample_has_every_row_as_often_as_it_weighs():
    """Rounded up or down, whatever the order of the rows in the file."""
    for rows, seed in ((40, 1), (500, 2)):
        weights = uneven(rows, seed)
        drawn = sample(rows, weights / weights.max(), SAMPLE, SEED)
        times = np.bincount(drawn, minlength=rows)
        meant = SAMPLE * weights / weights.sum()
        assert len(drawn) == SAMPLE
        assert ((times == np.floor(meant)) | (times == np.ceil(meant))).all()


def test_the_sample_of_rows_that_weigh_alike_is_the_one_drawn_before():
    for rows in (60, 300):
        old = np.random.default_rng(SEED).permutation(rows)[:SAMPLE]
        assert sample(rows, None, SAMPLE, SEED).tolist() == sorted(old)


# -- a weighted group is the group with its rows repeated ---------------------------------------

KINDS = (
    "xgboost",
    "lightgbm",
    "catboost, one-hot",
    "random forest with NaN",
    "histogram boosting with categories",
    "classes: xgboost",
    "amount: catboost, RMSE",
    "xgboost, linear",
    "logistic",
    "network",
    "lightgbm, linear trees",
    "catboost, counted categories",
    "classes: lightgbm, linear trees",
)
"""Trees, weighted sums and models known by their answers, of every task."""

ROWS = 40
CLOSE = {"rtol": 0, "atol": 1e-9}


@cache
def beside(
    name: str, weights: tuple[float, ...] | None, times: tuple[int, ...] | None
) -> Explained:
    """A model in its own process, beside forty rows: weighted, or repeated."""
    one, rows = made(name), comparison(name, ROWS)
    if times is not None:
        rows = repeated(rows, np.array(times))
    suggesting = SUGGESTING[one.target.task]
    return explained(apart(name), one.catalogue, suggesting, rows, "d" * 64, weights)


def told(found: Explained, row: RawRow) -> Attribution:
    return found.attribute(case(row))


def values(found: Attribution) -> np.ndarray:
    return np.array([each.phi for each in found.contributions])


def asked(name: str) -> list[RawRow]:
    """Cases that are no comparison rows, some with gaps."""
    return comparison(name, 60)[50:55]


def by_force(found: Explained, row: RawRow, rows: list[RawRow], weights) -> np.ndarray:
    """Through the model's own answers, in its process."""
    names, contrast = found.catalogue.names, found.contrast(row)

    def margin(mixed):
        mixed_rows = [dict(zip(names, each, strict=True)) for each in mixed]
        return margin_of(found.model.answer(mixed_rows).margins, contrast)

    others = [[z[n] for n in names] for z in rows]
    return brute_force(margin, [row[n] for n in names], others, weights)


@pytest.mark.parametrize("name", KINDS)
def test_contributions_equal_brute_force_with_weights(name):
    weights = uneven(ROWS)
    found = beside(name, tuple(weights), None)
    plain = beside(name, None, None)
    row = asked(name)[0]
    attribution = told(found, row)
    scale = attribution.comparison.scale
    theirs = by_force(found, row, comparison(name, ROWS), weights)
    assert abs(values(attribution) - theirs).max() <= tolerance(name) * scale
    assert abs(values(told(plain, row)) - theirs).max() > 1e-3 * scale
    # of the model's own margins, by hand
    margins = margin_of(found.comparison_margins, found.contrast(row))
    base = sum(margins * weights) / sum(weights)
    assert attribution.comparison.base == pytest.approx(base, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("compiled", [True, False])
def test_trees_do_so_in_every_way_alone_and_in_a_batch(compiled, monkeypatch):
    weights = uneven(ROWS)
    one, rows = made("xgboost"), comparison("xgboost", ROWS)
    if not compiled:
        monkeypatch.setattr(exact, "kernel", lambda: None)
    found = explained(
        apart("xgboost"), one.catalogue, SUGGESTING[one.target.task], rows, "", weights
    )
    attribution = told(found, asked("xgboost")[0])
    theirs = by_force(found, asked("xgboost")[0], rows, weights)
    assert abs(values(attribution) - theirs).max() <= 1e-6 * attribution.comparison.scale
    (form,) = found.model.forms
    engine = exact.Exact(form, found.comparison_columns, found.weights, compiled=compiled)
    batch = engine.values(found.model.answer(asked("xgboost")).columns)
    assert batch[0].tolist() == values(attribution).tolist()


@pytest.mark.parametrize("name", KINDS)
def test_whole_weights_say_the_same_as_rows_repeated(name):
    times = whole(ROWS)
    weighted, often = beside(name, tuple(times / 7), None), beside(name, None, tuple(times))
    for contrast, group in weighted.comparisons.items():
        other = often.comparisons[contrast]
        assert (group.rows, other.rows) == (ROWS, times.sum())
        assert group.base == pytest.approx(other.base, rel=1e-12, abs=1e-12)
        assert group.scale == pytest.approx(other.scale, rel=1e-12)
        assert group.share_above == pytest.approx(other.share_above, rel=1e-12)
    for (base, scale), (of_often, scale_of_often) in zip(
        weighted.outputs, often.outputs, strict=True
    ):
        assert base == pytest.approx(of_often, rel=1e-12, abs=1e-12)
        assert scale == pytest.approx(scale_of_often, rel=1e-12)
    for row in asked(name):
        mine, theirs = told(weighted, row), told(often, row)
        assert values(mine) == pytest.approx(values(theirs), abs=1e-11 * mine.comparison.scale)


@given(st.lists(st.integers(1, 4), min_size=ROWS, max_size=ROWS).filter(lambda t: min(t) == 1))
def test_any_whole_weights_do_so(times):
    """In this process, so that many can be tried: trees and a weighted sum."""
    if rows_worth(ROWS, np.array(times)) < 30:
        return
    for name in ("lightgbm, numbers", "logistic"):
        one, rows = made(name), comparison(name, ROWS)
        suggesting, opened = SUGGESTING[one.target.task], here(name)
        weighted = explained(opened, one.catalogue, suggesting, rows, "", times)
        often = explained(opened, one.catalogue, suggesting, repeated(rows, times), "")
        close = {"rel": 1e-11, "abs": 1e-11}
        assert weighted.comparison.base == pytest.approx(often.comparison.base, **close)
        assert weighted.comparison.scale == pytest.approx(often.comparison.scale, **close)
        row = asked(name)[0]
        assert values(told(weighted, row)) == pytest.approx(values(told(often, row)), **close)


@cache
def here(name: str) -> Model:
    one = made(name)
    return open_model(one.declared, one.data, one.catalogue, one.target)


@pytest.mark.parametrize("name", ["xgboost", "logistic", "network", "classes: xgboost"])
def test_weights_that_are_all_the_same_change_no_bit_and_no_name(name):
    plain, alike = beside(name, None, None), beside(name, (0.3,) * ROWS, None)
    assert alike.method == plain.method
    assert alike.outputs == plain.outputs
    assert alike.comparisons == plain.comparisons
    for row in asked(name):
        assert told(alike, row) == told(plain, row)


@pytest.mark.parametrize("name", KINDS)
def test_the_method_of_a_weighted_group_says_so(name):
    plain, weighted = beside(name, None, None), beside(name, tuple(uneven(ROWS)), None)
    assert weighted.method == plain.method + WEIGHTED
    assert told(weighted, asked(name)[0]).method == weighted.method


# -- weighted sums and models known by their answers ----------------------------------------------


def test_a_weighted_sum_of_columns_equals_brute_force_with_weights():
    random = np.random.default_rng(3)
    linear = Linear(np.array([0, 1, 1, 2]), random.normal(0, 1, 4), 0.7, 3)
    rows, weights = random.normal(0, 1, (9, 4)), uneven(8)

    def margin(mixed):
        return linear.sums(np.array([[a, *b, c] for a, b, c in mixed]))

    def by_player(row):
        return [row[0], tuple(row[1:3]), row[3]]

    theirs = brute_force(margin, by_player(rows[0]), [by_player(z) for z in rows[1:]], weights)
    assert np.allclose(LinearAgainst(linear, rows[1:], weights).values(rows[0]), theirs, **CLOSE)


def by_network(weights, opener=open_model) -> Explained:
    data, catalogue, table = network(8)
    model = opener("skops", data, catalogue, two("0", "1"))
    line = DecisionLine(0.5, "yes", "no", Side.ABOVE)
    return explained(model, catalogue, line, raw(table[:60]), "0" * 64, weights)


def test_estimates_hold_the_weighted_truth_within_their_error(monkeypatch):
    weights = uneven(60)
    truth = [by_network(weights).attribute(one) for one in cases(8, 6)]
    monkeypatch.setattr(Function, "enumerable", lambda self, n_rows: False)
    found = by_network(weights)
    assert found.method == attribute.ESTIMATE + WEIGHTED
    for one, exactly in zip(cases(8, 6), truth, strict=True):
        estimated = found.attribute(one)
        assert estimated.answers
        assert abs(estimated.difference) < 1e-12
        errors = np.array([each.error for each in estimated.contributions])
        assert (errors > 0).any()
        assert (abs(values(estimated) - values(exactly)) <= 4.5 * errors + 1e-12).all()


def test_in_a_process_of_its_own_weights_count_the_same():
    there, here_ = by_network(uneven(60), open_apart), by_network(uneven(60))
    (one,) = cases(8, 1)
    row = {name: value.value for name, value in one.values.items()}
    columns = here_.model.answer([row]).columns[0]
    contrast = here_.contrast(row)
    for stage in (None, Stage(0, 8)):
        asked_of = (columns, here_.comparison_columns, contrast, stage)
        for name in ("values", "covariance", "by_row"):
            mine, theirs = (
                getattr(found.model.row_values(*asked_of, here_.weights), name)
                for found in (there, here_)
            )
            assert np.allclose(mine, theirs, **CLOSE)
        plain = there.model.row_values(*asked_of).values
        assert abs(there.model.row_values(*asked_of, here_.weights).values - plain).max() > 1e-4
    there.model.close()


# -- stability of signs ---------------------------------------------------------------------------


def test_signs_of_a_weighted_group_are_as_stable_as_those_of_a_group_drawn_by_weight(monkeypatch):
    """Often enough resampled, the share of resamples with the same sign is what the weighted
    variance over the worth of the group says, for a contribution one to two errors from nought."""
    monkeypatch.setattr(attribute, "RESAMPLES", 4000)
    random = np.random.default_rng(6)
    weights = uneven(400)
    weights = weights / weights.max()
    by_row = random.normal(0.1, 1, 400) * (1 + weights)
    phi = mean(by_row, weights)
    error = np.sqrt(mean((by_row - phi) ** 2, weights) / rows_worth(400, weights))
    drawn = by_row[sample(400, weights, SAMPLE, SEED)]
    strays = attribute._strays.__wrapped__(SAMPLE, rows_worth(400, weights)) @ drawn
    # a sample of 128 tells the spread itself within a tenth or so
    assert np.std(strays) == pytest.approx(error, rel=0.15)


def test_a_row_that_hardly_weighs_turns_no_sign():
    """A hundred rows say the same; one, far off, says the opposite. With a weight like the others'
    it turns the sign in many resamples, with a thousandth of it in none."""
    by_row = np.array([[1.0]] * 100 + [[-90.0]])
    light = np.array([1.0] * 100 + [1e-3])
    for weights, stable in ((None, False), (light, True)):
        drawn = by_row[sample(101, weights, SAMPLE, SEED)]
        phi = mean(by_row, weights)
        assert phi > 0
        assert bool(attribute._stable_signs(drawn, phi, rows_worth(101, weights))[0]) is stable


# -- witnesses ------------------------------------------------------------------------------


def test_exactly_half_of_the_weight_is_no_majority_whatever_its_last_bit_says():
    """Two strata that weigh the same, above the line and below it."""
    suggesting = SUGGESTING[Task.BINARY]
    (contrast,) = suggesting.contrasts()
    margins = np.array([1.0] * 60 + [-1.0] * 20)
    weights = weights_of([0.1] * 60 + [0.3] * 20)
    assert weights is not None
    assert mean((margins > 0).astype(float), weights) > 0.5  # as a sum has it
    answer = Answer(margins[:, None], margins[:, None])
    group = attribute._group(answer, contrast, suggesting, "d" * 64, weights)
    assert group is not None
    assert group.share_above == 0.5


def with_weights(found: Explained) -> Explained:
    return replace(found, weights=weights_of(uneven(len(found.comparison_columns))))


def by_logistic() -> Explained:
    return by_pipeline(LogisticRegression())


def by_two_columns() -> Explained:
    return by_pipeline(GradientBoostingClassifier(n_estimators=15, random_state=1))


@pytest.mark.parametrize(
    ("make", "beside_it"),
    [
        (by_boosting, "shap's tree explainer on our trees"),
        (by_logistic, "the model itself, one feature at a time"),
        (by_two_columns, "the kernel's twin in NumPy"),
    ],
)
def test_with_many_features_witnesses_count_weights_too(make, beside_it):
    found = with_weights(make())
    rows = raw(many()[0])
    asked_of = witnesses(found)
    assert len(asked_of) == 2
    assert asked_of[1].name.startswith(beside_it)
    for witness in asked_of:
        assert witness.differs(rows[0], rows[1:6]) <= 1e-6 * found.comparison.scale
    assert asked_of[1].name.endswith(", comparison rows weighed 1, 2, 3 and on")


def test_with_few_features_witnesses_count_weights_too():
    found = beside("xgboost", tuple(uneven(ROWS)), None)
    rows = comparison("xgboost", ROWS)
    assert [each.name for each in witnesses(found)] == [
        "brute force over all coalitions, comparison rows weighed 1, 2, 3 and on",
        "shap's exact explainer, comparison rows weighed 1, 2, 3 and on",
    ]
    for witness in witnesses(found):
        assert witness.differs(rows[0], rows[1:7]) <= 1e-6 * found.comparison.scale
    plain = beside("xgboost", None, None)
    gap = 1e-3 * found.comparison.scale
    for other in (ours, by_brute_force, by_shap):
        change = other(found, rows[0], rows[1:7]) - other(plain, rows[0], rows[1:7])
        assert abs(change).max() > gap, other.__name__


def test_estimates_have_a_witness_that_counts_weights(monkeypatch):
    monkeypatch.setattr(Function, "enumerable", lambda self, n_rows: False)
    found = by_network(uneven(60))
    rows = raw(network(8)[2][60:66])
    estimate = witnesses(found)[-1]
    assert "estimate" in estimate.name
    assert estimate.differs(rows[0], rows[1:]) <= 1e-6 * found.comparison.scale
