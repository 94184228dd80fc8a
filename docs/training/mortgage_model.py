"""The model of the mortgage package and its decision line: a split, a booster, one fit."""

from __future__ import annotations

from functools import partial

import lightgbm
import numpy as np
import pandas as pd

from training import Trained, draw_background, find_line, out_of_fold, split

SEED_SPLIT = 1989
SEED_MODEL = 1996
SEED_LINE = 86
SEED_BACKGROUND = 25

GRANTED_SHARE = 0.75
"""Where the line lies, by rule: of four training applications, three are above it."""

ROUNDS = 80
SETTINGS = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 6,
    "min_data_in_leaf": 30,
    "min_data_per_group": 30,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.8,
    "seed": SEED_MODEL,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def fit(inputs: pd.DataFrame, granted: pd.Series) -> lightgbm.Booster:
    """Leaf-wise trees; a missing value has a way of its own at every test."""
    # columns of pandas' category type are taken as categories, and named so in the file
    table = lightgbm.Dataset(inputs, granted.to_numpy())
    return lightgbm.train(dict(SETTINGS), table, num_boost_round=ROUNDS)


def margins_of(booster: lightgbm.Booster, inputs: pd.DataFrame) -> np.ndarray:
    """Log-odds of being granted, by the library itself."""
    return np.asarray(booster.predict(inputs, raw_score=True, num_threads=1))


def folds(inputs: pd.DataFrame, granted: pd.Series) -> pd.Series:
    """Out-of-fold margins of training records."""
    return out_of_fold(
        lambda rows, truth: partial(margins_of, fit(rows, truth)), inputs, granted, SEED_LINE
    )


def train_model(inputs: pd.DataFrame, granted: pd.Series) -> tuple[Trained, lightgbm.Booster]:
    """Split, find the line, fit, draw the comparison group, score the held-out records."""
    train, held_out = split(inputs, SEED_SPLIT, granted)
    learned = granted[train.index]
    booster = fit(train, learned)
    margins = pd.Series(margins_of(booster, held_out), index=held_out.index)
    result = Trained(
        train=train,
        held_out=held_out,
        truth=granted,
        margins_of=partial(margins_of, booster),
        line=find_line(folds(train, learned), GRANTED_SHARE),
        margins=margins,
        probabilities=1 / (1 + np.exp(-margins)),
        background=draw_background(train, SEED_BACKGROUND),
    )
    return result, booster
