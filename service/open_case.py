"""A case as somebody opens it: theirs to see, with its package and what was decided about it.

What is told of a decision comes from its sealed entry; tables that say anything else are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from explainer.core.case import Case, read_case
from explainer.core.decision import Actor
from explainer.core.disclosure import Audience
from explainer.errors import CaseFaulty, ModelFailed, RecordsDisagree
from explainer.ledger.entries import Json
from explainer.ledger.log import LogName
from explainer.packages.package import ModelPackage
from service.permissions import check_may_see, check_may_see_any, no_such_case
from service.store.cases import OPEN, CaseFile, get_case
from service.store.database import Reading
from service.store.decisions import DecisionRow, ListedRecord, agrees_with, decisions_of
from service.store.of_case import of_case
from service.store.records import (
    OpenedEntry,
    decided_day,
    decisions_among,
    entry_of_case,
    open_entry,
)
from service.wiring import Tools


@dataclass(frozen=True, slots=True)
class Decided:
    """The decision of a case that holds, as its sealed entry says it, and `earlier` the ones it
    corrects, oldest first."""

    row: DecisionRow
    entry: OpenedEntry
    payload: Mapping[str, Json]
    earlier: tuple[Decided, ...] = ()

    @property
    def day(self) -> date:
        return decided_day(self.payload)


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case with its package, and the decision that holds if there is one.

    `speaks` says whether this package may explain the case: it is in force, or it is the very
    one the case was decided under. Otherwise it only lends its words, so that the case can be
    read and decided.
    """

    file: CaseFile
    case: Case
    package: ModelPackage
    speaks: bool
    decided: Decided | None


def open_case(case_id: str, audience: Audience, actor: Actor, tools: Tools) -> OpenCase:
    """The case, if it is theirs. Raises CaseNotFound, also where it may not be seen, and Starting
    while its package is being admitted."""
    tools.check_intact()
    with tools.store.reading() as tx:
        return open_in(tx, case_id, audience, actor, tools)


def open_in(tx: Reading, case_id: str, audience: Audience, actor: Actor, tools: Tools) -> OpenCase:
    """`open_case` within a transaction, for whoever goes on to write in it."""
    # before the look-up: the answer to a role that sees no case may not tell which cases there are
    check_may_see_any(actor, audience)
    file = get_case(tx, case_id)
    if file is None:
        # the same refusal as for a case that is not theirs
        raise no_such_case()
    check_may_see(actor, file.id, file.unit, audience)
    decided = sealed_decision(tx, file)
    package, speaks = _package_of(file, decided, tools)
    case = read_case(json.loads(file.values_json), package.catalogue)
    return OpenCase(file, case, package, speaks, decided)


def sealed_decision(tx: Reading, file: CaseFile) -> Decided | None:
    """The decision that holds, from its sealed entry. Raises RecordsDisagree where the tables say
    anything else: what people are told comes from what was sealed."""
    entries = of_case(tx, file)
    if entries.astray:
        # without its link an entry could pass for none of this case
        raise _disagree(entries.astray[0])
    sealed = decisions_among(entries.all)
    listed = decisions_of(tx, file)
    if [one.seq for one in listed] != sealed:
        # a row that is gone would let an earlier decision pass for the one that holds
        raise _disagree(sealed[-1] if sealed else listed[-1].seq)
    decided: Decided | None = None
    for one in listed:
        before = decided
        if one.row.corrects != (None if before is None else before.row.record_id):
            raise _disagree(one.seq)
        entry = open_entry(tx, LogName.LEDGER, one.seq)
        payload = agreed_payload(one, entry)
        _check_values(tx, file, one.seq, payload)
        earlier = () if before is None else (*before.earlier, before)
        decided = Decided(one.row, entry, payload, earlier)
    if decided is not None and file.state == OPEN:
        # it could be decided once more
        raise _disagree(listed[-1].seq)
    return decided


def _check_values(tx: Reading, file: CaseFile, seq: int, payload: Mapping[str, Json]) -> None:
    seen = seen_for(tx, file.id, payload)
    if seen is not None and seen.payload is not None and seen.payload["values"] != file.values_json:
        raise _disagree(seq)


def agreed_payload(listed: ListedRecord, entry: OpenedEntry) -> Mapping[str, Json]:
    """What was sealed of a decision. Raises RecordsDisagree unless the tables say the same."""
    if entry.payload is None or not agrees_with(listed, entry.payload):
        raise _disagree(listed.seq)
    return entry.payload


def seen_for(tx: Reading, case_id: str, payload: Mapping[str, Json]) -> OpenedEntry | None:
    """What the caseworker had before them for the decision of this payload; None if nothing."""
    return entry_of_case(tx, case_id, str(payload.get("explanation_entry")))


def _disagree(seq: int) -> RecordsDisagree:
    return RecordsDisagree(
        "The tables say something else than what was sealed.",
        f"entry {seq}",
        "Have the database examined; `warum ledger verify` checks the sealed records.",
    )


def _package_of(file: CaseFile, decided: Decided | None, tools: Tools) -> tuple[ModelPackage, bool]:
    tools.admitted.check_tried(file.package_id)
    if decided is not None and decided.entry.leaf.model is not None:
        try:
            return tools.exactly(decided.entry.leaf.model), True
        except ModelFailed:
            # never explained with another one; the decision itself can still be told
            return tools.packages.get(file.package_id) or tools.shelf.last_of(
                file.package_id
            ), False
    in_force = tools.packages.get(file.package_id)
    if in_force is not None:
        try:
            read_case(json.loads(file.values_json), in_force.catalogue)
        except CaseFaulty:
            # submitted for an older package with other features
            return tools.exactly(file.package_digest), False
        return in_force, True
    return tools.shelf.last_of(file.package_id), False
