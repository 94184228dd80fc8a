"""The model and its decision line: a split, a pipeline, one fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from golden import draw_background
from records import CHOICES, NUMBERS, OPTIONAL_CHOICES, OPTIONAL_NUMBERS
from rows import BACKGROUND_ROWS, SEED_BACKGROUND

SEED_SPLIT = 13
SEED_MODEL = 189
SEED_LINE = 198

HELD_OUT_SHARE = 0.30
GRANTED_SHARE = 0.625
LINE_STEP = 0.05


def one_hot() -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False)


def new_pipeline() -> Pipeline:
    """A modest model of an ordinary shape: every transformed column has one raw feature."""
    columns = ColumnTransformer(
        [
            ("numbers", "passthrough", list(NUMBERS)),
            (
                "optional_numbers",
                SimpleImputer(strategy="median", add_indicator=True),
                list(OPTIONAL_NUMBERS),
            ),
            ("choices", one_hot(), list(CHOICES)),
            (
                "optional_choices",
                Pipeline(
                    [
                        ("fill", SimpleImputer(strategy="most_frequent")),
                        ("one_hot", one_hot()),
                    ]
                ),
                list(OPTIONAL_CHOICES),
            ),
        ]
    )
    model = GradientBoostingClassifier(
        n_estimators=150,
        learning_rate=0.05,
        max_depth=3,
        min_samples_leaf=30,
        subsample=0.7,
        random_state=SEED_MODEL,
    )
    return Pipeline([("columns", columns), ("model", model)])


def find_line(inputs: pd.DataFrame, received: pd.Series) -> float:
    """The decision line, from training records alone.

    The rule: of 200 training applications, 125 lie above the line. Margins are out of fold,
    because a model is too sure of records it has learned from. The result goes to the nearest
    0.05, so that the line is a number one can write down and check.
    """
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED_LINE)
    margins = cross_val_predict(
        new_pipeline(), inputs, received, cv=folds, method="decision_function"
    )
    exact = float(np.quantile(margins, 1 - GRANTED_SHARE))
    return round(round(exact / LINE_STEP) * LINE_STEP, 2)


@dataclass(frozen=True)
class Trained:
    """What training gave: everything the files and figures are written from.

    `margins` and `probabilities` are those of the held-out records, from the bare pipeline.
    """

    train: pd.DataFrame
    held_out: pd.DataFrame
    received: pd.Series
    pipeline: Pipeline
    line: float
    margins: pd.Series
    probabilities: pd.Series
    background: pd.DataFrame


def train_model(inputs: pd.DataFrame, received: pd.Series) -> Trained:
    """Split, find the line, fit, draw the comparison group, score the held-out records."""
    train, held_out = (
        part.sort_index()
        for part in train_test_split(
            inputs, test_size=HELD_OUT_SHARE, stratify=received, random_state=SEED_SPLIT
        )
    )
    line = find_line(train, received[train.index])
    # Fitted on "no" and "yes", so that the file itself says what its classes are.
    answers = received[train.index].map({0: "no", 1: "yes"}).astype(object)
    pipeline = new_pipeline().fit(train, answers)
    return Trained(
        train=train,
        held_out=held_out,
        received=received,
        pipeline=pipeline,
        line=line,
        margins=pd.Series(pipeline.decision_function(held_out), index=held_out.index),
        probabilities=pd.Series(pipeline.predict_proba(held_out)[:, 1], index=held_out.index),
        background=draw_background(train, BACKGROUND_ROWS, SEED_BACKGROUND),
    )
