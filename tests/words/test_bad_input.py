"""Words from an agency or from outside stay words: refused with a clear message, or told whole and
as they are; never run, never half-shown."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from mutations import agrees, explained, right_text, told_to

from explainer.core.case import Source, SourceType, Value, read_case
from explainer.core.disclosure import Audience
from explainer.core.explanation import Explanation
from explainer.errors import CaseFaulty, WordingIncomplete
from explainer.pipeline import RENDER
from explainer.text.wording import check_texts

REFUSED = {
    "markup": "Ihr Alter <b>zählt</b>.",
    "a script": "<script>alert(1)</script>",
    "an entity of markup": "Ihr Alter <!-- -->.",
    "a template's expression": "Ihr Alter {{ 7*7 }}.",
    "a template's statement": "{% include 'x' %}",
    "another slot": "Ihr Alter {age}.",
    "a format with attributes": "Ihr Alter {value.__class__}.",
    "an overriding character": "Ihr Alter \u202ezählt.",
    "an isolate": "Ihr Alter \u2067zählt.",
    "a mark of direction": "Ihr Alter \u200fzählt.",
    "an escape of terminals": "Ihr Alter \x1b[2J.",
    "a null": "Ihr Alter \x00.",
    "a joiner of words": "Ihr\u2060Alter.",
    "nothing": " \n ",
    "ten thousand letters": "Ihr Alter " + "sehr " * 2_000 + "zählt.",
}
TOLD = {
    "a percent sign": "Ihr Alter zählt zu 100 %.",
    "a format of Python": "Ihr Alter %s zählt %(value)s und %d.",
    "what a shell reads": "Ihr Alter $(rm -rf /) `x` ${HOME}".replace("${HOME}", "$HOME"),
    "quotation marks": "Ihr \"Alter\" 'zählt' & mehr; &lt;b&gt; &amp;amp;",
    "many letters": "Ihr Alter " + "sehr " * 300 + "zählt.",
    "a whole sentence": "Vgl. Nr. 7. Sonst: keiner! Oder?",
    "letters of another script": "العمر 123 вік",
}
PLACES = (
    "feature|age|label",
    "feature|job_lost_by|choice|slack_work",
    "feature|age|reason|can_be_granted",
    "feature|tenure|reason|can_be_granted|missing",
    "feature|tenure|supply",
    "outcome|can_be_granted|suggested",
    "contact|office",
    "comparison|applicant",
    "source|application_form",
)
AT_AN_END = {"feature|job_lost_by|choice|slack_work", "contact|office", "source|application_form"}
"""There nothing may stand that ends as a sentence does."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("words", REFUSED.values(), ids=REFUSED)
def test_an_agency_s_text_that_could_be_more_than_words_is_refused_by_its_key(demo, place, words):
    texts = {**demo.wordings["de"].texts, place: words}
    with pytest.raises(WordingIncomplete) as refused:
        check_texts(texts, "features.toml")
    assert place in str(refused.value)
    assert refused.value.mend


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("words", TOLD.values(), ids=TOLD)
@pytest.mark.parametrize("form", RENDER)
def test_an_agency_s_odd_words_are_told_whole_and_as_they_are(demo, place, words, form):
    if place in AT_AN_END:
        words = words.rstrip(".!?;")
    texts = {**demo.wordings["de"].texts, place: words}
    check_texts(texts, "features.toml")
    shown = 0
    for tried, explanation in enumerate(TOLD_OF or TOLD_OF.extend(explained(demo)) or TOLD_OF):
        if shown and tried > 3:
            break
        right = right_text(demo, explanation, "de", Audience.APPLICANT, form)
        voice = replace(right.voice, wording=replace(right.voice.wording, texts=texts))
        right = replace(right, voice=voice)
        right = replace(right, told=right.of_view(right.view))
        assert agrees(right.told, right)
        body = right.body
        if form == "html":
            assert set(re.findall(r"</?([a-z0-9]+)", body)) <= {
                *("article", "p", "span", "h2", "h3", "section", "ul", "li", "bdi", "address"),
            }
            body = html.unescape(re.sub(r"<[^>]*>", "", body))
        shown += words in body
    assert shown


TOLD_OF: list[Explanation] = []
HOSTILE = [*REFUSED.values(), "x" * 10_000, "Sie haben betrogen: weil.", "%s" * 99, "\u0661\u0662"]


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("feature", ["age", "married"])
def test_a_value_from_outside_that_is_none_is_refused_and_not_repeated(demo, value, feature):
    raw = {**demo.golden[0].case}
    raw["values"] = {**raw["values"], feature: {"value": value}}
    with pytest.raises(CaseFaulty) as refused:
        read_case(raw, demo.catalogue)
    (fault,) = refused.value.faults
    assert fault.where == feature
    assert value not in str(refused.value) or not value.strip()
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("label", [one for one in HOSTILE if one.strip()])
def test_a_source_from_outside_that_could_be_more_than_a_name_is_refused(demo, label):
    raw = {**demo.golden[0].case}
    source = {"type": "authority", "label": label}
    raw["values"] = {**raw["values"], "age": {"value": 30, "source": source}}
    if label == "\u0661\u0662":
        assert read_case(raw, demo.catalogue).values["age"].source
        return
    with pytest.raises(CaseFaulty) as refused:
        read_case(raw, demo.catalogue)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("words", [*REFUSED.values(), "x" * 10_000])
def test_a_source_that_got_past_that_is_told_to_nobody(demo, words):
    """Whatever let it through: the check knows no such words, and withholds the text."""
    explanation = explained(demo)[1]
    at = next(n for n, f in enumerate(explanation.findings) if f is explanation.reasons[0].finding)
    finding = explanation.findings[at]
    assert finding.value.value is not None
    value = Value(finding.value.value, None, None, Source(SourceType.AUTHORITY, words))
    changed = replace(finding, value=value)
    explanation = replace(
        explanation,
        findings=(*explanation.findings[:at], changed, *explanation.findings[at + 1 :]),
        reasons=(
            replace(explanation.reasons[0], finding=changed),
            *explanation.reasons[1:],
        ),
    )
    for tag, audience, form in told_to(demo):
        right = right_text(demo, explanation, tag, audience, form)
        assert not agrees(right.told, right)
