"""Seals in the background: nobody's answer waits for a signature.

A head is sealed as soon as there is time after each change; many changes at once share a seal.
What an interruption left unsealed, the next seal covers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from explainer.errors import ExplainerError, LogBehindWitness, LogForked
from explainer.ledger.checkpoint import Sealer, WitnessDirectory
from explainer.ledger.log import LogName
from service.events import log
from service.store.database import Store
from service.store.seals import seal

PAUSE = 0.05
"""Seconds between two seals: changes in between share the next one."""
AT_LATEST = 2.0
"""Seconds until what is not urgent is sealed."""
ENTRIES = 100
"""So many entries are urgent, whatever they are: a head vouches for at most so many new ones."""
LOOK = 30.0
"""Seconds after which both logs are sealed unasked: other processes write, too. The promise is
that no entry stays unsealed for more than 60."""


@dataclass(slots=True)
class Due:
    """Which heads are to be sealed when. Times are seconds of a clock that never steps back."""

    looked: float
    _wanted: dict[LogName, int] = field(default_factory=dict)
    _since: float | None = None
    _urgent: bool = False

    def note(self, name: LogName, now: float, *, urgent: bool) -> None:
        """An entry was written."""
        self._wanted[name] = self._wanted.get(name, 0) + 1
        self._since = now if self._since is None else self._since
        self._urgent = self._urgent or urgent or self._wanted[name] >= ENTRIES

    def wait(self, now: float) -> float:
        """Seconds until something is due."""
        if self._urgent:
            return 0.0
        due = self.looked + LOOK
        if self._since is not None:
            due = min(due, self._since + AT_LATEST)
        return max(0.0, due - now)

    def take(self, now: float, *, closing: bool = False) -> list[LogName]:
        """Take the heads that are due now; where this is the end, all that are still wanted."""
        if self.wait(now) > 0 and not closing:
            return []
        if now >= self.looked + LOOK:
            self.looked = now
            taken = list(LogName)
        else:
            taken = list(self._wanted)
        self._wanted, self._since, self._urgent = {}, None, False
        return taken


class Seals:
    """One thread that seals the heads of both logs and hands them to the witnesses."""

    def __init__(
        self,
        store: Store,
        sealers: Mapping[LogName, Sealer],
        witnesses: Mapping[LogName, WitnessDirectory],
        sealed: Callable[[LogName, bytes], None] = lambda _name, _note: None,
    ) -> None:
        """`sealed` is told of each new head once it is stored and in the witness's directory."""
        self.sealers = sealers
        self._store = store
        self._witnesses = witnesses
        self._sealed = sealed
        self._one = threading.Lock()
        self._due = Due(time.monotonic())
        self._changed = threading.Condition()
        self._closing = False
        self.broken: ExplainerError | None = None
        """What was found if the log is no longer the one that was sealed; it stays that way."""
        self._thread = threading.Thread(target=self._run, name="seal", daemon=True)
        self._thread.start()

    def soon(self, name: LogName) -> None:
        """Have the head of this log sealed as soon as there is time; returns at once."""
        with self._changed:
            self._due.note(name, time.monotonic(), urgent=True)
            self._changed.notify()

    def later(self, name: LogName) -> None:
        """Have it sealed within AT_LATEST, so that people who read do not wait for each other's
        signatures; returns at once."""
        with self._changed:
            self._due.note(name, time.monotonic(), urgent=False)
            self._changed.notify()

    def now(self) -> None:
        """Seal both heads before returning."""
        for name in LogName:
            self._seal(name)

    def close(self) -> None:
        """Seal what is still wanted, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (wait := self._due.wait(time.monotonic())) > 0 and not self._closing:
                    self._changed.wait(wait)
                closing = self._closing
                wanted = self._due.take(time.monotonic(), closing=closing)
            for name in wanted:
                self._seal(name)
            if closing:
                return
            threading.Event().wait(PAUSE)

    def _seal(self, name: LogName) -> None:
        """Seal one head. A failure (a full disk, a witness out of reach) is logged; the next
        seal makes it good."""
        try:
            with self._one:
                note = seal(self._store, name, self.sealers[name], self._witnesses[name])
            if note is not None:
                self._sealed(name, note)
        except ExplainerError as fault:
            if isinstance(fault, LogForked | LogBehindWitness):
                self.broken = fault
            log.error("seal failed", code=fault.code, log=name.value)
