"""The check reads the final bytes back: whatever they say wrongly is caught, N of N, in every
language, for both audiences and in both media. What is tried stands in mutations.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date

import mutations
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from mutations import (
    DAY,
    NUMBERS,
    TEXTS,
    UNTOLD,
    Right,
    agrees,
    each_finding,
    explained,
    explained_by,
    right_text,
    try_numbers,
    try_texts,
    with_finding,
)

from explainer.core.attribution import Contribution
from explainer.core.case import Kind, Missing, Source, SourceType, Value
from explainer.core.decision import Relation
from explainer.core.disclosure import Audience, Pointing
from explainer.core.explanation import Explanation, Limit, Opening, Rest
from explainer.errors import OutsideExperience, TextDisagrees
from explainer.packages.bundled import bundled_packages
from explainer.packages.manifest import read_manifest
from explainer.pipeline import RENDER, tell, tell_withheld
from explainer.text.catalogs import Catalog
from explainer.text.languages import Status, language
from explainer.text.phrases import frame_of, phrases
from explainer.text.read_values import is_told_as, plain, read_day, read_number, read_value
from explainer.text.reading import read
from explainer.text.reading_frame import read_withheld
from explainer.text.sentences import HumanDecision, to_sentences, translation_banner
from explainer.text.unique import alike
from explainer.text.values import day, value_in_words

PACKAGES = {"demo": "unemployment_benefit", "mortgage": "mortgage_guarantee"}


def offered(package: str) -> tuple[str, ...]:
    return read_manifest((bundled_packages() / package / "manifest.toml").read_bytes()).offered


TOLD_TO = [
    (name, tag, audience, form)
    for name, package in PACKAGES.items()
    for tag in offered(package)
    for audience in Audience
    if audience is Audience.APPLICANT or language(tag).staff
    for form in RENDER
]
TAGS = sorted({row[1] for row in TOLD_TO})
EXPLAINED: dict[str, list[Explanation]] = {}


@pytest.fixture(scope="module")
def packages(demo, mortgage):
    return {"demo": demo, "mortgage": mortgage}


def explanations(package) -> list[Explanation]:
    """Of all recorded cases, explained once for all tests of this file."""
    known = EXPLAINED.get(package.manifest.digest)
    if known is None:
        known = EXPLAINED[package.manifest.digest] = explained(package)
    return known


def decided(explanation: Explanation, at: int) -> HumanDecision | None:
    """What a person decided on it, another way each time."""
    ways = [None, *Relation]
    relation = ways[at % len(ways)]
    if relation is None:
        return None
    line = explanation.line
    outcome = (line.above, line.below)[at % 2]
    return HumanDecision(outcome, relation, explanation.suggestion)


def a_right_text(package, tag, audience, form, at) -> Right:
    found = explanations(package)
    explanation = found[at % len(found)]
    decision = decided(explanation, at) if audience is Audience.APPLICANT else None
    return right_text(package, explanation, tag, audience, form, decision)


# -- nothing right is refused ----------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.REVIEWED, Status.UNREVIEWED])
@pytest.mark.parametrize("package_too", [True, False])
def test_a_text_says_it_was_reviewed_only_where_product_and_package_were(demo, status, package_too):
    spoken = replace(language("en"), status=status)
    wording = replace(demo.wordings["en"], reviewed=package_too)
    package = replace(demo, wordings={**demo.wordings, "en": wording})
    told = tell(explanations(demo)[0], Audience.APPLICANT, spoken, package, form="text")
    both = status is Status.REVIEWED and package_too
    catalog = package.voice(spoken, staff=False).catalog
    says = catalog.sentence("told.reviewed" if both else "told.unreviewed")
    assert told.body.decode().startswith(f"{says}\n")


@pytest.mark.parametrize(("name", "tag", "audience", "form"), TOLD_TO)
def test_every_text_of_every_recorded_case_passes(packages, name, tag, audience, form):
    found = explanations(packages[name])
    passed = [
        agrees(right.told, right)
        for at in range(len(found))
        for right in [a_right_text(packages[name], tag, audience, form, at)]
    ]
    assert passed == [True] * len(found)
    assert len(found) > 60


def test_the_recorded_cases_try_each_kind_of_text(packages):
    found = [each for package in packages.values() for each in explanations(package)]
    assert {each.opening for each in found} >= {Opening.CLOSE, Opening.CLEAR}
    assert {each.rest for each in found} >= {Rest.SOME, Rest.MUCH}
    assert set().union(*(each.limits for each in found)) >= {Limit.STALE, Limit.MANY_MISSING}
    told = [reason.finding for each in found for reason in each.reasons]
    assert {finding.value.missing for finding in told} == {None, *Missing}
    assert any(reason.direction is None for each in found for reason in each.reasons)
    assert any(finding.value.source for finding in told)
    assert any(finding.value.as_of for finding in told)


# -- nothing wrong passes --------------------------------------------------------------------------

MOST_SAME = 0.5
"""Changed numbers that leave every byte as it is, beside those that do not: values of what is no
reason, and what only caseworkers read."""


def all_caught(
    right: Right, slips: Iterable[str], try_each: Callable[..., None]
) -> mutations.Tried:
    """What came of these slips, none of which passed."""
    into = mutations.tried()
    for slip in slips:
        try_each(slip, right, into)
    assert into.passed == []
    assert into.caught == into.made
    return into


@pytest.mark.parametrize("told_to", TOLD_TO, ids="-".join)
def test_every_wrong_text_is_caught(packages, told_to):
    name, *to = told_to
    right = a_right_text(packages[name], *to, 5 * TOLD_TO.index(told_to) + 1)
    into = all_caught(right, TEXTS, try_texts)
    assert sum(into.made.values()) > 700
    assert sum(into.same.values()) < 0.1 * sum(into.made.values())


@pytest.mark.parametrize("told_to", TOLD_TO, ids="-".join)
def test_a_text_beside_other_numbers_is_caught(packages, told_to):
    name, *to = told_to
    right = a_right_text(packages[name], *to, 3 * TOLD_TO.index(told_to) + 2)
    into = all_caught(right, NUMBERS, try_numbers)
    assert sum(into.made.values()) > 200
    # what contradicts itself is caught even where no word of the text would change
    assert set(+into.same) <= UNTOLD
    assert sum(into.same.values()) < MOST_SAME * sum(into.made.values())


def test_each_slip_is_tried_somewhere(packages):
    """A slip that no text can make would be a promise nobody keeps."""
    into = mutations.tried()
    for name, package in packages.items():
        for at in (0, 1, 2, 3):
            for _, tag, audience, form in [row for row in TOLD_TO if row[0] == name][:4]:
                right = a_right_text(package, tag, audience, form, at)
                for mutation in TEXTS:
                    if not into.made[mutation]:
                        try_texts(mutation, right, into)
                for mutation in NUMBERS:
                    if not into.made[mutation]:
                        try_numbers(mutation, right, into)
    assert [name for name in (*TEXTS, *NUMBERS) if not into.made[name]] == []


# -- cases nobody recorded -------------------------------------------------------------------------


@st.composite
def made_up(draw, package) -> Explanation:
    """Any contributions to any values: shares, signs and gaps that no recorded case has."""
    real = explanations(package)[0]
    sizes = st.floats(-2, 2, allow_subnormal=False).map(lambda x: round(x, 6))
    contributions, values = [], {}
    for feature in package.catalogue:
        contributions.append(Contribution(feature.name, draw(sizes), draw(st.integers(0, 9)) > 1))
        if feature.optional and draw(st.booleans()):
            values[feature.name] = Value(None, draw(st.sampled_from(list(Missing))))
            continue
        if feature.kind is Kind.CHOICE:
            value = draw(st.sampled_from(feature.choices))
        elif feature.kind is Kind.INTEGER:
            value = draw(st.integers(int(feature.hard[0]), int(feature.hard[1])))
        else:
            value = draw(st.floats(*feature.hard).map(lambda x: round(x, 2)))
        as_of = draw(st.none() | st.dates(date(1980, 1, 1), DAY))
        source = draw(st.none() | st.sampled_from(["application_form", "Amt für Wohnen, Stelle 3"]))
        source = None if source is None else Source(SourceType.AUTHORITY, source)
        values[feature.name] = Value(value, None, as_of, source)
    found = explained_by(package, real, contributions, values, real.comparison.base)
    return replace(found, limits=frozenset(draw(st.sets(st.sampled_from(list(Limit))))))


@given(data=st.data())
def test_cases_nobody_recorded_pass_and_their_slips_do_not(packages, data):
    name, tag, audience, form = data.draw(st.sampled_from(TOLD_TO))
    package = packages[name]
    explanation = data.draw(made_up(package))
    right = right_text(package, explanation, tag, audience, form)
    assert agrees(right.told, right)
    into = mutations.tried()
    try_texts(data.draw(st.sampled_from(sorted(TEXTS))), right, into)
    try_numbers(data.draw(st.sampled_from(sorted(NUMBERS))), right, into)
    assert into.passed == []


# -- what is read ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACKAGES)
def test_the_same_is_read_in_every_language_and_medium(packages, name):
    """Feature, heading, direction, strength and order; and every value is the one of the case."""
    package = packages[name]
    for explanation in explanations(package)[::17]:
        found = set()
        for _, tag, audience, form in [row for row in TOLD_TO if row[0] == name]:
            right = right_text(package, explanation, tag, audience, form)
            known = phrases(right.voice, staff=right.staff, html=form == "html")
            banner = translation_banner(right.voice.catalog, right.voice.language)
            reading = read(right.told, known, banner)
            reasons = tuple((r.feature, r.side, r.strength, r.missing) for r in reading.reasons)
            found.add((reasons, reading.suggestion, reading.opening, reading.rest))
            for reason in reading.reasons:
                value = next(
                    f.value.value for f in explanation.findings if f.feature.name == reason.feature
                )
                if reason.value is not None:
                    feature = package.catalogue[reason.feature]
                    assert read_value(feature, reason.value, right.voice) == value
        assert len(found) == 1


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("unit", ["years", "months", "days", "eur", "usd", "per_hundred", None])
def test_what_is_written_is_read_as_the_same_number_and_as_no_other_unit(demo, tag, unit):
    voice = demo.voice(language(tag), staff=False)
    feature = replace(demo.catalogue["age"], unit=unit, kind=Kind.NUMBER, hard=None)
    other = "months" if unit != "months" else "years"
    plainly = (0, 1, 2, 3, 5, 11, 21, 100, 101, 1000, 12345, 1234567, 1.5, 12.25, -1, -1234.5)
    # nothing is rounded away
    longer = (0.0004, 1.23456, 1234.5678, -0.00001, 1e-7, 2.9999, 0.1 + 0.2, 1 / 3)
    for value in (*plainly, *longer):
        written = plain(value_in_words(feature, value, voice.wording, voice.catalog))
        found = read_value(feature, written, voice)
        assert is_told_as(found, value), written
        assert found == value or value in longer
        assert read_number(written, other, voice.catalog) is None
    assert not is_told_as(0.0, 0.0004)
    assert not is_told_as(1.2, 1.23456)
    assert not is_told_as("1", 1)


@pytest.mark.parametrize("tag", TAGS)
def test_every_day_of_a_year_is_read_as_itself(tag):
    locale = language(tag).locale
    for month in range(1, 13):
        for number in (1, 9, 28):
            when = date(2026, month, number)
            assert read_day(plain(day(when, locale)), locale) == when
    assert read_day("", locale) is None


@pytest.mark.parametrize("value", [1000, 1001, 62, 0, 999999])
def test_a_value_with_a_dot_inside_is_read_to_its_end(demo, value):
    """A sentence ends with a dot, and so may what looks like its value."""
    found = next(
        e
        for e in explanations(demo)
        if any(r.finding.feature.name == "weekly_maximum" and r.direction for r in e.reasons)
    )
    at = next(at for at, f in enumerate(found.findings) if f.feature.name == "weekly_maximum")
    other = with_finding(found, at, replace(found.findings[at], value=Value(value)))
    for form in RENDER:
        right = right_text(demo, other, "de", Audience.APPLICANT, form)
        assert agrees(right.told, right)
        assert not agrees(right.told, right, found)


def test_a_label_that_holds_a_whole_sentence_is_read_to_its_end(demo):
    """A choice may be called "St. Pölten. Nord": the value is known, not guessed from dots."""
    found, at = next(
        (e, at)
        for e in explanations(demo)
        for at, f in enumerate(e.findings)
        if f.feature.name == "job_lost_by"
        and f.value.value is not None
        and any(r.finding is f and r.direction for r in e.reasons)
    )
    chosen = found.findings[at].value.value
    key = f"feature|job_lost_by|choice|{chosen}"
    for form in RENDER:
        right = right_text(demo, found, "de", Audience.APPLICANT, form)
        texts = {**right.voice.wording.texts, key: "Vgl. Nr. 7. Sonst keiner"}
        named = replace(right.voice, wording=replace(right.voice.wording, texts=texts))
        right = replace(right, voice=named)
        told = right.of_view(right.view)
        assert b"Sonst keiner" in told.body
        assert agrees(told, right)
        body = told.body.decode().replace("Sonst keiner", "Sonst einer")
        assert not agrees(replace(told, body=body.encode()), right)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("audience", Audience)
def test_where_there_is_no_explanation_the_text_says_so_and_no_reason(demo, tag, audience):
    """Wherever the program ran, exactly one is told: reasons, or why there are none."""
    if audience is Audience.CASEWORKER and not language(tag).staff:
        return
    voice = demo.voice(language(tag), staff=audience is Audience.CASEWORKER)
    known = frame_of(voice, staff=audience is Audience.CASEWORKER, html=False)
    banner = translation_banner(voice.catalog, voice.language)
    for fault in (OutsideExperience("what", "where", "mend"), TextDisagrees("what", "where", "m")):
        told = tell_withheld(fault, audience, language(tag), demo, form="text")
        assert read_withheld(told, known, banner).withheld in ("outside", "withheld_all")
        with pytest.raises(TextDisagrees):
            read(told, phrases(voice, staff=known.staff, html=False), banner)
    told = tell(explanations(demo)[0], audience, language(tag), demo, form="text")
    with pytest.raises(TextDisagrees):
        read_withheld(told, known, banner)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('data-l="Wert"', 'data-l="Wirkung"'),  # a narrow screen names the columns by it
        ('data-l="Wirkung"', 'data-l="Kein Einfluss"'),
        ('viewBox="0 0 200 20"', 'viewBox="0 0 100 20"'),  # would cut off one side of the bars
        ('x1="100" x2="100"', 'x1="0" x2="100"'),
        ('y="2"', 'y="20"'),
        ('height="16"', 'height="0"'),
        ('role="cell"', 'role="none"'),
    ],
)
def test_columns_and_drawings_are_those_of_the_template(demo, was, becomes):
    right = right_text(demo, explanations(demo)[0], "de", Audience.CASEWORKER, "html")
    body = right.told.body.decode()
    assert was in body
    assert agrees(right.told, right)
    assert not agrees(replace(right.told, body=body.replace(was, becomes, 1).encode()), right)


@pytest.mark.parametrize("words", ["Valeur de l'antrag", 'Der „Wert" & mehr', "1 < 2"])
def test_the_name_of_a_column_may_hold_an_apostrophe(demo, words):
    """It stands in an attribute as well, where it is written as a reference."""
    found = explanations(demo)[0]
    plain = right_text(demo, found, "de", Audience.CASEWORKER, "html")
    catalog = Catalog(language("de"), {}, int)
    catalog._said["staff.frame.value"] = words
    voice = replace(plain.voice, catalog=catalog)
    sentences = to_sentences(plain.view, voice)
    right = replace(plain, voice=voice, sentences=sentences, told=plain.render(sentences))
    assert f'data-l="{escape(words)}"' in right.body
    assert agrees(right.told, right)
    assert not agrees(right.with_body(right.body.replace(escape(words), "Preis", 1)), right)
    for hidden in ("&nbsp;", "&#8206;", "&amp"):
        body = right.body.replace(f'data-l="{escape(words)}', f'data-l="{escape(words)}{hidden}', 1)
        assert not agrees(right.with_body(body), right)


def test_a_reason_about_another_person_is_read_as_withheld_and_in_its_place(demo):
    from explainer.core.case import Concerns

    found = explanations(demo)[1]
    for at, finding in enumerate(found.findings):
        if not any(r.finding is finding for r in found.reasons):
            continue
        feature = replace(finding.feature, concerns=Concerns.THIRD_PERSON)
        other = with_finding(found, at, replace(finding, feature=feature))
        right = right_text(demo, other, "de", Audience.APPLICANT, "html")
        label = right.voice.wording.label(finding.feature.name)
        assert agrees(right.told, right)
        assert label not in right.told.body.decode()
        shown = right_text(demo, found, "de", Audience.APPLICANT, "html")
        assert not agrees(shown.told, right)
        staff = right_text(demo, other, "de", Audience.CASEWORKER, "html")
        assert agrees(staff.told, staff)
        assert staff.voice.say("staff.told.third_person") in staff.told.body.decode()


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", PACKAGES)
def test_what_was_missing_is_said_where_no_direction_is_clear(packages, name, tag):
    """There the package's own sentence about it is not told, which would have said it."""
    package = packages[name]
    (gap,) = [f for f in package.catalogue if f.optional][:1]
    real = explanations(package)[0]
    values = {f.feature.name: f.value for f in real.findings}
    contributions = [
        Contribution(f.feature.name, 2.0 if f.feature == gap else f.phi, f.feature != gap)
        for f in real.findings
    ]
    for missing in Missing:
        given = {**values, gap.name: Value(None, missing)}
        found = explained_by(package, real, contributions, given, real.comparison.base)
        right = right_text(package, found, tag, Audience.APPLICANT, "html")
        assert agrees(right.told, right)
        (reason,) = right.sentences.unclear
        kind, how = reason.notes[:2]
        assert kind == right.voice.say(f"told.missing.{missing}")
        if gap.stand_in is None:
            assert how == right.voice.say("told.without_it")
        else:
            before = right.voice.say("told.stand_in").partition("{value}")[0]
            assert how.startswith(before)


def test_a_source_that_quotes_a_reason_is_caught(demo):
    """Text from outside stands in the page too; it cannot pass for a reason."""
    found = explanations(demo)[1]
    at = next(at for at, f in enumerate(found.findings) if f is found.reasons[0].finding)
    quoted = demo.wordings["de"].reason("married", "can_be_granted", missing=False)
    hostile = Source(SourceType.AUTHORITY, quoted.replace("{value}", "Verheiratet"))
    value = replace(found.findings[at].value, source=hostile)
    other = with_finding(found, at, replace(found.findings[at], value=value))
    for form in RENDER:
        right = right_text(demo, other, "de", Audience.APPLICANT, form)
        assert "Verheiratet" in right.body
        assert not agrees(right.told, right)


def test_two_sentences_that_read_alike_are_never_told(demo):
    """Where a catalog says two things in the same words, nobody can read what was meant."""
    right = right_text(demo, explanations(demo)[0], "de", Audience.APPLICANT, "html")
    texts = dict(right.voice.wording.texts)
    texts["feature|age|label"] = texts["feature|married|label"]
    voice = replace(right.voice, wording=replace(right.voice.wording, texts=texts))
    assert not agrees(right.told, replace(right, voice=voice))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"age|reason|can_be_granted": "married|reason|can_be_granted"}, 1),
        ({"age|reason|can_be_granted": "age|reason|check_more_closely"}, 1),
        ({"age|label": "married|label"}, 1),
        ({"married|choice|yes": "married|choice|no"}, 1),
        ({"tenure|reason|can_be_granted|missing": "tenure|reason|check_more_closely|missing"}, 0),
        ({"tenure|reason|can_be_granted|missing": "tenure|reason|check_more_closely"}, 1),
    ],
)
def test_texts_that_can_come_out_as_the_same_words_are_no_wording(demo, changed, says):
    texts = dict(demo.wordings["de"].texts)
    for key, like in changed.items():
        texts[f"feature|{key}"] = texts[f"feature|{like}"]
    wording = replace(demo.wordings["de"], texts=texts)
    assert len(list(alike(wording, demo.catalogue, demo.manifest.suggesting))) == says


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("Alter: {value}.", "Alter: {value} Jahre.", True),
        ("Alter: {value}.", "Alter: {value}", True),
        ("Alter: {value}.", "Alter: nicht da.", True),
        ("Alter: {value}. Das war gut.", "Alter: {value}. Das war schlecht.", False),
        ("Alter: {value}.", "Das Alter: {value}.", False),
        ("Alter: {value}.", "Alter: nicht da!", False),
        ("Alter: da.", "Alter: da.", True),
        ("Alter: da.", "Alter: da. Ja.", False),
    ],
)
def test_a_value_may_be_anything_when_sentences_are_compared(demo, one, other, meet):
    """Spoken for both directions of one feature; the order in which they stand does not matter."""
    keys = [f"feature|age|reason|{outcome}" for outcome in demo.manifest.suggesting.outcomes]
    for pair in ((one, other), (other, one)):
        texts = {**demo.wordings["de"].texts, **dict(zip(keys, pair, strict=True))}
        wording = replace(demo.wordings["de"], texts=texts)
        found = list(alike(wording, demo.catalogue, demo.manifest.suggesting))
        assert bool(found) is meet
        simple = replace(wording, language=replace(wording.language, level="simple"))
        assert list(alike(simple, demo.catalogue, demo.manifest.suggesting)) == []


def test_a_heading_alone_may_carry_the_direction(demo):
    """In Leichte Sprache both directions may have one sentence: then it stands under the heading
    of one of them, and under the other it is caught."""
    texts = dict(demo.wordings["de"].texts)
    for feature in demo.catalogue:
        for suffix in ("", "|missing") if feature.optional else ("",):
            one = f"feature|{feature.name}|reason|can_be_granted{suffix}"
            texts[one.replace("can_be_granted", "check_more_closely")] = texts[one]
    for form in RENDER:
        for explanation in explanations(demo)[1:20:4]:
            right = right_text(demo, explanation, "de", Audience.APPLICANT, form)
            spoken = replace(right.voice.language, level="simple")
            wording = replace(right.voice.wording, language=spoken, texts=texts)
            plainly = replace(right.voice, wording=wording)
            # in plain German the sentence itself has to say it
            assert not agrees(right.told, replace(right, voice=plainly))
            right = replace(right, voice=replace(plainly, language=spoken))
            right = replace(right, told=right.of_view(right.view))
            assert agrees(right.told, right)
            into = mutations.tried()
            for name in ("headings swapped", "a reason under another heading"):
                try_texts(name, right, into)
            assert (into.passed, sum(into.made.values()) > 0) == ([], True)


def test_every_finding_of_a_recorded_case_is_looked_at(demo):
    """The table above tries each of them; a catalogue without features would try none."""
    right = right_text(demo, explanations(demo)[0], "de", Audience.CASEWORKER, "html")
    assert len(list(each_finding(right))) == len(demo.catalogue)
    assert {r.pointing for r in right.view.reasons} <= set(Pointing)
