"""Whole packages whose model is damaged and whose digests are computed anew."""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from explainer.core.attribution import TOLERANCE
from explainer.core.case import read_case
from explainer.errors import ExplainerError
from explainer.families.attribute import raw_row
from explainer.families.model import RawRow
from explainer.packages import package as opening
from explainer.packages.admit import admit
from explainer.packages.package import ModelPackage
from explainer.packages.scaffold import seal

SAME = 1e-9
"""Of the margin scale. Numbers are written to the last digit; a slip there changes nothing."""


SEEDS = [range(20), pytest.param(range(1000, 1200), marks=pytest.mark.long)]
"""How many are damaged, usually and in the long run."""


def damaged(data: bytes, seed: int) -> bytes:
    """Three of four times one bit is flipped, else the file is cut short."""
    random = np.random.default_rng(seed)
    if seed % 4 == 3:
        return data[: int(random.integers(0, len(data)))]
    spoiled = bytearray(data)
    spoiled[int(random.integers(0, len(data)))] ^= 1 << int(random.integers(0, 8))
    return bytes(spoiled)


def damaged_within(data: bytes, seed: int) -> bytes:
    """One member of an archive damaged; the archive's own checksums fit again."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        members = old.infolist()
        sizes = np.array([each.file_size for each in members], dtype=float)
        hit = int(np.random.default_rng(seed).choice(len(members), p=sizes / sizes.sum()))
        for at, each in enumerate(members):
            inside = old.read(each)
            new.writestr(each, damaged(inside, seed) if at == hit else inside)
    return made.getvalue()


def check_resealed(
    folder: Path,
    scratch: Path,
    seeds: Iterable[int],
    damage: Callable[[bytes, int], bytes] = damaged,
) -> Counter[str]:
    """Damage the model of the package in `folder` once for each seed, seal it and admit it.

    Counts what became of them: "refused"; or how what was admitted answers for all recorded cases
    and all comparison rows, beside the undamaged package: "the same", "nearly the same" (within
    what recorded cases are compared to), or "otherwise".
    """
    whole = admit(folder)
    rows = [raw_row(read_case(golden.case, whole.catalogue)) for golden in whole.golden]
    rows += comparison_rows(folder, whole)
    assert len(rows) >= 300
    own, scale = margins(whole, rows), whole.explained.comparison.scale
    data = (folder / whole.manifest.model_file).read_bytes()
    met: Counter[str] = Counter()
    with pytest.MonkeyPatch.context() as patch:
        # its words are sound, and would take longer than all the rest
        patch.setattr(opening, "read_wordings", lambda *_: whole.wordings)
        assert admitted(folder, scratch, data) is not None
        for seed in seeds:
            package = admitted(folder, scratch, damage(data, seed))
            if package is None:
                met["refused"] += 1
                continue
            away = np.abs(margins(package, rows) - own).max() / scale
            kinds = {"the same": away <= SAME, "nearly the same": away <= TOLERANCE}
            met[next((kind for kind, so in kinds.items() if so), "otherwise")] += 1
            package.explained.model.close()
    print(folder.name, dict(met))
    return met


def check_counts(met: Counter[str], count: int) -> None:
    """None answers otherwise, also where no recorded case comes to what is damaged: the comparison
    group's mean is compared more closely than one row of it can change."""
    assert met.total() == count
    assert met["refused"] >= count / 3
    assert met["nearly the same"] <= count / 10
    assert met["otherwise"] == 0


def admitted(folder: Path, scratch: Path, data: bytes) -> ModelPackage | None:
    """A copy of the package with these bytes for a model, sealed; nothing if it is refused."""
    copy = scratch / folder.name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    (model,) = copy.glob("model.*")
    model.write_bytes(data)
    try:
        seal(copy)
        return admit(copy)
    except ExplainerError:
        return None


def comparison_rows(folder: Path, package: ModelPackage) -> list[RawRow]:
    """The comparison rows as they stand in the file; an empty cell is a missing value."""
    text = (folder / package.manifest.background_file).read_text("utf-8")
    kinds = {each.name: str if each.choices else float for each in package.catalogue}
    return [
        {name: kind(row[name]) if row[name] else None for name, kind in kinds.items()}
        for row in csv.DictReader(text.splitlines())
    ]


def margins(package: ModelPackage, rows: list[RawRow]) -> np.ndarray:
    return package.explained.model.answer(rows).margins
