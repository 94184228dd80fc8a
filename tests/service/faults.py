"""Run by tests as a program: operations on a store, each once for every fault a disk can have.

    python faults.py FOLDER STEP OPERATION...

strace first writes down every call by which the operation reads or changes a file of its folder.
Then, for every one of them, a new process on a fresh copy of the folder does the same, and just
that call fails (EIO, ENOSPC), or the process is killed in it, or it and every later one fails.
Each time the process tries again once, as a person would; then, with the disk whole again, what
is there is compared with what was said. Of all these points every STEP-th is tried. The result is
one line of JSON for each operation.

Everything is imported and done once before, so that what fails is the store and not an import.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faulted import OPERATIONS, Operation, Said
from restored import RESTORES

from explainer.errors import ExplainerError

READING = ("read", "pread64")
NO_ROOM_NEEDED = ("unlink", "unlinkat", "chmod", "fchmod")
NEEDS_ROOM = (
    *("openat", "write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "mkdir", "mkdirat", "symlink"),
    *("copy_file_range", "sendfile"),
)
WATCHED = (*READING, *NO_ROOM_NEEDED, *NEEDS_ROOM)
PATH = re.compile(r'[<"](/[^<>"]*)[>"]')
LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
ANYBODY = ctypes.c_ulong(-1)


@dataclass(frozen=True)
class Point:
    """One fault: the `nth` call of this name, or it and every later call."""

    fault: str
    call: str
    nth: int
    sticky: dict[str, int] | None = None

    def injections(self) -> list[str]:
        """What strace is told."""
        what = "signal=KILL" if self.fault == "KILL" else f"error={self.fault}"
        if self.sticky is None:
            return [f"inject={self.call}:{what}:when={self.nth}"]
        calls = (*NEEDS_ROOM, *(() if self.fault == "ENOSPC" else (*READING, *NO_ROOM_NEEDED)))
        return [f"inject={call}:{what}:when={self.sticky.get(call, 0) + 1}+" for call in calls]

    def __str__(self) -> str:
        sticky = "" if self.sticky is None else " and every later one"
        return f"{self.fault} at {self.call} {self.nth}{sticky}"


@dataclass(frozen=True)
class Attempt:
    """What one process said, how it ended, and the calls it made."""

    said: Said
    killed: bool
    trace: list[str]
    left: dict[Path, bytes]

    @property
    def faults(self) -> int:
        return sum("(INJECTED)" in line or "+++ killed by SIGKILL" in line for line in self.trace)


def attempt(operation: Operation, folder: Path, options: list[str], strings: int = 0) -> Attempt:
    """Have a process of its own do the operation, under strace with these options.

    Of what is written so many bytes are in the trace, as hexadecimal digits.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        _act(operation, folder, theirs)
    theirs.close()
    with ours, ours.makefile("r") as heard:
        assert heard.readline() == "ready\n"
        trace = folder.with_name("trace")
        shown = ["-xx", "-s", str(strings)] if strings else ["-s", "0"]
        chosen = [word for option in options for word in ("-e", option)]
        tracer = subprocess.Popen(
            ["strace", "-f", "-y", *shown, "-o", str(trace), *chosen, "-p", str(child)],
            stderr=subprocess.PIPE,
            text=True,
        )
        said = tracer.stderr.readline()
        if "attached" not in said:
            os.kill(child, signal.SIGKILL)
            sys.exit(f"strace may not look at another process here: {said}")
        os.kill(child, signal.SIGUSR1)
        words = [json.loads(line) for line in heard]
        _, status = os.waitpid(child, 0)
        tracer.stderr.close()
        tracer.wait()
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and status != 0:
        words.append(["stray", f"ended with {status}"])
    left = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return Attempt(words, killed, trace.read_text(errors="replace").splitlines(), left)


def _act(operation: Operation, folder: Path, to: socket.socket) -> None:
    """The child: wait until it is watched, do it, try again once; says all it acknowledges."""

    def say(*words: Any) -> None:
        to.sendmsg(
            [json.dumps(words).encode() + b"\n"]
        )  # no fault is for it, and no database uses it

    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(0x59616D61, ANYBODY, 0, 0, 0)  # where only parents may trace
        state = operation.begin(folder)
        to.sendmsg([b"ready\n"])
        signal.sigwait({signal.SIGUSR1})
        for _ in range(2):
            try:
                operation.act(folder, state, say)
                break
            except ExplainerError as fault:
                say("refused", fault.code, str(fault), bool(fault.what and fault.mend))
        os._exit(0)
    except BaseException:
        say("stray", traceback.format_exc())
        os._exit(1)


def undisturbed(operation: Operation, template: Path, work: Path) -> Attempt:
    """The operation on a whole disk; each acknowledgement is a call in its trace."""
    fresh(template, work)
    whole = attempt(operation, work, [f"trace=sendmsg,{','.join(WATCHED)}"])
    assert [words[0] for words in whole.said] == ["acknowledged"] * len(whole.said), whole.said
    assert whole.said
    return whole


def told_too_early(trace: list[str], folder: Path) -> list[str]:
    """Every acknowledgement before which something written had not been forced to disk."""
    unsynced: dict[str, str] = {}
    early = []
    for line in trace:
        call = LINE.match(line)
        if call is None or " = -1 " in line:
            continue
        name, rest = call[1], call[2]
        paths = [path for path in PATH.findall(rest) if path.startswith(str(folder))]
        if name == "sendmsg":
            early += [f"{path} ({what})" for path, what in unsynced.items()]
        elif name in ("write", "pwrite64", "ftruncate", "fallocate", "sendfile"):
            unsynced |= dict.fromkeys(paths[:1], name)
        elif name == "copy_file_range":
            unsynced |= dict.fromkeys(paths[-1:], name)
        elif name in ("fsync", "fdatasync"):
            for path in paths:
                unsynced.pop(path, None)
        elif name.startswith(("unlink", "rename", "link")):
            for path in paths[:1]:
                unsynced.pop(path, None)
            unsynced |= {str(Path(path).parent): name for path in paths}
    return early


def points(trace: list[str], folder: Path) -> Iterator[Point]:
    """Every fault at every call that was made on a file of the folder."""
    before: Counter[str] = Counter()
    for line in trace:
        call = LINE.match(line)
        if call is None or call[1] not in WATCHED:
            continue
        name = call[1]
        if str(folder) in call[2]:
            nth, sticky = before[name] + 1, dict(before)
            yield Point("KILL", name, nth)
            yield Point("EIO", name, nth)
            yield Point("EIO", name, nth, sticky)
            if name in NEEDS_ROOM:
                yield Point("ENOSPC", name, nth)
                yield Point("ENOSPC", name, nth, sticky)
        before[name] += 1


def fresh(template: Path, work: Path) -> None:
    for path in work.parent.iterdir():
        if path != template:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(template, work)


def run(operation: Operation, folder: Path, step: int) -> dict[str, Any]:
    template, work = folder / "template", folder / "data"
    template.mkdir()
    operation.prepare(template)
    fresh(template, work)
    store = operation.begin(work)
    operation.act(work, store, lambda *words: None)  # for what it imports
    if store is not None:
        store.close()
    counts, wrong = Counter[str](), []
    whole = undisturbed(operation, template, work)
    chosen = list(points(whole.trace, folder))
    for point in chosen[::step]:
        fresh(template, work)
        watched = [f"trace={','.join(WATCHED)}", *point.injections()]
        made = attempt(operation, work, watched)
        counts["points"] += 1
        counts["killed" if made.killed else "sticky" if point.sticky else "single"] += 1
        counts["refused"] += any(words[0] == "refused" for words in made.said)
        try:
            assert made.faults, "the fault was not reached"
            assert made.killed == (point.fault == "KILL"), "it ended in another way"
            for kind, *words in made.said:
                assert kind != "stray", words[0]
                assert kind != "refused" or words[2], "an error says not how to mend it"
            operation.judge(work, made.said)
        except (AssertionError, ExplainerError, KeyError) as fault:
            said = [words[:3] for words in made.said if words[0] != "acknowledged"]
            wrong.append(f"{point}: {why(fault)}; {said}")
        else:
            counts["recovered"] += 1
    return {
        **counts,
        "of": len(chosen),
        "acknowledgements": len(whole.said),
        "told_too_early": told_too_early(whole.trace, folder),
        "wrong": wrong,
    }


def why(fault: BaseException) -> str:
    where = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{fault!r} in line {where.lineno} ({where.line})"


def main() -> None:
    folder, step = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    for name in sys.argv[3:]:
        (folder / name).mkdir()
        print(json.dumps(run((OPERATIONS | RESTORES)[name], folder / name, step)))


if __name__ == "__main__":
    main()
