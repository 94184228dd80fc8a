"""Processes that want to write wait in the order they came.

SQLite has no queue: whoever asks at the right moment is next, most often the one that has just
written. Here only the next one asks SQLite; the others wait behind it for a lock of the kernel,
which lets them in one after the other. Nothing but the order depends on it: where it is not to be
had, they are let in as SQLite does it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def first_in_line(path: Path, seconds: float) -> Iterator[None]:
    """Be the one that asks next, of all that wait at `path`, an existing file.

    After `seconds` it goes on in any case: the one before may have been suspended.
    """
    place = _place(path)
    if place is None:
        yield
        return
    try:
        place.wait(seconds)
        yield
    finally:
        place.leave()


class _Place:
    """A place in the line; the lock is let go as soon as nobody needs it any more."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._guard = threading.Lock()
        self._is_over = threading.Event()
        self._left = False

    def wait(self, seconds: float) -> None:
        if self._lock(wait=False):
            self._is_over.set()
            return
        # a thread, for the kernel knows no limit to such waiting
        try:
            threading.Thread(target=self._stand, daemon=True).start()
        except RuntimeError:  # there are too many already: then nobody stands in line
            self._is_over.set()
        self._is_over.wait(seconds)

    def leave(self) -> None:
        with self._guard:
            self._left = True
            if self._is_over.is_set():
                self._let_go()

    def _stand(self) -> None:
        self._lock(wait=True)
        with self._guard:
            self._is_over.set()
            if self._left:
                self._let_go()

    def _lock(self, *, wait: bool) -> bool:
        """Whether there is nothing to wait for any more: it is locked, or cannot be."""
        import fcntl

        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:
            pass  # a disk without such locks
        return True

    def _let_go(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._handle, fcntl.LOCK_UN)  # also where a child process inherited it
        except OSError:
            pass
        finally:
            os.close(self._handle)


def _place(path: Path) -> _Place | None:
    try:
        return _Place(os.open(path, os.O_RDONLY))
    except OSError:
        return None
