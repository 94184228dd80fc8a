"""`warum language review` and `sign`: the sheet somebody reads, and that they read it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from explainer.cli import DONE, progress_bar, write_file
from explainer.cli.language import findings_of, write

if TYPE_CHECKING:
    from explainer.review.marked import Key
    from explainer.review.pictures import Picture
    from explainer.review.sheet import Row
    from explainer.text.languages import Language
    from explainer.text.translation import Wanted

SHOWN = ("unemployment_benefit", "mortgage_guarantee")
"""The packages whose documents show where the product's sentences stand."""


def review_sheet(options: argparse.Namespace) -> int:
    """Write the sheet."""
    from explainer.errors import ExportFailed
    from explainer.packages.bundled import find_package
    from explainer.packages.translations import digest_of_wording
    from explainer.review.sheet import sheet
    from explainer.text.languages import digest_of_words, translation

    language = translation(options.tag)
    if options.output.exists():
        # said before the pages are rendered, not after
        raise ExportFailed("It is there already.", str(options.output), "Name another file.")
    sign = f'warum language sign {language.tag} --name "…" --date …'
    if options.package:
        folder = find_package(options.package)
        all_rows = rows_of_package(folder, language, options.package)
        digest, about = digest_of_wording(folder, language), folder.name
        sign = f"{sign} --package {options.package}"
    else:
        all_rows = rows_of_product(language)
        digest, about = digest_of_words(language), "Warum"
    sign = f"{sign} --digest {digest[:16]}"
    write_file(options.output, sheet(language, about, digest, sign, all_rows))
    shown = sum(row.shown for row in all_rows)
    print(f"{len(all_rows)} texts, {shown} of them where they stand on a page.")
    return DONE


def rows_of_package(folder: Path, language: Language, package: str) -> list[Row]:
    """The rows of a package's words."""
    from explainer.packages.translations import package_catalog
    from explainer.review.sheet import rows

    po, wanted = package_catalog(folder, language)
    found = [finding for _, finding in findings_of(language, package)]
    place = _looking([folder], language, {(one.key, ""): "" for one in wanted})
    return list(rows(po, wanted, found, lambda one: [place((one.key, ""))]))


def rows_of_product(language: Language) -> list[Row]:
    """The rows of the product's words, those of staff as well where the language has them."""
    from explainer.packages.bundled import find_package
    from explainer.review.marked import keys_of
    from explainer.review.scenes import nowhere
    from explainer.review.sheet import rows
    from explainer.text.catalogs import (
        PUBLIC,
        STAFF,
        catalog_bytes,
        check_product,
        read_strictly,
        wanted_messages,
    )

    domains = (PUBLIC, STAFF) if language.staff else (PUBLIC,)
    texts = {
        key: nowhere(key, language)
        for domain in domains
        for one in wanted_messages(domain)
        for key in keys_of(one, domain, language)
    }
    place = _looking([find_package(name) for name in SHOWN], language, texts)
    all_rows: list[Row] = []
    for domain in domains:

        def places(one: Wanted, domain: str = domain) -> Iterator[Picture | str]:
            return map(place, keys_of(one, domain, language))

        all_rows += rows(
            read_strictly(catalog_bytes(language, domain), domain),
            wanted_messages(domain),
            check_product(language, domain),
            places,
        )
    return all_rows


def _looking(
    folders: Sequence[Path], language: Language, texts: Mapping[Key, str]
) -> Callable[[Key], Picture | str]:
    """Where each text stands, where no page of the language has it on a German one; or what `texts`
    says of why no page contains it."""
    from explainer.packages.package import open_package
    from explainer.review.marked import in_german
    from explainer.review.shown import STEPS, pictured
    from explainer.text.languages import languages

    done = 0
    with progress_bar("pages", 1 + 2 * STEPS * len(folders)) as bar:

        def step() -> None:
            nonlocal done
            done += 1
            bar(done)

        packages = [open_package(folder) for folder in folders]
        step()
        wanted = [key for key, why in texts.items() if not why]
        album = pictured(packages, language, wanted, step)
        left = [in_german(key, language) for key in album.lacks(wanted)]
        german = pictured(packages, languages()["de"], left, step) if left else None

    def place(key: Key) -> Picture | str:
        seen = album.picture(key)
        if seen is None and german is not None and not texts[key]:
            seen = german.picture(in_german(key, language))
        return seen or texts[key]

    return place


def sign_review(options: argparse.Namespace) -> int:
    """Record who read it."""
    from explainer.errors import LanguageTableUnfit
    from explainer.packages import translations
    from explainer.packages.bundled import find_package
    from explainer.text import table
    from explainer.text.languages import digest_of_words, locales_dir, translation

    language = translation(options.tag)
    faults = [one for _, one in findings_of(language, options.package) if one.stops]
    if faults:
        raise LanguageTableUnfit(
            f"It has {len(faults)} faults, such as {faults[0].key}: {faults[0].says}.",
            options.tag,
            "Mend what `warum language check` names first.",
        )
    folder = find_package(options.package) if options.package else None
    digest = (
        translations.digest_of_wording(folder, language) if folder else digest_of_words(language)
    )
    if not digest.startswith(options.digest):
        raise LanguageTableUnfit(
            f"It was changed after the sheet was made; its digest is {digest[:16]}.",
            "--digest",
            "Have the new sheet read.",
        )
    if folder:
        path = folder / "manifest.toml"
        write(path, translations.with_review(folder, language, options.name, options.date))
    else:
        path = locales_dir() / "languages.toml"
        write(path, table.with_review(language, options.name, options.date))
    print(f"{language.tag}: reviewed by {options.name} on {options.date}, digest {digest[:16]}.")
    print(f"written: {path}")
    return DONE
