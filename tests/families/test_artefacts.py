"""Nothing in a package is executed: what is no model of ours is refused, by name, unopened."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import os
import pickle  # noqa: TID251 - the attack these tests are about
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace

import joblib  # noqa: TID251 - the attack these tests are about
import numpy as np
import pytest
import skops.io
from factories import YES, two
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FastICA
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from trained import NAMES, labels, small_pipeline

from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactChanged, ArtefactRefused, ModelFailed
from explainer.families.artefacts import (
    LARGEST,
    REFUSED_FORMATS,
    check_unchanged,
    open_model,
    read_once,
)
from explainer.families.inspect import inspect
from explainer.families.sklearn_trees import trees_of
from explainer.families.skops_types import ALLOWED, CURVES


class TouchesAFile:
    """When unpickled, leaves a mark: the harmless stand-in of an attack."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self):
        return (Path.touch, (self._mark,))


def refused(data: bytes, catalogue: FeatureCatalogue, declared: str = "skops") -> ArtefactRefused:
    """The refusal, the same for opening and for the skeleton of a package."""
    with pytest.raises(ArtefactRefused) as caught:
        open_model(declared, data, catalogue, YES)
    assert caught.value.what
    assert caught.value.mend
    return caught.value


# -- programs in the place of a model ---------------------------------------------------------


def joblib_bytes(thing, **how) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(thing, buffer, **how)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


ATTACKS = {
    **{f"pickle protocol {n}": lambda t, n=n: pickle.dumps(t, n) for n in range(6)},
    "joblib": joblib_bytes,
    **{
        f"joblib with {name}": lambda t, name=name: joblib_bytes(t, compress=(name, 3))
        for name in ("zlib", "gzip", "bz2", "lzma", "xz")
    },
    "pickle behind blanks": lambda t: b"  " + pickle.dumps(t),
    "gzip of a pickle": lambda t: gzip.compress(pickle.dumps(t)),
    "zip with a pickle": lambda t: zipped(data__pkl=pickle.dumps(t)),
    "zip with a pickle as its schema": lambda t: zipped(schema__json=pickle.dumps(t)),
    "pickle followed by a skops file": lambda t: pickle.dumps(t) + zipped(schema__json=b"{}"),
    "object array in a skops file": lambda t: zipped(
        **{"0__npy": object_array(t), "schema__json": array_schema()}
    ),
}


def object_array(thing) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([thing], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def array_schema() -> bytes:
    node = {
        "__class__": "ndarray",
        "__module__": "numpy",
        "__loader__": "NdArrayNode",
        "type": "numpy",
        "file": "0.npy",
        "__id__": 1,
        "protocol": 2,
        "_skops_version": "0.16.0",
    }
    return json.dumps(node).encode()


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_program_is_refused_and_does_nothing(attack, tmp_path, small):
    mark = tmp_path / "mark"
    data = ATTACKS[attack](TouchesAFile(mark))
    refused(data, small.catalogue)
    with pytest.raises(ArtefactRefused):
        inspect("skops", data)
    assert not mark.exists()


def test_the_attack_would_leave_its_mark(tmp_path):
    """Without this, the test above would prove nothing."""
    pickle.loads(pickle.dumps(TouchesAFile(tmp_path / "mark")))
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_renamed_pickle_is_called_one_and_told_the_way_out(protocol, small, small_model):
    fault = refused(pickle.dumps(small_model.pipeline, protocol), small.catalogue)
    assert "pickle" in fault.what
    assert "convert" in fault.mend


@pytest.mark.parametrize("declared", sorted(REFUSED_FORMATS))
def test_a_format_that_is_a_program_is_refused_by_name(declared, small, small_model):
    fault = refused(small_model.data, small.catalogue, declared)
    assert declared in fault.what
    assert "convert" in fault.mend


@pytest.mark.parametrize("declared", ["", "Skops", "skops ", "ONNX", "os", "explainer.cli"])
def test_a_format_is_never_guessed(declared, small, small_model):
    assert "not known" in refused(small_model.data, small.catalogue, declared).what


# -- broken and hostile files -----------------------------------------------------------------


def with_sizes(data: bytes, size: int) -> bytes:
    """A zip file whose directory claims `size` unpacked bytes for every member."""
    changed = bytearray(data)
    at = changed.find(b"PK\x01\x02")
    while at >= 0:
        changed[at + 24 : at + 28] = struct.pack("<I", size)
        at = changed.find(b"PK\x01\x02", at + 46)
    return bytes(changed)


def with_bad_name(data: bytes) -> bytes:
    """A zip file that promises UTF-8 names and breaks the promise."""
    changed = bytearray(data)
    at = changed.find(b"PK\x01\x02")
    changed[at + 8 : at + 10] = struct.pack("<H", 0x800)
    changed[at + 46] = 0xFF
    return bytes(changed)


def from_the_future(data: bytes) -> bytes:
    changed = bytearray(data)
    at = changed.find(b"PK\x01\x02")
    changed[at + 6 : at + 8] = struct.pack("<H", 250)
    return bytes(changed)


BROKEN = {
    "nothing": lambda d: b"",
    "one byte": lambda d: b"P",
    "garbage": lambda d: bytes(range(256)) * 40,
    "text": lambda d: b"Das ist kein Modell.",
    "half": lambda d: d[: len(d) // 2],
    "without its end": lambda d: d[:-1],
    "without its beginning": lambda d: d[100:],
    "an empty zip": lambda d: zipped(),
    "no schema": lambda d: zipped(other__json=b"{}"),
    "schema is no JSON": lambda d: zipped(schema__json=b"{"),
    "schema is a list": lambda d: zipped(schema__json=b"[]"),
    "schema is empty": lambda d: zipped(schema__json=b"{}"),
    "schema nested without end": lambda d: zipped(schema__json=b"[" * 100_000),
    "unpacks to gigabytes": lambda d: with_sizes(zipped(schema__json=b"{}"), 0x7FFFFFFF),
    "names that are none": lambda d: with_bad_name(zipped(schema__json=b"{}")),
    "a zip of the future": from_the_future,
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_file_is_refused(broken, small, small_model):
    refused(BROKEN[broken](small_model.data), small.catalogue)


@pytest.mark.parametrize("at", range(0, 600, 37))
def test_a_file_with_a_flipped_byte_is_refused_or_gives_another_digest(at, small, small_model):
    """The digest is what protects from this; without it nothing else than our errors escapes."""
    place = len(small_model.data) * at // 600
    flipped = bytearray(small_model.data)
    flipped[place] ^= 0x55
    with pytest.raises(ArtefactChanged):
        check_unchanged("model.skops", bytes(flipped), digest(small_model.data), len(flipped))
    with contextlib.suppress(ArtefactRefused):
        open_model("skops", bytes(flipped), small.catalogue, YES)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("change", [lambda d: d + b"\n", lambda d: d[:-1], lambda d: b"x" + d[1:]])
def test_other_bytes_than_the_manifest_names_are_refused(change):
    check_unchanged("CARD.md", b"abc", digest(b"abc"), 3)
    with pytest.raises(ArtefactChanged):
        check_unchanged("CARD.md", change(b"abc"), digest(b"abc"), 3)


def named_pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    (path.parent / "real").write_bytes(b"x")
    path.symlink_to(path.parent / "real")


def too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)


@pytest.mark.parametrize("make", [named_pipe, link, too_large, Path.mkdir])
def test_only_regular_files_of_bearable_size_are_read(make, tmp_path):
    make(tmp_path / "model.skops")
    with pytest.raises(ArtefactRefused):
        read_once(tmp_path / "model.skops")


def test_a_device_is_not_read():
    with pytest.raises(ArtefactRefused, match="regular"):
        read_once(Path("/dev/zero"))


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    """Else its largest size would be that of the memory there is."""
    grown = tmp_path / "model.skops"
    grown.write_bytes(b"a" * 100)
    measured = os.fstat

    def told(handle: int) -> os.stat_result:
        facts = measured(handle)
        with grown.open("ab") as file:
            file.write(b"b" * 1000)
        return facts

    monkeypatch.setattr(os, "fstat", told)
    with pytest.raises(ArtefactRefused, match="grew while it was read"):
        read_once(grown)


# -- pipelines that are not explained ---------------------------------------------------------


def shout(values):
    return values


def with_step(step) -> Pipeline:
    """The small pipeline with another first step on one column."""
    return Pipeline(
        [
            ("columns", ColumnTransformer([("own", step, ["age"])], remainder="drop")),
            ("booster", GradientBoostingClassifier(n_estimators=2)),
        ]
    )


OTHERS = {
    "a function of one's own": (with_step(FunctionTransformer(shout)), "shout"),
    "a function of numpy": (with_step(FunctionTransformer(np.sin)), "numpy.sin"),
    "a step that mixes columns": (
        Pipeline(
            [
                (
                    "columns",
                    ColumnTransformer([("mixed", PCA(2), ["age", "tenure"])]),
                ),
                ("booster", GradientBoostingClassifier(n_estimators=2)),
            ]
        ),
        "PCA",
    ),
    "neighbours": (
        Pipeline(
            [
                ("columns", ColumnTransformer([("all", "passthrough", ["age"])])),
                ("neighbours", KNeighborsClassifier(2)),
            ]
        ),
        "KNeighborsClassifier",
    ),
    "a booster that starts from another model": (
        small_pipeline(init=LogisticRegression(max_iter=5000)),
        "another model",
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_supported_is_named(other, small, small_model):
    pipeline, name = OTHERS[other]
    rows = small_model.rows.assign(tenure=small_model.rows["tenure"].fillna(0))
    pipeline.fit(rows, labels(small_model.rows))
    used = {"age", "tenure"} & set(pipeline[0].feature_names_in_)
    features = small.catalogue
    if "mixes" in other or len(used) < len(features):
        features = FeatureCatalogue(
            [f for f in features if f.name in pipeline[0].feature_names_in_]
        )
    fault = refused(skops.io.dumps(pipeline), features)
    assert name in fault.what + fault.where


def test_a_model_by_itself_is_refused(small, small_model):
    assert (
        "GradientBoosting"
        in refused(skops.io.dumps(small_model.pipeline[-1]), small.catalogue).what
    )


@pytest.mark.parametrize("thing", [{"a": 1}, [1, 2], "model", 7, None, np.zeros(3)])
def test_plain_data_is_no_model(thing, small):
    refused(skops.io.dumps(thing), small.catalogue)


def test_a_pipeline_that_was_never_fitted_is_refused_with_advice(small):
    fault = refused(skops.io.dumps(small_pipeline()), small.catalogue)
    assert "fit" in fault.what + fault.mend.lower()
    with pytest.raises(ArtefactRefused):
        inspect("skops", skops.io.dumps(small_pipeline()))


def test_three_classes_are_refused_where_two_are_declared(small, small_model):
    three = np.array(["a", "b", "c"] * 100)
    pipeline = small_pipeline().fit(small_model.rows, three)
    assert "multiclass" in refused(skops.io.dumps(pipeline), small.catalogue).mend


@pytest.mark.parametrize("positive", ["no", "", "YES", "maybe"])
def test_the_class_of_the_margin_is_declared_right_or_refused(positive, small, small_model):
    with pytest.raises(ArtefactRefused, match="classes"):
        open_model("skops", small_model.data, small.catalogue, two("no", positive))


def test_inputs_the_catalogue_does_not_have_are_named_both_ways(small, small_model):
    fewer = FeatureCatalogue([f for f in small.catalogue if f.name != "tenure"])
    assert "the catalogue lacks tenure" in refused(small_model.data, fewer).what
    from factories import feature

    more = FeatureCatalogue([*small.catalogue, feature("income")])
    assert "the model does not know income" in refused(small_model.data, more).what


# -- trees that point outside themselves ------------------------------------------------------

LEFT, RIGHT = [1, -1, 3, -1, -1], [2, -1, 4, -1, -1]
FEATURE, THRESHOLD, VALUE = [0, -2, 1, -2, -2], [0.5, -2, 1.5, -2, -2], [0.0, 1, 0, 2, 3]


def check(left=LEFT, right=RIGHT, feature=FEATURE, threshold=THRESHOLD, value=VALUE, columns=2):
    tree = SimpleNamespace(
        children_left=np.array(left, dtype=np.int64),
        children_right=np.array(right, dtype=np.int64),
        feature=np.array(feature, dtype=np.int64),
        threshold=np.array(threshold, dtype=np.float64),
        value=np.array(value, dtype=np.float64).reshape(len(value), 1, 1),
        missing_go_to_left=np.zeros(len(left), dtype=np.uint8),
    )
    players = np.arange(columns)
    return trees_of([tree], lambda t: t.value[:, 0, 0], players, max(columns, 1), width=1)


def test_a_sound_tree_is_taken():
    assert check().sums(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])).tolist() == [1, 2, 3]
    assert check([-1], [-1], [-2], [-2], [0.5], 0).depth == 0


CROOKED = {
    "child beyond the end": {"left": [1, -1, 5, -1, -1]},
    "child far beyond the end": {"right": [2, -1, 10**9, -1, -1]},
    "child below the leaf mark": {"left": [1, -2, 3, -1, -1], "right": [2, -2, 4, -1, -1]},
    "leaf on one side only": {"left": [1, -1, -1, -1, -1]},
    "leaf with a child": {"right": [2, 3, 4, -1, -1]},
    "child far below": {"left": [1, -(10**9), 3, -1, -1], "right": [2, -(10**9), 4, -1, -1]},
    "its own child": {"left": [0, -1, 3, -1, -1]},
    "a circle": {"left": [1, 2, 1, -1, -1], "right": [3, 4, 4, -1, -1]},
    "a circle beside the root": {"left": [-1, 2, 1, -1, -1], "right": [-1, 3, 4, -1, -1]},
    "a node with two parents": {"right": [2, -1, 3, -1, -1]},
    "a node nobody reaches": {"left": [1, -1, -1, -1, -1], "right": [2, -1, -1, -1, -1]},
    "split on a column that is not there": {"feature": [0, -2, 2, -2, -2]},
    "split on a column far away": {"feature": [0, -2, 10**12, -2, -2]},
    "split on a column before the first": {"feature": [-1, -2, 1, -2, -2]},
    "threshold NaN": {"threshold": [float("nan"), -2, 1.5, -2, -2]},
    "leaf NaN": {"value": [0.0, float("nan"), 0, 2, 3]},
    "leaf infinite": {"value": [0.0, 1, 0, float("-inf"), 3]},
    "no node at all": {"left": [], "right": [], "feature": [], "threshold": [], "value": []},
    "fewer right than left children": {"right": [2, -1, 4, -1]},
    "fewer features than nodes": {"feature": [0, -2, 1]},
    "fewer thresholds than nodes": {"threshold": [0.5, -2, 1.5]},
    "fewer values than nodes": {"value": [0.0, 1, 0, 2]},
}  # fmt: skip


@pytest.mark.parametrize("crooked", CROOKED)
def test_a_tree_that_is_none_is_refused(crooked):
    with pytest.raises(ArtefactRefused):
        check(**CROOKED[crooked])


def tampered(data: bytes, change) -> bytes:
    """A skops file whose first tree's nodes were changed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    tree = next(find(schema, "Tree"))
    content = tree["content"]["content"]
    name = content["nodes"]["file"]
    nodes = np.load(io.BytesIO(members[name]))
    values_name = content["values"]["file"]
    values = np.load(io.BytesIO(members[values_name]))
    change(nodes, values, content)
    for member, array in ((name, nodes), (values_name, values)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        members[member] = buffer.getvalue()
    members["schema.json"] = json.dumps(schema).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def find(node, kind):
    if isinstance(node, dict):
        if node.get("__class__") == kind:
            yield node
        for inner in node.values():
            yield from find(inner, kind)
    elif isinstance(node, list):
        for inner in node:
            yield from find(inner, kind)


def set_field(field, at, number):
    def change(nodes, values, content):
        nodes[field][at] = number

    return change


def set_value(nodes, values, content):
    values[-1] = np.nan


def longer_than_it_is(nodes, values, content):
    content["node_count"]["content"] = "1000000"


def shorter_than_it_is(nodes, values, content):
    content["node_count"]["content"] = "2"


def negative_length(nodes, values, content):
    content["node_count"]["content"] = "-1"


TAMPERED = {
    "child beyond the end": set_field("left_child", 0, 10**7),
    "child before the beginning": set_field("left_child", 0, -7),
    "leaf that is followed": set_field("left_child", -1, -2),
    "a circle": set_field("right_child", 0, 0),
    "column that is not there": set_field("feature", 0, 10**7),
    "NaN leaf": set_value,
    "fewer nodes than it uses": shorter_than_it_is,
    "a negative number of nodes": negative_length,
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_skops_file_is_refused_before_the_model_is_asked(how, small, small_model):
    refused(tampered(small_model.data, TAMPERED[how]), small.catalogue)


def test_a_file_taken_apart_and_put_together_unchanged_is_opened(small, small_model):
    """The tampering above is what is refused, not the taking apart."""
    model = open_model("skops", tampered(small_model.data, lambda *_: None), small.catalogue, YES)
    row = {name: None if name in ("tenure", "job_lost_by") else 40 for name in NAMES}
    row["married"] = "yes"
    assert model.answer([row]).margin.shape == (1,)


def test_more_nodes_than_there_are_is_cut_to_what_is_there(small, small_model):
    """scikit-learn does this itself when it reads a tree; a promise of theirs we lean on."""
    data = tampered(small_model.data, longer_than_it_is)
    same = open_model("skops", data, small.catalogue, YES)
    straight = open_model("skops", small_model.data, small.catalogue, YES)
    assert same.forms[0].value.tolist() == straight.forms[0].value.tolist()


def booster_attribute(name, text):
    def apply(data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {n: archive.read(n) for n in archive.namelist()}
        schema = json.loads(members["schema.json"])
        booster = next(find(schema, "GradientBoostingClassifier"))
        # skops keeps equal numbers once, by id; this one is to be a number of its own
        booster["content"]["content"][name] |= {"content": text, "__id__": 10**9}
        members["schema.json"] = json.dumps(schema).encode()
        return zipped(**{n.replace(".", "__"): d for n, d in members.items()})

    return apply


@pytest.mark.parametrize(
    ("name", "number"), [("n_features_in_", "3"), ("n_trees_per_iteration_", "0")]
)
def test_a_booster_that_does_not_fit_its_columns_is_refused(name, number, small, small_model):
    refused(booster_attribute(name, number)(small_model.data), small.catalogue)


def test_a_model_that_raises_only_withholds(small, small_model):
    model = open_model("skops", small_model.data, small.catalogue, YES)
    with pytest.raises(ModelFailed):
        model.answer([{"age": "secret", "married": "yes", "tenure": 3, "job_lost_by": "other"}])


def test_only_types_on_our_own_list_are_parsed_whatever_skops_trusts(small, small_model):
    """skops trusts every estimator of scikit-learn; here the file is refused before it is parsed,
    and the same in a process that loaded skops before us."""
    pipeline = small_pipeline()
    pipeline.steps.insert(1, ("mixed", FastICA(2, random_state=1)))
    pipeline.fit(small_model.rows, labels(small_model.rows))
    data = skops.io.dumps(pipeline)
    assert skops.io.get_untrusted_types(data=data) == ["numpy.dtype", "sklearn.tree._tree.Tree"]
    fault = refused(data, small.catalogue)
    assert "not loaded: sklearn.decomposition._fastica.FastICA" in fault.what


def test_every_type_on_the_list_is_one_that_models_need():
    """A list that only grows protects nobody: each estimator on it is really there."""

    def there(name: str) -> bool:
        module, _, kind = name.rpartition(".")
        return hasattr(importlib.import_module(module), kind)

    # SciPy 1.18 gave what is behind a curve a class of its own; one of the two is installed
    missing = {name for name in ALLOWED["ObjectNode"] if not there(name)}
    assert missing < CURVES


def test_a_description_that_nests_too_deep_is_refused(small):
    nested = b'{"a":' * 5000 + b"1" + b"}" * 5000
    assert "not a skops file" in refused(zipped(schema__json=nested), small.catalogue).what
