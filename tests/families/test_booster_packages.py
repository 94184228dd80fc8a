"""A package with a booster in its library's own format: from its files to an explained case."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from trained import NAMES, SmallModel, demo_rows, labels, write_package

from explainer.core.case import read_case
from explainer.errors import PackageFaulty
from explainer.packages.admit import admit, check
from explainer.packages.bundled import find_package
from explainer.packages.scaffold import seal

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


def copied(name: str, tmp_path: Path) -> Path:
    folder = tmp_path / name
    shutil.copytree(find_package(name), folder)
    return folder


def test_reversed_classes_of_a_model_that_names_none_are_refused(tmp_path):
    """Every contribution would be told for the other class, and every margin still be right."""
    folder = copied("mortgage_guarantee", tmp_path)
    manifest = (folder / "manifest.toml").read_text("utf-8")
    for old, new in (
        ('classes = ["not_granted", "granted"]', 'classes = ["granted", "not_granted"]'),
        ('positive_class = "granted"', 'positive_class = "not_granted"'),
    ):
        assert old in manifest
        manifest = manifest.replace(old, new)
    (folder / "manifest.toml").write_text(manifest, "utf-8")
    seal(folder)
    with pytest.raises(PackageFaulty) as refused:
        admit(folder)
    said = {fault.what for fault in refused.value.faults}
    assert said == {
        f"The model named class {one!r} in training; by the declared classes it would be {other!r}."
        for one, other in (("granted", "not_granted"), ("not_granted", "granted"))
    }
    assert {fault.mend for fault in refused.value.faults} == {
        "Declare model.classes in the order of the model; or, if the model names its class from "
        "another probability on than a half, record what a half would name."
    }


@pytest.mark.parametrize("name", ["mortgage_guarantee", "unemployment_benefit"])
def test_only_where_a_file_may_name_no_classes_must_recorded_cases_of_two_name_them(name, tmp_path):
    folder = copied(name, tmp_path)
    recorded = folder / "golden" / "cases.jsonl"
    lines = [json.loads(line) for line in recorded.read_text("utf-8").splitlines()]
    assert all(line.pop("predicted") for line in lines)
    # a few are enough to be missed, and that they are few is said beside it
    recorded.write_text("".join(json.dumps(line) + "\n" for line in lines[:4]), "utf-8")
    seal(folder)
    with pytest.raises(PackageFaulty) as refused:
        check(folder, lambda *_: b"", lambda *_: None)
    said = [fault.mend for fault in refused.value.faults if "which class" in fault.what]
    demanded = ['Add "predicted" to each line there: swapped classes show by nothing else.']
    assert said == (demanded if name == "mortgage_guarantee" else [])
