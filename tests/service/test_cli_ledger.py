"""`warum ledger export` and `receipt`: what leaves the house, and what others can prove with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from offices import Office
from test_erasing import HANDED_OVER

from explainer.ledger.entries import EntryKind
from explainer.ledger.log import LogName
from service.actions import submit
from service.cli import main
from service.demo import SYSTEM
from service.store import records


@pytest.fixture(scope="module")
def data(standing: Office) -> Path:
    standing.decided(1)
    standing.tools.seals.now()
    return standing.tools.settings.data


@pytest.fixture
def keys(data: Path) -> list[str]:
    paths = [data / "seals" / log / "verifier.key" for log in ("ledger", "access")]
    return [f"--key={path.read_text('ascii').strip()}" for path in paths]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main(["ledger", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier that lies in the export, without anything of ours."""
    asked = [sys.executable, "-I", "verify.py", ".", *arguments]
    return subprocess.run(asked, cwd=folder, capture_output=True, text=True)


def test_an_export_is_checked_by_the_file_that_lies_in_it(
    data: Path, keys: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(capsys, "export", tmp_path / "out", "--data", data)
    assert code == 0, said
    assert "payloads sealed" in said
    assert "warumVerify" in (tmp_path / "out" / "verify.html").read_text("utf-8")
    done = alone(tmp_path / "out", *keys, "--checkpoint", str(data / "witness"))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "clean"), done.stderr
    assert done.stdout.count("are under a checkpoint") == 1  # nobody was looked up so far
    code, said = run(capsys, "verify", tmp_path / "out", *keys)
    assert code == 0, said
    leaf = next((tmp_path / "out/ledger/tile/entries").rglob("*.p")).iterdir()
    file = next(leaf)
    file.write_bytes(file.read_bytes().replace(b"2026", b"2025", 1))
    assert alone(tmp_path / "out", *keys).returncode == 1
    assert run(capsys, "verify", tmp_path / "out", *keys)[0] == 1


def test_nothing_personal_leaves_unless_it_is_asked_for(
    standing: Office, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = standing.cases[0]
    assert run(capsys, "export", tmp_path / "sealed", "--data", data)[0] == 0
    case = ("--case", one.case_ref, *HANDED_OVER)
    assert run(capsys, "export", tmp_path / "one", "--data", data, *case)[0] == 0
    assert (
        run(capsys, "export", tmp_path / "all", "--data", data, "--open-all", *HANDED_OVER)[0] == 0
    )
    texts = {name: everything(tmp_path / name) for name in ("sealed", "one", "all")}
    assert b'"key"' not in texts["sealed"]
    entries = len(standing.decisions(one)) + len(shown(standing, one.id))
    assert texts["one"].count(b'"key"') == entries
    assert texts["all"].count(b'"key"') > entries
    assert b'"not_given"' in texts["one"]
    for text in texts.values():
        assert one.case_ref.encode() not in text  # opened payloads still need their key


def test_who_hands_over_opened_payloads_and_what_for_is_recorded_before(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, one = office.tools.settings.data, office.decided(0)
    office.tools.seals.now()
    case = ("--data", data, "--case", one.case_ref)
    for asked in (case, (*case, "--by", "Vera Beispiel"), (*case, "--purpose", "court")):
        code, said = run(capsys, "export", tmp_path / "out", *asked)
        assert (code, "by whom and what for" in said) == (1, True)
    sealed = ("--data", data, *HANDED_OVER)
    code, said = run(capsys, "export", tmp_path / "out", *sealed)
    assert (code, "there is nothing to record" in said) == (1, True)
    code, said = run(capsys, "export", data, *case, *HANDED_OVER)
    assert (code, "It is there already." in said) == (1, True)
    assert office.entries(EntryKind.EXPORT, LogName.ACCESS) == []
    assert not (tmp_path / "out").exists()

    assert run(capsys, "export", tmp_path / "out", *case, *HANDED_OVER)[0] == 0
    every = ("--data", data, "--open-all", *HANDED_OVER)
    assert run(capsys, "export", tmp_path / "all", *every)[0] == 0
    of_one, of_all = office.entries(EntryKind.EXPORT, LogName.ACCESS)
    assert (of_one.payload["case_id"], of_one.payload["purpose"]) == (one.id, "court")
    assert of_all.payload["case_id"] is None
    # who it was only the holder of the resolver's key can read
    assert of_one.payload["actor_pseudonym"] != of_all.payload["actor_pseudonym"]
    assert "Vera" not in str(of_one.payload)
    # it lies in the very export it is about, under a signed head
    size = int((tmp_path / "out/access/checkpoint").read_text().splitlines()[1])
    assert size == of_one.receipt.seq + 1
    assert one.case_ref not in str(of_one.payload)


NOBODY = ("", "   ", "\u200b", "Vera\u200b", "Vera\nBeispiel", "\x1b[31mVera", "...", "x" * 201)


@pytest.mark.parametrize("what", ["--case", "--open-all"])
@pytest.mark.parametrize("by", NOBODY, ids=ascii)
def test_nothing_is_handed_over_by_nobody(
    office: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str], by: str, what: str
) -> None:
    asked = ["--case", office.cases[0].case_ref] if what == "--case" else ["--open-all"]
    asked += ["--purpose", "court", "--by", by, "--data", str(office.tools.settings.data)]
    code, said = run(capsys, "export", tmp_path / "out", *asked)
    assert (code, "--by" in said, "Nobody is named." in said) == (1, True, True)
    assert not (tmp_path / "out").exists()
    assert office.entries(EntryKind.EXPORT, LogName.ACCESS) == []


def everything(folder: Path) -> bytes:
    return b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".py"
    )


def shown(standing: Office, case_id: str) -> list[object]:
    with standing.tools.store.reading() as tx:
        return list(records.entries_of_case(tx, case_id, EntryKind.SHOWN))


def test_faults_are_named_and_leave_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(
        capsys, "export", tmp_path / "out", "--data", data, "--case", "nobody's", *HANDED_OVER
    )
    assert (code, "There is no such case." in said) == (1, True)
    code, said = run(capsys, "export", tmp_path / "out", "--data", tmp_path)
    assert (code, "There is no ledger here." in said) == (1, True)
    code, said = run(capsys, "export", data, "--data", data)
    assert (code, "It is there already." in said) == (1, True)
    code, said = run(capsys, "receipt", "999", tmp_path / "r.tlog-proof", "--data", data)
    assert (code, "no entry at this position" in said) == (1, True)
    code, said = run(capsys, "receipt", "0", tmp_path / "r.txt", "--data", data)
    assert (code, "ends in .tlog-proof" in said) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_receipt_holds_for_the_very_page_that_was_shown(
    standing: Office,
    data: Path,
    keys: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (seen, *_) = standing.entries(EntryKind.SHOWN)
    file = tmp_path / "mine.tlog-proof"
    assert run(capsys, "receipt", seen.receipt.seq, file, "--data", data)[0] == 0
    assert seen.payload is not None
    page = tmp_path / "page.html"
    page.write_bytes(str(seen.payload["told"]).encode())
    code, said = run(capsys, "verify", file, *keys)
    assert (code, f"Entry {seen.receipt.seq} (shown" in said) == (0, True), said
    from explainer.ledger import verify

    assert verify.main([str(file), *keys, "--told", str(page)]) == 0
    page.write_bytes(page.read_bytes() + b" ")
    assert verify.main([str(file), *keys, "--told", str(page)]) == 1
    assert run(capsys, "verify", file)[0] == 1  # no key given: none is believed


def test_a_number_that_came_in_again_after_its_key_was_lost_is_said_to_be_the_newer_case(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    tools, old = office.tools, office.cases[0]
    (package,) = tools.packages.values()
    hold = ("hold", old.case_ref, "--reason", "Klage", "--by", "Eva", "--data", tools.settings.data)
    code, said = run(capsys, *hold)
    assert (code, "note:" in said) == (0, False), said
    tools.store.keys.destroy(str(tools.store.keys.find(f"case:{old.case_ref}")))
    anew = submit({**package.golden[0].case, "ref": old.case_ref}, SYSTEM, tools)
    code, said = run(capsys, *hold)
    assert (code, "only the newer case is meant" in said) == (0, True), said
    assert (anew.case_ref, anew.id == old.id) == (old.case_ref, False)
    with tools.store.reading() as tx:
        assert len(list(records.entries_of_case(tx, anew.id, EntryKind.FOLLOW_UP))) == 1
