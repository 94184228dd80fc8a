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

import pandas as pd
import xgboost

from credit_figures import card_figures
from credit_model import margins_of, train_model
from credit_records import GOLDEN, mask, read_records, to_inputs
from package_files import make_package, read_folder, tell_figures
from training import Trained

KEPT = Path(__file__).with_name("credit")


def train(records: pd.DataFrame) -> tuple[Trained, bytes]:
    """The model and its file; it holds the names of the choices, so nothing stands beside it."""
    result, booster = train_model(mask(to_inputs(records)), records["risk"])
    return result, bytes(booster.save_raw("ubj"))


def make(out: Path, result: Trained, blob: bytes) -> None:
    """Write the package into the new folder `out`, with the card as it is kept."""
    again = xgboost.Booster(model_file=bytearray(blob))
    margins = margins_of(again, result.held_out)
    make_package(KEPT, out, ("model.ubj", blob), result, GOLDEN, margins)


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
