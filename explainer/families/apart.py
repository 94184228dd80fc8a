"""A model in a process of its own: what breaks there costs one explanation.

One process per open model (see `process`, and `worker` for the other side), without secrets in its
environment, with limits and a deadline. If it crashes or hangs it is ended, and started anew when
the pause is over; the pauses grow. What comes back is checked like anything from outside.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from explainer.core.attribution import Contrast, Space
from explainer.core.case import FeatureCatalogue
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.artefacts import check_declared
from explainer.families.engine.estimate import Estimate, Stage
from explainer.families.engine.forest import Floats, Trees
from explainer.families.frames import Frame, FrameBroken
from explainer.families.model import Answer, Form, Input, RawRow, Target, inputs_of
from explainer.families.nursery import ProcessFailed
from explainer.families.process import Process
from explainer.families.wire import estimate_in, forms_in, table_in

OPENING = 120.0
"""Seconds for starting a process and opening a model in it."""

ANSWERING = 10.0
PER_ROW = 0.01
ENUMERATING = 60.0
"""Seconds a request may take: so many, and so many more for each row."""

OPENING_HEAD = 32 * 1024 * 1024
"""Bytes of names and words in the reply that holds a model; see `process.ANSWER_HEAD`."""

SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds until a process that failed is started anew; doubled each time it fails again."""


def open_apart(
    declared: str,
    data: bytes,
    catalogue: FeatureCatalogue,
    target: Target,
    *,
    pause: float = SHORTEST_PAUSE,
) -> ModelApart:
    """Parse a model in a process of its own. Raises ArtefactRefused as opening it here would.

    `pause` is how long it rests after the first failure, in seconds.
    """
    check_declared(declared, data)
    return ModelApart(_Question(declared, data, inputs_of(catalogue), target), pause)


def ask_once(declared: str, request: Frame) -> Frame:
    """The answer of a process that lives for this one question.

    Raises ArtefactRefused where the process broke or refused.
    """
    try:
        process = Process(declared)
        reply = process.ask(request, OPENING)
        process.end()
    except ProcessFailed as fault:
        raise _opening_failed(fault) from None
    if "error" in reply.head:
        raise _refused(reply)
    return reply


@dataclass(frozen=True, slots=True)
class _Question:
    """All that is needed to open the model, the first time and after a crash."""

    declared: str
    data: bytes
    inputs: tuple[Input, ...]
    target: Target

    def frame(self) -> Frame:
        return Frame(
            {
                "format": self.declared,
                "inputs": [[each.name, each.choices] for each in self.inputs],
                "task": self.target.task.value,
                "classes": list(self.target.classes),
                "by_answers": self.target.by_answers,
            },
            data=self.data,
        )


@dataclass(frozen=True, slots=True)
class Condition:
    """How the process of a model is.

    Attributes
    ----------
    started : whether there is one; whether it still answers, only a question shows
    failures : how often it failed or could not be started since the model was opened
    resting : seconds until it may be started anew, nought where it may
    """

    started: bool
    failures: int
    resting: float


class ModelApart:
    """A model that answers from its own process."""

    def __init__(self, question: _Question, pause: float) -> None:
        self._question = question
        self._first_pause = pause
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._pause = pause
        self._not_before = 0.0
        self._failures = 0
        try:
            self._process, reply = self._open()
        except ProcessFailed as fault:
            raise _opening_failed(fault) from None
        try:
            self._forms = forms_in(reply)
            self._space = Space(reply.head["space"])
            self._stand_ins = _stand_ins(reply.head["stand_ins"])
            self._table = table_in(reply, question.inputs)
            if len(self._forms) != question.target.outputs or any(
                form.n_players != len(question.inputs) for form in self._forms
            ):
                raise ValueError("outputs or players")
        except (
            *(FrameBroken, KeyError, TypeError, ValueError, AttributeError),
            *(OverflowError, MemoryError),
        ):
            raise ArtefactRefused(
                "The process of the model sent something else than a model.",
                "model",
                "The file is damaged or was tampered with; save the model again.",
            ) from None
        self._opened = _digest(reply)

    @property
    def forms(self) -> tuple[Form, ...]:
        return self._forms

    @property
    def space(self) -> Space:
        return self._space

    @property
    def process(self) -> int | None:
        """The number of its process; None while there is none."""
        return self._process.number if self._process else None

    @property
    def condition(self) -> Condition:
        """How its process is. Asked without waiting: a question may be under way for long."""
        if self._process is not None:
            return Condition(True, self._failures, 0.0)
        return Condition(False, self._failures, max(0.0, self._not_before - time.monotonic()))

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return self._stand_ins

    def answer(
        self, rows: Sequence[RawRow], meanwhile: Callable[[Floats], None] | None = None
    ) -> Answer:
        """The model's own margins and columns. Raises ModelFailed where it gives none.

        `meanwhile` is called with the columns while the answer is on its way, where they are known
        without asking. Whether they were the right ones, the answer says.
        """
        names = [each.name for each in self._question.inputs]
        request = Frame({"rows": [[row[n] for n in names] for row in rows]})
        work = None
        if meanwhile is not None and self._table is not None:
            work = partial(meanwhile, self._table.rows(rows))
        reply = self._asked(request, ANSWERING + PER_ROW * len(rows), work)
        margins, columns = reply.arrays.get("margins"), reply.arrays.get("columns")
        if (
            margins is None
            or columns is None
            or margins.dtype.kind != "f"
            or columns.dtype.kind != "f"
            or margins.shape != (len(rows), len(self._forms))
            or columns.ndim != 2
            or len(columns) != len(rows)
            or columns.shape[1] < max(map(_width, self._forms))
            or not np.isfinite(margins).all()
        ):
            raise _another_answer()
        return Answer(margins, columns)

    def row_values(
        self,
        case: Floats,
        comparison: Floats,
        contrast: Contrast,
        stage: Stage | None = None,
        weights: Floats | None = None,
    ) -> Estimate:
        """See `Model.row_values`; computed in the model's process, beside the model."""
        request = Frame(
            {
                "contrast": [contrast.towards, contrast.away],
                "stage": None if stage is None else [stage.first, stage.rounds],
            },
            {"case": case, "comparison": comparison}
            | ({} if weights is None else {"weights": weights}),
        )
        reply = self._asked(request, ENUMERATING)
        try:
            return estimate_in(reply, len(comparison), len(self._question.inputs))
        except FrameBroken:
            raise _another_answer() from None

    def _asked(
        self, request: Frame, seconds: float, meanwhile: Callable[[], None] | None = None
    ) -> Frame:
        with self._lock:
            process = self._ready()
            try:
                reply = process.ask(request, seconds, meanwhile=meanwhile)
            except ProcessFailed as fault:
                raise self._broke(fault) from None
            except BaseException:
                self._process = None
                raise
            self._pause = self._first_pause
        if "error" in reply.head:
            said = _plain(reply.head.get("what"))
            if reply.head["error"] == ModelFailed.code:
                where, mend = reply.head.get("where"), reply.head.get("mend")
                raise ModelFailed(said, _plain(where), _plain(mend))
            raise ModelFailed(
                f"Its process raised {said}.", "model", "Run `warum package check` on the package."
            )
        return reply

    def close(self) -> None:
        """End the process; a later question would start it anew."""
        with self._lock:
            if self._process is not None:
                self._process.end()
                self._process = None

    def _open(self) -> tuple[Process, Frame]:
        process = Process(self._question.declared)
        reply = process.ask(self._question.frame(), OPENING, OPENING_HEAD)
        if "error" in reply.head:
            process.end()
            if reply.head["error"] != ArtefactRefused.code:
                raise ProcessFailed(f"It raised {_plain(reply.head.get('what'))}.")
            raise _refused(reply)
        return process, reply

    def _ready(self) -> Process:
        """The process, started anew if it broke and the pause is over."""
        if self._process is not None:
            return self._process
        if time.monotonic() < self._not_before:
            raise _resting()
        try:
            process, reply = self._open()
        except (ProcessFailed, ArtefactRefused) as fault:
            raise self._broke(fault) from None
        if _digest(reply) != self._opened:
            process.end()
            raise self._broke(ProcessFailed("It opened another model than before."))
        self._process = process
        return process

    def _broke(self, fault: Exception) -> ModelFailed:
        self._process = None
        self._failures += 1
        self._not_before = time.monotonic() + self._pause
        self._pause = max(self._first_pause, min(2 * self._pause, LONGEST_PAUSE))
        return ModelFailed(
            f"The model's process failed. {fault}",
            "model",
            "It is started again by itself; if this comes back, run `warum package check`.",
        )


def _opening_failed(fault: Exception) -> ArtefactRefused:
    return ArtefactRefused(
        f"Opening the model broke its process. {fault}",
        "model",
        "The file is damaged or was tampered with; save the model again.",
    )


def _refused(reply: Frame) -> ArtefactRefused:
    """What the process refused, in its words; whatever else it raised is a file it cannot read."""
    if reply.head["error"] != ArtefactRefused.code:
        return _opening_failed(ProcessFailed(f"It raised {_plain(reply.head.get('what'))}."))
    return ArtefactRefused(
        _plain(reply.head.get("what")),
        _plain(reply.head.get("where")),
        _plain(reply.head.get("mend")),
    )


def _width(form: Form) -> int:
    """How many columns the form looks at."""
    return form.n_source if isinstance(form, Trees) else len(form.player)


def _another_answer() -> ModelFailed:
    return ModelFailed(
        "The model gave something else than it was asked for.",
        "model",
        "Run `warum package check` on the package.",
    )


def _resting() -> ModelFailed:
    return ModelFailed(
        "The model's process failed a moment ago.", "model", "It is started again by itself."
    )


def _digest(reply: Frame) -> str:
    head = {name: value for name, value in reply.head.items() if name != "request"}
    whole = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for name in sorted(reply.arrays):
        whole.update(name.encode())
        whole.update(reply.arrays[name].tobytes())
    return whole.hexdigest()


def _stand_ins(given: Any) -> Mapping[str, float | str]:
    return {
        str(name): value if isinstance(value, str) else float(value)
        for name, value in given.items()
    }


def _plain(text: object) -> str:
    """Text from the other process, as plain as a terminal or a log needs it."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:2000]
