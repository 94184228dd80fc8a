"""What is sealed, opened by command: by whom and what for stands in the access log before.

Who acted is opened by two people of different units, for one entry at a time. The private half of
the resolver key is theirs: they bring it, and it is kept nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from explainer.errors import OpeningRefused
from explainer.ledger.entries import Entry, EntryKind, Json, minute
from explainer.ledger.log import LogName
from explainer.ledger.sealing import (
    KEY_BYTES,
    is_resolver,
    open_actor,
    seal_actor,
    whole_of,
)
from service.erasing import AS_A_NAME, as_read, check_two, names_somebody
from service.purposes import LOOKING_UP
from service.store.of_case import case_of_entry
from service.store.records import OpenedEntry, open_entry, record_access
from service.wiring import Ledger

REASON_LIMIT = 300
UNIT_LIMIT = 100


def check_named(by: str) -> None:
    """Raise OpeningRefused unless this can be recorded as who acted."""
    if not names_somebody(by):
        raise OpeningRefused("Nobody is named.", "--by", f"Say who asks, {AS_A_NAME}.")


def record_export(
    ledger: Ledger, purpose: str, by: str, now: datetime, case_id: str | None = None
) -> None:
    """Record in the access log, sealed, that payloads are handed over opened: what for, by whom.

    Of one case, named by its id, which leads nowhere once the case is erased, or of all. Recorded
    before anything is written out; an export that then fails was asked for all the same.
    """
    _record(ledger, EntryKind.EXPORT, {"case_id": case_id, "purpose": purpose}, [by], now, case_id)


def record_reading(ledger: Ledger, seq: int, purpose: str, by: str, now: datetime) -> None:
    """Record in the access log, sealed, that what an entry of the ledger says is read: which, what
    for, by whom. Recorded before anything is shown. Raises OpeningRefused where nobody is named."""
    check_named(by)
    with ledger.store.reading() as tx:
        case_id = case_of_entry(tx, seq)
    about: dict[str, Json] = {"log": LogName.LEDGER.value, "entry": seq, "purpose": purpose}
    _record(ledger, EntryKind.ACCESS, about, [by], now, case_id)


@dataclass(frozen=True, slots=True)
class LookUp:
    """Who looks up who acted, and what for.

    Attributes
    ----------
    by : the two people who approve
    units : the unit of each, in the same order
    purpose : one of those it may be looked up for
    reason : what it is about, in their words
    """

    by: Sequence[str]
    units: Sequence[str]
    purpose: str
    reason: str

    def check(self) -> None:
        """Raise OpeningRefused, or ErasureRefused for the two people, unless it is whole."""
        check_two(self.by)
        said = [as_read(one) for one in self.units]
        if len(said) != 2 or len(set(said) - {""}) != 2:
            raise OpeningRefused(
                "The two people have to be of different units.",
                "--unit",
                "Give the unit of each in the order of --by: --unit X --unit Y.",
            )
        if not all(names_somebody(one) and len(one) <= UNIT_LIMIT for one in self.units):
            raise OpeningRefused(
                "One of the two units is not named.",
                "--unit",
                f"Name both in at most {UNIT_LIMIT} characters, all of which can be seen.",
            )
        if self.purpose not in LOOKING_UP:
            raise OpeningRefused("A purpose is needed.", "--purpose", "Choose one.")
        if not 0 < len(self.reason.strip()) <= REASON_LIMIT:
            raise OpeningRefused(
                "It is not said what it is about.",
                "--reason",
                f"Say it in at most {REASON_LIMIT} characters, for example a file number.",
            )


def who_acted(
    ledger: Ledger, log: LogName, seq: int, parts: Sequence[bytes], asked: LookUp, now: datetime
) -> tuple[OpenedEntry, tuple[str, ...]]:
    """Return the entry and who is sealed in it, after the look-up was recorded and sealed.

    `parts` are the two parts of the private resolver key, or the whole one. Raises OpeningRefused
    where the approval is not whole, the key not the right one, the entry erased, or nobody sealed
    in it; nothing is recorded then, and nothing opened.
    """
    asked.check()
    where = f"entry {seq} of the log {log}"
    with ledger.store.reading() as tx:
        entry = open_entry(tx, log, seq)
        case_id = case_of_entry(tx, seq) if log is LogName.LEDGER else None
    if entry.payload is None:
        raise OpeningRefused(
            "The entry was erased, and who acted with it.", where, "Nobody can look it up any more."
        )
    sealed = tuple(_actors(entry.payload))
    if not sealed:
        raise OpeningRefused(
            "Nobody is sealed in this entry.", where, "Give one of something a person did."
        )
    private = _private(parts, ledger.resolver)
    about: dict[str, Json] = {
        "log": log.value,
        "entry": seq,
        "purpose": asked.purpose,
        "purpose_text": asked.reason,
        "units": list(asked.units),
    }
    _record(ledger, EntryKind.RESOLVE, about, asked.by, now, case_id)
    return entry, tuple(open_actor(private, one) for one in sealed)


def _actors(payload: Mapping[str, Json]) -> Iterator[str]:
    """Who acted, as it is sealed; of an erasure both who approved it."""
    several = payload.get("approvers")
    for one in (
        payload.get("actor_pseudonym"),
        *(several if isinstance(several, list | tuple) else ()),
    ):
        if isinstance(one, str):
            yield one


def _private(parts: Sequence[bytes], resolver: bytes) -> bytes:
    if len(parts) in (1, 2) and all(len(one) == KEY_BYTES for one in parts):
        private = parts[0] if len(parts) == 1 else whole_of(*parts)
        if is_resolver(private, resolver):
            return private
    raise OpeningRefused(
        "This is not the private half of the resolver key of these records.",
        "--key",
        "Each of the two gives the file with their part of it: --key A --key B.",
    )


def _record(
    ledger: Ledger,
    kind: EntryKind,
    about: Mapping[str, Json],
    by: Sequence[str],
    now: datetime,
    case_id: str | None,
) -> None:
    sealed = [seal_actor(ledger.resolver, one) for one in by]
    who: dict[str, Json] = (
        {"actor_pseudonym": sealed[0]} if len(sealed) == 1 else {"approvers": sealed}
    )
    entry = Entry(kind, {"created_at": minute(now), **about, **who})
    with ledger.store.transaction(now) as tx:
        record_access(tx, entry, case_id=case_id)
    ledger.seal()
