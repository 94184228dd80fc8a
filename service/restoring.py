"""Restore: what was put back is what was sealed, is not too old, and forgets again.

Everything is done on a copy beside the data folder's own files, erasures and the entry about the
restore among it. Only then it gets its place, in one step: the file its name on SQLite, one
transaction on PostgreSQL. Who is stopped before that can begin anew; who is stopped after it was
done.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from explainer.core.days import local_day
from explainer.errors import BackupRefused, LogBehindWitness, StorageFailed
from explainer.ledger.durable import sync
from explainer.ledger.entries import Entry, EntryKind, Json
from explainer.ledger.log import LogName
from explainer.ledger.sealing import seal_actor
from explainer.ledger.verify import (
    Checkpoint,
    Result,
    Unusable,
    read_outside,
    verify_database,
)
from service.backup import (
    CONTENTS,
    DATABASE,
    check_clean,
    copy,
    digests_in,
    keys_in,
    known_outside,
    quiet,
    verifier_in,
)
from service.erasing import check_two
from service.settings import Settings
from service.store import snapshot
from service.store.cases import unopened
from service.store.copies import copy_database, put_in_place, put_keys_back
from service.store.database import Reading, Store
from service.store.erasure import finish_erasures
from service.store.key_check import cases_without_key, check_keys
from service.store.records import record_system
from service.store.seals import guard
from service.wiring import open_ledger, sealer_of

KEYS = "keys.sqlite"
DRAFT = ".restore.draft"
KEPT_ELSEWHERE = ("wrap.key", *(f"seals/{name.value}/signing.key" for name in LogName))


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back, the entry that says so, and the ids of cases that came back damaged."""

    sizes: dict[str, int]
    made_on: str
    entry: int
    damaged: tuple[str, ...] = ()


def restore(
    where: Settings,
    source: Path,
    key_copy: Path | None,
    checkpoints: Sequence[Path],
    approvers: Sequence[str],
    now: datetime,
    *,
    owner: str = "",
    told: snapshot.Told = quiet,
) -> Restored:
    """Put the backup `source` into an installation that has no records.

    On PostgreSQL (`where.database`) the rows go in with the role of `owner`, an address of the same
    database. Refused unless the backup is whole, verifies, and is no older than any checkpoint kept
    outside of it; at least one has to be there. Erasures are done again before anything else can
    read, and the restore is an entry of its own. Raises BackupRefused, LogBehindWitness, LogForked,
    StorageFailed.
    """
    check_two(approvers)
    draft = where.data / DRAFT
    shutil.rmtree(draft, ignore_errors=True)  # of an attempt that was killed, even if it was done
    _check_place(where, owner, key_copy)
    made_on, damaged = _check_contents(source, where.tenant)
    told("verifying", 0, 1)
    results = _verified(where, source, checkpoints)
    sizes = {result.log: result.size for result in results}
    try:
        draft.mkdir(mode=0o700)
        copy_database(source / DATABASE, draft / DATABASE)
        if key_copy is not None:
            put_keys_back(key_copy, draft / KEYS, local_day(now))
        said: dict[str, Json] = {"made_on": made_on, "sizes": dict(sizes)}
        entry, damaged = _made_ready(where, source, draft, said, damaged, approvers, now)
        _place(where, owner, source, draft, told)
    except OSError as fault:
        raise BackupRefused(
            f"It cannot be put back ({fault.strerror}).", str(where.data), "Check disk and rights."
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    with closing(open_ledger(where)) as ledger:
        ledger.seal()
    return Restored(sizes, made_on, entry, damaged)


def _check_place(where: Settings, owner: str, key_copy: Path | None) -> None:
    data = where.data
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
    there = (data / KEYS).is_file()
    if there == (key_copy is not None):
        raise BackupRefused(
            "There is a key store already." if there else "There is no key store.",
            str(data / KEYS),
            "Leave --keys out." if there else "Name the copy of it with --keys.",
        )
    if where.database:
        if not owner:
            raise BackupRefused(
                "The owner of the database is not named; the service's role may not write what a "
                "log holds.",
                "WARUM_DATABASE_OWNER",
                "Set it for this command, as for `warum database prepare`.",
            )
        snapshot.check_empty(where.database)


def _check_contents(source: Path, tenant: str) -> tuple[str, tuple[str, ...]]:
    """Compare every file with its digest; returns the day the backup was made, and the cases that
    were damaged then."""
    try:
        contents = json.loads((source / CONTENTS).read_text("utf-8"))
        files, made_on = dict(contents["files"]), date.fromisoformat(contents["made_on"])
        of, damaged = str(contents["tenant"]), tuple(map(str, contents.get("damaged", ())))
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupRefused(
            "This is no whole backup.", str(source), "`warum ledger backup` makes one."
        ) from None
    if of != tenant:
        raise BackupRefused(f"It is the backup of {of}.", str(source), "Set WARUM_TENANT.")
    found = digests_in(source)
    found.pop(CONTENTS, None)
    for name in sorted(files.keys() | found.keys()):
        if files.get(name) != found.get(name):
            what = "is missing" if name not in found else "is not as it was written"
            raise BackupRefused(
                f"A file of the backup {what}.", str(source / name), "Use another copy of it."
            )
    return made_on.isoformat(), damaged


def _verified(where: Settings, source: Path, checkpoints: Sequence[Path]) -> list[Result]:
    """What the verifier says of the backup, which is clean and not too old."""
    sealers = [sealer_of(where.data, where.tenant, name)[0] for name in LogName]
    keys = keys_in(source)
    if [str(sealer.key) for sealer in sealers] != [verifier_in(source, name) for name in LogName]:
        raise BackupRefused(
            "The backup was sealed with other keys than those of this data folder.",
            str(source),
            "Put the signing keys back that belong to it.",
        )
    try:
        outside = [*known_outside(where, keys), *read_outside(checkpoints, keys)]
        results = verify_database(source / DATABASE, keys, outside)
    except Unusable as fault:
        raise BackupRefused(str(fault), str(source), "Name a backup and its checkpoints.") from None
    _check_not_older(results, outside)
    check_clean(results, source)
    return results


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


def _made_ready(
    where: Settings,
    source: Path,
    draft: Path,
    said: Mapping[str, Json],
    damaged: Collection[str],
    approvers: Sequence[str],
    now: datetime,
) -> tuple[int, tuple[str, ...]]:
    """Bring the copy up to what may be used; returns the position of the entry about it, and those
    of the `damaged` cases that are there."""
    keys = draft / KEYS if (draft / KEYS).is_file() else where.data / KEYS
    with closing(_copy_in(where, draft, keys)) as store:
        for name in LogName:
            guard(store, name, *sealer_of(where.data, where.tenant, name))
        finish_erasures(store)
        with store.reading() as tx:
            left = _check_cases(tx, source, damaged)
        check_keys(store)
        resolver = _resolver(where.data, source).read_bytes()
        approved = [seal_actor(resolver, one) for one in approvers]
        if left:
            said = {**said, "damaged": list(left)}
        entry = Entry(EntryKind.RESTORE, {**said, "approvers": approved})
        with store.transaction(now) as tx:
            receipt = record_system(tx, entry)
    return receipt.seq, left


def _check_cases(tx: Reading, source: Path, damaged: Collection[str]) -> tuple[str, ...]:
    """Raise BackupRefused unless every case of the backup opens that did when it was made; returns
    those that do not."""
    if left := cases_without_key(tx):
        raise BackupRefused(
            f"The key store has no key for {len(left)} cases of the backup.",
            str(source),
            "Use a copy of the keys that was made together with the backup, or after it.",
        )
    found = unopened(tx)
    for case_id in found:
        if case_id not in damaged:
            raise BackupRefused(
                "A case in the backup does not open with its key.",
                f"the case {case_id}",
                "Use another copy of the backup, or of the keys.",
            )
    return found


def _place(where: Settings, owner: str, source: Path, draft: Path, told: snapshot.Told) -> None:
    """Give everything its place; what the records need comes before them."""
    data = where.data
    (data / "packages").mkdir(exist_ok=True)
    kept = [f"packages/{one.name}" for one in sorted((source / "packages").iterdir())]
    for name in (*kept, "resolver.pub"):
        if not (data / name).exists():
            copy(source / name, draft / "next")
            for path in (draft / "next", *(draft / "next").rglob("*")):
                sync(path)
            (draft / "next").rename(data / name)
            sync((data / name).parent)
    if (draft / KEYS).is_file():
        put_in_place(draft / KEYS, data / KEYS)
    if not where.database:
        put_in_place(draft / DATABASE, data / DATABASE)
        return
    with closing(_copy_in(where, draft, data / KEYS)) as store:
        try:
            snapshot.fill(store, owner, where.database, told)
        except StorageFailed as fault:
            raise StorageFailed(
                fault.what,
                fault.where,
                "Mend that, then restore again: the records are in the database whole, or not at "
                "all; where they are, that is told.",
            ) from None


def _copy_in(where: Settings, draft: Path, keys: Path) -> Store:
    return snapshot.open_copy(draft / DATABASE, keys, where.data / "wrap.key", where.tenant)


def _resolver(data: Path, source: Path) -> Path:
    return next(path for folder in (data, source) if (path := folder / "resolver.pub").exists())
