"""A service of its own for a test: real packages, a real database, a clock that stands still."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from offices import CASES, MakeOffice, Office, demo_settings, elsewhere, open_office
from servers import ADMIN, OWNER, SQLITE, Server
from trained import SmallModel, write_package

from explainer.packages.bundled import find_package
from service.store import engine
from service.wiring import Tools

sys.path.append(str(Path(__file__).parents[1] / "ledger"))
from ledgers import Installation


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL of its own; started when the first test asks for it."""
    server = Server()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    """An empty installation: all that is promised holds on both databases."""
    if request.param == "sqlite":
        yield Installation(tmp_path / "data")
        return
    server: Server = request.getfixturevalue("server")
    with server.database() as name:
        yield Installation(tmp_path / "data", server.address(name), server.address(name, ADMIN))


@pytest.fixture
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the database offices work on; none for SQLite, unless a test asks for more.

    `on_both = pytest.mark.parametrize("address", DATABASES, indirect=True)` runs it on each.
    """
    if getattr(request, "param", SQLITE) == SQLITE:
        yield ""
        return
    server: Server = request.getfixturevalue("server")
    with server.database() as name:
        # what the commands are told by their surroundings
        monkeypatch.setenv("WARUM_DATABASE", server.address(name))
        monkeypatch.setenv("WARUM_DATABASE_OWNER", server.address(name, OWNER))
        yield server.address(name)


@pytest.fixture(params=["delete", "wal"])
def journal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The journal SQLite keeps: both are in use, by the version of its library."""
    safe = {"delete": ("delete", "EXTRA"), "wal": ("wal", "FULL")}[request.param]
    monkeypatch.setattr(engine, "journal_mode", lambda library: safe)
    return str(request.param)


@pytest.fixture
def make_office(tmp_path: Path, address: str) -> Iterator[MakeOffice]:
    """A function that opens an office in tmp_path; called again, it opens the same one again."""
    opened: list[Office] = []

    def make(
        *models: Path,
        cases: int = CASES,
        deadline: float = 20.0,
        folder: str = "data",
        database: str = address,
    ) -> Office:
        settings = demo_settings(tmp_path / folder, *models, deadline=deadline, database=database)
        opened.append(open_office(settings, cases))
        return opened[-1]

    yield make
    for office in opened:
        office.tools.close()


@pytest.fixture
def office(make_office: MakeOffice) -> Office:
    """An office of its own, to do anything with."""
    return make_office()


@pytest.fixture
def tools(office: Office) -> Tools:
    return office.tools


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, small_model: SmallModel) -> Iterator[Office]:
    """One office for all tests of a module that leave behind nothing that others would notice.

    Its first case is decided, the three after it stay open, and `fresh()` gives one
    more. There is a second office in the same house: that of the small package, another unit.
    """
    folder = tmp_path_factory.mktemp("standing")
    small = write_package(folder / "small_benefit", small_model)
    settings = demo_settings(folder / "data", find_package("unemployment_benefit"), small)
    office = elsewhere(open_office(settings, 40))
    office.decided(0)
    yield office
    office.tools.close()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, down to the last detail."""
    stream = io.StringIO()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    yield stream
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
