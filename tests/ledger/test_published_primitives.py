"""Published vectors (Wycheproof, RFC 9180, RFC 4231) through what the ledger calls.

A vector is put where a note's text and signature or a sealed payload would be. So it is the ledger
that accepts or refuses, not the library under it alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import vectors
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from explainer.errors import ProofInvalid
from explainer.ledger import checkpoint, sealing, tree, verify, witness
from explainer.ledger.checkpoint import Checkpoint, Signature, VerifierKey
from explainer.ledger.entries import Envelope, Leaf

NAME = "warum/jc/ledger"
SIGNED = vectors.signed()


# -- Ed25519: notes -----------------------------------------------------------------------------


class Message(str):
    """A text whose bytes are those of a vector, UTF-8 or not."""

    __slots__ = ("data",)
    data: bytes

    def encode(self, *_: object) -> bytes:
        return self.data


def by_the_ledger(vector: vectors.Signed, monkeypatch: pytest.MonkeyPatch) -> bool:
    key = VerifierKey(NAME, vector.public)
    line = Signature(NAME, key.key_id, vector.signature)
    monkeypatch.setattr(checkpoint, "parse_note", lambda _: (vector.message, (line,)))
    monkeypatch.setattr(checkpoint, "parse_checkpoint", lambda _: EMPTY)
    try:
        checkpoint.verify(b"", key)
    except ProofInvalid:
        return False
    return True


def by_the_verifier(vector: vectors.Signed, monkeypatch: pytest.MonkeyPatch) -> bool:
    key = verify.Key(NAME, b"1234", vector.public)
    text = Message()
    text.data = vector.message
    lines = [(NAME, key.key_id + vector.signature)]
    monkeypatch.setattr(verify, "_split_note", lambda _: (text, lines))
    monkeypatch.setattr(verify, "_checkpoint", lambda *_: EMPTY)
    try:
        verify.read_note(b"", key, outside=False)
    except verify.Wrong:
        return False
    return True


def by_the_witness_check(vector: vectors.Signed, monkeypatch: pytest.MonkeyPatch) -> bool:
    key = SimpleNamespace(public=vector.public)
    monkeypatch.setattr(witness, "cosigned_text", lambda *_: vector.message)
    try:
        witness._check(b"", Signature(NAME, b"1234", bytes(8) + vector.signature), key)  # type: ignore[arg-type]
    except ProofInvalid:
        return False
    return True


EMPTY = Checkpoint(NAME, 0, tree.EMPTY_ROOT)
WAYS = [by_the_ledger, by_the_verifier, by_the_witness_check]


@pytest.mark.parametrize("way", WAYS)
def test_every_vector_for_ed25519_ends_as_published(
    way: Callable[[vectors.Signed, pytest.MonkeyPatch], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is called acceptable may be taken or not: see the next test."""
    asked: Counter[str] = Counter()
    wrong = []
    for vector in SIGNED:
        asked[vector.result] += 1
        holds = way(vector, monkeypatch)
        if vector.result != "acceptable" and holds != (vector.result == "valid"):
            wrong.append(vector.told)
    assert wrong == []
    assert asked == {"valid": 117, "invalid": 64, "acceptable": 29}


def test_all_take_the_same_of_the_vectors_that_may_be_taken_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keys of small or mixed order, which nobody gets who makes one: taken as RFC 8032 says."""
    said = Counter(
        (vector.flags, tuple(way(vector, monkeypatch) for way in WAYS))
        for vector in SIGNED
        if vector.result == "acceptable"
    )
    taken = (True, True, True)
    assert said == {(("SmallOrderPublicKey",), taken): 8, (("MixedOrderPublicKey",), taken): 21}


RFC_8032 = {  # section 7.1: private and public keys of the five tests
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    ),
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    ),
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    ),
    "f5e5767cf153319517630f226876b86c8160cc583bc013744c6bf255f5cc0ee5": (
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e"
    ),
    "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"
    ),
}
ABC = (  # the test that Wycheproof does not have, "SHA(abc)"
    "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    hashlib.sha512(b"abc").digest(),
    "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
    "0303dca179c138ac17ad9bef1177331a704",
)


def test_the_five_private_keys_of_rfc_8032_sign_under_their_public_ones() -> None:
    for private, public in RFC_8032.items():
        assert checkpoint.Signer(NAME, bytes.fromhex(private)).key.public.hex() == public


@pytest.mark.parametrize("way", WAYS)
def test_all_five_signatures_of_rfc_8032_are_among_those_tried(
    way: Callable[[vectors.Signed, pytest.MonkeyPatch], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    public, message, signature = ABC
    known = {vector.public.hex() for vector in SIGNED if vector.result == "valid"}
    assert set(RFC_8032.values()) - known == {public}
    parts = (bytes.fromhex(public), message, bytes.fromhex(signature))
    assert way(vectors.Signed("", *parts, "valid", ()), monkeypatch)
    parts = (bytes.fromhex(public), message + b"x", bytes.fromhex(signature))
    assert not way(vectors.Signed("", *parts, "invalid", ()), monkeypatch)


# -- AES-GCM: sealed payloads ---------------------------------------------------------------------


def leaf_of(nonce: bytes, ciphertext: bytes, plain: bytes) -> Leaf:
    """A leaf that vouches for this: only the cipher itself can refuse."""
    return Leaf(
        v=1,
        seq=0,
        type="decision",
        ts="2026-11-21T14:05Z",
        ts_source="ntp",
        tenant="t",
        model="a" * 64,
        explainer=None,
        commit=sealing.commitment(plain[:32], plain[32:]),
        ct=hashlib.sha256(nonce + ciphertext).hexdigest(),
        told=None,
        idem=None,
    )


def test_every_vector_for_the_cipher_of_payloads_ends_as_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AES-256-GCM with nonces of 96 bits; others are never used."""
    asked: Counter[str] = Counter()
    for group, test in vectors.tests_of(vectors.CIPHERS):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        asked[test["result"]] += 1
        key, nonce, bound, plain, body, tag = (
            bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        leaf = leaf_of(nonce, body + tag, plain)
        with monkeypatch.context() as patched:
            patched.setattr(sealing, "associated_data", lambda *_, bound=bound: bound)
            text = SimpleNamespace(encode=lambda bound=bound: bound)
            patched.setattr(verify, "json", SimpleNamespace(dumps=lambda *_, text=text, **__: text))
            envelope = Envelope("k", nonce, body + tag)
            fields = {"v": 1, "seq": 0, "type": leaf.type, "tenant": "t", "commit": leaf.commit}
            if test["result"] == "valid":
                assert sealing.open_payload(envelope, key, leaf) == plain[32:]
                assert verify.open_payload(fields, nonce, body + tag, key) == plain[32:]
            else:
                with pytest.raises(ProofInvalid, match="does not open"):
                    sealing.open_payload(envelope, key, leaf)
                with pytest.raises(verify.Wrong, match="does not open"):
                    verify.open_payload(fields, nonce, body + tag, key)
    assert asked == {"valid": 39, "invalid": 27}


def test_payloads_are_sealed_to_the_published_ciphertexts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealed = 0
    for group, test in vectors.tests_of(vectors.CIPHERS):
        plain = bytes.fromhex(test["msg"])
        fits = (group["keySize"], group["ivSize"]) == (256, 96) and test["result"] == "valid"
        if not fits or len(plain) < sealing.SALT_BYTES:
            continue
        drawn = {sealing.SALT_BYTES: plain[:32], sealing.NONCE_BYTES: bytes.fromhex(test["iv"])}
        bound = bytes.fromhex(test["aad"])
        monkeypatch.setattr(sealing, "associated_data", lambda *_, bound=bound: bound)
        made = sealing.seal_payload(
            plain[32:],
            "k",
            bytes.fromhex(test["key"]),
            seq=0,
            kind="decision",
            tenant="t",
            entropy=drawn.__getitem__,
        )
        assert made.envelope.ciphertext.hex() == test["ct"] + test["tag"]
        sealed += 1
    assert sealed == 12


# -- HMAC and HKDF ---------------------------------------------------------------------------------

RFC_4231 = [  # section 4: key, data, HMAC-SHA256; of the fifth only the first half is printed
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(("key", "data", "published"), RFC_4231)
def test_a_commitment_is_the_published_hmac(key: bytes, data: bytes, published: str) -> None:
    assert sealing.commitment(key, data)[: len(published)] == published
    assert sealing.told_commitment(key, data)[: len(published)] == published
    leaf = {"commit": hmac.digest(key, data, "sha256").hex()}
    assert leaf["commit"][: len(published)] == published
    verify._check_commitment(leaf, key, data)
    with pytest.raises(verify.Wrong, match="committed"):
        verify._check_commitment(leaf, key, data + b"x")


def test_commitments_one_after_the_other_give_every_published_derived_key() -> None:
    """HKDF (RFC 5869) is nothing but HMAC, so each of its vectors is two or more for HMAC."""
    vectors_ = vectors.derived()
    for vector in vectors_:
        secret = bytes.fromhex(sealing.commitment(vector.salt or bytes(32), vector.ikm))
        made = block = b""
        while len(made) < len(vector.okm):
            number = bytes([len(made) // 32 + 1])
            block = bytes.fromhex(sealing.commitment(secret, block + vector.info + number))
            made += block
        assert made[: len(vector.okm)] == vector.okm
    assert len(vectors_) == 83


# -- HPKE: who acted ------------------------------------------------------------------------------


def test_what_is_sealed_to_a_resolver_opens_by_the_published_key_and_nonce(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9180's vector for X25519, HKDF-SHA256, AES-256-GCM: key and nonce have to come out."""
    (vector,) = (
        one
        for one in json.loads(vectors.text_of(vectors.SEALED_TO_A_KEY))
        if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == (0, 0x20, 1, 2)
    )
    given = {
        name: bytes.fromhex(vector[name])
        for name in ("info", "skRm", "pkRm", "enc", "key", "base_nonce")
    }
    monkeypatch.setattr(sealing, "_RESOLVER_INFO", given["info"])
    subject = "beauty is truth"
    padded = len(subject).to_bytes(2, "big") + subject.encode().ljust(sealing.ACTOR_BYTES, b"\x00")
    body = AESGCM(given["key"]).encrypt(given["base_nonce"], padded, None)
    sealed = base64.b64encode(given["enc"] + body).decode()
    assert sealing.is_resolver(given["skRm"], given["pkRm"])
    assert sealing.open_actor(given["skRm"], sealed) == subject
    assert sealing.open_actor(given["skRm"], sealing.seal_actor(given["pkRm"], subject)) == subject
