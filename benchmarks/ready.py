"""A process with an XGBoost package: until it can explain, until its pages answer, and its memory.

Beside it, in turn, what only importing XGBoost takes: that is the floor. Everything is timed from
the start of the process. Seconds of computing stand beside those by the wall, for a busy machine
stretches only the latter.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from booster_packages import credit, large
from harness import GIVE_UP, WARUM, ask, below, computing, free_port, load, machine, memory

RUNS = 5
PLUS, MEGABYTES = 0.7, 300
STATIC, START = "/static/warum.css", "/"

FIRST = """
import json, sys, time
started, folder = float(sys.argv[1]), sys.argv[2]
from explainer.families.nursery import prepare
prepare("xgboost-ubj")
from datetime import date
from pathlib import Path
from explainer.core.case import read_case
from explainer.core.disclosure import Audience
from explainer.packages.package import open_package
from explainer.pipeline import explain, tell
from explainer.text.languages import language
package = open_package(Path(folder))
opened = time.perf_counter() - started
case = read_case(package.golden[0].case, package.catalogue)
explanation = explain(case, package, date(2026, 1, 1))
told = tell(explanation, Audience.APPLICANT, language("de"), package)
assert told.body
print(json.dumps([opened, time.perf_counter() - started]), flush=True)
sys.stdin.read()
"""
"""As `warum serve` begins: the library loads in its own process while ours imports."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for package in (credit(Path(folder)), large(Path(folder))):
            _measure(package)


def _measure(package: Path) -> None:
    rounds: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as kept:
        data = Path(kept) / "data"
        rounds += [
            _imported() | _explained(package) | _served(package, data) for _ in range(RUNS + 1)
        ]
    rounds.pop(0)  # files come into memory, the ledger is made
    middle = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    floor = middle["import"]
    print(f"\n## Ready to explain: {package.name} ({machine()}, {load()}, {RUNS} runs each)\n")
    print("| | by the wall, s | computing, s | beyond the import, s | times the import |")
    print("|---|---|---|---|---|")
    for name, said in (
        ("import", "`python -c 'import xgboost'`, whole process"),
        ("opened", "our process, package open"),
        ("first", "our process, first explanation worded and read back"),
        ("static", f"the service, first file (`{STATIC}`)"),
        ("page", f"the service, first page answered (`{START}`)"),
        ("ready", "the service, `/readyz` (package admitted: recorded cases explained too)"),
    ):
        took, computed = middle[name], middle.get(f"{name} computing")
        computing = "–" if computed is None else f"{computed:.2f}"
        print(f"| {said} | {took:.2f} | {computing} | {took - floor:+.2f} | {took / floor:.2f} |")
    print("\n| | resident, MB | shared memory divided, MB |\n|---|---|---|")
    for name in ("process", "its models' processes", "service", "service's models' processes"):
        print(f"| {name} | {middle[f'{name} rss']:.0f} | {middle[f'{name} pss']:.0f} |")
    whole = middle["process pss"] + middle["its models' processes pss"]
    beyond = middle["first"] - floor, middle["first computing"] - middle["import computing"]
    print(f"\nfirst explanation beyond the import, {PLUS} s are wanted: {beyond[0]:+.2f} s,")
    print(f"by computing {beyond[1]:+.2f} s")
    print(f"all its processes under {MEGABYTES} MB: {whole < MEGABYTES} ({whole:.0f} MB)")
    ahead = statistics.median(each["ready"] - each["page"] for each in rounds)
    print(f"the first page comes {ahead * 1e3:.0f} ms before /readyz; pages are wanted before")
    print(f"the import and {PLUS} s are over: {middle['page'] - floor - PLUS:+.2f} s from there")


def _imported() -> dict[str, float]:
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", "import xgboost"], check=True)
    took, after = time.perf_counter() - started, os.times()
    computed = after.children_user + after.children_system
    computed -= before.children_user + before.children_system
    return {"import": took, "import computing": computed}


def _explained(package: Path) -> dict[str, float]:
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", FIRST, repr(started), str(package)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        opened, first = json.loads(process.stdout.readline())
        found = {"opened": opened, "first": first}
        found |= _sizes(process.pid, ("process", "its models' processes"), "first")
    finally:
        process.stdin.close()
        process.wait(timeout=GIVE_UP)
    return found


def _served(package: Path, data: Path) -> dict[str, float]:
    port = free_port()
    settings = {"WARUM_DEMO": "1", "WARUM_DATA": str(data), "WARUM_PORT": str(port)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(WARUM), "serve"],
        env=os.environ | settings | {"WARUM_MODELS": str(package)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        found = {
            "static": _answers(port, STATIC, started),
            "page": _answers(port, START, started),
            "ready": _answers(port, "/readyz", started),
        }
        sizes = _sizes(process.pid, ("service", "service's models' processes"), "ready")
    finally:
        process.terminate()
        process.wait(timeout=GIVE_UP)
    return found | sizes


def _answers(port: int, path: str, started: float) -> float:
    for _ in _until(started + GIVE_UP):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            if ask(connection, path)[0] == 200:
                return time.perf_counter() - started
        except OSError:
            pass
        finally:
            connection.close()
    raise SystemExit(f"{path} was not answered; try `warum doctor`")


def _until(end: float) -> Iterator[None]:
    while time.perf_counter() < end:
        yield
        time.sleep(0.005)


def _sizes(pid: int, names: tuple[str, str], moment: str) -> dict[str, float]:
    """Memory of a process and of the processes of its models, in MB; what all computed so far."""
    models = below(pid)
    ours, theirs = names
    found = {f"{moment} computing": sum(computing(one) for one in (pid, *models))}
    for name, some in ((ours, [pid]), (theirs, models)):
        sizes = [memory(one) for one in some]
        found[f"{name} rss"] = sum(resident for resident, _ in sizes) / 1e6
        found[f"{name} pss"] = sum(divided for _, divided in sizes) / 1e6
    return found


if __name__ == "__main__":
    main()
