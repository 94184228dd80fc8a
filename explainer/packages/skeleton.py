"""The texts of a new package: what is known of the model is filled in, the rest is left empty.

An empty text is a fault that `warum package check` names; what only people can say has a comment.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import Any

from explainer.core.attribution import Space
from explainer.families.inspect import InputColumn, Inspected
from explainer.packages.converted import Converted, ConvertedInput

LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "skops": ("scikit-learn", "numpy", "pandas", "skops"),
    "xgboost-json": ("xgboost", "xgboost-cpu"),
    "xgboost-ubj": ("xgboost", "xgboost-cpu"),
    "lightgbm-txt": ("lightgbm",),
    "catboost-cbm": ("catboost",),
    "onnx": ("onnxruntime",),
}
"""By format: the distributions whose versions matter, of which not all need be installed."""

_MARGINS = {
    "xgboost-json": "booster.predict(xgboost.DMatrix(frame), output_margin=True)",
    "xgboost-ubj": "booster.predict(xgboost.DMatrix(frame), output_margin=True)",
    "lightgbm-txt": "booster.predict(frame, raw_score=True)  # times sigmoid, see docs/formats.md",
    "catboost-cbm": 'model.predict(frame, prediction_type="RawFormulaVal")',
    "linear-json": "model.decision_function(frame)",
}


def of_model(identifier: str, declared: str, file: str, found: Inspected) -> dict[str, str]:
    """Every file but the model itself, by name."""
    names = [column.name for column in found.inputs]
    return {
        "manifest.toml": _manifest(identifier, declared, file, found, None),
        "features.toml": _features([_Known(column) for column in found.inputs]),
        "background.csv": ",".join(names) + "\n",
        "golden/cases.jsonl": "",
        **_others(identifier, declared, names, found.space),
    }


def of_converted(identifier: str, facts: Converted, found: Inspected) -> dict[str, str]:
    """Every file but the model, the comparison group and the recorded cases, by name."""
    columns = {column.name: column for column in found.inputs}
    names = [each.name for each in facts.inputs]
    return {
        "manifest.toml": _manifest(identifier, facts.format, facts.file, found, facts),
        "features.toml": _features([_Known(columns[e.name], e) for e in facts.inputs]),
        **_others(identifier, facts.format, names, found.space),
    }


def _others(
    identifier: str, declared: str, names: Sequence[str], space: Space | None
) -> dict[str, str]:
    return {
        "wording.toml": _wording(),
        "golden/README.md": _golden(declared, names, space),
        "CARD.md": _card(identifier),
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
            if seen.kind == "choice":
                self.choices = seen.choices


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _versions(declared: str) -> dict[str, str]:
    found = {}
    for name in LIBRARIES.get(declared, ()):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # whoever opens the model says what is not installed
    return found


def _manifest(
    identifier: str, declared: str, file: str, found: Inspected, facts: Converted | None
) -> str:
    classes = list(facts.classes if facts else found.classes)
    space = facts.space if facts else found.space
    versions = facts.trained_with if facts else _versions(declared)
    trained = ", ".join(f"{_text(name)} = {_text(v)}" for name, v in versions.items())
    said = (
        "# the versions the model was trained with"
        if facts
        else "# the versions the model was trained with; these are the ones of this environment"
    )
    unnamed = (
        "# the file does not name its classes: the margin is for label 1; give both their names\n"
        if not facts and declared.startswith(("xgboost", "lightgbm"))
        else ""
    )
    rows = (
        f"# drawn by the converter: {facts.rows} of {facts.drawn_from} rows, seed {facts.seed}\n"
        if facts
        else ""
    )
    base = repr(facts.base) if facts else '""'
    scale = repr(facts.margin_scale) if facts else '""'
    threshold = "0.5" if space is Space.PROBABILITY else "0.0"
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
kind = "binary"
# what the margin is measured in
space = {_text(space.value if space else "")}
{_mixing(found)}{unnamed}positive_class = {_text(classes[-1] if classes else "")}
classes = {_text(classes)}
{said}
trained_with = {{ {trained} }}

# The one place where the decision line is declared, in raw margin.
[suggestion]
threshold = {threshold}
above = "can_be_granted"
below = "check_more_closely"
favours_applicant = "above"
decision_type = "bound"
# outcomes after which the application is still open
interim = ["check_more_closely"]

# The comparison group: at least 30 rows, in the columns of features.toml. base is the mean of the
# margins the bare model gives them where it was trained, margin_scale their 90th minus their
# 10th percentile: so a group that does not belong to the model is noticed. See golden/README.md.
[background]
file = "background.csv"
rows = {facts.rows if facts else 0}
{rows}note = ""
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


def _features(known: Sequence[_Known]) -> str:
    parts = [
        "# One table per input of the model. Replace labels and sentences; give every feature its\n"
        "# class: legally_required, neutral, proxy_suspect, protected_not_allowed.\n"
        "# range: what lies outside is an error and refused. trained: what the model has seen.\n"
    ]
    parts += ["\n".join(_feature(each)) + "\n" for each in known]
    return "\n".join(parts)


def _feature(each: _Known) -> list[str]:
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
        lines += [f"[feature.{table}]", 'can_be_granted = ""', 'check_more_closely = ""']
    return lines


def _wording() -> str:
    outcomes = "\n".join(
        f"[outcome.{outcome}]\n"
        + "\n".join(
            f'{form} = ""'
            for form in ("label", "suggested", "suggested_staff", "decided", "decide")
        )
        + "\n"
        for outcome in ("can_be_granted", "check_more_closely")
    )
    contact = "\n".join(
        f'{line} = ""' for line in ("office", "function", "phone", "hours", "address")
    )
    return (
        "# German, which is the authoritative text. Translations: locales/<folder>/wording.po.\n"
        '[package]\ntitle = ""\nbenefit = ""\n\n'
        '[comparison]\napplicant = ""\nstaff = ""\n\n'
        f"{outcomes}\n[contact]\n{contact}\n"
    )


def _golden(declared: str, names: Sequence[str], space: Space | None) -> str:
    values = ", ".join(f'"{name}": …' for name in names)
    log_odds = space is not Space.PROBABILITY
    margins = _MARGINS.get(
        declared,
        "pipeline.decision_function(frame)" if log_odds else "pipeline.predict_proba(frame)[:, 1]",
    )
    share = "1 / (1 + numpy.exp(-margins))" if log_odds else "margins"
    return f"""\
# Recorded cases

At least 50 lines in `cases.jsonl`, one case a line, with the numbers the bare model gives in the
environment where it was trained:

    {{"case": {{"ref": "A-1", "values": {{{values}}}}}, "margin": 0.25, "probability": 0.56}}

The file that `warum convert` writes makes them there, with the comparison group and its figures. By
hand, with `frame` a DataFrame of cases that were not trained on:

    import json, numpy
    margins = {margins}
    shares = {share}
    with open("cases.jsonl", "w") as file:
        for number, (row, m, p) in enumerate(zip(frame.to_dict("records"), margins, shares)):
            line = {{"case": {{"ref": f"A-{{number}}", "values": row}}}}
            line |= {{"margin": float(m), "probability": float(p)}}
            print(json.dumps(line), file=file)

A missing value is `{{"missing": "not_given"}}`, never NaN.

There too, with `margins` those of the rows of `background.csv`, for the manifest:

    low, high = numpy.quantile(margins, [0.1, 0.9])
    print("base =", float(margins.mean()))
    print("margin_scale =", float(high - low))

## Recorded texts

`warum package golden` writes what the first ten cases are told, in every language, beside this
file. Say here who read which of them line by line, in which languages, when, and who approved them.
"""


def _card(identifier: str) -> str:
    return f"""\
# {identifier}

What the model is for, and what it must not be used for:

Data it was trained on (source, years, what was left out and why):

How good it is on data it has not seen (discrimination, calibration, by group):

How the comparison group and the decision line were chosen:

Who approved it, when, and when to stop using it:
"""
