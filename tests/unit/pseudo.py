"""A language made of the German one: accents on every letter, 40 % longer, in brackets.

Whatever stands on a page without brackets is in no catalog.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
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
BANNER = {
    "Diese Übersetzung hat noch niemand geprüft. Nur der deutsche Text ist verbindlich.": (
        "Das ist ein Entwurf. Noch niemand hat den Text geprüft."
    )
}

_PLAIN = "AaBbCcDdEeFfGgHhIiJjKkLlMmNnOoPpQqRrSsTtUuVvWwXxYyZz"
_ACCENTED = "ÅåƁƀÇçÐðÉéƑƒĜĝĤĥÎîĴĵĶķĻļṀṁÑñÖöÞþǪǫŔŕŠšŢţÛûṼṽŴŵẊẋÝýŽž"
_LETTERS = str.maketrans(_PLAIN, _ACCENTED)


def pseudo(text: str) -> str:
    """`text` with accents, longer, in brackets; slots and tags stay as they are."""
    parts = re.split(f"({SLOT.pattern}|{TAG.pattern})", text)
    said = "".join(part if at % 2 else part.translate(_LETTERS) for at, part in enumerate(parts))
    more = max(1, round(sum(map(len, parts[::2])) * LONGER))
    return f"⟦{said} {'~' * more}⟧"


def filled_catalog(row: languages.Language, template: Catalog, say: Callable[[str], str]) -> bytes:
    """The catalog of a language for these messages, with `say` of every German text."""
    blank = merged(row, template, b"")
    filled = catalogs.read_strictly(blank, "filled")
    for message in filled:
        if message.id:
            if isinstance(message.id, tuple | list):
                forms = range(filled.num_plurals)
                message.string = tuple(say(message.id[min(form, 1)]) for form in forms)
            else:
                message.string = say(message.id)
    head = blank[: blank.index(b"\n\n") + 2]
    return head + written(filled)


def forget() -> None:
    """What was read of the catalogs is read again."""
    for cached in (
        languages.read_once,
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
def spoken(folder: Path, locale: str = "en_GB") -> Iterator[None]:
    """The product speaks it meanwhile, beside the languages it has; by the plurals of `locale`."""
    with other_locales(folder) as locales:
        table = locales / "languages.toml"
        table.write_text(table.read_text("utf-8") + ROW.replace("en_GB", locale), "utf-8")
        forget()
        fill(languages.all_languages()[TAG_OF_IT], pseudo)
        yield


@contextmanager
def plain_german(folder: Path, status: str = "draft") -> Iterator[None]:
    """The product speaks the level de-simple meanwhile, in the words of the German it is of."""
    with other_locales(folder) as locales:
        table = locales / "languages.toml"
        before, row, after = table.read_text("utf-8").partition('level = "simple"\n')
        after = re.sub(r'status = "\w+"', f'status = "{status}"', after, count=1)
        table.write_text(before + row + after, "utf-8")
        forget()
        fill(languages.all_languages()["de-simple"], lambda text: BANNER.get(text, text))
        yield


def fill(row: languages.Language, say: Callable[[str], str]) -> None:
    """Write its catalogs, with `say` of every German text."""
    root = Path(languages.__file__).resolve().parents[2]
    for domain, template in collected(root).items():
        if row.staff or domain == catalogs.PUBLIC:
            path = catalog_path(row, domain)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(filled_catalog(row, template, say))
    forget()


def speaking(
    package: Path,
    folder: Path,
    *changes: tuple[str, str],
    tag: str = TAG_OF_IT,
    say: Callable[[str], str] | None = None,
) -> Path:
    """A copy of the package that speaks it as well, sealed; only while the product does.

    `changes` are texts of its manifest and what takes their place.
    """
    shutil.copytree(package, folder)
    row = languages.all_languages()[tag]
    path = wording_file(folder, row)
    path.parent.mkdir(parents=True, exist_ok=True)
    template = template_of(german_texts(folder))
    path.write_bytes(filled_catalog(row, template, say or pseudo))
    manifest = folder / "manifest.toml"
    text = manifest.read_text("utf-8")
    if f'"{tag}"' not in text:
        changes = (('offered = ["de", ', f'offered = ["de", "{tag}", '), *changes)
    for old, new in changes:
        text = text.replace(old, new)
    manifest.write_text(text, "utf-8")
    seal(folder)
    return folder
