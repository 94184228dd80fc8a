"""Witnesses outside this system: a second authority that cosigns heads, one that stamps their time.

They are asked in the background, newest head only, and nobody ever waits for them. Who does not
answer is asked again after growing pauses; since when nobody outside knows the newest entries is
shown to operators and supervisors.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from explainer.errors import (
    ExplainerError,
    LogBehindWitness,
    LogForked,
    ProofInvalid,
    WitnessFailed,
)
from explainer.families.endpoint import Address, Connection, NotThePinnedOne, Trust
from explainer.ledger import stamp, witness
from explainer.ledger.checkpoint import VerifierKey, WitnessDirectory, verify
from explainer.ledger.durable import write_new
from explainer.ledger.log import LogName
from explainer.ledger.witness import WitnessKey, cosigned_at, question, understand
from service.events import log
from service.store.database import Store
from service.store.seals import proof_since, written_at

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds before a witness that did not answer is asked again: doubled each time."""
SECONDS = 10.0
"""How long one question may take."""
MOST_STEPS = 3
"""Questions in a row to a witness that knows other sizes than it was told."""
LATE = timedelta(minutes=2)
"""After this it is said on pages: the promise is a minute, and times are kept to the minute."""


class Line(Protocol):
    """Whoever carries a question to a witness; raises WitnessFailed."""

    def __call__(self, path: str, body: bytes, kind: str, largest: int) -> tuple[int, bytes]:
        """Return status and body of the answer."""


class Witness(Protocol):
    """One witness of both logs."""

    name: str
    pause: float
    """Seconds between two heads that are handed to it."""

    def covered(self, folder: WitnessDirectory, key: VerifierKey) -> int:
        """Return the size it has vouched for, from what was kept."""

    def hand(self, head: Handed) -> int:
        """Have it vouch for this head and keep what it says; return the size it covers now."""


@dataclass(frozen=True, slots=True)
class Handed:
    """The newest head of a log, and what goes with it."""

    store: Store
    log: LogName
    note: bytes
    key: VerifierKey
    folder: WitnessDirectory
    covered: int
    now: datetime


@dataclass(slots=True)
class Cosigner:
    """A witness by C2SP tlog-witness."""

    ask: Line
    key: WitnessKey
    name: str = "cosigner"
    pause: float = 0.0

    def covered(self, folder: WitnessDirectory, key: VerifierKey) -> int:
        for size, note in folder.newest_first():
            try:
                if cosigned_at(note, self.key):
                    return size
            except ProofInvalid:
                continue  # damaged, or of another witness by that name: that one starts anew
        return 0

    def hand(self, head: Handed) -> int:
        size, old = verify(head.note, head.key).size, head.covered
        for _ in range(MOST_STEPS):
            body = question(old, proof_since(head.store, head.log, old, size), head.note)
            status, said = self.ask("/add-checkpoint", body, "text/plain", witness.LARGEST_ANSWER)
            answer = understand(status, said, old, head.note, self.key, head.now)
            if isinstance(answer, bytes):
                head.folder.keep(answer, head.key)
                return size
            old = answer.size
        raise WitnessFailed(
            "The witness names another size each time.", self.key.name, "Check that it is one."
        )


@dataclass(slots=True)
class Stamper:
    """An authority that stamps times by RFC 3161; the stamp lies beside the note it is of."""

    ask: Line
    authority: stamp.Authority
    pause: float
    name: str = "time stamp"

    def covered(self, folder: WitnessDirectory, key: VerifierKey) -> int:
        sizes = [path.name.partition("-")[0] for path in folder.path.glob("*.tsr")]
        return max((int(size) for size in sizes if size.isdigit()), default=0)

    def hand(self, head: Handed) -> int:
        asked = stamp.request(head.note)
        status, said = self.ask(
            "", asked.as_bytes(), "application/timestamp-query", stamp.LARGEST_ANSWER
        )
        if status != 200:
            raise WitnessFailed(
                f"The time-stamping authority answers with status {status}.",
                "WARUM_TSA_URL",
                "Check the address.",
            )
        stamp.check(said, head.note, asked, self.authority)
        beside = head.folder.keep(head.note, head.key).with_suffix(".tsr")
        write_new(beside, said)
        return verify(head.note, head.key).size


@dataclass(slots=True)
class Pace:
    """When a witness is asked next. Times are seconds of a clock that never steps back."""

    usual: float
    next: float = 0.0
    _pause: float = FIRST_PAUSE

    def went_well(self, now: float) -> None:
        """Go back to the usual pause."""
        self._pause, self.next = FIRST_PAUSE, now + self.usual

    def failed(self, now: float) -> None:
        """Wait longer each time."""
        self.next = now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one witness has vouched for one log.

    Attributes
    ----------
    unwitnessed_since : when the first entry it has not vouched for was written, to the minute
    fault : what went wrong when it was last asked
    asked_at : when it was last asked since the service started; the directory never is
    """

    log: LogName
    witness: str
    covered: int
    unwitnessed_since: datetime | None
    fault: ExplainerError | None
    asked_at: datetime | None = None

    @property
    def alarm(self) -> bool:
        """Return whether the witness knows another log than this one."""
        return isinstance(self.fault, LogForked | LogBehindWitness)

    def late(self, now: datetime) -> bool:
        """Return whether people should be told."""
        since = self.unwitnessed_since
        return self.alarm or (since is not None and now - since > LATE)


@dataclass(slots=True)
class _Asked:
    """One witness and one log."""

    witness: Witness
    log: LogName
    pace: Pace
    covered: int
    fault: ExplainerError | None = None
    asked_at: datetime | None = None


@dataclass(slots=True)
class Witnesses:
    """One thread that hands new heads to every witness outside, and knows how far they are."""

    store: Store
    keys: Mapping[LogName, VerifierKey]
    folders: Mapping[LogName, WitnessDirectory]
    outside: Sequence[Witness]
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    _notes: dict[LogName, tuple[int, bytes]] = field(default_factory=dict)
    _asked: list[_Asked] = field(default_factory=list)
    _kept: dict[LogName, int] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _closing: bool = False
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        for name in LogName:
            self._kept[name] = 0
            newest = self.folders[name].newest_note(self.keys[name])
            if newest is not None:
                self.sealed(name, newest)
            for one in self.outside:
                covered = one.covered(self.folders[name], self.keys[name])
                self._asked.append(_Asked(one, name, Pace(one.pause), covered))

    def start(self) -> None:
        """Begin to ask; without witnesses outside there is nothing to do."""
        if self.outside:
            self._thread = threading.Thread(target=self._run, name="witness", daemon=True)
            self._thread.start()

    def sealed(self, name: LogName, note: bytes) -> None:
        """Take up a new head, which the directory has already; returns at once."""
        size = verify(note, self.keys[name]).size
        with self._changed:
            self._kept[name] = size
            self._notes[name] = (size, note)
            self._changed.notify()

    def close(self) -> None:
        """Stop; a question that is under way ends by itself."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=2 * SECONDS)

    def as_kept(self) -> list[Standing]:
        """How far each witness is, the directory among them, as it is known here: the logs are not
        read, so since when something is open is not said."""
        return [
            *(Standing(name, "directory", size, None, None) for name, size in self._kept.items()),
            *(
                Standing(one.log, one.witness.name, one.covered, None, one.fault, one.asked_at)
                for one in self._asked
            ),
        ]

    def standing(self) -> list[Standing]:
        """How far each witness is, the directory among them. Raises where a log cannot be read."""
        return [
            replace(one, unwitnessed_since=written_at(self.store, one.log, one.covered))
            for one in self.as_kept()
        ]

    def ask_due(self) -> float:
        """Hand over what is due; return the seconds until something is due again."""
        wait = LONGEST_PAUSE
        for one in self._asked:
            size, note = self._notes.get(one.log, (0, b""))
            if size <= one.covered:
                continue
            if one.pace.next <= self.clock():
                self._hand(one, note)
            wait = min(wait, max(0.0, one.pace.next - self.clock()))
        return wait

    def _hand(self, one: _Asked, note: bytes) -> None:
        folder, key = self.folders[one.log], self.keys[one.log]
        one.asked_at = self.now()
        try:
            one.covered = one.witness.hand(
                Handed(self.store, one.log, note, key, folder, one.covered, self.now())
            )
        except (ExplainerError, OSError) as fault:
            one.fault = fault if isinstance(fault, ExplainerError) else _not_kept(fault)
            one.pace.failed(self.clock())
            log.error("witness failed", code=one.fault.code, log=one.log.value)
        else:
            one.fault = None
            one.pace.went_well(self.clock())

    def _run(self) -> None:
        while True:
            wait = self.ask_due()
            with self._changed:
                behind = any(
                    self._notes.get(one.log, (0, b""))[0] > one.covered
                    and one.pace.next <= self.clock()
                    for one in self._asked
                )
                if not self._closing and not behind:
                    self._changed.wait(wait)
                if self._closing:
                    return


def _not_kept(fault: OSError) -> WitnessFailed:
    return WitnessFailed(
        f"What the witness said cannot be kept ({fault.strerror}).",
        "the witness folder",
        "Check disk and rights.",
    )


@dataclass(frozen=True, slots=True)
class PinnedLine:
    """Questions to one server, each over a connection of its own. Redirects are not followed."""

    address: Address
    trust: Trust | None
    where: str

    def __call__(self, path: str, body: bytes, kind: str, largest: int) -> tuple[int, bytes]:
        connection = Connection(self.address, self.trust, SECONDS)
        try:
            connection.allow(time.monotonic() + SECONDS)
            headers = {"Content-Type": kind, "Accept-Encoding": "identity"}
            connection.request("POST", self.address.path + path or "/", body, headers)
            with connection.getresponse() as response:
                said = response.read(largest + 1)
                if len(said) > largest:
                    raise self._failed("answers with too much")
                if response.length:
                    raise self._failed("broke off its answer")
                return response.status, said
        except (NotThePinnedOne, ssl.SSLError):
            raise self._failed("does not show the certificate that is pinned") from None
        except (OSError, http.client.HTTPException, ValueError) as fault:
            raise self._failed(f"cannot be reached ({type(fault).__name__})") from None
        finally:
            connection.close()

    def _failed(self, what: str) -> WitnessFailed:
        return WitnessFailed(
            f"The witness {what}.",
            f"{self.where}, {self.address}",
            "Check that it runs, and that this machine may reach it.",
        )
