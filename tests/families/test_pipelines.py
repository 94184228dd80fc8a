"""Every preparation that is supported: its columns find their features, and brute force through the
pipeline as it was trained agrees, whatever model stands behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from pipelines import (
    CATALOGUE,
    NAMES,
    NUMBERS,
    TARGET,
    UNSEEN,
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
from sklearn.compose import make_column_selector
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.artefacts import open_model
from explainer.families.engine.function import Function
from explainer.families.engine.reference import brute_force
from explainer.families.inspect import inspect
from explainer.families.players import traced


def words(encoder: Any) -> Any:
    """An encoder of choices, beside numbers that are as simple as can be."""
    return lambda: by_columns((chain(usual(), encoder), WORDS), (median(), NUMBERS))


def words_with_gaps(encoder: Any) -> Any:
    """The same, the encoder itself seeing what is missing."""
    return lambda: by_columns((encoder, WORDS), (median(), NUMBERS))


def numbers(*steps: Any) -> Any:
    """Steps on numbers, beside choices that are as simple as can be."""
    return lambda: by_columns(
        (chain(median(), *steps), ["rooms", "income"]), (chain(usual(), OneHotEncoder()), WORDS)
    )


def one_hot(**how: Any) -> OneHotEncoder:
    return OneHotEncoder(**how)


def bins(encode: str) -> KBinsDiscretizer:
    return KBinsDiscretizer(3, encode=encode, quantile_method="averaged_inverted_cdf")


MODELS: dict[str, Callable[[], Any]] = {
    "linear": lambda: LogisticRegression(max_iter=2000),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=8, random_state=2),
    "forest": lambda: RandomForestClassifier(5, max_depth=5, random_state=2),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=6, random_state=2),
}
PLAIN = ("linear", "forest")
WITH_GAPS = ("forest", "histograms")


@dataclass(frozen=True)
class Prepared:
    """A preparation, what it is tried with, and whether it takes a choice that training never saw.

    `leaves` says what the model behind it has to bear: nothing special, or missing values.
    """

    make: Callable[[], Any]
    models: tuple[str, ...] = PLAIN
    unseen: bool = False
    after: tuple[Any, ...] = ()


UNKNOWN = {"handle_unknown": "ignore"}
RARE = {"handle_unknown": "infrequent_if_exist"}
CODES = {"handle_unknown": "use_encoded_value"}

PREPARATIONS: dict[str, Prepared] = {
    # curves
    "curves": Prepared(numbers(SplineTransformer()), ("linear", "boosting", "forest")),
    "curves, straight beyond training": Prepared(
        numbers(SplineTransformer(3, degree=1, extrapolation="linear", include_bias=False))
    ),
    "curves, through quantiles, sparse": Prepared(
        numbers(
            SplineTransformer(4, degree=2, knots="quantile", sparse_output=True, order="F"),
        )
    ),
    "curves that come back": Prepared(
        numbers(SplineTransformer(5, extrapolation="periodic"), StandardScaler())
    ),
    "curves that go on": Prepared(numbers(SplineTransformer(2, extrapolation="continue"))),
    "curves, none where a value is missing": Prepared(
        lambda: by_columns(
            (SplineTransformer(3, handle_missing="zeros"), NUMBERS),
            (chain(usual(), one_hot()), WORDS),
        )
    ),
    # one-hot
    "one-hot": Prepared(words(one_hot()), ("linear", "boosting", "forest")),
    "one-hot, dense": Prepared(words(one_hot(sparse_output=False))),
    "one-hot, first dropped": Prepared(words(one_hot(drop="first"))),
    "one-hot, dropped of two": Prepared(words(one_hot(drop="if_binary"))),
    "one-hot, named ones dropped": Prepared(words(one_hot(drop=["oil", "own"]))),
    "one-hot, unknown ignored": Prepared(words(one_hot(**UNKNOWN)), unseen=True),
    "one-hot, unknown ignored, first dropped": Prepared(
        words(one_hot(drop="first", **UNKNOWN)), unseen=True
    ),
    "one-hot, rare by share": Prepared(words(one_hot(min_frequency=0.1))),
    "one-hot, rare by count, unknown among them": Prepared(
        words(one_hot(min_frequency=30, **RARE)), unseen=True
    ),
    "one-hot, at most two": Prepared(words(one_hot(max_categories=2, **RARE)), unseen=True),
    "one-hot, none rare, unknown among them": Prepared(words(one_hot(**RARE)), unseen=True),
    "one-hot, rare and the first dropped": Prepared(
        words(one_hot(max_categories=3, drop="first", **RARE)), unseen=True
    ),
    "one-hot, missing a category": Prepared(words_with_gaps(one_hot(**UNKNOWN)), unseen=True),
    "one-hot, missing a rare category": Prepared(
        words_with_gaps(one_hot(max_categories=3, **RARE)), unseen=True
    ),
    "one-hot, listed categories": Prepared(
        words(one_hot(categories=[["wood", "gas", "other", "oil", "coal"], ["rent", "own"]])),
        unseen=True,
    ),
    "one-hot of numbers": Prepared(
        lambda: by_columns(
            (chain(median(), one_hot(**UNKNOWN)), ["rooms"]),
            ("passthrough", ["income"]),
            (chain(usual(), one_hot()), WORDS),
        )
    ),
    # codes
    "ordinal": Prepared(words(OrdinalEncoder())),
    "ordinal, unknown as a number": Prepared(
        words(OrdinalEncoder(unknown_value=-1, **CODES)), unseen=True
    ),
    "ordinal, unknown missing": Prepared(
        words(OrdinalEncoder(unknown_value=np.nan, **CODES)), WITH_GAPS, unseen=True
    ),
    "ordinal, missing as a number": Prepared(
        words_with_gaps(OrdinalEncoder(encoded_missing_value=-2, unknown_value=-1, **CODES)),
        unseen=True,
    ),
    "ordinal, missing stays missing": Prepared(words_with_gaps(OrdinalEncoder()), WITH_GAPS),
    "ordinal, rare together": Prepared(
        words(OrdinalEncoder(min_frequency=0.1, unknown_value=9, **CODES)), unseen=True
    ),
    "by target": Prepared(words(TargetEncoder(cv=KFold(4))), unseen=True),
    "by target, missing too": Prepared(
        words_with_gaps(TargetEncoder(cv=StratifiedKFold(4), smooth=5.0)), unseen=True
    ),
    # scales
    "standard scale": Prepared(numbers(StandardScaler())),
    "smallest and largest": Prepared(numbers(MinMaxScaler())),
    "smallest and largest, cut off": Prepared(numbers(MinMaxScaler(clip=True))),
    "robust scale": Prepared(numbers(RobustScaler())),
    "largest": Prepared(numbers(MaxAbsScaler())),
    "power": Prepared(numbers(PowerTransformer())),
    "power of positive numbers": Prepared(numbers(PowerTransformer(method="box-cox"))),
    "by rank": Prepared(numbers(QuantileTransformer(n_quantiles=20))),
    "by rank, normal": Prepared(
        numbers(QuantileTransformer(n_quantiles=20, output_distribution="normal"))
    ),
    "logarithm": Prepared(numbers(FunctionTransformer(np.log1p), StandardScaler())),
    "above a number": Prepared(numbers(Binarizer(threshold=3.0))),
    "powers of one number": Prepared(
        lambda: by_columns(
            (chain(median(), PolynomialFeatures(3)), ["rooms"]),
            ("passthrough", ["income"]),
            (chain(usual(), one_hot()), WORDS),
        )
    ),
    # bins
    "bins, one-hot": Prepared(numbers(bins("onehot"))),
    "bins, one-hot, dense": Prepared(numbers(bins("onehot-dense"))),
    "bins in order": Prepared(numbers(bins("ordinal"))),
    "bins in order, then one-hot": Prepared(numbers(bins("ordinal"), one_hot())),
    # what is missing
    "an indicator after the value": Prepared(
        lambda: by_columns(
            ("passthrough", ["income"]),
            (SimpleImputer(strategy="median", add_indicator=True), ["rooms"]),
            (chain(usual(), one_hot()), ["heating"]),
            (one_hot(), ["tenancy"]),
        )
    ),
    "an indicator, scaled": Prepared(
        lambda: by_columns(
            (chain(SimpleImputer(add_indicator=True), StandardScaler()), NUMBERS),
            (chain(usual(), one_hot()), WORDS),
        )
    ),
    "an indicator beside the value": Prepared(
        lambda: by_columns(
            (FeatureUnion([("value", median()), ("gap", MissingIndicator())]), NUMBERS),
            (chain(usual(), one_hot()), WORDS),
        )
    ),
    "an indicator of every feature": Prepared(
        lambda: by_columns(
            (
                FeatureUnion(
                    [("gap", MissingIndicator(features="all")), ("value", median())],
                    transformer_weights={"gap": 2.0},
                ),
                NUMBERS,
            ),
            (chain(usual(), one_hot()), WORDS),
        )
    ),
    "a constant for what is missing": Prepared(
        lambda: by_columns(
            (chain(SimpleImputer(strategy="constant", fill_value="gas"), one_hot()), ["heating"]),
            (SimpleImputer(strategy="constant", fill_value=3.0, add_indicator=True), ["rooms"]),
            ("passthrough", ["income"]),
            (OrdinalEncoder(), ["tenancy"]),
        )
    ),
    "missing handed on": Prepared(
        lambda: by_columns(("passthrough", NUMBERS), (OrdinalEncoder(), WORDS)), WITH_GAPS
    ),
    # which columns
    "by position": Prepared(
        lambda: by_columns((chain(median(), StandardScaler()), [1, 0]), (words_one_hot(), [2, -1]))
    ),
    "by slice and by mask": Prepared(
        lambda: by_columns(
            (chain(median(), StandardScaler()), slice(0, 2)),
            (words_one_hot(), [False, False, True, True]),
        )
    ),
    "by kind of column": Prepared(
        lambda: by_columns(
            (chain(median(), StandardScaler()), make_column_selector(dtype_include=np.number)),
            (words_one_hot(), make_column_selector(dtype_include=object)),
        )
    ),
    "the rest handed on": Prepared(
        lambda: by_columns((median(), ["rooms"]), (words_one_hot(), WORDS), remainder="passthrough")
    ),
    "the rest scaled": Prepared(
        lambda: by_columns(
            (words_one_hot(), WORDS), remainder=chain(median(), StandardScaler())
        )
    ),
    "a feature left out": Prepared(
        lambda: by_columns((median(), ["rooms"]), (words_one_hot(), WORDS), remainder="drop")
    ),
    # within each other
    "columns within columns": Prepared(
        lambda: by_columns(
            (
                by_columns((chain(median(), MinMaxScaler()), ["rooms"]), (one_hot(), ["tenancy"])),
                ["tenancy", "rooms"],
            ),
            (chain(usual(), one_hot()), ["heating"]),
            remainder="passthrough",
        )
    ),
    "columns within columns, after a step": Prepared(
        lambda: by_columns(
            (
                chain(median(), by_columns((StandardScaler(), [1]), (bins("onehot"), [0]))),
                ["income", "rooms"],
            ),
            (words_one_hot(), WORDS),
        )
    ),
    "a chain within a chain": Prepared(
        lambda: by_columns(
            (chain(chain(median()), chain("passthrough", StandardScaler())), NUMBERS),
            (chain(chain(usual(), one_hot())), WORDS),
        )
    ),
    "steps after the columns": Prepared(
        numbers(), after=(VarianceThreshold(0.01), MaxAbsScaler())
    ),
    "as tables": Prepared(
        lambda: words(one_hot(sparse_output=False))().set_output(transform="pandas")
    ),
    "as tables, within each other": Prepared(
        lambda: by_columns(
            (
                chain(
                    median(),
                    by_columns((StandardScaler(), ["rooms"]), (RobustScaler(), ["income"])),
                ),
                NUMBERS,
            ),
            (chain(usual(), one_hot(sparse_output=False)), WORDS),
        ).set_output(transform="pandas")
    ),
    "always sparse": Prepared(
        lambda: by_columns(
            (words_one_hot(), WORDS), (chain(median(), MaxAbsScaler()), NUMBERS), sparse_threshold=1
        )
    ),
    "never sparse": Prepared(
        lambda: by_columns(
            (words_one_hot(), WORDS), (median(), NUMBERS), sparse_threshold=0
        ),
        ("linear", "boosting", "forest", "histograms"),
    ),
}  # fmt: skip


def words_one_hot() -> Pipeline:
    return chain(usual(), one_hot())


@cache
def fitted(name: str, model: str) -> Pipeline:
    prepared = PREPARATIONS[name]
    return fit(prepared.make(), *prepared.after, MODELS[model]())


@cache
def opened(name: str, model: str) -> Any:
    return open_model("skops", skops.io.dumps(fitted(name, model)), CATALOGUE, TARGET)


MATRIX = [(name, model) for name, prepared in PREPARATIONS.items() for model in prepared.models]


IN_TURN = [
    pytest.param(name, model, marks=() if turn % len(each.models) == at else pytest.mark.long)
    for turn, (name, each) in enumerate(PREPARATIONS.items())
    for at, model in enumerate(each.models)
]
"""Each preparation before one model, in turn; before the others in the long run."""


@pytest.mark.parametrize(("name", "kind"), IN_TURN)
def test_contributions_equal_brute_force_through_the_pipeline_as_trained(name, kind):
    pipeline, model = fitted(name, kind), opened(name, kind)
    assert not any(isinstance(form, Function) for form in model.forms)
    given = raw(rows())
    group = given[20:27]  # with a gap among them
    unseen = [UNSEEN] if PREPARATIONS[name].unseen else []
    for case in [given[3], given[5], given[0], *unseen]:
        asked = [case[n] for n in NAMES], [[z[n] for n in NAMES] for z in group]
        witness = brute_force(lambda some: own_margins(pipeline, table(some)), *asked)
        assert abs(contributions(model, case, group) - witness).max() <= 1e-12
    expected = own_margins(pipeline, rows())
    assert abs(model.answer(given).margin - expected).max() <= 1e-12


@pytest.mark.parametrize("name", [n for n, each in PREPARATIONS.items() if not each.unseen])
def test_a_choice_that_training_never_saw_gets_no_number_where_the_pipeline_gives_none(name):
    kind = PREPARATIONS[name].models[0]
    with pytest.raises(ValueError, match="unknown categories"):
        own_margins(fitted(name, kind), table([[UNSEEN[n] for n in NAMES]]))
    with pytest.raises(ModelFailed):
        opened(name, kind).answer([UNSEEN])


@pytest.mark.parametrize("name", PREPARATIONS)
def test_every_column_has_one_owner_and_every_owner_is_a_feature(name):
    before = fitted(name, PREPARATIONS[name].models[0])[:-1]
    owners = traced(before, NAMES).owners()
    assert len(owners) == before.transform(rows()).shape[1]
    assert set(owners) == set(NAMES) - ({"income"} if name == "a feature left out" else set())


def test_the_matrix_is_as_large_as_the_documentation_says():
    text = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
    assert f"{len(PREPARATIONS)} preparations" in text
    assert f"{len(MATRIX)} of {len(MATRIX)}" in text


# -- what is read off them ----------------------------------------------------------------------


def test_what_the_pipeline_puts_in_the_place_of_a_missing_value_is_read_off_it():
    model = opened("an indicator after the value", "linear")
    assert model.stand_ins == {"rooms": rows()["rooms"].median(), "heating": "gas"}


@pytest.mark.parametrize("name", ["an indicator after the value", "by position"])
def test_the_inputs_of_a_file_are_read_off_it_too(name):
    found = inspect("skops", skops.io.dumps(fitted(name, "linear")))
    assert found["classes"] == ["no", "yes"]
    assert [(i["name"], i["choices"]) for i in found["inputs"]] == [
        ("income", None),
        ("rooms", None),
        ("heating", ["gas", "oil", "other", "wood"]),
        ("tenancy", ["own", "rent"]),
    ]
    stand_ins = {i["name"]: i["stand_in"] for i in found["inputs"]}
    assert stand_ins["rooms"] == rows()["rooms"].median()
    assert stand_ins["heating"] == "gas"


def test_a_feature_that_moves_no_column_gets_nothing():
    given = raw(rows())
    values = contributions(opened("a feature left out", "forest"), given[0], given[1:9])
    assert values[0] == 0.0
    assert values[1:].any()


# -- refused ------------------------------------------------------------------------------------


def squared(numbers: Any) -> Any:
    return numbers**2


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "text taken apart into words": (
        lambda: by_columns((CountVectorizer(), "tenancy"), (median(), NUMBERS)),
        "CountVectorizer.*free text is none",
    ),
    "a function of somebody's own": (
        numbers(FunctionTransformer(squared)),
        "types that are not loaded",
    ),
    "a function that is handed more": (
        numbers(FunctionTransformer(np.log1p, kw_args={"casting": "same_kind"})),
        "FunctionTransformer",
    ),
    "a function without a name": (
        numbers(FunctionTransformer(lambda given: given)),
        "types that are not loaded",
    ),
    "curves that end where training did": (
        numbers(SplineTransformer(extrapolation="error")),
        "no column for a value beyond",
    ),
    "columns chosen in training": (numbers(SelectKBest(k=1)), "SelectKBest"),
    "a stand-in that is no value": (
        lambda: by_columns((chain(StandardScaler(), median()), NUMBERS), (words_one_hot(), WORDS)),
        "no value of the feature",
    ),
    "a stand-in for another mark than NaN": (
        lambda: by_columns(
            (chain(median(), SimpleImputer(missing_values=0.0)), NUMBERS), (words_one_hot(), WORDS)
        ),
        "no value of the feature",
    ),
    "two stand-ins": (
        lambda: by_columns(
            (median(), NUMBERS),
            (SimpleImputer(strategy="mean"), ["rooms"]),
            (words_one_hot(), WORDS),
        ),
        "two values for what is missing",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_preparation_that_is_not_known_is_refused_by_name(name):
    make, says = REFUSED[name]
    pipeline = chain(make(), LogisticRegression(max_iter=2000))
    pipeline.fit(rows(), np.where(rows()["income"] > 1000, "yes", "no"))
    with pytest.raises(ArtefactRefused, match=says) as caught:
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, TARGET)
    assert caught.value.mend
    assert "the documentation names" not in caught.value.mend or "function" in name


def test_a_pipeline_of_numbers_needs_no_choice_of_columns():
    """Its first step knows the names; they are found whatever order the catalogue has."""
    given = rows()[NUMBERS].fillna(2.0)
    pipeline = chain(StandardScaler(), LogisticRegression())
    pipeline.fit(given, np.where(given["income"] > 1000, "yes", "no"))
    turned = FeatureCatalogue([CATALOGUE["rooms"], CATALOGUE["income"]])
    model = open_model("skops", skops.io.dumps(pipeline), turned, TARGET)
    expected = pipeline.decision_function(given)
    assert model.answer(given.to_dict("records")).margin == pytest.approx(expected, abs=1e-12)
