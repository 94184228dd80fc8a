"""What an ONNX file holds, looked at before onnxruntime sees it.

The handful of fields that matter are read (`protobuf`), with bounds on everything: no file beside
it, no operator but the standard's, no chance. Field numbers are those of onnx.proto (ONNX 1.19, IR
version 12); unknown fields are passed over, as every reader of protocol buffers does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from explainer.errors import ArtefactRefused
from explainer.families.protobuf import (
    Broken,
    as_bytes,
    as_number,
    as_numbers,
    as_text,
    fields,
)

DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
"""Of the operators onnxruntime has itself. Whatever else there is may be code of somebody else."""

BY_CHANCE = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}

MOST_NODES = 20_000
DEEPEST = 8
"""Of graphs inside of nodes (branches, loops)."""

# TensorProto.DataType
FLOAT, INT32, INT64, STRING, DOUBLE = 1, 6, 7, 8, 11


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of the graph.

    `element` is the type of its numbers, 0 where it is no tensor; `shape` its axes, None where an
    axis is open; `by_class` says it is a list of tables from class to number (ZipMap).
    """

    name: str
    element: int
    shape: tuple[int | None, ...] | None
    by_class: bool


@dataclass(frozen=True, slots=True)
class Labels:
    """The classes a node knows, in its order."""

    operator: str
    outputs: tuple[str, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the outer graph, its attributes still as bytes."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    data: memoryview


@dataclass(slots=True)
class OnnxFile:
    """What of a file matters here."""

    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    nodes: int = 0


def read_onnx(data: bytes) -> OnnxFile:
    """Look through the whole file. Raises ArtefactRefused for what is no single, plain model."""
    found = OnnxFile()
    try:
        _model(memoryview(data), found)
    except (Broken, UnicodeDecodeError):
        raise refused(
            "This is no ONNX file, or it is damaged.", "Save it again with SerializeToString()."
        ) from None
    return found


def refused(what: str, mend: str) -> ArtefactRefused:
    return ArtefactRefused(what, "model", mend)


class _Once:
    """Fields that may stand once. A second one is merged by some readers and wins with others."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def __call__(self, number: int) -> None:
        if number in self._seen:
            raise refused("A part of the model stands there twice.", "Save it again.")
        self._seen.add(number)


# -- the messages -------------------------------------------------------------------------------


def _model(data: memoryview, found: OnnxFile) -> None:
    once, graphs = _Once(), 0
    for number, value in fields(data):
        if number == 7:
            once(number)
            graphs += 1
            _graph(as_bytes(value), found, 0)
        elif number == 8:
            _check_domain(next((as_text(v) for n, v in fields(as_bytes(value)) if n == 1), ""))
        elif number == 14:
            _property(as_bytes(value), found)
        elif number == 20:
            raise refused("The file holds instructions for training.", "Save the model alone.")
        elif number == 25:
            raise refused(
                "The model brings functions of its own.",
                "Inline them (onnx.inliner.inline_local_functions) and save it again.",
            )
    if not graphs:
        raise Broken


def _property(data: memoryview, found: OnnxFile) -> None:
    pair = {n: as_text(v) for n, v in fields(data) if n in (1, 2)}
    key = pair.get(1, "")
    if key in found.metadata:
        raise refused("An entry of metadata_props stands there twice.", "Name it once.")
    found.metadata[key] = pair.get(2, "")


def _graph(data: memoryview, found: OnnxFile, depth: int) -> None:
    if depth > DEEPEST:
        raise refused("Graphs are nested too deep.", "Save it as a plain graph.")
    given: list[Port] = []
    initial: set[str] = set()
    for number, value in fields(data):
        if number == 1:
            _node(as_bytes(value), found, depth)
        elif number == 5:
            initial.add(_tensor(as_bytes(value)))
        elif number == 15:
            initial.add(_sparse(as_bytes(value)))
        elif number in (11, 12) and depth == 0:
            (given if number == 11 else found.outputs).append(_port(as_bytes(value)))
    if depth == 0:
        # before IR version 4 constants stood among the inputs
        found.inputs += [port for port in given if port.name not in initial]


def _node(data: memoryview, found: OnnxFile, depth: int) -> None:
    found.nodes += 1
    if found.nodes > MOST_NODES:
        raise refused(
            f"The graph has more than {MOST_NODES} nodes.", "Use a model with fewer steps."
        )
    once = _Once()
    operator = domain = ""
    inputs: list[str] = []
    outputs: list[str] = []
    classes: list[tuple[str, ...]] = []
    for number, value in fields(data):
        if number == 1:
            inputs.append(as_text(value))
        elif number == 2:
            outputs.append(as_text(value))
        elif number == 4:
            once(number)
            operator = as_text(value)
        elif number == 7:
            once(number)
            domain = as_text(value)
        elif number == 5:
            classes += _attribute(as_bytes(value), found, depth)
    _check_domain(domain, operator)
    if operator in BY_CHANCE:
        raise refused(
            f"The model asks chance ({operator}).", "Save it for answering, not for training."
        )
    if operator.startswith("TreeEnsemble") and (depth or operator == "TreeEnsemble"):
        raise refused(
            "Trees stand in a branch of the graph, or in a form that is not read.",
            "Convert it with operators of ai.onnx.ml below version 5, without branches.",
        )
    if depth == 0:
        found.steps.append(Step(operator, tuple(inputs), tuple(outputs), data))
    found.labels += [Labels(operator, tuple(outputs), each) for each in classes if depth == 0]


_CLASSES = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


def _attribute(data: memoryview, found: OnnxFile, depth: int) -> list[tuple[str, ...]]:
    """Look at tensors and graphs in an attribute; the classes in it, if it names classes."""
    name = ""
    held: list[tuple[int, memoryview]] = []
    for number, value in fields(data):
        if number == 1:
            name = as_text(value)
        elif number in _HELD:
            held.append((number, as_bytes(value)))
    for number, part in held:
        _HELD[number](part, found, depth + 1)
    if name not in _CLASSES:
        return []
    classes: list[str] = []
    for number, value in fields(data):
        if number == 8:
            classes += map(str, as_numbers(value))
        elif number == 9:
            classes.append(as_text(value))
    return [tuple(classes)] if classes else []


def attributes_of(step: memoryview) -> dict[str, list[float] | list[int] | list[bytes]]:
    """The numbers and texts among the attributes of a step; a part that holds anything else is
    there and empty."""
    found: dict[str, list[float] | list[int] | list[bytes]] = {}
    try:
        for number, value in fields(step):
            if number == 5:
                name, values = _values(as_bytes(value))
                found[name] = values
    except (Broken, UnicodeDecodeError):
        raise refused("An attribute of the model is damaged.", "Save the model again.") from None
    return found


def _values(data: memoryview) -> tuple[str, list[float] | list[int] | list[bytes]]:
    name = ""
    floats: list[float] = []
    ints: list[int] = []
    texts: list[bytes] = []
    for number, value in fields(data):
        if number == 1:
            name = as_text(value)
        elif number in (2, 7):
            part = as_bytes(value)
            if len(part) % 4:
                raise Broken
            floats += struct.unpack(f"<{len(part) // 4}f", part)
        elif number in (3, 8):
            ints += as_numbers(value)
        elif number in (4, 9):
            texts.append(bytes(as_bytes(value)))
    return name, floats or ints or texts


_HELD: dict[int, Callable[[memoryview, OnnxFile, int], object]] = {
    5: lambda part, found, depth: _tensor(part),
    10: lambda part, found, depth: _tensor(part),
    22: lambda part, found, depth: _sparse(part),
    23: lambda part, found, depth: _sparse(part),
    6: lambda part, found, depth: _graph(part, found, depth),
    11: lambda part, found, depth: _graph(part, found, depth),
}


def _tensor(data: memoryview) -> str:
    """The name of a tensor that stands in this very file."""
    name = ""
    for number, value in fields(data):
        if number == 8:
            name = as_text(value)
        elif number == 13 or (number == 14 and as_number(value) != 0):
            raise refused(
                "Part of the model stands in another file (external data).",
                "Save it as one file: onnx.save_model(..., save_as_external_data=False).",
            )
    return name


def _sparse(data: memoryview) -> str:
    names = [_tensor(as_bytes(value)) for number, value in fields(data) if number in (1, 2)]
    return names[0] if names else ""


def _check_domain(domain: str, operator: str = "") -> None:
    if domain not in DOMAINS:
        plain = domain if domain.isprintable() and len(domain) < 80 else "not to be printed"
        of = f", of operator {operator}," if operator.isalnum() else ""
        raise refused(
            f"The domain {plain}{of} is none of the standard's.",
            "Convert it with the operators of ai.onnx and ai.onnx.ml only.",
        )


def _port(data: memoryview) -> Port:
    name, once = "", _Once()
    element, shape, by_class = 0, None, False
    for number, value in fields(data):
        if number == 1:
            once(number)
            name = as_text(value)
        elif number == 2:
            once(number)
            element, shape, by_class = _type(as_bytes(value))
    return Port(name, element, shape, by_class)


def _type(data: memoryview) -> tuple[int, tuple[int | None, ...] | None, bool]:
    parts = [(n, as_bytes(v)) for n, v in fields(data) if n in (1, 4, 5, 8, 9)]
    if len(parts) != 1:
        return 0, None, False
    (number, inner), *_ = parts
    if number == 4:  # a list of tables: ZipMap
        of = [as_bytes(v) for n, v in fields(inner) if n == 1]
        return 0, None, len(of) == 1 and any(n == 5 for n, _ in fields(of[0]))
    if number != 1:
        return 0, None, False
    element, shape = 0, None
    for field_number, value in fields(inner):
        if field_number == 1:
            element = as_number(value)
        elif field_number == 2:
            shape = tuple(_axis(as_bytes(v)) for n, v in fields(as_bytes(value)) if n == 1)
    return element, shape, False


def _axis(data: memoryview) -> int | None:
    sizes = [as_number(value) for number, value in fields(data) if number == 1]
    return sizes[0] if sizes and sizes[0] > 0 else None


def different(labels: Sequence[Labels]) -> list[tuple[str, ...]]:
    """The lists of classes the graph names, each once."""
    return list(dict.fromkeys(each.classes for each in labels))
