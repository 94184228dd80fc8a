"""A model package: all its parts under one digest, read once."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from explainer.core.case import FeatureCatalogue, Kind, Scalar
from explainer.core.disclosure import Disclosure
from explainer.core.explanation import PackageIdentity
from explainer.errors import (
    ArtefactChanged,
    BackgroundInvalid,
    CaseError,
    LanguageNotOffered,
    ManifestInvalid,
    PackageError,
    PackageFaulty,
    PackageNotFound,
    WordingIncomplete,
)
from explainer.families.artefacts import check_unchanged, open_model, read_once
from explainer.families.attribute import Explained, explained
from explainer.families.model import Model, RawRow
from explainer.packages.features import read_features
from explainer.packages.manifest import Manifest, parse_toml, read_manifest
from explainer.text.catalogs import catalog
from explainer.text.languages import Language, language
from explainer.text.sentences import Voice
from explainer.text.wording import (
    Wording,
    check_texts,
    needed_keys,
    source_wording,
    translated_wording,
)

UNLISTED = {"manifest.toml"}


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """A recorded case with the numbers the bare pipeline gave in the training environment."""

    case: Mapping[str, Any]
    margin: float
    probability: float


@dataclass(frozen=True)
class ModelPackage:
    """An open package. Everything in it was hashed before it was parsed."""

    manifest: Manifest
    catalogue: FeatureCatalogue
    explained: Explained
    wordings: Mapping[str, Wording]
    golden: tuple[GoldenCase, ...]
    recorded_texts: Mapping[str, bytes]

    @property
    def identity(self) -> PackageIdentity:
        return self.manifest.identity

    @property
    def disclosure(self) -> Disclosure:
        return Disclosure(self.manifest.limits.as_of)

    @cached_property
    def checklist(self) -> tuple[str, ...]:
        """Identifiers of what the program cannot know, in file order."""
        return tuple(self.wordings["de"].part("checklist"))

    def wording(self, spoken: Language) -> Wording:
        try:
            return self.wordings[spoken.tag]
        except KeyError:
            raise LanguageNotOffered(
                "The package is not worded in this language.",
                self.manifest.id,
                f"Choose from {', '.join(self.wordings)}.",
            ) from None

    def voice(self, spoken: Language, *, staff: bool) -> Voice:
        """Product and package words in one language, together or not at all."""
        return Voice(
            spoken,
            catalog(spoken, staff=staff),
            self.wording(spoken),
            self.catalogue,
            self.manifest.artificial_intelligence,
        )


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """The bytes of a package, read once and equal to what its manifest names."""

    folder: Path
    manifest: Manifest
    data: Mapping[str, bytes]


def read_files(folder: Path) -> PackageFiles:
    """Read every file once and compare it with the manifest.

    Raises PackageNotFound, or PackageFaulty with every file that is missing, changed or unnamed.
    """
    try:
        head = read_once(folder / "manifest.toml")
    except OSError as fault:
        raise PackageNotFound(
            f"There is no readable manifest.toml ({fault.strerror}).",
            str(folder),
            "Name the folder of a package; `warum package new` makes one.",
        ) from None
    manifest = read_manifest(head)
    faults: list[PackageError] = []
    data: dict[str, bytes] = {}
    for name, entry in manifest.files.items():
        try:
            data[name] = read_once(folder / name)
            check_unchanged(name, data[name], entry.sha256, entry.size)
        except OSError as fault:
            faults.append(
                ArtefactChanged(f"The file cannot be read ({fault.strerror}).", name, "Restore it.")
            )
        except PackageError as fault:
            faults.append(fault)
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }
    faults.extend(
        ArtefactChanged(
            "The file is not named in the manifest.",
            name,
            "Remove it, or run `warum package seal` if it belongs here.",
        )
        for name in sorted(present - set(manifest.files) - UNLISTED)
    )
    needed = ("features.toml", "wording.toml", manifest.model_file, manifest.background_file)
    faults.extend(
        ManifestInvalid("The file is not there.", name, "Add it to the package.")
        for name in needed
        if name not in manifest.files
    )
    if faults:
        raise PackageFaulty(manifest.id, faults)
    return PackageFiles(folder, manifest, data)


def open_package(folder: Path) -> ModelPackage:
    """Read, check and open the package in `folder`.

    Raises PackageFaulty with every fault that can be found at once.
    """
    files = read_files(folder)
    manifest = files.manifest
    faults: list[PackageError] = []
    features = _toml(files, "features.toml", faults)
    agency = _toml(files, "wording.toml", faults)
    if faults:
        raise PackageFaulty(manifest.id, faults)
    catalogue = read_features(features)
    wordings = _wordings(files, catalogue, features, agency, faults)
    model: Explained | None = None
    try:
        model = _explained(files, catalogue)
    except PackageFaulty as several:
        faults += several.faults
    except PackageError as fault:
        faults.append(fault)
    golden: tuple[GoldenCase, ...] = ()
    try:
        golden = read_golden(files.data.get("golden/cases.jsonl", b""))
    except PackageError as fault:
        faults.append(fault)
    if faults or model is None:
        raise PackageFaulty(manifest.id, faults)
    texts = {
        name.removeprefix("golden/"): data
        for name, data in files.data.items()
        if name.startswith("golden/") and name.endswith(".txt")
    }
    return ModelPackage(manifest, catalogue, model, wordings, golden, texts)


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
    files = PackageFiles(folder, manifest, data) if manifest is not None else None
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
    if files is not None:
        background = data.get(files.manifest.background_file, b"")
        checks.append(lambda: read_background(background, catalogue))
        if len(parsed) == 2:
            features, agency = parsed["features.toml"], parsed["wording.toml"]
            _wordings(files, catalogue, features, agency, faults)
    for one in checks:
        try:
            one()
        except PackageFaulty as several:
            faults += several.faults
        except PackageError as fault:
            faults.append(fault)
    return faults


def read_golden(data: bytes) -> tuple[GoldenCase, ...]:
    """The recorded cases of golden/cases.jsonl. Raises ManifestInvalid with the line."""
    found = []
    # not splitlines(): inside a text JSON allows characters that it takes for line ends
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n") if data else []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            found.append(GoldenCase(row["case"], float(row["margin"]), float(row["probability"])))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise ManifestInvalid(
                "The line is not a recorded case.",
                f"golden/cases.jsonl, line {number}",
                'Give {"case": {…}, "margin": …, "probability": …} from the training environment.',
            ) from None
    return tuple(found)


def read_background(data: bytes, catalogue: FeatureCatalogue) -> list[RawRow]:
    """The comparison rows; an empty cell is a missing value.

    Raises PackageFaulty naming the lines where a value does not fit the catalogue.
    """
    where = "background.csv"
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig", "replace")))
        names = reader.fieldnames or []
        lines = list(reader)
    except csv.Error:
        raise BackgroundInvalid(
            "The file is not a table of comma-separated values.", where, "Export it again."
        ) from None
    if sorted(names) != sorted(catalogue.names):
        raise BackgroundInvalid(
            "Its columns are not the features of the catalogue.",
            where,
            f"Give exactly: {', '.join(catalogue.names)}.",
        )
    rows: list[RawRow] = []
    faults: list[PackageError] = []
    for number, line in enumerate(lines, start=2):
        row: dict[str, Scalar | None] = {}
        if None in line:
            faults.append(
                BackgroundInvalid(
                    "The line has more cells than there are columns.",
                    f"{where}, line {number}",
                    "Check its commas.",
                )
            )
        for feature in catalogue:
            try:
                row[feature.name] = _cell(line[feature.name], feature.name, catalogue)
            except CaseError as fault:
                faults.append(
                    BackgroundInvalid(
                        fault.what, f"{where}, line {number}, {feature.name}", fault.mend
                    )
                )
        rows.append(row)
    if faults:
        raise PackageFaulty(where, faults)
    return rows


def _cell(text: str | None, name: str, catalogue: FeatureCatalogue) -> Scalar | None:
    feature = catalogue[name]
    if text is None or text == "":
        if not feature.optional:
            return feature.check(None)
        return None
    if feature.kind is Kind.CHOICE:
        return feature.check(text)
    try:
        number = float(text)
    except ValueError:
        return feature.check(text)
    return feature.check(number)


def _toml(files: PackageFiles, name: str, faults: list[PackageError]) -> dict[str, Any]:
    try:
        return parse_toml(files.data[name], name)
    except PackageError as fault:
        faults.append(fault)
        return {}


def _wordings(
    files: PackageFiles,
    catalogue: FeatureCatalogue,
    features: Mapping[str, Any],
    agency: Mapping[str, Any],
    faults: list[PackageError],
) -> dict[str, Wording]:
    wordings: dict[str, Wording] = {}
    try:
        source = source_wording(features, agency)
    except WordingIncomplete as fault:
        faults.append(fault)
        return wordings
    foreign = sorted(
        {key.split("|")[1] for key in source if key.startswith("outcome|")}
        - set(files.manifest.outcomes)
    )
    if foreign:
        faults.append(
            ManifestInvalid(
                f"There are texts for outcomes the manifest does not have: {', '.join(foreign)}.",
                "wording.toml, outcome",
                "Remove them, or correct the names in [suggestion].",
            )
        )
    missing = [
        key for key, _ in needed_keys(catalogue, files.manifest.outcomes) if key not in source
    ]
    if missing:
        faults.append(
            ManifestInvalid(
                f"{len(missing)} German texts are missing:"
                + "".join(f"\n      {key}" for key in missing)
                + "\n     ",
                "features.toml and wording.toml",
                "Write each as a label or as a whole sentence.",
            )
        )
    for tag in files.manifest.offered:
        try:
            spoken = language(tag)
            if spoken.is_source:
                check_texts(source, "features.toml and wording.toml")
                wordings[tag] = Wording(spoken, source)
                continue
            name = f"locales/{spoken.folder}/wording.po"
            wordings[tag] = translated_wording(spoken, source, files.data.get(name, b""))
        except LanguageNotOffered as fault:
            faults.append(ManifestInvalid(fault.what, f"languages.offered, {tag}", fault.mend))
        except PackageError as fault:
            faults.append(fault)
    return wordings


def _explained(files: PackageFiles, catalogue: FeatureCatalogue) -> Explained:
    manifest = files.manifest
    background = files.data[manifest.background_file]
    faults: list[PackageError] = []
    rows: list[RawRow] = []
    try:
        rows = read_background(background, catalogue)
        if len(rows) != manifest.background_rows:
            raise BackgroundInvalid(
                f"It has {len(rows)} rows where the manifest says {manifest.background_rows}.",
                manifest.background_file,
                "Correct background.rows, or restore the file.",
            )
    except PackageError as fault:
        faults += getattr(fault, "faults", (fault,))
    model: Model | None = None
    try:
        model = open_model(
            manifest.format, files.data[manifest.model_file], catalogue, manifest.positive_class
        )
        _check_stand_ins(model.stand_ins, catalogue)
    except PackageError as fault:
        faults += getattr(fault, "faults", (fault,))
    if faults or model is None:
        raise PackageFaulty(manifest.id, faults)
    return explained(model, catalogue, manifest.line, rows, hashlib.sha256(background).hexdigest())


def _check_stand_ins(of_pipeline: Mapping[str, float | str], catalogue: FeatureCatalogue) -> None:
    faults: list[PackageError] = []
    for feature in catalogue:
        if not feature.optional:
            continue
        used = of_pipeline.get(feature.name)
        if used is None:
            faults.append(
                ManifestInvalid(
                    "The model has no imputer for this feature.",
                    f"features.toml, {feature.name}",
                    "Set optional = false, or train with an imputer.",
                )
            )
        elif used != feature.stand_in:
            faults.append(
                ManifestInvalid(
                    f"The pipeline puts {used} in the place of a missing value.",
                    f"features.toml, {feature.name}.stand_in",
                    "Write that value; people are told which stand-in was used.",
                )
            )
    if faults:
        raise PackageFaulty("features.toml", faults)


def packages_in(places: Sequence[Path]) -> list[Path]:
    """Folders of packages: each place is a package itself or a folder of packages."""
    found: list[Path] = []
    for place in places:
        if (place / "manifest.toml").is_file():
            found.append(place)
        elif place.is_dir():
            found += sorted(p.parent for p in place.glob("*/manifest.toml"))
    return found
