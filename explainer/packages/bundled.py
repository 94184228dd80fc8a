"""Where the packages lie that come with Warum."""

from __future__ import annotations

from pathlib import Path

from explainer.errors import PackageNotFound


def bundled_packages() -> Path:
    """`models/` of the checkout, or its copy in an installed wheel."""
    inside = Path(__file__).resolve().parent.parent
    installed = inside / "_demo"
    return installed if installed.is_dir() else inside.parent / "models"


def find_package(name: str) -> Path:
    """The folder `name` names: a path, or the id of a package that comes with Warum."""
    given = Path(name)
    if given.is_dir():
        return given
    ours = bundled_packages() / name
    if "/" not in name and (ours / "manifest.toml").is_file():
        return ours
    known = sorted(p.parent.name for p in bundled_packages().glob("*/manifest.toml"))
    raise PackageNotFound(
        "There is no such folder, and no package of this name comes with Warum.",
        name,
        f"Name the folder of a package, or one of: {', '.join(known)}.",
    )
