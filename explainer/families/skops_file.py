"""Opening a skops file: our own list of what may stand in it, read before anything is parsed.

A skops file describes objects by the names of their types. Only types on our lists are let
through, whatever skops itself trusts; of scikit-learn it would trust every estimator.
"""

from __future__ import annotations

import functools
import inspect
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import sklearn.utils
from sklearn.utils.validation import check_array

from explainer.errors import ArtefactRefused

# To know the names of all estimators skops imports all of scikit-learn, for half a second at every
# start. We trust by our own list, so that it need not know any.
_all_estimators = sklearn.utils.all_estimators
sklearn.utils.all_estimators = lambda *_, **__: []
try:
    import skops.io
    from skops.io._protocol import PROTOCOL
finally:
    sklearn.utils.all_estimators = _all_estimators

LARGEST_UNPACKED = 1024 * 1024 * 1024
LARGEST_SCHEMA = 512 * 1024 * 1024
DEEPEST = 200
MOST_OBJECTS = 5_000_000

ASKED_FOR = frozenset({"predict_proba", "decision_function", "predict"})
"""What a model made of models may ask of the inner ones."""

_CHECKED_WITH = frozenset(
    {"accept_sparse", "dtype", "ensure_2d", "ensure_all_finite", "force_all_finite"}
)

_OF_ONE_NUMBER = frozenset(
    f"numpy.{name}"
    for name in ("absolute", "cbrt", "exp", "expm1", "log", "log10", "log1p", "log2", "sqrt")
)

_OF_FUNCTIONS = frozenset({"FunctionTransformer", "TransformedTargetRegressor"})
"""Kinds that hold one of them: for a column, and for the amount that was learned."""

_PLAIN: Mapping[str, frozenset[str]] = {
    "DictNode": frozenset({"builtins.dict", "sklearn.utils._bunch.Bunch"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple", "sklearn.impute._iterative._ImputerTriplet"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "JsonNode": frozenset({"builtins.str"}),
    # an element type: a description of bytes, which runs nothing
    "DTypeNode": frozenset({"numpy.dtype"}),
    "TypeNode": frozenset(
        {"builtins.str", "builtins.int", "builtins.float", "numpy.float64", "numpy.float32"}
        | {"builtins.object", "numpy.str_", "numpy.number"}
    ),
    "NdArrayNode": frozenset(
        {
            "numpy.ndarray",
            "numpy.str_",
            "numpy.float64",
            "numpy.float32",
            "numpy.int64",
            "numpy.int32",
        }
        | {"numpy.uint64", "numpy.uint32", "numpy.bool", "numpy.bool_", "numpy.str_"}
    ),
    # node indices are used unchecked by scikit-learn; whoever opens a model looks at every one
    # before the model is asked anything
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    # histogram boosting with categories holds its own check of what it is given; of all functions
    # this one, which looks at an array; and numpy's of one number
    "FunctionNode": frozenset({"sklearn.utils.validation.check_array", *_OF_ONE_NUMBER}),
    "PartialNode": frozenset({"functools.partial"}),
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
    "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),
    "LossNode": frozenset(
        {
            "sklearn._loss._loss.CyAbsoluteError",
            "sklearn._loss._loss.CyExponentialLoss",
            "sklearn._loss._loss.CyHalfBinomialLoss",
            "sklearn._loss._loss.CyHalfMultinomialLoss",
            "sklearn._loss._loss.CyHalfSquaredError",
            "sklearn._loss._loss.CyHuberLoss",
            "sklearn._loss._loss.CyPinballLoss",
        }
    ),
}

_OBJECTS = frozenset(
    {
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.AbsoluteError",
        "sklearn._loss.loss.ExponentialLoss",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss.loss.HuberLoss",
        "sklearn._loss.loss.PinballLoss",
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.compose._column_transformer.ColumnTransformer",
        # what chose columns in training; a fitted transformer holds what it chose
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.compose._target.TransformedTargetRegressor",
        "sklearn.decomposition._pca.PCA",
        "sklearn.decomposition._truncated_svd.TruncatedSVD",
        "sklearn.dummy.DummyClassifier",
        "sklearn.dummy.DummyRegressor",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.ExtraTreesRegressor",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._forest.RandomForestRegressor",
        "sklearn.ensemble._gb.GradientBoostingClassifier",
        "sklearn.ensemble._gb.GradientBoostingRegressor",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._stacking.StackingClassifier",
        "sklearn.ensemble._stacking.StackingRegressor",
        "sklearn.ensemble._voting.VotingClassifier",
        "sklearn.ensemble._voting.VotingRegressor",
        "sklearn.feature_selection._variance_threshold.VarianceThreshold",
        "sklearn.impute._base.MissingIndicator",
        "sklearn.impute._base.SimpleImputer",
        "sklearn.impute._iterative.IterativeImputer",
        "sklearn.impute._knn.KNNImputer",
        "sklearn.isotonic.IsotonicRegression",
        "sklearn.linear_model._base.LinearRegression",
        "sklearn.linear_model._bayes.BayesianRidge",
        "sklearn.linear_model._coordinate_descent.ElasticNet",
        "sklearn.linear_model._coordinate_descent.ElasticNetCV",
        "sklearn.linear_model._coordinate_descent.Lasso",
        "sklearn.linear_model._coordinate_descent.LassoCV",
        "sklearn.linear_model._huber.HuberRegressor",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._logistic.LogisticRegressionCV",
        "sklearn.linear_model._ridge.Ridge",
        "sklearn.linear_model._ridge.RidgeCV",
        "sklearn.linear_model._stochastic_gradient.SGDClassifier",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.neural_network._multilayer_perceptron.MLPRegressor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        # how rows were parted in training
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.pipeline.FeatureUnion",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.Binarizer",
        "sklearn.preprocessing._data.MaxAbsScaler",
        "sklearn.preprocessing._data.MinMaxScaler",
        "sklearn.preprocessing._data.Normalizer",
        "sklearn.preprocessing._data.PowerTransformer",
        "sklearn.preprocessing._data.QuantileTransformer",
        "sklearn.preprocessing._data.RobustScaler",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._discretization.KBinsDiscretizer",
        "sklearn.preprocessing._encoders.OneHotEncoder",
        "sklearn.preprocessing._encoders.OrdinalEncoder",
        "sklearn.preprocessing._function_transformer.FunctionTransformer",
        "sklearn.preprocessing._label.LabelBinarizer",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.preprocessing._polynomial.PolynomialFeatures",
        "sklearn.preprocessing._target_encoder.TargetEncoder",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.DecisionTreeRegressor",
        "sklearn.tree._classes.ExtraTreeClassifier",
        "sklearn.tree._classes.ExtraTreeRegressor",
    }
)

ALLOWED: Mapping[str, frozenset[str]] = {**_PLAIN, "ObjectNode": _OBJECTS}
"""By the loader skops names for it: the types that may stand in a file."""


_INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(
        ("HalfGammaLoss", "HalfPoissonLoss", "GammaRegressor", "PoissonRegressor"),
        "What its features add up to is the logarithm of the amount. Train with a loss of the "
        'amount itself, such as loss="squared_error"; or put a TransformedTargetRegressor around a '
        "model of the logarithm: it is asked for the amount.",
    ),
    **dict.fromkeys(
        ("NuSVC", "NuSVR", "SVC", "SVR"),
        "The library of support vectors trusts the sizes a file states. Train trees or a linear "
        "model; or convert the pipeline to ONNX.",
    ),
    **dict.fromkeys(
        ("CountVectorizer", "HashingVectorizer", "TfidfTransformer", "TfidfVectorizer"),
        "A feature is a number or a choice; free text is none. Make choices of the text before the "
        "pipeline, and train on those.",
    ),
}
"""By type: why a model that is often met is not loaded, and the way out."""

_INTERPOLATED = frozenset({"X_thresholds_", "y_thresholds_"})


def load(data: bytes) -> Any:
    """The object in a skops file. Raises ArtefactRefused for whatever is not on our lists."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            size = sum(info.file_size for info in members)
            described = archive.getinfo("schema.json").file_size
            whole = size <= LARGEST_UNPACKED and described <= LARGEST_SCHEMA
            schema = json.loads(archive.read("schema.json")) if whole else None
            strange = sorted(_strange(schema)) if whole else []
            known = whole and _is_current(schema)
    except Exception:
        # a crafted archive raises more than BadZipFile: bad names, unknown versions, no schema
        raise ArtefactRefused(
            "This is not a skops file.",
            "model",
            "Save the fitted pipeline with skops.io.dump.",
        ) from None
    if not whole:
        raise ArtefactRefused(
            "Unpacked, the model would be too large.", "model", "Use a smaller model."
        )
    if not known:
        raise ArtefactRefused(
            "The model was saved by another generation of skops.",
            "model",
            f"Save it again with skops.io.dump of skops {skops.__version__}.",
        )
    if strange:
        raise ArtefactRefused(
            f"The model holds types that are not loaded: {', '.join(strange[:20])[:1000]}.",
            "model",
            _way_out(strange),
        )
    try:
        model = skops.io.loads(data, trusted=sorted(set().union(*ALLOWED.values())))
    except Exception as fault:
        raise ArtefactRefused(
            f"The model could not be read ({type(fault).__name__}).",
            "model",
            "Save it again with skops.io.dump, with the versions the manifest names.",
        ) from None
    _make_harmless(model)
    return model


def objects_in(model: object) -> Iterator[Any]:
    """Every object of a loaded model once: attributes, members and items, wherever they stand."""
    seen: set[int] = set()
    todo: list[Any] = [model]
    while todo:
        thing = todo.pop()
        if thing is None or isinstance(thing, str | bytes | int | float | np.generic | type):
            continue
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if len(seen) > MOST_OBJECTS:
            raise _harmful("The model is made of too many objects.")
        yield thing
        if isinstance(thing, dict):
            todo += thing.keys()
            todo += thing.values()
        elif isinstance(thing, list | tuple):
            todo += thing
        elif isinstance(thing, np.ndarray):
            if thing.dtype == object:
                todo += thing.ravel().tolist()
        elif isinstance(thing, functools.partial):
            todo += [*thing.args, *thing.keywords.values()]
        todo += getattr(thing, "__dict__", {}).values()


def _make_harmless(model: object) -> None:
    """Take from a loaded model whatever could make it do more than compute.

    The types of a file being known does not make its attributes so: scikit-learn calls methods by
    names that stand in attributes, reads back what it once stored in a folder, and starts
    processes.
    """
    for thing in objects_in(model):
        if isinstance(thing, functools.partial):
            _check_partial(thing)
        if not type(thing).__module__.startswith("sklearn."):
            continue
        attributes = getattr(thing, "__dict__", {})
        for name, value in attributes.items():
            _check_attribute(thing, name, value)
        if "n_jobs" in attributes:
            thing.n_jobs = None  # answers are the same; a model starts no process
        if "verbose" in attributes:
            thing.verbose = 0


def _check_attribute(thing: object, name: str, value: object) -> None:
    kind_of: Any = type(thing)  # mypy takes a type for something that cannot be hashed
    kind = kind_of.__name__
    where = f"{kind}.{name}"
    if where == "IsotonicRegression.f_" and vars(thing).keys() >= _INTERPOLATED:
        return  # scikit-learn has just made it itself, of these
    if _is_taken(kind_of, name) or name.startswith("__"):
        raise _harmful(f"{where} stands in the place of what scikit-learn does there.")
    if name == "memory" and value is not None:
        raise _harmful(f"{where} names a folder that stored programs would be read from.")
    if name == "stack_method_" and not _only_asks(value):
        raise _harmful(f"{where} names more than {', '.join(sorted(ASKED_FOR))}.")
    if ("callback" in name or name in ("kw_args", "inv_kw_args")) and value:
        raise _harmful(f"{where} is not empty.")
    if name == "sample_posterior" and value:
        raise _harmful(f"{where} leaves to chance what is put in the place of a missing value.")
    if inspect.isroutine(value):
        raise _harmful(f"{where} is a function.")
    if isinstance(value, functools.partial) and (kind, name) != ("FunctionTransformer", "func"):
        raise _harmful(f"{where} is a function.")
    of_one_number = kind in _OF_FUNCTIONS and name in ("func", "inverse_func")
    if isinstance(value, np.ufunc) and not of_one_number:
        raise _harmful(f"{where} is a function.")
    if name in ("func", "inverse_func") and not (
        value is None or isinstance(value, functools.partial | np.ufunc)
    ):
        raise _harmful(f"{where} is not known.")


@functools.cache
def _is_taken(kind: Any, name: str) -> bool:
    """Whether the class itself has a method or property of this name."""
    own = inspect.getattr_static(kind, name, None)
    return callable(own) or hasattr(own, "__get__")


def _only_asks(methods: object) -> bool:
    return isinstance(methods, list | tuple) and all(
        isinstance(method, str) and method in ASKED_FOR for method in methods
    )


def _check_partial(function: functools.partial[Any]) -> None:
    if (
        function.func is not check_array
        or function.args
        or vars(function)
        or not set(function.keywords) <= _CHECKED_WITH
    ):
        raise _harmful("A function of the model is not the one scikit-learn checks arrays with.")


def _harmful(what: str) -> ArtefactRefused:
    return ArtefactRefused(
        what, "model", "Fit the pipeline anew, without it, and save it with skops.io.dump."
    )


def _strange(schema: object) -> set[str]:
    """Types that are on no list, by name; a description that nests too deep is strange itself."""
    return {
        f"{node.get('__module__')}.{node.get('__class__')}"
        for node in _nodes(schema)
        if not _allowed(node)
    }


def _way_out(strange: Iterable[str]) -> str:
    known = [_INSTEAD[kind] for name in strange if (kind := name.rpartition(".")[2]) in _INSTEAD]
    return known[0] if known else "Use the pipeline steps and models the documentation names."


def _is_current(schema: Any) -> bool:
    """Earlier protocols read the same description otherwise: names would stand where we do not
    look."""
    return type(schema["protocol"]) is int and schema["protocol"] == PROTOCOL


def _allowed(node: Mapping[str, Any]) -> bool:
    loader = node.get("__loader__")
    if loader == "CachedNode":
        return True  # it only points at another node of this file
    if loader == "FunctionNode" and "content" in node:
        return False  # a second name beside the one that is looked at
    names = ALLOWED.get(str(loader), frozenset())
    return f"{node.get('__module__')}.{node.get('__class__')}" in names


def _nodes(schema: object) -> Iterator[Mapping[str, Any]]:
    """Everything that says of itself what type it is, wherever it stands."""
    todo: list[tuple[object, int]] = [(schema, 0)]
    while todo:
        thing, depth = todo.pop()
        if depth > DEEPEST:
            raise ValueError("nested too deep")
        if isinstance(thing, dict):
            if "__class__" in thing or "__loader__" in thing:
                yield thing
            todo += [(inner, depth + 1) for inner in thing.values()]
        elif isinstance(thing, list):
            todo += [(inner, depth + 1) for inner in thing]
