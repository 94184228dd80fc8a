"""A demonstration on a port of its own and one Chromium, for all browser tests.

Without Chromium these tests fail: they hold promises, and are never skipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright
from windows import OpenPage, open_chromium

WHOLE = {"viewport": {"width": 1280, "height": 900}, "locale": "de-DE"}


@dataclass(frozen=True)
class Demonstration:
    """One that is running; one of its cases is decided."""

    address: str
    data: Path


@pytest.fixture(scope="session")
def address(demonstration: Demonstration) -> str:
    """Where the demonstration is."""
    return demonstration.address


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """A demonstration with a folder and a port of its own."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WARUM_")}
    folder = tmp_path_factory.mktemp("demo") / "data"
    with (folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service.start", "demo"],
            cwd=folder.parent,
            # made to wait for its explanations, however busy the machine is
            env={
                **environment,
                "WARUM_DATA": str(folder),
                "WARUM_PORT": str(port),
                "WARUM_DEADLINE": "30",
            },
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/readyz", process)
        yield Demonstration(f"http://127.0.0.1:{port}", folder)
    finally:
        process.terminate()
        process.wait(timeout=20)
    # nothing failed unnoticed: the service logs what did
    assert b'"event": "failed"' not in (folder.parent / "log").read_bytes()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "the demonstration ended by itself"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the demonstration did not become ready")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests."""
    with sync_playwright() as playwright:
        browser = open_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[OpenPage]:
    """A function that opens a new browser window; whatever it complains about fails the test."""
    contexts, complaints = [], []

    def complain(message: ConsoleMessage) -> None:
        # a page that is an error on purpose is reported as a resource that failed: itself
        itself = message.text.startswith("Failed to load resource") and any(
            status in message.text for status in ("404", "409", "422")
        )
        if message.type in ("error", "warning") and not itself:
            complaints.append(message.text)

    def failed(request: Request) -> None:
        # going on to the next page, or closing, ends what the last one still asked for
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"failed: {request.url} ({request.failure})")

    def opened(**options: Any) -> Page:
        context = browser.new_context(base_url=address, **{**WHOLE, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda fault: complaints.append(str(fault)))
        page.on("requestfailed", failed)
        page.on("request", lambda request: _stays_here(request.url, address, complaints))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _stays_here(url: str, address: str, complaints: list[str]) -> None:
    if not url.startswith((address, "data:", "about:", "blob:")):
        complaints.append(f"another site was asked: {url}")
