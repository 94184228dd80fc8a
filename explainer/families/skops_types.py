"""What may stand in a skops file: types, functions and settings by name, and nothing else.

This is the list an auditor reads; `skops_file` holds a file against it before anything is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping

ASKED_FOR = frozenset({"predict_proba", "decision_function", "predict"})
"""What a model made of models may ask of the inner ones."""

CHECKED_WITH = frozenset(
    {"accept_sparse", "dtype", "ensure_2d", "ensure_all_finite", "force_all_finite"}
)

OF_ONE_NUMBER = frozenset(
    f"numpy.{name}"
    for name in ("absolute", "cbrt", "exp", "expm1", "log", "log10", "log1p", "log2", "sqrt")
)

OF_FUNCTIONS = frozenset({"FunctionTransformer", "TransformedTargetRegressor"})
"""Kinds that hold one of them: for a column, and for the amount that was learned."""

PLAIN: Mapping[str, frozenset[str]] = {
    "DictNode": frozenset({"builtins.dict", "sklearn.utils._bunch.Bunch"}),
    "ListNode": frozenset({"builtins.list"}),
    "SetNode": frozenset({"builtins.set"}),
    "TupleNode": frozenset({"builtins.tuple", "sklearn.impute._iterative._ImputerTriplet"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "JsonNode": frozenset({"builtins.str"}),
    # an element type: a description of bytes, which runs nothing
    "DTypeNode": frozenset({"numpy.dtype"}),
    "TypeNode": frozenset(
        {"builtins.str", "builtins.int", "builtins.float", "numpy.float64", "numpy.float32"}
        | {"builtins.object", "numpy.str_", "numpy.number"}
        # of classes that are numbers, or yes and no
        | {"numpy.int64", "numpy.int32", "numpy.bool", "numpy.bool_"}
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
    # this one, which looks at an array; and numpy's of one number. A curve of scipy holds its own
    # name for numpy's asarray, and is made anew before it is asked
    "FunctionNode": frozenset(
        {
            "sklearn.utils.validation.check_array",
            "scipy._lib.array_api_compat.numpy._aliases.asarray",
            *OF_ONE_NUMBER,
        }
    ),
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

CURVES = frozenset({"scipy.interpolate._bsplines.BSpline", "scipy.interpolate._bsplines._BSpline"})
"""Curves of scipy; since 1.18 one holds another that knows them."""

OBJECTS = frozenset(
    {
        *CURVES,
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
        "sklearn.frozen._frozen.FrozenEstimator",
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
        "sklearn.preprocessing._polynomial.SplineTransformer",
        "sklearn.preprocessing._target_encoder.TargetEncoder",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.DecisionTreeRegressor",
        "sklearn.tree._classes.ExtraTreeClassifier",
        "sklearn.tree._classes.ExtraTreeRegressor",
    }
)

ALLOWED: Mapping[str, frozenset[str]] = {**PLAIN, "ObjectNode": OBJECTS}
"""By the loader skops names for it: the types that may stand in a file."""


INSTEAD: Mapping[str, str] = {
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
    **dict.fromkeys(
        ("GridSearchCV", "HalvingGridSearchCV", "HalvingRandomSearchCV", "RandomizedSearchCV"),
        "This is the search for a model, with all it tried. Save the model it found: "
        "search.best_estimator_.",
    ),
    **dict.fromkeys(
        ("FixedThresholdClassifier", "TunedThresholdClassifierCV"),
        "The line is drawn in the manifest, under suggestion.threshold. Save the model without it: "
        "its estimator_ (of TunedThresholdClassifierCV) or estimator.",
    ),
    **dict.fromkeys(
        ("OneVsOneClassifier", "OneVsRestClassifier", "OutputCodeClassifier"),
        "It asks for each class against others: what it gives for two classes does not say how "
        "much likelier the one is than the other. Train a model that weighs all classes together, "
        "such as LogisticRegression or a forest.",
    ),
    **dict.fromkeys(
        ("RFE", "RFECV", "SelectFromModel", "SelectKBest", "SelectPercentile"),
        "Choose the columns before the pipeline, and train on those that were chosen.",
    ),
    **dict.fromkeys(
        (
            *("XGBClassifier", "XGBRegressor", "LGBMClassifier", "LGBMRegressor"),
            *("CatBoostClassifier", "CatBoostRegressor"),
        ),
        "It holds a model of another library. XGBoost, LightGBM and CatBoost take gaps and choices "
        "themselves: train it on the features as they are and save it in its own format; or "
        "convert the pipeline to ONNX.",
    ),
    "<lambda>": "A function of one's own is a program, and never loaded. Use one of numpy's that "
    "the documentation names, or compute the column before the pipeline.",
}
"""By type: why a model that is often met is not loaded, and the way out."""

INTERPOLATED = frozenset({"X_thresholds_", "y_thresholds_"})
