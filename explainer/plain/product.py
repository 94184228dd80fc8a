"""The messages of Warum itself, in each language, and what the gate finds in them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from explainer.plain.gate import (
    Finding,
    Message,
    Place,
    check_message,
    read_acceptances,
    with_acceptances,
)
from explainer.text import extract
from explainer.text.catalogs import PUBLIC, read_strictly
from explainer.text.languages import Language, all_languages, locales_dir
from explainer.text.translation import key_of

ROOT = Path(extract.__file__).resolve().parents[2]

ACCEPTED = "plain/accepted.toml"

NOT_SAID = ("told.comma", "told.one.", "told.unit.")
"""Parts of a value, no sentences."""

COUNTERFACTUAL = ("staff.told.decisive",)
"""Sentences that tell what another value had changed: the only ones that say “would”."""


def findings(tag: str | None = None) -> list[Finding]:
    """What the gate finds in the product's own messages: in one language, or in all with a row.

    Translations that are missing or fuzzy are no matter of this gate; what is there is checked.
    """
    tags = [tag] if tag is not None else list(all_languages())
    found = [
        f for each in tags for m in messages(all_languages()[each]) for f in check_message(m, each)
    ]
    path = locales_dir() / ACCEPTED
    accepted = read_acceptances(path.read_bytes(), f"locales/{ACCEPTED}") if path.is_file() else []
    return with_acceptances(found, accepted, tags)


def messages(language: Language) -> Iterator[Message]:
    """Every message of the product that is worded in this language."""
    for domain, template in _templates().items():
        words = None
        if not language.is_source:
            path = locales_dir() / language.folder / "LC_MESSAGES" / f"{domain}.po"
            if not path.is_file():
                continue
            words = read_strictly(path.read_bytes(), f"{language.folder}/{path.name}")
        for source, context in template:
            texts: tuple[str, ...] = (source,) if isinstance(source, str) else source
            key, german = key_of(context, texts[0]), "" if words is None else texts[0]
            if words is not None:
                there = words.get(source, context=context)
                if there is None or there.fuzzy or not there.string:
                    continue
                texts = (there.string,) if isinstance(there.string, str) else tuple(there.string)
            for text in dict.fromkeys(texts):
                if text and not key.startswith(NOT_SAID):
                    yield Message(
                        key,
                        text,
                        _place(domain, context or ""),
                        heading=".heading." in key,
                        counterfactual=key.startswith(COUNTERFACTUAL),
                        german=german,
                    )


@lru_cache(maxsize=1)
def _templates() -> dict[str, list[tuple[str | tuple[str, ...], str | None]]]:
    """Every German message with its key, by domain."""
    return {
        domain: [
            (message.id if isinstance(message.id, str) else tuple(message.id), message.context)
            for message in catalog
            if message.id
        ]
        for domain, catalog in extract.collected(ROOT).items()
    }


def _place(domain: str, key: str) -> Place:
    """Where a message is read, by its catalog and key."""
    if domain == PUBLIC:
        return Place.TOLD if key.startswith("told.") else Place.PAGE
    describes = tuple(
        f"staff.{part}." for part in ("told", "opening", "rest", "effect", "missing", "frame")
    )
    return Place.STAFF_TOLD if key.startswith(describes) else Place.STAFF
