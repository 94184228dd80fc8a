"""Collect every sentence of the product into the two template catalogs.

`python -m explainer.text.extract` writes locales/warum.pot and locales/staff.pot and brings the
translations in step; with `--check` it only says whether anything would change. There are no
line numbers and no dates in the files, so that a difference shows words.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import write_po

from explainer.text.catalogs import (
    PUBLIC,
    STAFF,
    catalog_path,
    read_strictly,
    source_sentences,
)
from explainer.text.languages import Language, all_languages, locales_dir

ROOT = Path(__file__).resolve().parents[2]

FEWEST = {PUBLIC: 60, STAFF: 80}
"""A pattern that matches nothing must not look like a catalog without messages."""

STAFF_FOLDERS = ("staff", "caseworker")


def template_files(root: Path) -> list[Path]:
    """Every template of documents and pages, in a fixed order."""
    places = (root / "explainer" / "text" / "templates", root / "service" / "templates")
    return sorted(path for place in places for path in place.rglob("*.html"))


def domain_of(path: Path) -> str:
    """Staff pages are in fewer languages than what applicants read."""
    return STAFF if path.parent.name in STAFF_FOLDERS else PUBLIC


def collected(root: Path) -> dict[str, Catalog]:
    """Both template catalogs, from sentences.toml and the templates."""
    catalogs = {domain: Catalog(fuzzy=False) for domain in (PUBLIC, STAFF)}
    for key, text in source_sentences().items():
        domain = STAFF if key.startswith("staff.") else PUBLIC
        _add(catalogs[domain], text, key)
    for path in template_files(root):
        for message, context in messages_of(path):
            _add(catalogs[domain_of(path)], message, context)
    for domain, catalog in catalogs.items():
        if len(catalog) < FEWEST[domain]:
            raise SystemExit(f"only {len(catalog)} messages in {domain}: the extraction is broken")
    return catalogs


def messages_of(path: Path) -> Iterator[tuple[str | tuple[str, ...], str | None]]:
    """Every German text of a template, and its context."""
    options = {"trimmed": "true", "encoding": "utf-8"}
    found = extract_from_file(
        "jinja2.ext:babel_extract",
        path,
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)},
        options=options,
    )
    for _line, message, _comments, context in found:
        yield message, context


def _add(catalog: Catalog, message: str | tuple[str, ...], context: str | None) -> None:
    added = catalog.add(message, context=context)
    # a percent sign or a slot in a sentence is not Python's
    if not (isinstance(message, str) and "%(" in message):
        added.flags.discard("python-format")


def template_of(texts: Mapping[str, str]) -> Catalog:
    """The template of texts by key, in their order; keys are the contexts of the messages."""
    template = Catalog(fuzzy=False)
    for key, text in texts.items():
        _add(template, text, key)
    return template


def written(catalog: Catalog, *, sort: bool = True) -> bytes:
    """The catalog as bytes: sorted or as it came, without places and dates."""
    buffer = io.BytesIO()
    write_po(
        buffer,
        catalog,
        width=98,
        no_location=True,
        omit_header=True,
        sort_output=sort,
        ignore_obsolete=True,
    )
    return buffer.getvalue()


def merged(language: Language, template: Catalog, before: bytes, *, sort: bool = True) -> bytes:
    """The translation in step with the template: new ones empty, vanished ones gone.

    `before` is the file as it is, empty if there is none. Nothing is guessed from similar
    sentences: a changed German sentence is untranslated. Raises MessageMissing where `before`
    cannot be read.
    """
    old = read_strictly(before, f"locales/{language.folder}")
    new = Catalog(locale=language.locale)
    for message in template:
        if message.id:
            known = old.get(message.id, context=message.context)
            text = known.string if known is not None else None
            flags = set(message.flags) | ({"fuzzy"} & set(known.flags) if known else set())
            new.add(message.id, text or "", flags=flags, context=message.context)
    header = (
        f'msgid ""\nmsgstr ""\n"Language: {language.tag}\\n"\n'
        f'"Plural-Forms: {new.plural_forms}\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n\n'
    )
    return header.encode() + written(new, sort=sort)


def files(root: Path, only: Sequence[str] = ()) -> dict[Path, bytes]:
    """What every catalog file must hold; of the languages `only`, where it names some.

    Raises MessageMissing for a file that cannot be read.
    """
    found: dict[Path, bytes] = {}
    for domain, template in collected(root).items():
        if not only:
            found[locales_dir() / f"{domain}.pot"] = written(template)
        for language in all_languages().values():
            if only and language.tag not in only:
                continue
            if not language.is_source and (language.staff or domain == PUBLIC):
                path = catalog_path(language, domain)
                before = path.read_bytes() if path.is_file() else b""
                found[path] = merged(language, template, before)
    return found


def main() -> int:
    """Write the catalogs, or say which are out of step."""
    parser = argparse.ArgumentParser(description="Collect the product's sentences.")
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--language", metavar="TAG", action="append", help="only this catalog")
    given = parser.parse_args()
    check, only = given.check, given.language or ()
    stale = [
        (path, data)
        for path, data in files(ROOT, only).items()
        if not path.is_file() or path.read_bytes() != data
    ]
    for path, data in stale:
        print(f"{'out of step' if check else 'written'}: {path.name} ({path.parent.parent.name})")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
