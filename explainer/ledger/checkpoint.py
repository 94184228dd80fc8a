"""Signed checkpoints (C2SP signed-note, tlog-checkpoint), the sealer, and witnesses.

A chain inside a database proves nothing against whoever may rewrite that database. What proves
something is a signed head kept elsewhere: this file makes them and hands them out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from explainer.errors import LogBehindWitness, LogForked, ProofInvalid
from explainer.ledger.durable import write_new
from explainer.ledger.tree import verify_consistency

ED25519 = b"\x01"  # signature type byte of C2SP signed-note
NOTE_LIMIT = 2**20
MOST_SIGNATURES = 100

NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")
"""Names of keys and logs: no space and no plus sign."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of one log: who issued it, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.origin):
            _refuse("An origin is a name without spaces and without a plus sign.")
        if not 0 <= self.size < 2**63 or len(self.root) != 32:
            _refuse("A checkpoint has a size and a root of 32 bytes.")

    def text(self) -> bytes:
        """Return the note text, which is what gets signed."""
        return f"{self.origin}\n{self.size}\n{to_base64(self.root)}\n".encode()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under: what a verifier must already hold."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or len(self.public) != 32:
            _refuse("A verifier key has a name without spaces or plus, and 32 bytes.")

    @property
    def key_id(self) -> bytes:
        """Return the first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key)."""
        data = self.name.encode() + b"\n" + ED25519 + self.public
        return hashlib.sha256(data).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+hex(key id)+base64(type ‖ public key)`."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        data = from_base64(encoded)
        if data[:1] != ED25519:
            _refuse("The verifier key is not an Ed25519 key.")
        key = cls(name, data[1:])
        if key.key_id.hex() != key_id:
            _refuse("The key id does not belong to this name and key.")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line; whether it counts depends on the keys of the reader."""

    name: str
    key_id: bytes
    value: bytes


def parse_note(note: bytes) -> tuple[bytes, tuple[Signature, ...]]:
    """Split a signed note into its text and its signatures; nothing is verified yet."""
    if len(note) > NOTE_LIMIT:
        _refuse("The note is longer than one mebibyte.")
    try:
        decoded = note.decode()
    except UnicodeDecodeError:
        _refuse("The note is not UTF-8.")
    if re.search(r"[\x00-\x09\x0b-\x1f]", decoded):
        _refuse("The note holds control characters.")
    text, gap, lines = decoded.rpartition("\n\n")
    if not gap or not lines.endswith("\n"):
        _refuse("The note has no block of signatures.")
    signatures = lines.removesuffix("\n").split("\n")
    if len(signatures) > MOST_SIGNATURES:
        _refuse(f"The note has more than {MOST_SIGNATURES} signatures.")
    return f"{text}\n".encode(), tuple(_signature(line) for line in signatures)


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read the text of a note as a checkpoint; extension lines are allowed and ignored."""
    if not text.endswith(b"\n"):
        _refuse("The text does not end with a newline.")
    lines = text.decode().removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines):
        _refuse("The text is not origin, size and root, each on its line.")
    if not _SIZE.fullmatch(lines[1]):
        _refuse("The size is not a plain decimal number.")
    return Checkpoint(lines[0], int(lines[1]), from_base64(lines[2]))


def verify(note: bytes, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in `note` if `key` signed it; lines of unknown keys are ignored."""
    text, signatures = parse_note(note)
    checkpoint = parse_checkpoint(text)
    if checkpoint.origin != key.name:
        _refuse("The checkpoint is of another log than this key.")
    ours = [line for line in signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    if not ours:
        _refuse("The checkpoint is not signed by this key.")
    for line in ours:
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(line.value, text)
        except InvalidSignature:
            _refuse("The signature is not valid.")
    return checkpoint


class Signer:
    """Signs checkpoints of one log. Its key never lies in the database it vouches for."""

    def __init__(self, name: str, private: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.key = VerifierKey(name, self._private.public_key().public_bytes_raw())

    @staticmethod
    def generate() -> bytes:
        """Return a new private key, 32 bytes."""
        return Ed25519PrivateKey.generate().private_bytes_raw()

    def sign(self, checkpoint: Checkpoint) -> bytes:
        """Return the signed note. Only a Sealer calls this: it knows what was signed before."""
        if checkpoint.origin != self.key.name:
            _refuse("A signer signs only the log it is named for.")
        text = checkpoint.text()
        blob = to_base64(self.key.key_id + self._private.sign(text))
        return text + f"\n— {self.key.name} {blob}\n".encode()


class Sealer:
    """Signs a head only if it continues the last one it signed: the rule of a witness.

    It keeps its own copy of that last head, outside the database, and believes only that copy.
    """

    def __init__(self, signer: Signer, memory: Path) -> None:
        self._signer = signer
        self._memory = memory

    @property
    def key(self) -> VerifierKey:
        """Return what others need to verify the seals."""
        return self._signer.key

    def last_note(self) -> bytes | None:
        """Return the last note signed here, or None before the first."""
        try:
            return self._memory.read_bytes()
        except FileNotFoundError:
            return None

    def last(self) -> Checkpoint | None:
        """Return the last head signed here, or None before the first."""
        note = self.last_note()
        return None if note is None else verify(note, self.key)

    def adopt(self, note: bytes) -> None:
        """Take up a head signed here, known from a witness, after the memory was lost."""
        verify(note, self.key)
        if self.last() is not None:
            _forked("A sealer that remembers takes no head from elsewhere.")
        write_new(self._memory, note)

    def seal(self, old: int, proof: Sequence[bytes], new: Checkpoint) -> bytes:
        """Sign `new` if `proof` shows that it continues the head of size `old`.

        The caller says what it believes was signed last; if that is not so, nothing is signed
        (tlog-witness answers 409 there). The signature is remembered before it is given away.
        """
        last = self.last()
        if last is None:
            if old or proof:
                _forked("Nothing has been sealed here before, yet an older head is named.")
        else:
            if new.size < last.size:
                raise LogBehindWitness(
                    what="The log is shorter than the last head that was sealed.",
                    where=f"the log {new.origin}",
                    mend="Do not go on with this database; put the right one back.",
                )
            if old != last.size:
                _forked("The older head named is not the last one sealed here.")
            if last.size:
                try:
                    verify_consistency(last.size, last.root, new.size, new.root, proof)
                except ProofInvalid:
                    _forked("The log does not continue the last head that was sealed.")
        note = self._signer.sign(new)
        write_new(self._memory, note)
        return note


class WitnessDirectory:
    """Keeps every checkpoint of one log as a file of its own, outside the database.

    Meant for a write-once share, an e-file or another machine's disk. File names begin with the
    size, so the newest is the last; a second head of the same size does not replace the first.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder

    def keep(self, note: bytes, key: VerifierKey) -> Path:
        """Write `note` durably under its own name; harmless if it is there already."""
        checkpoint = verify(note, key)
        digest = hashlib.sha256(note).hexdigest()[:16]
        path = self.path / f"{checkpoint.size:019d}-{digest}.note"
        self.path.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_new(path, note)
        return path

    def newest_note(self, key: VerifierKey) -> bytes | None:
        """Return the newest note kept; one that cannot be trusted is an error."""
        paths = sorted(self.path.glob("*.note"))
        if not paths:
            return None
        note = paths[-1].read_bytes()
        if not paths[-1].name.startswith(f"{verify(note, key).size:019d}-"):
            _refuse("A kept checkpoint has the name of another size.")
        return note

    def newest_first(
        self, *, above: int = -1, up_to: int | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Yield size and bytes of every note kept, by its name; nothing is verified.

        Only of sizes more than `above` and at most `up_to`; others are not even read.
        """
        for path in sorted(self.path.glob("*.note"), reverse=True):
            size = path.name.partition("-")[0]
            if size.isdigit() and above < int(size) and (up_to is None or int(size) <= up_to):
                yield int(size), path.read_bytes()

    def with_cosignatures(self, notes: Sequence[bytes]) -> list[bytes]:
        """Return `notes` with the lines of witnesses, where one kept here of the same text has
        more lines."""
        fullest = {_text_of(note): note for note in notes}
        for _, note in self.newest_first():
            known = fullest.get(_text_of(note))
            if known is not None and note.startswith(known):
                fullest[_text_of(note)] = note
        return [fullest[_text_of(note)] for note in notes]

    def newest(self, key: VerifierKey) -> Checkpoint | None:
        """Return the newest checkpoint kept, or None before the first."""
        note = self.newest_note(key)
        return None if note is None else verify(note, key)


def _text_of(note: bytes) -> bytes:
    return note.rpartition(b"\n\n")[0]


def _signature(line: str) -> Signature:
    mark, name, blob = [*line.split(" "), "", ""][:3]
    if mark != "—" or not NAME.fullmatch(name) or line.count(" ") != 2:
        _refuse("A signature line is not dash, key name and base64.")
    data = from_base64(blob)
    if len(data) < 5:
        _refuse("A signature is too short.")
    return Signature(name, data[:4], data[4:])


def to_base64(data: bytes) -> str:
    """Return standard base64, as notes hold it."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Decode base64 that has exactly one spelling; others would let a note be altered unseen."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        _refuse("A value is not base64.")
    if to_base64(data) != text:
        _refuse("A value is not base64 in its one spelling.")
    return data


def _forked(what: str) -> NoReturn:
    raise LogForked(what=what, where="the sealer", mend="Verify the log against its witnesses.")


def _refuse(what: str) -> NoReturn:
    raise ProofInvalid(
        what=what,
        where="a checkpoint",
        mend="Fetch the checkpoint and the key again from whoever keeps them.",
    )
