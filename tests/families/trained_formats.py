"""Small models of every format, really trained on the same invented households: money in cents,
missing numbers and choices, noughts, categories. One entry of VARIANTS is one kind of model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from factories import choice, feature
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from explainer.core.attribution import (
    AmountOutcome,
    DecisionLine,
    SeveralOutcomes,
    Side,
    Suggesting,
    Task,
)
from explainer.core.case import Case, FeatureCatalogue, Value
from explainer.core.case import Missing as WhyMissing
from explainer.families.apart import ModelApart, open_apart
from explainer.families.engine.forest import Test, Trees
from explainer.families.model import Input, RawRow, Target

NUMBERS = ("income", "months", "rooms")
CHOICES = {"heating": ("wood", "gas", "oil"), "tenancy": ("rent", "own")}
NAMES = ("income", "heating", "months", "tenancy", "rooms")
"""As the tables of training have them; the catalogue has them in another order on purpose."""

FEATURES = {
    "rooms": feature("rooms", hard=(0, 99)),
    "tenancy": choice("tenancy", *sorted(CHOICES["tenancy"])),
    "income": feature("income", hard=(0, 99_999)),
    "heating": choice(
        "heating", *sorted(CHOICES["heating"]), "coal", optional=True, stand_in="gas"
    ),
    "months": feature("months", optional=True, stand_in=0.0, hard=(-999, 999)),
}


@cache
def households() -> pd.DataFrame:
    random = np.random.default_rng(11)
    n = 260
    rows = pd.DataFrame(
        {
            "income": np.round(random.gamma(3, 400, n), 2),
            "heating": random.choice(CHOICES["heating"], n),
            "months": random.integers(0, 40, n).astype(float),
            "tenancy": random.choice(CHOICES["tenancy"], n),
            "rooms": random.integers(1, 7, n) / 2,
        }
    )
    for name, kind in CHOICES.items():
        rows[name] = pd.Series(list(rows[name]), dtype=object)
        assert set(rows[name]) == set(kind)
    rows.loc[rows.index % 5 == 2, "months"] = 0.0
    rows.loc[rows.index % 7 == 3, "months"] = np.nan
    rows.loc[rows.index % 11 == 4, "heating"] = np.nan
    return rows


@cache
def labels() -> np.ndarray:
    rows = households()
    noise = np.random.default_rng(12).normal(0, 0.6, len(rows))
    worth = (
        -(rows["income"].to_numpy() - 1200) / 500
        + np.nan_to_num(rows["months"].to_numpy(), nan=25) / 12
        + (rows["heating"] == "oil").to_numpy() * 1.2
        - (rows["tenancy"] == "own").to_numpy() * (rows["rooms"].to_numpy() > 1.5) * 1.5
    )
    return (worth + noise > 1.0).astype(int)


@cache
def told_by_gaps() -> np.ndarray:
    """Labels that hang on whether a number of months was given: trees ask for nothing else of it,
    and send every number there is to one side."""
    rows = households()
    noise = np.random.default_rng(15).random(len(rows)) < 0.1
    return (rows["months"].isna().to_numpy() ^ noise).astype(int)


@cache
def three() -> np.ndarray:
    """Labels of three classes, in no order of size."""
    rows = households()
    noise = np.random.default_rng(13).normal(0, 0.4, len(rows))
    poor = rows["income"].to_numpy() < 900
    long = np.nan_to_num(rows["months"].to_numpy(), nan=25) > 18
    warm = (rows["heating"] == "oil").to_numpy() | (rows["rooms"].to_numpy() > 2.5)
    return np.where(poor + noise > 0.7, 2, np.where(0.0 + long + warm + noise > 0.9, 0, 1))


@cache
def amounts() -> np.ndarray:
    """Money in cents."""
    rows = households()
    noise = np.random.default_rng(14).normal(0, 40, len(rows))
    need = (
        np.maximum(0, 1800 - rows["income"].to_numpy()) * 0.4
        + np.nan_to_num(rows["months"].to_numpy(), nan=25) * 6
        + (rows["heating"] == "oil").to_numpy() * 120
        + (rows["tenancy"] == "own").to_numpy() * 30 * rows["rooms"].to_numpy()
    )
    return np.round(need + 200 + noise, 2)


ZERO_ONE = Target(Task.BINARY, ("0", "1"))
THREE = Target(Task.MULTICLASS, ("0", "1", "2"))
AMOUNT = Target(Task.AMOUNT)

WANTED: dict[Task, tuple[Target, Callable[[], np.ndarray]]] = {
    Task.BINARY: (ZERO_ONE, labels),
    Task.MULTICLASS: (THREE, three),
    Task.AMOUNT: (AMOUNT, amounts),
}
"""What is trained for each kind of answer."""


@dataclass(frozen=True)
class Made:
    """A trained model as its library holds it, and as a file.

    `margins` asks the original object, never the file, about a table as it was trained on.
    """

    declared: str
    data: bytes
    names: tuple[str, ...]
    margins: Callable[[pd.DataFrame], Any]
    target: Target = ZERO_ONE
    shares: Callable[[pd.DataFrame], Any] | None = None
    """The original's own probabilities of several classes."""

    @property
    def catalogue(self) -> FeatureCatalogue:
        return FeatureCatalogue([each for name, each in FEATURES.items() if name in self.names])

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(Input(f.name, f.choices or None) for f in self.catalogue)

    def table(self, rows: list[RawRow]) -> pd.DataFrame:
        """Raw rows as the table a colleague would hand to the original model."""
        columns = {}
        for name in self.names:
            given = [np.nan if row[name] is None else row[name] for row in rows]
            columns[name] = pd.Series(given, dtype=float if name in NUMBERS else object)
        return pd.DataFrame(columns)


def raw(table: pd.DataFrame) -> list[RawRow]:
    """A table as raw rows; NaN is a missing value."""
    return [
        {name: None if value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


# -- XGBoost -----------------------------------------------------------------------------------


def _as_categories(table: pd.DataFrame) -> pd.DataFrame:
    """Categories in the order of training, which is not the catalogue's; others are missing."""
    known = {n: table[n].where(table[n].isin(CHOICES[n])) for n in CHOICES if n in table}
    return table.assign(**{n: pd.Categorical(known[n], categories=CHOICES[n]) for n in known})


@contextmanager
def _deprecated() -> Iterator[None]:
    """XGBoost 3.4 warns of dart and gblinear; people have models of both."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*is deprecated")
        yield


def by_xgboost(
    *,
    kind: str = "json",
    numbers: bool = False,
    missing: float = np.nan,
    rounds: int = 12,
    change: Callable[[dict[str, Any]], None] | None = None,
    task: Task = Task.BINARY,
    label: Any = None,
    **parameters: Any,
) -> Made:
    names = NUMBERS if numbers else NAMES
    target, made_of = WANTED[task]

    def matrix(table: pd.DataFrame, label: Any = None) -> Any:
        table = _as_categories(table[list(names)])
        if not np.isnan(missing):
            table = table.fillna(dict.fromkeys(NUMBERS, missing))
        return xgboost.DMatrix(table, label, missing=missing, enable_categorical=True, nthread=1)

    settings: dict[str, Any] = {"nthread": 1, "seed": 3}
    settings |= {
        Task.BINARY: {"objective": "binary:logistic"},
        Task.MULTICLASS: {"objective": "multi:softprob", "num_class": 3},
        Task.AMOUNT: {"objective": "reg:squarederror"},
    }[task]
    settings |= {} if parameters.get("booster") == "gblinear" else {"max_depth": 3}
    learned = matrix(households(), made_of() if label is None else label)
    with _deprecated():
        booster = xgboost.train(settings | parameters, learned, rounds)
    if not np.isnan(missing):
        booster.set_attr(missing=str(missing))
    with _deprecated():
        data = bytes(booster.save_raw(kind))
    if change is not None:
        whole = json.loads(data)
        change(whole)
        data = json.dumps(whole).encode()
    return Made(
        f"xgboost-{kind}",
        data,
        names,
        lambda table: booster.predict(matrix(table), output_margin=True),
        target,
        lambda table: booster.predict(matrix(table)),
    )


def _as_first_written(whole: dict[str, Any]) -> None:
    """The first versions wrote true and false, and knew neither categories nor targets."""
    learner = whole["learner"]
    model = learner["gradient_booster"]["model"]
    for tree in model["trees"]:
        tree["default_left"] = [bool(each) for each in tree["default_left"]]
        for name in ("split_type", *(name for name in tree if name.startswith("categories"))):
            tree.pop(name)
    for name in ("cats", "iteration_indptr"):
        model.pop(name)
    learner["learner_model_param"].pop("num_target")
    _base_score_as_a_number(whole)


def _base_score_as_a_number(whole: dict[str, Any]) -> None:
    """As XGBoost wrote it before 3.1."""
    parameters = whole["learner"]["learner_model_param"]
    assert parameters["base_score"].startswith("[")
    parameters["base_score"] = parameters["base_score"].strip("[]")


def weights_of_trees(whole: dict[str, Any]) -> list[float]:
    """How much each tree of a DART booster counts; XGBoost 3.4 writes it in another place."""
    booster = whole["learner"]["gradient_booster"]
    written = booster if booster["name"] == "dart" else booster["model"]
    return list(written["weight_drop"])


def all_trees_alike(learner: dict[str, Any]) -> None:
    """As the file reads to whoever passes over the weights of its trees."""
    booster = learner["gradient_booster"]
    weights = booster if booster["name"] == "dart" else booster["model"]
    weights["weight_drop"] = [1.0] * len(weights["weight_drop"])


def without_categories(whole: dict[str, Any]) -> None:
    """As XGBoost wrote it before it kept their names: codes in an order nobody wrote down."""
    del whole["learner"]["gradient_booster"]["model"]["cats"]


# -- LightGBM ----------------------------------------------------------------------------------


def by_lightgbm(
    *,
    numbers: bool = False,
    rounds: int = 12,
    task: Task = Task.BINARY,
    label: Any = None,
    **parameters: Any,
) -> Made:
    names = NUMBERS if numbers else NAMES
    target, made_of = WANTED[task]
    settings = {
        **{
            Task.BINARY: {"objective": "binary"},
            Task.MULTICLASS: {"objective": "multiclass", "num_class": 3},
            Task.AMOUNT: {"objective": "regression"},
        }[task],
        "num_threads": 1,
        "verbose": -1,
        "num_leaves": 7,
        "min_data_in_leaf": 8,
        "min_data_per_group": 5,
        "cat_smooth": 1.0,
        "cat_l2": 1.0,
        "max_cat_to_onehot": 1,
        "deterministic": True,
        "seed": 3,
    } | parameters
    table = _as_categories(households()[list(names)])
    learned = lightgbm.Dataset(table, made_of() if label is None else label)
    booster = lightgbm.train(settings, learned, rounds)

    def margins(table: pd.DataFrame) -> Any:
        asked = _as_categories(table[list(names)])
        if "linear_tree" in parameters:  # its margins may lie beyond what a probability can tell
            return booster.predict(asked, raw_score=True, num_threads=1)
        given = booster.predict(asked, num_threads=1)
        if task is Task.AMOUNT:
            return given
        # of several classes only what lies between two of them is the margin's
        return np.log(given / (1 - given)) if task is Task.BINARY else np.log(given)

    def shares(table: pd.DataFrame) -> Any:
        return booster.predict(_as_categories(table[list(names)]), num_threads=1)

    data = booster.model_to_string().encode()
    return Made("lightgbm-txt", data, names, margins, target, shares)


# -- CatBoost ----------------------------------------------------------------------------------


def by_catboost(
    *,
    numbers: bool = False,
    rounds: int = 12,
    scale_and_bias: tuple[float, Any] | None = None,
    task: Task = Task.BINARY,
    label: Any = None,
    **parameters: Any,
) -> Made:
    # it takes no missing category: the table says so in a word
    names = NUMBERS if numbers else tuple(n for n in NAMES if n != "heating")
    target, made_of = WANTED[task]
    kind = catboost.CatBoostRegressor if task is Task.AMOUNT else catboost.CatBoostClassifier
    booster = kind(
        iterations=rounds,
        **{"depth": 3, "thread_count": 1, "random_seed": 3, "verbose": False} | parameters,
        allow_writing_files=False,
        cat_features=[n for n in names if n in CHOICES],
    )
    booster.fit(households()[list(names)], made_of() if label is None else label)
    if scale_and_bias is not None:
        booster.set_scale_and_bias(*scale_and_bias)
    if task is Task.MULTICLASS:
        target = Target(task, tuple(map(str, booster.classes_)))

    def margins(table: pd.DataFrame) -> Any:
        if task is Task.AMOUNT:  # asked as a colleague would, without saying for what
            return booster.predict(table[list(names)])
        return booster.predict(table[list(names)], prediction_type="RawFormulaVal")

    return Made(
        "catboost-cbm",
        booster._serialize_model(),
        names,
        margins,
        target,
        lambda table: booster.predict_proba(table[list(names)]),
    )


# -- scikit-learn ------------------------------------------------------------------------------


def _one_hot(*, filled: bool, scaled: bool = False) -> ColumnTransformer:
    numbers: Any = "passthrough"
    if filled:
        steps: list[Any] = [("fill", SimpleImputer(strategy="median", add_indicator=True))]
        numbers = Pipeline([*steps, ("scale", StandardScaler())] if scaled else steps)
    words = Pipeline(
        [
            ("fill", SimpleImputer(strategy="most_frequent")),
            ("one_hot", OneHotEncoder(handle_unknown="ignore")),
        ]
    )
    return ColumnTransformer([("words", words, list(CHOICES)), ("numbers", numbers, list(NUMBERS))])


def _codes() -> ColumnTransformer:
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return ColumnTransformer(
        [("numbers", "passthrough", list(NUMBERS)), ("words", codes, list(CHOICES))]
    )


def by_sklearn(preparation: ColumnTransformer, model: Any) -> Made:
    pipeline = Pipeline([("prepared", preparation), ("model", model)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a network that was not trained to the end is enough
        pipeline.fit(households()[list(NAMES)], labels())
    by_log_odds = isinstance(
        model,
        LogisticRegression | GradientBoostingClassifier | HistGradientBoostingClassifier,
    )

    def margins(table: pd.DataFrame) -> Any:
        if by_log_odds:
            return pipeline.decision_function(table[list(NAMES)])
        return pipeline.predict_proba(table[list(NAMES)])[:, 1]

    return Made("skops", skops.io.dumps(pipeline), NAMES, margins)


def _forest(kind: Any) -> Made:
    return by_sklearn(
        _one_hot(filled=False), kind(n_estimators=8, max_depth=4, random_state=3, n_jobs=1)
    )


def _small_network() -> MLPClassifier:
    return MLPClassifier((5,), max_iter=60, random_state=3)


def _logistic() -> LogisticRegression:
    return LogisticRegression(max_iter=500)


VARIANTS: dict[str, Callable[[], Made]] = {
    "xgboost": by_xgboost,
    "xgboost, ubj": lambda: by_xgboost(kind="ubj"),
    "xgboost, numbers": lambda: by_xgboost(numbers=True),
    "xgboost, missing is -999": lambda: by_xgboost(numbers=True, missing=-999.0),
    "xgboost, missing is 0": lambda: by_xgboost(numbers=True, missing=0.0, kind="ubj"),
    "xgboost, missing is 0, categories": lambda: by_xgboost(missing=0.0, max_cat_to_onehot=1),
    "xgboost, dart": lambda: by_xgboost(booster="dart", rate_drop=0.4, one_drop=1),
    "xgboost, sets of categories": lambda: by_xgboost(max_cat_to_onehot=1, kind="ubj"),
    "xgboost, base score a list": lambda: by_xgboost(base_score=0.2),
    "xgboost, base score a number": lambda: by_xgboost(change=_base_score_as_a_number),
    "xgboost, as first written": lambda: by_xgboost(numbers=True, change=_as_first_written),
    "xgboost, margins only": lambda: by_xgboost(objective="binary:logitraw"),
    "xgboost, several trees at once": lambda: by_xgboost(
        num_parallel_tree=3, subsample=0.6, rounds=4
    ),
    "xgboost, pruned": lambda: by_xgboost(numbers=True, tree_method="exact", gamma=2.0),
    "xgboost, linear": lambda: by_xgboost(numbers=True, booster="gblinear"),
    "xgboost, linear, missing is 0": lambda: by_xgboost(
        numbers=True, booster="gblinear", missing=0.0
    ),
    "lightgbm": by_lightgbm,
    "lightgbm, numbers": lambda: by_lightgbm(numbers=True),
    "lightgbm, nought is missing": lambda: by_lightgbm(zero_as_missing=True),
    "lightgbm, nothing is missing": lambda: by_lightgbm(use_missing=False),
    "lightgbm, linear trees": lambda: by_lightgbm(linear_tree=True, linear_lambda=0.1),
    "lightgbm, forest": lambda: by_lightgbm(
        boosting="rf", bagging_freq=1, bagging_fraction=0.6, rounds=8
    ),
    "lightgbm, told by gaps": lambda: by_lightgbm(label=told_by_gaps()),
    "lightgbm, forest told by gaps": lambda: by_lightgbm(
        boosting="rf", bagging_freq=1, bagging_fraction=0.6, rounds=8, label=told_by_gaps()
    ),
    "lightgbm, dart": lambda: by_lightgbm(boosting="dart", drop_rate=0.5),
    "lightgbm, steep": lambda: by_lightgbm(sigmoid=2.5),
    "catboost, numbers": lambda: by_catboost(numbers=True),
    "catboost, missing is large": lambda: by_catboost(numbers=True, nan_mode="Max"),
    "catboost, scaled": lambda: by_catboost(numbers=True, scale_and_bias=(1.5, -0.4)),
    "catboost, one-hot": lambda: by_catboost(one_hot_max_size=9),
    "catboost, free trees": lambda: by_catboost(one_hot_max_size=9, grow_policy="Lossguide"),
    "catboost, counted categories": lambda: by_catboost(one_hot_max_size=1),
    "logistic": lambda: by_sklearn(_one_hot(filled=True, scaled=True), _logistic()),
    "random forest with NaN": lambda: _forest(RandomForestClassifier),
    "extra trees": lambda: _forest(ExtraTreesClassifier),
    "tree": lambda: by_sklearn(
        _one_hot(filled=False), DecisionTreeClassifier(max_depth=4, random_state=3)
    ),
    "gradient boosting": lambda: by_sklearn(
        _one_hot(filled=True), GradientBoostingClassifier(n_estimators=12, random_state=3)
    ),
    "histogram boosting": lambda: by_sklearn(
        _one_hot(filled=True), HistGradientBoostingClassifier(max_iter=12, random_state=3)
    ),
    "histogram boosting with NaN": lambda: by_sklearn(
        _one_hot(filled=False), HistGradientBoostingClassifier(max_iter=12, random_state=3)
    ),
    "histogram boosting with categories": lambda: by_sklearn(
        _codes(),
        HistGradientBoostingClassifier(
            max_iter=12, random_state=3, categorical_features=[3, 4], min_samples_leaf=5
        ),
    ),
    "network": lambda: by_sklearn(_one_hot(filled=True, scaled=True), _small_network()),
    "calibrated": lambda: by_sklearn(
        _one_hot(filled=True, scaled=True), CalibratedClassifierCV(_logistic(), cv=2)
    ),
    "voting": lambda: by_sklearn(
        _one_hot(filled=True, scaled=True),
        VotingClassifier(
            [("a", _logistic()), ("b", DecisionTreeClassifier(max_depth=3, random_state=3))],
            voting="soft",
        ),
    ),
    "stacking": lambda: by_sklearn(
        _one_hot(filled=True, scaled=True),
        StackingClassifier(
            [("a", _logistic()), ("b", DecisionTreeClassifier(max_depth=3, random_state=3))],
            cv=2,
        ),
    ),
}
"""By name: what is trained. Every one of them is held against every promise."""


def _text_labels() -> np.ndarray:
    return np.array(["refused", "granted", "partly granted"])[three()]


def _of_several(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """A change that lets all classes begin alike, as files with one number have it."""

    def changed(whole: dict[str, Any]) -> None:
        parameters = whole["learner"]["learner_model_param"]
        (first,) = set(json.loads(parameters["base_score"]))
        parameters["base_score"] = f"[{first}]"
        change(whole)

    return changed


SEVERAL: dict[str, Callable[..., Made]] = {
    "xgboost": by_xgboost,
    "xgboost, ubj": partial(by_xgboost, kind="ubj", objective="multi:softmax"),
    "xgboost, numbers": partial(by_xgboost, numbers=True),
    "xgboost, missing is -999": partial(by_xgboost, numbers=True, missing=-999.0),
    "xgboost, missing is 0, categories": partial(by_xgboost, missing=0.0, max_cat_to_onehot=1),
    "xgboost, dart": partial(by_xgboost, booster="dart", rate_drop=0.4, one_drop=1),
    "xgboost, sets of categories": partial(by_xgboost, max_cat_to_onehot=1, kind="ubj"),
    "xgboost, base score a list": partial(by_xgboost, base_score=0.2),
    "xgboost, base score a number": partial(
        by_xgboost, base_score=0.2, change=_of_several(_base_score_as_a_number)
    ),
    "xgboost, as first written": partial(
        by_xgboost, numbers=True, base_score=0.5, change=_of_several(_as_first_written)
    ),
    "xgboost, several trees at once": partial(
        by_xgboost, num_parallel_tree=3, subsample=0.6, rounds=4
    ),
    "xgboost, pruned": partial(by_xgboost, numbers=True, tree_method="exact", gamma=2.0),
    "xgboost, a class nobody has": lambda **k: by_xgboost(label=(three() > 1) * 2, **k),
    "xgboost, linear": partial(by_xgboost, numbers=True, booster="gblinear", base_score=0.5),
    "xgboost, linear, missing is 0": partial(
        by_xgboost, numbers=True, booster="gblinear", base_score=0.5, missing=0.0, kind="ubj"
    ),
    "lightgbm": by_lightgbm,
    "lightgbm, numbers": partial(by_lightgbm, numbers=True),
    "lightgbm, nought is missing": partial(by_lightgbm, zero_as_missing=True),
    "lightgbm, nothing is missing": partial(by_lightgbm, use_missing=False),
    "lightgbm, linear trees": partial(by_lightgbm, linear_tree=True, linear_lambda=0.1),
    "lightgbm, forest": partial(
        by_lightgbm, boosting="rf", bagging_freq=1, bagging_fraction=0.6, rounds=8
    ),
    "lightgbm, dart": partial(by_lightgbm, boosting="dart", drop_rate=0.5),
    "lightgbm, a class nobody has": lambda **k: by_lightgbm(label=(three() > 1) * 2, **k),
    "catboost, numbers": partial(by_catboost, numbers=True),
    "catboost, missing is large": partial(by_catboost, numbers=True, nan_mode="Max"),
    "catboost, scaled": partial(by_catboost, numbers=True, scale_and_bias=(1.5, [-0.4, 0.2, 0.0])),
    "catboost, one-hot": partial(by_catboost, one_hot_max_size=9),
    "catboost, named": lambda **k: by_catboost(one_hot_max_size=9, label=_text_labels(), **k),
    "catboost, named in another order": lambda **k: by_catboost(
        one_hot_max_size=9,
        label=_text_labels(),
        class_names=["partly granted", "refused", "granted"],
        **k,
    ),
    "catboost, free trees": partial(by_catboost, one_hot_max_size=9, grow_policy="Lossguide"),
    "catboost, level by level": partial(by_catboost, numbers=True, grow_policy="Depthwise"),
    "catboost, counted categories": partial(by_catboost, one_hot_max_size=1),
}
"""By name: what is trained for more than two classes."""

AMOUNTS: dict[str, Callable[..., Made]] = {
    "xgboost": by_xgboost,
    "xgboost, ubj": partial(by_xgboost, kind="ubj", max_cat_to_onehot=1),
    "xgboost, absolute": partial(by_xgboost, objective="reg:absoluteerror"),
    "xgboost, pseudo-Huber": partial(
        by_xgboost, objective="reg:pseudohubererror", base_score=500.0, huber_slope=50.0
    ),
    "xgboost, quantile": partial(
        by_xgboost, objective="reg:quantileerror", quantile_alpha=0.8, numbers=True
    ),
    "xgboost, squared logarithms": lambda **k: by_xgboost(
        objective="reg:squaredlogerror", base_score=4.0, label=amounts() / 100, **k
    ),
    "xgboost, missing is -999": partial(by_xgboost, numbers=True, missing=-999.0),
    "xgboost, dart": partial(by_xgboost, booster="dart", rate_drop=0.4, one_drop=1),
    "xgboost, several trees at once": partial(
        by_xgboost, num_parallel_tree=3, subsample=0.6, rounds=4
    ),
    "xgboost, base score a number": partial(by_xgboost, change=_base_score_as_a_number),
    "xgboost, linear": partial(by_xgboost, numbers=True, booster="gblinear"),
    "xgboost, millions": lambda **k: by_xgboost(label=amounts() * 1000 + 1e6, **k),
    "lightgbm": by_lightgbm,
    **{
        f"lightgbm, {objective}": partial(by_lightgbm, objective=objective)
        for objective in ("regression_l1", "huber", "fair", "quantile", "mape")
    },
    "lightgbm, forest": partial(
        by_lightgbm, boosting="rf", bagging_freq=1, bagging_fraction=0.6, rounds=8
    ),
    "lightgbm, linear trees": partial(by_lightgbm, linear_tree=True, linear_lambda=0.1),
    "lightgbm, nought is missing": partial(by_lightgbm, zero_as_missing=True),
    "lightgbm, millions": lambda **k: by_lightgbm(label=amounts() * 1000 + 1e6, **k),
    **{
        f"catboost, {loss}": partial(by_catboost, numbers=True, loss_function=loss)
        for loss in ("MAE", "Quantile:alpha=0.8", "MAPE", "Huber:delta=20", "LogCosh", "Lq:q=1.5")
    },
    "catboost, RMSE": partial(by_catboost, numbers=True),
    "catboost, Expectile": partial(
        by_catboost, numbers=True, loss_function="Expectile:alpha=0.3", scale_and_bias=(2.0, 7.0)
    ),
    "catboost, one-hot": partial(by_catboost, one_hot_max_size=9),
    "catboost, free trees": partial(by_catboost, one_hot_max_size=9, grow_policy="Lossguide"),
    "catboost, counted categories": partial(by_catboost, one_hot_max_size=1),
    "catboost, millions": lambda **k: by_catboost(
        one_hot_max_size=9, label=amounts() * 1000 + 1e6, **k
    ),
}
"""By name: what is trained for an amount."""

OUTCOMES = {
    f"classes: {name}": partial(make, task=Task.MULTICLASS) for name, make in SEVERAL.items()
}
OUTCOMES |= {f"amount: {name}": partial(make, task=Task.AMOUNT) for name, make in AMOUNTS.items()}
"""All of both, by name; what `made` knows beside VARIANTS."""


@cache
def made(name: str) -> Made:
    return (VARIANTS | OUTCOMES)[name]()


# -- what every variant may suggest, and is asked ------------------------------------------------

OUTCOMES_OF_THREE = ("refuse", "grant", "grant_in_part")
SUGGESTING: dict[Task, Suggesting] = {
    Task.BINARY: DecisionLine(0.0, "grant", "check", Side.ABOVE),
    Task.MULTICLASS: SeveralOutcomes(OUTCOMES_OF_THREE, ("grant", "grant_in_part", "refuse")),
    Task.AMOUNT: AmountOutcome("EUR", 2, Side.ABOVE),
}


def case(row: RawRow) -> Case:
    values = {
        name: Value(value, WhyMissing.NOT_GIVEN if value is None else None)
        for name, value in row.items()
    }
    return Case("T-1", None, values)


EXACT = 1e-9
"""Of the margin scale: how far the engine may be from brute force, and sums from the margin."""
SINGLE = 1e-6
"""The same where the library itself adds up in single precision, as XGBoost does."""


@cache
def apart(name: str) -> ModelApart:
    model = made(name)
    return open_apart(model.declared, model.data, model.catalogue, model.target)


@cache
def comparison(name: str, n: int = 40) -> list[RawRow]:
    """Rows every variant answers for; the first n of the table of training."""
    names = set(made(name).names)
    return [{k: v for k, v in row.items() if k in names} for row in raw(households())[:n]]


def tolerance(name: str) -> float:
    return SINGLE if made(name).declared.startswith("xgboost") else EXACT


@cache
def awkward(name: str) -> list[RawRow]:
    """On thresholds, one step beside in either precision, cents, noughts, infinities, missing
    values, every choice and one that training never saw."""
    model, first = made(name), dict(comparison(name)[0])
    rows = []
    forms = apart(name).forms
    values: dict[str, set[float]] = {n: set() for n in model.names if n not in CHOICES}
    for form in forms:
        for k, column in enumerate(form.columns if isinstance(form, Trees) else ()):
            owner = model.catalogue.names[column.player]
            if column.test is not Test.ONE_OF and owner in values:
                scale = form.scale[form.scale_start[k] : form.scale_start[k + 1]]
                step = max(1, len(scale) * len(forms) // 6)
                values[owner].update(scale[::step].tolist())
    for number, thresholds in values.items():
        beside = {0.0, -0.0, 1e-36, -1e-36, 1e-35, 0.1, 1179.99, 1180.01}
        # where weights are multiplied with it, the margin would be beyond all telling
        beside |= set() if "linear" in name else {16777217.0}
        for value in thresholds:
            single = np.float32(value)
            beside |= {value, float(single), round(value, 2)}
            beside |= {float(np.nextafter(value, np.inf)), float(np.nextafter(value, -np.inf))}
            beside |= {float(np.nextafter(single, np.float32(s * 3e38))) for s in (1, -1)}
        beside = {value for value in beside if np.isfinite(value)}
        beside |= {np.inf, -np.inf, 3.5e38} if infinities(name) else set()
        rows += [{**first, number: value} for value in sorted(beside)]
        rows += [{**first, number: None}]
    for word in CHOICES.keys() & set(model.names):
        given = [*CHOICES[word]]
        given += ["coal"] if word == "heating" and not raises_unseen(name) else []
        given += [None] if word == "heating" else []
        rows += [{**first, word: value} for value in given]
    missing = {n: None for n in model.names if n in ("income", "months", "rooms", "heating")}
    return [*rows, first | missing]


EVERY = (5, pytest.param(1, marks=pytest.mark.long))
"""Of the awkward rows every so-manieth is held against brute force."""


def few_awkward(name: str) -> list[RawRow]:
    """Comparison rows for brute force: two as they come, three awkward ones."""
    rows = awkward(name)
    return [*comparison(name)[5:7], rows[0], rows[len(rows) // 2], rows[-1]]


def infinities(name: str) -> bool:
    """Whether an infinity is answered: not by scikit-learn, and before XGBoost we refuse it."""
    return made(name).declared in ("catboost-cbm", "lightgbm-txt") and "linear" not in name


def raises_unseen(name: str) -> bool:
    return made(name).declared.startswith("xgboost")
