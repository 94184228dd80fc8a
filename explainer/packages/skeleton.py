"""The texts of a new package: what is known of the model is filled in, the rest is left empty.

An empty text is a fault that `warum package check` names; what only people can say has a comment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from explainer.core.attribution import HIGHER, LOWER, Space, Task
from explainer.families import versions_for
from explainer.families.inspect import InputColumn, Inspected
from explainer.packages.converted import Converted, ConvertedInput
from explainer.packages.skeleton_pages import card, recorded_cases
from explainer.packages.toml_table import IDENTIFIER

TWO_OUTCOMES = ("can_be_granted", "check_more_closely")


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a model answers, as far as its file and the converter say it."""

    task: Task
    space: Space | None
    classes: tuple[str, ...]

    @property
    def outcomes(self) -> tuple[str, ...]:
        """What the package suggests; names people may change, of several as the classes have
        them."""
        if self.task is Task.AMOUNT:
            return (HIGHER, LOWER)
        if self.task is Task.BINARY:
            return TWO_OUTCOMES
        fitting = all(IDENTIFIER.fullmatch(name) for name in self.classes)
        return (
            self.classes if fitting else tuple(f"class_{name}" for name in range(len(self.classes)))
        )


def of_model(identifier: str, declared: str, file: str, found: Inspected) -> dict[str, str]:
    """Every file but the model itself, by name."""
    names = [column.name for column in found.inputs]
    answers = _Answers(found.task, found.space, found.classes)
    known = [_Known(column) for column in found.inputs]
    return {
        "manifest.toml": _manifest(identifier, declared, file, answers, found, None),
        "background.csv": ",".join(names) + "\n",
        "golden/cases.jsonl": "",
        **_others(identifier, declared, known, answers),
    }


def of_converted(identifier: str, facts: Converted, found: Inspected) -> dict[str, str]:
    """Every file but the model, the comparison group and the recorded cases, by name."""
    columns = {column.name: column for column in found.inputs}
    answers = _Answers(facts.task, facts.space, facts.classes)
    known = [_Known(columns[each.name], each) for each in facts.inputs]
    return {
        "manifest.toml": _manifest(identifier, facts.format, facts.file, answers, found, facts),
        **_others(identifier, facts.format, known, answers),
    }


def _others(
    identifier: str, declared: str, known: Sequence[_Known], answers: _Answers
) -> dict[str, str]:
    return {
        "features.toml": _features(known, answers.outcomes),
        "wording.toml": _wording(answers),
        "golden/README.md": recorded_cases(
            declared, [each.name for each in known], answers.task, answers.space
        ),
        "CARD.md": card(identifier),
    }


class _Known:
    """What is known of a feature: from the model's file, and from its rows where there are some."""

    def __init__(self, column: InputColumn, seen: ConvertedInput | None = None) -> None:
        self.name = column.name
        self.stand_in = column.stand_in
        self.optional = column.stand_in is not None or (seen is not None and seen.missing)
        self.choices = column.choices
        self.kind = "choice" if column.choices is not None else "number"
        self.observed: tuple[float, float] | None = None
        if seen is not None:
            self.kind, self.observed = seen.kind, seen.observed
            if isinstance(self.stand_in, float) and not self.stand_in.is_integer():
                self.kind = "number"  # the rows held whole ones; a mean of them need be none
            if seen.kind == "choice":
                self.choices = seen.choices


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _manifest(
    identifier: str,
    declared: str,
    file: str,
    answers: _Answers,
    found: Inspected,
    facts: Converted | None,
) -> str:
    versions = facts.trained_with if facts else versions_for(declared)
    trained = ", ".join(f"{_text(name)} = {_text(v)}" for name, v in versions.items())
    said = (
        "# the versions the model was trained with"
        if facts
        else "# the versions the model was trained with; these are the ones of this environment"
    )
    rows = (
        f"# drawn by the converter: {facts.rows} of {facts.drawn_from} rows, seed {facts.seed}\n"
        if facts
        else ""
    )
    weight = (
        f"weight = {_text(facts.weight)}"
        if facts and facts.weight
        else '# weight = "weight": a further column, where a row stands for more applications than '
        "another"
    )
    base = _outputs(facts.base) if facts else '""'
    scale = _outputs(facts.margin_scale) if facts else '""'
    each = (
        "# (each a list of one number for each class)\n" if answers.task is Task.MULTICLASS else ""
    )
    return f"""\
# Fill in what is empty, from top to bottom; `warum package check` names what is left.
protocol = 1
id = "{identifier}"
version = "0.1.0"
owner = ""
created = 2026-01-01
licence = ""
purpose = ""
benefit_type = "{identifier}"
unit = ""
artificial_intelligence = true

[model]
format = {_text(declared)}
file = {_text(file)}
kind = {_text(answers.task.value)}
# what the margin is measured in
space = {_text(answers.space.value if answers.space else "")}
{_mixing(found)}{_classes(declared, answers, named=facts is not None)}{said}
trained_with = {{ {trained} }}

{_suggestion(answers)}
# The comparison group: at least 30 rows, in the columns of features.toml. base is the mean of the
# margins the bare model gives them where it was trained, margin_scale their 90th minus their
# 10th percentile: so a group that does not belong to the model is noticed. See golden/README.md.
{each}[background]
file = "background.csv"
rows = {facts.rows if facts else 0}
{rows}{weight}
note = ""
base = {base}
margin_scale = {scale}

[reasons]
cap_applicant = 4
cap_towards = 3
floor = "0.05"
coverage = "0.80"
opposing_floor = "0.10"

[limits]
outside_values = 3
stand_in_share = "0.30"
# as_of = 2026
# stale_after = 2028-12-31

[languages]
source = "de"
offered = ["de"]
default = "de"

[review]
status = "not_approved"
note = "Noch niemand hat dieses Paket freigegeben."

[retention]
class = "case_file"
"""


def _outputs(numbers: Sequence[float]) -> str:
    """A number, or a list of one for each class."""
    return repr(numbers[0]) if len(numbers) == 1 else repr(list(numbers))


def _classes(declared: str, answers: _Answers, *, named: bool) -> str:
    if answers.task is Task.AMOUNT:
        return ""
    classes = list(answers.classes)
    of_boosters = not named and declared.startswith(("xgboost", "lightgbm"))
    if answers.task is Task.MULTICLASS:
        told = "# the file does not name its classes: give their names, in this order\n"
        return f"{told if of_boosters else ''}classes = {_text(classes)}\n"
    told = (
        "# the file does not name its classes: the margin is for label 1; give both their names\n"
    )
    positive = _text(classes[-1] if classes else "")
    return f"{told if of_boosters else ''}positive_class = {positive}\nclasses = {_text(classes)}\n"


def _suggestion(answers: _Answers) -> str:
    if answers.task is Task.AMOUNT:
        return """\
# The suggestion is an amount: higher or lower than the mean of the comparison group.
[suggestion]
# a currency such as EUR, or a unit as features have them; how many decimals are told
unit = ""
decimals = 2
# "higher" or "lower": which one is better for the applicant
favours_applicant = ""
decision_type = "bound"
"""
    if answers.task is Task.MULTICLASS:
        classes = answers.classes or answers.outcomes
        outcomes = ", ".join(
            f"{_text(each)} = {_text(outcome)}"
            for each, outcome in zip(classes, answers.outcomes, strict=True)
        )
        return f"""\
# The outcome of each of model.classes; that of the largest margin is suggested. favourable: the
# outcomes, from the best for the applicant to the worst.
[suggestion]
outcomes = {{ {outcomes} }}
favourable = []
decision_type = "bound"
# outcomes after which the application is still open
interim = []
"""
    above, below = answers.outcomes
    return f"""\
# The one place where the decision line is declared, in raw margin.
[suggestion]
threshold = {"0.5" if answers.space is Space.PROBABILITY else "0.0"}
above = {_text(above)}
below = {_text(below)}
favours_applicant = "above"
decision_type = "bound"
# outcomes after which the application is still open
interim = [{_text(below)}]
"""


def _mixing(found: Inspected) -> str:
    """Left to people: whether the whole pipeline is asked is theirs to say."""
    if not found.mixing:
        return ""
    steps = "".join(f"# {step}\n" for step in found.mixing)
    return f"""\
# These steps make columns of several features at once. Remove the # of the last line, and the whole
# pipeline is asked about mixtures of features; or train without them. See docs/formats.md.
{steps}# mixing = "by-answers"
"""


def _features(known: Sequence[_Known], outcomes: Sequence[str]) -> str:
    parts = [
        "# One table per input of the model. Replace labels and sentences; give every feature its\n"
        "# class: legally_required, neutral, proxy_suspect, protected_not_allowed.\n"
        "# range: what lies outside is an error and refused. trained: what the model has seen.\n"
    ]
    parts += ["\n".join(_feature(each, outcomes)) + "\n" for each in known]
    return "\n".join(parts)


def _feature(each: _Known, outcomes: Sequence[str]) -> list[str]:
    lines = ["[[feature]]", f"name = {_text(each.name)}", f"kind = {_text(each.kind)}"]
    if each.kind == "choice":
        if not each.choices:
            lines.append("# the file of the model does not hold their names: list all of them")
        lines.append(f"choices = {_text(list(each.choices or ()))}")
    elif each.observed is None:
        lines += ["range = []", "trained = []"]
    else:
        seen = _text(list(each.observed))
        lines += ["# as far as the rows went; widen it to what can be", f"range = {seen}"]
        lines += [f"trained = {seen}"]
    if not each.optional and each.stand_in is None:
        lines.append("# true if it may be missing, and the model takes it so")
    lines.append(f"optional = {str(each.optional).lower()}")
    if each.stand_in is not None:
        lines.append(f"stand_in = {_text(each.stand_in)}")
    lines += [
        'class = ""',
        'sensitivity = "normal"',
        'concerns = "applicant"',
        'mend = "none"',
        'label = ""',
    ]
    if each.kind == "choice":
        lines.append("[feature.choice_labels]")
        lines += [f'{_text(choice)} = ""' for choice in each.choices or ()]
    for table in ["reason", "reason_missing"] if each.optional else ["reason"]:
        lines += [f"[feature.{table}]", *(f'{outcome} = ""' for outcome in outcomes)]
    return lines


_TOLD = ("label", "suggested", "suggested_staff", "decided", "decide")


def _wording(answers: _Answers) -> str:
    if answers.task is Task.AMOUNT:
        tables = (
            "# {value} is the amount; it stands once, after a colon, in all of these but decide.\n"
        )
        tables += "[amount]\n" + "".join(f'{form} = ""\n' for form in _TOLD[1:])
    else:
        tables = "\n".join(
            f"[outcome.{outcome}]\n" + "".join(f'{form} = ""\n' for form in _TOLD)
            for outcome in answers.outcomes
        )
    contact = "\n".join(
        f'{line} = ""' for line in ("office", "function", "phone", "hours", "address")
    )
    return (
        "# German, which is the authoritative text. Translations: locales/<folder>/wording.po.\n"
        '[package]\ntitle = ""\nbenefit = ""\n\n'
        '[comparison]\napplicant = ""\nstaff = ""\n\n'
        f"{tables}\n[contact]\n{contact}\n"
    )
