"""Who may do what: one table, and checks in pairs (`check_may` raises, `may` asks)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from explainer.core.decision import Actor, ReasonCode, Role
from explainer.core.disclosure import Audience
from explainer.errors import CaseNotFound, NotAllowed


class Action(StrEnum):
    """What a route can be for."""

    SUBMIT = "submit"
    QUEUE = "queue"
    SEE_AS_CASEWORKER = "see_as_caseworker"
    SEE_AS_APPLICANT = "see_as_applicant"
    DECIDE = "decide"
    READ_OWN = "read_own"
    LIST_RECORDS = "list_records"
    OPEN_RECORD = "open_record"
    VERIFY = "verify"
    READ_PUBLIC = "read_public"
    RECORD_EVENT = "record_event"
    OPERATE = "operate"


ALLOWED: dict[Role, frozenset[Action]] = {
    Role.APPLICANT: frozenset({Action.SEE_AS_APPLICANT, Action.READ_PUBLIC}),
    Role.CASEWORKER: frozenset(
        {
            Action.QUEUE,
            Action.SEE_AS_CASEWORKER,
            Action.DECIDE,
            Action.READ_OWN,
            Action.RECORD_EVENT,
            Action.VERIFY,
            Action.READ_PUBLIC,
        }
    ),
    Role.SUPERVISOR: frozenset(
        {Action.LIST_RECORDS, Action.OPEN_RECORD, Action.VERIFY, Action.READ_PUBLIC}
    ),
    # no case, no record, nothing that is about a person: docs/decisions/0045
    Role.OPERATOR: frozenset({Action.OPERATE}),
    Role.SYSTEM: frozenset(
        {Action.SUBMIT, Action.SEE_AS_APPLICANT, Action.READ_PUBLIC, Action.RECORD_EVENT}
    ),
}


PROGRAM_GROUND = ReasonCode.M5.group
"""All supervision reads of grounds about the program. Suspected disadvantage is for the fairness
contact, not for the line of command (C8), and left out alone it would be known by its gap."""


def grounds_for_supervision(codes: Iterable[str]) -> tuple[str, ...]:
    """Grounds as supervision may read them: those about the program cannot be told apart."""
    return tuple(
        dict.fromkeys(PROGRAM_GROUND if code.startswith(PROGRAM_GROUND) else code for code in codes)
    )


GROUNDS_FOR_SUPERVISION = grounds_for_supervision(code.value for code in ReasonCode)


def may(actor: Actor, action: Action) -> bool:
    """Whether the role of `actor` allows `action` at all."""
    return action in ALLOWED[actor.role]


def check_may(actor: Actor, action: Action) -> None:
    """Raise NotAllowed unless the role of `actor` allows `action`."""
    if not may(actor, action):
        raise NotAllowed(
            "This role may not do this.", action.value, "Sign in with the role that may."
        )


def check_may_see_any(actor: Actor, audience: Audience) -> None:
    """Raise NotAllowed where this role sees no case at all in this way; asks nothing of a case."""
    check_may(
        actor,
        Action.SEE_AS_CASEWORKER if audience is Audience.CASEWORKER else Action.SEE_AS_APPLICANT,
    )


def check_may_see(actor: Actor, case_id: str, unit: str, audience: Audience) -> None:
    """Raise CaseNotFound unless this case is theirs: not allowed and not there look the same."""
    check_may_see_any(actor, audience)
    theirs = (
        actor.role is Role.SYSTEM
        or (actor.role is Role.CASEWORKER and actor.unit == unit)
        or (actor.role is Role.APPLICANT and actor.case_id == case_id)
    )
    if not theirs:
        raise no_such_case()


def no_such_case() -> CaseNotFound:
    return CaseNotFound(
        "There is no such case, or you may not see it.", "case", "Open it from your list."
    )
