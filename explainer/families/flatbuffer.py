"""FlatBuffers, read with bounds: tables, vectors and texts by the number of their field.

The file describes itself by offsets; each is looked at before it is followed. Fields are numbered
in the order in which the description of the format (which is not part of the file) declares them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Table:
    """A table at a place in a buffer. All methods raise ValueError where something is not whole."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        described = at - self._read("<i", at)
        size = self._read("<H", described)
        if size < 4 or size % 2 or described + size > len(data):
            raise ValueError("a table without a description")
        self._fields = struct.unpack_from(f"<{size // 2 - 2}H", data, described + 4)

    @staticmethod
    def root(data: bytes) -> Table:
        """The table a buffer is made of."""
        return Table(data, _read(data, "<I", 0))

    def number(self, field: int, form: str, default: Any) -> Any:
        """A number of `struct`'s form, or the default where the table has none."""
        at = self._place(field)
        return default if at is None else self._read(form, at)

    def table(self, field: int) -> Table:
        at = self._place(field)
        if at is None:
            raise ValueError("a table is missing")
        return Table(self._data, at + self._read("<I", at))

    def text(self, field: int) -> str:
        """A text; empty where the table has none."""
        at = self._place(field)
        return "" if at is None else self._text(at)

    def array(self, field: int, form: DTypeLike) -> NDArray[Any]:
        """A vector of numbers of numpy's form, or of records; empty where the table has none."""
        kind = np.dtype(form)
        first, length = self._vector(field, kind.itemsize)
        return np.frombuffer(self._data, kind, length, first)

    def tables(self, field: int) -> Iterator[Table]:
        first, length = self._vector(field, 4)
        for at in range(first, first + 4 * length, 4):
            yield Table(self._data, at + self._read("<I", at))

    def length(self, field: int) -> int:
        """How many things a vector of tables or texts holds."""
        return self._vector(field, 4)[1]

    def _place(self, field: int) -> int | None:
        if field >= len(self._fields) or not self._fields[field]:
            return None
        return self._at + int(self._fields[field])

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        at = self._place(field)
        if at is None:
            return 0, 0
        at += self._read("<I", at)
        length = self._read("<I", at)
        if at + 4 + length * size > len(self._data):
            raise ValueError("a vector beyond the end")
        return at + 4, length

    def _text(self, at: int) -> str:
        at += self._read("<I", at)
        length = self._read("<I", at)
        if at + 4 + length > len(self._data):
            raise ValueError("a text beyond the end")
        return self._data[at + 4 : at + 4 + length].decode("utf-8")

    def _read(self, form: str, at: int) -> Any:
        return _read(self._data, form, at)


def _read(data: bytes, form: str, at: int) -> Any:
    if not 0 <= at <= len(data) - struct.calcsize(form):
        raise ValueError("a place beyond the end")
    return struct.unpack_from(form, data, at)[0]
