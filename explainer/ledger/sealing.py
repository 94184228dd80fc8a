"""Sealed payloads: one key per case, so that destroying the key erases the case.

A leaf pins the ciphertext (`ct`) and a salted commitment to the plain text (`commit`). Both are
needed: AES-GCM does not commit to its key, and one ciphertext can be made to open under two. The
salt is inside the ciphertext, so without the key nobody can guess a short payload against
`commit` either.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from explainer.errors import EntryMalformed, ProofInvalid
from explainer.ledger.entries import Envelope, Leaf, canonical

KEY_BYTES = 32
SALT_BYTES = 32
NONCE_BYTES = 12
ACTOR_BYTES = 254  # every sealed actor is of one length, or the length would tell people apart

Entropy = Callable[[int], bytes]

_RESOLVER = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)  # HPKE, RFC 9180, base mode
_RESOLVER_INFO = b"warum actor v1"


class CaseKeys(Protocol):
    """The key store. It is not the database, and has a backup class of its own."""

    def get_or_create(self, case_ref: str) -> tuple[str, bytes]:
        """Return name and key for `case_ref`; a new key is durable before this returns."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed payload with the two values its leaf pins it by."""

    envelope: Envelope
    commit: str
    ct: str
    salt: bytes


def associated_data(seq: int, kind: str, tenant: str) -> bytes:
    """Return v ‖ seq ‖ type ‖ tenant as a canonical JSON list, which has only one reading."""
    return canonical([1, seq, kind, tenant])


def seal_payload(
    payload: bytes,
    key_id: str,
    key: bytes,
    *,
    seq: int,
    kind: str,
    tenant: str,
    entropy: Entropy = os.urandom,
) -> Sealed:
    """Encrypt `payload` for its place in the log."""
    salt, nonce = entropy(SALT_BYTES), entropy(NONCE_BYTES)
    ciphertext = AESGCM(key).encrypt(nonce, salt + payload, associated_data(seq, kind, tenant))
    return Sealed(
        envelope=Envelope(key_id, nonce, ciphertext),
        commit=commitment(salt, payload),
        ct=hashlib.sha256(nonce + ciphertext).hexdigest(),
        salt=salt,
    )


def commitment(salt: bytes, payload: bytes) -> str:
    """Return HMAC-SHA256(salt, payload) as the leaf holds it."""
    return hmac.digest(salt, payload, "sha256").hex()


def told_commitment(told_salt: bytes, told: bytes) -> str:
    """Return HMAC-SHA256(told_salt, SHA-256 of the told bytes) as the leaf holds it."""
    return hmac.digest(told_salt, told, "sha256").hex()


def open_payload(envelope: Envelope, key: bytes, leaf: Leaf) -> bytes:
    """Return the payload that `leaf` vouches for, or raise ProofInvalid."""
    if hashlib.sha256(envelope.nonce + envelope.ciphertext).hexdigest() != leaf.ct:
        raise _not_vouched_for("The sealed payload is not the one this entry was written with.")
    try:
        plain = AESGCM(key).decrypt(
            envelope.nonce,
            envelope.ciphertext,
            associated_data(leaf.seq, leaf.type, leaf.tenant),
        )
    except (InvalidTag, ValueError):
        raise _not_vouched_for("This key does not open the payload.") from None
    salt, payload = plain[:SALT_BYTES], plain[SALT_BYTES:]
    if not hmac.compare_digest(commitment(salt, payload), leaf.commit):
        raise _not_vouched_for("The payload opens, but to another text than was committed to.")
    return payload


def generate_resolver() -> tuple[bytes, bytes]:
    """Return a new private and public resolver key, 32 bytes each.

    The private half belongs to two people who may resolve an actor together, each with a part of
    it (`halves_of`), never to the application.
    """
    private = X25519PrivateKey.generate()
    return private.private_bytes_raw(), private.public_key().public_bytes_raw()


def halves_of(private: bytes, entropy: Entropy = os.urandom) -> tuple[bytes, bytes]:
    """Return a private resolver key in two parts, 32 bytes each: one alone says nothing of it."""
    first = entropy(KEY_BYTES)
    return first, _either_or(first, private)


def whole_of(first: bytes, second: bytes) -> bytes:
    """Return the private resolver key two parts were made of."""
    return _either_or(first, second)


def _either_or(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def is_resolver(private: bytes, public: bytes) -> bool:
    """Whether `private` is the private half of the resolver key `public`."""
    try:
        key = X25519PrivateKey.from_private_bytes(private)
    except ValueError:
        return False
    return hmac.compare_digest(key.public_key().public_bytes_raw(), public)


def seal_actor(resolver: bytes, subject: str) -> str:
    """Encrypt who acted to the public key `resolver`: two seals of one person never match."""
    name = subject.encode()
    if not 0 < len(name) <= ACTOR_BYTES:
        raise EntryMalformed(
            what=f"A subject has 1 to {ACTOR_BYTES} bytes.",
            where="the acting person",
            mend="Use the identity provider's subject, not a description.",
        )
    padded = len(name).to_bytes(2, "big") + name.ljust(ACTOR_BYTES, b"\x00")
    public = X25519PublicKey.from_public_bytes(resolver)
    return base64.b64encode(_RESOLVER.encrypt(padded, public, info=_RESOLVER_INFO)).decode()


def open_actor(private: bytes, sealed: str) -> str:
    """Return who acted. Calling this is the act that takes two people and its own entry."""
    try:
        key = X25519PrivateKey.from_private_bytes(private)
        sealed_bytes = base64.b64decode(sealed, validate=True)
        padded = _RESOLVER.decrypt(sealed_bytes, key, info=_RESOLVER_INFO)
        return padded[2 : 2 + int.from_bytes(padded[:2], "big")].decode()
    except (InvalidTag, ValueError, binascii.Error):
        raise _not_vouched_for("This resolver key does not open the sealed actor.") from None


def _not_vouched_for(what: str) -> ProofInvalid:
    return ProofInvalid(
        what=what,
        where="a sealed payload",
        mend="Verify the whole log before trusting this record.",
    )
