"""The house is in order: what lies where, what the locks hold, what the README promises."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]

TOP = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "GLOSSARY.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "benchmarks",
    "docs",
    "explainer",
    "hatch_build.py",
    "locales",
    "models",
    "pyproject.toml",
    "requirements-dev.lock",
    "requirements.lock",
    "service",
    "tests",
}
"""The whole upper layer. A new name here is a decision, not an accident."""

LOCKS = ("requirements.lock", "requirements-dev.lock", "service/assets/node.lock")

FLOORS = {
    "starlette": "1.3.1",  # host header, form limits, ranges without end
    "fastapi": "0.163",  # asks for that starlette
    "jinja2": "3.1.6",  # ways out of the sandbox
    "skops": "0.16",  # ways around the question whether a type is trusted
    "cryptography": "50",  # the line that is still mended
}
"""Below these versions there are known holes that concern us."""


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def tracked() -> list[str]:
    """What git knows and what it would take; without git, everything that is no by-product."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


# -- layout -----------------------------------------------------------------------------------


def test_the_upper_layer_holds_only_what_it_should():
    assert {name.split("/")[0] for name in tracked()} == TOP


def test_nothing_that_was_fetched_or_built_is_tracked():
    assert not [
        name
        for name in tracked()
        if re.search(r"node_modules/|static/kern/|\.mo$|\.pyc$|\.sqlite|\.pickle$|\.pkl$", name)
    ]


def test_packages_are_data():
    assert not [
        name
        for name in tracked()
        if name.startswith(("models/", "locales/")) and name.endswith(".py")
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("LICENSE", "EUROPEAN UNION PUBLIC LICENCE v. 1.2"),
        ("LICENSE", "15.Applicable Law"),
        ("LICENSE", "‘Compatible Licences’ according to Article 5 EUPL are:"),
        ("README.md", "make demo"),
        ("CHANGELOG.md", "## Unreleased"),
        ("CONTRIBUTING.md", "make check"),
        ("SECURITY.md", "What we do not protect against"),
        ("GLOSSARY.md", "comparison group"),
        (".ci/run", "make test"),
    ],
)
def test_the_papers_are_there(name, says):
    assert says in read(name)


def test_the_four_files_that_carry_a_property_are_named_and_there():
    named = re.findall(r"\| `((?:explainer|service)/[a-z_/]+\.py)` \|", read("SECURITY.md"))
    assert len(named) == 4
    assert all((ROOT / name).is_file() for name in named)


# -- locks ------------------------------------------------------------------------------------


def pins(lock: str) -> list[tuple[Requirement, int]]:
    """Every requirement of a lock, and how many hashes stand under it."""
    found: list[tuple[Requirement, int]] = []
    for block in re.split(r"\n(?=[a-z0-9])", read(lock)):
        lines = [line.rstrip(" \\") for line in block.splitlines() if not line.startswith("#")]
        if lines and lines[0]:
            hashes = [
                line for line in lines[1:] if re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}", line)
            ]
            assert len(hashes) == len(lines) - 1, f"{lock}: {lines[0]}"
            found.append((Requirement(lines[0]), len(hashes)))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_pinned_and_hashed(lock):
    found = pins(lock)
    assert found
    for requirement, hashes in found:
        assert hashes, requirement
        (only,) = requirement.specifier
        assert only.operator == "==", requirement
        assert requirement.url is None


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock):
    assert not re.search(r"://|^--|^-[a-z]|/", read(lock), re.MULTILINE)


def test_locks_are_for_every_python_we_promise():
    for version in ("3.11", "3.12", "3.13"):
        for lock in LOCKS[:2]:
            environment = {
                "python_version": version,
                "python_full_version": f"{version}.0",
                "sys_platform": "linux",
                "platform_machine": "x86_64",
            }
            names = [
                canonicalize_name(r.name)
                for r, _ in pins(lock)
                if r.marker is None or r.marker.evaluate(environment)
            ]
            assert len(names) == len(set(names)), f"{lock} for {version}"
            assert {"shap", "numpy", "scipy", "scikit-learn"} <= set(names)


def declared() -> tuple[list[Requirement], list[Requirement]]:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    return (
        [Requirement(line) for line in project["dependencies"]],
        [
            Requirement(line)
            for lines in project["optional-dependencies"].values()
            for line in lines
            # the tools come with all formats of models; each extra stands here itself
            if not line.startswith("warum[")
        ],
    )


def test_the_locks_hold_what_is_declared():
    run, dev = declared()
    for lock, wanted in (("requirements.lock", run), ("requirements-dev.lock", run + dev)):
        locked: dict[str, list[Version]] = {}
        for requirement, _ in pins(lock):
            (only,) = requirement.specifier
            locked.setdefault(canonicalize_name(requirement.name), []).append(Version(only.version))
        for requirement in wanted:
            versions = locked.get(canonicalize_name(requirement.name), [])
            assert versions, f"{lock} lacks {requirement.name}: run make lock"
            assert all(v in requirement.specifier for v in versions), f"{lock}: {requirement}"


def test_the_tools_come_on_top_of_the_same_versions():
    tools = {str(r) for r, _ in pins("requirements-dev.lock")}
    # a marker may be wider where a tool wants the same library elsewhere too
    wider = {r.split(";")[0].strip() for r in tools}
    assert {str(r).split(";")[0].strip() for r, _ in pins("requirements.lock")} <= wider


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("lock", LOCKS[:2])
def test_known_holes_stay_closed(lock, name):
    versions = [
        Version(next(iter(r.specifier)).version)
        for r, _ in pins(lock)
        if canonicalize_name(r.name) == name
    ]
    assert versions
    assert min(versions) >= Version(FLOORS[name])


@pytest.mark.parametrize("name", FLOORS)
def test_nobody_may_install_below_the_floors(name):
    (requirement,) = [r for r in declared()[0] if canonicalize_name(r.name) == name]
    (lowest,) = [s.version for s in requirement.specifier if s.operator == ">="]
    assert Version(lowest) >= Version(FLOORS[name])


def test_lightgbm_is_none_that_writes_past_the_end_of_a_buffer():
    """CVE-2024-43598; it comes with an extra, so it stands in one lock only."""
    (requirement,) = [r for r in declared()[1] if r.name == "lightgbm"]
    (lowest,) = [s.version for s in requirement.specifier if s.operator == ">="]
    assert Version(lowest) >= Version("4.6")


# -- what is written can be run ---------------------------------------------------------------

PAPERS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/README.md"]


def commands_in(paper: str) -> list[list[str]]:
    """Every `make …` and `warum …` of a paper, in blocks and in sentences."""
    text = read(paper)
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line.split("#")[0] for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`((?:make|warum) [^`]+)`", text)
    words = [line.replace(".venv/bin/", "").split() for line in lines]
    return [each for each in words if each and each[0] in ("make", "warum")]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


def warum_commands() -> set[str]:
    return {
        name.removeprefix("warum ")
        for name in re.findall(r"^## (.+)$", read("docs/commands.md"), re.M)
    }


@pytest.mark.parametrize("paper", PAPERS)
def test_commands_in_papers_exist(paper):
    targets, commands = make_targets(), warum_commands()
    for command, *rest in commands_in(paper):
        named = [word for word in rest if not word.startswith("-") and "=" not in word]
        if command == "make":
            assert set(named) <= targets, f"{paper}: make {' '.join(rest)}"
        else:
            known = {" ".join(named[:1]), " ".join(named[:2])} & commands
            assert known, f"{paper}: warum {' '.join(rest)}"


def test_the_readme_shows_commands():
    assert len(commands_in("README.md")) >= 8


def test_the_example_of_the_readme_explains_a_case():
    (example,) = re.findall(r"^```\n(head -n 1 .*)\n```", read("README.md"), re.MULTILINE)
    told = subprocess.run(
        ["bash", "-c", example.replace(".venv/bin", str(Path(sys.executable).parent))],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert "PROGRAMM" in told.stdout


@pytest.mark.parametrize(
    "paper",
    [*PAPERS, "GLOSSARY.md", "CHANGELOG.md", "docs/decisions/README.md", "docs/performance.md"],
)
def test_links_lead_somewhere(paper):
    here = (ROOT / paper).parent
    assert [target for target in links_in(paper) if not (here / target).exists()] == []


def links_in(paper: str) -> list[str]:
    return re.findall(r"\]\(([^)#]+)", read(paper))


def test_the_papers_have_links():
    assert len(links_in("README.md")) >= 5
    assert len(links_in("docs/README.md")) >= 5


def test_every_decision_is_listed():
    listed = re.findall(r"\((\d{4}-[a-z-]+\.md)\)", read("docs/decisions/README.md"))
    there = sorted(p.name for p in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert there
    assert listed == there
    assert [name[:4] for name in there] == [f"{n:04}" for n in range(1, len(there) + 1)]


def test_every_target_of_make_is_explained():
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)", read("Makefile"), re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE))
    assert phony == explained
    assert {"demo", "test", "check"} <= phony
