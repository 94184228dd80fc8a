"""The figures of the credit card: how good the model is, for whom, what its inputs give away."""

from __future__ import annotations

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from credit_model import COSTS, folds
from credit_records import INPUTS, left_out
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
    told_rows,
    with_and_without_rows,
)
from training import Trained

SEED_BOOTSTRAP = 1994
YOUNG = 30


def overview_rows(result: Trained) -> list[str]:
    """The figures that are one line each."""
    truth, learned = result.held_out_truth, result.learned
    above = result.margins > result.line
    fitted = roc_auc_score(learned, result.margins_of(result.train))
    logistic = plain_regression(INPUTS, LogisticRegression(C=0.1))
    bad_above, good_below = int((above & (truth == 0)).sum()), int((~above & (truth == 1)).sum())
    bad = int((truth == 0).sum())
    return [
        *record_rows(
            result,
            INPUTS,
            "Anteil zurückgezahlt · share paid back, %",
            "verdeckte Werte · masked values",
        ),
        auc_row(result, SEED_BOOTSTRAP),
        f"| AUC, Training, fünffache Kreuzprüfung · training, five folds "
        f"| {roc_auc_score(learned, folds(result.train, learned)):.3f} |",
        f"| AUC, Training, am Gelernten · training, on what was learned | {fitted:.3f} |",
        f"| AUC einer einfachen logistischen Regression, zurückgelegt · of a plain logistic "
        f"regression, held out | {plain_auc(logistic, result, INPUTS):.3f} |",
        *share_rows(result),
        f"| zurückgezahlt über / unter der Grenze · paid back above / below the line, n "
        f"| {int((above & (truth == 1)).sum())} of {int(above.sum())} / "
        f"{good_below} of {int((~above).sum())} |",
        f"| Kosten {COSTS} : 1: mit Grenze / alle bewilligt / alle geprüft · costs: with the line "
        f"/ all granted / all checked | {COSTS * bad_above + good_below} / {COSTS * bad} / "
        f"{len(truth) - bad} |",
        *comparison_rows(result),
    ]


def group_rows(audit: pd.DataFrame, line: float) -> list[str]:
    """Selection and error rates by sex, as the file has it, and age; numbers beside every rate."""
    rows = []
    for name, members in members_by(audit, ("sex", "age")):
        above, good = audit["margin"] > line, audit["good"] == 1
        few = min(int((members & good).sum()), int((members & ~good).sum())) < FEWEST
        auc = "–" if few else f"{roc_auc_score(good[members], audit['margin'][members]):.3f}"
        rows.append(
            f"| {name} | {rate(good, members)} | {rate(above, members)} "
            f"| {rate(~above, members & good)} | {rate(above, members & ~good)} | {auc} |"
        )
    return rows


def audit_of(result: Trained, records: pd.DataFrame) -> pd.DataFrame:
    """Sex and age of the held-out records, with margin and outcome; never part of a package."""
    part = records.loc[result.held_out.index]
    young = (part["age"] < YOUNG).map({True: f"under {YOUNG}", False: f"{YOUNG} and over"})
    return pd.DataFrame(
        {"sex": part["sex"], "age": young, "margin": result.margins, "good": part["risk"]}
    )


def card_figures(result: Trained, records: pd.DataFrame) -> str:
    """All figures of the card, as tables with headings in both languages."""
    part = records.loc[result.train.index]
    members = [(part["sex"] == "female").astype(int), (part["age"] < YOUNG).astype(int)]

    def score(inputs: pd.DataFrame) -> float:
        return float(roc_auc_score(result.learned, folds(inputs, result.learned)))

    lines = [
        *overview_table(overview_rows(result)),
        *calibration_table(result),
        "",
        "Quoten nach Gruppen, zurückgelegte Fälle · Rates by group, held-out records "
        f"(% with 95 % Wilson interval; – where fewer than {FEWEST} people are counted)",
        "",
        "| Gruppe · group | zurückgezahlt · paid back | über der Grenze · above the line "
        "| zurückgezahlt, aber darunter · paid back, but below "
        "| nicht zurückgezahlt, aber darüber · not paid back, but above | AUC |",
        "|---|---|---|---|---|---|",
        *group_rows(audit_of(result, records), result.line),
        "",
        "AUC der Spalten allein für geschützte Merkmale, Training · What each column alone tells "
        "about protected characteristics, training part (AUC; 0.50 tells nothing)",
        "",
        f"| Angabe · input | Geschlecht, wie die Datei es hat · sex as the file has it "
        f"| Alter unter {YOUNG} · age under {YOUNG} |",
        "|---|---|---|",
        *told_rows(result.train, left_out(part), members),
        "",
        "Was ohne eine Angabe oder mit einer mehr wäre, Training, fünffache Kreuzprüfung · "
        "Without one input or with one more, training part, five folds",
        "",
        "| Angaben · inputs | AUC | Unterschied · difference |",
        "|---|---|---|",
        *with_and_without_rows(result.train, left_out(part), score),
    ]
    return "\n".join(lines) + "\n"
