"""The figures of the card: how good the model is, for whom, and what its inputs give away."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from measures import (
    auc_row,
    calibration_table,
    comparison_rows,
    members_by,
    overview_table,
    plain_auc,
    record_rows,
    share_rows,
    told_by,
    wilson,
)
from training import Trained
from unemployment_model import new_pipeline
from unemployment_records import INPUTS

SEED_BOOTSTRAP = 4877


def plain_regression() -> Pipeline:
    """The model's own columns under a plain logistic regression: the bar to be honest about."""
    columns = new_pipeline().named_steps["columns"]
    return Pipeline(
        [("columns", columns), ("scale", StandardScaler()), ("model", LogisticRegression(C=0.1))]
    )


def group_rows(audit: pd.DataFrame, line: float) -> list[str]:
    """Selection and error rates by sex and by `nwhite`; counts beside every rate."""
    rows = []
    for name, members in members_by(audit, ("sex", "nwhite")):
        part = audit[members]
        above, received = part["margin"] > line, part["ui"] == "yes"
        rows.append(
            f"| {name} | {len(part)} | {wilson(int(received.sum()), len(part))} "
            f"| {wilson(int(above.sum()), len(part))} "
            f"| {wilson(int((~above & received).sum()), int(received.sum()))} "
            f"(n = {int(received.sum())}) "
            f"| {wilson(int((above & ~received).sum()), int((~received).sum()))} "
            f"(n = {int((~received).sum())}) "
            f"| {roc_auc_score(received, part['margin']):.3f} |"
        )
    return rows


def proxy_rows(inputs: pd.DataFrame, records: pd.DataFrame) -> list[str]:
    """How much each input alone tells about what it must not stand for, in the training part.

    AUC of the input for "female" and for "non-white" (0.50 = tells nothing; folded, so that the
    direction does not matter), and the correlation ratio with age.
    """
    female, nonwhite = records["sex"] == "female", records["nwhite"] == "yes"
    rows = []
    for name in INPUTS.names:
        known = inputs[name].notna()
        column, ages = inputs[name][known], inputs["age"][known]
        if name in INPUTS.choices:
            with_age = float(np.sqrt(ages.groupby(column).transform("mean").var() / ages.var()))
        else:
            with_age = abs(float(np.corrcoef(column, ages)[0, 1]))
        rows.append(
            f"| `{name}` | {told_by(column, female[known]):.2f} "
            f"| {told_by(column, nonwhite[known]):.2f} "
            f"| {'–' if name == 'age' else f'{with_age:.2f}'} |"
        )
    return rows


def overview_rows(result: Trained, pipeline: Pipeline) -> list[str]:
    """The figures that are one line each."""
    truth, above = result.held_out_truth, result.margins > result.line
    fitted = roc_auc_score(result.learned, pipeline.decision_function(result.train))
    return [
        *record_rows(
            result,
            INPUTS,
            "Anteil mit Leistung · share that received the benefit, %",
            "verdeckte Werte · masked values",
        ),
        auc_row(result, SEED_BOOTSTRAP),
        f"| AUC, Training · training | {fitted:.3f} |",
        f"| AUC einer einfachen logistischen Regression · of a plain logistic regression "
        f"| {plain_auc(plain_regression(), result, INPUTS):.3f} |",
        *share_rows(result),
        f"| richtig über / unter der Grenze · right above / below the line, n "
        f"| {int((above & (truth == 1)).sum())} of {int(above.sum())} / "
        f"{int((~above & (truth == 0)).sum())} of {int((~above).sum())} |",
        *comparison_rows(result),
    ]


def card_figures(
    result: Trained, pipeline: Pipeline, records: pd.DataFrame, audit: pd.DataFrame
) -> str:
    """All figures of the card, as tables with headings in both languages."""
    lines = [
        *overview_table(overview_rows(result, pipeline)),
        *calibration_table(result),
        "",
        "Quoten nach Gruppen, zurückgelegte Fälle · Rates by group, held-out records "
        "(% with 95 % Wilson interval)",
        "",
        "| Gruppe · group | n | erhielt Leistung · received | über der Grenze · above the line "
        "| erhielt, aber darunter · received, but below "
        "| erhielt nicht, aber darüber · did not receive, but above | AUC |",
        "|---|---|---|---|---|---|---|",
        *group_rows(audit, result.line),
        "",
        "Was jede Angabe allein über geschützte Merkmale verrät, Training · "
        "What each input alone tells about protected characteristics, training part",
        "",
        "| Angabe · input | AUC für Geschlecht · for sex | AUC für Herkunft (`nwhite`) · for "
        "origin | Zusammenhang mit Alter · correlation with age |",
        "|---|---|---|---|",
        *proxy_rows(result.train, records.loc[result.train.index]),
    ]
    return "\n".join(lines) + "\n"
