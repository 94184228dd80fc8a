"""The catalogs of a package's translations, in step with its German texts."""

from __future__ import annotations

from pathlib import Path

from explainer.errors import MessageMissing, PackageNotFound
from explainer.families.artefacts import read_once
from explainer.packages.toml_table import parse_toml
from explainer.text.catalogs import read_strictly
from explainer.text.extract import merged, template_of
from explainer.text.languages import Language
from explainer.text.translation import Finding, Wanted, check_messages, strings_of
from explainer.text.wording import faults_of_texts, source_wording


def german_texts(folder: Path) -> dict[str, str]:
    """The agency's German texts by key, of the package in `folder`.

    Raises PackageNotFound where its two files of words are not there, and WordingIncomplete.
    """
    parsed = []
    for name in ("features.toml", "wording.toml"):
        try:
            parsed.append(parse_toml(read_once(folder / name), name))
        except OSError as fault:
            raise PackageNotFound(
                f"There is no readable {name} ({fault.strerror}).",
                str(folder),
                "Name the folder of a package; `warum package new` makes one.",
            ) from None
    return source_wording(*parsed)


def wording_file(folder: Path, language: Language) -> Path:
    """Where the package's texts in `language` stand."""
    return folder / "locales" / language.folder / "wording.po"


def in_step(folder: Path, language: Language) -> bytes:
    """What that file has to hold: every German text in the package's order, with the translations
    there are.

    Raises MessageMissing where the file cannot be read.
    """
    path = wording_file(folder, language)
    before = read_once(path) if path.is_file() else b""
    return merged(language, template_of(german_texts(folder)), before, sort=False)


def check_package(folder: Path, language: Language) -> list[Finding]:
    """Everything a program finds wrong with the package's words in `language`.

    Raises PackageNotFound and WordingIncomplete, where there are no German texts to compare with.
    """
    german = german_texts(folder)
    path = wording_file(folder, language)
    if not path.is_file():
        return [Finding("catalog", "file", "is not there; `warum language update` makes it")]
    try:
        po = read_strictly(read_once(path), f"locales/{language.folder}/wording.po")
    except MessageMissing as fault:
        return [Finding("catalog", "file", fault.what)]
    found = list(
        check_messages(language, po, [Wanted(key, (text,)) for key, text in german.items()])
    )
    faulty = {one.key for one in found if one.stops}
    texts = {m.context: strings_of(m)[0] for m in po if m.id and m.context not in faulty}
    sound = {key: texts[key] for key in german if key in texts}
    return [*found, *(Finding(key, "slot", says) for key, says in faults_of_texts(sound))]
