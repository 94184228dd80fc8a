"""The service as a person starts it: pages first, then the packages, one after the other.

A program that loads a library of models is stopped by a signal, so that the moment in which its
packages are admitted lasts as long as a test needs.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from offices import Office, demo_settings, open_office
from test_kill import free_port
from trained import SmallModel, write_package
from visiting import Machine, Visitor

from explainer.families.nursery import prepare
from explainer.ledger.entries import EntryKind
from explainer.packages.bundled import find_package
from service.admission import Admission
from service.shelf import Shelf
from service.wiring import demo_token

PATIENCE = 90
LIGHTGBM, SKOPS = "lightgbm-txt", "skops"


class Process:
    """`warum serve` on a data folder, in a process of its own."""

    def __init__(self, data: Path, *models: Path) -> None:
        self.data, self.port = data, free_port()
        self.log = data.parent / f"log-{self.port}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WARUM_")}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "service.start", "serve"],
                env={
                    **environment,
                    "WARUM_DEMO": "1",
                    "WARUM_DATA": str(data),
                    "WARUM_MODELS": ":".join(map(str, models)),
                    "WARUM_PORT": str(self.port),
                    "WARUM_DEADLINE": "30",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl+C does what it does in a terminal, wherever these tests were started
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )
        self.pid = self._process.pid
        self.stopped: set[int] = set()
        self._clients: list[httpx.Client] = []

    @property
    def said(self) -> str:
        return self.log.read_text("utf-8")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE)

    def client(self, **headers: str) -> httpx.Client:
        address = f"http://127.0.0.1:{self.port}"
        self._clients.append(httpx.Client(base_url=address, timeout=PATIENCE, headers=headers))
        return self._clients[-1]

    def ready(self) -> dict[str, Any]:
        return self.get("/readyz").json()

    def wait_for(self, what: Callable[[], Any]) -> Any:
        """What the function gives once it is something; the service must not end meanwhile."""
        return until(what, lambda: self._process.poll() is None)

    def answers(self) -> bool:
        try:
            return self.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, process: int) -> None:
        os.kill(process, signal.SIGSTOP)
        self.stopped.add(process)

    def go_on(self, process: int) -> None:
        self.stopped.discard(process)
        os.kill(process, signal.SIGCONT)

    def library(self, declared: str) -> int:
        """The program that loads the library of this format, as soon as it is there."""
        return self.wait_for(lambda: next(iter(children(self.pid, declared)), None))

    def ends(self) -> int:
        return self._process.wait(timeout=PATIENCE)

    def ended(self) -> bool:
        return self._process.poll() is not None

    def send(self, how: signal.Signals) -> int:
        self._process.send_signal(how)
        return self.ends()

    def close(self) -> None:
        """Leave nothing behind, however the test went."""
        for client in self._clients:
            client.close()
        for process in self.stopped:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=PATIENCE)


def until(what: Callable[[], Any], while_true: Callable[[], bool] = lambda: True) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        assert while_true(), "the service ended"
        time.sleep(0.005)
    raise AssertionError("it did not happen")


def children(pid: int, last_word: str) -> list[int]:
    """Processes this one started whose command line ends so."""
    found = []
    with suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return [one for one in found if _words(one)[-1:] == [last_word]]


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except OSError:
        return []


def gone(pid: int) -> bool:
    """Whether it runs no more; one that ended and was not asked how is gone as well."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    running: list[Process] = []

    def started(data: Path, *models: Path) -> Process:
        running.append(Process(data, *models))
        return running[-1]

    yield started
    for process in running:
        process.close()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """An office with both packages of the demonstration, closed; a case of each is decided."""
    models = [find_package(name) for name in ("mortgage_guarantee", "unemployment_benefit")]
    office = open_office(demo_settings(tmp_path_factory.mktemp("before") / "data", *models), 3)
    office.decided(0)
    office.decided(3)
    office.tools.close()
    return office


@pytest.fixture
def data(before: Office, tmp_path: Path) -> Path:
    shutil.copytree(before.tools.settings.data, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, small_model: SmallModel) -> Path:
    return write_package(tmp_path_factory.mktemp("small") / "small_benefit", small_model)


def visit(process: Process, office: Office, person: str, case: str = "") -> Visitor:
    visitor = Visitor(office.app, office.tools)
    visitor.http = process.client()
    return visitor.be(person, case)


def ask(process: Process, office: Office, role: str) -> Machine:
    machine = Machine(office.app, office.tools, None)
    machine.http = process.client(authorization=f"Bearer {demo_token(process.data, role)}")
    return machine


def entries(data: Path, office: Office, kind: EntryKind) -> list[Any]:
    """What a service that ended left in the ledger."""
    again = open_office(demo_settings(data, *office.tools.settings.models), 0)
    try:
        return again.entries(kind)
    finally:
        again.tools.close()


def test_pages_answer_while_a_package_is_admitted_and_then_it_speaks(
    before: Office, data: Path, start: Callable[..., Process]
) -> None:
    granted, waits = before.cases[1], before.cases[4]
    assert (granted.package_id, waits.package_id) == ("mortgage_guarantee", "unemployment_benefit")
    process = start(data, *before.tools.settings.models)
    process.stop(library := process.library(SKOPS))

    process.wait_for(process.answers)
    assert process.ready()["status"] == "starting"
    assert process.get("/static/warum.css").status_code == 200
    caseworker = visit(process, before, "caseworker")
    assert granted.case_ref in caseworker.get("/cases").text
    assert before.cases[3].case_ref in visit(process, before, "supervisor").get("/records").text

    # a package whose model is there speaks, whatever keeps the other
    process.wait_for(lambda: process.ready()["packages"] == ["mortgage_guarantee"])
    assert caseworker.get(f"/cases/{granted.id}").all("p", class_="w-suggestion")
    page = caseworker.get(f"/cases/{waits.id}")
    assert (page.status, page.headers["retry-after"]) == (503, "2")
    assert "Das Programm startet noch" in page.text
    applicant = visit(process, before, "applicant", before.cases[3].id)
    assert "Das Programm startet noch" in applicant.get("/application").text
    form = {"outcome": "can_be_granted", "relation": "not_used", "codes": ["E6"]}
    assert caseworker.post(f"/cases/{waits.id}/decision", form).status == 503
    key = "a key of this very test"
    machine = ask(process, before, "caseworker")
    refused = machine.post(f"/cases/{waits.id}/decisions", form, key=key)
    assert (refused.status, refused.json()["code"]) == (503, "service.starting")
    assert process.ready()["status"] == "starting"
    assert "Ready." not in process.said

    process.go_on(library)
    process.wait_for(lambda: process.ready()["status"] == "ready")
    process.wait_for(lambda: "Ready." in process.said)
    assert caseworker.get(f"/cases/{waits.id}").all("p", class_="w-suggestion")
    assert "Das Programm startet noch" not in applicant.get("/application").text
    assert machine.post(f"/cases/{waits.id}/decisions", form, key=key).status == 201
    assert process.send(signal.SIGTERM) in (0, -signal.SIGTERM)
    decided = [one.payload["case_ref"] for one in entries(data, before, EntryKind.DECISION)]
    assert sorted(decided) == sorted(before.cases[at].case_ref for at in (0, 3, 4))
    assert "Traceback" not in process.said


def test_a_broken_package_is_named_and_the_other_speaks(
    small: Path, tmp_path: Path, start: Callable[..., Process]
) -> None:
    broken = tmp_path / "broken_benefit"
    shutil.copytree(small, broken)
    (broken / "features.toml").write_text("changed")
    process = start(tmp_path / "data", broken, small)
    process.wait_for(process.answers)
    process.wait_for(lambda: process.ready()["status"] == "ready")
    ready = process.ready()
    assert (ready["packages"], ready["refused"]) == (["small_benefit"], ["broken_benefit"])
    process.wait_for(lambda: "Packages in force: small_benefit" in process.said)
    assert "The package broken_benefit was not admitted:" in process.said
    assert "[package.artefact_changed] features.toml" in process.said


def test_only_broken_packages_end_the_service_with_their_faults(
    small: Path, tmp_path: Path, start: Callable[..., Process]
) -> None:
    broken = tmp_path / "broken_benefit"
    shutil.copytree(small, broken)
    (broken / "features.toml").write_text("changed")
    process = start(tmp_path / "data", broken)
    assert process.ends() == 1
    assert "error [package.faulty] broken_benefit: The package has 1 fault." in process.said
    assert "[package.artefact_changed] features.toml" in process.said
    assert "Ready." not in process.said
    assert "Traceback" not in process.said


def test_a_model_that_breaks_its_process_ends_it_too_where_nothing_else_is_left(
    small: Path, tmp_path: Path, start: Callable[..., Process]
) -> None:
    process = start(tmp_path / "data", small)
    process.stop(process.library(SKOPS))
    process.wait_for(process.answers)

    def all_killed() -> bool:
        # one that is gone before it was asked for anything has another take its place
        for library in children(process.pid, SKOPS):
            with suppress(ProcessLookupError):
                os.kill(library, signal.SIGKILL)
        return process.ended()

    until(all_killed)
    assert process.ends() == 1
    assert "error [package.faulty] small_benefit" in process.said
    assert "Opening the model broke its process." in process.said


def test_a_changed_log_stops_the_start_before_anything_is_answered(
    before: Office, data: Path, start: Callable[..., Process]
) -> None:
    log = shutil.copyfile(data / "warum.sqlite", data.parent / "today")
    changed = Office(
        open_office(demo_settings(data, *before.tools.settings.models), 0).tools, before.cases
    )
    changed.decided(1)
    changed.tools.seals.now()
    changed.tools.close()
    shutil.copyfile(log, data / "warum.sqlite")  # yesterday's database under today's witness
    for left in ("warum.sqlite-wal", "warum.sqlite-shm"):
        (data / left).unlink(missing_ok=True)
    process = start(data, *before.tools.settings.models)
    answered = False
    while process._process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", process.port), 1)):
            answered = True
        time.sleep(0.005)
    assert not answered
    assert process.ends() == 1
    assert "its tail was cut" in process.said
    assert "listens" not in process.said


def test_nothing_is_written_after_closing_whatever_was_waited_for(
    small: Path, tmp_path: Path
) -> None:
    recorded: list[str] = []
    shelf = Shelf(tmp_path / "shelf", ())
    admission = Admission([small], shelf, lambda package: recorded.append(package.manifest.id))
    prepare(SKOPS)
    libraries = until(lambda: children(os.getpid(), SKOPS))
    for library in libraries:
        os.kill(library, signal.SIGSTOP)
    try:
        admission.begin(lambda fault: recorded.append(repr(fault)))
        until(lambda: any("begin" in names and "_try" in names for names in stacks()))
        admission.close()
    finally:
        for library in libraries:
            os.kill(library, signal.SIGCONT)
    until(lambda: not any(one.name in ("admit", "admission") for one in threading.enumerate()))
    assert recorded == []
    assert not (tmp_path / "shelf").exists()
    assert not admission.state.done


def stacks() -> Iterator[list[str]]:
    """The names of the functions each thread is in."""
    for frame in sys._current_frames().values():
        yield [each.f_code.co_name for each, _ in traceback.walk_stack(frame)]


def held_model(process: Process, library: int) -> int | None:
    """The process of a model, stopped before it was asked anything: while it comes to be the
    service is held. None where the service had not asked for one yet."""
    process.stop(process.pid)
    process.go_on(library)
    found, deadline = None, time.monotonic() + 2
    while found is None and time.monotonic() < deadline:
        found = next(iter(children(library, SKOPS)), None)
        time.sleep(0.005)
    process.stop(library if found is None else found)
    process.go_on(process.pid)
    time.sleep(0.1)
    return found


def test_stopping_while_a_model_hangs_leaves_no_process(
    small: Path, tmp_path: Path, start: Callable[..., Process]
) -> None:
    process = start(tmp_path / "data", small)
    process.stop(library := process.library(SKOPS))
    process.wait_for(process.answers)
    model = until(lambda: held_model(process, library))
    assert process.ready()["status"] == "starting"
    assert process.send(signal.SIGINT) == 130
    assert process.said.rstrip().endswith("stopped.")
    until(lambda: gone(library) and gone(model))
    assert "Traceback" not in process.said
    # and nothing of it is half there: the next start is as any
    again = start(tmp_path / "data", small)
    again.wait_for(again.answers)
    again.wait_for(lambda: again.ready()["status"] == "ready")
