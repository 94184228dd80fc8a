"""The model and its decision line: a split, a pipeline, one fit."""

from __future__ import annotations

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from training import Trained, draw_background, find_line, split
from unemployment_records import CHOICES, NUMBERS, OPTIONAL_CHOICES, OPTIONAL_NUMBERS

SEED_SPLIT = 13
SEED_MODEL = 189
SEED_LINE = 198
SEED_BACKGROUND = 1982

GRANTED_SHARE = 0.625
"""Where the line lies, by rule: of 200 training applications, 125 are above it."""


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


def train_model(inputs: pd.DataFrame, received: pd.Series) -> tuple[Trained, Pipeline]:
    """Split, find the line, fit, draw the comparison group, score the held-out records."""
    train, held_out = split(inputs, SEED_SPLIT, received)
    # Out of fold, because a model is too sure of records it has learned from.
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED_LINE)
    margins = cross_val_predict(
        new_pipeline(), train, received[train.index], cv=folds, method="decision_function"
    )
    # Fitted on "no" and "yes", so that the file itself says what its classes are.
    answers = received[train.index].map({0: "no", 1: "yes"}).astype(object)
    pipeline = new_pipeline().fit(train, answers)
    result = Trained(
        train=train,
        held_out=held_out,
        truth=received,
        margins_of=pipeline.decision_function,
        line=find_line(margins, GRANTED_SHARE),
        margins=pd.Series(pipeline.decision_function(held_out), index=held_out.index),
        probabilities=pd.Series(pipeline.predict_proba(held_out)[:, 1], index=held_out.index),
        background=draw_background(train, SEED_BACKGROUND),
    )
    return result, pipeline
