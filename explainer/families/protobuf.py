"""Protocol buffers by their wire format: every length is looked at before it is believed.

Field numbers and what they mean are their reader's (`onnx_file`); here are only the five kinds of
content (Protocol Buffers, Encoding).
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5

Value = int | memoryview


class Broken(Exception):
    """Bytes that are no protocol buffer."""


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Number and content of each field; a number for the fixed sizes is their bytes."""
    at, end = 0, len(data)
    while at < end:
        key, at = varint(data, at)
        kind, number = key & 7, key >> 3
        if kind == _VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if kind == _LENGTH:
            size, at = varint(data, at)
        elif kind == _FOUR:
            size = 4
        elif kind == _EIGHT:
            size = 8
        else:
            raise Broken  # groups, which ONNX has none of
        if number == 0 or at + size > end:
            raise Broken
        yield number, data[at : at + size]
        at += size


def varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Broken
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7


def as_bytes(value: Value) -> memoryview:
    if isinstance(value, int):
        raise Broken
    return value


def as_text(value: Value) -> str:
    return bytes(as_bytes(value)).decode("utf-8")


def as_number(value: Value) -> int:
    if not isinstance(value, int):
        raise Broken
    return value - (1 << 64) if value >> 63 else value


def as_numbers(value: Value) -> Iterator[int]:
    """One of a repeated number, or many of them packed."""
    if isinstance(value, int):
        yield as_number(value)
        return
    at = 0
    while at < len(value):
        one, at = varint(value, at)
        yield as_number(one)
