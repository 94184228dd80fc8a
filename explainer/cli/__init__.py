"""The commands that need no web: explain cases (`explain`), make and check packages (`packages`),
look after translations (`language`), hand out the converter (`convert`).

Here is what all commands share: exit codes, errors as sentences, progress. Output goes to standard
output, everything else to standard error. Heavy libraries are imported when a command needs them,
so that `--help` answers at once.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from explainer.errors import ExplainerError, ExportFailed

if TYPE_CHECKING:
    from pathlib import Path

    from rich.progress import Progress

DONE, REFUSED, USAGE, WITHHELD = 0, 1, 2, 3
INTERNAL, STOPPED = 70, 130

EXIT_CODES = """\
exit codes:
  0    done
  1    refused: the case, the package or the records have a fault, which is named
  2    the command was not understood
  3    the explanation was withheld, and the answer says so
  70   a fault of Warum itself; please report it
  130  stopped with Ctrl-C
"""


def add_commands(commands: Any) -> None:
    """Add the commands that need no web to a parser's subcommands."""
    # they use what stands here, so they come after it
    from explainer.cli.convert import add_convert
    from explainer.cli.explain import add_explain
    from explainer.cli.language import add_language
    from explainer.cli.packages import add_package

    add_explain(commands)
    add_package(commands)
    add_language(commands)
    add_convert(commands)


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
        return STOPPED
    except OSError as fault:
        say(f"error [file] {fault.filename or 'file'}: {fault.strerror or 'cannot be used'}.")
        return REFUSED
    except Exception as fault:  # no stack trace ever reaches a person
        say(f"error [internal] {type(fault).__name__}: this is a fault of Warum; please report it.")
        return INTERNAL


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


def write_file(path: Path, data: bytes) -> None:
    """Write a file that is not there yet, and say so. Raises ExportFailed."""
    from explainer.ledger.durable import write_new

    try:
        write_new(path, data, exclusive=True)
    except FileExistsError:
        raise ExportFailed("It is there already.", str(path), "Name another file.") from None
    except OSError as fault:
        raise ExportFailed(
            f"It cannot be written ({fault.strerror}).", str(path), "Check disk and rights."
        ) from None
    print(f"Written: {path}")


# -- progress ---------------------------------------------------------------------------------


@contextmanager
def progress_bar(
    title: str, total: int, *, beside_answers: bool = False
) -> Iterator[Callable[[int], None]]:
    """A bar on standard error if that is a terminal; else nothing.

    `beside_answers`: answers are printed meanwhile. Where they go to a terminal as well, they
    show by themselves how far it is, and a bar would be drawn across them.
    """
    with _bar(wanted=not (beside_answers and sys.stdout.isatty())) as bar:
        if bar is None:
            yield lambda _: None
            return
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def progress_steps() -> Iterator[Callable[[str, int, int], None]]:
    """The same for work of several named stretches."""
    with _bar() as bar:
        if bar is None:
            yield lambda _title, _done, _total: None
            return
        task = bar.add_task("", total=None)
        yield lambda title, done, total: bar.update(
            task, description=title, completed=done, total=total
        )


@contextmanager
def _bar(*, wanted: bool = True) -> Iterator[Progress | None]:
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    # rich takes over standard output as well, if it is let, and prints it beside the bar: on
    # standard error. Answers would never reach the file they are meant for.
    with Progress(console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        yield bar
