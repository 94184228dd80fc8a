"""A stored record holds years later, and its numbers come from the package it was told from."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from offices import MakeOffice, Office, demo_settings, open_office
from servers import DATABASES, POSTGRESQL, Server
from test_erasing import on_both
from trained import SmallModel, write_package

from explainer.errors import MessageMissing, StorageFailed
from explainer.ledger.entries import EntryKind, Json
from explainer.ledger.log import LogName
from explainer.packages.bundled import find_package
from explainer.packages.package import open_package
from explainer.text.catalogs import Catalog
from service import replay as replaying
from service.cli import main
from service.entries import environment
from service.replay import TOLERANCE
from service.store import records
from service.store.cases import new_id


@pytest.fixture(scope="module", params=DATABASES)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    """An office whose first case was shown to the caseworker, decided, shown to the applicant."""
    with ExitStack() as stack:
        database = ""
        if request.param == POSTGRESQL:
            server: Server = request.getfixturevalue("server")
            database = server.address(stack.enter_context(server.database()))
        data = tmp_path_factory.mktemp("told") / "data"
        office = open_office(demo_settings(data, database=database), 1)
        stack.callback(office.tools.close)
        case = office.decided(0)
        assert office.visitor("applicant", case.id).get("/application").status == 200
        office.tools.seals.now()
        yield office


OPENED = ("--by", "Vera Beispiel", "--purpose", "court")


def run(office: Office, *arguments: object) -> int:
    where = office.tools.settings
    with pytest.MonkeyPatch.context() as surroundings:
        surroundings.setenv("WARUM_DATABASE", where.database)
        return main(["ledger", "replay", *map(str, arguments), "--data", str(where.data)])


def shown_of(office: Office, audience: str) -> Any:
    with office.tools.store.reading() as tx:
        entries = records.entries_of_case(tx, office.cases[0].id, EntryKind.SHOWN)
    return next(one for one in entries if (one.payload or {})["audience"] == audience)


@pytest.mark.parametrize("audience", ["caseworker", "applicant"])
def test_what_was_shown_comes_out_the_same_to_the_bit_words_included(
    audience: str, told: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = shown_of(told, audience)
    assert run(told, entry.leaf.seq, "--told", tmp_path / "page.html", *OPENED) == 0
    said = capsys.readouterr().out
    assert "Computed again: the same to the bit" in said
    assert "Words: the same bytes" in said
    assert f"leaf hash {entry.receipt.leaf_hash.hex()}" in said
    assert str(entry.payload["margin"]) in said
    assert (tmp_path / "page.html").read_bytes() == str(entry.payload["told"]).encode()


def test_what_a_record_says_is_shown_after_by_whom_and_what_for_were_recorded(
    told: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry, file = shown_of(told, "caseworker"), tmp_path / "page.html"
    before, size = told.size(LogName.ACCESS), told.size()
    assert run(told, entry.leaf.seq) == 0
    said = capsys.readouterr().out
    assert entry.receipt.leaf.decode() in said
    for personal in (told.cases[0].case_ref, str(entry.payload["margin"]), "contributions"):
        assert personal not in said
    for half in (OPENED[:2], OPENED[2:], ("--told", file), ("--by", "...", *OPENED[2:])):
        assert run(told, entry.leaf.seq, *half) == 1
        assert "error [ledger.opening_refused]" in capsys.readouterr().err
    assert run(told, "no-such-record", *OPENED) == 1
    assert run(told, size, *OPENED) == 1
    assert not file.exists()
    assert told.size(LogName.ACCESS) == before, "nothing was shown, so nothing was recorded"

    assert run(told, entry.leaf.seq, *OPENED) == 0
    assert told.cases[0].case_ref in capsys.readouterr().out
    (recorded,) = told.entries(log=LogName.ACCESS, since=before)
    assert recorded.leaf.type == EntryKind.ACCESS
    payload = recorded.payload or {}
    assert (payload["entry"], payload["purpose"]) == (entry.leaf.seq, "court")
    assert "Vera" not in str(payload)
    assert told.cases[0].case_ref not in str(payload)
    assert told.size() == size


def test_nothing_is_shown_where_it_cannot_be_recorded(
    told: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise StorageFailed("The disk is full.", "the database", "Make room.")

    monkeypatch.setattr("service.opening.record_access", full)
    assert run(told, shown_of(told, "caseworker").leaf.seq, *OPENED) == 1
    assert told.cases[0].case_ref not in capsys.readouterr().out


def test_a_decision_is_replayed_by_its_record_with_what_the_person_saw(
    told: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    (decision,) = told.decisions(told.cases[0])
    payload = decision.payload or {}
    assert run(told, payload["record_id"]) == 0
    said = capsys.readouterr().out
    assert f"Entry {decision.leaf.seq}: decision" in said
    assert f"Entry {payload['explanation_entry']}: shown" in said
    assert "Computed again: the same to the bit" in said


def test_no_record_has_a_name_a_command_takes_for_an_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = iter(["-first", "-second", "th-ird"])
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: next(made))
    assert new_id() == "th-ird"


@pytest.mark.parametrize(
    ("apart", "code", "said"),
    [
        (0.5 * TOLERANCE, 4, "within the tolerance"),
        (2 * TOLERANCE, 5, "another result"),
    ],
)
def test_a_difference_is_printed_and_judged_in_margin_scales(
    apart: float,
    code: int,
    said: str,
    told: Office,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = shown_of(told, "caseworker")
    original = replaying.numbers_of

    def moved(finding: Any) -> Mapping[str, Json]:
        margin = finding.margin + apart * finding.comparison.scale
        return {**original(finding), "margin": margin.hex()}

    monkeypatch.setattr(replaying, "numbers_of", moved)
    assert run(told, entry.leaf.seq) == code
    out = capsys.readouterr().out
    assert "margin: not as it was" in out
    assert str(entry.payload["margin"]) not in out
    assert run(told, entry.leaf.seq, *OPENED) == code
    out = capsys.readouterr().out
    assert f"Computed again: {'not the same bits, but ' if code == 4 else ''}{said}" in out
    assert f"margin: then {entry.payload['margin']}, now" in out
    assert f"{apart:.0e}"[:1] in out


@pytest.mark.parametrize(
    "change",
    [
        {"recommendation_class": "something else"},
        {"reasons": ["other", "reasons"]},
        {"contributions": {}},
        {"probability": (0.123).hex()},
    ],
)
def test_another_suggestion_reason_or_number_is_another_result(
    change: dict[str, Json], told: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = replaying.numbers_of
    monkeypatch.setattr(replaying, "numbers_of", lambda finding: {**original(finding), **change})
    assert run(told, shown_of(told, "caseworker").leaf.seq) == 5


def test_another_processor_or_library_is_named(
    told: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = shown_of(told, "caseworker")
    recorded = entry.payload["environment"]
    assert isinstance(recorded, dict)
    for name in ("python", "system", "kernel", "numpy", "scikit-learn", "skops"):
        now = {**recorded, name: "9.9.9"}
        monkeypatch.setattr(replaying, "environment", lambda _, now=now: now)
        assert run(told, entry.leaf.seq) == 0
        out = capsys.readouterr().out
        assert f"{name}: then {recorded[name]}, now 9.9.9" in out


def test_nothing_is_said_of_a_library_an_older_version_did_not_record(
    told: Office, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = shown_of(told, "caseworker")
    recorded = entry.payload["environment"]
    assert isinstance(recorded, dict)
    monkeypatch.setattr(replaying, "environment", lambda _: {**recorded, "lightgbm": "9.9.9"})
    assert run(told, entry.leaf.seq) == 0
    assert "9.9.9" not in capsys.readouterr().out


@pytest.mark.parametrize("package", ["mortgage_guarantee", "unemployment_benefit"])
def test_the_library_of_the_very_model_is_recorded(package: str) -> None:
    declared = open_package(find_package(package)).manifest.format
    library = {"lightgbm-txt": "lightgbm", "skops": "skops"}[declared]
    assert environment(declared)[library] == version(library)


@on_both
def test_a_package_that_is_gone_is_named_and_no_other_one_speaks(
    make_office: MakeOffice,
    small_model: SmallModel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = write_package(tmp_path / "first" / "small_benefit", small_model)
    office = make_office(first)
    office.decided(0)
    entry = shown_of(office, "caseworker")
    office.tools.close()
    # a newer version of the same package is in force and on the shelf
    newer = tmp_path / "newer" / "small_benefit"
    shutil.copytree(first, newer)
    manifest = (newer / "manifest.toml").read_text()
    version = str(entry.payload["model_version"])
    (newer / "manifest.toml").write_text(manifest.replace(f'"{version}"', '"77.7.7"', 1))
    again = make_office(newer)
    again.tools.seals.now()
    digest = str(entry.leaf.model)
    (package,) = again.tools.packages.values()
    assert package.identity.digest != digest
    assert run(again, entry.leaf.seq) == 0
    shutil.rmtree(again.tools.settings.data / "packages" / digest)
    capsys.readouterr()
    assert run(again, entry.leaf.seq, *OPENED) == 6
    said = capsys.readouterr().out
    assert f"Told from the package small_benefit {version} ({digest})" in said
    assert "not on the shelf" in said
    assert str(entry.payload["margin"]) in said  # what is stored is shown all the same


def test_numbers_are_computed_again_where_the_language_has_no_words_any_more(
    told: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> Catalog:
        raise MessageMissing("A message is fuzzy: told.role.", "locales/de", "Translate it.")

    monkeypatch.setattr("explainer.packages.package.catalog", stopped)
    assert run(told, shown_of(told, "applicant").leaf.seq) == 0
    said = capsys.readouterr().out
    assert "Computed again: the same to the bit" in said
    assert "Words:" not in said


@on_both
def test_what_is_not_what_was_sealed_is_refused(
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    office = make_office(make_package())
    office.decided(0)
    office.tools.seals.now()
    entry = shown_of(office, "caseworker")
    seq = entry.leaf.seq
    assert run(office, seq) == 0
    office.tamper(f"UPDATE decision_record SET outcome = 'refused' WHERE seq > {seq}")
    (decision,) = office.decisions(office.cases[0])
    assert run(office, (decision.payload or {})["record_id"]) == 1
    assert "tables say something else" in capsys.readouterr().err
    office.tamper(f"UPDATE entry SET leaf_hash = leaf WHERE seq = {seq + 1}")
    assert run(office, seq) == 1
    assert "error [ledger.proof_invalid]" in capsys.readouterr().err
    office.tamper(f"UPDATE payload SET ciphertext = nonce WHERE seq = {seq}")
    assert run(office, seq) == 1


@on_both
def test_records_there_are_not_and_records_that_were_erased(
    make_office: MakeOffice, make_package: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    office = make_office(make_package())
    case = office.decided(0)
    seq = shown_of(office, "caseworker").leaf.seq
    (decision,) = office.decisions(case)
    office.tools.seals.now()
    for nobody in ("999999", "2147483648", "no-such-record", "9" * 40):
        assert run(office, nobody) == 1
    erased = ["erase", case.case_ref, "--basis", "Art. 17 DSGVO", "--by", "A", "--by", "B"]
    assert main(["ledger", *erased, "--data", str(office.tools.settings.data)]) == 0
    capsys.readouterr()
    assert run(office, seq) == 6
    assert "the payload was erased" in capsys.readouterr().out
    assert run(office, (decision.payload or {})["record_id"]) == 1
    # what is about no case has nothing to be computed
    admitted = office.entries(EntryKind.MODEL, LogName.LEDGER)[0]
    assert run(office, admitted.leaf.seq) == 0
    assert "nothing was computed then" in capsys.readouterr().out
