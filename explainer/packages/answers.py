"""What kind of answer a model gives and what the package suggests by it, as the manifest says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from explainer.core.attribution import (
    HIGHER,
    LOWER,
    AmountOutcome,
    DecisionLine,
    SeveralOutcomes,
    Side,
    Suggesting,
    Task,
)
from explainer.families.model import Target
from explainer.packages.toml_table import IDENTIFIER, Table
from explainer.text.values import UNITS, is_currency


def by_answers(model: Table, declared: str) -> bool:
    """Whether a model whose steps mix features may be known by its answers: said, never guessed."""
    if not model.has("mixing"):
        return False
    model.choice("mixing", ("by-answers",))
    if declared != "skops":
        model.fault("Only pipelines of scikit-learn mix features.", "Remove the key.", "mixing")
    return True


def read_target(model: Table) -> Target:
    task = Task(model.choice("kind", tuple(map(str, Task))))
    if task is Task.AMOUNT:
        return Target(task)
    classes = tuple(map(str, model.take("classes", list, "List the classes.", default=[])))
    if task is Task.MULTICLASS:
        if len(classes) < 3 or len(set(classes)) != len(classes):
            model.fault(
                "These are not three or more different classes.",
                "List all in the order of the model.",
                "classes",
            )
        return Target(task, classes)
    positive = model.text("positive_class", "Name the class the margin is for.")
    if len(classes) != 2 or classes[0] == classes[1] or classes[1] != positive:
        model.fault(
            "These are not two classes with the positive one last.",
            "List both in the order of the model; its margin is for the second.",
            "classes",
        )
    return Target(task, classes)


def _several(table: Table, target: Target) -> SeveralOutcomes:
    """An outcome for each class by its name: by an order alone two would be swapped unseen."""
    hint = 'Give each of model.classes its outcome, such as { yes = "can_be_granted", … }.'
    given = table.take("outcomes", dict, hint, default={})
    outcomes = tuple(str(given.get(each, "")) for each in target.classes)
    favourable = tuple(map(str, table.take("favourable", list, "List them again.", default=[])))
    if (
        set(given) != set(target.classes)
        or len(set(outcomes)) != len(outcomes)
        or not all(IDENTIFIER.fullmatch(outcome) for outcome in outcomes)
    ):
        table.fault("These are not different outcomes, one for each class.", hint, "outcomes")
    if sorted(favourable) != sorted(outcomes):
        table.fault(
            "This is not the order of the outcomes for the applicant.",
            "List all outcomes, the best for the applicant first.",
            "favourable",
        )
        favourable = outcomes
    return SeveralOutcomes(outcomes, favourable)


def _amount(table: Table, target: Target) -> AmountOutcome:
    hint = f'Give a currency such as "EUR", or one of: {", ".join(UNITS)}.'
    unit = table.text("unit", hint)
    if unit and unit not in UNITS and not is_currency(unit):
        table.fault("There are no words for this unit.", hint, "unit")
    decimals = table.take("decimals", int, "Give how many decimals are told.", default=2)
    if not 0 <= decimals <= 6:
        table.fault("It is not between 0 and 6.", "Give, say, 2.", "decimals")
    favours = table.choice("favours_applicant", (HIGHER, LOWER))
    return AmountOutcome(unit, decimals, Side.ABOVE if favours == HIGHER else Side.BELOW)


def _line(table: Table, target: Target) -> DecisionLine:
    threshold = table.take("threshold", (float, int), "Give the line in raw margin.")
    if threshold is not None and not _is_finite(threshold):
        table.fault("The line is not a finite number.", "Give it in raw margin.", "threshold")
        threshold = None
    above = table.text("above", "Name the outcome above the line.", IDENTIFIER)
    below = table.text("below", "Name the outcome below the line.", IDENTIFIER)
    if above == below:
        table.fault("Both sides have the same outcome.", "Name two outcomes.", "below")
    favours = table.choice("favours_applicant", ("above", "below"))
    return DecisionLine(float(threshold or 0), above, below, Side(favours))


SUGGESTING: Mapping[Task, Callable[[Table, Target], Suggesting]] = {
    Task.BINARY: _line,
    Task.MULTICLASS: _several,
    Task.AMOUNT: _amount,
}


def read_each_output(table: Table, key: str, hint: str, target: Target) -> tuple[float, ...]:
    """A number, or a list of one for each class."""
    if target.outputs == 1:
        taken = table.take(key, (float, int), hint)
        given = [taken]
    else:
        taken = given = table.take(key, list, f"{hint} List it for each class.")
    if taken is None:
        return (0.0,) * target.outputs  # that it is not there was said
    if len(given) != target.outputs or not all(map(_is_finite, given)):
        table.fault(f"These are not {target.outputs} finite numbers.", hint, key)
        return (0.0,) * target.outputs
    return tuple(map(float, given))


def _is_finite(given: object) -> bool:
    # TOML allows whole numbers that fit no float
    return (
        isinstance(given, int | float)
        and not isinstance(given, bool)
        and -sys.float_info.max <= given <= sys.float_info.max
    )
