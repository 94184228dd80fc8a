"""`warum language`: begin, check, review and sign translations."""

from __future__ import annotations

import argparse
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainer.cli import DONE, EXIT_CODES, REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from explainer.core.disclosure import Audience, Told
    from explainer.text.languages import Language
    from explainer.text.sheet import Page
    from explainer.text.translation import Finding

ABOUT = """\
German is what counts; every other language helps people to understand it. A language
is offered only where every sentence is there, and says of itself who has read it."""

WAY = """\
the way to a language:
  1. warum language new sq --autonym shqip --locale sq_AL     a row of the table and empty
                                                              catalogs, not offered yet
  2. translate locales/sq/LC_MESSAGES/warum.po, and for each package its wording.po:
     warum language update sq --package models/my_benefit     makes that file
  3. warum language check sq --package models/my_benefit      names what is left to do
  4. status = "unreviewed" in locales/languages.toml; sq among languages.offered of the
     package's manifest; warum package seal models/my_benefit
  5. warum language review sq -o sheet.html                   for somebody who reads it as
     warum language sign sq --name "…" --date 2026-03-01      their own
docs/translating.md is for translators, docs/languages.md for agencies.

"""

NEW = """

Writes a row into locales/languages.toml and empty catalogs. The language is in work: it is not
offered, and nothing of it is loaded. What is not given is looked up in CLDR."""

SHEET = """

One file of HTML: German, the translation, what a program found, and a piece of a page where the
sentence stands. Documents are those of the package's recorded cases, pages those of the site.
For somebody who reads the language as their own."""

SIGN = """

Writes name, day and digest into locales/languages.toml, or into the package's manifest, and the
language counts as reviewed until a word of it changes. A level of German is signed for by the
readers who tried it out: name their organisation. A translation with faults cannot be signed."""

SHOWN, CASES = "unemployment_benefit", 25
"""The package and how many of its recorded cases show where the product's sentences stand."""

CHECK = """

One line for each message:  file: key: what is wrong [rule]

missing, fuzzy, plural, file   it is not there, or not whole
slot, markup, character        it would break a page or turn what it says
digits, number                 digits other than 0 to 9; a number the German text has is gone
script, language               letters or words of another language; the German text itself
length, ending, left over,     hints: worth a look, they do not stop the language
glossary

Without TAG all languages of the table are checked, those in work too."""

UPDATE = """

New German sentences come in empty, sentences that are gone go, and one that was changed is
untranslated: nothing is guessed. Without --package it is the product's catalogs, with the
templates of all languages where no TAG is named."""


def add_language(commands: Any) -> None:
    parser = commands.add_parser(
        "language",
        help="begin, check, review and sign translations",
        description=ABOUT,
        epilog=WAY + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    new = _command(inner, "new", "begin a language, or its catalog for a package", NEW, _new)
    new.add_argument("tag", metavar="TAG", help="its tag, such as sq or fa-AF")
    new.add_argument("--autonym", metavar="NAME", default="", help="its own name of itself")
    new.add_argument("--dir", choices=("ltr", "rtl"), default="", help="direction of writing")
    new.add_argument(
        "--locale", metavar="L", default="", help="CLDR locale of numbers and dates, as in sq_AL"
    )
    _package(new, "only its catalog, for a language that is in the table")
    check = _command(inner, "check", "name every fault of translations", CHECK, _check)
    check.add_argument("tag", metavar="TAG", nargs="?", help="only this language, such as uk")
    _package(check, "its words instead of the product's")
    update = _command(
        inner, "update", "bring catalogs in step with the German texts", UPDATE, _update
    )
    update.add_argument("tag", metavar="TAG", nargs="?", help="only this language, such as uk")
    _package(update, "its catalogs instead of the product's")
    update.add_argument("--check", action="store_true", help="change nothing; say what would")

    review = _command(
        inner, "review", "write the sheet on which somebody reads a translation", SHEET, _review
    )
    review.add_argument("tag", metavar="TAG", help="the language, such as uk")
    review.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="a new file"
    )
    _package(review, "its words instead of the product's")
    sign = _command(inner, "sign", "record that somebody read all of a translation", SIGN, _sign)
    sign.add_argument("tag", metavar="TAG", help="the language, such as uk")
    sign.add_argument("--name", metavar="NAME", required=True, help="who read it")
    sign.add_argument(
        "--date", metavar="DAY", type=date.fromisoformat, required=True, help="when, as 2026-03-01"
    )
    sign.add_argument("--digest", metavar="D", default="", help="as on the sheet: what was read")
    _package(sign, "its words instead of the product's")


def _command(inner: Any, name: str, help_: str, more: str, action: Any) -> Any:
    parser = inner.add_parser(
        name,
        help=help_,
        description=f"{help_.capitalize()}.{more}",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(action=action)
    return parser


def _package(parser: Any, what: str) -> None:
    parser.add_argument("--package", metavar="DIR", help=f"folder or id of a package: {what}")


def _asked(tag: str | None) -> list[Language]:
    """The translations a command is about. Raises LanguageNotOffered."""
    from explainer.text.languages import translation, translations

    return [translation(tag)] if tag else translations()


# -- check ------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    faulty = False
    for language in _asked(options.tag):
        lines = list(_lines(language, options.package))
        faulty |= any(found.stops for _, found in lines)
        for where, found in lines:
            hint = "" if found.stops else "hint: "
            print(f"{where}: {found.key}: {hint}{found.says} [{found.rule}]")
        if not any(found.stops for _, found in lines):
            print(f"{language.tag}: no fault found")
    return REFUSED if faulty else DONE


def _lines(language: Language, package: str | None) -> Iterator[tuple[str, Finding]]:
    from explainer.packages.bundled import find_package
    from explainer.packages.translations import check_package, wording_file
    from explainer.text.catalogs import PUBLIC, STAFF, catalog_path, check_product
    from explainer.text.languages import locales_dir

    if package:
        folder = find_package(package)
        where = wording_file(folder, language).relative_to(folder.parent).as_posix()
        yield from ((where, found) for found in check_package(folder, language))
        return
    for domain in (PUBLIC, STAFF) if language.staff else (PUBLIC,):
        path = catalog_path(language, domain).relative_to(locales_dir().parent)
        yield from ((path.as_posix(), found) for found in check_product(language, domain))


# -- update -----------------------------------------------------------------------------------


def _update(options: argparse.Namespace) -> int:
    from explainer.packages.bundled import find_package
    from explainer.packages.translations import in_step, wording_file
    from explainer.text.extract import ROOT, files

    asked = _asked(options.tag)
    wanted: dict[Path, bytes] = {}
    if options.package:
        folder = find_package(options.package)
        for language in asked:
            path = wording_file(folder, language)
            if options.tag or path.is_file():
                wanted[path] = in_step(folder, language)
    else:
        wanted = files(ROOT, [options.tag] if options.tag else ())
    stale = [p for p, data in wanted.items() if not p.is_file() or p.read_bytes() != data]
    for path in stale:
        print(f"{'out of step' if options.check else 'written'}: {path}")
        if not options.check:
            _write(path, wanted[path])
    if not stale:
        print("nothing to do: all catalogs are in step with the German texts")
    elif options.package and not options.check:
        print(f"If the package offers the language: warum package seal {options.package}")
    return REFUSED if stale and options.check else DONE


def _write(path: Path, data: bytes) -> None:
    from explainer.packages.scaffold import replace

    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, data)


# -- new --------------------------------------------------------------------------------------


def _new(options: argparse.Namespace) -> int:
    from explainer.packages.bundled import find_package
    from explainer.packages.translations import in_step, wording_file
    from explainer.text.extract import ROOT, files
    from explainer.text.languages import all_languages, locales_dir, translation
    from explainer.text.table import new_row, with_row

    if options.package:
        folder, language = find_package(options.package), translation(options.tag)
        path = wording_file(folder, language)
        _write(path, in_step(folder, language))
        print(f"written: {path}")
        return DONE
    table = locales_dir() / "languages.toml"
    _write(table, with_row(new_row(options.tag, options.autonym, options.dir, options.locale)))
    print(f"written: {table}")
    all_languages.cache_clear()
    for path, data in files(ROOT, [options.tag]).items():
        _write(path, data)
        print(f"written: {path}")
    language = translation(options.tag)
    print(f"{language.autonym} is in work and not offered yet. docs/translating.md is for whoever")
    print(f"translates it; `warum language check {options.tag}` names what is left to do.")
    return DONE


# -- review and sign --------------------------------------------------------------------------


def _review(options: argparse.Namespace) -> int:
    from explainer.cli import write_file
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
        found = [finding for _, finding in _lines(language, options.package)]
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


def _sign(options: argparse.Namespace) -> int:
    from explainer.errors import LanguageTableUnfit
    from explainer.packages import translations
    from explainer.packages.bundled import find_package
    from explainer.text import table
    from explainer.text.languages import digest_of_words, locales_dir, translation

    language = translation(options.tag)
    faults = [one for _, one in _lines(language, options.package) if one.stops]
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
        _write(path, translations.with_review(folder, language, options.name, options.date))
    else:
        path = locales_dir() / "languages.toml"
        _write(path, table.with_review(language, options.name, options.date))
    print(f"{language.tag}: reviewed by {options.name} on {options.date}, digest {digest[:16]}.")
    print(f"written: {path}")
    return DONE
