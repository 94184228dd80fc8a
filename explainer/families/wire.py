"""A model's form as plain data, and back: it is checked anew where it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from explainer.families.engine.forest import Column, Missing, Test, Trees
from explainer.families.engine.function import Function
from explainer.families.engine.linear import Linear
from explainer.families.frames import Frame, FrameBroken
from explainer.families.model import Form

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


def frame_of(form: Form, head: Mapping[str, Any]) -> Frame:
    """`form` and `head` as one frame."""
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
        arrays = {name: getattr(form, name) for name, _ in _TREE_ARRAYS}
    elif isinstance(form, Linear):
        own = {"kind": "linear", "constant": form.constant, "n_players": form.n_players}
        arrays = {"player": form.player, "weight": form.weight}
    else:
        own = {"kind": "function", "n_players": form.n_players}
        arrays = {"player": form.player}
    return Frame({**head, "form": own}, arrays)


def form_in(frame: Frame) -> Form:
    """The form in a frame. Raises FrameBroken, or ArtefactRefused as building it here would."""
    try:
        own, arrays = frame.head["form"], frame.arrays
        n_players = int(own["n_players"])
        if own["kind"] == "linear":
            return Linear(
                _of(arrays, "player", "i8"),
                _of(arrays, "weight", "f8"),
                float(own["constant"]),
                n_players,
            )
        if own["kind"] == "function":
            return Function(_of(arrays, "player", "i8"), n_players)
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
    except (KeyError, TypeError, ValueError, OverflowError, MemoryError) as fault:
        raise FrameBroken(
            f"The form of the model cannot be read ({type(fault).__name__})."
        ) from None


def _of(arrays: Mapping[str, Any], name: str, kind: str) -> Any:
    array = arrays[name]
    if array.dtype.kind + str(array.dtype.itemsize) != kind or array.ndim != 1:
        raise ValueError(name)
    return array
