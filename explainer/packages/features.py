"""`features.toml`: the features people know, and what may stand in them."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

from explainer.core.case import (
    Concerns,
    Feature,
    FeatureCatalogue,
    FeatureClass,
    Kind,
    Mend,
    Scalar,
)
from explainer.errors import CaseError, ManifestInvalid, PackageError, PackageFaulty
from explainer.packages.toml_table import IDENTIFIER, Table
from explainer.text.values import UNITS

FILE = "features.toml"


def read_features(parsed: Mapping[str, Any]) -> FeatureCatalogue:
    """Check the parsed features.toml. Raises PackageFaulty with every fault."""
    faults: list[PackageError] = []
    catalogue, _ = features_as_they_are(parsed, faults)
    if faults:
        raise PackageFaulty(FILE, faults)
    return catalogue


def features_as_they_are(
    parsed: Mapping[str, Any], faults: list[PackageError]
) -> tuple[FeatureCatalogue, tuple[str, ...]]:
    """The features without a fault, and the names of all, for people who prepare a package.

    Every fault is added to `faults`.
    """
    rows = parsed.get("feature")
    whole: dict[str, Feature] = {}
    names: list[str] = []
    if not isinstance(rows, list) or not rows:
        faults.append(ManifestInvalid("It names no feature.", FILE, "Add [[feature]] tables."))
        rows = []
    faults.extend(
        ManifestInvalid("The key is not known.", f"{FILE}, {key}", "Remove it.")
        for key in sorted(set(parsed) - {"feature"})
    )
    for number, row in enumerate(rows, start=1):
        name = str(row.get("name", number)) if isinstance(row, dict) else str(number)
        own: list[PackageError] = []
        feature = _feature(Table(f"feature {name}", row, own, FILE))
        names.append(name)
        if not own:
            whole.setdefault(name, feature)
        faults += own
    faults.extend(
        ManifestInvalid("The feature is there twice.", f"{FILE}, {name}", "Remove one.")
        for name in sorted({name for name in names if names.count(name) > 1})
    )
    return FeatureCatalogue(list(whole.values())), tuple(dict.fromkeys(names))


def _feature(table: Table) -> Feature:
    name = table.text("name", "Small letters, digits and _.", IDENTIFIER)
    kind = Kind(table.choice("kind", tuple(Kind)))
    feature_class = FeatureClass(
        # neutral first: a class that is not understood must not ask for a norm as well
        table.choice(
            "class", tuple(sorted(FeatureClass, key=lambda c: c is not FeatureClass.NEUTRAL))
        )
    )
    if feature_class is FeatureClass.PROTECTED_NOT_ALLOWED:
        table.fault(
            "A protected characteristic may not be an input.",
            "Train the model without it.",
            "class",
        )
    if feature_class is FeatureClass.LEGALLY_REQUIRED:
        table.text("norm", "Name the norm that requires it.")
    proxy_for = None
    if feature_class is FeatureClass.PROXY_SUSPECT:
        proxy_for = table.text("proxy_for", "Say for what it may stand.", IDENTIFIER)
    choices: tuple[str, ...] = ()
    if kind is Kind.CHOICE:
        choices = _choices(table)
        table.take("choice_labels", dict, "Give each choice its label.")
    unit = None
    if table.has("unit"):
        unit = table.choice("unit", UNITS)
    hard = trained = None
    if kind is not Kind.CHOICE:
        hard = _range(table, "range")
        trained = _range(table, "trained")
        if hard and trained and not hard[0] <= trained[0] <= trained[1] <= hard[1]:
            table.fault("It does not lie inside the hard range.", "Correct either.", "trained")
    table.choice("sensitivity", ("normal", "health", "disability", "violence"))
    optional = bool(table.take("optional", bool, "Say true or false.", default=False))
    table.text("label", "Give it a label people know.")
    table.take("reason", dict, "Give one whole sentence per outcome.")
    for key, kind_of_key in (("help", str), ("supply", str), ("reason_missing", dict)):
        table.take(key, kind_of_key, "Give text.", default="")
    feature = Feature(
        name=name,
        kind=kind,
        unit=unit,
        hard=hard,
        trained=trained,
        choices=choices,
        optional=optional,
        stand_in=None,
        feature_class=feature_class,
        proxy_for=proxy_for,
        mend=Mend(table.choice("mend", tuple(Mend))),
        concerns=Concerns(table.choice("concerns", tuple(Concerns))),
    )
    stand_in = _stand_in(table, feature)
    table.done()
    return Feature(
        **{
            field: getattr(feature, field)
            for field in feature.__dataclass_fields__
            if field != "stand_in"
        },
        stand_in=stand_in,
    )


def _choices(table: Table) -> tuple[str, ...]:
    raw = table.take("choices", list, "List the choices.", default=[])
    good = [c for c in raw if isinstance(c, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", c)]
    if len(good) != len(raw) or len(set(good)) != len(good) or len(good) < 2:
        table.fault(
            "The choices are not understood.", "List two or more different names.", "choices"
        )
    return tuple(good)


def _range(table: Table, key: str) -> tuple[float, float] | None:
    raw = table.take(key, list, "Give two numbers, such as [0, 120].")
    if raw is None:
        return None
    if (
        len(raw) != 2
        or any(isinstance(n, bool) or not isinstance(n, int | float) for n in raw)
        or not -sys.float_info.max <= raw[0] < raw[1] <= sys.float_info.max
    ):
        table.fault("The range is not understood.", "Give [smallest, largest].", key)
        return None
    return (raw[0], raw[1])


def _stand_in(table: Table, feature: Feature) -> Scalar | None:
    if not table.has("stand_in"):
        return None  # whether an optional feature needs one, only its model knows
    raw = table.take("stand_in", (int, float, str), "Give a value of the feature's kind.")
    try:
        return feature.check(raw)
    except CaseError as fault:
        table.fault(fault.what, fault.mend, "stand_in")
        return None
