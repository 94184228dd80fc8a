"""One of several outcomes, or an amount: what is suggested, decided, and told to machines."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import jsonschema
import pytest
from factories import explanation
from hypothesis import given
from hypothesis import strategies as st
from kinds import AMOUNT, THREE, write_kind
from test_cli import warum
from test_disclosure import KEYS, RULES, keys_of, told
from test_forms import as_sent, validator

from explainer.core.attribution import (
    Amount,
    AmountOutcome,
    Compared,
    DecisionLine,
    SeveralOutcomes,
    Side,
    Task,
)
from explainer.core.decision import Effect, take_decision
from explainer.core.disclosure import Audience, disclose
from explainer.core.forms import explanation_form, view_form
from explainer.core.particulars import SentParticulars
from explainer.errors import DecisionFaulty, PackageFaulty
from explainer.packages.admit import admit
from explainer.packages.scaffold import seal
from explainer.text.catalogs import catalog
from explainer.text.languages import languages

EURO = AmountOutcome("EUR", 2, Side.ABOVE)
SEVERAL = SeveralOutcomes(("grant", "talk", "check"), ("grant", "talk", "check"))
LINE = DecisionLine(0.0, "talk", "check", Side.ABOVE)


def several():
    return replace(
        explanation(), task=Task.MULTICLASS, line=LINE, suggestion="talk", margins=(0.5, 2.5, 0.0)
    )


def amount(text: str = "412.50"):
    line = DecisionLine(0.0, "higher", "lower", Side.ABOVE)
    return replace(
        explanation(),
        task=Task.AMOUNT,
        line=line,
        suggestion="higher",
        probability=None,
        amount=Amount(text, "EUR", Compared.HIGHER),
    )


# -- amounts as they are told and recorded -------------------------------------------------------


@pytest.mark.parametrize(
    ("decimals", "margin", "expect"),
    [
        (2, 412.4987, "412.50"),
        (2, 0.125, "0.13"),
        (2, -0.125, "-0.13"),
        (2, -0.001, "0.00"),
        (0, 412.5, "413"),
        (0, 0.5, "1"),
        (3, 1e14, "100000000000000.000"),
        (6, 0.1, "0.100000"),
        (2, 1e300, f"{10**300 - 10**300 + int(1e300)}.00"),
    ],
)
def test_an_amount_is_rounded_as_people_round(decimals, margin, expect):
    assert AmountOutcome("EUR", decimals, Side.ABOVE).told(margin, 0.0).text == expect


@pytest.mark.parametrize(
    ("margin", "base", "expect"),
    [
        (400.01, 400.0, Compared.HIGHER),
        (399.99, 400.0, Compared.LOWER),
        (400.004, 399.996, Compared.EQUAL),
        (-3.0, -2.0, Compared.LOWER),
        (10.0, 9.0, Compared.HIGHER),
    ],
)
def test_amounts_are_compared_as_they_are_told(margin, base, expect):
    assert EURO.told(margin, base).compared is expect


@pytest.mark.parametrize(
    ("given", "expect"),
    [
        ("1200", "1200.00"),
        ("1200.5", "1200.50"),
        ("0.1", "0.10"),
        ("-0", "0.00"),
        ("007", "7.00"),
        ("1200.505", None),
        ("1200.500", "1200.50"),
        ("1.200,50", None),
        ("1e3", None),
        ("NaN", None),
        ("", None),
        (" 12", None),
        ("12\n", None),
        ("١٢", None),
        ("9" * 16, None),
        ("higher", None),
    ],
)
def test_what_somebody_decided_is_written_in_one_way_or_refused(given, expect):
    assert EURO.canonical(given) == expect


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_what_was_suggested_can_be_agreed_to_as_it_was_told(margin, decimals):
    outcome = AmountOutcome("EUR", decimals, Side.ABOVE)
    said = outcome.told(margin, 0.0).text
    assert outcome.canonical(said) == said


# -- deciding ------------------------------------------------------------------------------------


def decide(suggesting, suggested, outcome, relation="deviate", codes=("E6",)):
    return take_decision(
        suggested=suggested,
        suggesting=suggesting,
        outcome=outcome,
        relation=relation,
        codes=list(codes),
        checklist=[],
        known_checklist=frozenset(),
        note="",
        particulars=SentParticulars(),
        first_day=date(2026, 11, 2),
        today=date(2026, 11, 22),
    )


@pytest.mark.parametrize(
    ("favours", "decided", "effect"),
    [
        (Side.ABOVE, "412.51", Effect.IN_FAVOUR),
        (Side.ABOVE, "412.49", Effect.AGAINST),
        (Side.BELOW, "412.51", Effect.AGAINST),
        (Side.BELOW, "99", Effect.IN_FAVOUR),
        # nothing of the text itself may be compared: "99" comes after "412" there
        (Side.ABOVE, "99", Effect.AGAINST),
        (Side.ABOVE, "1000", Effect.IN_FAVOUR),
    ],
)
def test_in_whose_favour_another_amount_is(favours, decided, effect):
    found = decide(AmountOutcome("EUR", 2, favours), "412.50", decided)
    assert (found.effect, found.outcome) == (effect, EURO.canonical(decided))


def test_the_same_amount_in_another_spelling_is_agreement():
    found = decide(EURO, "412.50", "412.5", "agree", ("A1",))
    assert (found.outcome, found.effect) == ("412.50", Effect.NEUTRAL)
    for relation, outcome in (("agree", "412.51"), ("deviate", "412.5")):
        with pytest.raises(DecisionFaulty) as caught:
            decide(EURO, "412.50", outcome, relation)
        assert [fault.code for _, fault in caught.value.faults] == ["decision.contradicts"]


@pytest.mark.parametrize("outcome", ["", "1.200,50", "412.505", "grant"])
def test_what_is_no_amount_cannot_be_decided(outcome):
    with pytest.raises(DecisionFaulty) as caught:
        decide(EURO, "412.50", outcome)
    ((field, fault),) = caught.value.faults
    assert (field, fault.code, fault.where) == ("outcome", "decision.incomplete", "amount")


@pytest.mark.parametrize(
    ("suggested", "decided", "effect"),
    [
        ("talk", "grant", Effect.IN_FAVOUR),
        ("talk", "check", Effect.AGAINST),
        ("grant", "talk", Effect.AGAINST),
        ("check", "talk", Effect.IN_FAVOUR),
    ],
)
def test_in_whose_favour_another_of_several_outcomes_is(suggested, decided, effect):
    assert decide(SEVERAL, suggested, decided).effect is effect
    with pytest.raises(DecisionFaulty):
        decide(SEVERAL, suggested, "412.50")


# -- the documented forms ------------------------------------------------------------------------


def test_machines_read_both_outcomes_that_are_compared_and_all_scores():
    form = as_sent(explanation_form(several()))
    validator("explanation-1").validate(form)
    found = several()
    assert form["suggestion"] == {
        "task": "multiclass",
        "outcome": "talk",
        "runner_up": "check",
        "margin": found.margin,
        "probability": found.probability,
        "threshold": 0.0,
        "margins": [0.5, 2.5, 0.0],
    }
    assert {f["direction"] for f in form["features"]} == {"talk", "check", None}


def test_machines_read_an_amount_as_it_is_told_and_as_the_model_gave_it():
    form = as_sent(explanation_form(amount()))
    validator("explanation-1").validate(form)
    assert form["suggestion"] == {
        "task": "amount",
        "amount": "412.50",
        "unit": "EUR",
        "compared": "higher",
        "margin": amount().margin,
    }


def test_the_form_of_two_outcomes_says_what_it_always_said():
    form = explanation_form(explanation())
    assert list(form["suggestion"]) == ["outcome", "margin", "probability", "threshold"]
    view = disclose(explanation(), Audience.APPLICANT, RULES)
    assert view_form(view, told(Audience.APPLICANT))["suggestion"] == {"outcome": "grant"}


ALLOWED = {
    several: {"suggestion.task", "suggestion.runner_up"},
    amount: {
        "suggestion.task",
        "suggestion.amount",
        "suggestion.unit",
        "suggestion.compared",
    },
}


@pytest.mark.parametrize("audience", Audience)
@pytest.mark.parametrize("made", ALLOWED)
def test_no_audience_reads_a_score_of_several_outcomes_or_more_than_the_told_amount(made, audience):
    form = as_sent(view_form(disclose(made(), audience, RULES), told(audience)))
    check = validator("view-1")
    check.validate(form)
    assert keys_of(form) <= KEYS[audience] | ALLOWED[made]
    for key in ("margin", "margins", "probability", "threshold"):
        with pytest.raises(jsonschema.ValidationError):
            check.validate(form | {"suggestion": form["suggestion"] | {key: 1.0}})


@pytest.mark.parametrize("task", Task)
def test_a_reason_may_put_one_outcome_before_the_other_but_decides_no_amount(task):
    found = explanation({"income": 2.0, "age": -0.5}, base=-1.0, task=task)
    (leading, *_) = found.reasons
    assert leading.finding.feature.name == "income"
    assert leading.decisive is (task is not Task.AMOUNT)


# -- packages and commands -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    return {kind.name: write_kind(folder / kind.name, kind) for kind in (THREE, AMOUNT)}


@pytest.mark.parametrize("name", [THREE.name, AMOUNT.name])
@pytest.mark.parametrize("language", ["de", "en", "ar"])
def test_the_command_explains_every_kind_in_words(folders, name, language, capsys, tmp_path):
    golden = folders[name] / "golden" / "cases.jsonl"
    case = tmp_path / "case.json"
    case.write_text(golden.read_text().splitlines()[0])
    day = ["--date", "2026-03-01", "--language", language]
    assert warum("explain", folders[name], case, *day) == 0
    words = catalog(languages()[language])
    key = "told.runner_up" if name == THREE.name else "told.compared.higher"
    assert words.sentence(key).partition("{value}")[0] in capsys.readouterr().out


@pytest.mark.parametrize("name", [THREE.name, AMOUNT.name])
def test_the_command_gives_every_kind_to_machines(folders, name, capsys, tmp_path):
    golden = folders[name] / "golden" / "cases.jsonl"
    lines = tmp_path / "cases.jsonl"
    lines.write_text("".join(golden.read_text().splitlines(keepends=True)[:5]))
    assert warum("explain", folders[name], lines, "--format", "json") == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(answers) == 5
    for answer in answers:
        validator("explanation-1").validate(answer)
        total = answer["baseline"]["value"] + sum(f["contribution"] for f in answer["features"])
        assert total == pytest.approx(answer["suggestion"]["margin"], abs=1e-4)
        if name == THREE.name:
            first, second, _ = sorted(answer["suggestion"]["margins"], reverse=True)
            assert answer["suggestion"]["margin"] == pytest.approx(first - second)


FAULTY = {
    "a unit without words": (AMOUNT, {'unit = "EUR"': 'unit = "hours"'}, "no words for this unit"),
    "an amount that leaves it open": (
        AMOUNT,
        {'decision_type = "bound"': 'decision_type = "bound"\ninterim = ["higher"]'},
        "an outcome that is none",
    ),
    "an outcome without a class": (
        THREE,
        {', check = "check" }': " }"},
        "one for each class",
    ),
    "no order for the applicant": (
        THREE,
        {'favourable = ["grant", "talk", "check"]': 'favourable = ["grant", "talk"]'},
        "not the order",
    ),
}


@pytest.mark.parametrize("faulty", FAULTY)
def test_a_manifest_that_does_not_fit_its_kind_is_refused(faulty, tmp_path):
    kind, changes, says = FAULTY[faulty]
    folder = write_kind(tmp_path / kind.name, kind)
    manifest = folder / "manifest.toml"
    text = manifest.read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    manifest.write_text(text)
    with pytest.raises(PackageFaulty) as caught:
        admit(folder)
    assert any(says in fault.what for fault in caught.value.faults)


WORDS = {
    "an amount that is not told": (
        AMOUNT,
        "hat als Beihilfe für Sie vorgeschlagen: {value}.",
        "hat eine Beihilfe vorgeschlagen.",
        "does not say the amount",
    ),
    "an amount in the middle of a sentence": (
        AMOUNT,
        "hat als Beihilfe für Sie vorgeschlagen: {value}.",
        "hat {value} als Beihilfe vorgeschlagen.",
        "elsewhere than after a colon",
    ),
    "no name for the field": (AMOUNT, 'decide = "Beihilfe im Monat in Euro"', "", "amount|decide"),
    "outcomes of an amount": (
        AMOUNT,
        "[package]",
        '[outcome.higher]\nlabel = "Mehr"\n[package]',
        "outcomes the manifest does not have",
    ),
    "two outcomes that read alike": (
        THREE,
        'label = "Genauere Prüfung"',
        'label = "Bewilligung"',
        "same text for label",
    ),
}


@pytest.mark.parametrize("words", WORDS)
def test_words_that_do_not_fit_their_kind_are_refused(words, tmp_path):
    kind, old, new, says = WORDS[words]
    folder = write_kind(tmp_path / kind.name, kind)
    wording = folder / "wording.toml"
    assert old in wording.read_text()
    wording.write_text(wording.read_text().replace(old, new))
    seal(folder)
    with pytest.raises(PackageFaulty) as caught:
        admit(folder)
    assert any(says in fault.what for fault in caught.value.faults), caught.value.faults
