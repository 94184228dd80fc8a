"""One case from its values to the finished page: explained, worded in HTML and read back.

With an XGBoost package, its booster in a process of its own as always, every case another one:

* in one process, without the record of what was shown;
* the same as a small program under uvicorn, over HTTP on the loopback, one connection: answered
  where the request is read, and by a thread beside it, as the service has to for many people;
* the service itself: the case page of a caseworker at the first look, with its layout, the entry of
  the exact bytes, and the commit.

Then attribution and verification of one raw case, in turn with the model's own answer about it. The
look at whether signs are stable, against single rows of a sample, is stated apart.
"""

from __future__ import annotations

import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from booster_packages import credit, large
from harness import ROOT, Line, below, computing, free_port, load, machine, service

from explainer.core.case import Kind, read_case
from explainer.core.disclosure import Audience
from explainer.families import attribute
from explainer.families.artefacts import parse
from explainer.families.attribute import raw_row
from explainer.families.engine.exact import Exact
from explainer.families.engine.linear import LinearAgainst
from explainer.families.from_skops import load_pipeline
from explainer.families.model import RawRow, inputs_of
from explainer.packages.package import ModelPackage, open_package
from explainer.pipeline import explain, tell
from explainer.text.languages import language

WARM, CASES, LOOKS = 200, 2_000, 400
ASKED, BLOCK = 500, 50
TODAY = date(2026, 1, 1)
SERVED = {"answered in place": "/", "by a thread beside": "/beside"}
P50, P99 = 2.0, 6.0
"""Milliseconds that are wanted of one case, without the ledger."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for made in (credit(Path(folder)), large(Path(folder))):
            _pages(made, Path(folder) / f"data of {made.name}")
            _attribution(made)
        _attribution(ROOT / "models" / "unemployment_benefit")


def finished(raw: Any, package: ModelPackage) -> bytes:
    """From values to the page."""
    explanation = explain(read_case(raw, package.catalogue), package, TODAY)
    return tell(explanation, Audience.APPLICANT, language("de"), package).body


def _varied(package: ModelPackage, n: int) -> list[Any]:
    """Cases with the values of recorded ones, numbers moved a little: no two are the same."""
    generator = random.Random(5)
    found = []
    for at in range(n):
        raw = deepcopy(package.golden[at % len(package.golden)].case)
        raw["ref"] = f"B-{at}"
        for feature in package.catalogue:
            given = raw["values"][feature.name]
            value = given.get("value") if isinstance(given, dict) else given
            if feature.kind is Kind.CHOICE or value is None:
                continue
            low, high = feature.hard
            moved = min(max(value * generator.uniform(0.97, 1.03), low), high)
            moved = round(moved) if feature.kind is Kind.INTEGER else round(moved, 2)
            if isinstance(given, dict):
                given["value"] = moved
            else:
                raw["values"][feature.name] = moved
        found.append(raw)
    return found


def _pages(folder: Path, data: Path) -> None:
    package = open_package(folder)
    gc.freeze()  # as the service does once everything is loaded
    cases = _varied(package, WARM + CASES)
    spent: list[float] = []
    for at, raw in enumerate(cases):
        if at == WARM:
            spent.clear()
            before = _computed()
        started = time.perf_counter()
        body = finished(raw, package)
        spent.append(time.perf_counter() - started)
        assert body.startswith(b"<")
    computed = (_computed() - before) / CASES
    print(f"\n## One case to its finished page: {folder.name} ({machine()}, {load()})\n")
    print("| | p50, ms | p99, ms | fastest, ms | computing a case, ms | cases |")
    print("|---|---|---|---|---|---|")
    middle, late = _row("in one process, no ledger", spent, computed)
    for how, path in SERVED.items():
        _row(f"the same over HTTP, {how}, no ledger", *_over_http(folder, cases, path))
    _row("the service, first look with layout, entry and commit", *_in_service(folder, data, cases))
    reached = "reached" if middle <= P50 and late <= P99 else "not reached here"
    print(f"\nwithout the ledger, p50 {P50} ms and p99 {P99} ms are wanted: {reached}", flush=True)


def _row(said: str, spent: Sequence[float], computed: float) -> tuple[float, float]:
    middle, late = np.quantile(np.array(spent) * 1e3, [0.5, 0.99])
    cells = (middle, late, min(spent) * 1e3, computed * 1e3)
    print(
        f"| {said} | {' | '.join(f'{cell:.2f}' for cell in cells)} | {len(spent):,} |", flush=True
    )
    return float(middle), float(late)


def _computed() -> float:
    """Seconds of computing of this process and of its models so far."""
    return time.process_time() + sum(computing(one) for one in below(os.getpid()))


def _computed_of(pid: int) -> float:
    return sum(computing(one) for one in (pid, *below(pid)))


def _over_http(folder: Path, cases: Sequence[Any], path: str) -> tuple[list[float], float]:
    port = free_port()
    program = [sys.executable, __file__, "--serve", str(folder), str(port)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit("the small program did not begin")
        while (line := _line(port)) is None:
            time.sleep(0.01)
        with closing(line):
            questions = [("POST", path, json.dumps(raw).encode()) for raw in cases]
            return _asked(questions, line, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _line(port: int) -> Line | None:
    try:
        return Line(port)
    except OSError:
        return None


def _asked(
    questions: Sequence[tuple[str, str, bytes]], line: Line, pid: int, cookie: str = ""
) -> tuple[list[float], float]:
    """Seconds of each answer, and those of computing in the other process for one."""
    spent: list[float] = []
    before = 0.0
    for at, (method, path, sent) in enumerate(questions):
        if at == WARM:
            spent.clear()
            before = _computed_of(pid)
        started = time.perf_counter()
        status, body = line.ask(method, path, sent, cookie)
        spent.append(time.perf_counter() - started)
        if status != 200 or not body:
            raise SystemExit(f"{path} answered {status}")
    return spent, (_computed_of(pid) - before) / len(spent)


def _serve(folder: Path, port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    package = open_package(folder)

    async def page(request: Request) -> HTMLResponse:
        return HTMLResponse(finished(await request.json(), package))

    async def beside(request: Request) -> HTMLResponse:
        return HTMLResponse(await run_in_threadpool(finished, await request.json(), package))

    gc.freeze()  # as the service does once everything is loaded
    routes = zip(SERVED.values(), (page, beside), strict=True)
    app = Starlette(routes=[Route(path, answer, methods=["POST"]) for path, answer in routes])
    print("ready", flush=True)
    uvicorn.run(app, port=port, log_level="error", access_log=False)


def _in_service(folder: Path, data: Path, cases: Sequence[Any]) -> tuple[list[float], float]:
    from service.actions import submit
    from service.demo import SYSTEM
    from service.settings import read_settings
    from service.web.people import COOKIE, Session
    from service.wiring import open_tools

    settings = {"WARUM_DEMO": "1", "WARUM_DATA": str(data), "WARUM_MODELS": str(folder)}
    tools = open_tools(read_settings(settings, folder))
    try:
        ids = [submit(raw, SYSTEM, tools).id for raw in cases[: WARM + LOOKS]]
        signed = Session("benchmark", "caseworker").signed(tools.secret)
    finally:
        tools.close()
    with service(data, WARUM_MODELS=str(folder)) as (connection, _):
        (pid,) = (one for one in below(os.getpid()) if b"serve" in _command(one))
        with closing(Line(connection.port)) as line:
            questions = [("GET", f"/cases/{one}", b"") for one in ids]
            return _asked(questions, line, pid, f"{COOKIE}={signed}")


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


# -- attribution and verification ----------------------------------------------------------------


def _attribution(folder: Path) -> None:
    package = open_package(folder)
    manifest, catalogue = package.manifest, package.catalogue
    blob = (folder / manifest.model_file).read_bytes()
    near = parse(manifest.format, blob, inputs_of(catalogue), manifest.target)
    cases = [read_case(raw, catalogue) for raw in _varied(package, ASKED)]
    own = _library(manifest.format, blob, {f.name: f.choices for f in catalogue})
    sides: dict[str, Callable[[Any], object]] = {
        "the library's own answer about one raw case": lambda case: own(raw_row(case)),
        "our way of asking the library, in one process": lambda case: near.answer([raw_row(case)]),
        "attribution and verification, the model apart": package.explained.attribute,
    }
    spent: dict[str, list[float]] = {name: [] for name in sides}
    computed: dict[str, list[float]] = {name: [] for name in sides}
    for at in range(0, ASKED, BLOCK):
        for name, ask in sides.items():
            before = _computed()
            for case in cases[at : at + BLOCK]:
                started = time.perf_counter()
                ask(case)
                spent[name].append(time.perf_counter() - started)
            computed[name].append((_computed() - before) / BLOCK)
    print(f"\n## Attribution and verification: {folder.name} ({manifest.format}, {load()})\n")
    print("| | median, ms | fastest, ms | computing, ms |\n|---|---|---|---|")
    middle = {name: statistics.median(each[BLOCK:]) * 1e3 for name, each in spent.items()}
    work = {name: statistics.median(each[1:]) * 1e3 for name, each in computed.items()}
    for name in sides:
        fastest = min(spent[name]) * 1e3
        print(f"| {name} | {middle[name]:.2f} | {fastest:.2f} | {work[name]:.2f} |")
    floor, _, ours = sides
    apart = SIGNS.since_last()
    print(f"| of that, whether signs are stable | {apart:.2f} | | |")
    for said, less in (("all", 0.0), ("without the signs", apart)):
        wall, computing = middle[ours] - less, work[ours] - less
        print(
            f"\n{said}: ratio {wall / middle[floor]:.2f}, on top {wall - middle[floor]:+.2f} ms; "
            f"by computing {computing / work[floor]:.2f}, {computing - work[floor]:+.2f} ms",
            flush=True,
        )


class _Signs:
    """What the look at the stability of signs takes, wherever it is taken."""

    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = {}
        for owner, name in (
            (Exact, "row_values"),
            (LinearAgainst, "row_values"),
            (attribute, "_stable_signs"),
        ):
            self._count(owner, name)

    def _count(self, owner: Any, name: str) -> None:
        asked, spent = getattr(owner, name), self._spent.setdefault(name, [])

        def counted(*given: Any) -> Any:
            started = time.perf_counter()
            try:
                return asked(*given)
            finally:
                spent.append(time.perf_counter() - started)

        setattr(owner, name, counted)

    def since_last(self) -> float:
        """Milliseconds a case, the median, since this was asked before."""
        found = sum(statistics.median(spent) for spent in self._spent.values()) * 1e3
        for spent in self._spent.values():
            spent.clear()
        return found


SIGNS = _Signs()


def _library(
    declared: str, blob: bytes, choices: Mapping[str, Sequence[str]]
) -> Callable[[RawRow], object]:
    """How a colleague would ask the model about one raw row: a table of one line."""
    if declared == "skops":
        preparation, model = load_pipeline(blob)
        names = list(preparation.feature_names_in_)
        return lambda row: model.predict_proba(preparation.transform(pd.DataFrame([row])[names]))
    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(blob))
    names, kinds = booster.feature_names, booster.feature_types
    types = {
        name: pd.CategoricalDtype(list(choices[name])) if kind == "c" else float
        for name, kind in zip(names, kinds, strict=True)
    }

    def answer(row: RawRow) -> object:
        table = pd.DataFrame([row])[names].astype(types)
        return booster.predict(xgboost.DMatrix(table, enable_categorical=True, nthread=1))

    return answer


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
