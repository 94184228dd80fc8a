"""Backup: one moment of the records as a folder, from either database; verified, or not made.

A backup is a folder: database, every package, the public halves of the keys. The key store is a
file apart, with a short life: whoever has both, and the wrapping key, can read everything.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from explainer.core.days import local_day
from explainer.errors import BackupRefused, ExplainerError
from explainer.ledger.durable import whole_folder, write_new
from explainer.ledger.log import LogName
from explainer.ledger.verify import (
    Checkpoint,
    Key,
    Result,
    Unusable,
    Wrong,
    read_key,
    read_note,
    read_outside,
    verify_database,
)
from service.settings import Settings
from service.store.cases import unopened
from service.store.copies import copy_keys
from service.store.database import Store
from service.store.snapshot import Told, copy_records, open_copy

DATABASE, CONTENTS = "warum.sqlite", "backup.json"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """How many entries each log has in a backup, and the ids of cases that are damaged in it."""

    sizes: dict[str, int]
    damaged: tuple[str, ...] = ()


def quiet(what: str, done: int, total: int) -> None:
    """Told how far it is, say nothing."""


def back_up(where: Settings, out: Path, now: datetime, told: Told = quiet) -> BackedUp:
    """Write the folder `out`, while the service runs or not; whole and verified, or not at all.

    A case that does not open keeps nobody from a backup of the others. It is noted: a restore takes
    no other damaged case for one that was damaged before.

    Raises BackupRefused where the records do not verify: such a backup would help nobody.
    """
    try:
        with (
            closing(Store.examine(where.data, where.database)) as store,
            whole_folder(out, BackupRefused) as draft,
        ):
            keys = keys_in(where.data)
            known = known_outside(where, keys)  # before the copy, which may then only be longer
            copy_records(store, draft / DATABASE, told)
            # after the database: every package it speaks of is there by then
            for path in ("packages", *(f"seals/{name.value}/verifier.key" for name in LogName)):
                copy(where.data / path, draft / path)
            copy(where.data / "resolver.pub", draft / "resolver.pub")
            told("verifying", 0, 1)
            results = verify_database(draft / DATABASE, keys, known)
            check_clean(results, where.data)
            damaged = _damaged(where, draft / DATABASE)
            sizes = {result.log: result.size for result in results}
            contents = {
                "v": 1,
                "tenant": where.tenant,
                "made_on": local_day(now).isoformat(),
                "sizes": sizes,
                "damaged": damaged,
                "files": digests_in(draft),
            }
            write_new(draft / CONTENTS, json.dumps(contents, indent=1, sort_keys=True).encode())
    except Unusable as fault:
        raise BackupRefused(str(fault), str(where.data), "Verify: `warum ledger verify`.") from None
    return BackedUp(sizes, damaged)


def _damaged(where: Settings, copied: Path) -> tuple[str, ...]:
    wrapping = where.data / "wrap.key"
    with (
        closing(open_copy(copied, where.data / "keys.sqlite", wrapping, where.tenant)) as store,
        store.reading() as tx,
    ):
        return unopened(tx)


def back_up_keys(where: Settings, out: Path, now: datetime) -> date:
    """Copy the key store to the file `out`; returns the day this copy has to be destroyed."""
    expires = local_day(now) + timedelta(days=where.key_backup_days)
    if out.exists():
        raise BackupRefused("It is there already.", str(out), "Name a file that is not.")
    try:
        copy_keys(where.data / "keys.sqlite", out, local_day(now), expires)
    except ExplainerError:
        out.unlink(missing_ok=True)
        raise
    return expires


def known_outside(where: Settings, keys: Sequence[Key]) -> list[Checkpoint]:
    """What the sealer remembers and the witness folder keeps; neither is in the database."""
    witness = where.data / "witness"
    known = read_outside([witness] if any(witness.rglob("*.note")) else [], keys)
    for name, key in zip(LogName, keys, strict=True):
        memory = where.data / "seals" / name.value / "last.note"
        if memory.is_file():
            try:
                known.append(read_note(memory.read_bytes(), key, outside=True))
            except Wrong as wrong:
                raise Unusable(f"The sealer's memory {memory} is not good. {wrong}") from None
    return known


def check_clean(results: Sequence[Result], where: Path) -> None:
    """Raise BackupRefused where anything does not verify."""
    for result in results:
        if result.first_bad is not None:
            raise BackupRefused(
                f"It does not verify. {result.first_bad.what}",
                f"{where}, the log {result.log}, entry {result.first_bad.seq}",
                "`warum ledger verify` says more.",
            )


def keys_in(folder: Path) -> list[Key]:
    """The verifier keys of both logs, of a data folder or of a backup."""
    return [read_key(verifier_in(folder, name)) for name in LogName]


def verifier_in(folder: Path, name: LogName) -> str:
    """The verifier key of one log as it is written."""
    return (folder / "seals" / name.value / "verifier.key").read_text("ascii").strip()


def digests_in(folder: Path) -> dict[str, str]:
    """Digest of every file of a backup, by its path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def copy(source: Path, target: Path) -> None:
    """Copy a file or a folder; the way to it is made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
