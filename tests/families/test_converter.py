"""From a fitted model in somebody's environment to a package that check passes."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import catboost
import joblib  # noqa: TID251 - what agencies have; it is loaded in their environment, not in Warum
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from trained_formats import households

from explainer import cli
from explainer.cli.packages import tell_as_text
from explainer.errors import ArtefactRefused, PackageFaulty
from explainer.packages.admit import check
from explainer.packages.bundled import converter
from explainer.packages.scaffold import converted_package, seal

NUMBERS = ["income", "months", "rooms"]
CHOICES = ["heating", "tenancy"]
CONVERTER = converter()


def rows() -> pd.DataFrame:
    """What an agency has: a gap here and there, and a column that no model takes."""
    return households().assign(clerk="somebody")


def labels(table: pd.DataFrame) -> np.ndarray:
    worth = np.nan_to_num(table["months"].to_numpy(), nan=9) / 8 + (table["tenancy"] == "rent")
    noise = np.random.default_rng(3).normal(0, 0.6, len(table))
    return (worth.to_numpy() - table["income"].to_numpy() / 1000 + noise > 0.8).astype(int)


def categories(table: pd.DataFrame) -> pd.DataFrame:
    known = {"heating": ["wood", "gas", "oil"], "tenancy": ["rent", "own"]}
    given = {n: pd.Categorical(table[n], categories=c) for n, c in known.items()}
    return table.assign(**given)[[*NUMBERS, *CHOICES]]


def pipeline(model: object) -> Pipeline:
    words = Pipeline(
        [("fill", SimpleImputer(strategy="most_frequent")), ("one_hot", OneHotEncoder())]
    )
    months = SimpleImputer(strategy="median", add_indicator=True)
    columns = ColumnTransformer(
        [
            ("words", words, CHOICES),
            ("filled", months, ["months"]),
            ("rest", "passthrough", ["income", "rooms"]),
        ]
    )
    return Pipeline([("columns", columns), ("model", model)])


def trained(name: str, folder: Path) -> Path:
    """A model in the file an agency would have."""
    table = rows()
    words = np.where(labels(table) == 1, "yes", "no")
    if name in ("sklearn", "forest", "logistic", "logistic, linear-json"):
        model = {
            "sklearn": pipeline(GradientBoostingClassifier(n_estimators=12, random_state=1)),
            "forest": pipeline(RandomForestClassifier(8, max_depth=4, random_state=1)),
        }.get(name, LogisticRegression(max_iter=1000))
        taken = ["income", "rooms"] if name.startswith("logistic") else [*NUMBERS, *CHOICES]
        model.fit(table[taken], words)
        joblib.dump(model, folder / "model.joblib")
        return folder / "model.joblib"
    if name == "xgboost":
        matrix = xgboost.DMatrix(
            categories(table), labels(table), enable_categorical=True, nthread=1
        )
        booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, matrix, 12)
        booster.save_model(folder / "model.json")
        return folder / "model.json"
    if name == "xgboost, stopped early":
        model = xgboost.XGBClassifier(
            n_estimators=60, early_stopping_rounds=2, n_jobs=1, missing=-999.0, learning_rate=0.8
        )
        taken = table[["income", "rooms"]]
        model.fit(
            taken[:180],
            labels(table)[:180],
            eval_set=[(taken[180:], labels(table)[180:])],
            verbose=False,
        )
        assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
        joblib.dump(model, folder / "model.pkl")
        return folder / "model.pkl"
    if name.startswith("lightgbm"):
        settings = {"objective": "binary", "num_threads": 1, "verbose": -1, "num_leaves": 7}
        settings |= {"min_data_per_group": 5, "cat_smooth": 1.0, "cat_l2": 1.0}
        if name == "lightgbm, forest":
            settings |= {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}
        data = lightgbm.Dataset(categories(table), labels(table))
        lightgbm.train(settings, data, 12).save_model(folder / "model.txt")
        return folder / "model.txt"
    model = catboost.CatBoostClassifier(
        iterations=12,
        depth=3,
        thread_count=1,
        verbose=False,
        one_hot_max_size=9,
        cat_features=["tenancy"],
        allow_writing_files=False,
    )
    model.fit(table[[*NUMBERS, "tenancy"]], words)
    model.save_model(str(folder / "model.cbm"))
    return folder / "model.cbm"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """As people run it: on its own, in another folder, with nothing of Warum beside it."""
    return subprocess.run(
        [sys.executable, "-P", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def fill_in(folder: Path) -> None:
    """What only people can say, said by a machine."""
    manifest = (folder / "manifest.toml").read_text("utf-8")
    for key, text in {
        "owner": "Amt",
        "licence": "intern",
        "purpose": "Probe.",
        "unit": "probe",
    }.items():
        manifest = manifest.replace(f'\n{key} = ""', f'\n{key} = "{text}"')
    manifest = manifest.replace('\nnote = ""', '\nnote = "Gezogene Zeilen."')
    (folder / "manifest.toml").write_text(manifest, "utf-8")
    numbered = iter(range(1000, 9000))
    features = (folder / "features.toml").read_text("utf-8")
    features = features.replace('\nclass = ""', '\nclass = "neutral"')
    features = re.sub(
        r'\n(can_be_granted|check_more_closely) = ""',
        lambda found: f'\n{found[1]} = "Grund {next(numbered)} sprach dafür oder dagegen."',
        features,
    )
    features = re.sub(r' = ""', lambda _: f' = "Angabe {next(numbered)}"', features)
    (folder / "features.toml").write_text(features, "utf-8")
    wording = (folder / "wording.toml").read_text("utf-8")
    wording = re.sub(r'""', lambda _: f'"Satz Nummer {next(numbered)} des Amtes."', wording)
    (folder / "wording.toml").write_text(wording, "utf-8")


MODELS = {
    "sklearn": ("skops", ["--positive", "yes"]),
    "forest": ("skops", ["--positive", "yes"]),
    "logistic": ("skops", ["--positive", "yes"]),
    "logistic, linear-json": ("linear-json", ["--positive", "yes", "--linear-json"]),
    "xgboost": ("xgboost-ubj", ["--positive", "yes", "--negative", "no"]),
    "xgboost, stopped early": ("xgboost-ubj", ["--positive", "1"]),
    "lightgbm": ("lightgbm-txt", ["--positive", "1"]),
    "lightgbm, forest": ("lightgbm-txt", ["--positive", "1"]),
    "catboost": ("catboost-cbm", ["--positive", "yes"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_from_a_fitted_model_to_a_package_that_check_passes(name, tmp_path):
    declared, options = MODELS[name]
    rows().to_csv(tmp_path / "rows.csv", index=False)
    model = trained(name, tmp_path)
    program = tmp_path / "warum_convert.py"
    assert cli_run("convert", "--write", program) == cli.DONE
    answer = run(
        program, model, tmp_path / "rows.csv", tmp_path / "out", *options, "--background", 120
    )
    assert answer.returncode == 0, answer.stderr
    assert ("is a program" in answer.stderr) is (model.suffix in (".joblib", ".pkl"))
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert (facts["format"], facts["rows"]) == (declared, 120)

    folder = tmp_path / "my_benefit"
    names = converted_package(folder, tmp_path / "out")
    assert set(names) <= {*NUMBERS, *CHOICES}
    with pytest.raises(PackageFaulty) as left:
        check(folder, tell_as_text, lambda *_: None)
    # words, classes of features and decisions, and nothing else
    said = "\n".join(str(fault) for fault in left.value.faults)
    assert not re.search(r"background\.(rows|base|margin)|golden/cases|trained|choices|range", said)
    fill_in(folder)
    seal(folder)
    checked = check(folder, tell_as_text, lambda *_: None)
    assert len(checked.package.golden) == 60
    model_table = tomllib.loads((folder / "manifest.toml").read_text())["model"]
    assert model_table["trained_with"]["python"]
    assert model_table["classes"][1] == options[1]
    # a weighted sum of numbers without gaps has no border
    assert name.startswith("logistic") or sum(n for n, _ in checked.tried.values()) > 10


def cli_run(*arguments: object) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    cli.add_commands(parser.add_subparsers(required=True))
    options = parser.parse_args([str(each) for each in arguments])
    return cli.run(lambda: options.action(options))


def test_the_converter_stands_alone_and_is_old_enough():
    """Python 3.9, the standard library, and whatever library the model is of."""
    tree = ast.parse(CONVERTER.read_text("utf-8"), feature_version=(3, 9))
    outside = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert outside - sys.stdlib_module_names == {"numpy", "pandas", "sklearn", "skops", "xgboost"}
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def test_the_same_seed_draws_the_same_rows_and_another_others(tmp_path):
    sys.path.insert(0, str(CONVERTER.parent))
    try:
        from warum_convert import convert
    finally:
        sys.path.pop(0)
    table = rows()
    model = pipeline(LogisticRegression(max_iter=1000))
    model.fit(table[[*NUMBERS, *CHOICES]], labels(table))
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        convert(model, table, str(tmp_path / name), positive_class="1", background=90, seed=seed)
    files = ("background.csv", "golden/cases.jsonl", "facts.json")
    assert all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files
    )
    assert (tmp_path / "a" / files[0]).read_bytes() != (tmp_path / "c" / files[0]).read_bytes()
    golden = (tmp_path / "a" / "golden/cases.jsonl").read_text()
    assert '"months": {"missing": "not_given"}' in golden
    assert '"heating": {"missing": "not_given"}' in golden


REFUSED = {
    "a folder of MLflow": "Name the file of the model inside it",
    "another class": "for its second class",
    "a column less": "lack columns of the model: months",
    "a name that is none": "is no name of a feature",
    "few rows": "give at least 80",
    "a folder in use": "is not empty",
    "another ending": "Files ending in .onnx are not known",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_converted_is_refused_with_the_way_out(name, tmp_path):
    table, positive, out = rows(), "yes", tmp_path / "out"
    model = trained("sklearn", tmp_path)
    if name == "a folder of MLflow":
        model = tmp_path / "mlflow"
        model.mkdir()
        (model / "MLmodel").write_text("flavors:")
        (model / "model.xgb").write_text("")
    if name == "another class":
        positive = "no"
    if name == "a column less":
        table = table.drop(columns="months")
    if name == "a name that is none":
        renamed = table.rename(columns={"income": "Income (EUR)"})
        booster = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1)
        joblib.dump(booster.fit(renamed[["rooms"]].rename(columns=str.upper), labels(table)), model)
        table, positive = renamed.rename(columns={"rooms": "ROOMS"}), "1"
    if name == "few rows":
        table = table.head(70)
    if name == "a folder in use":
        out.mkdir()
        (out / "thesis.txt").write_text("important")
    if name == "another ending":
        model = tmp_path / "model.onnx"
        model.write_bytes(b"x")
    table.to_csv(tmp_path / "rows.csv", index=False)
    answer = run(CONVERTER, model, tmp_path / "rows.csv", out, "--positive", positive)
    assert answer.returncode == 1
    assert REFUSED[name] in answer.stderr
    assert not (out / "facts.json").exists()


def test_facts_that_do_not_fit_the_model_are_refused(tmp_path):
    rows().to_csv(tmp_path / "rows.csv", index=False)
    model = trained("lightgbm", tmp_path)
    assert not run(
        CONVERTER, model, tmp_path / "rows.csv", tmp_path / "out", "--positive", "1"
    ).returncode
    path = tmp_path / "out" / "facts.json"
    whole = json.loads(path.read_text())
    for change in (
        {"inputs": whole["inputs"][1:]},
        {"space": "probability"},
        {"schema": "x"},
        {"file": "../model.txt"},
        {"more": 1},
        {"inputs": 7},
        {"base": "low"},
    ):
        path.write_text(json.dumps(whole | change))
        with pytest.raises(ArtefactRefused):
            converted_package(tmp_path / "my_benefit", tmp_path / "out")
    path.unlink()
    with pytest.raises(ArtefactRefused):
        converted_package(tmp_path / "my_benefit", tmp_path / "out")
    assert not (tmp_path / "my_benefit").exists()


def test_the_file_is_handed_out_and_overwrites_nothing(tmp_path, capsys):
    target = tmp_path / "warum_convert.py"
    assert cli_run("convert", "--write", target) == cli.DONE
    assert target.read_bytes() == CONVERTER.read_bytes()
    assert cli_run("convert", "--write", target) == cli.DONE
    target.write_text("thesis")
    assert cli_run("convert", "--write", target) == cli.REFUSED
    assert target.read_text() == "thesis"
    capsys.readouterr()
    assert cli_run("convert", "--write", "-") == cli.DONE
    assert capsys.readouterr().out == CONVERTER.read_text("utf-8")
