"""`warum package`: make, seal and check model packages, and record their texts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainer.cli import DONE, EXIT_CODES, loaded, progress_steps
from explainer.errors import NotExplainable
from explainer.families import FORMATS

if TYPE_CHECKING:
    from explainer.core.case import Case
    from explainer.core.disclosure import Audience
    from explainer.packages.package import ModelPackage


CHECK = """

What a service asks at start-up, too: every digest, the model and its indexes, all words in every
language, the comparison group, the scores of all recorded cases. Only here:

- every recorded case is told to everybody in every language, and recorded texts are compared word
  for word;
- words and documents are held to the plain-language gate (docs/plain-language.md); warnings that
  people with names accepted stand in plain.toml;
- witnesses are asked for their own contributions, and the report names them. For up to 14 features
  they are brute force over all coalitions and shap's exact explainer, both through the original
  model. For more: brute force where 10 features differ at a time, and with it, for a weighted sum
  the model itself, one feature at a time; for trees shap's tree explainer where every feature is
  one column of numbers, otherwise the compiled kernel's twin in NumPy, which reads the same trees.
  Where comparison rows have weights, the rows they are asked about have some, too;
- cases are tried with values exactly on thresholds and one step beside, with each gap that is
  allowed, with every choice and with one nobody has seen. Each must add up to the model's own
  margin, or be refused; the report counts both."""

RECORD = """

Writes what the first recorded cases are told into golden/ and the new digests into the manifest,
and lists which texts changed. A recorded text proves nothing until people have read it."""


def add_package(commands: Any) -> None:
    parser = commands.add_parser(
        "package",
        help="make, seal and check model packages",
        description="A model package is a folder of data: a model, the words of an agency, a\n"
        "comparison group and recorded cases, under one digest. It never holds code.",
        epilog="the way to your own package:\n"
        "  1. warum convert --write warum_convert.py; run it where the model was trained\n"
        "  2. warum package new models/my_benefit --converted OUT\n"
        "     then fill in the words; `warum package check` names what is left\n"
        "  3. warum package seal models/my_benefit      (writes the digests)\n"
        "  4. warum package check models/my_benefit\n"
        "  5. warum package golden models/my_benefit    (records texts for people to read)\n\n"
        + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, help_, more, action in (
        ("check", "name every fault of a package at once", CHECK, _package_check),
        ("seal", "write the digest of every file into the manifest", "", _package_seal),
        (
            "golden",
            "record the texts of recorded cases, for people to read",
            RECORD,
            _package_golden,
        ),
    ):
        sub = inner.add_parser(
            name,
            help=help_,
            description=f"{help_.capitalize()}.{more}",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("package", metavar="PACKAGE", help="folder or id of a package")
        if name == "golden":
            sub.add_argument("--count", type=int, default=10, help="how many cases (default: 10)")
        sub.set_defaults(action=action)
    _add_new(inner)


def _add_new(inner: Any) -> None:
    new = inner.add_parser(
        "new",
        help="write a skeleton package around a model",
        description="Write a skeleton package around a model. What its file says of its inputs is "
        "filled in; the\nfile is read in a process of its own. With --converted, all that the "
        "converter found out\nwhere the model was trained is filled in as well: comparison group, "
        "recorded cases, ranges.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("folder", metavar="DIR", type=Path, help="a folder that does not exist yet")
    source = new.add_mutually_exclusive_group(required=True)
    source.add_argument("--artefact", metavar="FILE", type=Path, help="the file of the model")
    source.add_argument(
        "--converted", metavar="OUT", type=Path, help="the folder the converter wrote"
    )
    new.add_argument(
        "--format",
        metavar="F",
        choices=tuple(FORMATS),
        help=f"of --artefact, if its ending does not say it: {', '.join(FORMATS)}",
    )
    new.set_defaults(action=_package_new)


def tell_as_text(case: Case, package: ModelPackage, audience: Audience, tag: str) -> bytes:
    """What recorded texts hold: the told text on the day the package was made."""
    from explainer.pipeline import explain, tell, tell_withheld
    from explainer.text.languages import language

    spoken = language(tag)
    try:
        explanation = explain(case, package, package.manifest.created)
    except NotExplainable as fault:
        return tell_withheld(fault, audience, spoken, package, form="text").body
    return tell(explanation, audience, spoken, package, form="text").body


def _package_check(options: argparse.Namespace) -> int:
    from explainer.packages.admit import check
    from explainer.packages.bundled import find_package
    from explainer.plain.gate import summary

    folder = find_package(options.package)
    with progress_steps() as progress:
        loaded()
        checked = check(folder, tell_as_text, progress)
    package = checked.package
    manifest = package.manifest
    print(f"{manifest.id} {manifest.version}: no fault found.")
    print(f"  digest       {manifest.digest}")
    print(f"  languages    {', '.join(package.wordings)}")
    worth = package.explained.rows_worth
    weighed = "" if package.explained.weights is None else f", by their weights worth {worth:.0f}"
    rows = f"comparison rows {manifest.background_rows}{weighed}"
    print(f"  features     {len(package.catalogue)}, {rows}")
    print(f"  recorded     {len(package.golden)} cases, {len(package.recorded_texts)} texts")
    print(f"  plain        {summary(checked.plain)}")
    print(f"  review       {manifest.review_status}: {manifest.review_note}")
    print("  witnesses    the same contributions from")
    for name in checked.witnesses:
        print(f"               {name}")
    if checked.tried:
        print("  tried        cases that add up to the model's own margin, or are refused")
    for sort, (adding, refused) in checked.tried.items():
        tried = adding + refused
        print(f"               {tried} of {tried} {sort}: {adding} add up, {refused} refused")
    return DONE


def _package_seal(options: argparse.Namespace) -> int:
    from explainer.packages.bundled import find_package
    from explainer.packages.scaffold import seal

    folder = find_package(options.package)
    print(f"{seal(folder)} files sealed in {folder / 'manifest.toml'}.")
    return DONE


def _package_golden(options: argparse.Namespace) -> int:
    from explainer.packages.admit import admit, record_texts
    from explainer.packages.bundled import find_package
    from explainer.packages.scaffold import replace, seal

    folder = find_package(options.package)
    package = admit(folder)
    texts = record_texts(package, tell_as_text, options.count)
    before = package.recorded_texts
    for name in before.keys() - texts.keys():
        (folder / "golden" / name).unlink()
    for name, text in texts.items():
        if before.get(name) != text:
            replace(folder / "golden" / name, text)
    seal(folder)
    print(f"{len(texts)} texts recorded in {folder / 'golden'}, and the package sealed:")
    new = [(name, "new" if name not in before else "changed") for name in texts]
    changes = [(name, how) for name, how in new if before.get(name) != texts[name]]
    changes += [(name, "removed") for name in before.keys() - texts.keys()]
    for name, how in sorted(changes):
        print(f"  {how:8} {name}")
    if changes:
        print("Nobody has read these yet. Have people read every one that is new or changed, line")
        print("by line and in every language, before the package is used; say so in its card.")
    else:
        print("  no text is new or changed")
    return DONE


def _package_new(options: argparse.Namespace) -> int:
    from explainer.packages.scaffold import converted_package, new_package

    if options.converted is not None:
        names = converted_package(options.folder, options.converted)
    else:
        names = new_package(options.folder, options.artefact, options.format)
    print(f"A skeleton with {len(names)} features stands in {options.folder}:")
    for name in names:
        print(f"  {name}")
    print("Fill it in; `warum package check` names what is left.")
    return DONE
