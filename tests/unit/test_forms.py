"""The documented JSON forms: what comes out is what the schemas say, and nothing besides."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from factories import attribution, catalogue, explanation, raw_case
from hypothesis import given
from test_case import CASES
from test_disclosure import rich, shown_to, told

from explainer.core.case import Value, read_case
from explainer.core.disclosure import Audience, disclose
from explainer.core.explanation import Opening
from explainer.core.forms import (
    EXPLANATION,
    VIEW,
    explanation_form,
    view_form,
    withheld_explanation_form,
    withheld_form,
)
from explainer.errors import (
    CaseFaulty,
    DoesNotAddUp,
    ModelFailed,
    OutsideExperience,
    ScoreDiffers,
)
from explainer.pipeline import explain, tell, tell_withheld
from explainer.text.languages import language

DOCS = Path(__file__).resolve().parents[2] / "docs"
DAY = date(2026, 3, 1)
NAMES = ("case-1", "explanation-1", "view-1")


def schema(name: str) -> dict:
    return json.loads((DOCS / f"{name}.schema.json").read_text("utf-8"))


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        schema(name), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def as_sent(form: dict) -> dict:
    """Through real JSON, as a client gets it; NaN would not get through."""
    return json.loads(json.dumps(form, allow_nan=False))


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def objects(node, path="$"):
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield path, node
        for key, inner in node.items():
            yield from objects(inner, f"{path}.{key}")
    elif isinstance(node, list):
        for at, inner in enumerate(node):
            yield from objects(inner, f"{path}[{at}]")


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_allows_nothing_it_does_not_name_and_describes_all_it_names(name):
    found = list(objects(schema(name)))
    assert len(found) >= 3
    for path, node in found:
        assert "additionalProperties" in node, path
        if path != "$.properties.values":  # the features are the package's
            assert node["additionalProperties"] is False, path
        for key, inner in node.get("properties", {}).items():
            described = "$ref" in inner or "const" in inner or "enum" in inner
            described |= any("description" in one for one in inner.get("anyOf", ()))
            assert described or inner.get("description"), f"{path}.{key}"


@pytest.mark.parametrize("name", ["demo", "small"])
def test_every_explanation_is_of_its_form(name, request):
    package = request.getfixturevalue(name)
    check = validator("explanation-1")
    for golden in package.golden[::6]:
        found = explain(read_case(golden.case, package.catalogue), package, DAY)
        form = as_sent(explanation_form(found))
        check.validate(form)
        assert form["schema"] == EXPLANATION
        assert abs(form["verified"]["difference"]) <= 1e-4 * form["baseline"]["margin_scale"]
        total = form["baseline"]["value"] + sum(f["contribution"] for f in form["features"])
        assert total == pytest.approx(form["suggestion"]["margin"], abs=1e-9)


@pytest.mark.parametrize(
    ("value", "outside"),
    [(9.5, True), (10.0, False), (500.0, False), (501.0, True)],
)
def test_a_value_outside_of_what_was_trained_is_marked_however_little_it_moved(value, outside):
    found = explanation({"income": 0.001, "age": 5.0})
    income = replace(found.findings[0], value=Value(value))
    assert income.feature.name == "income"
    form = as_sent(explanation_form(replace(found, findings=(income, *found.findings[1:]))))
    validator("explanation-1").validate(form)
    marks = {one["feature"]: one["outside_trained"] for one in form["features"]}
    assert marks.pop("income") is outside
    # choices and what is missing are never outside
    assert not any(marks.values())


WITHHELD = [
    (DoesNotAddUp, {"model_output": 1.5, "total": 1.25}, (1.5, 1.25, -0.25)),
    (DoesNotAddUp, {"model_output": 1.5, "total": float("nan")}, (1.5, None, None)),
    (ScoreDiffers, {"model_output": 1.5, "total": 1.5}, (1.5, 1.5, 0.0)),
    (ModelFailed, {}, None),
    (OutsideExperience, {}, None),
]


@pytest.mark.parametrize(("kind", "numbers", "checked"), WITHHELD)
@pytest.mark.parametrize("reported", [None, 2.5])
def test_what_is_withheld_is_told_to_machines_with_the_numbers_that_were_compared(
    kind, numbers, checked, reported
):
    case = read_case(raw_case(), catalogue())
    case = replace(case, reported_margin=reported)
    fault = kind("what", "where", "mend", **numbers)
    package = explanation().package
    form = as_sent(withheld_explanation_form(fault, case, package, "by hand"))
    validator("explanation-1").validate(form)
    assert form["package"] == {"id": package.id, "version": "1", "digest": "1" * 64}
    assert form["case"] == {"ref": "A-1", "digest": case.digest}
    assert (form["withheld"], form["method"]) == ({"code": kind.code}, "by hand")
    assert ("checked" in form) is (checked is not None)
    if checked is not None:
        found = form["checked"]
        assert (found["model_output"], found["sum"], found["difference"]) == checked
        assert found.get("reported") == reported
    for key in ("suggestion", "features", "reasons"):
        assert key not in form
        with pytest.raises(jsonschema.ValidationError):
            validator("explanation-1").validate(form | {key: {}})


@pytest.mark.parametrize(
    ("off", "reported", "kind"), [(0.5, None, DoesNotAddUp), (0.0, 9.0, ScoreDiffers)]
)
def test_what_does_not_agree_carries_what_was_compared(off, reported, kind):
    with pytest.raises(kind) as caught:
        attribution({"income": 2.0}, margin=2.0 + off, reported_margin=reported)
    assert (caught.value.model_output, caught.value.total) == (2.0 + off, 2.0)
    assert "2.5" not in str(caught.value)


@pytest.mark.parametrize("made", [rich, explanation, lambda: explanation({"income": 0.0})])
def test_every_shape_of_an_explanation_is_of_its_form(made):
    validator("explanation-1").validate(as_sent(explanation_form(made())))


@pytest.mark.parametrize("audience", Audience)
@pytest.mark.parametrize("name", ["demo", "small"])
def test_every_view_is_of_its_form(name, audience, request):
    package = request.getfixturevalue(name)
    check = validator("view-1")
    german = language("de")
    for golden in package.golden[::12]:
        found = explain(read_case(golden.case, package.catalogue), package, DAY)
        words = tell(found, audience, german, package, form="text")
        form = as_sent(view_form(disclose(found, audience, package.disclosure), words))
        check.validate(form)
        assert form["schema"] == VIEW
        assert form["text"] == words.body.decode()
        assert form["media_type"] == "text/plain; charset=utf-8"
        words = tell(found, audience, german, package, form="html")
        form = as_sent(view_form(disclose(found, audience, package.disclosure), words))
        check.validate(form)
        assert form["media_type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("audience", Audience)
def test_every_shape_of_a_view_is_of_its_form(audience):
    validator("view-1").validate(as_sent(shown_to(audience)))


@pytest.mark.parametrize("audience", Audience)
def test_where_all_movements_are_almost_nothing_no_share_is_told(audience):
    found = rich(scale=1000.0, base=5000.0)
    assert found.opening is Opening.FLAT
    form = as_sent(shown_to(audience, found))
    validator("view-1").validate(form)
    assert not any("parts_of_100" in reason for reason in form["reasons"])
    if audience is Audience.CASEWORKER:
        assert form["reasons"][0]["proxy_for"] == "sex"
        assert all("decisive" in reason for reason in form["reasons"])
        assert form["table"]
        assert [row for row in form["table"] if row["parts_of_100"] is not None] == []


@pytest.mark.parametrize("fault", [DoesNotAddUp, ModelFailed, OutsideExperience])
@pytest.mark.parametrize("audience", Audience)
def test_a_withheld_explanation_carries_its_code_and_no_suggestion(small, audience, fault):
    raised = fault("what", "where", "mend")
    words = tell_withheld(raised, audience, language("de"), small, form="text")
    form = as_sent(withheld_form(raised, words, "A-1"))
    validator("view-1").validate(form)
    assert form["withheld"] == {"code": fault.code}
    assert "suggestion" not in form
    assert "suggested" not in form["text"]
    for outcome in small.manifest.outcomes:
        suggested = small.wordings["de"][f"outcome|{outcome}|suggested"]
        assert suggested not in form["text"]


@pytest.mark.parametrize(
    ("key", "number"),
    [("margin", 1.0), ("probability", 0.5), ("baseline", {}), ("contribution", 0.1)],
)
@pytest.mark.parametrize("audience", Audience)
def test_the_schema_of_a_view_has_no_room_for_a_number_of_the_model(audience, key, number):
    check = validator("view-1")
    for change in (
        lambda form: {**form, key: number},
        lambda form: {**form, "suggestion": {**form["suggestion"], key: number}},
        lambda form: {**form, "reasons": [{**form["reasons"][0], key: number}]},
    ):
        form = as_sent(shown_to(audience))
        check.validate(form)
        with pytest.raises(jsonschema.ValidationError):
            check.validate(change(form))


def test_the_schema_of_an_applicants_view_has_no_room_for_what_is_for_staff():
    form = as_sent(shown_to(Audience.CASEWORKER)) | {"audience": "applicant"}
    with pytest.raises(jsonschema.ValidationError):
        validator("view-1").validate(form)


@given(CASES)
def test_every_case_that_is_taken_is_of_its_form(raw):
    check = validator("case-1")
    case = read_case(raw, catalogue())
    check.validate(as_sent(case.to_json()))
    check.validate(as_sent(raw))


WRONG = {
    "no number of the case": {"values": {}},
    "no values": {"ref": "A-1"},
    "unknown key": {**raw_case(), "remark": "x"},
    "number of the case too long": {**raw_case(), "ref": "A" * 65},
    "missing and given": raw_case(savings={"value": 1, "missing": "not_given"}),
    "unknown kind of missing": raw_case(savings={"missing": "lost"}),
    "list for a value": raw_case(income=[1]),
    "true for a value": raw_case(income=True),
    "unknown kind of source": raw_case(income={"value": 1, "source": {"type": "x", "label": "y"}}),
    "source without a label": raw_case(income={"value": 1, "source": {"type": "x"}}),
    "score in words": {**raw_case(), "reported": {"margin": "1"}},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_schema_of_a_case_refuses_is_refused_by_the_program_too(wrong):
    assert not validator("case-1").is_valid(WRONG[wrong])
    with pytest.raises(CaseFaulty):
        read_case(WRONG[wrong], catalogue())


def test_the_recorded_cases_are_of_the_form(demo):
    check = validator("case-1")
    assert demo.golden
    for golden in demo.golden:
        check.validate(golden.case)


def test_what_was_told_stands_in_the_form_word_for_word():
    assert shown_to(Audience.APPLICANT)["text"] == told(Audience.APPLICANT).body.decode()
