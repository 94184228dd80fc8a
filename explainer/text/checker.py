"""Reads a rendered text back and compares it with the numbers; fails closed.

Nothing that the writer says about its text is believed, and nothing it was made from is looked at:
`reading` recovers from the final bytes what they say, and this module works out from the
contributions alone what they have to say. Signs, order, bands, the side of the line and the first
and last line are worked out again here, so that a slip in choosing, disclosing, wording or
rendering a reason is found by somebody who did not make it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from explainer.core.attribution import (
    HIGHER,
    LOWER,
    Amount,
    AmountOutcome,
    SeveralOutcomes,
    Task,
)
from explainer.core.case import Concerns, FeatureClass, Missing, Value
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience, Disclosure, Pointing, Told
from explainer.core.explanation import (
    Explanation,
    Finding,
    Limit,
    Opening,
    Reason,
    ReasonPolicy,
    Strength,
)
from explainer.errors import NotExplainable, OutsideExperience, PackageReplaced
from explainer.text.fragment import disagrees
from explainer.text.phrases import Note, Phrases, frame_of, phrases
from explainer.text.read_values import plain, read_number
from explainer.text.reading import Reading, ReadReason, ReadRow, read
from explainer.text.reading_frame import ReadWithheld, read_withheld
from explainer.text.sentences import HumanDecision, translation_banner
from explainer.text.values import amount_in_words
from explainer.text.voice import Voice
from explainer.text.worked_out import Worked, work_out


def check_told(
    told: Told,
    explanation: Explanation,
    audience: Audience,
    voice: Voice,
    policy: ReasonPolicy,
    rules: Disclosure,
    decision: HumanDecision | None = None,
) -> Reading:
    """Raise TextDisagrees unless the bytes of `told` say exactly what the numbers say.

    `policy` and `rules` are those of the package. Returns what was read.
    """
    staff = audience is Audience.CASEWORKER
    html = told.media_type.startswith("text/html")
    known = phrases(voice, staff=staff, html=html)
    banner = translation_banner(
        voice.catalog, voice.language, package_reviewed=voice.wording.reviewed
    )
    found = read(told, known, banner)
    worked = work_out(explanation, policy)
    _agree(
        ("the role of the program", found.role, _role(voice, decision)),
        ("who decided", found.decided_by, _decider(decision, voice)),
        ("how a person decided", found.decided, _decided(decision)),
        ("the warnings", found.warnings, tuple(_warnings(explanation, worked, voice))),
        ("the first line", found.opening, _opening_words(explanation)),
        ("the rest", found.rest, str(explanation.rest)),
        ("how old the program is", found.stale, _stale(explanation, rules)),
        ("the limits", found.limits, ("limits", "linked") if staff else ("limits",)),
        ("how exact the shares are", found.within, _within(explanation) if staff else None),
    )
    _suggestion(found, explanation, known)
    _reasons(found.reasons, explanation, worked, known)
    if staff:
        _table(found, explanation, worked, known)
    return found


def check_withheld(
    told: Told,
    fault: NotExplainable,
    audience: Audience,
    voice: Voice,
    decision: HumanDecision | None = None,
) -> ReadWithheld:
    """Raise TextDisagrees unless the bytes of `told` say that there is no explanation, why, and
    nothing of what an explanation would have said. Returns what was read."""
    staff = audience is Audience.CASEWORKER
    known = frame_of(voice, staff=staff, html=told.media_type.startswith("text/html"))
    banner = translation_banner(
        voice.catalog, voice.language, package_reviewed=voice.wording.reviewed
    )
    found = read_withheld(told, known, banner)
    why = _why_withheld(fault, decision)
    role: str | None = _role(voice, decision)
    if why == "undelivered":
        role = "role_undelivered" + ("_ai" if voice.artificial_intelligence else "")
    elif why in ("outside", "replaced"):
        # no suggestion was delivered: the program did not help
        role = None
    _agree(
        ("the role of the program", found.role, role),
        ("who decided", found.decided_by, _decider(decision, voice)),
        ("how a person decided", found.decided, _decided(decision)),
        ("why there is no explanation", found.withheld, why),
        ("the limits", found.limits, ("limits",)),
    )
    return found


def _why_withheld(fault: NotExplainable, decision: HumanDecision | None) -> str:
    if isinstance(fault, OutsideExperience):
        return "outside"
    if decision is not None and decision.suggested is None:
        return "undelivered"
    if isinstance(fault, PackageReplaced):
        return "replaced"
    return "pending" if fault.code == "explanation.pending" else "withheld_all"


def _agree(*compared: tuple[str, object, object]) -> None:
    for what, read_back, meant in compared:
        if read_back != meant:
            raise disagrees(what)


# -- what is said of the whole ---------------------------------------------------------------------


def _suggestion(found: Reading, explanation: Explanation, known: Phrases) -> None:
    """The outcome or the amount, and what it is compared with."""
    suggesting, catalog = known.voice.suggesting, known.voice.catalog
    if isinstance(suggesting, AmountOutcome):
        amount = suggesting.told(explanation.margin, explanation.comparison.base)
        _agree(
            ("the amount", explanation.amount, amount),
            ("the amount", _amount(found.suggestion, amount, known), amount.text),
            ("how the amount compares", found.compared, str(amount.compared)),
            ("what comes second", found.runner_up, None),
            (
                "the unit of the amount",
                found.suggestion,
                plain(amount_in_words(amount.text, amount.unit, catalog)),
            ),
        )
        return
    second = None
    if isinstance(suggesting, SeveralOutcomes):
        contrast = suggesting.contrast(explanation.margins)
        line = suggesting.between(contrast, explanation.comparison.base)
        _agree(("what is compared", explanation.line, line))
        second = line.outcome(explanation.side.other)
    read_second = None
    if found.runner_up is not None:
        read_second = known.labels_of_outcomes.get(found.runner_up)
    _agree(
        ("the suggestion", found.suggestion, explanation.suggestion),
        ("what comes second", read_second, second),
        ("what comes second", found.runner_up is None, second is None),
        ("how the amount compares", found.compared, None),
    )


def _amount(written: str, amount: Amount, known: Phrases) -> str | None:
    return read_number(written, amount.unit.lower(), known.voice.catalog)


def _role(voice: Voice, decision: HumanDecision | None) -> str:
    unused = decision is not None and decision.relation is Relation.NOT_USED
    return ("role_unused" if unused else "role") + ("_ai" if voice.artificial_intelligence else "")


def _decider(decision: HumanDecision | None, voice: Voice) -> str | None:
    if decision is None:
        return None
    who = (voice.wording["contact|function"], voice.wording["contact|office"])
    return plain(voice.say("told.comma").join(who))


def _decided(decision: HumanDecision | None) -> str | None:
    if decision is None or decision.suggested is None or decision.relation is Relation.NOT_USED:
        return None
    if decision.outcome != decision.suggested:
        return "differs"
    return {Relation.AGREE_OTHER_REASONS: "same_other", Relation.PARTLY: "partly"}.get(
        decision.relation
    )


def _warnings(explanation: Explanation, worked: dict[str, Worked], voice: Voice) -> Iterator[str]:
    if Limit.FEW in explanation.limits:
        yield "few"
    if Limit.MANY_MISSING in explanation.limits:
        bare = any(feature.optional and feature.stand_in is None for feature in voice.catalogue)
        gaps = [one for one in worked.values() if one.finding.value.missing is not None]
        told = [one for one in gaps if one.strength not in (Strength.NONE, Strength.HARDLY)]
        yield f"{'one' if len(told) == 1 else 'many'}_missing{'_bare' if bare else ''}"


def _opening_words(explanation: Explanation) -> str:
    """Of two outcomes there is a line, of several there is not; an amount is more or less."""
    opening, task = explanation.opening, explanation.task
    if opening is Opening.CLOSE and task is Task.MULTICLASS:
        return "close_multiclass"
    return "mixed_amount" if opening is Opening.MIXED and task is Task.AMOUNT else str(opening)


def _stale(explanation: Explanation, rules: Disclosure) -> str | None:
    return str(rules.as_of) if Limit.STALE in explanation.limits else None


def _within(explanation: Explanation) -> str | None:
    precision = explanation.precision
    return None if precision is None else str(math.ceil(precision.within / 10))


# -- reasons ---------------------------------------------------------------------------------------


def _side_words(explanation: Explanation) -> Callable[[Pointing], str]:
    """What a heading or a line of the table says: of an amount, more or less."""
    if explanation.task is not Task.AMOUNT:
        return str
    other = LOWER if explanation.suggestion == HIGHER else HIGHER
    words = {Pointing.TOWARDS: explanation.suggestion, Pointing.AWAY: other}
    return lambda pointing: words.get(pointing, str(pointing))


def _reasons(
    found: Sequence[ReadReason],
    explanation: Explanation,
    worked: dict[str, Worked],
    known: Phrases,
) -> None:
    meant = []
    for reason in explanation.reasons:
        one = worked.get(reason.finding.feature.name)
        if one is None or one.finding != reason.finding or one.pointing is None:
            raise disagrees("a reason that is no finding")
        meant.append((reason, one))
    ranks = [one.finding.rank for _, one in meant]
    if len(found) != len(meant) or ranks != sorted(set(ranks)):
        raise disagrees(f"{len(found)} reasons where {len(meant)} belong")
    side = _side_words(explanation)
    sections = [(r, one) for at in Pointing for r, one in meant if one.pointing is at]
    for told, (reason, one) in zip(found, sections, strict=True):
        _reason(told, reason, one, side, known)


def _reason(
    told: ReadReason,
    reason: Reason,
    one: Worked,
    side: Callable[[Pointing], str],
    known: Phrases,
) -> None:
    finding, staff = one.finding, known.staff
    feature, value = finding.feature, finding.value
    name = feature.name
    clear = one.direction if one.outcome is not None else None
    assert one.pointing is not None  # noqa: S101 - looked at where it was chosen
    _agree(
        (f"the heading above {name}", told.side, side(one.pointing)),
        (f"the direction of {name}", reason.direction, clear),
        (f"the strength of {name}", told.strength, one.strength),
        (f"the largest influence, {name}", reason.leading, one.leading),
        (f"whether {name} decides", reason.decisive, one.decisive),
        (f"the parts of {name}", told.parts, _number(one.parts) if staff else None),
    )
    if feature.concerns is Concerns.THIRD_PERSON and not staff:
        _agree(
            (f"that {name} is withheld", told.feature, None),
            (f"what is told of {name}", told.notes, ()),
        )
        return
    _agree(
        (f"the label of {name}", told.feature, name),
        (f"the sentence of {name}", bool(told.outcomes), one.outcome is not None),
        (f"whether {name} is missing", told.missing, value.missing is not None),
        (f"the notes on {name}", tuple(_read_notes(told, one, known)), tuple(_notes(one, known))),
        (f"where {name} comes from", told.source, _source(value, known)),
    )
    if one.outcome is not None and one.outcome not in told.outcomes:
        raise disagrees(f"the direction of {name}")
    # a sentence without a slot says no value
    silent = told.value is None and bool(told.outcomes)
    if value.value is not None and not silent and not known.says(told.value, name, value.value):
        raise disagrees(f"the value of {name}")
    when = None if value.missing is not None else value.as_of
    if (told.as_of is None) is not (when is None) or (
        told.as_of is not None and when is not None and not known.says_day(told.as_of, when)
    ):
        raise disagrees(f"the day of {name}")


def _notes(one: Worked, known: Phrases) -> Iterator[Note]:
    feature, missing, staff = one.finding.feature, one.finding.value.missing, known.staff
    if missing is not None:
        if missing is not Missing.NOT_GIVEN or one.outcome is None:
            yield "missing", str(missing)
        if feature.stand_in is not None:
            yield "stand_in", feature.stand_in
        elif one.outcome is None:
            yield "without_it", ""
        if known.supplies[feature.name] and missing is not Missing.NOT_APPLICABLE and not staff:
            yield "supply", feature.name
    if one.leading:
        yield "leading", ""
    if not staff:
        return
    if one.decisive:
        several = "_multiclass" if known.voice.suggesting.task is Task.MULTICLASS else ""
        yield f"decisive{several}", ""
    if feature.concerns is Concerns.THIRD_PERSON:
        yield "third_person", ""
    if feature.feature_class is FeatureClass.PROXY_SUSPECT and feature.proxy_for:
        yield "proxy", plain(known.voice.wording[f"proxy|{feature.proxy_for}"])


def _read_notes(told: ReadReason, one: Worked, known: Phrases) -> Iterator[Note]:
    """The notes as read, the stand-in among them as the value it is."""
    feature = one.finding.feature
    for key, said in told.notes:
        if key == "stand_in" and feature.stand_in is not None:
            stands = known.says(str(said), feature.name, feature.stand_in)
            yield key, feature.stand_in if stands else said
        else:
            yield key, said


def _source(value: Value, known: Phrases) -> str | None:
    if value.missing is not None or value.source is None:
        return None
    return known.source_words(value.source.label)


# -- the table -------------------------------------------------------------------------------------


def _table(
    found: Reading, explanation: Explanation, worked: dict[str, Worked], known: Phrases
) -> None:
    """Every feature in the order of the catalogue, its bar included."""
    side, bars = _side_words(explanation), {}
    told = {reason.finding.feature.name for reason in explanation.reasons}
    if len(found.rows) != len(explanation.findings):
        raise disagrees("the lines of the table")
    for at, (row, finding) in enumerate(zip(found.rows, explanation.findings, strict=True)):
        name = finding.feature.name
        one = worked[name]
        pointing = one.pointing
        if one.strength in (Strength.NONE, Strength.HARDLY):
            pointing = None
        parts = None if pointing is None else one.parts
        _agree(
            ("the order of the table", row.feature, name),
            (f"the direction of {name}", row.way, pointing and side(pointing)),
            (f"the strength of {name}", row.strength, one.strength),
            (f"the parts of {name}", row.parts, _number(parts)),
            (f"whether {name} is a reason", row.shown, name in told),
        )
        if not _row_says(row, finding, known):
            raise disagrees(f"the value of {name}")
        if parts and pointing is not Pointing.UNCLEAR:
            bars[at] = parts if pointing is Pointing.TOWARDS else -parts
    if known.html:
        ends = (side(Pointing.AWAY), side(Pointing.TOWARDS))
        _agree(("the bars", found.bars, bars), ("the ends of the bars", found.ends, ends))


def _row_says(row: ReadRow, finding: Finding, known: Phrases) -> bool:
    value, feature = finding.value, finding.feature
    if value.value is not None:
        return known.says(row.value, feature.name, value.value)
    for text, missing in known.row_missing.items():
        if missing != value.missing or not row.value.startswith(text):
            continue
        rest = row.value[len(text) :]
        if feature.stand_in is None:
            return not rest
        stand_in = known.row_stand_in.value(rest[1:]) if rest.startswith(" ") else None
        return known.says(stand_in, feature.name, feature.stand_in)
    return False


def _number(parts: int | None) -> str | None:
    return None if parts is None else str(parts)
