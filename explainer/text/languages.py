"""The one table of languages, and where the product's words lie."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path

from explainer.errors import InstallationBroken, LanguageNotOffered


class Status(StrEnum):
    """How far a language's words were checked."""

    SOURCE = "source"
    REVIEWED = "reviewed"
    UNREVIEWED = "unreviewed"
    DRAFT = "draft"
    IN_WORK = "in_work"


@dataclass(frozen=True, slots=True)
class Language:
    """One row of `locales/languages.toml`, whose head says what each field means.

    `tag` is what HTML carries (BCP 47), `folder` the gettext folder, `locale` the CLDR locale
    for numbers and dates: three namings that agree less often than one would think.
    """

    tag: str
    autonym: str
    dir: str
    numbering: str
    calendar: str
    folder: str
    locale: str
    status: Status
    staff: bool
    level: str = ""
    aliases: tuple[str, ...] = ()
    autonym_checked: str = ""
    reviewer: str = ""
    reviewed_on: str = ""
    digest: str = ""
    lapsed: bool = False
    """It was reviewed, and its words are others now; `status` is what holds."""

    @property
    def is_source(self) -> bool:
        return self.status is Status.SOURCE

    def capitals(self, text: str) -> str:
        """`text` in capitals: in Turkish that of i keeps its dot."""
        return (text.replace("i", "İ") if self.tag == "tr" else text).upper()


_LEVEL_TEMPLATES = Path(__file__).resolve().parent / "templates"
_HERE = Path(__file__).resolve().parent.parent
PLACES = (_HERE / "_locales", _HERE.parent / "locales")
"""Where `locales/` may be: in an installed wheel, in the checkout."""


def locales_dir() -> Path:
    """The product's words. Raises InstallationBroken where they are missing."""
    for place in PLACES:
        if (place / "languages.toml").is_file():
            return place
    raise InstallationBroken(
        "The product's words are missing.", "locales/languages.toml", "Install Warum again."
    )


@cache
def read_once(path: Path) -> bytes:
    """A file of the product's words or templates, as this process first read it.

    What is recorded about words is of those that speak, whatever an upgrade under a running service
    has put in their place. Raises OSError.
    """
    return path.read_bytes()


@lru_cache(maxsize=1)
def all_languages() -> dict[str, Language]:
    """Every row of the table by tag, in its order: those in work too."""
    table = tomllib.loads((locales_dir() / "languages.toml").read_text("utf-8"))
    rows = [
        Language(
            **{**row, "status": Status(row["status"]), "aliases": tuple(row.get("aliases", ()))}
        )
        for row in table["language"]
    ]
    for row in rows:
        if row.status is Status.REVIEWED and not (row.reviewer and row.reviewed_on and row.digest):
            raise InstallationBroken(
                "A reviewed language needs the name of its reviewer, a date and the digest of what "
                "was read.",
                f"locales/languages.toml, {row.tag}",
                "Let `warum language sign` write them, or set the status to unreviewed.",
            )
        if (row.numbering, row.calendar) != ("latn", "gregory"):
            raise InstallationBroken(
                "Days and amounts would not be written as in the German notice.",
                f"locales/languages.toml, {row.tag}",
                'Write numbering = "latn" and calendar = "gregory".',
            )
    return {row.tag: _as_it_holds(row) for row in rows}


def _as_it_holds(row: Language) -> Language:
    """A review is of the words that were read: of others it says nothing."""
    if row.status is not Status.REVIEWED:
        return row
    if row.digest == digest_of_words(row):
        return replace(row, autonym=row.autonym_checked or row.autonym)
    return replace(row, status=Status.DRAFT if row.level else Status.UNREVIEWED, lapsed=True)


def digest_of_words(row: Language) -> str:
    """SHA-256 of what somebody reads who reviews a language, in hexadecimal.

    That is its catalogs; of a level of German the templates of documents as well, as their lines
    and their order are part of it.
    """
    digest = hashlib.sha256()
    read = [("", sorted((locales_dir() / row.folder).rglob("*.po")))]
    if row.level:
        read.append(("templates/", sorted(_LEVEL_TEMPLATES.rglob("*.html"))))
    for kind, paths in read:
        for path in paths:
            data = path.read_bytes()
            digest.update(f"{kind}{path.name} {len(data)}\n".encode())
            digest.update(data)
    return digest.hexdigest()


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """The languages that are to be offered, by tag, in the order of the table."""
    return {tag: row for tag, row in all_languages().items() if row.status is not Status.IN_WORK}


def language(tag: str) -> Language:
    """The language of this tag. Raises LanguageNotOffered; no language stands in for another."""
    try:
        return languages()[tag]
    except KeyError:
        raise LanguageNotOffered(
            "This language is not offered.", "language", f"Choose from {', '.join(languages())}."
        ) from None


def translations() -> list[Language]:
    """Every language but the authoritative one, in the order of the table: those in work too."""
    return [row for row in all_languages().values() if not row.is_source]


def translation(tag: str) -> Language:
    """One of them. Raises LanguageNotOffered."""
    for row in translations():
        if row.tag == tag:
            return row
    raise LanguageNotOffered(
        "There is no translation of this tag.",
        tag,
        f"Choose from {', '.join(row.tag for row in translations())}, or begin one with "
        "`warum language new`.",
    )
