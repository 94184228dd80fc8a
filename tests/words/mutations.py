"""Every slip that words and numbers could make, and whether the check finds it.

`right_texts` gives texts as they are told. Each function in TEXTS gives the wrong ones that a slip
of a template, a translation or a program would make of one; each in NUMBERS gives explanations
whose numbers are others than those of the text. `python tests/words/mutations.py` tries them on all
recorded cases of both packages, in every language, and writes the table in docs/words-checked.md.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from explainer.core.attribution import AmountOutcome, Attribution, Contribution, Side
from explainer.core.case import Case, Kind, Missing, Source, SourceType, Value, read_case
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience, Pointing, Told, View, disclose
from explainer.core.explanation import Explanation, Finding, Limit, Opening, Rest, Strength
from explainer.core.reasons import choose_reasons
from explainer.errors import TextDisagrees
from explainer.packages.admit import admit
from explainer.packages.bundled import find_package
from explainer.packages.package import ModelPackage
from explainer.pipeline import RENDER, explain
from explainer.text.checker import check_told
from explainer.text.languages import language
from explainer.text.sentences import HumanDecision, ReasonText, Sentences, to_sentences
from explainer.text.suggested import opening_key
from explainer.text.values import isolate, value_in_words
from explainer.text.voice import Voice

DAY = date(2026, 3, 1)
SIDES = ("towards", "away", "unclear")
STRENGTHS = (Strength.VERY_LARGE, Strength.LARGE, Strength.SMALL)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "words-checked.md"


@dataclass(frozen=True)
class Right:
    """A text as it is told, and all it was made from."""

    package: ModelPackage
    explanation: Explanation
    audience: Audience
    form: str
    voice: Voice
    view: View
    sentences: Sentences
    told: Told
    decision: HumanDecision | None = None

    def render(self, sentences: Sentences) -> Told:
        return RENDER[self.form](sentences, self.voice.language)

    def of_view(self, view: View) -> Told:
        return self.render(to_sentences(view, self.voice, self.decision))

    def with_body(self, body: str) -> Told:
        return replace(self.told, body=body.encode())

    @property
    def body(self) -> str:
        return self.told.body.decode()

    @property
    def staff(self) -> bool:
        return self.audience is Audience.CASEWORKER


def told_to(package: ModelPackage) -> list[tuple[str, Audience, str]]:
    """Every language of the package, for whom it is offered, in both media."""
    return [
        (tag, audience, form)
        for tag in package.wordings
        for audience in Audience
        if audience is Audience.APPLICANT or language(tag).staff
        for form in RENDER
    ]


def right_text(
    package: ModelPackage,
    explanation: Explanation,
    tag: str,
    audience: Audience,
    form: str,
    decision: HumanDecision | None = None,
) -> Right:
    voice = package.voice(language(tag), staff=audience is Audience.CASEWORKER)
    view = disclose(explanation, audience, package.disclosure)
    sentences = to_sentences(view, voice, decision)
    told = RENDER[form](sentences, voice.language)
    return Right(package, explanation, audience, form, voice, view, sentences, told, decision)


def explained(package: ModelPackage, cases: Sequence[Case] | None = None) -> list[Explanation]:
    """Recorded cases; every other one with days and sources, every third with no clear first."""
    found = []
    given = cases or [read_case(g.case, package.catalogue) for g in package.golden]
    for at, case in enumerate(given):
        explanation = explain(dated(case) if at % 2 else case, package, DAY)
        found.append(explanation)
        if at % 3 == 0:
            found.append(unclear(explanation))
    return found


def dated(case: Case) -> Case:
    """The same case with a day and a source at each value, and gaps of all kinds."""
    source = Source(SourceType.OWN_STATEMENT, "application_form")
    kinds = list(Missing)
    values = {
        name: replace(
            value,
            missing=value.missing and kinds[(at + len(case.ref) + ord(case.ref[-1])) % len(kinds)],
            as_of=DAY - timedelta(days=40 * at),
            source=source,
        )
        for at, (name, value) in enumerate(case.values.items())
    }
    return replace(case, values=values)


def explained_by(
    package: ModelPackage,
    like: Explanation,
    contributions: Sequence[Contribution],
    values: Mapping[str, Value],
    base: float,
) -> Explanation:
    """What would be told if these were the contributions to these values."""
    suggesting = package.manifest.suggesting
    group = replace(like.comparison, base=base)
    amount = isinstance(suggesting, AmountOutcome)
    line = replace(like.line, threshold=base) if amount else like.line
    margin = base + sum(c.phi for c in contributions)
    attribution = Attribution(
        group, tuple(contributions), margin, None, line, like.method, task=like.task
    )
    choice = choose_reasons(
        attribution, Case(like.case_ref, None, values), package.catalogue, package.manifest.policy
    )
    return replace(
        like,
        side=attribution.side,
        suggestion=line.outcome(attribution.side),
        line=line,
        comparison=group,
        margin=margin,
        total=attribution.total,
        reasons=choice.reasons,
        findings=choice.findings,
        opening=choice.opening,
        rest=choice.rest,
        rest_share=choice.rest_share,
        amount=suggesting.told(margin, base) if isinstance(suggesting, AmountOutcome) else None,
    )


def unclear(explanation: Explanation) -> Explanation:
    """The same with a first reason that points nowhere clearly."""
    (first, *others) = explanation.reasons
    opening = explanation.opening
    if opening is Opening.MIXED or first.finding.share < 150:
        return explanation
    finding = replace(first.finding, stable=False)
    reason = replace(first, finding=finding, direction=None, leading=False, decisive=False)
    findings = tuple(finding if f is first.finding else f for f in explanation.findings)
    return replace(explanation, reasons=(reason, *others), findings=findings)


def agrees(told: Told, right: Right, explanation: Explanation | None = None) -> bool:
    """Whether the text passes beside the numbers it belongs to, or beside others."""
    try:
        check_told(
            told,
            explanation or right.explanation,
            right.audience,
            right.voice,
            right.package.manifest.policy,
            right.package.disclosure,
            right.decision,
        )
    except TextDisagrees:
        return False
    return True


# -- wrong texts -----------------------------------------------------------------------------------


def with_reasons(s: Sentences, side: str, reasons: Sequence[ReasonText]) -> Sentences:
    changed: dict[str, Any] = {side: tuple(reasons)}
    return replace(s, **changed)


def each_reason(s: Sentences) -> Iterator[tuple[str, int, ReasonText]]:
    for side in SIDES:
        for at, reason in enumerate(getattr(s, side)):
            yield side, at, reason


def with_reason(s: Sentences, side: str, at: int, reason: ReasonText) -> Sentences:
    reasons = list(getattr(s, side))
    reasons[at] = reason
    return with_reasons(s, side, reasons)


def turned(right: Right) -> Iterator[Told]:
    """A reason under another heading."""
    for side, at, reason in each_reason(right.sentences):
        for other in SIDES:
            if other != side:
                left = [r for n, r in enumerate(getattr(right.sentences, side)) if n != at]
                moved = with_reasons(right.sentences, side, left)
                there = getattr(moved, other)
                for where in range(len(there) + 1):
                    reasons = [*there[:where], reason, *there[where:]]
                    yield right.render(with_reasons(moved, other, reasons))


def flipped_headings(right: Right) -> Iterator[Told]:
    words = right.sentences.heading
    for one in SIDES:
        for other in SIDES:
            if one != other and (getattr(right.sentences, one) or getattr(right.sentences, other)):
                swapped = {**words, one: words[other], other: words[one]}
                yield right.render(replace(right.sentences, heading=swapped))


def turned_sentences(right: Right) -> Iterator[Told]:
    """The sentence of another outcome, under the right heading and under the other one."""
    away = {Pointing.TOWARDS: Pointing.AWAY, Pointing.AWAY: Pointing.TOWARDS}
    for at, reason in enumerate(right.view.reasons):
        for outcome in right.voice.suggesting.outcomes:
            if reason.outcome is not None and outcome != reason.outcome:
                for pointing in (reason.pointing, away[reason.pointing]):
                    wrong = replace(reason, outcome=outcome, pointing=pointing)
                    yield right.of_view(with_shown(right.view, at, wrong))


def with_shown(view: View, at: int, reason: Any) -> View:
    return replace(view, reasons=(*view.reasons[:at], reason, *view.reasons[at + 1 :]))


def swapped_reasons(right: Right) -> Iterator[Told]:
    s = right.sentences
    for side in SIDES:
        reasons = list(getattr(s, side))
        for at in range(len(reasons)):
            for other in range(at):
                swapped = list(reasons)
                swapped[at], swapped[other] = swapped[other], swapped[at]
                yield right.render(with_reasons(s, side, swapped))


def changed_strength(right: Right) -> Iterator[Told]:
    for side, at, reason in each_reason(right.sentences):
        for strength in STRENGTHS:
            words = right.voice.say(f"told.strength.{strength}")
            if words != reason.strength:
                wrong = replace(reason, strength=words)
                yield right.render(with_reason(right.sentences, side, at, wrong))


def changed_parts(right: Right) -> Iterator[Told]:
    for side, at, reason in each_reason(right.sentences):
        if right.staff:
            for parts in ("", *(right.voice.say("staff.told.parts", n) for n in ("5", "90"))):
                wrong = replace(reason, parts=parts)
                yield right.render(with_reason(right.sentences, side, at, wrong))


def written_values(right: Right) -> Iterator[tuple[str, Any, str]]:
    """Every value of a number or a choice as it stands in a sentence, with its feature."""
    for reason in right.view.reasons:
        if reason.feature and reason.value and reason.value.value is not None:
            feature = right.voice.catalogue[reason.feature]
            value = reason.value.value
            yield (
                value_in_words(feature, value, right.voice.wording, right.voice.catalog),
                feature,
                value,
            )


def in_reasons(right: Right, old: str, new: str) -> Iterator[Told]:
    """A text with other words in place of a value, where a reason says it."""
    for side, at, reason in each_reason(right.sentences):
        if isolate(old) in reason.text:
            text = reason.text.replace(isolate(old), isolate(new))
            yield right.render(with_reason(right.sentences, side, at, replace(reason, text=text)))


def changed_value(right: Right) -> Iterator[Told]:
    """Another choice, another digit at each place, one digit more and one less."""
    wording, catalog = right.voice.wording, right.voice.catalog
    for written, feature, value in written_values(right):
        others = set()
        if feature.kind is Kind.CHOICE:
            others = {wording.choice(feature.name, c) for c in feature.choices}
        else:
            others = {
                value_in_words(feature, number, wording, catalog)
                for number in (value + 1, value * 10 + 1, 1000 * value + 3, -value - 2)
            }
            for at, digit in enumerate(written):
                if digit.isascii() and digit.isdecimal():
                    for new in (str((int(digit) + 1) % 10), "", digit + digit):
                        others.add(written[:at] + new + written[at + 1 :])
        for other in sorted(others - {written, ""}):
            yield from in_reasons(right, written, other)


def rounded_value(right: Right) -> Iterator[Told]:
    """A value rounded away: to tens, hundreds and thousands, or without its decimals."""
    wording, catalog = right.voice.wording, right.voice.catalog
    for written, feature, value in written_values(right):
        if feature.kind is Kind.CHOICE:
            continue
        for step in (10, 100, 1000):
            rounded = round(value / step) * step
            if rounded != value:
                other = value_in_words(feature, rounded, wording, catalog)
                yield from in_reasons(right, written, other)
        for other in {re.sub(r"(?<=[0-9])[.,][0-9]{2}(?![0-9])", "", written)} - {written}:
            yield from in_reasons(right, written, other)


def other_unit(right: Right) -> Iterator[Told]:
    wording, catalog = right.voice.wording, right.voice.catalog
    for written, feature, value in written_values(right):
        for unit in (None, "years", "months", "days", "eur", "usd", "per_hundred", "per_thousand"):
            if feature.kind is not Kind.CHOICE and unit != feature.unit:
                other = value_in_words(replace(feature, unit=unit), value, wording, catalog)
                if other != written:
                    yield from in_reasons(right, written, other)


def other_spelling(right: Right) -> Iterator[Told]:
    """Point and comma swapped, grouping dropped, digits of another script."""
    arabic = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
    for written, _, _ in written_values(right):
        others = {
            written.translate(str.maketrans(".,", ",.")),
            written.translate(arabic),
            re.sub(r"(?<=[0-9])[.,](?=[0-9])", "", written),
            re.sub(r"(?<=[0-9])[.,](?=[0-9])", "'", written),
        }
        for other in sorted(others - {written}):
            yield from in_reasons(right, written, other)


def other_feature(right: Right) -> Iterator[Told]:
    """The sentence, the label, or all of a reason of another feature."""
    voice, said = right.voice, {r.feature for r in right.view.reasons}
    for at, shown in enumerate(right.view.reasons):
        if shown.feature is None:
            continue
        for feature in voice.catalogue:
            if feature.name == shown.feature:
                continue
            missing = shown.value is not None and shown.value.missing is not None
            value = Value(feature.choices[0] if feature.choices else 30)
            if missing and feature.optional and shown.value is not None:
                value = shown.value
            if feature.name not in said:
                stand_in = feature.stand_in if value.missing is not None else None
                wrong = replace(shown, feature=feature.name, value=value, stand_in=stand_in)
                yield right.of_view(with_shown(right.view, at, wrong))
        others = [f for f in voice.catalogue if f.name != shown.feature]
        label = voice.wording.label(shown.feature)
        for side, place, reason in each_reason(right.sentences):
            if reason.label == label:
                for other in others:
                    words = voice.wording.label(other.name)
                    wrong = replace(reason, label=words)
                    yield right.render(with_reason(right.sentences, side, place, wrong))
                    for outcome in voice.suggesting.outcomes:
                        text = voice.wording.reason(other.name, outcome, missing=False)
                        text = text.replace("{value}", isolate("30"))
                        wrong = replace(reason, text=text)
                        yield right.render(with_reason(right.sentences, side, place, wrong))


def dropped(right: Right) -> Iterator[Told]:
    for side, at, _ in each_reason(right.sentences):
        left = [r for n, r in enumerate(getattr(right.sentences, side)) if n != at]
        yield right.render(with_reasons(right.sentences, side, left))


def doubled(right: Right) -> Iterator[Told]:
    for side, at, reason in each_reason(right.sentences):
        reasons = getattr(right.sentences, side)
        for where in {at, len(reasons)}:
            twice = [*reasons[:where], reason, *reasons[where:]]
            yield right.render(with_reasons(right.sentences, side, twice))
        for other in SIDES:
            if other != side:
                there = [*getattr(right.sentences, other), reason]
                yield right.render(with_reasons(right.sentences, other, there))


def other_first_and_last_line(right: Right) -> Iterator[Told]:
    own, say = "staff" if right.staff else "told", right.voice.say
    for rest in Rest:
        if rest is not right.view.rest:
            yield right.render(replace(right.sentences, rest=say(f"{own}.rest.{rest}")))
    for opening in Opening:
        if opening is not right.view.opening:
            words = say(f"{own}.opening.{opening_key(right.view.task, opening)}")
            yield right.render(replace(right.sentences, opening=(words,)))


def other_suggestion(right: Right) -> Iterator[Told]:
    for outcome in right.voice.suggesting.outcomes:
        if outcome != right.view.suggestion and right.view.amount is None:
            yield right.of_view(replace(right.view, suggestion=outcome))


def left_out(right: Right) -> Iterator[Told]:
    """Each part of the whole left out by itself."""
    s = right.sentences
    changes: list[dict[str, Any]] = [
        {"role": ()},
        {"limits": ()},
        {"opening": ()},
        {"rest": ""},
        {"suggestion": ""},
        {"comparison": ""},
        *({"limits": s.limits[:at] + s.limits[at + 1 :]} for at in range(len(s.limits))),
        *({"warnings": s.warnings[:at] + s.warnings[at + 1 :]} for at in range(len(s.warnings))),
        *({"rows": s.rows[:at] + s.rows[at + 1 :]} for at in range(len(s.rows))),
    ]
    if s.banner:
        changes.append({"banner": None})
    if s.contrast:
        changes.append({"contrast": ""})
    if s.correct:
        changes += [{"correct": ()}, {"contact": s.contact[1:]}, {"contact": ()}]
    if s.decided:
        changes += [{"decided": s.decided[:-1]}, {"decided": s.decided[1:]}]
    yield from (right.render(replace(s, **change)) for change in changes)
    for side, at, reason in each_reason(s):
        for part in ("label", "text", "strength", "provenance"):
            if getattr(reason, part):
                yield right.render(with_reason(s, side, at, replace(reason, **{part: ""})))
        for kind in ("notes", "staff_notes"):
            notes = getattr(reason, kind)
            for n in range(len(notes)):
                fewer: dict[str, Any] = {kind: notes[:n] + notes[n + 1 :]}
                more: dict[str, Any] = {kind: (*notes, notes[n])}
                yield right.render(with_reason(s, side, at, replace(reason, **fewer)))
                yield right.render(with_reason(s, side, at, replace(reason, **more)))


def other_notes(right: Right) -> Iterator[Told]:
    """Another kind of missing, another stand-in, the largest influence where it is not."""
    voice, s = right.voice, right.sentences
    say = voice.say
    kinds = {say(f"told.missing.{kind}") for kind in Missing}
    extra = {say("told.leading"), say("told.without_it"), *kinds}
    extra |= {words for f in voice.catalogue if (words := voice.wording.supply(f.name))}
    for shown in right.view.reasons:
        if shown.feature is None:
            continue
        feature, label = voice.catalogue[shown.feature], voice.wording.label(shown.feature)
        stand_in = None
        if shown.stand_in is not None:
            written = value_in_words(feature, shown.stand_in, voice.wording, voice.catalog)
            stand_in = say("told.stand_in", isolate(written))
        others = [3, 4, 51] if feature.kind is not Kind.CHOICE else list(feature.choices)
        stand_ins = {
            say("told.stand_in", isolate(value_in_words(feature, v, voice.wording, voice.catalog)))
            for v in others
        }
        for side, at, reason in each_reason(s):
            if reason.label != label:
                continue
            for words in sorted((extra | stand_ins) - set(reason.notes)):
                wrong = replace(reason, notes=(*reason.notes, words))
                yield right.render(with_reason(s, side, at, wrong))
            for n, note in enumerate(reason.notes):
                for words in sorted((stand_ins if note == stand_in else kinds) - {note}):
                    if note == stand_in or note in kinds:
                        notes = (*reason.notes[:n], words, *reason.notes[n + 1 :])
                        wrong = replace(reason, notes=notes)
                        yield right.render(with_reason(s, side, at, wrong))


def other_kind_of_missing(right: Right) -> Iterator[Told]:
    """Missing where it was given, given where it was missing, withheld where it is told."""
    for at, shown in enumerate(right.view.reasons):
        if shown.feature is None or shown.value is None:
            continue
        feature = right.voice.catalogue[shown.feature]
        if feature.optional:
            for kind in Missing:
                if kind is not shown.value.missing:
                    value = replace(shown.value, value=None, missing=kind)
                    yield right.of_view(with_shown(right.view, at, replace(shown, value=value)))
        if shown.value.missing is not None:
            value = Value(feature.choices[0] if feature.choices else 3)
            yield right.of_view(with_shown(right.view, at, replace(shown, value=value)))
        gone = replace(shown, withheld=True, feature=None, outcome=None, value=None)
        yield right.of_view(with_shown(right.view, at, gone))


def other_origin(right: Right) -> Iterator[Told]:
    """Another day, another source, or one where none is known."""
    labels = list(right.voice.wording.part("source"))[:3]
    for at, shown in enumerate(right.view.reasons):
        value = shown.value
        if value is None or value.value is None:
            continue
        days = [DAY - timedelta(days=n) for n in (1, 31, 365)]
        others = [replace(value, as_of=day) for day in (None, *days)]
        others += [
            replace(value, source=None if label is None else Source(SourceType.AUTHORITY, label))
            for label in (None, "Sonst jemand", *labels)
        ]
        for other in others:
            yield right.of_view(with_shown(right.view, at, replace(shown, value=other)))


def other_limits(right: Right) -> Iterator[Told]:
    for limit in Limit:
        limits = set(right.view.limits) ^ {limit}
        view = replace(right.view, limits=tuple(at for at in Limit if at in limits))
        yield right.of_view(view)
    yield right.of_view(replace(right.view, as_of=(right.view.as_of or 2000) + 1))
    if Limit.MANY_MISSING in right.view.limits:
        # one missing for several, several for one
        yield right.of_view(replace(right.view, gaps=2 if right.view.gaps == 1 else 1))


def other_decision(right: Right) -> Iterator[Told]:
    """What a person decided, told otherwise."""
    suggested = right.view.suggestion
    for outcome in right.voice.suggesting.outcomes:
        for relation in Relation:
            decision = HumanDecision(outcome, relation, suggested)
            if decision != right.decision:
                yield right.render(to_sentences(right.view, right.voice, decision))
    yield right.render(to_sentences(right.view, right.voice, None))


def banned_and_free_words(right: Right) -> Iterator[Told]:
    """Words that nobody may say, and words that nobody wrote, after every sentence."""
    lines = sorted(set(texts_of(right)), key=len, reverse=True)
    for line in lines:
        for words in (" weil", " Betrug.", " Und noch etwas.", " 7"):
            yield right.with_body(right.body.replace(line, line + words, 1))
    if right.form == "html":
        for words in ("<p>eindeutig</p>", "Sonst etwas", "<p class='w-text'>x</p>"):
            yield right.with_body(right.body.replace("</article>", words + "</article>"))
            yield right.with_body(right.body + words)
            yield right.with_body(words + right.body)
    else:
        yield right.with_body(right.body + "Und noch etwas.\n")
        yield right.with_body("Und noch etwas.\n" + right.body)


def texts_of(right: Right) -> Iterator[str]:
    """What stands between two tags, or in a line: as it stands in the bytes."""
    if right.form == "html":
        found = re.findall(r">([^<>]*[^\s<>][^<>]*)<", right.body)
        yield from (text for text in found)
    else:
        yield from (line.strip() for line in right.body.splitlines() if line.strip())


def a_word_dropped(right: Right) -> Iterator[Told]:
    """Each single word, and with them each negation, left out, and each told twice."""
    for found in re.finditer(r"[^\s<>]+", visible(right)):
        start, end = found.span()
        word = right.body[start:end]
        if word.strip("-–|·:.()"):
            yield right.with_body(right.body[:start] + right.body[end:].lstrip(" "))
            yield right.with_body(f"{right.body[:end]} {word}{right.body[end:]}")


def visible(right: Right) -> str:
    """The body with its markup blanked out, each character at its place."""
    if right.form != "html":
        return right.body
    return re.sub(r"<[^>]*>|&[#a-z0-9]+;", lambda tag: " " * len(tag[0]), right.body)


def hidden_words(right: Right) -> Iterator[Told]:
    """Words taken out of sight, or put there where nobody sees them."""
    body = right.body
    if right.form != "html":
        for char in "\u200b\u202e\u2067\x1b\x00\u00ad":
            yield right.with_body(body.replace("e", "e" + char, 1) if "e" in body else body + char)
            yield right.with_body(body + char)
        return
    tags = sorted(set(re.findall(r"<(?:p|h2|h3|h4|li|section|ul|span|td|th)\b[^>]*>", body)))
    for tag in tags:
        for extra in (' hidden=""', ' style="display:none"', ' aria-hidden="true"', ' dir="rtl"'):
            if " dir=" not in tag and "aria-hidden" not in tag:
                yield right.with_body(body.replace(tag, tag[:-1] + extra + ">", 1))
        if "class=" in tag:
            wrong = tag.replace('class="', 'class="kern-sr-only ')
            yield right.with_body(body.replace(tag, wrong, 1))
        for added in ("<!-- x -->", "<template>x</template>", "<details/>", "&nbsp;", "&#133;"):
            yield right.with_body(body.replace(tag, tag + added, 1))
    yield right.with_body(body.replace("</article>", "<svg>x</svg></article>"))
    yield right.with_body(body.replace("</article>", ""))
    yield right.with_body(body.replace("</article>", "</article></div><div>"))
    for char in "\u200b\u202e\u2067\x1b\x00\u00ad":
        yield right.with_body(body.replace("</p>", char + "</p>", 1))


def other_isolation(right: Right) -> Iterator[Told]:
    """What sets a value apart from its sentence: left out, moved, doubled, or another one."""
    pair = ("<bdi>", "</bdi>") if right.form == "html" else ("\u2068", "\u2069")
    opening, closing = pair
    body = right.body
    for found in re.finditer(f"{re.escape(opening)}(.*?){re.escape(closing)}", body):
        before, inner, after = body[: found.start()], found[1], body[found.end() :]
        others = [inner, opening + opening + inner + closing + closing, opening + inner]
        others += [opening + closing + inner, inner + opening + closing]
        others += [opening + inner + closing * 2]
        if right.form == "html":
            others += [f'<bdi dir="rtl">{inner}</bdi>', f"<bdi dir='ltr'>{inner}</bdi>"]
            others += [f"<span>{inner}</span>"]
        for other in others:
            yield right.with_body(before + other + after)
        word = re.search(r"(\S+)\s*$", before)
        if word and "<" not in word[0] and ">" not in word[0]:
            moved = before[: word.start()] + opening + word[0] + closing + inner
            yield right.with_body(moved + after)


def swapped_isolates(right: Right) -> Iterator[Told]:
    """Two values told in each other's sentence."""
    pair = ("<bdi>", "</bdi>") if right.form == "html" else ("\u2068", "\u2069")
    parts = re.split(f"{pair[0]}(.*?){pair[1]}", right.body)
    values = parts[1::2]
    for at in range(len(values)):
        for other in range(at):
            if values[at] != values[other]:
                mixed = list(values)
                mixed[at], mixed[other] = mixed[other], mixed[at]
                whole = parts[0]
                for value, text in zip(mixed, parts[2::2], strict=True):
                    whole += pair[0] + value + pair[1] + text
                yield right.with_body(whole)


def other_table(right: Right) -> Iterator[Told]:
    """Values, effects, bars and order of the caseworker's table."""
    s = right.sentences
    for at, row in enumerate(s.rows):
        others = [replace(row, bar=-row.bar), replace(row, bar=row.bar + 5)]
        others += [replace(row, shown=not row.shown)]
        others += [replace(row, effect=o.effect) for o in s.rows if o.effect != row.effect][:3]
        others += [replace(row, value=o.value) for o in s.rows if o.value != row.value][:3]
        others += [replace(row, label=o.label) for o in s.rows if o.label != row.label][:2]
        for other in others:
            if other.bar == row.bar or right.form == "html":
                yield right.render(replace(s, rows=(*s.rows[:at], other, *s.rows[at + 1 :])))
        if at:
            swapped = (*s.rows[: at - 1], row, s.rows[at - 1], *s.rows[at + 1 :])
            yield right.render(replace(s, rows=swapped))
    if right.staff and right.form == "html":
        frame = s.frame
        ends = {**frame, "towards": frame["away"], "away": frame["towards"]}
        yield right.render(replace(s, frame=ends))


def other_staff_notes(right: Right) -> Iterator[Told]:
    if not right.staff:
        return
    voice = right.voice
    proxies = sorted(voice.wording.part("proxy").values())
    extra = [voice.say("staff.told.proxy", isolate(label)) for label in proxies]
    extra += [voice.say(f"staff.told.{key}") for key in ("decisive", "third_person")]
    for side, at, reason in each_reason(right.sentences):
        for words in extra:
            if words not in reason.staff_notes:
                for notes in ((*reason.staff_notes, words), (words, *reason.staff_notes[1:])):
                    wrong = replace(reason, staff_notes=notes)
                    yield right.render(with_reason(right.sentences, side, at, wrong))
        for note in reason.staff_notes:
            plain = replace(reason, staff_notes=(), notes=(*reason.notes, note))
            yield right.render(with_reason(right.sentences, side, at, plain))


def other_language(right: Right) -> Iterator[Told]:
    """The same in another language, and as if it were in another one."""
    for tag in right.package.wordings:
        if tag != right.voice.language.tag and (not right.staff or language(tag).staff):
            yield right_text(
                right.package, right.explanation, tag, right.audience, right.form, right.decision
            ).told
    if right.form == "html":
        own = f'lang="{right.voice.language.tag}"'
        yield right.with_body(right.body.replace(own, 'lang="xx"', 1))
        yield right.with_body(right.body.replace(f'dir="{right.voice.language.dir}"', 'dir="up"'))


TEXTS: dict[str, Callable[[Right], Iterator[Told]]] = {
    "a reason under another heading": turned,
    "headings swapped": flipped_headings,
    "the sentence of another direction": turned_sentences,
    "reasons swapped": swapped_reasons,
    "another strength": changed_strength,
    "other parts of 100": changed_parts,
    "another value": changed_value,
    "a value rounded": rounded_value,
    "another unit": other_unit,
    "point, comma, grouping or digits otherwise": other_spelling,
    "sentence or label of another feature": other_feature,
    "a reason dropped": dropped,
    "a reason doubled": doubled,
    "another first or last line": other_first_and_last_line,
    "another suggestion": other_suggestion,
    "a part left out or told twice": left_out,
    "another stand-in, note or kind of missing": other_notes,
    "missing for given, given for missing, withheld": other_kind_of_missing,
    "another day or source": other_origin,
    "other warnings, another year": other_limits,
    "another decision of the person": other_decision,
    "banned and free words": banned_and_free_words,
    "a word dropped (negations too) or doubled": a_word_dropped,
    "hidden words, foreign markup": hidden_words,
    "isolation of values": other_isolation,
    "values swapped": swapped_isolates,
    "the table: values, effects, bars, order": other_table,
    "notes for caseworkers": other_staff_notes,
    "another language": other_language,
}


# -- other numbers ---------------------------------------------------------------------------------


def with_finding(explanation: Explanation, at: int, finding: Finding) -> Explanation:
    """The same with another finding, in the reasons too."""
    old = explanation.findings[at]
    return replace(
        explanation,
        findings=(*explanation.findings[:at], finding, *explanation.findings[at + 1 :]),
        reasons=tuple(
            replace(reason, finding=finding) if reason.finding == old else reason
            for reason in explanation.reasons
        ),
    )


def each_finding(right: Right) -> Iterator[tuple[int, Finding]]:
    yield from enumerate(right.explanation.findings)


def sign_flipped(right: Right) -> Iterator[Explanation]:
    for at, finding in each_finding(right):
        if finding.phi:
            turned = replace(finding, phi=-finding.phi)
            yield with_finding(right.explanation, at, turned)
            # so that it adds up again
            moved = right.explanation.margin - 2 * finding.phi
            yield replace(with_finding(right.explanation, at, turned), margin=moved)


def two_swapped(right: Right) -> Iterator[Explanation]:
    for at, finding in each_finding(right):
        for before in range(at):
            other = right.explanation.findings[before]
            if finding.phi != other.phi:
                swapped = with_finding(right.explanation, at, replace(finding, phi=other.phi))
                yield with_finding(swapped, before, replace(other, phi=finding.phi))


def scaled(right: Right) -> Iterator[Explanation]:
    for at, finding in each_finding(right):
        for factor in (0.0, 0.5, 3.0):
            if finding.phi:
                phi = finding.phi * factor
                yield with_finding(right.explanation, at, replace(finding, phi=phi))


def value_changed(right: Right) -> Iterator[Explanation]:
    for at, finding in each_finding(right):
        value, feature = finding.value, finding.feature
        others: list[Value] = []
        if value.value is None:
            others += [Value(feature.choices[0] if feature.choices else 7)]
            others += [replace(value, missing=m) for m in Missing if m is not value.missing]
        elif feature.kind is Kind.CHOICE:
            others += [replace(value, value=c) for c in feature.choices if c != value.value]
        else:
            assert not isinstance(value.value, str)
            others += [replace(value, value=value.value + 1), replace(value, value=-5)]
        if feature.optional and value.value is not None:
            others += [Value(None, missing) for missing in Missing]
        others.append(replace(value, as_of=date(2020, 2, 29)))
        others.append(replace(value, source=Source(SourceType.AUTHORITY, "Sonst jemand")))
        for other in others:
            yield with_finding(right.explanation, at, replace(finding, value=other))


def stand_in_changed(right: Right) -> Iterator[Explanation]:
    for at, finding in each_finding(right):
        feature = finding.feature
        if finding.value.missing is not None:
            other = 5 if feature.kind is not Kind.CHOICE else feature.choices[-1]
            if other == feature.stand_in:
                other = feature.choices[0] if feature.choices else 6
            changed = replace(finding, feature=replace(feature, stand_in=other))
            yield with_finding(right.explanation, at, changed)


def band_changed(right: Right) -> Iterator[Explanation]:
    for at, finding in each_finding(right):
        for strength in Strength:
            if strength is not finding.strength:
                yield with_finding(right.explanation, at, replace(finding, strength=strength))
        for share in {1, 60, 200, 500} - {finding.share}:
            yield with_finding(right.explanation, at, replace(finding, share=share))
        yield with_finding(right.explanation, at, replace(finding, rank=finding.rank + 1))
        turned = {None: Side.ABOVE, Side.ABOVE: Side.BELOW, Side.BELOW: None}[finding.direction]
        yield with_finding(right.explanation, at, replace(finding, direction=turned))


def stability_changed(right: Right) -> Iterator[Explanation]:
    for at, finding in each_finding(right):
        yield with_finding(right.explanation, at, replace(finding, stable=not finding.stable))


def suggestion_flipped(right: Right) -> Iterator[Explanation]:
    e = right.explanation
    yield replace(e, side=e.side.other)
    yield replace(e, suggestion=e.line.outcome(e.side.other))
    yield replace(e, side=e.side.other, suggestion=e.line.outcome(e.side.other))
    yield replace(e, line=replace(e.line, above=e.line.below, below=e.line.above))


def line_moved(right: Right) -> Iterator[Explanation]:
    """The case on the other side, by its score or by the line."""
    e = right.explanation
    further = 0.01 * e.comparison.scale * (-1 if e.side is Side.ABOVE else 1)
    across = 2 * e.line.threshold - e.margin + further
    yield replace(e, margin=across)
    moved = across - e.margin
    yield replace(
        e, margin=across, comparison=replace(e.comparison, base=e.comparison.base + moved)
    )
    beyond = e.margin + (1 if e.side is Side.ABOVE else -1) * e.comparison.scale
    yield replace(e, line=replace(e.line, threshold=beyond))
    yield replace(e, comparison=replace(e.comparison, base=e.comparison.base + e.comparison.scale))


def rest_changed(right: Right) -> Iterator[Explanation]:
    e = right.explanation
    yield from (replace(e, rest=rest) for rest in Rest if rest is not e.rest)
    yield from (replace(e, rest_share=r) for r in (0, 50, 200, 400) if r != e.rest_share)
    yield from (replace(e, opening=o) for o in Opening if o is not e.opening)


def limits_changed(right: Right) -> Iterator[Explanation]:
    for limit in Limit:
        yield replace(right.explanation, limits=right.explanation.limits ^ {limit})


def reasons_changed(right: Right) -> Iterator[Explanation]:
    e = right.explanation
    for at, reason in enumerate(e.reasons):
        yield replace(e, reasons=e.reasons[:at] + e.reasons[at + 1 :])
        yield replace(e, reasons=(*e.reasons, reason))
        for wrong in (
            replace(reason, leading=not reason.leading),
            replace(reason, decisive=not reason.decisive),
            replace(reason, direction=None if reason.direction else Side.ABOVE),
            replace(reason, direction=None if reason.direction is None else reason.direction.other),
        ):
            if wrong != reason:
                yield replace(e, reasons=(*e.reasons[:at], wrong, *e.reasons[at + 1 :]))
        if at:
            before = e.reasons[at - 1]
            yield replace(e, reasons=(*e.reasons[: at - 1], reason, before, *e.reasons[at + 1 :]))
    told = {reason.finding.feature.name for reason in e.reasons}
    for finding in e.findings:
        if finding.feature.name not in told and finding.direction is not None:
            more = replace(e.reasons[0], finding=finding, direction=finding.direction)
            yield replace(e, reasons=(*e.reasons, more))


NUMBERS: dict[str, Callable[[Right], Iterator[Explanation]]] = {
    "a sign flipped": sign_flipped,
    "two contributions swapped": two_swapped,
    "a contribution halved, trebled or gone": scaled,
    "another value, day or source": value_changed,
    "another stand-in": stand_in_changed,
    "another band, share, rank or direction": band_changed,
    "whether a sign is stable": stability_changed,
    "the suggestion flipped": suggestion_flipped,
    "the other side of the line": line_moved,
    "another rest or first line": rest_changed,
    "other limits": limits_changed,
    "reasons dropped, doubled, swapped, turned": reasons_changed,
}


UNTOLD = {
    "a contribution halved, trebled or gone",
    "another value, day or source",
    "another stand-in",
    "whether a sign is stable",
}
"""Of these a text says nothing where they concern no reason, or next to no contribution."""


# -- trying them -----------------------------------------------------------------------------------


@dataclass
class Tried:
    """How many were made and caught, and how many are the same text after all."""

    made: Counter[str]
    caught: Counter[str]
    same: Counter[str]
    passed: list[tuple[str, str]]


def tried() -> Tried:
    return Tried(Counter(), Counter(), Counter(), [])


def try_texts(name: str, right: Right, into: Tried) -> None:
    for wrong in TEXTS[name](right):
        if wrong.body == right.told.body:
            into.same[name] += 1
            continue
        into.made[name] += 1
        if agrees(wrong, right):
            into.passed.append((name, wrong.body.decode()))
        else:
            into.caught[name] += 1


def try_numbers(name: str, right: Right, into: Tried) -> None:
    """Numbers that leave every byte of the text as it is are no others for it."""
    for other in NUMBERS[name](right):
        if not agrees(right.told, right, other):
            into.made[name] += 1
            into.caught[name] += 1
        elif right.of_view(disclose(other, right.audience, right.package.disclosure)) == right.told:
            into.same[name] += 1
        else:
            into.made[name] += 1
            into.passed.append((name, repr(other)))


def everything(packages: Iterable[ModelPackage], each: int) -> tuple[Tried, int]:
    """All of it on every `each`-th explanation; and how many right texts there were."""
    into, texts = tried(), 0
    for package in packages:
        found = explained(package)
        for tag, audience, form in told_to(package):
            for at, explanation in enumerate(found):
                right = right_text(package, explanation, tag, audience, form)
                if not agrees(right.told, right):
                    raise SystemExit(f"a right text was refused: {tag} {audience} {form}")
                texts += 1
                if at % each:
                    continue
                for name in TEXTS:
                    try_texts(name, right, into)
                for name in NUMBERS:
                    try_numbers(name, right, into)
    return into, texts


def page(into: Tried, texts: int, packages: Sequence[ModelPackage], each: int) -> str:
    """The table of docs/words-checked.md."""
    tags = list(dict.fromkeys(tag for package in packages for tag in package.wordings))
    made, caught = sum(into.made.values()), sum(into.caught.values())
    rows = [
        f"| {what} | {name} | {into.made[name]:,} | {into.caught[name]:,} | {into.same[name]:,} |"
        for what, names in (("text", TEXTS), ("numbers", NUMBERS))
        for name in names
    ]
    return f"""# Words, checked against the numbers

<!-- Written by `python tests/words/mutations.py`. Changes here are overwritten. -->

Every text is read back from its final bytes before anybody sees it, and compared with what the
contributions mean, worked out a second time
([decision 0043](decisions/0043-final-bytes-into-meaning.md)). Here is what that finds.

| | |
|---|---|
| packages | {", ".join(package.manifest.id for package in packages)} |
| languages | {", ".join(tags)} |
| right texts, each recorded case for both audiences in both media | {texts:,} |
| of these refused | 0 |
| slips tried, on every {each}th of them | {made:,} |
| **caught** | **{caught:,} of {made:,}** |

A slip is made on one side only: on the text, of the final bytes or of the sentences they are
rendered from; or on the numbers, with the text left as it is. "The same" are those that change no
byte of the text and nothing that it says, such as the value of a piece of information that is no
reason.

| slip of the | | tried | caught | the same |
|---|---|---|---|---|
{chr(10).join(rows)}
"""


def main() -> None:
    each = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    packages = [
        admit(find_package(name)) for name in ("unemployment_benefit", "mortgage_guarantee")
    ]
    into, texts = everything(packages, each)
    PAGE.write_text(page(into, texts, packages, each), encoding="utf-8")
    for name, wrong in into.passed[:10]:
        print(f"NOT CAUGHT: {name}\n{wrong}\n")
    print(f"{sum(into.caught.values()):,} of {sum(into.made.values()):,}; {PAGE}")
    raise SystemExit(bool(into.passed))


if __name__ == "__main__":
    main()
