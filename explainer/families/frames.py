"""What passes between Warum and a model's own process: plain data, never objects.

A frame is a line of sizes, a JSON head, and raw bytes for what is large. Whoever reads trusts
nothing: sizes are capped before memory is taken, arrays are of a few number types only, and a
frame that breaks a rule is FrameBroken.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1024 * 1024 * 1024
"""Bytes of one frame, ample for the arrays of the largest forest that is explained."""

NUMBERS = {"f8": np.float64, "i8": np.int64, "i4": np.int32, "u1": np.uint8, "b1": np.bool_}
_KINDS = {np.dtype(kind): name for name, kind in NUMBERS.items()}

AT_ONCE = 64 * 1024
"""Bytes that are sent, and asked for, in one call."""

# version of the form, bytes of the head, bytes of the rest
_SIZES = struct.Struct(">III")
FORM = 1


class FrameBroken(Exception):
    """The other side sent something else than a frame, or ended."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a head as JSON has it, arrays by name, bytes by name."""

    head: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    data: bytes = b""


def send(to: socket.socket, frame: Frame, deadline: float | None = None) -> None:
    """Send `frame` whole, until `deadline` (of time.monotonic) or for ever.

    Raises OSError as the socket does (TimeoutError at the deadline), FrameBroken if it is too
    large.
    """
    blobs = [np.ascontiguousarray(array) for array in frame.arrays.values()]
    head = json.dumps(
        {
            "head": frame.head,
            "arrays": [
                [name, _KINDS[blob.dtype], list(blob.shape)]
                for name, blob in zip(frame.arrays, blobs, strict=True)
            ],
        }
    ).encode()
    head += b" " * (-(_SIZES.size + len(head)) % 8)  # so that arrays need not be copied
    rest = sum(blob.nbytes for blob in blobs) + len(frame.data)
    if len(head) + rest > LARGEST:
        raise FrameBroken("The message is too large.")
    start = _SIZES.pack(FORM, len(head), rest) + head
    parts: list[memoryview] = [blob.data.cast("B") for blob in blobs if blob.nbytes]
    if len(start) + rest <= AT_ONCE:
        # in one go: each part by itself would wake the other side for nothing
        to.settimeout(_left(deadline))
        to.sendall(b"".join((start, *parts, frame.data)))
        return
    whole: list[bytes | memoryview] = [start, *parts, frame.data]
    for part in whole:
        to.settimeout(_left(deadline))
        to.sendall(part)


def receive(
    source: socket.socket, deadline: float | None = None, largest_head: int = LARGEST
) -> Frame:
    """The next frame, whole before `deadline` (of time.monotonic), however slowly it comes.

    Raises FrameBroken, or OSError (TimeoutError at the deadline) as the socket does.
    """
    # whoever asks waits for the answer before asking again: nothing of another frame comes along
    taken = bytearray()
    _fill(taken, _SIZES.size, source, deadline)
    form, head_size, rest_size = _SIZES.unpack_from(taken)
    if form != FORM or head_size + rest_size > LARGEST or head_size > largest_head:
        raise FrameBroken("This is no frame.")
    ends = _SIZES.size + head_size
    _fill(taken, ends + rest_size, source, deadline)
    if len(taken) != ends + rest_size:
        raise FrameBroken("More came than was asked for.")
    try:
        head = json.loads(taken[_SIZES.size : ends])
        kinds: Sequence[tuple[str, str, list[int]]] = [
            (str(name), str(kind), [int(n) for n in shape]) for name, kind, shape in head["arrays"]
        ]
        inner = head["head"]
        if not isinstance(inner, dict):
            raise FrameBroken("The head of a frame is no object.")
        sizes = [_size(kind, shape) for _, kind, shape in kinds]
    except FrameBroken:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, MemoryError):
        raise FrameBroken("The head of a frame cannot be read.") from None
    rest = memoryview(taken)[ends:]
    if sum(sizes) > rest_size:
        raise FrameBroken("A frame is shorter than its arrays.")
    arrays: dict[str, NDArray[Any]] = {}
    at = 0
    for (name, kind, shape), size in zip(kinds, sizes, strict=True):
        array: NDArray[Any] = np.frombuffer(rest[at : at + size], NUMBERS[kind]).reshape(shape)
        arrays[name] = np.require(array, requirements="A")  # words and bytes come before it
        at += size
    return Frame(inner, arrays, bytes(rest[at:]))


def _size(kind: str, shape: list[int]) -> int:
    if kind not in NUMBERS or len(shape) > 2 or any(not 0 <= n <= LARGEST for n in shape):
        raise FrameBroken("A frame holds an array of an unknown kind.")
    return prod(shape) * np.dtype(NUMBERS[kind]).itemsize


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _fill(taken: bytearray, size: int, source: socket.socket, deadline: float | None) -> None:
    """Take in until `size` bytes are there."""
    while len(taken) < size:
        source.settimeout(_left(deadline))  # or one byte now and then would put it off for ever
        part = source.recv(min(max(size - len(taken), AT_ONCE), 1 << 20))
        if not part:
            raise FrameBroken("The other side ended.")
        taken += part
