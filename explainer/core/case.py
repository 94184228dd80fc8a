"""What the model was asked: features, values, and a case that cannot exist unless it is valid."""

# One file: what may stand in a case (Feature), that it does (Case) and the only way in (read_case)
# are one gate, and whoever asks what the product takes from outside reads it from top to bottom.

from __future__ import annotations

import hashlib
import json
import math
import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, TypeGuard

from explainer.errors import (
    CaseError,
    CaseFaulty,
    CaseMalformed,
    FeatureMissing,
    FeatureUnknown,
    ValueOfWrongKind,
    ValueOutOfRange,
)

Scalar = float | int | str
"""A plain value as the model knows it; choices are their identifiers."""

# free text of another system is shown to people: it must not be able to say anything
SOURCE_LABEL = re.compile(r"[^\W_][\w \-/()&,']{0,59}")
REF_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")


class Kind(StrEnum):
    """What sort of value a feature takes."""

    INTEGER = "integer"
    NUMBER = "number"
    CHOICE = "choice"


class FeatureClass(StrEnum):
    """How a feature stands to protected characteristics (§ 33c SGB I, Art. 3(3) GG)."""

    LEGALLY_REQUIRED = "legally_required"
    NEUTRAL = "neutral"
    PROXY_SUSPECT = "proxy_suspect"
    PROTECTED_NOT_ALLOWED = "protected_not_allowed"


class Missing(StrEnum):
    """Why a value is not there: five states, five texts, never one "unknown"."""

    NOT_ASKED = "not_asked"
    NOT_GIVEN = "not_given"
    UNREADABLE = "unreadable"
    SOURCE_DOWN = "source_down"
    NOT_APPLICABLE = "not_applicable"


class SourceType(StrEnum):
    """What kind of source a value comes from (requirement A5)."""

    OWN_STATEMENT = "own_statement"
    AUTHORITY = "authority"
    COMPUTED = "computed"
    MISSING = "missing"


class Mend(StrEnum):
    """What a person can do about a value."""

    CORRECTABLE = "correctable"
    SUPPLIABLE = "suppliable"
    CHANGES_BY_ITSELF = "changes-by-itself"
    NONE = "none"


class Concerns(StrEnum):
    """Whose information this is."""

    APPLICANT = "applicant"
    THIRD_PERSON = "third_person"


@dataclass(frozen=True, slots=True)
class Feature:
    """One piece of information people know, and what may stand in it.

    `hard` is the range (or `choices` the list) outside of which a value is an error;
    `trained` is the range the model has seen: outside it the value is taken, and becomes a
    limit of the explanation. `stand_in` is what the model's own pipeline puts in the place of a
    missing value; None where nothing may be missing, or where the model takes a missing value as
    it is.
    """

    name: str
    kind: Kind
    unit: str | None
    hard: tuple[float, float] | None
    trained: tuple[float, float] | None
    choices: tuple[str, ...]
    optional: bool
    stand_in: Scalar | None
    feature_class: FeatureClass
    proxy_for: str | None
    mend: Mend
    concerns: Concerns

    def check(self, raw: object) -> Scalar:
        """The value as the model takes it.

        Raises ValueOfWrongKind or ValueOutOfRange; neither quotes the value.
        """
        if self.kind is Kind.CHOICE:
            if not isinstance(raw, str):
                raise ValueOfWrongKind(
                    "A choice must be text.",
                    self.name,
                    f"Give one of: {', '.join(self.choices)}.",
                )
            if raw not in self.choices:
                raise ValueOutOfRange(
                    "The choice is not in the list.",
                    self.name,
                    f"Give one of: {', '.join(self.choices)}.",
                )
            return raw
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise ValueOfWrongKind(
                f"A {'whole number' if self.kind is Kind.INTEGER else 'number'} is expected.",
                self.name,
                "Give a number without quotation marks or unit.",
            )
        if isinstance(raw, float) and not math.isfinite(raw):
            raise ValueOfWrongKind(
                "NaN and infinity are not values.",
                self.name,
                'Give a number, or say why it is missing with {"missing": "not_given"}.',
            )
        if self.kind is Kind.INTEGER and raw != int(raw):
            raise ValueOfWrongKind(
                "A whole number is expected.", self.name, "Give it without a fraction."
            )
        if self.hard is not None and not self.hard[0] <= raw <= self.hard[1]:
            raise ValueOutOfRange(
                f"The value is outside {_digits(self.hard[0])} to {_digits(self.hard[1])}.",
                self.name,
                "Check the value and its unit.",
            )
        # adding nought makes -0.0 a plain 0.0: equal cases must have equal digests
        return int(raw) if self.kind is Kind.INTEGER else float(raw) + 0.0

    def knows(self, value: Scalar) -> bool:
        """Whether `value` lies inside what the model was trained on."""
        if isinstance(value, str) or self.trained is None:
            return True
        return self.trained[0] <= value <= self.trained[1]


class FeatureCatalogue:
    """The features of one package, in file order, which is never an order of strength."""

    __slots__ = ("_by_name", "features")

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self._by_name = {feature.name: feature for feature in self.features}
        if len(self._by_name) != len(self.features):
            raise ValueError("feature names repeat")

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, name: str) -> Feature:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value comes from (Art. 14(2)(f) GDPR); `label` is a key of the package's wording
    or free text of the submitting system."""

    type: SourceType
    label: str


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a case: the value, or why there is none; never both."""

    value: Scalar | None
    missing: Missing | None = None
    as_of: date | None = None
    source: Source | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.missing is None):
            raise ValueError("a value is either there or missing for a reason")


@dataclass(frozen=True, slots=True)
class Case:
    """What the model was asked, checked against a catalogue.

    Every catalogue feature is there, of the right kind, inside its hard range, or missing where
    that is allowed. `reported_margin` is the score the running system gave, if it sent one; of a
    model of several classes one for each, in the order of its classes.
    """

    ref: str
    package: str | None
    values: Mapping[str, Value]
    reported_margin: float | tuple[float, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The documented JSON form; reading it back gives an equal case."""
        form: dict[str, Any] = {"ref": self.ref}
        if self.package is not None:
            form["package"] = self.package
        form["values"] = {name: _value_to_json(value) for name, value in self.values.items()}
        if self.reported_margin is not None:
            said = self.reported_margin
            form["reported"] = {"margin": list(said) if isinstance(said, tuple) else said}
        return form

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON form: equal cases have equal digests."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def read_case(raw: object, catalogue: FeatureCatalogue) -> Case:
    """Check `raw` (parsed JSON) against `catalogue`.

    Raises CaseFaulty with every fault found, so that a sender can mend all at once.
    """
    if not isinstance(raw, Mapping):
        raise CaseFaulty("case", [_not_an_object()])
    faults: list[CaseError] = []
    unknown_keys = sorted(set(map(str, raw)) - {"ref", "package", "values", "reported"})
    if unknown_keys:
        faults.append(
            CaseMalformed(
                f"Unknown keys: {', '.join(_short(key) for key in unknown_keys)}.",
                "case",
                "A case has ref, package, values and reported.",
            )
        )
    ref = _read_ref(raw, faults)
    package = raw.get("package")
    if package is not None and not (isinstance(package, str) and REF_PATTERN.fullmatch(package)):
        faults.append(
            CaseMalformed("The package is not named by its id.", "package", "Give its id.")
        )
        package = None
    reported = _read_reported(raw.get("reported"), faults)
    given = raw.get("values")
    values: dict[str, Value] = {}
    if not isinstance(given, Mapping):
        faults.append(
            CaseMalformed(
                "The values are not there.", "values", 'Give {"values": {"feature": value, …}}.'
            )
        )
    else:
        faults.extend(
            FeatureUnknown(
                "The package has no such feature.",
                _short(str(name)),
                f"Leave it out. Known are: {', '.join(catalogue.names)}.",
            )
            for name in given
            if name not in catalogue
        )
        for feature in catalogue:
            try:
                values[feature.name] = _read_value(given, feature)
            except CaseError as fault:
                faults.append(fault)
    if faults:
        raise CaseFaulty(f"case {ref}" if ref else "case", faults)
    return Case(ref, package, values, reported)


def _digits(limit: float) -> str:
    """A limit with every digit it has, and no more."""
    return repr(limit).removesuffix(".0")


def _not_an_object() -> CaseMalformed:
    return CaseMalformed(
        "A case must be a JSON object.", "case", 'Give {"ref": "…", "values": {…}}.'
    )


def _short(name: str) -> str:
    """A name from outside, fit to be shown: no control characters, not endless."""
    clean = "".join("?" if unicodedata.category(c).startswith("C") else c for c in name)
    return clean if len(clean) <= 60 else clean[:57] + "…"


def _read_ref(raw: Mapping[str, object], faults: list[CaseError]) -> str:
    ref = raw.get("ref")
    if isinstance(ref, str) and REF_PATTERN.fullmatch(ref):
        return ref
    faults.append(
        CaseMalformed(
            "The case number is missing or of the wrong form.",
            "ref",
            "Give 1 to 64 letters, digits and . _ / - beginning with a letter or digit.",
        )
    )
    return ""


def _read_reported(reported: object, faults: list[CaseError]) -> float | tuple[float, ...] | None:
    if reported is None:
        return None
    margin = reported.get("margin") if isinstance(reported, Mapping) else None
    said = margin if isinstance(margin, list | tuple) else [margin]
    numbers = tuple(float(each) + 0.0 for each in said if _is_finite(each))
    if (
        not isinstance(reported, Mapping)
        or set(reported) != {"margin"}
        or len(numbers) != len(said)
        or (said is margin and len(said) < 3)
    ):
        faults.append(
            CaseMalformed(
                "The reported score is not understood.",
                "reported",
                'Give {"reported": {"margin": number}}, of three or more classes a list of one '
                "number for each in the order of the model, or leave it out.",
            )
        )
        return None
    return numbers if said is margin else numbers[0]


def _is_finite(given: object) -> TypeGuard[float]:
    # a whole number of 400 digits is valid JSON and fits no float
    return (
        isinstance(given, int | float)
        and not isinstance(given, bool)
        and -sys.float_info.max <= given <= sys.float_info.max
    )


def _read_value(given: Mapping[str, object], feature: Feature) -> Value:
    if feature.name not in given:
        raise FeatureMissing(
            "The feature is not in the case.",
            feature.name,
            'Give its value, or {"missing": "not_given"}.'
            if feature.optional
            else "Give its value: this package cannot do without it.",
        )
    raw = given[feature.name]
    as_of: date | None = None
    source: Source | None = None
    missing: Missing | None = None
    if isinstance(raw, Mapping):
        unknown = set(map(str, raw)) - {"value", "as_of", "source", "missing"}
        if unknown:
            raise CaseMalformed(
                f"Unknown keys: {', '.join(sorted(_short(key) for key in unknown))}.",
                feature.name,
                "A value has value, as_of, source and missing.",
            )
        as_of = _read_date(raw.get("as_of"), feature.name)
        source = _read_source(raw.get("source"), feature.name)
        missing = _read_missing(raw.get("missing"), feature.name)
        raw = raw.get("value")
    if raw is None and missing is None:
        if not feature.optional:
            raise FeatureMissing(
                "The value is empty.",
                feature.name,
                "Give its value: this package cannot do without it.",
            )
        missing = Missing.NOT_GIVEN
    if missing is not None:
        if raw is not None:
            raise CaseMalformed(
                "A value cannot be given and missing at once.",
                feature.name,
                'Leave out either "value" or "missing".',
            )
        if not feature.optional:
            raise FeatureMissing(
                "This feature may not be missing.",
                feature.name,
                "Give its value: this package cannot do without it.",
            )
        return Value(None, missing, as_of, source)
    return Value(feature.check(raw), None, as_of, source)


def _read_date(raw: object, where: str) -> date | None:
    if raw is None:
        return None
    try:
        return date.fromisoformat(raw)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise CaseMalformed(
            "The date is not understood.", f"{where}.as_of", "Write it as 2026-03-01."
        ) from None


def _read_source(raw: object, where: str) -> Source | None:
    if raw is None:
        return None
    if (
        not isinstance(raw, Mapping)
        or set(raw) != {"type", "label"}
        or not isinstance(raw["type"], str)
        or not isinstance(raw["label"], str)
        or not SOURCE_LABEL.fullmatch(raw["label"])
    ):
        raise CaseMalformed(
            "The source is not understood.",
            f"{where}.source",
            'Give {"type": "own_statement", "label": "…"}; a label has at most 60 letters, '
            "digits, spaces and - / ( ) & , and is no sentence.",
        )
    try:
        return Source(SourceType(raw["type"]), raw["label"])
    except ValueError:
        raise CaseMalformed(
            "The kind of source is not known.",
            f"{where}.source.type",
            f"Give one of: {', '.join(SourceType)}.",
        ) from None


def _read_missing(raw: object, where: str) -> Missing | None:
    if raw is None:
        return None
    try:
        return Missing(raw)  # type: ignore[arg-type]
    except ValueError:
        raise CaseMalformed(
            "The reason for missing is not known.",
            f"{where}.missing",
            f"Give one of: {', '.join(Missing)}.",
        ) from None


def _value_to_json(value: Value) -> Scalar | dict[str, Any]:
    extra: dict[str, Any] = {}
    if value.as_of is not None:
        extra["as_of"] = value.as_of.isoformat()
    if value.source is not None:
        extra["source"] = {"type": value.source.type.value, "label": value.source.label}
    if value.missing is not None:
        return {"missing": value.missing.value, **extra}
    assert value.value is not None  # noqa: S101 - held by Value itself
    return {"value": value.value, **extra} if extra else value.value
