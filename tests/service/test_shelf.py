"""Packages laid aside are opened when they are asked for, and only once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from explainer.errors import ModelFailed
from explainer.packages.package import ModelPackage
from service import shelf
from service.shelf import Shelf

PEOPLE = 8


def test_of_many_who_ask_at_once_one_opens_a_package_and_all_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one would be a second model in memory."""
    asking, opened = threading.Semaphore(0), list[str]()

    def admit(place: Path) -> SimpleNamespace:
        opened.append(place.name)
        for _ in range(PEOPLE):
            asking.acquire(timeout=2)  # until everybody has come
        return SimpleNamespace(identity=SimpleNamespace(digest=place.name))

    monkeypatch.setattr(shelf, "admit", admit)
    kept = Shelf(tmp_path)

    def ask(_: int) -> ModelPackage:
        asking.release()
        return kept.of_digest("a")

    with ThreadPoolExecutor(PEOPLE) as pool:
        found = list(pool.map(ask, range(PEOPLE)))
    assert opened == ["a"]
    assert all(one is found[0] for one in found)


def test_whoever_waits_for_a_package_that_will_not_open_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one's failure is nobody else's answer: it may be there by then."""
    tried = list[str]()

    def admit(place: Path) -> SimpleNamespace:
        tried.append(place.name)
        if len(tried) == 1:
            raise OSError
        return SimpleNamespace(identity=SimpleNamespace(digest=place.name))

    monkeypatch.setattr(shelf, "admit", admit)
    kept = Shelf(tmp_path)
    with pytest.raises(ModelFailed):
        kept.of_digest("a")
    assert kept.of_digest("a").identity.digest == "a"


def test_more_packages_than_are_kept_open_are_all_had_by_everybody_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shelf,
        "admit",
        lambda place: SimpleNamespace(identity=SimpleNamespace(digest=place.name)),
    )
    kept, names = Shelf(tmp_path), [str(at) for at in range(3 * shelf.MOST_OPEN)]

    def ask(at: int) -> str:
        return kept.of_digest(names[at % len(names)]).identity.digest

    with ThreadPoolExecutor(PEOPLE) as pool:
        assert list(pool.map(ask, range(2000))) == [names[at % len(names)] for at in range(2000)]
    assert len(kept._open) == shelf.MOST_OPEN
