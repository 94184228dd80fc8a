"""Cases made of recorded ones, and numbers made up, so that each text is to be seen somewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

from explainer.core.attribution import (
    HIGHER,
    LOWER,
    Amount,
    AmountOutcome,
    Compared,
    DecisionLine,
    Side,
    Task,
)
from explainer.core.case import (
    Case,
    Concerns,
    Feature,
    FeatureCatalogue,
    Missing,
    Source,
    SourceType,
    Value,
)
from explainer.core.decision import Relation
from explainer.core.explanation import (
    Explanation,
    Finding,
    Limit,
    Opening,
    Precision,
    Reason,
    Rest,
    Strength,
)
from explainer.packages.package import ModelPackage
from explainer.text.languages import Status
from explainer.text.sentences import HumanDecision
from explainer.text.voice import Voice
from explainer.text.wording import VALUE, Wording, named_outcomes

Recorded = tuple[Case, Explanation]
"""A recorded case, and why the model scores it as it does."""

BASES, VALUES = 3, 5
"""Recorded cases that others are made of, and values tried of a number."""


def cases_for(
    key: str, recorded: Sequence[Recorded], package: ModelPackage
) -> Iterator[tuple[Case, str]]:
    """Cases that may show the text of this key, the likeliest first, each with the feature to be
    told; none for a text that is not about a case."""
    first, *parts = key.split("|")
    if first == "feature":
        yield from _of_feature(package.catalogue[parts[0]], parts[1:], recorded)
    elif first == "proxy":
        for feature in package.catalogue:
            if feature.proxy_for == parts[0]:
                yield from ((case, feature.name) for case, _ in _strongest(feature, recorded))
    elif first == "source":
        for case, explanation in recorded[:BASES]:
            name = explanation.findings[0].feature.name
            name = next((f.feature.name for f in explanation.findings if f.rank == 1), name)
            source = Source(SourceType.AUTHORITY, parts[0])
            yield _with(case, name, replace(case.values[name], source=source)), name
    elif first.startswith(("told.missing.", "staff.missing.", "told.stand_in", "told.without")):
        last = first.rpartition(".")[2]
        kind = Missing(last) if last in set(Missing) else Missing.NOT_GIVEN
        for feature in package.catalogue:
            if feature.optional:
                for case, _ in _strongest(feature, recorded):
                    yield _with(case, feature.name, Value(None, kind)), feature.name
    elif first == "told.as_of":
        for case, explanation in recorded[:BASES]:
            name = next(f.feature.name for f in explanation.findings if f.rank == 1)
            day = replace(case.values[name], as_of=package.manifest.created)
            yield _with(case, name, day), name
    elif first in ("told.unclear", "told.given", "told.heading.unclear"):
        for case, explanation in recorded:
            for finding in explanation.findings:
                if not finding.stable:
                    yield case, finding.feature.name


def _of_feature(
    feature: Feature, parts: list[str], recorded: Iterable[Recorded]
) -> Iterator[tuple[Case, str]]:
    name = feature.name
    if parts[0] == "choice":
        for case, _ in _strongest(feature, recorded):
            yield _with(case, name, Value(parts[1])), name
        return
    missing = parts[0] == "supply" or parts[-1] == "missing"
    towards = parts[1] if parts[0] == "reason" else None
    recorded = list(recorded)
    bases = _strongest(feature, recorded, towards)
    if missing:
        for case, _ in (*bases, *recorded):
            yield _with(case, name, Value(None, Missing.NOT_GIVEN)), name
        return
    yield from ((case, name) for case, _ in bases)
    for value in _values(feature, recorded):
        for case, _ in bases:
            yield _with(case, name, replace(case.values[name], value=value, missing=None)), name


def _strongest(
    feature: Feature, recorded: Iterable[Recorded], towards: str | None = None
) -> list[Recorded]:
    """The recorded cases in which a feature counted most, towards one outcome if it is named."""

    def share(each: Recorded) -> int:
        explanation = each[1]
        found = next(f for f in explanation.findings if f.feature.name == feature.name)
        if towards is None or found.direction is None:
            return found.share
        return found.share if explanation.line.outcome(found.direction) == towards else -found.share

    return sorted(recorded, key=share, reverse=True)[:BASES]


def _values(feature: Feature, recorded: Iterable[Recorded]) -> list[str | float]:
    if feature.choices:
        return list(feature.choices)
    given = sorted(
        {
            value.value
            for case, _ in recorded
            if (value := case.values[feature.name]).value is not None
            and not isinstance(value.value, str)
        }
    )
    step = max(1, (len(given) - 1) // (VALUES - 1))
    return list(dict.fromkeys([*given[::step], *given[-1:]]))


def _with(case: Case, name: str, value: Value) -> Case:
    return replace(case, values={**case.values, name: value}, reported_margin=None)


def about_feature(key: str, recorded: Sequence[Recorded]) -> Iterator[Explanation]:
    """Explanations with the sentence of `key` as their only reason, whatever the numbers are."""
    first, *parts = key.split("|")
    if first in ("told.withheld_one", "staff.told.third_person"):
        explanation = recorded[0][1]
        finding = explanation.findings[0]
        feature = replace(finding.feature, concerns=Concerns.THIRD_PERSON)
        yield _only(explanation, replace(finding, feature=feature), explanation.side)
    if first != "feature" or parts[1] != "reason":
        return
    of_it = (e for _, e in recorded if parts[2] in (e.line.above, e.line.below))
    for explanation in islice(of_it, 1):
        finding = next(f for f in explanation.findings if f.feature.name == parts[0])
        value = Value(None, Missing.NOT_GIVEN) if parts[-1] == "missing" else finding.value
        side = explanation.line.side_of(parts[2])
        yield _only(explanation, replace(finding, value=value, strength=Strength.SMALL), side)


def _only(explanation: Explanation, finding: Finding, side: Side) -> Explanation:
    return replace(explanation, reasons=(Reason(finding, side, leading=False, decisive=False),))


def decisions(explanation: Explanation, outcomes: tuple[str, ...]) -> Iterator[HumanDecision]:
    """What people may have decided about a case, in every relation to the suggestion."""
    suggested = explanation.recommended
    other = next(outcome for outcome in outcomes if outcome != suggested)
    for relation in Relation:
        same = relation in (Relation.AGREE, Relation.AGREE_OTHER_REASONS, Relation.PARTLY)
        yield HumanDecision(suggested if same else other, relation, suggested)


class Ellipses(dict[str, str]):
    """An agency's texts; those of another kind of package, which it does not have, as ellipses."""

    def __missing__(self, key: str) -> str:
        return f"…: {VALUE}" if key.startswith("amount|") else "…"


def variants(explanation: Explanation, voice: Voice) -> Iterator[tuple[Explanation, Voice]]:
    """`explanation` with other numbers and of other kinds, each with the voice that tells it."""
    for outcome in named_outcomes(voice.suggesting):
        yield replace(explanation, suggestion=outcome), voice
    for opening in Opening:
        yield replace(explanation, opening=opening), voice
    for rest in Rest:
        yield replace(explanation, rest=rest), voice
    yield replace(explanation, limits=frozenset(Limit), precision=Precision(1000, 50)), voice
    no_stand_in = [replace(feature, stand_in=None) for feature in voice.catalogue]
    limited = replace(explanation, limits=frozenset(Limit))
    gap = Value(None, Missing.NOT_GIVEN)
    largest = next(finding for finding in limited.findings if finding.rank == 1)
    one = tuple(
        replace(finding, value=gap) if finding is largest else finding
        for finding in limited.findings
    )
    for features in (list(voice.catalogue), no_stand_in):
        speaking = replace(voice, catalogue=FeatureCatalogue(features))
        yield replace(limited, findings=one), speaking
        yield _each(limited, unclear=True, value=gap), speaking
    for strength in Strength:
        other = _each(explanation, strength=strength)
        # what had hardly any influence is never a reason
        told = strength not in (Strength.HARDLY, Strength.NONE)
        yield (other if told else replace(other, reasons=explanation.reasons)), voice
    for kind in Missing:
        yield _each(explanation, unclear=True, value=Value(None, kind)), voice
    yield _each(explanation, unclear=True), voice
    first = replace(explanation.reasons[0], leading=True, decisive=True)
    yield replace(explanation, reasons=(first, *explanation.reasons[1:])), voice
    several = replace(explanation, task=Task.MULTICLASS)
    yield replace(several, reasons=(first,)), voice
    yield replace(several, opening=Opening.CLOSE), voice
    reviewed = replace(voice.wording, reviewed=True)
    spoken = voice.language
    if not spoken.is_source:
        for status in (Status.REVIEWED, Status.UNREVIEWED):
            language = replace(spoken, status=status)
            yield explanation, replace(voice, language=language, wording=reviewed)
    yield from _amounts(explanation, voice)


def _amounts(explanation: Explanation, voice: Voice) -> Iterator[tuple[Explanation, Voice]]:
    texts: Mapping[str, str] = Ellipses(voice.wording.texts)
    line = DecisionLine(explanation.line.threshold, HIGHER, LOWER, Side.ABOVE)
    for unit, text in (("eur", "1234.50"), ("years", "1"), ("months", "1"), ("days", "1")):
        speaking = replace(
            voice,
            wording=Wording(voice.language, texts, voice.wording.reviewed),
            suggesting=AmountOutcome(unit, 2, Side.ABOVE),
        )
        for side, compared in zip((*Side, Side.ABOVE), Compared, strict=True):
            yield (
                replace(
                    explanation,
                    task=Task.AMOUNT,
                    line=line,
                    side=side,
                    suggestion=line.outcome(side),
                    opening=Opening.MIXED,
                    amount=Amount(text, unit, compared),
                ),
                speaking,
            )


def _each(explanation: Explanation, *, unclear: bool = False, **change: object) -> Explanation:
    """`explanation` with every finding changed; with `unclear`, none points anywhere."""
    findings = {
        finding.feature.name: replace(finding, **change)  # type: ignore[arg-type]
        for finding in explanation.findings
    }
    return replace(
        explanation,
        findings=tuple(findings.values()),
        reasons=tuple(
            replace(
                reason,
                finding=findings[reason.finding.feature.name],
                direction=None if unclear else reason.direction,
            )
            for reason in explanation.reasons
        ),
    )
