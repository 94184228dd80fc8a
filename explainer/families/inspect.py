"""What an artefact asks for: the raw inputs of a pipeline, for the skeleton of a package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from explainer.core.case import Scalar
from explainer.families.artefacts import refuse_programs
from explainer.families.from_skops import load_pipeline, refused_unless_whole
from explainer.families.players import names_of, stand_ins


@dataclass(frozen=True, slots=True)
class InputColumn:
    """One raw input: its name, its categories if it is one-hot encoded, and its stand-in."""

    name: str
    choices: tuple[str, ...]
    stand_in: Scalar | None


def inspect(data: bytes) -> tuple[list[InputColumn], list[str]]:
    """The inputs of the pipeline in `data`, in its order, and its classes.

    Raises ArtefactRefused as opening it for a package would.
    """
    refuse_programs(data)
    preparation, model = load_pipeline(data)
    with refused_unless_whole():
        replaced = stand_ins(preparation)
        choices = _choices(preparation)
        inputs = [
            InputColumn(name, choices.get(name, ()), replaced.get(name))
            for name in map(str, preparation.feature_names_in_)
        ]
        return inputs, [str(c) for c in model.classes_]


def _choices(transformer: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for step_name, step, columns in transformer.transformers_:
        inner = [s for _, s in step.steps] if type(step).__name__ == "Pipeline" else [step]
        for part in inner:
            if type(part).__name__ == "OneHotEncoder":
                for name, categories in zip(
                    names_of(columns, step_name), part.categories_, strict=True
                ):
                    found[name] = tuple(str(c) for c in categories if isinstance(c, str))
    return found
