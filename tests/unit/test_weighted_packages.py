"""A package whose comparison rows do not weigh alike, from its files to what is told."""

from __future__ import annotations

import argparse
import csv
import io
import tomllib
from collections.abc import Callable
from datetime import date

import numpy as np
import pytest
from trained import SmallModel, background, manifest_of

from explainer.cli.packages import _package_check
from explainer.core.case import read_case
from explainer.core.disclosure import Audience
from explainer.errors import PackageError, PackageFaulty
from explainer.families.attribute import WEIGHTED
from explainer.families.engine.reference import brute_force
from explainer.packages.admit import admit
from explainer.packages.package import open_package
from explainer.packages.survey import survey
from explainer.pipeline import explain, tell
from explainer.text.languages import language

BACKGROUND = "package.background_invalid"


def layers(model: SmallModel) -> np.ndarray:
    """A sample in two layers: the young were drawn three times as often as the others."""
    return np.where(model.rows["age"] < 35, 1, 3)


def weighted(data: bytes, weights, column: str = "stands_for") -> bytes:
    """The table with one more column, in the middle of the others."""
    lines = list(csv.reader(io.StringIO(data.decode())))
    cells = [column, *map(str, weights)]
    text = io.StringIO()
    for line, cell in zip(lines, cells, strict=True):
        csv.writer(text, lineterminator="\n").writerow([line[0], cell, *line[1:]])
    return text.getvalue().encode()


def naming(value: str = '"stands_for"') -> Callable:
    """The manifest with the key of the weights, and the figures as they are."""
    return lambda text: text.replace("[background]\n", f"[background]\nweight = {value}\n")


def of_margins(model: SmallModel, times: np.ndarray, column: str = "stands_for") -> Callable:
    """The manifest as somebody would write it who repeats rows in the environment of training."""
    plain = tomllib.loads(manifest_of(model))["background"]
    margins = np.repeat(model.pipeline.decision_function(model.rows), times)
    low, high = np.quantile(margins, [0.1, 0.9])

    def change(text: str) -> str:
        text = text.replace(f"base = {plain['base']}", f"base = {margins.mean()}")
        text = text.replace(f"= {plain['margin_scale']}", f"= {high - low}")
        return text.replace("[background]\n", f'[background]\nweight = "{column}"\n')

    return change


@pytest.fixture
def make_weighted(make_package, small_model):
    """A whole package in layers; `weights` are the cells of the column."""
    times = layers(small_model)

    def make(name: str = "small_benefit", weights=None, column: str = "stands_for"):
        cells = times if weights is None else weights
        data = weighted(background(small_model.rows), cells, column)
        change = of_margins(small_model, times, column)
        return make_package(name, manifest=change, files={"background.csv": data})

    return make


def faults(folder, open_: Callable = admit) -> list[PackageError]:
    with pytest.raises(PackageFaulty) as caught:
        open_(folder)
    return list(caught.value.faults)


def test_a_weighted_package_is_admitted_explained_and_told(make_weighted, small_model, small):
    package = admit(make_weighted())
    assert package.manifest.background_weight == "stands_for"
    assert package.explained.method == small.explained.method + WEIGHTED
    times = layers(small_model)
    assert package.explained.rows_worth == pytest.approx(times.sum() ** 2 / (times**2).sum())
    names = package.catalogue.names
    others = [
        [None if v != v else v for v in row]
        for row in small_model.rows[list(names)].itertuples(index=False)
    ]

    def margin(rows):
        asked = [dict(zip(names, row, strict=True)) for row in rows]
        return package.explained.model.answer(asked).margin

    for golden in package.golden[:3]:
        case = read_case(golden.case, package.catalogue)
        found = explain(case, package, date(2026, 3, 1))
        values = [case.values[name].value for name in names]
        theirs = brute_force(margin, values, others, times)
        mine = {each.feature.name: each.phi for each in found.findings}
        assert [mine[n] for n in names] == pytest.approx(theirs, abs=1e-9)
        plain = explain(case, small, date(2026, 3, 1))
        assert {each.feature.name: each.phi for each in plain.findings} != mine
        assert found.method == package.explained.method
        for audience in Audience:
            for tag in ("de", "en"):
                told = tell(found, audience, language(tag), package, form="text")
                assert told.body


def test_comparable_rows_of_a_package_are_counted_and_weighed(make_weighted, small):
    package = admit(make_weighted())
    lighter = []
    for golden in package.golden[:8]:
        case = read_case(golden.case, package.catalogue)
        found = package.comparable.like(case, package.explained.attribute(case))
        lighter.append(found.weight < found.rows)  # the heaviest row weighs 1
        plain = small.comparable.like(case, small.explained.attribute(case))
        assert plain.weight == plain.rows
    assert any(lighter)


def test_check_asks_witnesses_that_count_weights(make_weighted, small_model, capsys):
    _package_check(argparse.Namespace(package=str(make_weighted())))
    said = capsys.readouterr().out
    weighed = ", comparison rows weighed 1, 2, 3 and on"
    for witness in ("brute force over all coalitions", "shap's exact explainer"):
        assert f"  {witness}{weighed}\n" in said
    times = layers(small_model)
    worth = times.sum() ** 2 / (times**2).sum()
    assert f"comparison rows 300, by their weights worth {worth:.0f}\n" in said


def test_weights_that_are_all_the_same_change_nothing(make_package, small_model, small):
    data = weighted(background(small_model.rows), ["2.5"] * 300)
    package = admit(make_package(manifest=naming(), files={"background.csv": data}))
    assert package.explained.method == small.explained.method
    for golden in package.golden[:5]:
        case = read_case(golden.case, package.catalogue)
        mine, theirs = (p.explained.attribute(case) for p in (package, small))
        assert mine.contributions == theirs.contributions
        assert (mine.comparison.base, mine.comparison.scale) == (
            theirs.comparison.base,
            theirs.comparison.scale,
        )


def test_the_weights_are_under_the_digest_of_the_comparison_group(make_weighted):
    one = make_weighted()
    other = [*"2" * 150, *"3" * 150]
    first, second = (
        {group.digest for group in package.explained.comparisons.values()}
        # of the other one the figures are not those of its manifest, which only `admit` minds
        for package in (admit(one), open_package(make_weighted("other", other)))
    )
    assert first != second
    data = (one / "background.csv").read_bytes()
    (one / "background.csv").write_bytes(data.replace(b",3,", b",1,", 1))
    (fault,) = faults(one)
    assert fault.code == "package.artefact_changed"


def test_a_group_that_was_measured_without_its_weights_is_refused(make_package, small_model):
    data = weighted(background(small_model.rows), layers(small_model))
    (fault,) = faults(make_package(manifest=naming(), files={"background.csv": data}))
    assert fault.code == BACKGROUND
    assert fault.what.startswith("It is stale")


CELLS = {
    "nought": "0",
    "less than nought": "-1",
    "no number": "much",
    "nothing": "",
    "NaN": "nan",
    "infinity": "inf",
    "too large": "1e999",
    "too small": "1e-999",
    "a line between digits": "1_000",
    "digits of another script": "１２",
    "a blank before it": " 12",
    "a point for thousands and one for decimals": "1.000.5",
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_a_weight_that_is_no_positive_finite_number_is_named_by_its_line(make_weighted, cell):
    folder = make_weighted(weights=[*["1"] * 10, cell, *["2"] * 289])
    for found in (faults(folder), survey(folder)):
        (fault,) = found
        assert fault.code == BACKGROUND
        assert fault.where == "background.csv, line 12, stands_for"
        assert fault.what == "The weight is not a positive finite number."
        assert fault.mend


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([*["1"] * 290, *["1000"] * 10], "worth only 10.5 rows"),
        ([*["1"] * 299, "1e-12"], "Line 301 weighs less than a billionth"),
    ],
)
def test_weights_too_uneven_to_compare_with_are_refused(make_weighted, weights, says):
    (fault,) = faults(make_weighted(weights=weights))
    assert fault.code == BACKGROUND
    assert says in str(fault)


def test_a_column_of_weights_that_is_not_there_or_is_a_feature_is_named(make_package, small_model):
    data = background(small_model.rows)
    for column, says in (("stands_for", "there is none"), ("age", "which is a feature")):
        change = of_margins(small_model, layers(small_model), column)
        folder = make_package(column, manifest=change, files={"background.csv": data})
        for found in (faults(folder), survey(folder)):
            assert [fault.code for fault in found] == [BACKGROUND]
            assert column in found[0].what
            assert says in found[0].what


def test_a_column_that_the_manifest_does_not_name_is_no_weight(make_package, small_model):
    data = weighted(background(small_model.rows), layers(small_model))
    (fault,) = faults(make_package(files={"background.csv": data}))
    assert fault.code == BACKGROUND
    assert fault.what == "Its columns are not the features of the catalogue."


@pytest.mark.parametrize("value", ['""', "3", "true"])
def test_the_key_of_the_weights_is_a_name(make_package, value):
    found = faults(make_package(manifest=naming(value)))
    assert [fault.code for fault in found] == ["package.manifest_invalid"]
    assert found[0].where == "manifest.toml, background.weight"


@pytest.mark.parametrize("head", ["]", 'weight = ""', "weight = 3", "no table"])
def test_of_a_manifest_that_cannot_be_read_the_column_of_weights_is_no_fault(make_weighted, head):
    """What else is wrong with the rows is found all the same."""
    folder = make_weighted()
    manifest = (folder / "manifest.toml").read_text("utf-8")
    if head == "]":
        manifest = head
    elif head == "no table":
        manifest = manifest.replace("[background]", "[ground]")
    else:
        manifest = manifest.replace('weight = "stands_for"', head)
    (folder / "manifest.toml").write_text(manifest, "utf-8")
    assert [f.where for f in survey(folder) if "background.csv" in f.where] == []
    table = (folder / "background.csv").read_bytes()
    (folder / "background.csv").write_bytes(table.replace(b",yes", b",maybe", 1))
    (found,) = (f.where for f in survey(folder) if "background.csv" in f.where)
    assert found.endswith(", married")
    (folder / "background.csv").write_bytes(table.replace(b"stands_for", b"a,stands_for", 1))
    assert [f.what for f in survey(folder) if "background.csv" in f.where] == [
        "Its columns are not the features of the catalogue."
    ]
