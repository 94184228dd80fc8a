"""Train a package that estimates what a claim after an accident will cost, from public records.

    python docs/training/claim_costs.py         # writes the package into build/claim_costs
    python docs/training/claim_costs.py --card  # the same, and its figures into the card kept here

The folder `claim_costs` beside this file holds what people keep: words, declarations, the text of
the card. The package is made for the tests of Warum: one language, read by nobody else.

It uses nothing of Warum, on purpose: the margins in the golden file are a second opinion. The steps
stand beside it: `claim_records.py` reads the records and says where values come from,
`claim_model.py` fits, `claim_figures.py` measures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from catboost import CatBoostRegressor

from claim_figures import card_figures
from claim_model import model_file, predict, train_model
from claim_records import CEILING, GOLDEN, mask, read_records, to_inputs, whole_costs
from package_files import make_package, read_folder, tell_figures
from training import Trained

KEPT = Path(__file__).with_name("claim_costs")


def train(records: pd.DataFrame) -> tuple[Trained, bytes]:
    """The model and its file, which holds no names of choices: the order in `INPUTS` is ours."""
    costs = whole_costs(records).clip(upper=CEILING)
    result, model = train_model(mask(to_inputs(records)), costs)
    return result, model_file(model)


def make(out: Path, result: Trained, blob: bytes) -> None:
    """Write the package into the new folder `out`, with the card as it is kept."""
    again = CatBoostRegressor().load_model(blob=blob)
    margins = predict(again, result.held_out)
    make_package(KEPT, out, ("model.cbm", blob), result, GOLDEN, margins)


def main(arguments: list[str] | None = None) -> int:
    out, card = read_folder(arguments, __doc__, KEPT)
    records = read_records()
    result, blob = train(records)
    figures = card_figures(result, records)
    tell_figures(KEPT, Path(__file__).name, figures, card)
    make(out, result, blob)
    return 0


if __name__ == "__main__":
    sys.exit(main())
