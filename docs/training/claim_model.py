"""The model of the claim costs: a split, trees on dollars, one fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from catboost import CatBoostRegressor
from sklearn.model_selection import KFold

from claim_records import INPUTS
from training import Trained, draw_background, split

SEED_SPLIT = 7150
SEED_MODEL = 1980
SEED_FOLDS = 1988
SEED_BACKGROUND = 322

SETTINGS = {
    # squared error on dollars: the raw score is the amount, and is right on average
    "loss_function": "RMSE",
    "iterations": 150,
    "depth": 4,
    "learning_rate": 0.05,
    # one choice against all others; no statistics of the outcome, which only CatBoost can compute
    "one_hot_max_size": 20,
    "random_seed": SEED_MODEL,
    "thread_count": 1,
    "verbose": False,
    "allow_writing_files": False,
}

Predict = Callable[[pd.DataFrame], np.ndarray]


def fit(inputs: pd.DataFrame, costs: pd.Series, **others: object) -> CatBoostRegressor:
    chosen = [name for name in inputs if name in INPUTS.choices]
    return CatBoostRegressor(**SETTINGS | others, cat_features=chosen).fit(inputs, costs)


def predict(model: CatBoostRegressor, inputs: pd.DataFrame) -> np.ndarray:
    """Dollars, by the library itself."""
    return np.asarray(model.predict(inputs, prediction_type="RawFormulaVal", thread_count=1))


def out_of_fold(
    inputs: pd.DataFrame,
    costs: pd.Series,
    learn: Callable[[pd.DataFrame, pd.Series], Predict] = lambda rows, costs: partial(
        predict, fit(rows, costs)
    ),
) -> np.ndarray:
    """Estimates for records a model has not learned from, five folds."""
    found = np.empty(len(inputs))
    for train, rest in KFold(5, shuffle=True, random_state=SEED_FOLDS).split(inputs):
        found[rest] = learn(inputs.iloc[train], costs.iloc[train])(inputs.iloc[rest])
    return found


def model_file(model: CatBoostRegressor) -> bytes:
    """The model as CatBoost's own file, the same bytes every time.

    The library writes the time and a random number into it; neither says anything of the model.
    """
    notes = model.get_metadata()
    for name in ("train_finish_time", "model_guid"):
        notes[name] = ""
    return bytes(model._serialize_model())


def train_model(inputs: pd.DataFrame, costs: pd.Series) -> tuple[Trained, CatBoostRegressor]:
    """Split, fit, draw the comparison group, estimate the held-out records.

    An amount has no decision line: `line` is the mean of the comparison group.
    """
    train, held_out = split(inputs, SEED_SPLIT)
    model = fit(train, costs[train.index])
    background = draw_background(train, SEED_BACKGROUND)
    result = Trained(
        train=train,
        held_out=held_out,
        truth=costs,
        margins_of=partial(predict, model),
        line=float(predict(model, background).mean()),
        margins=pd.Series(predict(model, held_out), index=held_out.index),
        probabilities=None,
        background=background,
    )
    return result, model
