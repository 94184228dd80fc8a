"""A linear model as a JSON file of our own (docs/linear-model-1.schema.json); needs no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainer.core.attribution import Contrast, Space, Task
from explainer.core.case import Scalar
from explainer.families.engine.estimate import Estimate, Stage
from explainer.families.engine.forest import Floats
from explainer.families.engine.linear import Linear
from explainer.families.json_form import NUMBERS, Members, read_json, refuse_all
from explainer.families.model import Answer, Form, Input, RawRow, Target, failed

FORM = "warum.linear-model/1"

MEND = "Write the file as docs/linear-model-1.schema.json says, and seal the package again."


@dataclass(frozen=True, slots=True)
class Number:
    """A number moves the margin by  coefficient * (value - centre) / scale.

    `coefficients` : one for each output of the model
    """

    name: str
    coefficients: tuple[float, ...]
    centre: float
    scale: float
    stand_in: float | None

    def term(self, value: float, output: int) -> float:
        return self.coefficients[output] * ((value - self.centre) / self.scale)


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice moves the margin by its own coefficient, of which each output has one."""

    name: str
    coefficients: Mapping[str, tuple[float, ...]]
    stand_in: str | None

    def term(self, value: str, output: int) -> float:
        return self.coefficients[value][output]


Term = Number | Choice


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> LinearModel:
    """Read the file; every feature of the catalogue has its entry, and none besides.

    Raises ArtefactRefused, naming all faults at once.
    """
    faults: list[str] = []
    whole = Members(read_json(data, "model"), "", faults)
    whole.text("schema", among=(FORM,))
    space = _check_kind(whole, target)
    intercepts = whole.numbers("intercept", target.outputs, among=NUMBERS)
    entries = whole.members("features")
    whole.finish()
    # keyed by the name, because a file may give them in another order than the catalogue
    terms = {
        each.name: _term(each, entries.members(each.name), target.outputs)
        for each in inputs
        if entries.has(each.name) or _missing(entries, each.name)
    }
    for name, _ in entries.each():
        entries.fault(name, "is no feature of the catalogue.")
    refuse_all(faults, MEND)
    return LinearModel(intercepts, tuple(terms[each.name] for each in inputs), space)


def _missing(entries: Members, name: str) -> bool:
    entries.fault(name, "is missing; the catalogue has it.")
    return False


def _check_kind(whole: Members, target: Target) -> Space:
    """What the sums are measured in. Those of three or more classes are the logarithms of their
    probabilities, each short of the same number: differences count."""
    space = Space.AMOUNT if target.task is Task.AMOUNT else Space.LOG_ODDS
    whole.text("link", among=(space,))
    if target.task is not Task.AMOUNT:
        classes = whole.texts("classes")
        if classes:
            target.check(classes)
    elif whole.has("classes"):
        whole.any("classes")
        whole.fault("classes", "says nothing about an amount.")
    return space


def _term(each: Input, entry: Members, count: int) -> Term:
    if each.choices is None:
        term: Term = Number(
            each.name,
            entry.numbers("coefficient", count, among=NUMBERS),
            entry.number("centre", 0.0, among=NUMBERS),
            entry.number("scale", 1.0, among=(1e-300, 1e300)),
            entry.number("stand_in", among=NUMBERS) if entry.has("stand_in") else None,
        )
    else:
        given = entry.members("coefficients")
        coefficients = {
            choice: given.numbers(choice, count, among=NUMBERS) for choice in each.choices
        }
        given.finish()
        stand_in = entry.text("stand_in", among=each.choices) if entry.has("stand_in") else None
        term = Choice(each.name, coefficients, stand_in)
    entry.finish()
    return term


class LinearModel:
    """A linear model that answers with the sums its file describes, term by term.

    Its columns for the engine are made apart from that: a number as it is, a column of 0 and 1
    for every choice, centre and scale folded into weights. Two computations, one file.
    """

    def __init__(self, intercepts: Sequence[float], terms: Sequence[Term], space: Space) -> None:
        self._intercepts = tuple(intercepts)
        self._terms = tuple(terms)
        self._space = space
        self._forms = tuple(self._folded(output) for output in range(len(intercepts)))

    def _folded(self, output: int) -> Linear:
        player: list[int] = []
        weight: list[float] = []
        constant = [self._intercepts[output]]
        for at, term in enumerate(self._terms):
            if isinstance(term, Number):
                player.append(at)
                weight.append(term.coefficients[output] / term.scale)
                constant.append(-weight[-1] * term.centre)
            else:
                player += [at] * len(term.coefficients)
                weight += [term.term(choice, output) for choice in term.coefficients]
        try:
            summed = math.fsum(constant)
        except OverflowError:
            summed = math.inf  # which Linear refuses
        return Linear(np.array(player, dtype=np.int64), np.array(weight), summed, len(self._terms))

    @property
    def forms(self) -> tuple[Form, ...]:
        return self._forms

    @property
    def space(self) -> Space:
        return self._space

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return {t.name: t.stand_in for t in self._terms if t.stand_in is not None}

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """Margins by the file, in raw values; columns for the engine."""
        margins, columns = [], []
        for row in rows:
            values = [self._given(term, row[term.name]) for term in self._terms]
            margins.append([self._margin(values, output) for output in range(len(self._forms))])
            columns.append(
                [
                    column
                    for term, value in zip(self._terms, values, strict=True)
                    for column in _columns(term, value)
                ]
            )
        found = np.array(margins, dtype=np.float64).reshape(len(rows), -1)
        if not np.isfinite(found).all():
            raise failed("The model gave a number that is not finite.", "model")
        return Answer(found, np.array(columns, dtype=np.float64).reshape(len(rows), -1))

    def row_values(
        self,
        case: Floats,
        comparison: Floats,
        contrast: Contrast,
        stage: Stage | None = None,
        weights: Floats | None = None,
    ) -> Estimate:
        """See `Model.row_values`."""
        raise TypeError("only a model known by its answers is asked about mixtures")

    def _margin(self, values: Sequence[Any], output: int) -> float:
        """The sum of one output, rounded once (Shewchuk's algorithm in math.fsum)."""
        terms = [term.term(value, output) for term, value in zip(self._terms, values, strict=True)]
        try:
            return math.fsum([self._intercepts[output], *terms])
        except (OverflowError, ValueError):
            return math.nan

    @staticmethod
    def _given(term: Term, value: Scalar | None) -> float | str:
        if value is None:
            if term.stand_in is None:
                raise failed("The model has no stand-in for a missing value.", term.name)
            return term.stand_in
        if isinstance(term, Choice):
            if value not in term.coefficients:
                raise failed("The model does not know this choice.", term.name)
            return str(value)
        try:
            return float(value)
        except (ValueError, OverflowError):
            raise failed("The value is no number.", term.name) from None


def _columns(term: Term, value: Any) -> list[float]:
    if isinstance(term, Number):
        return [value]
    return [float(choice == value) for choice in term.coefficients]
