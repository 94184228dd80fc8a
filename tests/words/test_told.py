"""What people are told: the same in every language, whole, escaped, and free of model speak."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from explainer.core.case import Missing, Source, SourceType, Value, read_case
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience, Pointing, disclose
from explainer.errors import (
    DoesNotAddUp,
    LanguageNotOffered,
    ModelFailed,
    OutsideExperience,
    PackageReplaced,
)
from explainer.packages.bundled import bundled_packages
from explainer.packages.manifest import read_manifest
from explainer.pipeline import RENDER, explain, tell, tell_withheld
from explainer.text.catalogs import source_sentences
from explainer.text.languages import language
from explainer.text.render import as_markup, standalone
from explainer.text.sentences import HumanDecision, to_sentences

DAY = date(2026, 3, 1)
OFFERED = read_manifest(
    (bundled_packages() / "unemployment_benefit" / "manifest.toml").read_bytes()
).offered
APPLICANT, CASEWORKER = Audience.APPLICANT, Audience.CASEWORKER


@pytest.fixture(scope="module")
def found(demo):
    return [
        explain(read_case(golden.case, demo.catalogue), demo, DAY) for golden in demo.golden[::20]
    ]


@pytest.mark.parametrize("audience", Audience)
def test_every_language_tells_the_same_reasons_in_the_same_order(demo, found, audience):
    for explanation in found:
        view = disclose(explanation, audience, demo.disclosure)
        told = set()
        for tag in OFFERED:
            if audience is CASEWORKER and not language(tag).staff:
                continue
            voice = demo.voice(language(tag), staff=audience is CASEWORKER)
            sentences = to_sentences(view, voice)
            labels = {voice.wording.label(name): name for name in demo.catalogue.names}
            strengths = {
                voice.say(f"told.strength.{s}"): s for s in ("very_large", "large", "small")
            }
            told.add(
                tuple(
                    (side, labels[reason.label], strengths[reason.strength])
                    for side in Pointing
                    for reason in getattr(sentences, side)
                )
            )
        assert len(told) == 1
        assert told.pop()


def in_one_line(body: bytes) -> str:
    """A text whose sentences stand on lines of their own, as its level of German has them, with
    the sentences of a paragraph beside each other again."""
    return re.sub(r" \n *", " ", body.decode())


# a level of German shares sentences with the German it is of
FOREIGN = [tag for tag in OFFERED if not (language(tag).is_source or language(tag).level)]


@pytest.mark.parametrize("tag", FOREIGN)
def test_no_german_sentence_stands_in_a_translation(demo, found, tag):
    german = [s for s in source_sentences().values() if "{" not in s and len(s) > 12]
    # an office keeps its name and its address
    german += [
        s
        for key, s in demo.wordings["de"].texts.items()
        if "{" not in s and len(s) > 12 and not key.startswith("contact|")
    ]
    assert len(german) > 100
    translated = set(demo.wordings[tag].texts.values())
    audiences = Audience if language(tag).staff else [APPLICANT]
    for explanation in found:
        for audience in audiences:
            text = tell(explanation, audience, language(tag), demo, form="text").body.decode()
            assert [s for s in german if s in text and s not in translated] == []


@pytest.mark.parametrize("tag", OFFERED)
def test_a_translation_says_that_only_german_is_binding(demo, found, tag):
    spoken = language(tag)
    text = in_one_line(tell(found[0], APPLICANT, spoken, demo, form="text").body)
    banner = demo.voice(spoken, staff=False).say("told.unreviewed")
    assert (banner in text) == (spoken.status.value in ("unreviewed", "draft"))


MODEL_SPEAK = re.compile(
    r"\b(SHAP|Shapley|Score|Feature|Margin|Log-?Odds|Schwellenwert|Algorithmus|Wahrscheinlichkeit|"
    r"probability|threshold|baseline|positiv\w*|negativ\w*|eindeutig|weil|because|caused?)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("tag", OFFERED)
@pytest.mark.parametrize("form", RENDER)
def test_an_applicant_reads_no_model_speak_and_no_number_of_the_model(demo, found, tag, form):
    for explanation in found:
        told = tell(explanation, APPLICANT, language(tag), demo, form=form)
        text = re.sub(r"<[^>]*>", " ", told.body.decode())
        assert MODEL_SPEAK.findall(text) == []
        for number in (explanation.margin, explanation.probability, explanation.comparison.base):
            assert f"{abs(number):.2f}" not in text
            assert f"{abs(number):.2f}".replace(".", ",") not in text
        assert "100 Teilen" not in text
        assert not set(demo.catalogue.names) - {"age", "married", "children", "tenure"} & set(
            re.findall(r"[a-z_]+", text)
        )


HOSTILE = "<script>alert(1)</script>{{ 7*7 }}{value}%s\u202e\x1b[2J & \"quoted\" 'single'"


@pytest.mark.parametrize("form", RENDER)
@pytest.mark.parametrize("tag", OFFERED)
def test_words_from_outside_stay_words(demo, found, tag, form):
    voice = demo.voice(language(tag), staff=False)
    view = disclose(found[0], APPLICANT, demo.disclosure)
    first = view.reasons[0]
    hostile = replace(
        first, value=replace(first.value, source=Source(SourceType.AUTHORITY, HOSTILE))
    )
    sentences = to_sentences(replace(view, reasons=(hostile, *view.reasons[1:])), voice)
    body = RENDER[form](sentences, language(tag)).body.decode()
    assert "\u202e" not in body
    assert "\x1b" not in body
    assert "{{ 7*7 }}" in body
    if form == "html":
        assert "<script" not in body
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body


def test_a_value_in_arabic_is_set_apart_from_the_sentence_around_it(demo, found):
    text = tell(found[0], APPLICANT, language("ar"), demo, form="text").body.decode()
    assert text.count("\u2068") == text.count("\u2069") > 0
    page = tell(found[0], APPLICANT, language("ar"), demo, form="html").body.decode()
    assert 'dir="rtl"' in page
    assert page.count("<bdi") == page.count("</bdi>") > 0
    assert "\u2068" not in page
    german = tell(found[0], APPLICANT, language("de"), demo, form="text").body.decode()
    assert "\u2068" not in german


def headings_of(page: str) -> list[str]:
    """What stands as a heading on a page, in order; the folded table's is its summary."""
    found = re.findall(r"<(h[2-6]|summary)\b[^>]*>(.*?)</\1>", page, re.DOTALL)
    return [re.sub(r"<[^>]*>", "", words).strip() for _, words in found]


@pytest.mark.parametrize("tag", OFFERED)
@pytest.mark.parametrize("audience", Audience)
def test_the_text_has_the_headings_of_the_page_in_the_same_order(demo, found, audience, tag):
    spoken = language(tag)
    if audience is CASEWORKER and not spoken.staff:
        return
    fault = OutsideExperience("what", "where", "mend")
    for explanation in (*found, None):
        said = {
            form: (
                tell(explanation, audience, spoken, demo, form=form)
                if explanation
                else tell_withheld(fault, audience, spoken, demo, form=form)
            ).body.decode()
            for form in RENDER
        }
        wanted = headings_of(said["html"])
        assert len(wanted) >= 2
        lines = [line.rstrip(":").rstrip() for line in said["text"].splitlines()]
        at = [lines.index(words.upper() if n == 0 else words) for n, words in enumerate(wanted)]
        assert at == sorted(at)


@pytest.mark.parametrize("tag", [tag for tag in OFFERED if language(tag).staff])
def test_what_only_a_caseworker_reads_has_a_stroke_and_nothing_else_has(demo, found, tag):
    voice = demo.voice(language(tag), staff=True)
    marked, plain = set(), set()
    for explanation in found:
        text = tell(explanation, CASEWORKER, language(tag), demo, form="text").body.decode()
        for line in text.splitlines():
            (marked if line.startswith("  | ") else plain).add(line.removeprefix("  | ").strip())
    own = {voice.say("staff.told.decisive")} | {
        voice.say("staff.told.proxy", words)
        for key, words in voice.wording.texts.items()
        if key.startswith("proxy|")
    }
    assert marked
    assert marked <= own
    assert not plain & own
    assert voice.say("told.leading") in plain


DECISIONS = [
    # outcome, relation, sentence that must stand there
    ("same", Relation.AGREE, None),
    ("same", Relation.AGREE_OTHER_REASONS, "told.same_other"),
    ("same", Relation.PARTLY, "told.partly"),
    ("other", Relation.DEVIATE, "told.differs"),
    ("other", Relation.PARTLY, "told.differs"),
    # that it was not used is said where the program's part is told
    ("same", Relation.NOT_USED, None),
    ("other", Relation.NOT_USED, None),
]
SAID = ("told.same_other", "told.partly", "told.differs")


@pytest.mark.parametrize("tag", OFFERED)
@pytest.mark.parametrize(("outcome", "relation", "key"), DECISIONS)
def test_how_a_person_decided_is_said_beside_the_suggestion(
    demo, found, tag, outcome, relation, key
):
    voice = demo.voice(language(tag), staff=False)
    suggested = found[0].suggestion
    (other,) = set(demo.manifest.outcomes) - {suggested}
    decision = HumanDecision(suggested if outcome == "same" else other, relation, suggested)
    body = tell(found[0], APPLICANT, language(tag), demo, form="text", decision=decision).body
    text = in_one_line(body)
    assert [each for each in SAID if voice.say(each) in text] == ([key] if key else [])
    assert voice.wording["contact|office"] in text
    unused = voice.say("told.role_unused_ai")
    assert (unused in text) is (relation is Relation.NOT_USED)


def test_a_suggestion_the_person_never_saw_is_not_what_they_departed_from(demo, found):
    suggested = found[0].suggestion
    (other,) = set(demo.manifest.outcomes) - {suggested}
    voice = demo.voice(language("de"), staff=False)
    for shown, key in ((None, None), (suggested, "told.differs"), (other, None)):
        decision = HumanDecision(
            other, Relation.PARTLY if shown == suggested else Relation.DEVIATE, shown
        )
        body = tell(found[0], APPLICANT, language("de"), demo, form="text", decision=decision).body
        said = [each for each in SAID if voice.say(each) in body.decode()]
        assert said == ([key] if key else [])


@pytest.mark.parametrize("tag", OFFERED)
def test_where_nobody_had_a_suggestion_the_program_did_not_help(demo, found, tag):
    """What the decision was taken without is neither used nor explained, then or later."""
    voice = demo.voice(language(tag), staff=False)
    (outcome, _) = sorted(demo.manifest.outcomes)
    decision = HumanDecision(outcome, Relation.NOT_USED, None)
    helped, had_none = (voice.say(f"told.role{one}_ai") for one in ("", "_undelivered"))
    for fault in (DoesNotAddUp, ModelFailed, PackageReplaced):
        raised = fault("What.", "where", "Mend.")
        told = tell_withheld(raised, APPLICANT, language(tag), demo, form="text", decision=decision)
        text = in_one_line(told.body)
        assert had_none in text
        assert voice.say("told.undelivered") in text
        assert helped not in text
        for other in ("withheld_all", "pending", "replaced"):
            assert voice.say(f"told.{other}") not in text
        # who had it before them is told as before
        had = replace(decision, suggested=outcome)
        other = tell_withheld(raised, APPLICANT, language(tag), demo, form="text", decision=had)
        assert had_none not in in_one_line(other.body)
    # the explanation came later: there was a suggestion, and nobody used it
    late = tell(found[0], APPLICANT, language(tag), demo, form="text", decision=decision)
    assert voice.say("told.role_unused_ai") in in_one_line(late.body)


def test_without_a_decision_nobody_is_said_to_have_decided(demo, found):
    text = tell(found[0], APPLICANT, language("de"), demo, form="text").body.decode()
    assert "Entschieden hat" not in text


@pytest.mark.parametrize("kind", Missing)
@pytest.mark.parametrize("tag", OFFERED)
def test_a_missing_value_says_why_and_what_stood_in_and_is_never_ones_own(demo, tag, kind):
    raw = dict(demo.golden[0].case)
    raw["values"] = {**raw["values"], "tenure": {"missing": kind.value}}
    explanation = explain(read_case(raw, demo.catalogue), demo, DAY)
    voice = demo.voice(language(tag), staff=False)
    view = disclose(explanation, APPLICANT, demo.disclosure)
    at = next((i for i, r in enumerate(view.reasons) if r.feature == "tenure"), None)
    if at is None:
        tenure = replace(
            view.reasons[0],
            feature="tenure",
            value=Value(None, kind),
            stand_in=demo.catalogue["tenure"].stand_in,
            can_be_supplied=kind is not Missing.NOT_APPLICABLE,
        )
        view = replace(view, reasons=(tenure, *view.reasons[1:]))
        at = 0
    sentences = to_sentences(view, voice)
    (told,) = [
        reason
        for side in Pointing
        for reason in getattr(sentences, side)
        if reason.label == voice.wording.label("tenure")
    ]
    assert "{value}" not in told.text + " ".join(told.notes)
    assert voice.wording.reason("tenure", view.reasons[at].outcome, missing=True) == told.text
    # nobody is asked for what is not needed in their case
    asked = voice.wording.supply("tenure") in told.notes
    assert asked is (kind is not Missing.NOT_APPLICABLE)
    assert any(note.startswith(voice.say("told.stand_in").split(":")[0]) for note in told.notes)
    said = voice.say(f"told.missing.{kind}") in told.notes
    assert said is (kind is not Missing.NOT_GIVEN)


def test_a_file_by_itself_is_a_whole_document(demo, found):
    for tag in OFFERED:
        spoken = language(tag)
        told = tell(found[0], APPLICANT, spoken, demo)
        page = standalone(told, spoken, "Titel <b>")
        assert f'<html lang="{tag}" dir="{spoken.dir}">' in page
        assert "<title>Titel &lt;b&gt;</title>" in page
        assert as_markup(told) in page
        assert "style=" not in page
        assert "http" not in page


def test_text_is_no_markup(demo, found):
    told = tell(found[0], APPLICANT, language("de"), demo, form="text")
    with pytest.raises(ValueError, match="HTML"):
        as_markup(told)


def test_a_language_the_package_has_no_words_for_is_not_offered(demo, found):
    without = replace(demo, wordings={"de": demo.wordings["de"]})
    with pytest.raises(LanguageNotOffered):
        tell(found[0], APPLICANT, language("en"), without)


def test_the_same_case_gives_the_same_bytes(demo, found):
    for form in RENDER:
        first = tell(found[0], CASEWORKER, language("de"), demo, form=form)
        assert tell(found[0], CASEWORKER, language("de"), demo, form=form) == first
