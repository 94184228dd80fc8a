"""A linear model as a JSON file of our own (docs/linear-model-1.schema.json); needs no library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explainer.core.attribution import Contrast, Space, Task
from explainer.core.case import Scalar
from explainer.families.engine.forest import Floats
from explainer.families.engine.linear import Linear
from explainer.families.json_form import NUMBERS, Members, read_json, refuse_all
from explainer.families.model import Answer, Form, Input, RawRow, Target, failed

FORM = "warum.linear-model/1"

MEND = "Write the file as docs/linear-model-1.schema.json says, and seal the package again."


@dataclass(frozen=True, slots=True)
class Number:
    """A number moves the margin by  coefficient * (value - centre) / scale."""

    name: str
    coefficient: float
    centre: float
    scale: float
    stand_in: float | None

    def term(self, value: float) -> float:
        return self.coefficient * ((value - self.centre) / self.scale)


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice moves the margin by its own coefficient."""

    name: str
    coefficients: Mapping[str, float]
    stand_in: str | None


Term = Number | Choice


def open_model(data: bytes, inputs: Sequence[Input], target: Target) -> LinearModel:
    """Read the file; every feature of the catalogue has its entry, and none besides.

    Raises ArtefactRefused, naming all faults at once.
    """
    target.only(Task.BINARY)
    faults: list[str] = []
    whole = Members(read_json(data, "model"), "", faults)
    whole.text("schema", among=(FORM,))
    _check_kind(whole, target)
    intercept = whole.number("intercept", among=NUMBERS)
    entries = whole.members("features")
    whole.finish()
    # keyed by the name, because a file may give them in another order than the catalogue
    terms = {
        each.name: _term(each, entries.members(each.name))
        for each in inputs
        if entries.has(each.name) or _missing(entries, each.name)
    }
    for name, _ in entries.each():
        entries.fault(name, "is no feature of the catalogue.")
    refuse_all(faults, MEND)
    return LinearModel(intercept, tuple(terms[each.name] for each in inputs))


def _missing(entries: Members, name: str) -> bool:
    entries.fault(name, "is missing; the catalogue has it.")
    return False


def _check_kind(whole: Members, target: Target) -> None:
    whole.text("link", among=("log-odds",))
    classes = whole.texts("classes")
    if classes:
        target.check(classes)


def _term(each: Input, entry: Members) -> Term:
    if each.choices is None:
        term: Term = Number(
            each.name,
            entry.number("coefficient", among=NUMBERS),
            entry.number("centre", 0.0, among=NUMBERS),
            entry.number("scale", 1.0, among=(1e-300, 1e300)),
            entry.number("stand_in", among=NUMBERS) if entry.has("stand_in") else None,
        )
    else:
        given = entry.members("coefficients")
        coefficients = {choice: given.number(choice, among=NUMBERS) for choice in each.choices}
        given.finish()
        stand_in = entry.text("stand_in", among=each.choices) if entry.has("stand_in") else None
        term = Choice(each.name, coefficients, stand_in)
    entry.finish()
    return term


class LinearModel:
    """A linear model that answers with the sum its file describes, term by term.

    Its columns for the engine are made apart from that: a number as it is, a column of 0 and 1
    for every choice, centre and scale folded into weights. Two computations, one file.
    """

    def __init__(self, intercept: float, terms: Sequence[Term]) -> None:
        self._intercept = intercept
        self._terms = tuple(terms)
        player: list[int] = []
        weight: list[float] = []
        constant = [intercept]
        for at, term in enumerate(self._terms):
            if isinstance(term, Number):
                player.append(at)
                weight.append(term.coefficient / term.scale)
                constant.append(-weight[-1] * term.centre)
            else:
                player += [at] * len(term.coefficients)
                weight += term.coefficients.values()
        try:
            summed = math.fsum(constant)
        except OverflowError:
            summed = math.inf  # which Linear refuses
        self._form = Linear(
            np.array(player, dtype=np.int64), np.array(weight), summed, len(self._terms)
        )

    @property
    def forms(self) -> tuple[Form, ...]:
        return (self._form,)

    @property
    def space(self) -> Space:
        return Space.LOG_ODDS

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        return {t.name: t.stand_in for t in self._terms if t.stand_in is not None}

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """Margins by the file, in raw values; columns for the engine."""
        margins, columns = [], []
        for row in rows:
            values = [self._given(term, row[term.name]) for term in self._terms]
            margins.append(self._margin(values))
            columns.append(
                [
                    column
                    for term, value in zip(self._terms, values, strict=True)
                    for column in _columns(term, value)
                ]
            )
        found = np.array(margins, dtype=np.float64)
        if not np.isfinite(found).all():
            raise failed("The model gave a number that is not finite.", "model")
        return Answer(found[:, None], np.array(columns, dtype=np.float64).reshape(len(rows), -1))

    def row_values(self, case: Floats, comparison: Floats, contrast: Contrast) -> Floats:
        """See `Model.row_values`."""
        raise TypeError("only a model known by its answers is asked about mixtures")

    def _margin(self, values: Sequence[Any]) -> float:
        """The sum, rounded once (Shewchuk's algorithm in math.fsum)."""
        try:
            return math.fsum(
                [
                    self._intercept,
                    *(
                        term.term(value) if isinstance(term, Number) else term.coefficients[value]
                        for term, value in zip(self._terms, values, strict=True)
                    ),
                ]
            )
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
