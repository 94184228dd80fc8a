"""Where packages lie: those that come with Warum, and those an agency names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from explainer.errors import PackageNotFound
from explainer.families import FORMATS


def bundled_packages() -> Path:
    """`models/` of the checkout, or its copy in an installed wheel."""
    inside = Path(__file__).resolve().parent.parent
    installed = inside / "_demo"
    return installed if installed.is_dir() else inside.parent / "models"


def converter() -> Path:
    """The file for the environment of training, in the checkout or in an installed wheel."""
    inside = Path(__file__).resolve().parent.parent
    name = "warum_convert.py"
    installed = inside / "_converter" / name
    return installed if installed.is_file() else inside.parent / "docs" / "converter" / name


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


def packages_in(places: Sequence[Path]) -> list[Path]:
    """Folders of packages: each place is a package itself or a folder of packages."""
    found: list[Path] = []
    for place in places:
        if (place / "manifest.toml").is_file():
            found.append(place)
        elif place.is_dir():
            found += sorted(p.parent for p in place.glob("*/manifest.toml"))
    return found


def named_places(arguments: Sequence[str], environment: Mapping[str, str]) -> list[Path]:
    """Where the packages lie that a command line names, as far as can be said before it is read."""
    if arguments[0] == "explain":
        given = [a for a in arguments[1:] if not a.startswith("-")]
        return [place for name in given for place in (Path(name), bundled_packages() / name)]
    models = environment.get("WARUM_MODELS", "").strip()
    return [Path(part) for part in models.split(":") if part] or [bundled_packages()]


def declared_formats(places: Sequence[Path]) -> set[str]:
    """The formats the manifests there name; what cannot be read is passed over."""
    formats: set[str] = set()
    for folder in packages_in(places):
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):
            formats.add(tomllib.loads((folder / "manifest.toml").read_text())["model"]["format"])
    return formats & FORMATS.keys()
