"""The commands that need no web: explain cases, make and check packages.

Output goes to standard output, everything else to standard error. Heavy libraries are imported
when a command needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainer.core.forms import error_form
from explainer.errors import (
    CaseFaulty,
    CaseMalformed,
    ExplainerError,
    NotExplainable,
)

if TYPE_CHECKING:
    from explainer.core.case import Case
    from explainer.core.disclosure import Audience
    from explainer.packages.package import ModelPackage

DONE, REFUSED, USAGE, WITHHELD = 0, 1, 2, 3

EXIT_CODES = """\
exit codes:
  0  done
  1  refused: the case, the package or the records have a fault, which is named
  2  the command was not understood
  3  the explanation was withheld, and the text says so
"""

NOT_RECORDED = (
    "note: this output is for people who prepare packages. It was not recorded; "
    "people are told through the service only (warum serve)."
)


def add_commands(commands: Any) -> None:
    """Add the commands of this module to a parser's subcommands."""
    _add_explain(commands)
    _add_package(commands)


def run(action: Callable[[], int]) -> int:
    """Run a command; whatever goes wrong becomes sentences on standard error."""
    try:
        return action()
    except ExplainerError as fault:
        report(fault)
        return REFUSED
    except BrokenPipeError:
        # the reader of a pipe closed it; nobody is left to be told
        sys.stderr.close()
        return DONE
    except KeyboardInterrupt:
        say("stopped.")
        return 130
    except OSError as fault:
        say(f"error [file] {fault.filename or 'file'}: {fault.strerror or 'cannot be used'}.")
        return REFUSED
    except Exception as fault:  # no stack trace ever reaches a person
        say(f"error [internal] {type(fault).__name__}: this is a fault of Warum; please report it.")
        return 70


def loaded() -> None:
    """Everything is loaded and stays: from here on, look for garbage again, but not among that."""
    gc.freeze()
    gc.enable()


def report(fault: ExplainerError) -> None:
    """An error and, if it gathers several, each of them on a line of its own."""
    say(f"error [{fault.code}] {fault}")
    inner = getattr(fault, "faults", ())
    for each in inner:
        one = each[1] if isinstance(each, tuple) else each
        say(f"  - [{one.code}] {one}")


def say(text: str) -> None:
    print(text, file=sys.stderr)


# -- warum explain ----------------------------------------------------------------------------


def _add_explain(commands: Any) -> None:
    parser = commands.add_parser(
        "explain",
        help="explain one case, or a file of cases, in words or as JSON",
        description="Explain what the model of PACKAGE suggests for a case, and why.\n\n"
        "PACKAGE is the folder of a model package, or the id of one that comes with Warum.\n"
        "CASE is a file with one case as JSON; a .jsonl file holds one case a line and gives\n"
        "one answer a line; - reads standard input.",
        epilog="examples:\n"
        "  warum explain unemployment_benefit case.json\n"
        "  warum explain unemployment_benefit case.json --language ar --audience applicant\n"
        "  warum explain models/my_benefit cases.jsonl --format json > answers.jsonl\n"
        '  echo \'{"ref": "A-1", "values": {…}}\' | warum explain models/my_benefit -\n\n'
        + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("package", metavar="PACKAGE", help="folder or id of a package")
    parser.add_argument("case", metavar="CASE", help="JSON file, JSON Lines file, or -")
    parser.add_argument(
        "--audience",
        choices=["applicant", "caseworker"],
        help="for whom it is worded (default: applicant; with --format json: the whole form, "
        "for machines and auditors)",
    )
    parser.add_argument("--language", default="de", metavar="TAG", help="de, en, ar (default: de)")
    parser.add_argument(
        "--format", choices=["text", "json", "html"], default="text", help="default: text"
    )
    parser.add_argument(
        "--date",
        type=date.fromisoformat,
        metavar="DAY",
        help="explain as on this day, such as 2026-03-01 (default: today)",
    )
    parser.set_defaults(action=_explain)


def _explain(options: argparse.Namespace) -> int:
    from explainer.packages.admit import admit
    from explainer.packages.bundled import find_package
    from explainer.text.languages import language

    spoken = language(options.language)
    if options.audience == "caseworker" and not spoken.staff:
        say(f"error [language.not_offered] {spoken.tag}: staff pages are in German and English.")
        return REFUSED
    lines = read_cases(options.case)
    package = admit(find_package(options.package))
    loaded()
    today = options.date or _today()
    say(NOT_RECORDED)
    if lines.one:
        answer, code = answer_to(json_of(lines.text, options.case), package, options, today)
        sys.stdout.write(answer if answer.endswith("\n") else answer + "\n")
        return code
    worst = DONE
    rows = lines.text.split("\n")  # splitlines() would cut texts at characters JSON allows
    with progress_bar("Explaining", len(rows)) as step:
        for number, row in enumerate(rows, start=1):
            if row.strip():
                line, code = _line_answer(row, number, package, options, today)
                print(json.dumps(line, ensure_ascii=False))
                worst = REFUSED if REFUSED in (worst, code) else max(worst, code)
            step(number)
    return worst


def _line_answer(
    row: str, number: int, package: ModelPackage, options: argparse.Namespace, today: date
) -> tuple[dict[str, Any], int]:
    try:
        raw = json_of(row, f"line {number}")
        answer, code = answer_to(raw, package, options, today)
        if options.format == "json":
            return json.loads(answer), code
        inner = raw.get("case", raw)
        return {"ref": inner.get("ref"), options.format: answer}, code
    except ExplainerError as fault:
        report(
            type(fault)(f"line {number}, {fault.where}", fault.faults)
            if isinstance(fault, CaseFaulty)
            else fault
        )
        return {"line": number, "error": error_form(fault)}, REFUSED


def answer_to(
    raw: Any, package: ModelPackage, options: argparse.Namespace, today: date
) -> tuple[str, int]:
    """The answer to one case in the form that was asked for, and the exit code."""
    from explainer.core.case import read_case
    from explainer.core.disclosure import Audience
    from explainer.core.forms import explanation_form
    from explainer.pipeline import explain, tell, tell_withheld
    from explainer.text.languages import language
    from explainer.text.render import standalone

    if isinstance(raw, dict) and "case" in raw:
        raw = raw["case"]  # a line of golden/cases.jsonl
    case = read_case(raw, package.catalogue)
    _check_meant(case, package)
    spoken = language(options.language)
    audience = Audience(options.audience or "applicant")
    form = "html" if options.format == "html" else "text"
    code = DONE
    try:
        explanation = explain(case, package, today)
        if options.format == "json" and options.audience is None:
            return json.dumps(explanation_form(explanation), ensure_ascii=False, indent=2), DONE
        told = tell(explanation, audience, spoken, package, form=form)
        if options.format == "json":
            return _view_answer(explanation, audience, package, told), DONE
    except NotExplainable as fault:
        report(fault)
        code = WITHHELD
        told = tell_withheld(fault, audience, spoken, package, form=form)
        if options.format == "json":
            from explainer.core.forms import withheld_form

            return json.dumps(withheld_form(fault, told, case.ref), ensure_ascii=False), code
    if options.format == "html":
        return standalone(told, spoken, package.wording(spoken)["package|title"]), code
    return told.body.decode(), code


def _view_answer(explanation: Any, audience: Audience, package: ModelPackage, told: Any) -> str:
    from explainer.core.disclosure import disclose
    from explainer.core.forms import view_form

    view = disclose(explanation, audience, package.disclosure)
    return json.dumps(view_form(view, told), ensure_ascii=False, indent=2)


def _check_meant(case: Case, package: ModelPackage) -> None:
    if case.package is not None and case.package != package.manifest.id:
        raise CaseFaulty(
            f"case {case.ref}",
            [
                CaseMalformed(
                    f"The case is meant for the package {case.package[:60]}.",
                    "package",
                    f"This is {package.manifest.id}; name the other one.",
                )
            ],
        )


class Lines:
    """What was read: one case, or a file of one case a line."""

    def __init__(self, text: str, *, one: bool) -> None:
        self.text = text
        self.one = one


def read_cases(name: str) -> Lines:
    """Read CASE, or standard input for -. Raises CaseFaulty where that fails."""
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as fault:
        raise _unreadable(name, f"The file cannot be read ({fault.strerror}).") from None
    except UnicodeDecodeError:
        raise _unreadable(name, "The file is not UTF-8 text.") from None
    if not text.strip():
        raise _unreadable(name, "There is no case in it.")
    if name.endswith(".jsonl"):
        return Lines(text, one=False)
    if name == "-" and "\n" in text.strip():
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return Lines(text, one=False)
    return Lines(text, one=True)


def _unreadable(name: str, what: str) -> CaseFaulty:
    return CaseFaulty(
        name, [CaseMalformed(what, name, 'Give a file with {"ref": "…", "values": {…}}.')]
    )


def json_of(text: str, where: str) -> Any:
    """Parse strictly: NaN and repeated keys are refused, as they hide mistakes."""

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is not a value")

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    try:
        return json.loads(text, parse_constant=no_constant, object_pairs_hook=no_repeats)
    except RecursionError:
        why = "it is nested too deeply"
    except json.JSONDecodeError as fault:
        why = f"{fault.msg.lower()} in line {fault.lineno}, column {fault.colno}"
    except ValueError as fault:
        why = str(fault)
    raise CaseFaulty(
        where, [CaseMalformed(f"This is not JSON: {why}.", where, "Correct the file.")]
    )


def _today() -> date:
    return datetime.now(UTC).date()  # noqa: TID251 - the clock of the command line


# -- warum package ----------------------------------------------------------------------------


def _add_package(commands: Any) -> None:
    parser = commands.add_parser(
        "package",
        help="make, seal and check model packages",
        description="A model package is a folder of data: a model, the words of an agency, a\n"
        "comparison group and recorded cases, under one digest. It never holds code.",
        epilog="the way to your own package:\n"
        "  1. warum package new models/my_benefit --artefact model.skops\n"
        "  2. fill in manifest.toml, features.toml, wording.toml, background.csv and\n"
        "     golden/cases.jsonl; `warum package check` names what is left\n"
        "  3. warum package seal models/my_benefit      (writes the digests)\n"
        "  4. warum package check models/my_benefit\n"
        "  5. warum package golden models/my_benefit    (records texts for people to read)\n\n"
        + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, help_, action in (
        ("check", "name every fault of a package at once", _package_check),
        ("seal", "write the digest of every file into the manifest", _package_seal),
        ("golden", "record the texts of recorded cases, for people to read", _package_golden),
    ):
        sub = inner.add_parser(
            name,
            help=help_,
            description=f"{help_.capitalize()}.",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("package", metavar="PACKAGE", help="folder or id of a package")
        if name == "golden":
            sub.add_argument("--count", type=int, default=10, help="how many cases (default: 10)")
        sub.set_defaults(action=action)
    new = inner.add_parser(
        "new",
        help="write a skeleton package around a model",
        description="Write a skeleton package around a model saved with skops.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new.add_argument("folder", metavar="DIR", type=Path, help="a folder that does not exist yet")
    new.add_argument("--artefact", metavar="FILE", type=Path, required=True, help="a skops file")
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

    folder = find_package(options.package)
    with progress_steps() as progress:
        loaded()
        package = check(folder, tell_as_text, progress)
    manifest = package.manifest
    print(f"{manifest.id} {manifest.version}: no fault found.")
    print(f"  digest       {manifest.digest}")
    print(f"  languages    {', '.join(package.wordings)}")
    print(f"  features     {len(package.catalogue)}, comparison rows {manifest.background_rows}")
    print(f"  recorded     {len(package.golden)} cases, {len(package.recorded_texts)} texts")
    print(f"  review       {manifest.review_status}: {manifest.review_note}")
    if len(package.catalogue) > 14:
        print("  not checked  brute force and shap: more than 14 features")
    return DONE


def _package_seal(options: argparse.Namespace) -> int:
    from explainer.packages.bundled import find_package
    from explainer.packages.scaffold import seal

    folder = find_package(options.package)
    print(f"{seal(folder)} files sealed in {folder / 'manifest.toml'}.")
    return DONE


def _package_golden(options: argparse.Namespace) -> int:
    from explainer.packages.admit import record_texts
    from explainer.packages.bundled import find_package
    from explainer.packages.package import open_package
    from explainer.packages.scaffold import replace, seal

    folder = find_package(options.package)
    package = open_package(folder)
    texts = record_texts(package, tell_as_text, options.count)
    for old in (folder / "golden").glob("*.txt"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        replace(folder / "golden" / name, text)
    seal(folder)
    print(f"{len(texts)} texts recorded in {folder / 'golden'}. Have people read them.")
    return DONE


def _package_new(options: argparse.Namespace) -> int:
    from explainer.packages.scaffold import new_package

    names = new_package(options.folder, options.artefact)
    print(f"A skeleton with {len(names)} features stands in {options.folder}:")
    for name in names:
        print(f"  {name}")
    print("Fill it in; `warum package check` names what is left.")
    return DONE


# -- progress ---------------------------------------------------------------------------------


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error if that is a terminal; else nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def progress_steps() -> Iterator[Callable[[str, int, int], None]]:
    """The same for work of several named stretches."""
    if not sys.stderr.isatty():
        yield lambda _title, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda title, done, total: bar.update(
            task, description=title, completed=done, total=total
        )
