"""The page of a case in a running service, over HTTP on the loopback.

The service is a process of its own. The first look at a case waits for its explanation; every
later one shows what the page costs beyond it: reading the case, wording it, reading the text back,
writing the entry with the exact bytes, committing, sealing, laying out the page.
"""

from __future__ import annotations

import http.client
import tempfile
import time
from pathlib import Path

from harness import PACKAGE, ask, heading, row, service

from explainer.core.case import read_case
from explainer.pipeline import explain
from service.actions import queue
from service.demo import CASEWORKER, load_cases
from service.settings import read_settings
from service.store.cases import OPEN
from service.web.people import COOKIE, Session
from service.wiring import open_tools

CASES = 20
LOOKS = 10


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        ids, cookie, alone = _prepare(data)
        first: list[float] = []
        later: list[float] = []
        with service(data) as (connection, _):
            for number, case_id in enumerate(ids):
                _look(connection, case_id, cookie, first)
                for _ in range(LOOKS):
                    _look(connection, case_id, cookie, later)
                if number == 0:
                    # templates and catalogs were loaded by these; they belong to no case
                    first.clear()
                    later.clear()
            healthy: list[float] = []
            for _ in range(CASES * LOOKS):
                started = time.perf_counter()
                ask(connection, "/healthz")
                healthy.append(time.perf_counter() - started)
    heading("The page of a case, as a caseworker opens it")
    row("first look: with the explanation", first)
    middle = row("later look: beyond the explanation, entry and commit included", later)
    row("the explanation alone, in one process", alone)
    bare = row("an answer without content (`/healthz`)", healthy)
    print(f"\nbeyond the explanation and the bare answer: {(middle - bare) * 1000:.1f} ms")


def _prepare(data: Path) -> tuple[list[str], str, list[float]]:
    """A data folder with open cases: their ids, a cookie, and what explaining them takes alone."""
    settings = read_settings({"WARUM_DEMO": "1", "WARUM_DATA": str(data)}, PACKAGE)
    tools = open_tools(settings)
    try:
        load_cases(tools)
        files = queue(CASEWORKER, OPEN, 1, tools).rows[:CASES]
        (package,) = tools.packages.values()
        alone = []
        for golden in package.golden[:CASES]:
            case = read_case(golden.case, package.catalogue)
            started = time.perf_counter()
            explain(case, package, tools.now().date())
            alone.append(time.perf_counter() - started)
        session = Session("benchmark", "caseworker").signed(tools.secret)
        return [file.id for file in files], f"{COOKIE}={session}", alone
    finally:
        tools.close()


def _look(
    connection: http.client.HTTPConnection, case_id: str, cookie: str, spent: list[float]
) -> None:
    started = time.perf_counter()
    status, body = ask(connection, f"/cases/{case_id}", cookie)
    spent.append(time.perf_counter() - started)
    if status != 200 or b"</html>" not in body:
        raise SystemExit(f"the page of a case answered {status}")


if __name__ == "__main__":
    main()
