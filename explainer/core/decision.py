"""What a person decided, how it stands to the suggestion, and on which grounds.

Agreement and deviation are the same record with another relation: deviating never costs more
than agreeing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from explainer.core.attribution import AmountOutcome, Suggesting
from explainer.core.particulars import Particulars, SentParticulars, check_particulars
from explainer.errors import (
    DecisionContradicts,
    DecisionError,
    DecisionFaulty,
    DecisionIncomplete,
    GroundsMissing,
)

NOTE_LIMIT = 500


class Role(StrEnum):
    """As whom somebody acts."""

    APPLICANT = "applicant"
    CASEWORKER = "caseworker"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"
    """Whoever runs the service; does nothing that is recorded."""
    SYSTEM = "system"
    """The agency's specialist procedure, which submits cases."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `case_id` binds an applicant to the one case that is theirs."""

    subject: str
    role: Role
    unit: str | None = None
    case_id: str | None = None


class Relation(StrEnum):
    """How the decision stands to the suggestion."""

    AGREE = "agree"
    AGREE_OTHER_REASONS = "agree_other_reasons"
    PARTLY = "partly"
    DEVIATE = "deviate"
    NOT_USED = "not_used"


class Effect(StrEnum):
    """Whether departing from the suggestion was in favour of the applicant."""

    IN_FAVOUR = "in_favour"
    AGAINST = "against"
    NEUTRAL = "neutral"


class ReasonCode(StrEnum):
    """Grounds of a decision; stored names are a contract. Words stand in `locales/`."""

    A1 = "A1"
    A2 = "A2"
    A3 = "A3"
    D1 = "D1"
    D2 = "D2"
    D3 = "D3"
    D4 = "D4"
    D5 = "D5"
    D6 = "D6"
    E1 = "E1"
    E2 = "E2"
    E3 = "E3"
    E4 = "E4"
    E5 = "E5"
    E6 = "E6"
    E7 = "E7"
    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"
    L5 = "L5"
    L6 = "L6"
    L7 = "L7"
    L8 = "L8"
    M1 = "M1"
    M2 = "M2"
    M3 = "M3"
    M4 = "M4"
    M5 = "M5"
    M6 = "M6"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"
    P5 = "P5"
    X1 = "X1"

    @property
    def group(self) -> str:
        return self.value[0]


@dataclass(frozen=True, slots=True)
class Decision:
    """A human decision with one to three grounds."""

    suggested: str | None
    outcome: str
    relation: Relation
    effect: Effect
    codes: tuple[ReasonCode, ...]
    checklist: tuple[str, ...]
    note: str
    particulars: Particulars


def take_decision(
    *,
    suggested: str | None,
    suggesting: Suggesting,
    outcome: str,
    relation: str,
    codes: list[str],
    checklist: list[str],
    known_checklist: frozenset[str],
    note: str,
    particulars: SentParticulars,
    first_day: date,
    today: date,
) -> Decision:
    """Check what was sent and make it a Decision.

    `suggested` is the outcome the person was shown, None if no suggestion was delivered; of an
    amount, both are decimals as `AmountOutcome.canonical` writes them. Nothing can have been
    decided before `first_day`.
    Raises DecisionFaulty with every fault and the form field it belongs to.
    """
    faults: list[tuple[str, DecisionError]] = []
    decided = suggesting.canonical(outcome)
    if decided is None:
        faults.append(("outcome", _no_outcome(suggesting)))
    stated = _relation(relation, faults)
    grounds = _grounds(codes, faults)
    unknown = [item for item in checklist if item not in known_checklist]
    if unknown:
        faults.append(("checklist", _incomplete("checklist", "Choose from the list.")))
    clean = "".join(c for c in note if c in "\n" or unicodedata.category(c)[0] != "C").strip()
    if len(clean) > NOTE_LIMIT:
        faults.append(("note", _incomplete("note", f"Keep the note to {NOTE_LIMIT} characters.")))
    rests_on = check_particulars(particulars, first_day, today, faults)
    faults.extend(_missing_beside(grounds, clean, bool(checklist), rests_on))
    if stated is not None and decided is not None and not faults:
        _check_fits(suggested, decided, stated, grounds, faults)
    if faults or stated is None or decided is None:
        raise DecisionFaulty("decision", faults)
    return Decision(
        suggested,
        decided,
        stated,
        _effect(suggested, decided, suggesting),
        grounds,
        tuple(dict.fromkeys(checklist)),
        clean,
        rests_on,
    )


def _incomplete(where: str, mend: str) -> DecisionIncomplete:
    return DecisionIncomplete("The field is missing or not one of its choices.", where, mend)


def _no_outcome(suggesting: Suggesting) -> DecisionIncomplete:
    if isinstance(suggesting, AmountOutcome):
        return DecisionIncomplete(
            f"This is no amount with at most {suggesting.decimals} decimals.",
            "amount",
            "Give a decimal such as 1200.50.",
        )
    return _incomplete("outcome", "Choose an outcome.")


def _relation(raw: str, faults: list[tuple[str, DecisionError]]) -> Relation | None:
    try:
        return Relation(raw)
    except ValueError:
        faults.append(("relation", _incomplete("relation", "Say how you used the suggestion.")))
        return None


def _grounds(raw: list[str], faults: list[tuple[str, DecisionError]]) -> tuple[ReasonCode, ...]:
    try:
        grounds = tuple(dict.fromkeys(ReasonCode(code) for code in raw))
    except ValueError:
        faults.append(("codes", _incomplete("codes", "Choose reason codes from the list.")))
        return ()
    if not 1 <= len(grounds) <= 3:
        faults.append(
            (
                "codes",
                GroundsMissing(
                    "A decision needs one to three grounds.",
                    "many" if grounds else "codes",
                    "Choose one to three.",
                ),
            )
        )
    return grounds


def _missing_beside(
    grounds: tuple[ReasonCode, ...], note: str, ticked: bool, rests_on: Particulars
) -> Iterator[tuple[str, DecisionError]]:
    """What some grounds need beside them, whether they agree or depart."""
    if ReasonCode.X1 in grounds and not note:
        yield "note", GroundsMissing("Code X1 needs a note.", "X1", "Say what the ground is.")
    if ReasonCode.E1 in grounds and not (note or ticked or rests_on.evidence_refs):
        yield (
            "note",
            GroundsMissing(
                "Code E1 needs an item of the list, a reference or a note.",
                "E1",
                "Tick what the program does not know, say where it stands, or say it.",
            ),
        )
    if ReasonCode.P4 in grounds and not rests_on.instruction_ref:
        # it is what shields the person who followed the instruction
        yield (
            "instruction_ref",
            GroundsMissing("Code P4 needs a reference.", "P4", "Say which instruction it was."),
        )


def _check_fits(
    suggested: str | None,
    outcome: str,
    relation: Relation,
    grounds: tuple[ReasonCode, ...],
    faults: list[tuple[str, DecisionError]],
) -> None:
    def contradiction(kind: str, what: str, mend: str) -> None:
        faults.append(("relation", DecisionContradicts(what, kind, mend)))

    agrees = relation in (Relation.AGREE, Relation.AGREE_OTHER_REASONS)
    if suggested is None and relation is not Relation.NOT_USED:
        contradiction("none", "There was no suggestion.", "Choose that it was not used.")
    elif agrees and outcome != suggested:
        contradiction(
            "other", "The outcome is not the suggested one.", "Change the outcome or relation."
        )
    elif relation is Relation.DEVIATE and outcome == suggested:
        contradiction(
            "same", "The outcome is the suggested one.", "Change the outcome or relation."
        )
    elif any(code.group == "A" for code in grounds) and not agrees:
        faults.append(
            (
                "codes",
                DecisionContradicts(
                    "A code for agreement does not fit a decision that does not agree.",
                    "codes",
                    "Choose another code or another relation.",
                ),
            )
        )


def _effect(suggested: str | None, outcome: str, suggesting: Suggesting) -> Effect:
    if suggested is None or suggested == outcome:
        return Effect.NEUTRAL
    better = suggesting.is_better(outcome, suggested)
    return Effect.IN_FAVOUR if better else Effect.AGAINST
