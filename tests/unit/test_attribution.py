"""An attribution exists only if it adds up to the model's own output."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from factories import attribution, group
from hypothesis import given
from hypothesis import strategies as st

from explainer.core.attribution import TOLERANCE, Attribution, Contribution, DecisionLine, Side
from explainer.errors import DoesNotAddUp, ModelFailed, ScoreDiffers
from explainer.families.attribute import RESAMPLES, SEED, _stable_signs

PHIS = {"income": 1.0, "age": -0.4, "savings": 0.0}


def test_base_and_contributions_reach_the_margin():
    found = attribution(PHIS, base=0.3)
    assert found.total == pytest.approx(0.9)
    assert found.movement == pytest.approx(1.4)
    assert found.side is Side.ABOVE


@pytest.mark.parametrize("scale", [0.01, 1.0, 250.0])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", PHIS)
def test_one_contribution_off_by_a_thousandth_of_the_scale_is_withheld(scale, sign, name):
    right = attribution(PHIS, scale=scale)
    wrong = tuple(
        replace(c, phi=c.phi + sign * 1e-3 * scale) if c.feature == name else c
        for c in right.contributions
    )
    with pytest.raises(DoesNotAddUp):
        replace(right, contributions=wrong)


@pytest.mark.parametrize(
    ("off", "withheld"),
    [(0.0, False), (0.9 * TOLERANCE, False), (1.1 * TOLERANCE, True), (-1.1 * TOLERANCE, True)],
)
def test_the_gate_is_a_ten_thousandth_of_the_margin_scale(off, withheld):
    right = attribution(PHIS, scale=2.0)
    if withheld:
        with pytest.raises(DoesNotAddUp):
            replace(right, margin=right.margin + off * 2.0)
    else:
        assert replace(right, margin=right.margin + off * 2.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_withheld_wherever_it_stands(bad):
    right = attribution(PHIS)
    with pytest.raises(ModelFailed):
        replace(right, margin=bad)
    with pytest.raises(DoesNotAddUp):
        replace(right, contributions=(Contribution("income", bad, True),))
    with pytest.raises(DoesNotAddUp):
        replace(right, comparison=group(base=bad))
    with pytest.raises(ScoreDiffers):
        replace(right, reported_margin=bad)
    if math.isnan(bad):
        with pytest.raises(DoesNotAddUp):
            replace(right, comparison=group(scale=bad))


def test_one_nan_cannot_hide_behind_the_others():
    right = attribution(PHIS)
    hidden = (*right.contributions, Contribution("rest", math.nan, True))
    with pytest.raises(DoesNotAddUp):
        replace(right, contributions=hidden)


@pytest.mark.parametrize("reported", [0.6, 0.6 + 5e-5, None])
def test_a_reported_score_within_the_gate_is_taken(reported):
    assert attribution(PHIS, reported_margin=reported).reported_margin == reported


@pytest.mark.parametrize("reported", [0.6002, 0.5, -0.6, 1e300])
def test_another_reported_score_is_withheld(reported):
    with pytest.raises(ScoreDiffers):
        attribution(PHIS, reported_margin=reported)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
    st.floats(1e-3, 1e3),
)
def test_what_does_not_add_up_never_exists(phis, base, scale, off):
    contributions = tuple(Contribution(f"f{at}", phi, True) for at, phi in enumerate(phis))
    margin = math.fsum([base, *phis])
    line = DecisionLine(0.0, "grant", "check", Side.ABOVE)

    def build(m: float) -> Attribution:
        comparison = group(base=base, scale=scale)
        return Attribution(comparison, contributions, m, 0.5, line, "by hand")

    # 1e-9: how far sums of a million may be off by themselves
    if scale * TOLERANCE > 1e-9:
        assert abs(build(margin).difference) <= TOLERANCE * scale
    with pytest.raises(DoesNotAddUp):
        build(margin + TOLERANCE * scale + off)


@pytest.mark.parametrize(
    ("margin", "side", "outcome"),
    [
        (0.7, Side.ABOVE, "grant"),
        (math.nextafter(0.7, 0), Side.BELOW, "check"),
        (-5.0, Side.BELOW, "check"),
        (5.0, Side.ABOVE, "grant"),
    ],
)
def test_a_margin_on_the_line_belongs_to_the_upper_side(margin, side, outcome):
    line = DecisionLine(0.7, "grant", "check", Side.BELOW)
    assert line.side(margin) is side
    assert line.outcome(side) == outcome
    assert line.side_of(outcome) is side
    assert side.other is not side
    assert side.other.other is side


@pytest.mark.parametrize(("against", "stable"), [(0, True), (3, True), (4, False), (15, False)])
def test_a_sign_is_stable_where_it_holds_in_27_of_30_resamples(against, stable):
    values = np.arange(40.0)
    draws = np.random.default_rng(SEED).integers(0, 40, size=(RESAMPLES, 40))
    means = np.sort(values[draws].mean(axis=1))
    # so far down that just so many resamples fall below zero
    zero = (means[against - 1] + means[against]) / 2 if against else means[0] - 1
    rows = (values - zero)[:, None]
    (found,) = _stable_signs(rows, rows.mean(axis=0), 40)
    assert found == stable


def test_what_moved_nothing_has_no_stable_sign():
    assert not _stable_signs(np.zeros((40, 1)), np.zeros(1), 40).any()
