"""Receipts people take away: of what they were told, and of what they decided.

Asking for one shows nothing new, so it leaves no entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from explainer.core.decision import Actor
from explainer.core.disclosure import Audience
from explainer.errors import ExplainerError
from explainer.ledger.entries import EntryKind
from explainer.ledger.log import LogName
from service.open_case import OpenCase, open_in, seen_for
from service.permissions import no_such_case
from service.store.database import Reading
from service.store.receipts import entry_marked, is_sealed, receipt_of
from service.store.records import OpenedEntry, entry_of_case
from service.store.sealed import ERASED
from service.wiring import Tools


class ReceiptPending(ExplainerError):
    """There is no receipt yet: no signed head covers the entry. One does within a minute."""

    code = "receipt.pending"


@dataclass(frozen=True, slots=True)
class Kept:
    """One entry somebody may take a receipt of.

    Attributes
    ----------
    mark : its leaf hash in hexadecimal digits, by which it is asked for
    told : the very bytes it vouches for; None where nothing was told, as with a decision
    """

    mark: str
    told: bytes | None

    @property
    def receipt_name(self) -> str:
        """Name of the file, out of which nobody learns whose it is."""
        return f"{self._stem}.tlog-proof"

    @property
    def told_name(self) -> str:
        return f"{self._stem}.html"

    @property
    def _stem(self) -> str:
        return f"warum-{self.mark[:12]}"


@dataclass(frozen=True, slots=True)
class Offered:
    """The entry that was asked for, and what its reader had before them if it is a decision.

    `ready` says whether a signed head covers it, so that there can be a receipt.
    """

    opened: OpenCase
    entry: Kept
    seen: Kept | None
    ready: bool


def offer(case_id: str, mark: str, audience: Audience, actor: Actor, tools: Tools) -> Offered:
    """What there is to take away of an entry. Raises CaseNotFound where it is not theirs."""
    tools.check_intact()
    with tools.store.reading() as tx:
        opened, entry = _theirs(tx, case_id, mark, audience, actor, tools)
        seen = None
        if entry.leaf.type == EntryKind.DECISION and entry.payload is not None:
            seen = seen_for(tx, case_id, entry.payload)
        return Offered(
            opened,
            _kept(entry),
            None if seen is None else _kept(seen),
            is_sealed(tx, entry.leaf.seq),
        )


def take(
    case_id: str, mark: str | int, audience: Audience, actor: Actor, tools: Tools
) -> tuple[Kept, bytes | None]:
    """An entry, by its mark or its position, with its receipt, as far as witnesses have signed the
    head above it; None in its place while no signed head covers it. Raises CaseNotFound where it is
    not theirs."""
    tools.check_intact()
    with tools.store.reading() as tx:
        _, entry = _theirs(tx, case_id, mark, audience, actor, tools)
        seq = entry.leaf.seq
        if not is_sealed(tx, seq):
            return _kept(entry), None
        key = tools.seals.sealers[LogName.LEDGER].key
        return _kept(entry), receipt_of(tx, seq, key, tools.outside.folders[LogName.LEDGER])


def _theirs(
    tx: Reading, case_id: str, mark: str | int, audience: Audience, actor: Actor, tools: Tools
) -> tuple[OpenCase, OpenedEntry]:
    """A case and one of its entries: what this audience was told, or what it decided."""
    opened = open_in(tx, case_id, audience, actor, tools)
    entry = (
        entry_of_case(tx, case_id, str(mark))
        if isinstance(mark, int)
        else entry_marked(tx, case_id, mark)
    )
    if entry is None or entry.payload is None or opened.file.state == ERASED:
        raise no_such_case()
    decided = audience is Audience.CASEWORKER and entry.leaf.type == EntryKind.DECISION
    told = entry.leaf.type == EntryKind.SHOWN and entry.payload.get("audience") == audience.value
    if not decided and not told:
        raise no_such_case()
    return opened, entry


def _kept(entry: OpenedEntry) -> Kept:
    told = None if entry.payload is None else entry.payload.get("told")
    mark = entry.receipt.leaf_hash.hex()
    return Kept(mark, told.encode() if isinstance(told, str) else None)
