"""Every format and kind of model: equal to brute force and to the original, on awkward rows too."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from factories import two
from trained_formats import (
    CHOICES,
    EVERY,
    EXACT,
    NAMES,
    NUMBERS,
    SINGLE,
    VARIANTS,
    all_trees_alike,
    amounts,
    apart,
    awkward,
    by_lightgbm,
    by_xgboost,
    comparison,
    few_awkward,
    households,
    infinities,
    labels,
    made,
    raw,
    three,
    tolerance,
    weights_of_trees,
    without_categories,
)

from explainer.core.attribution import Contrast, DecisionLine, Side
from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families import FORMATS
from explainer.families.apart import open_apart
from explainer.families.artefacts import parse
from explainer.families.attribute import Explained, explained
from explainer.families.engine.exact import Exact
from explainer.families.engine.forest import Floats, Trees
from explainer.families.engine.reference import brute_force
from explainer.families.model import Model, RawRow
from explainer.families.second_opinion import ours

# XGBoost 3.4 warns of dart and gblinear; people have models of both
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*is deprecated:UserWarning")

ROOT = Path(__file__).resolve().parents[2]
LINE = DecisionLine(0.0, "grant", "check", Side.ABOVE)


def in_place(name: str, catalogue: FeatureCatalogue | None = None) -> Explained:
    """The variant, opened in a process of its own, beside its comparison group."""
    if catalogue is None:
        return _in_place(name)
    model = made(name)
    found = open_apart(model.declared, model.data, catalogue, model.target)
    return explained(found, catalogue, LINE, comparison(name), "d" * 64)


@cache
def _in_place(name: str) -> Explained:
    return explained(apart(name), made(name).catalogue, LINE, comparison(name), "d" * 64)


def contributions(name: str, rows: list[RawRow]) -> tuple[Floats, Floats]:
    """Contributions of rows, ndarray of shape (n_rows, n_players), and their library margins."""
    model = in_place(name)
    answer = model.model.answer(rows)
    one = np.zeros(1, dtype=np.int64)
    found = [next(model._against.measured(row, Contrast(0), one)).values for row in answer.columns]
    return np.stack(found), answer.margin


@pytest.fixture(params=VARIANTS)
def name(request) -> str:
    return request.param


# -- what every kind of model must hold ---------------------------------------------------------


def test_the_file_answers_as_the_trained_model_does(name):
    model, rows = made(name), [*comparison(name, 260), *awkward(name)]
    own = np.asarray(model.margins(model.table(rows)), dtype=np.float64)
    away = np.abs(apart(name).answer(rows).margin - own).max()
    assert away <= 1e-12 * in_place(name).comparison.scale


def test_our_form_gives_the_librarys_own_margin(name):
    form = apart(name).forms[0]
    answer = apart(name).answer([*comparison(name, 260), *awkward(name)])
    if hasattr(form, "sums"):
        away = np.abs(form.sums(answer.columns) - answer.margin).max()
        assert away <= tolerance(name) * in_place(name).comparison.scale


def test_contributions_add_up_on_every_awkward_row(name):
    values, margins = contributions(name, awkward(name))
    group = in_place(name).comparison
    away = np.abs(group.base + values.sum(axis=1) - margins).max()
    assert away <= tolerance(name) * group.scale


RANDOM_ROWS = 1000


@pytest.mark.long
def test_a_thousand_random_rows_add_up_to_what_the_trained_model_says(name):
    """Values of people of the table, each drawn by itself, so that most rows are nobody's."""
    random, table = np.random.default_rng(17), households()
    drawn = {n: table[n].to_numpy()[random.integers(0, len(table), RANDOM_ROWS)] for n in table}
    drawn["income"] = np.round(drawn["income"] * random.uniform(0.5, 1.5, RANDOM_ROWS), 2)
    rows = [{n: row[n] for n in made(name).names} for row in raw(pd.DataFrame(drawn))]
    adds_up(name, rows)
    own = np.asarray(made(name).margins(made(name).table(rows)), dtype=np.float64)
    away = np.abs(apart(name).answer(rows).margin - own).max()
    assert away <= 1e-12 * in_place(name).comparison.scale


@pytest.mark.parametrize("every", EVERY)
def test_contributions_equal_brute_force_on_awkward_rows_and_against_them(name, every):
    """Awkward rows are the case and stand among the comparison rows as well."""
    model, scale = in_place(name), in_place(name).comparison.scale
    names, form, few = model.catalogue.names, model.model.forms[0], few_awkward(name)
    compared = [[z[n] for n in names] for z in few]
    for row in [comparison(name)[2], comparison(name)[4], *awkward(name)[::-every]]:
        mine = ours(model, row, few)

        largest = scale

        def by_library(rows, summed=False):
            nonlocal largest
            answer = model.model.answer([dict(zip(names, r, strict=True)) for r in rows])
            if "xgboost, linear" in name:
                # far outside of all it knows the margin itself is what has single precision
                largest = max(scale, np.abs(answer.margin).max())
            return form.sums(answer.columns) if summed else answer.margin

        asked = [row[n] for n in names], compared
        away = np.abs(mine - brute_force(by_library, *asked)).max()
        assert away <= tolerance(name) * largest
        if tolerance(name) > EXACT:
            # the engine itself is as exact as everywhere; the library's own sum is not
            exact = brute_force(lambda rows: by_library(rows, summed=True), *asked)
            assert np.abs(mine - exact).max() <= EXACT * scale


def test_another_order_of_the_catalogue_gives_the_same_contributions(name):
    model = in_place(name)
    turned = in_place(name, FeatureCatalogue(list(model.catalogue)[::-1]))
    for row in comparison(name)[3:6]:
        there, few = ours(turned, row, comparison(name)[:6]), comparison(name)[:6]
        assert np.abs(there[::-1] - ours(model, row, few)).max() <= 1e-12 * model.comparison.scale


def test_a_case_alone_is_the_same_as_among_others(name):
    rows = awkward(name)[:20]
    values, margins = contributions(name, rows)
    form = apart(name).forms[0]
    if isinstance(form, Trees):
        columns = apart(name).answer(rows).columns
        together = Exact(form, in_place(name).comparison_columns).values(columns, threads=2)
        assert together.tobytes() == values.tobytes()
    for at in range(0, len(rows), 7):
        alone, margin = contributions(name, rows[at : at + 1])
        assert alone.tobytes() == values[at : at + 1].tobytes()
        # a library that multiplies matrices may round the last place of many rows otherwise
        assert abs(margin[0] - margins[at]) <= 1e-12 * in_place(name).comparison.scale


IN_ANOTHER_PROCESS = """
import json, sys
from pathlib import Path
import numpy as np
from explainer.core.attribution import DecisionLine, Side
from explainer.families.apart import open_apart
from explainer.families.against import against
from explainer.core.attribution import Contrast, Task
from explainer.families.model import Input, Target

import explainer.families.apart as apart_module
found = {}
for name, given in json.loads(Path(sys.argv[1]).read_text("utf-8")).items():
    inputs = tuple(Input(n, None if c is None else tuple(c)) for n, c in given["inputs"])
    question = apart_module._Question(
        given["format"],
        Path(given["file"]).read_bytes(),
        inputs,
        Target(Task.BINARY, tuple(given["classes"])),
    )
    model = apart_module.ModelApart(question, 1.0)
    columns = model.answer(given["comparison"]).columns
    laid = against(model, columns)
    answer = model.answer(given["rows"])
    one = np.zeros(1, dtype=np.int64)
    values = [next(laid.measured(row, Contrast(0), one)).values for row in answer.columns]
    found[name] = [each.tobytes().hex() for each in values]
    model.close()
heavy = {"xgboost", "lightgbm", "catboost", "sklearn", "skops", "scipy"} & set(sys.modules)
print(json.dumps({"found": found, "heavy": sorted(heavy)}))
"""


@pytest.fixture(scope="module")
def another_process(tmp_path_factory):
    """The contributions of three rows of every variant, computed in a process without libraries."""
    folder = tmp_path_factory.mktemp("formats")
    given = {}
    for at, name in enumerate(VARIANTS):
        model = made(name)
        (folder / str(at)).write_bytes(model.data)
        given[name] = {
            "format": model.declared,
            "file": str(folder / str(at)),
            "inputs": [[each.name, each.choices] for each in model.inputs],
            "classes": model.target.classes,
            "comparison": comparison(name),
            "rows": comparison(name)[:3],
        }
    (folder / "given.json").write_text(json.dumps(given), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, folder / "given.json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_another_process_gives_the_same_bits(name, another_process):
    values, _ = contributions(name, comparison(name)[:3])
    assert [row.tobytes().hex() for row in values] == another_process["found"][name]


def test_nothing_of_a_library_is_loaded_where_people_are_answered(another_process):
    assert another_process["heavy"] == []


# -- silent traps of the usual tools ------------------------------------------------------------
# Each was seen to give wrong numbers, or the wrong class, without any error. A trap bites only if
# the naive reading of the same file differs, so that is shown too.


def adds_up(name: str, rows: list[RawRow] | None = None) -> None:
    values, margins = contributions(name, rows or [*comparison(name), *awkward(name)])
    group = in_place(name).comparison
    assert np.abs(group.base + values.sum(axis=1) - margins).max() <= tolerance(name) * group.scale


@pytest.mark.parametrize("trap", ["histogram boosting with categories"])
def test_trap_1_and_2_histogram_boosting_with_categories_is_no_comparison_of_codes(trap):
    form = apart(trap).forms[0]
    sets = [form.category_sets[s] for s in form.category_set[form.category_set >= 0]]
    assert sets
    adds_up(trap)


def naive(name: str, change: Callable[[dict[str, Any]], object]) -> Model:
    """The same file as it reads to whoever passes over what `change` takes away."""
    model = made(name)
    whole = json.loads(model.data)
    change(whole["learner"])
    return parse(model.declared, json.dumps(whole).encode(), model.inputs, model.target)


def test_trap_3_a_sentinel_that_marks_missing_values_is_one():
    name = "xgboost, missing is -999"
    rows = [{**comparison(name)[0], "months": m} for m in (None, -999.0, -998.0)]
    adds_up(name, rows)
    missing, marked, number = apart(name).answer(rows).margin
    assert missing == marked != number
    unmarked = naive(name, lambda learner: learner["attributes"].pop("missing"))
    as_missing, as_number, beside = unmarked.answer(rows).margin
    assert as_missing == missing
    assert as_number == beside == number
    nothing = "xgboost, missing is 0"
    rows = [{**comparison(nothing)[0], "months": m} for m in (None, 0.0, 0.5)]
    adds_up(nothing, rows)
    missing, marked, number = apart(nothing).answer(rows).margin
    assert missing == marked != number


def test_trap_4_trees_that_were_dropped_in_training_count_less():
    name = "xgboost, dart"
    weights = weights_of_trees(json.loads(made(name).data))
    assert len(set(weights)) > 1
    adds_up(name)
    answer = apart(name).answer(comparison(name))
    alike = naive(name, all_trees_alike).forms[0].sums(answer.columns)
    assert np.abs(alike - answer.margin).min() > 0.01 * in_place(name).comparison.scale


def test_weights_of_trees_are_read_where_newer_libraries_write_them_or_refused():
    """An older library reads such a file without its weights, and says nothing."""
    model = made("xgboost, dart")
    whole = json.loads(model.data)
    booster = whole["learner"]["gradient_booster"]
    if booster["name"] == "dart":
        booster["gbtree"]["model"]["weight_drop"] = booster["weight_drop"]
        whole["learner"]["gradient_booster"] = booster["gbtree"]
        here = [int(n) for n in xgboost.__version__.split(".")]
        whole["version"] = [here[0], here[1] + 1, 0]
        with pytest.raises(ArtefactRefused, match="does not read") as refused:
            parse(model.declared, json.dumps(whole).encode(), model.inputs, model.target)
        assert "Install" in refused.value.mend
        return
    opened = parse(model.declared, model.data, model.inputs, model.target)
    rows = comparison("xgboost, dart")
    answer = opened.answer(rows)
    assert np.abs(opened.forms[0].sums(answer.columns) - answer.margin).max() <= SINGLE
    whole["version"] = [99, 0, 0]
    with pytest.raises(ArtefactRefused, match="does not read"):
        parse(model.declared, json.dumps(whole).encode(), model.inputs, model.target)


def test_trap_5_and_13_the_base_score_is_a_list_of_one_or_a_number():
    listed, number = made("xgboost, base score a list"), made("xgboost, base score a number")
    scores = [
        json.loads(m.data)["learner"]["learner_model_param"]["base_score"] for m in (listed, number)
    ]
    assert scores[0].startswith("[")
    assert not scores[1].startswith("[")
    for name in ("xgboost, base score a list", "xgboost, base score a number"):
        assert apart(name).forms[0].constant != 0
        adds_up(name)


def test_trap_6_linear_trees_are_no_trees_of_constants():
    name = "lightgbm, linear trees"
    assert "is_linear=1" in made(name).data.decode()
    assert not isinstance(apart(name).forms[0], Trees)
    adds_up(name, comparison(name)[:6])


def test_trap_7_nought_is_missing_where_training_said_so():
    name = "lightgbm, nought is missing"
    rows = [{**comparison(name)[0], "months": m} for m in (None, 0.0, -0.0, 1e-36, 0.5)]
    adds_up(name, rows)
    margins = apart(name).answer(rows).margin
    assert len(set(margins[:4])) == 1


@pytest.mark.parametrize("name", ["lightgbm, told by gaps", "lightgbm, forest told by gaps"])
def test_a_test_that_every_number_passes_tells_gaps_from_numbers(name):
    """LightGBM writes the border of such a test as inf: a gap alone lies beyond it."""
    text, form = made(name).data.decode(), apart(name).forms[0]
    assert re.search(r"\nthreshold=(\S+ )*inf\b", text)
    inner = form.left >= 0
    assert np.isposinf(form.threshold[inner]).any()
    rows = [
        {**comparison(name)[0], "months": months}
        for months in (None, 0.0, 39.0, 1e30, 1e308, np.inf, -np.inf)
    ]
    adds_up(name, rows)
    margins = apart(name).answer(rows).margin
    own = made(name).margins(made(name).table(rows))
    assert np.abs(margins - own).max() <= 1e-12
    assert abs(margins[0] - margins[2]) > 0.1


def test_trap_8_and_14_categories_of_boosters_are_sets():
    for name in ("lightgbm", "xgboost, sets of categories", "catboost, one-hot"):
        form = apart(name).forms[0]
        assert (form.category_set >= 0).any(), name
        adds_up(name)


def test_trap_9_a_threshold_that_equals_a_value_after_narrowing():
    """Euro cents: many are no float32, and land on the other side of a threshold that is one."""
    for name in ("xgboost, numbers", "catboost, numbers", "random forest with NaN"):
        form, model = apart(name).forms[0], made(name)
        income = model.catalogue.names.index("income")
        (k,) = {k for k, c in enumerate(form.columns) if c.player == income and c.single}
        thresholds = form.scale[form.scale_start[k] : form.scale_start[k + 1]]
        rows = [
            {**comparison(name)[0], "income": value}
            for border in thresholds.tolist()
            for value in (border, np.nextafter(border, np.inf), np.nextafter(border, -np.inf))
        ]
        assert rows
        adds_up(name, rows)


@pytest.mark.parametrize("trap", ["xgboost", "lightgbm", "catboost, one-hot", "logistic"])
def test_trap_10_columns_in_another_order_are_placed_by_name(trap):
    catalogue = made(trap).catalogue
    assert catalogue.names != tuple(n for n in NAMES if n in made(trap).names)
    turned = in_place(trap, FeatureCatalogue(list(catalogue)[::-1]))
    rows = [dict(reversed(row.items())) for row in comparison(trap)]
    assert (turned.model.answer(rows).margin == apart(trap).answer(comparison(trap)).margin).all()


def test_trap_11_the_whole_comparison_group_counts():
    name = "xgboost"
    rows = comparison(name, 260)
    whole = explained(apart(name), made(name).catalogue, LINE, rows, "d" * 64)
    margins = apart(name).answer(rows).margin
    assert whole.comparison.base == margins.mean()
    case = rows[7]
    direct = ours(whole, case, rows)
    assert abs(whole.comparison.base + direct.sum() - margins[7]) <= SINGLE
    assert np.abs(direct - ours(whole, case, rows[:100])).max() > 1e-3


def test_trap_12_the_base_is_there_before_the_first_case_and_for_every_thread():
    name = "lightgbm"
    model = in_place(name)
    before = model.comparison.base
    rows = comparison(name)[:8]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: contributions(name, [row])[0].tobytes(), rows))
    assert found == [contributions(name, [row])[0].tobytes() for row in rows]
    assert model.comparison.base == before


@pytest.mark.parametrize(
    "trap", ["logistic", "calibrated", "voting", "stacking", "network", "gradient boosting"]
)
def test_trap_18_wrappers_and_pipelines_are_explained_on_what_was_given(trap):
    assert set(in_place(trap).catalogue.names) == set(NAMES)
    adds_up(trap, comparison(trap)[:4])


@pytest.mark.parametrize("trap", ["catboost, numbers", "random forest with NaN", "stacking"])
def test_trap_19_the_class_that_is_explained_is_the_declared_one(trap):
    model = made(trap)
    with pytest.raises(ArtefactRefused) as refused:
        parse(model.declared, model.data, model.inputs, two("1", "0"))
    assert refused.value.where == "model.classes"
    rows = comparison(trap, 260)
    high = apart(trap).answer(rows).margin > np.median(apart(trap).answer(rows).margin)
    assert labels()[high].mean() > labels()[~high].mean() + 0.3


@pytest.mark.parametrize(
    "trap", ["random forest with NaN", "extra trees", "tree", "histogram boosting with NaN"]
)
def test_trap_20_missing_values_go_where_scikit_learn_sends_them(trap):
    rows = [row for row in comparison(trap, 260) if row["months"] is None]
    form = apart(trap).forms[0]
    assert len(set(form.missing_left[form.left >= 0].tolist())) == 2
    model = made(trap)
    own = model.margins(model.table(rows))
    assert np.abs(form.sums(apart(trap).answer(rows).columns) - own).max() <= 1e-12
    adds_up(trap, rows)


def test_trap_22_a_category_that_training_never_saw():
    """LightGBM takes it for a missing one, and so do we; XGBoost refuses, and so do we."""
    rows = [{**comparison("lightgbm")[0], "heating": value} for value in ("coal", None)]
    unseen, missing = apart("lightgbm").answer(rows).margin
    assert unseen == missing
    adds_up("lightgbm", rows)
    with pytest.raises(ModelFailed):
        apart("xgboost").answer(rows[:1])
    adds_up("random forest with NaN", rows)


LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("which", [n for n in VARIANTS if not n.startswith(("light", "cat"))])
def test_an_infinity_is_refused_where_the_library_does_not_take_one(which):
    """XGBoost takes what is beyond single precision for one, and answers or not by how it is asked;
    the others take infinities, which are among their awkward rows."""
    assert not infinities(which)
    sound = comparison(which)[0]
    of_xgboost = which.startswith("xgboost")
    for value in (np.inf, -np.inf, *((1e39, -3.5e38) if of_xgboost else ())):
        beyond = {**sound, "income": value}
        for rows in ([beyond], [sound, beyond]):
            with pytest.raises(ModelFailed) as refused:
                apart(which).answer(rows)
            if of_xgboost:
                assert refused.value.where == "income"
                assert "larger than any number" in refused.value.what
    if of_xgboost and "linear" not in which:
        rows = [{**sound, "income": value} for value in (LARGEST, -LARGEST)]
        own = made(which).margins(made(which).table(rows))
        assert (apart(which).answer(rows).margin == own).all()


@pytest.mark.parametrize("constraints", [[[0, 1], [2, 3, 4]], [[0, 2]], "[0,1,3]"])
def test_lightgbm_writes_which_columns_may_stand_together_and_is_read(constraints):
    model = by_lightgbm(interaction_constraints=constraints)
    assert b"[interaction_constraints: [0," in model.data
    rows = raw(households()[:40])
    opened = parse(model.declared, model.data, model.inputs, model.target)
    own = model.margins(model.table(rows))
    assert opened.answer(rows).margin == pytest.approx(own, abs=1e-12)


@pytest.mark.parametrize("marked", ["inf", "-inf", "1e39"])
def test_an_infinity_marks_no_missing_value(marked):
    model = by_xgboost(numbers=True, change=lambda whole: _marked(whole, marked))
    with pytest.raises(ArtefactRefused, match="An infinity cannot mark a missing value"):
        parse(model.declared, model.data, model.inputs, two("0", "1"))


@pytest.mark.parametrize("marked", ["-9_99", "９９９", " -999", "none", ""])
def test_what_is_a_number_to_python_alone_marks_no_missing_value(marked):
    model = by_xgboost(numbers=True, change=lambda whole: _marked(whole, marked))
    with pytest.raises(ArtefactRefused, match="mark of a missing value"):
        parse(model.declared, model.data, model.inputs, two("0", "1"))


def _marked(whole: dict[str, Any], marked: str) -> None:
    whole["learner"]["attributes"] = {"missing": marked}


# -- what is not explained is refused, with the way out -----------------------------------------


def trained() -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers only, for models that are to be refused anyway."""
    return households()[list(NUMBERS)], labels()


def xgboost_file(label=None, group=None, rename=True, **parameters) -> bytes:
    table, own = trained()
    matrix = xgboost.DMatrix(table, own if label is None else label, nthread=1)
    if group is not None:
        matrix.set_group(group)
    booster = xgboost.train({"nthread": 1, "max_depth": 2, **parameters}, matrix, 3)
    if not rename:
        booster.feature_names = None
    return bytes(booster.save_raw("json"))


def stopped_early() -> bytes:
    table, own = trained()
    matrix = xgboost.DMatrix(table, own, nthread=1)
    booster = xgboost.train({"nthread": 1, "objective": "binary:logistic"}, matrix, 6)
    booster.set_attr(best_iteration="2", best_score="0.4")
    return bytes(booster.save_raw("json"))


def lightgbm_file(label=None, group=None, **parameters) -> bytes:
    table, own = trained()
    data = lightgbm.Dataset(table, own if label is None else label, group=group)
    settings = {"num_threads": 1, "verbose": -1, "num_leaves": 4}
    return lightgbm.train(settings | parameters, data, 3).model_to_string().encode()


def catboost_file(label=None, group=None, **parameters) -> bytes:
    table, own = trained()
    booster = catboost.CatBoost(
        {"iterations": 3, "depth": 2, "thread_count": 1, "verbose": False}
        | parameters
        | {"allow_writing_files": False}
    )
    pool = catboost.Pool(table, own if label is None else label, group_id=group)
    return booster.fit(pool)._serialize_model()


def groups_of_ten() -> list[int]:
    return [at // 10 for at in range(len(households()))]


# format, what makes the file, what the refusal names
REFUSED = {
    "xgboost: ranking": (
        "xgboost-json",
        lambda: xgboost_file(objective="rank:ndcg", group=[130, 130]),
        "'rank:ndcg'",
    ),
    "xgboost: three classes": (
        "xgboost-json",
        lambda: xgboost_file(label=three(), objective="multi:softprob", num_class=3),
        "no answer of kind binary",
    ),
    "xgboost: an amount": (
        "xgboost-json",
        lambda: xgboost_file(label=amounts(), objective="reg:squarederror"),
        "no answer of kind binary",
    ),
    "xgboost: hinge": (
        "xgboost-json",
        lambda: xgboost_file(objective="binary:hinge"),
        "'binary:hinge'",
    ),
    "xgboost: several outputs": (
        "xgboost-json",
        lambda: xgboost_file(
            label=np.stack([labels(), 1 - labels()], axis=1),
            objective="binary:logistic",
            multi_strategy="multi_output_tree",
        ),
        "more than one number",
    ),
    "xgboost: no names": (
        "xgboost-json",
        lambda: xgboost_file(objective="binary:logistic", rename=False),
        "does not name the columns",
    ),
    "xgboost: rounds after the best": ("xgboost-json", stopped_early, "stopped early"),
    "lightgbm: ranking": (
        "lightgbm-txt",
        lambda: lightgbm_file(objective="lambdarank", group=[130, 130]),
        "'lambdarank'",
    ),
    "lightgbm: three classes": (
        "lightgbm-txt",
        lambda: lightgbm_file(label=three(), objective="multiclass", num_class=3),
        "no answer of kind binary",
    ),
    "lightgbm: an amount": (
        "lightgbm-txt",
        lambda: lightgbm_file(label=amounts(), objective="regression"),
        "no answer of kind binary",
    ),
    "catboost: ranking": (
        "catboost-cbm",
        lambda: catboost_file(loss_function="YetiRank", group=groups_of_ten()),
        "'YetiRank'",
    ),
    "catboost: three classes": (
        "catboost-cbm",
        lambda: catboost_file(label=three(), loss_function="MultiClass"),
        "no answer of kind binary",
    ),
    "catboost: an amount": (
        "catboost-cbm",
        lambda: catboost_file(label=amounts(), loss_function="RMSE"),
        "no answer of kind binary",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_explained_is_refused_by_name_with_the_way_out(case):
    declared, make, said = REFUSED[case]
    with pytest.raises(ArtefactRefused) as refused:
        parse(declared, make(), made("xgboost, numbers").inputs, two("0", "1"))
    assert said in refused.value.what
    assert refused.value.mend


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost, one-hot"])
def test_catalogue_and_file_must_agree_on_names_and_kinds(name):
    model = made(name)
    renamed = [
        replace(each, name="earnings") if at == 0 else each for at, each in enumerate(model.inputs)
    ]
    with pytest.raises(ArtefactRefused, match="earnings"):
        parse(model.declared, model.data, renamed, model.target)
    as_number = [replace(e, choices=None) if e.name == "tenancy" else e for e in model.inputs]
    with pytest.raises(ArtefactRefused, match="the catalogue has a number"):
        parse(model.declared, model.data, as_number, model.target)
    as_choice = [replace(e, choices=("1", "2")) if e.name == "rooms" else e for e in model.inputs]
    with pytest.raises(ArtefactRefused, match="the catalogue has a choice"):
        parse(model.declared, model.data, as_choice, model.target)


def test_categories_without_their_names_take_the_order_of_the_catalogue():
    """As XGBoost wrote files before it kept the names; the recorded cases show a wrong order."""
    model = by_xgboost(change=without_categories)
    as_trained = [
        replace(each, choices=CHOICES[each.name]) if each.name in CHOICES else each
        for each in model.inputs
    ]
    rows = comparison("xgboost")
    found = parse(model.declared, model.data, as_trained, two("0", "1")).answer(rows).margin
    assert (found == apart("xgboost").answer(rows).margin).all()
    turned = parse(model.declared, model.data, model.inputs, two("0", "1")).answer(rows).margin
    assert (found != turned).any()


def test_what_is_left_out_of_a_sum_counts_as_nought_and_people_are_told():
    for name in ("xgboost, linear", "xgboost, linear, missing is 0"):
        assert apart(name).stand_ins == dict.fromkeys(NUMBERS, 0.0)
        missing, nought = ({**comparison(name)[0], "months": value} for value in (None, 0.0))
        margins = apart(name).answer([missing, nought]).margin
        assert margins[0] == margins[1]
    assert apart("xgboost").stand_ins == {}


def test_a_missing_choice_is_refused_where_the_library_takes_none():
    row = {**comparison("catboost, one-hot")[0], "tenancy": None}
    with pytest.raises(ModelFailed, match="no missing category"):
        apart("catboost, one-hot").answer([row])


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "catboost"])
def test_a_library_that_is_not_installed_is_named_with_its_extra(library):
    asked = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from explainer.families.artefacts import parse\n"
        "from explainer.errors import ArtefactRefused\n"
        "from explainer.families import FORMATS\n"
        "from explainer.core.attribution import Task\n"
        "from explainer.families.model import Target\n"
        f"(*_, declared) = [n for n in FORMATS if n.startswith({library!r})]\n"
        "try: parse(declared, b'{}', (), Target(Task.BINARY, ('no', 'yes')))\n"
        "except ArtefactRefused as refused: print(refused.mend)"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"Install it: pip install 'warum[{library}]'.\n", done.stderr


def test_a_model_without_a_single_test_is_a_constant():
    """A library stops where nothing is to be gained; the file is whole all the same."""
    alike = np.arange(len(households())) % 2
    files = {
        "xgboost-json": xgboost_file(label=alike, objective="binary:logistic", gamma=1e9),
        "lightgbm-txt": lightgbm_file(label=alike, objective="binary", min_gain_to_split=1e9),
        "catboost-cbm": catboost_file(
            label=alike, loss_function="Logloss", min_data_in_leaf=1000, grow_policy="Depthwise"
        ),
    }
    for declared, data in files.items():
        model = parse(declared, data, made("xgboost, numbers").inputs, two("0", "1"))
        answer = model.answer(comparison("xgboost, numbers"))
        assert np.ptp(answer.margin) == 0
        assert np.abs(model.forms[0].sums(answer.columns) - answer.margin).max() <= SINGLE


def test_every_format_has_its_variants():
    ours_ = {made(name).declared for name in VARIANTS}
    assert ours_ <= set(FORMATS)
    assert {"skops", "xgboost-json", "xgboost-ubj", "lightgbm-txt", "catboost-cbm"} <= ours_
