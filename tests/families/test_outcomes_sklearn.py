"""scikit-learn pipelines of several classes and of amounts: contributions equal brute force
through the pipeline as it was trained, of the suggested outcome against the runner-up."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from pipelines import (
    CATALOGUE,
    NAMES,
    NUMBERS,
    WORDS,
    by_columns,
    chain,
    raw,
    rows,
    table,
    usual,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    ElasticNetCV,
    HuberRegressor,
    Lasso,
    LassoCV,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    PoissonRegressor,
    Ridge,
    RidgeCV,
    SGDClassifier,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from threadpoolctl import threadpool_limits

from explainer.core.attribution import (
    AmountOutcome,
    Attribution,
    Contrast,
    SeveralOutcomes,
    Side,
    Space,
    Suggesting,
    Task,
)
from explainer.core.case import Case, FeatureCatalogue, Missing, Value
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.attribute import Explained, explained
from explainer.families.engine.forest import Test, Trees
from explainer.families.engine.reference import brute_force
from explainer.families.inspect import inspect
from explainer.families.model import Model, Target
from explainer.families.second_opinion import ours
from explainer.families.skops_file import objects_in

EXACT = 1e-9
"""Of the margin scale: how far contributions may be from brute force, and sums from the margin."""

THREE = ("grant", "part", "refuse")
FIVE = ("a", "b", "c", "d", "e")
EUROS = AmountOutcome("EUR", 2, Side.ABOVE)


# -- what is to be learned -----------------------------------------------------------------------


def worth() -> Any:
    data = rows()
    return (
        data["income"].to_numpy() / 500
        - data["rooms"].fillna(3).to_numpy() * (data["tenancy"] == "rent").to_numpy()
        + (data["heating"] == "wood").to_numpy() * 2
        + data["heating"].isna().to_numpy()
        + np.random.default_rng(8).normal(0, 0.5, len(data))
    )


def outcomes(classes: tuple[str, ...]) -> Any:
    given = worth()
    steps = np.quantile(given, np.linspace(0, 1, len(classes) + 1)[1:-1])
    return np.array(classes)[np.digitize(given, steps)]


def euros() -> Any:
    return np.round(200 + 40 * np.exp(worth() / 4), 2)


# -- what is trained -----------------------------------------------------------------------------


def folded() -> Any:
    """A value and its indicator, scaled; choices one-hot, unknown ones left out."""
    return by_columns(
        (chain(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), NUMBERS),
        (chain(usual(), OneHotEncoder(handle_unknown="ignore")), WORDS),
        sparse_threshold=0,
    )


def codes() -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)


def with_gaps() -> Any:
    return by_columns(("passthrough", NUMBERS), (codes(), WORDS))


CATEGORIES_FIRST: dict[str, Any] = {"categorical_features": [2, 3], "max_iter": 8}


@dataclass(frozen=True)
class Variant:
    """`gives` is what the original is asked, never the file; `space` what its margin is in."""

    make: Callable[[], Any]
    gives: str
    space: Space
    classes: tuple[str, ...] = ()
    before: Callable[[], Any] = folded
    form: str = "Function"

    @property
    def target(self) -> Target:
        return Target(Task.MULTICLASS if self.classes else Task.AMOUNT, self.classes)

    @property
    def suggesting(self) -> Suggesting:
        return SeveralOutcomes(self.classes, self.classes) if self.classes else EUROS


def log_odds(make: Callable[[], Any], form: str = "Trees", **how: Any) -> Variant:
    return Variant(
        make, "decision_function", Space.LOG_ODDS, **{"classes": THREE, "form": form, **how}
    )


def shares(make: Callable[[], Any], form: str = "Function", **how: Any) -> Variant:
    return Variant(
        make, "predict_proba", Space.PROBABILITY, **{"classes": THREE, "form": form, **how}
    )


def amount(make: Callable[[], Any], form: str = "Function", **how: Any) -> Variant:
    return Variant(make, "predict", Space.AMOUNT, form=form, **how)


SMALL: dict[str, Any] = {"max_depth": 4, "random_state": 1}
FEW: dict[str, Any] = {"n_estimators": 6, **SMALL}
BOOSTED: dict[str, Any] = {"n_estimators": 8, "random_state": 1}
NET: dict[str, Any] = {"hidden_layer_sizes": (6,), "max_iter": 60, "random_state": 1}


def tree() -> Any:
    return DecisionTreeClassifier(**SMALL)


def weighed() -> Any:
    return LogisticRegression(max_iter=2000)


CLASSES: dict[str, Variant] = {
    "logistic": log_odds(weighed, "Linear"),
    "logistic, no intercept": log_odds(
        lambda: LogisticRegression(fit_intercept=False, C=0.3, max_iter=2000), "Linear"
    ),
    "logistic, five classes": log_odds(weighed, "Linear", classes=FIVE),
    "logistic, chosen strength": log_odds(
        lambda: LogisticRegressionCV(
            cv=3, Cs=3, max_iter=2000, l1_ratios=(0,), scoring="neg_log_loss"
        ),
        "Linear",
    ),
    "stochastic, class by class": shares(lambda: SGDClassifier(loss="log_loss", random_state=1)),
    "tree": shares(tree, "Trees"),
    "tree, gaps": shares(tree, "Trees", before=with_gaps),
    "tree at random": shares(lambda: ExtraTreeClassifier(**SMALL), "Trees"),
    "forest": shares(lambda: RandomForestClassifier(**FEW), "Trees"),
    "forest, gaps, five classes": shares(
        lambda: RandomForestClassifier(**FEW), "Trees", before=with_gaps, classes=FIVE
    ),
    "forest at random": shares(lambda: ExtraTreesClassifier(**FEW), "Trees"),
    "boosting": log_odds(lambda: GradientBoostingClassifier(**BOOSTED)),
    "boosting from nought": log_odds(lambda: GradientBoostingClassifier(init="zero", **BOOSTED)),
    "boosting, half of the rows, five classes": log_odds(
        lambda: GradientBoostingClassifier(subsample=0.5, **BOOSTED), classes=FIVE
    ),
    "boosting from a constant": log_odds(
        lambda: GradientBoostingClassifier(init=DummyClassifier(strategy="uniform"), **BOOSTED)
    ),
    "histograms": log_odds(lambda: HistGradientBoostingClassifier(max_iter=8)),
    "histograms, categories, gaps": log_odds(
        lambda: HistGradientBoostingClassifier(**CATEGORIES_FIRST), before=with_gaps
    ),
    "histograms, five classes, gaps": log_odds(
        lambda: HistGradientBoostingClassifier(max_iter=5), before=with_gaps, classes=FIVE
    ),
    "network": shares(lambda: MLPClassifier(**NET)),
    "network, plain descent": shares(
        lambda: MLPClassifier(solver="sgd", learning_rate_init=0.05, **NET)
    ),
    "calibrated": shares(lambda: CalibratedClassifierCV(tree(), cv=2)),
    "calibrated by steps": shares(
        lambda: CalibratedClassifierCV(RandomForestClassifier(**FEW), method="isotonic", cv=2)
    ),
    "calibrated by temperature": shares(
        lambda: CalibratedClassifierCV(weighed(), method="temperature", cv=2)
    ),
    "voting": shares(
        lambda: VotingClassifier(
            [
                ("tree", tree()),
                ("boosting", GradientBoostingClassifier(**BOOSTED)),
                ("histograms", HistGradientBoostingClassifier(max_iter=4)),
            ],
            voting="soft",
            weights=[1, 2, 1],
        )
    ),
    "stacked": shares(
        lambda: StackingClassifier(
            [("tree", tree()), ("forest", RandomForestClassifier(**FEW))],
            final_estimator=weighed(),
            cv=2,
        )
    ),
}  # fmt: skip

AMOUNTS: dict[str, Variant] = {
    "least squares": amount(LinearRegression, "Linear"),
    "least squares, no intercept": amount(
        lambda: LinearRegression(fit_intercept=False), "Linear"
    ),
    "ridge": amount(lambda: Ridge(alpha=2.0), "Linear"),
    "ridge, chosen strength": amount(RidgeCV, "Linear"),
    "lasso": amount(lambda: Lasso(alpha=0.5), "Linear"),
    "lasso, chosen strength": amount(lambda: LassoCV(cv=3, random_state=1), "Linear"),
    "elastic net": amount(lambda: ElasticNet(alpha=0.2), "Linear"),
    "elastic net, chosen strength": amount(lambda: ElasticNetCV(cv=3), "Linear"),
    "huber": amount(lambda: HuberRegressor(max_iter=1000), "Linear"),
    "tree": amount(lambda: DecisionTreeRegressor(**SMALL), "Trees"),
    "tree, gaps, absolute": amount(
        lambda: DecisionTreeRegressor(criterion="absolute_error", **SMALL),
        "Trees",
        before=with_gaps,
    ),
    "tree at random": amount(lambda: ExtraTreeRegressor(**SMALL), "Trees"),
    "forest": amount(lambda: RandomForestRegressor(**FEW), "Trees"),
    "forest, gaps": amount(lambda: RandomForestRegressor(**FEW), "Trees", before=with_gaps),
    "forest, counts": amount(
        lambda: RandomForestRegressor(criterion="poisson", **FEW), "Trees"
    ),
    "forest at random": amount(lambda: ExtraTreesRegressor(**FEW), "Trees"),
    **{
        f"boosting, {loss}": amount(
            lambda loss=loss: GradientBoostingRegressor(loss=loss, **BOOSTED), "Trees"
        )
        for loss in ("squared_error", "absolute_error", "huber", "quantile")
    },
    "boosting from nought": amount(
        lambda: GradientBoostingRegressor(init="zero", **BOOSTED), "Trees"
    ),
    "boosting from a quantile": amount(
        lambda: GradientBoostingRegressor(
            init=DummyRegressor(strategy="quantile", quantile=0.2), **BOOSTED
        ),
        "Trees",
    ),
    "histograms, squared": amount(lambda: HistGradientBoostingRegressor(max_iter=8), "Trees"),
    "histograms, absolute, gaps": amount(
        lambda: HistGradientBoostingRegressor(loss="absolute_error", max_iter=8),
        "Trees",
        before=with_gaps,
    ),
    "histograms, quantile": amount(
        lambda: HistGradientBoostingRegressor(loss="quantile", quantile=0.8, max_iter=8), "Trees"
    ),
    "histograms, categories, gaps": amount(
        lambda: HistGradientBoostingRegressor(**CATEGORIES_FIRST), "Trees", before=with_gaps
    ),
    "histograms, stopped early": amount(
        lambda: HistGradientBoostingRegressor(max_iter=8, early_stopping=True, random_state=1),
        "Trees",
    ),
    "network": amount(lambda: MLPRegressor(**NET)),
    "network of counts": amount(
        lambda: MLPRegressor(loss="poisson", learning_rate_init=0.01, **NET)
    ),
    "voting": amount(
        lambda: VotingRegressor(
            [
                ("ridge", Ridge()),
                ("boosting", GradientBoostingRegressor(**BOOSTED)),
                ("histograms", HistGradientBoostingRegressor(max_iter=4)),
            ],
            weights=[1, 2, 1],
        )
    ),
    "stacked": amount(
        lambda: StackingRegressor(
            [("lasso", Lasso()), ("forest", RandomForestRegressor(**FEW))], cv=2
        )
    ),
    "by the logarithm": amount(
        lambda: TransformedTargetRegressor(
            GradientBoostingRegressor(**BOOSTED), func=np.log, inverse_func=np.exp
        )
    ),
    "by a scaled amount": amount(
        lambda: TransformedTargetRegressor(Ridge(), transformer=StandardScaler())
    ),
}  # fmt: skip

VARIANTS = {**{f"classes: {k}": v for k, v in CLASSES.items()}} | {
    f"amount: {k}": v for k, v in AMOUNTS.items()
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Histogram boosting would share out a single row among threads that wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(params=VARIANTS)
def name(request) -> str:
    return request.param


def fit(model: Any, before: Any, labels: Any) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few rounds are enough here
        return chain(before, model).fit(rows(), labels)


@cache
def fitted(name: str) -> Pipeline:
    variant = VARIANTS[name]
    labels = outcomes(variant.classes) if variant.classes else euros()
    return fit(variant.make(), variant.before(), labels)


@cache
def file_of(name: str) -> bytes:
    return skops.io.dumps(fitted(name))


@cache
def opened(name: str) -> Model:
    return open_model("skops", file_of(name), CATALOGUE, VARIANTS[name].target)


@cache
def given_rows() -> list[dict[str, Any]]:
    return raw(rows())


def own(name: str, given: pd.DataFrame) -> Any:
    """All outputs, by the pipeline as it was trained; shape (n_rows, n_outputs)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.asarray(getattr(fitted(name), VARIANTS[name].gives)(given))
    return found[:, None] if found.ndim == 1 else found


def asked(name: str, given: list[dict[str, Any]]) -> Any:
    return own(name, table([[row[n] for n in NAMES] for row in given]))


def suggested(name: str, row: dict[str, Any]) -> tuple[int, int | None]:
    """The largest output and the next one, found without the product."""
    if not VARIANTS[name].classes:
        return 0, None
    given = asked(name, [row])[0].tolist()
    first = given.index(max(given))
    rest = [-math.inf if at == first else value for at, value in enumerate(given)]
    return first, rest.index(max(rest))


def difference(outputs: Any, of: tuple[int, int | None]) -> Any:
    towards, away = of
    return outputs[:, towards] - (0.0 if away is None else outputs[:, away])


@cache
def in_place(name: str) -> Explained:
    return beside(name, opened(name), CATALOGUE)


def beside(name: str, model: Model, catalogue: FeatureCatalogue) -> Explained:
    return explained(model, catalogue, VARIANTS[name].suggesting, given_rows()[:40], "d" * 64)


def scale(name: str, of: tuple[int, int | None]) -> float:
    return in_place(name).comparisons[Contrast(*of)].scale


@cache
def awkward(name: str) -> list[dict[str, Any]]:
    """Missing, unseen, on a threshold and one step beside it in either precision, in cents."""
    first = given_rows()[1]
    found = [{**first, "heating": "coal"}, {**first, "heating": None}, {**first, "rooms": None}]
    found += [{**first, "heating": None, "rooms": None}, {**first, "income": 0.0}]
    found += [{**first, "income": value} for value in (0.01, 1179.99, 1180.01, 99_999.0)]
    for edge in edges(name):
        single = np.float32(edge)
        beside = [math.nextafter(edge, side) for side in (-math.inf, math.inf)]
        beside += [float(np.nextafter(single, np.float32(side))) for side in (-1e30, 1e30)]
        found += [{**first, "income": value} for value in (edge, float(single), *beside)]
    return found


def edges(name: str) -> list[float]:
    """Incomes that the trees turn at: thresholds as they are, or scaled back as training did."""
    form = opened(name).forms[-1]
    if not isinstance(form, Trees):
        return []
    found: list[float] = []
    for k, column in enumerate(form.columns):
        if CATALOGUE.names[column.player] == "income" and column.test is not Test.ONE_OF:
            found += form.scale[form.scale_start[k] : form.scale_start[k + 1]].tolist()
    if VARIANTS[name].before is folded:
        scaler = fitted(name)[0].named_transformers_["c0"][-1]
        found = [float(value * scaler.scale_[0] + scaler.mean_[0]) for value in found]
    found = [value for value in found if value > 0]
    return found[:: max(1, len(found) // 2)]


def case_of(row: dict[str, Any]) -> Case:
    return Case(
        "A",
        None,
        {n: Value(v) if v is not None else Value(None, Missing.NOT_GIVEN) for n, v in row.items()},
    )


# -- what every kind of model must hold ----------------------------------------------------------


def test_the_file_answers_as_the_trained_pipeline_does(name):
    given = [*given_rows(), *awkward(name)]
    expected = asked(name, given)
    found = opened(name).answer(given).margins
    assert found.shape == (len(given), max(1, len(VARIANTS[name].classes)))
    assert np.abs(found - expected).max() <= 1e-12 * max(1.0, np.abs(expected).max())
    assert opened(name).space is VARIANTS[name].space


def test_the_form_is_the_one_that_is_documented(name):
    forms = opened(name).forms
    assert {type(form).__name__ for form in forms} == {VARIANTS[name].form}
    assert len(forms) == max(1, len(VARIANTS[name].classes))
    if VARIANTS[name].form != "Function":
        given = [*given_rows(), *awkward(name)]
        answer = opened(name).answer(given)
        ours_of = np.stack([form.sums(answer.columns) for form in forms], axis=1)
        spread = max(1.0, np.abs(answer.margins).max())
        assert np.abs(ours_of - answer.margins).max() <= EXACT * spread


def test_contributions_equal_brute_force_through_the_pipeline_as_trained(name):
    given = given_rows()
    group = given[20:26]  # with a gap among them
    for case in (given[3], given[5], awkward(name)[0], awkward(name)[-1]):
        of = suggested(name, case)
        witness = brute_force(
            lambda some, of=of: difference(own(name, table(some)), of),
            [case[n] for n in NAMES],
            [[z[n] for n in NAMES] for z in group],
        )
        assert np.abs(ours(in_place(name), case, group) - witness).max() <= EXACT * scale(name, of)


def test_every_awkward_case_adds_up_to_suggested_minus_runner_up(name):
    for row in awkward(name):
        of = suggested(name, row)
        found = in_place(name).attribute(case_of(row))  # would raise DoesNotAddUp
        expected = float(difference(asked(name, [row]), of)[0])
        assert abs(found.margin - expected) <= 1e-12 * max(1.0, abs(expected))
        assert abs(found.difference) <= EXACT * scale(name, of)
        told(name, found, of)


def told(name: str, found: Attribution, of: tuple[int, int | None]) -> None:
    """What stands on either side of the line of a case."""
    classes, away = VARIANTS[name].classes, of[1]
    if away is None:
        assert found.line.threshold == found.comparison.base
        assert found.probability is None
    else:
        assert (found.line.above, found.line.below) == (classes[of[0]], classes[away])
        assert found.side is Side.ABOVE


def test_the_probability_told_is_the_pipelines_own(name):
    if not VARIANTS[name].classes:
        assert in_place(name).attribute(case_of(given_rows()[1])).probability is None
        return
    for row in (given_rows()[1], *awkward(name)[:3]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = fitted(name).predict_proba(table([[row[n] for n in NAMES]]))[0]
        found = in_place(name).attribute(case_of(row))
        assert found.probability == pytest.approx(expected.max(), abs=1e-12)


def test_another_order_of_the_catalogue_gives_the_same_contributions(name):
    turned = FeatureCatalogue(list(CATALOGUE)[::-1])
    data = file_of(name)
    there = beside(name, open_model("skops", data, turned, VARIANTS[name].target), turned)
    given = given_rows()
    for row in (given[3], given[5]):
        away = ours(there, row, given[20:26])[::-1] - ours(in_place(name), row, given[20:26])
        assert np.abs(away).max() <= 1e-12 * scale(name, suggested(name, row))


@pytest.mark.parametrize("which", CLASSES)
def test_another_order_of_the_classes_is_refused(which):
    name = f"classes: {which}"
    turned = Target(Task.MULTICLASS, VARIANTS[name].classes[::-1])
    with pytest.raises(ArtefactRefused, match="classes"):
        open_model("skops", file_of(name), CATALOGUE, turned)


@pytest.mark.parametrize("which", ["classes: logistic", "classes: network", "amount: ridge"])
def test_a_model_is_taken_for_the_kind_of_answer_it_gives_only(which):
    kind = VARIANTS[which].target.task
    for task in set(Task) - {kind}:
        classes = {Task.AMOUNT: (), Task.BINARY: ("no", "yes"), Task.MULTICLASS: THREE}[task]
        with pytest.raises(ArtefactRefused, match="no answer of kind") as caught:
            open_model("skops", file_of(which), CATALOGUE, Target(task, classes))
        assert repr(kind.value) in caught.value.mend


def test_the_inputs_and_classes_are_read_off_the_file(name):
    found = inspect("skops", file_of(name))
    assert tuple(found["classes"]) == VARIANTS[name].classes
    assert found["space"] == VARIANTS[name].space.value
    assert [each["name"] for each in found["inputs"]] == list(NAMES)


APART = ["classes: histograms, categories, gaps", "classes: network", "amount: ridge"]


@pytest.mark.parametrize("which", APART)
def test_a_process_of_its_own_gives_the_same_bits(which):
    model = open_apart("skops", file_of(which), CATALOGUE, VARIANTS[which].target)
    there = beside(which, model, CATALOGUE)
    for row in awkward(which)[:6]:
        here, far = (each.attribute(case_of(row)) for each in (in_place(which), there))
        assert here.margins == far.margins
        assert [c.phi for c in here.contributions] == [c.phi for c in far.contributions]


def test_the_matrix_is_as_large_as_the_documentation_says():
    text = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
    assert f"{len(CLASSES)} of {len(CLASSES)} models of several classes" in " ".join(text.split())
    assert f"{len(AMOUNTS)} of {len(AMOUNTS)} of amounts" in " ".join(text.split())


# -- ties ----------------------------------------------------------------------------------------


def tied(first: int, second: int) -> Explained:
    """A tree whose leaf for high incomes gives two classes the same share."""
    labels = np.empty(200, dtype=object)
    labels[np.argsort(rows()["income"].to_numpy())] = [
        *[THREE[3 - first - second]] * 50,
        *[THREE[first]] * 50,
        *[THREE[second], THREE[first]] * 50,
    ]
    pipeline = fit(DecisionTreeClassifier(max_leaf_nodes=3), folded(), labels)
    target = Target(Task.MULTICLASS, THREE)
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, target)
    return explained(model, CATALOGUE, SeveralOutcomes(THREE, THREE), given_rows()[:40], "d" * 64)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 2), (1, 2)])
def test_of_two_equal_outcomes_the_first_is_suggested_and_the_margin_is_nought(first, second):
    found = tied(first, second).attribute(case_of({**given_rows()[1], "income": 99_000.0}))
    assert found.margins[first] == found.margins[second] == 0.5
    assert (found.line.above, found.line.below) == (THREE[first], THREE[second])
    assert found.margin == 0.0
    assert found.side is Side.ABOVE
    assert abs(found.difference) <= EXACT * found.comparison.scale


# -- refused -------------------------------------------------------------------------------------


def many() -> Any:
    return np.stack([euros(), euros() * 2], axis=1)


def labels_at_once() -> Any:
    return np.stack([worth() > 0, worth() > 1, worth() > 2], axis=1).astype(int)


REFUSED: dict[str, tuple[Callable[[], Any], Callable[[], Any], str, str]] = {
    "counts by histograms": (
        lambda: HistGradientBoostingRegressor(loss="poisson", max_iter=3),
        euros,
        "HalfPoissonLoss",
        "logarithm",
    ),
    "amounts above nought by histograms": (
        lambda: HistGradientBoostingRegressor(loss="gamma", max_iter=3),
        euros,
        "HalfGammaLoss",
        "logarithm",
    ),
    "counts, weighed": (PoissonRegressor, euros, "PoissonRegressor", "logarithm"),
    "support vectors of amounts": (SVR, euros, "SVR", "ONNX"),
    "support vectors": (SVC, lambda: outcomes(THREE), "SVC", "ONNX"),
    "voices": (
        lambda: VotingClassifier([("a", tree()), ("b", weighed())]),
        lambda: outcomes(THREE),
        "one voice each",
        "soft",
    ),
    "a booster on another model": (
        lambda: GradientBoostingRegressor(init=Ridge(), n_estimators=3),
        euros,
        "starts from another model",
        "init",
    ),
    "two amounts of a tree": (DecisionTreeRegressor, many, "several amounts", "each"),
    "two amounts of a forest": (
        lambda: RandomForestRegressor(3, random_state=1), many, "several amounts", "each",
    ),
    "two amounts, weighed": (LinearRegression, many, "several amounts", "each"),
    "a function of somebody's own": (
        lambda: TransformedTargetRegressor(Ridge(), func=math_log, inverse_func=math_exp),
        euros,
        "not loaded",
        "documentation",
    ),
    "an amount in another form": (
        lambda: TransformedTargetRegressor(Ridge(), transformer=OneMore()),
        euros,
        "not loaded",
        "documentation",
    ),
}  # fmt: skip


def math_log(given: Any) -> Any:
    return np.log(given)


def math_exp(given: Any) -> Any:
    return np.exp(given)


class OneMore(StandardScaler):
    """A type of somebody's own."""


@pytest.mark.parametrize("which", REFUSED)
def test_what_is_not_explained_is_refused_by_name_with_the_way_out(which):
    make, labels, says, out = REFUSED[which]
    data = skops.io.dumps(fit(make(), folded(), labels()))
    classes = THREE if labels() is not None and labels().dtype.kind == "U" else ()
    target = Target(Task.MULTICLASS if classes else Task.AMOUNT, classes)
    with pytest.raises(ArtefactRefused, match=says) as caught:
        open_model("skops", data, CATALOGUE, target)
    assert out in caught.value.mend


def refused(pipeline: Pipeline, name: str) -> str:
    with pytest.raises(ArtefactRefused) as caught:
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, VARIANTS[name].target)
    return caught.value.what


def anew(name: str) -> Pipeline:
    """A copy that a test may tamper with."""
    return fitted.__wrapped__(name)


def test_a_network_of_several_labels_at_once_is_refused():
    pipeline = fit(MLPClassifier(**NET), folded(), labels_at_once())
    with pytest.raises(ArtefactRefused, match="several labels"):
        open_model(
            "skops",
            skops.io.dumps(pipeline),
            CATALOGUE,
            Target(Task.MULTICLASS, ("0", "1", "2")),
        )


def test_classes_weighed_each_against_the_others_are_refused():
    pipeline = anew("classes: logistic")
    pipeline[-1].solver = "liblinear"
    assert "class by class" in refused(pipeline, "classes: logistic")


# -- crafted -------------------------------------------------------------------------------------


def fewer_sums(booster: Any) -> None:
    booster.n_trees_per_iteration_ = 1


def start_of_two(booster: Any) -> None:
    booster.init_ = DummyClassifier().fit([[0.0]] * 4, [0, 1, 0, 1])


def trees_of_two(booster: Any) -> None:
    booster.estimators_ = booster.estimators_[:, :2]


def no_trees(booster: Any) -> None:
    booster.estimators_ = booster.estimators_.tolist()


def a_tree_less(booster: Any) -> None:
    booster._predictors[2] = booster._predictors[2][:2]


def a_tree_more(booster: Any) -> None:
    booster._predictors[2] = [*booster._predictors[2], booster._predictors[2][0]]


def starts_of_two(booster: Any) -> None:
    booster._baseline_prediction = booster._baseline_prediction[:, :2]


def a_loss_of_two(booster: Any) -> None:
    booster._loss = fitted("amount: histograms, squared")[-1]._loss


def another_link(booster: Any) -> None:
    booster._loss.link = fitted("classes: boosting")[-1]._loss.link


def trees_of_five(model: Any) -> None:
    model.estimators_ = fitted("classes: forest, gaps, five classes")[-1].estimators_


def weights_of_two(model: Any) -> None:
    model.coef_ = model.coef_[:2]


CRAFTED: dict[str, tuple[str, Callable[[Any], None], str]] = {
    "fewer sums than classes": ("classes: boosting", fewer_sums, "count of numbers"),
    "a start of two classes": ("classes: boosting", start_of_two, "starts from another count"),
    "trees of two classes": ("classes: boosting", trees_of_two, "count of numbers"),
    "trees in no array": ("classes: boosting", no_trees, "count of numbers"),
    "a tree less in a round": ("classes: histograms", a_tree_less, "count of numbers"),
    "a tree more in a round": ("classes: histograms", a_tree_more, "count of numbers"),
    "starts of two classes": ("classes: histograms", starts_of_two, "count of numbers"),
    "a loss of amounts": ("classes: histograms", a_loss_of_two, "log-odds"),
    "another link": ("amount: histograms, squared", another_link, "add up to the amount"),
    "another link of a booster": ("amount: boosting, huber", another_link, "add up"),
    "trees of five classes": ("classes: forest", trees_of_five, "count of numbers"),
    "weights of two classes": ("classes: logistic", weights_of_two, "weights"),
}


@pytest.mark.parametrize("which", CRAFTED)
def test_a_model_whose_parts_are_of_another_count_is_refused(which):
    name, craft, says = CRAFTED[which]
    pipeline = anew(name)
    craft(pipeline[-1])
    assert says in refused(pipeline, name)


WITH_TREES = [
    *("classes: tree", "classes: forest", "classes: boosting", "classes: histograms"),
    *("classes: voting", "classes: stacked", "amount: tree", "amount: forest"),
    *("amount: forest at random", "amount: boosting, huber", "amount: histograms, squared"),
    *("amount: voting", "amount: stacked", "amount: by the logarithm"),
]
WRONG = {
    "a child far away": ("left_child", "left", 10**7),
    "a circle": ("right_child", "right", 0),
    "a column far away": ("feature", "feature_idx", 10**6),
    "a column one too far": ("feature", "feature_idx", 9),
}


@pytest.mark.parametrize("which", WITH_TREES)
@pytest.mark.parametrize("wrong", WRONG)
def test_the_last_tree_of_a_model_is_looked_at_like_the_first(which, wrong):
    """Also the trees of the last class, and those inside other models."""
    of_tree, of_histogram, number = WRONG[wrong]
    for at in (0, -1):
        pipeline = anew(which)
        trees = [
            thing
            for thing in objects_in(pipeline[-1])
            if type(thing).__name__ in ("Tree", "TreePredictor")
        ]
        thing = trees[at]
        if type(thing).__name__ == "Tree":
            state = thing.__getstate__()
            nodes = state["nodes"].copy()
            nodes[of_tree][0] = number
            thing.__setstate__({**state, "nodes": nodes})
        else:
            thing.nodes[of_histogram][0] = number
        said = refused(pipeline, which)
        assert "points outside itself" in said or "a column that does not exist" in said


def test_an_answer_of_another_count_of_numbers_is_withheld():
    model = open_model(
        "skops",
        skops.io.dumps(anew("classes: network")),
        CATALOGUE,
        VARIANTS["classes: network"].target,
    )
    network = model._estimator.margins.__closure__[0].cell_contents
    network.coefs_[-1], network.intercepts_[-1] = np.ones((6, 2)), np.ones(2)
    assert network.predict_proba(np.zeros((1, network.n_features_in_))).shape == (1, 2)
    with pytest.raises(ModelFailed):
        model.answer(given_rows()[:2])
