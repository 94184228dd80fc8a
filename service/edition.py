"""Which program this is: a digest of its own code, recorded with every entry."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import explainer
import service

CODE = frozenset({".py", ".cpp", ".html"})
"""Endings of what is code here; words have digests of their own."""


@cache
def program_digest() -> str:
    """SHA-256 of the code of `explainer` and `service` as it is installed, in hexadecimal."""
    return digest_of([Path(str(room.__file__)).parent for room in (explainer, service)])


def digest_of(rooms: Sequence[Path]) -> str:
    """SHA-256 over name and content of each file of code in these folders, in order of names."""
    whole = hashlib.sha256()
    for room in rooms:
        for path in sorted(room.rglob("*")):
            if path.suffix in CODE and path.is_file():
                data = path.read_bytes()
                name = path.relative_to(room.parent).as_posix()
                whole.update(f"{name} {len(data)}\n".encode())
                whole.update(data)
    return whole.hexdigest()
