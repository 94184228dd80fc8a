"""The commands that need no web: explain cases (`explain`), make and check packages (`packages`).

Here is what all commands share: exit codes, errors as sentences, progress. Output goes to standard
output, everything else to standard error. Heavy libraries are imported when a command needs them,
so that `--help` answers at once.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from explainer.errors import ExplainerError

DONE, REFUSED, USAGE, WITHHELD = 0, 1, 2, 3

EXIT_CODES = """\
exit codes:
  0  done
  1  refused: the case, the package or the records have a fault, which is named
  2  the command was not understood
  3  the explanation was withheld, and the text says so
"""


def add_commands(commands: Any) -> None:
    """Add the commands that need no web to a parser's subcommands."""
    # they use what stands here, so they come after it
    from explainer.cli.explain import add_explain
    from explainer.cli.packages import add_package

    add_explain(commands)
    add_package(commands)


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
