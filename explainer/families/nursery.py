"""Where the processes of models come from; see `worker` for the other side.

This module loads nothing heavy, so that a command can `prepare` before it does anything else.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass

from explainer.families.worker import ORDER

LOADING = 120.0
"""Seconds for loading the library of a format."""

SLOW = frozenset({"skops"})
"""Formats whose library takes seconds to load; the others take less than one."""

_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT")


class ProcessFailed(Exception):
    """The process ended, hung or sent something else than was asked."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A process: its number, and the line to it; it ends when the line is closed."""

    number: int
    line: socket.socket


class Nursery:
    """The program that loads the library of one format and forks a process for each model."""

    def __init__(self, declared: str) -> None:
        self._lock = threading.Lock()
        self._orders, theirs = socket.socketpair()
        with theirs:
            # nothing of it comes from outside: our interpreter, our module, a known format
            self._program = subprocess.Popen(  # noqa: S603
                # -I: neither the environment nor the working folder adds code to it
                [sys.executable, "-I", "-m", "explainer.families.worker", declared],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={
                    **{n: os.environ[n] for n in _ENVIRONMENT if n in os.environ},
                    # one row at a time: more threads make a busy machine slower, never faster
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                },
                cwd="/",
                # Ctrl+C in a terminal is for the command, which ends its models when it is done
                start_new_session=True,
            )
        # an interpreter that stops would wait for it otherwise
        weakref.finalize(self, _stop, self._orders, self._program, os.getpid())

    @property
    def lives(self) -> bool:
        return self._program.poll() is None

    def begin(self) -> Begun:
        """A new process for a model. Raises ProcessFailed."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                number = self._order(b"+", 0, theirs)
        except ProcessFailed:
            ours.close()
            raise
        return Begun(number, ours)

    def end(self, number: int) -> int:
        """End a process; how it ended, negative for a signal. Raises ProcessFailed."""
        return self._order(b"-", number)

    def _order(self, kind: bytes, number: int, line: socket.socket | None = None) -> int:
        with self._lock:
            try:
                self._orders.settimeout(LOADING)
                order = ORDER.pack(kind, number)
                if line is None:
                    self._orders.sendall(order)
                else:
                    socket.send_fds(self._orders, [order], [line.fileno()])
                answer = self._orders.recv(ORDER.size, socket.MSG_WAITALL)
                _, number = ORDER.unpack(answer)
            except (OSError, struct.error):
                self._program.kill()
                raise ProcessFailed("The program that starts them ended.") from None
        return int(number)


def _stop(orders: socket.socket, program: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the owner: the program is not its to stop
    orders.close()
    program.kill()
    program.wait()


_nurseries: dict[tuple[int, str], Nursery] = {}
_nurseries_lock = threading.Lock()


def prepare(declared: str) -> None:
    """Begin to load the library of this format, beside whatever else is being loaded."""
    nursery_of(declared)


def nursery_of(declared: str) -> Nursery:
    key = (os.getpid(), declared)  # one that a parent process started is not ours to order
    with _nurseries_lock:
        if key not in _nurseries or not _nurseries[key].lives:
            _nurseries[key] = Nursery(declared)
        return _nurseries[key]
