"""The figures of the mortgage card: how good the model is, for whom, what its inputs give away."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from measures import auc_interval, calibration_rows, folded, level_shares, wilson
from mortgage_model import Trained, fit, margins_of, out_of_fold
from mortgage_records import ALL_CHOICES, ALL_NUMBERS, FEATURES, OPTIONAL

SEED_BOOTSTRAP = 1745

FEWEST = 20
"""Under so many people a rate says more about them than about the model: it is left out."""

LEFT_OUT = {
    "loanamt": "loanamt",
    "income (`atotinc` + `cototinc`)": "income",
    "liq": "liq",
    "netw": "netw",
    "dep": "dep",
}
"""Columns one might expect as inputs, measured like the inputs."""


def logistic_auc(result: Trained) -> float:
    """What a plain logistic regression reaches on the same inputs: the bar to be honest about."""
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median"), list(ALL_NUMBERS)),
            (
                "choices",
                Pipeline(
                    [
                        ("fill", SimpleImputer(strategy="most_frequent")),
                        ("one_hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
                    ]
                ),
                list(ALL_CHOICES),
            ),
        ]
    )
    regression = Pipeline(
        [("columns", columns), ("scale", StandardScaler()), ("model", LogisticRegression(C=0.1))]
    )
    plain = {
        part: table.astype(dict.fromkeys(ALL_CHOICES, object))
        for part, table in (("train", result.train), ("held_out", result.held_out))
    }
    regression.fit(plain["train"], result.granted[result.train.index])
    truth = result.granted[result.held_out.index]
    return float(roc_auc_score(truth, regression.decision_function(plain["held_out"])))


def rate(hits: pd.Series, base: pd.Series) -> str:
    """The share of `hits` among `base`, with its number; without a rate where they are few."""
    number = int(base.sum())
    if number < FEWEST:
        return f"– (n < {FEWEST})"
    return f"{wilson(int((hits & base).sum()), number)} (n = {number})"


def group_rows(audit: pd.DataFrame, line: float) -> list[str]:
    """Selection and error rates by ethnicity and sex; counts beside every rate."""
    groups = [("all", pd.Series(True, index=audit.index))]
    for column in ("ethnicity", "sex"):
        groups += [
            (f"{column} = {level}", audit[column] == level)
            for level in sorted(audit[column].unique())
        ]
    rows = []
    for name, members in groups:
        above, granted = audit["margin"] > line, audit["granted"] == 1
        few = min(int((members & granted).sum()), int((members & ~granted).sum())) < FEWEST
        auc = "–" if few else f"{roc_auc_score(granted[members], audit['margin'][members]):.3f}"
        rows.append(
            f"| {name} | {rate(granted, members)} | {rate(above, members)} "
            f"| {rate(~above, members & granted)} | {rate(above, members & ~granted)} "
            f"| {rate(granted, members & ~above)} | {auc} |"
        )
    return rows


def told_by(column: pd.Series, members: dict[str, pd.Series]) -> str:
    """AUC of one column for each group, folded, among the rows where it is known."""
    cells = []
    for member in members.values():
        known = (column.notna() & member.notna()).to_numpy()
        values, truth = column[known], member[known].to_numpy().astype(bool)
        scores = (
            level_shares(values.astype(object), truth)
            if isinstance(column.dtype, pd.CategoricalDtype)
            else values.to_numpy()
        )
        cells.append(f"{folded(truth, scores):.2f}")
    return " | ".join(cells)


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
    rows = [f"| `{name}` | {told_by(result.train[name], members)} |" for name in FEATURES]
    plain = part.assign(income=part["atotinc"] + part["cototinc"])
    for shown, name in LEFT_OUT.items():
        label = shown if "`" in shown else f"`{shown}`"
        rows.append(f"| left out: {label} | {told_by(plain[name].astype(float), members)} |")
    return rows


def together_row(result: Trained, records: pd.DataFrame) -> str:
    """What all inputs together tell: a model of the same settings, trained on the groups."""
    part, rest = records.loc[result.train.index], records.loc[result.held_out.index]
    cells = []
    for name, member in members_of(part).items():
        known = member.notna()
        guess = fit(result.train[known], member[known])
        truth = members_of(rest)[name]
        known = truth.notna()
        scores = margins_of(guess, result.held_out[known])
        cells.append(f"{roc_auc_score(truth[known], scores):.2f}")
    return f"| alle zusammen, zurückgelegt · all together, held out | {' | '.join(cells)} |"


def without_rows(result: Trained) -> list[str]:
    """Out-of-fold AUC of the training part without one input at a time."""
    truth = result.granted[result.train.index]
    whole = roc_auc_score(truth, out_of_fold(result.train, truth))
    rows = [f"| – | {whole:.3f} | |"]
    for name in FEATURES:
        auc = roc_auc_score(truth, out_of_fold(result.train.drop(columns=name), truth))
        rows.append(f"| `{name}` | {auc:.3f} | {auc - whole:+.3f} |")
    return rows


def overview_rows(result: Trained) -> list[str]:
    """The figures that are one line each."""
    truth = result.granted[result.held_out.index]
    learned = result.granted[result.train.index]
    auc, low, high = auc_interval(truth.to_numpy(), result.margins.to_numpy(), SEED_BOOTSTRAP)
    fitted = margins_of(result.booster, result.train)
    folds = roc_auc_score(learned, out_of_fold(result.train, learned))
    share = float(learned.mean())
    above = result.margins > result.line
    drawn = margins_of(result.booster, result.background)
    spread = np.quantile(drawn, 0.9) - np.quantile(drawn, 0.1)
    gaps = ", ".join(
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
    brier = brier_score_loss(truth, result.probabilities)
    bar = brier_score_loss(truth, np.full(len(truth), share))
    return [
        f"| Fälle: Training / zurückgelegt · records: training / held out "
        f"| {len(result.train)} / {len(result.held_out)} |",
        f"| Anteil bewilligt · share granted, % | {100 * share:.1f} / {100 * truth.mean():.1f} |",
        f"| fehlende Werte · missing values, training / held out | {gaps} |",
        f"| zurückgelegte Fälle außerhalb des gelernten Bereichs · held-out records outside the "
        f"trained ranges | {int(outside.sum())} |",
        f"| AUC, zurückgelegt (95 %) · held out | {auc:.3f} ({low:.3f}–{high:.3f}) |",
        f"| AUC, Training, fünffache Kreuzprüfung · training, five folds | {folds:.3f} |",
        f"| AUC, Training, am Gelernten · training, on what was learned "
        f"| {roc_auc_score(learned, fitted):.3f} |",
        f"| AUC einer einfachen logistischen Regression, zurückgelegt · of a plain logistic "
        f"regression, held out | {logistic_auc(result):.3f} |",
        f"| Brier, zurückgelegt · held out | {brier:.4f} |",
        f"| Brier, wenn immer der Anteil aus dem Training vorausgesagt wird · of always "
        f"predicting the training share | {bar:.4f} |",
        f"| Entscheidungsgrenze in Log-Odds · decision line in log-odds | {result.line:g} |",
        f"| über der Grenze, zurückgelegt · above the line, held out, % "
        f"| {wilson(int(above.sum()), len(above))} |",
        f"| bewilligt über / unter der Grenze · granted above / below the line, n "
        f"| {int((above & (truth == 1)).sum())} of {int(above.sum())} / "
        f"{int((~above & (truth == 1)).sum())} of {int((~above).sum())} |",
        f"| Vergleichsgruppe: Mittel der Log-Odds (Training) · comparison group: mean log-odds "
        f"(training) | {drawn.mean():.3f} ({fitted.mean():.3f}) |",
        f"| Vergleichsgruppe: 90. minus 10. Perzentil · 90th minus 10th percentile "
        f"| {spread:.3f} |",
        f"| Vergleichsgruppe über der Grenze · comparison group above the line, n "
        f"| {int((drawn > result.line).sum())} of {len(drawn)} |",
    ]


def card_figures(result: Trained, records: pd.DataFrame, audit: pd.DataFrame) -> str:
    """All figures of the card, as tables with headings in both languages."""
    truth = result.granted[result.held_out.index]
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
