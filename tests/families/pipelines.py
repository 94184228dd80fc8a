"""Records, and pieces of pipelines, that the tests of preparations share."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from factories import choice, feature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from explainer.core.attribution import Contrast, Task
from explainer.core.case import FeatureCatalogue
from explainer.families.against import against
from explainer.families.model import Target

TARGET = Target(Task.BINARY, ("no", "yes"))
CATALOGUE = FeatureCatalogue(
    [
        feature("income", hard=(0, 99_999)),
        feature("rooms", optional=True, stand_in=3.0, hard=(0, 99)),
        choice("heating", "gas", "oil", "wood", "other", "coal", optional=True, stand_in="gas"),
        choice("tenancy", "rent", "own"),
    ]
)
NAMES = CATALOGUE.names
UNSEEN = {"income": 1234.56, "rooms": 2.0, "heating": "coal", "tenancy": "own"}
"""Nobody in training heats with coal."""


@cache
def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    found = pd.DataFrame(
        {
            "income": np.round(random.gamma(3, 400, 200), 2),
            "rooms": random.integers(1, 7, 200).astype(float),
            "heating": pd.Series(
                random.choice(["gas", "oil", "wood", "other"], 200, p=[0.6, 0.3, 0.06, 0.04]),
                dtype=object,
            ),
            "tenancy": pd.Series(random.choice(["rent", "own"], 200), dtype=object),
        }
    )
    found.loc[found.index % 11 == 3, "rooms"] = np.nan
    found.loc[found.index % 13 == 5, "heating"] = np.nan
    return found


def raw(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: None if value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def table(given: list[list[Any]]) -> pd.DataFrame:
    """Raw rows as a colleague would hand them to the pipeline that was trained."""
    columns = {}
    for at, name in enumerate(NAMES):
        values = [np.nan if row[at] is None else row[at] for row in given]
        columns[name] = pd.Series(values, dtype=float if name in ("income", "rooms") else object)
    return pd.DataFrame(columns)


def chain(*steps) -> Pipeline:
    return Pipeline([(f"s{at}", step) for at, step in enumerate(steps)])


def by_columns(*steps, **how) -> ColumnTransformer:
    return ColumnTransformer([(f"c{at}", *step) for at, step in enumerate(steps)], **how)


def median() -> SimpleImputer:
    return SimpleImputer(strategy="median")


def usual() -> SimpleImputer:
    return SimpleImputer(strategy="most_frequent")


NUMBERS, WORDS = ["income", "rooms"], ["heating", "tenancy"]


BY_LOG_ODDS = (LogisticRegression, GradientBoostingClassifier, HistGradientBoostingClassifier)


def own_margins(pipeline: Pipeline, given: pd.DataFrame) -> Any:
    """By the pipeline as it was trained, never by the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(pipeline[-1], BY_LOG_ODDS):
            return pipeline.decision_function(given)
        return pipeline.predict_proba(given)[:, 1]


def contributions(model: Any, case: dict[str, Any], group: list[dict[str, Any]]) -> Any:
    columns = model.answer([case, *group]).columns
    nobody = np.zeros(1, dtype=np.int64)
    measured = against(model, columns[1:]).measured(columns[0], Contrast(0), nobody)
    return next(measured).values


def labels() -> Any:
    data = rows()
    worth = (
        data["income"] / 500
        - data["rooms"].fillna(3) * (data["tenancy"] == "rent")
        + (data["heating"] == "wood") * 2
        + data["heating"].isna()
    )
    return np.where(worth > worth.median(), "yes", "no")


def fit(*steps: Any) -> Pipeline:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as tables, a table is handed on to steps that note it
        return chain(*steps).fit(rows(), labels())
