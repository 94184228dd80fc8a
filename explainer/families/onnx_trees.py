"""A graph that is nothing but trees, in our form; anything else stays known by its answers.

Read are single TreeEnsembleClassifier nodes of ai.onnx.ml over numbers in single precision, with
nothing after them that changes their scores. Whether we read one as onnxruntime does is asked of
onnxruntime itself, on rows at its own thresholds, before our form is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Column, Floats, Test, Trees
from explainer.families.onnx_file import Step, attributes_of

KEEP = {"Identity", "Cast", "ZipMap"}
"""What may stand behind the trees: it changes no score."""

_OWN = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "class_treeids",
    "class_nodeids",
    "class_ids",
)

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
        if step.operator in ("TreeEnsembleClassifier", "TreeEnsembleRegressor"):
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
    steps: Sequence[Step], columns: Mapping[str, Sequence[int]], n_players: int
) -> Trees | None:
    """The trees of a graph whose inputs hold these features, by position; None where it is
    something else. They work on rows of features.

    Raises ArtefactRefused for trees that point outside themselves.
    """
    ensembles = [step for step in steps if step.operator == "TreeEnsembleClassifier"]
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
    return _ensemble(attributes_of(ensemble.data), given[source], n_players)


def _joined(step: Step, given: Mapping[str, Sequence[int]]) -> list[int] | None:
    """The features in the columns of what a step before the trees puts together."""
    if any(name not in given for name in step.inputs) or not step.inputs:
        return None
    if step.operator == "Identity":
        return list(given[step.inputs[0]])
    if step.operator == "Concat" and attributes_of(step.data).get("axis") in ([1], [-1]):
        return [feature for name in step.inputs for feature in given[name]]
    return None


def _ensemble(given: Mapping[str, Any], features: Sequence[int], n_players: int) -> Trees | None:
    if set(given) - _KNOWN or given.get("post_transform", [b"NONE"]) != [b"NONE"]:
        return None
    whole = {name: np.array(given.get(name, []), dtype=np.int64) for name in _OWN}
    modes = [mode.decode("ascii", "replace") for mode in given.get("nodes_modes", [])]
    value = np.array(given.get("nodes_values", []), dtype=np.float64)
    weight = np.array(given.get("class_weights", []), dtype=np.float64)
    n = len(modes)
    tracks = np.array(given.get("nodes_missing_value_tracks_true", []) or [0] * n, dtype=np.bool_)
    sizes = {len(value), len(tracks), *(len(whole[name]) for name in _OWN if "nodes_" in name[:6])}
    if not n or sizes != {n} or {len(weight), *(len(whole[c]) for c in _OWN[5:])} != {len(weight)}:
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
    leaves, constant = _scores(whole, weight, given.get("base_values", []), place, n)
    if leaves is None:
        return None
    pointed = np.zeros(n, dtype=np.bool_)
    pointed[left[left >= 0]] = pointed[right[right >= 0]] = True
    return Trees(
        columns=tuple(Column(feature, feature, test, single=True) for feature, test in kinds),
        n_players=n_players,
        roots=np.flatnonzero(~pointed),
        left=left,
        right=right,
        column=column,
        threshold=np.where(left < 0, 0.0, value),
        value=leaves,
        missing_left=missing_left,
        constant=constant,
    )


_KNOWN = {
    *_OWN,
    "nodes_modes",
    "nodes_values",
    "nodes_hitrates",
    "nodes_missing_value_tracks_true",
    "class_weights",
    "base_values",
    "post_transform",
    "classlabels_strings",
    "classlabels_int64s",
}


def _scores(
    whole: Mapping[str, Any],
    weight: Floats,
    base: Sequence[float],
    place: Mapping[tuple[int, int], int],
    n: int,
) -> tuple[Floats | None, float]:
    """What each leaf adds to the score of the second class; the weights may be those of both
    classes, or of one, whose score is then the second's."""
    classes = set(whole["class_ids"].tolist())
    counted = 1 if classes == {0, 1} else next(iter(classes), -1)
    if not classes or not classes <= {0, 1} or len(base) not in (0, len(classes)):
        return None, 0.0
    leaves = np.zeros(n)
    keys = zip(whole["class_treeids"].tolist(), whole["class_nodeids"].tolist(), strict=True)
    for key, of_class, amount in zip(keys, whole["class_ids"].tolist(), weight, strict=True):
        if key not in place:
            raise _damaged()
        if of_class == counted:
            leaves[place[key]] += amount
    return leaves, float(base[-1]) if len(base) else 0.0


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
