"""What the benchmarks share: medians, a service to ask, rows of a table."""

from __future__ import annotations

import http.client
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WARUM = Path(sys.executable).parent / "warum"
PACKAGE = ROOT / "models" / "unemployment_benefit"
GIVE_UP = 60.0
"""Seconds after which a service that is not ready counts as broken."""


def machine() -> str:
    """The machine in general words."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"


def heading(title: str) -> None:
    print(f"\n## {title}\n\n{machine()}\n\n| | median | fastest | slowest | runs |")
    print("|---|---|---|---|---|")


def row(what: str, seconds: Sequence[float]) -> float:
    """Print one line of the table and return its median."""
    middle = statistics.median(seconds)
    cells = (shown(middle), shown(min(seconds)), shown(max(seconds)), str(len(seconds)))
    print(f"| {what} | {' | '.join(cells)} |", flush=True)
    return middle


def shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.2f} ms"


def timed(command: list[str], **environment: str) -> float:
    """Seconds a command takes as a whole process. Raises CalledProcessError where it fails."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
    return time.perf_counter() - started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def service(data: Path) -> Iterator[tuple[http.client.HTTPConnection, float]]:
    """A running service on `data`: a connection to it, and the seconds until it was ready."""
    port = free_port()
    settings = {"WARUM_DEMO": "1", "WARUM_DATA": str(data), "WARUM_PORT": str(port)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(WARUM), "serve"],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        while not _ready(connection):
            if process.poll() is not None or time.perf_counter() - started > GIVE_UP:
                raise SystemExit("the service did not become ready; try `warum doctor`")
            time.sleep(0.01)
        yield connection, time.perf_counter() - started
    finally:
        connection.close()
        process.terminate()
        process.wait(timeout=30)


def _ready(connection: http.client.HTTPConnection) -> bool:
    try:
        status, _ = ask(connection, "/readyz")
    except OSError:
        connection.close()
        return False
    return status == 200


def ask(
    connection: http.client.HTTPConnection, path: str, cookie: str | None = None
) -> tuple[int, bytes]:
    """Status and body of one GET."""
    connection.request("GET", path, headers={"cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    return answer.status, answer.read()
