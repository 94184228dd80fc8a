"""What every recipe's training gives, and the steps that are the same for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split

HELD_OUT_SHARE = 0.30
BACKGROUND_ROWS = 300
LINE_STEP = 0.05


@dataclass(frozen=True)
class Inputs:
    """What a model is given of a case, in the order in which people are shown it.

    Attributes
    ----------
    choices : by name all levels
    optional : those that may be missing
    """

    names: Sequence[str]
    numbers: Sequence[str]
    choices: Mapping[str, Sequence[str]]
    optional: Sequence[str]

    def typed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Numbers as float, choices as categories in the order of their levels."""
        kinds = {name: pd.CategoricalDtype(list(each)) for name, each in self.choices.items()}
        return rows[list(self.names)].astype(dict.fromkeys(self.numbers, float) | kinds)


@dataclass(frozen=True)
class Trained:
    """Everything the files and figures of a package are written from.

    Attributes
    ----------
    truth : what the model learned to tell, 0 or 1 or an amount, of all records
    margins_of : the bare model's margins of rows of inputs
    margins, probabilities : of the held-out records, from the bare model; amounts have no
        probabilities
    line : the decision line, in margin
    """

    train: pd.DataFrame
    held_out: pd.DataFrame
    truth: pd.Series
    margins_of: Callable[[pd.DataFrame], np.ndarray]
    line: float
    margins: pd.Series
    probabilities: pd.Series | None
    background: pd.DataFrame

    @property
    def learned(self) -> pd.Series:
        """The truth about the training records."""
        return self.truth[self.train.index]

    @property
    def held_out_truth(self) -> pd.Series:
        return self.truth[self.held_out.index]


def split(
    inputs: pd.DataFrame, seed: int, stratify: pd.Series | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training and the held-out records, each in the order of the records."""
    train, held_out = train_test_split(
        inputs, test_size=HELD_OUT_SHARE, stratify=stratify, random_state=seed
    )
    return train.sort_index(), held_out.sort_index()


def out_of_fold(
    fit: Callable[[pd.DataFrame, pd.Series], Callable[[pd.DataFrame], np.ndarray]],
    inputs: pd.DataFrame,
    outcome: pd.Series,
    seed: int,
) -> pd.Series:
    """Margins of records a model has not learned from: it is too sure of the others.

    `fit` learns from inputs and outcome and gives back the function of the model's margins.
    """
    margins = pd.Series(np.nan, index=inputs.index)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    for train, rest in folds.split(inputs, outcome):
        margins_of = fit(inputs.iloc[train], outcome.iloc[train])
        margins.iloc[rest] = margins_of(inputs.iloc[rest])
    return margins


def find_line(margins: np.ndarray | pd.Series, share_above: float) -> float:
    """The line with `share_above` of the margins above it, to the nearest 0.05.

    So that the line is a number one can write down and check.
    """
    exact = float(np.quantile(margins, 1 - share_above))
    return round(round(exact / LINE_STEP) * LINE_STEP, 2)


def take_away(
    inputs: pd.DataFrame, names: tuple[str, ...], share: float, seed: int
) -> pd.DataFrame:
    """Values taken away completely at random: the draw knows nothing about the rest of a record."""
    generator = np.random.default_rng(seed)
    masked = inputs.copy()
    for name in names:
        masked.loc[generator.random(len(masked)) < share, name] = np.nan
    return masked


def draw_background(inputs: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Training records, each as likely as the next; in the order of the records."""
    chosen = np.random.default_rng(seed).choice(len(inputs), BACKGROUND_ROWS, replace=False)
    return inputs.iloc[np.sort(chosen)]
