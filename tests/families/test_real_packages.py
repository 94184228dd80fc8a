"""Packages trained on real public records by the recipes of docs/training: credit applications with
XGBoost, costs of a claim with CatBoost. What the numbers mean is asked of the library itself."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import combinations
from math import comb
from pathlib import Path
from types import ModuleType
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pytest
import xgboost
from resealed import SEEDS, check_counts, check_resealed

from explainer.core.attribution import Space
from explainer.core.case import FeatureCatalogue, FeatureClass, Missing, Value, read_case
from explainer.errors import CaseFaulty, ModelFailed
from explainer.families.attribute import raw_row
from explainer.families.second_opinion import ours
from explainer.packages.admit import admit
from explainer.packages.package import ModelPackage

TRAINING = Path(__file__).resolve().parents[2] / "docs" / "training"
MARK = 0.60
"""An input that tells a protected characteristic so well, alone, is declared a proxy; as the cards
say."""


def recipe(name: str) -> ModuleType:
    """A module of docs/training; they import each other by plain names, as a command does."""
    if str(TRAINING) not in sys.path:
        sys.path.append(str(TRAINING))
    return importlib.import_module(name)


Answers = Callable[[Sequence[Mapping[str, Any]]], np.ndarray]


def by_xgboost(blob: bytes) -> Answers:
    records = recipe("credit_records")
    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(blob))

    def margins(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        table = records.INPUTS.typed(pd.DataFrame(list(rows)))
        matrix = xgboost.DMatrix(table, enable_categorical=True, nthread=1)
        return booster.predict(matrix, output_margin=True).astype(float)

    return margins


def by_catboost(blob: bytes) -> Answers:
    names = recipe("claim_records").INPUTS.names
    model = catboost.CatBoostRegressor().load_model(blob=blob)

    def amounts(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
        table = pd.DataFrame(list(rows))[list(names)].astype({"wage": float})
        return np.asarray(model.predict(table, thread_count=1))

    return amounts


@dataclass(frozen=True)
class Made:
    """A recipe's package and how it came about; `answers` asks the library that trained it."""

    name: str
    module: ModuleType
    records: pd.DataFrame
    trained: Any
    blob: bytes
    folder: Path
    answers: Answers
    beside: float
    """How far two right numbers may be apart, of the margin scale: XGBoost answers in single
    precision."""

    def opened(self) -> ModelPackage:
        return admit(self.folder)


def made(name: str, folder: Path) -> Made:
    asked, beside = {"credit": (by_xgboost, 1e-6), "claim_costs": (by_catboost, 1e-9)}[name]
    module = recipe(name)
    records = module.read_records()
    trained, blob = module.train(records)
    module.make(folder, trained, blob)
    return Made(name, module, records, trained, blob, folder, asked(blob), beside)


@pytest.fixture(scope="session", params=["credit", "claim_costs"])
def real(request, tmp_path_factory) -> Made:
    return made(request.param, tmp_path_factory.mktemp("real") / request.param)


@pytest.fixture(scope="session")
def package(real) -> ModelPackage:
    return real.opened()


@pytest.fixture(scope="session")
def cases(package):
    return [read_case(golden.case, package.catalogue) for golden in package.golden]


# -- the numbers --------------------------------------------------------------------------------


def test_a_real_package_is_admitted_and_explained_by_its_trees(real, package):
    assert package.explained.method == "interventional-exact-groups/2"
    amount = real.name == "claim_costs"
    assert package.explained.model.space is (Space.AMOUNT if amount else Space.LOG_ODDS)
    assert len(package.golden) >= 50
    own = real.answers([raw_row(read_case(g.case, package.catalogue)) for g in package.golden])
    assert np.array_equal(own, [golden.margins[0] for golden in package.golden])


def test_every_recorded_case_adds_up_to_what_the_library_says(real, package, cases):
    own = real.answers([raw_row(case) for case in cases])
    group = real.answers(real.trained.background.to_dict("records"))
    scale = package.explained.comparison.scale
    for case, margin in zip(cases, own, strict=True):
        found = package.explained.attribute(case)
        whole = group.mean() + sum(each.phi for each in found.contributions)
        assert abs(whole - margin) <= real.beside * scale


def shapley(answers: Answers, case: Mapping[str, Any], group: Sequence[Mapping[str, Any]]):
    """All coalitions of the features people know, straight from the definition.

    A coalition's value: the mean answer where its features are the case's, all others those of a
    comparison row. Every mixture is asked of the library, in one go.
    """
    names = list(case)
    coalitions = [c for size in range(len(names) + 1) for c in combinations(names, size)]
    mixed = [{**row, **{n: case[n] for n in c}} for c in coalitions for row in group]
    means = answers(mixed).reshape(len(coalitions), len(group)).mean(axis=1)
    value = dict(zip(map(frozenset, coalitions), means, strict=True))
    found = dict.fromkeys(names, 0.0)
    for name in names:
        for coalition in value:
            if name not in coalition:
                weight = 1 / (len(names) * comb(len(names) - 1, len(coalition)))
                found[name] += weight * (value[coalition | {name}] - value[coalition])
    return np.array(list(found.values()))


@pytest.mark.parametrize("at", range(0, 60, 9))
def test_contributions_equal_all_coalitions_asked_of_the_library(real, package, cases, at):
    drawn = real.trained.background.iloc[at::43].to_dict("records")
    group = [{n: None if pd.isna(v) else v for n, v in row.items()} for row in drawn]
    case = raw_row(cases[at])
    witness = shapley(real.answers, case, group)
    assert np.abs(witness).max() > 0.01 * package.explained.comparison.scale
    away = np.abs(ours(package.explained, case, group) - witness).max()
    assert away <= real.beside * package.explained.comparison.scale


# -- what is not as it was in training ----------------------------------------------------------


def choices(package: ModelPackage) -> list[str]:
    return [feature.name for feature in package.catalogue if feature.choices]


def test_a_choice_nobody_has_seen_is_refused_and_named(package):
    assert len(choices(package)) >= 2
    for name in choices(package):
        given = dict(package.golden[0].case)
        given["values"] = dict(given["values"]) | {name: "never_seen"}
        with pytest.raises(CaseFaulty) as caught:
            read_case(given, package.catalogue)
        (fault,) = caught.value.faults
        assert name in fault.where


@pytest.mark.parametrize("seeds", SEEDS, ids=["20", "200"])
def test_a_damaged_file_that_is_sealed_again_is_refused_or_answers_as_before(real, seeds, tmp_path):
    check_counts(check_resealed(real.folder, tmp_path, seeds), len(seeds))


def test_a_missing_value_counts_as_the_library_takes_it(real, package):
    optional = [feature.name for feature in package.catalogue if feature.optional]
    assert optional
    for golden in package.golden[:12]:
        for name in optional:
            for kind in Missing:
                given = dict(golden.case)
                given["values"] = dict(given["values"]) | {name: {"missing": str(kind)}}
                case = read_case(given, package.catalogue)
                row = raw_row(case)
                assert row[name] is None
                found = package.explained.attribute(case)
                own = real.answers([row])[0]
                assert abs(found.margin - own) <= real.beside * found.comparison.scale


def test_a_value_that_may_not_be_missing_is_refused_when_it_is(package):
    required = [feature.name for feature in package.catalogue if not feature.optional]
    assert required
    for name in required:
        given = dict(package.golden[0].case)
        given["values"] = dict(given["values"]) | {name: {"missing": "not_given"}}
        with pytest.raises(CaseFaulty) as caught:
            read_case(given, package.catalogue)
        (fault,) = caught.value.faults
        assert name in fault.where


def test_a_choice_the_model_has_never_seen_is_withheld_even_where_the_catalogue_lists_it(package):
    case = read_case(package.golden[0].case, package.catalogue)
    assert choices(package)
    for name in choices(package):
        wider = FeatureCatalogue(
            [
                replace(f, choices=(*f.choices, "never_seen")) if f.name == name else f
                for f in package.catalogue
            ]
        )
        unseen = replace(case, values=dict(case.values) | {name: Value("never_seen")})
        with pytest.raises(ModelFailed, match="never seen") as caught:
            replace(package.explained, catalogue=wider).attribute(unseen)
        assert caught.value.where == name


# -- what is said of them -----------------------------------------------------------------------


def protected(real: Made) -> dict[str, pd.Series]:
    """Sex and age of the training records, which no package holds."""
    part = real.records.loc[real.trained.train.index]
    if real.name == "credit":
        return {"sex": part["sex"] == "female", "age": part["age"] < 30}
    return {"sex": 1.0 - part["male"], "age": (part["age"] >= 40).where(part["age"].notna())}


def test_proxies_are_declared_as_measured_and_nothing_protected_is_an_input(real, package):
    told_by = recipe("measures").told_by
    members = protected(real)
    for feature in package.catalogue:
        column = real.trained.train[feature.name]
        told = {name: told_by(column, member.astype(float)) for name, member in members.items()}
        suspect = max(told.values()) >= MARK
        assert suspect is (feature.feature_class is FeatureClass.PROXY_SUSPECT), feature.name
        if suspect:
            assert feature.proxy_for == max(told, key=told.__getitem__)
    assert not {"sex", "age", "male", "married"} & set(package.catalogue.names)


def figures(text: str) -> tuple[str, list[float]]:
    """A text without its numbers, and the numbers."""
    found = re.findall(r"-?\d[\d,]*\.?\d*", text)
    return re.sub(r"-?\d[\d,]*\.?\d*", "#", text), [float(n.replace(",", "")) for n in found]


def nearly(real) -> float:
    """How far figures measured here may be from the card's, as a share: another version of a
    library than the card's draws some borders of trees elsewhere."""
    manifest = tomllib.loads((real.folder / "manifest.toml").read_text("utf-8"))
    named = manifest["model"]["trained_with"]
    same = all(version(name) == named[name] for name in named if name != "python")
    return 0.01 if same else 0.12


def test_the_card_says_how_good_the_model_is_as_measured(real):
    of = recipe(f"{'credit' if real.name == 'credit' else 'claim'}_figures")
    if real.name == "credit":
        rows = of.overview_rows(real.trained)
    else:
        rows = of.overview_rows(real.trained, real.records) + of.estimate_rows(real.trained)
    card = (real.folder / "CARD.md").read_text("utf-8").splitlines()
    said = dict(map(figures, card))
    for row in rows:
        words, numbers = figures(row)
        assert said[words] == pytest.approx(numbers, rel=nearly(real), abs=0.002)


def test_the_same_recipe_gives_the_same_bytes_again(real, package, tmp_path):
    again = made(real.name, tmp_path / real.name)
    assert again.blob == real.blob
    assert again.opened().manifest.digest == package.manifest.digest
