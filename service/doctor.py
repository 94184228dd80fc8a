"""What is installed and what is wrong with it, in sentences; changes nothing."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from warum_start import foreign_owners, homes

from explainer.errors import ExplainerError, PackageFaulty
from explainer.families.engine.kernel import kernel
from explainer.packages.admit import admit
from explainer.packages.bundled import packages_in
from explainer.text.catalogs import catalog
from explainer.text.languages import Status, all_languages
from service.settings import Settings, check_may_serve, read_settings
from service.witness_settings import witnesses_outside

STATIC = Path(__file__).resolve().parent / "static"
LIBRARIES = ("numpy", "scikit-learn", "skops", "shap", "fastapi", "sqlalchemy", "cryptography")


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that was looked at."""

    about: str
    well: bool
    says: str
    mend: str = ""


def examine(environment: Mapping[str, str], bundled: Path) -> Iterator[Examined]:
    """Look at everything a start needs, one by one; nothing stops at the first fault."""
    yield from _program()
    others = foreign_owners()
    yield Examined(
        "import names",
        not others and len(homes()) == 1,
        f"ours, in {', '.join(map(str, homes()))}" if not others else ", ".join(others),
        "Install Warum into an environment of its own.",
    )
    yield _styles()
    yield from _words()
    try:
        settings = read_settings(environment, bundled)
    except ExplainerError as fault:
        yield Examined("settings", False, str(fault), fault.mend)
        return
    yield Examined("settings", True, "understood")
    yield _serving(settings)
    yield _witnesses(settings)
    yield from _packages(settings)
    yield _data(settings)
    database = _database(settings)
    yield database
    if database.well:
        yield from _keys(settings)


def examine_at_once(settings: Settings) -> Iterator[Examined]:
    """What of it takes no time and opens no package, for a page that somebody waits for."""
    yield from _program()
    yield _styles()
    yield _serving(settings)
    yield _witnesses(settings)
    yield _data(settings)
    yield _database(settings)


def _program() -> Iterator[Examined]:
    yield Examined("python", sys.version_info >= (3, 11), sys.version.split()[0], "Use 3.11.")
    yield Examined("warum", True, version("warum"))
    for name in LIBRARIES:
        yield Examined(name, True, version(name))
    yield Examined("sqlite", True, sqlite3.sqlite_version)
    built = kernel()
    yield Examined(
        "kernel",
        True,
        f"compiled, {built.vectors}" if built else "not built: computed by NumPy, slower",
    )


def _styles() -> Examined:
    styles = STATIC / "kern" / "kern.css"
    return Examined(
        "styles",
        styles.is_file(),
        "fetched" if styles.is_file() else "not fetched",
        "Run `make setup`; it fetches them.",
    )


def _words() -> Iterator[Examined]:
    for language in all_languages().values():
        about = f"language {language.tag}"
        if language.status is Status.IN_WORK:
            yield Examined(about, True, "in work, not offered")
            continue
        try:
            catalog(language, staff=language.staff)
        except ExplainerError as fault:
            yield Examined(about, False, f"not offered: {fault.what}", fault.mend)
            continue
        says = language.status.value
        if language.status is Status.REVIEWED:
            says += f" by {language.reviewer} on {language.reviewed_on}"
        elif language.lapsed:
            says += f"; it changed after {language.reviewer} read it on {language.reviewed_on}"
        yield Examined(about, True, says)


def _serving(settings: Settings) -> Examined:
    try:
        check_may_serve(settings)
    except ExplainerError as fault:
        # not a fault of the installation: it is the state of this version
        return Examined("serving", True, f"not outside demo mode. {fault.mend}")
    return Examined("serving", True, "demo mode")


def _witnesses(settings: Settings) -> Examined:
    try:
        named = ", ".join(one.name for one in witnesses_outside(settings))
    except ExplainerError as fault:
        return Examined("witnesses outside", False, str(fault), fault.mend)
    # with a folder elsewhere, or receipts, an agency may do without; that is its own to judge
    return Examined("witnesses outside", True, named or "none; heads are kept in the folder only")


def _packages(settings: Settings) -> Iterator[Examined]:
    folders = packages_in(settings.models)
    if not folders:
        yield Examined("packages", False, "none found", "Set WARUM_MODELS to their folder.")
    for folder in folders:
        try:
            package = admit(folder)
        except PackageFaulty as fault:
            says = " ".join(str(one) for one in fault.faults)
            yield Examined(f"package {folder.name}", False, says, fault.mend)
        except ExplainerError as fault:
            yield Examined(f"package {folder.name}", False, str(fault), fault.mend)
        else:
            manifest = package.manifest
            yield Examined(
                f"package {manifest.id}", True, f"{manifest.version}, {manifest.review_status}"
            )
            for tag, stopped in package.stopped.items():
                about = f"package {manifest.id} in {tag}"
                yield Examined(about, False, f"not offered: {stopped}", stopped.mend)


def _database(settings: Settings) -> Examined:
    if not settings.database:
        return Examined("database", True, "SQLite, a file in the data folder")
    from service.store.postgres import check

    try:
        check(settings.database)
    except ExplainerError as fault:
        return Examined("database", False, fault.what, fault.mend)
    return Examined("database", True, "PostgreSQL, made ready and safe")


def _keys(settings: Settings) -> Iterator[Examined]:
    from service.store.database import Store
    from service.store.key_check import check_keys, keys_of_no_case
    from service.store.migrations import NEWEST, revision

    if not any((settings.data / name).exists() for name in ("warum.sqlite", "keys.sqlite")):
        return  # nothing was recorded here so far
    try:
        with closing(Store.examine(settings.data, settings.database)) as store:
            with store.reading() as tx:
                if revision(tx.connection) != NEWEST:
                    return  # the next start brings it there, and looks at the keys
            months = check_keys(store)
            spare = len(keys_of_no_case(store))
    except ExplainerError as fault:
        yield Examined("keys", False, f"{fault.what} ({fault.where})", fault.mend)
    else:
        yield Examined("keys", True, f"every case has its key; {spare} keys of no case")
        for one in months:
            yield Examined("keys", False, one.what, one.mend)


def _data(settings: Settings) -> Examined:
    folder = settings.data
    nearest = next((p for p in (folder, *folder.absolute().parents) if p.exists()), folder)
    writable = os.access(nearest, os.W_OK)
    says = f"{folder}, {'there' if folder.exists() else 'made at the first start'}"
    return Examined("data folder", writable, says, "Choose a folder this user may write to.")
