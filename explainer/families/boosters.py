"""What the formats of bare boosters share: their table of numbers, and the model that answers.

A column in another order, or a category under another code, gives a wrong number without any
error: so columns are placed by the names the model's own file holds, and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from explainer.core.attribution import Contrast, Space
from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families.engine.estimate import Estimate, Stage, asked
from explainer.families.engine.forest import Floats, Ints
from explainer.families.engine.function import Function
from explainer.families.model import (
    Answer,
    Form,
    Input,
    RawRow,
    check_names,
    failed,
    known_by_answers,
    margin_of,
    quietly_failing,
)


@dataclass(frozen=True, slots=True, eq=False)
class Booster:
    """A booster of one library.

    Attributes
    ----------
    forms : one for each output
    margins : raw margins of rows of the table, from the library itself, shape (n_rows,) or
        (n_rows, n_outputs)
    columns : rows of the table as the form takes them, where it does not take them as they are
    stand_ins : see `Model`; empty where each missing value has a way of its own through the trees
    """

    forms: tuple[Form, ...]
    table: Table
    margins: Callable[[Floats], Any]
    columns: Callable[[Floats], Floats] | None = None
    space: Space = Space.LOG_ODDS
    stand_ins: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def known_columns(self) -> Table | None:
        """The table whose rows are an answer's columns, where they are that as they stand."""
        alike = self.columns is None and not isinstance(self.forms[0], Function)
        return self.table if alike else None

    def answer(self, rows: Sequence[RawRow]) -> Answer:
        """See `Model.answer`."""
        table = self.table.rows(rows)
        margins = self._asked(table)
        return Answer(margins, table if self.columns is None else self.columns(table))

    def row_values(
        self,
        case: Floats,
        comparison: Floats,
        contrast: Contrast,
        stage: Stage | None = None,
        weights: Floats | None = None,
    ) -> Estimate:
        """See `Model.row_values`."""
        return asked(
            lambda rows: margin_of(self._asked(rows), contrast),
            known_by_answers(self.forms),
            case,
            comparison,
            stage,
            weights,
        )

    def _asked(self, table: Floats) -> Floats:
        with quietly_failing():
            margins = np.asarray(self.margins(table), dtype=np.float64)
        if margins.ndim == 1:
            margins = margins[:, None]
        if margins.shape != (len(table), len(self.forms)) or not np.isfinite(margins).all():
            raise failed("The model gave something else than a finite number for each output.")
        return margins


@dataclass(frozen=True, slots=True)
class Table:
    """Which input stands in which column, and the number of each of its choices.

    Attributes
    ----------
    names : inputs in the order of the model's columns
    player : ndarray of shape (n_columns,), position of each in the catalogue
    codes : by position of a column of categories, the number of each choice; NaN: a missing one
    """

    names: tuple[str, ...]
    player: Ints
    codes: Mapping[int, Mapping[str, float]]

    def rows(self, rows: Sequence[RawRow]) -> Floats:
        """ndarray of shape (n_rows, n_columns); a missing value is NaN.

        Raises ModelFailed for a choice the model has no number for.
        """
        table = np.empty((len(rows), len(self.names)))
        for at, name in enumerate(self.names):
            codes = self.codes.get(at)
            for row, values in enumerate(rows):
                value = values[name]
                if value is None:
                    table[row, at] = np.nan
                elif codes is None:
                    table[row, at] = value
                elif value in codes:
                    table[row, at] = codes[str(value)]
                else:
                    raise ModelFailed(
                        "The model has never seen one of the choices.",
                        name,
                        "Decide without the program, or train the model again with it.",
                    )
        return table


def placed(names: Sequence[str], inputs: Sequence[Input]) -> Ints:
    """Position in `inputs` of each of the model's columns, by name.

    Raises ArtefactRefused unless they name the same, each once.
    """
    if not names:
        raise ArtefactRefused(
            "The file does not name the columns of the model.",
            "model",
            "Train it on a table with named columns, or name them before saving; an order alone "
            "is not taken, because values under wrong names give wrong numbers without an error.",
        )
    if len(set(names)) != len(names):
        raise ArtefactRefused(
            "Two columns of the model have the same name.", "model", "Give each its own name."
        )
    check_names(names, inputs)
    place = {each.name: at for at, each in enumerate(inputs)}
    return np.array([place[name] for name in names], dtype=np.int64)


def check_kind(each: Input, *, by_category: bool) -> None:
    """Raise ArtefactRefused unless catalogue and model agree on whether this is a choice."""
    if by_category and each.choices is None:
        raise ArtefactRefused(
            "The model takes categories where the catalogue has a number.",
            f"features.toml, {each.name}",
            'Make it kind = "choice" and list the categories.',
        )
    if not by_category and each.choices is not None:
        raise ArtefactRefused(
            "The model takes a number where the catalogue has a choice.",
            f"features.toml, {each.name}",
            "Train the model with this column as categories.",
        )


def in_order(choices: Sequence[str]) -> dict[str, float]:
    """Numbers of categories from 0, where the file of the model does not hold their names."""
    return {choice: float(code) for code, choice in enumerate(choices)}


def check_installed(library: Any, name: str) -> None:
    """Raise ArtefactRefused where a learning library could not be imported; each comes with an
    extra of the same name."""
    if library is None:
        raise ArtefactRefused(
            f"Models of this kind need the library {name}, which is not installed here.",
            "model.format",
            f"Install it: pip install 'warum[{name}]'.",
        )


def damaged(what: str) -> ArtefactRefused:
    return ArtefactRefused(
        what, "model", "The file is damaged or was tampered with; save the model again."
    )


@contextmanager
def refused_unless_read() -> Iterator[None]:
    """Whatever a file lacks, or holds of the wrong kind, is looked for under this."""
    try:
        yield
    except ArtefactRefused:
        raise
    except Exception as fault:
        raise damaged(f"The file of the model cannot be read ({type(fault).__name__}).") from None
