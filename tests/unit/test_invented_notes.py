"""How much of what belongs in the file is noticed in notes nobody wrote for the detector.

The notes are invented. How often either error happens in an agency's real ones is not known.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from explainer.text.notes import personal_in

HERE = Path(__file__).parent
PAPER = HERE.parents[1] / "docs" / "ledger.md"


@dataclass(frozen=True)
class Count:
    """Of so many notes of one sort, how many are asked about."""

    asked: int
    of: int

    def __str__(self) -> str:
        return f"{self.asked} of {self.of}"


def counted(*, second: bool, sort: str) -> Count:
    groups = tomllib.loads((HERE / "invented_notes.toml").read_text("utf-8"))["group"]
    notes = [
        note
        for group in groups
        if bool(group.get("second")) == second and _sort_of(group["holds"]) == sort
        for note in group["notes"]
    ]
    return Count(sum(bool(personal_in(note)) for note in notes), len(notes))


def _sort_of(holds: list[str]) -> str:
    if holds == ["bare_name"]:
        return "bare"
    return "personal" if holds else "harmless"


def test_there_are_enough_notes_of_every_sort_and_none_twice() -> None:
    groups = tomllib.loads((HERE / "invented_notes.toml").read_text("utf-8"))["group"]
    notes = [note for group in groups for note in group["notes"]]
    assert len(notes) == len(set(notes)) >= 220
    kinds = {kind for group in groups for kind in group["holds"]}
    assert kinds == {
        *("name", "bare_name", "birth", "phone", "email", "account", "number", "address", "health")
    }


@pytest.mark.parametrize(
    ("second", "sort", "least", "most"),
    [
        (False, "personal", 0.94, 1.0),
        (True, "personal", 0.94, 1.0),
        (False, "harmless", 0.0, 0.09),
        (True, "harmless", 0.0, 0.15),
        # it knows no names; who teaches it some says so in the paper
        (False, "bare", 0.0, 0.1),
        (True, "bare", 0.0, 0.1),
    ],
)
def test_it_notices_no_less_and_asks_no_more_than_the_paper_says(
    second: bool, sort: str, least: float, most: float
) -> None:
    found = counted(second=second, sort=sort)
    assert least <= found.asked / found.of <= most, found
    paper = " ".join(PAPER.read_text("utf-8").split())
    measured = paper.split("**Notes.**")[1].split("## Own entries")[0]
    assert str(found) in measured
