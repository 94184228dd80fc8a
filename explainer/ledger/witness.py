"""What a log and a witness say to each other (C2SP tlog-witness), and what a witness signs.

A witness keeps the last head it saw of a log and signs only heads that continue it. Its signature
(C2SP tlog-cosignature) goes with the checkpoint, so that whoever knows the witness need not trust
the log. Nothing here opens a connection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from explainer.errors import LogBehindWitness, LogForked, ProofInvalid, WitnessFailed
from explainer.ledger.checkpoint import (
    NAME,
    Checkpoint,
    Signature,
    from_base64,
    parse_checkpoint,
    parse_note,
    to_base64,
)

COSIGNATURE = b"\x04"  # signature type byte of an Ed25519 cosignature
LARGEST_ANSWER = 2**16
AHEAD = timedelta(minutes=10)
"""How far the clock of a witness may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """Name and public key of a witness: what its cosignatures are held against."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or len(self.public) != 32:
            _invalid("A witness key has a name without spaces or plus, and 32 bytes.")

    @property
    def key_id(self) -> bytes:
        """Return the first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key)."""
        data = self.name.encode() + b"\n" + COSIGNATURE + self.public
        return hashlib.sha256(data).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(COSIGNATURE + self.public)}"

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """Read `name+hex(key id)+base64(0x04 ‖ public key)`. Raises ProofInvalid."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        data = from_base64(encoded)
        if data[:1] != COSIGNATURE:
            _invalid("The key is not that of a witness that cosigns by Ed25519.")
        key = cls(name, data[1:])
        if key.key_id.hex() != key_id:
            _invalid("The key id does not belong to this name and key.")
        return key


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The witness has seen the log at another size than was named."""

    size: int


def cosigned_text(text: bytes, seconds: int) -> bytes:
    """Return what a witness signs: `seconds` since 1970 and the text of the checkpoint."""
    return b"cosignature/v1\ntime %d\n" % seconds + text


def question(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the body of `add-checkpoint`: `note` continues the head of size `old`."""
    lines = [f"old {old}", *map(to_base64, proof), ""]
    return "\n".join(lines).encode() + b"\n" + note


def cosigned_at(note: bytes, key: WitnessKey) -> list[int]:
    """Return when `key` cosigned this note, in seconds since 1970; empty where it did not.

    Raises ProofInvalid for a line of that key that does not hold.
    """
    text, signatures = parse_note(note)
    return [_check(text, line, key) for line in signatures if _is_of(line, key)]


def understand(
    status: int, body: bytes, old: int, note: bytes, key: WitnessKey, now: datetime
) -> bytes | Elsewhere:
    """Return `note` with the lines the witness added, or the size it knows.

    Raises
    ------
    WitnessFailed : the answer is none, or one that has nothing to do with this log
    LogForked, LogBehindWitness : the witness knows a log that this one does not continue
    """
    head = parse_checkpoint(parse_note(note)[0])
    if status == 200:
        return _with_cosignature(body, note, key, now)
    if status == 409:
        return _elsewhere(body, old, head)
    if status == 422:
        raise LogForked(
            "A witness says that the log does not continue the head it knows.",
            f"the witness {key.name}",
            "Compare the log with the checkpoints the witness keeps, before going on.",
        )
    what, mend = _REFUSALS.get(
        status,
        (f"answers with status {status}", "Check that it runs, and that the address is its own."),
    )
    raise WitnessFailed(f"The witness {what}.", key.name, mend)


_REFUSALS = {
    400: ("calls the question malformed", "Check that it speaks C2SP tlog-witness."),
    403: ("does not know the key of this log", "Give it the key `verifier.key` of this log."),
    404: ("does not know this log", "Have the log entered there: name and `verifier.key`."),
}


def _with_cosignature(body: bytes, note: bytes, key: WitnessKey, now: datetime) -> bytes:
    try:
        text, signatures = parse_note(note + body)
        ours = [line for line in signatures if _is_of(line, key)]
        times = [_check(text, line, key) for line in ours]
    except ProofInvalid as fault:
        raise WitnessFailed(
            f"The answer of the witness is not good. {fault.what}",
            key.name,
            "Check that WARUM_WITNESS_KEY is the key of this witness.",
        ) from None
    latest = (now + AHEAD).timestamp()
    if not times or any(seconds > latest for seconds in times):
        raise WitnessFailed(
            "The answer holds no cosignature of the witness, or one from the future.",
            key.name,
            "Check WARUM_WITNESS_KEY, and the clocks of both machines.",
        )
    # lines of keys nobody here knows are left away
    return note + b"".join(
        f"— {line.name} {to_base64(line.key_id + line.value)}\n".encode() for line in ours
    )


def _elsewhere(body: bytes, old: int, head: Checkpoint) -> Elsewhere:
    if not re.fullmatch(rb"(?:0|[1-9][0-9]{0,18})\n", body):
        raise WitnessFailed(
            "The witness does not say which size it knows.",
            head.origin,
            "Check that it speaks C2SP tlog-witness.",
        )
    size = int(body)
    if size > head.size:
        raise LogBehindWitness(
            f"A witness has seen {size} entries; the log has sealed {head.size}.",
            head.origin,
            "Do not go on with this database; put the right one back.",
        )
    if size == old == head.size:
        raise LogForked(
            "A witness knows another head of the same size.",
            head.origin,
            "Compare the log with the checkpoints the witness keeps, before going on.",
        )
    return Elsewhere(size)


def _is_of(line: Signature, key: WitnessKey) -> bool:
    return (line.name, line.key_id) == (key.name, key.key_id)


def _check(text: bytes, line: Signature, key: WitnessKey) -> int:
    seconds = int.from_bytes(line.value[:8], "big")
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(
            line.value[8:], cosigned_text(text, seconds)
        )
    except InvalidSignature:
        _invalid("A cosignature is not valid.")
    if seconds >= 2**63:
        _invalid("A cosignature is of no possible time.")
    return seconds


def _invalid(what: str) -> NoReturn:
    raise ProofInvalid(what, "a witness", "Get the key, or the answer, from the witness again.")
