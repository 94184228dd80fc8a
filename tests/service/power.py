"""Run by tests as a program: one operation on a store, and the power cut after each of its calls.

    python power.py FOLDER OPERATION STEP

strace writes down every write, sync, truncation, new name and removed name of the operation, with
the bytes. From that the folder is made anew as a disk may hold it when the power goes: what was
forced to disk is there; of what was not, nothing, or any part, sector by sector; names that were
not forced to disk are either all there or none. Each is then judged as after a kill
(`faulted.py`). Of all these points every STEP-th is tried. The result is one line of JSON.
"""

from __future__ import annotations

import codecs
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faulted import ON_THE_STORE, Operation
from faults import attempt, fresh, why

from explainer.errors import ExplainerError

CALLS = (
    *("openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "sendto"),
    *("unlink", "rename", "link"),
)
CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (\d+)")
OPEN = re.compile(r"^\d+<(.*?)>(?:, |$)")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
SECTOR = 512
"""Bytes a disk writes as one."""


def decoded(text: str) -> bytes:
    return codecs.escape_decode(text.encode())[0]  # type: ignore[attr-defined,no-any-return]


@dataclass
class File:
    """What a file holds, what of it is on disk, and the writes since it was forced there."""

    now: bytearray = field(default_factory=bytearray)
    on_disk: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def write(self, at: int, data: bytes) -> None:
        put(self.now, at, data)
        for begin in range(0, len(data), SECTOR):
            self.since.append((at + begin, data[begin : begin + SECTOR]))

    def cut(self, size: int) -> None:
        resize(self.now, size)
        self.since.append((size, None))

    def sync(self) -> None:
        self.on_disk, self.since = bytes(self.now), []

    def after(self, chance: random.Random | None) -> bytes:
        """What may be left of it: without `chance` only what was forced to disk."""
        left = bytearray(self.on_disk)
        for at, data in self.since:
            if chance is None or chance.random() < 0.5:
                continue
            resize(left, at) if data is None else put(left, at, data)
        return bytes(left)


def put(file: bytearray, at: int, data: bytes) -> None:
    resize(file, max(len(file), at + len(data)))
    file[at : at + len(data)] = data


def resize(file: bytearray, size: int) -> None:
    del file[size:]
    file.extend(bytes(size - len(file)))


class Disk:
    """The folder: names and files, as the program sees them and as the disk surely holds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[Path, File] = {}
        for path in folder.rglob("*"):
            if path.is_file():
                file = File(bytearray(path.read_bytes()))
                file.sync()
                self.names[path] = file
        self.on_disk = dict(self.names)

    def run(self, name: str, arguments: str, result: int) -> bool:
        """Do what one call did; returns whether it changed anything."""
        opened = OPEN.match(arguments)
        texts = [decoded(text) for text in TEXT.findall(arguments)]
        path = Path(decoded(opened[1]).decode()) if opened else None
        file = self.names.get(path) if path else None
        if name == "openat":
            path = Path(texts[0].decode())
            if "O_CREAT" not in arguments or not path.is_relative_to(self.folder):
                return False
            if path in self.names and "O_TRUNC" not in arguments:
                return False
            self.names.setdefault(path, File()).cut(0)
        elif name in ("fsync", "fdatasync"):
            if file is not None:
                file.sync()
            elif path is not None:
                self.sync_names(path)
        elif name in ("unlink", "rename", "link"):
            first = Path(texts[0].decode())
            if first not in self.names:
                return False
            if name != "unlink":
                self.names[Path(texts[1].decode())] = self.names[first]
            if name != "link":
                del self.names[first]
        elif file is None or name not in ("write", "pwrite64", "ftruncate"):
            return False
        elif name == "ftruncate":
            file.cut(int(arguments.rpartition(", ")[2]))
        else:
            at = len(file.now) if name == "write" else int(arguments.rpartition(", ")[2])
            assert len(texts[0]) == result, "strace wrote down a part only"
            file.write(at, texts[0])
        return True

    def sync_names(self, folder: Path) -> None:
        kept = {path: file for path, file in self.on_disk.items() if path.parent != folder}
        self.on_disk = kept | {p: file for p, file in self.names.items() if p.parent == folder}

    def left(self, chance: random.Random | None) -> dict[Path, bytes]:
        """What may be there after the power was cut now."""
        names = self.on_disk
        if chance is not None and chance.random() < 0.5:
            names = self.names
        return {path: file.after(chance) for path, file in names.items()}


def moments(operation: Operation, template: Path, work: Path) -> Iterator[tuple[str, Any, Any]]:
    """Every moment at which the power may go: its name, what was said until then, and the disk."""
    fresh(template, work)
    whole = attempt(operation, work, [f"trace={','.join(CALLS)}"], strings=2**20)
    fresh(template, work)
    disk, said = Disk(work), []
    words = iter(whole.said)
    for number, line in enumerate(whole.trace):
        call = CALL.match(line)
        if call is None:
            continue
        if call[1] == "sendto":
            said.append(next(words))
        elif not disk.run(call[1], call[2], int(call[3])):
            continue
        for variant in range(3):
            chance = random.Random(3 * number + variant) if variant else None
            yield f"{call[1]}, {variant}", list(said), disk.left(chance)
    assert next(words, None) is None
    assert {path: bytes(file.now) for path, file in disk.names.items()} == whole.left


def run(operation: Operation, folder: Path, step: int) -> dict[str, Any]:
    template, work = folder / "template", folder / "data"
    template.mkdir()
    operation.prepare(template)
    counts, wrong = Counter[str](), []
    for number, (name, said, left) in enumerate(moments(operation, template, work)):
        counts["of"] += 1
        if number % step:
            continue
        counts["points"] += 1
        fresh(template, work)
        for path in [path for path in work.rglob("*") if path.is_file()]:
            path.unlink()
        for path, data in left.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o600)
        try:
            operation.judge(work, said)
        except (AssertionError, ExplainerError, KeyError) as fault:
            wrong.append(f"{number} after {name}: {why(fault)}")
        else:
            counts["recovered"] += 1
    return {**counts, "wrong": wrong}


def main() -> None:
    folder, name, step = Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3])
    print(json.dumps(run(ON_THE_STORE[name], folder, step)))


if __name__ == "__main__":
    main()
