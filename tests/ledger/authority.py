"""A time-stamping authority of our own: just enough of RFC 3161 and CMS, written as DER by hand."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SEQUENCE, SET, INTEGER, OCTETS, OID, NULL, TIME = 0x30, 0x31, 0x02, 0x04, 0x06, 0x05, 0x18
SHA256 = "2.16.840.1.101.3.4.2.1"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
SIGNED_DATA, TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.47"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int) -> bytes:
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytes([40 * first + second])
    for number in rest:
        groups = [number & 127]
        while number := number >> 7:
            groups.insert(0, number & 127 | 128)
        encoded += bytes(groups)
    return der(OID, encoded)


def read(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The elements one after the other: tag, content, whole."""
    found, at = [], 0
    while at < len(data):
        size, begin = data[at + 1], at + 2
        if size & 128:
            begin += size & 127
            size = int.from_bytes(data[at + 2 : begin], "big")
        found.append((data[at], data[begin : begin + size], data[at : begin + size]))
        at = begin + size
    return found


class Authority:
    """Stamps whatever it is asked to, at the time it is told."""

    def __init__(self, name: str = "Stempelstelle", *, purpose: bool = True) -> None:
        self.now = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)
        root, self.key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = _certificate(f"{name} Wurzel", root, f"{name} Wurzel", root, ca=True)
        self.certificate = _certificate(
            name, self.key, f"{name} Wurzel", root, ca=False, purpose=purpose
        )

    @property
    def pem(self) -> bytes:
        return self.root.public_bytes(serialization.Encoding.PEM)

    def answer(self, body: bytes) -> tuple[int, bytes]:
        """Answer a TimeStampReq."""
        ((_, request, _),) = read(body)
        _version, imprint, *rest = read(request)
        nonces = [whole for tag, _, whole in rest if tag == INTEGER]
        return 200, self.stamp(imprint[2], nonces[0])

    def stamp(self, imprint: bytes, nonce: bytes) -> bytes:
        info = der(
            SEQUENCE,
            integer(1),
            oid("1.3.6.1.4.1.99999.1"),
            imprint,
            integer(7),
            der(TIME, self.now.strftime("%Y%m%d%H%M%SZ").encode()),
            nonce,
        )
        algorithm = der(SEQUENCE, oid(SHA256))
        digest = hashlib.sha256(info).digest()
        signed = [
            der(SEQUENCE, oid(CONTENT_TYPE), der(SET, oid(TST_INFO))),
            der(SEQUENCE, oid(MESSAGE_DIGEST), der(SET, der(OCTETS, digest))),
        ]
        der_certificate = self.certificate.public_bytes(serialization.Encoding.DER)
        which = der(SEQUENCE, der(OCTETS, hashlib.sha256(der_certificate).digest()))
        signed.append(
            der(SEQUENCE, oid(SIGNING_CERTIFICATE), der(SET, der(SEQUENCE, der(SEQUENCE, which))))
        )
        signed.sort()
        signature = self.key.sign(der(SET, *signed), ec.ECDSA(hashes.SHA256()))
        issuer = self.certificate.issuer.public_bytes()
        signer = der(
            SEQUENCE,
            integer(1),
            der(SEQUENCE, issuer, integer(self.certificate.serial_number)),
            algorithm,
            der(0xA0, *signed),
            der(SEQUENCE, oid(ECDSA_SHA256)),
            der(OCTETS, signature),
        )
        content = der(
            SEQUENCE,
            integer(3),
            der(SET, algorithm),
            der(SEQUENCE, oid(TST_INFO), der(0xA0, der(OCTETS, info))),
            der(0xA0, der_certificate),
            der(SET, signer),
        )
        token = der(SEQUENCE, oid(SIGNED_DATA), der(0xA0, content))
        return der(SEQUENCE, der(SEQUENCE, integer(0)), token)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    purpose: bool = True,
) -> x509.Certificate:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
    if not ca and purpose:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True
        )
    return builder.sign(signer, hashes.SHA256())
