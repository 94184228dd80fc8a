"""What commands share that add to the records or open them: the records, who asks and what for."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from explainer.cli import say
from explainer.errors import OpeningRefused
from explainer.packages.bundled import bundled_packages
from service.settings import Settings, installation

if TYPE_CHECKING:
    from service.wiring import Ledger


def add_approvers(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument(
        "--by",
        required=required,
        default=None if required else [],
        action="append",
        metavar="NAME",
        help="who approves; give it twice, for two people. Recorded sealed",
    )


def said_by_whom(options: argparse.Namespace) -> bool:
    """Whether it is said by whom and what for records are opened. Raises OpeningRefused where only
    one of the two is."""
    if (options.by is None) != (options.purpose is None):
        raise OpeningRefused(
            "It has to be recorded by whom and what for records are opened.",
            "--by and --purpose",
            "Give both, or neither.",
        )
    return options.by is not None


@contextmanager
def opened(
    options: argparse.Namespace, *, keys_lost: bool = False
) -> Iterator[tuple[Settings, Ledger]]:
    """The records of the installation a command is about, checked and ready to be added to;
    `keys_lost` as `open_ledger` takes it."""
    from service.wiring import open_ledger

    where = installation(options.data, dict(os.environ), bundled_packages())
    with closing(open_ledger(where, keys_lost=keys_lost)) as ledger:
        yield where, ledger


@contextmanager
def opened_beside_lost_keys(options: argparse.Namespace) -> Iterator[tuple[Settings, Ledger]]:
    """As `opened`, for what is only added and is about cases whose keys are there, or is put into
    the access log: a court waits for no key. Raises KeyMissing or StorageFailed where more is lost
    than the keys of single cases: a key would be made anew there, beside the one that is somewhere
    in a backup."""
    from service.store.key_check import check_few, lost_keys
    from service.wiring import go_on_without

    with opened(options, keys_lost=True) as (where, ledger):
        lost = lost_keys(ledger.store)
        check_few(lost)
        go_on_without(ledger.store, lost.months)
        if lost.cases:
            say(
                f"note: the keys of {len(lost.cases)} of the cases are lost; `warum ledger verify`"
                " names them.\n  Of a number that came in a second time only the newer case is"
                " meant."
            )
        yield where, ledger
