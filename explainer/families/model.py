"""What every model format must give so that its cases can be explained and verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from explainer.core.case import Scalar
from explainer.families.engine.trees import Ensemble, Floats

RawRow = Mapping[str, Scalar | None]
"""The raw values of one case by feature; None where a value is missing."""


class Model(Protocol):
    """A model opened from an artefact.

    `margins` must come from the library that trained the model: it is what explanations are
    checked against. `columns` gives the rows as the model's own columns, on which `ensemble`
    (our form of it) works.
    """

    @property
    def ensemble(self) -> Ensemble: ...

    @property
    def stand_ins(self) -> Mapping[str, float | str]: ...

    def margins(self, rows: Sequence[RawRow]) -> Floats: ...

    def columns(self, rows: Sequence[RawRow]) -> Floats: ...
