"""All commands: those of the explainer, and those that need the service."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from explainer import cli as explainer_cli
from explainer.cli import DONE, EXIT_CODES, REFUSED, say
from explainer.errors import SettingsInvalid
from explainer.packages.bundled import bundled_packages
from service import cli_database, cli_ledger
from service.settings import SETTINGS, Settings, check_may_serve, check_owner_is_away, read_settings

if TYPE_CHECKING:
    from service.retention import Daily
    from service.wiring import Tools


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="warum",
        description="Warum explains, case by case and in plain words, what a decision-support\n"
        "model suggested to a public agency, and records what people decided.\n"
        "The program never decides.",
        epilog="start here:\n"
        "  warum demo                                   try everything on real old records\n"
        "  warum explain unemployment_benefit CASE.json explain one case in a terminal\n"
        "  warum convert --write FILE                   bring a model of your own\n"
        "  warum COMMAND --help                         what a command does, with examples\n\n"
        + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"warum {version('warum')}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    explainer_cli.add_commands(commands)
    _add_serve(commands)
    _add_demo(commands)
    cli_ledger.add_commands(commands)
    cli_database.add_commands(commands)
    _add_doctor(commands)
    options = parser.parse_args(arguments)
    return explainer_cli.run(lambda: options.action(options))


def _settings_text() -> str:
    lines = [f"  {s.name:<15} {s.meaning} (default: {s.default})" for s in SETTINGS]
    return "\n".join(["settings (environment variables):", *lines])


def _settings(*, demo: bool = False, data: Path | None = None) -> Settings:
    environment = dict(os.environ)
    if demo:
        environment["WARUM_DEMO"] = "1"
        environment.setdefault("WARUM_DATA", "var/demo")
    if data is not None:
        environment["WARUM_DATA"] = str(data)
    return read_settings(environment, bundled_packages())


# -- warum serve ------------------------------------------------------------------------------


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "serve",
        help="run the service",
        description="Run the service for caseworkers, applicants, supervisors and operators.\n"
        "Until sign-in exists it starts in demo mode only, and listens on the loopback.",
        epilog=_settings_text() + "\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(action=_serve)


def _serve(options: argparse.Namespace) -> int:
    settings = _settings()
    check_may_serve(settings)
    check_owner_is_away(os.environ)
    return serve(settings)


def serve(settings: Settings, tools: Tools | None = None) -> int:
    """Listen until stopped. Pages answer once the ledger is found intact; packages are admitted
    beside them, unless `tools` come with theirs.

    Raises SettingsInvalid where the port is taken, and what `prepare_tools` and `Admission.run`
    raise.
    """
    listener = _listen(settings)
    # all imports first: the models' own processes are loading their libraries meanwhile
    import uvicorn

    from service.app import create_app
    from service.events import log_everything
    from service.wiring import demo_token, prepare_tools

    if tools is None:
        say("Checking the ledger …")
        tools = prepare_tools(settings)
    log_everything()
    explainer_cli.loaded()
    say(f"Warum listens on http://{settings.host}:{settings.port}/  (stop with Ctrl+C)")
    if settings.demo:
        say(f"API token to submit cases: {demo_token(settings.data, 'system')}")
        say(f"All tokens: {settings.data / 'demo-api-tokens'}")
    failed: list[Exception] = []

    def ended(fault: Exception | None) -> None:
        if fault is None:
            explainer_cli.loaded()
            _say_admitted(tools)
        else:
            failed.append(fault)
            server.should_exit = True

    def begun() -> None:
        """Once pages are answered; before, every moment of it would keep them waiting."""
        if tools.admitted.done:
            _say_admitted(tools)
        else:
            say("Admitting packages; pages about their cases ask for a moment of patience …")
            tools.admission.begin(ended)

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(tools, begun),
            access_log=False,  # addresses of people and cases belong in no log
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )
    daily = _daily(settings, tools)
    try:
        server.run(sockets=[listener])
    finally:
        if daily is not None:
            daily.close()
    if failed:
        raise failed[0]
    return DONE


def _say_languages(tools: Tools) -> None:
    """What keeps languages from being offered, in full: nobody sees it on a page."""
    for tag, fault in tools.offer.stopped.items():
        say(f"The language {tag} is not offered:")
        explainer_cli.report(fault)
    for row in tools.offer.lapsed:
        say(
            f"The language {row.tag} counts as {row.status}: it changed after {row.reviewer} read "
            f"it on {row.reviewed_on}."
        )


def _say_admitted(tools: Tools) -> None:
    _say_languages(tools)
    for package in tools.packages.values():
        for tag, fault in package.stopped.items():
            say(f"The package {package.manifest.id} is not offered in {tag}:")
            explainer_cli.report(fault)
    for name, fault in tools.refused.items():
        say(f"The package {name} was not admitted:")
        explainer_cli.report(fault)
    say(f"Ready. Packages in force: {', '.join(tools.packages) or 'none'}")


def _daily(settings: Settings, tools: Tools) -> Daily | None:
    """What the service does by itself once a day, where two people approved that."""
    from service.erasing import check_two
    from service.retention import Daily, read_classes, retain

    if not settings.retain_by:
        return None
    check_two(settings.retain_by)
    classes = read_classes(settings.retention)

    def task() -> int:
        count = retain(tools.ledger, classes, settings.retain_by, tools.now())
        tools.seals.now()
        return count

    daily = Daily(task, tools.now)
    daily.start()
    return daily


def _listen(settings: Settings) -> socket.socket:
    """Take the port before anything slow happens, so that a second start fails at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # with the protocol named, answers leave at once; without, each waits 40 ms for company
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as fault:
        listener.close()
        raise SettingsInvalid(
            f"The port cannot be used ({fault.strerror}).",
            f"WARUM_PORT={settings.port}",
            "Stop what uses it, or choose another, such as WARUM_PORT=8001.",
        ) from None
    return listener


# -- warum demo -------------------------------------------------------------------------------


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="try everything on real old records",
        description="Load real old records, explain one case in three languages, record a\n"
        "decision, verify the ledger; then serve the pages, where you can switch between\n"
        "caseworker, applicant, supervisor and operator. Binds to the loopback only.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--no-serve", action="store_true", help="stop after the printed part")
    parser.add_argument("--fresh", action="store_true", help="forget earlier demonstrations first")
    parser.set_defaults(action=_demo)


def _demo(options: argparse.Namespace) -> int:
    from service.demo import load_cases, walk_through
    from service.wiring import open_tools

    settings = _settings(demo=True)
    check_may_serve(settings)
    if options.fresh and (settings.data / "demo-api-tokens").is_file():
        shutil.rmtree(settings.data)
    say("Admitting packages and checking the ledger …")
    tools = open_tools(settings)
    with explainer_cli.progress_bar("Loading cases", 1) as step:
        loaded = load_cases(tools)
        step(1)
    say(f"{loaded} cases loaded into {settings.data}.")
    clean = walk_through(tools)
    if options.no_serve:
        tools.close()
        return DONE if clean else REFUSED
    return serve(settings, tools)


# -- warum doctor -----------------------------------------------------------------------------


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say what is installed, and what is wrong with it",
        description="Check the installation: versions, owners of our import names, words,\n"
        "styles, settings, packages, data folder, database, keys of cases. Changes nothing.",
        epilog=_settings_text() + "\n\n" + EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(action=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    from service.doctor import examine

    healthy = True
    for finding in examine(dict(os.environ), bundled_packages()):
        mark = "ok   " if finding.well else "WRONG"
        print(f"{mark} {finding.about}: {finding.says}")
        if not finding.well:
            healthy = False
            print(f"      {finding.mend}")
    return DONE if healthy else REFUSED


if __name__ == "__main__":
    sys.exit(main())
