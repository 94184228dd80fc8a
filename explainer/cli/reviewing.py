"""`warum language review` and `sign`: the sheet somebody reads, and that they read it."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from explainer.cli import DONE, write_file
from explainer.cli.language import findings_of, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from explainer.core.disclosure import Audience, Told
    from explainer.text.languages import Language
    from explainer.text.sheet import Page

SHOWN, CASES = "unemployment_benefit", 25
"""The package and how many of its recorded cases show where the product's sentences stand."""


def review_sheet(options: argparse.Namespace) -> int:
    """Write the sheet."""
    from explainer.packages.bundled import find_package
    from explainer.packages.translations import digest_of_wording, package_catalog
    from explainer.text.catalogs import (
        PUBLIC,
        STAFF,
        catalog_bytes,
        check_product,
        read_strictly,
        wanted_messages,
    )
    from explainer.text.languages import digest_of_words, translation
    from explainer.text.sheet import rows, sheet, with_siblings

    language = translation(options.tag)
    sign = f'warum language sign {language.tag} --name "…" --date …'
    if options.package:
        folder = find_package(options.package)
        po, wanted = package_catalog(folder, language)
        found = [finding for _, finding in findings_of(language, options.package)]
        all_rows = list(rows(language, po, wanted, found, _documents(folder, language)))
        digest = digest_of_wording(folder, language)
        about, sign = folder.name, f"{sign} --package {options.package}"
    else:
        pages = [*_documents(find_package(SHOWN), language), *_pages(language)]
        all_rows = []
        for domain in (PUBLIC, STAFF) if language.staff else (PUBLIC,):
            po = read_strictly(catalog_bytes(language, domain), domain)
            found = check_product(language, domain)
            all_rows += rows(language, po, wanted_messages(domain), found, pages)
        digest, about = digest_of_words(language), "Warum"
    sign = f"{sign} --digest {digest[:16]}"
    all_rows = with_siblings(all_rows, language)
    write_file(options.output, sheet(language, about, digest, sign, all_rows))
    shown = sum(row.picture is not None for row in all_rows)
    print(f"{len(all_rows)} texts, {shown} of them with a piece of a page.")
    return DONE


def _documents(folder: Path, language: Language) -> list[Page]:
    """What applicants, and in a language of staff caseworkers, are told of recorded cases; and
    what they are told where there is no explanation, or somebody decided otherwise."""
    from explainer.core.case import read_case
    from explainer.core.decision import Relation
    from explainer.core.disclosure import Audience
    from explainer.errors import DoesNotAddUp, NotExplainable, OutsideExperience, PackageReplaced
    from explainer.packages.package import open_package
    from explainer.pipeline import explain, tell, tell_withheld
    from explainer.text.sentences import HumanDecision

    package = open_package(folder)
    found = []
    one, other = package.manifest.outcomes[:2] if package.manifest.outcomes else ("", "")
    relations = [None, *Relation] if one else [None]
    for number, golden in enumerate(package.golden[:CASES]):
        case = read_case(golden.case, package.catalogue)
        try:
            explanation = explain(case, package, package.manifest.created)
        except NotExplainable:
            continue
        relation = relations[number % len(relations)]
        decision = HumanDecision(other, relation, one) if relation else None
        if relation in (Relation.AGREE, Relation.AGREE_OTHER_REASONS, Relation.PARTLY):
            decision = HumanDecision(one, relation, one)
        for audience in _audiences(language):
            told = partial(
                tell,
                explanation,
                audience,
                package=package,
                decision=decision if audience is Audience.APPLICANT else None,
            )
            found += _page(f"{case.ref}, {audience}", language, told)
    for kind in (DoesNotAddUp, OutsideExperience, PackageReplaced):
        for audience in _audiences(language):
            told = partial(tell_withheld, kind("", "", ""), audience, package=package)
            found += _page(f"{kind.code}, {audience}", language, told)
    return found


def _audiences(language: Language) -> list[Audience]:
    from explainer.core.disclosure import Audience

    return list(Audience) if language.staff else [Audience.APPLICANT]


def _page(name: str, language: Language, told: Callable[[Language], Told]) -> list[Page]:
    """A document in German and in the language; in German only where that is not whole yet."""
    from explainer.errors import LanguageError, NotExplainable
    from explainer.text.languages import languages
    from explainer.text.sheet import Page, texts_of

    try:
        german = texts_of(told(languages()["de"]).body.decode())
    except NotExplainable:
        return []
    try:
        said = texts_of(told(language).body.decode())
    except (LanguageError, NotExplainable):
        return [Page(name, german, None)]
    # the translation says first who checked it
    return [Page(name, german, said[len(said) - len(german) :])]


def _pages(language: Language) -> list[Page]:
    from explainer.errors import LanguageError
    from explainer.text.catalogs import catalog, source_sentences
    from explainer.text.extract import ROOT
    from explainer.text.sheet import Page, template_pages

    source = source_sentences()

    try:
        words = catalog(language, staff=language.staff)
    except LanguageError:
        return template_pages(ROOT, None)

    def say(text: str) -> str:
        try:
            return words.gettext(text)
        except LanguageError:
            return text  # a page of staff, in a language they do not have

    said = words.sentence
    faults = [
        Page("public/error.html", (source["error.title"], text), (said("error.title"), said(key)))
        for key, text in source.items()
        if key.startswith("error.")
    ]
    return [*template_pages(ROOT, say), *faults]


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
