"""Packages laid aside are opened when they are asked for, only once, and as they were admitted."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from offices import NOON, MakeOffice, Office
from sqlalchemy.pool import QueuePool

from explainer.errors import ModelFailed, NotPlain, PackageFaulty
from explainer.ledger.entries import Entry, EntryKind
from explainer.packages.admit import admit
from explainer.packages.package import ModelPackage, read_files
from service import shelf
from service.cli import main
from service.shelf import Admissions, Shelf
from service.store.records import record_system

PEOPLE = 8
SMALL = "small_benefit"


class Every:
    """As if every package there is had been admitted."""

    def __contains__(self, digest: object) -> bool:
        return True


def test_of_many_who_ask_at_once_one_opens_a_package_and_all_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one would be a second model in memory."""
    asking, opened = threading.Semaphore(0), list[str]()

    def admit(place: Path, _: object) -> SimpleNamespace:
        opened.append(place.name)
        for _ in range(PEOPLE):
            asking.acquire(timeout=2)  # until everybody has come
        return SimpleNamespace(identity=SimpleNamespace(digest=place.name))

    monkeypatch.setattr(shelf, "admit", admit)
    kept = Shelf(tmp_path, Every())

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

    def admit(place: Path, _: object) -> SimpleNamespace:
        tried.append(place.name)
        if len(tried) == 1:
            raise OSError
        return SimpleNamespace(identity=SimpleNamespace(digest=place.name))

    monkeypatch.setattr(shelf, "admit", admit)
    kept = Shelf(tmp_path, Every())
    with pytest.raises(ModelFailed):
        kept.of_digest("a")
    assert kept.of_digest("a").identity.digest == "a"


def test_more_packages_than_are_kept_open_are_all_had_by_everybody_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        shelf,
        "admit",
        lambda place, _: SimpleNamespace(identity=SimpleNamespace(digest=place.name)),
    )
    kept, names = Shelf(tmp_path, Every()), [str(at) for at in range(3 * shelf.MOST_OPEN)]

    def ask(at: int) -> str:
        return kept.of_digest(names[at % len(names)]).identity.digest

    with ThreadPoolExecutor(PEOPLE) as pool:
        assert list(pool.map(ask, range(2000))) == [names[at % len(names)] for at in range(2000)]
    assert len(kept._open) == shelf.MOST_OPEN


# -- words that were banned since -----------------------------------------------------------------

SUGGESTED = {
    "de": ("Das Programm hat vorgeschlagen, Ihren", "Das Programm hat entschieden, Ihren"),
    "en": ("The program suggested", "The program decided"),
}
"""What a package says of a suggestion, and with words that are banned."""


def worded(make_package: Callable[..., Path], name: str, tags: tuple[str, ...]) -> Path:
    """The small package, worded in this way in these languages."""

    def text(of: str, file: str) -> str:
        for tag in tags:
            # the catalog of a translation has the German words as well
            if tag in ("de", of):
                file = file.replace(*SUGGESTED[tag])
        return file

    return make_package(
        name, wording=lambda file: text("de", file), english=lambda file: text("en", file)
    )


def shown(office: Office, case: str, tag: str) -> int:
    """Show the applicant the explanation in a language; returns the position of the entry."""
    page = office.visitor("applicant", case).get(f"/application?lang={tag}")
    assert page.status == 200
    assert page.lang == tag
    assert SUGGESTED[tag][1] in page.text
    return office.entries(EntryKind.SHOWN)[-1].leaf.seq


def replayed(office: Office, entry: int) -> int:
    folder = str(office.tools.settings.data)
    return main(["ledger", "replay", str(entry), "--data", folder])


def test_words_banned_since_take_away_nothing_that_was_shown(
    make_package: Callable[..., Path],
    make_office: MakeOffice,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = worded(make_package, "small_benefit", ("de", "en"))
    with monkeypatch.context() as earlier:
        earlier.setattr("explainer.packages.wordings.banned", lambda *_: ())
        office = make_office(folder)
    case = office.decided(0)
    then = [shown(office, case.id, tag) for tag in SUGGESTED]
    office.tools.close()
    # an earlier version noted nothing about languages
    for noted in (tmp_path / "data" / "packages").glob("words-*"):
        noted.unlink()

    again = make_office(folder)
    (refused,) = again.tools.refused.values()
    assert isinstance(refused, PackageFaulty)
    assert {type(fault) for fault in refused.faults} == {NotPlain}, "a new one is held to them"
    now = [shown(again, case.id, tag) for tag in SUGGESTED]
    again.tools.seals.now()
    capsys.readouterr()
    for entry in (*then, *now):
        assert replayed(again, entry) == 0
        said = capsys.readouterr().out
        assert "Computed again: the same to the bit" in said
        assert "Words: the same bytes" in said


def test_a_language_that_was_never_admitted_is_not_spoken_from_the_shelf(
    make_package: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = worded(make_package, "small_benefit", ("en",))
    kept = Shelf(tmp_path / "shelf", Every())
    package = admit(folder)
    assert set(package.wordings) == {"de"}
    kept.keep(package, folder)
    digest = package.identity.digest
    found = Shelf(tmp_path / "shelf", Every()).of_digest(digest)
    assert set(found.wordings) == {"de"}
    assert isinstance(found.stopped["en"], NotPlain)
    # once it was in force it stays, whatever is banned later
    with monkeypatch.context() as in_between:
        in_between.setattr("explainer.packages.wordings.banned", lambda *_: ())
        kept.keep(admit(folder), folder)
    kept.keep(admit(folder), folder)
    assert set(Shelf(tmp_path / "shelf", Every()).of_digest(digest).wordings) == {"de", "en"}


def test_all_else_about_a_package_on_the_shelf_is_looked_at_as_ever(
    make_package: Callable[..., Path], tmp_path: Path
) -> None:
    place = tmp_path / "shelf"

    def laid(folder: Path) -> str:
        digest = read_files(folder).manifest.digest
        shutil.copytree(folder, place / digest)
        return digest

    right = make_package("right")
    kept = laid(right)
    cases = (right / "golden/cases.jsonl").read_text()
    other = re.sub(r'"margin": (-?)', r'"margin": \g<1>7', cases)
    faulty = [
        laid(make_package("scores", files={"golden/cases.jsonl": other.encode()})),
        laid(make_package("alike", wording=lambda text: text.replace('"Familie"', '""'))),
        laid(make_package("lacking", features=lambda text: text.replace("supply", "other"))),
    ]
    assert Shelf(place, Every()).of_digest(kept)
    (place / kept / "CARD.md").write_text("# another\n")
    for digest in (*faulty, kept):
        with pytest.raises(ModelFailed):
            Shelf(place, Every()).of_digest(digest)


# -- what somebody laid there ---------------------------------------------------------------------


def laid_by_hand(office: Office, folder: Path) -> str:
    """A whole package in the data folder, as the newest of its id; returns its digest."""
    shelf_of, files = office.tools.settings.data / "packages", read_files(folder)
    shutil.copytree(folder, shelf_of / files.manifest.digest)
    (shelf_of / f"last-{files.manifest.id}").write_text(files.manifest.digest, "ascii")
    return files.manifest.digest


def test_a_package_somebody_laid_into_the_data_folder_is_never_opened(
    make_package: Callable[..., Path], make_office: MakeOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = make_office(make_package())
    other = make_package("other", wording=lambda text: text.replace("Familie", "Verwandte"))
    digest = laid_by_hand(office, other)
    assert digest != next(iter(office.tools.packages.values())).identity.digest
    assert admit(other).identity.digest == digest, "whole, and it would be admitted"
    with monkeypatch.context() as watched:
        watched.setattr(shelf, "admit", lambda *_: pytest.fail("it was opened"))
        for ask in (office.tools.shelf.of_digest, lambda _: office.tools.shelf.last_of(SMALL)):
            with pytest.raises(ModelFailed, match="somebody laid it there"):
                ask(digest)


def test_what_came_into_force_since_is_known_without_a_new_start(
    make_package: Callable[..., Path], make_office: MakeOffice
) -> None:
    office = make_office(make_package())
    (first,) = office.tools.packages.values()
    known = Admissions(office.tools.store)
    assert first.identity.digest in known
    assert "0" * 64 not in known
    newer = "ab" * 32
    entry = Entry(EntryKind.MODEL, {"event": "admitted", "package": SMALL}, model=newer)
    with office.tools.store.transaction(NOON) as tx:
        record_system(tx, entry)
    assert newer in known
    assert first.identity.digest in known


def test_many_who_ask_for_what_was_never_admitted_do_not_wait_for_each_other(
    make_package: Callable[..., Path], make_office: MakeOffice
) -> None:
    """Each of them has a connection; were all to wait for a second one, nobody would get any."""
    store = make_office(make_package()).tools.store
    known = Admissions(store)
    pool = store.engine.pool
    assert isinstance(pool, QueuePool)
    n = pool.size() + pool._max_overflow
    together = threading.Barrier(n)

    def ask(_: int) -> bool:
        with store.reading():
            together.wait(timeout=20)  # until there is no connection left
            return "0" * 64 in known

    with ThreadPoolExecutor(n) as people:
        assert list(people.map(ask, range(n))) == [False] * n


def test_one_package_does_not_speak_under_the_name_of_another(
    make_package: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_package()
    kept = Shelf(tmp_path / "shelf", Every())
    kept.keep(admit(folder), folder)
    assert kept.last_of(SMALL).manifest.id == SMALL
    (tmp_path / "shelf" / f"last-{SMALL}").rename(tmp_path / "shelf" / "last-another_benefit")
    with pytest.raises(ModelFailed):
        kept.last_of("another_benefit")
