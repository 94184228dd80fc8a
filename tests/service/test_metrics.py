"""The figures a monitor watches: their form, what they say, and that they come at any time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from offices import NOON, Office, demo_settings, open_office
from visiting import Visitor
from witnesses import WITNESS, serving

from explainer.errors import LogForked, StorageFailed
from explainer.ledger.log import LogName
from service.erasing import erase_case
from service.key_watch import COUNTED_AGAIN, KeyWatch
from service.routes.health import FIGURES
from service.sealing import Seals
from service.store.keys import KeyStore
from service.witnesses import Witnesses

LINE = re.compile(r'([a-z_]+)(?:\{([a-z]+="[a-z_ ]+"(?:,[a-z]+="[a-z_ ]+")*)\})? ([0-9]+)')


def figures(visitor: Visitor) -> dict[str, int]:
    """Each figure by name and labels, from an answer that is nothing but what the format knows."""
    answer = visitor.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.body.endswith("\n")
    found: dict[str, int] = {}
    typed = []
    for line in answer.body.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert kind == "gauge"
            typed.append(name)
            continue
        parts = LINE.fullmatch(line)
        assert parts is not None, line
        assert parts[1] == typed[-1]  # its kind is said right before
        assert line.rpartition(" ")[0] not in found
        found[line.rpartition(" ")[0]] = int(parts[3])
    assert typed == list(FIGURES)
    return found


def test_they_say_what_is_written_sealed_and_vouched_for(office: Office) -> None:
    office.decided(0)
    office.tools.seals.now()
    found = figures(office.visitor())
    assert found["warum_ready"] == found["warum_log_intact"] == 1
    assert found['warum_packages{state="in_force"}'] == len(office.tools.packages)
    assert found['warum_packages{state="refused"}'] == 0
    for name in LogName:
        entries = found[f'warum_entries{{log="{name}"}}']
        assert entries == office.size(name)
        assert found[f'warum_sealed_entries{{log="{name}"}}'] == entries
        assert found[f'warum_witnessed_entries{{log="{name}",witness="directory"}}'] == entries
        assert found[f'warum_unsealed_seconds{{log="{name}"}}'] == 0
        assert found[f'warum_unwitnessed_seconds{{log="{name}",witness="directory"}}'] == 0
    assert found['warum_entries{log="ledger"}'] > 0


def test_while_a_witness_is_away_its_age_grows(tmp_path: Path) -> None:
    with serving(lambda body: (503, b"")) as url:
        given = {"WARUM_WITNESS_URL": url, "WARUM_WITNESS_KEY": WITNESS}
        office = open_office(replace(demo_settings(tmp_path / "data"), outside=given), 1)
        away = 'warum_unwitnessed_seconds{log="ledger",witness="cosigner"}'
        try:
            office.tools.seals.now()
            assert figures(office.visitor())[away] == 0
            for minutes in (7, 60):
                later = NOON + timedelta(minutes=minutes)
                object.__setattr__(office.tools, "now", lambda later=later: later)
                found = figures(office.visitor())
                assert found[away] == minutes * 60
                assert found['warum_witnessed_entries{log="ledger",witness="cosigner"}'] == 0
                assert found['warum_unwitnessed_seconds{log="ledger",witness="directory"}'] == 0
        finally:
            office.tools.close()


def test_a_log_that_is_not_the_sealed_one_and_a_witness_that_knows_another_are_figures(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked = LogForked(what="Other entries.", where="the log ledger", mend="Stop.")
    monkeypatch.setattr(office.tools.seals, "broken", forked)
    standing = office.tools.outside.standing()
    monkeypatch.setattr(
        Witnesses, "as_kept", lambda _: [replace(one, fault=forked) for one in standing]
    )
    found = figures(office.visitor())
    assert found["warum_ready"] == found["warum_log_intact"] == 0
    assert found['warum_witness_alarm{log="ledger",witness="directory"}'] == 1


def answers_unreadable(office: Office, code: str) -> dict[str, int]:
    """The figures that are left, where `/readyz` says to programs what cannot be read."""
    visitor = office.visitor()
    ready = visitor.get("/readyz")
    assert (ready.status, ready.json()) == (503, {"status": "unreadable", "code": code})
    found = figures(visitor)
    assert (found["warum_ready"], found["warum_log_intact"]) == (0, 1)
    assert found['warum_packages{state="in_force"}'] == len(office.tools.packages)
    return found


def names(found: dict[str, int], log: str) -> set[str]:
    return {name.partition("{")[0] for name in found if f'log="{log}"' in name}


ALL = {name for name in FIGURES if "entries" in name or "seconds" in name or "alarm" in name}
NO_AGES = {name for name in ALL if "seconds" not in name}


def test_a_database_that_is_away_leaves_its_figures_out_and_nothing_else(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.tools.seals.now()
    monkeypatch.setattr(office.tools.store, "reading", away)
    found = answers_unreadable(office, "storage.failed")
    assert "warum_lost_keys" not in found
    for log in LogName:
        assert names(found, log) == NO_AGES - {"warum_entries"}


@contextmanager
def away() -> Iterator[None]:
    raise StorageFailed(what="There is no connection.", where="the database", mend="Start it.")
    yield


@pytest.mark.parametrize("damaged", [b"damaged", None], ids=["damaged", "not to be read"])
def test_a_damaged_note_leaves_out_what_is_sealed_of_that_log_only(
    office: Office, damaged: bytes | None
) -> None:
    office.tools.seals.now()
    note = office.tools.settings.data / "seals" / "ledger" / "last.note"
    whole = note.read_bytes()
    note.unlink()
    note.mkdir() if damaged is None else note.write_bytes(damaged)
    code = "storage.failed" if damaged is None else "ledger.proof_invalid"
    found = answers_unreadable(office, code)
    assert names(found, "ledger") == ALL - {"warum_sealed_entries", "warum_unsealed_seconds"}
    assert names(found, "access") == ALL
    note.rmdir() if damaged is None else note.unlink()
    note.write_bytes(whole)
    assert figures(office.visitor())["warum_ready"] == 1


@pytest.mark.parametrize("statement", ["UPDATE entry SET leaf = x'00ff'", "DELETE FROM entry"])
def test_an_unsealed_entry_that_is_damaged_leaves_out_the_ages_it_would_tell(
    office: Office, statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.tools.seals.now()
    monkeypatch.setattr(Seals, "_seal", lambda *_: None)
    office.visitor("caseworker").get(f"/cases/{office.cases[0].id}")
    size = office.size()
    office.tamper(f"{statement} WHERE log = 'ledger' AND seq = {size - 1}")
    found = answers_unreadable(office, "ledger.entry_malformed")
    assert NO_AGES - {"warum_entries"} <= names(found, "ledger") < ALL
    assert 'warum_unsealed_seconds{log="ledger"}' not in found
    assert names(found, "access") == ALL


def test_cases_without_a_key_are_counted_once_a_minute_and_keep_nobody_away(office: Office) -> None:
    seconds = [0.0]
    watch = KeyWatch(office.tools.store, lambda: seconds[0])
    object.__setattr__(office.tools, "key_watch", watch)
    assert figures(office.visitor())["warum_lost_keys"] == 0
    lose_keys(office, 2)
    seconds[0] += COUNTED_AGAIN - 1
    assert figures(office.visitor())["warum_lost_keys"] == 0
    seconds[0] += 1
    found = figures(office.visitor())
    assert (found["warum_lost_keys"], found["warum_ready"]) == (2, 1)


def test_a_count_that_cannot_be_had_is_left_out_alone(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = figures(office.visitor())
    monkeypatch.setattr(KeyStore, "names", lambda _: away().__enter__())
    object.__setattr__(office.tools, "key_watch", KeyWatch(office.tools.store))
    found = figures(office.visitor())
    assert set(before) - set(found) == {"warum_lost_keys"}
    assert found["warum_ready"] == 1


def test_where_counting_takes_long_it_is_done_more_seldom(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds, counted = [0.0], []

    def slow(_: KeyWatch) -> int:
        seconds[0] += 3
        counted.append(seconds[0])
        return 0

    monkeypatch.setattr(KeyWatch, "_count", slow)
    watch = KeyWatch(office.tools.store, lambda: seconds[0])
    for _ in range(1000):
        watch.lost()
        seconds[0] += 1
    assert counted == [3, 303, 603, 903]


def test_a_case_that_was_erased_lost_no_key(office: Office) -> None:
    case = office.decided(0)
    erase_case(office.tools.ledger, case.case_ref, "Art. 17 DSGVO", ("Anna", "Jan"), NOON)
    assert figures(office.visitor())["warum_lost_keys"] == 0


def lose_keys(office: Office, count: int) -> None:
    keys = office.tools.store.keys
    for case in office.cases[:count]:
        key = keys.find(f"case:{case.case_ref}")
        assert key is not None
        keys.destroy(key)
