"""From a fitted model in somebody's environment to a package that check passes."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tomllib
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import catboost
import joblib  # noqa: TID251 - what agencies have; it is loaded in their environment, not in Warum
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder
from trained_formats import households

from explainer import cli
from explainer.cli.packages import tell_as_text
from explainer.core.case import read_case
from explainer.errors import ArtefactRefused, PackageFaulty
from explainer.packages.admit import admit, check
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


def by_position() -> Pipeline:
    """Columns by slice, mask and position, and a step behind them."""
    words = Pipeline(
        [("fill", SimpleImputer(strategy="most_frequent")), ("one_hot", OneHotEncoder())]
    )
    columns = ColumnTransformer(
        [
            ("words", words, slice("heating", "tenancy")),
            ("filled", SimpleImputer(strategy="median"), [False, True, False, False, False]),
            ("rest", "passthrough", [0, -3]),
        ]
    )
    boosting = GradientBoostingClassifier(n_estimators=12, random_state=1)
    return Pipeline([("columns", columns), ("scaled", MaxAbsScaler()), ("model", boosting)])


def trained(name: str, folder: Path) -> Path:
    """A model in the file an agency would have."""
    table = rows()
    words = np.where(labels(table) == 1, "yes", "no")
    if name in ("sklearn", "by position", "forest", "logistic", "logistic, linear-json"):
        model = {
            "sklearn": pipeline(GradientBoostingClassifier(n_estimators=12, random_state=1)),
            "by position": by_position(),
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


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """As people run it: on its own, in another folder, with nothing of Warum beside it."""
    return subprocess.run(
        [sys.executable, "-P", *map(str, (program, *arguments))],
        capture_output=True,
        text=True,
        check=False,
    )


def run_here(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The same beside the tests, where the libraries it asks for are loaded already."""
    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained), warnings.catch_warnings():
        warnings.simplefilter("default")
        code = converter_module().main([str(each) for each in arguments])
    return subprocess.CompletedProcess(arguments, code, said.getvalue(), complained.getvalue())


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
    suggestion = tomllib.loads(manifest)["suggestion"]
    if "outcomes" in suggestion:
        worst_first = json.dumps(list(suggestion["outcomes"].values())[::-1])
        manifest = manifest.replace("\nfavourable = []", f"\nfavourable = {worst_first}")
    manifest = manifest.replace('\nunit = "probe"\ndecimals', '\nunit = "EUR"\ndecimals')
    manifest = manifest.replace('\nfavours_applicant = ""', '\nfavours_applicant = "higher"')
    (folder / "manifest.toml").write_text(manifest, "utf-8")
    numbered = iter(range(1000, 9000))
    features = (folder / "features.toml").read_text("utf-8")
    features = features.replace('\nclass = ""', '\nclass = "neutral"')
    features = re.sub(
        # of bare keys only labels are no sentences, one for each outcome
        r'\n(?!label)([a-z][a-z0-9_]*) = ""',
        lambda found: f'\n{found[1]} = "Grund {next(numbered)} sprach dafür oder dagegen."',
        features,
    )
    features = re.sub(r' = ""', lambda _: f' = "Angabe {next(numbered)}"', features)
    (folder / "features.toml").write_text(features, "utf-8")
    wording = (folder / "wording.toml").read_text("utf-8")
    if "[amount]" in wording:
        said = r'\n(suggested|suggested_staff|decided) = ""'
        wording = re.sub(said, lambda found: f'\n{found[1]} = "Es sind: {{value}}"', wording)
    wording = re.sub(r'""', lambda _: f'"Satz Nummer {next(numbered)} des Amtes"', wording)
    (folder / "wording.toml").write_text(wording, "utf-8")


MODELS = {
    "sklearn": ("skops", ["--positive", "yes"]),
    "forest": ("skops", ["--positive", "yes"]),
    "by position": ("skops", ["--positive", "yes"]),
    "logistic": ("skops", ["--positive", "yes"]),
    "logistic, linear-json": ("linear-json", ["--positive", "yes", "--linear-json"]),
    "xgboost": ("xgboost-ubj", ["--positive", "yes", "--negative", "no"]),
    "xgboost, stopped early": ("xgboost-ubj", ["--positive", "1"]),
    "lightgbm": ("lightgbm-txt", ["--positive", "1"]),
    "lightgbm, forest": ("lightgbm-txt", ["--positive", "1"]),
    "catboost": ("catboost-cbm", ["--positive", "yes"]),
}

ON_ITS_OWN = ("sklearn", "logistic, linear-json", "xgboost", "lightgbm", "catboost")
"""One for each format: carried away, and run where nothing of Warum is."""


@pytest.mark.parametrize("name", MODELS)
def test_from_a_fitted_model_to_a_package_that_check_passes(name, tmp_path):
    declared, options = MODELS[name]
    rows().to_csv(tmp_path / "rows.csv", index=False)
    model = trained(name, tmp_path)
    program = tmp_path / "warum_convert.py"
    assert cli_run("convert", "--write", program) == cli.DONE
    told = [model, tmp_path / "rows.csv", tmp_path / "out", *options, "--background", 120]
    answer = run(program, *told) if name in ON_ITS_OWN else run_here(*told)
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


# -- several classes, and amounts ---------------------------------------------------------------

LEVELS = ["full", "none", "part"]


def levels(table: pd.DataFrame) -> np.ndarray:
    """Labels 0, 1, 2 of the levels above."""
    worth = np.nan_to_num(table["months"].to_numpy(), nan=9) / 8 - table["income"] / 1000
    noise = np.random.default_rng(4).normal(0, 0.4, len(table))
    return np.digitize(worth + table["rooms"] / 4 + noise, [0.4, 1.4])


def euros(table: pd.DataFrame) -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, 20, len(table))
    return (900 - table["income"] / 4 + 60 * (table["tenancy"] == "rent") + noise).to_numpy()


def in_onnx(model: Pipeline, folder: Path, gives: str | None, **options: object) -> Path:
    """The file an agency would make of it, with skl2onnx."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skl2onnx import to_onnx
        from skl2onnx.common.data_types import FloatTensorType

        types = [(name, FloatTensorType([None, 1])) for name in ("income", "rooms")]
        of_step = {id(model[-1]): options}
        made = to_onnx(model, initial_types=types, options=of_step, target_opset=18)
    if gives:
        entry = made.metadata_props.add()
        said = {"gives": gives} if gives == "amount" else {"gives": gives, "classes": LEVELS}
        entry.key, entry.value = "warum", json.dumps(said)
    (folder / "made.onnx").write_bytes(made.SerializeToString())
    return folder / "made.onnx"


def saved(model: object, folder: Path) -> Path:
    joblib.dump(model, folder / "model.joblib")
    return folder / "model.joblib"


RAW = {"zipmap": False, "raw_scores": True}
LIGHTGBM = {
    "num_threads": 1,
    "verbose": -1,
    "num_leaves": 7,
    "min_data_per_group": 5,
    "cat_smooth": 1.0,
    "cat_l2": 1.0,
}
FOREST = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}


def trained_for_more(name: str, folder: Path) -> tuple[Path, list[object]]:
    """A model for several classes or an amount, and what the converter is told besides."""
    table = rows()
    several = name.startswith("several")
    wanted = np.array(LEVELS)[levels(table)] if several else euros(table)
    labels_or_euros = levels(table) if several else euros(table)
    kind = name.partition(": ")[2]
    if kind.startswith("weighted"):
        model = LogisticRegression(max_iter=3000) if several else Ridge()
        model.fit(table[["income", "rooms"]], wanted)
        return saved(model, folder), ["--linear-json"] if "linear-json" in kind else []
    if kind.startswith("onnx"):
        boosting = GradientBoostingClassifier if several else GradientBoostingRegressor
        columns = ColumnTransformer([("all", "passthrough", ["income", "rooms"])])
        model = Pipeline([("columns", columns), ("model", boosting(n_estimators=9))])
        model.fit(table[["income", "rooms"]], wanted)
        if not several:
            return saved(model, folder), ["--onnx", in_onnx(model, folder, "amount")]
        if kind == "onnx, log-odds":
            return saved(model, folder), ["--onnx", in_onnx(model, folder, "log-odds", **RAW)]
        return saved(model, folder), ["--onnx", in_onnx(model, folder, None)]
    if kind in ("boosting", "forest"):
        if kind == "boosting":
            chosen = GradientBoostingClassifier if several else GradientBoostingRegressor
        else:
            chosen = RandomForestClassifier if several else RandomForestRegressor
        model = pipeline(chosen(n_estimators=9, max_depth=3, random_state=1))
        return saved(model.fit(table[[*NUMBERS, *CHOICES]], wanted), folder), []
    if kind == "xgboost":
        data = xgboost.DMatrix(
            categories(table), labels_or_euros, enable_categorical=True, nthread=1
        )
        settings = {"objective": "reg:squarederror", "nthread": 1}
        if several:
            settings |= {"objective": "multi:softprob", "num_class": 3}
        xgboost.train(settings, data, 9).save_model(folder / "model.ubj")
        return folder / "model.ubj", ["--classes", ",".join(LEVELS)] if several else []
    if kind.startswith("lightgbm"):
        settings = LIGHTGBM | (FOREST if "forest" in kind else {})
        settings |= {"objective": "multiclass", "num_class": 3} if several else {}
        # in a forest a gap would be split off by a threshold that is infinite
        taken = categories(table).drop(columns=["months"] if "forest" in kind else [])
        data = lightgbm.Dataset(taken, labels_or_euros)
        lightgbm.train(settings, data, 9).save_model(folder / "model.txt")
        return folder / "model.txt", ["--classes", ",".join(LEVELS)] if several else []
    chosen = catboost.CatBoostClassifier if several else catboost.CatBoostRegressor
    settings = {"iterations": 9, "depth": 3, "thread_count": 1, "verbose": False}
    model = chosen(
        **settings, one_hot_max_size=9, cat_features=["tenancy"], allow_writing_files=False
    )
    model.fit(table[[*NUMBERS, "tenancy"]], wanted)
    model.save_model(str(folder / "model.cbm"))
    return folder / "model.cbm", []


MORE_KINDS = {
    f"{task}: {kind}": (declared, space if task == "several" else "amount")
    for kind, (declared, space) in {
        "weighted sum, linear-json": ("linear-json", "log-odds"),
        "weighted sum": ("skops", "log-odds"),
        "boosting": ("skops", "log-odds"),
        "forest": ("skops", "probability"),
        "xgboost": ("xgboost-ubj", "log-odds"),
        "lightgbm": ("lightgbm-txt", "log-odds"),
        "lightgbm, forest": ("lightgbm-txt", "log-odds"),
        "catboost": ("catboost-cbm", "log-odds"),
        "onnx": ("onnx", "probability"),
        "onnx, log-odds": ("onnx", "log-odds"),
    }.items()
    for task in ("several", "amount")
    if (task, kind) != ("amount", "onnx, log-odds")
}


SELDOM = ("weighted sum", "forest", "lightgbm, forest")
"""What differs little from another; tried in the long run."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name.partition(": ")[2] in SELDOM else ())
        for name in MORE_KINDS
    ],
)
def test_from_a_model_of_several_classes_or_an_amount_to_a_package_that_is_admitted(name, tmp_path):
    declared, space = MORE_KINDS[name]
    several = name.startswith("several")
    rows().to_csv(tmp_path / "rows.csv", index=False)
    model, options = trained_for_more(name, tmp_path)
    answer = run_here(model, tmp_path / "rows.csv", tmp_path / "out", *options, "--background", 120)
    assert answer.returncode == 0, answer.stderr
    folder = tmp_path / "my_benefit"
    converted_package(folder, tmp_path / "out")
    with pytest.raises(PackageFaulty) as left:
        admit(folder)
    said = "\n".join(str(fault) for fault in left.value.faults)
    assert not re.search(r"background\.(rows|base|margin)|golden/cases|trained|choices|range", said)
    fill_in(folder)
    seal(folder)
    package = admit(folder)
    manifest = tomllib.loads((folder / "manifest.toml").read_text("utf-8"))
    kind = "multiclass" if several else "amount"
    assert (manifest["model"]["kind"], manifest["model"]["space"]) == (kind, space)
    assert (manifest["model"]["format"], package.explained.model.space) == (declared, space)
    assert manifest["model"].get("classes") == (LEVELS if several else None)
    assert np.shape(manifest["background"]["base"]) == ((3,) if several else ())
    assert package.manifest.outcomes == (tuple(LEVELS) if several else ("higher", "lower"))
    scale = max(group.scale for group in package.explained.comparisons.values())
    for recorded in package.golden[:5]:
        case = read_case(recorded.case, package.catalogue)
        found = package.explained.attribute(case)
        first, *others = sorted(recorded.margins, reverse=True)
        assert found.margin == pytest.approx(first - max(others, default=0), abs=1e-5 * scale)
        assert abs(found.difference) <= 1e-5 * scale
        assert len(recorded.probabilities) == (3 if several else 0)
    assert set(folder.rglob("*")) >= {folder / "golden" / "README.md", folder / "CARD.md"}


def test_a_model_for_two_classes_may_come_as_the_onnx_file_that_was_made_of_it(tmp_path):
    table = rows()
    table.to_csv(tmp_path / "rows.csv", index=False)
    columns = ColumnTransformer([("all", "passthrough", ["income", "rooms"])])
    model = Pipeline([("columns", columns), ("model", GradientBoostingClassifier(n_estimators=9))])
    model.fit(table[["income", "rooms"]], np.where(labels(table) == 1, "yes", "no"))
    made = in_onnx(model, tmp_path, None)
    told = ["--positive", "yes", "--onnx", made, "--background", 120]
    answer = run(CONVERTER, saved(model, tmp_path), tmp_path / "rows.csv", tmp_path / "out", *told)
    assert answer.returncode == 0, answer.stderr
    folder = tmp_path / "my_benefit"
    converted_package(folder, tmp_path / "out")
    fill_in(folder)
    seal(folder)
    package = admit(folder)
    assert (folder / "model.onnx").read_bytes() == made.read_bytes()
    first = json.loads((folder / "golden" / "cases.jsonl").read_text("utf-8").split("\n")[0])
    case = pd.DataFrame([first["case"]["values"]])
    # what was recorded is what the model says, and not its file
    assert first["margin"] == model.predict_proba(case)[0, 1]
    assert package.explained.model.answer([first["case"]["values"]]).margin[0] == pytest.approx(
        first["margin"], abs=1e-6
    )


def test_the_converter_takes_what_the_formats_take():
    from explainer.families import from_catboost, from_lightgbm, from_xgboost, sklearn_forms

    module = converter_module()
    known = {
        "xgboost": from_xgboost.OBJECTIVES,
        "lightgbm": from_lightgbm.OBJECTIVES,
        "catboost": from_catboost.LOSSES,
    }
    assert {
        library: {str(task): tuple(names) for task, names in given.items()}
        for library, given in known.items()
    } == module.TRAINED_FOR
    assert set(module.LINEAR) <= set(sklearn_forms.AMOUNTS)


def converter_module():
    sys.path.insert(0, str(CONVERTER.parent))
    try:
        import warum_convert
    finally:
        sys.path.pop(0)
    return warum_convert


NOT_THAT_KIND = {
    "several: xgboost": [
        (["--positive", "full"], "Only a model for two classes"),
        (["--classes", "full,part"], "has the classes 0, 1, 2"),
        (["--classes", "full,full,part"], "has the classes 0, 1, 2"),
    ],
    "several: boosting": [(["--classes", "none,part,full"], "in this order")],
    "amount: boosting": [
        (["--positive", "full"], "Only a model for two classes"),
        (["--classes", "a,b,c"], "which has no classes"),
    ],
    "amount: lightgbm": [(["--linear-json", "--classes", "a,b,c"], "which has no classes")],
    "amount: catboost": [(["--onnx", "made.onnx"], "beside a model of scikit-learn only")],
    "amount: onnx": [(["--onnx", __file__], "is no ONNX file")],
}


@pytest.mark.parametrize("name", NOT_THAT_KIND)
def test_what_does_not_belong_to_the_kind_of_model_is_refused(name, tmp_path):
    rows().to_csv(tmp_path / "rows.csv", index=False)
    model, _ = trained_for_more(name, tmp_path)
    for options, says in NOT_THAT_KIND[name]:
        answer = run_here(model, tmp_path / "rows.csv", tmp_path / "out", *options)
        assert answer.returncode == 1
        assert says in answer.stderr
        assert not (tmp_path / "out").exists()


OTHER_SCORES = {"poisson": "count:poisson", "a ranking": "rank:pairwise", "a share": "reg:logistic"}


@pytest.mark.parametrize("name", OTHER_SCORES)
def test_an_objective_whose_score_is_something_else_is_refused(name, tmp_path):
    table = rows()
    table.to_csv(tmp_path / "rows.csv", index=False)
    given = xgboost.DMatrix(table[["income", "rooms"]], labels(table), nthread=1)
    if name == "a ranking":
        given.set_group([len(table)])
    booster = xgboost.train({"objective": OTHER_SCORES[name], "nthread": 1}, given, 3)
    booster.save_model(tmp_path / "model.ubj")
    answer = run_here(tmp_path / "model.ubj", tmp_path / "rows.csv", tmp_path / "out")
    assert answer.returncode == 1
    assert OTHER_SCORES[name] in answer.stderr


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
    libraries = {"numpy", "pandas", "sklearn", "skops", "xgboost", "onnx"}
    assert outside - sys.stdlib_module_names == libraries
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def test_the_same_seed_draws_the_same_rows_and_another_others(tmp_path):
    convert = converter_module().convert
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


def stratified() -> pd.DataFrame:
    """A sample in which rows with a high income stand for four times as many applications."""
    table = rows()
    return table.assign(stands_for=np.where(table["income"] > table["income"].median(), 4, 1))


@pytest.mark.parametrize("kind", ["two classes", "several: forest", "amount: weighted sum"])
def test_weights_go_from_the_rows_of_training_into_a_package_that_is_admitted(kind, tmp_path):
    table = stratified()
    if kind == "two classes":
        model, more = trained("sklearn", tmp_path), ["--positive", "yes"]
    else:
        model, more = trained_for_more(kind, tmp_path)
    table.to_csv(tmp_path / "rows.csv", index=False)
    out, folder = tmp_path / "out", tmp_path / "my_benefit"
    answer = run_here(model, tmp_path / "rows.csv", out, *more, "--weights", "stands_for")
    assert answer.returncode == 0, answer.stderr
    drawn = pd.read_csv(out / "background.csv")
    assert drawn.columns[-1] == "stands_for"
    assert (drawn["stands_for"] == np.where(drawn["income"] > table["income"].median(), 4, 1)).all()
    assert set(converted_package(folder, out)) == set(drawn.columns[:-1])
    fill_in(folder)
    seal(folder)
    package = admit(folder)
    assert package.manifest.background_weight == "stands_for"
    assert package.explained.method.endswith("+weights/1")

    # as it would be with every row as often as it stands there
    again = drawn.loc[drawn.index.repeat(drawn["stands_for"])]
    fitted = joblib.load(model)
    taken = again[list(fitted.feature_names_in_)]
    if kind == "two classes":
        margins = fitted.decision_function(taken)[:, None]
    else:
        asked = fitted.predict if kind.startswith("amount") else fitted.predict_proba
        margins = asked(taken).reshape(len(taken), -1)
    low, high = np.quantile(margins, [0.1, 0.9], axis=0)
    assert package.manifest.base == pytest.approx(margins.mean(axis=0), abs=1e-9)
    assert package.manifest.margin_scale == pytest.approx(high - low, abs=1e-9)


def test_weights_may_come_as_a_number_for_each_row_and_draw_no_other_rows(tmp_path):
    convert = converter_module().convert
    table = stratified()
    model = pipeline(LogisticRegression(max_iter=1000))
    model.fit(table[[*NUMBERS, *CHOICES]], labels(table))
    given = {"none": None, "name": "stands_for", "array": table["stands_for"].to_numpy()}
    given["list"], given["series"] = list(given["array"]), table["stands_for"]
    for name, weights in given.items():
        out = str(tmp_path / name)
        convert(model, table, out, positive_class="1", background=90, weights=weights)
    lines = {n: (tmp_path / n / "background.csv").read_text().splitlines() for n in given}
    assert lines["array"] == lines["list"] == lines["series"]
    assert lines["array"][0] == f"{lines['none'][0]},weight"
    assert lines["array"][1:] == lines["name"][1:]
    assert [line.rpartition(",")[0] for line in lines["array"]] == lines["none"]
    facts = {n: json.loads((tmp_path / n / "facts.json").read_text()) for n in given}
    assert "weight" not in facts["none"]
    assert (facts["array"].pop("weight"), facts["name"].pop("weight")) == ("weight", "stands_for")
    assert facts["array"] == facts["name"]
    golden = {(tmp_path / n / "golden/cases.jsonl").read_bytes() for n in given}
    assert len(golden) == 1


def test_weights_beside_an_input_of_that_name_get_another(tmp_path):
    table = stratified().rename(columns={"rooms": "weight"})
    model = LogisticRegression(max_iter=1000).fit(table[["income", "weight"]], labels(rows()))
    convert = converter_module().convert
    weights = table["stands_for"].to_numpy()
    facts = convert(model, table, str(tmp_path / "out"), positive_class="1", weights=weights)
    assert facts["weight"] == "weight_of_row"


WRONG_WEIGHTS = {
    "no such column": (lambda table: "stand_for", "no column stand_for"),
    "a column twice": (lambda table: "clerk", "no column clerk"),
    "an input": (lambda table: "income", "is an input of the model"),
    "too few": (lambda table: [1.0] * 5, "for each row"),
    "none": (lambda table: [0.0] + [1.0] * (len(table) - 1), "for each row"),
    "negative": (lambda table: [-1.0] + [1.0] * (len(table) - 1), "for each row"),
    "a gap": (lambda table: table["stands_for"].where(table.index != 3), "for each row"),
    "infinite": (lambda table: [np.inf] + [1.0] * (len(table) - 1), "for each row"),
    "text": (lambda table: ["1_000"] + ["1.0"] * (len(table) - 1), "for each row"),
    "true": (lambda table: [True] * len(table), "for each row"),
    "a table": (lambda table: table[["stands_for", "income"]].to_numpy(), "for each row"),
    "too uneven": (lambda table: 1.1 ** np.arange(len(table)), "are needed"),
    "too light": (lambda table: [1e-12] * 9 + [1.0] * (len(table) - 9), "a billionth"),
    "other rows": (lambda table: table["stands_for"].sort_values(), "are those of other rows"),
}


@pytest.mark.parametrize("name", WRONG_WEIGHTS)
def test_weights_that_do_not_fit_the_rows_are_refused(name, tmp_path):
    module = converter_module()
    table = stratified()
    model = LogisticRegression(max_iter=1000).fit(table[["income"]], labels(table))
    given, says = WRONG_WEIGHTS[name]
    weights = given(table)
    if name == "a column twice":
        table = pd.concat([table, table["clerk"]], axis=1)
    with pytest.raises(module.Refused, match=says):
        module.convert(
            model, table, str(tmp_path / "out"), positive_class="1", background=200, weights=weights
        )
    assert not (tmp_path / "out").exists()


def stopped_early() -> tuple[xgboost.XGBClassifier, pd.DataFrame]:
    """A booster of categories with rounds after the best one, and its table of training."""
    table = categories(rows())
    model = xgboost.XGBClassifier(
        n_estimators=40, early_stopping_rounds=2, learning_rate=0.8, enable_categorical=True
    ).set_params(n_jobs=1)
    given = [(table[180:], labels(rows())[180:])]
    model.fit(table[:180], labels(rows())[:180], eval_set=given, verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    return model, table


@pytest.mark.parametrize("as_", ["in another order", "as text"])
def test_of_a_booster_stopped_early_categories_keep_their_places(as_, tmp_path):
    """XGBoost forgets their names when rounds are cut off."""
    model, table = stopped_early()
    other = table.assign(
        **{
            name: table[name].cat.reorder_categories(sorted(table[name].cat.categories))
            if as_ == "in another order"
            else table[name].astype(object)
            for name in CHOICES
            if name in table
        }
    )
    facts = converter_module().convert(model, other, str(tmp_path / "out"), positive_class="1")
    trained_as = {name: list(table[name].cat.categories) for name in table if name in CHOICES}
    assert {n["name"]: n["choices"] for n in facts["inputs"] if "choices" in n} == trained_as
    assert any(known != sorted(known) for known in trained_as.values())
    lines = (tmp_path / "out" / "golden" / "cases.jsonl").read_text().splitlines()
    for line in map(json.loads, lines[:20]):
        values = line["case"]["values"]
        same = {n: [np.nan if isinstance(v, dict) else v] for n, v in values.items()}
        one = pd.DataFrame(same)[list(table)].astype(table.dtypes)
        assert line["margin"] == pytest.approx(model.predict(one, output_margin=True)[0], abs=1e-5)


def test_a_category_that_xgboost_never_saw_is_refused_and_no_gap(tmp_path):
    model, table = stopped_early()
    strange = table.assign(tenancy=pd.Series(["squat"] * len(table), dtype=object))
    module = converter_module()
    with pytest.raises(module.Refused, match="tenancy: the model never saw"):
        module.convert(model, strange, str(tmp_path / "out"), positive_class="1")


def test_whole_numbers_with_gaps_may_be_filled_with_their_mean(tmp_path):
    table = rows()
    columns = ColumnTransformer([("filled", SimpleImputer(strategy="mean"), NUMBERS)])
    model = Pipeline([("columns", columns), ("model", LogisticRegression(max_iter=1000))])
    model.fit(table[NUMBERS], labels(table))
    facts = converter_module().convert(model, table, str(tmp_path / "out"), positive_class="1")
    assert {each["name"]: each["kind"] for each in facts["inputs"]}["months"] == "integer"
    folder = tmp_path / "my_benefit"
    converted_package(folder, tmp_path / "out")
    fill_in(folder)
    seal(folder)
    mean = table["months"].mean()
    assert mean != round(mean)
    assert admit(folder).catalogue["months"].stand_in == pytest.approx(mean, abs=1e-12)


def test_texts_and_gaps_of_pandas_own_kinds_are_what_they_are_in_others(tmp_path):
    table = rows()
    model = pipeline(LogisticRegression(max_iter=1000)).fit(
        table[[*NUMBERS, *CHOICES]], labels(table)
    )
    other = table.astype({"heating": "string", "tenancy": "string", "months": "Int64"})
    assert other["heating"].isna().any()
    for name, given in (("plain", table), ("other", other)):
        converter_module().convert(model, given, str(tmp_path / name), positive_class="1")
    for file in ("background.csv", "golden/cases.jsonl", "facts.json"):
        plain, same = ((tmp_path / name / file).read_bytes() for name in ("plain", "other"))
        assert plain == same


def by_itself() -> tuple[object, pd.DataFrame]:
    table = categories(rows())
    boosting = HistGradientBoostingClassifier(max_iter=3, categorical_features="from_dtype")
    return boosting.fit(table, labels(rows())), table


def calibrated_as_a_whole() -> tuple[object, pd.DataFrame]:
    table = rows()[[*NUMBERS, *CHOICES]]
    inner = pipeline(LogisticRegression(max_iter=1000))
    return CalibratedClassifierCV(inner, cv=2).fit(table, labels(rows())), table


def one_column_twice() -> tuple[object, pd.DataFrame]:
    table = rows()
    model = LogisticRegression(max_iter=1000).fit(table[["income"]], labels(table))
    return model, pd.concat([table, table["income"]], axis=1)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (by_itself, r"alone is converted where it takes numbers.*heating, tenancy.*an encoder"),
        (calibrated_as_a_whole, r"calibrate the model inside it"),
        (one_column_twice, r"twice: income"),
    ],
)
def test_a_table_that_does_not_fit_a_model_alone_is_refused_in_words(make, says, tmp_path):
    model, table = make()
    module = converter_module()
    with pytest.raises(module.Refused, match=says):
        module.convert(model, table, str(tmp_path / "out"), positive_class="1")


def of_numbers_for_categories(library: str) -> tuple[object, pd.DataFrame]:
    """A model that was handed 1, 3 and 7, and knows of no names."""
    table = rows()[["income"]].assign(kind=np.random.default_rng(1).choice([1, 3, 7], len(rows())))
    wanted = (table["kind"] == 3).astype(int)
    if library == "lightgbm":
        data = lightgbm.Dataset(table, wanted, categorical_feature=["kind"])
        return lightgbm.train(LIGHTGBM | {"objective": "binary"}, data, 3), table
    data = xgboost.DMatrix(
        table, wanted, feature_types=["q", "c"], enable_categorical=True, nthread=1
    )
    return xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 3), table


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_numbers_that_may_be_places_or_names_of_categories_are_refused(library, tmp_path):
    module = converter_module()
    model, table = of_numbers_for_categories(library)
    for given in (table, table.assign(kind=table["kind"].astype("category"))):
        with pytest.raises(module.Refused, match=r"kind: the model .* categories") as caught:
            module.convert(model, given, str(tmp_path / "out"), positive_class="1")
    assert "category type" in str(caught.value) or "from 0 on" in str(caught.value)


def test_numbers_that_are_places_of_categories_are_taken_where_all_are_given(tmp_path):
    model, table = of_numbers_for_categories("xgboost")
    given = table.assign(kind=pd.Categorical(table["kind"], categories=range(8)))
    facts = converter_module().convert(model, given, str(tmp_path / "out"), positive_class="1")
    data = xgboost.DMatrix(table, feature_types=["q", "c"], enable_categorical=True, nthread=1)
    own = model.predict(data, output_margin=True)
    line = json.loads((tmp_path / "out" / "golden" / "cases.jsonl").read_text().splitlines()[0])
    at = table.index[table["income"] == line["case"]["values"]["income"]][0]
    assert line["margin"] == pytest.approx(own[at], abs=1e-6)
    assert facts["inputs"][1]["choices"] == [str(each) for each in range(8)]


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
    told = [model, tmp_path / "rows.csv", out, "--positive", positive]
    # that a refusal is also how the program ends is the same for all of them
    answer = run(CONVERTER, *told) if name == "few rows" else run_here(*told)
    assert answer.returncode == 1
    assert REFUSED[name] in answer.stderr
    assert not (out / "facts.json").exists()


def test_facts_that_do_not_fit_the_model_are_refused(tmp_path):
    rows().to_csv(tmp_path / "rows.csv", index=False)
    model = trained("lightgbm", tmp_path)
    assert not run_here(
        model, tmp_path / "rows.csv", tmp_path / "out", "--positive", "1"
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
        {"weight": 3},
        {"weight": ""},
        {"base": [0.5, 0.5, 0.5]},
        {"kind": "ranking"},
        {"kind": "amount"},
        {"kind": "multiclass"},
        {"kind": "multiclass", "classes": ["a", "b", "c"]},
        {"kind": "amount", "classes": [], "space": "amount"},
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
