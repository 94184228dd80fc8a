"""Files that are either there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from explainer.errors import LedgerError


def write_new(path: Path, data: bytes, *, exclusive: bool = False) -> None:
    """Write `data` to `path` in one step, readable by its owner only, and make it durable.

    The bytes go to a file beside it first, are forced to disk, and get their name last. With
    `exclusive`, FileExistsError is raised if somebody else was first; nothing is overwritten.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if exclusive:
            os.link(draft, path)
        else:
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _keep_names(path.parent)


def _keep_names(folder: Path) -> None:
    """Force the names in a folder to disk; without that a new file may be there without one."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_folder(folder: Path, refused: type[LedgerError]) -> Iterator[Path]:
    """A draft to write into; it becomes `folder` when the block was left, and else leaves nothing.

    Raises `refused` where the folder is there already, or cannot be written.
    """
    if folder.exists():
        raise refused("It is there already.", str(folder), "Name a folder that is not.")
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)  # of an attempt that was killed
    try:
        draft.mkdir(parents=True)
        yield draft
        draft.rename(folder)
        _keep_names(folder.parent)
    except OSError as fault:
        raise refused(
            f"It cannot be written ({fault.strerror}).", str(folder), "Check disk and rights."
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
