"""Who writes when: one at a time, in the order they came, and those who wait share one commit.

Forcing a transaction to disk takes as long as all the rest of a short one. So a thread that is done
while others wait does not commit: the next goes on in the same transaction, behind a savepoint of
its own, and the last one commits for all. Nobody is answered before that commit; where it fails, it
failed for all of them.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

GROWS_SECONDS = 0.02
"""How old a transaction may be for another thread to go on in it: the first waits so much longer
at most, and as long as the last one takes."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    alone: bool
    turn: threading.Lock = field(default_factory=threading.Lock)


class Writers:
    """Gives the database to one writer at a time, to whoever has waited longest.

    With a plain lock a thread that is done and begins again is often first, before the others
    have so much as woken up: the slowest of a hundred then waits for seconds.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guard = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._taken = False
        self._open: _Commit | None = None  # only for who has the turn

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Write in a transaction nobody else has a part in; it has committed when this is left."""
        with self._turn(alone=True), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def together(self) -> Iterator[Connection]:
        """Write, on SQLite, in a transaction others may have a part in; committed when left.

        What fails takes back its own part only. Raises what the commit failed with, in all whose
        work was in it, also in who had failed before: the reason may be gone with the others' work.
        """
        commit: _Commit | None = None
        try:
            with self._turn(alone=False):
                commit = self._open = self._open or _Commit(self._engine)
                with commit.part():
                    yield commit.connection
        finally:
            if commit is not None:
                commit.wait()

    @contextmanager
    def _turn(self, *, alone: bool) -> Iterator[None]:
        self._take(_Waiting(alone))
        try:
            yield
        finally:
            self._give()

    def _take(self, me: _Waiting) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            me.turn.acquire()
            self._waiting.append(me)
        try:
            me.turn.acquire()  # held until the one before hands its turn on
        except BaseException:  # a person pressed Ctrl-C
            with self._guard:
                if me in self._waiting:
                    self._waiting.remove(me)
                    raise
            self._give()
            raise

    def _give(self) -> None:
        """Hand the turn on, with the open transaction where the next may go on in it."""
        with self._guard:
            following = self._waiting[0] if self._waiting else None
            commit = self._open
            if commit is None or (following and not following.alone and commit.grows()):
                if following is None:
                    self._taken = False
                else:
                    self._waiting.popleft().turn.release()
                return
        try:
            commit.finish()
        finally:
            self._open = None
            self._give()


class _Commit:
    """One transaction on SQLite, and what became of it."""

    def __init__(self, engine: Engine) -> None:
        self.connection = engine.connect()
        try:
            self._transaction = self.connection.begin()
            plain = self.connection.connection.driver_connection
        except BaseException:
            self.connection.close()
            raise
        assert isinstance(plain, sqlite3.Connection)  # noqa: S101 - only SQLite commits together
        self._plain = plain
        self._began = time.monotonic()
        self._parts = 0
        self._given_up = False
        self._fault: BaseException | None = None
        self._done = threading.Event()

    def grows(self) -> bool:
        return not self._given_up and time.monotonic() - self._began < GROWS_SECONDS

    @contextmanager
    def part(self) -> Iterator[None]:
        """What one writer does: all of it or nothing."""
        later = self._parts > 0
        try:
            # to the driver at once: SQLAlchemy takes ten times as long as SQLite for each of these
            if later:
                self._plain.execute("SAVEPOINT part")
            yield
            if not self._plain.in_transaction:
                raise _broken_off()
            if later:
                self._plain.execute("RELEASE part")
        except BaseException as fault:
            self._take_back(fault)
            raise
        self._parts += 1

    def _take_back(self, fault: BaseException) -> None:
        if self._parts == 0:
            self._given_up = True
        elif not self._plain.in_transaction:  # on a full disk SQLite takes back everything itself
            own = isinstance(fault, SQLAlchemyError | sqlite3.Error)
            self._given_up, self._fault = True, fault if own else _broken_off()
        else:
            try:
                self._plain.execute("ROLLBACK TO part")
                self._plain.execute("RELEASE part")
            except BaseException as worse:
                self._given_up, self._fault = True, worse
                raise

    def finish(self) -> None:
        """Commit, or take everything back, and tell those who wait for it."""
        try:
            if self._given_up:
                self._transaction.rollback()
            else:
                self._transaction.commit()
        except Exception as fault:  # raised in everybody who waits
            self._fault = self._fault or fault
        except BaseException as fault:
            self._fault = fault
            raise
        finally:
            try:
                self._leave()
            finally:
                self._done.set()

    def _leave(self) -> None:
        """Give the connection back without anything open on it: after a failed commit there is."""
        if self._fault is not None:
            self.connection.invalidate()  # SQLite takes back what is open when it is closed
        self.connection.close()

    def wait(self) -> None:
        """Wait until it is on disk; raises what kept it from that."""
        self._done.wait()
        if isinstance(self._fault, Exception):
            raise self._fault
        if self._fault is not None:
            raise _broken_off()


def _broken_off() -> OSError:
    return OSError(errno.EINTR, "the transaction was broken off")
