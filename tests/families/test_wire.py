"""What a model's process says of its form, where it lies: refused, and without long work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from explainer.errors import ArtefactRefused
from explainer.families.engine import forest
from explainer.families.frames import Frame
from explainer.families.wire import forms_in


def crafted(stumps: int, columns: int, sets: list[list[int]], known: tuple[int, ...] = ()) -> Frame:
    """Trees of one test each, taking columns and sets of categories in turn."""
    nodes = np.arange(3 * stumps)
    test = nodes % 3 == 0
    arrays: dict[str, Any] = {
        "roots": nodes[test],
        "left": np.where(test, nodes + 1, -1),
        "right": np.where(test, nodes + 2, -1),
        "column": np.where(test, nodes // 3 % columns, 0),
        "threshold": np.zeros(len(nodes)),
        "value": np.where(nodes % 3 == 1, 1.0, 0.0),
        "missing_left": np.zeros(len(nodes), dtype=bool),
        "category_set": np.where(test, nodes // 3 % len(sets), -1),
        "unseen_missing": np.zeros(len(nodes), dtype=bool),
    }
    own = {
        "kind": "trees",
        "columns": [[at, 0, "ONE_OF", False, "NAN", list(known)] for at in range(columns)],
        "category_sets": sets,
        "constant": 0.0,
        "n_players": 1,
    }
    return Frame({"forms": [own]}, {f"0.{name}": array for name, array in arrays.items()})


def test_a_large_set_that_many_nodes_ask_for_is_gone_through_once():
    """Once for each node it would take a day."""
    (form,) = forms_in(crafted(200_000, 1, [list(range(300_000))]))
    row = np.array([[5.0], [300_001.0]])
    assert form.sums(row).tolist() == [200_000.0, 0.0]


def test_a_large_set_that_every_column_asks_for_is_refused(monkeypatch):
    monkeypatch.setattr(forest, "MOST_LISTED", 20_000)
    forms_in(crafted(100, 10, [[5] * 2_000]))
    with pytest.raises(ArtefactRefused, match="too many categories"):
        forms_in(crafted(100, 11, [[5] * 2_000]))


def test_more_categories_than_any_model_has_are_refused(monkeypatch):
    monkeypatch.setattr(forest, "MOST_LISTED", 20_000)
    for many in ({"sets": [list(range(20_001))]}, {"sets": [[1]], "known": tuple(range(20_001))}):
        with pytest.raises(ArtefactRefused, match="too many categories"):
            forms_in(crafted(1, 1, **many))
