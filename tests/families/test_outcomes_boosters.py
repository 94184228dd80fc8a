"""Boosters of several classes and of amounts: every kind equal to brute force on the original.

Of several classes the suggested one is explained against the runner-up, so what is compared is the
difference of their margins.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import catboost
import lightgbm
import numpy as np
import pytest
import xgboost
from trained_formats import (
    AMOUNT,
    EVERY,
    EXACT,
    NUMBERS,
    OUTCOMES,
    OUTCOMES_OF_THREE,
    SINGLE,
    SUGGESTING,
    THREE,
    ZERO_ONE,
    all_trees_alike,
    amounts,
    apart,
    awkward,
    by_xgboost,
    case,
    comparison,
    few_awkward,
    households,
    labels,
    made,
    three,
    tolerance,
    weights_of_trees,
)

from explainer.core.attribution import (
    Attribution,
    Contrast,
    Space,
    Task,
)
from explainer.errors import ArtefactRefused, DoesNotAddUp
from explainer.families.artefacts import parse
from explainer.families.attribute import Explained, explained
from explainer.families.engine.forest import Floats
from explainer.families.engine.reference import brute_force
from explainer.families.model import RawRow, Target, margin_of
from explainer.families.second_opinion import ours

# XGBoost 3.4 warns of dart and gblinear; people have models of both
pytestmark = pytest.mark.filterwarnings("ignore:(?s).*is deprecated:UserWarning")

CLASSES = [name for name in OUTCOMES if name.startswith("classes")]


@cache
def beside(name: str) -> Explained:
    """The variant, opened in a process of its own, beside its comparison group."""
    model = made(name)
    suggesting = SUGGESTING[model.target.task]
    return explained(apart(name), model.catalogue, suggesting, comparison(name), "d" * 64)


def told(name: str, row: RawRow) -> Attribution:
    return beside(name).attribute(case(row))


def own(name: str, rows: list[RawRow]) -> Floats:
    """Margins by the original object, ndarray of shape (n_rows, n_outputs)."""
    margins = np.asarray(made(name).margins(made(name).table(rows)), dtype=np.float64)
    return margins.reshape(len(rows), -1)


def narrowest(name: str) -> float:
    return min(group.scale for group in beside(name).comparisons.values())


def allowed(name: str, scale: float, margin: Any) -> Any:
    """How far a sum may be off. Single precision is that of the largest number in it: where a
    linear booster is asked far outside of all it knows, that is not the margin scale."""
    far = "xgboost, linear" in name
    return tolerance(name) * (np.maximum(scale, np.abs(margin).max()) if far else scale)


@pytest.fixture(params=OUTCOMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- what every kind of model must hold ---------------------------------------------------------


def test_the_file_answers_as_the_trained_model_does(name):
    rows = [*comparison(name, 260), *awkward(name)]
    found, theirs = apart(name).answer(rows).margins, own(name, rows)
    assert found.shape == (len(rows), made(name).target.outputs)
    # probabilities of several classes tell their margins but for what is common to all of them
    if found.shape[1] > 1:
        found, theirs = (each - each[:, :1] for each in (found, theirs))
    assert np.abs(found - theirs).max() <= 1e-12 * max(1.0, narrowest(name))


def test_the_form_of_each_output_gives_the_librarys_own_margin(name):
    forms = apart(name).forms
    answer = apart(name).answer([*comparison(name, 260), *awkward(name)])
    assert len(forms) == made(name).target.outputs
    known = [(at, form) for at, form in enumerate(forms) if hasattr(form, "sums")]
    assert known or "linear trees" in name or "counted" in name
    for at, form in known:
        away = np.abs(form.sums(answer.columns) - answer.margins[:, at]).max()
        assert away <= allowed(name, narrowest(name), answer.margins)


def test_every_awkward_row_is_told_and_adds_up(name):
    rows = awkward(name)
    asked = rows if hasattr(apart(name).forms[0], "sums") else rows[::4]
    for row in asked:
        attribution = told(name, row)
        most = allowed(name, attribution.comparison.scale, attribution.margins)
        assert abs(attribution.difference) <= most


@pytest.mark.parametrize("every", EVERY)
def test_contributions_equal_brute_force_through_the_original_on_awkward_rows_too(name, every):
    """Awkward rows are the case and stand among the comparison rows as well."""
    model, few = beside(name), few_awkward(name)
    names, forms = model.catalogue.names, model.model.forms
    compared = [[z[n] for n in names] for z in few]
    for row in [comparison(name)[2], comparison(name)[4], *awkward(name)[::-every]]:
        contrast = model.contrast(row)
        scale = model.comparisons[contrast].scale
        mine = ours(model, row, few)
        asked = [row[n] for n in names], compared
        most = 0.0

        def by_original(rows, contrast=contrast):
            nonlocal most
            margins = own(name, [dict(zip(names, r, strict=True)) for r in rows])
            most = np.abs(margins).max()
            return margin_of(margins, contrast)

        def by_sums(rows, contrast=contrast):
            given = [dict(zip(names, r, strict=True)) for r in rows]
            columns = model.model.answer(given).columns
            return margin_of(np.stack([form.sums(columns) for form in forms], axis=1), contrast)

        away = np.abs(mine - brute_force(by_original, *asked)).max()
        assert away <= allowed(name, scale, most)
        if tolerance(name) > EXACT:
            # the engine itself is as exact as everywhere; the library's own sum is not
            assert np.abs(mine - brute_force(by_sums, *asked)).max() <= EXACT * scale


def test_what_is_suggested_and_how_likely_is_as_the_original_has_it(name):
    model = made(name)
    for row in comparison(name)[:12]:
        attribution = told(name, row)
        if model.target.task is Task.AMOUNT:
            assert apart(name).space is Space.AMOUNT
            assert attribution.probability is None
            assert attribution.margin == own(name, [row])[0, 0]
            continue
        assert apart(name).space is Space.LOG_ODDS
        found = OUTCOMES_OF_THREE.index(attribution.line.above)
        given = np.asarray(model.shares(model.table([row])), dtype=np.float64)
        if given.shape == (1,):  # this objective tells the class alone
            assert found == given[0]
        else:
            assert found == given[0].argmax()
            assert abs(attribution.probability - given[0, found]) <= 1e-6
        second = OUTCOMES_OF_THREE.index(attribution.line.below)
        order = np.sort(own(name, [row])[0])
        gap = order[-1] - order[-2]
        assert second != found
        assert abs(attribution.margin - gap) <= 1e-12 * max(1.0, narrowest(name))


def test_all_classes_are_suggested_by_someones_case():
    """Else the contrasts above would be fewer than they look."""
    for name in ("classes: xgboost", "classes: lightgbm", "classes: catboost, one-hot"):
        contrasts = {beside(name).contrast(row) for row in comparison(name, 260)}
        assert {contrast.towards for contrast in contrasts} == {0, 1, 2}
        assert len(contrasts) >= 5


# -- which class is which -----------------------------------------------------------------------


@pytest.mark.parametrize("name", CLASSES)
def test_another_number_of_classes_or_another_kind_of_answer_is_refused(name):
    model = made(name)
    classes = model.target.classes
    wrong = [
        Target(Task.MULTICLASS, (*classes, "none")),
        Target(Task.MULTICLASS, classes[:2]),
        Target(Task.BINARY, classes[:2]),
        AMOUNT,
    ]
    if model.declared == "catboost-cbm":  # its files name the classes
        wrong += [Target(Task.MULTICLASS, classes[::-1])]
    for target in wrong:
        with pytest.raises(ArtefactRefused) as refused:
            parse(model.declared, model.data, model.inputs, target)
        assert refused.value.where in ("model.classes", "model.kind")
        assert refused.value.mend


@pytest.mark.parametrize("name", ["amount: xgboost", "amount: lightgbm", "amount: catboost, RMSE"])
def test_an_amount_is_no_score_of_classes(name):
    model = made(name)
    for target in (ZERO_ONE, THREE):
        with pytest.raises(ArtefactRefused, match="no answer of kind"):
            parse(model.declared, model.data, model.inputs, target)


def test_classes_in_another_order_of_the_file_are_other_outputs():
    plain, turned = (
        made("classes: catboost, named"),
        made("classes: catboost, named in another order"),
    )
    assert sorted(plain.target.classes) == sorted(turned.target.classes)
    place = [plain.target.classes.index(each) for each in turned.target.classes]
    assert place != [0, 1, 2]
    rows = comparison("classes: catboost, named")
    there = apart("classes: catboost, named in another order").answer(rows).margins
    here = apart("classes: catboost, named").answer(rows).margins
    assert (here[:, place].argmax(axis=1) == there.argmax(axis=1)).mean() > 0.9


def test_of_two_classes_that_are_equal_the_first_is_suggested_and_nothing_is_between_them():
    def alike(whole: dict[str, Any]) -> None:
        # of income alone: class 0 by +1, class 1 by -1 a thousand, class 2 far below
        weights = whole["learner"]["gradient_booster"]["model"]["weights"]
        weights[:] = [0.0009765625, -0.0009765625, 0.0, *[0.0] * 6, -1.0, 1.0, -9.0]

    model = by_xgboost(
        numbers=True, booster="gblinear", base_score=0.5, task=Task.MULTICLASS, change=alike
    )
    opened = parse(model.declared, model.data, model.inputs, model.target)
    rows = comparison("classes: xgboost, linear")
    found = explained(opened, model.catalogue, SUGGESTING[Task.MULTICLASS], rows, "d" * 64)
    attribution = found.attribute(case({**rows[0], "income": 1024.0}))
    assert attribution.margins[0] == attribution.margins[1] > attribution.margins[2]
    assert attribution.margin == 0
    assert (attribution.line.above, attribution.line.below) == OUTCOMES_OF_THREE[:2]
    table = xgboost.DMatrix(np.array([[1024.0, 0.0, 0.0]]), feature_names=list(NUMBERS))
    library = xgboost.Booster(model_file=bytearray(model.data))
    assert library.predict(table).argmax() == 0


# -- silent traps of the usual tools ------------------------------------------------------------


def test_trap_5_each_class_begins_at_a_base_score_of_its_own():
    name = "classes: xgboost"
    written = json.loads(made(name).data)["learner"]["learner_model_param"]["base_score"]
    bases = [float(np.float32(base)) for base in json.loads(written)]
    assert len(set(bases)) > 1
    assert [form.constant for form in apart(name).forms] == bases


def test_trap_4_trees_dropped_in_training_count_less_in_every_class():
    name = "classes: xgboost, dart"
    model = made(name)
    whole = json.loads(model.data)
    weights = weights_of_trees(whole)
    assert all(len(set(weights[at::3])) > 1 for at in range(3))
    all_trees_alike(whole["learner"])
    alike = parse(model.declared, json.dumps(whole).encode(), model.inputs, model.target)
    answer = apart(name).answer(comparison(name))
    for at in range(3):
        sums, naive = (forms[at].sums(answer.columns) for forms in (apart(name).forms, alike.forms))
        assert np.abs(sums - answer.margins[:, at]).max() <= SINGLE * narrowest(name)
        assert np.abs(naive - answer.margins[:, at]).max() > 0.01 * narrowest(name)


def test_trap_19_the_outputs_stand_in_the_order_of_the_labels():
    for name in ("classes: xgboost", "classes: lightgbm", "classes: catboost, one-hot"):
        suggested = apart(name).answer(comparison(name, 260)).margins.argmax(axis=1)
        assert (suggested == three()).mean() > 0.7


# -- large amounts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["amount: xgboost, millions", "amount: lightgbm, millions", "amount: catboost, millions"],
)
def test_amounts_of_millions_verify_far_within_the_limit(name):
    rows = comparison(name, 120)
    scale = beside(name).comparison.scale
    assert own(name, rows).min() > 1e6
    furthest = max(abs(told(name, row).difference) for row in rows) / scale
    # 1e-4 is the limit; XGBoost adds up to about seven digits
    assert furthest <= (2e-6 if "xgboost" in name else EXACT)


def test_an_amount_too_large_for_single_precision_is_withheld_and_never_wrong():
    """XGBoost's own sum jumps by 64 here: a hundred times what the limit allows."""
    model = by_xgboost(label=amounts() + 1e9, task=Task.AMOUNT)
    opened = parse(model.declared, model.data, model.inputs, model.target)
    rows = comparison("amount: xgboost")
    found = explained(opened, model.catalogue, SUGGESTING[Task.AMOUNT], rows, "d" * 64)
    withheld = 0
    for row in rows:
        try:
            found.attribute(case(row))
        except DoesNotAddUp:
            withheld += 1
    assert withheld >= 0.9 * len(rows)


# -- what is not explained is refused, with the way out -----------------------------------------


def xgboost_file(label: Any, **parameters: Any) -> bytes:
    matrix = xgboost.DMatrix(households()[list(NUMBERS)], label, nthread=1)
    if parameters.get("objective") == "survival:aft":
        matrix.set_float_info("label_lower_bound", label)
        matrix.set_float_info("label_upper_bound", label)
    settings = {"nthread": 1} | parameters
    return bytes(xgboost.train(settings, matrix, 3).save_raw("json"))


def lightgbm_file(label: Any, **parameters: Any) -> bytes:
    data = lightgbm.Dataset(households()[list(NUMBERS)], label)
    settings = {"num_threads": 1, "verbose": -1, "num_leaves": 4}
    return lightgbm.train(settings | parameters, data, 3).model_to_string().encode()


def catboost_file(label: Any, **parameters: Any) -> bytes:
    settings = {"iterations": 3, "depth": 2, "thread_count": 1, "verbose": False}
    booster = catboost.CatBoost(settings | parameters | {"allow_writing_files": False})
    return booster.fit(households()[list(NUMBERS)], label)._serialize_model()


def two_amounts() -> np.ndarray:
    return np.stack([amounts(), amounts() + 1], axis=1)


LOGARITHM = "the logarithm of an amount"
SEVERAL_NUMBERS = "more than one number a row"
AGAINST_ALL = "each class against all the others"
# format, what is asked of it, what makes the file, what the refusal says
REFUSED = {
    "xgboost: a count": (
        *("xgboost-json", AMOUNT, lambda: xgboost_file(amounts(), objective="count:poisson")),
        *("'count:poisson'", LOGARITHM),
    ),
    "xgboost: gamma": (
        *("xgboost-json", AMOUNT, lambda: xgboost_file(amounts(), objective="reg:gamma")),
        *("'reg:gamma'", LOGARITHM),
    ),
    "xgboost: Tweedie": (
        *("xgboost-json", AMOUNT, lambda: xgboost_file(amounts(), objective="reg:tweedie")),
        *("'reg:tweedie'", LOGARITHM),
    ),
    "xgboost: a share": (
        *("xgboost-json", AMOUNT, lambda: xgboost_file(labels(), objective="reg:logistic")),
        *("'reg:logistic'", "log-odds of a share"),
    ),
    "xgboost: survival by Cox": (
        *("xgboost-json", AMOUNT, lambda: xgboost_file(amounts(), objective="survival:cox")),
        *("'survival:cox'", LOGARITHM),
    ),
    "xgboost: survival by time": (
        *("xgboost-json", AMOUNT, lambda: xgboost_file(amounts(), objective="survival:aft")),
        *("'survival:aft'", LOGARITHM),
    ),
    "xgboost: two amounts": (
        *("xgboost-json", AMOUNT, lambda: xgboost_file(two_amounts())),
        *(SEVERAL_NUMBERS, ""),
    ),
    "xgboost: two quantiles": (
        "xgboost-json",
        AMOUNT,
        lambda: xgboost_file(
            amounts(), objective="reg:quantileerror", quantile_alpha=np.array([0.2, 0.8])
        ),
        *(SEVERAL_NUMBERS, ""),
    ),
    "xgboost: leaves of several numbers": (
        "xgboost-json",
        THREE,
        lambda: xgboost_file(
            three(), objective="multi:softprob", num_class=3, multi_strategy="multi_output_tree"
        ),
        *("several numbers each", ""),
    ),
    "xgboost: a linear booster that begins in many places": (
        "xgboost-json",
        THREE,
        lambda: xgboost_file(three(), objective="multi:softprob", num_class=3, booster="gblinear"),
        *("base scores of their own", "adds that of the first to all"),
    ),
    "lightgbm: one against all": (
        "lightgbm-txt",
        THREE,
        lambda: lightgbm_file(three(), objective="multiclassova", num_class=3),
        *("'multiclassova'", AGAINST_ALL),
    ),
    "lightgbm: a count": (
        *("lightgbm-txt", AMOUNT, lambda: lightgbm_file(amounts(), objective="poisson")),
        *("'poisson'", LOGARITHM),
    ),
    "lightgbm: gamma": (
        *("lightgbm-txt", AMOUNT, lambda: lightgbm_file(amounts(), objective="gamma")),
        *("'gamma'", LOGARITHM),
    ),
    "lightgbm: Tweedie": (
        *("lightgbm-txt", AMOUNT, lambda: lightgbm_file(amounts(), objective="tweedie")),
        *("'tweedie'", LOGARITHM),
    ),
    "lightgbm: a root": (
        "lightgbm-txt",
        AMOUNT,
        lambda: lightgbm_file(amounts(), objective="regression", reg_sqrt=True),
        *("'regression sqrt'", "the root of an amount"),
    ),
    "catboost: one against all": (
        *(
            "catboost-cbm",
            THREE,
            lambda: catboost_file(three(), loss_function="MultiClassOneVsAll"),
        ),
        *("'MultiClassOneVsAll'", AGAINST_ALL),
    ),
    "catboost: a count": (
        *("catboost-cbm", AMOUNT, lambda: catboost_file(amounts(), loss_function="Poisson")),
        *("'Poisson'", LOGARITHM),
    ),
    "catboost: Tweedie": (
        "catboost-cbm",
        AMOUNT,
        lambda: catboost_file(amounts(), loss_function="Tweedie:variance_power=1.5"),
        *("'Tweedie'", LOGARITHM),
    ),
    "catboost: quantiles of logarithms": (
        *("catboost-cbm", AMOUNT, lambda: catboost_file(amounts(), loss_function="LogLinQuantile")),
        *("'LogLinQuantile'", LOGARITHM),
    ),
    "catboost: an amount and its error": (
        "catboost-cbm",
        AMOUNT,
        lambda: catboost_file(amounts(), loss_function="RMSEWithUncertainty"),
        *("'RMSEWithUncertainty'", ""),
    ),
    "catboost: two amounts": (
        *("catboost-cbm", AMOUNT, lambda: catboost_file(two_amounts(), loss_function="MultiRMSE")),
        *("'MultiRMSE'", ""),
    ),
    "catboost: two quantiles": (
        "catboost-cbm",
        AMOUNT,
        lambda: catboost_file(amounts(), loss_function="MultiQuantile:alpha=0.2,0.8"),
        *("'MultiQuantile'", ""),
    ),
    "catboost: classes that nobody has, named": (
        "catboost-cbm",
        Target(Task.MULTICLASS, ("0", "1", "2", "3")),
        lambda: catboost_file(three(), loss_function="MultiClass", class_names=[0, 1, 2, 3]),
        *("not for the classes it names", ""),
    ),
    "catboost: classes that nobody has, counted": (
        "catboost-cbm",
        Target(Task.MULTICLASS, ("0", "1", "2", "3")),
        lambda: catboost_file(three(), loss_function="MultiClass", classes_count=4),
        *("not for the classes it names", ""),
    ),
}


@pytest.mark.parametrize("model", REFUSED)
def test_a_sum_that_is_neither_log_odds_nor_an_amount_is_refused_with_the_way_out(model):
    declared, target, make, named, why = REFUSED[model]
    inputs = made("amount: catboost, RMSE").inputs
    with pytest.raises(ArtefactRefused) as refused:
        parse(declared, make(), inputs, target)
    assert named in refused.value.what
    assert why in refused.value.what
    assert refused.value.mend


def test_single_precision_is_told_apart():
    """The tolerances above are those of the files' own libraries."""
    assert {tolerance(name) for name in OUTCOMES if "xgboost" in name} == {SINGLE}
    assert {tolerance(name) for name in OUTCOMES if "xgboost" not in name} == {EXACT}


def test_a_contrast_is_of_two_outputs_and_an_amount_of_one():
    assert beside("amount: lightgbm").contrast(comparison("amount: lightgbm")[0]) == Contrast(0)
    assert len(beside("classes: lightgbm").comparisons) == 6
