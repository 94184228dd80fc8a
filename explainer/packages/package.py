"""A model package: all its parts under one digest, read once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from explainer.core.case import FeatureCatalogue
from explainer.core.disclosure import Disclosure
from explainer.core.explanation import PackageIdentity
from explainer.errors import (
    ArtefactChanged,
    ArtefactRefused,
    BackgroundInvalid,
    LanguageNotOffered,
    ManifestInvalid,
    ModelFailed,
    PackageError,
    PackageFaulty,
    PackageNotFound,
)
from explainer.families.apart import open_apart
from explainer.families.artefacts import check_unchanged, read_once, refuse_programs
from explainer.families.attribute import Explained, explained
from explainer.families.limits import ComparableRows
from explainer.families.model import Model, RawRow
from explainer.packages.features import read_features
from explainer.packages.manifest import Manifest, read_manifest
from explainer.packages.rows import GOLDEN, GoldenCase, read_background, read_golden
from explainer.packages.toml_table import parse_toml
from explainer.packages.wordings import in_work, read_wordings
from explainer.text.catalogs import catalog
from explainer.text.languages import Language
from explainer.text.voice import Voice
from explainer.text.wording import Wording

UNLISTED = {"manifest.toml"}
NEEDED = ("features.toml", "wording.toml", "CARD.md")
"""Beside the model and the comparison group. Nobody can judge a model without its card."""

PLACES = re.compile(
    r"[A-Za-z0-9_][^/]*\.(toml|csv|jsonl?|txt|md|sig|skops|ubj|cbm|onnx)"
    r"|golden/[^/.][^/]*\.(jsonl?|txt|md)"
    r"|locales/[A-Za-z0-9_@-]+/[^/.][^/]*\.po"
)
"""What a package consists of. A file that no part reads is not carried along: some library may."""


@dataclass(frozen=True)
class ModelPackage:
    """An open package. Everything in it was hashed before it was parsed."""

    manifest: Manifest
    catalogue: FeatureCatalogue
    explained: Explained
    comparable: ComparableRows
    wordings: Mapping[str, Wording]
    stopped: Mapping[str, PackageError]
    """Languages it offers and cannot speak, and why not."""
    golden: tuple[GoldenCase, ...]
    recorded_texts: Mapping[str, bytes]

    @property
    def identity(self) -> PackageIdentity:
        return self.manifest.identity

    @property
    def disclosure(self) -> Disclosure:
        return Disclosure(self.manifest.limits.as_of, self.manifest.policy.nearness)

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
        """Product and package words in one language, together or not at all; the same each time."""
        voice = self._voices.get((spoken, staff))
        if voice is None:
            voice = self._voices[spoken, staff] = Voice(
                spoken,
                catalog(spoken, staff=staff),
                self.wording(spoken),
                self.catalogue,
                self.manifest.suggesting,
                self.manifest.artificial_intelligence,
            )
        return voice

    @cached_property
    def _voices(self) -> dict[tuple[Language, bool], Voice]:
        return {}


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
            _refuse_programs(name, data[name])
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
        if not in_work(name, manifest.offered)
    )
    faults.extend(
        ArtefactRefused(
            "A package has no place for such a file.",
            name,
            "Remove it, then run `warum package seal`.",
        )
        for name in sorted(set(manifest.files))
        if not PLACES.fullmatch(name)
    )
    needed = (*NEEDED, manifest.model_file, manifest.background_file)
    faults.extend(
        ManifestInvalid("The file is not there.", name, "Add it to the package.")
        for name in needed
        if name not in manifest.files
    )
    if faults:
        raise PackageFaulty(manifest.id, faults)
    return PackageFiles(folder, manifest, data)


def _refuse_programs(name: str, data: bytes) -> None:
    try:
        refuse_programs(data)
    except ArtefactRefused as fault:
        raise ArtefactRefused(fault.what, name, fault.mend) from None


def open_package(folder: Path, admitted_in: Collection[str] = ()) -> ModelPackage:
    """Read, check and open the package in `folder`.

    `admitted_in` are the languages in which it was admitted before: words that were banned since
    take nothing away that was admitted. All else is checked as of a new one.

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
    stopped: dict[str, PackageError] = {}
    wordings = read_wordings(
        manifest, files.data, catalogue, features, agency, faults, stopped, admitted_in
    )
    model: Explained | None = None
    rows: list[RawRow] = []
    try:
        model, rows = _explained(files, catalogue)
    except PackageFaulty as several:
        faults += several.faults
    except PackageError as fault:
        faults.append(fault)
    golden: tuple[GoldenCase, ...] = ()
    try:
        golden = read_golden(files.data.get(GOLDEN, b""))
    except PackageFaulty as several:
        faults += several.faults
    if faults or model is None:
        raise PackageFaulty(manifest.id, faults)
    texts = {
        name.removeprefix("golden/"): data
        for name, data in files.data.items()
        if name.startswith("golden/") and name.endswith(".txt")
    }
    comparable = ComparableRows(rows, catalogue, model.weights)
    return ModelPackage(manifest, catalogue, model, comparable, wordings, stopped, golden, texts)


def _toml(files: PackageFiles, name: str, faults: list[PackageError]) -> dict[str, Any]:
    try:
        return parse_toml(files.data[name], name)
    except PackageError as fault:
        faults.append(fault)
        return {}


def _explained(files: PackageFiles, catalogue: FeatureCatalogue) -> tuple[Explained, list[RawRow]]:
    """The model beside its comparison group, and the rows of that."""
    manifest = files.manifest
    background = files.data[manifest.background_file]
    faults: list[PackageError] = []
    rows: list[RawRow] = []
    weights: list[float] | None = None
    try:
        read = read_background(background, catalogue, weight=manifest.background_weight)
        rows, weights = read.rows, read.weights
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
        model = open_apart(
            manifest.format, files.data[manifest.model_file], catalogue, manifest.target
        )
        _check_missing(model, catalogue, rows)
        if model.space is not manifest.space:
            raise ManifestInvalid(
                f"The margin of this model is measured in {model.space}.",
                "manifest.toml, model.space",
                f'Write space = "{model.space}", and the threshold on that scale.',
            )
    except PackageError as fault:
        faults += getattr(fault, "faults", (fault,))
    if faults or model is None:
        raise PackageFaulty(manifest.id, faults)
    digest = hashlib.sha256(background).hexdigest()
    return explained(model, catalogue, manifest.suggesting, rows, digest, weights), rows


def _check_missing(model: Model, catalogue: FeatureCatalogue, rows: Sequence[RawRow]) -> None:
    """What may be missing has the stand-in the model uses, or a model that takes it as it is."""
    faults: list[PackageError] = []
    for feature in catalogue:
        if not feature.optional:
            continue
        used = model.stand_ins.get(feature.name)
        where = f"features.toml, {feature.name}"
        if used is not None and used != feature.stand_in:
            faults.append(
                ManifestInvalid(
                    f"The model puts {used} in the place of a missing value.",
                    f"{where}.stand_in",
                    "Write that value; people are told which stand-in was used.",
                )
            )
        elif used is None and feature.stand_in is not None:
            faults.append(
                ManifestInvalid(
                    "The model has no imputer for this feature.",
                    f"{where}.stand_in",
                    "Remove it if the model takes missing values as they are. Otherwise set "
                    "optional = false, or train with an imputer.",
                )
            )
        elif used is None and (said := _refuses_without(feature.name, model, rows)):
            faults.append(
                ManifestInvalid(
                    "The model has no stand-in for this feature and gives no answer without it. "
                    f"{said}",
                    where,
                    "Set optional = false, or train with gaps or with an imputer.",
                )
            )
    if faults:
        raise PackageFaulty("features.toml", faults)


def _refuses_without(name: str, model: Model, rows: Sequence[RawRow]) -> str:
    """What the model says to a row that lacks this value, and to no whole row; else nothing.

    Raises BackgroundInvalid where it does not answer for the row as it is either: then it is not
    the gap that it fails on.
    """
    whole = next((row for row in rows if row[name] is not None), None)
    if whole is None:
        return ""
    gap = {**whole, name: None}
    if not _fault(model, gap):
        return ""
    if fault := _fault(model, whole):
        raise BackgroundInvalid(
            f"The model does not answer for the comparison group. {fault.what}",
            fault.where,
            fault.mend,
        )
    again = _fault(model, gap)  # an endpoint may have been away for a moment
    return again.what if again else ""


def _fault(model: Model, row: RawRow) -> ModelFailed | None:
    try:
        model.answer([row])
    except ModelFailed as fault:
        return fault
    return None
