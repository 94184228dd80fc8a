"""Run by tests as a program: operations on a store, and the power cut after each of their calls.

    python power.py FOLDER STEP OPERATION...

strace writes down every write, sync, truncation, new name and removed name of the operation, with
the bytes. From that the folder is made anew as a disk may hold it when the power goes: what was
forced to disk is there; of what was not, nothing, or any part, sector by sector; the names in a
folder that were not forced to disk are either all there or none. Each is then judged as after a
kill (`faulted.py`). Of all these points every STEP-th is tried. The result is one line of JSON for
each operation.
"""

from __future__ import annotations

import codecs
import json
import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faulted import OPERATIONS, Operation
from faults import attempt, fresh, why

from explainer.errors import ExplainerError
from explainer.ledger.verify import Unusable

CALLS = (
    *("openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "sendmsg"),
    *("unlink", "rename", "link", "mkdir", "sendfile"),
)
UNKNOWN = ("unlinkat", "renameat", "renameat2", "linkat", "rmdir", "copy_file_range", "fallocate")
"""Calls that would change the folder in a way that is not played here: there must be none."""
LEFT_ALONE = ("template", "trace")
CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (\d+)")
OPEN = re.compile(r"^\d+<(.*?)>(?:, |$)")
SOURCE = re.compile(r"^\d+<.*?>, \d+<(.*?)>, ")
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


@dataclass
class Folder:
    """The names in a folder, as the program sees them and as the disk surely holds them."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    on_disk: dict[str, File | Folder] = field(default_factory=dict)

    def sync(self) -> None:
        self.on_disk = dict(self.now)

    def after(self, chance: random.Random | None) -> dict[str, File | Folder]:
        return self.now if chance is not None and chance.random() < 0.5 else self.on_disk


class Disk:
    """Everything under a folder but what the test itself keeps there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.top = self._read(root)

    def _read(self, folder: Path) -> Folder:
        read = Folder()
        for path in folder.iterdir():
            if path.parent == self.root and path.name in LEFT_ALONE:
                continue
            found = self._read(path) if path.is_dir() else File(bytearray(path.read_bytes()))
            found.sync()
            read.now[path.name] = found
        read.sync()
        return read

    def find(self, path: Path) -> File | Folder | None:
        if not path.is_relative_to(self.root):
            return None
        found: File | Folder | None = self.top
        for name in path.relative_to(self.root).parts:
            found = found.now.get(name) if isinstance(found, Folder) else None
        return found

    def run(self, name: str, arguments: str, result: int) -> bool:
        """Do what one call did; returns whether it changed anything."""
        opened = OPEN.match(arguments)
        texts = [decoded(text) for text in TEXT.findall(arguments)]
        names = [Path(text.decode()) for text in texts[:2]] if opened is None else []
        parents = [self.find(path.parent) for path in names]
        known = [isinstance(parent, Folder) for parent in parents]
        assert name not in UNKNOWN or not any(known), f"{name} is not played"
        if name == "openat":
            if not any(known) or "O_CREAT" not in arguments:
                return False
            if names[0].name in parents[0].now and "O_TRUNC" not in arguments:
                return False
            parents[0].now.setdefault(names[0].name, File()).cut(0)
            return True
        if name in ("mkdir", "unlink", "rename", "link"):
            if not all(known):
                return False
            if name == "mkdir":
                parents[0].now[names[0].name] = Folder()
                return True
            first = parents[0].now[names[0].name]
            if name != "unlink":
                parents[1].now[names[1].name] = first
            if name != "link":
                del parents[0].now[names[0].name]
            return True
        found = self.find(Path(decoded(opened[1]).decode())) if opened else None
        if found is None:
            return False
        if name in ("fsync", "fdatasync"):
            found.sync()
        elif not isinstance(found, File) or name == "openat":
            return False
        elif name == "ftruncate":
            found.cut(int(arguments.rpartition(", ")[2]))
        elif name == "sendfile":
            source = Path(decoded(SOURCE.match(arguments)[1]).decode()).read_bytes()
            found.write(len(found.now), source[len(found.now) :][:result])
            return bool(result)
        else:
            at = len(found.now) if name == "write" else int(arguments.rpartition(", ")[2])
            assert len(texts[0]) == result, "strace wrote down a part only"
            found.write(at, texts[0])
        return True

    def left(self, chance: random.Random | None) -> dict[Path, bytes | None]:
        """What may be there after the power was cut now; None stands for a folder."""
        return dict(_left(self.root, self.top.after(chance), chance))

    def now(self) -> dict[Path, bytes]:
        """The files, as the program sees them."""
        always = random.Random()
        always.random = lambda: 0.0  # type: ignore[method-assign]
        found = _left(self.root, self.top.now, always, lambda file: bytes(file.now))
        return {path: data for path, data in found if data is not None}


def _left(
    folder: Path,
    names: dict[str, File | Folder],
    chance: random.Random | None,
    held: Callable[[File], bytes] | None = None,
) -> Iterator[tuple[Path, bytes | None]]:
    for name, found in names.items():
        if isinstance(found, Folder):
            yield folder / name, None
            yield from _left(folder / name, found.after(chance), chance, held)
        else:
            yield folder / name, held(found) if held else found.after(chance)


def files_under(root: Path) -> dict[Path, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file())
    return {
        path: path.read_bytes()
        for path in paths
        if path.relative_to(root).parts[0] not in LEFT_ALONE
    }


def moments(operation: Operation, template: Path, work: Path) -> Iterator[tuple[str, Any, Any]]:
    """Every moment at which the power may go: its name, what was said until then, and the disk."""
    fresh(template, work)
    whole = attempt(operation, work, [f"trace={','.join((*CALLS, *UNKNOWN))}"], strings=2**20)
    there = files_under(work.parent)
    fresh(template, work)
    disk, said = Disk(work.parent), []
    words = iter(whole.said)
    for number, line in enumerate(whole.trace):
        call = CALL.match(line)
        if call is None:
            continue
        if call[1] == "sendmsg":
            said.append(next(words))
        elif not disk.run(call[1], call[2], int(call[3])):
            continue
        for variant in range(3):
            chance = random.Random(3 * number + variant) if variant else None
            yield f"{call[1]}, {variant}", list(said), disk.left(chance)
    assert next(words, None) is None
    assert disk.now() == there


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
        shutil.rmtree(work)
        for path, data in left.items():
            if data is None:
                path.mkdir()
                continue
            path.write_bytes(data)
            path.chmod(0o600)
        try:
            operation.judge(work, said)
        except (AssertionError, ExplainerError, KeyError, Unusable) as fault:
            wrong.append(f"{number} after {name}: {why(fault)}")
        else:
            counts["recovered"] += 1
    return {**counts, "wrong": wrong}


def main() -> None:
    folder, step = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    for name in sys.argv[3:]:
        (folder / name).mkdir()
        print(json.dumps(run(OPERATIONS[name], folder / name, step)))


if __name__ == "__main__":
    main()
