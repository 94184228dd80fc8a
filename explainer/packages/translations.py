"""The catalogs of a package's translations, in step with its German texts."""

from __future__ import annotations

import hashlib
import re
import tomllib
from datetime import date
from pathlib import Path

from explainer.errors import MessageMissing, PackageNotFound
from explainer.families.artefacts import read_once
from explainer.packages.toml_table import parse_toml
from explainer.text.catalogs import ReadCatalog, read_strictly
from explainer.text.extract import merged, template_of
from explainer.text.languages import Language
from explainer.text.table import check_name
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


def package_catalog(folder: Path, language: Language) -> tuple[ReadCatalog, list[Wanted]]:
    """The package's catalog as it is, and what has to stand in it.

    Raises PackageNotFound and MessageMissing where either cannot be read.
    """
    path = wording_file(folder, language)
    where = f"locales/{language.folder}/wording.po"
    if not path.is_file():
        raise MessageMissing("There is no catalog.", where, "`warum language update` makes it.")
    wanted = [Wanted(key, (text,)) for key, text in german_texts(folder).items()]
    return read_strictly(read_once(path), where), wanted


def check_package(folder: Path, language: Language) -> list[Finding]:
    """Everything a program finds wrong with the package's words in `language`.

    Raises PackageNotFound and WordingIncomplete, where there are no German texts to compare with.
    """
    german = german_texts(folder)
    try:
        po, wanted = package_catalog(folder, language)
    except MessageMissing as fault:
        return [Finding("catalog", "file", fault.what)]
    found = list(check_messages(language, po, wanted))
    faulty = {one.key for one in found if one.stops}
    texts = {m.context: strings_of(m)[0] for m in po if m.id and m.context not in faulty}
    sound = {key: texts[key] for key in german if key in texts}
    return [*found, *(Finding(key, "slot", says) for key, says in faults_of_texts(sound))]


def digest_of_wording(folder: Path, language: Language) -> str:
    """SHA-256 of what somebody reads who reviews a package's translation, in hexadecimal."""
    return hashlib.sha256(read_once(wording_file(folder, language))).hexdigest()


def with_review(folder: Path, language: Language, reviewer: str, on: date) -> bytes:
    """The package's manifest with a review of what its words in `language` are now.

    Raises LanguageTableUnfit where the name is none.
    """
    check_name(reviewer)
    line = (
        f'"{language.tag}" = {{ reviewer = "{reviewer}", reviewed_on = {on}, '
        f'digest = "{digest_of_wording(folder, language)}" }}\n'
    )
    text = read_once(folder / "manifest.toml").decode()
    text = re.sub(rf'^"?{re.escape(language.tag)}"? = {{ reviewer = .*\n', "", text, flags=re.M)
    head = "[languages.reviewed]\n"
    if head not in text:
        # a table of its own, before the one of files, which the seal writes
        text = text.replace("[files]\n", f"{head}\n[files]\n", 1)
    text = text.replace(head, head + line, 1)
    tomllib.loads(text)  # what is written can be read again
    return text.encode()
