"""Measures every card gives: how well a model separates, how its shares hold, what inputs tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from training import Inputs, Trained

FEWEST = 20
"""Under so many people a rate says more about them than about the model: it is left out."""


def auc_interval(truth: np.ndarray, scores: np.ndarray, seed: int) -> tuple[float, float, float]:
    """AUC with a 95 % bootstrap interval over the held-out records."""
    generator = np.random.default_rng(seed)
    found = []
    while len(found) < 2000:
        sample = generator.integers(0, len(truth), len(truth))
        if 0 < truth[sample].sum() < len(sample):
            found.append(auc_by_ranks(truth[sample], scores[sample]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(roc_auc_score(truth, scores)), float(low), float(high)


def auc_by_ranks(truth: np.ndarray, scores: np.ndarray) -> float:
    """The same as roc_auc_score without its checks, which a bootstrap would pay for 2,000 times."""
    good = truth == 1
    above = rankdata(scores)[good].sum() - good.sum() * (good.sum() + 1) / 2
    return float(above / (good.sum() * (~good).sum()))


def wilson(hits: int, number: int) -> str:
    """A share in per cent with its 95 % Wilson interval."""
    if number == 0:
        return "–"
    z = 1.959964
    share = hits / number
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z * np.sqrt(share * (1 - share) / number + z * z / (4 * number**2))
    half /= 1 + z * z / number
    return f"{100 * share:.1f} ({100 * (middle - half):.1f}–{100 * (middle + half):.1f})"


def calibration_rows(probabilities: pd.Series, truth: pd.Series) -> list[str]:
    """Predicted and observed share by tenths of the prediction, as rows of a table."""
    tenth = pd.qcut(probabilities.rank(method="first"), 10, labels=False)
    rows = []
    for number in range(10):
        members = tenth == number
        hits, total = int(truth[members].sum()), int(members.sum())
        rows.append(
            f"| {number + 1} | {total} | {100 * probabilities[members].mean():.1f} "
            f"| {wilson(hits, total)} |"
        )
    return rows


def level_shares(column: pd.Series, member: np.ndarray) -> np.ndarray:
    """For every row the share of members among the rows with the same choice."""
    return (
        pd.Series(member.astype(float), index=column.index)
        .groupby(column)
        .transform("mean")
        .to_numpy()
    )


def folded(truth: np.ndarray, scores: np.ndarray) -> float:
    """AUC whatever its direction: 0.50 tells nothing."""
    auc = float(roc_auc_score(truth, scores))
    return max(auc, 1 - auc)


def told_by(column: pd.Series, member: pd.Series) -> float:
    """AUC of one column alone for a group, folded, among the rows where both are known."""
    known = (column.notna() & member.notna()).to_numpy()
    values, truth = column[known], member[known].to_numpy().astype(bool)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return folded(truth, values.to_numpy())
    return folded(truth, level_shares(values.astype(object), truth))


def told_rows(
    train: pd.DataFrame, left_out: pd.DataFrame, members: Sequence[pd.Series]
) -> list[str]:
    """What each input, and each column left out, tells alone of who belongs to which group."""
    columns = {f"`{name}`": column for name, column in train.items()}
    columns |= {f"left out: `{name}`": column for name, column in left_out.items()}
    rows = []
    for name, column in columns.items():
        cells = " | ".join(f"{told_by(column, member):.2f}" for member in members)
        rows.append(f"| {name} | {cells} |")
    return rows


def with_and_without_rows(
    train: pd.DataFrame, left_out: pd.DataFrame, score: Callable[[pd.DataFrame], float]
) -> list[str]:
    """How good a model is without one input, and with one more column."""
    whole = score(train)
    rows = [f"| – | {whole:.3f} | |"]
    tables = {f"ohne · without `{name}`": train.drop(columns=name) for name in train}
    tables |= {
        f"mit · with `{name}`": train.assign(**{str(name): column})
        for name, column in left_out.items()
    }
    for name, inputs in tables.items():
        found = score(inputs)
        rows.append(f"| {name} | {found:.3f} | {found - whole:+.3f} |")
    return rows


def rate(hits: pd.Series, base: pd.Series) -> str:
    """The share of `hits` among `base`, with its number; without a rate where they are few."""
    number = int(base.sum())
    if number < FEWEST:
        return f"– (n < {FEWEST})"
    return f"{wilson(int((hits & base).sum()), number)} (n = {number})"


def members_by(audit: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, pd.Series]]:
    """Everybody, then each level of each column: a name and who belongs to it."""
    yield "all", pd.Series(True, index=audit.index)
    for column in columns:
        for level in sorted(audit[column].unique()):
            yield f"{column} = {level}", audit[column] == level


def plain_regression(inputs: Inputs, regression: Any) -> Pipeline:
    """`regression` on the same inputs, in the plainest way: the bar to be honest about."""
    filled = Pipeline(
        [
            ("fill", SimpleImputer(strategy="most_frequent")),
            ("one_hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
        ]
    )
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), list(inputs.numbers)),
            ("choices", filled, list(inputs.choices)),
        ]
    )
    return Pipeline([("columns", columns), ("scale", StandardScaler()), ("model", regression)])


def plain_auc(regression: Pipeline, result: Trained, inputs: Inputs) -> float:
    """What `regression` reaches on the held-out records."""
    kinds = dict.fromkeys(inputs.choices, object)
    regression.fit(result.train.astype(kinds), result.learned)
    scores = regression.decision_function(result.held_out.astype(kinds))
    return float(roc_auc_score(result.held_out_truth, scores))


def gap_rows(result: Trained, inputs: Inputs, gaps: str) -> list[str]:
    """How many records there are and what they lack; `gaps` is a heading."""
    missing = ", ".join(
        f"`{name}` {int(result.train[name].isna().sum())} / "
        f"{int(result.held_out[name].isna().sum())}"
        for name in inputs.optional
    )
    train, rest = result.train[list(inputs.numbers)], result.held_out[list(inputs.numbers)]
    outside = ((rest < train.min()) | (rest > train.max())).any(axis=1)
    return [
        f"| Fälle: Training / zurückgelegt · records: training / held out "
        f"| {len(result.train)} / {len(result.held_out)} |",
        f"| {gaps}, training / held out | {missing} |",
        f"| zurückgelegte Fälle außerhalb des gelernten Bereichs · held-out records outside the "
        f"trained ranges | {int(outside.sum())} |",
    ]


def record_rows(result: Trained, inputs: Inputs, share: str, gaps: str) -> list[str]:
    """The same for two outcomes, with the share of the one that is learned; `share` heads it."""
    records, *rest = gap_rows(result, inputs, gaps)
    shares = f"{100 * result.learned.mean():.1f} / {100 * result.held_out_truth.mean():.1f}"
    return [records, f"| {share} | {shares} |", *rest]


def auc_row(result: Trained, seed: int) -> str:
    auc, low, high = auc_interval(result.held_out_truth.to_numpy(), result.margins.to_numpy(), seed)
    return f"| AUC, zurückgelegt (95 %) · held out | {auc:.3f} ({low:.3f}–{high:.3f}) |"


def share_rows(result: Trained) -> list[str]:
    """How right the shares are, where the line lies and how many are above it."""
    truth, above = result.held_out_truth, result.margins > result.line
    bar = brier_score_loss(truth, np.full(len(truth), float(result.learned.mean())))
    return [
        f"| Brier, zurückgelegt · held out | {brier_score_loss(truth, result.probabilities):.4f} |",
        f"| Brier, wenn immer der Anteil aus dem Training vorausgesagt wird · of always "
        f"predicting the training share | {bar:.4f} |",
        f"| Entscheidungsgrenze in Log-Odds · decision line in log-odds | {result.line:g} |",
        f"| über der Grenze, zurückgelegt · above the line, held out, % "
        f"| {wilson(int(above.sum()), len(above))} |",
    ]


def comparison_rows(result: Trained) -> list[str]:
    """What the model says of the comparison group."""
    drawn = result.margins_of(result.background)
    spread = np.quantile(drawn, 0.9) - np.quantile(drawn, 0.1)
    return [
        f"| Vergleichsgruppe: Mittel der Log-Odds (Training) · comparison group: mean log-odds "
        f"(training) | {drawn.mean():.3f} ({result.margins_of(result.train).mean():.3f}) |",
        f"| Vergleichsgruppe: 90. minus 10. Perzentil · 90th minus 10th percentile "
        f"| {spread:.3f} |",
        f"| Vergleichsgruppe über der Grenze · comparison group above the line, n "
        f"| {int((drawn > result.line).sum())} of {len(drawn)} |",
    ]


def overview_table(rows: Sequence[str]) -> list[str]:
    return ["| Was · what | Wert · value |", "|---|---|", *rows]


def calibration_table(result: Trained) -> list[str]:
    return [
        "",
        "Kalibrierung, zurückgelegte Fälle, Zehntel nach Vorhersage · "
        "Calibration, held-out records, tenths by prediction",
        "",
        "| Zehntel · tenth | n | vorhergesagt · predicted, % | beobachtet · observed, % (95 %) |",
        "|---|---|---|---|",
        *calibration_rows(result.probabilities, result.held_out_truth),
    ]
