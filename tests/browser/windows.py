"""The one Chromium of tests and pictures, and what a test says when it wants a new window."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from playwright.sync_api import Browser, Page, Playwright

OpenPage = Callable[..., Page]

# alone in a container, and asking nobody for anything
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def open_chromium(playwright: Playwright) -> Browser:
    """Chromium from the PATH; there is no other."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise FileNotFoundError("Chromium is missing; `make browser` installs it.")
    return playwright.chromium.launch(executable_path=chromium, args=FLAGS)
