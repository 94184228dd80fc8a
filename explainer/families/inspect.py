"""What the file of a model says of its inputs, for the skeleton of a package.

`inspected` asks the model's own process, as for everything a file holds; what stands below it runs
there. What a format cannot know is left open here and filled in by people.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from explainer.core.attribution import Space, Task
from explainer.core.case import Scalar
from explainer.errors import ArtefactRefused
from explainer.families import FORMATS
from explainer.families.artefacts import check_declared


@dataclass(frozen=True, slots=True)
class InputColumn:
    """One raw input of a model.

    Attributes
    ----------
    choices : None for a number; empty for a choice whose names the file does not hold
    stand_in : what the model itself puts in the place of a missing value
    """

    name: str
    choices: tuple[str, ...] | None
    stand_in: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a file says.

    Attributes
    ----------
    classes : empty where it does not name them
    space : None where it does not say what its output is measured in
    mixing : steps that make columns of several features
    """

    inputs: tuple[InputColumn, ...]
    classes: tuple[str, ...]
    space: Space | None
    mixing: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """What kind of answer the model gives; two classes where nothing says otherwise."""
        if self.space is Space.AMOUNT:
            return Task.AMOUNT
        return Task.MULTICLASS if len(self.classes) > 2 else Task.BINARY


def inspected(declared: str, data: bytes) -> Inspected:
    """Ask a process of its own. Raises ArtefactRefused as opening the model there would."""
    from explainer.families.apart import ask_once
    from explainer.families.frames import Frame

    check_declared(declared, data)
    head = ask_once(declared, Frame({"format": declared, "inspect": True}, data=data)).head
    try:
        return Inspected(
            tuple(
                InputColumn(
                    str(each["name"]),
                    None if each["choices"] is None else tuple(map(str, each["choices"])),
                    _scalar(each["stand_in"]),
                )
                for each in head["inputs"]
            ),
            tuple(map(str, head["classes"])),
            None if head["space"] is None else Space(head["space"]),
            tuple(map(str, head["mixing"])),
        )
    except (KeyError, TypeError, ValueError):
        raise ArtefactRefused(
            "The process of the model sent something else than its inputs.",
            "model",
            "The file is damaged or was tampered with; save the model again.",
        ) from None


def _scalar(given: Any) -> Scalar | None:
    return given if given is None or isinstance(given, str) else float(given)


# -- in the model's own process -----------------------------------------------------------------


def inspect(declared: str, data: bytes) -> dict[str, Any]:
    """The same as plain data, read here."""
    check_declared(declared, data)
    found = _READERS[declared](importlib.import_module(FORMATS[declared]), data)
    plain: dict[str, Any] = json.loads(json.dumps(asdict(found)))
    return plain


def _skops(_: Any, data: bytes) -> Inspected:
    import numpy as np

    from explainer.families.from_skops import input_names, load_pipeline, refused_unless_whole
    from explainer.families.players import traced
    from explainer.families.sklearn_forms import classes_of, estimator_of

    preparation, model = load_pipeline(data)
    with refused_unless_whole():
        names = input_names(preparation)
        found = traced(preparation, names)
        # whose columns they are does not matter to what they are measured in
        space = estimator_of(model, np.zeros(len(found.columns), dtype=np.int64), 1).space
        return Inspected(
            tuple(
                InputColumn(name, _texts(found.known.get(name, ())), found.stand_ins.get(name))
                for name in names
            ),
            classes_of(model),
            space,
            found.mixing,
        )


def _texts(categories: Sequence[Any]) -> tuple[str, ...] | None:
    """The categories of a column of text, as its encoder learned them; None for a number."""
    return tuple(str(c) for c in categories if isinstance(c, str)) or None


LABELS = ("0", "1")
"""Classes of a booster whose file does not name them: its margin is for label 1."""


def _labels(model: Any) -> tuple[str, ...]:
    """The same for any number of classes; an amount has none."""
    if model.task is Task.AMOUNT:
        return ()
    return LABELS if model.outputs == 1 else tuple(map(str, range(model.outputs)))


def _xgboost(module: Any, data: bytes) -> Inspected:
    from explainer.families.boosters import refused_unless_read
    from explainer.families.objectives import space_of

    with refused_unless_read():
        model = module.saved(data)
        _check_named(model.names)
        columns = [
            InputColumn(name, model.categories.get(at, ()) if kind == "c" else None)
            for at, (name, kind) in enumerate(zip(model.names, model.types, strict=True))
        ]
    return Inspected(tuple(columns), _labels(model), space_of(model.task))


def _lightgbm(module: Any, data: bytes) -> Inspected:
    from explainer.families.boosters import refused_unless_read
    from explainer.families.objectives import space_of

    with refused_unless_read():
        model = module.Saved.of(data)
        _check_named(model.names)
        # a column that never varied in training may have been either; it is taken for a number
        varied = [at for at, k in enumerate(model.kinds) if k != "none" and k[:1] != "["]
        named = model.categories or []
        names = dict(zip(varied, named, strict=True)) if len(named) == len(varied) else {}
        columns = [
            InputColumn(name, tuple(names.get(at, ())) if at in varied else None)
            for at, name in enumerate(model.names)
        ]
    return Inspected(tuple(columns), _labels(model), space_of(model.task))


def _catboost(module: Any, data: bytes) -> Inspected:
    from explainer.families.boosters import refused_unless_read
    from explainer.families.objectives import space_of

    with refused_unless_read():
        model = module.Saved.of(data)
        _check_named(model.names)
        columns = [
            InputColumn(name, () if at in model.category_of else None)
            for at, name in enumerate(model.names)
        ]
    return Inspected(tuple(columns), tuple(model.classes or _labels(model)), space_of(model.task))


def _check_named(names: Any) -> None:
    from explainer.families.boosters import placed
    from explainer.families.model import Input

    placed(names, [Input(name, None) for name in dict.fromkeys(names)])


def _linear(_: Any, data: bytes) -> Inspected:
    from explainer.families.json_form import read_json

    entries = _described(data, "features")
    columns = [
        InputColumn(
            name,
            tuple(entry["coefficients"]) if "coefficients" in entry else None,
            entry.get("stand_in"),
        )
        for name, entry in entries.items()
    ]
    link = read_json(data, "model").get("link")
    space = Space.AMOUNT if link == Space.AMOUNT else Space.LOG_ODDS
    return Inspected(tuple(columns), _classes_in(data), space)


def _remote(_: Any, data: bytes) -> Inspected:
    from explainer.families.json_form import read_json

    entries = _described(data, "inputs")
    whole = read_json(data, "model")
    stand_ins = whole.get("stand_ins", {})
    columns = [
        InputColumn(
            name, () if entry.get("datatype") == "BYTES" else None, dict(stand_ins).get(name)
        )
        for name, entry in entries.items()
    ]
    gives = dict(whole.get("output", {})).get("gives")
    space = Space(gives) if gives in tuple(Space) else None
    return Inspected(tuple(columns), _classes_in(data), space)


def _described(data: bytes, key: str) -> Mapping[str, Any]:
    """The entries of the inputs in a description; it is checked whole when it is opened."""
    from explainer.families.json_form import read_json

    whole = read_json(data, "model")
    entries = whole.get(key) if isinstance(whole, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise ArtefactRefused(
            f"The file has no {key}, by name.", "model", "See docs/formats.md for its form."
        )
    return entries


def _classes_in(data: bytes) -> tuple[str, ...]:
    from explainer.families.json_form import read_json

    given = read_json(data, "model").get("classes")
    return tuple(map(str, given)) if isinstance(given, list) else ()


def _onnx(module: Any, data: bytes) -> Inspected:
    from explainer.families.json_form import read_json
    from explainer.families.onnx_file import STRING, different, read_onnx

    file = read_onnx(data)
    said = read_json(file.metadata.get(module.DECLARED, "{}"), f"model, {module.DECLARED}")
    said = said if isinstance(said, dict) else {}
    columns: list[InputColumn] = []
    for port in file.inputs:
        names = dict(said.get("columns", {})).get(port.name, [port.name])
        choices = () if port.element == STRING else None
        stand_ins = dict(said.get("stand_ins", {}))
        columns += [InputColumn(str(n), choices, _scalar(stand_ins.get(n))) for n in names]
    named = different([each for each in file.labels if each.operator == "ZipMap"])
    named = named or different(file.labels)
    classes = said.get("classes") or (named[0] if len(named) == 1 else ())
    scores = [
        port
        for port in file.outputs
        if port.by_class or port.shape is None or (port.shape[-1:] or (1,))[0] not in (None, 1)
    ]
    gives = said.get("gives") or ("probability" if scores else None)
    space = Space(gives) if gives in tuple(Space) else None
    return Inspected(tuple(columns), tuple(map(str, classes)), space)


_READERS: Mapping[str, Callable[[Any, bytes], Inspected]] = {
    "skops": _skops,
    "xgboost-json": _xgboost,
    "xgboost-ubj": _xgboost,
    "lightgbm-txt": _lightgbm,
    "catboost-cbm": _catboost,
    "linear-json": _linear,
    "onnx": _onnx,
    "remote-oip-v2": _remote,
}
