"""The digest by which an entry says which program made it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from offices import Office

from explainer.ledger.entries import EntryKind
from service.edition import START, digest_of, program_digest

ROOT = Path(__file__).parents[2]


def code(folder: Path) -> Path:
    (folder / "words").mkdir(parents=True)
    (folder / "one.py").write_text("ONE = 1\n")
    (folder / "words" / "page.html").write_text("<p>")
    return folder


def test_another_line_name_or_file_of_code_is_another_program(tmp_path: Path) -> None:
    room, start = code(tmp_path / "room"), tmp_path / "start.py"
    start.write_text("GO = 1\n")
    found = [digest_of([room], start)]
    (room / "one.py").write_text("ONE = 2\n")
    found.append(digest_of([room], start))
    (room / "one.py").rename(room / "two.py")
    found.append(digest_of([room], start))
    (room / "words" / "page.html").write_text("<p>\n")
    found.append(digest_of([room], start))
    (room / "three.py").write_text("")
    found.append(digest_of([room], start))
    start.write_text("GO = 2\n")
    found.append(digest_of([room], start))
    assert len(set(found)) == len(found)


def test_where_it_is_installed_and_what_python_and_editors_keep_make_no_other_program(
    tmp_path: Path,
) -> None:
    here, there = code(tmp_path / "here" / "room"), code(tmp_path / "there" / "room")
    start = tmp_path / "start.py"
    start.write_text("GO = 1\n")
    for name in ("__pycache__/one.pyc", ".checkpoints/one.py", "words/.page.html", "one.py~"):
        (there / name).parent.mkdir(exist_ok=True)
        (there / name).write_bytes(b"kept")
    (there / ".#one.py").symlink_to("somebody@somewhere")
    assert digest_of([here], start) == digest_of([there], start)


def test_a_wheel_and_a_checkout_of_the_same_code_are_the_same_program(tmp_path: Path) -> None:
    """A wheel has the start file beside the packages, and what lies elsewhere in the repository
    within them, in folders that begin with a line; see [tool.hatch.build] in pyproject.toml."""
    found = []
    for layout in ("checkout", "wheel", "wheel of another start"):
        top = tmp_path / layout
        rooms = [code(top / "explainer"), code(top / "service")]
        inner = rooms[0] / "words" / "_base"
        inner.mkdir()
        (inner / "page.html").write_text("<p>")
        start = top / ("service/start.py" if layout == "checkout" else "warum_start.py")
        start.write_text("GO = 2\n" if "another" in layout else "GO = 1\n")
        if layout != "checkout":
            (rooms[0] / "_converter").mkdir()
            (rooms[0] / "_converter" / "convert.py").write_text("")
        found.append(digest_of(rooms, start))
    assert found[0] == found[1] != found[2]
    (inner / "page.html").write_text("<p>\n")
    assert digest_of(rooms, start) not in found


def test_the_build_puts_into_a_wheel_what_the_digest_expects() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    beside = dict(build["targets"]["wheel"]["force-include"])
    assert beside.pop(START) == "warum_start.py"
    assert all(place.split("/")[1].startswith("_") for place in beside.values())


def test_every_entry_names_the_program_that_runs(standing: Office) -> None:
    case = standing.fresh()
    standing.visitor("caseworker").get(f"/cases/{case.id}")
    assert {entry.leaf.explainer for entry in standing.entries(EntryKind.SHOWN)} == {
        program_digest()
    }
