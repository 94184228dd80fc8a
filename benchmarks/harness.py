"""What the benchmarks share: medians, a service to ask, rows of a table."""

from __future__ import annotations

import http.client
import os
import platform
import re
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


def computing(pid: int) -> float:
    """Seconds of computing of a running process on Linux so far, all threads it has now."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory(pid: int) -> tuple[int, int]:
    """Resident bytes of a running process on Linux, and those bytes where what several processes
    share is divided among them (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
    return int(sizes["Rss"]) * 1024, int(sizes["Pss"]) * 1024


def below(pid: int) -> list[int]:
    """The processes a process started, and those they did."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *below(child)]
    return found


def load() -> str:
    """How busy the machine is with everything on it, by its own count of the last minute."""
    return f"load {os.getloadavg()[0]:.1f}"


class Line:
    """One connection that is kept, without what a comfortable client takes itself: of the time an
    answer takes, `http.client` would be a tenth."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method: str, path: str, body: bytes = b"", cookie: str = "") -> tuple[int, bytes]:
        """Status and body; of HTTP/1.1 just what our own service answers with."""
        fields = f"Host: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        if cookie:
            fields += f"Cookie: {cookie}\r\n"
        self._socket.sendall(f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode() + body)
        head, found, rest = self._more().partition(b"\r\n\r\n")
        while not found:
            head, found, rest = (head + rest + self._more()).partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if length is None:
            raise SystemExit(f"{path} answered without a length")
        parts, missing = [rest], int(length[1]) - len(rest)
        while missing > 0:
            parts.append(self._more())
            missing -= len(parts[-1])
        return int(head.split(b" ", 2)[1]), b"".join(parts)

    def _more(self) -> bytes:
        part = self._socket.recv(1 << 18)
        if not part:
            raise SystemExit("the service hung up")
        return part

    def close(self) -> None:
        self._socket.close()


@contextmanager
def service(data: Path, **settings: str) -> Iterator[tuple[http.client.HTTPConnection, float]]:
    """A running service on `data`: a connection to it, and the seconds until it was ready."""
    port = free_port()
    settings |= {"WARUM_DEMO": "1", "WARUM_DATA": str(data), "WARUM_PORT": str(port)}
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
