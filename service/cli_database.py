"""`warum database prepare`: tables, functions and rights on PostgreSQL, by their owner."""

from __future__ import annotations

import argparse
import os
from functools import partial

from explainer.cli import DONE, EXIT_CODES
from explainer.errors import SettingsInvalid
from explainer.packages.bundled import bundled_packages
from service.settings import read_settings


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "database",
        help="make a PostgreSQL database ready",
        description="Commands for installations whose records are on PostgreSQL.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    prepare = inner.add_parser(
        "prepare",
        help="make or renew tables, functions and rights",
        description="Run it once before the first start and after each update of Warum, as the\n"
        "owner of the database; repeating it changes nothing. WARUM_DATABASE_OWNER is the\n"
        "address with the owner's role, WARUM_DATABASE that of the service. The service's role\n"
        "gets no right to change or remove what was recorded. What an older version left of\n"
        "cases in clear is sealed; that takes the key store: WARUM_DATA, as for the service.\n"
        "An administrator of the server makes the roles and the database first:\n"
        "  CREATE ROLE warum_owner LOGIN PASSWORD '…';\n"
        "  CREATE ROLE warum LOGIN PASSWORD '…';\n"
        "  CREATE DATABASE warum OWNER warum_owner ENCODING 'UTF8' TEMPLATE template0;",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prepare.set_defaults(action=_prepare)


def _prepare(options: argparse.Namespace) -> int:
    from service.store.keys import KeyStore
    from service.store.postgres import prepare

    settings = read_settings(dict(os.environ), bundled_packages())
    owner = os.environ.get("WARUM_DATABASE_OWNER", "").strip()
    for name, value in (("WARUM_DATABASE", settings.database), ("WARUM_DATABASE_OWNER", owner)):
        if not value:
            raise SettingsInvalid(
                "There is no address.", name, "Give postgresql://ROLE@HOST/DATABASE."
            )
    where = (settings.data / "keys.sqlite", settings.data / "wrap.key")
    clear_until = prepare(owner, settings.database, partial(KeyStore.existing, *where))
    if clear_until is not None:
        print(
            f"Number and values of every case are sealed since {clear_until}. What was written\n"
            "before stands in clear in the server's write-ahead log until that is overwritten,\n"
            "and in archives of it, standbys' too, base backups, dumps and snapshots: destroy\n"
            "those by the day copies of the keys have to be destroyed."
        )
    print("The database is ready; the service may read it and add to it.")
    return DONE
