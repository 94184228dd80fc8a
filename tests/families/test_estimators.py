"""Models of scikit-learn that are made of others, or learned in another way than usual: brute force
through the pipeline as it was trained agrees, or they are refused for what they lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skops.io
from pipelines import (
    CATALOGUE,
    NAMES,
    NUMBERS,
    TARGET,
    WORDS,
    by_columns,
    chain,
    contributions,
    fit,
    labels,
    median,
    own_margins,
    raw,
    rows,
    table,
    usual,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from explainer.core.attribution import Task
from explainer.errors import ArtefactRefused
from explainer.families.artefacts import open_model
from explainer.families.engine.reference import brute_force
from explainer.families.model import Target


def linear() -> LogisticRegression:
    return LogisticRegression(max_iter=2000)


def forest() -> RandomForestClassifier:
    return RandomForestClassifier(4, max_depth=4, random_state=2)


def network(solver: str, **how: Any) -> MLPClassifier:
    return MLPClassifier((4,), solver=solver, max_iter=40, random_state=2, **how)


def both() -> list[tuple[str, Any]]:
    return [("weighed", linear()), ("asked", forest())]


ESTIMATORS: dict[str, Callable[[], Any]] = {
    "calibrated by temperature": lambda: CalibratedClassifierCV(
        linear(), method="temperature", cv=2
    ),
    "calibrated by temperature, a forest": lambda: CalibratedClassifierCV(
        forest(), method="temperature", cv=2, ensemble=False
    ),
    "calibrated step by step": lambda: CalibratedClassifierCV(forest(), method="isotonic", cv=2),
    "calibrated by a curve": lambda: CalibratedClassifierCV(forest(), method="sigmoid", cv=2),
    "network, gradient descent": lambda: network("sgd"),
    "network, gradient descent, adaptive": lambda: network("sgd", learning_rate="adaptive"),
    "network, stopped early": lambda: network("adam", early_stopping=True),
    "network, second order": lambda: network("lbfgs"),
    "soft voting": lambda: VotingClassifier(both(), voting="soft"),
    "soft voting, weighted": lambda: VotingClassifier(both(), voting="soft", weights=[3, 1]),
    "stacked": lambda: StackingClassifier(both(), cv=2),
    "calibrated, trained before": lambda: CalibratedClassifierCV(
        FrozenEstimator(trained(forest()))
    ),
    "of frozen ones": lambda: VotingClassifier(
        [("a", FrozenEstimator(trained(linear()))), ("b", forest())], voting="soft"
    ),
    "boosting, features that may stand together": lambda: HistGradientBoostingClassifier(
        max_iter=5, interaction_cst=[{0, 1}, {1, 2, 3, 4}], random_state=2
    ),
    "stacked, beside the columns": lambda: StackingClassifier(both(), cv=2, passthrough=True),
}


def columns() -> Any:
    return by_columns(
        (chain(median(), StandardScaler()), NUMBERS), (chain(usual(), OneHotEncoder()), WORDS)
    )


def trained(model: Any) -> Any:
    return model.fit(columns().fit_transform(rows(), labels()), labels())


def fitted(model: Any) -> Pipeline:
    return fit(columns(), model)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_contributions_equal_brute_force_through_the_pipeline_as_trained(name):
    pipeline = fitted(ESTIMATORS[name]())
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, TARGET)
    given = raw(rows())
    group = given[20:27]
    for case in (given[3], given[5], given[0]):
        asked = [case[n] for n in NAMES], [[z[n] for n in NAMES] for z in group]
        witness = brute_force(lambda some: own_margins(pipeline, table(some)), *asked)
        assert abs(contributions(model, case, group) - witness).max() <= 1e-12
    assert abs(model.answer(given).margin - own_margins(pipeline, rows())).max() <= 1e-12


def test_a_vote_of_one_voice_each_has_no_score_and_is_refused():
    pipeline = fitted(VotingClassifier(both(), voting="hard"))
    with pytest.raises(ArtefactRefused, match="one voice each") as caught:
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, TARGET)
    assert 'voting="soft"' in caught.value.mend


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", [int, bool])
def test_classes_that_are_no_text_are_read_under_every_model(kind):
    """LogisticRegressionCV keeps them a second time, as what its scores are filed under."""
    yes = (labels() == "yes").astype(kind)
    pipeline = chain(
        columns(),
        LogisticRegressionCV(Cs=2, cv=2, l1_ratios=(0,), scoring="accuracy", max_iter=500),
    )
    pipeline.fit(rows(), yes)
    target = Target(Task.BINARY, tuple(str(each) for each in pipeline.classes_.tolist()))
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, target)
    own = pipeline.decision_function(rows())
    assert abs(model.answer(raw(rows())).margin - own).max() <= 1e-12


SEVERAL = {
    "a forest of two amounts": (lambda: RandomForestRegressor(3, max_depth=3), Task.AMOUNT),
    "a sum of two amounts": (LinearRegression, Task.AMOUNT),
    "a forest of two labels": (forest, Task.BINARY),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_numbers_at_once_are_refused_as_what_they_are_and_not_as_damage(name):
    make, task = SEVERAL[name]
    both = np.column_stack([rows()["income"] > 1000, rows()["income"] > 1500]).astype(int)
    pipeline = chain(columns(), make()).fit(rows(), both)
    target = Target(task, ("0", "1") if task is Task.BINARY else ())
    with pytest.raises(ArtefactRefused, match=r"several (amounts|labels) at once") as caught:
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, target)
    assert "Train one model for each" in caught.value.mend


OUTSIDE = {
    "best_estimator_": lambda: GridSearchCV(linear(), {"C": [0.1, 1]}, cv=2),
    "suggestion.threshold": lambda: FixedThresholdClassifier(linear()),
    "weighs all classes together": lambda: OneVsRestClassifier(linear()),
    "in its own format": lambda: __import__("xgboost").XGBClassifier(n_estimators=2, n_jobs=1),
}


@pytest.mark.parametrize("out", OUTSIDE)
def test_what_is_often_met_and_not_loaded_is_refused_with_its_own_way_out(out):
    pipeline = chain(columns(), OUTSIDE[out]())
    pipeline.fit(rows(), (labels() == "yes").astype(int))
    with pytest.raises(ArtefactRefused, match=type(pipeline[-1]).__name__) as caught:
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, Target(Task.BINARY, ("0", "1")))
    assert out in caught.value.mend
