"""A package with a booster in its library's own format: from its files to an explained case."""

from __future__ import annotations

import re

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from trained import NAMES, SmallModel, demo_rows, labels, write_package

from explainer.core.case import read_case
from explainer.packages.admit import admit

WORDS = ("married", "job_lost_by")


class Bare:
    """A booster where it was trained, with the two numbers that are recorded with each case."""

    def __init__(self, margins):
        self.decision_function = margins

    def predict_proba(self, rows):
        chances = 1 / (1 + np.exp(-np.asarray(self.decision_function(rows), dtype=float)))
        return np.stack([1 - chances, chances], axis=1)


def categories(rows: pd.DataFrame) -> pd.DataFrame:
    """Sorted by name, which is another order than the catalogue's."""
    kinds = demo_rows()
    known = {name: sorted(kinds[name].dropna().unique()) for name in WORDS}
    return rows.assign(**{n: pd.Categorical(rows[n], categories=known[n]) for n in WORDS})


def by_xgboost(rows: pd.DataFrame, kind: str) -> SmallModel:
    def matrix(table, label=None):
        return xgboost.DMatrix(categories(table), label, enable_categorical=True, nthread=1)

    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    booster = xgboost.train(settings, matrix(rows, labels(rows) == "yes"), 15)
    bare = Bare(lambda table: booster.predict(matrix(table), output_margin=True))
    return SmallModel(bare, bytes(booster.save_raw(kind)), rows)


def by_lightgbm(rows: pd.DataFrame) -> SmallModel:
    settings = {"objective": "binary", "num_leaves": 6, "verbose": -1, "num_threads": 1}
    data = lightgbm.Dataset(categories(rows), labels(rows) == "yes")
    booster = lightgbm.train(settings, data, 15)
    bare = Bare(lambda table: booster.predict(categories(table), raw_score=True))
    return SmallModel(bare, booster.model_to_string().encode(), rows)


def by_catboost(rows: pd.DataFrame) -> SmallModel:
    booster = catboost.CatBoostClassifier(
        iterations=15,
        depth=3,
        one_hot_max_size=9,
        cat_features=list(WORDS),
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    ).fit(rows, labels(rows))
    bare = Bare(lambda table: booster.predict(table, prediction_type="RawFormulaVal"))
    return SmallModel(bare, booster._serialize_model(), rows)


def complete(rows: pd.DataFrame) -> pd.DataFrame:
    """Without missing choices, which CatBoost does not take."""
    return rows[rows["job_lost_by"].notna()].reset_index(drop=True)


KINDS = {
    "xgboost-json": lambda rows: by_xgboost(rows, "json"),
    "xgboost-ubj": lambda rows: by_xgboost(rows, "ubj"),
    "lightgbm-txt": by_lightgbm,
    "catboost-cbm": lambda rows: by_catboost(complete(rows)),
}


def without_stand_ins(text: str) -> str:
    """Nothing is put in the place of a missing value; CatBoost's choices are never missing."""
    return re.sub(r"^stand_in = .*\n", "", text, flags=re.MULTILINE)


def no_missing_choice(text: str) -> str:
    before, at, after = without_stand_ins(text).partition('name = "job_lost_by"')
    return before + at + after.replace("optional = true", "optional = false", 1)


@pytest.mark.parametrize("declared", KINDS)
def test_a_package_with_a_booster_is_admitted_and_explains(declared, tmp_path):
    model = KINDS[declared](demo_rows()[list(NAMES)])

    def manifest(text: str) -> str:
        text = text.replace('format = "skops"', f'format = "{declared}"')
        return text.replace("rows = 300", f"rows = {len(model.rows)}")

    package = admit(
        write_package(
            tmp_path / "small_benefit",
            model,
            manifest=manifest,
            features=no_missing_choice if declared == "catboost-cbm" else without_stand_ins,
        )
    )
    assert package.explained.method == "interventional-exact-groups/2"
    for golden in package.golden[::9]:
        found = package.explained.attribute(read_case(golden.case, package.catalogue))
        assert found.margin == pytest.approx(golden.margins[0], abs=1e-6)
        assert abs(found.difference) <= 1e-6 * found.comparison.scale
