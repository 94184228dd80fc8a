"""Models known by their answers, where not all coalitions can be asked.

What is told is settled, how precise it is is told as well, and what is not precise is not told.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
import skops.io
from factories import attribution, explanation, feature, plain, two
from sklearn.compose import ColumnTransformer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from trained import NAMES as SMALL
from trained import SmallModel, demo_rows, small_pipeline, write_package
from trained import labels as small_labels
from trained_formats import raw

from explainer.core.attribution import DecisionLine, Side
from explainer.core.case import Case, FeatureCatalogue, Value, read_case
from explainer.core.disclosure import Audience
from explainer.core.explanation import Precision, ReasonPolicy
from explainer.core.forms import explanation_form
from explainer.core.reasons import choose_reasons, precision_of
from explainer.errors import ArtefactRefused, NotPrecise
from explainer.families import against, settled
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.attribute import ESTIMATE, METHODS, Explained, explained
from explainer.families.engine.estimate import Estimate, Stage, check_feasible
from explainer.families.engine.function import MOST_ANSWERS, Function
from explainer.families.frames import FrameBroken
from explainer.families.second_opinion import witnesses
from explainer.families.wire import estimate_frame, estimate_in, forms_in, frame_of
from explainer.packages.admit import admit
from explainer.pipeline import explain, tell
from explainer.text.languages import language

LINE = DecisionLine(0.5, "yes", "no", Side.ABOVE)
ROWS = 60
BUDGET = 1_000_000
"""A smaller one, so that tests are quick."""
POLICY = ReasonPolicy()


@cache
def network(count: int) -> tuple[bytes, FeatureCatalogue, pd.DataFrame]:
    """A small neural network of so many features, as a file; the catalogue; 200 rows."""
    random = np.random.default_rng(count)
    names = [f"x{n}" for n in range(count)]
    table = pd.DataFrame({name: np.round(random.normal(0, 1, 400), 2) for name in names})
    x = table.to_numpy().T
    worth = x[0] + x[1] * x[2] - 0.8 * x[3] + 0.5 * x[4] * x[5] * x[6]
    label = (worth + random.normal(0, 0.5, 400) > 0).astype(int)
    scaled = ColumnTransformer([("scaled", StandardScaler(), names)])
    model = MLPClassifier((24, 12), max_iter=120, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would learn on for long
        pipeline = Pipeline([("scaled", scaled), ("model", model)]).fit(table, label)
    catalogue = FeatureCatalogue([feature(name, hard=(-9, 9)) for name in names])
    return skops.io.dumps(pipeline), catalogue, table


def opened(count: int = 8, opener=open_model) -> Explained:
    data, catalogue, table = network(count)
    model = opener("skops", data, catalogue, two("0", "1"))
    return explained(model, catalogue, LINE, raw(table[:ROWS]), "0" * 64)


def cases(count: int, wanted: int) -> list[Case]:
    _, catalogue, table = network(count)
    return [
        Case(f"C-{at}", None, {name: Value(row[name]) for name in catalogue.names})
        for at, row in enumerate(raw(table[ROWS : ROWS + wanted]))
    ]


@pytest.fixture
def only_estimates(monkeypatch):
    """As if there were too many features to ask about all coalitions."""
    monkeypatch.setattr(Function, "enumerable", lambda self, n_rows: False)


def with_budget(found: Explained) -> Explained:
    """The same with a smaller budget of answers."""

    class Limited:
        forms = tuple(replace(form, budget=BUDGET) for form in found.model.forms)

        def __getattr__(self, name):
            return getattr(found.model, name)

    return replace(found, model=Limited())


def said_of(found: Explained, case: Case):
    return lambda attribution: choose_reasons(attribution, case, found.catalogue, POLICY).said


def test_with_many_features_values_are_estimated_and_add_up():
    found = opened(18)
    assert found.method == ESTIMATE
    for case in cases(18, 3):
        attribution = found.attribute(case, said_of(found, case))
        assert attribution.method == ESTIMATE
        assert abs(attribution.difference) < 1e-12
        assert 0 < attribution.answers <= MOST_ANSWERS
        assert 0 < attribution.imprecision <= 0.02 * attribution.movement


def test_where_all_coalitions_can_be_asked_nothing_is_estimated():
    found = opened()
    assert found.method == METHODS[Function]
    attribution = found.attribute(cases(8, 1)[0])
    assert attribution.answers is None
    assert attribution.imprecision == 0
    assert precision_of(attribution) is None


def test_what_is_said_of_estimates_is_what_would_be_said_of_the_exact_values(monkeypatch):
    """40 of 40 cases: the error is as small as told, and the words are those of the truth wherever
    the budget was not used up before they were settled."""
    asked = cases(8, 40)
    found = opened()
    exact = [found.attribute(case) for case in asked]
    monkeypatch.setattr(Function, "enumerable", lambda self, n_rows: False)
    found = with_budget(found)
    settled_ones = same = 0
    for case, truth in zip(asked, exact, strict=True):
        near = found.attribute(case, said_of(found, case))
        for mine, theirs in zip(near.contributions, truth.contributions, strict=True):
            assert abs(mine.phi - theirs.phi) <= 4.5 * mine.error
        if near.answers < BUDGET / 2:
            settled_ones += 1
            told, true = (said_of(found, case)(each) for each in (near, truth))
            same += told == true
    assert same == settled_ones
    assert settled_ones >= 34


def test_the_same_case_gives_the_same_numbers_in_a_process_of_its_own(only_estimates):
    here, apart = opened(), opened(opener=open_apart)
    for case in cases(8, 2):
        first, second = (each.attribute(case, said_of(each, case)) for each in (here, apart))
        assert first == second == here.attribute(case, said_of(here, case))


def test_more_is_asked_only_until_nothing_said_could_change(only_estimates):
    found, case = with_budget(opened()), cases(8, 1)[0]
    loose = found.attribute(case)
    words = found.attribute(case, said_of(found, case))
    numbers = found.attribute(case, lambda attribution: attribution)
    assert loose.answers <= words.answers < numbers.answers
    assert numbers.answers > BUDGET / 3  # numbers never settle: the whole budget


def test_what_stays_imprecise_is_withheld(only_estimates, monkeypatch):
    found, case = opened(), cases(8, 1)[0]
    monkeypatch.setattr(settled, "MOST", 1e-6)
    monkeypatch.setattr(against, "stages", lambda form, rows: [Stage(0, 2), Stage(2, 2)])
    with pytest.raises(NotPrecise) as caught:
        found.attribute(case)
    assert caught.value.code == "explanation.not_precise"


def test_a_sign_within_its_error_is_no_direction(only_estimates, monkeypatch):
    found = opened()
    monkeypatch.setattr(settled, "MOST", 10.0)
    monkeypatch.setattr(against, "stages", lambda form, rows: [Stage(0, 2)])
    unsure = 0
    for case in cases(8, 20):
        for each in found.attribute(case).contributions:
            if abs(each.phi) <= 3 * each.error:
                unsure += 1
                assert not each.stable
    assert unsure > 5


def test_a_model_that_the_budget_cannot_buy_is_refused_with_the_way_out():
    def form(n_players: int) -> Function:
        return Function(np.arange(n_players), n_players)

    check_feasible(form(17), 1000)
    check_feasible(form(60), 1000)
    check_feasible(form(2), 1_000_000)  # all coalitions: no round is needed
    with pytest.raises(ArtefactRefused) as caught:
        check_feasible(form(60), 5000)
    assert "4,200,000 answers" in caught.value.what
    most = int(caught.value.mend.split()[3].replace(",", ""))
    check_feasible(form(60), most)
    with pytest.raises(ArtefactRefused):
        check_feasible(form(60), most + 1)
    with pytest.raises(ArtefactRefused) as caught:
        check_feasible(form(101), 30)
    assert "at most 100 features" in caught.value.mend
    check_feasible(form(100), 30)


def test_a_form_with_a_smaller_budget_keeps_it_over_the_line():
    small = Function(np.arange(3), 3, 1000)
    assert small.enumerable(125)
    assert not small.enumerable(126)
    (back,) = forms_in(frame_of([small], {}))
    assert back.budget == 1000


# -- the witness --------------------------------------------------------------------------------


def test_the_witness_of_estimates_allows_their_error_and_no_more(only_estimates):
    found = opened(12)
    rows = raw(network(12)[2][-8:])
    allowed = 1e-6 * found.comparison.scale
    witness = witnesses(found)[-1]
    assert "within the error of the estimate" in witness.name
    assert witness.differs(rows[0], rows[1:6]) <= allowed

    class Off:
        """Values of one feature under the name of another; errors as they are."""

        def __getattr__(self, name):
            return getattr(found.model, name)

        def row_values(self, *given):
            right = found.model.row_values(*given)
            return replace(right, values=np.roll(right.values, 1))

    assert witnesses(replace(found, model=Off()))[-1].differs(rows[0], rows[1:6]) > allowed


def test_many_features_are_witnessed_by_brute_force_on_parts():
    found = opened(18)
    (witness,) = witnesses(found)
    rows = raw(network(18)[2][-3:])
    assert witness.differs(rows[0], rows[1:]) <= 1e-6 * found.comparison.scale


# -- when words are settled -----------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e", "f")


def words(phis: dict[str, float], **facts):
    catalogue, case = plain(list(phis))
    found = attribution(phis, **facts)
    return found, lambda each: choose_reasons(each, case, catalogue, POLICY).said


def errors(n: int, size: float) -> np.ndarray:
    """Alike for each, and summing to nothing."""
    return size**2 * (np.eye(n) - 1 / n)


CLEAR = {"a": 2.0, "b": -1.2, "c": 0.8, "d": 0.37, "e": 0.1, "f": 0.05}
# of a movement of 4.52: .442, .265, .177, .082, .022, .011

CHANGES = {
    "a share near a band of the words": {**CLEAR, "c": 0.72},
    "a share near the floor": {**CLEAR, "d": 0.23},
    "two that are told change places": {**CLEAR, "b": -0.85, "c": 0.84},
    "a lead that is no lead": {**CLEAR, "b": -1.53},
    "the shares that are enough": {"a": 2.0, "b": -1.2, "c": 0.40, "d": 0.41, "e": 0.1, "f": 0.05},
}


@pytest.mark.parametrize("name", CHANGES)
def test_words_that_could_change_are_not_settled(name):
    found, said = words(CHANGES[name])
    assert not settled.settled(found, errors(6, 0.02), said)
    assert settled.settled(found, errors(6, 1e-6), said)


@pytest.mark.parametrize("c", [0.72, 0.615])
def test_each_share_is_moved_alone_up_and_down(c):
    """So far from the band that c with another one, which moves each of them less, is too little;
    either way, since one lies above it and one below."""
    found, said = words({"a": 2.0, "b": -1.2, "c": c, "d": 0.45, "e": 0.1, "f": 0.05}, base=1.0)
    assert not settled.settled(found, errors(6, 0.0195), said)
    assert settled.settled(found, errors(6, 0.0135), said)


def test_neighbours_are_moved_against_each_other():
    """b and c lie further apart than either is moved alone."""
    found, said = words({**CLEAR, "b": -0.85, "c": 0.80})
    assert not settled.settled(found, errors(6, 0.019), said)
    assert settled.settled(found, errors(6, 0.0135), said)


def test_words_far_from_every_border_are_settled():
    found, said = words(CLEAR)
    assert settled.settled(found, errors(6, 0.01), said)
    assert not settled.settled(found, errors(6, 0.5), said)


def test_a_sign_that_is_not_told_need_not_be_settled():
    found, said = words({**CLEAR, "e": 0.001, "f": 0.15})
    assert settled.settled(found, errors(6, 0.01), said)


def test_what_decided_is_settled_as_well():
    # without b and all that points its way the case would lie on the other side, or just not
    catalogue = {**CLEAR, "b": 1.2}
    base = -(sum(catalogue.values()) - 1.21)
    found, said = words(catalogue, base=base)
    assert not settled.settled(found, errors(6, 0.01), said)
    assert settled.settled(found, errors(6, 0.0001), said)


def test_two_errors_that_go_together_count_together():
    found, said = words({**CLEAR, "b": -0.85, "c": 0.80})
    # the size of b falls when b rises: to change places both must rise, and a makes up for it
    together = 0.0115 * np.array([-2.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    assert not settled.settled(found, np.outer(together, together), said)
    against = 0.0115 * np.array([0.0, 1.0, -1.0, 0.0, 0.0, 0.0])
    assert settled.settled(found, np.outer(against, against), said)


def test_movement_of_almost_nothing_is_measured_on_the_scale_of_margins():
    contributions = attribution({"a": 0.01, "b": -0.01}).contributions
    found = attribution(
        {"a": 0.01, "b": -0.01},
        contributions=tuple(replace(each, error=0.0006) for each in contributions),
    )
    assert settled.precise(found)
    assert not settled.precise(
        replace(found, contributions=tuple(replace(c, error=0.0008) for c in contributions))
    )


# -- what is told of it ---------------------------------------------------------------------------

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "explanation-1.schema.json"


def estimated_explanation():
    found = explanation()
    return replace(
        found,
        precision=Precision(92_000, 13),
        findings=tuple(replace(each, error=0.001) for each in found.findings),
    )


def test_the_form_for_auditors_tells_errors_where_there_are_any():
    schema = json.loads(SCHEMA.read_text("utf-8"))
    form = explanation_form(estimated_explanation())
    jsonschema.validate(form, schema)
    assert form["estimate"] == {"answers": 92_000, "within": 0.013}
    assert {each["standard_error"] for each in form["features"]} == {0.001}
    exact = explanation_form(explanation())
    jsonschema.validate(exact, schema)
    assert "estimate" not in exact
    assert all("standard_error" not in each for each in exact["features"])


def test_caseworkers_are_told_how_far_shares_may_be_off(demo):
    case = read_case(demo.golden[0].case, demo.catalogue)
    found = replace(explain(case, demo, date(2026, 3, 1)), precision=Precision(92_000, 13))
    expected = {
        "de": "Die Anteile sind geschätzt. Sie können um bis zu 2 von 100 Teilen abweichen.",
        "en": "The shares are estimated. They may be off by up to 2 out of 100 parts.",
    }
    for tag, sentence in expected.items():
        for audience in Audience:
            staff = audience is Audience.CASEWORKER
            assert (sentence in text_of(found, audience, tag, demo)) == staff
            exact = replace(found, precision=None)
            assert sentence not in text_of(exact, audience, tag, demo)


class AsScores:
    """A pipeline whose margin is its probability, as the package of a network has it."""

    def __init__(self, pipeline) -> None:
        self.predict_proba = pipeline.predict_proba
        self.decision_function = lambda rows: pipeline.predict_proba(rows)[:, 1]


@pytest.fixture
def network_package(tmp_path):
    """A whole package around a network, admitted as the service does it."""
    rows = demo_rows()[list(SMALL)]
    pipeline = small_pipeline()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would learn on for long
        layers = [("scaled", StandardScaler(with_mean=False)), ("network", MLPClassifier((8,)))]
        pipeline = Pipeline([pipeline.steps[0], *layers]).set_params(
            network__random_state=1, network__max_iter=80
        )
        pipeline.fit(rows, small_labels(rows))
    model = SmallModel(AsScores(pipeline), skops.io.dumps(pipeline), rows)
    folder = write_package(
        tmp_path / "small_benefit",
        model,
        manifest=lambda text: text.replace('"log-odds"', '"probability"').replace(
            "threshold = 0.0", "threshold = 0.5"
        ),
    )
    return admit(folder)


def test_what_was_really_estimated_is_said_to_caseworkers_on_their_page(
    network_package, only_estimates
):
    said = {
        "de": r"Die Anteile sind geschätzt\. Sie können um bis zu (\d+) von 100 Teilen abweichen\.",
        "en": r"The shares are estimated\. They may be off by up to (\d+) out of 100 parts\.",
    }
    for golden in network_package.golden[:4]:
        case = read_case(golden.case, network_package.catalogue)
        found = explain(case, network_package, date(2026, 3, 1))
        assert found.method == ESTIMATE
        assert any(finding.error > 0 for finding in found.findings)
        for tag, sentence in said.items():
            for form in ("html", "text"):
                spoken = language(tag)
                told = tell(found, Audience.CASEWORKER, spoken, network_package, form=form)
                (parts,) = re.findall(sentence, " ".join(told.body.decode().split()))
                assert int(parts) == math.ceil(found.precision.within / 10)
                other = tell(found, Audience.APPLICANT, spoken, network_package, form=form)
                assert "estimate" not in other.body.decode()
                assert "geschätzt" not in other.body.decode()


def text_of(found, audience, tag, demo) -> str:
    told = tell(found, audience, language(tag), demo, form="text")
    return " ".join(told.body.decode().split())


def test_precision_is_rounded_so_that_nothing_sounds_better_than_it_is():
    contributions = attribution({"a": 0.75, "b": -0.25}).contributions
    for error, within in ((0.004, 12), (0.0041, 13), (1e-9, 1), (5.0, 1000)):
        found = attribution(
            {"a": 0.75, "b": -0.25},
            contributions=tuple(replace(each, error=error) for each in contributions),
            answers=100,
        )
        assert precision_of(found) == Precision(100, within)


# -- over the line to another process -------------------------------------------------------------


def test_an_estimate_goes_over_the_line_and_damage_is_found():
    found = Estimate(np.ones((3, 2)), np.ones(2), np.eye(2), 8, 100)
    frame = estimate_frame(found)
    back = estimate_in(frame, 3, 2)
    assert (back.rounds, back.answers) == (8, 100)
    np.testing.assert_array_equal(back.covariance, found.covariance)
    damaged = [
        replace(frame, arrays={**frame.arrays, "values": np.ones(3)}),
        replace(frame, arrays={**frame.arrays, "by_row": np.full((3, 2), np.nan)}),
        replace(frame, arrays={**frame.arrays, "covariance": -np.eye(2)}),
        replace(frame, arrays={n: a for n, a in frame.arrays.items() if n != "covariance"}),
        replace(frame, head={**frame.head, "answers": "many"}),
        replace(frame, head={**frame.head, "rounds": -1}),
    ]
    for each in damaged:
        with pytest.raises(FrameBroken):
            estimate_in(each, 3, 2)
