"""Opening a skops file: our own list of what may stand in it, read before anything is parsed.

A skops file describes objects by the names of their types. Only types on our lists are let
through, whatever skops itself trusts; of scikit-learn it would trust every estimator.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import sklearn.utils

from explainer.errors import ArtefactRefused

# To know the names of all estimators skops imports all of scikit-learn, for half a second at every
# start. We trust by our own list, so that it need not know any.
_all_estimators = sklearn.utils.all_estimators
sklearn.utils.all_estimators = lambda *_, **__: []
try:
    import skops.io
finally:
    sklearn.utils.all_estimators = _all_estimators

LARGEST_UNPACKED = 1024 * 1024 * 1024
LARGEST_SCHEMA = 512 * 1024 * 1024
DEEPEST = 200

_PLAIN: Mapping[str, frozenset[str]] = {
    "DictNode": frozenset({"builtins.dict", "sklearn.utils._bunch.Bunch"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "JsonNode": frozenset({"builtins.str"}),
    # an element type: a description of bytes, which runs nothing
    "DTypeNode": frozenset({"numpy.dtype"}),
    "TypeNode": frozenset(
        {"builtins.str", "builtins.int", "builtins.float", "numpy.float64", "numpy.float32"}
        | {"builtins.object"}
    ),
    "NdArrayNode": frozenset(
        {"numpy.ndarray", "numpy.float64", "numpy.float32", "numpy.int64", "numpy.int32"}
        | {"numpy.uint64", "numpy.uint32", "numpy.bool", "numpy.bool_"}
    ),
    # node indices are used unchecked by scikit-learn; whoever opens a model looks at every one
    # before the model is asked anything
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    # histogram boosting with categories holds its own check of what it is given; of all functions
    # this one, which looks at an array
    "FunctionNode": frozenset({"sklearn.utils.validation.check_array"}),
    "PartialNode": frozenset({"functools.partial"}),
    "RandomStateNode": frozenset({"numpy.random.mtrand.RandomState"}),
    "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),
    "LossNode": frozenset(
        {
            "sklearn._loss._loss.CyExponentialLoss",
            "sklearn._loss._loss.CyHalfBinomialLoss",
            "sklearn._loss._loss.CyHalfMultinomialLoss",
        }
    ),
}

_OBJECTS = frozenset(
    {
        "sklearn.pipeline.Pipeline",
        "sklearn.compose._column_transformer.ColumnTransformer",
        "sklearn.impute._base.SimpleImputer",
        "sklearn.impute._base.MissingIndicator",
        "sklearn.preprocessing._data.MaxAbsScaler",
        "sklearn.preprocessing._data.MinMaxScaler",
        "sklearn.preprocessing._data.RobustScaler",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.preprocessing._encoders.OneHotEncoder",
        "sklearn.preprocessing._encoders.OrdinalEncoder",
        "sklearn.preprocessing._function_transformer.FunctionTransformer",
        "sklearn.preprocessing._label.LabelEncoder",
        "sklearn.dummy.DummyClassifier",
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._gb.GradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._stacking.StackingClassifier",
        "sklearn.ensemble._voting.VotingClassifier",
        "sklearn.isotonic.IsotonicRegression",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._logistic.LogisticRegressionCV",
        "sklearn.linear_model._stochastic_gradient.SGDClassifier",
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.preprocessing._data.PowerTransformer",
        "sklearn.preprocessing._data.QuantileTransformer",
        "sklearn.preprocessing._discretization.KBinsDiscretizer",
        "sklearn.preprocessing._label.LabelBinarizer",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.DecisionTreeRegressor",
        "sklearn.tree._classes.ExtraTreeClassifier",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.HalfLogitLink",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.link.MultinomialLogit",
        "sklearn._loss.loss.ExponentialLoss",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn._loss.loss.HalfMultinomialLoss",
    }
)

ALLOWED: Mapping[str, frozenset[str]] = {**_PLAIN, "ObjectNode": _OBJECTS}
"""By the loader skops names for it: the types that may stand in a file."""


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
    if strange:
        raise ArtefactRefused(
            f"The model holds types that are not loaded: {', '.join(strange[:20])[:1000]}.",
            "model",
            "Use the pipeline steps and models the documentation names.",
        )
    try:
        return skops.io.loads(data, trusted=sorted(set().union(*ALLOWED.values())))
    except Exception as fault:
        raise ArtefactRefused(
            f"The model could not be read ({type(fault).__name__}).",
            "model",
            "Save it again with skops.io.dump, with the versions the manifest names.",
        ) from None


def _strange(schema: object) -> set[str]:
    """Types that are on no list, by name; a description that nests too deep is strange itself."""
    return {
        f"{node.get('__module__')}.{node.get('__class__')}"
        for node in _nodes(schema)
        if not _allowed(node)
    }


def _allowed(node: Mapping[str, Any]) -> bool:
    loader = node.get("__loader__")
    if loader == "CachedNode":
        return True  # it only points at another node of this file
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
