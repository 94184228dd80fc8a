"""Write the pages that are made from code: commands, settings, errors, rules of
selection and of plain language.

`python docs/generate.py` writes them; with `--check` it only says whether anything would change.
The pages are put together here and not taken from `--help`, whose layout differs between versions
of Python.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import service.app  # brings every error of the service with it
import service.cli
from explainer.errors import ExplainerError
from explainer.packages.bundled import bundled_packages
from explainer.packages.plainly import package_texts, recorded, without_contact
from explainer.plain.formulas import GATES, SPLIT, measure
from explainer.plain.lists import lists_of
from explainer.plain.rules import RULES
from service.settings import SETTINGS
from service.web.problems import status_of, words_of

DOCS = Path(__file__).resolve().parent
MADE = "<!-- Made from code by `make docs`. Changes here are overwritten. -->\n\n"


def pages() -> dict[str, str]:
    """Every generated page by file name."""
    return {
        "commands.md": MADE + "\n".join(_commands()) + "\n",
        "errors.md": MADE + "\n".join(_errors()) + "\n",
        "how-reasons-are-chosen.md": _reasons(),
        "plain-language.md": _plain_language(),
        "settings.md": MADE + "\n".join(_settings()) + "\n",
    }


# -- commands ---------------------------------------------------------------------------------


class _Parser(Exception):
    """Carries the finished parser out of the command line, before anything is run."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def command_parser() -> argparse.ArgumentParser:
    """The parser of `warum`, as it stands when a command is about to be read."""

    def caught(self: argparse.ArgumentParser, *_: object) -> argparse.Namespace:
        raise _Parser(self)

    original = argparse.ArgumentParser.parse_args
    argparse.ArgumentParser.parse_args = caught  # type: ignore[assignment]
    try:
        service.cli.main([])
    except _Parser as found:
        return found.parser
    finally:
        argparse.ArgumentParser.parse_args = original  # type: ignore[method-assign]
    raise SystemExit("the command line ran without reading its arguments")


def commands_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command, in the order of the help, and those within it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield inner.prog, inner
                yield from commands_of(inner)


def _commands() -> Iterator[str]:
    parser = command_parser()
    yield "# Commands\n"
    yield f"{_plain(parser.description)}\n"
    yield from _block(parser.epilog)
    for name, command in commands_of(parser):
        yield f"## {name}\n"
        yield f"{_plain(command.description)}\n"
        rows = list(_arguments(command))
        if rows:
            yield "| | |\n|---|---|"
            yield from (f"| `{shown}` | {meaning} |" for shown, meaning in rows)
            yield ""
        yield from _block(_without_shared(command.epilog))


def _arguments(command: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        meaning = _cell(action.help or "")
        if not action.option_strings:
            yield str(action.metavar or action.dest), meaning
            continue
        shown = ", ".join(action.option_strings)
        if action.nargs != 0:
            value = action.metavar or (
                "{" + ",".join(map(str, action.choices)) + "}"
                if action.choices
                else action.dest.upper()
            )
            shown += f" {value}"
        yield shown.replace("|", "\\|"), meaning


def _without_shared(epilog: str | None) -> str | None:
    """Exit codes and settings are the same everywhere and stand once."""
    if epilog is None:
        return None
    return re.sub(r"(?ms)^(exit codes|settings \(environment variables\)):.*?(\n\n|\Z)", "", epilog)


def _block(text: str | None) -> Iterator[str]:
    if text and text.strip():
        yield f"```text\n{text.strip()}\n```\n"


def _plain(text: str | None) -> str:
    return (text or "").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# -- reasons ----------------------------------------------------------------------------------


def _reasons() -> str:
    """The rules with the tables that test them, from tests/spec/reasons_page.py."""
    sys.path.insert(0, str(DOCS.parent / "tests" / "spec"))
    from reasons_page import page

    written: str = page()
    return written


# -- plain language ---------------------------------------------------------------------------


def _plain_language() -> str:
    """The page as it is, with its three tables made anew."""
    text = (DOCS / "plain-language.md").read_text("utf-8")
    for name, lines in (
        ("rules", _plain_rules()),
        ("gates", _plain_gates()),
        ("figures", _plain_figures()),
    ):
        opening, closing = f"<!-- {name}: written by make docs -->\n", f"<!-- /{name} -->"
        before, _, rest = text.partition(opening)
        _, _, after = rest.partition(closing)
        text = before + opening + "\n" + "\n".join(lines) + "\n\n" + closing + after
    return text


OF_DOCUMENTS = {
    "mean-length": ("mean_length", "w"),
    "document-length": ("words", "note"),
    "passive-share": ("passive_share", "w"),
}


def _plain_rules() -> Iterator[str]:
    levels = {tag: lists_of(tag) for tag in GATES}
    yield "| Rule | `de` | `de-simple` | `en` | Asks for |\n|---|---|---|---|---|"
    for rule, about in RULES.items():
        cells = []
        for tag, lists in levels.items():
            marks = lists.thresholds.get(rule, {})
            said = [f"{word[0]} > {marks[word]}" for word in ("warn", "fail") if word in marks]
            banned = {e.severity for e in lists.banned if e.kind == rule}
            said += [word[0] for word in sorted(banned)]
            if rule == "form" or any(gate.rule == rule for gate in GATES[tag]):
                said.append("f")
            if rule in OF_DOCUMENTS:
                key, severity = OF_DOCUMENTS[rule]
                said.append(f"{severity} > {lists.document[key]}")
            cells.append(", ".join(said) or "–")
        yield f"| `{rule}` | {' | '.join(cells)} | {_cell(about.asks)} |"


def _plain_gates() -> Iterator[str]:
    yield "| Level | Formula | Target | Limit |\n|---|---|---|---|"
    for tag, gates in GATES.items():
        for gate in gates:
            sign = "at least" if gate.higher_is_easier else "at most"
            yield f"| `{tag}` | {gate.name} | {sign} {gate.target} | {sign} {gate.limit} |"


def _plain_figures() -> Iterator[str]:
    yield "| Package | Language | Texts | Words | Words a sentence | Figures |"
    yield "|---|---|---|---|---|---|"
    for folder in sorted(path.parent for path in bundled_packages().glob("*/manifest.toml")):
        texts = package_texts(folder)
        # compounds of easy texts are counted by their parts, and whole beside that
        for tag, split in [(tag, None) for tag in GATES] + [(tag, False) for tag in sorted(SPLIT)]:
            told = [without_contact(text, texts[tag]) for _, text in recorded(folder, tag)]
            counted = [measure(text, tag, split=split) for text in told]
            measured = [figures for figures in counted if figures is not None]
            if not measured:
                continue
            shown = []
            for gate in GATES[tag]:
                each = [gate.figure(figures) for figures in measured]
                worst = min(each) if gate.higher_is_easier else max(each)
                shown.append(f"{gate.name} {sum(each) / len(each):.1f} ({worst:.1f})")
            words = [figures.words for figures in measured]
            length = sum(figures.per_sentence for figures in measured) / len(measured)
            yield (
                f"| `{folder.name}` | `{tag}`{', compounds whole' if split is False else ''} "
                f"| {len(measured)} of {len(told)} | {min(words)} to {max(words)} "
                f"| {length:.1f} | {', '.join(shown)} |"
            )


# -- settings ---------------------------------------------------------------------------------


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield (
        "Environment variables, read once at the start. A name that begins with `WARUM_` and does\n"
        "not stand here is refused, and so is a value that is not understood.\n"
    )
    yield "| Setting | Default | Meaning |\n|---|---|---|"
    for setting in SETTINGS:
        default = setting.default if setting.default.startswith("(") else f"`{setting.default}`"
        yield f"| `{setting.name}` | {default} | {_cell(setting.meaning)} |"


# -- errors -----------------------------------------------------------------------------------


def leaves(root: type[ExplainerError]) -> Iterator[type[ExplainerError]]:
    """Every error with a code of its own, in the order of the file it stands in."""
    for kind in root.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from leaves(kind)


def _errors() -> Iterator[str]:
    yield "# Errors\n"
    yield (
        "Every error raised on purpose has a code that does not change. The log and the answers\n"
        "for programs carry the code; pages show a sentence from the catalogs, found by the key\n"
        "in the last column. `warum` prints what happened, where, and how to mend it, and ends\n"
        "with exit code 1 (3 where an explanation was withheld and the text says so).\n"
    )
    yield "| Code | Means | HTTP | Sentence |\n|---|---|---|---|"
    for kind in sorted(set(leaves(ExplainerError)), key=lambda kind: kind.code):
        fault = kind.__new__(kind)
        meaning = _cell((kind.__doc__ or "").split("\n\n")[0])
        yield f"| `{kind.code}` | {meaning} | {status_of(fault)} | `{words_of(fault)}` |"


# ---------------------------------------------------------------------------------------------


def main() -> int:
    """Write the pages, or say which are not current; 0 if all is well afterwards."""
    parser = argparse.ArgumentParser(description="Write the pages that are made from code.")
    parser.add_argument("--check", action="store_true", help="change nothing")
    check = parser.parse_args().check
    stale = [
        name
        for name, text in pages().items()
        if not (DOCS / name).is_file() or (DOCS / name).read_text("utf-8") != text
    ]
    for name in stale:
        if check:
            print(f"docs/{name} is not current. Run: make docs", file=sys.stderr)
        else:
            (DOCS / name).write_text(pages()[name], "utf-8")
            print(f"docs/{name} written.")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
