"""Seals in the background: nobody's answer waits for a signature.

A head is sealed as soon as there is time after each change; many changes at once share a seal.
What an interruption left unsealed, the next seal covers.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from explainer.errors import ExplainerError, LogBehindWitness, LogForked
from explainer.ledger.checkpoint import Sealer, WitnessDirectory
from explainer.ledger.log import LogName
from service.events import log
from service.store.database import Store
from service.store.seals import seal

PAUSE = 0.05
"""Seconds between two seals: changes in between share the next one."""
AT_LATEST = 2.0
"""Seconds until what is not urgent is sealed; the promise is 60."""


class Seals:
    """One thread that seals the heads of both logs and hands them to the witnesses."""

    def __init__(
        self,
        store: Store,
        sealers: Mapping[LogName, Sealer],
        witnesses: Mapping[LogName, WitnessDirectory],
    ) -> None:
        self.sealers = sealers
        self._store = store
        self._witnesses = witnesses
        self._one = threading.Lock()
        self._wanted: set[LogName] = set()
        self._urgent = False
        self._changed = threading.Condition()
        self._closing = False
        self.broken: ExplainerError | None = None
        """What was found if the log is no longer the one that was sealed; it stays that way."""
        self._thread = threading.Thread(target=self._run, name="seal", daemon=True)
        self._thread.start()

    def soon(self, name: LogName) -> None:
        """Have the head of this log sealed as soon as there is time; returns at once."""
        with self._changed:
            self._wanted.add(name)
            self._urgent = True
            self._changed.notify()

    def later(self, name: LogName) -> None:
        """Have it sealed within AT_LATEST, so that people who read do not wait for each other's
        signatures; returns at once."""
        with self._changed:
            self._wanted.add(name)

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
                self._changed.wait_for(lambda: self._urgent or self._closing, AT_LATEST)
                wanted, self._wanted, self._urgent = self._wanted, set(), False
                closing = self._closing
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
                seal(self._store, name, self.sealers[name], self._witnesses[name])
        except ExplainerError as fault:
            if isinstance(fault, LogForked | LogBehindWitness):
                self.broken = fault
            log.error("seal failed", code=fault.code, log=name.value)
