"""What a booster was trained for, and with it what the sum of its trees means.

Explained is a sum that is log-odds, or the amount itself. Other sums stand for a logarithm, a rank
or a class against all the others: what adds up in them is nothing a person was told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from explainer.core.attribution import Space, Task
from explainer.errors import ArtefactRefused
from explainer.families.model import Target

LARGEST_LEAF = 3.4e38
"""Of what a leaf may add, on either side: what single precision holds. Sums of larger ones, which
only damage brings about, could be beyond all numbers."""

RANKING = "A ranking has no score that stands for itself."
LOGARITHM = "It adds up the logarithm of an amount, so nothing it adds is a part of the amount."
ONE_VS_ALL = (
    "It asks for each class against all the others: what it gives for two classes does not say how "
    "much likelier the one is than the other."
)
"""Why the sum a booster makes of its trees may be neither log-odds nor an amount."""

_KINDS = {Task.BINARY: "two classes", Task.MULTICLASS: "several", Task.AMOUNT: "an amount"}


def task_of(
    trained_for: str, known: Mapping[Task, Sequence[str]], others: Mapping[str, str]
) -> Task:
    """What kind of answer the plain sum of the trees is, by what the model was trained for.

    `others` says why some are not among the `known`, by name or by how the name begins. Raises
    ArtefactRefused.
    """
    for task, names in known.items():
        if trained_for in names:
            return task
    why = [f" {reason}" for name, reason in others.items() if trained_for.startswith(name)]
    raise ArtefactRefused(
        f"The model was trained for {trained_for[:50]!r}.{why[0] if why else ''}",
        "model",
        "Train it for "
        + "; or ".join(f"{_KINDS[task]}: {', '.join(names)}" for task, names in known.items())
        + ".",
    )


def space_of(task: Task) -> Space:
    """What the plain sum of the trees is measured in."""
    return Space.AMOUNT if task is Task.AMOUNT else Space.LOG_ODDS


def check_outputs(target: Target, found: int) -> None:
    """Raise ArtefactRefused unless a model that names no classes has as many as are declared."""
    if found != target.outputs:
        raise ArtefactRefused(
            f"The model has {found} classes; {target.outputs} are declared.",
            "model.classes",
            "Declare all its classes, in the order of the labels 0, 1, 2 and so on.",
        )


def one_number() -> ArtefactRefused:
    """A model that gives several numbers a row which are not those of classes."""
    return ArtefactRefused(
        "The model gives more than one number a row.", "model", "Train one model for each."
    )
