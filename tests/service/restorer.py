"""Run by tests as a program: runs `warum ledger restore` over and over, killed where it is told.

Each line it reads is a list: at which point to die (0: nowhere), then the arguments. A point is
before any change of a file or folder, before any commit, and before any part of the rows is
carried on. How the run ended goes to standard output: its exit code, -9 where it was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Engine, event

from service import cli_backup, restoring, wiring
from service.cli import main as warum

CHANGES = {"os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir", "sqlite3.connect"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def die_at(point: int) -> None:
    passed = 0

    def pass_by(*_: object) -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        if name in CHANGES or (name == "open" and int(arguments[2]) & WRITING):  # type: ignore[call-overload]
            pass_by()

    @contextmanager
    def steps() -> Iterator[Callable[..., None]]:
        yield pass_by

    cli_backup.progress_steps = steps  # type: ignore[assignment]
    event.listen(Engine, "commit", pass_by)
    sys.addaudithook(hook)


def main() -> None:
    assert restoring
    wiring.the_clock = lambda: datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # as in the office
    for line in sys.stdin:
        point, *arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1):
                os.dup2(nothing, stream)
            die_at(point)
            code = warum(["ledger", "restore", *arguments])
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
