"""An old record replayed: the stored bytes, held against the ledger, and the numbers once more.

What counts is what is stored. It is computed again from the very package it was told from, never
from another: a newer model would explain something nobody was shown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum

from explainer.core.case import read_case
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience
from explainer.core.explanation import Explanation
from explainer.errors import (
    CaseNotFound,
    LanguageError,
    ModelFailed,
    NotExplainable,
    PackageReplaced,
    ProofInvalid,
)
from explainer.ledger.checkpoint import VerifierKey
from explainer.ledger.entries import EntryKind, Json
from explainer.ledger.log import LogName
from explainer.ledger.verify import Unusable, Wrong, read_key, verify_receipt
from explainer.packages.package import ModelPackage
from explainer.pipeline import explain, tell
from explainer.text.languages import languages
from explainer.text.sentences import HumanDecision
from service.entries import environment, numbers_of
from service.findings import Pending
from service.open_case import agreed_payload
from service.shelf import LAID_THERE, Shelf
from service.store.database import Reading
from service.store.decisions import find_record
from service.store.of_case import case_of_entry
from service.store.receipts import receipt_of
from service.store.records import OpenedEntry, entries_of_case, is_place, open_entry

TOLERANCE = 1e-6
"""Of the margin scale: what other processors and libraries may differ by and mean the same."""

PASSING = {Pending.code, PackageReplaced.code, ModelFailed.code}
"""Why there was no explanation at that moment; no model would tell it again."""


class Outcome(Enum):
    """What came of computing it again."""

    SAME = "the same to the bit"
    CLOSE = "not the same bits, but within the tolerance"
    OTHER = "another result"
    NOTHING = "nothing was computed then"
    NO_PACKAGE = "the package is not to be had"
    ERASED = "the payload was erased"


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not what was recorded; `distance` in margin scales, None for other kinds."""

    name: str
    recorded: str
    now: str
    distance: float | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What is stored, what vouches for it, and what came of computing it again.

    Attributes
    ----------
    asked : the entry that was asked for
    shown : what was shown, where that is another entry or the same; None if nothing was
    head : size of the signed head both are proven under
    package : id, version and digest of the package it was told from
    elsewhere : what of the environment is not as it was: name -> then, now
    same_words : whether the text made today is the stored one byte for byte; None if none was made
    """

    asked: OpenedEntry
    shown: OpenedEntry | None
    head: int
    outcome: Outcome
    package: str = ""
    differences: tuple[Difference, ...] = ()
    elsewhere: Mapping[str, tuple[str, str]] | None = None
    same_words: bool | None = None
    why: str = ""


def replay(tx: Reading, record: str, key: str, shelf: Shelf) -> Replayed:
    """Replay the entry at a position of the ledger, or the decision of a record id.

    `key` is the verifier key of the ledger. Raises CaseNotFound for a record there is not, and
    ProofInvalid where the stored bytes are not those under the newest signed head.
    """
    asked = open_entry(tx, LogName.LEDGER, position_of(tx, record))
    head = _vouched_for(tx, asked, key)
    if asked.payload is None:
        return Replayed(asked, None, head, Outcome.ERASED)
    shown = _what_was_shown(tx, asked)
    if shown is None:
        return Replayed(asked, None, head, Outcome.NOTHING)
    head = _vouched_for(tx, shown, key)
    payload = shown.payload
    if payload is None:
        return Replayed(asked, shown, head, Outcome.ERASED)
    named = f"{payload['model_id']} {payload['model_version']} ({shown.leaf.model})"
    if payload.get("withheld") in PASSING:
        return Replayed(asked, shown, head, Outcome.NOTHING, named, why=str(payload["withheld"]))
    try:
        package = shelf.of_digest(str(shown.leaf.model))
    except ModelFailed as fault:
        why = fault.what if fault.what == LAID_THERE else ""
        return Replayed(asked, shown, head, Outcome.NO_PACKAGE, named, why=why)
    finding = _computed_again(payload, package)
    if isinstance(finding, ModelFailed):
        return Replayed(asked, shown, head, Outcome.NO_PACKAGE, named, why=finding.what)
    differences = tuple(_differences(payload, finding))
    return Replayed(
        asked,
        shown,
        head,
        _judged(differences),
        named,
        differences,
        _elsewhere(payload, package),
        _same_words(tx, shown, payload, finding, package),
    )


def position_of(tx: Reading, record: str, log: LogName = LogName.LEDGER) -> int:
    """The position in a log of an entry, given as that, or in the ledger by the id of a decision.
    Raises CaseNotFound for an id there is not, EntryMalformed for a position."""
    if is_place(record):
        tx.log(log).leaf(int(record))
        return int(record)
    listed = find_record(tx, record) if log is LogName.LEDGER else None
    if listed is None:
        raise CaseNotFound("There is no such record.", record, "Give its id or its entry.")
    entry = open_entry(tx, LogName.LEDGER, listed.seq)
    if entry.payload is not None:
        agreed_payload(listed, entry)
    return listed.seq


def _vouched_for(tx: Reading, entry: OpenedEntry, key: str) -> int:
    """Size of the signed head that proves leaf, payload and what was told."""
    told = None if entry.payload is None else entry.payload.get("told")
    try:
        receipt = receipt_of(tx, entry.leaf.seq, VerifierKey.parse(key))
        _, head = verify_receipt(
            receipt, [read_key(key)], told.encode() if isinstance(told, str) else None
        )
    except (Wrong, Unusable) as fault:
        raise ProofInvalid(
            str(fault), f"entry {entry.leaf.seq}", "Verify the whole: `warum ledger verify`."
        ) from None
    return head.size


def _what_was_shown(tx: Reading, asked: OpenedEntry) -> OpenedEntry | None:
    if asked.leaf.type == EntryKind.SHOWN:
        return asked
    place = (asked.payload or {}).get("explanation_entry")
    if asked.leaf.type != EntryKind.DECISION or not isinstance(place, int):
        return None
    return open_entry(tx, LogName.LEDGER, place)


def _day_of(payload: Mapping[str, Json]) -> date:
    """The day it was explained on; before that was recorded, the one of UTC was taken."""
    return date.fromisoformat(str(payload.get("explained_on") or payload["created_at"])[:10])


def _computed_again(
    payload: Mapping[str, Json], package: ModelPackage
) -> Explanation | NotExplainable:
    case = read_case(json.loads(str(payload["values"])), package.catalogue)
    try:
        return explain(case, package, _day_of(payload))
    except NotExplainable as fault:
        return fault


def _differences(
    payload: Mapping[str, Json], finding: Explanation | NotExplainable
) -> Iterator[Difference]:
    if isinstance(finding, NotExplainable):
        if payload.get("withheld") != finding.code:
            yield Difference("withheld", str(payload.get("withheld")), finding.code, None)
        return
    if payload.get("withheld") is not None:
        yield Difference("withheld", str(payload["withheld"]), "explained", None)
        return
    then, now = dict(_flat(payload)), dict(_flat(numbers_of(finding)))
    for name, value in now.items():
        recorded = then.get(name)
        if recorded != value:
            distance = _distance(name, recorded, value, finding.comparison.scale)
            yield Difference(name, str(recorded), str(value), distance)
    for name in then.keys() - now.keys():
        if name.startswith(("contributions.", "margins.")):
            yield Difference(name, str(then[name]), "not there", None)


_MEASURED = ("margin", "threshold", "baseline", "margins.", "contributions.")


def _flat(values: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for name, value in values.items():
        if name == "contributions" and isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        elif name == "margins" and isinstance(value, list | tuple):
            yield from ((f"{name}.{at}", each) for at, each in enumerate(value))
        else:
            yield name, value


def _distance(name: str, recorded: Json, now: Json, scale: float) -> float | None:
    """In margin scales; of a probability as it is. None for what is no such number."""
    if not (name == "probability" or name.startswith(_MEASURED)):
        return None
    try:
        apart = abs(float.fromhex(str(recorded)) - float.fromhex(str(now)))
    except (ValueError, OverflowError):
        return None
    return apart if name == "probability" else apart / scale


def _judged(differences: tuple[Difference, ...]) -> Outcome:
    if not differences:
        return Outcome.SAME
    near = all(
        one.distance is not None and math.isfinite(one.distance) and one.distance <= TOLERANCE
        for one in differences
    )
    return Outcome.CLOSE if near else Outcome.OTHER


def _elsewhere(payload: Mapping[str, Json], package: ModelPackage) -> dict[str, tuple[str, str]]:
    then = payload.get("environment")
    now = environment(package.manifest.format)
    # of what an older version did not record nothing can be said
    return {
        name: (str(recorded), str(now.get(name)))
        for name, recorded in sorted(then.items() if isinstance(then, Mapping) else ())
        if recorded != now.get(name)
    }


def _same_words(
    tx: Reading,
    shown: OpenedEntry,
    payload: Mapping[str, Json],
    finding: Explanation | NotExplainable,
    package: ModelPackage,
) -> bool | None:
    if isinstance(finding, NotExplainable) or payload.get("withheld") is not None:
        return None
    language = languages().get(str(payload["language"]))
    if language is None:
        return None
    audience = Audience(str(payload["audience"]))
    try:
        decision = None if audience is Audience.CASEWORKER else _decided_before(tx, shown)
        told = tell(finding, audience, language, package, decision=decision)
    except (NotExplainable, LanguageError):
        # a language whose words are no longer whole keeps nobody from computing the numbers again
        return None
    return told.body == str(payload["told"]).encode()


def _decided_before(tx: Reading, shown: OpenedEntry) -> HumanDecision | None:
    """The decision that page told of: the newest one recorded before it."""
    case_id = case_of_entry(tx, shown.leaf.seq)
    decisions = entries_of_case(tx, case_id, EntryKind.DECISION) if case_id else ()
    for entry in reversed(decisions):
        if entry.leaf.seq < shown.leaf.seq and entry.payload is not None:
            said = entry.payload
            suggested = said["recommendation_class"]
            return HumanDecision(
                str(said["human_outcome"]),
                Relation(str(said["relation"])),
                None if suggested is None else str(suggested),
            )
    return None
