"""Bytes of a model: what is accepted, what is refused by name, and the way out.

This is one of the four files that carry a property of the whole product: nothing in a package is
executed. A file is read once; what was hashed is what is parsed.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactChanged, ArtefactRefused
from explainer.families import FORMATS
from explainer.families.model import Input, Model, Target, inputs_of

LARGEST = 256 * 1024 * 1024
"""Bytes of the largest file that is read. A proposal; ample for the models seen in agencies."""

REFUSED_FORMATS = {
    "pickle",
    "joblib",
    "dill",
    "cloudpickle",
    "mlflow-pyfunc",
    "pmml",
    "keras",
}

WAY_OUT = (
    "Run the file that `warum convert` writes where the model was trained, or save it there in its "
    "library's own format; a pickle is a program, and no scanner makes it safe."
)


class _Format(Protocol):
    @staticmethod
    def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> Model: ...


def read_once(path: Path) -> bytes:
    """The bytes of a regular file, read once; links are not followed.

    Raises ArtefactRefused for links, devices, files over LARGEST and those that grow meanwhile;
    OSError stays the caller's.
    """
    try:
        # O_NONBLOCK: a named pipe must be refused below, not waited for
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as fault:
        if fault.errno == errno.ELOOP:
            raise ArtefactRefused(
                "Links are not followed.", path.name, "Put the file itself there."
            ) from None
        raise
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise ArtefactRefused("Not a regular file.", path.name, "Put the file itself there.")
    with os.fdopen(handle, "rb") as file:
        if facts.st_size > LARGEST:
            raise ArtefactRefused(
                f"The file has {facts.st_size} bytes; {LARGEST} are allowed.",
                path.name,
                "Use a smaller model.",
            )
        # one more than there was: somebody may write into it meanwhile, without an end
        data = file.read(facts.st_size + 1)
    if len(data) > facts.st_size:
        raise ArtefactRefused(
            "The file grew while it was read.", path.name, "Try again once it is written."
        )
    return data


def check_unchanged(name: str, data: bytes, sha256: str, size: int) -> None:
    """Raise ArtefactChanged unless these are the bytes the manifest names."""
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise ArtefactChanged(
            "The file is not the one the manifest names.",
            name,
            "Restore it; or, if you changed it on purpose, run `warum package seal`.",
        )


def open_model(declared: str, data: bytes, catalogue: FeatureCatalogue, target: Target) -> Model:
    """Parse a model of the format the manifest declares, in this process.

    The format is never guessed. Raises ArtefactRefused.
    """
    return parse(declared, data, inputs_of(catalogue), target)


def parse(declared: str, data: bytes, inputs: Sequence[Input], target: Target) -> Model:
    """The same, given what of the catalogue a model needs to know."""
    check_declared(declared, data)
    return library_of(declared).open_model(data, inputs, target)


def check_declared(declared: str, data: bytes) -> None:
    """Raise ArtefactRefused for a format that is not loaded, and for bytes that are a program."""
    if declared in REFUSED_FORMATS:
        raise ArtefactRefused(f"Models of format {declared} are not loaded.", "model", WAY_OUT)
    if declared not in FORMATS:
        raise ArtefactRefused(
            "The format is not known.", "model.format", f"Known are: {', '.join(FORMATS)}."
        )
    refuse_programs(data)


def library_of(declared: str) -> _Format:
    """The module that opens models of this format; loads the library that trained them."""
    module: _Format = importlib.import_module(FORMATS[declared])  # type: ignore[assignment]
    return module


def refuse_programs(data: bytes) -> None:
    """Raise ArtefactRefused, with the way out, for bytes that begin as a pickle does."""
    if data[:1] == b"\x80" or data[:2] in (b"\x78\x9c", b"\x78\x01", b"\x78\xda"):
        # protocol 2 and later of pickle, plain or compressed as joblib does
        raise ArtefactRefused("This is a pickle or joblib file.", "model", WAY_OUT)
