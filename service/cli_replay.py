"""`warum ledger replay`: years later, what was told and whether it comes out the same."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from explainer.cli import DONE, say, write_file
from explainer.errors import ExportFailed, OpeningRefused, SettingsInvalid
from explainer.packages.bundled import bundled_packages
from service.cli_records import opened_beside_lost_keys, said_by_whom
from service.purposes import READING
from service.settings import installation

if TYPE_CHECKING:
    from service.replay import Replayed

WITHIN, BEYOND, NOT_COMPUTED = 4, 5, 6

CODES = """\
exit codes:
  0    the stored bytes are those under the signed head, and the explanation came out the same to
       the bit; or nothing was computed then
  1    refused: the record is not there, or not what was sealed
  2    the command was not understood
  4    the stored bytes hold; the numbers differ by at most 1e-6 of the margin scale
  5    the stored bytes hold; the explanation came out otherwise
  6    the stored bytes hold; it could not be computed again: the package is not there, or the
       payload was erased
"""


def add_commands(inner: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = inner.add_parser(
        "replay",
        help="show a stored record and compute its explanation again",
        description="Hold what is stored of a record against the ledger, and compute the\n"
        "explanation again from the very package it was told from, out of the data folder's\n"
        "shelf; never from another version. What counts is what is stored.\n\n"
        "What the record says is personal data. It is shown with --by and --purpose, which are\n"
        "put into the access log first. Without them nothing is written and nothing personal is\n"
        "shown: the leaf, its proof, and whether all comes out the same. So that can be done on\n"
        "a copy of the data folder, too, by whoever checks a record and need not read it.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "record", metavar="RECORD", help="id of a decision, or position of an entry in the ledger"
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="data folder of an installation")
    parser.add_argument(
        "--key", metavar="VKEY", help="verifier key you hold yourself (default: the one in DIR)"
    )
    parser.add_argument("--by", metavar="NAME", help="show what the record says: who reads it")
    parser.add_argument(
        "--purpose",
        choices=READING,
        help="show what the record says: what for. Recorded in the access log, as is who",
    )
    parser.add_argument(
        "--told",
        metavar="FILE",
        type=Path,
        help="with --by and --purpose: write the very bytes that were shown here",
    )
    parser.set_defaults(action=_replay)


def _replay(options: argparse.Namespace) -> int:
    from service.replay import Outcome, replay
    from service.shelf import Shelf
    from service.store.database import Store
    from service.store.records import admitted_digests
    from service.store.snapshot import still

    where = installation(options.data, dict(os.environ), bundled_packages())
    opening = said_by_whom(options)
    if options.told is not None and not opening:
        raise OpeningRefused(
            "What was shown is personal data.", "--told", "Say who and what for: --by, --purpose."
        )
    key = options.key
    if key is None:
        say("note: the key is the one in the folder itself; whoever wrote it chose it.")
        try:
            key = (where.data / "seals" / "ledger" / "verifier.key").read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsInvalid(
                "There is no key to verify with.", str(where.data), "Give yours with --key."
            ) from None
    if opening:
        _record(options)
    with (
        closing(Store.examine(where.data, where.database)) as store,
        still(store) as records,  # computing anew takes its time
        records.reading() as tx,
    ):
        shelf = Shelf(where.data / "packages", admitted_digests(tx))
        done = replay(tx, options.record, key, shelf)
    _print(done, opening=opening)
    if options.told is not None:
        _write_told(done, options.told)
    return {
        Outcome.SAME: DONE,
        Outcome.NOTHING: DONE,
        Outcome.CLOSE: WITHIN,
        Outcome.OTHER: BEYOND,
    }.get(done.outcome, NOT_COMPUTED)


def _record(options: argparse.Namespace) -> None:
    """Put into the access log that what the record says is read."""
    from service.opening import record_reading
    from service.replay import position_of
    from service.wiring import the_clock

    with opened_beside_lost_keys(options) as (_, ledger):
        with ledger.store.reading() as tx:
            seq = position_of(tx, options.record)
        record_reading(ledger, seq, options.purpose, options.by, the_clock())


def _print(done: Replayed, *, opening: bool) -> None:
    from service.replay import TOLERANCE, Outcome

    for entry in [done.asked] if done.shown in (None, done.asked) else [done.asked, done.shown]:
        if entry is None:
            continue
        print(f"Entry {entry.leaf.seq}: {entry.leaf.type}, {entry.leaf.ts}")
        print(f"  leaf hash {entry.receipt.leaf_hash.hex()}")
        print(f"  proven under the signed head of {done.head} entries")
        print(f"  leaf {entry.receipt.leaf.decode()}")
        if entry.payload is not None and opening:
            stored = json.dumps(entry.payload, ensure_ascii=False, indent=2, sort_keys=True)
            print("\n".join(f"  {line}" for line in stored.splitlines()))
    if done.package:
        print(f"Told from the package {done.package}")
    if done.outcome is Outcome.NO_PACKAGE:
        print("It is not on the shelf of this installation, or not intact there:")
        print("put exactly this version back. No other one can say why it was suggested then.")
    for name, (then, now) in sorted((done.elsewhere or {}).items()):
        print(f"  {name}: then {then}, now {now}")
    for one in done.differences:
        apart = "" if one.distance is None else f", {one.distance:.3g} margin scales apart"
        then_now = f"then {one.recorded}, now {one.now}" if opening else "not as it was"
        print(f"  {one.name}: {then_now}{apart}")
    if done.same_words is not None:
        print(f"Words: {'the same bytes' if done.same_words else 'today they would be others'}")
    why = f" ({done.why})" if done.why else ""
    if not opening:
        print("What the record says is not shown: for that say --by and --purpose.")
    print(f"Computed again: {done.outcome.value}{why}; tolerance {TOLERANCE:g} margin scales.")


def _write_told(done: Replayed, path: Path) -> None:
    told = (done.shown.payload or {}).get("told") if done.shown is not None else None
    if not isinstance(told, str):
        raise ExportFailed("Nothing was shown, or it was erased.", str(path), "Leave out --told.")
    write_file(path, told.encode())
