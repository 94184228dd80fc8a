"""The estimators of scikit-learn that are explained, each with our form of it.

Every one stands in `FORMS`; another one is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from explainer.core.attribution import Space
from explainer.errors import ArtefactRefused
from explainer.families import sklearn_trees
from explainer.families.engine.forest import Ints
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear
from explainer.families.sklearn_estimator import Estimator, damaged, outputs_of
from explainer.families.sklearn_trees import probabilities
from explainer.families.skops_file import objects_in


def classes_of(estimator: Any) -> tuple[str, ...]:
    """The classes of a fitted estimator in its own order; none where it gives an amount.

    Raises ArtefactRefused for an estimator that is not in FORMS, or knows one class only.
    """
    _check_known(estimator)
    if type(estimator).__name__ in AMOUNTS:
        return ()
    classes = tuple(str(each) for each in estimator.classes_)
    if len(classes) < 2:
        raise ArtefactRefused(
            "The model knows one class only.", "model", "Train it on cases of every class."
        )
    return classes


def estimator_of(estimator: Any, player: Ints, n_players: int) -> Estimator:
    """The form of a fitted estimator on columns that belong to `player`, shape (n_columns,).

    Raises ArtefactRefused for an estimator that is not in FORMS, or is not what it should be.
    """
    _check_known(estimator)
    if getattr(estimator, "n_features_in_", len(player)) != len(player):
        raise damaged("The model does not fit the columns it is given.")
    return FORMS[type(estimator).__name__](estimator, player, n_players)


def _check_known(estimator: Any) -> None:
    kind = type(estimator).__name__
    if kind not in FORMS:
        raise ArtefactRefused(
            f"The model is a {kind}.", "model", f"Explained are: {', '.join(FORMS)}."
        )
    if kind in AMOUNTS:
        weights = np.asarray(getattr(estimator, "coef_", 0.0))
        if getattr(estimator, "n_outputs_", 1) != 1 or (weights.ndim == 2 and len(weights) > 1):
            raise ArtefactRefused(
                "The model gives several amounts at once.", "model", "Train one model for each."
            )
    elif isinstance(estimator.classes_, list):
        raise ArtefactRefused(
            "The model gives several labels at once.", "model", "Train one model for each label."
        )


# -- linear ------------------------------------------------------------------------------------


def _logistic(estimator: Any, player: Ints, n_players: int) -> Estimator:
    outputs = outputs_of(estimator)
    if outputs > 1 and (
        estimator.solver == "liblinear" or getattr(estimator, "multi_class", None) == "ovr"
    ):
        # of an earlier scikit-learn; the present one would make other probabilities of it
        raise ArtefactRefused(
            "The model was trained class by class, each against all others.",
            "model.solver",
            'Train it again with solver="lbfgs", which weighs all classes together.',
        )
    return Estimator(
        _weights(estimator, outputs, player, n_players),
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
    if outputs_of(estimator) > 1:
        # each class was weighed against all others; its probabilities, made to add up to one, are
        # no function of a difference of margins
        return _by_answers(estimator, player, n_players)
    return Estimator(
        _weights(estimator, 1, player, n_players), Space.LOG_ODDS, estimator.decision_function
    )


def _weighted_amount(estimator: Any, player: Ints, n_players: int) -> Estimator:
    return Estimator(_weights(estimator, 1, player, n_players), Space.AMOUNT, estimator.predict)


def _weights(estimator: Any, outputs: int, player: Ints, n_players: int) -> tuple[Linear, ...]:
    weight = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    constant = np.asarray(estimator.intercept_, dtype=np.float64).reshape(-1)
    if weight.shape != (outputs, len(player)) or constant.shape not in ((1,), (outputs,)):
        raise damaged("The weights of the model do not fit its columns.")
    return tuple(
        Linear(player, row, float(start), n_players)
        for row, start in zip(weight, np.broadcast_to(constant, outputs), strict=True)
    )


# -- known by its answers only -----------------------------------------------------------------


def _by_answers(estimator: Any, player: Ints, n_players: int) -> Estimator:
    _check_inner_trees(estimator)
    return Estimator(
        (Function(player, n_players),) * outputs_of(estimator),
        Space.PROBABILITY,
        probabilities(estimator),
    )


def _by_mean(estimator: Any, player: Ints, n_players: int) -> Estimator:
    if estimator.voting != "soft":
        raise ArtefactRefused(
            "The models inside vote with one voice each: there is no score to explain.",
            "model.voting",
            'Train VotingClassifier with voting="soft".',
        )
    return _by_answers(estimator, player, n_players)


def _network(network: Any, player: Ints, n_players: int) -> Estimator:
    outputs = outputs_of(network)
    usual = ("logistic", 1) if outputs == 1 else ("softmax", outputs)
    if (network.out_activation_, network.n_outputs_) != usual:
        raise ArtefactRefused(
            "The network gives several labels at once.", "model", "Train one model for each label."
        )
    return _by_answers(network, player, n_players)


def _amount_by_answers(estimator: Any, player: Ints, n_players: int) -> Estimator:
    _check_inner_trees(estimator)
    return Estimator((Function(player, n_players),), Space.AMOUNT, estimator.predict)


def _amount_turned_back(estimator: Any, player: Ints, n_players: int) -> Estimator:
    """A model of the logarithm of an amount, say: what is asked is the amount itself, so that what
    features add to it is in its own unit."""
    step = estimator.transformer_
    kind = type(step).__name__
    plain = kind == "FunctionTransformer" and not step.kw_args and not step.inv_kw_args
    if not plain and kind not in _TURNED_BACK:
        raise ArtefactRefused(
            f"What {kind} makes of the amount is not known.",
            "model.transformer",
            f"Use a function of numpy, or one of these: {', '.join(sorted(_TURNED_BACK))}.",
        )
    return _amount_by_answers(estimator, player, n_players)


_TURNED_BACK = frozenset(
    {
        *("MaxAbsScaler", "MinMaxScaler", "PowerTransformer", "QuantileTransformer"),
        *("RobustScaler", "StandardScaler"),
    }
)


MOST_COLUMNS = 1_000_000


def _check_inner_trees(estimator: Any) -> None:
    """Look at every tree inside, each against the columns the model around it is asked with:
    scikit-learn walks them unchecked. A tree that belongs to no model we know is refused."""
    things = list(objects_in(estimator))
    known = {**_OF_TREES, **_AMOUNTS_OF_TREES}
    looked_at: set[int] = set()
    for thing in things:
        kind = type(thing).__name__
        if kind not in known or not vars(thing).keys() & _FITTED:
            continue  # what was trained from, beside what was trained
        # without this number scikit-learn would not compare it with what it is given
        n = vars(thing).get("n_features_in_")
        if type(n) is not int or not 0 < n <= MOST_COLUMNS:
            raise damaged("A model inside does not say how many columns it takes.")
        known[kind](thing, np.zeros(n, dtype=np.int64), 1)
        looked_at |= {id(tree) for tree in _trees_of(thing)}
    for thing in things:
        if type(thing).__name__ in ("Tree", "TreePredictor") and id(thing) not in looked_at:
            raise damaged("A tree of the model belongs to no model that is known.")


_FITTED = frozenset({"tree_", "estimators_", "_predictors"})


def _trees_of(estimator: Any) -> list[Any]:
    if hasattr(estimator, "tree_"):
        return [estimator.tree_]
    if hasattr(estimator, "_predictors"):
        return [predictor for predictors in estimator._predictors for predictor in predictors]
    return [each.tree_ for each in np.asarray(estimator.estimators_, dtype=object).ravel()]


_OF_TREES: Mapping[str, Callable[[Any, Ints, int], Estimator]] = {
    "DecisionTreeClassifier": sklearn_trees.one_tree,
    "ExtraTreeClassifier": sklearn_trees.one_tree,
    "RandomForestClassifier": sklearn_trees.forest,
    "ExtraTreesClassifier": sklearn_trees.forest,
    "GradientBoostingClassifier": sklearn_trees.gradient_boosting,
    "HistGradientBoostingClassifier": sklearn_trees.histogram_boosting,
}

_AMOUNTS_OF_TREES: Mapping[str, Callable[[Any, Ints, int], Estimator]] = {
    "DecisionTreeRegressor": sklearn_trees.one_tree_of_amounts,
    "ExtraTreeRegressor": sklearn_trees.one_tree_of_amounts,
    "RandomForestRegressor": sklearn_trees.forest_of_amounts,
    "ExtraTreesRegressor": sklearn_trees.forest_of_amounts,
    "GradientBoostingRegressor": sklearn_trees.gradient_boosting_of_amounts,
    "HistGradientBoostingRegressor": sklearn_trees.histogram_boosting_of_amounts,
}

AMOUNTS: Mapping[str, Callable[[Any, Ints, int], Estimator]] = {
    "LinearRegression": _weighted_amount,
    "Ridge": _weighted_amount,
    "RidgeCV": _weighted_amount,
    "Lasso": _weighted_amount,
    "LassoCV": _weighted_amount,
    "ElasticNet": _weighted_amount,
    "ElasticNetCV": _weighted_amount,
    "HuberRegressor": _weighted_amount,
    **_AMOUNTS_OF_TREES,
    "MLPRegressor": _amount_by_answers,
    "VotingRegressor": _amount_by_answers,
    "StackingRegressor": _amount_by_answers,
    "TransformedTargetRegressor": _amount_turned_back,
}
"""Those that give an amount."""

FORMS: Mapping[str, Callable[[Any, Ints, int], Estimator]] = {
    "LogisticRegression": _logistic,
    "LogisticRegressionCV": _logistic,
    "SGDClassifier": _stochastic,
    **_OF_TREES,
    "MLPClassifier": _network,
    "CalibratedClassifierCV": _by_answers,
    "VotingClassifier": _by_mean,
    "StackingClassifier": _by_answers,
    **AMOUNTS,
}
