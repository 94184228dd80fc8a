"""Train a package that suggests which credit applications to check, from public records.

    python docs/training/credit.py             # writes the package into build/credit
    python docs/training/credit.py --card      # the same, and its figures into credit/CARD.md

The folder `credit` beside this file holds what people keep: words, declarations, the text of the
card. The package is made for the tests of Warum: one language, read by nobody else.

It uses nothing of Warum, on purpose: the margins in the golden file are a second opinion. The steps
stand beside it: `credit_records.py` reads the records and says where values come from,
`credit_model.py` fits, `credit_figures.py` measures.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost

from credit_figures import card_figures
from credit_model import margins_of, train_model
from credit_records import GOLDEN, INPUTS, mask, read_records, to_inputs
from package_files import Agreement, copy_kept, read_folder, write_card, write_numbers
from training import Trained

KEPT = Path(__file__).with_name("credit")


def train(records: pd.DataFrame) -> tuple[Trained, bytes]:
    """The model and its file; it holds the names of the choices, so nothing stands beside it."""
    result, booster = train_model(mask(to_inputs(records)), records["risk"])
    return result, bytes(booster.save_raw("ubj"))


def make(out: Path, result: Trained, blob: bytes) -> None:
    """Write the package into the new folder `out`, with the card as it is kept."""
    copy_kept(KEPT, out)
    agreement = Agreement(out)
    agreement.compare_trained(result, INPUTS)
    again = xgboost.Booster(model_file=bytearray(blob))
    same = np.array_equal(margins_of(again, result.held_out), result.margins)
    agreement.compare("the margins of model.ubj, read back", same, True)
    if agreement.refused():
        raise SystemExit(1)
    write_numbers(out, ("model.ubj", blob), result, GOLDEN)


def main(arguments: list[str] | None = None) -> int:
    out, card = read_folder(arguments, __doc__, KEPT)
    records = read_records()
    result, blob = train(records)
    figures = card_figures(result, records)
    print(figures)
    if card:
        write_card(KEPT / "CARD.md", Path(__file__).name, figures)
    make(out, result, blob)
    return 0


if __name__ == "__main__":
    sys.exit(main())
