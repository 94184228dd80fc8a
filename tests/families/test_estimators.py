"""Models of scikit-learn that are made of others, or learned in another way than usual: brute force
through the pipeline as it was trained agrees, or they are refused for what they lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    median,
    own_margins,
    raw,
    rows,
    table,
    usual,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from explainer.errors import ArtefactRefused
from explainer.families.artefacts import open_model
from explainer.families.engine.reference import brute_force


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
    "stacked, beside the columns": lambda: StackingClassifier(both(), cv=2, passthrough=True),
}


def fitted(model: Any) -> Pipeline:
    steps = by_columns(
        (chain(median(), StandardScaler()), NUMBERS), (chain(usual(), OneHotEncoder()), WORDS)
    )
    return fit(steps, model)


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
