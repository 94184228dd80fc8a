"""One frozen type per thing that is written down, and its exact bytes.

Bytes are made once, when an entry is written, and only hashed afterwards: nothing that checks a
log ever serialises it again. The form is that of RFC 8785 (JSON Canonicalization Scheme) for the
values allowed here. With other values (floats, non-ASCII keys, whole numbers beyond 2^53) the
standard library's writer and RFC 8785 part ways, so they are refused before anything is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import NoReturn, TypeAlias

from explainer.errors import EntryMalformed

Json: TypeAlias = "str | int | bool | Sequence[Json] | Mapping[str, Json] | None"

LARGEST_NUMBER = 2**53 - 1  # what every JSON reader keeps exactly (RFC 7493)
DEEPEST = 32
LEAF_LIMIT = 2**16 - 1  # tile bundles carry a 16-bit length (C2SP tlog-tiles)

_MEND = "Give only text, whole numbers, true, false, null, lists and objects with ASCII keys."


class EntryKind(StrEnum):
    """What an entry says happened. Agreeing and departing are both `decision`."""

    SHOWN = "shown"
    DECISION = "decision"
    FOLLOW_UP = "follow_up"
    ERASURE = "erasure"
    MODEL = "model"
    POLICY = "policy"
    KEYS = "keys"
    RESTORE = "restore"
    CLOCK = "clock"
    CLOSED = "closed"
    ACCESS = "access"
    RESOLVE = "resolve"
    EXPORT = "export"


def canonical(value: Json) -> bytes:
    """Return the one byte form of `value`; raises EntryMalformed where there is none."""
    plain = _plain(value, "the entry", DEEPEST)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def parse_canonical(data: bytes) -> Json:
    """Read bytes that `canonical` wrote; any other spelling of the same value is refused."""
    try:
        value: Json = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
        spelled = canonical(value)
    except (ValueError, RecursionError):
        _refuse("The bytes are not JSON in UTF-8.", "the entry")
    if spelled != data:
        _refuse("The bytes are JSON, but not in canonical form.", "the entry")
    return value


def minute(now: datetime) -> str:
    """Return `now` in UTC, cut to the minute: nothing finer is ever recorded about people."""
    if now.tzinfo is None:
        raise EntryMalformed(
            what="A time without a time zone is ambiguous twice a year.",
            where="the clock",
            mend="Pass a time with its zone.",
        )
    return f"{now.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='minutes')}Z"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be written down; everything personal is in `payload`, which gets sealed.

    Attributes
    ----------
    payload : what happened, in the fields of the record; actors only as sealed text
    case_ref : selects the key the payload is sealed under; None for what concerns no case
    model, explainer : SHA-256 digests of package and explainer manifest, in hexadecimal
    told : SHA-256 of exactly the bytes a person was shown
    idempotency_key : the random key of the request, never derived from a case
    """

    kind: EntryKind
    payload: Mapping[str, Json]
    case_ref: str | None = None
    model: str | None = None
    explainer: str | None = None
    told: bytes | None = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        canonical(self.payload)
        if "told_salt" in self.payload:
            _refuse("The payload has a `told_salt` of its own.", "the entry's payload")
        if self.told is not None and len(self.told) != 32:
            _refuse("`told` is not a SHA-256 digest of 32 bytes.", "the entry")
        if self.case_ref == "":
            _refuse("The case reference is empty.", "the entry")
        if self.idempotency_key == "":
            _refuse("The idempotency key is empty.", "the entry")


_DIGEST = r"(?:sha256:)?[0-9a-f]{64}"
_FORMS: dict[str, tuple[str, bool]] = {  # field -> pattern, may be null
    "type": (r"[a-z][a-z_]{0,31}", False),
    "ts": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z", False),
    "ts_source": (r"[a-z0-9-]{1,16}", False),
    "tenant": (r"[a-z0-9][a-z0-9.-]{0,62}", False),
    "model": (_DIGEST, True),
    "explainer": (_DIGEST, True),
    "commit": (r"[0-9a-f]{64}", False),
    "ct": (r"[0-9a-f]{64}", False),
    "told": (r"[0-9a-f]{64}", True),
    "idem": (r"[0-9a-f]{64}", True),
}


@dataclass(frozen=True, slots=True)
class Leaf:
    """What stays for ever and anyone may read: no person, no case, no agreement in it."""

    v: int
    seq: int
    type: str
    ts: str
    ts_source: str
    tenant: str
    model: str | None
    explainer: str | None
    commit: str
    ct: str
    told: str | None
    idem: str | None

    def __post_init__(self) -> None:
        if type(self.v) is not int or self.v != 1:
            _refuse("The entry is of a version this program does not know.", "the leaf, field v")
        if type(self.seq) is not int or not 0 <= self.seq <= LARGEST_NUMBER:
            _refuse("The position is not a whole number.", "the leaf, field seq")
        for name, (pattern, optional) in _FORMS.items():
            value = getattr(self, name)
            if value is None and optional:
                continue
            if not isinstance(value, str) or not re.fullmatch(pattern, value):
                _refuse("The value does not have the documented form.", f"the leaf, field {name}")

    def to_bytes(self) -> bytes:
        """Return the exact bytes that are stored and hashed."""
        return canonical({name: getattr(self, name) for name in _LEAF_FIELDS})

    @classmethod
    def from_bytes(cls, data: bytes) -> Leaf:
        """Read stored bytes back; refuses what `to_bytes` could not have written."""
        if len(data) > LEAF_LIMIT:
            _refuse("The leaf is longer than 65,535 bytes.", "the leaf")
        value = parse_canonical(data)
        if not isinstance(value, dict) or sorted(value) != sorted(_LEAF_FIELDS):
            _refuse("The leaf does not have exactly the documented fields.", "the leaf")
        return cls(**value)


_LEAF_FIELDS = tuple(field.name for field in fields(Leaf))


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed payload, and the name of the key that opens it."""

    key_id: str
    nonce: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the writer can hand out at once: position and exact leaf; the seal follows.

    Attributes
    ----------
    told_salt : with it the holder of a letter proves that exactly these bytes were logged
    """

    seq: int
    leaf_hash: bytes
    leaf: bytes
    told_salt: bytes | None


def _plain(value: object, where: str, depth: int) -> object:
    """Copy `value` in plain types, or say what in it has no canonical form."""
    if depth < 0:
        _refuse(f"The value is nested more than {DEEPEST} levels deep.", where)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if abs(value) > LARGEST_NUMBER:
            _refuse("A whole number is beyond 2^53 - 1.", where)
        return int(value)
    if isinstance(value, Mapping):
        copy: dict[str, object] = {}
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                _refuse("A key is not ASCII text.", where)
            copy[str(key)] = _plain(item, f"{where}, {key}", depth - 1)
        return copy
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray | memoryview):
        _refuse(f"A value of type {type(value).__name__} has no canonical form.", where)
    return [_plain(item, where, depth - 1) for item in value]


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse("A text holds half of a surrogate pair.", where)
    return str(value)


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len({key for key, _ in pairs}) != len(pairs):
        _refuse("A key appears twice in one object.", "the entry")
    return dict(pairs)


def _refuse_number(_text: str) -> NoReturn:
    _refuse("A number is not a whole number.", "the entry")


def _refuse(what: str, where: str) -> NoReturn:
    raise EntryMalformed(what=what, where=where, mend=_MEND)
