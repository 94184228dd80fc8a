"""What every model format must give so that its cases can be explained and verified."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from explainer.core.attribution import Contrast, Space, Task
from explainer.core.case import FeatureCatalogue, Kind, Scalar
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.engine.estimate import Estimate, Stage
from explainer.families.engine.forest import Floats, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear

RawRow = Mapping[str, Scalar | None]
"""The raw values of one case by feature; None where a value is missing."""

Form = Trees | Linear | Function
"""Our form of a model, on the model's own columns: what its contributions are computed from."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a package wants of its model: a kind of answer, and the classes in the model's order.

    Of two classes the margin is for the second; an amount has none. `by_answers` says that a model
    whose steps mix features may be known by its answers only.
    """

    task: Task
    classes: tuple[str, ...] = ()
    by_answers: bool = False

    def check(self, found: Sequence[str]) -> None:
        """Raise ArtefactRefused unless the model's own classes are the declared ones."""
        if tuple(found) != self.classes:
            raise ArtefactRefused(
                f"The model's classes are {list(found)}; declared are {list(self.classes)}.",
                "model.classes",
                "Declare the model's classes, in the model's order.",
            )

    def only(self, *tasks: Task) -> None:
        """Raise ArtefactRefused unless this kind of model can be asked for it."""
        if self.task not in tasks:
            raise ArtefactRefused(
                f"The model gives no answer of kind {self.task}.",
                "model.kind",
                f"Declare kind = {' or '.join(repr(str(task)) for task in tasks)}.",
            )

    def named(self, probabilities: Sequence[float | None]) -> str | None:
        """The class a model of these probabilities names, the first of equal ones; of two classes
        the probability is that of the second. None for an amount."""
        known = [each for each in probabilities if each is not None]
        if self.task is Task.AMOUNT or len(known) != self.outputs:
            return None
        if self.task is Task.BINARY:
            return self.classes[known[0] >= 0.5]
        return self.classes[known.index(max(known))]

    @property
    def outputs(self) -> int:
        """How many numbers a row the model gives."""
        return len(self.classes) if self.task is Task.MULTICLASS else 1


@dataclass(frozen=True, slots=True)
class Input:
    """One feature as a model takes it: its name, and its choices where it is not a number."""

    name: str
    choices: tuple[str, ...] | None


def inputs_of(catalogue: FeatureCatalogue) -> tuple[Input, ...]:
    """The features of a catalogue as the inputs of a model; the n-th is the n-th player."""
    return tuple(
        Input(
            feature.name,
            tuple(map(str, feature.choices)) if feature.kind is Kind.CHOICE else None,
        )
        for feature in catalogue
    )


def check_names(names: Sequence[str], inputs: Sequence[Input]) -> None:
    """Raise ArtefactRefused unless a model whose columns have names has those of the inputs."""
    known = {each.name for each in inputs}
    lacking = sorted(set(names) - known)
    unknown = sorted(known - set(names))
    if lacking or unknown:
        raise ArtefactRefused(
            "Model and feature catalogue name different inputs"
            + (f"; the catalogue lacks {_few(lacking)}" if lacking else "")
            + (f"; the model does not know {_few(unknown)}" if unknown else "")
            + ".",
            "features.toml",
            "Name in features.toml exactly the columns the model was trained on.",
        )


def named_once(given: Sequence[str | float], column: str | None = None) -> tuple[str, ...]:
    """The names of a column's categories: texts as they are, numbers as they are written.

    Raises ArtefactRefused where two have the same: a case that names it would be answered with
    either. pandas takes 1 and "1" for two categories, and no case can tell them apart.
    """
    names = tuple(map(str, given))
    if len(set(names)) != len(names):
        twice, _ = Counter(names).most_common(1)[0]
        listed = ", ".join(map(repr, given[:20]))[:200]
        raise ArtefactRefused(
            f"Two categories of the model have the same name, {twice[:60]!r}: {listed}.",
            f"model, {column}" if column else "model",
            "Make one of them, or give each its own text in the table of training, and train the "
            "model again.",
        )
    return names


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:20])[:1000]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says about rows.

    Attributes
    ----------
    margins : ndarray of shape (n_rows, n_outputs), raw margin, from the library that trained the
        model; one output for two classes and for an amount, else one for each class
    columns : ndarray of shape (n_rows, n_columns), the rows as the model's own columns
    """

    margins: Floats
    columns: Floats

    @property
    def margin(self) -> Floats:
        """The margins of a model of one output; ndarray of shape (n_rows,)."""
        only: Floats
        (only,) = self.margins.T
        return only

    def of(self, contrast: Contrast) -> Floats:
        """The margins of a contrast; ndarray of shape (n_rows,)."""
        return margin_of(self.margins, contrast)


def margin_of(margins: Floats, contrast: Contrast) -> Floats:
    """Margins of a contrast, shape (n_rows,), from all outputs', shape (n_rows, n_outputs)."""
    towards: Floats = margins[:, contrast.towards]
    if contrast.away is None:
        return towards
    away: Floats = margins[:, contrast.away]
    found: Floats = towards - away
    return found


class Model(Protocol):
    """A model opened from an artefact.

    The margins of an answer must come from the library that trained the model: they are what
    explanations are checked against. The forms, one for each output, work on the columns of an
    answer and are all of one kind.
    """

    @property
    def forms(self) -> tuple[Form, ...]: ...

    @property
    def space(self) -> Space:
        """What the margin is measured in."""
        ...

    @property
    def stand_ins(self) -> Mapping[str, float | str]:
        """What the model itself puts in the place of a missing value, by feature.

        Not of features whose missing values it takes as they are, or not at all.
        """
        ...

    def answer(self, rows: Sequence[RawRow]) -> Answer: ...

    def row_values(
        self,
        case: Floats,
        comparison: Floats,
        contrast: Contrast,
        stage: Stage | None = None,
        weights: Floats | None = None,
    ) -> Estimate:
        """For a `Function`: Shapley values of `case` against each comparison row alone, by asking
        the model about mixtures of their columns: about all, or where there are too many about
        those of a stage. `weights` of the comparison rows count in the values against all."""
        ...


def known_by_answers(forms: Sequence[Form]) -> Function:
    """What the outputs of such a model have in common: which column belongs to which player."""
    form = forms[0]
    if not isinstance(form, Function):
        raise TypeError("only a model known by its answers is asked about mixtures")
    return form


def failed(what: str, where: str = "model") -> ModelFailed:
    """A model that gives no answer, or one that cannot be."""
    return ModelFailed(what, where, "Run `warum package check` on the package.")


@contextmanager
def quietly_failing() -> Iterator[None]:
    """Whatever a library raises may quote values of the case; its name is enough."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ModelFailed:
        raise
    except Exception as fault:
        raise failed(f"The model raised {type(fault).__name__}.") from None
