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

import sys
from pathlib import Path

import lightgbm
import pandas as pd

from mortgage_figures import card_figures
from mortgage_model import margins_of, train_model
from mortgage_records import INPUTS, ethnicity, mask, read_records, sex, to_inputs
from mortgage_rows import GOLDEN
from package_files import Agreement, read_options, write_card, write_numbers

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "models" / "mortgage_guarantee"
AUDIT = Path(__file__).with_name("mortgage_guarantee_audit.csv")


def main(arguments: list[str] | None = None) -> int:
    out, audit_path = read_options(arguments, __doc__, PACKAGE, AUDIT)
    records = read_records()
    result, booster = train_model(mask(to_inputs(records)), records["approve"])

    text = booster.model_to_string()
    agreement = Agreement(out)
    agreement.compare_trained(result, INPUTS)
    again = margins_of(lightgbm.Booster(model_str=text), result.held_out)
    agreement.compare_read_back("model.txt", again, result)
    if agreement.refused():
        return 1

    # Ethnicity and sex are for the fairness audit alone and never part of the package.
    audit = pd.DataFrame(
        {
            "ethnicity": ethnicity(records),
            "sex": sex(records),
            "margin": result.margins,
            "granted": records["approve"],
        }
    ).loc[result.held_out.index]
    audit.to_csv(audit_path, lineterminator="\n")
    figures = card_figures(result, records, audit)
    print(figures)
    write_card(out / "CARD.md", Path(__file__).name, figures)
    write_numbers(out, ("model.txt", text.encode()), result, GOLDEN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
