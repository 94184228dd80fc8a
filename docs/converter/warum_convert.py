"""Carry a model from where it was trained to Warum: its own file, and what has to be known of it.

This one file goes where the model was trained; it needs Python 3.9 and the library of the model.

    python warum_convert.py MODEL ROWS.csv OUT --positive CLASS

MODEL is a file of XGBoost (.ubj, .json), LightGBM (.txt), CatBoost (.cbm), or your own .joblib or
.pkl of one of these or of a scikit-learn pipeline. ROWS.csv has a column for each input of the
model, by name; an empty cell is a missing value, other columns are left alone. One of these may say
for how many applications a row stands (--weights COLUMN). Or from a notebook:

    from warum_convert import convert
    convert(model, frame, "out", positive_class="yes")

Of a model for two classes say which one its score is for (--positive); one for more classes, or for
an amount, is known by itself.

Then `warum package new DIR --converted OUT` makes a package of the folder.

A .joblib or .pkl file is a program: loading it runs it. Here that is your own program in your own
environment, where it ran before. Warum itself never loads one, and this file writes none.

Part of Warum, EUPL 1.2. It sends nothing anywhere.
"""

# One file on purpose, long as it is: it is carried to a machine where nothing of Warum is
# installed, and whoever lets it in reads it from top to bottom.

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.metadata
import json
import math
import os
import platform
import random
import re
import sys
import warnings

FACTS = "warum.converted/1"
BINARY, MULTICLASS, AMOUNT = "binary", "multiclass", "amount"

LOG_ODDS = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "SGDClassifier",
    "GradientBoostingClassifier",
    "HistGradientBoostingClassifier",
)
"""Estimators of scikit-learn whose margin is their decision_function; of others it is the
probability of the second class, or of each of several."""

LINEAR = (
    *("LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV"),
    "HuberRegressor",
)
"""Estimators of scikit-learn whose amount is a weighted sum."""

TRAINED_FOR = {
    "xgboost": {
        BINARY: ("binary:logistic", "binary:logitraw"),
        MULTICLASS: ("multi:softprob", "multi:softmax"),
        AMOUNT: (
            *("reg:squarederror", "reg:linear", "reg:absoluteerror", "reg:pseudohubererror"),
            *("reg:quantileerror", "reg:squaredlogerror"),
        ),
    },
    "lightgbm": {
        BINARY: ("binary",),
        MULTICLASS: ("multiclass",),
        AMOUNT: ("regression", "regression_l1", "huber", "fair", "quantile", "mape"),
    },
    "catboost": {
        BINARY: ("Logloss", "CrossEntropy"),
        MULTICLASS: ("MultiClass",),
        AMOUNT: ("RMSE", "MAE", "Quantile", "MAPE", "Huber", "LogCosh", "Lq", "Expectile"),
    },
}
"""Objectives whose raw score is log-odds, or the amount itself."""

FEWEST_ROWS = 80
"""Thirty to compare with and fifty recorded cases: Warum asks for no fewer."""

FEWEST_TO_COMPARE = 30
"""Rows with weights must be worth as many: (sum of weights)^2 / sum of their squares."""

LIGHTEST = 1e-9
"""Beside the heaviest row; a lighter one is as good as left out."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
CHOICE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class Refused(Exception):
    """What cannot be converted, and the way out, in words."""


def convert(
    model,
    frame,
    out,
    positive_class=None,
    negative_class=None,
    background=300,
    golden=60,
    seed=1,
    linear_json=False,
    classes=None,
    onnx=None,
    weights=None,
):
    """Write model, comparison group, recorded cases and facts into the folder `out`.

    Parameters
    ----------
    model : a fitted Pipeline, classifier or regressor of scikit-learn, or a model of XGBoost,
        LightGBM or CatBoost: for two classes, for several, or for an amount
    frame : pandas.DataFrame with a column for each input; categories as in training
    positive_class : of two classes the second, for which the model's margin stands
    negative_class : the first, where the model does not name its classes
    classes : of several classes their names, in the order of the model, where it does not name them
    background, golden : how many rows are drawn to compare with, and to record
    onnx : an ONNX file made of the model; it becomes the package's, and what it is compared with
        is what the model itself says here
    weights : for how many applications each row of `frame` stands, where that differs, as in a
        stratified sample: the name of a column, or a number for each row. Only ratios count. Rows
        are drawn alike and take their weights along

    Returns the facts that are written to facts.json.
    """
    if os.path.isdir(out) and os.listdir(out):
        raise Refused(f"{out} is not empty. Name a folder that does not exist yet.")
    kind = _kind(model, linear_json)
    if onnx is not None:
        kind = _Onnx(kind, onnx)
    kind.check_rows(frame)
    classes = _classes(kind, positive_class, negative_class, classes)
    inputs = [_input(kind, frame, name) for name in kind.names]
    _check_names(inputs)
    weight_name, weights = _weights(kind, frame, weights)
    compared, recorded = _drawn(frame, inputs, background, golden, seed)
    facts = {
        "schema": FACTS,
        "format": kind.format,
        "file": kind.file,
        "kind": kind.task,
        "space": kind.space,
        "classes": classes,
        "trained_with": _versions(kind.libraries),
        "inputs": inputs,
    }
    rows = frame.iloc[compared]
    margins = _margins(kind, rows, classes)
    weights = None if weights is None else weights[compared]
    facts.update(_figures(margins, len(frame), seed, weights))
    if weights is not None:
        facts["weight"] = weight_name
    cases = frame.iloc[recorded]
    lines = _recorded(model, kind, cases, inputs, classes)
    os.makedirs(os.path.join(out, "golden"), exist_ok=True)
    kind.save(os.path.join(out, kind.file), frame)
    with open(os.path.join(out, "background.csv"), "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*kind.names, *([] if weights is None else [weight_name])])
        for at, values in enumerate(_values(kind, rows, inputs)):
            cells = ["" if v is None else v for v in values.values()]
            writer.writerow([*cells, *([] if weights is None else [float(weights[at])])])
    with open(os.path.join(out, "golden", "cases.jsonl"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    # last: a folder without facts is not finished
    with open(os.path.join(out, "facts.json"), "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
        file.write("\n")
    return facts


# -- kinds of models ----------------------------------------------------------------------------


def _kind(model, linear_json):
    module, name = type(model).__module__.split(".")[0], type(model).__name__
    if module == "xgboost":
        return _XGBoost(model)
    if module == "lightgbm":
        return _LightGBM(model)
    if module == "catboost":
        return _CatBoost(model)
    if module == "sklearn" and linear_json:
        return _Linear(model)
    if module == "sklearn":
        return _Sklearn(model)
    raise Refused(
        f"The model is a {type(model).__module__}.{name}. Converted are models of scikit-learn, "
        "XGBoost, LightGBM and CatBoost."
    )


def _trained_for(library, objective):
    """Of which kind an answer is: by its objective, because of others the score is something
    else."""
    known = TRAINED_FOR[library]
    for task, names in known.items():
        if objective in names:
            return task
    raise Refused(
        f"The model was trained with objective {objective!r}, whose score is neither log-odds nor "
        f"an amount. Converted are: {', '.join(name for each in known.values() for name in each)}."
    )


def _space(task):
    return "amount" if task == AMOUNT else "log-odds"


class _XGBoost:
    format, file = "xgboost-ubj", "model.ubj"
    libraries = ("xgboost", "xgboost-cpu")

    def __init__(self, model):
        self._model = model
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        # before anything else: part of a booster no longer knows the names of its categories
        whole = json.loads(bytes(booster.save_raw("json")))
        if hasattr(booster, "best_iteration") or booster.attr("best_iteration") is not None:
            # rounds after the best one are in the file, and the interfaces differ in using them
            best = int(booster.attr("best_iteration") or booster.best_iteration)
            booster = booster[: best + 1]
            booster.set_attr(best_iteration=None)
        marked = getattr(model, "missing", float("nan"))
        if marked is not None and not math.isnan(marked):
            booster.set_attr(missing=repr(float(marked)))
        self._booster = booster
        said = booster.attr("missing")
        self._missing = float("nan") if said is None else float(said)
        self.names = list(booster.feature_names or ())
        types = booster.feature_types or ["q"] * len(self.names)
        self.task = _trained_for("xgboost", whole["learner"]["objective"]["name"])
        self.space = _space(self.task)
        self.outputs = int(whole["learner"]["learner_model_param"]["num_class"] or 0)
        stored = whole["learner"]["gradient_booster"].get("model", {}).get("cats", {}).get("enc")
        self.choices, self.widths = {}, {}
        for at, name in enumerate(self.names):
            if types[at] == "c":
                self.choices[name] = _stored(stored[at]) if stored else None
                self.widths[name] = WIDTHS.get(stored[at].get("type")) if stored else None
        self.classes = _listed(model) if self.task != AMOUNT else None

    def check_rows(self, frame):
        _check_columns(self, frame)

    def margins(self, frame):
        import xgboost

        table = _with_categories(self, frame)
        matrix = xgboost.DMatrix(
            table, missing=self._missing, enable_categorical=bool(self.choices), nthread=1
        )
        return self._booster.predict(matrix, output_margin=True)

    def save(self, path, frame):
        self._booster.save_model(path)


WIDTHS = {9: "int8", 10: "uint8", 11: "int16", 12: "uint16", 13: "int32", 14: "uint32"}
"""Of categories that are numbers, by XGBoost's own names: it takes them as they were alone. Others
are int64."""


def _stored(entry):
    """The categories as XGBoost keeps them since 3.1: texts, or whole numbers of any length."""
    if "offsets" not in entry:
        return [int(value) if value == int(value) else value for value in entry["values"]]
    text = bytes(value & 0xFF for value in entry["values"])
    ends = entry["offsets"]
    if max(text, default=0) > 127:
        raise Refused(
            "XGBoost stores names of categories with letters outside ASCII so that nobody can tell "
            "which is whose. Rename them (a to z, digits, _ . -) and train again."
        )
    return [text[a:b].decode("ascii") for a, b in zip(ends[:-1], ends[1:])]  # noqa: RUF007 - 3.9


class _LightGBM:
    format, file = "lightgbm-txt", "model.txt"
    libraries = ("lightgbm",)

    def __init__(self, model):
        self._booster = getattr(model, "booster_", model)
        self._text = self._booster.model_to_string()
        head = dict(
            line.partition("=")[::2] for line in self._text.split("\nTree=0\n")[0].splitlines()
        )
        self._averaged = "average_output" in head
        objective, *rest = head.get("objective", "").split(" ")
        self.task = _trained_for("lightgbm", " ".join([objective, *(["sqrt"] * ("sqrt" in rest))]))
        self.space = _space(self.task)
        self.outputs = int(head["num_class"])
        self._factor = float(dict(part.split(":") for part in rest).get("sigmoid", 1))
        if self._averaged:
            self._factor *= self.outputs / self._booster.num_trees()
        self.names = head["feature_names"].split(" ")
        kinds = head["feature_infos"].split(" ")
        of_table = self._booster.pandas_categorical or []
        found = [n for n, kind in zip(self.names, kinds) if kind != "none" and kind[0] != "["]
        named = dict(zip(found, of_table)) if len(found) == len(of_table) else {}
        self.choices = {name: named.get(name) for name in found}
        self.without_names = bool(found) and not of_table
        self.classes = _listed(model) if self.task != AMOUNT else None

    def check_rows(self, frame):
        _check_columns(self, frame)

    def margins(self, frame):
        table = _with_categories(self, frame)
        return self._factor * self._booster.predict(table, raw_score=True, num_threads=1)

    def save(self, path, frame):
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(self._text)


class _CatBoost:
    format, file = "catboost-cbm", "model.cbm"
    libraries = ("catboost",)

    def __init__(self, model):
        self._model = model
        said = json.loads(model.get_metadata()["params"])["loss_function"]["type"]
        self.task = _trained_for("catboost", said)
        self.space = _space(self.task)
        self.names = list(model.feature_names_)
        self.choices = {self.names[at]: None for at in model.get_cat_feature_indices()}
        self.classes = _listed(model) if self.task != AMOUNT else None
        self.outputs = len(self.classes or ())

    def check_rows(self, frame):
        _check_columns(self, frame)
        for name in self.choices:
            if frame[name].isna().any():
                raise Refused(
                    f"{name}: some rows have no category, and CatBoost takes no missing one. Give "
                    "it a choice of its own in the table of training, and train again."
                )

    def margins(self, frame):
        table = frame[self.names].copy()
        for name in self.choices:
            table[name] = _as_text(table[name])
        return self._model.predict(table, prediction_type="RawFormulaVal", thread_count=1)

    def save(self, path, frame):
        self._model.save_model(path, format="cbm")


class _Sklearn:
    format, file = "skops", "model.skops"
    libraries = ("scikit-learn", "numpy", "pandas", "skops")

    def __init__(self, model):
        self._model = model
        last = model
        if type(model).__name__ == "Pipeline":
            steps = [step for _, step in model.steps]
            if len(steps) < 2 or type(steps[0]).__name__ != "ColumnTransformer":
                raise Refused(
                    f"The pipeline is made of {', '.join(type(s).__name__ for s in steps)}. "
                    "Converted is a Pipeline of a ColumnTransformer, which names its columns, "
                    "perhaps more steps, and a model; or a model alone, fitted on a DataFrame of "
                    "numbers."
                )
            last = steps[-1]
            names = getattr(steps[0], "feature_names_in_", None)
            self.choices = _encoded(steps[0], names)
            _check_all_used(steps[0], names)
        else:
            self.choices = {}
            names = getattr(model, "feature_names_in_", None)
        if names is None:
            raise Refused("The model does not know its columns by name: fit it on a DataFrame.")
        self.names = [str(name) for name in names]
        self.task, self.classes = _task_of(model)
        self._last = last
        self._by_log_odds = self.task != AMOUNT and type(last).__name__ in LOG_ODDS
        if self.task == MULTICLASS and type(last).__name__ == "SGDClassifier":
            self._by_log_odds = False  # it weighs each class against all the others
        self.space = "log-odds" if self._by_log_odds else "probability"
        if self.task == AMOUNT:
            self.space = "amount"
        self._check_asked()

    def _check_asked(self):
        asked = "decision_function" if self._by_log_odds else "predict_proba"
        if self.task != AMOUNT and not hasattr(self._last, asked):
            raise Refused(f"A {type(self._last).__name__} gives no score of classes.")

    def _check_numbers(self, frame):
        """Of a model alone: nothing before it says what becomes of a text or a category."""
        import pandas

        others = [n for n in self.names if not pandas.api.types.is_numeric_dtype(frame[n].dtype)]
        if others:
            raise Refused(
                f"A {type(self._model).__name__} alone is converted where it takes numbers, and "
                f"these columns hold something else: {', '.join(others)}. Train a Pipeline of a "
                "ColumnTransformer, with an encoder for them, and a model; calibrate the model "
                "inside it, not the whole."
            )

    def give(self, space):
        """Answer in what a file made of the model gives."""
        if (space == "amount") is not (self.task == AMOUNT):
            raise Refused(f"The file gives {space}, and the model is of kind {self.task}.")
        self.space, self._by_log_odds = space, space == "log-odds"
        self._check_asked()

    def check_rows(self, frame):
        _check_columns(self, frame)
        if type(self._model).__name__ != "Pipeline":
            self._check_numbers(frame)

    def margins(self, frame):
        table = frame[self.names].copy()
        for name in self.choices:
            table[name] = _as_text(table[name])
        if self.task == AMOUNT:
            return self._model.predict(table)
        if self._by_log_odds:
            return self._model.decision_function(table)
        chances = self._model.predict_proba(table)
        return chances[:, 1] if self.task == BINARY else chances

    def save(self, path, frame):
        try:
            import skops.io
        except ImportError:
            raise Refused("skops is not installed here: pip install skops") from None
        skops.io.dump(self._whole(frame), path)

    def _whole(self, frame):
        """A model alone is put behind a step that hands all columns on as they are."""
        if type(self._model).__name__ == "Pipeline":
            return self._model
        from sklearn.compose import ColumnTransformer
        from sklearn.pipeline import Pipeline

        handing_on = ColumnTransformer([("all", "passthrough", self.names)])
        handing_on.fit(frame[self.names])
        return Pipeline([("columns", handing_on), ("model", self._model)])


def _task_of(model):
    """Of a model of scikit-learn: the kind of its answer, and its classes."""
    from sklearn.base import is_classifier

    if not is_classifier(model):
        return AMOUNT, None
    classes = _listed(model) or []
    return (BINARY if len(classes) == 2 else MULTICLASS), classes


class _Onnx:
    """A file that was made of the model: the package's model, held against what the model says."""

    format, file = "onnx", "model.onnx"

    def __init__(self, kind, path):
        if not isinstance(kind, _Sklearn):
            raise Refused("An ONNX file is taken beside a model of scikit-learn only.")
        import onnx

        self._kind, self._path = kind, path
        with open(path, "rb") as file:
            self._data = file.read()
        try:
            graph = onnx.load_model_from_string(self._data)
        except Exception as fault:  # of protocol buffers, whatever it is called there
            raise Refused(f"{path} is no ONNX file ({type(fault).__name__}).") from None
        said = {entry.key: entry.value for entry in graph.metadata_props}
        gives = json.loads(said.get("warum", "{}")).get("gives")
        if gives is None and kind.task == AMOUNT:
            raise Refused(
                f'{path} does not say that it gives an amount: write {{"gives": "amount"}} into '
                "its metadata_props under warum."
            )
        kind.give(gives or "probability")
        self.task, self.space, self.classes = kind.task, kind.space, kind.classes
        self.names, self.choices = kind.names, kind.choices
        self.libraries = (*kind.libraries, "onnx", "skl2onnx")

    def check_rows(self, frame):
        self._kind.check_rows(frame)

    def margins(self, frame):
        return self._kind.margins(frame)

    def save(self, path, frame):
        with open(path, "wb") as file:
            file.write(self._data)


def _check_all_used(transformer, names):
    used = set()
    for _, step, columns in transformer.transformers_:
        if not (isinstance(step, str) and step == "drop"):
            used |= set(_taken(columns, names))
    left = [str(name) for name in (() if names is None else names) if str(name) not in used]
    if left:
        raise Refused(
            f"The pipeline was fitted with columns it does not use: {', '.join(left)}. Fit it on "
            "those it uses; each input of the model has to be explained."
        )


def _taken(columns, names):
    """The columns a step takes, by name: as scikit-learn is told them, also by position."""
    if names is None:
        return []
    names = [str(name) for name in names]
    if isinstance(columns, (str, int)):
        columns = [columns]
    if isinstance(columns, slice):
        start, stop = columns.start, columns.stop
        start = names.index(start) if isinstance(start, str) else start
        stop = names.index(stop) + 1 if isinstance(stop, str) else stop  # that one is among them
        return names[start : stop : columns.step]
    columns = list(columns)
    if columns and all(type(each).__name__ in ("bool", "bool_") for each in columns):
        return [name for name, taken in zip(names, columns) if taken]
    return [str(each) if isinstance(each, str) else names[each] for each in columns]


def _encoded(transformer, all_names):
    """The categories of columns of text, as the encoders learned them."""
    found = {}
    for _, step, columns in transformer.transformers_:
        inner = [s for _, s in step.steps] if type(step).__name__ == "Pipeline" else [step]
        for part in inner:
            if type(part).__name__ not in ("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"):
                continue
            for name, categories in zip(_taken(columns, all_names), part.categories_):
                texts = [c for c in categories if isinstance(c, str)]
                if texts:
                    found.setdefault(str(name), texts)
    return found


class _Linear:
    """A weighted sum of named columns of numbers, as a file anybody can read."""

    format, file = "linear-json", "model.json"
    libraries = ("scikit-learn", "numpy", "pandas")

    def __init__(self, model):
        name = type(model).__name__
        if not name.startswith("LogisticRegression") and name not in LINEAR:
            raise Refused(
                "Written as linear-json is a LogisticRegression alone, or one of "
                f"{', '.join(LINEAR)}, on named columns."
            )
        self._model = model
        names = getattr(model, "feature_names_in_", None)
        if names is None:
            raise Refused("The model does not know its columns by name: fit it on a DataFrame.")
        self.names = [str(name) for name in names]
        self.choices = {}
        self.task, self.classes = _task_of(model)
        self.space = _space(self.task)
        if self.task == MULTICLASS and (
            getattr(model, "multi_class", "auto") == "ovr" or model.solver == "liblinear"
        ):
            raise Refused(
                "The model weighs each class against all the others, so that its probabilities "
                'are no softmax of its scores. Train it with solver="lbfgs".'
            )

    def check_rows(self, frame):
        _check_columns(self, frame)

    def margins(self, frame):
        table = frame[self.names]
        if self.task == AMOUNT:
            return self._model.predict(table)
        return self._model.decision_function(table)

    def save(self, path, frame):
        import numpy

        # a row for each output: one but for several classes
        weights = numpy.atleast_2d(self._model.coef_)
        starts = numpy.broadcast_to(numpy.ravel(self._model.intercept_), len(weights))
        if len(weights) != (len(self.classes) if self.task == MULTICLASS else 1):
            raise Refused("The model gives more than one number a row.")

        def numbers(column):
            found = [float(each) for each in column]
            return found if self.task == MULTICLASS else found[0]

        whole = {
            "schema": "warum.linear-model/1",
            "link": self.space,
            "intercept": numbers(starts),
            "features": {
                name: {"coefficient": numbers(weights[:, at])} for at, name in enumerate(self.names)
            },
        }
        if self.task != AMOUNT:
            whole["classes"] = self.classes
        with open(path, "w", encoding="utf-8") as file:
            json.dump(whole, file, indent=1)


def _listed(model):
    """The classes as the model has them; None where it does not name them."""
    try:
        classes = model.classes_
    except Exception:  # libraries differ in what they raise for a model without classes
        return None
    if classes is None or not len(classes):
        return None
    return [str(each.item() if hasattr(each, "item") else each) for each in classes]


# -- classes and inputs -------------------------------------------------------------------------


def _classes(kind, positive, negative, given):
    """The classes in the model's order; none of an amount."""
    if kind.task == BINARY:
        if given is not None:
            raise Refused("Of two classes say which one is the positive one (--positive).")
        return _two(kind, positive, negative)
    if positive is not None or negative is not None:
        raise Refused("Only a model for two classes has a positive one.")
    if kind.task == AMOUNT:
        if given is not None:
            raise Refused("The model gives an amount, which has no classes.")
        return []
    known = kind.classes or [str(at) for at in range(kind.outputs)]
    labels = kind.format in ("xgboost-ubj", "lightgbm-txt")
    labels = labels and known == [str(at) for at in range(len(known))]
    if len(known) < 3:
        raise Refused(f"The model was trained for several classes, and has {len(known)}.")
    if given is None:
        return known
    given = [str(each) for each in given]
    if len(set(given)) != len(known) or len(given) != len(known) or not (labels or given == known):
        raise Refused(f"The model has the classes {', '.join(known)}, in this order.")
    return given


def _two(kind, positive, negative):
    known = kind.classes
    if known is None:
        if positive is None:
            raise Refused("The model does not name its classes: say positive_class (--positive).")
        if negative is None:
            negative = "0" if positive == "1" else f"not_{positive}"
        return [str(negative), str(positive)]
    if len(known) != 2:
        raise Refused(f"The model was trained for two classes, and has {', '.join(known)}.")
    if positive is not None and str(positive) != known[1]:
        labels = kind.format in ("xgboost-ubj", "lightgbm-txt") and known == ["0", "1"]
        if labels and str(positive) not in known:
            return [str(negative or f"not_{positive}"), str(positive)]
        raise Refused(
            f"The margin of the model is for its second class, {known[1]!r}. Name that one as the "
            "positive class; which outcome lies on which side the package says."
        )
    return known


def _check_columns(kind, frame):
    if not kind.names:
        raise Refused("The model does not know its columns by name: train it on a DataFrame.")
    lacking = [name for name in kind.names if name not in frame.columns]
    if lacking:
        raise Refused(f"The rows lack columns of the model: {', '.join(lacking)}.")
    twice = [name for name in kind.names if list(frame.columns).count(name) > 1]
    if twice:
        raise Refused(f"The rows have columns of the model twice: {', '.join(twice)}.")
    if len(frame) < FEWEST_ROWS:
        raise Refused(f"There are {len(frame)} rows; give at least {FEWEST_ROWS}.")


def _is_category(column):
    return str(column.dtype) == "category"


def _as_text(column):
    """Choices as objects of text, NaN where one is missing."""
    import pandas

    given = [float("nan") if pandas.isna(value) else str(value) for value in column]
    return pandas.Series(given, index=column.index, dtype=object)


def _with_categories(kind, frame):
    """The columns of the model in its order, categories under the numbers of training."""
    import pandas

    table = frame[kind.names].copy()
    for name, known in kind.choices.items():
        if getattr(kind, "without_names", False):
            raise Refused(
                f"{name}: the model was trained on numbers that stand for categories, and holds no "
                "names of them. Train it on a DataFrame in which they are of category type."
            )
        there = _is_category(table[name])
        if there and known is None:
            _check_places(table[name], name)
        if there and (known is None or list(table[name].cat.categories) == known):
            continue
        if known is None:
            raise Refused(
                f"{name}: the model holds the numbers of its categories, not their names. Call "
                "convert() with the frame it was trained on, where they are of category type."
            )
        find = _finder(known)
        codes = [-1 if (at := find(value)) is None else at for value in table[name]]
        if kind.format == "xgboost-ubj" and codes.count(-1) > int(table[name].isna().sum()):
            raise Refused(
                f"{name}: the model never saw the category of some rows, and XGBoost refuses such "
                "rows. Leave them out."
            )
        width = getattr(kind, "widths", {}).get(name)
        categories = pandas.Index(known, dtype=width)
        table[name] = pandas.Categorical.from_codes(codes, categories=categories)
    return table


def _check_places(column, name):
    """A model without names has places of categories. Of a number nobody can tell whether it was
    the place itself, or a name at another one."""
    given = list(column.cat.categories)
    if given != list(range(len(given))) and not all(isinstance(each, str) for each in given):
        raise Refused(
            f"{name}: the model holds places of categories, not their names, and here the "
            "categories are numbers. If each number is its own place, give all from 0 on as "
            "categories; else name them by text in the order of training "
            "(cat.rename_categories(str))."
        )


def _known(kind, column, name):
    """The categories as the model has them, or else the rows; None where neither says."""
    known = kind.choices.get(name)
    if known is None and _is_category(column):
        known = list(column.cat.categories)  # in the order of their numbers
    return known


def _finder(known):
    """Which of the categories a value of the rows is. A table in a file holds numbers as text,
    and where a cell is empty whole ones with a decimal point."""
    texts = {str(each): at for at, each in enumerate(known)}
    numbers = {each: at for at, each in enumerate(known) if not isinstance(each, str)}

    def find(value):
        at = texts.get(str(value))
        return numbers.get(_number(value)) if at is None else at

    return find


def _namer(known):
    """The name of a value of the rows: that of its category."""
    known = known or []
    find = _finder(known)

    def named(value):
        at = find(value)
        return str(value if at is None else known[at])

    return named


def _number(value):
    for as_number in (int, float) if isinstance(value, str) else ():
        try:
            return as_number(value)
        except ValueError:
            continue
    return value


def _input(kind, frame, name):
    import pandas

    column = frame[name]
    there = column.dropna()
    found = {"name": name, "missing": bool(column.isna().any())}
    if name in kind.choices or _is_category(column):
        named = _namer(_known(kind, column, name))
        known = [str(each) for each in _known(kind, column, name) or ()]
        for each in known:
            if known.count(each) > 1:
                raise Refused(
                    f"{name}: two categories have the same name as text, {each!r}. Make them one, "
                    "or give each its own text, and train the model again."
                )
        # what stands in the rows and the model has never seen is a choice all the same
        more = sorted({named(value) for value in there} - set(known))
        return {**found, "kind": "choice", "choices": known + more}
    numbers = pandas.to_numeric(there, errors="coerce")
    if numbers.isna().any() or not numbers.map(math.isfinite).all():
        raise Refused(f"{name}: the model takes numbers here, and some rows have something else.")
    whole = bool((numbers == numbers.round()).all())
    integer = whole and (str(column.dtype).lower().startswith(("int", "uint")) or found["missing"])
    found["kind"] = "integer" if integer else "number"
    if len(numbers) and numbers.min() < numbers.max():
        as_kind = int if integer else float
        found["observed"] = {"low": as_kind(numbers.min()), "high": as_kind(numbers.max())}
    return found


def _check_names(inputs):
    faults = [
        f"{each['name']!r} is no name of a feature in Warum (small letters, digits, _)"
        for each in inputs
        if not NAME.fullmatch(each["name"])
    ]
    faults += [
        f"{each['name']}: {choice!r} is no name of a choice in Warum (letters, digits, _ . -)"
        for each in inputs
        for choice in each.get("choices", ())
        if not CHOICE.fullmatch(choice)
    ]
    if faults:
        raise Refused("; ".join(faults) + ". Rename them in the table and train the model again.")


# -- rows ---------------------------------------------------------------------------------------


def _drawn(frame, inputs, background, golden, seed):
    """Positions of rows to compare with and to record, none in both; the same for the same seed."""
    if background < FEWEST_TO_COMPARE or golden < 50:
        raise Refused("Draw at least 30 rows to compare with and 50 to record.")
    order = random.Random(seed).sample(range(len(frame)), len(frame))  # noqa: S311 - no secret
    golden = min(golden, max(50, len(frame) - background))
    gaps = [each["name"] for each in inputs if each["missing"]]
    recorded = []
    for name in gaps:  # of every gap there is one case at least
        missing = frame[name].isna().tolist()
        recorded += [at for at in order if missing[at] and at not in recorded][:1]
    recorded += [at for at in order if at not in recorded][: max(0, golden - len(recorded))]
    chosen = set(recorded)
    compared = [at for at in order if at not in chosen][:background]
    return sorted(compared), sorted(recorded)


def _weights(kind, frame, given):
    """The name of the column of weights, and a positive number for each row; nothing where all
    rows weigh alike."""
    import numpy
    import pandas

    if given is None:
        return None, None
    name = given if isinstance(given, str) else "weight"
    if isinstance(given, str):
        if name in kind.names:
            raise Refused(f"{name} is an input of the model: weights stand in another column.")
        if list(frame.columns).count(name) != 1:
            raise Refused(f"The rows have no column {name} of weights.")
        given = frame[name]
    elif name in kind.names:
        name = "weight_of_row"
    # a series of another order would give its weights to the wrong rows
    if isinstance(given, pandas.Series) and not given.index.equals(frame.index):
        raise Refused(
            "The weights are those of other rows: their index is not the one of the rows."
        )
    try:
        numbers = numpy.array([_one_weight(each) for each in given])
    except (TypeError, ValueError):
        numbers = numpy.array([math.nan])
    if len(numbers) != len(frame) or not ((numbers > 0) & (numbers < math.inf)).all():
        raise Refused(
            "The weights are not a positive finite number for each row. Leave out rows that stand "
            "for no application."
        )
    return name, numbers


def _one_weight(value):
    """A table in a file may hold numbers as text; Python takes more for a number than others do."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError
    if type(value).__name__ in ("bool", "bool_"):
        raise ValueError
    return float(value)


def _values(kind, frame, inputs):
    """Each row as plain values by name, None where one is missing."""
    import pandas

    columns = {each["name"]: frame[each["name"]].tolist() for each in inputs}
    named = {name: _namer(_known(kind, frame[name], name)) for name in columns}
    for row in range(len(frame)):
        values = {}
        for each in inputs:
            value = columns[each["name"]][row]
            if pandas.isna(value):
                values[each["name"]] = None
            elif each["kind"] == "choice":
                values[each["name"]] = named[each["name"]](value)
            else:
                values[each["name"]] = int(value) if each["kind"] == "integer" else float(value)
        yield values


def _margins(kind, frame, classes):
    """The bare model's: an array of one row for each row, and of one column for each output."""
    import numpy

    outputs = len(classes) if kind.task == MULTICLASS else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        margins = numpy.asarray(kind.margins(frame), dtype=float).reshape(len(frame), -1)
    if margins.shape[1] != outputs or not numpy.isfinite(margins).all():
        raise Refused(f"The model does not give {outputs} finite numbers for each row.")
    return margins


def _plain(numbers):
    """A number; a list of one for each of several classes."""
    listed = [float(each) for each in numbers]
    return listed[0] if len(listed) == 1 else listed


def _spread(margins, weights):
    """The 10th and the 90th percentile of one output: by weight those of a group in which each row
    stands as often as it weighs, the lightest once."""
    import numpy

    if weights is None:
        return numpy.quantile(margins, [0.1, 0.9])
    order = numpy.argsort(margins, kind="stable")
    times = weights[order] / weights.min()
    until = numpy.cumsum(times)
    places = numpy.stack([until - times, until - 1], axis=1).ravel()
    asked = numpy.array([0.1, 0.9]) * (until[-1] - 1)
    return numpy.interp(asked, places, numpy.repeat(margins[order], 2))


def _check_worth(weights):
    """Of the rows that were drawn: Warum refuses the same."""
    import numpy

    shares = weights / weights.max()
    worth = float(shares.sum() ** 2 / (shares**2).sum())
    if shares.min() < LIGHTEST or worth < FEWEST_TO_COMPARE:
        raise Refused(
            f"The {len(weights)} rows to compare with weigh from {weights.min():g} to "
            f"{weights.max():g} and are worth {math.floor(worth * 10) / 10:g} rows that weigh "
            f"alike; {FEWEST_TO_COMPARE} are needed, and none lighter than a billionth of the "
            "heaviest. Draw more (--background), or correct the weights."
        )
    if not numpy.isfinite(weights.sum()):
        raise Refused("The weights are too large to be added up; only their ratios count.")


def _figures(margins, drawn_from, seed, weights):
    import numpy

    if weights is not None:
        _check_worth(weights)
    spreads = [_spread(column, weights) for column in margins.T]
    low, high = numpy.array(spreads).T
    if not (high > low).all():
        raise Refused("The model gives all rows the same score.")
    return {
        "rows": len(margins),
        "drawn_from": drawn_from,
        "seed": seed,
        "base": _plain(numpy.average(margins, axis=0, weights=weights)),
        "margin_scale": _plain(high - low),
    }


def _named(model, kind, frame, classes):
    """The classes the model itself names, where it can; else those of its largest margins."""
    import numpy

    try:
        own = [str(each) for each in numpy.ravel(model.predict(frame))]
    except Exception:  # a bare booster takes no table
        own = []
    if len(own) == len(frame) and set(own) <= set(classes):
        return own
    shares = [
        _probabilities(kind, [float(each) for each in margins])
        for margins in _margins(kind, frame, classes)
    ]
    return [
        classes[int(each[0] >= 0.5)] if len(each) == 1 else classes[each.index(max(each))]
        for each in shares
    ]


def _recorded(model, kind, frame, inputs, classes):
    lines = []
    named = [] if kind.task == AMOUNT else _named(model, kind, frame, classes)
    for at, (values, margins) in enumerate(
        zip(_values(kind, frame, inputs), _margins(kind, frame, classes))
    ):
        told = {n: {"missing": "not_given"} if v is None else v for n, v in values.items()}
        line = {"case": {"ref": f"A-{at + 1:03}", "values": told}, "margin": _plain(margins)}
        if kind.task != AMOUNT:
            shares = _probabilities(kind, [float(each) for each in margins])
            line["probability"] = _plain(shares)
            line["predicted"] = named[at]
        lines.append(line)
    return lines


def _probabilities(kind, margins):
    """What margins of one row mean."""
    if kind.space == "probability":
        return margins
    if len(margins) == 1:
        return [1 / (1 + math.exp(-margins[0])) if margins[0] > -700 else 0.0]
    raised = [math.exp(margin - max(margins)) for margin in margins]
    return [each / sum(raised) for each in raised]


def _versions(libraries):
    found = {"python": platform.python_version()}
    for name in libraries:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


# -- the command --------------------------------------------------------------------------------


def open_model(path):
    """The model in a file of one's own."""
    ending = os.path.splitext(path)[1].lower()
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, "MLmodel")):
            inside = sorted(n for n in os.listdir(path) if n.startswith("model."))
            named = f" Here that is one of: {', '.join(inside)}." if inside else ""
            raise Refused(
                "This is a folder of MLflow. Name the file of the model inside it, as its library "
                f"wrote it, not the folder.{named}"
            )
        raise Refused("This is a folder; name the file of the model.")
    if not os.path.exists(path):
        raise Refused(f"There is no file {path}.")
    if ending in (".ubj", ".json"):
        return _library("xgboost").Booster(model_file=path)
    if ending == ".txt":
        return _library("lightgbm").Booster(model_file=path)
    if ending == ".cbm":
        return _library("catboost").CatBoost().load_model(path)
    if ending in (".joblib", ".pkl", ".pickle"):
        print(
            f"{path} is a program, and loading it runs it. That is done here because it is yours; "
            "never do it with a file from somebody else.",
            file=sys.stderr,
        )
        try:
            return importlib.import_module("joblib").load(path)
        except ImportError:
            with open(path, "rb") as file:
                return importlib.import_module("pickle").load(file)
    raise Refused(
        f"Files ending in {ending or 'nothing'} are not known. Known are .ubj, .json (XGBoost), "
        ".txt (LightGBM), .cbm (CatBoost), .joblib and .pkl."
    )


def _library(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Refused(f"{name} is not installed here; run this where the model was trained.") from (
            None
        )


def read_rows(path, model):
    """The rows of a CSV file: text in columns of choices, numbers elsewhere."""
    import pandas

    choices = dict.fromkeys(_kind(model, False).choices, str)
    return pandas.read_csv(path, dtype=choices, keep_default_na=False, na_values=[""])


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help="the file of the model")
    parser.add_argument("rows", metavar="ROWS.csv", help="rows like those it was trained on")
    parser.add_argument("out", metavar="OUT", help="a folder that does not exist yet")
    parser.add_argument("--positive", metavar="CLASS", help="the class its margin is for")
    parser.add_argument("--negative", metavar="CLASS", help="the other, if it names none")
    parser.add_argument(
        "--classes", metavar="A,B,C", help="names of several classes, in the order of the labels"
    )
    parser.add_argument("--background", type=int, default=300, help="rows to compare with (300)")
    parser.add_argument("--golden", type=int, default=60, help="cases to record (60)")
    parser.add_argument("--seed", type=int, default=1, help="which rows are drawn (1)")
    parser.add_argument(
        "--linear-json",
        action="store_true",
        help="write a weighted sum of named columns as a file anybody can read",
    )
    parser.add_argument(
        "--weights", metavar="COLUMN", help="of ROWS.csv: for how many applications a row stands"
    )
    parser.add_argument("--onnx", metavar="FILE", help="an ONNX file made of MODEL: take that")
    options = parser.parse_args(arguments)
    try:
        model = open_model(options.model)
        facts = convert(
            model,
            read_rows(options.rows, model),
            options.out,
            positive_class=options.positive,
            negative_class=options.negative,
            background=options.background,
            golden=options.golden,
            seed=options.seed,
            linear_json=options.linear_json,
            classes=options.classes.split(",") if options.classes else None,
            onnx=options.onnx,
            weights=options.weights,
        )
    except Refused as fault:
        print(f"refused: {fault}", file=sys.stderr)
        return 1
    print(f"{facts['format']}, {len(facts['inputs'])} inputs, margin in {facts['space']}:")
    print(f"  {facts['file']}, background.csv, golden/cases.jsonl and facts.json in {options.out}")
    print(f"Next, where Warum is: warum package new DIR --converted {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
