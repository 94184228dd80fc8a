"""How many cases have no key while the service runs, when no start looks any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from service.store.database import Store
from service.store.key_check import cases_without_key

COUNTED_AGAIN = 60.0
"""Seconds for which a count holds at least: it reads the key's name of every case."""
SHARE = 0.01
"""Of the time at most this much goes into counting, however many cases there are."""


class KeyWatch:
    """Counts them when asked, at most once a minute, and more seldom where they are very many."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds and never steps back."""
        self._store = store
        self._clock = clock
        self._one = threading.Lock()
        self._known = 0
        self._due = clock()

    def lost(self) -> int:
        """Of how many cases no key is there, those being erased left out. A key that is there and
        does not open is not looked at: that takes its time. Raises StorageFailed."""
        with self._one:
            began = self._clock()
            if began >= self._due:
                self._known = self._count()
                took = self._clock() - began
                self._due = began + max(COUNTED_AGAIN, took / SHARE)
            return self._known

    def _count(self) -> int:
        with self._store.reading() as tx:
            bare = cases_without_key(tx)
        if bare:
            with self._store.reading() as tx:  # an erasure may just have taken one away
                bare &= cases_without_key(tx)
        return len(bare)
