"""Erasing a case on purpose: two approvers, a legal basis, no legal hold; then a certificate.

A hold, its release, and the day from which the time to keep a case runs are follow-up entries of
the case, sealed under its key. So nobody can lift a hold by changing a table, and all of it goes
when the case goes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType

from explainer.core.days import local_day, recorded_day
from explainer.errors import CaseNotFound, DayImpossible, ErasureRefused, RecordsDisagree
from explainer.ledger.entries import Entry, EntryKind, Json, Receipt, minute
from explainer.ledger.log import LogName
from explainer.ledger.sealing import seal_actor
from service.store.astray import Astray, check_none_hidden, find_astray, may_be_follow_up
from service.store.cases import CaseFile, look_up, new_id
from service.store.database import Reading, Transaction
from service.store.erasure import (
    Covered,
    covered_by_case,
    covered_by_lost_key,
    entries_to_erase,
    finish_erasures,
    is_being_erased,
    months_of_access,
    record_end_without_key,
    record_erasure,
    record_erasure_of_access,
)
from service.store.key_check import check_few, lost_keys
from service.store.of_case import of_lost_key
from service.store.records import OpenedEntry, open_entries, record_end, record_follow_up
from service.store.sealed import ERASED, Damaged
from service.wiring import Ledger

BASIS_LIMIT = 200
REASON_LIMIT = 300
NAME_LIMIT = 200


class Event(StrEnum):
    """What a follow-up entry of a case says."""

    HOLD = "hold"
    RELEASE = "release"
    NOTIFIED = "notified"
    FINAL = "final"
    CLOSED = "closed"
    ASSESSED = "assessed"
    # what became of the decision. No time runs from these: a case in dispute becomes final on a
    # day of its own, or is on hold
    OBJECTION = "objection"
    REMEDY = "remedy"
    COURT = "court"


HAPPENED = (
    Event.NOTIFIED,
    Event.FINAL,
    Event.CLOSED,
    Event.OBJECTION,
    Event.REMEDY,
    Event.COURT,
)
"""What happens to a case on a day, and changes nothing about what may be done with it."""

STARTS = (Event.NOTIFIED, Event.FINAL, Event.CLOSED)
"""From the day of these the time to keep a case runs."""


@dataclass(frozen=True, slots=True)
class Erased:
    """An erasure that was done. It names no case: the paper it is filed with does."""

    receipt: Receipt
    log: LogName
    seqs: tuple[int, ...]
    basis: str
    approvers: tuple[str, ...]
    on: str
    tenant: str
    key_lost: bool = False
    """The key was not destroyed by the erasure: it was lost before."""
    hold_unread: bool = False
    """A legal hold may have lain on the case, and nobody could read it."""


def record_event(
    ledger: Ledger,
    case_ref: str,
    event: Event,
    by: str,
    now: datetime,
    *,
    reason: str = "",
    on: date | None = None,
) -> Receipt:
    """Record a hold, its release, or the day (`on`) something happened to a case: what time runs
    from, or what became of the decision.

    Raises CaseNotFound, DayImpossible, and ErasureRefused where a hold has no reason or nobody is
    named.
    """
    if not names_somebody(by):
        raise _refused("Nobody is named.", case_ref, f"Say who with --by, {AS_A_NAME}.")
    if event in (Event.HOLD, Event.RELEASE) and not 0 < len(reason.strip()) <= REASON_LIMIT:
        raise _refused(
            "A hold and its release need a reason.",
            case_ref,
            f"Give one of at most {REASON_LIMIT} characters with --reason.",
        )
    with ledger.store.transaction(now) as tx:
        file = _file(tx, case_ref)
        if isinstance(file, Damaged):
            if file.case_ref is None:
                raise file.fault  # only by its number is it certain which key is the case's
            entries_to_erase(tx, file)
        check_day(file, on, now)
        said = what_happened(tx, ledger.resolver, file, event, by, reason=reason, on=on)
        receipt = _follow_up(tx, file, said)
    ledger.seal()
    return receipt


def check_day(file: CaseFile | Damaged, on: date | None, now: datetime) -> None:
    """Raise DayImpossible unless the case had come in by that day, and the day has come."""
    if on is None:
        return
    if on > local_day(now):
        raise DayImpossible("The day has not come yet.", "on", "Give the day it happened.")
    came_in = recorded_day(file.submitted_at)
    if on < came_in:
        raise DayImpossible(
            "The case had not been submitted by that day.",
            "on",
            f"Time runs from {came_in} at the earliest: give that day.",
        )


def held(entries: Iterable[OpenedEntry]) -> bool:
    """Whether the newest word on it is that the case must be kept.

    Raises RecordsDisagree where what an entry said is gone: it may have been that.
    """
    newest = None
    for entry in entries:
        if entry.leaf.type != EntryKind.FOLLOW_UP:
            continue
        if entry.payload is None:
            raise RecordsDisagree(
                "What was recorded is gone, and it may have been a legal hold.",
                f"entry {entry.leaf.seq}",
                "Put the database back from a backup: `warum ledger restore`.",
            )
        if entry.payload.get("event") in (Event.HOLD, Event.RELEASE):
            newest = entry.payload["event"]
    return newest == Event.HOLD


def erase_case(
    ledger: Ledger,
    case_ref: str,
    basis: str,
    approvers: Sequence[str],
    now: datetime,
    astray: Astray | None = None,
) -> Erased:
    """Erase a case for good, by its number or its id; it is done when this returns.

    One that is damaged can be erased as well, as long as its key is there and what was said of
    legal holds can be read. Raises CaseNotFound, ErasureRefused where the case is on hold or the
    approval not whole, and RecordsDisagree where it is not certain which key is the case's, where
    an entry of another case would go with it, and where one of its own, perhaps a hold, lies
    elsewhere in the tables: for that every follow-up entry there is is looked at first, beside
    whoever writes (`find_astray` says what it costs; who erases many gives what it found).
    """
    check_approval(basis, approvers)
    looked = find_astray(ledger.store) if astray is None else astray
    with ledger.store.transaction(now) as tx:
        file = _file(tx, case_ref)
        if file.case_ref not in (None, case_ref):  # found by its id; whoever names it looks before
            check_names_no_case(basis, str(file.case_ref))
        if file.state == ERASED and is_being_erased(tx, file.id):
            raise CaseNotFound("It is being erased.", case_ref, "Nothing is left to be done.")
        found = entries_to_erase(tx, file)
        entries = found.all
        own = None if found.key_id is None else tx.keys.get(found.key_id)
        check_none_hidden(file.id, own, entries, looked)
        if held(open_entries(tx, entries, EntryKind.FOLLOW_UP)):
            raise _refused(
                "The case is on legal hold.", case_ref, "Release it first, if it may be released."
            )
        if not entries:
            # an erasure covers entries: a case that was never shown gets the one it can have
            said = what_happened(
                tx, ledger.resolver, file, Event.CLOSED, approvers[0], on=local_day(now)
            )
            _follow_up(tx, file, said)
        ours = covered_by_case(tx, file.id)
        receipt = record_erasure(tx, file.id, _erasure(ledger, ours, basis, approvers))
    return _finished(ledger, receipt, ours, basis, approvers, now)


def erase_case_of_lost_key(
    ledger: Ledger,
    case_id: str,
    basis: str,
    approvers: Sequence[str],
    now: datetime,
    *,
    hold_unread: bool = False,
) -> Erased:
    """Erase a case whose key is lost for good, by its id; the entry says that it was lost.

    What is sealed under it can be read by nobody, legal holds neither. Where nothing later was
    recorded of the case, there is none; else it may be on hold, and only `hold_unread` goes past
    that. Raises CaseNotFound, ErasureRefused where the key is there or the approval not whole,
    RecordsDisagree where it is not certain which key is the case's, and KeyMissing or
    StorageFailed where more is lost than the keys of single cases.
    """
    check_approval(basis, approvers)
    check_names_no_case(basis, case_id)
    check_few(lost_keys(ledger.store))
    astray = find_astray(ledger.store)
    with ledger.store.transaction(now) as tx:
        if is_being_erased(tx, case_id):
            raise CaseNotFound("It is being erased.", case_id, "Nothing is left to be done.")
        file, found = of_lost_key(tx, case_id, astray)
        may_be_held = any(may_be_follow_up(leaf) for leaf in found.all.values())
        if may_be_held and not hold_unread:
            raise _refused(
                "The case may be on legal hold: something was recorded of it later, and nobody "
                "can read whether that was one.",
                file.id,
                "Ask who would know, and keep a backup of the records if there is a hold. Then say "
                "so with --hold-unread.",
            )
        if not found.all:
            said = what_happened(
                tx, ledger.resolver, file, Event.CLOSED, approvers[0], on=local_day(now)
            )
            end = Entry(EntryKind.FOLLOW_UP, said, case_ref=file.id)
            found = record_end_without_key(tx, file.id, found, end)
        ours = covered_by_lost_key(tx, file.id, found)
        about: dict[str, Json] = {"key_lost": True, "hold_unread": may_be_held}
        entry = _erasure(ledger, ours, basis, approvers, about)
        receipt = record_erasure(tx, file.id, entry, found)
    done = _finished(ledger, receipt, ours, basis, approvers, now)
    return replace(done, key_lost=True, hold_unread=may_be_held)


def erase_month(
    ledger: Ledger, month: str, basis: str, approvers: Sequence[str], now: datetime
) -> Erased:
    """Erase the payloads of one month (YYYY-MM) of the access log."""
    check_approval(basis, approvers)
    with ledger.store.transaction(now) as tx:
        ours = months_of_access(tx).get(month)
        if ours is None:
            raise _refused("There is nothing of this month.", month, "Name another one.")
        receipt = record_erasure_of_access(tx, month, _erasure(ledger, ours, basis, approvers))
    return _finished(ledger, receipt, ours, basis, approvers, now)


def check_approval(basis: str, approvers: Sequence[str]) -> None:
    """Raise ErasureRefused unless there is a legal basis and two people approve."""
    if not 0 < len(basis.strip()) <= BASIS_LIMIT:
        raise _refused(
            "There is no legal basis, or it is too long.",
            "--basis",
            f"Name the provision in at most {BASIS_LIMIT} characters.",
        )
    check_two(approvers)


def check_names_no_case(basis: str, case_ref: str) -> None:
    """Raise ErasureRefused where what somebody typed as the legal basis names the case, and
    CaseNotFound where they named none."""
    if not case_ref.strip():
        raise CaseNotFound("There is no such case.", "CASE", "Give its number, or its id.")
    if case_ref.casefold() in basis.casefold():
        raise _refused(
            "The legal basis names the case, and everybody can read it for ever.",
            case_ref,
            "Name the provision only.",
        )


def check_two(approvers: Sequence[str]) -> None:
    """Raise ErasureRefused unless they are two different people."""
    both = len(approvers) == 2 and all(one.strip() for one in approvers)
    if both and not all(map(names_somebody, approvers)):
        raise _refused("One of the two is not named.", "--by", f"Name both, {AS_A_NAME}.")
    if not both or len(set(map(as_read, approvers))) != 2:
        raise _refused("Two different people have to approve.", "--by", "Name both: --by A --by B.")


def as_read(name: str) -> str:
    """What a reader tells names apart by: their letters and digits, in one spelling, no case."""
    spelled = unicodedata.normalize("NFKC", name).casefold()
    seen = (sign for sign in spelled if unicodedata.category(sign)[0] in "LMN")
    return "".join(sign for sign in seen if not _SHAPELESS.match(sign))


_SHAPELESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)


def names_somebody(name: str) -> bool:
    """Whether this can be recorded as who acted: it says something, all of it can be seen, and it
    is a name by its length."""
    return len(name) <= NAME_LIMIT and name.isprintable() and any(sign.isalnum() for sign in name)


AS_A_NAME = f"in at most {NAME_LIMIT} characters, all of which can be seen"
"""What `names_somebody` asks for, at the end of a sentence."""


def _erasure(
    ledger: Ledger,
    covered: Covered,
    basis: str,
    approvers: Sequence[str],
    about: Mapping[str, Json] = MappingProxyType({}),
) -> Entry:
    return Entry(
        EntryKind.ERASURE,
        {
            "legal_basis": basis,
            "approvers": [seal_actor(ledger.resolver, one) for one in approvers],
            "seqs": sorted(covered.seqs),
            "key_ids": sorted(covered.key_ids),
            **about,
        },
    )


def _finished(
    ledger: Ledger,
    receipt: Receipt,
    covered: Covered,
    basis: str,
    approvers: Sequence[str],
    now: datetime,
) -> Erased:
    finish_erasures(ledger.store, covered)
    ledger.seal()
    seqs = tuple(sorted(covered.seqs))
    on, tenant = local_day(now).isoformat(), ledger.store.tenant
    return Erased(receipt, covered.log, seqs, basis, tuple(approvers), on, tenant)


def _follow_up(tx: Transaction, file: CaseFile | Damaged, said: dict[str, Json]) -> Receipt:
    if file.case_ref is None:
        return record_end(tx, file.id, Entry(EntryKind.FOLLOW_UP, said, case_ref=file.id))
    return record_follow_up(tx, file.id, Entry(EntryKind.FOLLOW_UP, said, case_ref=file.case_ref))


def what_happened(
    tx: Transaction,
    resolver: bytes,
    file: CaseFile | Damaged,
    event: Event,
    by: str,
    *,
    reason: str = "",
    on: date | None = None,
) -> dict[str, Json]:
    """The payload of an entry that says what happened to a case later."""
    return {
        "record_id": new_id(),
        "created_at": minute(tx.now),
        "case_ref": file.case_ref,
        "unit_id": file.unit,
        "event": event.value,
        "reason": reason,
        "on": None if on is None else on.isoformat(),
        "actor_pseudonym": seal_actor(resolver, by),
    }


def _file(tx: Reading, name: str) -> CaseFile | Damaged:
    file = look_up(tx, name)
    if file is None:
        raise CaseNotFound("There is no such case.", name, "Check the number.")
    return file


def _refused(what: str, where: str, mend: str) -> ErasureRefused:
    return ErasureRefused(what, where, mend)
