"""Backup and restore: what was put back is what was sealed, is not too old, and forgets again.

A backup is a folder: database, every package, the public halves of the keys. The key store is a
file apart, with a short life: whoever has both, and the wrapping key, can read everything.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from explainer.errors import BackupRefused, ExplainerError, LogBehindWitness
from explainer.ledger.durable import whole_folder
from explainer.ledger.entries import Entry, EntryKind, minute
from explainer.ledger.log import LogName
from explainer.ledger.sealing import seal_actor
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
from service.erasing import check_two
from service.settings import Settings
from service.store.copies import (
    cases_left_sealed,
    copy_database,
    copy_keys,
    open_cases,
    put_keys_back,
    seal_cases,
)
from service.store.keys import KeyStore
from service.store.records import record_system
from service.wiring import open_ledger, sealer_of

DATABASE, CONTENTS = "warum.sqlite", "backup.json"
KEPT_ELSEWHERE = ("wrap.key", *(f"seals/{name.value}/signing.key" for name in LogName))


@dataclass(frozen=True, slots=True)
class BackedUp:
    """How many entries each log has in a backup."""

    sizes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back, and the entry that says so."""

    sizes: dict[str, int]
    made_on: str
    entry: int


def back_up(where: Settings, out: Path, now: datetime) -> BackedUp:
    """Write the folder `out`, while the service runs or not; whole and verified, or not at all.

    Raises BackupRefused where the records do not verify: such a backup would help nobody.
    """
    if where.database:
        raise BackupRefused(
            "The records are on PostgreSQL, which has its own means.",
            "WARUM_DATABASE",
            "Use pg_dump or a base backup; --keys copies the key store.",
        )
    try:
        with whole_folder(out, BackupRefused) as draft:
            keys = _keys(where.data)
            known = _known(where, keys)  # before the copy, which may then only be longer
            copy_database(where.data / DATABASE, draft / DATABASE)
            with closing(_case_keys(where.data)) as case_keys:
                seal_cases(draft / DATABASE, case_keys)
            # after the database: every package it speaks of is there by then
            for path in ("packages", *(f"seals/{name.value}/verifier.key" for name in LogName)):
                _copy(where.data / path, draft / path)
            _copy(where.data / "resolver.pub", draft / "resolver.pub")
            results = verify_database(draft / DATABASE, keys, known)
            _check_clean(results, where.data)
            sizes = {result.log: result.size for result in results}
            contents = {
                "v": 1,
                "tenant": where.tenant,
                "made_on": minute(now)[:10],
                "sizes": sizes,
                "files": _digests(draft),
            }
            (draft / CONTENTS).write_text(json.dumps(contents, indent=1, sort_keys=True))
    except Unusable as fault:
        raise BackupRefused(str(fault), str(where.data), "Verify: `warum ledger verify`.") from None
    return BackedUp(sizes)


def back_up_keys(where: Settings, out: Path, now: datetime) -> date:
    """Copy the key store to the file `out`; returns the day this copy has to be destroyed."""
    expires = now.date() + timedelta(days=where.key_backup_days)
    if out.exists():
        raise BackupRefused("It is there already.", str(out), "Name a file that is not.")
    try:
        copy_keys(where.data / "keys.sqlite", out, now.date(), expires)
    except ExplainerError:
        out.unlink(missing_ok=True)
        raise
    return expires


def restore(
    where: Settings,
    source: Path,
    key_copy: Path | None,
    checkpoints: Sequence[Path],
    approvers: Sequence[str],
    now: datetime,
) -> Restored:
    """Put the backup `source` into the data folder, which has no database.

    Refused unless the backup is whole, verifies, and is no older than any checkpoint kept outside
    of it; at least one has to be there. Erasures are done again before anything else can read,
    and the restore is an entry of its own. Raises BackupRefused, LogBehindWitness, LogForked.
    """
    check_two(approvers)
    data = where.data
    where = replace(where, database="")
    _check_place(data, key_copy)
    made_on = _check_contents(source, where.tenant)
    sealers = [sealer_of(data, where.tenant, name)[0] for name in LogName]
    keys = _keys(source)
    if [str(sealer.key) for sealer in sealers] != [_verifier(source, name) for name in LogName]:
        raise BackupRefused(
            "The backup was sealed with other keys than those of this data folder.",
            str(source),
            "Put the signing keys back that belong to it.",
        )
    try:
        outside = [*_known(where, keys), *read_outside(checkpoints, keys)]
        results = verify_database(source / DATABASE, keys, outside)
    except Unusable as fault:
        raise BackupRefused(str(fault), str(source), "Name a backup and its checkpoints.") from None
    _check_not_older(results, outside)
    _check_clean(results, source)
    placed: list[Callable[[], None]] = []
    try:
        _place(source, key_copy, data, now.date(), placed)
        with closing(_case_keys(data)) as case_keys:
            open_cases(data / DATABASE, case_keys)
        with closing(open_ledger(where)) as ledger:  # guards, and does erasures again
            if left := cases_left_sealed(data / DATABASE):
                raise BackupRefused(
                    f"The key store has no key for {left} cases of the backup.",
                    str(source),
                    "Use a copy of the keys that was made together with the backup, or after it.",
                )
            with ledger.store.transaction(now) as tx:
                receipt = record_system(
                    tx,
                    Entry(
                        EntryKind.RESTORE,
                        {
                            "made_on": made_on,
                            "sizes": {result.log: result.size for result in results},
                            "approvers": [seal_actor(ledger.resolver, one) for one in approvers],
                        },
                    ),
                )
            ledger.seal()
    except BaseException:
        for undo in reversed(placed):
            undo()
        raise
    return Restored({result.log: result.size for result in results}, made_on, receipt.seq)


def _check_place(data: Path, key_copy: Path | None) -> None:
    for path in data.glob(f"{DATABASE}*"):
        raise BackupRefused(
            "There is a database already.",
            str(path),
            "Move it away, and keep it: it may be evidence.",
        )
    for name in KEPT_ELSEWHERE:
        if not (data / name).is_file():
            raise BackupRefused(
                "A key is missing that is in no backup.",
                str(data / name),
                "Put it back from where it is kept.",
            )
    there = (data / "keys.sqlite").is_file()
    if there == (key_copy is not None):
        raise BackupRefused(
            "There is a key store already." if there else "There is no key store.",
            str(data / "keys.sqlite"),
            "Leave --keys out." if there else "Name the copy of it with --keys.",
        )


def _check_contents(source: Path, tenant: str) -> str:
    """Compare every file with its digest; returns the day the backup was made."""
    try:
        contents = json.loads((source / CONTENTS).read_text("utf-8"))
        files, made_on = dict(contents["files"]), date.fromisoformat(contents["made_on"])
        of = str(contents["tenant"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupRefused(
            "This is no whole backup.", str(source), "`warum ledger backup` makes one."
        ) from None
    if of != tenant:
        raise BackupRefused(f"It is the backup of {of}.", str(source), "Set WARUM_TENANT.")
    found = _digests(source)
    found.pop(CONTENTS, None)
    for name in sorted(files.keys() | found.keys()):
        if files.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not as it was written"
            raise BackupRefused(
                f"A file of the backup {what}.", str(source / name), "Use another copy of it."
            )
    return made_on.isoformat()


def _known(where: Settings, keys: Sequence[Key]) -> list[Checkpoint]:
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


def _check_not_older(results: Sequence[Result], outside: Sequence[Checkpoint]) -> None:
    if not outside:
        raise BackupRefused(
            "No checkpoint kept outside is here: nothing shows whether the backup is too old.",
            "--checkpoint",
            "Name one that a witness, an e-file or a receipt holder has.",
        )
    for result in results:
        sizes = [one.size for one in outside if one.origin.endswith(f"/{result.log}")]
        if max(sizes, default=0) > result.size:
            raise LogBehindWitness(
                f"The backup has {result.size} entries, {max(sizes)} were sealed since: putting it "
                "back would cut off the rest, erasures among it.",
                f"the log {result.log}",
                "Use a newer backup. This one can still be verified where it lies.",
            )


def _check_clean(results: Sequence[Result], where: Path) -> None:
    for result in results:
        if result.first_bad is not None:
            raise BackupRefused(
                f"It does not verify. {result.first_bad.what}",
                f"{where}, the log {result.log}, entry {result.first_bad.seq}",
                "`warum ledger verify` says more.",
            )


def _place(
    source: Path, key_copy: Path | None, data: Path, today: date, undo: list[Callable[[], None]]
) -> None:
    try:
        for folder in sorted((source / "packages").iterdir()):
            target = data / "packages" / folder.name
            if not target.exists():
                _copy(folder, target)
        if not (data / "resolver.pub").exists():
            _copy(source / "resolver.pub", data / "resolver.pub")
    except OSError as fault:
        raise BackupRefused(
            f"It cannot be put back ({fault.strerror}).", str(data), "Check disk and rights."
        ) from None
    for name in ("keys.sqlite", DATABASE):
        target = data / name
        if name == DATABASE or key_copy is not None:
            undo.append(lambda target=target: _remove(target))  # type: ignore[misc]
        if name == DATABASE:
            copy_database(source / DATABASE, target)
        elif key_copy is not None:
            put_keys_back(key_copy, target, today)


def _remove(database: Path) -> None:
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()


def _case_keys(data: Path) -> KeyStore:
    return KeyStore.open(data / "keys.sqlite", data / "wrap.key")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _keys(folder: Path) -> list[Key]:
    return [read_key(_verifier(folder, name)) for name in LogName]


def _verifier(folder: Path, name: LogName) -> str:
    return (folder / "seals" / name.value / "verifier.key").read_text("ascii").strip()


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
