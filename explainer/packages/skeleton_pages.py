"""The pages of a new package that people read: golden/README.md and CARD.md."""

from __future__ import annotations

from collections.abc import Sequence

from explainer.core.attribution import Space, Task
from explainer.families import MAY_NAME_NO_CLASSES

_MARGINS = {
    "xgboost-json": "booster.predict(xgboost.DMatrix(frame), output_margin=True)",
    "xgboost-ubj": "booster.predict(xgboost.DMatrix(frame), output_margin=True)",
    "lightgbm-txt": "booster.predict(frame, raw_score=True)",
    "catboost-cbm": 'model.predict(frame, prediction_type="RawFormulaVal")',
}


def _bare(declared: str, task: Task, space: Space | None) -> tuple[str, str]:
    """How the bare model is asked for its margins, and what makes probabilities of them."""
    asked = _MARGINS.get(declared)
    if task is Task.AMOUNT:
        return asked or "model.predict(frame)", ""
    several = task is Task.MULTICLASS
    if space is Space.PROBABILITY:
        return asked or f"pipeline.predict_proba(frame){'' if several else '[:, 1]'}", "margins"
    asked = asked or "pipeline.decision_function(frame)"
    if several:
        return asked, "numpy.exp(margins) / numpy.exp(margins).sum(axis=1, keepdims=True)"
    if declared == "lightgbm-txt":
        asked += "  # times sigmoid, see docs/formats.md"
    return asked, "1 / (1 + numpy.exp(-margins))"


def _classes(declared: str) -> str:
    """Where the names of the classes are known: their order alone would swap them unseen."""
    if declared == "catboost-cbm":
        return "model.classes_"
    if declared in MAY_NAME_NO_CLASSES:
        return '["…", "…"]  # names of the labels 0, 1 and so on, as the data of training has them'
    return "pipeline.classes_"


def recorded_cases(declared: str, names: Sequence[str], task: Task, space: Space | None) -> str:
    """golden/README.md: how cases are recorded where the model was trained, and read."""
    values = ", ".join(f'"{name}": …' for name in names)
    margins, shares = _bare(declared, task, space)
    line = {
        Task.BINARY: '"margin": 0.25, "probability": 0.56, "predicted": "…"',
        Task.MULTICLASS: '"margin": [0.25, …], "probability": [0.56, …], "predicted": "…"',
        Task.AMOUNT: '"margin": 1250.5',
    }[task]
    each = 'line["margin"] = margin.tolist()'
    if shares:
        shares = f"\n    shares = {shares}\n    classes = {_classes(declared)}"
        each += '\n            line["probability"] = shares[number].tolist()'
        named = "shares[number].argmax()" if task is Task.MULTICLASS else "shares[number] >= 0.5"
        each += f'\n            line["predicted"] = str(classes[int({named})])'
    return f"""\
# Recorded cases

At least 50 lines in `cases.jsonl`, one case a line, with the numbers the bare model gives in the
environment where it was trained{" (lists: one for each class)" if "[" in line else ""}:

    {{"case": {{"ref": "A-1", "values": {{{values}}}}}, {line}}}

The file that `warum convert` writes makes them there, with the comparison group and its figures. By
hand, with `frame` a DataFrame of cases that were not trained on:

    import json, numpy
    margins = {margins}{shares}
    with open("cases.jsonl", "w") as file:
        for number, (row, margin) in enumerate(zip(frame.to_dict("records"), margins)):
            line = {{"case": {{"ref": f"A-{{number}}", "values": row}}}}
            {each}
            print(json.dumps(line), file=file)

A missing value is `{{"missing": "not_given"}}`, never NaN.

There too, with `margins` those of the rows of `background.csv`, for the manifest:

    low, high = numpy.quantile(margins, [0.1, 0.9], axis=0)
    print("base =", margins.mean(axis=0).tolist())
    print("margin_scale =", (high - low).tolist())

## Recorded texts

`warum package golden` writes what the first ten cases are told, in every language, beside this
file. Say here who read which of them line by line, in which languages, when, and who approved them.
"""


def card(identifier: str) -> str:
    """CARD.md: what people have to know of a model before they trust it."""
    return f"""\
# {identifier}

What the model is for, and what it must not be used for:

Data it was trained on (source, years, what was left out and why):

How good it is on data it has not seen (discrimination, calibration, by group):

How the comparison group and the decision line were chosen:

Who approved it, when, and when to stop using it:
"""
