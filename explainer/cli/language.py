"""`warum language`: begin, check, review and sign translations."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainer.cli import DONE, EXIT_CODES, REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from explainer.text.languages import Language
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

One file of HTML: German, the translation, what a program found, what kind of text it is, and a
piece of a page where it stands; of the few that stand on no page, why. Documents are those of the
package's recorded cases, and where none of them has a text of cases made of them; pages are those
of the site. At the end somebody who reads the language as their own signs with name and date."""

SIGN = """

Writes name, day and digest into locales/languages.toml, or into the package's manifest, and the
language counts as reviewed until a word of it changes. A level of German is signed for by the
readers who tried it out: name their organisation. A translation with faults cannot be signed."""

CHECK = """

One line for each message:  file: key: what is wrong [rule]

missing, fuzzy, plural, file   it is not there, or not whole
slot, markup, character        it would break a page or turn what it says
digits, number                 digits other than 0 to 9; a number the German text has is gone
script, language               letters or words of another language; the German text itself
spacing                        French: a sign without the no-break space beside it
words, such as cause, address  words that must not stand there: docs/plain-language.md has the kinds
length, ending, left over,     hints: worth a look, they do not stop the language
glossary

Without TAG all languages that are to be offered are checked; those in work by their TAG."""

PLAIN = """

Sentences by rules, documents of recorded cases by formulas: docs/plain-language.md says which. A
fault has to be mended; a warning may be accepted by name."""

UPDATE = """

New German sentences come in empty, sentences that are gone go, and one that was changed is
untranslated: nothing is guessed. Without --package it is the product's catalogs, with the
templates of all languages where no TAG is named."""


def add_language(commands: Any) -> None:
    # it uses what stands here, so it comes after it
    from explainer.cli.reviewing import review_sheet, sign_review

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

    plain = _command(inner, "plain", "hold texts to the rules of plain language", PLAIN, _plain)
    plain.add_argument("tag", metavar="TAG", nargs="?", help="only this language, such as de")
    plain.add_argument("--notes", action="store_true", help="what is only worth a look, too")
    _package(plain, "its words instead of the product's")
    review = _command(
        inner,
        "review",
        "write the sheet on which somebody reads a translation",
        SHEET,
        review_sheet,
    )
    review.add_argument("tag", metavar="TAG", help="the language, such as uk")
    review.add_argument(
        "-o", "--output", metavar="FILE", type=Path, required=True, help="a new file"
    )
    _package(review, "its words instead of the product's")
    sign = _command(
        inner, "sign", "record that somebody read all of a translation", SIGN, sign_review
    )
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


def _plain(options: argparse.Namespace) -> int:
    from explainer.packages.bundled import find_package
    from explainer.packages.plainly import plain_findings
    from explainer.plain.gate import report
    from explainer.plain.lists import FAIL

    folder = find_package(options.package) if options.package else None
    findings = plain_findings(options.tag, folder)
    for line in report(findings, notes=options.notes):
        print(line)
    return REFUSED if any(found.severity == FAIL for found in findings) else DONE


# -- check ------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from explainer.text.languages import Status

    faulty = False
    asked = [one for one in _asked(options.tag) if options.tag or one.status is not Status.IN_WORK]
    for language in asked:
        lines = list(findings_of(language, options.package))
        faulty |= any(found.stops for _, found in lines)
        for where, found in lines:
            hint = "" if found.stops else "hint: "
            print(f"{where}: {found.key}: {hint}{found.says} [{found.rule}]")
        if not any(found.stops for _, found in lines):
            print(f"{language.tag}: no fault found")
    return REFUSED if faulty else DONE


def findings_of(language: Language, package: str | None) -> Iterator[tuple[str, Finding]]:
    """What a program finds wrong, each with the file it is in."""
    from explainer.packages.bundled import find_package
    from explainer.packages.translations import check_package, wording_file
    from explainer.text.catalogs import PUBLIC, STAFF, catalog_path, check_product
    from explainer.text.languages import locales_dir

    folder = find_package(package) if package else None
    if folder is not None:
        where = wording_file(folder, language).relative_to(folder.parent).as_posix()
        found = [(where, one) for one in check_package(folder, language)]
    else:
        where, found = f"locales/{language.folder}", []
        for domain in (PUBLIC, STAFF) if language.staff else (PUBLIC,):
            path = catalog_path(language, domain).relative_to(locales_dir().parent).as_posix()
            found += [(path, one) for one in check_product(language, domain)]
    yield from found
    if not any(one.rule == "file" for _, one in found):
        yield from _by_lists(language, folder, where)


def _by_lists(language: Language, folder: Path | None, where: str) -> Iterator[tuple[str, Finding]]:
    """Words that must not stand there, and where the German text has a term of the glossary and the
    translation another word; of a package, `where` is its file."""
    from explainer.packages.plainly import package_messages, package_texts
    from explainer.plain.gate import check_message
    from explainer.plain.lists import FAIL, lists_of
    from explainer.plain.product import messages
    from explainer.text.catalogs import PUBLIC, STAFF, catalog_path
    from explainer.text.languages import locales_dir
    from explainer.text.translation import Finding

    if folder is None:
        asked = messages(language)
    else:
        texts = package_texts(folder)
        asked = package_messages(texts.get(language.tag, {}), texts["de"])
    kinds = {entry.kind for entry in lists_of(language.tag).banned}
    for message in asked:
        if folder is None:
            path = catalog_path(language, STAFF if message.place.staff else PUBLIC)
            where = path.relative_to(locales_dir().parent).as_posix()
        for found in check_message(message, language.tag):
            if found.rule == "glossary":
                says = f"has another word than the glossary: {found.found}"
                yield where, Finding(found.key, "glossary", says, stops=False)
            elif found.rule in kinds and found.severity == FAIL:
                says = f"must not say “{found.found}”. {found.mend}"
                yield where, Finding(found.key, found.rule, says)


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
            write(path, wanted[path])
    if not stale:
        print("nothing to do: all catalogs are in step with the German texts")
    elif options.package and not options.check:
        print(f"If the package offers the language: warum package seal {options.package}")
    return REFUSED if stale and options.check else DONE


def write(path: Path, data: bytes) -> None:
    """Write a file as a whole, where one may stand already."""
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
        write(path, in_step(folder, language))
        print(f"written: {path}")
        return DONE
    table = locales_dir() / "languages.toml"
    write(table, with_row(new_row(options.tag, options.autonym, options.dir, options.locale)))
    print(f"written: {table}")
    all_languages.cache_clear()
    for path, data in files(ROOT, [options.tag]).items():
        write(path, data)
        print(f"written: {path}")
    language = translation(options.tag)
    print(f"{language.autonym} is in work and not offered yet. docs/translating.md is for whoever")
    print(f"translates it; `warum language check {options.tag}` names what is left to do.")
    return DONE
