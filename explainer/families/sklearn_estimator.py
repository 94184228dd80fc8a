"""A fitted estimator of scikit-learn as Warum sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from explainer.core.attribution import Space
from explainer.errors import ArtefactRefused
from explainer.families.engine.forest import Floats
from explainer.families.model import Form


@dataclass(frozen=True, slots=True)
class Estimator:
    """A fitted estimator: a form for each output.

    `margins` asks the library itself, on prepared columns, shape (n_rows,) or
    (n_rows, n_outputs); `inner` turns prepared columns into those the form works on, where the
    estimator rearranges them first.
    """

    forms: tuple[Form, ...]
    space: Space
    margins: Callable[[Any], Floats]
    inner: Callable[[Floats], Floats] | None = None


def outputs_of(classifier: Any) -> int:
    """How many numbers a row a classifier gives: of two classes one, for the second of them; of
    more than two one for each."""
    classes = len(classifier.classes_)
    return 1 if classes == 2 else classes


def damaged(what: str) -> ArtefactRefused:
    return ArtefactRefused(
        what, "model", "The file is damaged or was tampered with; save the pipeline again."
    )
