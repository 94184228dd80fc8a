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
    sync(path.parent)


def sync(path: Path) -> None:
    """Force a file to disk, or the names in a folder: a new file may be there without one."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_folder(folder: Path, refused: type[LedgerError]) -> Iterator[Path]:
    """A draft to write into; it becomes `folder` when the block was left, and else leaves nothing.

    Raises `refused` where the folder is there already, cannot be written, or is being written by
    somebody else.
    """
    if folder.exists():
        raise refused("It is there already.", str(folder), "Name a folder that is not.")
    draft = folder.with_name(f".{folder.name}.draft")
    try:
        draft.mkdir(parents=True, exist_ok=True)
        with _alone_in(draft) as alone:
            if not alone:
                raise refused("It is being written.", str(folder), "Wait, or name another folder.")
            try:
                _empty(draft)  # of an attempt that was killed
                yield draft
                for written in (*draft.rglob("*"), draft):
                    sync(written)  # before the name: a power cut must not leave half of it there
                draft.rename(folder)
                sync(folder.parent)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as fault:
        raise refused(
            f"It cannot be written ({fault.strerror}).", str(folder), "Check disk and rights."
        ) from None


@contextmanager
def _alone_in(folder: Path) -> Iterator[bool]:
    """Whether nobody else holds this folder; who is killed holds it no more."""
    import fcntl  # there is none on Windows, where nothing of this is run

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # it may have been finished, and got its name, before it was locked here
            alone = folder.exists() and os.path.samestat(os.fstat(handle), folder.stat())
        except BlockingIOError:
            alone = False
        except OSError:
            alone = True  # a share without locks; there it is as it was
        yield alone
    finally:
        os.close(handle)


def _empty(folder: Path) -> None:
    for one in folder.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()
