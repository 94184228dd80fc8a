"""The wheel alone, in an environment outside the checkout, does what the checkout does.

The environment is new and holds only the wheel. The libraries are those of the running
environment, lent by links without anything of ours: fetching them again would take minutes and
prove no more, since `make setup` installs them from the lock with their hashes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("warum", "_editable_impl_warum", "explainer", "service")
DAY = "2026-03-01"
PIP_INSTALL = ("--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the checkout without reaching for anything."""
    assert (ROOT / "service/static/kern/kern.css").is_file(), "`make setup` was not run"
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
        env=os.environ | {"PIP_NO_INDEX": "1"},
    )
    (built,) = folder.glob("warum-*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A new environment with the wheel in it; returns its folder of commands."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, *PIP_INSTALL, wheel],
        check=True,
        capture_output=True,
    )
    lent = folder / "lent"
    lent.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(OURS) and path.suffix != ".pth":
            (lent / path.name).symlink_to(path)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(f"{lent}\n", "utf-8")
    return folder / "bin"


def run(command: list[object], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WARUM_", "PYTHON"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def case(tmp_path_factory) -> Path:
    """The first recorded case, in a folder far from the checkout."""
    lines = ROOT / "models/unemployment_benefit/golden/cases.jsonl"
    with lines.open(encoding="utf-8") as file:
        first = json.loads(file.readline())["case"]
    path = tmp_path_factory.mktemp("elsewhere") / "case.json"
    path.write_text(json.dumps(first), "utf-8")
    return path


# -- what is in it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "explainer/_converter/warum_convert.py",
        "explainer/_locales/languages.toml",
        "explainer/_locales/sentences.toml",
        "explainer/_locales/en/LC_MESSAGES/warum.po",
        "service/_schemas/case-1.schema.json",
        "service/_schemas/view-1.schema.json",
        "explainer/_locales/en/LC_MESSAGES/staff.po",
        "explainer/_locales/ar/LC_MESSAGES/warum.po",
        "explainer/_demo/mortgage_guarantee/manifest.toml",
        "explainer/_demo/mortgage_guarantee/model.txt",
        "explainer/_demo/unemployment_benefit/manifest.toml",
        "explainer/_demo/unemployment_benefit/model.skops",
        "explainer/text/templates/applicant/page.html",
        "explainer/ledger/verify.py",
        "service/static/kern/kern.css",
        "service/static/kern/fonts.css",
        "service/static/kern/LICENSE",
        "service/static/warum.css",
        "service/store/migrations/env.py",
        "service/templates/layout.html",
        "warum_start.py",
    ],
)
def test_the_wheel_holds(names, name):
    assert name in names


def test_every_file_that_git_knows_of_the_two_packages_is_in_the_wheel(names):
    known = subprocess.run(
        ["git", "ls-files", "--", "explainer", "service", "locales", "models"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert known.returncode == 0, "run it in a git checkout: it asks git what there is"
    moved = {"locales/": "explainer/_locales/", "models/": "explainer/_demo/"}
    for name in known.stdout.splitlines():
        if not (ROOT / name).exists() or name == "service/start.py":  # shipped as warum_start
            continue
        for old, new in moved.items():
            name = name.replace(old, new, 1) if name.startswith(old) else name
        assert name in names


def test_the_wheel_holds_nothing_else(names):
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "explainer",
        "service",
        "warum_start.py",
    }
    assert not [name for name in names if "test" in name or "__pycache__" in name]


def test_the_wheel_carries_its_licence(wheel, names):
    (licence,) = [name for name in names if name.endswith("licenses/LICENSE")]
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_the_command_points_to_the_guard(wheel, names):
    (points,) = [name for name in names if name.endswith("entry_points.txt")]
    with zipfile.ZipFile(wheel) as archive:
        assert "warum = warum_start:main" in archive.read(points).decode()


# -- what it does -----------------------------------------------------------------------------


def test_it_is_the_wheel_that_runs(installed, case):
    asked = "import explainer, service; print(explainer.__file__); print(service.__file__)"
    found = run([installed / "python", "-c", asked], case.parent)
    assert found.returncode == 0, found.stderr
    for path in found.stdout.split():
        assert Path(path).is_relative_to(installed.parent)


@pytest.mark.parametrize("language", ["de", "en", "ar"])
def test_it_explains_a_case_as_the_checkout_does(installed, case, language):
    command = ["explain", "unemployment_benefit", case, "--language", language, "--date", DAY]
    told = run([installed / "warum", *command], case.parent)
    assert told.returncode == 0, told.stderr
    here = run([Path(sys.executable).parent / "warum", *command], ROOT)
    assert here.returncode == 0, here.stderr
    assert told.stdout == here.stdout


def test_two_languages_are_two_texts(installed, case):
    texts = {
        run(
            [installed / "warum", "explain", "unemployment_benefit", case, "--language", tag],
            case.parent,
        ).stdout
        for tag in ("de", "en", "ar")
    }
    assert len(texts) == 3
    assert all(texts)


def test_it_records_and_verifies(installed, tmp_path):
    shown = run([installed / "warum", "demo", "--no-serve"], tmp_path, WARUM_DATA="data")
    assert shown.returncode == 0, shown.stderr
    verified = run([installed / "warum", "ledger", "verify", "data"], tmp_path)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_it_finds_itself_whole(installed, tmp_path):
    examined = run([installed / "warum", "doctor"], tmp_path)
    assert "WRONG" not in examined.stdout
    assert examined.returncode == 0, examined.stdout + examined.stderr


# -- beside others ----------------------------------------------------------------------------


def foreign(folder: Path, *, described: bool) -> Path:
    """Somebody else's top-level `service`, with or without the papers of a distribution."""
    site = folder / "site"
    (site / "service").mkdir(parents=True)
    (site / "service" / "__init__.py").write_text("", "utf-8")
    if described:
        papers = site / "other_service-1.0.dist-info"
        papers.mkdir()
        (papers / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: other-service\nVersion: 1.0\n", "utf-8"
        )
        (papers / "RECORD").write_text(
            "service/__init__.py,,\nother_service-1.0.dist-info/METADATA,,\n"
            "other_service-1.0.dist-info/RECORD,,\n",
            "utf-8",
        )
    return site


def test_it_refuses_beside_another_owner_of_its_names(installed, tmp_path):
    site = foreign(tmp_path, described=True)
    refused = run([installed / "warum", "--version"], tmp_path, PYTHONPATH=str(site))
    assert refused.returncode == 1
    assert "installation.broken" in refused.stderr
    assert "other-service (service)" in refused.stderr
    assert "environment of its own" in refused.stderr


def test_it_refuses_where_its_names_come_from_two_places(installed, tmp_path):
    site = foreign(tmp_path, described=False)
    refused = run([installed / "warum", "--version"], tmp_path, PYTHONPATH=str(site))
    assert refused.returncode == 1
    assert "installation.broken" in refused.stderr


def test_it_starts_beside_strangers_with_other_names(installed, tmp_path):
    stranger = tmp_path / "site" / "stranger"
    stranger.mkdir(parents=True)
    (stranger / "__init__.py").write_text("", "utf-8")
    started = run([installed / "warum", "--version"], tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert started.returncode == 0, started.stderr
    assert started.stdout.startswith("warum ")
