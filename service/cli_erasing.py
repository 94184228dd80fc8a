"""Commands that end the life of a case's records: hold, release, events, erase."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from explainer.cli import DONE, EXIT_CODES, write_file
from explainer.errors import ExportFailed
from explainer.packages.bundled import bundled_packages
from service.settings import Settings, installation

if TYPE_CHECKING:
    from service.erasing import Event
    from service.wiring import Ledger

Commands = argparse._SubParsersAction  # what argparse gives to hang commands on


def add_commands(inner: Commands[argparse.ArgumentParser]) -> None:
    erase = _command(
        inner,
        "erase",
        "erase a case for good; two people approve",
        "Record the erasure, destroy the key of the case, then its sealed payloads and rows. Its\n"
        "leaves stay, without any personal data, and the tree stays whole. Refused while the case\n"
        "is on legal hold. The legal basis can be read by everybody for ever: name the provision\n"
        "and nobody. A service that runs meanwhile may stay up.",
    )
    erase.add_argument("case", metavar="CASE", help="number of the case")
    erase.add_argument("--basis", required=True, metavar="TEXT", help="legal basis")
    add_approvers(erase)
    erase.add_argument(
        "--certificate", metavar="FILE", type=Path, help="write the certificate here, too"
    )
    erase.set_defaults(action=_erase)
    for name, about in (("hold", "keep a case whatever happens"), ("release", "end a legal hold")):
        held = _command(
            inner,
            name,
            about,
            "A legal hold is an entry of its own: it stands above every time limit, and no\n"
            "erasure goes past it until it is released.",
        )
        held.add_argument("case", metavar="CASE", help="number of the case")
        held.add_argument("--reason", required=True, metavar="TEXT", help="why; it is sealed")
        held.add_argument("--by", required=True, metavar="NAME", help="who says so; it is sealed")
        held.set_defaults(action=_event, event=name, on=None)
    event = _command(
        inner,
        "event",
        "say when a case was notified, final or closed",
        "The time to keep a case runs from the newest of these days. Without one it is never due.",
    )
    event.add_argument("case", metavar="CASE", help="number of the case")
    event.add_argument("event", metavar="EVENT", choices=["notified", "final", "closed"])
    event.add_argument("--on", required=True, metavar="DAY", type=_day, help="YYYY-MM-DD")
    event.add_argument("--by", required=True, metavar="NAME", help="who says so; it is sealed")
    event.set_defaults(action=_event, reason="")


def add_approvers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by",
        required=True,
        action="append",
        metavar="NAME",
        help="who approves; give it twice, for two people. Recorded sealed",
    )


def _command(
    inner: Commands[argparse.ArgumentParser], name: str, about: str, description: str
) -> argparse.ArgumentParser:
    parser = inner.add_parser(
        name,
        help=about,
        description=description,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", metavar="DIR", type=Path, help="data folder of an installation")
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give a day as YYYY-MM-DD") from None


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[tuple[Settings, Ledger]]:
    """The records of the installation a command is about, checked and ready to be added to."""
    from service.wiring import open_ledger

    where = installation(options.data, dict(os.environ), bundled_packages())
    with closing(open_ledger(where)) as ledger:
        yield where, ledger


def _erase(options: argparse.Namespace) -> int:
    from service.erasing import certificate, erase_case
    from service.wiring import the_clock

    if options.certificate is not None and options.certificate.exists():
        raise ExportFailed("It is there already.", str(options.certificate), "Name another file.")
    with opened(options) as (where, ledger):
        erased = erase_case(ledger, options.case, options.basis, options.by, the_clock())
    text = certificate(erased, where.key_backup_days)
    print(text)  # whatever becomes of the file
    if options.certificate is not None:
        write_file(options.certificate, text.encode())
    return DONE


def _event(options: argparse.Namespace) -> int:
    from service.erasing import record_event
    from service.wiring import the_clock

    with opened(options) as (_, ledger):
        receipt = record_event(
            ledger,
            options.case,
            _named(options.event),
            options.by,
            the_clock(),
            reason=options.reason,
            on=options.on,
        )
    print(f"Recorded as entry {receipt.seq}: {options.event}.")
    return DONE


def _named(name: str) -> Event:
    from service.erasing import Event

    return Event(name)
