"""Our form of scikit-learn's trees, forests and boosters, and the raw margin each gives itself.

scikit-learn walks its trees unchecked: whatever stands here was looked at node by node, and so
were the sizes of what it adds its trees' answers up in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from explainer.core.attribution import Space
from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Column, Floats, Ints, Test, Trees
from explainer.families.sklearn_estimator import Estimator, damaged, outputs_of

_OF_CLASSES = {"HalfBinomialLoss": "LogitLink", "HalfMultinomialLoss": "MultinomialLogit"}
_OF_AMOUNTS = dict.fromkeys(
    ("HalfSquaredError", "AbsoluteError", "HuberLoss", "PinballLoss"), "IdentityLink"
)
"""Losses whose margin is what is declared: log-odds, or the amount itself."""


# -- one tree, and the mean of many ------------------------------------------------------------


def one_tree(tree: Any, player: Ints, n_players: int) -> Estimator:
    return _mean_of([tree], tree, player, n_players)


def forest(forest: Any, player: Ints, n_players: int) -> Estimator:
    return _mean_of(forest.estimators_, forest, player, n_players)


def _mean_of(trees: Sequence[Any], around: Any, player: Ints, n_players: int) -> Estimator:
    """Shares of the classes, meaned over the trees: of two classes that of the second."""
    classes = len(around.classes_)

    def form(at: int) -> Trees:
        return trees_of(
            [tree.tree_ for tree in trees],
            lambda tree: _share(tree, at) / len(trees),
            player,
            n_players,
            width=classes,
        )

    outputs = (1,) if outputs_of(around) == 1 else range(classes)
    return Estimator(tuple(map(form, outputs)), Space.PROBABILITY, probabilities(around))


def _share(tree: Any, at: int) -> Floats:
    """Share of one class in each node; it is normalised as predict_proba does it."""
    counts = np.asarray(tree.value[:, 0, :], dtype=np.float64)
    total = counts.sum(axis=1)
    total[total == 0] = 1.0
    return np.asarray(counts[:, at] / total)


def probabilities(classifier: Any) -> Callable[[Any], Floats]:
    """Of two classes the second's, else all of them."""
    if outputs_of(classifier) == 1:
        return lambda prepared: np.asarray(classifier.predict_proba(prepared)[:, 1])
    return lambda prepared: np.asarray(classifier.predict_proba(prepared))


def one_tree_of_amounts(tree: Any, player: Ints, n_players: int) -> Estimator:
    return _mean_amount([tree], tree, player, n_players)


def forest_of_amounts(forest: Any, player: Ints, n_players: int) -> Estimator:
    return _mean_amount(forest.estimators_, forest, player, n_players)


def _mean_amount(trees: Sequence[Any], around: Any, player: Ints, n_players: int) -> Estimator:
    form = trees_of(
        [tree.tree_ for tree in trees],
        lambda tree: tree.value[:, 0, 0] / len(trees),
        player,
        n_players,
        width=1,
    )
    return Estimator((form,), Space.AMOUNT, around.predict)


# -- gradient boosting -------------------------------------------------------------------------


def gradient_boosting(booster: Any, player: Ints, n_players: int) -> Estimator:
    outputs = outputs_of(booster)
    _check_log_loss(booster, outputs)
    forms = _boosted(booster, outputs, "DummyClassifier", player, n_players)
    return Estimator(forms, Space.LOG_ODDS, booster.decision_function)


def gradient_boosting_of_amounts(booster: Any, player: Ints, n_players: int) -> Estimator:
    _check_loss_of_amounts(booster)
    forms = _boosted(booster, 1, "DummyRegressor", player, n_players)
    return Estimator(forms, Space.AMOUNT, booster.predict)


def _boosted(
    booster: Any, outputs: int, start: str, player: Ints, n_players: int
) -> tuple[Trees, ...]:
    if not (isinstance(booster.init_, str) and booster.init_ == "zero") and (
        type(booster.init_).__name__ != start
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
    # it adds the answers of its trees up in as many columns as it starts from, unchecked
    if (
        not isinstance(booster.estimators_, np.ndarray)
        or booster.estimators_.ndim != 2
        or booster.estimators_.shape[1] != outputs
        or booster.n_trees_per_iteration_ != outputs
    ):
        raise damaged("The booster gives another count of numbers a row than it has classes.")
    start_at = np.asarray(booster._raw_predict_init(np.zeros((1, len(player)))))
    if start_at.shape != (1, outputs):
        raise damaged("The booster starts from another count of numbers than it has classes.")
    return tuple(
        trees_of(
            [tree.tree_ for tree in trees],
            lambda tree: float(booster.learning_rate) * tree.value[:, 0, 0],
            player,
            n_players,
            width=1,
            constant=float(constant),
        )
        for trees, constant in zip(booster.estimators_.T, start_at[0], strict=True)
    )


def _check_log_loss(booster: Any, outputs: int) -> None:
    """With another loss the margin is no log-odds; with the exponential one it is half of them."""
    loss = "HalfBinomialLoss" if outputs == 1 else "HalfMultinomialLoss"
    if booster.loss != "log_loss" or not _is_loss(booster, {loss: _OF_CLASSES[loss]}):
        raise ArtefactRefused(
            f"The booster was trained with loss {str(booster.loss)[:40]!r}; its margin is not the "
            "log-odds.",
            "model",
            'Train it with loss="log_loss".',
        )


def _check_loss_of_amounts(booster: Any) -> None:
    """With a loss of counts, say, the trees add up to the logarithm of the amount."""
    if not _is_loss(booster, _OF_AMOUNTS):
        raise ArtefactRefused(
            f"The booster was trained with loss {str(booster.loss)[:40]!r}; its trees do not add "
            "up to the amount.",
            "model",
            'Train it with loss="squared_error", "absolute_error" or "quantile".',
        )


def _is_loss(booster: Any, known: Mapping[str, str]) -> bool:
    loss = booster._loss
    return known.get(type(loss).__name__) == type(loss.link).__name__


def trees_of(
    trees: Sequence[Any],
    value_of: Callable[[Any], Floats],
    player: Ints,
    n_players: int,
    *,
    width: int,
    constant: float = 0.0,
) -> Trees:
    """The sum of trees whose nodes have the values `value_of` gives, shape (n_nodes,).

    scikit-learn narrows a value to float32 and compares it with a threshold in doubles. Raises
    ArtefactRefused unless every tree gives `width` numbers and points nowhere but into itself.
    """
    parts: dict[str, list[Any]] = {name: [] for name in ("left", "right", "column", "threshold")}
    parts |= {"value": [], "missing_left": []}
    roots, at = [], 0
    for tree in trees:
        n = len(tree.children_left)
        if tree.value.shape[:2] != (n, 1) or tree.value.shape[2] != width:
            raise damaged("A tree of the model gives another count of numbers than it should.")
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


def histogram_boosting(booster: Any, player: Ints, n_players: int) -> Estimator:
    outputs = outputs_of(booster)
    _check_log_loss(booster, outputs)
    forms, inner = _histograms(booster, outputs, player, n_players)
    return Estimator(forms, Space.LOG_ODDS, booster.decision_function, inner)


def histogram_boosting_of_amounts(booster: Any, player: Ints, n_players: int) -> Estimator:
    _check_loss_of_amounts(booster)
    forms, inner = _histograms(booster, 1, player, n_players)
    return Estimator(forms, Space.AMOUNT, booster.predict, inner)


def _histograms(
    booster: Any, outputs: int, player: Ints, n_players: int
) -> tuple[tuple[Trees, ...], Callable[[Floats], Floats] | None]:
    """A form for each output, and what rearranges the columns before the trees see them."""
    start_at = np.asarray(booster._baseline_prediction, dtype=np.float64).reshape(-1)
    if (
        booster.n_trees_per_iteration_ != outputs
        or len(start_at) != outputs
        or any(len(predictors) != outputs for predictors in booster._predictors)
    ):
        raise damaged("The booster gives another count of numbers a row than it has classes.")
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
    inner = (lambda prepared: _preprocessed(booster, prepared)) if rearranged else None
    return tuple(
        _histogram_trees(
            [predictors[at] for predictors in booster._predictors],
            columns,
            n_players,
            float(constant),
        )
        for at, constant in enumerate(start_at)
    ), inner


def _histogram_trees(
    predictors: Sequence[Any], columns: tuple[Column, ...], n_players: int, constant: float
) -> Trees:
    parts: dict[str, list[Any]] = {name: [] for name in ("left", "right", "column", "threshold")}
    parts |= {"value": [], "missing_left": [], "category_set": [], "unseen_missing": []}
    sets: list[tuple[int, ...]] = []
    roots, at = [], 0
    for predictor in predictors:
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
    return Trees(
        columns=columns,
        n_players=n_players,
        roots=np.array(roots),
        category_sets=tuple(sets),
        constant=constant,
        **whole,
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
