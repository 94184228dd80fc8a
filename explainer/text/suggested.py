"""What the program suggested, and what it is compared with, in the words of its kind: one of two
outcomes, one of several beside the runner-up, or an amount beside the mean."""

from __future__ import annotations

from explainer.core.attribution import HIGHER, LOWER, Task
from explainer.core.disclosure import Pointing, View
from explainer.core.explanation import Opening
from explainer.text.values import isolate
from explainer.text.voice import Voice

FRAME = (
    "quoted",
    "not_shown",
    "table",
    "caption",
    "information",
    "value",
    "effect",
    "towards",
    "away",
    "above",
)
"""Words around the sentences a caseworker reads; an applicant's document needs headings only."""

HEADINGS = ("contributed", "towards", "away", "unclear", "correct")

_OTHER_WORDS = {
    (Task.MULTICLASS, Opening.CLOSE): "close_multiclass",
    (Task.AMOUNT, Opening.MIXED): "mixed_amount",
}
"""Where the first line of two outcomes would not be true."""


def suggestion_in_words(view: View, voice: Voice) -> str:
    """The agency's sentence for what is suggested, the amount in it where it is one."""
    form = "suggested" if view.table is None else "suggested_staff"
    return voice.outcome(view.suggestion if view.amount is None else view.amount.text, form)


def contrast_in_words(view: View, voice: Voice) -> str:
    """What the reasons compare the suggestion with, where it is not the other of two outcomes."""
    if view.amount is not None:
        return voice.say(f"told.compared.{view.amount.compared}")
    if view.runner_up is not None:
        return voice.say("told.runner_up", isolate(voice.outcome(view.runner_up, "label")))
    return ""


def opening_key(task: Task, opening: Opening) -> str:
    """The key of the first line, after `told.opening.` or `staff.opening.`."""
    return _OTHER_WORDS.get((task, opening), opening.value)


def headings(view: View | None, voice: Voice) -> dict[str, str]:
    """The headings; of an amount, reasons stand under what they point to."""
    words = {key: voice.say(f"told.heading.{key}") for key in HEADINGS}
    return words | {
        pointing.value: voice.say(f"told.heading.{side}") for pointing, side in sides(view).items()
    }


def frame(view: View | None, voice: Voice) -> dict[str, str]:
    """The words around the sentences of a caseworker."""
    words = {key: voice.say(f"staff.frame.{key}") for key in FRAME}
    return words | {
        pointing.value: voice.say(f"staff.frame.{side}") for pointing, side in sides(view).items()
    }


def sides(view: View | None) -> dict[Pointing, str]:
    """Of an amount: where towards and away from the suggestion is; else nothing."""
    if view is None or view.task is not Task.AMOUNT:
        return {}
    other = LOWER if view.suggestion == HIGHER else HIGHER
    return {Pointing.TOWARDS: view.suggestion, Pointing.AWAY: other}
