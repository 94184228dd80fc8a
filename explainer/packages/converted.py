"""What the converter found out where a model was trained: `facts.json`, read strictly."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explainer.core.attribution import Space, Task
from explainer.errors import ArtefactRefused
from explainer.families.artefacts import read_once
from explainer.families.inspect import Inspected
from explainer.families.json_form import Members, read_json, refuse_all

FACTS = "facts.json"
FORM = "warum.converted/1"
KINDS = ("number", "integer", "choice")

_FILE = re.compile(r"model\.[a-z]{3,5}")
_ANY = (-1e300, 1e300)
_MOST = {Task.BINARY: 2, Task.MULTICLASS: 1000, Task.AMOUNT: 0}
"""Classes of each kind."""


@dataclass(frozen=True, slots=True)
class ConvertedInput:
    """One input of the model as its rows show it.

    Attributes
    ----------
    choices : in the order in which the model numbers them, where it does
    observed : smallest and largest value of a number; None where all are the same
    missing : whether some row lacks it
    """

    name: str
    kind: str
    choices: tuple[str, ...]
    observed: tuple[float, float] | None
    missing: bool


@dataclass(frozen=True, slots=True)
class Converted:
    """The whole of facts.json.

    Attributes
    ----------
    classes : of the model, in its order; an amount has none
    base, margin_scale : of each output of the model
    weight : the column of the comparison rows that says what each weighs; None: all weigh alike
    """

    format: str
    file: str
    task: Task
    space: Space
    classes: tuple[str, ...]
    trained_with: Mapping[str, str]
    inputs: tuple[ConvertedInput, ...]
    rows: int
    drawn_from: int
    seed: int
    base: tuple[float, ...]
    margin_scale: tuple[float, ...]
    weight: str | None

    def check(self, found: Inspected) -> None:
        """Raise ArtefactRefused unless the file of the model says the same, where it says it."""
        faults = []
        if sorted(each.name for each in self.inputs) != sorted(c.name for c in found.inputs):
            faults.append("It names other inputs than the file of the model.")
        if found.classes and len(found.classes) != len(self.classes):
            faults.append(f"The model has {len(found.classes)} classes, not {len(self.classes)}.")
        if found.space not in (None, self.space):
            faults.append(f"The margin of the model is measured in {found.space}.")
        refuse_all(faults, "Run the converter again, in the environment of training.")


def read_converted(folder: Path) -> Converted:
    """Raises ArtefactRefused, naming all faults of facts.json at once."""
    try:
        data = read_once(folder / FACTS)
    except OSError as fault:
        raise ArtefactRefused(
            f"It cannot be read ({fault.strerror}).", FACTS, "Name the folder the converter wrote."
        ) from None
    faults: list[str] = []
    whole = Members(read_json(data, FACTS), FACTS, faults)
    whole.text("schema", among=(FORM,))
    file = whole.text("file")
    if file and not _FILE.fullmatch(file):
        whole.fault("file", "is no name the converter gives.")
    versions = whole.members("trained_with")
    inputs = whole.any("inputs")
    if not isinstance(inputs, list):
        whole.fault("inputs", "is not a list.")
        inputs = []
    task = Task(whole.text("kind", Task.BINARY, among=tuple(Task)) or Task.BINARY)
    space = Space(whole.text("space", among=tuple(Space)) or Space.LOG_ODDS)
    classes = whole.texts("classes", ())
    outputs = max(1, len(classes)) if task is Task.MULTICLASS else 1
    found = Converted(
        format=whole.text("format"),
        file=file,
        task=task,
        space=space,
        classes=classes,
        trained_with={name: str(version) for name, version in versions.each()},
        inputs=tuple(_input(each, at, faults) for at, each in enumerate(inputs)),
        rows=whole.whole("rows", among=(1, 10**9)),
        drawn_from=whole.whole("drawn_from", among=(1, 10**12)),
        seed=whole.whole("seed", among=(0, 2**63)),
        base=whole.numbers("base", outputs, among=_ANY),
        margin_scale=whole.numbers("margin_scale", outputs, among=_ANY),
        weight=whole.text("weight") if whole.has("weight") else None,
    )
    if not {Task.BINARY: 2, Task.MULTICLASS: 3}.get(task, 0) <= len(classes) <= _MOST[task]:
        whole.fault("classes", f"are not those of kind {task}.")
    if (space is Space.AMOUNT) is not (task is Task.AMOUNT):
        whole.fault("space", f"is not one of kind {task}.")
    whole.finish()
    refuse_all(faults, "Run the converter again, in the environment of training.")
    return found


def _input(given: Any, at: int, faults: list[str]) -> ConvertedInput:
    each = Members(given, f"inputs.{at}", faults)
    observed = None
    if each.has("observed"):
        ends = each.members("observed")
        observed = (ends.number("low", among=_ANY), ends.number("high", among=_ANY))
        ends.finish()
    missing = each.any("missing")
    if not isinstance(missing, bool):
        each.fault("missing", "is not true or false.")
    found = ConvertedInput(
        each.text("name"),
        each.text("kind", among=KINDS),
        each.texts("choices", ()),
        observed,
        bool(missing),
    )
    each.finish()
    return found
