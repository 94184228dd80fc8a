"""A case is checked whole: every fault is named, at once, and no value is ever quoted."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from factories import VALUES, catalogue, choice, feature, raw_case
from hypothesis import given
from hypothesis import strategies as st

from explainer.core.case import (
    SOURCE_LABEL,
    Case,
    FeatureCatalogue,
    Kind,
    Missing,
    Source,
    SourceType,
    Value,
    read_case,
)
from explainer.errors import CaseError, CaseFaulty, ValueOutOfRange

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "case-1.schema.json"

CANARY = "Kanarienvogel"
NUMBER_CANARY = 31415926


def faults(raw: object) -> list[tuple[str, str]]:
    """Code and place of every fault."""
    with pytest.raises(CaseFaulty) as caught:
        read_case(raw, catalogue())
    return [(fault.code, fault.where) for fault in caught.value.faults]


def written(fault: BaseException) -> str:
    """Everything an error could bring into a log."""
    parts = [str(fault), repr(fault), repr(fault.__cause__), repr(vars(fault))]
    parts += [written(each) for each in getattr(fault, "faults", ())]
    return "\n".join(parts)


def without(name: str) -> dict:
    return {"ref": "A-1", "values": {k: v for k, v in VALUES.items() if k != name}}


MALFORMED, MISSING, UNKNOWN = "case.malformed", "case.value_missing", "case.feature_unknown"
RANGE, KIND = "case.value_out_of_range", "case.value_of_wrong_kind"

ONE_FAULT = [
    ("not an object", [1, 2], MALFORMED, "case"),
    ("text for a case", CANARY, MALFORMED, "case"),
    ("nothing", None, MALFORMED, "case"),
    ("no case number", {"values": VALUES}, MALFORMED, "ref"),
    ("case number with a space", {**raw_case(), "ref": "A 1"}, MALFORMED, "ref"),
    ("case number with a line break", {**raw_case(), "ref": "A-1\n"}, MALFORMED, "ref"),
    ("case number too long", {**raw_case(), "ref": "A" * 65}, MALFORMED, "ref"),
    ("case number that climbs", {**raw_case(), "ref": "../etc"}, MALFORMED, "ref"),
    ("case number that is a number", {**raw_case(), "ref": 7}, MALFORMED, "ref"),
    ("unknown key", {**raw_case(), "remark": CANARY}, MALFORMED, "case"),
    ("package is no text", {**raw_case(), "package": 7}, MALFORMED, "package"),
    ("package is no id", {**raw_case(), "package": CANARY + " \x1b[2J"}, MALFORMED, "package"),
    ("reported is no object", {**raw_case(), "reported": NUMBER_CANARY}, MALFORMED, "reported"),
    ("reported without margin", {**raw_case(), "reported": {}}, MALFORMED, "reported"),
    ("reported true", {**raw_case(), "reported": {"margin": True}}, MALFORMED, "reported"),
    ("reported NaN", {**raw_case(), "reported": {"margin": float("nan")}}, MALFORMED, "reported"),
    ("reported too large", {**raw_case(), "reported": {"margin": 10**400}}, MALFORMED, "reported"),
    (
        "reported with more",
        {**raw_case(), "reported": {"margin": 1.0, "probability": 0.5}},
        MALFORMED,
        "reported",
    ),
    *(
        (
            f"reported {name}",
            {**raw_case(), "reported": {"margin": margin}},
            MALFORMED,
            "reported",
        )
        for name, margin in {
            "of no class": [],
            "of two classes as a list": [NUMBER_CANARY, 1.0],
            "with a class as text": [0.1, 0.2, CANARY],
            "with a class true": [0.1, 0.2, True],
            "with a class empty": [0.1, None, 0.2],
            "with a class NaN": [0.1, 0.2, float("nan")],
            "with a class too large": [0.1, 0.2, 10**400],
            "nested": [[0.1, 0.2, 0.3]],
            "by class": {"a": 0.1, "b": 0.2, "c": 0.3},
        }.items()
    ),
    ("values missing", {"ref": "A-1"}, MALFORMED, "values"),
    ("values are a list", {"ref": "A-1", "values": [CANARY]}, MALFORMED, "values"),
    ("unknown feature", raw_case(shoe_size=NUMBER_CANARY), UNKNOWN, "shoe_size"),
    ("feature not there", without("income"), MISSING, "income"),
    ("optional feature not there", without("savings"), MISSING, "savings"),
    ("empty", raw_case(income=None), MISSING, "income"),
    ("missing where needed", raw_case(income={"missing": "not_given"}), MISSING, "income"),
    ("text for a number", raw_case(income=CANARY), KIND, "income"),
    ("number in quotation marks", raw_case(income=str(NUMBER_CANARY)), KIND, "income"),
    ("true for a number", raw_case(income=True), KIND, "income"),
    ("list for a number", raw_case(income=[NUMBER_CANARY]), KIND, "income"),
    ("NaN", raw_case(income=float("nan")), KIND, "income"),
    ("infinity", raw_case(income=float("inf")), KIND, "income"),
    ("too large", raw_case(income=NUMBER_CANARY), RANGE, "income"),
    ("endless", raw_case(income=10**400), RANGE, "income"),
    ("too small", raw_case(income=-0.01), RANGE, "income"),
    ("fraction of a whole number", raw_case(age=33.31415926), KIND, "age"),
    ("whole number out of range", raw_case(age=NUMBER_CANARY), RANGE, "age"),
    ("unknown choice", raw_case(tenancy=CANARY), RANGE, "tenancy"),
    ("number for a choice", raw_case(tenancy=NUMBER_CANARY), KIND, "tenancy"),
    ("both", raw_case(savings={"value": 1, "missing": "not_given"}), MALFORMED, "savings"),
    ("unknown missing", raw_case(savings={"missing": CANARY}), MALFORMED, "savings.missing"),
    ("missing is a list", raw_case(savings={"missing": [CANARY]}), MALFORMED, "savings.missing"),
    ("unknown key of a value", raw_case(age={"value": 33, "n": CANARY}), MALFORMED, "age"),
    ("date", raw_case(age={"value": 33, "as_of": CANARY}), MALFORMED, "age.as_of"),
    ("date is a number", raw_case(age={"value": 33, "as_of": 20260301}), MALFORMED, "age.as_of"),
    ("source is text", raw_case(age={"value": 33, "source": CANARY}), MALFORMED, "age.source"),
    (
        "kind of source",
        raw_case(age={"value": 33, "source": {"type": CANARY, "label": "x"}}),
        MALFORMED,
        "age.source.type",
    ),
    (
        "kind of source is a list",
        raw_case(age={"value": 33, "source": {"type": ["authority"], "label": "x"}}),
        MALFORMED,
        "age.source",
    ),
    (
        "source without a label",
        raw_case(age={"value": 33, "source": {"type": CANARY}}),
        MALFORMED,
        "age.source",
    ),
    (
        "source too long",
        raw_case(age={"value": 33, "source": {"type": "authority", "label": CANARY * 20}}),
        MALFORMED,
        "age.source",
    ),
    (
        "source that is a sentence",
        raw_case(age={"value": 33, "source": {"type": "authority", "label": f"{CANARY}. Alter"}}),
        MALFORMED,
        "age.source",
    ),
    (
        "source that steers the page",
        raw_case(age={"value": 33, "source": {"type": "authority", "label": f"{CANARY}\u202e"}}),
        MALFORMED,
        "age.source",
    ),
    (
        "type with half a character",
        raw_case(age={"value": 33, "source": {"type": "\ud800", "label": "x"}}),
        MALFORMED,
        "age.source.type",
    ),
    (
        "source with half a character",
        raw_case(age={"value": 33, "source": {"type": "authority", "label": "\ud800"}}),
        MALFORMED,
        "age.source",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "code", "where"), [row[1:] for row in ONE_FAULT], ids=[row[0] for row in ONE_FAULT]
)
def test_each_fault_is_named_with_its_place(raw, code, where):
    assert faults(raw) == [(code, where)]


@pytest.mark.parametrize("raw", [row[1] for row in ONE_FAULT], ids=[row[0] for row in ONE_FAULT])
def test_no_fault_quotes_a_value(raw):
    with pytest.raises(CaseFaulty) as caught:
        read_case(raw, catalogue())
    text = written(caught.value)
    assert CANARY not in text
    assert str(NUMBER_CANARY) not in text
    assert "31415926" not in text
    assert len(text) < 6000


def test_all_faults_are_named_at_once():
    raw = {
        "ref": "",
        "package": 3,
        "remark": 1,
        "reported": "x",
        "values": {"income": "x", "age": 99, "tenancy": "castle", "shoe_size": 44},
    }
    assert faults(raw) == [
        (MALFORMED, "case"),
        (MALFORMED, "ref"),
        (MALFORMED, "package"),
        (MALFORMED, "reported"),
        (UNKNOWN, "shoe_size"),
        (KIND, "income"),
        (RANGE, "age"),
        (RANGE, "tenancy"),
        (MISSING, "savings"),
        (MISSING, "job_lost_by"),
        (MISSING, "partner_income"),
    ]


def test_every_fault_says_how_to_mend_it():
    for _, raw, _, _ in ONE_FAULT:
        with pytest.raises(CaseFaulty) as caught:
            read_case(raw, catalogue())
        assert all(fault.what and fault.mend for fault in caught.value.faults)


def test_a_name_from_outside_is_shown_without_control_characters_and_not_endless():
    name = "\x1b[2J\u202e" + "x" * 500
    with pytest.raises(CaseFaulty) as caught:
        read_case(raw_case(**{name: 1}), catalogue())
    where = caught.value.faults[0].where
    assert "\x1b" not in where
    assert "\u202e" not in where
    assert len(where) <= 60


@pytest.mark.parametrize("kind", Missing)
def test_an_optional_value_may_be_missing_for_each_of_five_reasons(kind):
    case = read_case(raw_case(savings={"missing": kind.value}), catalogue())
    assert case.values["savings"] == Value(None, kind)


def test_an_empty_optional_value_was_not_given():
    assert read_case(raw_case(savings=None), catalogue()).values["savings"] == Value(
        None, Missing.NOT_GIVEN
    )


@pytest.mark.parametrize(
    ("given", "taken"),
    [(5, 5.0), (5.0, 5.0), (0, 0.0), (-0.0, 0.0), (1000, 1000.0), (0.1, 0.1)],
)
def test_a_number_is_taken_as_a_float_and_nought_has_no_sign(given, taken):
    value = read_case(raw_case(income=given), catalogue()).values["income"].value
    assert repr(value) == repr(taken)


@pytest.mark.parametrize("given", [33, 33.0])
def test_a_whole_number_is_taken_as_one(given):
    value = read_case(raw_case(age=given), catalogue()).values["age"].value
    assert type(value) is int


def test_a_value_outside_of_training_is_taken():
    value = read_case(raw_case(income=999), catalogue()).values["income"].value
    assert not catalogue()["income"].knows(value)


def test_the_digest_of_a_case_stays_what_it_was():
    """Records name cases by this digest: a change of it would orphan them."""
    case = read_case(
        {
            **raw_case(
                age={
                    "value": 33,
                    "as_of": "2026-02-01",
                    "source": {"type": "own_statement", "label": "Antrag für Ä"},
                }
            ),
            "package": "made_up",
            "reported": {"margin": 1.25},
        },
        catalogue(),
    )
    canonical = (
        '{"package":"made_up","ref":"A-1","reported":{"margin":1.25},"values":{"age":'
        '{"as_of":"2026-02-01","source":{"label":"Antrag für Ä","type":"own_statement"},'
        '"value":33},"income":420.5,"job_lost_by":"season","partner_income":77.25,'
        '"savings":{"missing":"not_given"},"tenancy":"rent"}}'
    )
    assert case.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert case.digest.startswith("c7f6ff2b6ffe87a1")


def test_the_digest_does_not_depend_on_the_order_of_the_values():
    turned = {"values": dict(reversed(VALUES.items())), "ref": "A-1"}
    straight = read_case(raw_case(), catalogue())
    assert read_case(turned, catalogue()).digest == straight.digest
    assert read_case(raw_case(income=420), catalogue()).digest != straight.digest


def values_of(each) -> st.SearchStrategy:
    if each.kind is Kind.CHOICE:
        plain = st.sampled_from(each.choices)
    elif each.kind is Kind.INTEGER:
        plain = st.integers(int(each.hard[0]), int(each.hard[1]))
    else:
        plain = st.floats(each.hard[0], each.hard[1]) | st.integers(0, 1000)
    label = st.from_regex(SOURCE_LABEL, fullmatch=True)
    kind = st.sampled_from(SourceType).map(str)
    extras = st.fixed_dictionaries(
        {},
        optional={
            "as_of": st.dates().map(date.isoformat),
            "source": st.fixed_dictionaries({"type": kind, "label": label}),
        },
    )
    given = st.tuples(plain, extras).map(lambda both: {"value": both[0], **both[1]})
    if each.optional:
        missing = st.tuples(st.sampled_from(Missing), extras).map(
            lambda both: {"missing": both[0].value, **both[1]}
        )
        return st.none() | plain | given | missing
    return plain | given


CASES = st.fixed_dictionaries(
    {
        "ref": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}", fullmatch=True),
        "values": st.fixed_dictionaries({f.name: values_of(f) for f in catalogue()}),
    },
    optional={
        "package": st.from_regex(r"[a-z][a-z0-9_]{0,63}", fullmatch=True),
        "reported": st.floats(allow_nan=False, allow_infinity=False).map(lambda m: {"margin": m}),
    },
)


@given(CASES)
def test_a_case_written_and_read_back_is_equal_to_the_last_bit(raw):
    case = read_case(json.loads(json.dumps(raw)), catalogue())
    back = read_case(json.loads(json.dumps(case.to_json())), catalogue())
    assert back == case
    assert back.digest == case.digest
    assert json.dumps(back.to_json()) == json.dumps(case.to_json())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ref", "values", "package", "reported", "margin", "value", "missing"])
            | st.sampled_from(catalogue().names)
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_whatever_is_sent_only_our_own_error_comes_out(raw):
    found: list[CaseError] = [CaseFaulty("none", [])]
    try:
        assert isinstance(read_case(raw, catalogue()), Case)
    except CaseFaulty as fault:
        found = list(fault.faults)
        written(fault).encode()
    assert found
    assert all(isinstance(each, CaseError) for each in found)


@given(st.sampled_from(catalogue().names), ANYTHING)
def test_whatever_stands_for_one_value_only_our_own_error_comes_out(name, raw):
    found: list[CaseError] = []
    names = set(catalogue().names)
    try:
        names = set(read_case(raw_case(**{name: raw}), catalogue()).values)
    except CaseFaulty as fault:
        found = list(fault.faults)
        written(fault).encode()
        names = names if found else set()
    assert names == set(catalogue().names)
    assert all(isinstance(each, CaseError) for each in found)


def test_a_value_is_there_or_missing_for_a_reason():
    with pytest.raises(ValueError, match="missing for a reason"):
        Value(None)
    with pytest.raises(ValueError, match="missing for a reason"):
        Value(1.0, Missing.NOT_ASKED)


def test_names_of_features_do_not_repeat():
    with pytest.raises(ValueError, match="repeat"):
        FeatureCatalogue([feature("a"), choice("a")])


def test_a_catalogue_keeps_the_order_of_its_file():
    names = catalogue().names
    assert names == ("income", "age", "tenancy", "savings", "job_lost_by", "partner_income")
    assert [each.name for each in catalogue()] == list(names)
    assert "income" in catalogue()
    assert "shoe_size" not in catalogue()


def test_a_case_cannot_be_changed():
    case = read_case(raw_case(), catalogue())
    with pytest.raises(AttributeError):
        case.ref = "B-2"
    with pytest.raises(AttributeError):
        Source("a", "b").label = "c"


def test_a_reported_score_of_several_classes_keeps_their_order():
    said = [0.25, -1, -0.0]
    raw = {**raw_case(), "reported": {"margin": said}}
    case = read_case(raw, catalogue())
    assert case.reported_margin == (0.25, -1.0, 0.0)
    form = json.loads(json.dumps(case.to_json()))
    assert form["reported"] == {"margin": said}
    again = read_case(form, catalogue())
    assert (again, again.digest) == (case, case.digest)
    turned = {**raw_case(), "reported": {"margin": said[::-1]}}
    assert read_case(turned, catalogue()).digest != case.digest


def test_the_schema_of_cases_takes_the_reported_scores_that_are_read_and_no_others():
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for margin in (0.25, 3, [0.25, -1, 0.5], [0.1] * 4):
        raw = {"ref": "A-1", "values": {"income": 1}, "reported": {"margin": margin}}
        assert validator.is_valid(raw)
    for margin in ([], [0.5, 0.5], "x", [0.1, 0.2, "x"], [[0.1, 0.2, 0.3]], {"a": 1}, True):
        raw = {"ref": "A-1", "values": {"income": 1}, "reported": {"margin": margin}}
        assert not validator.is_valid(raw)


def test_a_range_is_told_with_every_digit_of_its_limits() -> None:
    key = feature("municipality", kind=Kind.INTEGER, hard=(1_001_000.0, 12_345_671.0))
    with pytest.raises(ValueOutOfRange, match="outside 1001000 to 12345671"):
        key.check(12_345_672)
    with pytest.raises(ValueOutOfRange, match=r"outside 0\.125 to 2\.5"):
        feature("share", hard=(0.125, 2.5)).check(3)
