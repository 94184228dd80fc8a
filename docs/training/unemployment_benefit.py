"""Train the demonstration package `models/unemployment_benefit` again, from public records.

    python docs/training/unemployment_benefit.py                  # rewrites the package in place
    python docs/training/unemployment_benefit.py --out somewhere  # writes a whole copy, to compare

People keep the words and the declarations (`features.toml`, `wording.toml`, `locales/`, the text
of `CARD.md`, `golden/README.md`, `manifest.toml` but for its list of files). This recipe makes
everything that is a number: the model, the comparison group and its figures, the golden cases, the
figures in `CARD.md` and the digests in the manifest. Where a declaration and a number must agree
(the decision line, the stand-ins, the trained ranges) it compares them, names every difference and
stops.

It uses nothing of Warum, on purpose: the margins in the golden file are a second opinion.

The steps stand beside it: `records.py` reads the records, `training.py` fits, `model_file.py`
saves, `rows.py` chooses the comparison group and the golden cases, `figures.py` measures. Each
random act has a seed of its own, so that changing one act leaves the others as they were.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from figures import card_figures
from golden import background_csv
from group_figures import write_group_figures
from model_file import dump_model, reload_model
from package_files import read_options, seal_manifest, write_card
from records import (
    ALL_NUMBERS,
    CHOICES,
    FEATURES,
    OPTIONAL,
    OPTIONAL_CHOICES,
    OPTIONAL_NUMBERS,
    mask,
    read_records,
    to_inputs,
)
from rows import BACKGROUND_ROWS, GOLDEN
from training import Trained, train_model

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "models" / "unemployment_benefit"
AUDIT = Path(__file__).with_name("unemployment_benefit_audit.csv")


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


def write_package(
    out: Path, blob: bytes, result: Trained, figures: str, audit: pd.DataFrame, audit_path: Path
) -> None:
    """Write every file that is a number, then the digests of all files."""
    refs = GOLDEN.choose(result.held_out, result.margins, result.line)
    (out / "golden").mkdir(exist_ok=True)
    (out / "model.skops").write_bytes(blob)
    (out / "background.csv").write_text(background_csv(result.background, ALL_NUMBERS), "utf-8")
    (out / "golden" / "cases.jsonl").write_text(
        GOLDEN.lines(result.held_out, result.margins, result.probabilities, refs), "utf-8"
    )
    write_card(out / "CARD.md", Path(__file__).name, figures)
    write_group_figures(out, result.pipeline.decision_function(result.background))
    # Sex and `nwhite` are for the fairness audit alone and never part of the package.
    audit.to_csv(audit_path, lineterminator="\n")
    seal_manifest(out)


def main(arguments: list[str] | None = None) -> int:
    out, audit_path = read_options(arguments, __doc__, PACKAGE, AUDIT)
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
