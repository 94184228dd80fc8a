"""The published data of RFC 8785: what the ledger writes is as published, the rest is refused.

The ledger writes no fractions, no number beyond 2^53 - 1 and only ASCII keys, so that a value has
one spelling even in languages that disagree about those.
"""

from __future__ import annotations

import json
import struct

import pytest
import rfc8785

from explainer.errors import EntryMalformed
from explainer.ledger import verify
from explainer.ledger.entries import Json, canonical, parse_canonical

NUMBERS = {  # appendix B: the bits of an IEEE 754 double, and how it is written
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "7fffffffffffffff": "NaN",
    "7ff0000000000000": "Infinity",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


def refused(data: bytes) -> None:
    with pytest.raises(EntryMalformed):
        parse_canonical(data)
    with pytest.raises(verify.Wrong):
        verify.read_canonical(data)


def test_of_the_published_numbers_zero_is_written_and_every_other_refused() -> None:
    """26 of 26: neither a value of the kind nor its published spelling gets in."""
    unwritten = 0
    for bits, spelled in NUMBERS.items():
        (value,) = struct.unpack(">d", bytes.fromhex(bits))
        with pytest.raises(EntryMalformed):
            canonical(value)
        if spelled in {"NaN", "Infinity"}:
            with pytest.raises(rfc8785.FloatDomainError):
                rfc8785.dumps(value)
        else:  # the table as it is typed here is the published one
            assert rfc8785.dumps(value).decode() == spelled
        if spelled == "0":
            assert canonical(0) == b"0"
            assert parse_canonical(b"0") == verify.read_canonical(b"0") == 0
        else:
            refused(spelled.encode())
            unwritten += 1
    assert (len(NUMBERS), unwritten) == (26, 24)
    refused(b"-0")


@pytest.mark.parametrize(
    ("value", "published"),
    [
        (  # section 3.2.3, the part without numbers; the bytes are in section 3.2.4
            {"string": '€$\x0f\nA\'B"\\\\"/', "literals": [None, True, False]},
            "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c22737472696e67223a22e282ac24"
            "5c75303030665c6e4127425c225c5c5c5c5c222f227d",
        ),
        (  # the published samples: arrays
            [56, {"d": True, "10": None, "1": []}],
            b'[56,{"1":[],"10":null,"d":true}]'.hex(),
        ),
        (  # structures
            {
                "1": {"f": {"f": "hi", "F": 5}, "\n": 56},
                "10": {},
                "": "empty",
                "a": {},
                "111": [{}],
                "A": {},
            },
            (
                b'{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"A":{},"a":{}}'
            ).hex(),
        ),
        (  # unicode: nothing is normalised
            {"Unnormalized Unicode": "\u1e0d\u0307"},
            b'{"Unnormalized Unicode":"\xe1\xb8\x8d\xcc\x87"}'.hex(),
        ),
    ],
    ids=["section 3.2", "arrays", "structures", "unicode"],
)
def test_a_published_sample_is_written_as_published(value: Json, published: str) -> None:
    written = canonical(value)
    assert written.hex() == published
    assert parse_canonical(written) == verify.read_canonical(written) == value


@pytest.mark.parametrize(
    "value",
    [
        {"numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27]},
        {"péché": "is wrong according to French", "pêche": "but canonicalization MUST"},
        {
            "€": "Euro Sign",
            "\r": "Carriage Return",
            "1": "One",
            "\u0080": "Control",
            "ö": "Latin Small Letter O With Diaeresis",
            "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "😀": "Emoji: Grinning Face",
        },
    ],
    ids=["section 3.2.2, numbers", "french", "section 3.2.3, sorting"],
)
def test_a_published_sample_with_what_the_ledger_does_not_write_is_refused(value: Json) -> None:
    with pytest.raises(EntryMalformed):
        canonical(value)
    refused(rfc8785.dumps(value))


def test_sample_keys_that_are_ascii_come_in_the_published_order() -> None:
    keys = ["1", "", "a", "111", "10", "A", "</script>", "\n", "\r"]
    written = json.loads(canonical(dict.fromkeys(keys)))
    assert list(written) == sorted(keys, key=lambda key: key.encode("utf-16-be"))
