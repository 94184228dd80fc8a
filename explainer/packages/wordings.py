"""The agency's texts in every language its package offers: which must be there, and are whole."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from explainer.core.attribution import Suggesting
from explainer.core.case import FeatureCatalogue
from explainer.errors import LanguageNotOffered, ManifestInvalid, PackageError, WordingIncomplete
from explainer.packages.manifest import Manifest
from explainer.packages.plainly import banned
from explainer.text.languages import all_languages, language
from explainer.text.unique import alike
from explainer.text.wording import (
    Wording,
    check_texts,
    named_outcomes,
    needed_keys,
    source_wording,
    translated_wording,
)


def in_work(name: str, offered: Iterable[str]) -> bool:
    """Whether a file is the catalog of a language the package does not offer yet.

    Such a file is no part of the package: it is neither sealed nor ever read.
    """
    rows = all_languages()
    folders = {rows[tag].folder for tag in offered if tag in rows}
    parts = name.split("/")
    return len(parts) == 3 and parts[::2] == ["locales", "wording.po"] and parts[1] not in folders


def read_wordings(
    manifest: Manifest,
    data: Mapping[str, bytes],
    catalogue: FeatureCatalogue,
    features: Mapping[str, Any],
    agency: Mapping[str, Any],
    faults: list[PackageError],
    stopped: dict[str, PackageError],
    admitted_in: Collection[str] = (),
) -> dict[str, Wording]:
    """The texts of every offered language.

    What is wrong with the German ones is added to `faults`. A translation that is not whole is
    left out, and why is put into `stopped`: the package works in the others. The list of banned
    words grows; the languages of `admitted_in` are not held to it again.
    """
    wordings: dict[str, Wording] = {}
    try:
        source = source_wording(features, agency)
    except WordingIncomplete as fault:
        faults.append(fault)
        return wordings
    foreign = sorted(
        {key.split("|")[1] for key in source if key.startswith("outcome|")}
        - set(named_outcomes(manifest.suggesting))
    )
    if foreign:
        faults.append(
            ManifestInvalid(
                f"There are texts for outcomes the manifest does not have: {', '.join(foreign)}.",
                "wording.toml, outcome",
                "Remove them, or correct the names in [suggestion].",
            )
        )
    missing = [key for key, _ in needed_keys(catalogue, manifest.suggesting) if key not in source]
    if missing:
        faults.append(
            ManifestInvalid(
                f"{len(missing)} German texts are missing:"
                + "".join(f"\n      {key}" for key in missing)
                + "\n     ",
                "features.toml and wording.toml",
                "Write each as a label or as a whole sentence.",
            )
        )
    for tag in manifest.offered:
        try:
            spoken = language(tag)
            if spoken.is_source:
                check_texts(source, "features.toml and wording.toml")
                wordings[tag] = Wording(spoken, source)
                faults += _alike(wordings[tag], catalogue, manifest.suggesting)
                faults += () if tag in admitted_in else banned(source, tag)
                continue
            po = data.get(f"locales/{spoken.folder}/wording.po", b"")
            wording = translated_wording(spoken, source, po)
            wrong = [*_alike(wording, catalogue, manifest.suggesting)]
            wrong += () if tag in admitted_in else banned(wording.texts, tag)
            if wrong:
                raise wrong[0]
            wordings[tag] = replace(wording, reviewed=_is_reviewed(manifest, tag, po))
        except LanguageNotOffered as fault:
            stopped[tag] = ManifestInvalid(fault.what, f"languages.offered, {tag}", fault.mend)
        except PackageError as fault:
            if tag == "de":
                faults.append(fault)
            else:
                stopped[tag] = fault
    return wordings


def _is_reviewed(manifest: Manifest, tag: str, po: bytes) -> bool:
    """Whether somebody signed exactly these words."""
    review = manifest.reviews.get(tag)
    return review is not None and review.digest == hashlib.sha256(po).hexdigest()


def _alike(
    wording: Wording, catalogue: FeatureCatalogue, suggesting: Suggesting
) -> Iterable[PackageError]:
    """Texts that read alike: nobody could tell which of two was meant."""
    where = f"wording in {wording.language.tag}"
    for form in ("label", "suggested", "suggested_staff"):
        texts = [wording.texts.get(f"outcome|{o}|{form}") for o in named_outcomes(suggesting)]
        given = [text for text in texts if text is not None]
        if len(set(given)) != len(given):
            yield WordingIncomplete(
                f"Two outcomes have the same text for {form}.",
                where,
                "Give each outcome words of its own.",
            )
    pairs = [f"{one} and {other}" for one, other in alike(wording, catalogue, suggesting)]
    if pairs:
        yield WordingIncomplete(
            f"{len(pairs)} pairs of texts can come out as the same words:"
            + "".join(f"\n      {pair}" for pair in pairs)
            + "\n     ",
            where,
            "Word them differently, the words before or after {value}: the program reads each "
            "page back and must know what it says.",
        )
