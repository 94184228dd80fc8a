"""The agency's labels and whole sentences, looked up by key; never glued, never markup."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from explainer.core.attribution import Suggesting, Task
from explainer.core.case import FeatureCatalogue
from explainer.errors import MessageMissing, WordingIncomplete
from explainer.text.catalogs import flatten, read_strictly
from explainer.text.languages import Language
from explainer.text.translation import LONGEST, Wanted, check_messages

VALUE = "{value}"

WITH_AMOUNT = ("amount|suggested", "amount|suggested_staff", "amount|decided")
"""Sentences that say an amount."""

_ENDS_A_SENTENCE = re.compile(
    r"feature\|[^|]+\|choice\||outcome\|[^|]+\|label$|source\||proxy\||contact\|(?:office|function)$"
)
"""Texts that are put where a sentence ends: one that ends as a sentence does would end it twice."""
_END_OF_SENTENCE = ".!?…:;,،؛؟"

_REASON_TABLES = {"reason": "", "reason_missing": "|missing"}


def source_wording(features: Mapping[str, Any], wording: Mapping[str, Any]) -> dict[str, str]:
    """The agency's German texts by key, from the parsed features.toml and wording.toml.

    Keys are paths joined by `|`, such as `feature|tenure|reason|can_be_granted|missing`: they
    say where a text belongs, and are the message contexts of the translations.
    Raises WordingIncomplete for numbers, lists and the like where a text belongs.
    """
    rows = features.get("feature")
    known = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    wrong = [
        f"{feature.get('name')}.{part}.{key}"
        for feature in known
        for part in ("choice_labels", *_REASON_TABLES)
        for key, text in _table(feature, part).items()
        if not isinstance(text, str)
    ]
    wrong += _not_texts(wording, "")
    if wrong:
        raise WordingIncomplete(
            f"{len(wrong)} entries are not text: {', '.join(wrong)}.",
            "features.toml and wording.toml",
            "Put each into quotation marks.",
        )
    texts: dict[str, str] = {}
    for feature in known:
        at = f"feature|{feature.get('name')}"
        for plain in ("label", "help", "supply"):
            if isinstance(feature.get(plain), str):
                texts[f"{at}|{plain}"] = feature[plain]
        for choice, label in _table(feature, "choice_labels").items():
            texts[f"{at}|choice|{choice}"] = label
        for table, suffix in _REASON_TABLES.items():
            for outcome, sentence in _table(feature, table).items():
                texts[f"{at}|reason|{outcome}{suffix}"] = sentence
    renamed = {"source_labels": "source", "proxy_labels": "proxy"}
    for part, table in wording.items():
        flat = flatten({renamed.get(part, part): table}, "|")
        # an item of the checklist is a table only so that it can hold more than its text one day
        texts |= {
            key.removesuffix("|text") if part == "checklist" else key: text
            for key, text in flat.items()
        }
    return texts


def _table(feature: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """A table of a feature; that it is none was said where features.toml is read."""
    table = feature.get(part, {})
    return table if isinstance(table, Mapping) else {}


def _not_texts(table: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, value in table.items():
        path = f"{above}.{key}" if above else key
        if isinstance(value, Mapping):
            yield from _not_texts(value, path)
        elif not isinstance(value, str):
            yield path


@dataclass(frozen=True, slots=True)
class Wording:
    """The agency's words in one language. A missing one raises MessageMissing."""

    language: Language
    texts: Mapping[str, str]
    reviewed: bool = False
    """Whether a named person read exactly these."""

    def __getitem__(self, key: str) -> str:
        try:
            return self.texts[key]
        except KeyError:
            raise MessageMissing(
                f"The package has no {self.language.tag} text for {key}.",
                f"locales/{self.language.folder}/wording.po",
                "Add it; run `warum package check` to see all that is missing.",
            ) from None

    def label(self, feature: str) -> str:
        return self[f"feature|{feature}|label"]

    def choice(self, feature: str, choice: str) -> str:
        return self[f"feature|{feature}|choice|{choice}"]

    def reason(self, feature: str, outcome: str, *, missing: bool) -> str:
        """The whole sentence for one feature and direction; `{value}` still in it."""
        return self[f"feature|{feature}|reason|{outcome}{'|missing' if missing else ''}"]

    def supply(self, feature: str) -> str | None:
        return self.texts.get(f"feature|{feature}|supply")

    def source(self, label: str) -> str:
        """The words for a source; a label the package does not know is shown as it was sent."""
        return self.texts.get(f"source|{label}", label)

    def part(self, prefix: str) -> dict[str, str]:
        """All texts under a prefix, by the rest of their key, in file order."""
        start = f"{prefix}|"
        return {
            key[len(start) :]: text for key, text in self.texts.items() if key.startswith(start)
        }


def translated_wording(language: Language, source: Mapping[str, str], po: bytes) -> Wording:
    """The agency's words in `language`.

    Raises WordingIncomplete with all that is missing, fuzzy or malformed.
    """
    where = f"locales/{language.folder}/wording.po"
    try:
        catalog = read_strictly(po, where)
    except MessageMissing as fault:
        raise WordingIncomplete(fault.what, where, fault.mend) from None
    wanted = [Wanted(key, (german,)) for key, german in source.items()]
    faults = [found for found in check_messages(language, catalog, wanted) if found.stops]
    if faults:
        raise WordingIncomplete(
            f"{len(faults)} texts cannot be used:{_each(f'{f.key} {f.says}' for f in faults)}",
            where,
            "Translate each, with the same slots, and remove fuzzy marks.",
        )
    texts = {}
    for key, german in source.items():
        message = catalog.get(german, context=key)
        assert message is not None  # noqa: S101 - a missing one was a fault
        texts[key] = str(message.string)
    check_texts(texts, where)
    return Wording(language, texts)


def _each(faults: Iterable[str]) -> str:
    """One fault a line: there may be hundreds."""
    return "".join(f"\n      {fault}." for fault in faults) + "\n     "


def needed_keys(catalogue: FeatureCatalogue, suggesting: Suggesting) -> Iterable[tuple[str, bool]]:
    """Every key a package must have, and whether the slot may stand in it."""
    outcomes = suggesting.outcomes
    for feature in catalogue:
        at = f"feature|{feature.name}"
        yield f"{at}|label", False
        for choice in feature.choices:
            yield f"{at}|choice|{choice}", False
        for outcome in outcomes:
            yield f"{at}|reason|{outcome}", True
            if feature.optional:
                yield f"{at}|reason|{outcome}|missing", False
        if feature.proxy_for:
            yield f"proxy|{feature.proxy_for}", False
    for outcome in named_outcomes(suggesting):
        for form in ("label", "suggested", "suggested_staff", "decided", "decide"):
            yield f"outcome|{outcome}|{form}", False
    if suggesting.task is Task.AMOUNT:
        yield "amount|decide", False
        for key in WITH_AMOUNT:
            yield key, True
    for key in ("package|title", "package|benefit", "comparison|applicant", "comparison|staff"):
        yield key, False
    for line in ("office", "function", "phone", "hours", "address"):
        yield f"contact|{line}", False


def named_outcomes(suggesting: Suggesting) -> tuple[str, ...]:
    """The outcomes that have names of their own; an amount has a number instead."""
    return () if suggesting.task is Task.AMOUNT else suggesting.outcomes


def check_texts(texts: Mapping[str, str], where: str) -> None:
    """Raise WordingIncomplete for markup, braces or control characters in an agency's texts."""
    faults = [f"{key} {says}" for key, says in faults_of_texts(texts)]
    if faults:
        raise WordingIncomplete(
            f"{len(faults)} texts cannot be used:{_each(faults)}",
            where,
            "Only {value} may stand in a reason, and must where an amount is told: once, after a "
            "colon; no markup anywhere.",
        )


def faults_of_texts(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with an agency's texts, by key, in whatever language they are."""
    for key, text in texts.items():
        slot = key in WITH_AMOUNT or ("|reason|" in key and not key.endswith("|missing"))
        without = text.replace(VALUE, "", 1) if slot else text
        if re.search(r"[{}<>]", without):
            yield key, "holds a slot or markup that is not allowed"
        elif any(
            unicodedata.category(c) in ("Cc", "Cf") and c not in "\n\u200c\u200d" for c in text
        ):
            yield key, "holds an invisible control character"
        elif not text.strip():
            yield key, "is empty"
        elif len(text) > LONGEST:
            yield key, f"is {len(text)} characters long, and may be {LONGEST}"
        elif _ENDS_A_SENTENCE.match(key) and text.rstrip()[-1] in _END_OF_SENTENCE:
            yield (
                key,
                f"ends with “{text.rstrip()[-1]}” and is put at the end of sentences, which would "
                "end twice; write the last word out, or put its abbreviation in brackets",
            )
        elif key in WITH_AMOUNT and VALUE not in text:
            yield key, "does not say the amount"
        elif slot and VALUE in text and not re.search(r"[:：]\s*\{value\}", text):
            yield key, "has its slot elsewhere than after a colon"
