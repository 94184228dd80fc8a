"""A model's form as plain data, and back: it is checked anew where it arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from explainer.families.boosters import Table, placed
from explainer.families.engine.estimate import Estimate
from explainer.families.engine.forest import Column, Missing, Test, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear
from explainer.families.frames import Frame, FrameBroken
from explainer.families.model import Form, Input

_TREE_ARRAYS = (
    ("roots", "i8"),
    ("left", "i8"),
    ("right", "i8"),
    ("column", "i8"),
    ("threshold", "f8"),
    ("value", "f8"),
    ("missing_left", "b1"),
    ("category_set", "i8"),
    ("unseen_missing", "b1"),
)
_ARRAYS = {
    "trees": tuple(name for name, _ in _TREE_ARRAYS),
    "linear": ("player", "weight"),
    "function": ("player",),
}


def frame_of(forms: Sequence[Form], head: Mapping[str, Any]) -> Frame:
    """`forms` and `head` as one frame; arrays of the n-th form begin with its number."""
    described: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for at, form in enumerate(forms):
        own, parts = _described(form)
        described.append(own)
        arrays |= {f"{at}.{name}": array for name, array in parts.items()}
    return Frame({**head, "forms": described}, arrays)


def _described(form: Form) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(form, Trees):
        own = {
            "kind": "trees",
            "columns": [
                [
                    c.source,
                    c.player,
                    c.test.name,
                    c.single,
                    c.missing.name if isinstance(c.missing, Missing) else c.missing,
                    c.known,
                ]
                for c in form.columns
            ],
            "category_sets": form.category_sets,
            "constant": form.constant,
            "n_players": form.n_players,
        }
        return own, {name: getattr(form, name) for name, _ in _TREE_ARRAYS}
    if isinstance(form, Linear):
        own = {"kind": "linear", "constant": form.constant, "n_players": form.n_players}
        return own, {"player": form.player, "weight": form.weight}
    own = {"kind": "function", "n_players": form.n_players, "budget": form.budget}
    return own, {"player": form.player}


def table_as_head(table: Table | None) -> dict[str, Any] | None:
    """Which input stands in which column, as JSON has it."""
    if table is None:
        return None
    codes = [[at, list(numbers.items())] for at, numbers in table.codes.items()]
    return {"names": table.names, "codes": codes}


def table_in(frame: Frame, inputs: Sequence[Input]) -> Table | None:
    """The table in a frame's head. Raises as whatever is not in it would: KeyError, TypeError,
    ValueError; ArtefactRefused where its names are not those of the inputs."""
    given = frame.head["table"]
    if given is None:
        return None
    names = tuple(map(str, given["names"]))
    codes = {
        int(at): {str(choice): float(number) for choice, number in numbers}
        for at, numbers in given["codes"]
    }
    if not codes.keys() <= set(range(len(names))):
        raise ValueError("codes of columns that are not there")
    return Table(names, placed(names, inputs), codes)


def forms_in(frame: Frame) -> tuple[Form, ...]:
    """The forms in a frame, of one kind. Raises FrameBroken, or ArtefactRefused as building them
    here would."""
    try:
        forms = tuple(
            _form(own, {name: frame.arrays[f"{at}.{name}"] for name in _ARRAYS[own["kind"]]})
            for at, own in enumerate(frame.head["forms"])
        )
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as fault:
        raise FrameBroken(
            f"The form of the model cannot be read ({type(fault).__name__})."
        ) from None
    if len({type(form) for form in forms}) != 1:
        raise FrameBroken("The forms of the model are not of one kind.")
    return forms


def _form(own: Mapping[str, Any], arrays: Mapping[str, Any]) -> Form:
    n_players = int(own["n_players"])
    if own["kind"] == "linear":
        return Linear(
            _of(arrays, "player", "i8"),
            _of(arrays, "weight", "f8"),
            float(own["constant"]),
            n_players,
        )
    if own["kind"] == "function":
        return Function(_of(arrays, "player", "i8"), n_players, int(own["budget"]))
    columns = tuple(
        Column(
            int(source),
            int(player),
            Test[test],
            bool(single),
            Missing[missing] if isinstance(missing, str) else float(missing),
            tuple(map(int, known)),
        )
        for source, player, test, single, missing, known in own["columns"]
    )
    sets = tuple(tuple(map(int, one)) for one in own["category_sets"])
    return Trees(
        columns=columns,
        n_players=n_players,
        category_sets=sets,
        constant=float(own["constant"]),
        **{name: _of(arrays, name, kind) for name, kind in _TREE_ARRAYS},
    )


def estimate_frame(found: Estimate) -> Frame:
    """Shapley values as a frame."""
    return Frame(
        {"rounds": found.rounds, "answers": found.answers},
        {"by_row": found.by_row, "values": found.values, "covariance": found.covariance},
    )


def estimate_in(frame: Frame, n_rows: int, n_players: int) -> Estimate:
    """Shapley values in a frame. Raises FrameBroken where they are none of that many rows and
    players, or no numbers."""
    shapes = {
        "by_row": (n_rows, n_players),
        "values": (n_players,),
        "covariance": (n_players, n_players),
    }
    for name, shape in shapes.items():
        given = frame.arrays.get(name)
        if given is None or given.dtype.kind != "f" or given.shape != shape:
            raise FrameBroken("Something else than Shapley values was sent.")
        if not np.isfinite(given).all():
            raise FrameBroken("Some values are no numbers.")
    rounds, answers = frame.head.get("rounds"), frame.head.get("answers")
    if not (type(rounds) is int and type(answers) is int and min(rounds, answers) >= 0):
        raise FrameBroken("It is not said how often the model was asked.")
    arrays = frame.arrays
    if (np.diag(arrays["covariance"]) < 0).any():
        raise FrameBroken("An error is less than nothing.")
    return Estimate(arrays["by_row"], arrays["values"], arrays["covariance"], rounds, answers)


def _of(arrays: Mapping[str, Any], name: str, kind: str) -> Any:
    array = arrays[name]
    if array.dtype.kind + str(array.dtype.itemsize) != kind or array.ndim != 1:
        raise ValueError(name)
    return array
