"""What the gate knows of a language: `locales/plain/<tag>.toml` and `locales/glossary/<tag>.toml`.

Words are data, so that people who know a language can mend them without knowing the code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from explainer.errors import InstallationBroken
from explainer.text.languages import locales_dir

FAIL, WARN, NOTE = "fail", "warn", "note"

TERM = "term"


@dataclass(frozen=True, slots=True)
class Banned:
    """Words that must not stand in a text.

    Attributes
    ----------
    kind : the rule, such as `cause`
    severity : fail or warn
    pattern : matches the words, and whole words only
    instead : the term to write, of an entry from a glossary
    staff : whether it holds for texts to people at work as well
    caught, passes : a sentence it must catch, and a near miss it must let pass
    """

    kind: str
    severity: str
    pattern: re.Pattern[str]
    caught: str
    passes: str
    instead: str = ""
    staff: bool = False


@dataclass(frozen=True, slots=True)
class Concept:
    """A thing with one word: its term, and how that looks in a sentence."""

    term: str
    forms: re.Pattern[str]


@dataclass(frozen=True)
class Lists:
    """One language, or one level of it."""

    tag: str
    thresholds: Mapping[str, Mapping[str, int]]
    document: Mapping[str, float]
    grammar: Mapping[str, Any]
    better: Mapping[str, str]
    banned: tuple[Banned, ...]
    concepts: Mapping[str, Concept]
    plainer: bool = False
    """Whether it is a plainer level of another language."""

    def words(self, name: str) -> frozenset[str]:
        """A list of the grammar in small letters."""
        found = self._sets.get(name)
        if found is None:
            found = self._sets[name] = frozenset(w.lower() for w in self.grammar.get(name, ()))
        return found

    @cached_property
    def _sets(self) -> dict[str, frozenset[str]]:
        return {}

    def better_for(self, rule: str) -> str:
        return self.better.get(rule, "")


_PART = re.compile(r"<([a-z]+)>")


def _composed(match: str, parts: Mapping[str, str]) -> str:
    """A pattern with the pieces it names, such as `<program>`, which may name others."""
    while _PART.search(match):
        match = _PART.sub(lambda name: parts[name[1]], match)
    return match


def whole(match: str, *, case: bool = False) -> re.Pattern[str]:
    """A pattern of whole words; letters with marks belong to words in every script."""
    return re.compile(rf"(?<!\w)(?:{match})(?!\w)", re.NOFLAG if case else re.IGNORECASE)


@lru_cache(maxsize=32)
def lists_of(tag: str) -> Lists:
    """What is known of this language; nothing, where it has no file.

    Raises InstallationBroken where a file is malformed: a gate that lets all pass is none.
    """
    head = _table("plain", tag)
    like = head.pop("like", None)
    under = lists_of(like) if like else None
    glossary = _table("glossary", tag).get("concept", [])
    parts = head.get("part", {})
    try:
        banned = tuple(
            Banned(
                group["kind"],
                group.get("severity", FAIL),
                whole(_composed(word["match"], parts), case=word.get("case", False)),
                word["caught"],
                word["passes"],
            )
            for group in head.get("banned", ())
            for word in group["words"]
        ) + tuple(
            Banned(
                TERM,
                FAIL,
                whole(word["match"], case=word.get("case", False)),
                word["caught"],
                word["passes"],
                concept["term"],
                word.get("staff", False),
            )
            for concept in glossary
            for word in concept.get("not", ())
        )
        concepts = {each["id"]: Concept(each["term"], whole(each["forms"])) for each in glossary}
    except (KeyError, TypeError, re.error) as fault:
        raise InstallationBroken(
            f"A list of words cannot be used ({type(fault).__name__}: {fault}).",
            f"locales/plain/{tag}.toml or locales/glossary/{tag}.toml",
            "Each entry needs match, caught and passes; each concept id, term and forms.",
        ) from None
    inherited = tuple(entry for entry in under.banned if entry.kind != TERM) if under else ()
    return Lists(
        tag,
        head.get("rule", {}),
        head.get("document", {}),
        {**(under.grammar if under else {}), **head.get("grammar", {})},
        {**(under.better if under else {}), **head.get("better", {})},
        banned + inherited,
        concepts,
        plainer=under is not None,
    )


def _table(folder: str, tag: str) -> dict[str, Any]:
    path = locales_dir() / folder / f"{tag}.toml"
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as fault:
        raise InstallationBroken(
            f"A list of words cannot be read ({fault}).", str(path), "Correct the line."
        ) from None
