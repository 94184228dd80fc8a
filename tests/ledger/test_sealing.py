"""Envelopes: what is sealed opens with its key, in its place, and to what was committed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from explainer.errors import EntryMalformed, ProofInvalid
from explainer.ledger.entries import Leaf
from explainer.ledger.sealing import (
    ACTOR_BYTES,
    Sealed,
    associated_data,
    generate_resolver,
    open_actor,
    open_payload,
    seal_actor,
    seal_payload,
    told_commitment,
)

KEY = bytes(range(32))
PRIVATE, PUBLIC = generate_resolver()


def sealed(payload: bytes = b"{}", seq: int = 7) -> tuple[Sealed, Leaf]:
    made = seal_payload(payload, "k1", KEY, seq=seq, kind="decision", tenant="t")
    leaf = Leaf(
        v=1,
        seq=seq,
        type="decision",
        ts="2026-11-21T14:05Z",
        ts_source="ntp",
        tenant="t",
        model=None,
        explainer=None,
        commit=made.commit,
        ct=made.ct,
        told=None,
        idem=None,
    )
    return made, leaf


@given(st.binary(max_size=300))
def test_what_was_sealed_opens_to_the_same_bytes(payload: bytes) -> None:
    made, leaf = sealed(payload)
    assert open_payload(made.envelope, KEY, leaf) == payload


def test_the_envelope_is_the_documented_one() -> None:
    made, leaf = sealed(b"payload")
    nonce, ciphertext = made.envelope.nonce, made.envelope.ciphertext
    plain = AESGCM(KEY).decrypt(nonce, ciphertext, b'[1,7,"decision","t"]')
    assert plain == made.salt + b"payload"
    assert leaf.commit == hmac.digest(made.salt, b"payload", "sha256").hex()
    assert leaf.ct == hashlib.sha256(nonce + ciphertext).hexdigest()
    assert (len(nonce), len(made.salt)) == (12, 32)


def test_two_places_never_have_the_same_associated_data() -> None:
    places = [(1, "shown", "a"), (11, "shown", "a"), (1, "shown", "a,b"), (1, 'shown","a', "b")]
    assert len({associated_data(*place) for place in places}) == len(places)


def test_equal_payloads_do_not_look_equal() -> None:
    one, other = sealed()[0], sealed()[0]
    assert one.envelope.ciphertext != other.envelope.ciphertext
    assert one.commit != other.commit
    assert one.ct != other.ct


def test_another_key_does_not_open_it() -> None:
    made, leaf = sealed()
    with pytest.raises(ProofInvalid):
        open_payload(made.envelope, bytes(32), leaf)


def test_an_envelope_moved_to_another_entry_does_not_open() -> None:
    made, leaf = sealed()
    for moved in (replace(leaf, seq=8), replace(leaf, type="shown"), replace(leaf, tenant="u")):
        with pytest.raises(ProofInvalid):
            open_payload(made.envelope, KEY, moved)


def test_every_changed_byte_of_an_envelope_is_noticed() -> None:
    made, leaf = sealed(b"{}")
    for name in ("nonce", "ciphertext"):
        data = getattr(made.envelope, name)
        for at in range(len(data)):
            changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            with pytest.raises(ProofInvalid):
                open_payload(replace(made.envelope, **{name: changed}), KEY, leaf)


def test_the_same_text_sealed_anew_is_not_what_was_written() -> None:
    made, leaf = sealed(b"grant")
    nonce, place = bytes(12), associated_data(7, "decision", "t")
    anew = AESGCM(KEY).encrypt(nonce, made.salt + b"grant", place)
    with pytest.raises(ProofInvalid, match="not the one"):
        open_payload(replace(made.envelope, nonce=nonce, ciphertext=anew), KEY, leaf)


def test_a_ciphertext_that_opens_to_another_text_is_caught_by_the_commitment() -> None:
    """AES-GCM does not commit to its key: a second opening has to fail on `commit`."""
    made, leaf = sealed(b"grant")
    salt, nonce = bytes(32), bytes(12)
    other = AESGCM(KEY).encrypt(nonce, salt + b"refuse", associated_data(7, "decision", "t"))
    forged = replace(made.envelope, nonce=nonce, ciphertext=other)
    pinned = replace(leaf, ct=hashlib.sha256(nonce + other).hexdigest())
    with pytest.raises(ProofInvalid, match="another text"):
        open_payload(forged, KEY, pinned)


def test_the_holder_of_a_letter_can_prove_it_and_nobody_can_guess_it() -> None:
    digest = hashlib.sha256(b"letter").digest()
    assert told_commitment(b"a" * 32, digest) == hmac.digest(b"a" * 32, digest, "sha256").hex()
    assert told_commitment(b"a" * 32, digest) != told_commitment(b"b" * 32, digest)


def test_a_sealed_actor_opens_only_with_the_resolver_key() -> None:
    text = seal_actor(PUBLIC, "idp.example#müller")
    assert open_actor(PRIVATE, text) == "idp.example#müller"
    with pytest.raises(ProofInvalid):
        open_actor(generate_resolver()[0], text)


def test_two_seals_of_one_person_match_in_nothing_not_even_in_length_with_another() -> None:
    seals = [seal_actor(PUBLIC, name) for name in ("a", "a", "a.very.long.name@agency.example")]
    assert len(set(seals)) == 3
    assert len({len(seal) for seal in seals}) == 1
    raw = [base64.b64decode(seal) for seal in seals]
    assert len({seal[:32] for seal in raw}) == 3  # each has an ephemeral key of its own


@pytest.mark.parametrize("subject", ["", "x" * (ACTOR_BYTES + 1)])
def test_an_actor_that_cannot_be_padded_is_refused(subject: str) -> None:
    with pytest.raises(EntryMalformed):
        seal_actor(PUBLIC, subject)


@pytest.mark.parametrize("text", ["", "!", "AAAA", "ä", base64.b64encode(bytes(300)).decode()])
def test_a_damaged_sealed_actor_ends_in_our_error(text: str) -> None:
    with pytest.raises(ProofInvalid):
        open_actor(PRIVATE, text)
