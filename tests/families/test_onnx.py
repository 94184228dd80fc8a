"""Format onnx: a file looked through first, matched by name, and known by its answers."""

from __future__ import annotations

import json
import math
import pickle  # noqa: TID251 - the attack these tests are about
import warnings
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from factories import YES, feature, two
from households import (
    AMOUNT,
    CATALOGUE,
    CHOICES,
    COUNTS,
    EUROS,
    LINE,
    NUMBERS,
    OUTCOMES,
    THREE,
    check_against_brute_force,
    damages,
    filled,
    households,
    permuted,
)
from onnx import TensorProto, helper, numpy_helper
from resealed import SEEDS, check_counts, check_resealed
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from trained import NAMES as SMALL
from trained import SmallModel, demo_rows, write_package
from trained import labels as small_labels

from explainer.core.attribution import Contrast, SeveralOutcomes, Space, Task
from explainer.core.case import Case, FeatureCatalogue, Value
from explainer.errors import ArtefactRefused, BackgroundInvalid, ExplainerError, ModelFailed
from explainer.families import from_onnx
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.attribute import explained
from explainer.families.engine.forest import Trees
from explainer.families.engine.function import Function
from explainer.families.engine.reference import brute_force
from explainer.families.model import Target
from explainer.families.second_opinion import ours

with warnings.catch_warnings():
    # deprecated names of its own dependencies
    warnings.simplefilter("ignore")
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

ESTIMATORS = {
    "gradient boosting": GradientBoostingClassifier(n_estimators=8, random_state=1),
    "forest": RandomForestClassifier(n_estimators=8, max_depth=4, random_state=1),
    "neural network": MLPClassifier((6,), max_iter=40, random_state=1),
    "logistic regression": LogisticRegression(),
}


def table(rows) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=list(CATALOGUE.names))
    for name in NUMBERS:
        found[name] = found[name].astype(float)
    for name in CHOICES:
        found[name] = pd.Series([row[name] for row in rows], dtype=object)
    return found


def worth(rows) -> np.ndarray:
    return np.array(
        [
            row["income"] / 1000
            - row["rooms"] * (row["tenancy"] == "rent")
            + (row["heating"] == "oil")
            for row in rows
        ]
    )


def labels(rows) -> np.ndarray:
    return np.where(worth(rows) > np.median(worth(rows)), "yes", "no")


def thirds(rows) -> np.ndarray:
    """Three classes, in the order of their names."""
    ends = np.quantile(worth(rows), [1 / 3, 2 / 3])
    return np.array(THREE.classes)[np.digitize(worth(rows), ends)]


def euros(rows) -> np.ndarray:
    return worth(rows) * 100 + 250


def fitted(estimator, steps=StandardScaler, given=labels) -> Pipeline:
    rows = filled(households(300))
    columns = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(strategy="median"), steps()), list(NUMBERS)),
            ("c", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(CHOICES)),
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Pipeline([("columns", columns), ("estimator", estimator)]).fit(
            table(rows), given(rows)
        )


DECLARED = {"stand_ins": {"heating": "gas"}}


def converted(pipeline, declared=DECLARED, **options) -> onnx.ModelProto:
    types = [
        (n, FloatTensorType([None, 1]) if n in NUMBERS else StringTensorType([None, 1]))
        for n in CATALOGUE.names
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # options of the whole pipeline do not reach its last step
        of_step = {id(pipeline[-1]): options}
        model = to_onnx(pipeline, initial_types=types, options=of_step, target_opset=18)
    return declaring(model, declared)


def declaring(model, declared) -> onnx.ModelProto:
    """A copy with this entry in its metadata, the way an agency would write it."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.metadata_props[:]
    if declared is not None:
        entry = copy.metadata_props.add()
        entry.key, entry.value = "warum", json.dumps(declared)
    return copy


def opened(model, catalogue=CATALOGUE, target=YES):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return open_model("onnx", data, catalogue, target)


@pytest.fixture(scope="module")
def pipelines():
    return {name: fitted(estimator) for name, estimator in ESTIMATORS.items()}


@pytest.fixture(scope="module")
def forest(pipelines) -> onnx.ModelProto:
    return converted(pipelines["forest"])


# -- right --------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipmap", [True, False], ids=["by class", "two columns"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_values_equal_brute_force_and_margins_the_pipelines(name, zipmap, pipelines):
    declared = {**DECLARED, "classes": ["no", "yes"]}
    model = opened(converted(pipelines[name], declared, zipmap=zipmap))
    assert model.space is Space.PROBABILITY
    check_against_brute_force(model)
    rows = filled(households())
    own = pipelines[name].predict_proba(table(rows))[:, 1]
    # in single precision a value may fall on the other side of a threshold; these do not
    assert abs(model.answer(rows).margin - own).max() < 1e-5


def test_a_case_adds_up(forest):
    rows = households()
    answer = explained(opened(forest), CATALOGUE, LINE, rows, "0" * 64)
    for row in filled(rows)[:10]:
        case = Case("A", None, {n: Value(v) for n, v in row.items()})
        found = answer.attribute(case)
        assert abs(found.difference) <= 1e-12
        assert found.method == "interventional-all-coalitions/1"


def test_raw_scores_are_log_odds_where_the_file_says_so(pipelines):
    booster = pipelines["gradient boosting"]
    options = {"zipmap": False, "raw_scores": True}
    model = opened(converted(booster, DECLARED | {"gives": "log-odds"}, **options))
    rows = filled(households())
    assert model.space is Space.LOG_ODDS
    own = booster.decision_function(table(rows))
    assert model.answer(rows).margin == pytest.approx(own, abs=1e-5)
    check_against_brute_force(model)


def test_raw_scores_that_are_not_declared_are_taken_for_nothing(pipelines):
    model = opened(converted(pipelines["gradient boosting"], zipmap=False, raw_scores=True))
    with pytest.raises(ModelFailed, match="two scores"):
        model.answer(filled(households()))
    with pytest.raises(BackgroundInvalid, match="two scores"):
        explained(model, CATALOGUE, LINE, households(), "0" * 64)


def test_a_missing_number_is_nan_to_the_graph_and_a_missing_choice_its_stand_in(pipelines):
    model = opened(converted(pipelines["forest"]))
    assert model.stand_ins == {"heating": "gas"}
    rows = households()
    own = pipelines["forest"].predict_proba(
        table([row | {"heating": row["heating"] or "gas"} for row in rows])
    )[:, 1]
    assert abs(model.answer(rows).margin - own).max() < 1e-5


def test_without_a_stand_in_a_missing_choice_is_withheld_and_named(pipelines):
    model = opened(converted(pipelines["forest"], None))
    with pytest.raises(ModelFailed, match=r"heating.*missing"):
        model.answer(households())


def test_a_declared_stand_in_takes_the_place_of_nan(pipelines):
    model = opened(converted(pipelines["forest"], {"stand_ins": {"heating": "gas", "rooms": 6}}))
    row = households()[3]
    assert row["rooms"] is None
    assert model.answer([row]).margin == model.answer([row | {"rooms": 6.0}]).margin


def test_features_in_another_order_get_the_same_values(forest):
    rows = households()
    case = Case("A", None, {n: Value(v) for n, v in filled(rows)[0].items()})
    found = [
        {
            c.feature: c.phi
            for c in explained(opened(forest, c), c, LINE, rows, "0" * 64)
            .attribute(case)
            .contributions
        }
        for c in (CATALOGUE, permuted())
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-12)


def test_in_a_process_of_its_own_it_answers_the_same(forest):
    apart = open_apart("onnx", forest.SerializeToString(), CATALOGUE, YES)
    here, rows = opened(forest), households()
    assert np.array_equal(apart.answer(rows).margin, here.answer(rows).margin)
    columns = here.answer(rows).columns
    assert np.array_equal(
        apart.row_values(columns[0], columns[1:9], Contrast(0)).by_row,
        here.row_values(columns[0], columns[1:9], Contrast(0)).by_row,
    )
    apart.close()


AWKWARD = [0.0, -0.0, 1e-45, 33_333.33, float(np.float32(0.1)), 0.1, 16_777_217.0, 3e38]


@pytest.mark.parametrize("value", AWKWARD)
def test_awkward_numbers_add_up_in_single_precision(value, forest):
    rows = households()
    answer = explained(opened(forest), CATALOGUE, LINE, rows, "0" * 64)
    case = Case("A", None, {n: Value(v) for n, v in (filled(rows)[0] | {"income": value}).items()})
    assert abs(answer.attribute(case).difference) <= 1e-12


@pytest.mark.parametrize("value", [1e39, math.inf, math.nan, 10**400, "4711 secret"])
def test_numbers_the_graph_cannot_hold_are_withheld_without_quoting_them(value, forest):
    with pytest.raises(ModelFailed) as caught:
        opened(forest).answer([filled(households())[0] | {"income": value}])
    assert "4711" not in str(caught.value)


def test_a_choice_outside_the_catalogue_is_withheld(forest):
    with pytest.raises(ModelFailed, match="heating"):
        opened(forest).answer([filled(households())[0] | {"heating": "coal"}])


# -- graphs that are nothing but trees ----------------------------------------------------------

TWO = FeatureCatalogue([CATALOGUE["income"], CATALOGUE["rooms"]])
MANY = FeatureCatalogue([feature(f"n{at}", hard=(-99, 99)) for at in range(15)])


def numbers(count=200) -> np.ndarray:
    """Cents, so that many stand where single precision rounds."""
    return np.random.default_rng(2).integers(-400, 400, (count, len(MANY))) / 100


def of_numbers(
    estimator, *, by_name: bool, declared=None, target=YES, **options
) -> onnx.ModelProto:
    """Trees over fifteen numbers: one matrix, or an input for each as from a DataFrame."""
    given = numbers()
    worth = given[:, 0] * given[:, 1] + given[:, 2] - given[:, 14]
    if target.task is Task.AMOUNT:
        wanted = worth * 1000
    else:
        ends = np.quantile(worth, np.arange(1, len(target.classes)) / len(target.classes))
        wanted = np.array(target.classes)[np.digitize(worth, ends)]
    estimator = clone(estimator).fit(given, wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if by_name:
            keep = ColumnTransformer([("all", "passthrough", list(MANY.names[::-1]))])
            pipeline = Pipeline([("keep", keep), ("trees", estimator)])
            keep.fit(pd.DataFrame(given, columns=list(MANY.names)))
            types = [(name, FloatTensorType([None, 1])) for name in MANY.names]
        else:
            pipeline, types = estimator, [("x", FloatTensorType([None, len(MANY)]))]
        model = to_onnx(
            pipeline, initial_types=types, options={id(estimator): options}, target_opset=18
        )
    declared = (declared or {}) | {"columns": {} if by_name else {"x": list(MANY.names)}}
    if "raw_scores" in options:
        declared["gives"] = "log-odds"
    return declaring(model, declared)


TREES = {
    "forest": (RandomForestClassifier(n_estimators=20, random_state=3), {}),
    "forest, by class": (RandomForestClassifier(n_estimators=20, random_state=3), {"zipmap": True}),
    "one tree": (DecisionTreeClassifier(random_state=3), {"zipmap": False}),
    "boosting": (
        GradientBoostingClassifier(n_estimators=30, random_state=3),
        {"zipmap": False, "raw_scores": True},
    ),
}


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "a matrix"])
@pytest.mark.parametrize("name", TREES)
def test_a_graph_of_trees_over_many_numbers_is_explained_as_trees(name, by_name):
    estimator, options = TREES[name]
    model = opened(of_numbers(estimator, by_name=by_name, **options), MANY)
    assert isinstance(model.forms[0], Trees)
    rows = [dict(zip(MANY.names, row, strict=True)) for row in numbers(60).tolist()]
    answer = explained(model, MANY, LINE, rows, "0" * 64)
    for row in rows[:10]:
        case = Case("A", None, {n: Value(v) for n, v in row.items()})
        found = answer.attribute(case)
        assert abs(found.difference) <= 2e-6 * found.comparison.scale
        assert found.method.startswith("interventional-exact-groups")
    mine = ours(answer, rows[0], rows[1:6])
    margins = model.answer([rows[0], *rows[1:6]]).margin
    assert mine.sum() == pytest.approx(margins[0] - margins[1:].mean(), abs=1e-5)


@pytest.mark.parametrize("name", TREES)
def test_trees_equal_brute_force_through_onnxruntime(name):
    estimator, options = TREES[name]
    model = opened(of_numbers(estimator, by_name=False, **options), MANY)
    rows = [dict(zip(MANY.names, row, strict=True)) for row in numbers(60).tolist()]
    answer = explained(model, MANY, LINE, rows, "0" * 64)
    for at in (0, 7):
        # seven features differ, so that all mixtures can be asked; the others never matter
        differ = MANY.names[:6] + MANY.names[14:]
        comparison = [rows[at] | {n: row[n] for n in differ} for row in rows[20:25]]
        mine = dict(zip(MANY.names, ours(answer, rows[at], comparison), strict=True))

        def margin(mixed, at=at, differ=differ):
            return model.answer(
                [rows[at] | dict(zip(differ, row, strict=True)) for row in mixed]
            ).margins

        witness = brute_force(
            margin, [rows[at][n] for n in differ], [[row[n] for n in differ] for row in comparison]
        )
        assert [mine[n] for n in differ] == pytest.approx(witness.tolist(), abs=2e-6)
        assert all(mine[n] == 0 for n in MANY.names if n not in differ)


# -- several classes, and amounts ---------------------------------------------------------------

GIVES_AMOUNT = {"gives": "amount"}
RAW = {"zipmap": False, "raw_scores": True}
PIPELINES = {
    "several: gradient boosting": (ESTIMATORS["gradient boosting"], {}),
    "several: gradient boosting, two columns": (
        ESTIMATORS["gradient boosting"],
        {"zipmap": False},
    ),
    "several: gradient boosting, log-odds": (ESTIMATORS["gradient boosting"], RAW),
    "several: forest": (ESTIMATORS["forest"], {}),
    "several: neural network": (ESTIMATORS["neural network"], {"zipmap": False}),
    "several: logistic regression": (ESTIMATORS["logistic regression"], {}),
    "several: logistic regression, log-odds": (ESTIMATORS["logistic regression"], RAW),
    "amount: gradient boosting": (GradientBoostingRegressor(n_estimators=8, random_state=1), {}),
    "amount: forest": (RandomForestRegressor(n_estimators=8, max_depth=4, random_state=1), {}),
    "amount: neural network": (
        MLPRegressor(hidden_layer_sizes=(6,), max_iter=40, random_state=1),
        {},
    ),
    "amount: linear regression": (LinearRegression(), {}),
}


def opened_pipeline(name):
    """The pipeline, its file opened, and the pipeline's own numbers for rows."""
    estimator, options = PIPELINES[name]
    several = name.startswith("several")
    pipeline = fitted(clone(estimator), given=thirds if several else euros)
    declared = dict(DECLARED) if several else DECLARED | GIVES_AMOUNT
    if options is RAW:
        declared["gives"] = "log-odds"
    if options.get("zipmap") is False:
        declared["classes"] = list(THREE.classes)
    own = pipeline.predict_proba if several else pipeline.predict
    own = pipeline.decision_function if options is RAW else own
    model = opened(converted(pipeline, declared, **options), target=THREE if several else AMOUNT)
    return model, lambda rows: own(table(rows)).reshape(len(rows), -1)


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_of_several_classes_and_amounts_equal_brute_force(name):
    model, own = opened_pipeline(name)
    space = Space.LOG_ODDS if name.endswith("log-odds") else Space.PROBABILITY
    assert model.space is (space if name.startswith("several") else Space.AMOUNT)
    rows = filled(households())
    told = own(rows)
    size = max(1.0, abs(told).max())
    # in single precision a value may fall on the other side of a threshold; these do not
    assert model.answer(rows).margins == pytest.approx(told, abs=2e-6 * size)
    suggesting = OUTCOMES if name.startswith("several") else EUROS
    check_against_brute_force(model, line=suggesting)


FIVE = Target(Task.MULTICLASS, ("a", "b", "c", "d", "e"))
MANY_TREES = {
    "several: forest": (RandomForestClassifier(20, random_state=3), {"zipmap": False}, THREE),
    "several: forest, by class": (RandomForestClassifier(20, random_state=3), {}, THREE),
    "several: forest of five": (RandomForestClassifier(20, random_state=3), {}, FIVE),
    "several: one tree": (DecisionTreeClassifier(random_state=3), {"zipmap": False}, THREE),
    "several: boosting": (GradientBoostingClassifier(n_estimators=20, random_state=3), RAW, THREE),
    "several: boosting of five": (
        GradientBoostingClassifier(n_estimators=10, random_state=3),
        RAW,
        FIVE,
    ),
    "amount: forest": (RandomForestRegressor(20, random_state=3), {}, AMOUNT),
    "amount: extra trees": (ExtraTreesRegressor(20, random_state=3), {}, AMOUNT),
    "amount: one tree": (DecisionTreeRegressor(random_state=3), {}, AMOUNT),
    "amount: boosting": (GradientBoostingRegressor(n_estimators=30, random_state=3), {}, AMOUNT),
}


def suggesting_of(target):
    if target is AMOUNT:
        return EUROS
    return SeveralOutcomes(target.classes, target.classes[::-1])


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "a matrix"])
@pytest.mark.parametrize("name", MANY_TREES)
def test_trees_of_several_classes_and_amounts_equal_brute_force_through_onnxruntime(name, by_name):
    estimator, options, target = MANY_TREES[name]
    declared = GIVES_AMOUNT if target is AMOUNT else {}
    model = opened(
        of_numbers(estimator, by_name=by_name, declared=declared, target=target, **options),
        MANY,
        target,
    )
    assert [type(form) for form in model.forms] == [Trees] * target.outputs
    rows = [dict(zip(MANY.names, row, strict=True)) for row in numbers(60).tolist()]
    answer = explained(model, MANY, suggesting_of(target), rows, "0" * 64)
    scale = max(group.scale for group in answer.comparisons.values())
    for row in rows[:5]:
        found = answer.attribute(Case("A", None, {n: Value(v) for n, v in row.items()}))
        assert abs(found.difference) <= 2e-6 * scale
        assert found.method.startswith("interventional-exact-groups")
    for at in (0, 7):
        differ = MANY.names[:6] + MANY.names[14:]
        comparison = [rows[at] | {n: row[n] for n in differ} for row in rows[20:25]]
        mine = dict(zip(MANY.names, ours(answer, rows[at], comparison), strict=True))
        contrast = answer.contrast(rows[at])

        def margin(mixed, at=at, differ=differ, contrast=contrast):
            return model.answer(
                [rows[at] | dict(zip(differ, row, strict=True)) for row in mixed]
            ).of(contrast)

        witness = brute_force(
            margin, [rows[at][n] for n in differ], [[row[n] for n in differ] for row in comparison]
        )
        assert [mine[n] for n in differ] == pytest.approx(witness.tolist(), abs=2e-6 * scale)
        assert all(mine[n] == 0 for n in MANY.names if n not in differ)


def test_each_class_has_only_the_trees_that_give_it_something():
    estimator, options, target = MANY_TREES["several: boosting of five"]
    model = opened(of_numbers(estimator, by_name=False, target=target, **options), MANY, target)
    assert [len(form.roots) for form in model.forms] == [10] * 5


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
def test_amounts_of_trees_are_put_together_as_onnxruntime_does(aggregate):
    """Or the graph stays known by its answers; one million more, to see the scale as well."""
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["amount"],
        domain="ai.onnx.ml",
        nodes_treeids=[0, 0, 0, 1, 1, 1],
        nodes_nodeids=[0, 1, 2, 0, 1, 2],
        nodes_featureids=[0, 0, 0, 1, 0, 0],
        nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"] * 2,
        nodes_values=[0.5, 0, 0, 2.5, 0, 0],
        nodes_truenodeids=[1, 0, 0] * 2,
        nodes_falsenodeids=[2, 0, 0] * 2,
        target_treeids=[0, 0, 1, 1],
        target_nodeids=[1, 2, 1, 2],
        target_ids=[0] * 4,
        target_weights=[100.0, 250.0, -30.0, 80.0],
        n_targets=1,
        base_values=[1000.0],
        aggregate_function=aggregate,
    )
    declared = GIVES_AMOUNT | {"columns": {"x": ["income", "rooms"]}}
    output = value("amount", TensorProto.FLOAT, "N", 1)
    model = opened(graph(nodes=[node], output=output, declared=declared), TWO, AMOUNT)
    assert isinstance(model.forms[0], Trees) is (aggregate in ("SUM", "AVERAGE"))
    rows = [{"income": a, "rooms": b} for a in (0.0, 1.0) for b in (2.0, 3.0)]
    answer = model.answer(rows)
    put = {"SUM": sum, "AVERAGE": np.mean, "MIN": min, "MAX": max}[aggregate]
    expected = [1000 + put([a, b]) for a in (100, 250) for b in (-30, 80)]
    assert answer.margin.tolist() == expected
    if aggregate in ("SUM", "AVERAGE"):
        assert model.forms[0].sums(answer.columns).tolist() == expected


def softmax_of(values) -> np.ndarray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def test_scores_that_are_not_what_is_declared_are_withheld():
    raw = fitted(clone(ESTIMATORS["gradient boosting"]), given=thirds)
    undeclared = opened(converted(raw, **RAW), target=THREE)
    with pytest.raises(ModelFailed, match="of 3 classes"):
        undeclared.answer(filled(households()))
    told = opened(converted(raw, DECLARED | {"gives": "log-odds"}, **RAW), target=THREE)
    rows = filled(households())
    assert softmax_of(told.answer(rows).margins) == pytest.approx(
        raw.predict_proba(table(rows)), abs=1e-6
    )


OTHER_KINDS = {
    "two classes for three": ("several", YES, "classes are"),
    "three classes in another order": (
        "several",
        Target(Task.MULTICLASS, ("yes", "part", "no")),
        "classes are",
    ),
    "four classes for three": (
        "several",
        Target(Task.MULTICLASS, ("maybe", "no", "part", "yes")),
        "classes are",
    ),
    "classes for an amount": ("several", AMOUNT, "gives is not amount|names classes"),
    "an amount for classes": ("amount", THREE, "gives is not"),
    "an amount that does not say so": ("silent", AMOUNT, "one number a row"),
    "an amount with classes": ("amount with classes", AMOUNT, "names classes"),
    "two amounts": ("two amounts", AMOUNT, r"\[Nx2\]"),
    "scores of two for three": ("two scores", THREE, r"\[Nx2\]"),
}


@pytest.mark.parametrize("name", OTHER_KINDS)
def test_a_graph_of_another_kind_is_refused_by_name(name):
    made, target, says = OTHER_KINDS[name]
    several = made in ("several", "two scores")
    if made in ("two amounts", "two scores"):
        output = value("y", TensorProto.FLOAT, "N", 2)
        node = helper.make_node("Identity", ["x"], ["y"])
        declared = {"columns": {"x": ["income", "rooms"]}}
        declared |= {"classes": list(THREE.classes)} if several else GIVES_AMOUNT
        model, catalogue = graph(nodes=[node], output=output, declared=declared), TWO
    else:
        estimator = LogisticRegression() if several else LinearRegression()
        declared = dict(DECLARED) if several or made == "silent" else DECLARED | GIVES_AMOUNT
        if made == "amount with classes":
            declared["classes"] = list(THREE.classes)
        pipeline = fitted(estimator, given=thirds if several else euros)
        model, catalogue = converted(pipeline, declared), CATALOGUE
    with pytest.raises(ArtefactRefused, match=says) as caught:
        opened(model, catalogue, target)
    assert caught.value.mend


def tree(mode, tracks=0, **changes) -> onnx.ModelProto:
    """One tree over two numbers, with every kind of test."""
    given = {
        "nodes_treeids": [0] * 5,
        "nodes_nodeids": [0, 1, 2, 3, 4],
        "nodes_featureids": [0, 1, 0, 0, 0],
        "nodes_modes": [mode, mode, "LEAF", "LEAF", "LEAF"],
        "nodes_values": [0.5, 0.1, 0.0, 0.0, 0.0],
        "nodes_truenodeids": [1, 3, 0, 0, 0],
        "nodes_falsenodeids": [2, 4, 0, 0, 0],
        "nodes_missing_value_tracks_true": [tracks, 1 - tracks, 0, 0, 0],
        "class_treeids": [0] * 6,
        "class_nodeids": [2, 2, 3, 3, 4, 4],
        "class_ids": [0, 1] * 3,
        "class_weights": [0.9, 0.1, 0.6, 0.4, 0.2, 0.8],
        "classlabels_strings": ["no", "yes"],
        "post_transform": "NONE",
    } | changes
    node = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "probabilities"], domain="ai.onnx.ml", **given
    )
    return graph(nodes=[node], declared={"columns": {"x": ["income", "rooms"]}})


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_GTE"]


@pytest.mark.parametrize("tracks", [0, 1])
@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_test_is_read_as_onnxruntime_reads_it(mode, tracks):
    model = opened(tree(mode, tracks), TWO)
    assert isinstance(model.forms[0], Trees)
    tenth = float(np.float32(0.1))
    edges = [0.5, math.nextafter(0.5, 0), 0.5000001, 0.1, tenth, math.nextafter(tenth, 1)]
    edges += [-1.0, 9.0, None]
    rows = [{"income": a, "rooms": b} for a in edges for b in edges]
    answer = model.answer(rows)
    assert abs(model.forms[0].sums(answer.columns) - answer.margin).max() < 1e-6
    assert len(set(answer.margin.tolist())) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"nodes_modes": ["BRANCH_EQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"]},
        {"post_transform": "LOGISTIC"},
        {"post_transform": "SOFTMAX"},
    ],
)
def test_trees_that_are_something_more_are_known_by_their_answers(changes):
    assert isinstance(opened(tree("BRANCH_LEQ", **changes), TWO).forms[0], Function)


def in_pipeline(mode, **changes) -> onnx.ModelProto:
    """The same trees behind a step of preparation, so that they are known by their answers."""
    model = tree(mode, **changes)
    model.graph.node[0].input[0] = "scaled"
    scaler = helper.make_node(
        "Scaler", ["x"], ["scaled"], domain="ai.onnx.ml", offset=[0.0, 0.0], scale=[1.0, 1.0]
    )
    model.graph.node.insert(0, scaler)
    return model


CIRCLES = {
    "its own child": {"nodes_truenodeids": [0, 3, 0, 0, 0]},
    "a circle": {"nodes_truenodeids": [1, 0, 0, 0, 0]},
    "a circle beside the root": {
        "nodes_modes": ["LEAF", "BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [0, 2, 1, 0, 0],
        "nodes_falsenodeids": [0, 3, 4, 0, 0],
    },
    "a node with two parents": {"nodes_truenodeids": [1, 2, 0, 0, 0]},
    "child outside": {"nodes_truenodeids": [1, 9, 0, 0, 0]},
    "fewer children than nodes": {"nodes_truenodeids": [1, 3]},
}


@pytest.mark.parametrize("make", [tree, in_pipeline])
@pytest.mark.parametrize("name", CIRCLES)
def test_trees_are_looked_through_before_onnxruntime_walks_them(name, make, monkeypatch):
    """It walks a circle for ever; found by flipping bits."""
    assert opened(make("BRANCH_LEQ"), TWO)
    monkeypatch.setattr(from_onnx, "_session", lambda data: pytest.fail("it was loaded"))
    with pytest.raises(ArtefactRefused, match="points outside itself"):
        opened(make("BRANCH_LEQ", **CIRCLES[name]), TWO)


def test_trees_behind_a_preparation_are_known_by_their_answers():
    assert isinstance(opened(in_pipeline("BRANCH_LEQ"), TWO).forms[0], Function)


CROOKED = {
    "child outside": {"nodes_truenodeids": [1, 9, 0, 0, 0]},
    "child far outside": {"nodes_falsenodeids": [2, 2**40, 0, 0, 0]},
    "its own child": {"nodes_truenodeids": [0, 3, 0, 0, 0]},
    "a circle": {"nodes_truenodeids": [1, 0, 0, 0, 0]},
    "a column outside": {"nodes_featureids": [0, 7, 0, 0, 0]},
    "a column below": {"nodes_featureids": [0, -1, 0, 0, 0]},
    "a node twice": {"nodes_nodeids": [0, 1, 2, 3, 3]},
    "a weight of nobody": {"class_nodeids": [2, 2, 3, 3, 4, 44]},
    "fewer thresholds than nodes": {"nodes_values": [0.5, 0.1, 0.0, 0.0]},
    "fewer weights than leaves": {"class_weights": [0.9, 0.1]},
    "a threshold that is none": {"nodes_values": [float("nan"), 0.1, 0.0, 0.0, 0.0]},
    "a weight that is none": {"class_weights": [0.9, float("nan"), 0.6, 0.4, 0.2, 0.8]},
}


@pytest.mark.parametrize("name", CROOKED)
def test_trees_that_point_outside_themselves_are_refused(name):
    """In a process of its own: what onnxruntime makes of them is not our matter."""
    data = tree("BRANCH_LEQ", **CROOKED[name]).SerializeToString()
    with pytest.raises(ArtefactRefused):
        open_apart("onnx", data, TWO, YES)


# -- graphs made by hand ------------------------------------------------------------------------


def value(name, element, *shape):
    return helper.make_tensor_value_info(name, element, list(shape))


def graph(
    inputs=None,
    output=None,
    nodes=(),
    initial=(),
    domains=(("", 18), ("ai.onnx.ml", 3)),
    declared=None,
) -> onnx.ModelProto:
    """A logistic model over two numbers: columns of one matrix, or inputs of their own."""
    inputs = inputs or [value("x", TensorProto.FLOAT, "N", 2)]
    output = output or value("probabilities", TensorProto.FLOAT, "N", 2)
    nodes = list(nodes) or [
        helper.make_node(
            "LinearClassifier",
            ["x"],
            ["label", "probabilities"],
            domain="ai.onnx.ml",
            coefficients=[-0.3, 0.2, 0.3, -0.2],
            intercepts=[0.1, -0.1],
            classlabels_strings=["no", "yes"],
            post_transform="SOFTMAX",
        )
    ]
    made = helper.make_model(
        helper.make_graph(nodes, "g", inputs, [output], list(initial)),
        opset_imports=[helper.make_opsetid(*one) for one in domains],
        ir_version=8,
    )
    return declaring(made, declared)


BOTH = {"columns": {"x": ["income", "rooms"]}, "stand_ins": {"rooms": 3}}


def test_columns_of_one_matrix_are_named_by_the_file():
    rows = [{"income": float(at % 7), "rooms": float(at % 3)} for at in range(40)]
    check = opened(graph(declared=BOTH), TWO)
    other = opened(graph(declared={"columns": {"x": ["rooms", "income"]}}), TWO)
    turned = [{"income": row["rooms"], "rooms": row["income"]} for row in rows]
    assert check.answer(rows).margin.tolist() == other.answer(turned).margin.tolist()
    expected = 1 / (1 + np.exp(-2 * (0.3 * 1.0 - 0.2 * 2.0 - 0.1)))
    given = check.answer([{"income": 1.0, "rooms": 2.0}]).margin
    assert given == pytest.approx([expected], abs=1e-6)


def test_a_matrix_that_does_not_name_its_columns_is_refused():
    """The order of the catalogue may be theirs, or may not."""
    with pytest.raises(ArtefactRefused) as caught:
        opened(graph(), TWO)
    assert "says of none which feature it is" in caught.value.what
    assert "metadata_props" in caught.value.mend


def one_number(declared) -> onnx.ModelProto:
    """A graph with a single score, the sum of whole numbers in one and decimals in another."""
    return graph(
        [value("income", TensorProto.DOUBLE, "N"), value("rooms", TensorProto.INT64, "N", 1)],
        value("score", TensorProto.DOUBLE, "N"),
        [
            helper.make_node("Cast", ["rooms"], ["r"], to=TensorProto.DOUBLE),
            helper.make_node("Squeeze", ["r", "axis"], ["flat"]),
            helper.make_node("Sub", ["income", "flat"], ["score"]),
        ],
        [numpy_helper.from_array(np.array([1]), "axis")],
        declared=declared,
    )


ONE = {"gives": "log-odds", "classes": ["no", "yes"]}


def test_one_score_whole_numbers_and_double_precision():
    model = opened(one_number(ONE), TWO)
    assert model.answer([{"income": 0.1, "rooms": 3}]).margin.tolist() == [0.1 - 3]
    assert model.space is Space.LOG_ODDS
    for rooms in (2.5, None):
        with pytest.raises(ModelFailed, match="rooms"):
            model.answer([{"income": 0.1, "rooms": rooms}])


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        (None, "does not name its classes"),
        ({"classes": ["no", "yes"]}, "one number a row"),
        (ONE | {"classes": ["yes", "no"]}, "classes are"),
        (ONE | {"classes": ["a", "b", "yes"]}, "classes are"),
        (ONE | {"gives": "amount"}, "gives is not"),
        (ONE | {"note": "x"}, "note is not known"),
        (ONE | {"columns": {"y": ["rooms"]}}, "columns.y is not known"),
        (ONE | {"columns": {"income": ["rooms"]}}, "More than one column"),
        (ONE | {"stand_ins": {"age": 3}}, "stand_ins.age is not known"),
        (ONE | {"stand_ins": {"rooms": "gas"}}, "stand_ins.rooms is not a number"),
    ],
)
def test_what_a_file_declares_is_read_strictly(declared, says):
    with pytest.raises(ArtefactRefused) as caught:
        opened(one_number(declared), TWO)
    assert says in caught.value.what


def test_a_score_that_is_no_probability_is_withheld():
    model = opened(one_number(ONE | {"gives": "probability"}), TWO)
    with pytest.raises(ModelFailed, match="no probability"):
        model.answer([{"income": 7.0, "rooms": 3}])


# -- what is refused ----------------------------------------------------------------------------


def outside() -> onnx.ModelProto:
    tensor = TensorProto(name="axis", data_type=TensorProto.INT64, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model = one_number(ONE)
    del model.graph.initializer[:]
    model.graph.initializer.append(tensor)
    return model


def outside_in_a_constant() -> onnx.ModelProto:
    model = outside()
    tensor = model.graph.initializer.pop()
    model.graph.node.insert(0, helper.make_node("Constant", [], ["axis"], value=tensor))
    return model


def outside_in_a_branch() -> onnx.ModelProto:
    model = outside_in_a_constant()
    branch = helper.make_graph(
        [model.graph.node.pop(0)], "b", [], [value("axis", TensorProto.INT64, 1)]
    )
    model.graph.node.insert(
        0,
        helper.make_node("If", ["yes"], ["axis"], then_branch=branch, else_branch=branch),
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    return model


def of_domain(domain) -> onnx.ModelProto:
    model = one_number(ONE)
    model.graph.node[-1].domain = domain
    return model


def by_chance() -> onnx.ModelProto:
    model = one_number(ONE)
    model.graph.node.append(helper.make_node("RandomNormal", [], ["noise"], shape=[1]))
    return model


def with_function() -> onnx.ModelProto:
    model = one_number(ONE)
    node = helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(
        helper.make_function("own", "Same", ["a"], ["b"], [node], [helper.make_opsetid("", 18)])
    )
    return model


def nested(depth) -> onnx.ModelProto:
    inner = helper.make_graph([], "g", [], [])
    for _ in range(depth):
        inner = helper.make_graph([helper.make_node("Loop", ["n"], ["x"], body=inner)], "g", [], [])
    model = one_number(ONE)
    model.graph.node.append(inner.node[0])
    return model


def inputs(*given) -> onnx.ModelProto:
    return graph(list(given), declared=BOTH)


REFUSED = {
    "data in another file": (outside, "another file"),
    "data in another file, in a constant": (outside_in_a_constant, "another file"),
    "data in another file, in a branch": (outside_in_a_branch, "another file"),
    "a domain of one's own": (lambda: of_domain("com.example"), "com.example"),
    "Microsoft's domain": (lambda: of_domain("com.microsoft"), "com.microsoft"),
    "a domain imported only": (
        lambda: graph(domains=[("", 18), ("ai.onnx.ml", 3), ("own", 1)], declared=BOTH),
        "own",
    ),
    "chance": (by_chance, "RandomNormal"),
    "a function of its own": (with_function, "functions of its own"),
    "nested too deep": (lambda: nested(12), "nested"),
    "rows of fixed number": (lambda: inputs(value("x", TensorProto.FLOAT, 1, 2)), "open number"),
    "three axes": (lambda: inputs(value("x", TensorProto.FLOAT, "N", 2, 1)), "open number"),
    "columns of open number": (
        lambda: inputs(value("x", TensorProto.FLOAT, "N", "M")),
        "open number",
    ),
    "text for numbers": (lambda: inputs(value("x", TensorProto.STRING, "N", 2)), "of a type"),
    "truth for numbers": (lambda: inputs(value("x", TensorProto.BOOL, "N", 2)), "of a type"),
    "an input nobody knows": (
        lambda: inputs(*(value(name, TensorProto.FLOAT, "N", 2) for name in "xy")),
        "Input y has 2 columns",
    ),
    "a feature nobody takes": (
        lambda: graph(
            [value("x", TensorProto.FLOAT, "N", 1)], declared={"columns": {"x": ["income"]}}
        ),
        "does not know rooms",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_plain_is_refused_by_name(name):
    make, says = REFUSED[name]
    with pytest.raises(ArtefactRefused) as caught:
        opened(make(), TWO)
    assert says in caught.value.what
    assert caught.value.mend


def test_numbers_for_a_choice_are_refused(pipelines):
    model = converted(pipelines["forest"])
    numbers = FeatureCatalogue(
        [CATALOGUE["income"] if n == "x" else CATALOGUE[n] for n in CATALOGUE.names]
    )
    assert opened(model, numbers)
    for port in model.graph.input:
        if port.name == "heating":
            port.type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(ArtefactRefused, match="heating"):
        opened(model)


@pytest.mark.parametrize("positive", ["no", "", "YES"])
def test_the_second_class_is_the_positive_one_or_it_is_refused(positive, forest):
    with pytest.raises(ArtefactRefused, match="classes"):
        opened(forest, target=two("no", positive))


def test_classes_by_number_are_matched_as_text():
    rows = filled(households(300))
    pipeline = Pipeline(fitted(LogisticRegression()).steps)
    pipeline.fit(table(rows), (labels(rows) == "yes").astype(int))
    model = opened(converted(pipeline), target=two("0", "1"))
    own = pipeline.predict_proba(table(rows))[:, 1]
    assert abs(model.answer(rows).margin - own).max() < 1e-5
    with pytest.raises(ArtefactRefused, match="classes"):
        opened(converted(pipeline), target=YES)


def test_three_classes_and_amounts_are_refused_by_name():
    rows = filled(households(300))
    three = np.array(["a", "b", "c"] * 100)
    pipeline = Pipeline(fitted(LogisticRegression()).steps).fit(table(rows), three)
    with pytest.raises(ArtefactRefused, match="'a', 'b', 'c'"):
        opened(converted(pipeline), target=two("a", "c"))
    amounts = Pipeline([*fitted(LogisticRegression()).steps[:1], ("line", LinearRegression())])
    amounts.fit(table(rows), np.arange(300.0))
    with pytest.raises(ArtefactRefused) as caught:
        opened(converted(amounts, DECLARED | {"classes": ["no", "yes"]}))
    assert "amount" in caught.value.what + caught.value.mend


def test_classes_that_contradict_the_graph_are_refused(forest):
    model = declaring(forest, DECLARED | {"classes": ["nein", "yes"]})
    with pytest.raises(ArtefactRefused, match="nein"):
        opened(model)


def test_a_part_that_stands_twice_is_refused(forest):
    """Protocol buffers merge it, other readers take the last: two graphs in one file."""
    data = forest.SerializeToString()
    tail = onnx.ModelProto(graph=onnx.GraphProto(name="other")).SerializeToString()
    with pytest.raises(ArtefactRefused, match="twice"):
        opened(data + tail)


@pytest.mark.parametrize("data", [b"", b"\x00", b"Das ist kein Modell.", b"ORTM" * 9, b"\xff" * 40])
def test_what_is_no_onnx_file_is_refused(data):
    with pytest.raises(ArtefactRefused, match="no ONNX file"):
        open_model("onnx", data, CATALOGUE, YES)


@pytest.mark.parametrize("protocol", range(6))
def test_a_renamed_pickle_is_refused(protocol, pipelines):
    data = pickle.dumps(pipelines["logistic regression"], protocol)
    with pytest.raises(ArtefactRefused):
        open_model("onnx", data, CATALOGUE, YES)


@pytest.mark.parametrize("kind", ["a pipeline", "trees"])
@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_file_gives_our_errors_only(count, kind, forest):
    """In this process: none of them crashed onnxruntime. In service each has its own."""
    model, catalogue, rows = forest, CATALOGUE, filled(households())[:4]
    if kind == "trees":
        estimator = RandomForestClassifier(n_estimators=10, random_state=1)
        model, catalogue = of_numbers(estimator, by_name=False), MANY
        rows = [dict(zip(MANY.names, row, strict=True)) for row in numbers(4).tolist()]
    met = {"refused": 0, "failed": 0, "answered": 0}  # rightly or not: the test below tells
    for damaged in damages(model.SerializeToString(), count):
        try:
            opened(damaged, catalogue).answer(rows)
        except ArtefactRefused:
            met["refused"] += 1
        except ExplainerError:
            met["failed"] += 1
        else:
            met["answered"] += 1
    assert sum(met.values()) == count
    assert met["refused"] > 0


def as_package(folder: Path, estimator) -> Path:
    """A whole package around a graph, recorded cases and comparison rows by the pipeline it was
    converted from; nothing is missing."""
    rows = demo_rows()[list(SMALL)]
    rows = rows.fillna({"tenure": 4.0, "job_lost_by": rows["job_lost_by"].mode()[0]})
    columns = ColumnTransformer(
        [
            ("numbers", "passthrough", ["age", "tenure"]),
            ("choices", OneHotEncoder(sparse_output=False), ["married", "job_lost_by"]),
        ]
    )
    pipeline = Pipeline([("columns", columns), ("estimator", estimator)])
    pipeline.fit(rows, small_labels(rows))
    types = [
        (
            name,
            StringTensorType([None, 1])
            if rows[name].dtype == object
            else FloatTensorType([None, 1]),
        )
        for name in rows
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {id(pipeline[-1]): {"raw_scores": True, "zipmap": False}}
        graph = to_onnx(pipeline, initial_types=types, options=options, target_opset=18)
    stand_ins = {"tenure": 4, "job_lost_by": rows["job_lost_by"].mode()[0]}
    graph = declaring(
        graph, {"classes": ["no", "yes"], "gives": "log-odds", "stand_ins": stand_ins}
    )
    small = SmallModel(pipeline, b"", rows)
    return write_package(
        folder,
        small,
        manifest=lambda text: text.replace('"skops"', '"onnx"').replace(".skops", ".onnx"),
        files={"model.skops": None, "model.onnx": graph.SerializeToString()},
    )


@pytest.mark.parametrize("seeds", SEEDS, ids=["20", "200"])
def test_a_damaged_graph_that_is_sealed_again_is_refused_or_answers_as_before(seeds, tmp_path):
    folder = as_package(
        tmp_path / "small_benefit", GradientBoostingClassifier(n_estimators=12, random_state=1)
    )
    (tmp_path / "scratch").mkdir()
    check_counts(check_resealed(folder, tmp_path / "scratch", seeds), len(seeds))
