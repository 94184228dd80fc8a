"""Which program this is: a digest of its own code, recorded with every entry."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import warum_start

import explainer
import service

CODE = frozenset({".py", ".cpp", ".html"})
"""Endings of what is code here; words have digests of their own."""


START = "service/start.py"
"""What runs first, by its name in a checkout; it runs from where `warum_start` is installed."""


@cache
def program_digest() -> str:
    """SHA-256 of the code of `explainer` and `service` as it is installed, and of what starts
    them, in hexadecimal. The kernel goes in as its source: who compiled it makes no other program.
    """
    rooms = [Path(str(room.__file__)).parent for room in (explainer, service)]
    return digest_of(rooms, Path(warum_start.__file__))


def digest_of(rooms: Sequence[Path], start: Path) -> str:
    """SHA-256 over name and content of each file of code in these folders, in order of names, and
    of the start file under one name wherever it lies.

    The same for a checkout and a wheel of it. A wheel has folders with a leading "_" right in these
    for what lies elsewhere in a checkout; hidden files are an editor's, and Python imports none.
    """
    files = {START: start}
    for room in rooms:
        for path in room.rglob("*"):
            inside = path.relative_to(room)
            hidden = any(part.startswith(".") for part in inside.parts)
            packed = len(inside.parts) > 1 and inside.parts[0].startswith("_")
            if path.suffix in CODE and not hidden and not packed and path.is_file():
                files.setdefault(path.relative_to(room.parent).as_posix(), path)
    whole = hashlib.sha256()
    for name, path in sorted(files.items()):
        data = path.read_bytes()
        whole.update(f"{name} {len(data)}\n".encode())
        whole.update(data)
    return whole.hexdigest()
