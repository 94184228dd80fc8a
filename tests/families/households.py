"""Features and rows that the tests of several formats share, and ways of damaging a file."""

from __future__ import annotations

import numpy as np
import pytest
from factories import choice, feature

from explainer.core.attribution import AmountOutcome, DecisionLine, SeveralOutcomes, Side, Task
from explainer.core.case import FeatureCatalogue
from explainer.families.attribute import explained
from explainer.families.model import Target
from explainer.families.second_opinion import by_brute_force, ours

LINE = DecisionLine(0.0, "grant", "check", Side.ABOVE)
THREE = Target(Task.MULTICLASS, ("no", "part", "yes"))
OUTCOMES = SeveralOutcomes(("refuse", "part", "full"), ("full", "part", "refuse"))
AMOUNT = Target(Task.AMOUNT)
EUROS = AmountOutcome("EUR", 2, Side.ABOVE)
"""What a model of three classes, or of an amount, is asked for, and what its package suggests."""

CATALOGUE = FeatureCatalogue(
    [
        feature("income", hard=(0, 99_999)),
        feature("rooms", optional=True, stand_in=3.0, hard=(0, 99)),
        choice("heating", "gas", "oil", "wood", "other", optional=True, stand_in="gas"),
        choice("tenancy", "rent", "own"),
    ]
)
NUMBERS = ("income", "rooms")
CHOICES = ("heating", "tenancy")


def households(count: int = 60) -> list[dict]:
    """Amounts in cents, some rooms and some heatings missing."""
    random = np.random.default_rng(5)
    rows = [
        {
            "income": int(random.integers(0, 300_000)) / 100,
            "rooms": float(random.integers(1, 7)),
            "heating": str(random.choice(["gas", "oil", "wood", "other"])),
            "tenancy": str(random.choice(["rent", "own"])),
        }
        for _ in range(count)
    ]
    for at, row in enumerate(rows):
        if at % 11 == 3:
            row["rooms"] = None
        if at % 13 == 5:
            row["heating"] = None
    return rows


def filled(rows: list[dict]) -> list[dict]:
    """The same with the stand-ins of the catalogue in the place of what is missing."""
    return [
        {n: CATALOGUE[n].stand_in if value is None else value for n, value in row.items()}
        for row in rows
    ]


def permuted(catalogue: FeatureCatalogue = CATALOGUE) -> FeatureCatalogue:
    return FeatureCatalogue([catalogue[n] for n in reversed(catalogue.names)])


def check_against_brute_force(model, catalogue=CATALOGUE, tolerance=1e-12, line=LINE) -> None:
    """Cases with nothing missing, and with each of what may be missing; whatever is suggested."""
    rows = households()
    answer = explained(model, catalogue, line, rows, "0" * 64)
    scale = max(group.scale for group in answer.comparisons.values())
    for at in (0, 3, 5, 9):
        mine = ours(answer, rows[at], rows[20:27])
        witness = by_brute_force(answer, rows[at], rows[20:27])
        assert abs(mine - witness).max() <= tolerance * max(1.0, scale)


def damages(data: bytes, count: int):
    """`data` with one bit flipped, or cut short; the same ones every time."""
    random = np.random.default_rng(11)
    for at in range(count):
        place = int(random.integers(len(data)))
        if at % 4 == 3:
            yield data[:place]
        else:
            changed = bytearray(data)
            changed[place] ^= 1 << int(random.integers(8))
            yield bytes(changed)


COUNTS = [20, pytest.param(200, marks=pytest.mark.long)]
"""How many damaged files are tried, usually and in the long run."""
