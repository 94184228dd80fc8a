"""Make a package: a skeleton around an artefact, and the digests of its files."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from explainer.errors import ArtefactRefused, ManifestInvalid, PackageNotFound
from explainer.families import FORMATS
from explainer.families.artefacts import read_once, refuse_programs
from explainer.families.inspect import inspected
from explainer.packages import skeleton
from explainer.packages.converted import read_converted
from explainer.packages.manifest import FILE_NAME
from explainer.packages.package import UNLISTED
from explainer.packages.wordings import in_work
from explainer.text.languages import all_languages

_FILES = re.compile(r"^\[files\][ \t]*(?:#[^\n]*)?\r?\n.*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)

ENDINGS = {
    ".skops": "skops",
    ".ubj": "xgboost-ubj",
    ".txt": "lightgbm-txt",
    ".cbm": "catboost-cbm",
    ".onnx": "onnx",
}
"""What an ending is taken for when a skeleton is made; from then on the manifest says it. A .json
may be of three formats."""


def seal(folder: Path) -> int:
    """Write the digest of every file into the manifest; returns how many files there are.

    Only the table [files] is rewritten; everything else a person wrote stays as it is. The
    manifest is replaced in one step, so that an interruption leaves the old one.
    """
    path = folder / "manifest.toml"
    try:
        text = read_once(path).decode()
    except OSError as fault:
        raise PackageNotFound(
            f"There is no readable manifest.toml ({fault.strerror}).",
            str(folder),
            "Name the folder of a package.",
        ) from None
    except UnicodeDecodeError:
        raise ManifestInvalid(
            "The file is not UTF-8 text.", "manifest.toml", "Save it as UTF-8."
        ) from None
    lines = ["[files]"]
    names = sorted(
        found.relative_to(folder).as_posix()
        for found in folder.rglob("*")
        if found.is_file() and not found.is_symlink()
    )
    offered = _offered(text)
    names = [name for name in names if name not in UNLISTED and not in_work(name, offered)]
    unfit = [name for name in names if not FILE_NAME.fullmatch(name) or ".." in name]
    if unfit:
        raise ManifestInvalid(
            f"The manifest cannot name {len(unfit)} files: {', '.join(map(ascii, unfit))}.",
            str(folder),
            "Remove them, or use letters, digits and _ . - in their names, with no dot in front.",
        )
    for name in names:
        data = read_once(folder / name)
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f'"{name}" = {{ sha256 = "{digest}", size = {len(data)} }}')
    table = "\n".join(lines) + "\n"
    if _FILES.search(text):
        text = _FILES.sub(lambda _: table, text, count=1)
    else:
        text = text.rstrip("\n") + "\n\n" + table
    replace(path, text.encode())
    return len(names)


def _offered(manifest: str) -> list[str]:
    """The languages a manifest offers; all there are where it cannot be read."""
    try:
        return [str(tag) for tag in tomllib.loads(manifest)["languages"]["offered"]]
    except (tomllib.TOMLDecodeError, KeyError, TypeError):
        return list(all_languages())


def replace(path: Path, data: bytes) -> None:
    """Replace a file as a whole: never half-written, also on a full disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def write_new(path: Path, data: bytes) -> None:
    """Write a file that is not there yet. Raises ManifestInvalid if another one is."""
    if path.exists() and path.read_bytes() != data:
        raise ManifestInvalid(
            "There is another file of this name.", str(path), "Name a file that is not there yet."
        )
    replace(path, data)


def new_package(folder: Path, artefact: Path, declared: str | None = None) -> list[str]:
    """Write a skeleton package around `artefact`; returns the names of the inputs it found.

    Nothing is left behind if it fails. Raises ManifestInvalid if `folder` is not empty, and
    ArtefactRefused for a model that cannot be opened.
    """
    identifier = _identifier(folder)
    data = _model(artefact)
    declared = declared or _format(artefact, data)
    found = inspected(declared, data)
    draft = skeleton.of_model(identifier, declared, f"model{_ending(declared)}", found)
    _write(folder, {**draft, f"model{_ending(declared)}": data})
    return [column.name for column in found.inputs]


def converted_package(folder: Path, made: Path) -> list[str]:
    """Write the package around what the converter left in the folder `made`; the same otherwise.

    What the converter says is compared with the model's own file.
    """
    identifier = _identifier(folder)
    facts = read_converted(made)
    data = _model(made / facts.file)
    found = inspected(facts.format, data)
    facts.check(found)
    draft = skeleton.of_converted(identifier, facts, found)
    _write(folder, {**draft, **_rows(made), facts.file: data})
    return [column.name for column in facts.inputs]


def _identifier(folder: Path) -> str:
    if folder.exists() and any(folder.iterdir()):
        raise ManifestInvalid(
            "The folder is not empty.", str(folder), "Name a folder that does not exist yet."
        )
    identifier = re.sub(r"[^a-z0-9_]+", "_", folder.resolve().name.lower()).strip("_")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", identifier):
        raise ManifestInvalid(
            "The folder's name becomes the id of the package and does not fit.",
            folder.name,
            "Use small letters, digits and _, beginning with a letter.",
        )
    return identifier


def _model(artefact: Path) -> bytes:
    try:
        return read_once(artefact)
    except OSError as fault:
        raise ArtefactRefused(
            f"The artefact cannot be read ({fault.strerror}).", artefact.name, "Check the path."
        ) from None


def _format(artefact: Path, data: bytes) -> str:
    if artefact.suffix in ENDINGS:
        return ENDINGS[artefact.suffix]
    refuse_programs(data)
    raise ArtefactRefused(
        "The name of the file does not say its format.",
        artefact.name,
        f"Add --format with one of: {', '.join(FORMATS)}.",
    )


def _ending(declared: str) -> str:
    return next((ending for ending, name in ENDINGS.items() if name == declared), ".json")


def _rows(made: Path) -> dict[str, bytes]:
    rows: dict[str, bytes] = {}
    for name in ("background.csv", "golden/cases.jsonl"):
        try:
            rows[name] = read_once(made / name)
        except OSError as fault:
            raise ArtefactRefused(
                f"The file cannot be read ({fault.strerror}).",
                name,
                "Name the folder the converter wrote, whole.",
            ) from None
    return rows


def _write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """All files at once, sealed; the folder is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-package-") as made:
        draft = Path(made) / "package"
        for name, content in files.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            (draft / name).write_bytes(data)
        seal(draft)
        if folder.exists():
            folder.rmdir()
        shutil.move(draft, folder)
