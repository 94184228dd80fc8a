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
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from offices import demo_settings, open_office

from explainer.ledger.entries import EntryKind
from service.actions import verify_files
from service.wiring import demo_token

PEOPLE = 6
FORM = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Service:
    """The service as a process of its own, on a data folder that outlives it."""

    data: Path
    models: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WARUM_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service.start", "serve"],
            env={
                **environment,
                "WARUM_DEMO": "1",
                "WARUM_DATA": str(self.data),
                "WARUM_MODELS": str(self.models),
                "WARUM_PORT": str(self.port),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, "the service ended by itself"
            try:
                if self.send("GET", "/readyz")[0] == 200:
                    return
            except (OSError, HTTPException):
                time.sleep(0.05)
        raise AssertionError("the service did not become ready")

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

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)


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


def kill_and_retry(folder: Path, models: Path, kills: int, seed: int) -> None:
    """Kill a service `kills` times while people decide; then look at all it left behind."""
    settings = demo_settings(folder / "data", models)
    office = open_office(settings, 49)
    waiting = [case.id for case in office.cases if case.unit == "demo_office"]
    office.tools.close()
    token = demo_token(settings.data, "caseworker")
    service = Service(settings.data, models)
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
        crowd, waiting = waiting[:PEOPLE], waiting[PEOPLE:] + waiting[:0]
        before = len(acknowledged)
        with ThreadPoolExecutor(PEOPLE) as people:
            sent = [people.submit(decide_one, case_id) for case_id in crowd]
            wanted = before + chance.randrange(PEOPLE)
            while len(acknowledged) < wanted and not all(one.done() for one in sent):
                time.sleep(0.001)
            time.sleep(chance.random() * 0.02)  # anywhere between two system calls
            service.kill()
        for one in sent:
            one.result()
    service.start()
    for case_id in list(unanswered):
        decide_one(case_id)
    # the same forms once more: the same answers, from before every kill
    for case_id, answer in acknowledged.items():
        assert attempt(service, case_id, token) == answer
    service.process.terminate()
    service.process.wait(timeout=20)
    _check_ledger(folder, models, acknowledged)


def _check_ledger(folder: Path, models: Path, acknowledged: dict[str, Any]) -> None:
    office = open_office(demo_settings(folder / "data", models), 0)
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
def demo_office_package(tmp_path: Path, small_model: Any) -> Path:
    """The small package, in the unit of the demonstration's caseworker: it starts faster."""
    from trained import write_package

    return write_package(
        tmp_path / "small_benefit",
        small_model,
        manifest=lambda text: text.replace('unit = "test_office"', 'unit = "demo_office"'),
    )


def test_ten_times_killed_between_click_and_answer(
    tmp_path: Path, demo_office_package: Path
) -> None:
    # two services side by side, each killed five times
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(kill_and_retry, tmp_path / str(seed), demo_office_package, 5, seed)
            for seed in (1, 2)
        ]
        for run in runs:
            run.result()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3, 8))
def test_often_killed_between_click_and_answer(
    tmp_path: Path, demo_office_package: Path, seed: int
) -> None:
    kill_and_retry(tmp_path, demo_office_package, 8, seed)
