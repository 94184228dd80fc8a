"""The figures of the mortgage card: how good the model is, for whom, what its inputs give away."""

from __future__ import annotations

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from measures import (
    FEWEST,
    auc_row,
    calibration_table,
    comparison_rows,
    members_by,
    overview_table,
    plain_auc,
    plain_regression,
    rate,
    record_rows,
    share_rows,
    told_by,
)
from mortgage_model import fit, folds, margins_of
from mortgage_records import INPUTS
from training import Trained

SEED_BOOTSTRAP = 1745

LEFT_OUT = {
    "loanamt": "loanamt",
    "income (`atotinc` + `cototinc`)": "income",
    "liq": "liq",
    "netw": "netw",
    "dep": "dep",
}
"""Columns one might expect as inputs, measured like the inputs."""


def group_rows(audit: pd.DataFrame, line: float) -> list[str]:
    """Selection and error rates by ethnicity and sex; counts beside every rate."""
    rows = []
    for name, members in members_by(audit, ("ethnicity", "sex")):
        above, granted = audit["margin"] > line, audit["granted"] == 1
        few = min(int((members & granted).sum()), int((members & ~granted).sum())) < FEWEST
        auc = "–" if few else f"{roc_auc_score(granted[members], audit['margin'][members]):.3f}"
        rows.append(
            f"| {name} | {rate(granted, members)} | {rate(above, members)} "
            f"| {rate(~above, members & granted)} | {rate(above, members & ~granted)} "
            f"| {rate(granted, members & ~above)} | {auc} |"
        )
    return rows


def cells(column: pd.Series, members: dict[str, pd.Series]) -> str:
    """What one column alone tells of each group."""
    return " | ".join(f"{told_by(column, member):.2f}" for member in members.values())


def members_of(records: pd.DataFrame) -> dict[str, pd.Series]:
    """Who belongs to a protected group; NaN where the records do not say."""
    return {
        "sex": (1 - records["male"]),
        "origin": 1.0 - records["white"],
        "age": records["old"].astype(float),
    }


def proxy_rows(result: Trained, records: pd.DataFrame) -> list[str]:
    """How much each input alone tells about what it must not stand for, in the training part."""
    part = records.loc[result.train.index]
    members = members_of(part)
    rows = [f"| `{name}` | {cells(result.train[name], members)} |" for name in INPUTS.names]
    plain = part.assign(income=part["atotinc"] + part["cototinc"])
    for shown, name in LEFT_OUT.items():
        label = shown if "`" in shown else f"`{shown}`"
        rows.append(f"| left out: {label} | {cells(plain[name].astype(float), members)} |")
    return rows


def together_row(result: Trained, records: pd.DataFrame) -> str:
    """What all inputs together tell: a model of the same settings, trained on the groups."""
    part, rest = records.loc[result.train.index], records.loc[result.held_out.index]
    found = []
    for name, member in members_of(part).items():
        known = member.notna()
        guess = fit(result.train[known], member[known])
        truth = members_of(rest)[name]
        known = truth.notna()
        scores = margins_of(guess, result.held_out[known])
        found.append(f"{roc_auc_score(truth[known], scores):.2f}")
    return f"| alle zusammen, zurückgelegt · all together, held out | {' | '.join(found)} |"


def without_rows(result: Trained) -> list[str]:
    """Out-of-fold AUC of the training part without one input at a time."""
    truth = result.learned
    whole = roc_auc_score(truth, folds(result.train, truth))
    rows = [f"| – | {whole:.3f} | |"]
    for name in INPUTS.names:
        auc = roc_auc_score(truth, folds(result.train.drop(columns=name), truth))
        rows.append(f"| `{name}` | {auc:.3f} | {auc - whole:+.3f} |")
    return rows


def overview_rows(result: Trained) -> list[str]:
    """The figures that are one line each."""
    truth, learned = result.held_out_truth, result.learned
    above = result.margins > result.line
    fitted = roc_auc_score(learned, result.margins_of(result.train))
    logistic = plain_regression(INPUTS, LogisticRegression(C=0.1))
    return [
        *record_rows(
            result, INPUTS, "Anteil bewilligt · share granted, %", "fehlende Werte · missing values"
        ),
        auc_row(result, SEED_BOOTSTRAP),
        f"| AUC, Training, fünffache Kreuzprüfung · training, five folds "
        f"| {roc_auc_score(learned, folds(result.train, learned)):.3f} |",
        f"| AUC, Training, am Gelernten · training, on what was learned | {fitted:.3f} |",
        f"| AUC einer einfachen logistischen Regression, zurückgelegt · of a plain logistic "
        f"regression, held out | {plain_auc(logistic, result, INPUTS):.3f} |",
        *share_rows(result),
        f"| bewilligt über / unter der Grenze · granted above / below the line, n "
        f"| {int((above & (truth == 1)).sum())} of {int(above.sum())} / "
        f"{int((~above & (truth == 1)).sum())} of {int((~above).sum())} |",
        *comparison_rows(result),
    ]


def card_figures(result: Trained, records: pd.DataFrame, audit: pd.DataFrame) -> str:
    """All figures of the card, as tables with headings in both languages."""
    lines = [
        *overview_table(overview_rows(result)),
        *calibration_table(result),
        "",
        "Quoten nach Gruppen, zurückgelegte Fälle · Rates by group, held-out records "
        f"(% with 95 % Wilson interval; – where fewer than {FEWEST} people are counted)",
        "",
        "| Gruppe · group | bewilligt · granted | über der Grenze · above the line "
        "| bewilligt, aber darunter · granted, but below "
        "| nicht bewilligt, aber darüber · not granted, but above "
        "| bewilligt unter allen darunter · granted among those below | AUC |",
        "|---|---|---|---|---|---|---|",
        *group_rows(audit, result.line),
        "",
        "AUC der Spalten allein für geschützte Merkmale, Training · What each column alone tells "
        "about protected characteristics, training part (AUC; 0.50 tells nothing)",
        "",
        "| Angabe · input | Geschlecht · sex | Herkunft (`white = 0`) · origin "
        "| Alter über der Mitte (`old`) · age above the median |",
        "|---|---|---|---|",
        *proxy_rows(result, records),
        together_row(result, records),
        "",
        "Was ohne eine Angabe bliebe, Training, fünffache Kreuzprüfung · What would remain "
        "without one input, training part, five folds",
        "",
        "| ohne · without | AUC | Unterschied · difference |",
        "|---|---|---|",
        *without_rows(result),
    ]
    return "\n".join(lines) + "\n"
