"""`warum ledger who`: two people look up who acted, of one entry; that is recorded first."""

from __future__ import annotations

import argparse
from pathlib import Path

from explainer.cli import DONE, EXIT_CODES, say
from explainer.errors import OpeningRefused
from service.cli_records import add_approvers, opened_beside_lost_keys
from service.purposes import LOOKING_UP

LOGS = ("ledger", "access")
PART_LIMIT = 4096
"""More bytes than any file of a key has."""


def add_commands(inner: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = inner.add_parser(
        "who",
        help="look up who acted, of one entry; two people of different units",
        description="Say who is sealed in one entry: who decided, looked at a case, approved an\n"
        "erasure. Two people of different units do it together, each with their part of the\n"
        "private resolver key, which is not kept here. Who they are, for what and of which entry\n"
        "is put into the access log first. The answer is shown once and kept nowhere: it is for\n"
        "the two of them. Of what was erased nobody can be looked up any more. It is never for\n"
        "judging how somebody works.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "entry", metavar="ENTRY", help="position of the entry in its log, or the id of a decision"
    )
    parser.add_argument("--log", choices=LOGS, default=LOGS[0], help="which log (default: ledger)")
    parser.add_argument("--data", metavar="DIR", type=Path, help="data folder of an installation")
    parser.add_argument(
        "--key",
        action="append",
        required=True,
        metavar="FILE",
        type=Path,
        help="a part of the private resolver key; give it twice, for both parts",
    )
    add_approvers(parser)
    parser.add_argument(
        "--unit",
        action="append",
        required=True,
        metavar="UNIT",
        help="unit of each of the two, in the order of --by; they must differ",
    )
    parser.add_argument("--purpose", required=True, choices=LOOKING_UP, help="what for. Recorded")
    parser.add_argument(
        "--reason",
        required=True,
        metavar="TEXT",
        help="what it is about, for example a file number. Recorded",
    )
    parser.set_defaults(action=_who)


def _who(options: argparse.Namespace) -> int:
    from explainer.ledger.log import LogName
    from service.opening import LookUp, who_acted
    from service.replay import position_of
    from service.wiring import the_clock

    asked = LookUp(options.by, options.unit, options.purpose, options.reason)
    asked.check()
    log = LogName(options.log)
    parts = [_part(path) for path in options.key]
    with opened_beside_lost_keys(options) as (where, ledger):
        if any(where.data.absolute() in path.absolute().parents for path in options.key):
            say("note: the private resolver key lies in the data folder; it belongs elsewhere.")
        with ledger.store.reading() as tx:
            seq = position_of(tx, options.entry, log)
        entry, people = who_acted(ledger, log, seq, parts, asked, the_clock())
    print(f"Entry {seq} of the log {log}: {entry.leaf.type}, {entry.leaf.ts}")
    for one in people:
        print(f"  {one}")
    return DONE


def _part(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PART_LIMIT)
    except OSError as fault:
        raise OpeningRefused(
            f"The key cannot be read ({fault.strerror}).", str(path), "Name the file it is in."
        ) from None
