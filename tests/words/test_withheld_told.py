"""A text that says that there is no explanation is read back too, before anybody sees it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from mutations import DAY

from explainer import pipeline
from explainer.core.case import read_case
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience
from explainer.errors import (
    DoesNotAddUp,
    ModelFailed,
    NotExplainable,
    OutsideExperience,
    PackageReplaced,
    TextDisagrees,
)
from explainer.packages.bundled import bundled_packages
from explainer.packages.manifest import read_manifest
from explainer.pipeline import RENDER, explain, tell, tell_plainly, tell_withheld
from explainer.plain.lists import lists_of
from explainer.text.checker import check_withheld
from explainer.text.languages import language
from explainer.text.sentences import HumanDecision, withheld_sentences

OFFERED = read_manifest(
    (bundled_packages() / "unemployment_benefit" / "manifest.toml").read_bytes()
).offered
FAULTS = (OutsideExperience, PackageReplaced, DoesNotAddUp, ModelFailed, TextDisagrees)
TOLD_TO = [
    (tag, audience, form)
    for tag in OFFERED
    for audience in Audience
    if audience is Audience.APPLICANT or language(tag).staff
    for form in RENDER
]


class Pending(NotExplainable):
    code = "explanation.pending"


def decisions(audience: Audience, outcomes: tuple[str, ...]) -> list[HumanDecision | None]:
    if audience is Audience.CASEWORKER:
        return [None]
    one, other = outcomes
    return [
        None,
        HumanDecision(one, Relation.NOT_USED, None),
        HumanDecision(one, Relation.NOT_USED, one),
        HumanDecision(one, Relation.AGREE, one),
        HumanDecision(one, Relation.DEVIATE, other),
    ]


@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
def test_every_text_without_an_explanation_passes_and_tells_why(demo, tag, audience, form):
    for fault in (*FAULTS, Pending):
        for decision in decisions(audience, demo.manifest.outcomes):
            raised = fault("What.", "where", "Mend.")
            told = tell_withheld(
                raised, audience, language(tag), demo, form=form, decision=decision
            )
            voice = demo.voice(language(tag), staff=audience is Audience.CASEWORKER)
            found = check_withheld(told, raised, audience, voice, decision)
            assert found.decided_by is None or decision is not None
            undelivered = decision is not None and decision.suggested is None
            if fault is OutsideExperience:
                assert found.withheld == "outside"
            elif undelivered:
                assert found.withheld == "undelivered"
            else:
                known = {PackageReplaced: "replaced", Pending: "pending"}
                assert found.withheld == known.get(fault, "withheld_all")


@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
def test_a_text_that_gives_another_cause_or_more_than_it_may_is_refused(
    demo, monkeypatch, tag, audience, form
):
    """Production fails closed: the caller gets no text at all."""
    staff = audience is Audience.CASEWORKER
    voice = demo.voice(language(tag), staff=staff)
    explanation = explain(read_case(demo.golden[0].case, demo.catalogue), demo, DAY)
    with_reasons = tell(explanation, audience, language(tag), demo, form=form)
    raised = ModelFailed("What.", "where", "Mend.")
    right = withheld_sentences(raised, audience, voice)
    suggested = voice.outcome(explanation.suggestion, "suggested_staff" if staff else "suggested")
    wrong = [
        withheld_sentences(OutsideExperience("What.", "where", "Mend."), audience, voice),
        withheld_sentences(PackageReplaced("What.", "where", "Mend."), audience, voice),
        replace(right, withheld=suggested),
        replace(right, withheld=f"{right.withheld} {suggested}"),
        replace(right, role=()),
        replace(right, decided=(voice.say("told.differs"),)),
        replace(right, limits=()),
        replace(right, limits=(*right.limits, *right.limits)),
        replace(right, heading={**right.heading, "contributed": right.heading["towards"]}),
        *([replace(right, banner=None)] if right.banner else []),
        *(
            []
            if staff
            else [replace(right, contact=right.contact[:-1]), replace(right, correct=())]
        ),
    ]
    for sentences in wrong:
        told = RENDER[form](sentences, language(tag))
        monkeypatch.setitem(pipeline.RENDER, form, lambda *_, told=told: told)
        with pytest.raises(TextDisagrees):
            tell_withheld(raised, audience, language(tag), demo, form=form)
    monkeypatch.setitem(pipeline.RENDER, form, lambda *_: with_reasons)
    with pytest.raises(TextDisagrees):
        tell_withheld(raised, audience, language(tag), demo, form=form)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("></span>", ">Sie bekommen nichts.</span>"),
        ("></span>", "><svg></svg>Nichts.</span>"),
        ("></span>", "><strong>Nichts.</strong></span>"),
        ("></span>", '><rect class="xb-track"/>Nichts.</span>'),
        ('<span class="kern-icon', '<p class="kern-icon'),
        ('class="kern-icon kern-icon--warning"', 'class="w-line"'),
    ],
)
def test_where_a_sheet_draws_an_icon_no_words_are_hidden(demo, was, becomes):
    raised = ModelFailed("What.", "where", "Mend.")
    told = tell_withheld(raised, Audience.APPLICANT, language("de"), demo)
    voice = demo.voice(language("de"), staff=False)
    body = told.body.decode()
    assert was in body
    body = body.replace(was, becomes, 1)
    if becomes.startswith("<p"):
        body = body.replace("></span>", "></p>", 1)
    with pytest.raises(TextDisagrees):
        check_withheld(replace(told, body=body.encode()), raised, Audience.APPLICANT, voice)


def test_a_table_has_no_place_where_nothing_is_explained(demo):
    raised = ModelFailed("What.", "where", "Mend.")
    told = tell_withheld(raised, Audience.CASEWORKER, language("de"), demo)
    voice = demo.voice(language("de"), staff=True)
    explanation = explain(read_case(demo.golden[0].case, demo.catalogue), demo, DAY)
    page = tell(explanation, Audience.CASEWORKER, language("de"), demo).body.decode()
    (table,) = re.findall(r"<details.*</details>", page, re.DOTALL)
    body = told.body.decode().replace("</article>", f"{table}\n</article>")
    check_withheld(told, raised, Audience.CASEWORKER, voice)
    with pytest.raises(TextDisagrees):
        check_withheld(replace(told, body=body.encode()), raised, Audience.CASEWORKER, voice)


@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
def test_the_last_thing_that_is_said_is_one_sentence_and_whom_to_call(demo, tag, audience, form):
    told = tell_plainly(audience, language(tag), demo, form=form)
    text = told.body.decode()
    voice = demo.voice(language(tag), staff=audience is Audience.CASEWORKER)
    assert (told.language, told.audience) == (tag, audience)
    seen = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", text)).replace("&#39;", "'")
    own = "staff.told" if audience is Audience.CASEWORKER else "told"
    assert " ".join(voice.say(f"{own}.plainly").split()) in seen
    if not language(tag).is_source:
        assert " ".join(voice.say("told.unreviewed").split()) in seen
    if audience is Audience.APPLICANT:
        assert voice.wording["contact|phone"] in seen
        assert voice.wording["contact|office"] in seen
    # there may never have been one
    assert not lists_of(tag).concepts["suggestion"].forms.search(seen)
    assert lists_of(tag).concepts["program"].forms.search(seen)
    if form == "html":
        assert f'lang="{tag}" dir="{language(tag).dir}"' in text
    for outcome in demo.manifest.outcomes:
        for words in ("suggested", "suggested_staff"):
            assert voice.outcome(outcome, words) not in seen


def test_an_agency_s_sentences_that_read_alike_do_not_keep_the_reader_from_being_told(demo):
    """They make every explanation impossible to read back; what is said instead has none."""
    german = demo.wordings["de"]
    texts = dict(german.texts)
    for key in german.texts:
        if "|reason|check_more_closely" in key:
            texts[key] = texts[key.replace("check_more_closely", "can_be_granted")]
    package = replace(demo, wordings={**demo.wordings, "de": replace(german, texts=texts)})
    explanation = explain(read_case(demo.golden[0].case, demo.catalogue), demo, DAY)
    with pytest.raises(TextDisagrees) as raised:
        tell(explanation, Audience.APPLICANT, language("de"), package)
    told = tell_withheld(raised.value, Audience.APPLICANT, language("de"), package)
    assert "Eine Prüfung ist fehlgeschlagen." in told.body.decode()
