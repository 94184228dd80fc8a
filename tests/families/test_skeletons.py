"""A skeleton around a model of every format: what the file says of its inputs, and nothing more."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trained_formats import made

from explainer.core.attribution import Space, Task
from explainer.errors import ArtefactRefused
from explainer.families import FORMATS
from explainer.families.inspect import InputColumn, inspected
from explainer.packages.rows import read_golden
from explainer.packages.scaffold import ENDINGS, new_package
from explainer.packages.survey import survey

LINEAR = {
    "schema": "warum.linear-model/1",
    "link": "log-odds",
    "classes": ["no", "yes"],
    "intercept": -0.75,
    "features": {
        "income": {"coefficient": -1.1, "centre": 1500.25, "scale": 800},
        "rooms": {"coefficient": 0.35, "stand_in": 3},
        "tenancy": {"coefficients": {"rent": 0.9, "own": -0.4}},
    },
}
REMOTE = {
    "schema": "warum.remote-model/1",
    "url": "https://models.example.org:8443",
    "trust": {"certificate_sha256": "0" * 64},
    "model": "benefit",
    "version": "3",
    "classes": ["no", "yes"],
    "inputs": {"rooms": {"datatype": "INT64"}, "tenancy": {"datatype": "BYTES"}},
    "output": {"name": "score", "datatype": "FP64", "gives": "probability"},
    "stand_ins": {"rooms": 3},
    "max_rows": 4096,
    "seconds": {"connect": 1, "answer": 5},
    "retries": 2,
}


def onnx_file(
    classes: tuple[str, ...] = ("no", "yes"), gives: str = "log-odds", columns: int = 1
) -> bytes:
    from onnx import TensorProto, helper

    inputs = [
        helper.make_tensor_value_info("income", TensorProto.FLOAT, [None, 1]),
        helper.make_tensor_value_info("tenancy", TensorProto.STRING, [None, 1]),
    ]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, columns])
    node = helper.make_node("Identity", ["income"], ["score"])
    model = helper.make_model(helper.make_graph([node], "g", inputs, [output]))
    entry = model.metadata_props.add()
    entry.key = "warum"
    said = {"classes": list(classes), "gives": gives}
    entry.value = json.dumps({key: value for key, value in said.items() if value})
    return bytes(model.SerializeToString())


HEATING = ("wood", "gas", "oil")
TENANCY = ("rent", "own")


def columns(**choices: tuple[str, ...] | None) -> dict[str, tuple[str, ...] | None]:
    order = ("income", "heating", "months", "tenancy", "rooms")
    return {name: choices.get(name) for name in order if name not in choices.get("without", ())}


def says(declared: str) -> tuple[bytes, dict, tuple[str, ...], Space]:
    """The bytes of a model; choices by input (None: a number); classes; space."""
    if declared == "linear-json":
        expected = {"income": None, "rooms": None, "tenancy": TENANCY}
        return json.dumps(LINEAR).encode(), expected, ("no", "yes"), Space.LOG_ODDS
    if declared == "remote-oip-v2":
        expected = {"rooms": None, "tenancy": ()}
        return json.dumps(REMOTE).encode(), expected, ("no", "yes"), Space.PROBABILITY
    if declared == "onnx":
        return onnx_file(), {"income": None, "tenancy": ()}, ("no", "yes"), Space.LOG_ODDS
    name = {
        "skops": "random forest with NaN",
        "xgboost-json": "xgboost",
        "xgboost-ubj": "xgboost, ubj",
        "lightgbm-txt": "lightgbm",
        "catboost-cbm": "catboost, one-hot",
    }[declared]
    data = made(name).data
    if declared == "skops":
        expected = columns(heating=tuple(sorted(HEATING)), tenancy=tuple(sorted(TENANCY)))
        return data, expected, ("0", "1"), Space.PROBABILITY
    if declared == "catboost-cbm":
        expected = columns(tenancy=())
        del expected["heating"]
        return data, expected, ("0", "1"), Space.LOG_ODDS
    return data, columns(heating=HEATING, tenancy=TENANCY), ("0", "1"), Space.LOG_ODDS


@pytest.mark.parametrize("declared", FORMATS)
def test_the_file_of_every_format_says_what_its_inputs_are(declared):
    data, choices, classes, space = says(declared)
    found = inspected(declared, data)
    assert {each.name: each.choices for each in found.inputs} == choices
    assert (found.classes, found.space) == (classes, space)


@pytest.mark.parametrize("declared", FORMATS)
def test_a_skeleton_can_be_made_around_every_format(declared, tmp_path):
    data, choices, classes, space = says(declared)
    ending = next((e for e, name in ENDINGS.items() if name == declared), ".json")
    (tmp_path / f"mine{ending}").write_bytes(data)
    folder = tmp_path / "my_benefit"
    given = None if ending != ".json" else declared
    assert new_package(folder, tmp_path / f"mine{ending}", given) == list(choices)
    model = tomllib.loads((folder / "manifest.toml").read_text())["model"]
    assert (model["format"], model["file"]) == (declared, f"model{ending}")
    assert (model["classes"], model["positive_class"]) == (list(classes), classes[1])
    assert model["space"] == space
    assert (folder / f"model{ending}").read_bytes() == data
    features = tomllib.loads((folder / "features.toml").read_text())["feature"]
    assert {f["name"]: f["kind"] == "choice" for f in features} == {
        name: known is not None for name, known in choices.items()
    }
    text = (folder / "features.toml").read_text()
    # what a file cannot know is empty, and says so
    assert text.count("does not hold their names") == sum(c == () for c in choices.values())


def test_what_a_model_puts_for_a_missing_value_stands_in_the_skeleton():
    (rooms,) = [
        c for c in inspected("linear-json", json.dumps(LINEAR).encode()).inputs if c.stand_in
    ]
    assert rooms == InputColumn("rooms", None, 3.0)
    found = inspected("skops", made("logistic").data)
    assert {c.name for c in found.inputs if c.stand_in is not None} == {
        *("income", "months", "rooms", "heating", "tenancy")
    }


@pytest.mark.parametrize("name", ["model.json", "model", "model.pkl", "model.bin"])
def test_a_format_is_asked_for_where_the_ending_does_not_say_it(name, tmp_path):
    (tmp_path / name).write_bytes(made("xgboost").data)
    with pytest.raises(ArtefactRefused, match="--format"):
        new_package(tmp_path / "my_benefit", tmp_path / name)


@pytest.mark.parametrize("declared", [*FORMATS])
def test_a_pickle_or_a_broken_file_is_refused_whatever_it_is_called(declared, tmp_path):
    for data in (b"\x80\x04K\x01.", b"", b"no model", says(declared)[0][:60]):
        (tmp_path / "model").write_bytes(data)
        with pytest.raises(ArtefactRefused):
            new_package(tmp_path / "my_benefit", tmp_path / "model", declared)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["xgboost", "lightgbm, numbers"])
def test_nothing_of_a_learning_library_is_loaded_to_make_a_skeleton(name, tmp_path):
    one = made(name)
    (tmp_path / "model").write_bytes(one.data)
    code = """
import sys
from pathlib import Path
from explainer.packages.scaffold import new_package
new_package(Path(sys.argv[1]) / "my_benefit", Path(sys.argv[1]) / "model", sys.argv[2])
libraries = {"sklearn", "skops", "xgboost", "lightgbm", "catboost", "pandas", "shap"}
loaded = libraries & set(sys.modules)
sys.exit(" ".join(loaded) or 0)
"""
    asked = [sys.executable, "-c", code, tmp_path, one.declared]
    done = subprocess.run(asked, capture_output=True, text=True, cwd=Path.cwd())
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "my_benefit" / "manifest.toml").is_file()


# -- several classes, and amounts ---------------------------------------------------------------

THREE = ("no", "part", "yes")


def each(number: float, count: int) -> object:
    return number if count == 1 else [number + at for at in range(count)]


def linear(count: int, **changes: object) -> dict:
    features = {
        "income": {"coefficient": each(-1.1, count)},
        "tenancy": {"coefficients": {"rent": each(0.9, count), "own": each(-0.4, count)}},
    }
    return LINEAR | {"intercept": each(0.5, count), "features": features} | changes


OUTPUT = REMOTE["output"]
OF_EVERY_KIND = {
    "linear-json, several": ("linear-json", linear(3, classes=THREE), THREE, Space.LOG_ODDS),
    "linear-json, amount": (
        "linear-json",
        {k: v for k, v in linear(1, link="amount").items() if k != "classes"},
        (),
        Space.AMOUNT,
    ),
    "remote, several": ("remote-oip-v2", REMOTE | {"classes": THREE}, THREE, Space.PROBABILITY),
    "remote, amount": (
        "remote-oip-v2",
        {k: v for k, v in REMOTE.items() if k != "classes"}
        | {"output": OUTPUT | {"gives": "amount"}},
        (),
        Space.AMOUNT,
    ),
    "onnx, several": ("onnx", (THREE, "", 3), THREE, Space.PROBABILITY),
    "onnx, several log-odds": ("onnx", (THREE, "log-odds", 3), THREE, Space.LOG_ODDS),
    "onnx, amount": ("onnx", ((), "amount", 1), (), Space.AMOUNT),
    "onnx, classes by number": ("onnx", (("0", "1", "2"), "", 3), ("0", "1", "2"), "probability"),
}


def bytes_of(name: str) -> bytes:
    declared, given, _, _ = OF_EVERY_KIND[name]
    return onnx_file(*given) if declared == "onnx" else json.dumps(given).encode()


@pytest.mark.parametrize("name", OF_EVERY_KIND)
def test_a_skeleton_asks_for_what_its_kind_of_model_needs(name, tmp_path):
    declared, _, classes, space = OF_EVERY_KIND[name]
    found = inspected(declared, bytes_of(name))
    kind = Task.MULTICLASS if classes else Task.AMOUNT
    assert (found.task, found.classes, found.space) == (kind, classes, space)
    (tmp_path / "mine").write_bytes(bytes_of(name))
    folder = tmp_path / "my_benefit"
    new_package(folder, tmp_path / "mine", declared)
    manifest = tomllib.loads((folder / "manifest.toml").read_text("utf-8"))
    assert (manifest["model"]["kind"], manifest["model"]["space"]) == (kind, space)
    assert manifest["model"].get("classes", []) == list(classes)
    assert "positive_class" not in manifest["model"]
    outcomes = classes if classes == THREE else tuple(f"class_{at}" for at in range(3))
    outcomes = outcomes if classes else ("higher", "lower")
    for feature in tomllib.loads((folder / "features.toml").read_text("utf-8"))["feature"]:
        assert feature["reason"] == dict.fromkeys(outcomes, "")
    wording = tomllib.loads((folder / "wording.toml").read_text("utf-8"))
    assert tuple(wording.get("outcome", {})) == (outcomes if classes else ())
    assert ("amount" in wording) is (kind is Task.AMOUNT)
    # what is left is named, and nothing of it is a key that nobody knows or that is missing
    faults = survey(folder)
    said = "\n".join(map(str, faults))
    wanted = ["suggestion.favourable"] if classes else ["suggestion.unit", "favours_applicant"]
    assert all(place in said for place in [*wanted, "background.base", "background.margin_scale"])
    assert "The key is" not in said
    assert "texts are missing" not in said


class Bare:
    """A model where it was trained, of as many classes as there are; or of an amount."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self.classes_ = np.array([f"class {at}" for at in range(classes)])

    def predict(self, rows: list) -> np.ndarray:
        return np.arange(len(rows)) * 10.0

    def decision_function(self, rows: list) -> np.ndarray:
        scores = np.arange(len(rows) * self._classes).reshape(len(rows), -1) / 7.0
        return scores if self._classes > 2 else scores[:, 0]

    def predict_proba(self, rows: list) -> np.ndarray:
        return np.full((len(rows), self._classes), 1 / self._classes)


@pytest.mark.parametrize("name", ["two", *OF_EVERY_KIND])
def test_the_page_on_recorded_cases_records_cases_that_are_read(name, tmp_path, monkeypatch):
    """Its program is run as it stands there."""
    declared, data = ("onnx", onnx_file()) if name == "two" else (None, None)
    if data is None:
        declared, data = OF_EVERY_KIND[name][0], bytes_of(name)
    classes = 2 if name == "two" else len(OF_EVERY_KIND[name][2])
    (tmp_path / "mine").write_bytes(data)
    folder = tmp_path / "my_benefit"
    new_package(folder, tmp_path / "mine", declared)
    page = (folder / "golden" / "README.md").read_text("utf-8")
    program = "\n".join(line[4:] for line in page.splitlines() if line.startswith("    "))
    program = program[program.index("import json") :]
    monkeypatch.chdir(tmp_path)
    known = {"frame": pd.DataFrame({"income": [1.0, 2.0, 3.0]})}
    exec(program, known | {"pipeline": Bare(classes), "model": Bare(classes)})
    recorded = read_golden((tmp_path / "cases.jsonl").read_bytes())
    outputs = classes if classes > 2 else 1
    assert [len(one.margins) for one in recorded] == [outputs] * 3
    assert [len(one.probabilities) for one in recorded] == [outputs if classes else 0] * 3
    assert all(sum(one.probabilities) == pytest.approx(1) for one in recorded if outputs > 1)
    for one in recorded:  # of two the second at one half, of several the first of equal ones
        largest = 1 if classes == 2 else int(np.argmax(one.probabilities)) if classes else None
        assert one.predicted == (None if largest is None else f"class {largest}")
