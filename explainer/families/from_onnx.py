"""ONNX: one file, run by onnxruntime. Trees where it is nothing else, or known by its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainer.core.attribution import Contrast, Space, Task
from explainer.errors import ModelFailed
from explainer.families.engine.estimate import Estimate, Stage, asked
from explainer.families.engine.forest import Floats, Trees
from explainer.families.json_form import Members, read_json, refuse_all
from explainer.families.model import (
    Answer,
    Form,
    Input,
    RawRow,
    Target,
    failed,
    known_by_answers,
    margin_of,
    quietly_failing,
)
from explainer.families.onnx_file import (
    DOUBLE,
    FLOAT,
    INT32,
    INT64,
    STRING,
    OnnxFile,
    Port,
    different,
    read_onnx,
    refused,
)
from explainer.families.onnx_trees import check_ensembles, rows_at_thresholds, trees_in
from explainer.families.raw_columns import RawColumns, stand_ins_in
from explainer.families.scores import margins_of, spaces_of

try:
    import onnxruntime
except ImportError:  # an extra; opening a model says so
    onnxruntime = None

DECLARED = "warum"
"""Entry of the file's metadata_props, JSON, for what a graph cannot say of itself."""

NUMBERS = {FLOAT: np.float32, DOUBLE: np.float64, INT64: np.int64, INT32: np.int32}
"""Types of an input that takes numbers."""

SAME = 1e-5
"""How far our sum of leaves may be from onnxruntime's, in single precision."""

MEND = 'See "ONNX" in docs/formats.md; what the graph cannot say stands in its metadata_props.'


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> OnnxModel:
    """Look through the file, match its inputs to the features by name, then load these bytes.

    Raises ArtefactRefused.
    """
    if onnxruntime is None:
        raise refused("onnxruntime is not installed here.", "Install it: pip install warum[onnx]")
    file = read_onnx(data)
    faults: list[str] = []
    declared = _declared(file, inputs, target, faults)
    feeds = _feeds(file, inputs, declared.columns, faults)
    refuse_all(faults, MEND)
    output = _output(file, declared, target)
    check_ensembles(file.steps)
    session = _session(data)
    if {each.name for each in session.get_inputs()} != {feed.port.name for feed in feeds}:
        raise refused("onnxruntime reads other inputs than stand in the file.", "Save it again.")
    model = OnnxModel(session, RawColumns(inputs, declared.stand_ins), feeds, output)
    if all(feed.port.element == FLOAT for feed in feeds):
        columns = {feed.port.name: feed.features for feed in feeds}
        model.take_forms(trees_in(file.steps, columns, len(inputs), target.outputs))
    return model


def _session(data: bytes) -> Any:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    # left to itself it looks at the bytes and may take them for its own format, unchecked by us
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(
            data, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as fault:
        raise refused(
            f"onnxruntime does not load the model ({type(fault).__name__}).",
            "Run it with onnxruntime where it was made, and save it again.",
        ) from None


# -- what the file declares ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Declared:
    """The entry `warum` of metadata_props; all of it may be left out."""

    classes: tuple[str, ...]
    gives: Space | None
    columns: Mapping[str, tuple[str, ...]]
    stand_ins: Mapping[str, float | str]


def _declared(
    file: OnnxFile, inputs: Sequence[Input], target: Target, faults: list[str]
) -> _Declared:
    if DECLARED not in file.metadata:
        return _Declared((), None, {}, {})
    where = f"metadata_props.{DECLARED}"
    whole = Members(read_json(file.metadata[DECLARED], f"model, {where}"), where, faults)
    classes = whole.texts("classes", ())
    gives = whole.text("gives", among=spaces_of(target)) if whole.has("gives") else ""
    columns: dict[str, tuple[str, ...]] = {}
    if whole.has("columns"):
        given = whole.members("columns")
        columns = {
            port.name: given.texts(port.name) for port in file.inputs if given.has(port.name)
        }
        given.finish()
    stand_ins = stand_ins_in(whole.members("stand_ins"), inputs) if whole.has("stand_ins") else {}
    whole.finish()
    return _Declared(classes, Space(gives) if gives else None, columns, stand_ins)


# -- inputs -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Feed:
    """One input of the graph and the features, by position, that its columns are."""

    port: Port
    features: tuple[int, ...]


def _feeds(
    file: OnnxFile,
    inputs: Sequence[Input],
    columns: Mapping[str, tuple[str, ...]],
    faults: list[str],
) -> tuple[_Feed, ...]:
    """Every feature goes to one column of one input; by its name, never by its place."""
    place = {each.name: at for at, each in enumerate(inputs)}
    feeds: list[_Feed] = []
    taken: list[str] = []
    for port in file.inputs:
        width = _width(port)
        if width is None:
            faults.append(f"Input {port.name} takes no rows of open number, as [N, columns].")
            continue
        names = columns.get(port.name, (port.name,))
        if width != len(names):
            faults.append(
                f"Input {port.name} has {width} columns; declared are {len(names)}."
                if port.name in columns
                else f"Input {port.name} has {width} columns and says of none which feature it is."
            )
            continue
        unknown = [name for name in names if name not in place]
        if unknown:
            faults.append(f"The catalogue lacks {', '.join(unknown)} (input {port.name}).")
            continue
        wrong = [name for name in names if not _takes(port, inputs[place[name]])]
        if wrong:
            faults.append(
                f"Input {port.name} is of a type that does not fit {', '.join(wrong)}: numbers "
                "go into tensors of float, double, int32 or int64, choices into string."
            )
            continue
        taken += names
        feeds.append(_Feed(port, tuple(place[name] for name in names)))
    twice = sorted({name for name in taken if taken.count(name) > 1})
    if twice:
        faults.append(f"More than one column is declared to be {', '.join(twice)}.")
    if not faults and len(taken) < len(inputs):
        lacking = [each.name for each in inputs if each.name not in taken]
        faults.append(f"The model does not know {', '.join(lacking)}.")
    return tuple(feeds)


def _width(port: Port) -> int | None:
    """How many columns an input has; None unless it takes any number of rows."""
    if port.shape is None or len(port.shape) not in (1, 2) or port.shape[0] is not None:
        return None
    return 1 if len(port.shape) == 1 else port.shape[1]


def _takes(port: Port, each: Input) -> bool:
    return port.element == STRING if each.choices is not None else port.element in NUMBERS


# -- the output ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Output:
    """Which output is the score, in what it is measured, and what of."""

    name: str
    by_class: bool
    space: Space
    target: Target


def _output(file: OnnxFile, declared: _Declared, target: Target) -> _Output:
    scores = [p for p in file.outputs if p.by_class or p.element in (FLOAT, DOUBLE)]
    if len(scores) != 1:
        raise refused(
            f"{len(scores)} outputs of the graph could be its score.",
            "Leave one output of numbers: a score for each class, or an amount (and one of labels, "
            "if you like).",
        )
    (port,) = scores
    if target.task is Task.AMOUNT:
        _check_amount(file, declared, port)
    else:
        target.check(_classes(file, declared))
    width = _scores_of(port, target)
    if width is not None and width > 1:
        space = declared.gives or Space.PROBABILITY
    elif declared.gives is None:
        raise refused(
            f"Output {port.name} gives one number a row, which may be a probability, a score or "
            "an amount.",
            f'Say which in metadata_props.{DECLARED}: "gives": '
            + " or ".join(f'"{space}"' for space in spaces_of(target))
            + ".",
        )
    else:
        space = declared.gives
    return _Output(port.name, port.by_class, space, target)


def _scores_of(port: Port, target: Target) -> int | None:
    """How many scores of a row an output gives; None where the graph does not say it.

    Raises ArtefactRefused where it says it gives others than the target has.
    """
    if port.by_class:
        return len(target.classes)
    if port.shape is None:
        return None
    width = 1 if len(port.shape) == 1 else port.shape[-1]
    fitting = {Task.AMOUNT: (1,), Task.BINARY: (1, 2)}.get(target.task, (target.outputs,))
    if len(port.shape) not in (1, 2) or width not in (None, *fitting):
        counted = "x".join(str(axis or "N") for axis in port.shape)
        raise refused(
            f"Output {port.name} of the graph is of shape [{counted}].",
            f"For this package it gives [N, {fitting[-1]}].",
        )
    return width


def _check_amount(file: OnnxFile, declared: _Declared, port: Port) -> None:
    """An amount has no classes, neither declared nor in the graph."""
    if declared.classes or different(file.labels) or port.by_class:
        raise refused(
            "The graph names classes, and the package declares an amount.",
            "Declare the kind of model it is: model.kind in manifest.toml.",
        )


def _classes(file: OnnxFile, declared: _Declared) -> tuple[str, ...]:
    """The classes in the order of the columns: ZipMap's, or the only ones the graph names."""
    of_map = different([each for each in file.labels if each.operator == "ZipMap"])
    named = of_map or different(file.labels)
    if not declared.classes and len(named) != 1:
        raise refused(
            "The graph does not name its classes."
            if not named
            else "The graph names its classes in more than one way.",
            f'Name them in metadata_props.{DECLARED}, in the order of the columns: "classes".',
        )
    found = declared.classes or named[0]
    if declared.classes and of_map and declared.classes != of_map[0]:
        raise refused(
            f"Declared are the classes {list(found)}, the graph names {list(of_map[0])}.",
            f"Correct metadata_props.{DECLARED}.",
        )
    return found


# -- the model ----------------------------------------------------------------------------------


class OnnxModel:
    """A graph that answers through onnxruntime, on the features as columns."""

    def __init__(
        self, session: Any, columns: RawColumns, feeds: Sequence[_Feed], output: _Output
    ) -> None:
        self._session = session
        self._columns = columns
        self._feeds = tuple(feeds)
        self._output = output
        self._forms: tuple[Form, ...] = (columns.form,) * output.target.outputs

    @property
    def forms(self) -> tuple[Form, ...]:
        return self._forms

    def take_forms(self, trees: Sequence[Trees] | None) -> None:
        """Take our reading of the trees for the forms, if onnxruntime reads them so as well."""
        if trees is None:
            return
        rows = np.concatenate([rows_at_thresholds(each) for each in trees])
        rows = self._columns.filled(rows)
        try:
            margins = self._margins(rows)
        except ModelFailed:
            return
        ours = np.stack([each.sums(rows) for each in trees], axis=1)
        # scores of classes are about 1; an amount may be small, and is held to its own size
        smallest = 0.0 if self.space is Space.AMOUNT else 1.0
        if np.abs(ours - margins).max() <= SAME * max(smallest, np.abs(margins).max()):
            self._forms = tuple(trees)

    @property
    def space(self) -> Space:
        return self._output.space

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return self._columns.stand_ins

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """The graph's own scores, and the features as columns."""
        columns = self._columns.filled(self._columns.of(rows))
        return Answer(self._margins(columns), columns)

    def row_values(
        self,
        case: Floats,
        comparison: Floats,
        contrast: Contrast,
        stage: Stage | None = None,
        weights: Floats | None = None,
    ) -> Estimate:
        """See `Model.row_values`."""

        def margins(rows: Floats) -> Floats:
            return margin_of(self._margins(rows), contrast)

        function = known_by_answers(self.forms)
        return asked(margins, function, case, comparison, stage, weights)

    def _margins(self, columns: Floats) -> Floats:
        with quietly_failing():
            feed = {each.port.name: self._fed(each, columns) for each in self._feeds}
            (answer,) = self._session.run([self._output.name], feed)
            return self._read(answer, len(columns))

    def _fed(self, feed: _Feed, columns: Floats) -> Any:
        given: list[Any]
        if feed.port.element == STRING:
            given = [self._columns.texts(columns, at) for at in feed.features]
        elif feed.port.element in (INT32, INT64):
            given = [self._columns.whole_numbers(columns, at) for at in feed.features]
        else:
            given = [columns[:, at] for at in feed.features]
        if feed.port.shape is not None and len(feed.port.shape) == 1:
            whole: Any = given[0]
        else:
            whole = np.stack(given, axis=1)
        if feed.port.element == STRING:
            return whole
        with np.errstate(over="ignore"):
            narrow = whole.astype(NUMBERS[feed.port.element])
        if np.isinf(narrow).any() or (
            feed.port.element == INT32 and not np.array_equal(narrow, whole)
        ):
            raise failed("A value is larger than the model's inputs can hold.", feed.port.name)
        return narrow

    def _read(self, answer: Any, n_rows: int) -> Floats:
        """Margins of all outputs; ndarray of shape (n_rows, n_outputs)."""
        scores = [self._of_table(table) for table in answer] if self._output.by_class else answer
        return margins_of(scores, n_rows, self._output.target, self.space, "model")

    def _of_table(self, table: Any) -> list[float]:
        named = {str(label): float(value) for label, value in table.items()}
        classes = self._output.target.classes
        if named.keys() != set(classes):
            raise failed("The model gave scores for other classes than it names.")
        return [named[label] for label in classes]
