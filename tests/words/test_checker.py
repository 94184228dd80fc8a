"""The checker reads the final text back: whatever it says wrongly is caught, N of N."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

import pytest

from explainer.core.case import Kind, Missing, Source, Value, read_case
from explainer.core.disclosure import Audience, Pointing, ShownReason, Told, View, disclose
from explainer.core.explanation import Explanation, Opening, Rest, Strength
from explainer.errors import TextDisagrees
from explainer.packages.bundled import bundled_packages
from explainer.packages.manifest import read_manifest
from explainer.pipeline import RENDER, explain, tell
from explainer.text.checker import check_agrees, check_complete
from explainer.text.languages import language
from explainer.text.sentences import Sentences, to_sentences
from explainer.text.voice import Voice

DAY = date(2026, 3, 1)
OFFERED = read_manifest(
    (bundled_packages() / "unemployment_benefit" / "manifest.toml").read_bytes()
).offered
TOLD_TO = [
    (tag, audience, form)
    for tag in OFFERED
    for audience in Audience
    if audience is Audience.APPLICANT or language(tag).staff
    for form in RENDER
]
CASES = (0, 1, 4, 17, 30)


def voice_of(package, tag: str, audience: Audience) -> Voice:
    return package.voice(language(tag), staff=audience is Audience.CASEWORKER)


def said(view: View, voice: Voice, form: str) -> Told:
    """A text as it would be told if `view` were the truth."""
    return RENDER[form](to_sentences(view, voice), voice.language)


EXPLAINED: dict[str, list[Explanation]] = {}


def explanations(package) -> list[Explanation]:
    """A few recorded cases, explained once for all tests of this file."""
    if package.manifest.digest not in EXPLAINED:
        cases = [read_case(package.golden[at].case, package.catalogue) for at in CASES]
        EXPLAINED[package.manifest.digest] = [explain(case, package, DAY) for case in cases]
    return EXPLAINED[package.manifest.digest]


def views(package, audience: Audience) -> list[View]:
    """Each as it is, and each with a first reason that points nowhere clearly."""
    found = [disclose(each, audience, package.disclosure) for each in explanations(package)]
    return [*found, *map(with_an_unclear_reason, found)]


def with_an_unclear_reason(view: View) -> View:
    first = replace(view.reasons[0], outcome=None, pointing=Pointing.UNCLEAR)
    return replace(view, reasons=(first, *view.reasons[1:]))


# -- mutations: each gives the texts of a program that makes that mistake ---------------------


Mutation = Callable[[View, Voice], Iterator[View]]


def with_reason(view: View, at: int, reason: ShownReason) -> View:
    return replace(view, reasons=(*view.reasons[:at], reason, *view.reasons[at + 1 :]))


def told_reasons(view: View) -> Iterator[tuple[int, ShownReason]]:
    return ((at, r) for at, r in enumerate(view.reasons) if not r.withheld)


def outcomes(voice: Voice) -> list[str]:
    return [k.removesuffix("|label") for k in voice.wording.part("outcome") if k.endswith("|label")]


def flipped_direction(view: View, voice: Voice) -> Iterator[View]:
    turned = {Pointing.TOWARDS: Pointing.AWAY, Pointing.AWAY: Pointing.TOWARDS}
    for at, reason in told_reasons(view):
        if reason.outcome is not None:
            (other,) = set(outcomes(voice)) - {reason.outcome}
            yield with_reason(
                view, at, replace(reason, outcome=other, pointing=turned[reason.pointing])
            )


def sentence_for_the_other_outcome(view: View, voice: Voice) -> Iterator[View]:
    for at, reason in told_reasons(view):
        if reason.outcome is not None:
            (other,) = set(outcomes(voice)) - {reason.outcome}
            yield with_reason(view, at, replace(reason, outcome=other))


def other_heading(view: View, voice: Voice) -> Iterator[View]:
    for at, reason in told_reasons(view):
        for pointing in set(Pointing) - {reason.pointing}:
            yield with_reason(view, at, replace(reason, pointing=pointing))


def swapped_order(view: View, voice: Voice) -> Iterator[View]:
    for at in range(len(view.reasons)):
        for other in range(at):
            if view.reasons[at].pointing is view.reasons[other].pointing:
                reasons = list(view.reasons)
                reasons[at], reasons[other] = reasons[other], reasons[at]
                yield replace(view, reasons=tuple(reasons))


def other_value(view: View, voice: Voice) -> Iterator[View]:
    for at, reason in told_reasons(view):
        feature = voice.catalogue[reason.feature]
        given = reason.value.value
        if given is None:
            continue
        if feature.kind is Kind.CHOICE:
            others = [c for c in feature.choices if c != given]
        else:
            others = [given + 1, given * 10 + 1, 10 * given + 3000]
        for other in others:
            yield with_reason(view, at, replace(reason, value=replace(reason.value, value=other)))


def other_feature(view: View, voice: Voice) -> Iterator[View]:
    named = {r.feature for r in view.reasons}
    for at, reason in told_reasons(view):
        for feature in voice.catalogue:
            if feature.name not in named:
                value = Value(feature.choices[0] if feature.choices else 30)
                yield with_reason(view, at, replace(reason, feature=feature.name, value=value))


def dropped(view: View, voice: Voice) -> Iterator[View]:
    for at in range(len(view.reasons)):
        yield replace(view, reasons=view.reasons[:at] + view.reasons[at + 1 :])


def doubled(view: View, voice: Voice) -> Iterator[View]:
    for at, reason in enumerate(view.reasons):
        yield replace(view, reasons=(*view.reasons[:at], reason, *view.reasons[at:]))
        yield replace(view, reasons=(*view.reasons, reason))


def other_strength(view: View, voice: Voice) -> Iterator[View]:
    for at, reason in told_reasons(view):
        for strength in {Strength.VERY_LARGE, Strength.LARGE, Strength.SMALL} - {reason.strength}:
            yield with_reason(view, at, replace(reason, strength=strength))


def other_suggestion(view: View, voice: Voice) -> Iterator[View]:
    (other,) = set(outcomes(voice)) - {view.suggestion}
    yield replace(view, suggestion=other)


def missing_where_given(view: View, voice: Voice) -> Iterator[View]:
    for at, reason in told_reasons(view):
        feature = voice.catalogue[reason.feature]
        if feature.optional and reason.value.value is not None:
            value = Value(None, Missing.NOT_GIVEN)
            yield with_reason(view, at, replace(reason, value=value))
        elif reason.value.missing is not None:
            value = Value(feature.choices[0] if feature.choices else 3)
            yield with_reason(view, at, replace(reason, value=value))


def withheld_where_told(view: View, voice: Voice) -> Iterator[View]:
    for at, reason in told_reasons(view):
        yield with_reason(
            view,
            at,
            replace(reason, withheld=True, feature=None, outcome=None, value=None),
        )


def other_opening(view: View, voice: Voice) -> Iterator[View]:
    yield from (replace(view, opening=o) for o in Opening if o is not view.opening)


def other_rest(view: View, voice: Voice) -> Iterator[View]:
    yield from (replace(view, rest=rest) for rest in Rest if rest is not view.rest)


MUTATIONS: list[Mutation] = [
    flipped_direction,
    sentence_for_the_other_outcome,
    other_heading,
    swapped_order,
    other_value,
    other_feature,
    dropped,
    doubled,
    other_strength,
    other_suggestion,
    missing_where_given,
    withheld_where_told,
    other_opening,
    other_rest,
]
"""What a slip of a program, a template or a translation could do to a text."""


def agrees(told: Told, view: View, voice: Voice) -> bool:
    try:
        check_agrees(told, view, voice)
    except TextDisagrees:
        return False
    return True


@pytest.mark.parametrize(
    ("name", "tag", "audience", "form"),
    [
        (name, *row)
        for name, offered in (("demo", OFFERED), ("small", ("de", "en")))
        for row in TOLD_TO
        if row[0] in offered
    ],
)
def test_the_right_text_passes(name, tag, audience, form, request):
    package = request.getfixturevalue(name)
    voice = voice_of(package, tag, audience)
    right = views(package, audience)
    assert [agrees(said(view, voice, form), view, voice) for view in right] == [True] * len(right)
    assert len(right) == 2 * len(CASES)


@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.__name__)
def test_every_wrong_text_is_caught(demo, mutation, tag, audience, form):
    voice = voice_of(demo, tag, audience)
    made, caught = 0, 0
    for view in views(demo, audience)[1 :: len(CASES)]:
        for wrong in mutation(view, voice):
            made += 1
            caught += not agrees(said(wrong, voice, form), view, voice)
    assert (caught, made > 0) == (made, True)


def in_the_text(told: Told, old: str, new: str) -> Told:
    body = told.body.decode()
    assert old in body
    return replace(told, body=body.replace(old, new, 1).encode())


@pytest.mark.parametrize("tag", OFFERED)
def test_a_second_suggestion_is_caught(demo, tag):
    voice = voice_of(demo, tag, Audience.APPLICANT)
    for view in views(demo, Audience.APPLICANT)[:2]:
        told = said(view, voice, "text")
        (other,) = set(outcomes(voice)) - {view.suggestion}
        added = voice.wording[f"outcome|{other}|suggested"].encode()
        assert not agrees(replace(told, body=told.body + added + b"\n"), view, voice)


@pytest.mark.parametrize("tag", OFFERED)
def test_a_reason_added_by_hand_is_caught(demo, tag):
    voice = voice_of(demo, tag, Audience.APPLICANT)
    for view in views(demo, Audience.APPLICANT)[:2]:
        told = said(view, voice, "text")
        added = voice.wording.reason("married", view.suggestion, missing=False)
        added = added.replace("{value}", voice.wording.choice("married", "yes"))
        assert not agrees(replace(told, body=told.body + added.encode() + b"\n"), view, voice)


@pytest.mark.parametrize("form", RENDER)
def test_a_number_changed_by_hand_is_caught(demo, form):
    voice = voice_of(demo, "de", Audience.APPLICANT)
    (view, *_) = views(demo, Audience.APPLICANT)
    told = said(view, voice, form)
    assert agrees(told, view, voice)
    weekly = next(r for r in view.reasons if r.feature == "weekly_maximum")
    assert weekly.value.value == 245
    assert not agrees(in_the_text(told, "245,00", "254,00"), view, voice)
    assert not agrees(in_the_text(told, "Einfluss: groß", "Einfluss: klein"), view, voice)
    assert not agrees(in_the_text(told, "für den Vorschlag", "gegen den Vorschlag"), view, voice)


@pytest.mark.parametrize(
    "value", [1000, 1001, 62, 0], ids=["a dot inside", "a dot and more", "plain", "nought"]
)
def test_a_value_with_a_dot_inside_is_read_to_its_end(demo, value):
    """A sentence ends with a dot, and so may what looks like its value."""
    voice = voice_of(demo, "de", Audience.APPLICANT)
    view = next(
        v
        for v in views(demo, Audience.APPLICANT)
        if any(r.feature == "weekly_maximum" and r.outcome for r in v.reasons)
    )
    at = next(i for i, r in enumerate(view.reasons) if r.feature == "weekly_maximum")
    truth = with_reason(view, at, replace(view.reasons[at], value=Value(value)))
    for form in RENDER:
        check_agrees(said(truth, voice, form), truth, voice)
    assert not agrees(said(truth, voice, "text"), view, voice)


def test_a_label_that_holds_a_whole_sentence_is_read_to_its_end(small):
    """A choice may be called "St. Pölten. Nord": the value is known, not guessed from dots."""
    texts = dict(small.wordings["de"].texts)
    texts["feature|job_lost_by|choice|slack_work"] = "Vgl. Nr. 7. Sonst keiner"
    wording = replace(small.wordings["de"], texts=texts)
    voice = replace(voice_of(small, "de", Audience.APPLICANT), wording=wording)
    (view, *_) = views(small, Audience.APPLICANT)
    at, reason = next((at, r) for at, r in told_reasons(view) if r.outcome)
    named = replace(reason, feature="job_lost_by", value=Value("slack_work"))
    truth = with_reason(view, at, named)
    for form in RENDER:
        check_agrees(said(truth, voice, form), truth, voice)
    wrong = with_reason(view, at, replace(named, value=Value("other")))
    assert not agrees(said(wrong, voice, "text"), truth, voice)


def test_a_source_that_quotes_a_reason_is_caught(demo):
    """Text from outside stands in the page too; it cannot pass for a reason."""
    voice = voice_of(demo, "de", Audience.APPLICANT)
    (view, *_) = views(demo, Audience.APPLICANT)
    quoted = voice.wording.reason("married", "can_be_granted", missing=False)
    label = quoted.replace("{value}", "Verheiratet")
    first = view.reasons[0]
    hostile = replace(first, value=replace(first.value, source=Source("x", label)))
    told = said(with_reason(view, 0, hostile), voice, "html")
    assert not agrees(told, with_reason(view, 0, hostile), voice)


@pytest.mark.parametrize("name", ["demo", "small"])
def test_every_case_told_by_the_pipeline_has_passed_the_checker(name, request):
    package = request.getfixturevalue(name)
    for golden in package.golden[3::15]:
        found = explain(read_case(golden.case, package.catalogue), package, DAY)
        for tag in package.wordings:
            for audience in Audience:
                if audience is Audience.APPLICANT or language(tag).staff:
                    assert tell(found, audience, language(tag), package).body


# -- the whole text, table and bars included -----------------------------------------------------


def complete(told: Told, sentences: Sentences) -> bool:
    try:
        check_complete(told, sentences)
    except TextDisagrees:
        return False
    return True


def spoken_texts(package, tag, audience, form):
    voice = voice_of(package, tag, audience)
    for view in views(package, audience)[:2]:
        sentences = to_sentences(view, voice)
        yield sentences, RENDER[form](sentences, voice.language)


@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
def test_no_sentence_can_be_missing_and_none_can_be_slipped_in(demo, tag, audience, form):
    made = caught = 0
    for sentences, told in spoken_texts(demo, tag, audience, form):
        assert complete(told, sentences)
        body = told.body.decode()
        wrong = []
        for sentence in (*sentences.role, sentences.comparison, sentences.rest, *sentences.limits):
            if form == "html":
                sentence = html.escape(sentence).replace("&#x27;", "&#39;")
            assert sentence in body
            wrong += [
                body.replace(sentence, ""),
                body.replace(sentence, sentence + " " + sentence),
                body.replace(sentence, sentence + " Und noch etwas."),
                body.replace(sentence, sentence[:-1] + "x."),
            ]
        for text in wrong:
            made += 1
            caught += not complete(replace(told, body=text.encode()), sentences)
    assert (caught, made > 10) == (made, True)


@pytest.mark.parametrize("tag", [tag for tag in OFFERED if language(tag).staff])
def test_the_folded_table_and_its_bars_are_read_back_too(demo, tag):
    for sentences, told in spoken_texts(demo, tag, Audience.CASEWORKER, "html"):
        body = told.body.decode()
        bar = re.search('class="xb-(?:pro|con)"[^>]*width="([0-9]+)"', body)
        wrong = [
            body.replace(bar.group(), bar.group().replace(f'"{bar[1]}"', '"99"'), 1),
            body.replace("xb-pro", "xb-swap").replace("xb-con", "xb-pro"),
            # drawn on the other side of the axis, or across it
            re.sub('(class="xb-(?:pro|con)" x=)"[0-9]+"', r'\1"0"', body, count=1),
            re.sub('(class="xb-(?:pro|con)" x=)"[0-9]+"', r'\1"101"', body, count=1),
            body.replace(sentences.rows[0].value, "99"),
            body.replace(sentences.rows[-1].effect, sentences.rows[0].effect + " "),
            body.replace(f">{sentences.rows[1].label}<", ">Sonst etwas<"),
            body.replace('class="w-rest"', 'class="w-rest" hidden'),
            body.replace('class="w-rest"', 'class="w-rest" style="display:none"'),
            body.replace('class="w-rest"', 'class="w-rest" aria-hidden="true"'),
        ]
        for text in wrong:
            assert text != body
            assert not complete(replace(told, body=text.encode()), sentences)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('class="w-rest"', 'class="w-rest" HIDDEN=""'),
        ('<p class="w-rest">', '<p class="w-rest"><!-- heimlich -->'),
        ('<p class="w-rest">', '<p class="w-rest"><![CDATA[ ]]>'),
        ('<p class="w-rest">', '<p class="w-rest"><?heimlich ?>'),
        ('<p class="w-rest">', '<p class="w-rest"><template></template>'),
        ('<p class="w-rest">', '<p class="w-rest">&nbsp;'),
        ('<p class="w-rest">', '<p class="w-rest"><p>'),
        ("</article>", "</article></div><div>"),
        ("</article>", ""),
        ('class="w-rest"', "class=w-rest"),
        # what XML has closed stays open in a browser, and folds away what follows
        ('<p class="w-rest">', '<details/><p class="w-rest">'),
        ('<p class="w-rest">', '<p/><p class="w-rest">'),
        ('<p class="w-rest">', '<p class="w-rest"><span title="a>b"/>'),
        # an ellipsis in a browser, a space in XML
        ('<p class="w-rest">', '<p class="w-rest">&#133;'),
        # words in a drawing are not drawn
        ("</article>", "<svg>.</svg></article>"),
        ("</article>", "<svg><rect>.</rect></svg></article>"),
        ("</article>", "<svg><p></p></svg></article>"),
        ("</article>", '<rect class="xb-track"/></article>'),
        ('class="w-rest"', 'class="w-rest" popover=""'),
        ('class="w-rest"', 'class="w-rest" aria-label="Sonst etwas"'),
        ('class="w-rest"', 'class="w-rest" xml:lang="en"'),
    ],
)
def test_markup_that_browsers_read_in_another_way_is_not_ours(demo, old, new):
    for sentences, told in spoken_texts(demo, "de", Audience.APPLICANT, "html"):
        body = told.body.decode()
        assert complete(told, sentences)
        wrong = body.replace(old, new)
        assert wrong != body
        assert not complete(replace(told, body=wrong.encode()), sentences)
