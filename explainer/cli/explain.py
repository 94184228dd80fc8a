"""`warum explain`: one case, or a file of cases, explained in words or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explainer.cli import DONE, EXIT_CODES, REFUSED, WITHHELD, loaded, progress_bar, report, say
from explainer.core.days import local_day
from explainer.core.forms import error_form
from explainer.errors import CaseFaulty, CaseMalformed, ExplainerError, NotExplainable

if TYPE_CHECKING:
    from explainer.core.case import Case
    from explainer.core.disclosure import Audience
    from explainer.packages.package import ModelPackage

NOT_RECORDED = (
    "note: this output is for people who prepare packages. It was not recorded; "
    "people are told through the service only (warum serve)."
)


def add_explain(commands: Any) -> None:
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
    parser.add_argument(
        "--language", default="de", metavar="TAG", help="such as de-simple, en or uk (default: de)"
    )
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
    with progress_bar("Explaining", len(rows), beside_answers=True) as step:
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
        if options.format == "json" and options.audience is None:
            return _withheld_answer(fault, case, package), code
        told = tell_withheld(fault, audience, spoken, package, form=form)
        if options.format == "json":
            from explainer.core.forms import withheld_form

            return json.dumps(withheld_form(fault, told, case.ref), ensure_ascii=False), code
    if options.format == "html":
        return standalone(told, spoken, package.wording(spoken)["package|title"]), code
    return told.body.decode(), code


def _withheld_answer(fault: NotExplainable, case: Case, package: ModelPackage) -> str:
    from explainer.core.forms import withheld_explanation_form

    form = withheld_explanation_form(fault, case, package.identity, package.explained.method)
    return json.dumps(form, ensure_ascii=False, indent=2)


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
    """Parse strictly: repeated keys are refused, as they hide mistakes.

    NaN and Infinity, which JSON does not have, are let through: whoever looks at the feature
    they stand in refuses them and can name it.
    """

    def no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key is there twice")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=no_repeats)
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
    return local_day(datetime.now(UTC))  # noqa: TID251 - the clock of the command line
