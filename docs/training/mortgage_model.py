"""The model of the mortgage package and its decision line: a split, a booster, one fit."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm
import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

from golden import draw_background

SEED_SPLIT = 1989
SEED_MODEL = 1996
SEED_LINE = 86
SEED_BACKGROUND = 25

HELD_OUT_SHARE = 0.30
GRANTED_SHARE = 0.75
LINE_STEP = 0.05
BACKGROUND_ROWS = 300

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


def margins_of(booster: lightgbm.Booster, inputs: pd.DataFrame) -> pd.Series:
    """Log-odds of being granted, by the library itself."""
    return pd.Series(
        np.asarray(booster.predict(inputs, raw_score=True, num_threads=1)), index=inputs.index
    )


def out_of_fold(inputs: pd.DataFrame, granted: pd.Series) -> pd.Series:
    """Margins of records a model has not learned from: it is too sure of the others."""
    margins = pd.Series(np.nan, index=inputs.index)
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED_LINE)
    for train, held_out in folds.split(inputs, granted):
        booster = fit(inputs.iloc[train], granted.iloc[train])
        margins.iloc[held_out] = margins_of(booster, inputs.iloc[held_out]).to_numpy()
    return margins


def find_line(margins: pd.Series) -> float:
    """The decision line, from training records alone.

    The rule: of four training applications, three lie above the line. The result goes to the
    nearest 0.05, so that the line is a number one can write down and check.
    """
    exact = float(np.quantile(margins, 1 - GRANTED_SHARE))
    return round(round(exact / LINE_STEP) * LINE_STEP, 2)


@dataclass(frozen=True)
class Trained:
    """What training gave: everything the files and figures are written from.

    `margins` and `probabilities` are those of the held-out records, from the bare booster.
    """

    train: pd.DataFrame
    held_out: pd.DataFrame
    granted: pd.Series
    booster: lightgbm.Booster
    line: float
    margins: pd.Series
    probabilities: pd.Series
    background: pd.DataFrame


def train_model(inputs: pd.DataFrame, granted: pd.Series) -> Trained:
    """Split, find the line, fit, draw the comparison group, score the held-out records."""
    train, held_out = (
        part.sort_index()
        for part in train_test_split(
            inputs, test_size=HELD_OUT_SHARE, stratify=granted, random_state=SEED_SPLIT
        )
    )
    learned = granted[train.index]
    booster = fit(train, learned)
    margins = margins_of(booster, held_out)
    return Trained(
        train=train,
        held_out=held_out,
        granted=granted,
        booster=booster,
        line=find_line(out_of_fold(train, learned)),
        margins=margins,
        probabilities=1 / (1 + np.exp(-margins)),
        background=draw_background(train, BACKGROUND_ROWS, SEED_BACKGROUND),
    )
