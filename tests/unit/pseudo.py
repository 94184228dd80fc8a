"""A language made of the German one: accents on every letter, 40 % longer, in brackets.

Whatever stands on a page without brackets is in no catalog.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from babel.messages.catalog import Catalog

from explainer.packages.scaffold import seal
from explainer.packages.translations import german_texts, wording_file
from explainer.text import catalogs, editions, languages, render
from explainer.text.catalogs import catalog_path
from explainer.text.extract import collected, merged, template_of, written
from explainer.text.translation import SLOT, TAG

TAG_OF_IT = "qps-ploc"
ROW = f"""
[[language]]
tag = "{TAG_OF_IT}"
autonym = "⟦Ƥšéúðö⟧"
dir = "ltr"
numbering = "latn"
calendar = "gregory"
locale = "en_GB"
folder = "qps"
status = "unreviewed"
staff = true
"""
LONGER = 0.4

_PLAIN = "AaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSsTtUuVvWwXxYyZz"
_ACCENTED = "ÅåƁƀÇçÐðÉéƑƒĜĝĤĥÎîĴĵĶķĻļṀṁÑñÖöÞþǪǫŔŕŠšŢţÛûṼṽŴŵẊẋÝýŽž"
_LETTERS = str.maketrans(_PLAIN, _ACCENTED)


def pseudo(text: str) -> str:
    """`text` with accents, longer, in brackets; slots and tags stay as they are."""
    parts = re.split(f"({SLOT.pattern}|{TAG.pattern})", text)
    said = "".join(part if at % 2 else part.translate(_LETTERS) for at, part in enumerate(parts))
    more = max(1, round(sum(map(len, parts[::2])) * LONGER))
    return f"⟦{said} {'~' * more}⟧"


def pseudo_catalog(template: Catalog) -> bytes:
    """The catalog of it for these messages."""
    row = languages.Language(
        TAG_OF_IT, "", "ltr", "latn", "gregory", "qps", "en_GB", languages.Status.UNREVIEWED, True
    )
    blank = merged(row, template, b"")
    filled = catalogs.read_strictly(blank, "pseudo")
    for message in filled:
        if message.id:
            sources = message.id if isinstance(message.id, tuple | list) else (message.id,)
            texts = tuple(map(pseudo, sources))
            message.string = texts if len(texts) > 1 else texts[0]
    head = blank[: blank.index(b"\n\n") + 2]
    return head + written(filled)


def forget() -> None:
    """What was read of the catalogs is read again."""
    for cached in (
        languages.all_languages,
        languages.languages,
        catalogs.source_sentences,
        catalogs.catalog,
        catalogs.wanted_messages,
        editions.catalog_version,
        render.environment,
    ):
        cached.cache_clear()


@contextmanager
def other_locales(folder: Path) -> Iterator[Path]:
    """A copy of the product's words in `folder`, in force meanwhile: to be changed by a test."""
    before = languages.PLACES
    shutil.copytree(languages.locales_dir(), folder)
    languages.PLACES = (folder,)
    forget()
    try:
        yield folder
    finally:
        languages.PLACES = before
        forget()


@contextmanager
def spoken(folder: Path) -> Iterator[None]:
    """The product speaks it meanwhile, beside the languages it has."""
    root = Path(languages.__file__).resolve().parents[2]
    with other_locales(folder) as locales:
        table = locales / "languages.toml"
        table.write_text(table.read_text("utf-8") + ROW, "utf-8")
        forget()
        row = languages.all_languages()[TAG_OF_IT]
        for domain, template in collected(root).items():
            path = catalog_path(row, domain)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pseudo_catalog(template))
        forget()
        yield


def speaking(package: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    """A copy of the package that speaks it as well, sealed; only while the product does.

    `changes` are texts of its manifest and what takes their place.
    """
    shutil.copytree(package, folder)
    row = languages.all_languages()[TAG_OF_IT]
    path = wording_file(folder, row)
    path.parent.mkdir(parents=True)
    path.write_bytes(pseudo_catalog(template_of(german_texts(folder))))
    manifest = folder / "manifest.toml"
    text = manifest.read_text("utf-8")
    for old, new in (('offered = ["de", ', f'offered = ["de", "{TAG_OF_IT}", '), *changes):
        text = text.replace(old, new)
    manifest.write_text(text, "utf-8")
    seal(folder)
    return folder
