"""The digest by which an entry says which program made it."""

from __future__ import annotations

from pathlib import Path

from offices import Office

from explainer.ledger.entries import EntryKind
from service.edition import digest_of, program_digest


def code(folder: Path) -> Path:
    (folder / "words").mkdir(parents=True)
    (folder / "one.py").write_text("ONE = 1\n")
    (folder / "words" / "page.html").write_text("<p>")
    return folder


def test_another_line_name_or_file_of_code_is_another_program(tmp_path: Path) -> None:
    room = code(tmp_path / "room")
    found = [digest_of([room])]
    (room / "one.py").write_text("ONE = 2\n")
    found.append(digest_of([room]))
    (room / "one.py").rename(room / "two.py")
    found.append(digest_of([room]))
    (room / "words" / "page.html").write_text("<p>\n")
    found.append(digest_of([room]))
    (room / "three.py").write_text("")
    found.append(digest_of([room]))
    assert len(set(found)) == len(found)


def test_where_it_is_installed_and_what_python_keeps_of_it_make_no_other_program(
    tmp_path: Path,
) -> None:
    here, there = code(tmp_path / "here" / "room"), code(tmp_path / "there" / "room")
    (there / "__pycache__").mkdir()
    (there / "__pycache__" / "one.cpython-311.pyc").write_bytes(b"kept")
    assert digest_of([here]) == digest_of([there])


def test_every_entry_names_the_program_that_runs(standing: Office) -> None:
    case = standing.fresh()
    standing.visitor("caseworker").get(f"/cases/{case.id}")
    assert {entry.leaf.explainer for entry in standing.entries(EntryKind.SHOWN)} == {
        program_digest()
    }
