"""The figures of the claims card: how good the estimates are, for whom, what inputs give away."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score

from claim_model import fit, out_of_fold, predict
from claim_records import CEILING, INPUTS, left_out, whole_costs
from measures import gap_rows, overview_table, plain_regression, told_rows, with_and_without_rows
from training import Trained

FEWEST = 40
"""A mean of so skewed amounts says little about fewer people."""

OLDER = 40


def against(truth: pd.Series, estimates: np.ndarray | pd.Series) -> str:
    """How far estimates are off: two cells of a table."""
    error, share = mean_absolute_error(truth, estimates), r2_score(truth, estimates)
    return f"{error:,.0f} | {share:.3f} | {np.mean(estimates):,.0f}"


def others(result: Trained) -> dict[str, np.ndarray]:
    """Estimates of the held-out records in other ways, by name."""
    rows, learned, size = result.held_out, result.learned, len(result.held_out)
    kinds = dict.fromkeys(INPUTS.choices, object)
    linear = plain_regression(INPUTS, LinearRegression())
    linear.fit(result.train.astype(kinds), learned)
    logs = predict(fit(result.train, np.log1p(learned)), rows)
    middle = predict(fit(result.train, learned, loss_function="MAE"), rows)
    return {
        "einfache lineare Regression · plain linear regression": linear.predict(rows.astype(kinds)),
        "immer das Mittel · always the mean": np.full(size, learned.mean()),
        "immer der Median · always the median": np.full(size, learned.median()),
        "CatBoost auf den Logarithmus · on the logarithm": np.expm1(logs),
        "CatBoost auf den absoluten Fehler · on the absolute error": middle,
    }


def estimate_rows(result: Trained) -> list[str]:
    """This model and others on the held-out records."""
    truth = result.held_out_truth
    rows = [f"| dieses Modell · this model | {against(truth, result.margins)} |"]
    rows += [f"| {name} | {against(truth, found)} |" for name, found in others(result).items()]
    return [*rows, f"| wirklich · truly | | | {truth.mean():,.0f} |"]


def overview_rows(result: Trained, records: pd.DataFrame) -> list[str]:
    """The figures that are one line each."""
    whole = whole_costs(records)
    rest = whole[result.held_out.index]
    folds = out_of_fold(result.train, result.learned)
    drawn = result.margins_of(result.background)
    return [
        *gap_rows(result, INPUTS, "verdeckte Werte · masked values"),
        f"| Mittel / Median der Kosten, Training · mean / median of the costs, training, $ "
        f"| {result.learned.mean():,.0f} / {result.learned.median():,.0f} |",
        f"| über {CEILING:,} $, Training / zurückgelegt · above, training / held out, n "
        f"| {int((whole[result.train.index] > CEILING).sum())} / {int((rest > CEILING).sum())} |",
        f"| R², Training, fünffache Kreuzprüfung · training, five folds "
        f"| {r2_score(result.learned, folds):.3f} |",
        f"| R², Training, am Gelernten · training, on what was learned "
        f"| {r2_score(result.learned, result.margins_of(result.train)):.3f} |",
        f"| R² / mittlerer Fehler ohne Obergrenze, zurückgelegt · without the ceiling, held out, $ "
        f"| {r2_score(rest, result.margins):.3f} / "
        f"{mean_absolute_error(rest, result.margins):,.0f} |",
        f"| Schätzungen unter 0 $, zurückgelegt · estimates below 0, held out, n "
        f"| {int((result.margins < 0).sum())} |",
        f"| Vergleichsgruppe: Mittel / 90. minus 10. Perzentil · comparison group: mean / 90th "
        f"minus 10th percentile, $ | {drawn.mean():,.0f} / "
        f"{np.quantile(drawn, 0.9) - np.quantile(drawn, 0.1):,.0f} |",
    ]


def tenth_rows(result: Trained) -> list[str]:
    """Estimated and true mean by tenths of the estimate."""
    truth = result.held_out_truth
    tenth = pd.qcut(result.margins.rank(method="first"), 10, labels=False)
    return [
        f"| {number + 1} | {int(members.sum())} | {result.margins[members].mean():,.0f} "
        f"| {truth[members].mean():,.0f} | {truth[members].median():,.0f} |"
        for number, members in ((at, tenth == at) for at in range(10))
    ]


def group_rows(result: Trained, records: pd.DataFrame) -> list[str]:
    """Estimate and truth for groups the model is not told of, held-out records."""
    part, truth = records.loc[result.held_out.index], result.held_out_truth
    groups = {
        "alle · all": pd.Series(True, index=part.index),
        "Frauen · women": part["male"] == 0,
        "Männer · men": part["male"] == 1,
        f"unter {OLDER} · under {OLDER}": part["age"] < OLDER,
        f"ab {OLDER} · {OLDER} and over": part["age"] >= OLDER,
        "Kentucky": part["ky"] == 1,
        "Michigan": part["mi"] == 1,
        "ohne Lohn · without the wage": result.held_out["wage"].isna(),
    }
    rows = []
    for name, members in groups.items():
        number = int(members.sum())
        if number < FEWEST:
            rows.append(f"| {name} | < {FEWEST} | – | – | – |")
            continue
        estimates, true = result.margins[members], truth[members]
        rows.append(
            f"| {name} | {number} | {estimates.mean():,.0f} | {true.mean():,.0f} "
            f"(± {1.96 * true.std() / np.sqrt(number):,.0f}) "
            f"| {mean_absolute_error(true, estimates):,.0f} |"
        )
    return rows


def card_figures(result: Trained, records: pd.DataFrame) -> str:
    """All figures of the card, as tables with headings in both languages."""
    part = records.loc[result.train.index]
    older = (part["age"] >= OLDER).where(part["age"].notna())

    def score(inputs: pd.DataFrame) -> float:
        return float(r2_score(result.learned, out_of_fold(inputs, result.learned)))

    lines = [
        *overview_table(overview_rows(result, records)),
        "",
        "Schätzungen für die zurückgelegten Fälle · Estimates for the held-out records",
        "",
        "| Art · way | mittlerer Fehler · mean error, $ | R² | Mittel · mean, $ |",
        "|---|---|---|---|",
        *estimate_rows(result),
        "",
        "Zurückgelegte Fälle, Zehntel nach Schätzung · Held-out records, tenths by estimate",
        "",
        "| Zehntel · tenth | n | geschätzt, Mittel · estimated mean, $ "
        "| wirklich, Mittel · true mean, $ | wirklich, Median · true median, $ |",
        "|---|---|---|---|---|",
        *tenth_rows(result),
        "",
        "Gruppen, zurückgelegte Fälle · Groups, held-out records (± 95 %)",
        "",
        "| Gruppe · group | n | geschätzt, Mittel · estimated mean, $ "
        "| wirklich, Mittel · true mean, $ | mittlerer Fehler · mean error, $ |",
        "|---|---|---|---|---|",
        *group_rows(result, records),
        "",
        "AUC der Spalten allein für geschützte Merkmale, Training · What each column alone tells "
        "about protected characteristics, training part (AUC; 0.50 tells nothing)",
        "",
        f"| Angabe · input | Geschlecht · sex | Alter ab {OLDER} · age {OLDER} and over |",
        "|---|---|---|",
        *told_rows(result.train, left_out(part), [1.0 - part["male"], older]),
        "",
        "Was ohne eine Angabe oder mit einer mehr wäre, Training, fünffache Kreuzprüfung · "
        "Without one input or with one more, training part, five folds",
        "",
        "| Angaben · inputs | R² | Unterschied · difference |",
        "|---|---|---|",
        *with_and_without_rows(result.train, left_out(part), score),
    ]
    return "\n".join(lines) + "\n"
