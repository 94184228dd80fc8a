"""Files made to hurt, of several classes and of amounts: refused with little memory and time.

Huge sizes, rings, children out of range and nesting without end, in the parts only these kinds have
or in the last tree of the last class, which is reached after everything else was well. Each is read
in a process with limits of its own; nothing but a refusal of ours counts.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import households
import pytest
from onnx import ModelProto, helper
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from test_damaged import cbm_with, json_with, lightgbm_with, small
from test_linear_json import EURO, SEVERAL
from test_linear_json import data as linear_data
from test_onnx import GIVES_AMOUNT, MANY, of_numbers
from test_remote import description

from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactRefused
from explainer.families.artefacts import parse
from explainer.families.flatbuffer import Table
from explainer.families.model import Target, inputs_of

MEMORY = 1024**3
"""Bytes beyond what this process had before it began to read."""
SECONDS = 20
"""Of computing; what is refused at once takes a thousandth of that."""

PATIENCE = 240
"""Seconds by the clock, for a reader that waits without computing."""

BILLION = 2**31 - 1
DEEP = 200_000
REFUSED, OPENED, RAISED = 10, 11, 12


def ends(declared: str, data: bytes, catalogue: FeatureCatalogue, target: Target) -> int:
    """How reading the file ended, in a process with limits; below nought by a signal."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    found = RAISED
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(PATIENCE)
        parse(declared, data, inputs_of(catalogue), target)
        found = OPENED
    except ArtefactRefused as fault:
        found = REFUSED if fault.what and fault.mend else RAISED
    finally:
        os._exit(found)


# -- what is read, by format ----------------------------------------------------------------------

Change = Callable[[dict[str, Any]], None]


def last_tree(learner: dict[str, Any]) -> dict[str, Any]:
    return learner["gradient_booster"]["model"]["trees"][-1]


def inner(tree: dict[str, Any]) -> int:
    """The last node that has a test."""
    return max(at for at, child in enumerate(tree["left_children"]) if child >= 0)


def child_of_last(value: int) -> Change:
    def change(learner: dict[str, Any]) -> None:
        tree = last_tree(learner)
        tree["left_children"][inner(tree)] = value

    return change


def column_of_last(value: int) -> Change:
    def change(learner: dict[str, Any]) -> None:
        tree = last_tree(learner)
        tree["split_indices"][inner(tree)] = value

    return change


def model_with(**changes: Any) -> Change:
    return lambda learner: learner["gradient_booster"]["model"].update(changes)


def trees_with(**changes: str) -> Change:
    return lambda learner: learner["gradient_booster"]["model"]["gbtree_model_param"].update(
        changes
    )


def learner_with(**changes: str) -> Change:
    return lambda learner: learner["learner_model_param"].update(changes)


def nested(text: bytes) -> bytes:
    """The attributes of a model, nested without end."""
    assert b'"attributes":{' in text
    return text.replace(b'"attributes":{', b'"attributes":{"a":' + b"[" * DEEP, 1)


BOOSTERS: Mapping[str, Change] = {
    "a child beyond the last tree": child_of_last(10**6),
    "a child beyond 64 bits": child_of_last(2**70),
    "a ring in the last tree": child_of_last(0),
    "a negative child": child_of_last(-7),
    "a column far beyond": column_of_last(BILLION),
    "a column below nought": column_of_last(-1),
    "trees without end": trees_with(num_trees=str(BILLION)),
    "trees beyond 64 bits": trees_with(num_trees="9" * 30),
    "trees by five thousand digits": trees_with(num_trees="9" * 5000),
    "trees side by side without end": trees_with(num_parallel_tree=str(BILLION)),
    "columns without end": learner_with(num_feature=str(BILLION)),
    "columns by five thousand digits": learner_with(num_feature="9" * 5000),
    "outputs without end": learner_with(num_target=str(BILLION)),
    "classes by five thousand digits": learner_with(num_class="9" * 5000),
    "a million owners": model_with(tree_info=[0] * 10**6),
    "an owner beyond 64 bits": model_with(tree_info=[2**70] * 9),
    "a million rounds": model_with(iteration_indptr=list(range(10**6))),
    "a million base scores": learner_with(base_score="[" + ",".join(["1E0"] * 10**6) + "]"),
    "a base score nested without end": learner_with(base_score="[" * DEEP),
    "a tree of nothing": lambda learner: last_tree(learner).clear(),
    "a list in the place of a tree": lambda learner: learner["gradient_booster"]["model"][
        "trees"
    ].__setitem__(-1, []),
    "categories without end": lambda learner: last_tree(learner).update(
        categories_nodes=[inner(last_tree(learner))],
        categories_segments=[0],
        categories_sizes=[2**40],
        categories=[1],
    ),
    "a category far beyond": lambda learner: last_tree(learner).update(categories=[BILLION]),
    "nodes by five thousand digits": lambda learner: last_tree(learner)["tree_param"].update(
        num_nodes="9" * 5000
    ),
}


def ubj_sized(name: str, of: str) -> Callable[[], bytes]:
    """The last array of that name with a size beyond all memory."""

    def written() -> bytes:
        data = bytearray(small(of).data)
        at = data.rindex(name.encode() + b"[") + len(name) + 1
        at = data.index(b"#L", at) + 2
        struct.pack_into(">q", data, at, 2**60)
        return bytes(data)

    return written


def ubj_of_nothing(of: str) -> Callable[[], bytes]:
    """An array of numbers that take no room in the file, so many that none has room for them."""

    def written() -> bytes:
        data = small(of).data
        mark = b"tree_info["
        assert mark in data
        return data.replace(mark, mark + b"$T#L" + struct.pack(">q", 2**40), 1)

    return written


def last_line(line: str, value: str, of: str) -> Callable[[], bytes]:
    """The last line of that name, with its first number another; the size of its tree mended."""

    def written() -> bytes:
        text = small(of).data.decode()
        before, _, rest = text.rpartition(f"\n{line}=")
        old, _, after = rest.partition("\n")
        new = " ".join([value, *old.split(" ")[1:]])
        sizes = text.partition("\ntree_sizes=")[2].partition("\n")[0]
        *others, last = sizes.split(" ")
        mended = " ".join([*others, str(int(last) + len(new) - len(old))])
        return f"{before}\n{line}={new}\n{after}".replace(sizes, mended, 1).encode()

    return written


CLASSES, AMOUNTS = "lightgbm-txt, classes", "lightgbm-txt, amount"


def lightgbm(of: str) -> dict[str, Callable[[], bytes]]:
    per = 3 if of == CLASSES else 1
    return {
        "a child beyond the last tree": last_line("left_child", "99", of),
        "a child beyond 64 bits": last_line("left_child", "9" * 30, of),
        "a ring in the last tree": last_line("left_child", "0", of),
        "a leaf beyond the last tree": last_line("right_child", "-99", of),
        "a column far beyond": last_line("split_feature", str(BILLION), of),
        "leaves without end": last_line("num_leaves", str(BILLION), of),
        "leaves by five thousand digits": last_line("num_leaves", "9" * 5000, of),
        "sets without end": last_line("num_cat", str(BILLION), of),
        "sets below nought": last_line("num_cat", "-1", of),
        "classes without end": lightgbm_with(
            f"\nnum_class={per}\nnum_tree_per_iteration={per}\n",
            f"\nnum_class={BILLION}\nnum_tree_per_iteration={BILLION}\n",
            of,
        ),
        "classes by five thousand digits": lightgbm_with(
            f"\nnum_class={per}\n", f"\nnum_class={'9' * 5000}\n", of
        ),
        "columns by five thousand digits": lightgbm_with(
            "\nmax_feature_idx=", f"\nmax_feature_idx={'9' * 5000}", of
        ),
        "a million trees": lightgbm_with("\ntree_sizes=", "\ntree_sizes=" + "100 " * 10**6, of),
    }


CBM = ("catboost-cbm, classes", "catboost-cbm, classes, free trees", "catboost-cbm, amount")


def first_leaf(of: str) -> int:
    leaves = Table.root(small(of).data[8:]).table(1).array(11, "<u4").tolist()
    return next(at for at, leaf in enumerate(leaves) if leaf != 2**32 - 1)


def catboost(of: str) -> dict[str, Callable[[], bytes]]:
    oblivious = {
        "a test too large in the last tree": lambda: cbm_with(1, -1, 10**6, of=of),
        "a last tree too deep": lambda: cbm_with(2, -1, BILLION, of=of),
        "a last tree that begins elsewhere": lambda: cbm_with(3, -1, BILLION, of=of),
    }
    free = {
        "a test too large": lambda: cbm_with(1, 0, 10**6, of=of),
        "a leaf far beyond": lambda: cbm_with(11, first_leaf(of), 2**32 - 2, "<I", of),
        "a ring": lambda: cbm_with(10, 0, 0, "<I", of),
        "steps far beyond": lambda: cbm_with(10, 0, 0xFFFFFFFF, "<I", of),
        "a last tree that begins elsewhere": lambda: cbm_with(3, -1, BILLION, of=of),
    }
    return {
        **(free if "free" in of else oblivious),
        "leaves without end": lambda: cbm_with(8, -1, BILLION, of=of),
        "trees without end": lambda: cbm_with(2, -1, BILLION, of=of),
    }


@cache
def onnx_forest(kind: str) -> ModelProto:
    if kind == "classes":
        forest = RandomForestClassifier(4, max_depth=3, random_state=3)
        return of_numbers(forest, by_name=False, target=households.THREE, zipmap=False)
    forest = RandomForestRegressor(4, max_depth=3, random_state=3)
    return of_numbers(forest, by_name=False, declared=GIVES_AMOUNT, target=households.AMOUNT)


def onnx_with(kind: str, at: int | None, value: Any, *names: str) -> Callable[[], bytes]:
    """One number of an attribute of the trees changed, or all of it where `at` is None."""

    def written() -> bytes:
        model = deepcopy(onnx_forest(kind))
        node = next(n for n in model.graph.node if n.op_type.startswith("TreeEnsemble"))
        (attribute,) = [each for each in node.attribute if each.name in names]
        numbers = list(helper.get_attribute_value(attribute))
        if at is None:
            numbers = value
        else:
            numbers[at] = value
        changed = helper.make_attribute(attribute.name, numbers)
        attribute.CopyFrom(changed)
        return model.SerializeToString()

    return written


def onnx(kind: str) -> dict[str, Callable[[], bytes]]:
    owners = ("class_ids", "target_ids")
    nodes = ("class_nodeids", "target_nodeids")
    trees = ("class_treeids", "target_treeids")
    return {
        "an output far beyond": onnx_with(kind, -1, 2**40, *owners),
        "an output below nought": onnx_with(kind, -1, -1, *owners),
        "a leaf far beyond": onnx_with(kind, -1, 2**40, *nodes),
        "a tree far beyond": onnx_with(kind, -1, 2**40, *trees),
        "a child far beyond": onnx_with(kind, 0, 2**62, "nodes_truenodeids"),
        "a ring": onnx_with(kind, 0, 0, "nodes_truenodeids"),
        "a column far beyond": onnx_with(kind, 0, 2**62, "nodes_featureids"),
        "a node far beyond": onnx_with(kind, -1, 2**62, "nodes_nodeids"),
        "a million outputs": onnx_with(kind, None, [0] * 10**6, *owners),
    }


def linear_with(file: dict[str, Any], *where: str, to: Any) -> Callable[[], bytes]:
    def written() -> bytes:
        changed = deepcopy(file)
        inside = changed
        for name in where[:-1]:
            inside = inside[name]
        inside[where[-1]] = to
        return json.dumps(changed).encode()

    return written


def linear(file: dict[str, Any]) -> dict[str, Callable[[], bytes]]:
    return {
        "a million classes": linear_with(file, "classes", to=[str(n) for n in range(10**6)]),
        "a million weights": linear_with(
            file, "features", "income", "coefficient", to=[0.5] * 10**6
        ),
        "a million choices": linear_with(
            file, "features", "heating", "coefficients", to={str(n): 0.5 for n in range(10**6)}
        ),
        "an intercept nested without end": lambda: (
            json.dumps(file).encode().replace(b'"intercept": ', b'"intercept": ' + b"[" * DEEP)
        ),
        "an intercept by five thousand digits": lambda: (
            json.dumps(file)
            .encode()
            .replace(b'"intercept": ', b'"intercept": ' + b"9" * 5000 + b", ")
        ),
        "a weight beyond all numbers": linear_with(
            file, "features", "income", "coefficient", to=10**400
        ),
        "a name of a million letters": linear_with(file, "link", to="a" * 10**6),
    }


AN_AMOUNT = {"name": "score", "datatype": "FP64", "gives": "amount"}
REMOTE: dict[str, dict[str, Any]] = {
    "classes": {"classes": list(households.THREE.classes)},
    "amount": {"classes": ..., "output": AN_AMOUNT},
}


def remote(kind: str) -> dict[str, Callable[[], bytes]]:
    declared = REMOTE[kind]

    def with_(**changes: Any) -> Callable[[], bytes]:
        return lambda: json.dumps(description(**declared | changes)).encode()

    return {
        "a million classes": with_(classes=[str(n) for n in range(10**6)]),
        "rows without end": with_(max_rows=10**30),
        "a million inputs": with_(inputs={f"n{n}": {"datatype": "FP64"} for n in range(10**5)}),
        "nested without end": lambda: (
            json.dumps(description(**declared))
            .encode()
            .replace(b'"output": ', b'"output": ' + b"[" * DEEP)
        ),
        "a wait beyond all numbers": with_(seconds={"connect": 10**400, "answer": 1}),
    }


KINDS = {"classes": households.THREE, "amount": households.AMOUNT}
LINEAR = {"classes": SEVERAL, "amount": EURO}


def crafted() -> dict[str, tuple[str, Callable[[], bytes]]]:
    """By name: what it is made of, and the file."""
    found: dict[str, dict[str, Callable[[], bytes]]] = {}
    for of in ("xgboost-json, classes", "xgboost-json, amount"):
        changed = {w: lambda c=change, o=of: json_with(c, o) for w, change in BOOSTERS.items()}
        found[of] = changed | {"nested without end": lambda o=of: nested(small(o).data)}
    for of in ("xgboost-ubj, classes", "xgboost-ubj, amount"):
        sizes = ("left_children", "split_indices", "tree_info", "iteration_indptr", "trees")
        found[of] = {f"{name} beyond all memory": ubj_sized(name, of) for name in sizes}
        found[of]["owners that take no room"] = ubj_of_nothing(of)
    found |= {of: lightgbm(of) for of in (CLASSES, AMOUNTS)}
    found |= {of: catboost(of) for of in CBM}
    for kind in KINDS:
        found[f"onnx, {kind}"] = onnx(kind)
        found[f"linear-json, {kind}"] = linear(LINEAR[kind])
        found[f"remote-oip-v2, {kind}"] = remote(kind)
    return {f"{of}: {w}": (of, make) for of, each in found.items() for w, make in each.items()}


CRAFTED = crafted()


@cache
def sound(of: str) -> tuple[str, bytes, FeatureCatalogue, Target]:
    """What the file is made of: opened here once, so that its library is loaded."""
    declared, _, kind = of.partition(", ")
    if declared == "onnx":
        data, catalogue, target = onnx_forest(kind).SerializeToString(), MANY, KINDS[kind]
    elif declared == "linear-json":
        data, catalogue, target = linear_data(LINEAR[kind]), households.CATALOGUE, KINDS[kind]
    elif declared == "remote-oip-v2":
        described = description(**REMOTE[kind])
        data, catalogue, target = linear_data(described), households.CATALOGUE, KINDS[kind]
    else:
        made = small(of)
        data, catalogue, target = made.data, made.catalogue, made.target
    assert parse(declared, data, inputs_of(catalogue), target).forms
    return declared, data, catalogue, target


@pytest.mark.parametrize("which", CRAFTED)
def test_a_file_made_to_hurt_is_refused_within_its_limits(which: str) -> None:
    of, make = CRAFTED[which]
    declared, whole, catalogue, target = sound(of)
    data = make()
    assert data != whole
    assert ends(declared, data, catalogue, target) == REFUSED
