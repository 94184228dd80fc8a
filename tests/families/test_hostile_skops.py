"""A skops file of known types whose attributes lie: refused before the model is asked anything."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib  # noqa: TID251 - the attack these tests are about
import numpy as np
import pandas as pd
import pytest
import skops.io
from factories import YES, choice, feature
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_array

from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactRefused, PackageFaulty
from explainer.families import skops_file
from explainer.families.artefacts import open_model
from explainer.packages.package import PLACES, read_files
from explainer.packages.scaffold import seal

CATALOGUE = FeatureCatalogue(
    [
        feature("income", hard=(0, 99_999)),
        feature("rooms", hard=(0, 99)),
        feature("age", hard=(0, 120)),
        choice("heating", "gas", "oil", "wood", "other"),
    ]
)
NUMBERS = ["income", "rooms", "age"]


def rows() -> pd.DataFrame:
    random = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "income": random.integers(0, 3000, 200).astype(float),
            "rooms": random.integers(1, 7, 200).astype(float),
            "age": random.integers(18, 90, 200).astype(float),
            "heating": pd.Series(random.choice(["gas", "oil", "wood", "other"], 200), dtype=object),
        }
    )


def raw() -> list[dict[str, Any]]:
    return rows().to_dict("records")


def preparation(**how: Any) -> ColumnTransformer:
    return ColumnTransformer(
        [
            ("numbers", StandardScaler(), NUMBERS),
            ("words", OneHotEncoder(handle_unknown="ignore"), ["heating"]),
        ],
        **how,
    )


def fitted(model: Any, before: ColumnTransformer | None = None) -> Pipeline:
    data = rows()
    worth = data["income"] / 1000 - data["rooms"] * 0.4 + (data["heating"] == "oil")
    pipeline = Pipeline([("columns", before or preparation()), ("model", model)])
    return pipeline.fit(data, np.where(worth > worth.median(), "yes", "no"))


def opened(pipeline: Pipeline, catalogue: FeatureCatalogue = CATALOGUE):
    return open_model("skops", skops.io.dumps(pipeline), catalogue, YES)


def refused(pipeline: Pipeline, catalogue: FeatureCatalogue = CATALOGUE) -> str:
    with pytest.raises(ArtefactRefused) as caught:
        opened(pipeline, catalogue)
    assert caught.value.mend
    return caught.value.what


def stacked() -> Pipeline:
    inner = Pipeline([("scaled", StandardScaler()), ("weighed", LogisticRegression())])
    return fitted(StackingClassifier([("inner", inner)], stack_method="predict_proba", cv=3))


def voting(inner: Any) -> VotingClassifier:
    return VotingClassifier([("inner", inner)], voting="soft")


# -- code ---------------------------------------------------------------------------------------


class Leaves:
    """When unpickled, makes a folder: the harmless stand-in of an attack."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self):
        return (Path.mkdir, (self._mark,))


def test_a_program_in_a_folder_beside_the_model_is_not_run(tmp_path):
    """A stack asks a method by a name from the file, and a pipeline reads back what it stored."""
    mark, folder = tmp_path / "mark", tmp_path / "stored"
    pipeline = stacked()
    prepared = pipeline[0].transform(rows())
    crafted = Pipeline([("a", StandardScaler()), ("b", MaxAbsScaler())], memory=str(folder))
    crafted.fit_transform(prepared)
    stored = list(folder.rglob("output.pkl"))
    for path in stored:
        joblib.dump(Leaves(mark), path)
    assert stored
    pipeline[-1].estimators_ = [crafted]
    pipeline[-1].stack_method_ = ["fit_transform"]
    refused(pipeline)
    assert not mark.exists()
    with pytest.raises(TypeError):  # without this, the test would prove nothing
        crafted.fit_transform(prepared)
    assert mark.exists()


@pytest.mark.parametrize("method", ["fit_transform", "fit", "score", "__reduce__", None, 7])
def test_a_stack_asks_its_models_for_their_answer_only(method):
    pipeline = stacked()
    pipeline[-1].stack_method_ = [method]
    assert "stack_method_" in refused(pipeline)


@pytest.mark.parametrize("memory", ["/tmp", "", 0, {"a": 1}])
def test_a_folder_of_stored_results_is_refused_wherever_it_stands(memory):
    pipeline = stacked()
    pipeline[-1].estimators_[0].memory = memory
    assert "memory" in refused(pipeline)
    pipeline = stacked()
    pipeline.memory = memory
    assert "memory" in refused(pipeline)


def hide_in_list(model: Any, hidden: Any) -> None:
    model.unused = [1, (hidden,)]


def hide_in_dict(model: Any, hidden: Any) -> None:
    model.unused = {"a": {"b": hidden}}


def hide_in_array(model: Any, hidden: Any) -> None:
    model.unused = np.array([None, hidden], dtype=object)


@pytest.mark.parametrize("hide", [hide_in_list, hide_in_dict, hide_in_array])
def test_every_corner_of_a_model_is_looked_into(hide):
    pipeline = fitted(LogisticRegression())
    hide(pipeline[-1], Pipeline([("a", MaxAbsScaler()), ("b", MaxAbsScaler())], memory="x"))
    assert "memory" in refused(pipeline)


@pytest.mark.parametrize("name", ["predict_proba", "decision_function", "_validate_params"])
def test_an_attribute_in_the_place_of_a_method_is_refused(name):
    pipeline = fitted(LogisticRegression())
    setattr(pipeline[-1], name, [0.5])
    assert name in refused(pipeline)


def test_an_attribute_in_the_place_of_a_property_is_refused():
    pipeline = fitted(voting(LogisticRegression()))
    vars(pipeline[-1])["n_features_in_"] = 7
    assert "n_features_in_" in refused(pipeline)


FUNCTIONS = {
    "by itself": check_array,
    "with a value for what it looks at": partial(check_array, [1.0]),
    "told something strange": partial(check_array, estimator="x"),
}


@pytest.mark.parametrize("which", FUNCTIONS)
@pytest.mark.parametrize("name", ["func", "inverse_func"])
def test_of_all_functions_only_the_look_at_an_array_is_taken(which, name):
    before = preparation()
    pipeline = fitted(LogisticRegression(), before)
    pipeline[-1].unused = FunctionTransformer(**{name: FUNCTIONS[which]})
    refused(pipeline)


def test_a_model_starts_no_process_and_prints_nothing(capsys):
    pipeline = fitted(
        RandomForestClassifier(4, n_jobs=2, random_state=1), preparation(n_jobs=2, verbose=False)
    )
    pipeline.set_params(model__verbose=3, verbose=True)
    model = opened(pipeline)
    for thing in skops_file.objects_in(model._preparation):
        assert getattr(thing, "n_jobs", None) is None
    assert model._preparation.n_jobs is None
    expected = fitted(RandomForestClassifier(4, random_state=1)).predict_proba(rows())[:, 1]
    assert model.answer(raw()).margin == pytest.approx(expected)
    told = capsys.readouterr()
    assert "Parallel" not in told.out + told.err


# -- one description, read in two ways ----------------------------------------------------------


def schema_of(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found: dict[str, Any] = json.loads(archive.read("schema.json"))
        return found


def with_schema(data: bytes, schema: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(buffer, "w") as new:
        for name in archive.namelist():
            new.writestr(name, json.dumps(schema) if name == "schema.json" else archive.read(name))
    return buffer.getvalue()


@pytest.mark.parametrize("protocol", [0, 1, 3, True, 2.0, "2", None, -1])
def test_only_the_current_protocol_is_read(protocol):
    data = skops.io.dumps(fitted(LogisticRegression()))
    schema = schema_of(data)
    skops_file.load(with_schema(data, schema))
    with pytest.raises(ArtefactRefused, match="generation"):
        skops_file.load(with_schema(data, {**schema, "protocol": protocol}))


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_function_with_a_second_name_is_refused(protocol):
    data = skops.io.dumps(FunctionTransformer())
    schema = schema_of(data)
    schema["protocol"] = protocol
    schema["content"]["content"]["func"] = {
        "__class__": "check_array",
        "__module__": "sklearn.utils.validation",
        "__loader__": "FunctionNode",
        "__id__": 987_654,
        "content": {"module_path": "os", "function": "system"},
    }
    with pytest.raises(ArtefactRefused):
        skops_file.load(with_schema(data, schema))


# -- files of a package -------------------------------------------------------------------------

SHIPPED = Path(__file__).parents[2] / "models"


@pytest.mark.parametrize("name", ["unemployment_benefit", "mortgage_guarantee"])
def test_every_file_of_a_shipped_package_has_its_place(name):
    assert all(PLACES.fullmatch(file) for file in read_files(SHIPPED / name).data)


STRANGERS = {
    "golden/c/joblib/output.pkl": b"{}",
    "golden/output.pkl": b"{}",
    "golden/metadata.json": b"\x80\x04N.",
    "notes.txt": b"\x80\x04N.",
    "golden/c/notes.txt": b"a",
    "module.py": b"",
    "library.so": b"\x7fELF",
    "locales/en/wording.mo": b"a",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_file_no_package_needs_is_named(name, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(SHIPPED / "unemployment_benefit", folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(STRANGERS[name])
    seal(folder)
    with pytest.raises(PackageFaulty) as caught:
        read_files(folder)
    assert {fault.where for fault in caught.value.faults} == {name}


# -- trees inside other models -------------------------------------------------------------------

ROUND = {
    "voting": lambda inner: voting(inner),
    "calibrated": lambda inner: CalibratedClassifierCV(inner, cv=2),
    "stacked": lambda inner: StackingClassifier([("inner", inner)], cv=2),
    "the last of a stack": lambda inner: StackingClassifier(
        [("weighed", LogisticRegression())], final_estimator=inner, cv=2
    ),
}
INNER = {
    "tree": lambda: DecisionTreeClassifier(max_depth=3, random_state=1),
    "forest": lambda: RandomForestClassifier(3, max_depth=3, random_state=1),
    "booster": lambda: GradientBoostingClassifier(n_estimators=3, random_state=1),
    "histograms": lambda: HistGradientBoostingClassifier(max_iter=3, random_state=1),
}
WRONG = {
    "a child far away": ("left_child", "left", 10**7),
    "a circle": ("right_child", "right", 0),
    "a column far away": ("feature", "feature_idx", 10**6),
    "a column one too far": ("feature", "feature_idx", 7),
}


def fitted_inside(around: str, inner: str) -> Pipeline:
    return fitted(ROUND[around](INNER[inner]()), preparation(sparse_threshold=0))


@pytest.mark.parametrize("around", ROUND)
@pytest.mark.parametrize("inner", INNER)
def test_a_sound_model_inside_another_is_taken(around, inner):
    pipeline = fitted_inside(around, inner)
    expected = pipeline.predict_proba(rows())[:, 1]
    assert opened(pipeline).answer(raw()).margin == pytest.approx(expected)


@pytest.mark.parametrize("around", ROUND)
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("wrong", WRONG)
def test_a_tree_inside_another_model_is_looked_at(around, inner, wrong):
    pipeline = fitted_inside(around, inner)
    of_tree, of_histogram, number = WRONG[wrong]
    changed = 0
    for thing in skops_file.objects_in(pipeline[-1]):
        if type(thing).__name__ == "Tree":
            state = thing.__getstate__()
            nodes = state["nodes"].copy()
            nodes[of_tree][0] = number
            thing.__setstate__({**state, "nodes": nodes})
            changed += 1
        elif type(thing).__name__ == "TreePredictor":
            thing.nodes[of_histogram][0] = number
            changed += 1
    assert changed
    assert "tree" in refused(pipeline)


@pytest.mark.parametrize("inner", ["tree", "forest", "booster"])
def test_a_model_inside_says_how_many_columns_it_takes(inner):
    pipeline = fitted_inside("voting", inner)
    del pipeline[-1].estimators_[0].n_features_in_
    assert "columns" in refused(pipeline)


def test_a_tree_of_no_known_model_is_refused():
    pipeline = fitted_inside("voting", "tree")
    pipeline[-1].unused = pipeline[-1].estimators_[0].tree_
    opened(pipeline)
    pipeline[-1].estimators_, pipeline[-1].named_estimators_ = [LogisticRegression()], {}
    assert "belongs to no model" in refused(pipeline)


# -- what a margin is -----------------------------------------------------------------------------


def test_a_booster_whose_margin_is_half_the_log_odds_is_refused():
    assert "exponential" in refused(fitted(GradientBoostingClassifier(loss="exponential")))


def test_a_booster_that_only_says_it_has_the_common_loss_is_refused():
    pipeline = fitted(GradientBoostingClassifier(loss="exponential", n_estimators=3))
    pipeline[-1].loss = "log_loss"
    assert "log-odds" in refused(pipeline)


def test_a_booster_that_starts_from_chance_is_refused():
    chance = DummyClassifier(strategy="stratified")
    assert "chance" in refused(fitted(GradientBoostingClassifier(init=chance, n_estimators=3)))


# -- right sums, wrong names ----------------------------------------------------------------------


def apart() -> ColumnTransformer:
    """A step for each number, so that two can be mistaken for each other."""
    return ColumnTransformer(
        [
            *((name, StandardScaler(), [name]) for name in NUMBERS),
            ("words", OneHotEncoder(sparse_output=False), ["heating"]),
        ]
    )


def test_columns_named_in_two_ways_are_refused():
    pipeline = fitted(LogisticRegression(), apart())
    first, second, *rest = pipeline[0].transformers_
    pipeline[0].transformers_ = [(*first[:2], ["rooms"]), (*second[:2], ["income"]), *rest]
    assert "two ways" in refused(pipeline)


def test_an_encoder_that_says_another_width_is_refused():
    pipeline = fitted(LogisticRegression(), apart())
    pipeline[0].named_transformers_["words"]._n_features_outs = [3]
    assert "number of columns" in refused(pipeline)


def exchange_places(pipeline: Pipeline) -> None:
    places = pipeline[0].output_indices_
    places["income"], places["rooms"] = places["rooms"], places["income"]


def exchange_columns_of_booster(pipeline: Pipeline) -> None:
    taken = pipeline[-1]._preprocessor._transformer_to_input_indices
    taken["numerical"] = [taken["numerical"][at] for at in (1, 0, 2)]


def ordinal() -> ColumnTransformer:
    return ColumnTransformer(
        [("numbers", "passthrough", NUMBERS), ("words", OrdinalEncoder(), ["heating"])]
    )


EXCHANGED = {
    "places of two steps": (lambda: fitted(LogisticRegression(), apart()), exchange_places),
    "columns inside a booster": (
        lambda: fitted(
            HistGradientBoostingClassifier(max_iter=3, categorical_features=[3]),
            ordinal().set_output(transform="pandas"),
        ),
        exchange_columns_of_booster,
    ),
}


@pytest.mark.parametrize("which", EXCHANGED)
def test_a_column_that_moves_with_another_feature_is_refused(which):
    make, exchange = EXCHANGED[which]
    pipeline = make()
    opened(pipeline)
    exchange(pipeline)
    assert "does not belong" in refused(pipeline)


# -- what people are told about gaps --------------------------------------------------------------


def chain(*steps: Any) -> Pipeline:
    return Pipeline([(f"s{at}", step) for at, step in enumerate(steps)])


WORDS = ("words", OneHotEncoder(handle_unknown="ignore"), ["heating"])
MISLEADING = {
    "scaled first": [("n", chain(StandardScaler(), SimpleImputer()), NUMBERS), WORDS],
    "numbered first": [
        ("n", SimpleImputer(), NUMBERS),
        ("w", chain(OrdinalEncoder(), SimpleImputer(strategy="most_frequent")), ["heating"]),
    ],
    "two values": [
        ("n", SimpleImputer(), NUMBERS),
        ("again", SimpleImputer(strategy="constant", fill_value=-1), ["rooms"]),
        WORDS,
    ],
    "two imputers in a row": [("n", chain(SimpleImputer(), SimpleImputer()), NUMBERS), WORDS],
    "a number for a gap": [("n", SimpleImputer(missing_values=-1), NUMBERS), WORDS],
}


@pytest.mark.parametrize("which", MISLEADING)
def test_a_stand_in_that_is_no_value_of_the_feature_is_refused(which):
    told = refused(fitted(LogisticRegression(max_iter=5000), ColumnTransformer(MISLEADING[which])))
    assert "missing" in told


def test_the_same_stand_in_twice_is_one():
    before = ColumnTransformer(
        [("n", SimpleImputer(), NUMBERS), ("again", SimpleImputer(), ["rooms"]), WORDS]
    )
    model = opened(fitted(LogisticRegression(max_iter=5000), before))
    assert model.stand_ins["rooms"] == pytest.approx(rows()["rooms"].mean())


# -- choices an encoder would not know ------------------------------------------------------------


def with_categories(categories: list[Any]) -> Pipeline:
    pipeline = fitted(LogisticRegression())
    pipeline[0].named_transformers_["words"].categories_ = [np.array(categories, dtype=object)]
    return pipeline


@pytest.mark.parametrize(
    "categories",
    [[1, 2, 3, 4], ["gas", "oil", "other", None], [False, True, "x", "y"], [1.0, "a", "b", "c"]],
)
def test_categories_that_are_no_text_are_refused_for_a_choice(categories):
    assert "no text" in refused(with_categories(categories))


@pytest.mark.parametrize(
    "categories", [["gas", "oil", "other", "coal"], ["gas", "oil", "other", float("nan")]]
)
def test_a_choice_training_never_saw_and_a_gap_as_category_are_taken(categories):
    pipeline = with_categories(categories)
    answer = opened(pipeline).answer(raw())
    assert answer.margin == pytest.approx(pipeline.decision_function(rows()))


# -- what is sound and was once refused -----------------------------------------------------------

TAKEN = {
    "by position": lambda: [("n", StandardScaler(), [0, 1, 2]), ("w", OneHotEncoder(), [3])],
    "by slice": lambda: [
        ("n", StandardScaler(), slice("income", "age")),
        ("w", OneHotEncoder(), ["heating"]),
    ],
    "by mask": lambda: [
        ("n", StandardScaler(), [True, True, True, False]),
        ("w", OneHotEncoder(), [False, False, False, True]),
    ],
}


@pytest.mark.parametrize("how", TAKEN)
def test_columns_may_be_taken_in_every_way_scikit_learn_knows(how):
    pipeline = fitted(LogisticRegression(max_iter=5000), ColumnTransformer(TAKEN[how]()))
    model = opened(pipeline)
    assert model.forms[0].player.tolist() == [0, 1, 2, 3, 3, 3, 3]
    assert model.answer(raw()).margin == pytest.approx(pipeline.decision_function(rows()))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_logistic_regression_that_chose_its_strength_is_opened():
    chosen = LogisticRegressionCV(
        cv=3, Cs=3, solver="liblinear", l1_ratios=(0,), scoring="neg_log_loss"
    )
    pipeline = fitted(chosen)
    assert opened(pipeline).answer(raw()).margin == pytest.approx(
        pipeline.decision_function(rows())
    )


# -- curves -------------------------------------------------------------------------------------


def of_curves(**how: Any) -> Pipeline:
    parts = [("curves", SplineTransformer(4, **how), NUMBERS), ("words", OneHotEncoder(), [3])]
    return fitted(LogisticRegression(max_iter=5000), ColumnTransformer(parts))


def bent(**changed: Any) -> Pipeline:
    """One of the curves says something else of itself than scipy looks at when it is asked."""
    pipeline = of_curves()
    curve = pipeline[0].named_transformers_["curves"].bsplines_[1]
    given = vars(getattr(curve, "_delegate_to", curve))
    for name, value in changed.items():
        given[f"_{name}" if f"_{name}" in given else name] = value
    return pipeline


def knots(*numbers: float) -> Any:
    return np.array(numbers, dtype=np.float64)


BENT: dict[str, Callable[[], Pipeline]] = {
    "fewer knots than it reads": lambda: bent(t=knots(0.0, 1.0, 2.0)),
    "fewer weights than it reads": lambda: bent(c=np.ones((1, 6))),
    "more weights than it has": lambda: bent(c=np.ones((50, 6))),
    "weights in no rows": lambda: bent(c=np.ones(6)),
    "a larger degree": lambda: bent(k=50),
    "a degree below nought": lambda: bent(k=-1),
    "a degree that is no number": lambda: bent(k="3"),
    "knots in another order": lambda: bent(t=np.arange(10.0)[::-1].copy()),
    "knots all in one place": lambda: bent(t=np.zeros(10)),
    "knots of another size": lambda: bent(t=np.arange(10, dtype=np.float32)),
    "knots that are no number": lambda: bent(t=np.append(np.arange(9.0), np.nan)),
    "knots in a list": lambda: bent(t=list(range(10))),
    "no knots": lambda: bent(t=None),
    "one inside that is none": lambda: bent(delegate_to=3, _delegate_to="3", t=None),
}


@pytest.mark.parametrize("name", BENT)
def test_a_curve_that_is_not_whole_is_refused_before_it_is_asked(name):
    said = refused(BENT[name]())
    assert "A curve of the model is not whole" in said or "could not be read" in said


def test_a_curve_does_what_scipy_does_whatever_else_it_says_of_itself():
    sound, other = of_curves(), bent(asarray=np.exp, axis=1, more=7)
    own = sound.decision_function(rows())
    assert opened(other).answer(raw()).margin == pytest.approx(own, abs=1e-12)


def test_what_a_curve_may_hold_is_a_function_nowhere_else():
    sound = of_curves()
    step = sound[0].named_transformers_["curves"]
    step.order = getattr(step.bsplines_[0], "_asarray", check_array)  # since scipy 1.18 none
    assert "is a function" in refused(sound)


@pytest.mark.parametrize("how", ["knots", "bsplines_", "degree"])
def test_curves_that_do_not_fit_their_columns_are_refused(how):
    pipeline = of_curves()
    step = pipeline[0].named_transformers_["curves"]
    if how == "knots":
        step.bsplines_ = step.bsplines_[:2]
    elif how == "bsplines_":
        step.bsplines_[1] = StandardScaler()
    else:
        step.degree = 40
    with pytest.raises(ArtefactRefused):
        opened(pipeline)
