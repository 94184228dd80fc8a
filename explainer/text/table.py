"""Rows of `locales/languages.toml`, written by commands: a new language, a signed review.

The file is edited as text, so that what people wrote beside it stays.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date

from babel import Locale, UnknownLocaleError

from explainer.errors import LanguageTableUnfit
from explainer.text.languages import Language, Status, all_languages, digest_of_words, locales_dir

_TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?(-[a-z0-9]{4,8})*")
_REVIEW = re.compile(r"^(?:reviewer|reviewed_on|digest) = .*\n", re.MULTILINE)
_STATUS = re.compile(r"^status = .*\n", re.MULTILINE)
_HEAD = "[[language]]\n"


def new_row(tag: str, autonym: str = "", dir_: str = "", locale: str = "") -> str:
    """The text of the row of a language that is begun; what is not given is looked up in CLDR.

    Raises LanguageTableUnfit for a tag that is none, or is there already, and where CLDR does not
    know the language.
    """
    if not _TAG.fullmatch(tag):
        raise LanguageTableUnfit(
            "This is no language tag.", tag, "Write it as in uk, sr-Latn or fa-AF."
        )
    taken = {one.lower() for row in all_languages().values() for one in (row.tag, *row.aliases)}
    if tag.lower() in taken:
        raise LanguageTableUnfit(
            "This language is there already.", tag, "`warum language update` brings it in step."
        )
    try:
        known = Locale.parse(locale or tag.replace("-", "_"), sep="_")
    except (UnknownLocaleError, ValueError):
        raise LanguageTableUnfit(
            "CLDR does not know how this language writes numbers and dates.",
            locale or tag,
            "Name the nearest one it knows with --locale, such as --locale fa_AF.",
        ) from None
    name = autonym or known.get_display_name(known) or tag
    direction = dir_ or ("rtl" if known.character_order == "right-to-left" else "ltr")
    if re.search(r'["\\\x00-\x1f]', name):
        raise LanguageTableUnfit("The name holds signs it may not.", name, "Write letters.")
    return (
        f'{_HEAD}tag = "{tag}"\nautonym = "{name}"\ndir = "{direction}"\nnumbering = "latn"\n'
        f'calendar = "gregory"\nlocale = "{locale or known}"\nfolder = "{tag.replace("-", "_")}"\n'
        f'status = "{Status.IN_WORK}"\nstaff = false\n'
    )


def with_row(row: str) -> bytes:
    """The table with one row more."""
    return f"{_table().rstrip()}\n\n{row}".encode()


def with_review(language: Language, reviewer: str, on: date) -> bytes:
    """The table with a review of what the language's words are now.

    Raises LanguageTableUnfit where the name is none.
    """
    check_name(reviewer)
    before, row, after = _around(language.tag)
    row = _STATUS.sub("", _REVIEW.sub("", row)).rstrip("\n")
    row += (
        f'\nstatus = "{Status.REVIEWED}"\nreviewer = "{reviewer}"\nreviewed_on = "{on}"\n'
        f'digest = "{digest_of_words(language)}"\n'
    )
    text = f"{before}{row}{after}"
    tomllib.loads(text)  # what is written can be read again
    return text.encode()


def check_name(reviewer: str) -> None:
    """Raise LanguageTableUnfit unless somebody with a name signs."""
    if not reviewer.strip() or re.search(r'["\\\x00-\x1f]', reviewer):
        raise LanguageTableUnfit(
            "A review needs the name of who read the text.", "--name", "Write a name."
        )


def _around(tag: str) -> tuple[str, str, str]:
    """The table before, in and after the row of a language."""
    head, *rows = _table().split(_HEAD)
    for at, row in enumerate(rows):
        if tomllib.loads(row)["tag"] == tag:
            # the empty line between two rows belongs to neither
            own = row.rstrip("\n")
            before = _HEAD.join([head, *rows[:at]]) + _HEAD
            after = row[len(own) + 1 :] + "".join(_HEAD + one for one in rows[at + 1 :])
            return before, own + "\n", after
    raise LanguageTableUnfit("There is no such row.", tag, "Add it to locales/languages.toml.")


def _table() -> str:
    return (locales_dir() / "languages.toml").read_text("utf-8")
