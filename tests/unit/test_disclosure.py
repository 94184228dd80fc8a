"""Nobody sees more than their audience may: fields are held against lists written down here."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace

import pytest
from factories import choice, explanation, feature

from explainer.core.case import Concerns, FeatureCatalogue, FeatureClass, Missing, Value
from explainer.core.disclosure import (
    Audience,
    Disclosure,
    Pointing,
    ShownReason,
    ShownRow,
    Told,
    View,
    disclose,
    parts_of_100,
)
from explainer.core.explanation import Limit, Opening, ReasonPolicy, Strength
from explainer.core.forms import explanation_form, value_form, view_form

RULES = Disclosure(2026, 0.1)
APPLICANT, CASEWORKER = Audience.APPLICANT, Audience.CASEWORKER

FIELDS = {
    View: {
        "audience", "package", "case_ref", "suggestion", "opening", "reasons", "rest", "limits",
        "as_of", "table", "gaps", "within", "task", "runner_up", "amount",
    },
    ShownReason: {
        "rank", "pointing", "strength", "leading", "withheld", "feature", "outcome", "value",
        "stand_in", "can_be_supplied", "parts", "decisive", "proxy_for", "kept",
    },
    ShownRow: {"feature", "value", "stand_in", "pointing", "strength", "parts", "told"},
}  # fmt: skip
"""A new field is a new disclosure: it is added here by two people, not by one."""

APPLICANT_KEYS = {
    "schema", "audience", "language", "package", "package.id", "package.version", "case",
    "case.ref", "suggestion", "suggestion.outcome", "opening", "reasons", "reasons.rank",
    "reasons.pointing", "reasons.strength", "reasons.withheld", "reasons.feature",
    "reasons.value", "reasons.missing", "reasons.as_of", "reasons.source", "reasons.source.type",
    "reasons.source.label", "reasons.stand_in", "remainder", "limits", "text", "media_type",
}  # fmt: skip
CASEWORKER_KEYS = APPLICANT_KEYS | {
    "reasons.parts_of_100", "reasons.decisive", "reasons.proxy_for", "table", "table.feature",
    "table.value", "table.missing", "table.as_of", "table.source", "table.source.type",
    "table.source.label", "table.pointing", "table.strength", "table.parts_of_100", "table.told",
}  # fmt: skip
KEYS = {APPLICANT: APPLICANT_KEYS, CASEWORKER: CASEWORKER_KEYS}

NEVER = ("margin", "probability", "phi", "contribution", "threshold", "baseline", "share", "total")


def keys_of(form, above="") -> set[str]:
    found = set()
    if isinstance(form, dict):
        for key, value in form.items():
            path = f"{above}.{key}" if above else key
            found |= {path} | keys_of(value, path)
    elif isinstance(form, list):
        for value in form:
            found |= keys_of(value, above)
    return found


def told(audience: Audience) -> Told:
    return Told(b"words", "text/plain; charset=utf-8", "de", audience)


def shown_to(audience: Audience, found=None) -> dict:
    view = disclose(found or rich(), audience, RULES)
    return view_form(view, told(audience))


def rich(**facts):
    """Everything an explanation can hold: what decided, each direction, missing, proxy, others."""
    found = explanation(
        {"income": 2.0, "age": -1.9, "partner_income": 1.2, "savings": -1.4, "tenancy": 0.1},
        unstable=["age"],
        limits=frozenset(Limit),
        policy=ReasonPolicy(coverage=1000),
        **{"base": 1.0, **facts},
    )
    proxy = replace(
        found.reasons[0].finding.feature,
        feature_class=FeatureClass.PROXY_SUSPECT,
        proxy_for="sex",
    )
    finding = replace(found.reasons[0].finding, feature=proxy)
    reasons = (replace(found.reasons[0], finding=finding), *found.reasons[1:])
    return replace(found, reasons=reasons)


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_no_type_of_a_view_gains_a_field_unseen(kind):
    assert {field.name for field in dataclasses.fields(kind)} == FIELDS[kind]


@pytest.mark.parametrize("audience", Audience)
def test_no_audience_gains_a_key(audience):
    assert keys_of(shown_to(audience)) <= KEYS[audience]


def test_every_audience_has_its_list():
    assert set(KEYS) == set(Audience)


@pytest.mark.parametrize("audience", Audience)
def test_no_view_holds_a_margin_a_probability_or_a_contribution(audience):
    view = disclose(rich(), audience, RULES)
    text = json.dumps(shown_to(audience)) + repr(view)
    for number in ("margin", "probability", "phi"):
        assert number not in text
    names = {key.rpartition(".")[2] for key in keys_of(shown_to(audience))}
    assert not names & set(NEVER)


@pytest.mark.parametrize("audience", Audience)
def test_no_raw_number_of_the_model_reaches_a_view(audience):
    found = explanation(
        {"income": 2.123456789, "age": -1.987654321, "savings": 1.135791113},
        base=0.192837465,
        scale=1.0,
        threshold=-0.564738291,
    )
    text = repr(disclose(found, audience, RULES)) + json.dumps(shown_to(audience, found))
    for number in (found.margin, found.total, found.probability, *(f.phi for f in found.findings)):
        if number not in (0.0, 0.5):
            assert repr(abs(number))[:8] not in text
    assert "192837" not in text
    assert "564738" not in text


def test_the_whole_form_has_the_numbers_the_views_have_not():
    assert {"suggestion.margin", "suggestion.probability", "features.contribution"} <= keys_of(
        explanation_form(rich())
    )


def test_the_applicant_sees_no_more_than_the_caseworker():
    for mine, theirs in zip(
        disclose(rich(), APPLICANT, RULES).reasons,
        disclose(rich(), CASEWORKER, RULES).reasons,
        strict=True,
    ):
        for field in dataclasses.fields(ShownReason):
            value = getattr(mine, field.name)
            assert value in (getattr(theirs, field.name), None, False) or field.name == "withheld"


def test_the_rich_explanation_has_what_these_tests_look_for():
    mine, theirs = disclose(rich(), APPLICANT, RULES), disclose(rich(), CASEWORKER, RULES)
    assert any(reason.withheld for reason in mine.reasons)
    assert any(reason.can_be_supplied and reason.stand_in for reason in mine.reasons)
    assert all(reason.parts for reason in theirs.reasons)
    assert any(reason.decisive for reason in theirs.reasons)
    assert any(reason.proxy_for for reason in theirs.reasons)
    assert {reason.pointing for reason in theirs.reasons} == set(Pointing)


def test_what_is_for_staff_is_nothing_to_the_applicant():
    view = disclose(rich(), APPLICANT, RULES)
    assert view.table is None
    for reason in view.reasons:
        assert (reason.parts, reason.decisive, reason.proxy_for) == (None, False, None)


def test_a_reason_about_another_person_keeps_its_place_without_its_content():
    found = explanation({"income": 2.0, "partner_income": 1.5, "age": 0.9, "tenancy": 0.3})
    view = disclose(found, APPLICANT, RULES)
    assert [(r.rank, r.feature, r.withheld) for r in view.reasons] == [
        (1, "income", False),
        (2, None, True),
        (3, "age", False),
    ]
    withheld = view.reasons[1]
    assert (withheld.outcome, withheld.value, withheld.stand_in) == (None, None, None)
    assert withheld.strength is Strength.LARGE
    assert "partner_income" not in json.dumps(shown_to(APPLICANT, found))
    assert "77.25" not in json.dumps(shown_to(APPLICANT, found))


@pytest.mark.parametrize("kind", Missing)
def test_what_is_not_needed_in_a_case_is_not_asked_for(kind):
    found = explanation({"savings": 2.0, "income": 1.0})
    finding = replace(found.reasons[0].finding, value=Value(None, kind))
    reason = replace(found.reasons[0], finding=finding)
    view = disclose(replace(found, reasons=(reason, *found.reasons[1:])), APPLICANT, RULES)
    assert view.reasons[0].stand_in == 120.0
    assert view.reasons[0].can_be_supplied is (kind is not Missing.NOT_APPLICABLE)


def test_a_missing_value_about_another_person_tells_neither_stand_in_nor_that_it_is_missing():
    found = explanation({"savings": 2.0, "income": 1.0})
    other = replace(found.reasons[0].finding.feature, concerns=Concerns.THIRD_PERSON)
    reason = replace(found.reasons[0], finding=replace(found.reasons[0].finding, feature=other))
    view = disclose(replace(found, reasons=(reason, *found.reasons[1:])), APPLICANT, RULES)
    assert view.reasons[0].withheld
    assert (view.reasons[0].stand_in, view.reasons[0].can_be_supplied) == (None, False)
    assert "120" not in repr(view.reasons[0])


def test_the_caseworker_sees_the_reason_the_applicant_does_not():
    found = explanation({"income": 2.0, "partner_income": 1.5, "age": 0.9})
    view = disclose(found, CASEWORKER, RULES)
    assert [r.feature for r in view.reasons] == ["income", "partner_income", "age"]
    assert not any(r.withheld for r in view.reasons)
    assert [r.kept for r in view.reasons] == [False, True, False]
    assert not any(r.kept for r in disclose(found, APPLICANT, RULES).reasons)


@pytest.mark.parametrize("audience", Audience)
def test_ranks_of_the_view_are_those_of_the_explanation(audience):
    found = rich()
    view = disclose(found, audience, RULES)
    assert [r.rank for r in view.reasons] == [r.finding.rank for r in found.reasons]
    assert [r.strength for r in view.reasons] == [r.finding.strength for r in found.reasons]


@pytest.mark.parametrize("audience", Audience)
@pytest.mark.parametrize("phi", [2.0, -2.0])
def test_a_reason_points_towards_the_suggestion_or_away_whatever_the_sign(audience, phi):
    found = explanation({"income": phi, "age": -phi / 4, "tenancy": phi / 2}, unstable=["tenancy"])
    view = disclose(found, audience, RULES)
    assert {r.feature: r.pointing for r in view.reasons} == {
        "income": Pointing.TOWARDS,
        "age": Pointing.AWAY,
        "tenancy": Pointing.UNCLEAR,
    }
    outcomes = {r.feature: r.outcome for r in view.reasons}
    ahead, other = ("grant", "check") if phi > 0 else ("check", "grant")
    assert outcomes == {"income": ahead, "age": other, "tenancy": None}
    assert view.suggestion == ahead


def test_a_proxy_is_named_to_the_caseworker_only():
    assert disclose(rich(), CASEWORKER, RULES).reasons[0].proxy_for == "sex"
    assert "sex" not in json.dumps(shown_to(APPLICANT))


def test_the_table_has_every_feature_in_the_order_of_the_catalogue():
    view = disclose(rich(), CASEWORKER, RULES)
    assert [row.feature for row in view.table] == [f.feature.name for f in rich().findings]
    rows = {row.feature: row for row in view.table}
    assert rows["savings"].stand_in == 120.0
    assert rows["income"].stand_in is None
    assert rows["job_lost_by"].pointing is None
    assert rows["job_lost_by"].strength is Strength.NONE
    assert rows["age"].pointing is Pointing.UNCLEAR


@pytest.mark.parametrize(
    ("share", "parts"),
    [(0, 0), (24, 0), (25, 5), (49, 5), (74, 5), (75, 10), (400, 40), (974, 95), (975, 100)],
)
def test_parts_of_100_are_rounded_to_five(share, parts):
    assert parts_of_100(share) == parts


@pytest.mark.parametrize(
    ("share", "parts"), [(124, 10), (149, 10), (150, 15), (374, 35), (399, 35), (400, 40)]
)
def test_parts_of_100_never_round_into_the_next_word(share, parts):
    """15 of 100 is "large" and 40 "very large": the number must not say more than the word."""
    assert parts_of_100(share) == parts


def test_limits_stand_in_one_order():
    view = disclose(rich(), APPLICANT, RULES)
    assert view.limits == tuple(Limit)
    assert view.as_of == 2026


def test_what_was_told_is_known_by_the_digest_of_its_bytes():
    assert told(APPLICANT).digest.hex().startswith("dba36bff")
    assert told(APPLICANT).digest != replace(told(APPLICANT), body=b"Words").digest


def test_a_value_form_holds_what_the_value_holds():
    found = {f.feature.name: value_form(f.value) for f in explanation().findings}
    assert found["income"] == {
        "value": 420.5,
        "as_of": "2026-02-01",
        "source": {"type": "own_statement", "label": "form"},
    }
    assert found["savings"] == {"value": None, "missing": "not_given"}
    assert found["tenancy"] == {"value": "rent"}


def test_features_of_the_factory_are_of_each_kind():
    both = FeatureCatalogue([feature("a"), choice("b")])
    assert both["a"].knows(50.0)
    assert not both["a"].knows(501.0)
    assert both["b"].knows("rent")


def test_shares_of_almost_nothing_get_no_number_however_close_the_case_is():
    """Close comes before flat in the first line; it does not make the shares less misleading."""
    found = rich()
    assert {row.parts for row in disclose(found, CASEWORKER, RULES).table} != {None}
    group = replace(found.comparison, scale=1e6)
    close = replace(found, comparison=group, opening=Opening.CLOSE)
    view = disclose(close, CASEWORKER, RULES)
    assert {row.parts for row in view.table} == {None}
    assert {reason.parts for reason in view.reasons} == {None}
