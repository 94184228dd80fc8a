"""Take pictures of every page of the demonstration, as people see it.

`make screenshots` writes the pictures of the README to docs/images; with --all DIR every page is
taken wide, narrow, dark, in forced colours and as print, for people to look at.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))

from windows import open_chromium


@contextmanager
def demo_server() -> Iterator[str]:
    """A demonstration of its own on a free port, with one case decided; yields its address."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment = {**os.environ, "WARUM_DATA": folder, "WARUM_PORT": str(port)}
        process = subprocess.Popen(
            [sys.executable, "-m", "service.start", "demo"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def wait_until_ready(address: str, seconds: float = 60) -> None:
    """Ask /readyz until it answers."""
    for _ in range(int(seconds * 10)):
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the demonstration did not become ready")


def be(page: Page, address: str, person: str) -> None:
    """Choose a person on the bar of the demonstration."""
    page.goto(f"{address}/")
    page.locator(f".w-demo button[value={person}]").click()


def walk(page: Page, address: str) -> Iterator[str]:
    """Open every page in turn; yields a name for each once it stands."""
    page.goto(f"{address}/")
    yield "start"
    be(page, address, "caseworker")
    yield "queue"
    page.locator(".w-list__link").first.click()
    yield "case"
    page.locator("details summary").first.click()
    yield "case-table"
    page.get_by_role("button", name="Entscheidung speichern").click()
    yield "case-errors"
    page.locator("input[name=outcome]").first.check()
    page.locator("input[name=relation][value=not_used]").check()
    page.locator("input[name=codes][value=E6]").check()
    page.get_by_role("button", name="Entscheidung speichern").click()
    yield "case-decided"
    page.goto(f"{address}/cases?lang=en")
    page.locator(".w-list__link").first.click()
    yield "case-en"
    page.goto(f"{address}/cases?lang=de")
    be(page, address, "applicant")
    yield "applicant-de"
    for tag in ("de-simple", "en", "uk", "ar", "ru", "tr", "fa", "bg", "ro", "pl", "fr"):
        page.goto(f"{address}/application?lang={tag}")
        yield f"applicant-{tag}"
    page.goto(f"{address}/?lang=de")
    be(page, address, "supervisor")
    yield "records"
    page.locator(".w-list__link").first.click()
    yield "record-purpose"
    page.locator("input[name=purpose]").first.check()
    page.locator("main form button[type=submit]").last.click()
    yield "record"
    page.goto(f"{address}/verify")
    page.locator("main form button[type=submit]").click()
    yield "verify"
    be(page, address, "operator")
    yield "operation"
    page.goto(f"{address}/nowhere")
    yield "error"
    page.goto(f"{address}/accessibility")
    yield "accessibility"


def extent(page: Page, name: str) -> dict[str, Any]:
    """How much of a page is in its picture: all of it; of those in the README what is first seen,
    and of a case as much as shows reasons, data and where a person decides."""
    if not name:
        return {"full_page": True}
    if name != "case":
        return {}
    box = page.locator(".w-form__pair").bounding_box()
    if box is None:
        raise SystemExit("the case has no form to decide by")
    height = box["y"] + box["height"] + 32
    return {"full_page": True, "clip": {"x": 0, "y": 0, "width": 1280, "height": height}}


def take(browser: Browser, address: str, folder: Path, only: set[str] | None) -> None:
    """The pictures, in every guise where all are wanted."""
    guises: dict[str, dict[str, object]] = {"wide": {"viewport": {"width": 1280, "height": 900}}}
    if only is None:
        guises |= {
            "narrow": {"viewport": {"width": 320, "height": 800}},
            "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
            "forced": {"viewport": {"width": 1280, "height": 900}, "forced_colors": "active"},
        }
    for guise, options in guises.items():
        context = browser.new_context(locale="de-DE", **options)  # type: ignore[arg-type]
        page = context.new_page()
        for name in walk(page, address):
            if only is not None and name not in only:
                continue
            file = f"{name}.png" if only is not None else f"{name}-{guise}.png"
            page.screenshot(path=folder / file, **extent(page, name if only else ""))
            if only is None and guise == "wide":
                page.pdf(path=folder / f"{name}.pdf", format="A4")
        context.close()


def main() -> int:
    """Start a demonstration, walk through it, and keep the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIR", help="every page in every guise")
    options = parser.parse_args()
    folder = options.all or Path(__file__).parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with demo_server() as address, sync_playwright() as playwright:
        browser = open_chromium(playwright)
        take(browser, address, folder, None if options.all else {"case", "applicant-ar"})
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
