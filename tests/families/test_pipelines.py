"""Every preparation that is supported: its columns find their features, and brute force agrees."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import skops.io
from factories import YES, choice, feature
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from explainer.core.attribution import DecisionLine, Side
from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactRefused
from explainer.families.artefacts import open_model
from explainer.families.attribute import explained
from explainer.families.inspect import inspect
from explainer.families.players import column_owners
from explainer.families.second_opinion import by_brute_force, ours

LINE = DecisionLine(0.0, "grant", "check", Side.ABOVE)
CATALOGUE = FeatureCatalogue(
    [
        feature("income", hard=(0, 99_999)),
        feature("rooms", optional=True, stand_in=3.0, hard=(0, 99)),
        choice("heating", "gas", "oil", "wood", "other", optional=True, stand_in="gas"),
        choice("tenancy", "rent", "own"),
    ]
)


def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    found = pd.DataFrame(
        {
            "income": random.integers(0, 3000, 200).astype(float),
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


def chain(*steps) -> Pipeline:
    return Pipeline([(f"s{at}", step) for at, step in enumerate(steps)])


MEDIAN = SimpleImputer(strategy="median")
FILLED = SimpleImputer(strategy="most_frequent")

PREPARATIONS = {
    "an indicator after the value": [
        ("money", "passthrough", ["income"]),
        ("rooms", SimpleImputer(strategy="median", add_indicator=True), ["rooms"]),
        ("heating", chain(FILLED, OneHotEncoder()), ["heating"]),
        ("tenancy", OneHotEncoder(), ["tenancy"]),
    ],
    "first category dropped": [
        ("numbers", chain(MEDIAN, StandardScaler()), ["rooms", "income"]),
        ("words", chain(FILLED, OneHotEncoder(drop="first")), ["tenancy", "heating"]),
    ],
    "dropped where there are two": [
        ("words", chain(FILLED, OneHotEncoder(drop="if_binary")), ["heating", "tenancy"]),
        ("numbers", chain(MEDIAN, MinMaxScaler()), ["income", "rooms"]),
    ],
    "rare categories together": [
        ("words", chain(FILLED, OneHotEncoder(min_frequency=0.1)), ["heating", "tenancy"]),
        ("numbers", MEDIAN, ["income", "rooms"]),
    ],
    "two categories at most": [
        (
            "words",
            chain(FILLED, OneHotEncoder(max_categories=2, handle_unknown="infrequent_if_exist")),
            ["heating", "tenancy"],
        ),
        ("numbers", MEDIAN, ["income", "rooms"]),
    ],
    "unknown categories are nobody": [
        ("words", chain(FILLED, OneHotEncoder(handle_unknown="ignore")), ["heating", "tenancy"]),
        ("numbers", chain(MEDIAN, RobustScaler()), ["income", "rooms"]),
    ],
    "numbers for categories": [
        ("words", chain(FILLED, OrdinalEncoder()), ["heating", "tenancy"]),
        ("numbers", chain(MEDIAN, MaxAbsScaler()), ["rooms", "income"]),
    ],
    "numbers in bins": [
        ("words", chain(FILLED, OneHotEncoder()), ["heating", "tenancy"]),
        (
            "numbers",
            chain(
                MEDIAN,
                KBinsDiscretizer(3, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
            ),
            ["income", "rooms"],
        ),
    ],
    "numbers by rank": [
        ("words", chain(FILLED, OneHotEncoder()), ["heating", "tenancy"]),
        ("numbers", chain(MEDIAN, QuantileTransformer(n_quantiles=20)), ["income", "rooms"]),
    ],
    "a constant for what is missing": [
        (
            "heating",
            chain(SimpleImputer(strategy="constant", fill_value="gas"), OneHotEncoder()),
            ["heating"],
        ),
        (
            "rooms",
            SimpleImputer(strategy="constant", fill_value=3.0, add_indicator=True),
            ["rooms"],
        ),
        ("rest", "passthrough", ["income"]),
        ("tenancy", OrdinalEncoder(), ["tenancy"]),
    ],
}


def fitted(preparation) -> Pipeline:
    data = rows()
    worth = (
        data["income"] / 1000
        - data["rooms"].fillna(3) * (data["tenancy"] == "rent")
        + (data["heating"] == "wood") * 2
    )
    pipeline = Pipeline(
        [
            ("columns", ColumnTransformer(preparation, sparse_threshold=0)),
            ("booster", GradientBoostingClassifier(n_estimators=12, random_state=2)),
        ]
    )
    return pipeline.fit(data, np.where(worth > worth.median(), "yes", "no"))


@pytest.mark.parametrize("name", PREPARATIONS)
def test_a_supported_preparation_agrees_with_brute_force_through_the_pipeline(name):
    pipeline = fitted(PREPARATIONS[name])
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, YES)
    raw = [
        {n: None if isinstance(v, float) and np.isnan(v) else v for n, v in row.items()}
        for row in rows().to_dict("records")
    ]
    answer = explained(model, CATALOGUE, LINE, raw, "0" * 64)
    for at in (3, 5, 0, 9):  # rooms missing, heating missing, nothing missing
        mine = ours(answer, raw[at], raw[20:27])
        assert abs(mine - by_brute_force(answer, raw[at], raw[20:27])).max() <= 1e-12
    assert model.answer(raw).margin == pytest.approx(pipeline.decision_function(rows()))


@pytest.mark.parametrize("name", PREPARATIONS)
def test_every_column_has_one_owner_and_every_owner_is_a_feature(name):
    transformer = fitted(PREPARATIONS[name])[0]
    owners = column_owners(transformer)
    assert len(owners) == transformer.transform(rows()).shape[1]
    assert set(owners) == set(CATALOGUE.names)


def test_what_the_pipeline_puts_in_the_place_of_a_missing_value_is_read_off_it():
    pipeline = fitted(PREPARATIONS["an indicator after the value"])
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, YES)
    assert model.stand_ins == {"rooms": rows()["rooms"].median(), "heating": "gas"}


def test_the_inputs_of_an_artefact_are_read_off_it_too():
    data = skops.io.dumps(fitted(PREPARATIONS["an indicator after the value"]))
    found = inspect("skops", data)
    assert found["classes"] == ["no", "yes"]
    assert [(i["name"], i["choices"], i["stand_in"] is None) for i in found["inputs"]] == [
        ("income", None, True),
        ("rooms", None, False),
        ("heating", ["gas", "oil", "other", "wood"], False),
        ("tenancy", ["own", "rent"], True),
    ]


WORDS = [("words", chain(FILLED, OneHotEncoder()), ["heating", "tenancy"])]

REFUSED = {
    "values of neighbours": [*WORDS, ("n", KNNImputer(), ["income", "rooms"])],
    "products of features": [
        *WORDS,
        ("n", chain(MEDIAN, PolynomialFeatures()), ["income", "rooms"]),
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_preparation_whose_columns_belong_to_nobody_is_refused(name):
    data = skops.io.dumps(fitted(REFUSED[name]))
    with pytest.raises(ArtefactRefused) as caught:
        open_model("skops", data, CATALOGUE, YES)
    assert caught.value.mend


def test_a_feature_that_moves_no_column_gets_nothing():
    pipeline = fitted(
        [
            *WORDS,
            ("rooms", MEDIAN, ["rooms"]),
            ("income", "drop", ["income"]),
        ]
    )
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, YES)
    raw = rows().fillna({"rooms": 3.0, "heating": "gas"}).to_dict("records")
    answer = explained(model, CATALOGUE, LINE, raw, "0" * 64)
    assert ours(answer, raw[0], raw[1:9])[0] == 0.0
