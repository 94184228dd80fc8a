"""Whole packages that were tampered with: a file swapped between its check and its use, a damaged
model that was sealed again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from resealed import (
    SEEDS,
    check_counts,
    check_resealed,
    comparison_rows,
    damaged,
    damaged_within,
    margins,
)

from explainer.errors import ArtefactChanged, PackageFaulty
from explainer.packages import package as opening
from explainer.packages.admit import admit
from explainer.packages.bundled import find_package
from explainer.packages.package import open_package
from explainer.packages.scaffold import seal

TAG = "mortgage_guarantee"
MODEL = "model.txt"


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(find_package(TAG), tmp_path / TAG))


def another_model(folder: Path) -> bytes:
    """A file that opens as well and answers otherwise: its trees stand on the same leaves, the
    first of which is worth more."""
    before, line, after = (folder / MODEL).read_text("utf-8").partition("\nleaf_value=")
    first, space, others = after.partition(" ")
    other = f"{float(first) + 1:.{max(0, len(first) - 2)}f}"[: len(first)]
    assert len(other) == len(first)
    assert float(other) != float(first)
    return (before + line + other + space + others).encode()


def test_a_file_swapped_between_its_check_and_its_use_is_never_the_one_that_answers(
    folder, tmp_path, monkeypatch
):
    whole = open_package(find_package(TAG))
    rows = comparison_rows(folder, whole)
    other = another_model(folder)
    swapped: list[str] = []
    check = opening.check_unchanged

    def swap_after_checking(name, *rest):
        check(name, *rest)
        (folder / name).write_bytes(other if name == MODEL else b"swapped")
        swapped.append(name)

    with monkeypatch.context() as patch:
        patch.setattr(opening, "check_unchanged", swap_after_checking)
        package = open_package(folder)
    assert sorted(swapped) == sorted(whole.manifest.files)
    assert (folder / MODEL).read_bytes() == other
    assert margins(package, rows).tobytes() == margins(whole, rows).tobytes()
    assert list(package.catalogue) == list(whole.catalogue)
    assert package.golden == whole.golden
    assert package.explained.comparison == whole.explained.comparison

    # the swap would have been seen: that file answers otherwise, and is refused when it is checked
    third = Path(shutil.copytree(find_package(TAG), tmp_path / "third" / TAG))
    (third / MODEL).write_bytes(other)
    with pytest.raises(PackageFaulty) as refused:
        open_package(third)
    (fault,) = refused.value.faults
    assert isinstance(fault, ArtefactChanged)
    assert fault.where == MODEL
    manifest = whole.manifest
    model = opening.open_apart(manifest.format, other, whole.catalogue, manifest.target)
    assert np.abs(model.answer(rows).margins - margins(whole, rows)).max() > 0.1
    model.close()


# -- damaged, and sealed again ------------------------------------------------------------------

PACKAGES = {
    "mortgage_guarantee": damaged,
    "unemployment_benefit": damaged_within,
}
"""LightGBM's text, and the members of a skops archive."""


@pytest.mark.parametrize("seeds", SEEDS, ids=["20", "200"])
@pytest.mark.parametrize("tag", PACKAGES)
def test_a_damaged_package_that_is_sealed_again_is_refused_or_answers_as_before(
    tag, seeds, tmp_path
):
    check_counts(check_resealed(find_package(tag), tmp_path, seeds, PACKAGES[tag]), len(seeds))


def test_a_model_that_answers_otherwise_is_refused_however_well_it_is_sealed(folder):
    (folder / MODEL).write_bytes(another_model(folder))
    seal(folder)
    with pytest.raises(PackageFaulty) as refused:
        admit(folder)
    assert {fault.where.split(",")[0] for fault in refused.value.faults} >= {"golden/cases.jsonl"}
