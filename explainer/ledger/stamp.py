"""Time stamps of checkpoints (RFC 3161): an authority vouches that a head was there at a time.

The authority learns a digest and nothing else. Its answer lies beside the checkpoint and can be
checked without us: `openssl ts -verify -data X.note -in X.tsr -CAfile authority.pem`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate, load_pem_x509_certificates

from explainer.errors import SettingsInvalid, WitnessFailed

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest

LARGEST_ANSWER = 2**16


@dataclass(frozen=True, slots=True)
class Authority:
    """Whom a stamp must come from: certificates that vouch for those who stamp."""

    roots: tuple[Certificate, ...]

    @staticmethod
    def parse(pem: bytes, where: str) -> Authority:
        """Read certificates. Raises SettingsInvalid, also where the library is not installed."""
        try:
            import rfc3161_client  # noqa: F401 - said here, not when the first stamp is due

            return Authority(tuple(load_pem_x509_certificates(pem)))
        except ImportError:
            raise SettingsInvalid(
                "Time stamps need a library that is not installed.",
                where,
                'Install it: pip install "warum[timestamps]".',
            ) from None
        except ValueError:
            raise SettingsInvalid(
                "This is no certificate.", where, "Give the authority's certificates as PEM."
            ) from None


def request(note: bytes) -> TimeStampRequest:
    """Return a question about the SHA-256 of `note`, with a number that is used once."""
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    return TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).build()


def check(answer: bytes, note: bytes, asked: TimeStampRequest, authority: Authority) -> datetime:
    """Return when `note` was stamped, if this answers what was asked. Raises WitnessFailed."""
    from rfc3161_client import VerifierBuilder, decode_timestamp_response

    try:
        stamp = decode_timestamp_response(answer)
        builder = VerifierBuilder.from_request(asked)
        for root in authority.roots:
            builder = builder.add_root_certificate(root)
        builder.build().verify_message(stamp, note)
        return stamp.tst_info.gen_time
    except Exception as fault:  # whatever the library meets in a foreign answer
        raise WitnessFailed(
            f"The time stamp is not good ({type(fault).__name__}).",
            "the time-stamping authority",
            "Check that WARUM_TSA_ROOT holds the certificates of this authority.",
        ) from None
