"""Commands that end the life of a case's records: hold, release, events, erase."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from explainer.cli import DONE, EXIT_CODES, REFUSED, write_file
from explainer.core.days import local_day
from explainer.errors import ErasureRefused, ExportFailed
from service.cli_records import add_approvers, opened, opened_beside_lost_keys

if TYPE_CHECKING:
    from service.erasing import Event
    from service.store.sealed import Damaged

Commands = argparse._SubParsersAction  # what argparse gives to hang commands on

EVENTS = ("notified", "final", "closed", "objection", "remedy", "court")
"""`erasing.HAPPENED`, without loading it."""


def add_commands(inner: Commands[argparse.ArgumentParser]) -> None:
    erase = _command(
        inner,
        "erase",
        "erase a case for good; two people approve",
        "Record the erasure, destroy the key of the case, then its sealed payloads and rows. Its\n"
        "leaves stay, without any personal data, and the tree stays whole. Refused while the case\n"
        "is on legal hold. A case that is damaged can be erased as well. The legal basis can be\n"
        "read by everybody for ever: name the provision and nobody. A service that runs\n"
        "meanwhile may stay up.\n\n"
        "A case whose key is lost keeps the service from starting. Where a copy of the key store\n"
        "has the key, put it back. Where none has it any more, erase the case by its id with\n"
        "--key-lost: the entry then says that the key was lost. Refused where the key is there,\n"
        "and where more is lost than the keys of single cases.",
    )
    erase.add_argument("case", metavar="CASE", help="number of the case, or its id")
    erase.add_argument("--basis", required=True, metavar="TEXT", help="legal basis")
    add_approvers(erase)
    erase.add_argument(
        "--key-lost",
        action="store_true",
        help="the key of the case is lost for good: no copy of the key store has it",
    )
    erase.add_argument(
        "--hold-unread",
        action="store_true",
        help="with --key-lost: erase it though a legal hold may lie on it that nobody can read",
    )
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
        "say when a case was notified, final or closed, or what became of it",
        "The time to keep a case runs from the newest of the days it was notified, final and\n"
        "closed, or from its newest decision if that came later. Without such a day it is never\n"
        "due. What became of the decision is recorded as well, and no time runs from it: an\n"
        "objection, that it was granted (remedy), a judgment (court).",
    )
    event.add_argument("case", metavar="CASE", help="number of the case")
    event.add_argument("event", metavar="EVENT", choices=EVENTS)
    event.add_argument("--on", required=True, metavar="DAY", type=_day, help="YYYY-MM-DD")
    event.add_argument("--by", required=True, metavar="NAME", help="who says so; it is sealed")
    event.set_defaults(action=_event, reason="")
    retain = _command(
        inner,
        "retain",
        "erase what was kept long enough; two people approve",
        "Erase every case and every month of the access log whose time is over, by the table of\n"
        "retention classes (WARUM_RETENTION). Cases on legal hold stay. With --dry-run it only\n"
        "says what would go, by case number and nothing else: time to offer it to the archive.\n"
        "A case that cannot be read stays and is named, and the exit code is 1.\n"
        "With WARUM_RETAIN_BY the service does it once a day.",
    )
    retain.add_argument("--dry-run", action="store_true", help="only say what would go")
    add_approvers(retain, required=False)
    retain.add_argument(
        "--certificates", metavar="FOLDER", type=Path, help="write a certificate of each here"
    )
    retain.set_defaults(action=_retain)


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


def _erase(options: argparse.Namespace) -> int:
    from service.certificate import certificate
    from service.erasing import check_names_no_case, erase_case, erase_case_of_lost_key
    from service.wiring import the_clock

    if options.certificate is not None and options.certificate.exists():
        raise ExportFailed("It is there already.", str(options.certificate), "Name another file.")
    if options.hold_unread and not options.key_lost:
        raise ErasureRefused(
            "Without --key-lost legal holds are read.", "--hold-unread", "Leave it out."
        )
    check_names_no_case(options.basis, options.case)
    asked = (options.case, options.basis, options.by, the_clock())
    with opened(options, keys_lost=options.key_lost) as (where, ledger):
        if options.key_lost:
            erased = erase_case_of_lost_key(ledger, *asked, hold_unread=options.hold_unread)
        else:
            erased = erase_case(ledger, *asked)
    text = certificate(erased, where.key_backup_days)
    print(text)  # whatever becomes of the file
    if options.certificate is not None:
        write_file(options.certificate, text.encode())
    return DONE


def _retain(options: argparse.Namespace) -> int:
    from service.certificate import certificate
    from service.erasing import Erased, check_two
    from service.retention import plan, read_classes, retain
    from service.wiring import the_clock

    now = the_clock()
    with opened(options) as (where, ledger):
        classes = read_classes(where.retention)
        if options.dry_run:
            planned = plan(ledger, classes, local_day(now))
            for one in planned.due:
                print(f"{one.name}: {one.of_class}, due since {one.since}")
            for one in planned.on_hold:
                print(f"{one.name}: {one.of_class}, due since {one.since}, but on legal hold")
            for name, count in planned.without_rule.items():
                print(f"no time is set for the class {name}: {count} cases stay")
            for each in planned.damaged:
                _tell_damaged(each)
            print(f"{len(planned.due)} would go. Nothing was changed.")
            return REFUSED if planned.damaged else DONE
        check_two(options.by)

        def certify(erased: Erased) -> None:
            print(f"Recorded as entry {erased.receipt.seq} of the log {erased.log}.")
            if options.certificates is not None:
                name = f"erasure-{erased.log}-{erased.receipt.seq}.txt"
                text = certificate(erased, where.key_backup_days)
                write_file(options.certificates / name, text.encode())

        damaged: list[Damaged] = []
        count = retain(ledger, classes, options.by, now, certify, damaged.append)
        for each in damaged:
            _tell_damaged(each)
        print(f"{count} erased.")
    return REFUSED if damaged else DONE


def _tell_damaged(one: Damaged) -> None:
    from service.retention import name_of

    print(
        f"{name_of(one)}: DAMAGED, and stays. {one.fault.what} ({one.fault.where})\n"
        "  Put the database back from a backup, or erase it on purpose: `warum ledger erase`."
    )


def _event(options: argparse.Namespace) -> int:
    from service.erasing import record_event
    from service.wiring import the_clock

    with opened_beside_lost_keys(options) as (_, ledger):
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
