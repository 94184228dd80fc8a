"""A case is erased by two people with a legal basis: nothing of it is left, and that shows."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from offices import MakeOffice, Office, decide_by_form
from servers import DATABASES
from sqlalchemy import select

from explainer.ledger.entries import EntryKind
from explainer.ledger.log import LogName
from explainer.ledger.verify import open_payload
from service.actions import submit
from service.cli import main
from service.demo import SYSTEM
from service.store import key_check, records
from service.store.cases import CaseFile, get_case
from service.store.tables import case_file
from service.verification import verify_files
from service.wiring import Tools

CASE = "BG-KANARIENVOGEL-4711"
NOTE = "Frau Kanarienvogel legte den Mietvertrag vor."
REASON = "Klage der Kanarienvogel vor dem Sozialgericht"
HANDED_OVER = ("--purpose", "court", "--by", "Vera Beispiel")
BOTH = ["--by", "Anna Berg", "--by", "Jan Ott"]
BASIS = ["--basis", "Art. 17 DSGVO"]
on_both = pytest.mark.parametrize("address", DATABASES, indirect=True)


@dataclass(frozen=True)
class Marked:
    """An office with one case full of words that occur nowhere else, shown, decided, looked up."""

    office: Office
    case: CaseFile
    traces: tuple[bytes, ...]

    @property
    def data(self) -> Path:
        return self.office.tools.settings.data


def mark(office: Office) -> Marked:
    """Put the case in, decide it, and gather every trace it leaves."""
    tools = office.tools
    (package,) = tools.packages.values()
    case = submit({**package.golden[0].case, "ref": CASE}, SYSTEM, tools)
    decide_by_form(office.visitor("caseworker"), case.id, note=NOTE, codes=["X1"])
    assert office.visitor("applicant", case.id).get("/application").status == 200
    assert run("hold", CASE, "--reason", REASON, "--by", "Anna Berg", data=tools) == 0
    assert run("release", CASE, "--reason", REASON, "--by", "Jan Ott", data=tools) == 0
    (decision,) = office.decisions(case)
    record = f"/records/{decision.payload['record_id']}"  # type: ignore[index]
    assert office.visitor("supervisor").post(record, {"purpose": "audit"}).status == 200
    with tools.store.reading() as tx:
        entries = records.entries_of_case(tx, case.id)
        sealed = [tx.log(LogName.LEDGER).read(one.leaf.seq).envelope for one in entries]
        row = tx.connection.execute(select(case_file).where(case_file.c.id == case.id)).one()
    assert len(entries) >= 4
    (key_id,) = {one.key_id for one in sealed if one is not None}
    key = tools.store.keys.get(key_id)
    assert key is not None
    assert row.key_id == key_id
    with closing(sqlite3.connect(tools.settings.data / "keys.sqlite")) as database:
        query = "SELECT wrapped FROM case_key WHERE key_id = ?"
        (wrapped,) = database.execute(query, (key_id,)).fetchone()
    told = str(entries[0].payload["told"])[:200]  # type: ignore[index]
    texts = (CASE, NOTE, REASON, "Kanarienvogel", case.id, case.values_json, key.hex(), told)
    ciphertexts = (one.ciphertext[:64] for one in sealed if one is not None)
    traces = (*(text.encode() for text in texts), key, wrapped, bytes(row.sealed), *ciphertexts)
    return Marked(office, case, traces)


def run(*arguments: object, data: object = None) -> int:
    folder = [] if data is None else ["--data", str(data.settings.data)]  # type: ignore[attr-defined]
    return main(["ledger", *map(str, arguments), *folder])


@pytest.fixture
def marked(make_office: MakeOffice, make_package: Callable[[], Path]) -> Marked:
    return mark(make_office(make_package()))


def traces_in(folder: Path, traces: tuple[bytes, ...]) -> list[str]:
    """The files that hold any of the traces, of whatever kind they are."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert files
    return [path.name for path in files if holds(path, traces)]


def exported(out: Path, traces: tuple[bytes, ...], tools: Tools) -> bool:
    """Whether an export with everything opened holds any of the traces, payloads included."""
    tools.seals.now()
    assert run("export", out, "--open-all", *HANDED_OVER, data=tools) == 0
    opened = []
    with tools.store.reading() as tx:
        for log in LogName:
            for path in (out / log.value / "payload").rglob("*"):
                for text in path.read_text("ascii").splitlines() if path.is_file() else ():
                    line = json.loads(text)
                    if "key" in line:
                        leaf = json.loads(tx.log(log).read(line["seq"]).leaf)
                        sealed = (base64.b64decode(line[name]) for name in ("nonce", "ciphertext"))
                        opened.append(open_payload(leaf, *sealed, bytes.fromhex(line["key"])))
    assert opened
    return bool(traces_in(out, traces)) or any(t in text for text in opened for t in traces)


def holds(path: Path, traces: tuple[bytes, ...]) -> bool:
    """Whether a file holds any of the traces; one that was just renamed or removed does not."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    return any(trace in data for trace in traces)


def test_nothing_of_an_erased_case_is_left_in_any_file_or_export(
    journal: str,
    make_office: MakeOffice,
    make_package: Callable[[], Path],
    tmp_path: Path,
) -> None:
    marked = mark(make_office(make_package()))
    tools = marked.office.tools
    before = traces_in(marked.data, marked.traces)
    assert exported(tmp_path / "whole", (CASE.encode(),), tools)
    assert {"warum.sqlite", "keys.sqlite"} & set(before)
    assert ("warum.sqlite-wal" in before) == (journal == "wal")  # the test would see it there
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0
    assert traces_in(marked.data, marked.traces) == []
    assert not exported(tmp_path / "out", marked.traces, tools)
    results = verify_files(tools)
    assert all(result.clean for result in results)
    assert next(one for one in results if one.log == "ledger").counts["ERASED"] >= 4
    tools.close()
    assert traces_in(marked.data, marked.traces) == []


@on_both
def test_the_service_knows_an_erased_case_no_more(marked: Marked) -> None:
    office = marked.office
    assert run("erase", CASE, *BASIS, *BOTH, data=office.tools) == 0
    assert office.visitor("caseworker").get(f"/cases/{marked.case.id}").status == 404
    with office.tools.store.reading() as tx:
        assert get_case(tx, marked.case.id) is None


@on_both
def test_who_takes_links_out_keeps_nothing_from_being_erased_and_lifts_no_hold(
    marked: Marked,
) -> None:
    office, tools = marked.office, marked.office.tools
    assert run("hold", CASE, "--reason", REASON, "--by", "Anna Berg", data=tools) == 0
    with tools.store.reading() as tx:
        covered = [one.leaf.seq for one in records.entries_of_case(tx, marked.case.id)]
    office.tamper(f"DELETE FROM case_entry WHERE case_id = '{marked.case.id}'")
    ledger = next(one for one in verify_files(tools) if one.log == "ledger")
    assert {fault.seq for fault in ledger.faults} == set(covered)
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 1
    assert run("release", CASE, "--reason", REASON, "--by", "Jan Ott", data=tools) == 0
    office.tamper(f"DELETE FROM case_entry WHERE case_id = '{marked.case.id}'")
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0
    (entry,) = office.entries(EntryKind.ERASURE)
    assert entry.payload is not None
    assert entry.payload["seqs"] == [*covered, covered[-1] + 1]
    with tools.store.reading() as tx:
        assert get_case(tx, marked.case.id) is None
    key_check.check_keys(tools.store)
    assert all(result.clean for result in verify_files(tools))


@on_both
def test_another_case_that_is_linked_to_an_erased_one_does_not_go_with_it(marked: Marked) -> None:
    office, tools = marked.office, marked.office.tools
    other = office.decided(0)
    (decision,) = office.decisions(other)
    office.tamper(
        "INSERT INTO case_entry (case_id, log, seq) "
        f"VALUES ('{marked.case.id}', 'ledger', {decision.leaf.seq})"
    )
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 1
    assert not office.entries(EntryKind.ERASURE)
    key_check.check_keys(tools.store)


@on_both
def test_the_certificate_names_everything_but_the_person(
    marked: Marked,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WARUM_KEY_BACKUP_DAYS", "14")
    monkeypatch.setattr("service.wiring.the_clock", lambda: marked.office.tools.now())
    file = tmp_path / "certificate.txt"
    assert run("erase", CASE, *BASIS, *BOTH, "--certificate", file, data=marked.office.tools) == 0
    text = file.read_text()
    assert text in capsys.readouterr().out
    (entry,) = marked.office.entries(EntryKind.ERASURE)
    for said in ("2026-11-23", "Art. 17 DSGVO", "Anna Berg, Jan Ott", f"entry {entry.leaf.seq} "):
        assert said in text
    assert entry.receipt.leaf_hash.hex() in text
    assert "expires on 2026-12-07." in text  # 14 days later
    assert not any(trace in file.read_bytes() for trace in marked.traces)


@on_both
def test_who_approved_is_recorded_sealed_and_the_legal_basis_in_clear(marked: Marked) -> None:
    assert run("erase", CASE, *BASIS, *BOTH, data=marked.office.tools) == 0
    (opened,) = marked.office.sql("SELECT payload FROM opening")
    assert b"Art. 17 DSGVO" in opened[0]  # type: ignore[operator]
    assert b"Anna" not in opened[0]  # type: ignore[operator]
    (entry,) = marked.office.entries(EntryKind.ERASURE)
    assert len(entry.payload["approvers"]) == 2  # type: ignore[index, arg-type]


@on_both
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([CASE, *BASIS, "--by", "Anna Berg"], "Two different people"),
        ([CASE, *BASIS, "--by", "Anna Berg", "--by", " anna berg"], "Two different people"),
        ([CASE, *BASIS, "--by", "Anna Berg", "--by", ""], "Two different people"),
        ([CASE, *BASIS, "--by", "Anna Berg", "--by", "Anna  Berg\u3164"], "Two different people"),
        ([CASE, *BASIS, "--by", "J\u00f6rg", "--by", "Jo\u0308rg\ufe0f"], "Two different people"),
        ([CASE, *BASIS, *BOTH, "--by", "Eva"], "Two different people"),
        ([CASE, *BASIS, "--by", "Anna Berg", "--by", "\u200b"], "One of the two is not named."),
        ([CASE, "--basis", " ", *BOTH], "no legal basis"),
        ([CASE, "--basis", "x" * 201, *BOTH], "too long"),
        ([CASE, "--basis", f"Antrag zu {CASE.lower()}", *BOTH], "names the case"),
        (["nobody's", *BASIS, *BOTH], "no such case"),
        (["", *BASIS, *BOTH], "no such case"),
        ([" ", *BASIS, *BOTH, "--key-lost"], "no such case"),
    ],
)
def test_an_approval_that_is_not_whole_erases_nothing(
    arguments: list[str], said: str, marked: Marked, capsys: pytest.CaptureFixture[str]
) -> None:
    size = marked.office.size()
    assert run("erase", *arguments, data=marked.office.tools) == 1
    assert said in capsys.readouterr().err
    assert marked.office.size() == size
    with marked.office.tools.store.reading() as tx:
        assert get_case(tx, marked.case.id) is not None


@on_both
def test_a_case_on_hold_is_not_erased_until_it_is_released(
    marked: Marked, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = marked.office.tools
    assert run("hold", CASE, "--reason", REASON, "--by", "Anna Berg", data=tools) == 0
    # changing tables does not lift it: it is sealed
    marked.office.sql("UPDATE case_file SET state = 'decided'")
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 1
    assert "on legal hold" in capsys.readouterr().err
    assert marked.office.decisions(marked.case)
    assert run("release", CASE, "--reason", REASON, "--by", "Anna Berg", data=tools) == 0
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0


@on_both
def test_a_hold_needs_a_reason_and_a_name(
    marked: Marked, capsys: pytest.CaptureFixture[str]
) -> None:
    size = marked.office.size()
    for reason, by in (
        (" ", "Anna Berg"),
        ("x" * 301, "Anna Berg"),
        (REASON, " "),
        (REASON, "\u200b"),
    ):
        assert run("hold", CASE, "--reason", reason, "--by", by, data=marked.office.tools) == 1
    assert "error [ledger.erasure_refused]" in capsys.readouterr().err
    assert marked.office.size() == size


@on_both
def test_a_case_nobody_was_ever_shown_can_be_erased_as_well(
    marked: Marked, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = marked.office.tools
    (package,) = tools.packages.values()
    case = submit({**package.golden[1].case, "ref": "BG-UNGESEHEN"}, SYSTEM, tools)
    assert run("erase", "BG-UNGESEHEN", *BASIS, *BOTH, data=tools) == 0
    assert "Entries covered:   1" in capsys.readouterr().out
    assert traces_in(marked.data, (b"BG-UNGESEHEN", case.id.encode())) == []
    assert all(result.clean for result in verify_files(tools))


@on_both
def test_a_key_store_from_before_the_erasure_brings_nothing_back(
    marked: Marked, make_office: MakeOffice
) -> None:
    tools = marked.office.tools
    old = (marked.data / "keys.sqlite").read_bytes()
    assert run("erase", CASE, *BASIS, *BOTH, data=tools) == 0
    models = tools.settings.models
    tools.close()
    assert traces_in(marked.data, marked.traces) == []
    (marked.data / "keys.sqlite").write_bytes(old)
    assert traces_in(marked.data, marked.traces) == ["keys.sqlite"]
    make_office(*models).tools.close()
    assert traces_in(marked.data, marked.traces) == []
