"""The rows of a package: its comparison group and its recorded cases, checked line by line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from explainer.core.case import Feature, FeatureCatalogue, Kind, Scalar
from explainer.errors import (
    ArtefactRefused,
    BackgroundInvalid,
    CaseError,
    ManifestInvalid,
    PackageError,
    PackageFaulty,
    ValueOfWrongKind,
)
from explainer.families.json_form import read_json, written_number
from explainer.families.model import RawRow

GOLDEN = "golden/cases.jsonl"

PLAIN_DIGITS = "Write plain digits, with a point before decimals and nothing between thousands."


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """A recorded case with the numbers the bare pipeline gave in the training environment.

    Margins of all outputs; probabilities of as many, none where the output is an amount.
    `predicted` is the class the model named there, if that was recorded: files of XGBoost and
    LightGBM hold no names of classes, and two that were swapped show by nothing else.
    """

    case: Mapping[str, Any]
    margins: tuple[float, ...]
    probabilities: tuple[float, ...]
    predicted: str | None = None


def read_golden(data: bytes) -> tuple[GoldenCase, ...]:
    """The recorded cases of golden/cases.jsonl.

    Raises PackageFaulty with every line that is none.
    """
    found: list[GoldenCase] = []
    faults: list[PackageError] = []
    # not splitlines(): inside a text JSON allows characters that it takes for line ends
    lines = data.decode("utf-8", "replace").removesuffix("\n").split("\n") if data else []
    for number, line in enumerate(lines, start=1):
        try:
            row = read_json(line, GOLDEN)
            case, margins = row["case"], _numbers(row["margin"])
            probabilities = _numbers(row["probability"]) if "probability" in row else ()
            predicted = row.get("predicted")
            if not (predicted is None or isinstance(predicted, str)):
                raise TypeError("predicted")
            found.append(GoldenCase(case, margins, probabilities, predicted))
        except (ArtefactRefused, KeyError, TypeError, OverflowError):
            faults.append(
                ManifestInvalid(
                    "The line is not a recorded case.",
                    f"{GOLDEN}, line {number}",
                    'Give {"case": {…}, "margin": …, "probability": …} from the training '
                    "environment.",
                )
            )
    if faults:
        raise PackageFaulty(GOLDEN, faults)
    return tuple(found)


def _numbers(given: Any) -> tuple[float, ...]:
    """One number, or a list of one for each output of the model. Raises TypeError for what is
    none, and OverflowError where it is too large."""
    listed = given if isinstance(given, list) else [given]
    # a text that looks like a number, and true, are none
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in listed):
        raise TypeError("no number")
    return tuple(map(float, listed))


@dataclass(frozen=True, slots=True)
class Background:
    """The comparison rows, and what each weighs; None where no column says so."""

    rows: list[RawRow]
    weights: list[float] | None


def read_background(
    data: bytes,
    catalogue: FeatureCatalogue,
    declared: Sequence[str] | None = None,
    weight: str | None = None,
    *,
    unsaid: bool = False,
) -> Background:
    """The comparison rows; an empty cell is a missing value.

    `declared` names all features where the catalogue holds only those that are not faulty: they
    are its columns, and those of the catalogue are looked into. `weight` names a column beside
    them that holds what each row weighs; where it is `unsaid` whether there is one, one column more
    is passed over.

    Raises PackageFaulty naming the lines where a value does not fit the catalogue, or where a
    weight is no positive finite number.
    """
    columns = catalogue.names if declared is None else tuple(declared)
    where = "background.csv"
    try:
        table = io.StringIO(data.decode("utf-8-sig", "replace"), newline="")
        lines = list(csv.reader(table, strict=True))
    except csv.Error:
        raise BackgroundInvalid(
            "The file is not a table of comma-separated values.", where, "Export it again."
        ) from None
    while lines and not lines[-1]:
        lines.pop()
    names = lines[0] if lines else []
    if weight is not None and weight in columns:
        raise BackgroundInvalid(
            f"The weights stand in the column {weight}, which is a feature.",
            "manifest.toml, background.weight",
            "Give them a column of their own: a weight is no information about a case.",
        )
    if weight is not None and weight not in names:
        raise BackgroundInvalid(
            f"The manifest says that the column {weight} holds the weights; there is none.",
            where,
            "Add the column, or remove background.weight: then all rows weigh alike.",
        )
    wanted = [*columns, *([] if weight is None else [weight])]
    if unsaid and len(others := [name for name in names if name not in columns]) == 1:
        wanted += others
    if sorted(names) != sorted(wanted):
        raise BackgroundInvalid(
            "Its columns are not the features of the catalogue"
            f"{'' if weight is None else ' and the weight'}.",
            where,
            f"Give exactly: {', '.join(wanted)}.",
        )
    rows: list[RawRow] = []
    weights: list[float] = []
    faults: list[PackageError] = []
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(names):
            faults.append(
                BackgroundInvalid(
                    f"The line has {len(cells)} cells where there are {len(names)} columns.",
                    f"{where}, line {number}",
                    "Check its commas.",
                )
            )
            continue
        line = dict(zip(names, cells, strict=True))
        row: dict[str, Scalar | None] = {}
        for feature in catalogue:
            try:
                row[feature.name] = _cell(line[feature.name], feature)
            except CaseError as fault:
                faults.append(
                    BackgroundInvalid(
                        fault.what, f"{where}, line {number}, {feature.name}", fault.mend
                    )
                )
        rows.append(row)
        if weight is not None:
            given = written_number(line[weight])
            weights.append(given or 0.0)
            if given is None or not 0 < given < math.inf:
                faults.append(
                    BackgroundInvalid(
                        "The weight is not a positive finite number.",
                        f"{where}, line {number}, {weight}",
                        f"Say for how many applications the row stands. {PLAIN_DIGITS} Leave out "
                        "rows that stand for none.",
                    )
                )
    if faults:
        raise PackageFaulty(where, faults)
    return Background(rows, None if weight is None else weights)


def _cell(text: str, feature: Feature) -> Scalar | None:
    if text == "":
        return feature.check(None) if not feature.optional else None
    if feature.kind is Kind.CHOICE:
        return feature.check(text)
    number = written_number(text)
    if number is None:
        raise ValueOfWrongKind("A number is expected.", feature.name, PLAIN_DIGITS)
    return feature.check(number)
