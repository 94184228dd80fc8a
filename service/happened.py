"""What happened to a case later, as a program or a caseworker's program says it.

Holds are not among it: they are given and released by command, by whoever runs the service.
"""

from __future__ import annotations

from datetime import date

from explainer.core.decision import Actor, Role
from explainer.core.disclosure import Audience
from explainer.ledger.entries import Entry, EntryKind, Receipt, canonical
from explainer.ledger.log import LogName
from service.erasing import HAPPENED, Event, check_day, what_happened
from service.permissions import Action, check_may, check_may_see, no_such_case
from service.store import records
from service.store.cases import get_case
from service.store.sealed import ERASED
from service.wiring import Tools


def record_happened(
    case_id: str, event: Event, on: date, idempotency_key: str, actor: Actor, tools: Tools
) -> Receipt:
    """Record on which day something happened to a case; one of HAPPENED. Repeatable under its key.

    Raises CaseNotFound where it is not theirs, DayImpossible, and IdempotencyConflict for something
    else under the same key.
    """
    check_may(actor, Action.RECORD_EVENT)
    if event not in HAPPENED:
        raise ValueError(event)
    now = tools.now()
    tools.check_intact()
    body = canonical(
        {"happened": case_id, "by": actor.subject, "event": event.value, "on": on.isoformat()}
    )
    staff = actor.role is Role.CASEWORKER
    with tools.store.transaction(now) as tx:
        file = get_case(tx, case_id)
        if file is None or file.state == ERASED:
            raise no_such_case()
        check_may_see(
            actor, file.id, file.unit, Audience.CASEWORKER if staff else Audience.APPLICANT
        )
        before = records.replay(tx, idempotency_key, body)
        if before is not None:
            return before.receipt
        check_day(file, on, now)
        said = what_happened(tx, tools.resolver, file, event, actor.subject, on=on)
        entry = Entry(
            EntryKind.FOLLOW_UP,
            {**said, "role": actor.role.value},
            case_ref=file.case_ref,
            idempotency_key=idempotency_key,
        )
        receipt = records.record_follow_up(tx, case_id, entry, body=body)
    tools.seals.later(LogName.LEDGER)
    return receipt
