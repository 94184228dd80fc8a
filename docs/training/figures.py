"""The figures of the card: how good the model is, for whom, and what its inputs give away."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from measures import auc_interval, calibration_rows, folded, level_shares, wilson
from records import ALL_NUMBERS, FEATURES, OPTIONAL
from training import Trained, new_pipeline

SEED_BOOTSTRAP = 4877


def plain_logistic_auc(train: pd.DataFrame, held_out: pd.DataFrame, received: pd.Series) -> float:
    """What a plain logistic regression reaches on the same inputs: the bar to be honest about."""
    columns = new_pipeline().named_steps["columns"]
    regression = Pipeline(
        [("columns", columns), ("scale", StandardScaler()), ("model", LogisticRegression(C=0.1))]
    ).fit(train, received[train.index])
    return float(roc_auc_score(received[held_out.index], regression.decision_function(held_out)))


def group_rows(audit: pd.DataFrame, line: float) -> list[str]:
    """Selection and error rates by sex and by `nwhite`; counts beside every rate."""
    groups = [("all", pd.Series(True, index=audit.index))]
    for column in ("sex", "nwhite"):
        groups += [
            (f"{column} = {level}", audit[column] == level)
            for level in sorted(audit[column].unique())
        ]
    rows = []
    for name, members in groups:
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
    female = (records["sex"] == "female").to_numpy()
    nonwhite = (records["nwhite"] == "yes").to_numpy()
    rows = []
    for name in FEATURES:
        known = inputs[name].notna().to_numpy()
        column = inputs[name][known]
        if name in ALL_NUMBERS:
            values = column.to_numpy()
            by_sex, by_nonwhite = values, values
            with_age = abs(float(np.corrcoef(values, inputs["age"][known])[0, 1]))
        else:
            by_sex = level_shares(column, female[known])
            by_nonwhite = level_shares(column, nonwhite[known])
            ages = inputs["age"][known]
            with_age = float(np.sqrt(ages.groupby(column).transform("mean").var() / ages.var()))
        rows.append(
            f"| `{name}` | {folded(female[known], by_sex):.2f} "
            f"| {folded(nonwhite[known], by_nonwhite):.2f} "
            f"| {'–' if name == 'age' else f'{with_age:.2f}'} |"
        )
    return rows


def overview_rows(result: Trained) -> list[str]:
    """The figures that are one line each."""
    truth = result.received[result.held_out.index]
    train_truth = result.received[result.train.index]
    auc, low, high = auc_interval(truth.to_numpy(), result.margins.to_numpy(), SEED_BOOTSTRAP)
    fitted = roc_auc_score(train_truth, result.pipeline.decision_function(result.train))
    share = float(train_truth.mean())
    above = result.margins > result.line
    drawn = result.pipeline.decision_function(result.background)
    spread = np.quantile(drawn, 0.9) - np.quantile(drawn, 0.1)
    masked = ", ".join(
        f"`{name}` {int(result.train[name].isna().sum())} / "
        f"{int(result.held_out[name].isna().sum())}"
        for name in OPTIONAL
    )
    outside = pd.concat(
        [
            (result.held_out[name] < result.train[name].min())
            | (result.held_out[name] > result.train[name].max())
            for name in ALL_NUMBERS
        ],
        axis=1,
    ).any(axis=1)
    wrong = brier_score_loss(truth, result.probabilities)
    bar = brier_score_loss(truth, np.full(len(truth), share))
    logistic = plain_logistic_auc(result.train, result.held_out, result.received)
    return [
        f"| Fälle: Training / zurückgelegt · records: training / held out "
        f"| {len(result.train)} / {len(result.held_out)} |",
        f"| Anteil mit Leistung · share that received the benefit, % "
        f"| {100 * share:.1f} / {100 * truth.mean():.1f} |",
        f"| verdeckte Werte · masked values, training / held out | {masked} |",
        f"| zurückgelegte Fälle außerhalb des gelernten Bereichs · held-out records outside the "
        f"trained ranges | {int(outside.sum())} |",
        f"| AUC, zurückgelegt (95 %) · held out | {auc:.3f} ({low:.3f}–{high:.3f}) |",
        f"| AUC, Training · training | {fitted:.3f} |",
        f"| AUC einer einfachen logistischen Regression · of a plain logistic regression "
        f"| {logistic:.3f} |",
        f"| Brier, zurückgelegt · held out | {wrong:.4f} |",
        f"| Brier, wenn immer der Anteil aus dem Training vorausgesagt wird · of always "
        f"predicting the training share | {bar:.4f} |",
        f"| Entscheidungsgrenze in Log-Odds · decision line in log-odds | {result.line:g} |",
        f"| über der Grenze, zurückgelegt · above the line, held out, % "
        f"| {wilson(int(above.sum()), len(above))} |",
        f"| richtig über / unter der Grenze · right above / below the line, n "
        f"| {int((above & (truth == 1)).sum())} of {int(above.sum())} / "
        f"{int((~above & (truth == 0)).sum())} of {int((~above).sum())} |",
        f"| Vergleichsgruppe: Mittel der Log-Odds (Training) · comparison group: mean log-odds "
        f"(training) | {drawn.mean():.3f} "
        f"({result.pipeline.decision_function(result.train).mean():.3f}) |",
        f"| Vergleichsgruppe: 90. minus 10. Perzentil · 90th minus 10th percentile "
        f"| {spread:.3f} |",
        f"| Vergleichsgruppe über der Grenze · comparison group above the line, n "
        f"| {int((drawn > result.line).sum())} of {len(drawn)} |",
    ]


def card_figures(result: Trained, records: pd.DataFrame, audit: pd.DataFrame) -> str:
    """All figures of the card, as tables with headings in both languages."""
    truth = result.received[result.held_out.index]
    lines = [
        "| Was · what | Wert · value |",
        "|---|---|",
        *overview_rows(result),
        "",
        "Kalibrierung, zurückgelegte Fälle, Zehntel nach Vorhersage · "
        "Calibration, held-out records, tenths by prediction",
        "",
        "| Zehntel · tenth | n | vorhergesagt · predicted, % | beobachtet · observed, % (95 %) |",
        "|---|---|---|---|",
        *calibration_rows(result.probabilities, truth),
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
