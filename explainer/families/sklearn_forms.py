"""Our form of scikit-learn's estimators, and the raw margin each of them gives itself.

Every estimator that is explained stands in `FORMS`; another one is refused by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainer.core.attribution import Space
from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Column, Floats, Ints, Test, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear
from explainer.families.model import Form
from explainer.families.skops_file import objects_in


@dataclass(frozen=True, slots=True)
class Estimator:
    """A fitted estimator as Warum sees it: a form for each output.

    `margins` asks the library itself, on prepared columns, shape (n_rows,) or
    (n_rows, n_outputs); `inner` turns prepared columns into those the form works on, where the
    estimator rearranges them first.
    """

    forms: tuple[Form, ...]
    space: Space
    margins: Callable[[Any], Floats]
    inner: Callable[[Floats], Floats] | None = None


def estimator_of(estimator: Any, player: Ints, n_players: int) -> Estimator:
    """The form of a fitted estimator on columns that belong to `player`, shape (n_columns,).

    Raises ArtefactRefused for an estimator that is not in FORMS, or is not what it should be.
    """
    kind = type(estimator).__name__
    if kind not in FORMS:
        raise ArtefactRefused(
            f"The model is a {kind}.", "model", f"Explained are: {', '.join(FORMS)}."
        )
    if getattr(estimator, "n_features_in_", len(player)) != len(player):
        raise damaged("The model does not fit the columns it is given.")
    return FORMS[kind](estimator, player, n_players)


def damaged(what: str) -> ArtefactRefused:
    return ArtefactRefused(
        what, "model", "The file is damaged or was tampered with; save the pipeline again."
    )


# -- linear ------------------------------------------------------------------------------------


def _logistic(estimator: Any, player: Ints, n_players: int) -> Estimator:
    return Estimator(
        (_weights(estimator, player, n_players),),
        Space.LOG_ODDS,
        estimator.decision_function,
    )


def _stochastic(estimator: Any, player: Ints, n_players: int) -> Estimator:
    if estimator.loss != "log_loss":
        raise ArtefactRefused(
            f"The model was trained with loss {estimator.loss!r}, which gives no probability.",
            "model",
            'Train it with loss="log_loss".',
        )
    return _logistic(estimator, player, n_players)


def _weights(estimator: Any, player: Ints, n_players: int) -> Linear:
    weight = np.asarray(estimator.coef_, dtype=np.float64)
    if weight.shape != (1, len(player)):
        raise damaged("The weights of the model do not fit its columns.")
    constant = float(np.asarray(estimator.intercept_, dtype=np.float64).reshape(-1)[0])
    return Linear(player, weight[0], constant, n_players)


# -- trees -------------------------------------------------------------------------------------


def _gradient_boosting(booster: Any, player: Ints, n_players: int) -> Estimator:
    _check_loss(booster)
    if not (isinstance(booster.init_, str) and booster.init_ == "zero") and (
        type(booster.init_).__name__ != "DummyClassifier"
    ):
        raise ArtefactRefused(
            "The booster starts from another model.",
            "model.init",
            "Train it with init=None or init='zero'.",
        )
    if getattr(booster.init_, "strategy", None) == "stratified":
        raise ArtefactRefused(
            "The booster starts from chance, anew for every answer.",
            "model.init",
            "Train it with init=None or init='zero'.",
        )
    if booster.n_trees_per_iteration_ != 1 or booster.estimators_.ndim != 2:
        raise damaged("The booster does not give one number a row.")
    trees = [tree.tree_ for (tree,) in booster.estimators_]
    form = _trees(
        trees,
        lambda tree: float(booster.learning_rate) * tree.value[:, 0, 0],
        player,
        n_players,
        width=1,
        constant=float(booster._raw_predict_init(np.zeros((1, len(player))))[0, 0]),
    )
    return Estimator((form,), Space.LOG_ODDS, booster.decision_function)


def _check_loss(booster: Any) -> None:
    """With another loss the margin is no log-odds; with the exponential one it is half of them."""
    if booster.loss != "log_loss" or type(booster._loss).__name__ != "HalfBinomialLoss":
        raise ArtefactRefused(
            f"The booster was trained with loss {str(booster.loss)[:40]!r}; its margin is not the "
            "log-odds.",
            "model",
            'Train it with loss="log_loss".',
        )


def _forest(forest: Any, player: Ints, n_players: int) -> Estimator:
    trees = [tree.tree_ for tree in forest.estimators_]
    form = _trees(
        trees,
        lambda tree: _share_of_second(tree) / len(trees),
        player,
        n_players,
        width=2,
    )
    return Estimator((form,), Space.PROBABILITY, _second_class(forest))


def _one_tree(tree: Any, player: Ints, n_players: int) -> Estimator:
    form = _trees([tree.tree_], _share_of_second, player, n_players, width=2)
    return Estimator((form,), Space.PROBABILITY, _second_class(tree))


def _share_of_second(tree: Any) -> Floats:
    """Share of the second class in each node; it is normalised as predict_proba does it."""
    counts = np.asarray(tree.value[:, 0, :2], dtype=np.float64)
    total = counts.sum(axis=1)
    total[total == 0] = 1.0
    return np.asarray(counts[:, 1] / total)


def _second_class(estimator: Any) -> Callable[[Any], Floats]:
    return lambda prepared: np.asarray(estimator.predict_proba(prepared)[:, 1])


def _trees(
    trees: list[Any],
    value_of: Callable[[Any], Floats],
    player: Ints,
    n_players: int,
    *,
    width: int,
    constant: float = 0.0,
) -> Trees:
    """scikit-learn narrows a value to float32 and compares it with a threshold in doubles."""
    parts: dict[str, list[Any]] = {name: [] for name in ("left", "right", "column", "threshold")}
    parts |= {"value": [], "missing_left": []}
    roots, at = [], 0
    for tree in trees:
        n = len(tree.children_left)
        if tree.value.shape[:2] != (n, 1) or tree.value.shape[2] < width:
            raise damaged("A tree of the model does not give one number a row.")
        left = np.asarray(tree.children_left, dtype=np.int64)
        right = np.asarray(tree.children_right, dtype=np.int64)
        roots.append(at)
        # shifted to their place among all nodes; a leaf stays at -1, whatever is wrong stays wrong
        parts["left"].append(np.where(left == -1, -1, left + at))
        parts["right"].append(np.where(right == -1, -1, right + at))
        if not _inside(left, n) or not _inside(right, n):
            raise damaged("A tree of the model points outside itself.")
        parts["column"].append(np.asarray(tree.feature, dtype=np.int64))
        parts["threshold"].append(np.asarray(tree.threshold, dtype=np.float64))
        parts["value"].append(np.asarray(value_of(tree), dtype=np.float64))
        parts["missing_left"].append(np.asarray(tree.missing_go_to_left, dtype=np.bool_))
        at += n
    whole: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    columns = tuple(
        Column(source, int(owner), Test.AT_MOST, single=True) for source, owner in enumerate(player)
    )
    return Trees(
        columns=columns, n_players=n_players, roots=np.array(roots), constant=constant, **whole
    )


def _inside(children: Ints, n: int) -> bool:
    return bool(((children >= -1) & (children < n)).all())


# -- histogram boosting ------------------------------------------------------------------------


def _histogram_boosting(booster: Any, player: Ints, n_players: int) -> Estimator:
    _check_loss(booster)
    if booster.n_trees_per_iteration_ != 1:
        raise damaged("The booster does not give one number a row.")
    # with categories it puts their columns first and numbers them anew
    rearranged = booster._preprocessor is not None
    order = _order_inside(booster, len(player)) if rearranged else np.arange(len(player))
    if rearranged:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it may have been given named columns in training
            shape = _preprocessed(booster, np.zeros((1, len(player)))).shape
        if shape != (1, len(player)):
            raise damaged("The booster rearranges its columns in a way that is not known.")
    is_category = (
        np.zeros(len(player), dtype=np.bool_)
        if booster.is_categorical_ is None
        # said of the columns as they come from outside
        else np.asarray(booster.is_categorical_, dtype=np.bool_)[order]
    )
    known = _known_categories(booster, is_category)
    columns = tuple(
        Column(
            source,
            int(player[outside]),
            Test.ONE_OF if is_category[source] else Test.AT_MOST,
            known=known.get(source, ()),
        )
        for source, outside in enumerate(order)
    )
    parts: dict[str, list[Any]] = {name: [] for name in ("left", "right", "column", "threshold")}
    parts |= {"value": [], "missing_left": [], "category_set": [], "unseen_missing": []}
    sets: list[tuple[int, ...]] = []
    roots, at = [], 0
    for (predictor,) in booster._predictors:
        nodes = predictor.nodes
        n, leaf = len(nodes), np.asarray(nodes["is_leaf"], dtype=np.bool_)
        left = np.where(leaf, -1, nodes["left"].astype(np.int64))
        right = np.where(leaf, -1, nodes["right"].astype(np.int64))
        if not _inside(left, n) or not _inside(right, n):
            raise damaged("A tree of the model points outside itself.")
        roots.append(at)
        parts["left"].append(np.where(leaf, -1, left + at))
        parts["right"].append(np.where(leaf, -1, right + at))
        parts["column"].append(np.where(leaf, 0, nodes["feature_idx"].astype(np.int64)))
        parts["threshold"].append(np.asarray(nodes["num_threshold"], dtype=np.float64))
        parts["value"].append(np.asarray(nodes["value"], dtype=np.float64))
        parts["missing_left"].append(np.asarray(nodes["missing_go_to_left"], dtype=np.bool_))
        # a category that training never saw goes where a missing value goes
        parts["unseen_missing"].append(np.ones(n, dtype=np.bool_))
        chosen = np.full(n, -1, dtype=np.int64)
        for node in np.flatnonzero(np.asarray(nodes["is_categorical"], dtype=np.bool_) & ~leaf):
            place = int(nodes["bitset_idx"][node])
            if not 0 <= place < len(predictor.raw_left_cat_bitsets):
                raise damaged("A tree of the model points outside itself.")
            chosen[node] = len(sets)
            sets.append(_members(predictor.raw_left_cat_bitsets[place]))
        parts["category_set"].append(chosen)
        at += n
    whole: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    form = Trees(
        columns=columns,
        n_players=n_players,
        roots=np.array(roots),
        category_sets=tuple(sets),
        constant=float(np.asarray(booster._baseline_prediction).reshape(-1)[0]),
        **whole,
    )
    return Estimator(
        (form,),
        Space.LOG_ODDS,
        booster.decision_function,
        (lambda prepared: _preprocessed(booster, prepared)) if rearranged else None,
    )


def _preprocessed(booster: Any, prepared: Floats) -> Floats:
    return np.asarray(booster._preprocess_X(prepared, reset=False), dtype=np.float64)


def _order_inside(booster: Any, n: int) -> Ints:
    """Which outside column stands at each place inside: categories first, then the others."""
    order: list[int] = []
    for _, _, columns in booster._preprocessor.transformers_:
        mask = np.asarray(columns)
        order += (
            np.flatnonzero(mask).tolist() if mask.dtype == np.bool_ else mask.astype(int).tolist()
        )
    if sorted(order) != list(range(n)):
        raise damaged("The booster rearranges its columns in a way that is not known.")
    return np.array(order, dtype=np.int64)


def _known_categories(booster: Any, is_category: Any) -> Mapping[int, tuple[int, ...]]:
    if not np.array_equal(booster._bin_mapper.is_categorical_, is_category):
        raise damaged("The booster contradicts itself on which columns are categories.")
    bitsets, place = booster._bin_mapper.make_known_categories_bitsets()
    return {int(source): _members(bitsets[place[source]]) for source in np.flatnonzero(is_category)}


def _members(bitset: Any) -> tuple[int, ...]:
    """Numbers whose bit is set, 32 to a word (scikit-learn's raw bitsets)."""
    words = np.asarray(bitset, dtype=np.uint32)
    return tuple(
        int(32 * word + bit)
        for word in range(len(words))
        for bit in range(32)
        if words[word] >> bit & 1
    )


# -- known by its answers only -----------------------------------------------------------------


def _by_answers(estimator: Any, player: Ints, n_players: int) -> Estimator:
    _check_inner_trees(estimator)
    return Estimator((Function(player, n_players),), Space.PROBABILITY, _second_class(estimator))


def _by_mean(estimator: Any, player: Ints, n_players: int) -> Estimator:
    if estimator.voting != "soft":
        raise ArtefactRefused(
            "The models inside vote with one voice each: there is no score to explain.",
            "model.voting",
            'Train VotingClassifier with voting="soft".',
        )
    return _by_answers(estimator, player, n_players)


MOST_COLUMNS = 1_000_000


def _check_inner_trees(estimator: Any) -> None:
    """Look at every tree inside, each against the columns the model around it is asked with:
    scikit-learn walks them unchecked. A tree that belongs to no model we know is refused."""
    things = list(objects_in(estimator))
    looked_at: set[int] = set()
    for thing in things:
        kind = type(thing).__name__
        if kind not in _OF_TREES or not vars(thing).keys() & _FITTED:
            continue  # what was trained from, beside what was trained
        # without this number scikit-learn would not compare it with what it is given
        n = vars(thing).get("n_features_in_")
        if type(n) is not int or not 0 < n <= MOST_COLUMNS:
            raise damaged("A model inside does not say how many columns it takes.")
        _OF_TREES[kind](thing, np.zeros(n, dtype=np.int64), 1)
        looked_at |= {id(tree) for tree in _trees_of(thing)}
    for thing in things:
        if type(thing).__name__ in ("Tree", "TreePredictor") and id(thing) not in looked_at:
            raise damaged("A tree of the model belongs to no model that is known.")


_FITTED = frozenset({"tree_", "estimators_", "_predictors"})


def _trees_of(estimator: Any) -> list[Any]:
    if hasattr(estimator, "tree_"):
        return [estimator.tree_]
    if hasattr(estimator, "_predictors"):
        return [predictor for (predictor,) in estimator._predictors]
    return [each.tree_ for each in np.asarray(estimator.estimators_, dtype=object).ravel()]


def _one_regression(tree: Any, player: Ints, n_players: int) -> Estimator:
    """As a part of a booster only; looked at, and explained by nobody."""
    form = _trees([tree.tree_], lambda tree: tree.value[:, 0, 0], player, n_players, width=1)
    return Estimator((form,), Space.LOG_ODDS, tree.predict)


_OF_TREES: Mapping[str, Callable[[Any, Ints, int], Estimator]] = {
    "DecisionTreeClassifier": _one_tree,
    "DecisionTreeRegressor": _one_regression,
    "ExtraTreeClassifier": _one_tree,
    "RandomForestClassifier": _forest,
    "ExtraTreesClassifier": _forest,
    "GradientBoostingClassifier": _gradient_boosting,
    "HistGradientBoostingClassifier": _histogram_boosting,
}

FORMS: Mapping[str, Callable[[Any, Ints, int], Estimator]] = {
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "SGDClassifier": _stochastic,
    "DecisionTreeClassifier": _one_tree,
    "ExtraTreeClassifier": _one_tree,
    "RandomForestClassifier": _forest,
    "ExtraTreesClassifier": _forest,
    "GradientBoostingClassifier": _gradient_boosting,
    "HistGradientBoostingClassifier": _histogram_boosting,
    "MLPClassifier": _by_answers,
    "CalibratedClassifierCV": _by_answers,
    "VotingClassifier": _by_mean,
    "StackingClassifier": _by_answers,
}
