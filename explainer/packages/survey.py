"""What is wrong with a package that cannot be opened yet, for people who prepare one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from explainer.errors import PackageError, PackageFaulty
from explainer.families.artefacts import read_once
from explainer.packages.features import read_features
from explainer.packages.manifest import Manifest, parse_toml, read_manifest
from explainer.packages.package import read_files
from explainer.packages.rows import read_background, read_golden
from explainer.packages.wordings import read_wordings
from explainer.text.wording import check_texts, source_wording


def survey(folder: Path) -> list[PackageError]:
    """Every fault that can be found without trusting the digests, for people who prepare one.

    Manifest, texts, comparison group and recorded cases are read as they lie there; the model
    itself is parsed only once its bytes are the ones the manifest names.
    """
    faults: list[PackageError] = []
    data: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data[path.relative_to(folder).as_posix()] = read_once(path)
    manifest: Manifest | None = None
    try:
        manifest = read_manifest(data.get("manifest.toml", b""))
        read_files(folder)
    except PackageFaulty as several:
        faults += several.faults
    parsed: dict[str, dict[str, Any]] = {}
    for name in ("features.toml", "wording.toml"):
        try:
            parsed[name] = parse_toml(data.get(name, b""), name)
        except PackageError as fault:
            faults.append(fault)
    try:
        catalogue = read_features(parsed.get("features.toml", {}))
    except PackageFaulty as several:
        faults += several.faults
        try:
            source = source_wording(parsed.get("features.toml", {}), parsed.get("wording.toml", {}))
            check_texts(source, "features.toml and wording.toml")
        except PackageError as fault:
            faults.append(fault)
        return faults
    checks: list[Callable[[], object]] = [lambda: read_golden(data.get("golden/cases.jsonl", b""))]
    if manifest is not None:
        background = data.get(manifest.background_file, b"")
        checks.append(lambda: read_background(background, catalogue))
        if len(parsed) == 2:
            features, agency = parsed["features.toml"], parsed["wording.toml"]
            read_wordings(manifest, data, catalogue, features, agency, faults)
    for one in checks:
        try:
            one()
        except PackageFaulty as several:
            faults += several.faults
        except PackageError as fault:
            faults.append(fault)
    return faults
