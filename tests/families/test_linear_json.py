"""Format linear-json: a documented file, read strictly, and its sum exact."""

from __future__ import annotations

import json
import math
import pickle  # noqa: TID251 - the attack these tests are about
from copy import deepcopy
from fractions import Fraction
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from factories import YES, feature
from households import (
    AMOUNT,
    CATALOGUE,
    COUNTS,
    EUROS,
    LINE,
    OUTCOMES,
    THREE,
    check_against_brute_force,
    damages,
    filled,
    households,
    permuted,
)
from trained import NAMES, SmallModel, demo_rows, write_package

from explainer.core.attribution import Space
from explainer.core.case import Case, FeatureCatalogue, Value, read_case
from explainer.errors import ArtefactRefused, ExplainerError, ModelFailed, ScoreDiffers
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.attribute import explained
from explainer.packages.admit import admit

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "linear-model-1.schema.json"

MODEL = {
    "schema": "warum.linear-model/1",
    "link": "log-odds",
    "classes": ["no", "yes"],
    "intercept": -0.75,
    "features": {
        "tenancy": {"coefficients": {"own": -0.4, "rent": 0.9}},
        "income": {"coefficient": -1.1, "centre": 1500.25, "scale": 800},
        "heating": {
            "coefficients": {"gas": 0.0, "oil": 0.3, "wood": -0.2, "other": 1.7},
            "stand_in": "gas",
        },
        "rooms": {"coefficient": 0.35, "stand_in": 3},
    },
}


def changed(*path, to) -> dict:
    """The model with another member at `path`; without one where `to` is ... ."""
    found = deepcopy(MODEL)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return found


def data(model=MODEL) -> bytes:
    return json.dumps(model).encode()


def opened(model=MODEL, catalogue=CATALOGUE, target=YES):
    return open_model("linear-json", data(model), catalogue, target)


def by_hand(row, model=MODEL, at=None) -> Fraction:
    """The sum in exact fractions, from the file as it is written; of the class at `at`."""

    def number(given) -> Fraction:
        return Fraction(given if at is None else given[at])

    total = number(model["intercept"])
    for name, entry in model["features"].items():
        value = entry["stand_in"] if row[name] is None else row[name]
        if "coefficients" in entry:
            total += number(entry["coefficients"][value])
        else:
            z = (Fraction(value) - Fraction(entry.get("centre", 0))) / Fraction(
                entry.get("scale", 1)
            )
            total += number(entry["coefficient"]) * z
    return total


def test_the_margin_is_the_sum_in_the_file():
    rows = households()
    margins = opened().answer(rows).margin
    assert margins == pytest.approx([float(by_hand(row)) for row in rows], abs=1e-15, rel=1e-15)


def test_values_equal_brute_force():
    check_against_brute_force(opened())


def test_the_form_is_another_computation_and_agrees():
    answer = opened().answer(households())
    assert abs(opened().forms[0].sums(answer.columns) - answer.margin).max() < 1e-13
    assert opened().space is Space.LOG_ODDS
    assert opened().stand_ins == {"heating": "gas", "rooms": 3.0}


def test_a_weight_that_is_wrong_in_one_of_the_two_is_withheld():
    model = opened()
    model.forms[0].weight[0] += 0.01
    answer = explained(model, CATALOGUE, LINE, households(), "0" * 64)
    case = Case("A", None, {n: Value(v) for n, v in filled(households())[0].items()})
    with pytest.raises(ExplainerError, match="add up"):
        answer.attribute(case)


def test_features_in_another_order_get_the_same_values():
    rows = households()
    case = Case("A", None, {n: Value(v) for n, v in filled(rows)[0].items()})
    found = [
        {
            c.feature: c.phi
            for c in explained(opened(catalogue=c), c, LINE, rows, "0" * 64)
            .attribute(case)
            .contributions
        }
        for c in (CATALOGUE, permuted())
    ]
    assert found[0] == found[1]


def test_alone_and_among_many_the_margin_is_the_same_bits():
    rows = households()
    many = opened().answer(rows).margin
    assert [opened().answer([row]).margin[0] for row in rows] == many.tolist()


def test_in_a_process_of_its_own_it_answers_the_same():
    apart = open_apart("linear-json", data(), CATALOGUE, YES)
    rows = households()
    assert np.array_equal(apart.answer(rows).margin, opened().answer(rows).margin)
    assert apart.stand_ins == opened().stand_ins
    apart.close()


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-300, 1e17, math.nextafter(1500.25, 0), -0.0])
def test_awkward_numbers_add_up(value):
    row = households()[0] | {"income": value}
    assert opened().answer([row]).margin[0] == pytest.approx(float(by_hand(row)), rel=1e-15)


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e308, "12 secret"])
def test_what_gives_no_finite_sum_is_withheld_without_quoting_it(value):
    model = opened(changed("features", "income", "scale", to=1e-3))
    with pytest.raises(ModelFailed) as caught:
        model.answer([households()[0] | {"income": value}])
    assert "secret" not in str(caught.value)


def test_without_a_stand_in_a_missing_value_is_withheld_and_the_feature_named():
    model = opened(changed("features", "rooms", "stand_in", to=...))
    assert "rooms" not in model.stand_ins
    with pytest.raises(ModelFailed, match=r"rooms.*stand-in"):
        model.answer(households())


# -- several classes, and amounts ---------------------------------------------------------------

SEVERAL = {
    "schema": "warum.linear-model/1",
    "link": "log-odds",
    "classes": ["no", "part", "yes"],
    "intercept": [-0.75, 0.25, 0.5],
    "features": {
        "tenancy": {"coefficients": {"own": [-0.4, 0.1, 0.3], "rent": [0.9, 0, -0.2]}},
        "income": {"coefficient": [-1.1, 0.2, 0.9], "centre": 1500.25, "scale": 800},
        "heating": {
            "coefficients": {
                "gas": [0.0, 0.1, 0.2],
                "oil": [0.3, -0.3, 0.0],
                "wood": [-0.2, 0.7, 0.1],
                "other": [1.7, 0.2, -0.9],
            },
            "stand_in": "gas",
        },
        "rooms": {"coefficient": [0.35, 0.05, -0.3], "stand_in": 3},
    },
}
EURO = {key: value for key, value in MODEL.items() if key != "classes"} | {"link": "amount"}
SEVERAL_AND_AMOUNTS = {
    "two classes": (MODEL, YES, LINE, Space.LOG_ODDS),
    "three classes": (SEVERAL, THREE, OUTCOMES, Space.LOG_ODDS),
    "an amount": (EURO, AMOUNT, EUROS, Space.AMOUNT),
}


@pytest.mark.parametrize("name", SEVERAL_AND_AMOUNTS)
def test_margins_of_every_kind_are_the_sums_in_the_file_and_values_equal_brute_force(name):
    file, target, suggesting, space = SEVERAL_AND_AMOUNTS[name]
    model, rows = opened(file, target=target), households()
    answer = model.answer(rows)
    outputs = range(target.outputs) if target is THREE else [None]
    by_file = [[float(by_hand(row, file, at)) for at in outputs] for row in rows]
    assert answer.margins == pytest.approx(np.array(by_file), abs=1e-15, rel=1e-15)
    assert (model.space, len(model.forms)) == (space, target.outputs)
    sums = np.stack([form.sums(answer.columns) for form in model.forms], axis=1)
    assert abs(sums - answer.margins).max() < 1e-12
    check_against_brute_force(model, line=suggesting)


def test_of_several_classes_the_suggested_one_stands_against_the_runner_up():
    model = opened(SEVERAL, target=THREE)
    answer = explained(model, CATALOGUE, OUTCOMES, households(), "0" * 64)
    met = set()
    for row in filled(households()):
        found = answer.attribute(Case("A", None, {n: Value(v) for n, v in row.items()}))
        first, second = sorted(found.margins, reverse=True)[:2]
        assert found.margin == first - second
        assert found.line.above == OUTCOMES.outcomes[found.margins.index(first)]
        shares = np.exp(found.margins) / np.exp(found.margins).sum()
        assert found.probability == pytest.approx(shares.max(), abs=1e-15)
        met.add((found.line.above, found.line.below))
    assert len(met) > 2


def test_a_model_of_several_classes_answers_the_same_in_a_process_of_its_own():
    apart = open_apart("linear-json", data(SEVERAL), CATALOGUE, THREE)
    rows = households()
    assert np.array_equal(
        apart.answer(rows).margins, opened(SEVERAL, target=THREE).answer(rows).margins
    )
    apart.close()


def test_what_a_running_system_reported_of_each_class_is_compared():
    answer = explained(opened(SEVERAL, target=THREE), CATALOGUE, OUTCOMES, households(), "0" * 64)
    row = filled(households())[0]
    margins = [float(by_hand(row, SEVERAL, at)) for at in range(3)]

    def attributed(said):
        raw = {"ref": "A", "values": row, "reported": {"margin": said}}
        return answer.attribute(read_case(raw, CATALOGUE))

    assert attributed(margins).reported_margin == pytest.approx(attributed(margins).margin)
    # log-odds are known but for a number that all of them share
    assert attributed([each + 7 for each in margins]).margins == pytest.approx(margins)
    first, _, third = np.argsort(margins)[::-1].tolist()

    def off(which, far):
        return [each + far * (at == which) for at, each in enumerate(margins)]

    # also where only the third differs: there the running system may have suggested it
    for said in (
        off(first, 0.5),
        off(third, 0.01),
        off(third, 20.0),
        margins[::-1],
        [*margins, 0.0],
        margins[0],
    ):
        with pytest.raises(ScoreDiffers):
            attributed(said)


WRONG_KIND = {
    "an intercept for all classes": (
        SEVERAL | {"intercept": 0.5},
        THREE,
        "intercept is not a list",
    ),
    "an intercept too few": (SEVERAL | {"intercept": [0.5, 1]}, THREE, "intercept is not a list"),
    "an intercept true": (SEVERAL | {"intercept": [0.5, 1, True]}, THREE, "intercept is not a"),
    "an intercept as text": (SEVERAL | {"intercept": [0.5, 1, "2"]}, THREE, "intercept is not a"),
    "an intercept null": (SEVERAL | {"intercept": None}, THREE, "intercept is null"),
    "an intercept too large": (
        SEVERAL | {"intercept": [0.5, 1, 10**301]},
        THREE,
        "intercept is not a list of 3 numbers between",
    ),
    "no intercept": ({k: v for k, v in SEVERAL.items() if k != "intercept"}, THREE, "missing"),
    "coefficients of two classes": (
        MODEL | {"classes": THREE.classes},
        THREE,
        "intercept is not a",
    ),
    "three classes for two": (
        SEVERAL | {"classes": ["no", "yes"]},
        YES,
        "intercept is not a number",
    ),
    "classes in another order": (
        SEVERAL | {"classes": ["yes", "part", "no"]},
        THREE,
        "classes are",
    ),
    "an amount with classes": (EURO | {"classes": ["no", "yes"]}, AMOUNT, "classes says nothing"),
    "log-odds for an amount": (MODEL, AMOUNT, "link is not amount"),
    "an amount for log-odds": (EURO, YES, "link is not log-odds"),
    "no classes": (
        {k: v for k, v in SEVERAL.items() if k != "classes"},
        THREE,
        "classes is missing",
    ),
}


@pytest.mark.parametrize("name", WRONG_KIND)
def test_a_file_of_another_kind_is_refused_by_name(name):
    file, target, says = WRONG_KIND[name]
    with pytest.raises(ArtefactRefused) as caught:
        opened(file, target=target)
    assert says in caught.value.what


# -- what is refused ----------------------------------------------------------------------------

WRONG = {
    "another form": (changed("schema", to="warum.linear-model/2"), "schema"),
    "no form": (changed("schema", to=...), "schema"),
    "another link": (changed("link", to="probit"), "link is not log-odds"),
    "no intercept": (changed("intercept", to=...), "intercept is missing"),
    "intercept as text": (changed("intercept", to="1"), "intercept is not a number"),
    "intercept true": (changed("intercept", to=True), "intercept is not a number"),
    "intercept null": (changed("intercept", to=None), "intercept is null"),
    "one class": (changed("classes", to=["yes"]), "classes"),
    "three classes": (changed("classes", to=["no", "maybe", "yes"]), "classes"),
    "classes turned": (changed("classes", to=["yes", "no"]), "classes"),
    "a class twice": (changed("classes", to=["yes", "yes"]), "twice"),
    "classes by number": (changed("classes", to=[0, 1]), "classes"),
    "a feature too few": (changed("features", "rooms", to=...), "features.rooms is missing"),
    "a feature too many": (
        changed("features", "age", to={"coefficient": 1.0}),
        "features.age is no feature",
    ),
    "a choice too few": (
        changed("features", "heating", "coefficients", "wood", to=...),
        "features.heating.coefficients.wood is missing",
    ),
    "a choice too many": (
        changed("features", "heating", "coefficients", "coal", to=1.0),
        "features.heating.coefficients.coal is not known",
    ),
    "a number as a choice": (
        changed("features", "income", to={"coefficients": {"a": 1.0}}),
        "features.income.coefficient is missing",
    ),
    "a choice as a number": (
        changed("features", "tenancy", to={"coefficient": 1.0}),
        "features.tenancy.coefficients is missing",
    ),
    "scale nought": (changed("features", "income", "scale", to=0), "income.scale"),
    "scale below nought": (changed("features", "income", "scale", to=-1), "income.scale"),
    "a coefficient too large": (
        changed("features", "income", "coefficient", to=10**301),
        "income.coefficient is not between",
    ),
    "a stand-in of another kind": (
        changed("features", "rooms", "stand_in", to="three"),
        "rooms.stand_in is not a number",
    ),
    "a stand-in that is no choice": (
        changed("features", "heating", "stand_in", to="coal"),
        "heating.stand_in is not gas or",
    ),
    "a key nobody knows": (changed("features", "rooms", "power", to=2), "rooms.power is not known"),
    "a key nobody knows outside": (changed("version", to=1), "version is not known"),
    "a list": ([MODEL], "not an object"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_refused_by_name(wrong):
    model, says = WRONG[wrong]
    with pytest.raises(ArtefactRefused) as caught:
        opened(model)
    assert says in caught.value.what
    assert caught.value.mend


IN_TEXT = {
    "a key twice": ('"intercept": -0.75', '"intercept": -0.75, "intercept": 1', "twice"),
    "NaN": ("-0.75", "NaN", "NaN is not a number"),
    "Infinity": ("-0.75", "-Infinity", "-Infinity is not a number"),
    "too large": ("-0.75", "1e999", "too large"),
    "too many digits": ("-0.75", "9" * 5000, "no JSON"),
    "no JSON": ("-0.75", "", "no JSON"),
    "nested without end": ("-0.75", "[" * 100_000, "no JSON"),
    "a BOM": ('{"schema"', '\ufeff{"schema"', "no JSON"),
}


@pytest.mark.parametrize("wrong", IN_TEXT)
def test_what_is_no_plain_json_is_refused(wrong):
    old, new, says = IN_TEXT[wrong]
    text = json.dumps(MODEL).replace(old, new, 1)
    with pytest.raises(ArtefactRefused) as caught:
        open_model("linear-json", text.encode(), CATALOGUE, YES)
    assert says in caught.value.what


def test_all_faults_are_named_at_once():
    model = changed("link", to="probit")
    model["features"]["rooms"]["stand_in"] = "x"
    del model["features"]["income"]
    with pytest.raises(ArtefactRefused) as caught:
        opened(model)
    assert all(name in caught.value.what for name in ("link", "rooms.stand_in", "income"))


def test_text_of_the_file_is_quoted_short_and_plain():
    model = changed("features", "\x1b[31m" + "x" * 10_000, to={})
    with pytest.raises(ArtefactRefused) as caught:
        opened(model)
    assert caught.value.what.isprintable()
    assert len(caught.value.what) < 300


@pytest.mark.parametrize("protocol", range(6))
def test_a_renamed_pickle_is_refused(protocol):
    with pytest.raises(ArtefactRefused):
        open_model("linear-json", pickle.dumps(MODEL, protocol), CATALOGUE, YES)


@pytest.mark.parametrize("count", COUNTS)
def test_a_damaged_file_is_refused_or_read_as_what_it_says(count):
    rows = filled(households())
    for damaged in damages(json.dumps(MODEL, indent=1).encode(), count):
        try:
            model = open_model("linear-json", damaged, CATALOGUE, YES)
        except ArtefactRefused:
            continue
        # a digit that became another: the digest is what protects from this
        answer = model.answer(rows)
        assert abs(model.forms[0].sums(answer.columns) - answer.margin).max() < 1e-9 * (
            1 + abs(answer.margin).max()
        )


# -- the documented form ------------------------------------------------------------------------


def test_the_schema_is_one_and_takes_the_model():
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for model in (MODEL, SEVERAL, EURO):
        jsonschema.Draft202012Validator(schema).validate(model)


TOLD_BY_THE_CATALOGUE = {
    "classes turned",
    "a feature too few",
    "a feature too many",
    "a choice too few",
    "a choice too many",
    "a number as a choice",
    "a choice as a number",
    "a stand-in of another kind",
    "a stand-in that is no choice",
}
"""Only who knows the features can tell; the schema does not."""


TOLD_BY_THE_MANIFEST = {
    "classes in another order",
    "log-odds for an amount",
    "an amount for log-odds",
}
WRONG_IN_ITSELF = {
    **{name: WRONG[name][0] for name in sorted(WRONG.keys() - TOLD_BY_THE_CATALOGUE)},
    **{f"kind: {name}": WRONG_KIND[name][0] for name in WRONG_KIND.keys() - TOLD_BY_THE_MANIFEST},
}


@pytest.mark.parametrize("wrong", sorted(WRONG_IN_ITSELF))
def test_the_schema_refuses_what_the_reader_refuses(wrong):
    schema = json.loads(SCHEMA.read_text("utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(
            json.loads(json.dumps(WRONG_IN_ITSELF[wrong]))
        )


def test_a_feature_of_the_catalogue_that_the_model_lacks_is_named():
    more = FeatureCatalogue([*CATALOGUE, feature("age")])
    with pytest.raises(ArtefactRefused, match=r"features\.age is missing"):
        opened(catalogue=more)


# -- as a package -------------------------------------------------------------------------------

SMALL = {
    "schema": "warum.linear-model/1",
    "link": "log-odds",
    "classes": ["no", "yes"],
    "intercept": -1.1,
    "features": {
        "age": {"coefficient": 0.9, "centre": 36, "scale": 12},
        "married": {"coefficients": {"yes": 0.8, "no": 0.0}},
        "tenure": {"coefficient": 0.13, "stand_in": 4},
        "job_lost_by": {
            "coefficients": {
                "slack_work": 0.1,
                "position_abolished": 0.2,
                "seasonal_job_ended": -1.0,
                "other": 0.0,
            },
            "stand_in": "slack_work",
        },
    },
}


class BareModel:
    """The same model where it was trained: numpy on a table."""

    def decision_function(self, rows):
        def chosen(name, filled):
            return rows[name].fillna(filled).map(SMALL["features"][name]["coefficients"])

        return (
            -1.1
            + 0.9 * (rows["age"] - 36) / 12
            + 0.13 * rows["tenure"].fillna(4)
            + chosen("married", "no")
            + chosen("job_lost_by", "slack_work")
        ).to_numpy()

    def predict_proba(self, rows):
        chances = 1 / (1 + np.exp(-self.decision_function(rows)))
        return np.stack([1 - chances, chances], axis=1)


def test_a_package_with_a_linear_model_is_admitted_and_explains(tmp_path):
    rows = demo_rows()[list(NAMES)]
    package = admit(
        write_package(
            tmp_path / "small_benefit",
            SmallModel(BareModel(), json.dumps(SMALL).encode(), rows),
            manifest=lambda text: text.replace('format = "skops"', 'format = "linear-json"'),
        )
    )
    assert package.explained.method == "interventional-linear-groups/1"
    case = read_case(package.golden[0].case, package.catalogue)
    found = package.explained.attribute(case)
    assert found.margin == pytest.approx(package.golden[0].margins[0], abs=1e-12)
    assert abs(found.difference) <= 1e-12
