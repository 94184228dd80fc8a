"""`warum ledger backup` and `restore`."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from explainer.cli import DONE, EXIT_CODES, REFUSED, progress_steps
from explainer.errors import BackupRefused
from explainer.packages.bundled import bundled_packages
from service.settings import installation, read_settings


def add_commands(inner: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backup = inner.add_parser(
        "backup",
        help="copy the records to a folder, or the key store to a file",
        description="Write one moment of the records to the new folder OUT; the service may run:\n"
        "database (as one file of SQLite, from PostgreSQL as well), every package, the public\n"
        "halves of the keys. It is verified before it is there. The key store goes to a file of\n"
        "its own, to be kept apart from OUT and destroyed on the day that is printed. In neither\n"
        "are the wrapping key (wrap.key) and the signing keys (seals/*/signing.key): keep a copy\n"
        "of them under lock, once.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    backup.add_argument("out", metavar="OUT", type=Path, nargs="?", help="folder to write")
    backup.add_argument("--keys", metavar="FILE", type=Path, help="copy the key store to FILE")
    backup.add_argument("--data", metavar="DIR", type=Path, help="data folder of an installation")
    backup.set_defaults(action=_backup)
    restore = inner.add_parser(
        "restore",
        help="put a backup back; two people approve",
        description="Put the backup IN into a data folder without a database, with the service\n"
        "stopped. Where WARUM_DATABASE is set it goes into that database, empty and made ready by\n"
        "`warum database prepare`; WARUM_DATABASE_OWNER is then its address as the owner.\n"
        "A backup of either kind of database goes into either.\n"
        "Refused unless every file is as it was written, the logs verify, and are no shorter than\n"
        "any checkpoint kept outside. Erasures are done again before anything can be read, and\n"
        "the restore is an entry of its own.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    restore.add_argument("source", metavar="IN", type=Path, help="folder `backup` wrote")
    restore.add_argument(
        "--by",
        required=True,
        action="append",
        metavar="NAME",
        help="who approves; give it twice, for two people. Recorded sealed",
    )
    restore.add_argument(
        "--keys", metavar="FILE", type=Path, help="copy of the key store, where it is lost as well"
    )
    restore.add_argument(
        "--checkpoint",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="checkpoint kept outside, or a folder of them; repeatable",
    )
    restore.add_argument(
        "--data", metavar="DIR", type=Path, help="data folder to fill (default: WARUM_DATA)"
    )
    restore.set_defaults(action=_restore)


def _backup(options: argparse.Namespace) -> int:
    from service.backup import back_up, back_up_keys
    from service.wiring import the_clock

    out, keys = options.out, options.keys
    damaged: tuple[str, ...] = ()
    if out is None and keys is None:
        raise BackupRefused(
            "Nothing is named to write to.", "OUT", "Name OUT, --keys FILE or both."
        )
    if out is not None and keys is not None and out.absolute() in keys.absolute().parents:
        raise BackupRefused(
            "The copy of the keys would lie in the backup.", str(keys), "Keep them apart."
        )
    where = installation(options.data, dict(os.environ), bundled_packages())
    if out is not None:
        with progress_steps() as told:
            done = back_up(where, out, the_clock(), told)
        _print(done.sizes)
        print(f"Written: {out}")
        damaged = done.damaged
    if keys is not None:
        expires = back_up_keys(where, keys, the_clock())
        print(f"Written: {keys}. Destroy it on {expires}, and keep it apart from the database.")
    return _tell_damaged(damaged)


def _restore(options: argparse.Namespace) -> int:
    from service.restoring import restore
    from service.wiring import the_clock

    where = read_settings(dict(os.environ), bundled_packages())
    if options.data is not None:
        where = replace(where, data=options.data)
    with progress_steps() as told:
        done = restore(
            where,
            options.source,
            options.keys,
            options.checkpoint,
            options.by,
            the_clock(),
            owner=os.environ.get("WARUM_DATABASE_OWNER", "").strip(),
            told=told,
        )
    _print(done.sizes)
    print(f"Put back as of {done.made_on}, recorded as entry {done.entry} of the ledger.")
    return _tell_damaged(done.damaged)


def _tell_damaged(damaged: tuple[str, ...]) -> int:
    for case_id in damaged:
        print(
            f"{case_id}: DAMAGED, in the database and in this backup: nobody can read this case.\n"
            "  Put the database back from an older backup, or erase the case on purpose: "
            "`warum ledger erase`."
        )
    return REFUSED if damaged else DONE


def _print(sizes: dict[str, int]) -> None:
    for log, size in sizes.items():
        print(f"{log}: {size} entries")
