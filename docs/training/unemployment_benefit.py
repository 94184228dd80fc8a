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

The steps stand beside it: `unemployment_records.py` reads the records, `unemployment_model.py`
fits, `unemployment_rows.py` says where values come from, `unemployment_figures.py` measures,
`skops_file.py` saves. Each random act has a seed of its own, so that changing one act leaves the
others as they were.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.pipeline import Pipeline

from package_files import Agreement, read_options, write_card, write_numbers
from skops_file import dump_model, reload_model
from unemployment_figures import card_figures
from unemployment_model import train_model
from unemployment_records import (
    CHOICES,
    INPUTS,
    OPTIONAL_CHOICES,
    OPTIONAL_NUMBERS,
    mask,
    read_records,
    to_inputs,
)
from unemployment_rows import GOLDEN

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "models" / "unemployment_benefit"
AUDIT = Path(__file__).with_name("unemployment_benefit_audit.csv")


def compare_fitted(agreement: Agreement, pipeline: Pipeline) -> None:
    """What only this model has: names of its classes, stand-ins, levels in its encoders."""
    agreement.compare("manifest classes", agreement.manifest["model"]["classes"], ["no", "yes"])
    stand_ins, levels = fitted_stand_ins(pipeline), fitted_levels(pipeline)
    for name, feature in agreement.features.items():
        agreement.compare(f"{name} stand_in", feature.get("stand_in"), stand_ins.get(name))
    for name, known in levels.items():
        agreement.compare(f"{name} levels", sorted(INPUTS.choices[name]), known)


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


def main(arguments: list[str] | None = None) -> int:
    out, audit_path = read_options(arguments, __doc__, PACKAGE, AUDIT)
    records = read_records()
    inputs = mask(to_inputs(records))
    records.index = inputs.index
    result, pipeline = train_model(inputs, (records["ui"] == "yes").astype(int))

    agreement = Agreement(out)
    agreement.compare_trained(result, INPUTS)
    compare_fitted(agreement, pipeline)
    blob = dump_model(pipeline)
    reloaded, types = reload_model(blob)
    again = reloaded.decision_function(result.held_out)
    agreement.compare_read_back("model.skops", again, result)
    if agreement.refused():
        return 1

    # Sex and `nwhite` are for the fairness audit alone and never part of the package.
    audit = records.loc[result.held_out.index, ["sex", "nwhite"]].assign(
        margin=result.margins, ui=records["ui"]
    )
    audit.to_csv(audit_path, lineterminator="\n")
    figures = card_figures(result, pipeline, records, audit)
    print(figures)
    write_card(out / "CARD.md", Path(__file__).name, figures)
    write_numbers(out, ("model.skops", blob), result, GOLDEN)
    print("Types skops does not trust by itself:", ", ".join(types))
    return 0


if __name__ == "__main__":
    sys.exit(main())
