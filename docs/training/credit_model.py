"""The model of the credit package and its decision line: a split, a booster, one fit."""

from __future__ import annotations

from functools import partial
from math import log

import numpy as np
import pandas as pd
import xgboost

from training import LINE_STEP, Trained, draw_background, out_of_fold, split

SEED_SPLIT = 1000
SEED_MODEL = 700
SEED_FOLDS = 300
SEED_BACKGROUND = 1974

COSTS = 5
"""What a credit that is not paid back costs, where one refused without need costs 1: the table
that was published with the records."""

ROUNDS = 80
SETTINGS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "learning_rate": 0.05,
    "max_depth": 3,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    # sets of choices on both sides of a test, not one choice against all others
    "max_cat_to_onehot": 1,
    "seed": SEED_MODEL,
    "nthread": 1,
}


def table(inputs: pd.DataFrame, good: pd.Series | None = None) -> xgboost.DMatrix:
    # columns of pandas' category type are taken as categories, and named so in the file
    return xgboost.DMatrix(inputs, good, enable_categorical=True, nthread=1)


def fit(inputs: pd.DataFrame, good: pd.Series) -> xgboost.Booster:
    """Trees with tests on sets of choices; a missing value has a way of its own at every test."""
    return xgboost.train(SETTINGS, table(inputs, good), num_boost_round=ROUNDS)


def margins_of(booster: xgboost.Booster, inputs: pd.DataFrame) -> np.ndarray:
    """Log-odds of a credit paid back, by the library itself."""
    return booster.predict(table(inputs), output_margin=True).astype(float)


def folds(inputs: pd.DataFrame, good: pd.Series) -> pd.Series:
    """Out-of-fold margins of training records."""
    return out_of_fold(
        lambda rows, truth: partial(margins_of, fit(rows, truth)), inputs, good, SEED_FOLDS
    )


def find_line() -> float:
    """Where granting costs as much as refusing, to the nearest 0.05; no record plays a part.

    Granting costs COSTS times the probability of not being paid back, refusing the probability of
    being paid back: they are equal at odds of COSTS to 1.
    """
    return round(round(log(COSTS) / LINE_STEP) * LINE_STEP, 2)


def train_model(inputs: pd.DataFrame, good: pd.Series) -> tuple[Trained, xgboost.Booster]:
    """Split, fit, draw the comparison group, score the held-out records."""
    train, held_out = split(inputs, SEED_SPLIT, good)
    booster = fit(train, good[train.index])
    shares = booster.predict(table(held_out)).astype(float)
    result = Trained(
        train=train,
        held_out=held_out,
        truth=good,
        margins_of=partial(margins_of, booster),
        line=find_line(),
        margins=pd.Series(margins_of(booster, held_out), index=held_out.index),
        probabilities=pd.Series(shares, index=held_out.index),
        background=draw_background(train, SEED_BACKGROUND),
    )
    return result, booster
