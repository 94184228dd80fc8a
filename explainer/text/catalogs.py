"""Strict catalogs in memory: a message that is missing, fuzzy or malformed is an error.

German sentences are the message ids, so German is authoritative by construction: change one and
its translations are fuzzy, and fuzzy counts as missing. There are no fallback chains.
"""

from __future__ import annotations

import gettext as standard_gettext
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog as PoCatalog
from babel.messages.pofile import read_po

from explainer.errors import MessageMissing
from explainer.text.languages import Language, locales_dir

PUBLIC = "warum"
STAFF = "staff"

SLOT = re.compile(r"\{[^{}]*\}|%\([A-Za-z_]+\)[a-z]")
TAG = re.compile(r"</?[A-Za-z][^>]*>")


@lru_cache(maxsize=1)
def source_sentences() -> Mapping[str, str]:
    """The product's German sentences by dotted key, from `locales/sentences.toml`."""
    table = tomllib.loads((locales_dir() / "sentences.toml").read_text("utf-8"))
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


def faults_of(source: str, translation: str) -> str | None:
    """Why `translation` may not stand for `source`, or None: empty, other slots, new markup."""
    if not translation.strip():
        return "is not translated"
    if sorted(SLOT.findall(source)) != sorted(SLOT.findall(translation)):
        return "has other slots than the German text"
    if not set(TAG.findall(translation)) <= set(TAG.findall(source)):
        return "has markup the German text has not"
    if any(c in translation for c in "\u202a\u202b\u202c\u202d\u202e"):
        return "holds a character that overrides the direction of writing"
    return None


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

    def ngettext(self, one: str, many: str, n: int) -> str:
        if self.language.is_source:
            return one if n == 1 else many
        return self._find(None, one)[self._plural(n)]

    def npgettext(self, context: str, one: str, many: str, n: int) -> str:
        if self.language.is_source:
            return one if n == 1 else many
        return self._find(context, one)[self._plural(n)]

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
            path = locales_dir() / language.folder / "LC_MESSAGES" / f"{domain}.po"
            po = _read(path)
            plural = standard_gettext.c2py(po.plural_expr)
            messages |= _messages(po, path.name)
    return Catalog(language, messages, plural)


def _read(path: Path) -> PoCatalog:
    try:
        data = path.read_bytes()
    except OSError:
        raise MessageMissing(
            "There is no catalog.", f"{path.parent.parent.name}/{path.name}", "Add the file."
        ) from None
    return read_strictly(data, f"{path.parent.parent.name}/{path.name}")


def _messages(po: PoCatalog, where: str) -> dict[tuple[str | None, str], tuple[str, ...]]:
    found: dict[tuple[str | None, str], tuple[str, ...]] = {}
    for message in po:
        if not message.id:
            continue
        sources = message.id if isinstance(message.id, tuple | list) else (message.id,)
        texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
        if message.fuzzy:
            raise MessageMissing(
                f"A message is fuzzy: {sources[0][:60]}", where, "Check it and remove the mark."
            )
        for text in texts:
            fault = faults_of(sources[-1], str(text))
            if fault:
                raise MessageMissing(
                    f"A message {fault}: {sources[0][:60]}", where, "Correct the translation."
                )
        found[message.context, sources[0]] = tuple(map(str, texts))
    return found
