"""Decisions as tables: agreeing and departing are the same record with another relation."""

from __future__ import annotations

from datetime import date

import pytest
from factories import LINE
from hypothesis import given
from hypothesis import strategies as st

from explainer.core.attribution import DecisionLine, Side
from explainer.core.decision import NOTE_LIMIT, Effect, ReasonCode, Relation, take_decision
from explainer.core.particulars import SentParticulars
from explainer.errors import DecisionFaulty

KNOWN = frozenset({"health", "household"})


def take(**changes):
    sent = {
        "suggested": "grant",
        "suggesting": LINE,
        "outcome": "grant",
        "relation": "agree",
        "codes": ["A1"],
        "checklist": [],
        "known_checklist": KNOWN,
        "note": "",
        "particulars": SentParticulars(),
        "first_day": date(2026, 11, 2),
        "today": date(2026, 11, 22),
    }
    return take_decision(**{**sent, **changes})


def faults(**changes) -> list[tuple[str, str]]:
    with pytest.raises(DecisionFaulty) as caught:
        take(**changes)
    return [(field, fault.code) for field, fault in caught.value.faults]


ACCEPTED = [
    # suggested, outcome, relation, codes, effect
    ("grant", "grant", "agree", ["A1"], Effect.NEUTRAL),
    ("grant", "grant", "agree", ["A1", "A2", "D2"], Effect.NEUTRAL),
    ("grant", "grant", "agree_other_reasons", ["A3"], Effect.NEUTRAL),
    ("grant", "grant", "partly", ["E2"], Effect.NEUTRAL),
    ("grant", "check", "partly", ["E2"], Effect.AGAINST),
    ("grant", "check", "deviate", ["D1"], Effect.AGAINST),
    ("check", "grant", "deviate", ["L3", "M5"], Effect.IN_FAVOUR),
    ("check", "grant", "not_used", ["P5"], Effect.IN_FAVOUR),
    ("check", "check", "not_used", ["M6"], Effect.NEUTRAL),
    (None, "grant", "not_used", ["P5"], Effect.NEUTRAL),
    (None, "check", "not_used", ["M2"], Effect.NEUTRAL),
]


@pytest.mark.parametrize(("suggested", "outcome", "relation", "codes", "effect"), ACCEPTED)
def test_a_decision_that_fits_is_taken(suggested, outcome, relation, codes, effect):
    taken = take(suggested=suggested, outcome=outcome, relation=relation, codes=codes)
    assert (taken.suggested, taken.outcome) == (suggested, outcome)
    assert taken.relation is Relation(relation)
    assert taken.effect is effect
    assert [code.value for code in taken.codes] == codes


REFUSED = [
    # suggested, outcome, relation, codes -> field, code
    ("grant", "check", "agree", ["A1"], ("relation", "decision.contradicts")),
    ("grant", "check", "agree_other_reasons", ["A3"], ("relation", "decision.contradicts")),
    ("grant", "grant", "deviate", ["D1"], ("relation", "decision.contradicts")),
    (None, "grant", "agree", ["A1"], ("relation", "decision.contradicts")),
    (None, "grant", "partly", ["D1"], ("relation", "decision.contradicts")),
    (None, "grant", "deviate", ["D1"], ("relation", "decision.contradicts")),
    ("grant", "check", "deviate", ["A1"], ("codes", "decision.contradicts")),
    ("grant", "check", "partly", ["A2"], ("codes", "decision.contradicts")),
    ("grant", "grant", "not_used", ["A1"], ("codes", "decision.contradicts")),
    ("grant", "grant", "agree", [], ("codes", "decision.grounds_missing")),
    ("grant", "grant", "agree", ["A1", "A2", "D1", "D2"], ("codes", "decision.grounds_missing")),
    ("grant", "grant", "agree", ["Z9"], ("codes", "decision.incomplete")),
    ("grant", "grant", "agree", ["a1"], ("codes", "decision.incomplete")),
    ("grant", "grant", "", ["A1"], ("relation", "decision.incomplete")),
    ("grant", "grant", "refuse", ["A1"], ("relation", "decision.incomplete")),
    ("grant", "", "agree", ["A1"], ("outcome", "decision.incomplete")),
    ("grant", "other", "agree", ["A1"], ("outcome", "decision.incomplete")),
]


@pytest.mark.parametrize(("suggested", "outcome", "relation", "codes", "fault"), REFUSED)
def test_a_decision_that_does_not_fit_is_refused_at_its_field(
    suggested, outcome, relation, codes, fault
):
    assert faults(suggested=suggested, outcome=outcome, relation=relation, codes=codes) == [fault]


def test_all_faults_are_named_at_once():
    sent = {"outcome": "", "relation": "", "codes": [], "checklist": ["weather"]}
    assert faults(**sent, note="x" * (NOTE_LIMIT + 1)) == [
        ("outcome", "decision.incomplete"),
        ("relation", "decision.incomplete"),
        ("codes", "decision.grounds_missing"),
        ("checklist", "decision.incomplete"),
        ("note", "decision.incomplete"),
    ]


NEEDS = [
    # codes, checklist, note -> accepted
    (["X1"], [], "", False),
    (["X1"], ["health"], "", False),
    (["X1"], [], " \u200b\x00 ", False),
    (["X1"], [], "Es war anders.", True),
    (["E1"], [], "", False),
    (["E1"], ["health"], "", True),
    (["E1"], [], "Akte Blatt 7", True),
    (["E4"], [], "", True),
    (["D1"], [], "", True),
]


@pytest.mark.parametrize(("codes", "checklist", "note", "accepted"), NEEDS)
def test_two_codes_need_a_word_and_no_other_does(codes, checklist, note, accepted):
    sent = {"outcome": "check", "relation": "deviate", "codes": codes, "checklist": checklist}
    if accepted:
        assert take(**sent, note=note)
    else:
        assert faults(**sent, note=note) == [("note", "decision.grounds_missing")]


NEED_A_WORD = (ReasonCode.X1, ReasonCode.E1, ReasonCode.P4)


@pytest.mark.parametrize("code", [c for c in ReasonCode if c not in NEED_A_WORD])
def test_departing_never_costs_more_than_agreeing(code):
    if code.group == "A":
        assert take(codes=[code.value])
    else:
        assert take(outcome="check", relation="deviate", codes=[code.value])


def test_what_the_program_cannot_know_may_stand_in_the_file():
    pointed = SentParticulars(evidence_refs=("Blatt 12",))
    assert take(outcome="check", relation="deviate", codes=["E1"], particulars=pointed)


@pytest.mark.parametrize("sent", [{}, {"outcome": "check", "relation": "deviate"}])
def test_who_follows_an_instruction_names_it_whether_agreeing_or_departing(sent):
    assert faults(**sent, codes=["P4"]) == [("instruction_ref", "decision.grounds_missing")]
    blank = SentParticulars(instruction_ref="   ")
    assert faults(**sent, codes=["P4"], particulars=blank)
    named = SentParticulars(instruction_ref="mündlich am 20.11.2026")
    assert take(**sent, codes=["P4"], particulars=named).particulars.instruction_ref


# -- what a decision rests on ------------------------------------------------------------------

LINES = ("legal_basis_ref", "hearing_ref", "instruction_ref")
NO_REFERENCE = ["x" * 201, "a\nb", "a\x00b", "a\u202eb", "a\u200bb", "a\u2028b", "\ud800", "\ue000"]


@pytest.mark.parametrize("field", LINES)
@pytest.mark.parametrize("text", NO_REFERENCE)
def test_a_reference_is_one_line_that_shows_all_it_holds(field, text):
    wrong = SentParticulars(**{field: text})
    assert faults(particulars=wrong) == [(field, "decision.reference_invalid")]


@pytest.mark.parametrize("text", NO_REFERENCE)
def test_each_reference_to_evidence_is_one_line_too(text):
    wrong = SentParticulars(evidence_refs=("Blatt 1", text))
    assert faults(particulars=wrong) == [("evidence_refs", "decision.reference_invalid")]


def test_references_are_kept_as_they_were_given_without_the_space_around_them():
    taken = take(
        particulars=SentParticulars(
            evidence_refs=(" Blatt 1 ", "", "Blatt 2", "Blatt 1"),
            legal_basis_ref=" § 7 SGB II ",
            hearing_ref="x" * 200,
        )
    ).particulars
    assert taken.evidence_refs == ("Blatt 1", "Blatt 2")
    assert (taken.legal_basis_ref, taken.hearing_ref) == ("§ 7 SGB II", "x" * 200)
    assert (taken.instruction_ref, taken.entered_afterwards) == (None, None)


@given(st.integers(0, 14), st.integers(1, 220))
def test_the_bounds_of_evidence_hold_for_every_number_and_length(count, length):
    given_refs = tuple(f"{at:02}".ljust(length, "x")[:length] for at in range(count))
    sent = SentParticulars(evidence_refs=given_refs)
    if len(set(given_refs)) <= 10 and length <= 200:
        assert take(particulars=sent).particulars.evidence_refs == tuple(dict.fromkeys(given_refs))
    elif count:
        assert faults(particulars=sent) == [("evidence_refs", "decision.reference_invalid")]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2026-11-02", None),
        ("2026-11-22", None),
        (" 2026-11-10 ", None),
        ("", None),
        ("2026-11-01", "before"),
        ("2026-11-23", "future"),
        ("22.11.2026", "form"),
        ("20261110", "form"),
        ("2026-W46-1", "form"),
        ("2026-11-31", "form"),
        ("gestern", "form"),
    ],
)
def test_a_case_was_decided_on_paper_after_it_came_in_and_not_tomorrow(text, kind):
    sent = SentParticulars(entered_afterwards=text)
    if kind is None:
        day = take(particulars=sent).particulars.entered_afterwards
        assert (day.isoformat() if day else "") == text.strip()
        return
    with pytest.raises(DecisionFaulty) as caught:
        take(particulars=sent)
    ((field, fault),) = caught.value.faults
    assert (field, fault.code, fault.where) == (
        "entered_afterwards",
        "decision.day_impossible",
        kind,
    )


def test_grounds_and_items_named_twice_count_once():
    taken = take(codes=["A1", "A1", "A2"], checklist=["health", "health", "household"])
    assert taken.codes == (ReasonCode.A1, ReasonCode.A2)
    assert taken.checklist == ("health", "household")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  Bescheid liegt vor.  ", "Bescheid liegt vor."),
        ("eins\nzwei", "eins\nzwei"),
        ("a\u202eb\x1b[2Jc", "ab[2Jc"),
        ("x" * NOTE_LIMIT, "x" * NOTE_LIMIT),
    ],
)
def test_a_note_is_kept_without_control_characters(sent, kept):
    assert take(note=sent).note == kept


@pytest.mark.parametrize("favours", Side)
def test_in_whose_favour_a_departure_is_comes_from_the_package(favours):
    line = DecisionLine(0.0, "one", "two", favours)
    departed = take_decision(
        suggested="one",
        suggesting=line,
        outcome="two",
        relation="deviate",
        codes=["D1"],
        checklist=[],
        known_checklist=KNOWN,
        note="",
        particulars=SentParticulars(),
        first_day=date(2026, 11, 2),
        today=date(2026, 11, 22),
    )
    assert departed.effect is (Effect.IN_FAVOUR if favours is Side.BELOW else Effect.AGAINST)
