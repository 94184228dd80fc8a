"""A View becomes whole sentences in one language. Nothing is glued: a label never enters a
sentence, a value only the slot its sentence has for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from explainer.core.attribution import Task
from explainer.core.case import Missing, Value
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience, Pointing, ShownReason, ShownRow, View
from explainer.core.explanation import Limit, Strength
from explainer.errors import NotExplainable, OutsideExperience, PackageReplaced
from explainer.text.catalogs import Catalog
from explainer.text.languages import Language, Status
from explainer.text.suggested import (
    contrast_in_words,
    frame,
    headings,
    opening_key,
    sides,
    suggestion_in_words,
)
from explainer.text.values import clean, day, decimal, isolate, unbroken, value_in_words
from explainer.text.voice import Voice
from explainer.text.wording import VALUE

_WITHHELD = {
    OutsideExperience.code: "outside",
    PackageReplaced.code: "replaced",
    "explanation.pending": "pending",
}
"""What is said by code; of everything else, that a check failed."""


@dataclass(frozen=True, slots=True)
class HumanDecision:
    """What the applicant's page says about the decision a person made."""

    outcome: str
    relation: Relation
    suggested: str | None
    """What the person was shown as the suggestion, from the sealed record of the decision."""


@dataclass(frozen=True, slots=True)
class ReasonText:
    """One reason in words; `label` stands alone as a heading, never in a sentence.

    `staff_notes` are for caseworkers and marked; everybody reads the others.
    """

    label: str
    text: str
    value: str
    strength: str
    parts: str
    provenance: str
    notes: tuple[str, ...]
    staff_notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowText:
    """One line of the caseworker's table; `bar` is -100 to 100, above 0 towards the suggestion."""

    label: str
    value: str
    missing: bool
    effect: str
    bar: int
    shown: bool


@dataclass(frozen=True, slots=True)
class Sentences:
    """Whole sentences of one language, for one audience; every slot filled."""

    audience: Audience
    lang: str
    dir: str
    banner: str | None
    heading: Mapping[str, str]
    frame: Mapping[str, str]
    role: tuple[str, ...]
    decided: tuple[str, ...]
    suggestion: str
    warnings: tuple[str, ...]
    comparison: str
    contrast: str
    withheld: str | None
    opening: tuple[str, ...]
    towards: tuple[ReasonText, ...]
    away: tuple[ReasonText, ...]
    unclear: tuple[ReasonText, ...]
    rest: str
    limits: tuple[str, ...]
    correct: tuple[str, ...]
    contact: tuple[str, ...]
    rows: tuple[RowText, ...]
    german_href: str | None


def to_sentences(view: View, voice: Voice, decision: HumanDecision | None = None) -> Sentences:
    """Put `view` into words. Raises MessageMissing; never a mix of two languages."""
    staff = view.audience is Audience.CASEWORKER
    own = "staff" if staff else "told"
    by_pointing: dict[Pointing, list[ReasonText]] = {pointing: [] for pointing in Pointing}
    for reason in view.reasons:
        by_pointing[reason.pointing].append(_reason(reason, view.task, voice, staff=staff))
    # what makes this suggestion unreliable stands beside it, not at the end
    warnings = [_warning(one, view, voice) for one in view.limits if one is not Limit.STALE]
    limits = []
    if Limit.STALE in view.limits:
        limits.append(voice.say("told.limit.stale", isolate(str(view.as_of))))
    limits.append(voice.say("staff.told.limits" if staff else "told.limits"))
    if staff:
        limits.append(voice.say("staff.told.linked"))
    if view.within is not None:
        limits.append(voice.say("staff.told.estimated", str(view.within)))
    return Sentences(
        audience=view.audience,
        lang=voice.language.tag,
        dir=voice.language.dir,
        banner=translation_banner(
            voice.catalog, voice.language, package_reviewed=voice.wording.reviewed
        ),
        heading=headings(view, voice),
        frame=frame(view, voice) if staff else {},
        role=_role(voice, decision),
        decided=_decided(decision, voice),
        suggestion=suggestion_in_words(view, voice),
        warnings=tuple(warnings),
        comparison=voice.wording[f"comparison|{'staff' if staff else 'applicant'}"],
        contrast=contrast_in_words(view, voice),
        withheld=None,
        opening=(voice.say(f"{own}.opening.{opening_key(view.task, view.opening)}"),),
        towards=tuple(by_pointing[Pointing.TOWARDS]),
        away=tuple(by_pointing[Pointing.AWAY]),
        unclear=tuple(by_pointing[Pointing.UNCLEAR]),
        rest=voice.say(f"{own}.rest.{view.rest}"),
        limits=tuple(limits),
        correct=() if staff else voice.several("told.correct"),
        contact=() if staff else contact_lines(voice),
        rows=tuple(_row(row, view, voice) for row in view.table or ()),
        german_href=None,
    )


def withheld_sentences(
    fault: NotExplainable,
    audience: Audience,
    voice: Voice,
    decision: HumanDecision | None = None,
) -> Sentences:
    """What is said where there is no explanation: that, and why; no suggestion, no reasons."""
    staff = audience is Audience.CASEWORKER
    key = _WITHHELD.get(fault.code, "withheld_all")
    if key != "outside" and decision is not None and decision.suggested is None:
        # the person who decided never had a suggestion: there is none to explain
        key = "undelivered"
    return Sentences(
        audience=audience,
        lang=voice.language.tag,
        dir=voice.language.dir,
        banner=translation_banner(
            voice.catalog, voice.language, package_reviewed=voice.wording.reviewed
        ),
        heading=headings(None, voice),
        frame=frame(None, voice) if staff else {},
        # where no suggestion was delivered, the program did not help
        role=()
        if key in ("outside", "replaced")
        else _role(voice, decision, undelivered=key == "undelivered"),
        decided=_decided(decision, voice),
        suggestion="",
        warnings=(),
        comparison="",
        contrast="",
        withheld=voice.say(f"{'staff.told' if staff else 'told'}.{key}"),
        opening=(),
        towards=(),
        away=(),
        unclear=(),
        rest="",
        limits=(voice.say("staff.told.limits" if staff else "told.limits"),),
        correct=() if staff else voice.several("told.correct"),
        contact=() if staff else contact_lines(voice),
        rows=(),
        german_href=None,
    )


def _warning(limit: Limit, view: View, voice: Voice) -> str:
    """The program is said to have used stand-ins only where it has one for all that may lack."""
    if limit is not Limit.MANY_MISSING:
        return voice.say(f"told.limit.{limit}")
    optional = [feature for feature in voice.catalogue if feature.optional]
    bare = "_bare" if any(feature.stand_in is None for feature in optional) else ""
    return voice.say(f"told.limit.{'one' if view.gaps == 1 else 'many'}_missing{bare}")


def provenance(value: Value, voice: Voice) -> str:
    """As of when and from where a value is, as far as the case says."""
    as_of, source = provenance_parts(value, voice)
    said = []
    if as_of:
        said.append(voice.say("told.as_of", isolate(as_of)))
    if source:
        said.append(voice.say("told.source", isolate(source)))
    return " ".join(said)


def provenance_parts(value: Value, voice: Voice) -> tuple[str, str]:
    """The day and the source of a value, each "" where the case does not say."""
    as_of = "" if value.as_of is None else day(value.as_of, voice.language.locale)
    source = "" if value.source is None else clean(voice.wording.source(value.source.label))
    return as_of, source


def value_or_missing(feature: str, value: Value, voice: Voice, *, staff: bool) -> str:
    """The value, or in words which of the five kinds of missing it is."""
    if value.missing is not None:
        return voice.say(f"{'staff' if staff else 'told'}.missing.{value.missing}")
    assert value.value is not None  # noqa: S101 - held by Value itself
    return value_in_words(voice.catalogue[feature], value.value, voice.wording, voice.catalog)


def _role(
    voice: Voice, decision: HumanDecision | None, *, undelivered: bool = False
) -> tuple[str, ...]:
    unused = decision is not None and decision.relation is Relation.NOT_USED
    key = "told.role_undelivered" if undelivered else "told.role"
    if unused and not undelivered:
        key = "told.role_unused"
    return voice.several(f"{key}_ai" if voice.artificial_intelligence else key)


def translation_banner(
    catalog: Catalog, language: Language, *, package_reviewed: bool = True
) -> str | None:
    """Who checked this translation; None in German, which is what counts."""
    if language.is_source:
        return None
    reviewed = language.status is Status.REVIEWED and package_reviewed
    return catalog.sentence("told.reviewed" if reviewed else "told.unreviewed")


def _decided(decision: HumanDecision | None, voice: Voice) -> tuple[str, ...]:
    if decision is None:
        return ()
    function, office = voice.wording["contact|function"], voice.wording["contact|office"]
    who = isolate(voice.say("told.comma").join((function, office)))
    said = [voice.say("told.decided_by", who)]
    if decision.suggested is not None and decision.relation is not Relation.NOT_USED:
        if decision.outcome != decision.suggested:
            said.append(voice.say("told.differs"))
        elif decision.relation is Relation.AGREE_OTHER_REASONS:
            said.append(voice.say("told.same_other"))
        elif decision.relation is Relation.PARTLY:
            said.append(voice.say("told.partly"))
    return tuple(said)


def contact_lines(voice: Voice) -> tuple[str, ...]:
    """Whom to call, and where to write or to go."""
    lines = [unbroken(voice.wording[f"contact|{key}"]) for key in ("office", "phone", "hours")]
    return (*lines, *voice.wording["contact|address"].splitlines())


def _reason(reason: ShownReason, task: Task, voice: Voice, *, staff: bool) -> ReasonText:
    strength = voice.say(f"told.strength.{reason.strength}")
    if reason.withheld or reason.feature is None or reason.value is None:
        return ReasonText("", voice.say("told.withheld_one"), "", strength, "", "", (), ())
    feature = voice.catalogue[reason.feature]
    missing = reason.value.missing is not None
    written = "" if missing else value_or_missing(feature.name, reason.value, voice, staff=False)
    if reason.outcome is None:
        text = voice.say("told.unclear")
        if not missing:
            text += " " + voice.say("told.given", isolate(written))
    else:
        sentence = voice.wording.reason(feature.name, reason.outcome, missing=missing)
        text = sentence.replace(VALUE, isolate(written))
    parts = "" if reason.parts is None else voice.say("staff.told.parts", str(reason.parts))
    return ReasonText(
        label=voice.wording.label(feature.name),
        text=text,
        value="",
        strength=strength,
        parts=parts,
        # where there is no value, there is nothing that came from somewhere
        provenance="" if missing else provenance(reason.value, voice),
        notes=_notes(reason, voice, staff=staff),
        staff_notes=_staff_notes(reason, task, voice),
    )


def _notes(reason: ShownReason, voice: Voice, *, staff: bool) -> tuple[str, ...]:
    notes = []
    if reason.feature is not None and reason.value is not None and reason.value.missing is not None:
        feature = voice.catalogue[reason.feature]
        # the package's sentence says already that the information was not there, and whether
        # anything stood in for it; where no direction is clear, that sentence is not told
        if reason.value.missing is not Missing.NOT_GIVEN or reason.outcome is None:
            notes.append(voice.say(f"told.missing.{reason.value.missing}"))
        if reason.stand_in is not None:
            stand_in = value_in_words(feature, reason.stand_in, voice.wording, voice.catalog)
            notes.append(voice.say("told.stand_in", isolate(stand_in)))
        elif reason.outcome is None:
            notes.append(voice.say("told.without_it"))
        supply = voice.wording.supply(reason.feature)
        if supply and reason.can_be_supplied and not staff:
            notes.append(supply)
    if reason.leading:
        notes.append(voice.say("told.leading"))
    return tuple(notes)


def _staff_notes(reason: ShownReason, task: Task, voice: Voice) -> tuple[str, ...]:
    """What only a caseworker reads; the view for others holds nothing of it."""
    notes = []
    if reason.decisive:
        several = "_multiclass" if task is Task.MULTICLASS else ""
        notes.append(voice.say(f"staff.told.decisive{several}"))
    if reason.kept:
        notes.append(voice.say("staff.told.third_person"))
    if reason.proxy_for:
        label = voice.wording[f"proxy|{reason.proxy_for}"]
        notes.append(voice.say("staff.told.proxy", isolate(label)))
    return tuple(notes)


def _row(row: ShownRow, view: View, voice: Voice) -> RowText:
    written = value_or_missing(row.feature, row.value, voice, staff=True)
    if row.stand_in is not None:
        feature = voice.catalogue[row.feature]
        stand_in = value_in_words(feature, row.stand_in, voice.wording, voice.catalog)
        written += " " + voice.say("staff.told.stand_in", stand_in)
    effect = voice.say(f"staff.effect.{row.strength}")
    if row.pointing is not None and row.strength not in (Strength.NONE, Strength.HARDLY):
        way = sides(view).get(row.pointing, row.pointing.value)
        effect = f"{voice.say(f'staff.effect.{way}')} · {effect}"
        if row.parts is not None:
            parts = voice.say("staff.told.parts", decimal(row.parts, voice.language.locale))
            effect += f" ({parts})"
    # an unclear direction gets no bar: a bar says a side
    sign = {Pointing.TOWARDS: 1, Pointing.AWAY: -1}.get(row.pointing or Pointing.UNCLEAR, 0)
    return RowText(
        label=voice.wording.label(row.feature),
        value=written,
        missing=row.value.missing is not None,
        effect=effect,
        # a bar for hardly any influence would look like one for little
        bar=0 if row.strength is Strength.HARDLY else sign * (row.parts or 0),
        shown=row.told,
    )
