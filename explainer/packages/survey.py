"""What is wrong with a package that cannot be opened yet, for people who prepare one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from explainer.core.case import FeatureCatalogue, read_case
from explainer.errors import (
    CaseFaulty,
    FeatureUnknown,
    GoldenCaseDiffers,
    PackageError,
    PackageFaulty,
)
from explainer.families.artefacts import check_declared, read_once
from explainer.packages.features import features_as_they_are
from explainer.packages.manifest import Manifest, manifest_as_it_is
from explainer.packages.package import read_files
from explainer.packages.rows import GOLDEN, read_background, read_golden
from explainer.packages.toml_table import parse_toml
from explainer.packages.wordings import read_wordings
from explainer.text.wording import check_texts, source_wording


def survey(folder: Path) -> list[PackageError]:
    """Every fault that can be found without trusting the digests, for people who prepare one.

    Manifest, texts, comparison group and recorded cases are read as they lie there, and a fault in
    one hides none in another. Of the model only the kind is looked at: it is parsed only once its
    bytes are the ones the manifest names.
    """
    faults: list[PackageError] = []
    data: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not path.is_symlink():
            with _collecting(faults):
                data[name] = read_once(path)
    manifest = manifest_as_it_is(data.get("manifest.toml", b""), faults)
    if not faults:
        # names and digests can be compared only with a manifest that is understood
        with _collecting(faults):
            read_files(folder)
    parsed: dict[str, dict[str, Any]] = {}
    for name in ("features.toml", "wording.toml"):
        with _collecting(faults):
            parsed[name] = parse_toml(data.get(name, b""), name)
    features, agency = parsed.get("features.toml"), parsed.get("wording.toml")
    catalogue = FeatureCatalogue([])
    names: tuple[str, ...] = ()
    if features is not None:
        catalogue, names = features_as_they_are(features, faults)
    if features is not None and agency is not None:
        if manifest is not None:
            stopped: dict[str, PackageError] = {}
            read_wordings(manifest, data, catalogue, features, agency, faults, stopped)
            faults += stopped.values()
        else:
            with _collecting(faults):
                check_texts(source_wording(features, agency), "features.toml and wording.toml")
    if manifest is not None:
        _survey_model(manifest, data, faults)
    if features is not None:
        background = (manifest.background_file if manifest else "") or "background.csv"
        weight = manifest.background_weight if manifest else None
        # a manifest that cannot be read may name a column of weights, and another file
        unsaid = manifest is None or not manifest.background_file or weight == ""
        if background in data or not unsaid:
            with _collecting(faults):
                table = data.get(background, b"")
                read_background(table, catalogue, names, weight or None, unsaid=unsaid)
    _survey_golden(data.get(GOLDEN, b""), catalogue, names, faults)
    return faults


def _survey_model(manifest: Manifest, data: dict[str, bytes], faults: list[PackageError]) -> None:
    """The kind of the model, by what is declared and by how its bytes begin; nothing is parsed."""
    if manifest.format and manifest.model_file in data:
        with _collecting(faults):
            check_declared(manifest.format, data[manifest.model_file])


def _survey_golden(
    data: bytes, catalogue: FeatureCatalogue, names: Sequence[str], faults: list[PackageError]
) -> None:
    """Every line, and of every case the values of the features that are not faulty themselves."""
    try:
        golden = read_golden(data)
    except PackageFaulty as several:
        faults += several.faults
        return
    for number, one in enumerate(golden, start=1):
        try:
            read_case(one.case, catalogue)
        except CaseFaulty as found:
            faults.extend(
                GoldenCaseDiffers(fault.what, f"{GOLDEN}, line {number}, {fault.where}", fault.mend)
                for fault in found.faults
                if not (isinstance(fault, FeatureUnknown) and fault.where in names)
            )


@contextmanager
def _collecting(faults: list[PackageError]) -> Iterator[None]:
    """What is raised inside is one more fault, and nothing more."""
    try:
        yield
    except PackageFaulty as several:
        faults += several.faults
    except PackageError as fault:
        faults.append(fault)
