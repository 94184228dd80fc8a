"""Universal Binary JSON as XGBoost writes it, read with bounds.

Only what its files hold is read: objects, arrays, arrays of one number type, texts and numbers.
Every length is compared with what is left of the file before anything is made of it, so that a
crafted one can claim nothing it does not hold.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

DEEPEST = 32

_NUMBERS = {
    b"i": ("b", ">i1"),
    b"U": ("B", ">u1"),
    b"I": ("h", ">i2"),
    b"l": ("i", ">i4"),
    b"L": ("q", ">i8"),
    b"d": ("f", ">f4"),
    b"D": ("d", ">f8"),
}
"""Marker of a number, its form for `struct` and its form for numpy; all are big-endian."""


def read(data: bytes) -> Any:
    """What `data` holds. Raises ValueError for anything else than one whole value."""
    reader = _Reader(data)
    found = reader.value(reader.take(1), 0)
    if reader.at != len(data):
        raise ValueError("something stands behind the end")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, n: int) -> bytes:
        if n < 0 or n > len(self._data) - self.at:
            raise ValueError("the file ends too early")
        self.at += n
        return self._data[self.at - n : self.at]

    def value(self, marker: bytes, depth: int) -> Any:
        if depth > DEEPEST:
            raise ValueError("nested too deep")
        if marker == b"{":
            return self._object(depth)
        if marker == b"[":
            return self._array(depth)
        if marker == b"S":
            return self._text()
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in (b"T", b"F"):
            return marker == b"T"
        raise ValueError("an unknown kind of value")

    def _number(self, marker: bytes) -> int | float:
        form = ">" + _NUMBERS[marker][0]
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return found  # type: ignore[no-any-return]

    def _length(self) -> int:
        marker = self.take(1)
        if marker not in _NUMBERS or marker in b"dD":
            raise ValueError("a length that is no whole number")
        length = self._number(marker)
        # each thing that is counted takes a byte at least
        if not 0 <= length <= len(self._data) - self.at:
            raise ValueError("a length beyond the end")
        return int(length)

    def _text(self) -> str:
        return self.take(self._length()).decode("utf-8")

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._data[self.at : self.at + 1] != b"}":
            name = self._text()
            if name in found:
                raise ValueError("a name stands twice in one object")
            found[name] = self.value(self.take(1), depth + 1)
        self.at += 1
        return found

    def _array(self, depth: int) -> Any:
        marker = self._data[self.at : self.at + 1]
        if marker == b"$":
            self.at += 1
            kind = self.take(1)
            if kind not in _NUMBERS or self.take(1) != b"#":
                raise ValueError("an array of an unknown kind")
            form = np.dtype(_NUMBERS[kind][1])
            size = self._length() * form.itemsize
            return np.frombuffer(self.take(size), form).astype(form.newbyteorder("="))
        if marker == b"#":
            self.at += 1
            length = self._length()
            return [self.value(self.take(1), depth + 1) for _ in range(length)]
        found = []
        while self._data[self.at : self.at + 1] != b"]":
            found.append(self.value(self.take(1), depth + 1))
        self.at += 1
        return found
