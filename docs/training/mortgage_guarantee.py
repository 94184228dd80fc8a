"""Train the demonstration package `models/mortgage_guarantee` again, from public records.

    python docs/training/mortgage_guarantee.py                  # rewrites the package in place
    python docs/training/mortgage_guarantee.py --out somewhere  # writes a whole copy, to compare

People keep the words and the declarations (`features.toml`, `wording.toml`, `locales/`, the text
of `CARD.md`, `golden/README.md`, `manifest.toml` but for its list of files). This recipe makes
everything that is a number: the model, the comparison group and its figures, the golden cases, the
figures in `CARD.md` and the digests in the manifest. Where a declaration and a number must agree
(the decision line, the trained ranges, what may be missing) it compares them, names every
difference and stops.

It uses nothing of Warum, on purpose: the margins in the golden file are a second opinion.

The steps stand beside it: `mortgage_records.py` reads the records, `mortgage_model.py` fits,
`mortgage_rows.py` says where values come from, `mortgage_figures.py` measures.
"""

from __future__ import annotations

import hashlib
import sys
import tomllib
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

from golden import background_csv
from group_figures import write_group_figures
from mortgage_figures import card_figures
from mortgage_model import BACKGROUND_ROWS, Trained, margins_of, train_model
from mortgage_records import (
    ALL_CHOICES,
    ALL_NUMBERS,
    FEATURES,
    OPTIONAL,
    ethnicity,
    mask,
    read_records,
    sex,
    to_inputs,
)
from mortgage_rows import GOLDEN
from package_files import read_options, seal_manifest, write_card

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "models" / "mortgage_guarantee"
AUDIT = Path(__file__).with_name("mortgage_guarantee_audit.csv")


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
    compare("names and order of features", [f["name"] for f in features], list(FEATURES))
    for feature in features:
        name = feature["name"]
        compare(f"{name} optional", feature["optional"], name in OPTIONAL)
        compare(
            f"{name} missing in training", bool(result.train[name].isna().any()), name in OPTIONAL
        )
        if name in ALL_NUMBERS:
            span = [int(result.train[name].min()), int(result.train[name].max())]
            compare(f"{name} trained", feature["trained"], span)
        else:
            compare(f"{name} choices", feature["choices"], list(ALL_CHOICES[name]))
    return faults


def read_back(text: str, result: Trained) -> list[str]:
    """What the text gives another answer to than the booster it was written from."""
    again = margins_of(lightgbm.Booster(model_str=text), result.held_out)
    same = np.array_equal(again.to_numpy(), result.margins.to_numpy())
    return [] if same else ["model.txt: read back, it gives other margins"]


def write_package(
    out: Path, text: str, result: Trained, figures: str, audit: pd.DataFrame, audit_path: Path
) -> None:
    """Write every file that is a number, then the digests of all files."""
    refs = GOLDEN.choose(result.held_out, result.margins, result.line)
    (out / "golden").mkdir(exist_ok=True)
    (out / "model.txt").write_text(text, "utf-8")
    (out / "background.csv").write_text(background_csv(result.background, ALL_NUMBERS), "utf-8")
    (out / "golden" / "cases.jsonl").write_text(
        GOLDEN.lines(result.held_out, result.margins, result.probabilities, refs), "utf-8"
    )
    write_card(out / "CARD.md", Path(__file__).name, figures)
    write_group_figures(out, margins_of(result.booster, result.background).to_numpy())
    # Ethnicity and sex are for the fairness audit alone and never part of the package.
    audit.to_csv(audit_path, lineterminator="\n")
    seal_manifest(out)


def main(arguments: list[str] | None = None) -> int:
    out, audit_path = read_options(arguments, __doc__, PACKAGE, AUDIT)
    records = read_records()
    result = train_model(mask(to_inputs(records)), records["approve"])

    text = result.booster.model_to_string()
    faults = check_declarations(out, result) + read_back(text, result)
    if faults:
        print("Nothing was written:", *faults, sep="\n  ", file=sys.stderr)
        return 1

    audit = pd.DataFrame(
        {
            "ethnicity": ethnicity(records),
            "sex": sex(records),
            "margin": result.margins,
            "granted": records["approve"],
        }
    ).loc[result.held_out.index]
    figures = card_figures(result, records, audit)
    write_package(out, text, result, figures, audit, audit_path)
    print(figures)
    print("SHA-256 of model.txt:", hashlib.sha256(text.encode()).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main())
