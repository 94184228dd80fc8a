"""Names of categories: each stands for one, whatever it was in the table of training."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pipelines
import pytest
import skops.io
import xgboost
from factories import choice, feature, two
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from trained_formats import EXACT, SINGLE, made

from explainer.core.attribution import DecisionLine, Side
from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactRefused
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model, parse
from explainer.families.attribute import explained
from explainer.families.engine.reference import brute_force
from explainer.families.inspect import inspect
from explainer.families.model import Input
from explainer.families.second_opinion import ours
from explainer.packages.bundled import converter

LINE = DecisionLine(0.0, "grant", "check", Side.ABOVE)
PLACES = (12345671, 12345672, 12345679, 9162000)
"""Keys of German municipalities have eight digits; of some the first is a nought that is gone."""


def table(places: list[Any], n: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose label hangs on which place it is, each as often as the others."""
    random = np.random.default_rng(5)
    codes = random.integers(0, len(places), n)
    income = random.normal(size=n)
    worth = income + np.array([2.0, -2.0, 0.5, -0.5, 1.0])[codes]
    place = pd.Categorical.from_codes(codes, categories=pd.Index(places))
    return pd.DataFrame({"place": place, "income": income}), (worth > 0).astype(int)


@dataclass(frozen=True)
class Trained:
    """A booster as a file, and its own margins for a table like that of training."""

    declared: str
    data: bytes
    margins: Callable[[pd.DataFrame], np.ndarray]


def by_xgboost(places: list[Any], kind: str = "json") -> Trained:
    rows, label = table(places)

    def matrix(rows: pd.DataFrame, label: Any = None) -> Any:
        return xgboost.DMatrix(rows, label, enable_categorical=True, nthread=1)

    settings = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    booster = xgboost.train(settings, matrix(rows, label), 8)
    return Trained(
        f"xgboost-{kind}",
        bytes(booster.save_raw(kind)),
        lambda rows: booster.predict(matrix(rows), output_margin=True),
    )


def by_lightgbm(places: list[Any]) -> Trained:
    rows, label = table(places)
    settings = {"objective": "binary", "num_threads": 1, "verbose": -1, "min_data_in_leaf": 5}
    settings |= {"max_cat_to_onehot": 1, "min_data_per_group": 5}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, label), 8)
    return Trained(
        "lightgbm-txt",
        booster.model_to_string().encode(),
        lambda rows: booster.predict(rows, raw_score=True, num_threads=1),
    )


def by_catboost(places: list[Any]) -> Trained:
    rows, label = table(places)
    booster = catboost.CatBoostClassifier(
        iterations=8,
        depth=3,
        one_hot_max_size=9,
        cat_features=["place"],
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    ).fit(rows, label)
    return Trained(
        "catboost-cbm",
        booster._serialize_model(),
        lambda rows: booster.predict(rows, prediction_type="RawFormulaVal"),
    )


BOOSTERS: dict[str, Callable[[list[Any]], Trained]] = {
    "xgboost-json": by_xgboost,
    "xgboost-ubj": lambda places: by_xgboost(places, "ubj"),
    "lightgbm-txt": by_lightgbm,
    "catboost-cbm": by_catboost,
}


@pytest.mark.parametrize("declared", BOOSTERS)
def test_categories_that_are_long_numbers_are_explained_as_the_library_answers(declared):
    model, names = BOOSTERS[declared](list(PLACES)), [str(place) for place in PLACES]
    catalogue = FeatureCatalogue([choice("place", *names), feature("income", hard=(-9, 9))])
    rows = [{"place": name, "income": 0.25 * at} for at, name in enumerate(names)]
    found = open_apart(declared, model.data, catalogue, two("0", "1"))
    group = [{"place": name, "income": -0.5} for name in names] * 8

    def by_library(rows: Any) -> np.ndarray:
        place = pd.Categorical([int(row[0]) for row in rows], categories=pd.Index(PLACES))
        asked = pd.DataFrame({"place": place, "income": [float(row[1]) for row in rows]})
        return np.asarray(model.margins(asked), dtype=float)

    own = by_library([list(row.values()) for row in rows])
    assert len(set(own.tolist())) >= 3
    assert (found.answer(rows).margin == own).all()
    beside = explained(found, catalogue, LINE, group, "d" * 64)
    most = (SINGLE if declared.startswith("xgboost") else EXACT) * beside.comparison.scale
    for row in rows:
        exact = brute_force(by_library, list(row.values()), [list(z.values()) for z in group[:4]])
        assert np.abs(ours(beside, row, group[:4]) - exact).max() <= most


@pytest.mark.parametrize("declared", [d for d in BOOSTERS if d != "catboost-cbm"])
def test_a_skeleton_lists_long_numbers_to_the_last_digit(declared):
    """CatBoost's files hold no names."""
    found = inspect(declared, BOOSTERS[declared](list(PLACES)).data)
    assert found["inputs"][0]["choices"] == [str(place) for place in PLACES]


def as_parts(given: list[float]) -> bytes:
    """XGBoost's file of four places, whose categories became other numbers."""
    whole = json.loads(by_xgboost(list(PLACES)).data)
    stored = whole["learner"]["gradient_booster"]["model"]["cats"]["enc"][0]
    stored |= {"type": 8, "values": given}
    return json.dumps(whole).encode()


def test_numbers_that_are_not_whole_are_named_so_that_they_read_back():
    given = [1234567.125, 0.1, 3.0, 1e-7]
    found = inspect("xgboost-json", as_parts(given))["inputs"][0]["choices"]
    assert found == ["1234567.125", "0.1", "3", "1e-07"]
    assert [float(name) for name in found] == given


def instead(name: str, old: str, new: str) -> bytes:
    """The file of a variant, its categories written anew."""
    data = made(name).data.decode()
    assert data.count(old) == 1
    return data.replace(old, new).encode()


def renamed(given: dict[str, Any]) -> bytes:
    """XGBoost's file, the categories of heating written anew."""
    whole = json.loads(made("xgboost").data)
    whole["learner"]["gradient_booster"]["model"]["cats"]["enc"][1] = given
    return json.dumps(whole).encode()


AS_TEXT = {"offsets": [0, 4, 7, 10], "values": [*b"wood", *b"gas", *b"gas"]}

# how: format, the file, the names it must be told with
TWICE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "lightgbm, trained on 1 and '1'": (
        "lightgbm-txt",
        lambda: by_lightgbm([1, "1", "2"]).data,
        "'1': 1, '1', '2'",
    ),
    "lightgbm, trained on True and 'True'": (
        "lightgbm-txt",
        lambda: by_lightgbm([True, "True", "2"]).data,
        "'True': True, 'True', '2'",
    ),
    "lightgbm, crafted": (
        "lightgbm-txt",
        lambda: instead("lightgbm", '["wood", "gas", "oil"]', '["wood", "gas", "gas"]'),
        "'gas': 'wood', 'gas', 'gas'",
    ),
    "xgboost, crafted": ("xgboost-json", lambda: renamed(AS_TEXT), "'gas': 'wood', 'gas', 'gas'"),
    "xgboost, crafted numbers": (
        "xgboost-json",
        lambda: renamed({"type": 15, "values": [12345671, 12345672, 12345671]}),
        "'12345671': 12345671, 12345672, 12345671",
    ),
}


@pytest.mark.parametrize("how", TWICE)
def test_two_categories_of_one_name_are_refused_as_a_model_and_for_a_skeleton(how):
    declared, make, told = TWICE[how]
    data = make()
    inputs = made("xgboost").inputs
    if "trained" in how:
        inputs = (Input("place", (told[1:].partition("'")[0], "2")), Input("income", None))
    for ask in (
        lambda: parse(declared, data, inputs, two("0", "1")),
        lambda: inspect(declared, data),
    ):
        with pytest.raises(ArtefactRefused) as refused:
            ask()
        assert f"the same name, {told}." in refused.value.what
        assert refused.value.where in ("model", "model, heating")
        assert "its own text" in refused.value.mend


@pytest.mark.parametrize("encoder", [OneHotEncoder, OrdinalEncoder])
def test_an_encoder_that_knows_two_categories_of_one_name_is_refused(encoder):
    words = (pipelines.chain(pipelines.usual(), encoder()), pipelines.WORDS)
    numbers = (pipelines.median(), pipelines.NUMBERS)
    model = pipelines.fit(pipelines.by_columns(words, numbers), LogisticRegression(max_iter=2000))
    learned = model[0].transformers_[0][1].steps[-1][1]
    learned.categories_[0] = np.array([learned.categories_[0][1], *learned.categories_[0][1:]])
    learned.categories_[0] = learned.categories_[0].astype(object)
    with pytest.raises(ArtefactRefused, match="the same name"):
        open_model("skops", skops.io.dumps(model), pipelines.CATALOGUE, pipelines.TARGET)


def with_gaps(places: Any) -> tuple[pd.DataFrame, np.ndarray]:
    rows, label = table(list(places))
    codes = np.where(np.arange(len(rows)) % 9 == 4, -1, rows["place"].cat.codes)
    rows["place"] = pd.Categorical.from_codes(codes, categories=pd.Index(places))
    return rows, label


def booster_of(library: str, rows: pd.DataFrame, label: np.ndarray) -> Any:
    if library == "xgboost":
        matrix = xgboost.DMatrix(rows, label, enable_categorical=True, nthread=1)
        return xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 8)
    settings = {"objective": "binary", "num_threads": 1, "verbose": -1, "max_cat_to_onehot": 1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, label), 8)


@pytest.mark.parametrize("kept", ["as categories", "in a file"])
@pytest.mark.parametrize("width", ["int64", "int32"])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_the_converter_records_long_numbers_as_the_model_has_them(library, width, kept, tmp_path):
    """Where a cell is empty pandas writes the others with a decimal point."""
    program = runpy.run_path(str(converter()))
    rows, label = with_gaps(np.array(PLACES, dtype=width))
    model = booster_of(library, rows, label)
    given = rows
    if kept == "in a file":
        text = [float("nan") if value != value else float(value) for value in rows["place"]]
        rows.assign(place=text).to_csv(tmp_path / "rows.csv", index=False)
        given = program["read_rows"](str(tmp_path / "rows.csv"), model)
        assert "12345671.0" in set(given["place"])
    facts = program["convert"](model, given, str(tmp_path / "out"), positive_class="1")
    assert facts["inputs"][0]["choices"] == [str(place) for place in PLACES]
    inputs = (Input("place", tuple(facts["inputs"][0]["choices"])), Input("income", None))
    data = (tmp_path / "out" / facts["file"]).read_bytes()
    found = parse(facts["format"], data, inputs, two("not_1", "1"))
    lines = (tmp_path / "out" / "golden" / "cases.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]
    recorded = [
        {n: None if isinstance(v, dict) else v for n, v in each["case"]["values"].items()}
        for each in cases
    ]
    assert {row["place"] for row in recorded} == {None, *map(str, PLACES)}
    margins = [each["margin"] for each in cases]
    assert np.abs(found.answer(recorded).margin - margins).max() <= SINGLE
    assert np.ptp(margins) > 1
    group = pd.read_csv(tmp_path / "out" / "background.csv", dtype=str)
    assert set(group["place"].dropna()) == set(map(str, PLACES))


@pytest.mark.parametrize("kind", ["json", "ubj"])
@pytest.mark.parametrize(
    "places", [["Ö1", "2", "3", "4"], ["gas", "ol", "Ö"], ["Öl", "Gas", "Holz"]]
)
def test_names_that_xgboost_shifts_are_refused_by_name(places, kind, tmp_path):
    """It counts letters where it should count bytes: read back, names and places are others."""
    model = by_xgboost(places, kind)
    inputs = (Input("place", tuple(places)), Input("income", None))
    for ask in (
        lambda: parse(model.declared, model.data, inputs, two("0", "1")),
        lambda: inspect(model.declared, model.data),
    ):
        with pytest.raises(ArtefactRefused, match="outside ASCII") as refused:
            ask()
        assert refused.value.where == "model, place"
        assert "Rename" in refused.value.mend
    program = runpy.run_path(str(converter()))
    rows, label = table(places)
    with pytest.raises(program["Refused"], match="outside ASCII"):
        program["convert"](
            booster_of("xgboost", rows, label), rows, str(tmp_path / "out"), positive_class="1"
        )
    assert not (tmp_path / "out").exists()


def test_the_converter_refuses_two_categories_of_one_name(tmp_path):
    program = runpy.run_path(str(converter()))
    rows, label = table([1, "1", "2"])
    with pytest.raises(program["Refused"], match=r"place: two categories .* '1'"):
        program["convert"](
            booster_of("lightgbm", rows, label), rows, str(tmp_path / "out"), positive_class="1"
        )
    assert not (tmp_path / "out").exists()
