"""An agency's own words at the plain-language gate: what `warum package check` finds in them.

Texts are read as they lie in the folder; a package needs no model for that, and no digests.
`python -m explainer.packages.plainly` holds the product and the packages that come with it to it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from explainer.errors import (
    ExplainerError,
    LanguageNotOffered,
    MessageMissing,
    NotPlain,
    PackageError,
)
from explainer.packages.bundled import bundled_packages
from explainer.packages.toml_table import parse_toml
from explainer.plain.formulas import GATES
from explainer.plain.gate import (
    Finding,
    Message,
    Place,
    check_document,
    check_message,
    read_acceptances,
    report,
    summary,
    unstressed,
    with_acceptances,
)
from explainer.plain.lists import FAIL, TERM, lists_of
from explainer.plain.product import findings
from explainer.text.catalogs import read_strictly
from explainer.text.languages import all_languages
from explainer.text.wording import source_wording

ACCEPTED = "plain.toml"
"""Beside the texts: the warnings that people with names accepted."""

VERBATIM = ("contact|",)
"""Names, numbers and addresses: shown as they are."""

STAFF_TOLD = ("|suggested_staff", "|decide", "comparison|staff", "proxy|")


def plain_findings(tag: str | None = None, package: Path | None = None) -> list[Finding]:
    """What the gate finds in one language or in all: in the product, or in a package's folder.

    Raises LanguageNotOffered for a tag without a row, PackageError as `package_findings` does.
    """
    if tag is not None and tag not in all_languages():
        raise LanguageNotOffered(
            "There is no such language.", tag, f"Choose from {', '.join(all_languages())}."
        )
    if package is None:
        return findings(tag)
    return package_findings(package, None if tag is None else (tag,))


def package_findings(folder: Path, languages: Collection[str] | None = None) -> list[Finding]:
    """What the gate finds in the texts of a package and in its recorded texts, in some languages
    or in all it has.

    Raises PackageError where features.toml, wording.toml or plain.toml cannot be read.
    """
    texts = package_texts(folder)
    tags = [each for each in texts if languages is None or each in languages]
    found = [
        finding
        for each in tags
        for message in package_messages(texts[each], {} if each == "de" else texts["de"])
        for finding in check_message(message, each)
    ]
    for each in tags:
        for name, text in recorded(folder, each):
            found += check_document(name, without_contact(text, texts[each]), each)
    path = folder / ACCEPTED
    accepted = read_acceptances(path.read_bytes(), ACCEPTED) if path.is_file() else []
    return with_acceptances(found, accepted, tags)


def package_texts(folder: Path) -> dict[str, dict[str, str]]:
    """The agency's texts by language and key; what is missing or fuzzy is left out."""
    read = {
        name: parse_toml((folder / name).read_bytes() if (folder / name).is_file() else b"", name)
        for name in ("features.toml", "wording.toml")
    }
    german = source_wording(read["features.toml"], read["wording.toml"])
    texts: dict[str, dict[str, str]] = {}
    for language in all_languages().values():
        path = folder / "locales" / language.folder / "wording.po"
        if language.is_source:
            texts[language.tag] = german
        elif path.is_file():
            try:
                words = read_strictly(path.read_bytes(), f"locales/{language.folder}/wording.po")
            except MessageMissing:
                continue  # said where translations are checked
            there = {key: words.get(text, context=key) for key, text in german.items()}
            texts[language.tag] = {
                key: message.string
                for key, message in there.items()
                if message is not None and not message.fuzzy and isinstance(message.string, str)
            }
    return texts


def package_messages(
    texts: Mapping[str, str], german: Mapping[str, str] | None = None
) -> Iterator[Message]:
    """The agency's texts as messages: where each is read, what may stand in its slot, and which
    German text it translates."""
    source = german or {}
    for key, text in texts.items():
        if not text or key.startswith(VERBATIM):
            continue
        choices = f"{key.partition('|reason|')[0]}|choice|"
        labels = sorted((t for k, t in texts.items() if k.startswith(choices)), key=len)
        values = (labels[0], labels[-1]) if "|reason|" in key and labels else ()
        place, of = _place(key), source.get(key, "")
        message = Message(key, text, place, reason="|reason|" in key, german=of)
        yield replace(message, values=values) if values else message


_NAME = re.compile(r"feature\|[^|]+\|(?:label|choice\|.*)|outcome\|[^|]+\|label|source\|.*")
"""Keys of what features, their choices, outcomes and sources are called."""


def _place(key: str) -> Place:
    if _NAME.fullmatch(key):
        return Place.NAME
    if key.startswith("checklist|"):
        return Place.STAFF
    if key.startswith(STAFF_TOLD) or key.endswith(STAFF_TOLD):
        return Place.STAFF_TOLD
    return Place.PAGE if key.startswith(("package|", "demo|")) else Place.TOLD


def recorded(folder: Path, tag: str) -> Iterator[tuple[str, str]]:
    """Name and text of what recorded cases told applicants, where the language has a formula."""
    if tag in GATES:
        for path in sorted((folder / "golden").glob(f"*.applicant.{tag}.txt")):
            yield path.name, path.read_text("utf-8")


def without_contact(text: str, texts: Mapping[str, str]) -> str:
    """A told text without the agency's address, which is no prose."""
    lines = {
        line for key, each in texts.items() if key.startswith(VERBATIM) for line in each.split("\n")
    }
    return "\n".join(line for line in text.splitlines() if line.strip() not in lines)


def plain_faults(found: Iterable[Finding]) -> Iterator[PackageError]:
    """What stops a package, as errors."""
    for each in found:
        if each.severity == FAIL:
            said = f" “{each.sentence}”" if each.sentence else ""
            better = f" Better: {each.better}" if each.better else ""
            yield NotPlain(
                f"[{each.rule}] {each.found}.{said}",
                f"{each.key}, {each.language}",
                f"{each.mend}{better}",
            )


def banned(texts: Mapping[str, str], tag: str) -> Iterator[PackageError]:
    """Words that make a wrong explanation of a right one: a cause, a certainty, blame, a machine
    that decides. They are looked for wherever a package is opened, the service's start included.
    """
    messages = list(package_messages(texts))
    # all at once: where nothing is found, which is nearly always, that is ten times as fast
    if not _any_banned(tag).search("\n".join(unstressed(each.text) for each in messages)):
        return
    kinds = {entry.kind for entry in lists_of(tag).banned if entry.kind != TERM}
    for message in messages:
        yield from plain_faults(f for f in check_message(message, tag) if f.rule in kinds)


@lru_cache(maxsize=32)
def _any_banned(tag: str) -> re.Pattern[str]:
    """Matches wherever one of these words does, and perhaps beyond the end of a text."""
    each = (
        f"(?{'i' if entry.pattern.flags & re.IGNORECASE else ''}:{entry.pattern.pattern})"
        for entry in lists_of(tag).banned
        if entry.severity == FAIL and entry.kind != TERM
    )
    # a language without a list bans nothing, which is what "never" matches
    return re.compile(rf"(?<!\w)(?:{'|'.join(each) or '(?!)'})")


def main() -> int:
    """The product and every package that comes with it; 1 where something fails."""
    failed = 0
    places: dict[str, list[Finding]] = {"Warum": plain_findings()}
    for folder in sorted(path.parent for path in bundled_packages().glob("*/manifest.toml")):
        places[folder.name] = plain_findings(package=folder)
    for name, found in places.items():
        faults = [finding for finding in found if finding.severity == FAIL]
        for line in report(faults) if faults else ():
            print(line, file=sys.stderr)
        print(f"{name}: {summary(found)}")
        failed += len(faults)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ExplainerError as fault:
        sys.exit(f"error [{fault.code}] {fault}")
