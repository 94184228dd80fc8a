"""Measures every card gives: how well a model separates, how its shares hold, what inputs tell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score


def auc_interval(truth: np.ndarray, scores: np.ndarray, seed: int) -> tuple[float, float, float]:
    """AUC with a 95 % bootstrap interval over the held-out records."""
    generator = np.random.default_rng(seed)
    found = []
    while len(found) < 2000:
        sample = generator.integers(0, len(truth), len(truth))
        if 0 < truth[sample].sum() < len(sample):
            found.append(roc_auc_score(truth[sample], scores[sample]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(roc_auc_score(truth, scores)), float(low), float(high)


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
