"""Strict catalogs in memory: a message that is missing, fuzzy or malformed is an error.

German sentences are the message ids, so German is authoritative by construction: change one and
its translations are fuzzy, and fuzzy counts as missing. There are no fallback chains.
"""

from __future__ import annotations

import gettext as standard_gettext
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog as PoCatalog
from babel.messages.pofile import read_po

from explainer.errors import MessageMissing
from explainer.text.languages import Language, locales_dir, read_once
from explainer.text.translation import (
    Finding,
    Wanted,
    check_messages,
    ids_of,
    strings_of,
)

ReadCatalog = PoCatalog
"""A catalog as it is read, whatever is wrong with it."""

PUBLIC = "warum"
STAFF = "staff"


@lru_cache(maxsize=1)
def source_sentences() -> Mapping[str, str]:
    """The product's German sentences by dotted key, from `locales/sentences.toml`."""
    table = tomllib.loads(read_once(locales_dir() / "sentences.toml").decode())
    return flatten(table, ".")


def flatten(table: Mapping[str, Any], joint: str, above: str = "") -> dict[str, str]:
    """Nested tables of texts as one mapping with joined keys."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        path = f"{above}{joint}{key}" if above else key
        if isinstance(value, str):
            flat[path] = value
        else:
            flat |= flatten(value, joint, path)
    return flat


def read_strictly(data: bytes, where: str) -> PoCatalog:
    """Parse a .po file; raises MessageMissing where it is not well formed."""
    import io

    try:
        return read_po(io.BytesIO(data), abort_invalid=True)
    except Exception as fault:
        # besides PoFileError: an unknown charset, a malformed date in the header and more
        raise MessageMissing(
            f"The catalog cannot be read ({type(fault).__name__}).",
            where,
            "Correct the file; `msgfmt --check` shows the line.",
        ) from None


class Catalog:
    """The product's words in one language, for one domain or two."""

    def __init__(
        self,
        language: Language,
        messages: Mapping[tuple[str | None, str], tuple[str, ...]],
        plural: Callable[[int], int],
    ) -> None:
        self.language = language
        self._messages = messages
        self._plural = plural
        self._said: dict[str, str] = {}

    def sentence(self, key: str) -> str:
        """The product's sentence of this key, slots still in it."""
        said = self._said.get(key)
        if said is None:
            try:
                source = source_sentences()[key]
            except KeyError:
                raise MessageMissing(
                    "There is no such sentence.", key, "Add it to locales/sentences.toml."
                ) from None
            said = self._said[key] = self.pgettext(key, source)
        return said

    def gettext(self, source: str) -> str:
        return self._find(None, source)[0]

    def pgettext(self, context: str, source: str) -> str:
        return self._find(context, source)[0]

    def form(self, n: int) -> int:
        """Which of the plural forms of a message stands with the number `n`, from 0."""
        return self._plural(n)

    def ngettext(self, one: str, many: str, n: int) -> str:
        if self.language.is_source:
            return one if n == 1 else many
        return self._find(None, one)[self.form(n)]

    def npgettext(self, context: str, one: str, many: str, n: int) -> str:
        if self.language.is_source:
            return one if n == 1 else many
        return self._find(context, one)[self.form(n)]

    def _find(self, context: str | None, source: str) -> tuple[str, ...]:
        if self.language.is_source:
            return (source,)
        try:
            return self._messages[context, source]
        except KeyError:
            raise MessageMissing(
                f"There is no {self.language.tag} text for this German text: {source[:60]}",
                f"locales/{self.language.folder}",
                "Translate it; a missing message is never shown in another language.",
            ) from None


@lru_cache(maxsize=64)
def catalog(language: Language, *, staff: bool = False) -> Catalog:
    """Load the product's words in `language`. Raises MessageMissing for every kind of fault."""
    messages: dict[tuple[str | None, str], tuple[str, ...]] = {}
    plural: Callable[[int], int] = lambda n: int(n != 1)  # noqa: E731
    if not language.is_source:
        for domain in (PUBLIC, STAFF) if staff else (PUBLIC,):
            data = catalog_bytes(language, domain)
            po = read_strictly(data, f"locales/{language.folder}, {domain}.po")
            plural = standard_gettext.c2py(po.plural_expr)
            messages |= sound_messages(language, po, wanted_messages(domain))
    return Catalog(language, messages, plural)


def catalog_path(language: Language, domain: str) -> Path:
    """Where the product's words in `language` stand."""
    return locales_dir() / language.folder / "LC_MESSAGES" / f"{domain}.po"


def catalog_bytes(language: Language, domain: str) -> bytes:
    """That file as it is. Raises MessageMissing where there is none."""
    path = catalog_path(language, domain)
    try:
        return read_once(path)
    except OSError:
        raise MessageMissing(
            "There is no catalog.", f"{language.folder}/{path.name}", "Add the file."
        ) from None


@lru_cache(maxsize=4)
def wanted_messages(domain: str) -> tuple[Wanted, ...]:
    """Every message of the product a language has to have, from the template of the catalogs."""
    name = f"{domain}.pot"
    template = read_strictly((locales_dir() / name).read_bytes(), f"locales/{name}")
    keys = source_sentences()
    # templates fill in slots by `%`; sentences by key have theirs in braces
    return tuple(
        Wanted(message.context, ids_of(message), message.context not in keys)
        for message in template
        if message.id
    )


def check_product(language: Language, domain: str) -> list[Finding]:
    """Everything a program finds wrong with the product's words in `language`."""
    try:
        data = catalog_bytes(language, domain)
        po = read_strictly(data, f"locales/{language.folder}")
    except MessageMissing as fault:
        return [Finding("catalog", "file", fault.what)]
    return list(check_messages(language, po, wanted_messages(domain)))


def sound_messages(
    language: Language, po: PoCatalog, wanted: Sequence[Wanted]
) -> dict[tuple[str | None, str], tuple[str, ...]]:
    """The texts of a catalog by context and German text. Raises MessageMissing for every fault."""
    faults = [found for found in check_messages(language, po, wanted) if found.stops]
    if faults:
        first, more = faults[0], len(faults) - 1
        raise MessageMissing(
            f"A message {first.says}: {first.key}{f', and {more} more' if more else ''}",
            f"locales/{language.folder}",
            f"`warum language check {language.tag}` names all that stands in the way.",
        )
    found = {}
    for one in wanted:
        id_ = one.sources if len(one.sources) > 1 else one.sources[0]
        message = po.get(id_, context=one.context)
        assert message is not None  # noqa: S101 - a missing one was a fault
        found[one.context, one.sources[0]] = strings_of(message)
    return found
