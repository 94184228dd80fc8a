"""What all tests share: closed sockets, fixed seeds, the demonstration package, a small one."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).resolve().parent
# helpers without tests in them: factories.py, trained.py
sys.path.insert(0, str(HERE / "unit"))

# The same examples on every run; HYPOTHESIS_PROFILE=many looks for new ones.
settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=40)
settings.register_profile("many", database=None, deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

LONGEST_FIRST = (
    *("browser/test_pages.py", "families/test_converter.py", "service/test_faults.py"),
    *("browser/test_verify_page.py", "browser/test_stories.py", "words/test_checker.py"),
    *("families/test_outcomes_sklearn.py", "service/test_writers.py", "unit/test_cli.py"),
    *("unit/test_packages.py", "service/test_kill.py", "service/test_starting_process.py"),
    *("families/test_kernel.py", "service/test_named_faults.py", "service/test_backup.py"),
    *("service/test_restore_kills.py", "service/test_corrections.py", "service/test_erasing.py"),
    *("install/test_wheel.py", "words/test_language_commands.py", "families/test_apart.py"),
    *("families/test_hostile_skops.py", "words/test_bad_input.py", "service/test_replay.py"),
    *("families/test_resealed.py", "ledger/test_damaged_file.py", "service/test_lost_keys.py"),
)
"""Files that take long, the longest first: a process that gets one of them as the last would work
on while the others wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in the order in which they are given out to several processes; what is not named above
    follows by its number of tests."""
    gone = [name for name in LONGEST_FIRST if not (HERE / name).is_file()]
    if gone:
        raise pytest.UsageError(f"tests/conftest.py names files that are not there: {gone}")
    many = Counter(item.path for item in items)
    turn = {HERE / name: at for at, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: (turn.get(item.path, len(turn)), -many[item.path]))


LOOPBACK = ("localhost", "::1", "", None)


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """No test reaches beyond this machine, by whatever library it asks."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if not isinstance(address, tuple):
            return  # a socket in the file system
        host = address[0]
    else:
        return
    host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if host not in LOOPBACK and not str(host).startswith("127."):
        raise PermissionError("a test asked for the network")


sys.addaudithook(_refuse_the_network)


@pytest.fixture(scope="session")
def demo():
    """The package of the demonstration, opened as the service opens it."""
    from explainer.packages.admit import admit
    from explainer.packages.bundled import find_package

    return admit(find_package("unemployment_benefit"))


@pytest.fixture(scope="session")
def mortgage():
    """The other package that comes with Warum: LightGBM, and no stand-ins for missing values."""
    from explainer.packages.admit import admit
    from explainer.packages.bundled import find_package

    return admit(find_package("mortgage_guarantee"))


@pytest.fixture(scope="session")
def demo_cases(demo):
    """The recorded cases of the demonstration."""
    from explainer.core.case import read_case

    return [read_case(golden.case, demo.catalogue) for golden in demo.golden]


@pytest.fixture(scope="session")
def small_model():
    """A small pipeline, really trained, with its rows; see trained.py."""
    from trained import train

    return train()


@pytest.fixture
def make_package(tmp_path, small_model):
    """A function that writes a whole small package into tmp_path and returns its folder."""
    from trained import write_package

    def make(name="small_benefit", **changes):
        return write_package(tmp_path / name, small_model, **changes)

    return make


@pytest.fixture(scope="session")
def small(small_model, tmp_path_factory):
    """The small package, opened. Nobody writes into it."""
    from trained import write_package

    from explainer.packages.admit import admit

    return admit(write_package(tmp_path_factory.mktemp("small") / "small_benefit", small_model))
