"""The walk in docs/api.md, as it stands there, against a demonstration that is running."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Demonstration

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"

CURL = '''#!{python}
"""As much of curl as the page needs, so that no test needs the program."""
import sys, time, urllib.error, urllib.request
url, headers, data, out, tries, rest = "", {{}}, None, "", 0, sys.argv[1:]
while rest:
    one = rest.pop(0)
    if one == "-H":
        name, _, value = rest.pop(0).partition(": ")
        headers[name] = value
    elif one == "-d":
        given = rest.pop(0)
        data = open(given[1:], "rb").read() if given.startswith("@") else given.encode()
    elif one == "-o":
        out = rest.pop(0)
    elif one == "--retry":
        tries = int(rest.pop(0))
    elif one != "-s":
        url = one
while True:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers)) as answer:
            said = answer.read()
        break
    except urllib.error.HTTPError as fault:
        if fault.code != 503 or not tries:
            raise
        tries -= 1
        time.sleep(int(fault.headers["Retry-After"]))
with open(out, "wb") if out else sys.stdout.buffer as file:
    file.write(said)
'''


@pytest.fixture
def walked(demonstration: Demonstration, tmp_path: Path) -> Path:
    """The folder in which somebody copied every command of the page into a terminal."""
    commands = "\n".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S))
    assert commands.count("curl ") == 7
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "curl").write_text(CURL.format(python=sys.executable))
    (programs / "curl").chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo").symlink_to(demonstration.data)
    done = subprocess.run(
        ["sh", "-eu", "-c", commands.replace("http://127.0.0.1:8000", demonstration.address)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return tmp_path


def test_every_command_of_the_page_does_what_it_says(walked: Path) -> None:
    def answer(name: str) -> Any:
        return json.loads((walked / f"{name}.json").read_text("utf-8"))

    assert answer("submitted")["ref"] == "X-0001"
    assert answer("shown")["audience"] == "caseworker"
    assert answer("shown")["suggestion"]["outcome"]
    receipt = (walked / "decision.tlog-proof").read_text("utf-8").splitlines()
    assert receipt[0] == "c2sp.org/tlog-proof@v1"
    assert f"index {answer('decided')['entry']}" in receipt
    assert answer("notified")["entry"] == answer("decided")["entry"] + 1
    told = answer("told")
    assert (told["audience"], told["language"]) == ("applicant", "ar")
    assert told["entry"] > answer("decided")["entry"] > answer("shown")["entry"]
    (row,) = [r for r in answer("records")["records"] if r["ref"] == "X-0001"]
    assert row["record"] == answer("decided")["record"]
    assert row["codes"] == ["E6"]
