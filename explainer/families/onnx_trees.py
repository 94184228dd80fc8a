"""A graph that is nothing but trees, in our form; anything else stays known by its answers.

Read are single TreeEnsembleClassifier and TreeEnsembleRegressor nodes of ai.onnx.ml over numbers in
single precision, with nothing after them that changes their scores. Whether we read one as
onnxruntime does is asked of onnxruntime itself, on rows at its own thresholds, before our form is
used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Bools, Column, Floats, Ints, Test, Trees
from explainer.families.onnx_file import Step, attributes_of

KEEP = {"Identity", "Cast", "ZipMap"}
"""What may stand behind the trees: it changes no score."""

_OWN = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_truenodeids",
    "nodes_falsenodeids",
)

_GIVEN = ("treeids", "nodeids", "ids", "weights")

_OPERATORS = {"TreeEnsembleClassifier": "class", "TreeEnsembleRegressor": "target"}
"""And how the attributes begin that say what the leaves give."""

# what a mode asks of x, and whether our tests ask the opposite
_MODES = {
    "BRANCH_LEQ": (Test.AT_MOST, False),
    "BRANCH_LT": (Test.BELOW, False),
    "BRANCH_GT": (Test.AT_MOST, True),
    "BRANCH_GTE": (Test.BELOW, True),
}


def check_ensembles(steps: Sequence[Step]) -> None:
    """Every ensemble of trees in the graph is one: onnxruntime walks a circle for ever.

    Raises ArtefactRefused.
    """
    for step in steps:
        if step.operator in _OPERATORS:
            _check_nodes(attributes_of(step.data))


def _check_nodes(given: Mapping[str, Any]) -> None:
    ids, nodes, true, false = (
        given.get(f"nodes_{name}", [])
        for name in ("treeids", "nodeids", "truenodeids", "falsenodeids")
    )
    modes = given.get("nodes_modes", [])
    if not modes or {len(each) for each in (ids, nodes, true, false)} != {len(modes)}:
        raise _damaged()
    place = {key: at for at, key in enumerate(zip(ids, nodes, strict=True))}
    children: list[tuple[int, ...]] = []
    for tree, mode, *both in zip(ids, modes, true, false, strict=True):
        inner = () if mode == b"LEAF" else tuple(place.get((tree, one), -1) for one in both)
        children.append(inner)
    pointed = {child for both in children for child in both}
    roots = [at for at in range(len(modes)) if at not in pointed]
    # from the roots everything is met exactly once, or it is no forest
    met, waiting = 0, roots
    while waiting and met <= len(modes):
        met += len(waiting)
        waiting = [child for at in waiting for child in children[at]]
    if (
        -1 in pointed
        or len(place) != len(modes)
        or len(roots) != len(set(ids))
        or met != len(modes)
    ):
        raise _damaged()


def trees_in(
    steps: Sequence[Step], columns: Mapping[str, Sequence[int]], n_players: int, n_outputs: int
) -> list[Trees] | None:
    """The trees of a graph whose inputs hold these features, by position: one form for each output
    of the model, on rows of features. None where it is something else.

    Raises ArtefactRefused for trees that point outside themselves.
    """
    ensembles = [step for step in steps if step.operator in _OPERATORS]
    if len(ensembles) != 1:
        return None
    (ensemble,) = ensembles
    given = dict(columns)
    for step in steps:
        before = all(name in given for name in step.inputs)
        if step is ensemble or (step.operator in KEEP and not before):
            continue
        joined = _joined(step, given)
        if joined is None:
            return None
        given[step.outputs[0]] = joined
    (source, *_) = (*ensemble.inputs, "")
    if source not in given:
        return None
    prefix = _OPERATORS[ensemble.operator]
    return _ensemble(attributes_of(ensemble.data), prefix, given[source], n_players, n_outputs)


def _joined(step: Step, given: Mapping[str, Sequence[int]]) -> list[int] | None:
    """The features in the columns of what a step before the trees puts together."""
    if any(name not in given for name in step.inputs) or not step.inputs:
        return None
    if step.operator == "Identity":
        return list(given[step.inputs[0]])
    if step.operator == "Concat" and attributes_of(step.data).get("axis") in ([1], [-1]):
        return [feature for name in step.inputs for feature in given[name]]
    return None


def _ensemble(
    given: Mapping[str, Any], prefix: str, features: Sequence[int], n_players: int, n_outputs: int
) -> list[Trees] | None:
    if set(given) - _KNOWN or given.get("post_transform", [b"NONE"]) != [b"NONE"]:
        return None
    whole = {name: np.array(given.get(name, []), dtype=np.int64) for name in _OWN}
    modes = [mode.decode("ascii", "replace") for mode in given.get("nodes_modes", [])]
    value = np.array(given.get("nodes_values", []), dtype=np.float64)
    n = len(modes)
    tracks = np.array(given.get("nodes_missing_value_tracks_true", []) or [0] * n, dtype=np.bool_)
    if not n or {len(value), len(tracks), *map(len, whole.values())} != {n}:
        raise _damaged()
    if set(modes) - _MODES.keys() - {"LEAF"}:
        return None

    trees, nodes = whole["nodes_treeids"].tolist(), whole["nodes_nodeids"].tolist()
    place = {key: at for at, key in enumerate(zip(trees, nodes, strict=True))}
    if len(place) != n:
        raise _damaged()
    left, right = np.full(n, -1), np.full(n, -1)
    missing_left = np.zeros(n, dtype=np.bool_)
    kinds: dict[tuple[int, Test], int] = {}
    column = np.zeros(n, dtype=np.int64)
    for at, mode in enumerate(modes):
        if mode == "LEAF":
            continue
        test, opposite = _MODES[mode]
        children = [
            place.get((trees[at], int(whole[f"nodes_{side}nodeids"][at])), -9)
            for side in ("true", "false")
        ]
        feature = int(whole["nodes_featureids"][at])
        if -9 in children or not 0 <= feature < len(features):
            raise _damaged()
        left[at], right[at] = reversed(children) if opposite else children
        # NaN fails every comparison, unless the node says that it goes where a true one goes
        missing_left[at] = bool(tracks[at]) is not opposite
        column[at] = kinds.setdefault((features[feature], test), len(kinds))
    scores = _scores(given, prefix, place, n_outputs)
    if scores is None:
        return None
    leaves, constants = scores
    pointed = np.zeros(n, dtype=np.bool_)
    pointed[left[left >= 0]] = pointed[right[right >= 0]] = True
    columns = tuple(Column(feature, feature, test, single=True) for feature, test in kinds)
    found = []
    for own, constant in zip(leaves, constants, strict=True):
        kept = _giving(whole["nodes_treeids"], own)
        moved = np.append(np.cumsum(kept) - 1, -1)  # a child of -1 stays -1
        found.append(
            Trees(
                columns=columns,
                n_players=n_players,
                roots=np.flatnonzero(~pointed[kept]),
                left=moved[left[kept]],
                right=moved[right[kept]],
                column=column[kept],
                threshold=np.where(left < 0, 0.0, value)[kept],
                value=own[kept],
                missing_left=missing_left[kept],
                constant=constant,
            )
        )
    return found


def _giving(of_tree: Ints, value: Floats) -> Bools:
    """The nodes of the trees that give an output something; of one at least, so that it has one."""
    giving = of_tree[value != 0] if value.any() else of_tree[:1]
    return np.isin(of_tree, giving)


_KNOWN = {
    *_OWN,
    *(f"{prefix}_{name}" for prefix in _OPERATORS.values() for name in _GIVEN),
    "nodes_modes",
    "nodes_values",
    "nodes_hitrates",
    "nodes_missing_value_tracks_true",
    "base_values",
    "post_transform",
    "classlabels_strings",
    "classlabels_int64s",
    "n_targets",
    "aggregate_function",
}


def _scores(
    given: Mapping[str, Any], prefix: str, place: Mapping[tuple[int, int], int], n_outputs: int
) -> tuple[Floats, list[float]] | None:
    """What each leaf adds to each output, of shape (n_outputs, n_nodes), and what they begin with.

    Of two classes the weights may be those of both, or of one, whose score is then the second's.
    """
    tree_ids, node_ids, of_output, weight = (given.get(f"{prefix}_{name}", []) for name in _GIVEN)
    base = [float(each) for each in given.get("base_values", [])]
    if len({len(tree_ids), len(node_ids), len(of_output), len(weight)}) != 1:
        raise _damaged()
    ids = set(of_output)
    both = prefix == "class" and n_outputs == 1
    allowed = {0, 1} if both else set(range(n_outputs))
    lengths = (0, len(ids)) if both else (0, n_outputs)
    if not ids or not ids <= allowed or len(base) not in lengths:
        return None
    aggregate = given.get("aggregate_function", [b"SUM"])
    if aggregate not in ([b"SUM"], [b"AVERAGE"]):
        return None
    share = 1.0 if aggregate == [b"SUM"] else 1.0 / len({tree for tree, _ in place})
    counted = {1 if ids == {0, 1} else min(ids): 0} if both else {at: at for at in allowed}
    leaves = np.zeros((n_outputs, len(place)))
    for key, at, amount in zip(
        zip(tree_ids, node_ids, strict=True), of_output, weight, strict=True
    ):
        if key not in place:
            raise _damaged()
        if at in counted:
            leaves[counted[at], place[key]] += amount * share
    return leaves, base[-n_outputs:] or [0.0] * n_outputs


def rows_at_thresholds(trees: Trees, most: int = 256) -> Floats:
    """Rows on thresholds, one step beside them, and with everything missing.

    ndarray of shape (most, n_players), the same for the same trees.
    """
    rng = np.random.default_rng(0)
    rows = np.zeros((most, trees.n_players))
    for source in range(trees.n_source):
        own = [at for at, column in enumerate(trees.columns) if column.source == source]
        used = np.isin(trees.column, own) & (trees.left >= 0)
        on = np.unique(trees.threshold[used]).astype(np.float32)
        if len(on):
            beside = [np.nextafter(on, np.float32(side)) for side in (-np.inf, np.inf)]
            drawn = rng.choice(np.concatenate([on, *beside, [np.nan]]), most)
            rows[:, source] = np.where(np.isinf(drawn), 0.0, drawn)
    rows[-1] = np.nan
    return rows


def _damaged() -> ArtefactRefused:
    return ArtefactRefused(
        "A tree of the model points outside itself.",
        "model",
        "The file is damaged or was tampered with; convert the model again.",
    )
