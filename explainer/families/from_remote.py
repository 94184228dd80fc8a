"""A model behind an endpoint of the Open Inference Protocol v2, known by its answers only.

The artefact is a description (docs/remote-model-1.schema.json): where the endpoint is, which
certificate it must hold, what goes in and what comes out. Only values of the features are sent, no
number of a case and no name.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from explainer.core.attribution import Contrast, Space, Task
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.endpoint import Address, Endpoint, Trust, address_in
from explainer.families.engine.estimate import Estimate, Stage, asked
from explainer.families.engine.forest import Floats
from explainer.families.json_form import Members, read_json, refuse_all
from explainer.families.model import Answer, Form, Input, RawRow, Target, margin_of
from explainer.families.raw_columns import RawColumns, stand_ins_in
from explainer.families.scores import margins_of, spaces_of

FORM = "warum.remote-model/1"

MEND = "Write the file as docs/remote-model-1.schema.json says, and seal the package again."

ANSWERING = 8.0
PER_ROW = 0.008
ENUMERATING = 55.0
"""Seconds for all tries of a question together; less than the process has (`apart`), so that what
is told is why there is no answer, and not that a process was ended."""

BUDGET = 500_000
"""Mixtures asked about for one case: at 10,000 a second the largest stage of an estimate, half of
them, is answered in half of that time."""

MOST_ROWS = 65_536
"""Of one request, whatever a description says."""

LARGEST_HEAD, LARGEST_ROW = 65_536, 128
"""Bytes an answer may have: so many, and so many more for each row and output."""

FLOATS = ("FP64", "FP32")
WHOLE = {"INT64": np.int64, "INT32": np.int32}

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> RemoteModel:
    """Read the description; the endpoint is first asked for the comparison group.

    Raises ArtefactRefused, naming all faults at once.
    """
    faults: list[str] = []
    whole = Members(read_json(data, "model"), "", faults)
    whole.text("schema", among=(FORM,))
    model = _named(whole, "model")
    version = _named(whole, "version")
    address = _address(whole)
    trust = _trust(whole, address)
    classes = _classes(whole, target)
    feeds = _feeds(whole, inputs)
    flat = whole.text("shape", "n x 1", among=("n", "n x 1")) == "n"
    given = whole.members("output")
    output = _Output(
        given.text("name"),
        given.text("datatype", among=FLOATS),
        Space(given.text("gives", among=spaces_of(target)) or Space.PROBABILITY),
        target,
    )
    given.finish()
    stand_ins = stand_ins_in(whole.members("stand_ins"), inputs) if whole.has("stand_ins") else {}
    max_rows = whole.whole("max_rows", among=(1, MOST_ROWS))
    seconds = whole.members("seconds")
    connect = seconds.number("connect", among=(0.05, ANSWERING))
    answer = seconds.number("answer", among=(0.05, ENUMERATING))
    seconds.finish()
    retries = whole.whole("retries", among=(0, 10))
    whole.finish()
    refuse_all(faults, MEND)
    if classes is not None:
        target.check(classes)
    if address is None:
        raise TypeError("an address that is none is a fault")
    where = f"{address}, model {model}, version {version}"
    endpoint = Endpoint(address, trust, where, connect=connect, answer=answer, retries=retries)
    question = _Question(model, version, feeds, flat, output)
    return RemoteModel(endpoint, RawColumns(inputs, stand_ins), question, max_rows, where)


# -- the description ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Feed:
    """One tensor: the feature, by position, that it holds, and how."""

    feature: int
    name: str
    datatype: str


@dataclass(frozen=True, slots=True)
class _Output:
    name: str
    datatype: str
    space: Space
    target: Target

    def shapes(self, n_rows: int) -> tuple[list[int], ...]:
        """Those its scores may come in; see `margins_of`."""
        if self.target.task is Task.MULTICLASS:
            return ([n_rows, self.target.outputs],)
        one = ([n_rows], [n_rows, 1])
        return one if self.target.task is Task.AMOUNT else (*one, [n_rows, 2])


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of which model."""

    model: str
    version: str
    feeds: tuple[_Feed, ...]
    flat: bool
    output: _Output

    @property
    def path(self) -> str:
        return f"/v2/models/{self.model}/versions/{self.version}/infer"


def _classes(whole: Members, target: Target) -> tuple[str, ...] | None:
    """Those of the scores, in their order; None for an amount, which has none."""
    if target.task is not Task.AMOUNT:
        return whole.texts("classes")
    if whole.has("classes"):
        whole.any("classes")
        whole.fault("classes", "says nothing about an amount.")
    return None


def _named(whole: Members, key: str) -> str:
    """A name that can stand in a path as it is."""
    name = whole.text(key)
    if name and not _NAME.fullmatch(name):
        whole.fault(key, "is not made of letters, digits, dots, hyphens and underscores.")
    return name


def _address(whole: Members) -> Address | None:
    url = whole.text("url")
    found = address_in(url) if url else ""
    if isinstance(found, Address):
        return found
    if found:
        whole.fault("url", found)
    return None


def _trust(whole: Members, address: Address | None) -> Trust | None:
    if address is None:
        whole.any("trust", "")
        return None
    if not address.secure:
        if whole.has("trust"):
            whole.any("trust")
            whole.fault("trust", "says nothing about http.")
        return None
    given = whole.members("trust")
    kinds = [kind for kind in ("authority", "certificate_sha256") if given.has(kind)]
    if len(kinds) != 1:
        for kind in kinds:
            given.any(kind)
        whole.fault("trust", "needs either authority or certificate_sha256.")
    elif kinds == ["authority"]:
        try:
            trust = Trust.authority(given.text("authority"))
            given.finish()
        except (ssl.SSLError, ValueError):
            given.fault("authority", "is no certificate in PEM.")
        else:
            return trust
    else:
        pinned = given.text("certificate_sha256")
        if pinned and not _SHA256.fullmatch(pinned):
            given.fault("certificate_sha256", "is not 64 small hexadecimal digits.")
        given.finish()
        return Trust.certificate(pinned)
    given.finish()
    return None


def _feeds(whole: Members, inputs: Sequence[Input]) -> tuple[_Feed, ...]:
    """One tensor for each feature; the file may give them in any order."""
    given = whole.members("inputs")
    feeds: list[_Feed] = []
    for at, each in enumerate(inputs):
        if not given.has(each.name):
            given.fault(each.name, "is missing; the catalogue has it.")
            continue
        entry = given.members(each.name)
        fitting = ("BYTES",) if each.choices is not None else (*FLOATS, *WHOLE)
        datatype = entry.text("datatype", among=fitting)
        feeds.append(_Feed(at, entry.text("name", each.name), datatype))
        entry.finish()
    for name, _ in given.each():
        given.fault(name, "is no feature of the catalogue.")
    names = [feed.name for feed in feeds]
    for name in sorted({name for name in names if names.count(name) > 1}):
        given.fault("", f"name the tensor {name} twice.")
    return tuple(feeds)


# -- the model ----------------------------------------------------------------------------------


class RemoteModel:
    """A model that answers from its endpoint, on the features as columns."""

    def __init__(
        self,
        endpoint: Endpoint,
        columns: RawColumns,
        question: _Question,
        max_rows: int,
        where: str,
    ) -> None:
        self._endpoint = endpoint
        self._columns = columns
        self._question = question
        self._max_rows = max_rows
        self._where = where
        self._form = replace(columns.form, budget=BUDGET)
        self._outputs = question.output.target.outputs

    @property
    def forms(self) -> tuple[Form, ...]:
        return (self._form,) * self._outputs

    @property
    def space(self) -> Space:
        return self._question.output.space

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return self._columns.stand_ins

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """The endpoint's own scores, and the features as columns."""
        columns = self._columns.filled(self._columns.of(rows))
        deadline = time.monotonic() + ANSWERING + PER_ROW * len(rows)
        return Answer(self._margins(columns, deadline), columns)

    def row_values(
        self,
        case: Floats,
        comparison: Floats,
        contrast: Contrast,
        stage: Stage | None = None,
        weights: Floats | None = None,
    ) -> Estimate:
        """See `Model.row_values`."""
        deadline = time.monotonic() + ENUMERATING

        def margins(columns: Floats) -> Floats:
            return margin_of(self._margins(columns, deadline), contrast)

        return asked(margins, self._form, case, comparison, stage, weights)

    def _margins(self, columns: Floats, deadline: float) -> Floats:
        """Each different row is asked about once: mixtures of case and comparison rows are often
        alike, and every one that is sent costs."""
        whole = np.ascontiguousarray(columns)
        as_bytes = whole.view(np.dtype((np.void, whole.itemsize * whole.shape[1]))).reshape(-1)
        _, first, place = np.unique(as_bytes, return_index=True, return_inverse=True)
        different = whole[first]
        margins = np.empty((len(different), self._outputs))
        for at in range(0, len(different), self._max_rows):
            part = different[at : at + self._max_rows]
            margins[at : at + len(part)] = self._asked(part, deadline)
        return margins[place.reshape(-1)]

    def _asked(self, columns: Floats, deadline: float) -> Floats:
        largest = LARGEST_HEAD + LARGEST_ROW * len(columns) * self._outputs
        body = self._endpoint.post(self._question.path, self._written(columns), largest, deadline)
        scores = _read(body, largest, self._question, len(columns), self._where)
        target = self._question.output.target
        return margins_of(scores, len(columns), target, self.space, self._where)

    def _written(self, columns: Floats) -> bytes:
        """The question as JSON; a number in JSON has no NaN, so nothing may be missing."""
        question = self._question
        shape = [len(columns)] if question.flat else [len(columns), 1]
        tensors = [
            {
                "name": feed.name,
                "shape": shape,
                "datatype": feed.datatype,
                "data": self._data(feed, columns),
            }
            for feed in question.feeds
        ]
        whole = {"inputs": tensors, "outputs": [{"name": question.output.name}]}
        return json.dumps(whole, allow_nan=False, separators=(",", ":")).encode()

    def _data(self, feed: _Feed, columns: Floats) -> list[Any]:
        at = feed.feature
        if feed.datatype == "BYTES":
            return list(self._columns.texts(columns, at).tolist())
        if feed.datatype in WHOLE:
            whole = self._columns.whole_numbers(columns, at)
            if not np.array_equal(whole.astype(WHOLE[feed.datatype]), whole):
                raise self._too_large(at)
            return list(whole.tolist())
        given = columns[:, at]
        if np.isnan(given).any():
            raise ModelFailed(
                "The model takes no missing value here.",
                self._columns.names[at],
                'Declare what stands in for it: "stand_ins", docs/formats.md.',
            )
        with np.errstate(over="ignore"):
            if feed.datatype == "FP32" and np.isinf(given.astype(np.float32)).any():
                raise self._too_large(at)
        return list(given.tolist())

    def _too_large(self, at: int) -> ModelFailed:
        return ModelFailed(
            "A value is larger than the model's inputs can hold.",
            self._columns.names[at],
            "Use a larger datatype.",
        )


# -- the answer ---------------------------------------------------------------------------------


def _read(body: bytes, largest: int, question: _Question, n_rows: int, where: str) -> Floats:
    """The scores in an answer, of shape (n_rows, n_scores). Raises ModelFailed.

    Members nobody asked for are passed over; what was asked for must be exactly so.
    """

    def wrong(what: str) -> ModelFailed:
        return ModelFailed(
            f"The endpoint answers something else than was asked: {what}.",
            where,
            "Check that model, version and output are those the description names.",
        )

    try:
        whole = read_json(body, "answer", largest)
    except ArtefactRefused:
        raise wrong("no plain JSON") from None
    if not isinstance(whole, dict):
        raise wrong("no object")
    if whole.get("model_name") != question.model:
        raise wrong("another model_name")
    # the version is optional in the protocol; where it is given it must be the pinned one
    if whole.get("model_version", question.version) != question.version:
        raise wrong("another model_version")
    tensors = whole.get("outputs")
    if not isinstance(tensors, list) or not all(isinstance(t, dict) for t in tensors):
        raise wrong("no list of outputs")
    named = [t for t in tensors if t.get("name") == question.output.name]
    if len(named) != 1:
        raise wrong(f"{len(named)} outputs of the name that was asked for")
    (tensor,) = named
    if tensor.get("datatype") != question.output.datatype:
        raise wrong("another datatype")
    shape = tensor.get("shape")
    if shape not in question.output.shapes(n_rows) or any(type(n) is not int for n in shape):
        raise wrong("another shape")
    data = tensor.get("data")
    if isinstance(data, list) and data and isinstance(data[0], list):
        # nested as the shape is, which the protocol allows
        if len(shape) != 2 or not all(isinstance(r, list) and len(r) == shape[1] for r in data):
            raise wrong("data of another shape")
        data = [number for row in data for number in row]
    if not isinstance(data, list) or len(data) != prod(shape):
        raise wrong("another number of scores")
    if not all(type(number) in (int, float) for number in data):
        raise wrong("scores that are no numbers")
    try:
        return np.array(data, dtype=np.float64).reshape(n_rows, -1)
    except OverflowError:
        raise wrong("a score that is too large") from None
