"""Rules of the house that no linter knows: what is loaded when, what runs as code, whole lists."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from explainer import errors
from explainer.errors import ExplainerError
from explainer.families import FORMATS

ROOT = Path(__file__).resolve().parents[2]


def modules(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)
    assert found, f"there are no modules in {folder}"
    return found


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or "", node.lineno


# -- imports ----------------------------------------------------------------------------------


PROGRAMS = {"pickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "_pickle", "mlflow"}


@pytest.mark.parametrize("folder", ["explainer", "service"])
def test_nothing_of_ours_can_read_a_program_as_data(folder):
    for path in modules(ROOT / folder):
        assert [name for name, _ in imports(path) if name.partition(".")[0] in PROGRAMS] == [], path


@pytest.mark.parametrize("folder", ["explainer", "service"])
def test_nothing_of_ours_runs_text_as_code(folder):
    for path in modules(ROOT / folder):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), path


def test_one_place_says_on_which_day_a_moment_is():
    """Elsewhere it would be the day of UTC, which in Germany begins an hour or two too late."""
    found = [
        (path.relative_to(ROOT).as_posix(), node.lineno)
        for folder in ("explainer", "service")
        for path in modules(ROOT / folder)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (_calls(node, "date") and not node.args)
        or (isinstance(node, ast.Constant) and node.value == "Europe/Berlin")
    ]
    assert {path for path, _ in found} == {"explainer/core/days.py"}, found


def _calls(node: ast.AST, method: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    )


LOADED = "import sys, json; import {}; print(json.dumps(sorted(sys.modules)))"


def loaded_by(module: str) -> set[str]:
    """The libraries a fresh interpreter holds after importing `module`."""
    answer = subprocess.run(
        [sys.executable, "-c", LOADED.format(module)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return {name.partition(".")[0] for name in json.loads(answer.stdout)}


HEAVY = {"numpy", "pandas", "scipy", "sklearn", "skops", "shap", "jinja2", "babel", "rich", "numba"}
SERVICE = {"fastapi", "starlette", "pydantic", "sqlalchemy", "alembic", "uvicorn", "structlog"}

LIGHT = {
    "explainer.cli": HEAVY | SERVICE,
    "explainer.core.forms, explainer.core.decision": HEAVY | SERVICE | {"cryptography"},
    "explainer.families": HEAVY | SERVICE,
    "explainer.families.artefacts": {"pandas", "sklearn", "skops", "shap", *SERVICE},
    "explainer.packages.package": {"pandas", "sklearn", "skops", "shap", "rich", *SERVICE},
    "explainer.pipeline": {"sklearn", "skops", "shap", "rich", *SERVICE},
    "explainer.ledger.verify": HEAVY | SERVICE,
}  # fmt: skip


@pytest.mark.parametrize("module", LIGHT, ids=lambda names: names.partition(",")[0])
def test_a_library_is_loaded_when_it_is_needed_and_not_before(module):
    assert loaded_by(module) & LIGHT[module] == set()


def test_every_format_is_a_module_of_its_own_that_opens_models():
    for name, module in FORMATS.items():
        path = ROOT / Path(*module.split(".")).with_suffix(".py")
        assert path.is_file(), name
        tree = ast.parse(path.read_text("utf-8"))
        assert "open_model" in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}


# -- errors -----------------------------------------------------------------------------------


def leaves(kind: type[ExplainerError] = ExplainerError) -> Iterator[type[ExplainerError]]:
    inner = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
    for each in inner:
        yield from leaves(each)
    if not inner:
        yield kind


LEAVES = sorted(leaves(), key=lambda kind: kind.__name__)


def test_every_error_has_a_code_of_its_own():
    codes = [kind.code for kind in LEAVES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(\.[a-z0-9_]+)?", code) for code in codes)
    assert all("code" in vars(kind) for kind in LEAVES)


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_error_stands_in_the_documentation_with_its_meaning(kind):
    """`make docs` writes the page."""
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    line = next((line for line in page.splitlines() if f"`{kind.code}`" in line), "")
    meaning = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    assert meaning
    assert meaning.replace("|", "\\|") in line


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_error_carries_what_where_and_how_to_mend_it(kind):
    if "__init__" in vars(kind):
        fault = kind("where", [])
    else:
        fault = kind("What happened.", "where", "Mend it.")
    assert fault.where
    assert fault.mend
    assert str(fault).startswith("where")


# -- what may not stand in a file ---------------------------------------------------------------


def tracked() -> list[Path]:
    """What git holds or would take; where there is no git, what lies here."""
    answer = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if answer.returncode:
        pytest.skip("this is no checkout")
    names = [name for name in answer.stdout.decode().split("\0") if name]
    return [path for name in names if (path := ROOT / name).is_file() and not path.is_symlink()]


# Written apart, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.])/" + r"(?:home|Users|root|work|mnt|opt|srv)/[A-Za-z0-9._-]+")
REGISTRIES = re.compile(
    r"(?:index-url|find-links|resolved\"?:|registry\s*=)\s*[\"']?" + r"https?://", re.IGNORECASE
)
MIRRORS = re.compile("files\\.pythonhosted" + "\\.org|registry\\.npmjs" + "\\.org|/pypi-" + "more")
SECRETS = re.compile("-----BEGIN [A-Z ]*PRIVATE" + " KEY-----|ghp_[A-Za-z0-9]{30}|AKIA[0-9A-Z]{16}")


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a path of one machine", MACHINE_PATHS),
        ("an address of a registry", REGISTRIES),
        ("a mirror", MIRRORS),
        ("a secret", SECRETS),
    ],
)
def test_no_file_holds(what, pattern):
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data[:4096]:
            continue
        text = data.decode("utf-8", "replace")
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line} {match.group()}")
    assert found == []
