"""Bytes of entries: one spelling per value, the same as RFC 8785, and nothing else is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from explainer.errors import EntryMalformed
from explainer.ledger import verify
from explainer.ledger.entries import (
    LARGEST_NUMBER,
    Entry,
    EntryKind,
    Json,
    Leaf,
    canonical,
    minute,
    parse_canonical,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST_NUMBER, LARGEST_NUMBER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
LEAF = Leaf(
    v=1,
    seq=41,
    type="decision",
    ts="2026-11-21T14:05Z",
    ts_source="ntp",
    tenant="jc-musterstadt",
    model="a" * 64,
    explainer=None,
    commit="b" * 64,
    ct="c" * 64,
    told=None,
    idem=None,
)


@given(VALUES)
def test_canonical_bytes_are_those_of_rfc_8785_and_read_back(value: Json) -> None:
    data = canonical(value)
    assert data == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert parse_canonical(data) == value
    assert verify.read_canonical(data) == value


@given(VALUES)
def test_no_other_spelling_of_a_value_is_read(value: Json) -> None:
    data = canonical(value)
    for other in (json.dumps(value).encode(), data + b" ", b" " + data):
        if other != data:
            with pytest.raises(EntryMalformed):
                parse_canonical(other)


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        {"ä": 1},
        {1: "a"},
        "\ud800",
        {"k": ["\udfff"]},
        b"bytes",
        {"set": {1}},
        datetime(2026, 1, 1, tzinfo=UTC),
        pytest.param(object(), id="an object"),
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_is_refused_before_anything_is_written(value: object) -> None:
    with pytest.raises(EntryMalformed):
        canonical(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a":1,"a":1}',
        b'{"a":1,"a":2}',
        b'{"b":1,"a":2}',
        b"1.0",
        b"1e3",
        b"NaN",
        b"Infinity",
        b"-0",
        b"01",
        b"9007199254740992",
        b"9" * 5000,
        b'"\\ud800"',
        b'"\\u00e4"',
        b'"\\/"',
        b'{"\xc3\xa4":1}',
        b"[" * 100_000,
        b"[" * 40 + b"]" * 40,
        b"\xef\xbb\xbf1",
        b"1\n",
    ],
    ids=lambda data: data[:12].decode(errors="replace"),
)
def test_hostile_bytes_end_in_our_error_here_and_in_the_verifier(data: bytes) -> None:
    with pytest.raises(EntryMalformed):
        parse_canonical(data)
    if data != b"[" * 40 + b"]" * 40:  # depth is limited where entries are written
        with pytest.raises(verify.Wrong):
            verify.read_canonical(data)


def test_a_key_that_comes_twice_is_named_as_the_fault() -> None:
    with pytest.raises(EntryMalformed, match="twice"):
        parse_canonical(b'{"a":1,"a":1}')
    with pytest.raises(verify.Wrong, match="twice"):
        verify.read_canonical(b'{"a":1,"a":1}')


@given(st.binary(max_size=40))
def test_random_bytes_end_in_our_error_or_are_canonical(data: bytes) -> None:
    try:
        value = parse_canonical(data)
    except EntryMalformed:
        return
    assert canonical(value) == data


def test_a_leaf_reads_back_to_an_equal_leaf_and_has_exactly_the_documented_fields() -> None:
    data = LEAF.to_bytes()
    assert Leaf.from_bytes(data) == LEAF
    assert data == (
        b'{"commit":"' + b"b" * 64 + b'","ct":"' + b"c" * 64 + b'","explainer":null,"idem":null,'
        b'"model":"' + b"a" * 64 + b'","seq":41,"tenant":"jc-musterstadt","told":null,'
        b'"ts":"2026-11-21T14:05Z","ts_source":"ntp","type":"decision","v":1}'
    )
    assert verify.read_leaf(data, 41) == json.loads(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("v", True),
        ("seq", -1),
        ("seq", "41"),
        ("type", "Decision"),
        ("type", None),
        ("ts", "2026-11-21T14:05:33Z"),
        ("ts", "2026-11-21T14:05"),
        ("ts_source", "Frau Meier"),
        ("tenant", "Jobcenter Musterstadt"),
        ("model", "housing v2"),
        ("model", "A" * 64),
        ("explainer", ""),
        ("commit", None),
        ("ct", "c" * 63),
        ("told", "c" * 65),
        ("idem", 7),
    ],
)
def test_a_leaf_with_another_form_cannot_exist(field: str, value: object) -> None:
    fields = json.loads(LEAF.to_bytes()) | {field: value}
    with pytest.raises(EntryMalformed):
        Leaf(**fields)
    data = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(EntryMalformed):
        Leaf.from_bytes(data)
    with pytest.raises(verify.Wrong):
        verify.read_leaf(data, 41)


@pytest.mark.parametrize("change", ["drop", "add", "list", "long"])
def test_a_leaf_with_other_fields_is_refused(change: str) -> None:
    fields: object = json.loads(LEAF.to_bytes())
    assert isinstance(fields, dict)
    if change == "drop":
        del fields["idem"]
    elif change == "add":
        fields["case"] = "BG-1"
    elif change == "long":
        fields["tenant"] = "x" * 70_000
    else:
        fields = [fields]
    data = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(EntryMalformed):
        Leaf.from_bytes(data)
    with pytest.raises(verify.Wrong):
        verify.read_leaf(data, 41)


@pytest.mark.parametrize(
    "changes",
    [
        {"payload": {"told_salt": "00"}},
        {"payload": {"share": 0.5}},
        {"told": b"short"},
        {"case_ref": ""},
        {"idempotency_key": ""},
    ],
    ids=str,
)
def test_an_entry_that_could_not_be_written_cannot_exist(changes: Mapping[str, object]) -> None:
    fields = {"kind": EntryKind.DECISION, "payload": {}, **changes}
    with pytest.raises(EntryMalformed):
        Entry(**fields)  # type: ignore[arg-type]


def test_no_time_finer_than_a_minute_is_written_and_zones_do_not_matter() -> None:
    moment = datetime(2026, 11, 21, 14, 5, 59, 999_999, tzinfo=UTC)
    assert minute(moment) == "2026-11-21T14:05Z"
    assert minute(moment.astimezone(timezone(timedelta(hours=-9)))) == "2026-11-21T14:05Z"
    assert minute(datetime(2141, 2, 1, 0, 0, tzinfo=UTC)) == "2141-02-01T00:00Z"
    with pytest.raises(EntryMalformed):
        minute(moment.replace(tzinfo=None))


def test_the_double_hour_in_october_is_two_different_hours() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    early = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    assert minute(early) == "2026-10-25T00:30Z"
    assert minute(early.replace(fold=1)) == "2026-10-25T01:30Z"
