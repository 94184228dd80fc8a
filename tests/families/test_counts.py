"""What docs/formats.md says was tried as bad input is what the tests try."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import test_artefacts
import test_category_names
import test_contract
import test_crafted_kinds
import test_damaged
import test_formats
import test_resealed
from households import COUNTS
from resealed import SEEDS
from trained_formats import OUTCOMES, VARIANTS, infinities

from explainer.packages.bundled import find_package
from explainer.packages.manifest import read_manifest

HERE = Path(__file__).resolve().parent
PAGE = (HERE.parents[1] / "docs" / "formats.md").read_text("utf-8")
SECTION = PAGE.partition("\n## Bad input\n")[2]


def usual_and_long(given: list) -> list[int]:
    """How many of each kind are damaged in `make test` and, beside them, in `make test-all`."""
    found = [each.values[0] if hasattr(each, "values") else each for each in given]
    return [each if isinstance(each, int) else len(each) for each in found]


def sizes(test) -> list[int]:
    """The lengths of what a test is parametrized with."""
    return [len(list(mark.args[1])) for mark in test.pytestmark if mark.name == "parametrize"]


def other_names() -> int:
    """Pairs of kinds whose files are of different formats."""
    formats = [name.partition(",")[0] for name in test_damaged.SMALL]
    return sum(one != other for one in formats for other in formats)


KINDS = len(test_damaged.SMALL)
MODELS = len(VARIANTS) + len(OUTCOMES)
FILES = len(read_manifest((find_package(test_resealed.TAG) / "manifest.toml").read_bytes()).files)
BEYOND = test_formats.test_an_infinity_is_refused_where_the_library_does_not_take_one
PROGRAMS = test_artefacts.test_a_program_is_refused_and_does_nothing

COUNTED: dict[str, list[int]] = {
    "damaged": [KINDS, 2, 1, 2],
    "damaged, digests recomputed": [5],
    "crafted": [
        len(test_damaged.CRAFTED),
        len(test_crafted_kinds.CRAFTED),
        len(test_artefacts.TAMPERED),
    ],
    "a program, renamed": [len(test_damaged.programs("")), KINDS, *sizes(PROGRAMS)],
    "a file of another format": [other_names()],
    "swapped between check and use": [FILES, FILES],
    "columns permuted": [len(VARIANTS), len(VARIANTS)],
    "values mixed at random": [len(VARIANTS), test_formats.RANDOM_ROWS],
    "cents on a threshold": [MODELS, MODELS],
    "classes reversed": [1, 3],
    "categories of one name": [len(test_category_names.TWICE), 2, 1],
    "infinities": [*sizes(BEYOND), sum(map(infinities, VARIANTS))],
}
"""By the first column of the table: the numbers in its second, in their order."""


def rows() -> dict[str, list[str]]:
    lines = [line for line in SECTION.splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {first: others for first, *others in table[1:]}


def test_the_table_of_bad_input_has_a_row_for_each_kind_and_no_other():
    assert list(rows()) == list(COUNTED)


@pytest.mark.parametrize("kind", COUNTED)
def test_as_much_bad_input_is_tried_as_the_documentation_says(kind):
    tried, _, tests = rows()[kind]
    numbers = re.findall(r"\d+(?:,\d{3})*", tried)
    assert [int(number.replace(",", "")) for number in numbers] == COUNTED[kind]
    named = re.findall(r"`(test_\w+)`", tests)
    assert named
    source = "".join(each.read_text("utf-8") for each in HERE.glob("test_*.py"))
    for name in named:
        assert f"def {name}(" in source, name


def test_so_many_are_damaged_of_each_kind_as_the_documentation_says():
    assert usual_and_long(COUNTS) == usual_and_long(SEEDS) == [20, 200]
    assert "20 of each kind in `make test`, 200 more in `make test-all`" in " ".join(
        SECTION.split()
    )


def test_so_many_requests_are_mixed_as_the_documentation_says():
    (mark,) = (
        test_contract.test_so_many_mixed_requests_at_once_are_answered_as_one_after_another.pytestmark
    )
    assert usual_and_long(mark.args[1]) == [100, 1000]
    page = " ".join((HERE.parents[1] / "docs" / "attribution.md").read_text("utf-8").split())
    assert (
        "1,000 of 1,000 mixed requests at once, over two models, are answered as one after another"
        in page
    )
