"""Killed between click and answer: what was acknowledged is there, and nothing is there twice.

A real process on a real port, ended with SIGKILL while several people decide at once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from offices import demo_settings, open_office

from explainer.ledger.entries import EntryKind
from service.verification import verify_files
from service.wiring import demo_token

INCUBATOR = Path(__file__).with_name("incubator.py")
PEOPLE = 6
FORM = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Service:
    """The service as a process of its own, on a data folder that outlives it.

    `whole` starts it as a person does; without, everything is imported already (`incubator.py`).
    """

    data: Path
    models: Path
    whole: bool = False
    port: int = field(default_factory=free_port)
    pid: int = 0
    _process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        if self.whole or self._process is None:
            self._process = self._open()
        if self.whole:
            self.pid = self._process.pid
        else:
            self._process.stdin.write("start\n")
            self._process.stdin.flush()
            self.pid = int(self._process.stdout.readline())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.send("GET", "/readyz")[0] == 200:
                    return
            except (OSError, HTTPException):
                pass
            time.sleep(0.02)
        raise AssertionError("the service did not become ready")

    def _open(self) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WARUM_")}
        whole = ["-m", "service.start", "serve"]
        return subprocess.Popen(
            [sys.executable, *(whole if self.whole else [str(INCUBATOR)])],
            cwd=self.data.parent,
            env={
                **environment,
                "WARUM_DEMO": "1",
                "WARUM_DATA": str(self.data),
                "WARUM_MODELS": str(self.models),
                "WARUM_PORT": str(self.port),
            },
            stdin=subprocess.DEVNULL if self.whole else subprocess.PIPE,
            stdout=subprocess.DEVNULL if self.whole else subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def end(self, how: signal.Signals) -> int:
        """End the service by a signal; returns its exit code."""
        os.kill(self.pid, how)
        if self.whole:
            return self._process.wait(timeout=20)
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Leave no process behind, however the test went."""
        if self._process is None:
            return
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid or self._process.pid, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.wait(timeout=20)

    def send(
        self, method: str, path: str, form: Any = None, token: str = "", key: str = ""
    ) -> tuple[int, Any]:
        """One request on a connection of its own; raises where no whole answer comes back."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            headers = {"content-type": "application/json", "sec-fetch-site": "none"}
            if token:
                headers["authorization"] = f"Bearer {token}"
            if key:
                headers["idempotency-key"] = key
            connection.request(method, path, None if form is None else json.dumps(form), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


def attempt(service: Service, case_id: str, token: str) -> Any | None:
    """Decide once. The answer if it came, None if nobody can know."""
    key = f"the key of the case {case_id}"
    try:
        status, answer = service.send(
            "POST", f"/api/v1/cases/{case_id}/decisions", FORM, token, key
        )
    except (OSError, HTTPException, ValueError):
        return None
    assert status == 201, answer
    return answer


def waiting_cases(data: Path, models: Path) -> list[str]:
    """Set up an office with cases to decide; nothing runs yet."""
    office = open_office(demo_settings(data, models), 49)
    office.tools.close()
    return [case.id for case in office.cases]


def kill_and_retry(
    service: Service, waiting: list[str], kills: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Kill a service `kills` times while people decide; returns what was acknowledged."""
    token = demo_token(service.data, "caseworker")
    chance = random.Random(seed)
    acknowledged: dict[str, Any] = {}
    unanswered: list[str] = []
    lock = threading.Lock()

    def decide_one(case_id: str) -> None:
        answer = attempt(service, case_id, token)
        with lock:
            if answer is None:
                unanswered.append(case_id)
            else:
                assert acknowledged.setdefault(case_id, answer) == answer

    for _ in range(kills):
        service.start()
        # those who got no answer send the same form again, as a browser would
        again, unanswered[:] = list(unanswered), []
        for case_id in again:
            decide_one(case_id)
        assert not unanswered, "nobody was killed yet"
        crowd, waiting = waiting[:PEOPLE], waiting[PEOPLE:]
        before = len(acknowledged)
        with ThreadPoolExecutor(PEOPLE) as people:
            sent = [people.submit(decide_one, case_id) for case_id in crowd]
            wanted = before + chance.randrange(PEOPLE)
            while len(acknowledged) < wanted and not all(one.done() for one in sent):
                time.sleep(0.001)
            time.sleep(chance.random() * 0.02)  # anywhere between two system calls
            assert service.end(signal.SIGKILL) == -signal.SIGKILL
        for one in sent:
            one.result()
    service.start()
    for case_id in unanswered:
        decide_one(case_id)
    # the same forms once more: the same answers, from before every kill
    for case_id, answer in acknowledged.items():
        assert attempt(service, case_id, token) == answer
    assert service.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    return acknowledged


def check_ledger(service: Service, acknowledged: dict[str, dict[str, Any]]) -> None:
    """Everything that was acknowledged is there, once, and the ledger holds."""
    office = open_office(demo_settings(service.data, service.models), 0)
    try:
        assert all(result.clean for result in verify_files(office.tools))
        decided = {e.leaf.seq: e for e in office.entries(EntryKind.DECISION)}
        assert len(decided) == len(acknowledged)
        for answer in acknowledged.values():
            entry = decided[answer["entry"]]
            assert entry.payload["record_id"] == answer["record"]
            assert entry.receipt.leaf_hash.hex() == answer["leaf_hash"]
        numbers = [e.payload["case_ref"] for e in decided.values()]
        assert len(numbers) == len(set(numbers)), "a case was decided twice"
        rows = office.sql("SELECT seq FROM decision_record")
        assert {seq for (seq,) in rows} == set(decided)
        states = office.sql("SELECT count(*) FROM case_file WHERE state = 'decided'")
        assert states == [(len(decided),)]
    finally:
        office.tools.close()


@pytest.fixture
def package(make_package: Callable[[], Path]) -> Path:
    """The small package: it is admitted faster than that of the demonstration."""
    return make_package()


def kill_side_by_side(services: list[Service], kills: int, seed: int) -> None:
    """Kill several services, each on its own data, and look at what each left behind."""
    waiting = [waiting_cases(service.data, service.models) for service in services]
    count = len(services)
    with ExitStack() as stack:
        for service in services:
            stack.callback(service.close)
        with ThreadPoolExecutor(count) as pool:
            seeds = range(seed, seed + count)
            runs = list(pool.map(kill_and_retry, services, waiting, [kills] * count, seeds))
    for service, acknowledged in zip(services, runs, strict=True):
        check_ledger(service, acknowledged)


def test_ten_times_killed_between_click_and_answer(tmp_path: Path, package: Path) -> None:
    services = [Service(tmp_path / f"data-{at}", package) for at in range(2)]
    kill_side_by_side(services, kills=5, seed=1)


@pytest.mark.long
def test_killed_as_a_person_starts_it(tmp_path: Path, package: Path) -> None:
    service = Service(tmp_path / "data", package, whole=True)
    kill_side_by_side([service], kills=1, seed=3)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 20, 2))
def test_often_killed_between_click_and_answer(tmp_path: Path, package: Path, seed: int) -> None:
    services = [Service(tmp_path / f"data-{at}", package, whole=True) for at in range(2)]
    kill_side_by_side(services, kills=8, seed=seed)
