"""Steps that make columns of several features: known by answers, on the features themselves, and
only where the package says so."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from factories import feature
from pipelines import (
    CATALOGUE,
    NAMES,
    NUMBERS,
    TARGET,
    WORDS,
    by_columns,
    chain,
    contributions,
    fit,
    median,
    own_margins,
    raw,
    rows,
    table,
    usual,
)
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes the next one known
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeRegressor
from trained import NAMES as COLUMNS
from trained import SmallModel, demo_rows, labels, write_package

from explainer.core.attribution import Contrast, Task
from explainer.core.case import FeatureCatalogue, read_case
from explainer.errors import ArtefactRefused, PackageFaulty
from explainer.families.against import against
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.attribute import raw_row
from explainer.families.engine.function import Function
from explainer.families.engine.reference import brute_force
from explainer.families.model import Target
from explainer.packages.admit import admit
from explainer.packages.package import open_package
from explainer.packages.scaffold import new_package

BY_ANSWERS = Target(TARGET.task, TARGET.classes, by_answers=True)


def words() -> Any:
    return chain(usual(), OneHotEncoder(handle_unknown="ignore")), WORDS


def numbers(*steps: Any) -> Any:
    return by_columns((chain(*steps), NUMBERS), words())


MIXING: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "components": (lambda: [numbers(median(), StandardScaler(), PCA(2))], "PCA in step c0.s2"),
    "components of all columns": (
        lambda: [numbers(median(), StandardScaler()), TruncatedSVD(3), StandardScaler()],
        "TruncatedSVD in step s1",
    ),
    "products": (
        lambda: [numbers(median(), PolynomialFeatures(interaction_only=True), StandardScaler())],
        "PolynomialFeatures in step c0.s1",
    ),
    "products of all columns": (
        lambda: [numbers(median(), StandardScaler()), PolynomialFeatures(interaction_only=True)],
        "PolynomialFeatures in step s1",
    ),
    "values of neighbours": (
        lambda: [numbers(KNNImputer(add_indicator=True), StandardScaler())],
        "KNNImputer in step c0.s0",
    ),
    "values from the other columns": (
        lambda: [numbers(IterativeImputer(random_state=0), StandardScaler())],
        "IterativeImputer in step c0.s0",
    ),
    "rows of one length": (
        lambda: [numbers(median(), StandardScaler(), Normalizer())],
        "Normalizer in step c0.s2",
    ),
    "components, and a gap is a choice of its own": (
        lambda: [
            by_columns(
                (chain(median(), StandardScaler(), PCA(2)), NUMBERS),
                (OneHotEncoder(handle_unknown="ignore"), WORDS),
            )
        ],
        "PCA in step c0.s2",
    ),
    "beside what does not mix": (
        lambda: [
            numbers(
                median(), StandardScaler(), FeatureUnion([("as", "passthrough"), ("all", PCA(1))])
            )
        ],
        "PCA in step c0.s2.all",
    ),
}
MODELS: dict[str, Callable[[], Any]] = {
    "linear": lambda: LogisticRegression(max_iter=2000),
    "forest": lambda: RandomForestClassifier(5, max_depth=5, random_state=2),
    "network": lambda: MLPClassifier((4,), solver="lbfgs", max_iter=60, random_state=2),
}
MATRIX = [(name, model) for name in MIXING for model in MODELS]


@cache
def fitted(name: str, model: str = "linear") -> Pipeline:
    return fit(*MIXING[name][0](), MODELS[model]())


def opened(name: str, model: str, catalogue: FeatureCatalogue = CATALOGUE) -> Any:
    return open_model("skops", skops.io.dumps(fitted(name, model)), catalogue, BY_ANSWERS)


@pytest.mark.parametrize(("name", "kind"), MATRIX)
def test_contributions_of_mixed_features_equal_brute_force_through_the_pipeline(name, kind):
    pipeline, model = fitted(name, kind), opened(name, kind)
    given = raw(rows())
    group = given[20:27]
    for case in (given[3], given[5], given[0]):  # rooms missing, heating missing, nothing
        asked = [case[n] for n in NAMES], [[z[n] for n in NAMES] for z in group]
        witness = brute_force(lambda some: own_margins(pipeline, table(some)), *asked)
        assert abs(contributions(model, case, group) - witness).max() <= 1e-12
    assert abs(model.answer(given).margin - own_margins(pipeline, rows())).max() <= 1e-12


@pytest.mark.parametrize("name", MIXING)
def test_players_are_the_features_whatever_the_steps_make_of_them(name):
    model = opened(name, "linear")
    (form,) = model.forms
    assert isinstance(form, Function)
    assert form.player.tolist() == list(range(len(NAMES)))
    turned = opened(name, "linear", FeatureCatalogue(list(CATALOGUE)[::-1]))
    given = raw(rows())
    there = contributions(turned, given[3], given[20:27])
    assert there[::-1] == pytest.approx(contributions(model, given[3], given[20:27]), abs=1e-12)


@pytest.mark.parametrize("name", MIXING)
def test_without_a_declaration_what_mixes_is_named_and_what_to_declare(name):
    with pytest.raises(ArtefactRefused) as caught:
        open_model("skops", skops.io.dumps(fitted(name)), CATALOGUE, TARGET)
    assert MIXING[name][1] in caught.value.what
    assert "income, rooms" in caught.value.what
    assert caught.value.where == "manifest.toml, model.mixing"
    assert 'mixing = "by-answers"' in caught.value.mend


def test_a_declaration_that_is_not_needed_is_refused():
    pipeline = fit(numbers(median(), StandardScaler()), LogisticRegression())
    with pytest.raises(ArtefactRefused, match="No step of this model mixes features"):
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, BY_ANSWERS)


def test_products_within_one_feature_need_no_declaration():
    pipeline = fit(
        by_columns((chain(median(), PolynomialFeatures(2)), ["rooms"]), words()),
        LogisticRegression(max_iter=2000),
    )
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, TARGET)
    assert not isinstance(model.forms[0], Function)


def test_the_declaration_reaches_the_process_of_the_model():
    data = skops.io.dumps(fitted("components", "network"))
    given = raw(rows())
    apart = open_apart("skops", data, CATALOGUE, BY_ANSWERS)
    here = opened("components", "network")
    assert np.array_equal(
        contributions(apart, given[3], given[20:60]), contributions(here, given[3], given[20:60])
    )
    with pytest.raises(ArtefactRefused, match="several features"):
        open_apart("skops", data, CATALOGUE, TARGET)


def test_many_columns_of_a_few_features_are_made_a_part_at_a_time(monkeypatch):
    model = opened("products of all columns", "linear")
    given = raw(rows())
    whole = contributions(model, given[3], given[20:60])
    monkeypatch.setattr("explainer.families.from_skops.MOST_TRIED", 1000)
    parts = contributions(model, given[3], given[20:60])
    assert parts == pytest.approx(whole, rel=0, abs=1e-12)


def test_the_matrix_is_as_large_as_the_documentation_says():
    text = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text()
    assert f"{len(MATRIX)} of {len(MATRIX)} such models agree" in text


def test_more_features_than_can_be_enumerated_are_estimated_and_add_up():
    random = np.random.default_rng(3)
    names = [f"amount_{at}" for at in range(15)]
    table = pd.DataFrame(random.normal(5, 2, (140, 15)), columns=names)
    pipeline = chain(StandardScaler(), PCA(4), LogisticRegression())
    pipeline.fit(table, np.where(table["amount_0"] * table["amount_1"] > 25, "yes", "no"))
    catalogue = FeatureCatalogue([feature(name, hard=(-99, 99)) for name in names])
    model = open_model("skops", skops.io.dumps(pipeline), catalogue, BY_ANSWERS)
    answer = model.answer(table.to_dict("records"))
    measured = against(model, answer.columns[1:]).measured(
        answer.columns[0], Contrast(0), np.zeros(1, dtype=np.int64)
    )
    found = next(measured)
    assert found.covariance is not None
    # a linear model of linear components: the truth is known without asking
    weight = pipeline[-1].coef_[0] @ pipeline[1].components_ / pipeline[0].scale_
    truth = weight * (table.iloc[0] - table.iloc[1:].mean()).to_numpy()
    assert found.values == pytest.approx(truth, abs=1e-9)
    margins = pipeline.decision_function(table)
    assert found.values.sum() == pytest.approx(margins[0] - margins[1:].mean(), abs=1e-9)


# -- lying files ---------------------------------------------------------------------------------


def lying(name: str, change: Callable[[Pipeline], None]) -> str:
    pipeline = fit(*MIXING[name][0](), MODELS["linear"]())
    change(pipeline)
    with pytest.raises(ArtefactRefused) as caught:
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, BY_ANSWERS)
    return caught.value.what


def test_what_is_put_in_by_chance_is_refused_wherever_it_stands():
    def change(pipeline: Pipeline) -> None:
        pipeline[0].transformers_[0][1][0].sample_posterior = True

    assert "chance" in lying("values from the other columns", change)
    within = chain(IterativeImputer(sample_posterior=True), LogisticRegression())
    stacked = StackingClassifier([("within", within)], cv=2)
    pipeline = fit(numbers(median(), StandardScaler()), stacked)
    with pytest.raises(ArtefactRefused, match="chance"):
        open_model("skops", skops.io.dumps(pipeline), CATALOGUE, TARGET)


def test_other_models_within_an_imputer_are_refused():
    def change(pipeline: Pipeline) -> None:
        imputer = pipeline[0].transformers_[0][1][0]
        tree = DecisionTreeRegressor(max_depth=2).fit(np.eye(3), [1.0, 2.0, 3.0])
        first = imputer.imputation_sequence_[0]
        imputer.imputation_sequence_[0] = first._replace(estimator=tree)

    assert "DecisionTreeRegressor" in lying("values from the other columns", change)


def test_a_step_that_makes_more_columns_than_it_says_is_refused():
    def change(pipeline: Pipeline) -> None:
        step = pipeline[0].transformers_[0][1][2]
        step.components_ = step.components_[:1]

    assert lying("components", change)


def test_a_step_given_another_number_of_columns_than_it_was_fitted_with_is_refused():
    def change(pipeline: Pipeline) -> None:
        pipeline[0].transformers_[0][1][1].n_features_in_ = 7

    assert "another number of columns" in lying("components", change)


@pytest.mark.parametrize("where", ["metric", "weights"])
def test_a_function_of_numpy_stands_nowhere_but_in_the_step_for_functions(where):
    def change(pipeline: Pipeline) -> None:
        setattr(pipeline[0].transformers_[0][1][0], where, np.log1p)

    assert "is a function" in lying("values of neighbours", change)


# -- from a package to an explained case --------------------------------------------------------


@cache
def benefit() -> SmallModel:
    """Numbers as components, beside choices."""
    table = demo_rows()[list(COLUMNS)]
    steps = by_columns(
        (chain(median(), StandardScaler(), PCA(2)), ["age", "tenure"]),
        (chain(usual(), OneHotEncoder(handle_unknown="ignore")), ["married", "job_lost_by"]),
    )
    pipeline = chain(steps, LogisticRegression(max_iter=2000)).fit(table, labels(table))
    return SmallModel(pipeline, skops.io.dumps(pipeline), table)


def declared(text: str) -> str:
    return text.replace("[model]", '[model]\nmixing = "by-answers"')


def test_a_package_that_declares_it_is_admitted_and_explains(tmp_path):
    package = admit(
        write_package(
            tmp_path / "small_benefit", benefit(), manifest=declared, features=model_s_stand_ins
        )
    )
    assert package.manifest.target.by_answers
    names = package.catalogue.names
    group = benefit().rows.to_dict("records")
    for golden in package.golden[:2]:
        case = read_case(golden.case, package.catalogue)
        found = package.explained.attribute(case)
        assert abs(found.difference) <= 1e-9 * found.comparison.scale
        values = raw_row(case)
        asked = [values[n] for n in names], [[row[n] for n in names] for row in group]
        witness = brute_force(
            lambda some: benefit().pipeline.decision_function(demo_table(some, names)), *asked
        )
        mine = [each.phi for each in found.contributions]
        assert abs(np.array(mine) - witness).max() <= 1e-9 * found.comparison.scale


def model_s_stand_ins(text: str) -> str:
    found = benefit().rows["tenure"].median()
    return re.sub(r"(?m)^stand_in = [0-9.]+$", f"stand_in = {found:g}", text)


def demo_table(rows: list[list[Any]], names: tuple[str, ...]) -> pd.DataFrame:
    columns = {}
    for at, name in enumerate(names):
        values = [np.nan if row[at] is None else row[at] for row in rows]
        kind = float if name in ("age", "tenure") else object
        columns[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(columns)


def test_a_package_that_does_not_declare_it_is_told_what_to_declare(tmp_path):
    folder = write_package(tmp_path / "small_benefit", benefit(), features=model_s_stand_ins)
    with pytest.raises(PackageFaulty) as caught:
        open_package(folder)
    (fault,) = caught.value.faults
    assert "PCA in step c0.s2, of age, tenure" in fault.what
    assert 'mixing = "by-answers"' in fault.mend


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: declared(text).replace("by-answers", "by-guess"), "not known"),
        (lambda text: declared(text).replace('"skops"', '"linear-json"'), "Only pipelines"),
        (lambda text: text.replace("[model]", "[model]\nmixing = true"), "wrong kind"),
    ],
)
def test_a_declaration_of_something_else_is_refused(tmp_path, change, says):
    folder = write_package(tmp_path / "small_benefit", benefit(), manifest=change)
    with pytest.raises(PackageFaulty) as caught:
        open_package(folder)
    found = [fault for fault in caught.value.faults if "mixing" in fault.where]
    assert [says in fault.what for fault in found] == [True]


def test_the_skeleton_of_a_package_leaves_the_declaration_to_people(tmp_path):
    file = tmp_path / "model.skops"
    file.write_bytes(benefit().data)
    folder = tmp_path / "small_benefit"
    assert new_package(folder, file) == list(COLUMNS)
    text = (folder / "manifest.toml").read_text("utf-8")
    assert "# PCA in step c0.s2, of age, tenure\n" in text
    assert "mixing" not in tomllib.loads(text)["model"]
    said = tomllib.loads(text.replace("# mixing", "mixing"))
    assert said["model"]["mixing"] == "by-answers"


# -- several classes, and amounts ----------------------------------------------------------------


def thirds() -> Any:
    """Three labels of about as many rows each."""
    worth = rows()["income"] + 300 * rows()["rooms"].fillna(3)
    return np.array(["low", "middle", "high"])[np.digitize(worth, worth.quantile([0.33, 0.67]))]


def test_contrasts_of_several_classes_equal_brute_force_where_features_are_mixed():
    steps = numbers(median(), StandardScaler(), PCA(2))
    pipeline = chain(steps, LogisticRegression(max_iter=2000)).fit(rows(), thirds())
    several = Target(Task.MULTICLASS, ("high", "low", "middle"), by_answers=True)
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, several)
    assert len(model.forms) == 3
    check_contrast(model, Contrast(2, 0), lambda some: np.diff(some[:, [0, 2]])[:, 0], pipeline)


def test_encoders_of_several_classes_make_columns_of_one_feature_each():
    steps = by_columns(
        (median(), NUMBERS), (chain(usual(), TargetEncoder(cv=StratifiedKFold(3))), WORDS)
    )
    pipeline = chain(steps, LogisticRegression(max_iter=5000)).fit(rows(), thirds())
    several = Target(Task.MULTICLASS, ("high", "low", "middle"))
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, several)
    assert not isinstance(model.forms[0], Function)
    check_contrast(model, Contrast(1, 2), lambda some: some[:, 1] - some[:, 2], pipeline)


def test_amounts_of_mixed_features_equal_brute_force():
    steps = numbers(median(), StandardScaler(), PolynomialFeatures(interaction_only=True))
    pipeline = chain(steps, Ridge()).fit(rows(), rows()["income"] / 7)
    amount = Target(Task.AMOUNT, (), by_answers=True)
    model = open_model("skops", skops.io.dumps(pipeline), CATALOGUE, amount)
    check_contrast(model, Contrast(0), lambda some: some, pipeline)


def check_contrast(model: Any, contrast: Contrast, margin: Any, pipeline: Pipeline) -> None:
    given = raw(rows())
    case, group = given[3], given[20:27]

    def asked(some: list[list[Any]]) -> Any:
        ask = getattr(pipeline, "decision_function", pipeline.predict)
        return margin(ask(table(some)))

    witness = brute_force(asked, [case[n] for n in NAMES], [[z[n] for n in NAMES] for z in group])
    columns = model.answer([case, *group]).columns
    found = against(model, columns[1:]).measured(columns[0], contrast, np.zeros(1, dtype=np.int64))
    away = np.abs(next(found).values - witness).max()
    assert away <= 1e-12 * np.abs(witness).sum() + 1e-12
