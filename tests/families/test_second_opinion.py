"""Who is asked when a package is checked, and the cases that are tried on borders."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import lightgbm
import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from factories import feature, two
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from trained_formats import households, made, raw

from explainer.core.attribution import DecisionLine, Side
from explainer.core.case import Case, FeatureCatalogue, Missing, Value
from explainer.families import second_opinion
from explainer.families.artefacts import open_model
from explainer.families.attribute import Explained, explained
from explainer.families.borders import Sort, borders
from explainer.families.engine.forest import Trees
from explainer.families.model import Target
from explainer.families.second_opinion import by_brute_force, by_parts, by_tree_shap, witnesses

LINE = DecisionLine(0.0, "yes", "no", Side.ABOVE)
ZERO_ONE = two("0", "1")
MANY = 17


def opened(
    declared: str, data: bytes, features: list, table: pd.DataFrame, target: Target = ZERO_ONE
) -> Explained:
    catalogue = FeatureCatalogue(features)
    model = open_model(declared, data, catalogue, target)
    return explained(model, catalogue, LINE, raw(table), "0" * 64)


def cases_of(found: Explained, table: pd.DataFrame) -> list[Case]:
    return [
        Case(
            f"C-{at}",
            None,
            {
                name: Value(row[name]) if row[name] is not None else Value(None, Missing.NOT_GIVEN)
                for name in found.catalogue.names
            },
        )
        for at, row in enumerate(raw(table))
    ]


# -- many features ------------------------------------------------------------------------------


def many() -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(5)
    table = pd.DataFrame({f"x{n}": np.round(random.normal(0, 1, 120), 2) for n in range(MANY)})
    table.loc[::6, "x3"] = np.nan
    filled = table.fillna(0.3).to_numpy()
    worth = filled[:, 0] - filled[:, 3] * filled[:, 7] + filled[:, 16]
    return table, (worth > 0).astype(int)


def numbers(*, stand_in: float | None) -> list:
    return [
        feature(f"x{n}", hard=(-9, 9), optional=n == 3, stand_in=stand_in if n == 3 else None)
        for n in range(MANY)
    ]


def by_boosting() -> Explained:
    table, label = many()
    matrix = xgboost.DMatrix(table, label, nthread=1)
    booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 12)
    return opened("xgboost-json", bytes(booster.save_raw("json")), numbers(stand_in=None), table)


def by_pipeline(model: object) -> Explained:
    """A filled column and its indicator are one feature."""
    table, label = many()
    rest = [name for name in table if name != "x3"]
    columns = ColumnTransformer(
        [("filled", SimpleImputer(add_indicator=True), ["x3"]), ("rest", "passthrough", rest)]
    )
    pipeline = Pipeline([("columns", columns), ("model", model)]).fit(table, label)
    stand_in = float(table["x3"].mean())
    return opened("skops", skops.io.dumps(pipeline), numbers(stand_in=stand_in), table)


ASKED: dict[str, tuple[Callable[[], Explained], str]] = {
    "trees, a column a feature": (by_boosting, "shap's tree explainer on our trees"),
    "trees, two columns a feature": (
        lambda: by_pipeline(GradientBoostingClassifier(n_estimators=15, random_state=1)),
        "the kernel's twin in NumPy",
    ),
    "weights": (
        lambda: by_pipeline(LogisticRegression()),
        "the model itself, one feature at a time",
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_with_many_features_somebody_else_is_asked_and_says_the_same(name):
    make, beside = ASKED[name]
    found = make()
    asked = witnesses(found)
    assert [each.name for each in asked] == ["brute force, 10 features at a time", beside]
    rows = raw(many()[0])
    for witness in asked:
        assert witness.differs(rows[0], rows[1:4]) <= 1e-6 * found.comparison.scale


def test_with_few_features_all_coalitions_are_asked():
    booster = made("xgboost")
    found = opened("xgboost-json", booster.data, list(booster.catalogue), households())
    assert [each.name for each in witnesses(found)] == [
        "brute force over all coalitions",
        "shap's exact explainer",
    ]


def test_brute_force_on_parts_is_brute_force_where_there_is_one_part_only():
    booster = made("xgboost, numbers")
    found = opened("xgboost-json", booster.data, list(booster.catalogue), households())
    rows = raw(households()[list(booster.names)])
    assert by_parts(found, rows[0], rows[1:4]) <= 1e-6 * found.comparison.scale


@pytest.mark.parametrize(
    "name",
    [
        "xgboost, numbers",
        "xgboost, missing is -999",
        "lightgbm, numbers",
        "catboost, numbers",
    ],
)
def test_shaps_tree_explainer_agrees_on_our_trees(name):
    one = made(name)
    found = opened(one.declared, one.data, list(one.catalogue), households()[list(one.names)])
    rows = raw(households()[list(one.names)])
    mine = by_brute_force(found, rows[3], rows[5:9])
    assert abs(mine - by_tree_shap(found, rows[3], rows[5:9])).max() <= 1e-5


class Wrong:
    """A model whose trees are not the ones that answer."""

    def __init__(self, model: object, form: Trees) -> None:
        self._model = model
        self.forms = (form,)

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)


@pytest.mark.parametrize("name", ASKED)
def test_a_witness_notices_a_form_that_is_not_the_models(name):
    found = ASKED[name][0]()
    form = found.model.forms[0]
    changed = (
        replace_trees(form, threshold=form.threshold + 0.4)
        if isinstance(form, Trees)
        else replace(form, weight=form.weight * 1.01)
    )
    wrong = replace(found, model=Wrong(found.model, changed))
    rows = raw(many()[0])
    assert witnesses(wrong)[0].differs(rows[0], rows[1:4]) > 1e-3 * found.comparison.scale


def replace_trees(form: Trees, **changes: object) -> Trees:
    given = {
        name: getattr(form, name) for name, spec in Trees.__dataclass_fields__.items() if spec.init
    }
    return Trees(**given | changes)


# -- borders ------------------------------------------------------------------------------------


def tried(name: str, rows: int = 40) -> dict[Sort, tuple[int, int]]:
    one = made(name)
    table = households()[list(one.names)]
    features = [
        replace(each, stand_in=None) if one.declared != "skops" else each for each in one.catalogue
    ]
    found = opened(one.declared, one.data, features, table)
    counts: dict[Sort, tuple[int, int]] = {}
    for each in borders(found, cases_of(found, table.head(rows))):
        assert each.fault is None, each
        adding, refused = counts.get(each.sort, (0, 0))
        counts[each.sort] = (adding + each.adds_up, refused + (not each.adds_up))
    return counts


@pytest.mark.parametrize(
    ("name", "missing_refused", "choices_refused"),
    [
        ("xgboost", 0, 3),  # it refuses what it has never seen; "coal" stands in the catalogue
        ("xgboost, missing is -999", 0, 0),
        ("lightgbm", 0, 2),
        ("lightgbm, nought is missing", 0, 2),
        ("catboost, one-hot", 0, 1),
        ("histogram boosting with NaN", 0, 0),
        ("random forest with NaN", 0, 0),
    ],
)
def test_every_case_on_a_border_adds_up_or_is_refused(name, missing_refused, choices_refused):
    counts = tried(name)
    adding, refused = counts[Sort.ON]
    assert adding > 20
    assert refused <= 8  # outside the hard range
    assert counts[Sort.MISSING][1] == missing_refused
    if Sort.CHOICE in counts:
        assert counts[Sort.CHOICE][1] == choices_refused


def test_of_prepared_columns_the_nearest_recorded_cases_are_tried():
    counts = tried("gradient boosting")
    assert counts[Sort.ON][0] > 20  # numbers pass through the imputer as they are
    assert counts[Sort.NEAR][0] > 0  # what says that one was missing, and what choices became
    assert counts[Sort.CHOICE] == (8, 0)


def test_a_threshold_on_the_wrong_side_is_noticed():
    """What a form that compares with < where the library has <= would do."""
    one = made("lightgbm, numbers")
    table = households()[list(one.names)]
    found = opened(one.declared, one.data, list(one.catalogue), table)
    form = found.model.forms[0]
    shifted = replace_trees(form, threshold=np.nextafter(form.threshold, -np.inf))
    wrong = replace(found, model=Wrong(found.model, shifted))
    cases = cases_of(found, table.head(30))
    assert any(each.fault for each in borders(wrong, cases))
    assert not any(each.fault for each in borders(found, cases))


def test_a_column_of_which_only_gaps_are_told_has_no_threshold_to_be_tried():
    """LightGBM's border of such a test is infinite: no number lies beyond it."""
    table = pd.DataFrame({"x": np.where(np.arange(60) % 3, np.arange(60.0) - 30, np.nan)})
    settings = {"objective": "binary", "num_leaves": 2, "verbosity": -1, "num_threads": 1}
    data = lightgbm.Dataset(table, table["x"].isna().astype(int))
    text = lightgbm.train(settings | {"min_data_in_leaf": 5}, data, 3).model_to_string()
    assert "\nthreshold=inf\n" in text
    features = [feature("x", hard=(-99, 99), optional=True)]
    found = opened("lightgbm-txt", text.encode(), features, table)
    tried = list(borders(found, cases_of(found, table)))
    assert [each.sort for each in tried] == [Sort.MISSING]
    assert tried[0].adds_up


@pytest.mark.parametrize("loaded", [False, True])
def test_compiling_is_not_turned_off_once_it_may_have_begun(loaded: bool, monkeypatch):
    """What numba has compiled by then could not call what it leaves alone."""
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # so that it is as before afterwards
    monkeypatch.delenv("NUMBA_DISABLE_JIT")
    monkeypatch.setitem(sys.modules, "shap", ModuleType("shap"))
    if loaded:
        monkeypatch.setitem(sys.modules, "numba", ModuleType("numba"))
    else:
        monkeypatch.delitem(sys.modules, "numba", raising=False)
    second_opinion._shap()
    assert os.environ.get("NUMBA_DISABLE_JIT") == (None if loaded else "1")
