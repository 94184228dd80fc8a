"""Several outcomes and amounts in words: both outcomes named, the amount as the reader writes it,
and whatever a text says wrongly is caught, N of N."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from kinds import AMOUNT, THREE, write_kind
from mutations import agrees, explained_by, right_text

from explainer.core.attribution import Compared, Contribution, Task
from explainer.core.case import read_case
from explainer.core.disclosure import Audience, Pointing, View, disclose
from explainer.core.explanation import Explanation, Opening
from explainer.packages.admit import admit, check, record_texts
from explainer.packages.package import ModelPackage
from explainer.pipeline import RENDER, explain, tell
from explainer.text.languages import language
from explainer.text.sentences import to_sentences
from explainer.text.suggested import opening_key
from explainer.text.values import amount_in_words, read_amount
from explainer.text.voice import Voice

DAY = date(2026, 3, 1)
TAGS = ("de", "en", "ar")
TOLD_TO = [
    (tag, audience, form)
    for tag in TAGS
    for audience in Audience
    if audience is Audience.APPLICANT or language(tag).staff
    for form in RENDER
]


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> dict[str, ModelPackage]:
    folder = tmp_path_factory.mktemp("kinds")
    return {kind.name: admit(write_kind(folder / kind.name, kind)) for kind in (THREE, AMOUNT)}


@pytest.fixture(scope="module")
def found(packages) -> dict[str, list[Explanation]]:
    return {
        name: [explain(read_case(g.case, p.catalogue), p, DAY) for g in p.golden]
        for name, p in packages.items()
    }


def told_as(explanation: Explanation, package: ModelPackage, amount: Decimal) -> Explanation:
    """The same case, where the model and the whole comparison group give so much more or less."""
    moved = float(amount) - explanation.margin
    base = explanation.comparison.base + moved
    line = replace(explanation.line, threshold=explanation.line.threshold + moved)
    return replace(
        explanation,
        margin=float(amount),
        total=explanation.total + moved,
        comparison=replace(explanation.comparison, base=base),
        line=line,
        amount=package.manifest.suggesting.told(float(amount), base),
    )


def voice_of(package: ModelPackage, tag: str, audience: Audience) -> Voice:
    return package.voice(language(tag), staff=audience is Audience.CASEWORKER)


def views(package: ModelPackage, found: list[Explanation], audience: Audience) -> list[View]:
    return [disclose(each, audience, package.disclosure) for each in found]


# -- what is told --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [THREE.name, AMOUNT.name])
@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
def test_every_case_is_told_to_everybody_in_every_language(
    packages, found, name, tag, audience, form
):
    package = packages[name]
    told = [tell(e, audience, language(tag), package, form=form) for e in found[name]]
    assert len(told) == 30
    assert all(each.body for each in told)


@pytest.mark.parametrize("tag", TAGS)
def test_the_outcome_that_comes_second_is_named_beside_the_suggestion(packages, found, tag):
    package = packages[THREE.name]
    wording = package.wordings[tag]
    seen = set()
    for explanation in found[THREE.name]:
        text = tell(explanation, Audience.APPLICANT, language(tag), package, form="text")
        lines = text.body.decode().splitlines()
        assert wording[f"outcome|{explanation.suggestion}|suggested"] in lines
        first, second = sorted(zip(explanation.margins, THREE.towards["de"], strict=True))[:0:-1]
        assert (first[1], second[1]) == (explanation.suggestion, explanation.runner_up)
        label = wording[f"outcome|{explanation.runner_up}|label"]
        before, after = (
            voice_of(package, tag, Audience.APPLICANT).say("told.runner_up").split("{value}")
        )
        (line,) = [line for line in lines if line.startswith(before)]
        assert line.strip("\u2068\u2069").replace("\u2068", "").replace("\u2069", "") == (
            before + label + after
        )
        seen.add((explanation.suggestion, explanation.runner_up))
    assert len(seen) >= 4


def test_reasons_speak_for_one_of_the_two_that_are_compared_and_no_third(packages, found):
    for explanation in found[THREE.name]:
        for view in views(packages[THREE.name], [explanation], Audience.CASEWORKER):
            for reason in view.reasons:
                expect = {
                    Pointing.TOWARDS: view.suggestion,
                    Pointing.AWAY: view.runner_up,
                    Pointing.UNCLEAR: None,
                }
                assert reason.outcome == expect[reason.pointing]


@pytest.mark.parametrize(
    ("tag", "expect"),
    [("de", "451,89\u00a0€"), ("en", "€451.89"), ("ar", "451.89\u00a0€")],
)
def test_an_amount_is_written_as_its_reader_writes_it(packages, found, tag, expect):
    package = packages[AMOUNT.name]
    exact = told_as(found[AMOUNT.name][0], package, Decimal("451.89"))
    for audience in (a for a in Audience if language(tag).staff or a is Audience.APPLICANT):
        text = tell(exact, audience, language(tag), package, form="text").body.decode()
        assert expect in text


@pytest.mark.parametrize("amount", ["-0.05", "-1234.50", "0.00", "-1000000.00"])
@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
def test_what_is_to_be_paid_back_can_be_told(packages, found, amount, tag, audience, form):
    owed = told_as(found[AMOUNT.name][0], packages[AMOUNT.name], Decimal(amount))
    package = packages[AMOUNT.name]
    right = right_text(package, owed, tag, audience, form)
    assert agrees(right.told, right)
    # its sign is read as well
    other = amount.removeprefix("-") if amount.startswith("-") else "-1.00"
    turned = replace(right.view, amount=replace(right.view.amount, text=other))
    assert not agrees(right.of_view(turned), right)


def test_an_amount_is_that_of_the_model_and_told_beside_the_mean_of_the_group(packages, found):
    package = packages[AMOUNT.name]
    for golden, explanation in zip(package.golden, found[AMOUNT.name], strict=True):
        assert explanation.amount is not None
        assert abs(float(explanation.amount.text) - golden.margins[0]) <= 0.00501
        mean = round(Decimal(explanation.comparison.base), 2)
        more = Decimal(explanation.amount.text) > mean
        assert explanation.amount.compared is (Compared.HIGHER if more else Compared.LOWER)
        assert explanation.opening is not Opening.CLOSE
        assert not any(reason.decisive for reason in explanation.reasons)
        assert explanation.probability is None
    assert len({e.amount.compared for e in found[AMOUNT.name] if e.amount}) == 2


@pytest.mark.parametrize("tag", TAGS)
def test_what_reads_the_same_as_the_mean_is_not_called_more(packages, found, tag):
    package = packages[AMOUNT.name]
    first = found[AMOUNT.name][0]
    values = {f.feature.name: f.value for f in first.findings}
    moved = math.fsum(f.phi for f in first.findings)
    hardly = [Contribution(f.feature.name, f.phi * 0.008 / moved, f.stable) for f in first.findings]
    equal = explained_by(package, first, hardly, values, 399.996)
    assert equal.amount is not None
    assert (equal.amount.text, equal.amount.compared) == ("400.00", Compared.EQUAL)
    told = tell(equal, Audience.APPLICANT, language(tag), package)
    voice = voice_of(package, tag, Audience.APPLICANT)
    body = told.body.decode()
    assert voice.say("told.compared.equal") in body
    assert voice.say("told.compared.higher") not in body


@pytest.mark.parametrize("tag", TAGS)
def test_reasons_for_an_amount_stand_under_more_or_less(packages, found, tag):
    package = packages[AMOUNT.name]
    voice = voice_of(package, tag, Audience.APPLICANT)
    for view in views(package, found[AMOUNT.name], Audience.APPLICANT):
        words = to_sentences(view, voice).heading
        other = {"higher": "lower", "lower": "higher"}[view.suggestion]
        assert words["towards"] == voice.say(f"told.heading.{view.suggestion}")
        assert words["away"] == voice.say(f"told.heading.{other}")
        said_for = {r.outcome for r in view.reasons if r.pointing is Pointing.TOWARDS}
        assert said_for <= {view.suggestion}


def test_recorded_texts_and_witnesses_hold_for_both_kinds(packages, tmp_path):
    def as_text(case, package, audience, tag):
        return tell(explain(case, package, DAY), audience, language(tag), package, form="text").body

    for kind in (THREE, AMOUNT):
        folder = write_kind(tmp_path / kind.name, kind)
        texts = record_texts(packages[kind.name], as_text, 2)
        assert len(texts) == 2 * (3 + 2)
        with pytest.raises(Exception) as caught:
            check(folder, as_text, lambda *_: None)
        # fewer than fifty recorded cases is all that is wrong with it
        assert [fault.code for fault in caught.value.faults] == ["package.golden_case_differs"]


# -- what is caught ------------------------------------------------------------------------------


Mutation = Callable[[View, Voice], Iterator[View]]


def other_runner_up(view: View, voice: Voice) -> Iterator[View]:
    for outcome in voice.suggesting.outcomes:
        if outcome != view.runner_up:
            yield replace(view, runner_up=outcome)


def no_runner_up(view: View, voice: Voice) -> Iterator[View]:
    yield replace(view, runner_up=None)


def the_two_swapped(view: View, voice: Voice) -> Iterator[View]:
    yield replace(view, suggestion=view.runner_up or "", runner_up=view.suggestion)


def reason_for_a_third(view: View, voice: Voice) -> Iterator[View]:
    (third,) = set(voice.suggesting.outcomes) - {view.suggestion, view.runner_up}
    for at, reason in enumerate(view.reasons):
        if reason.outcome is not None:
            wrong = replace(reason, outcome=third)
            yield replace(view, reasons=(*view.reasons[:at], wrong, *view.reasons[at + 1 :]))


def suggestion_of_a_third(view: View, voice: Voice) -> Iterator[View]:
    (third,) = set(voice.suggesting.outcomes) - {view.suggestion, view.runner_up}
    yield replace(view, suggestion=third)


def off_by_a_cent(view: View, voice: Voice) -> Iterator[View]:
    assert view.amount is not None
    for cent in ("0.01", "-0.01"):
        off = str(Decimal(view.amount.text) + Decimal(cent))
        yield replace(view, amount=replace(view.amount, text=off))


def off_by_a_digit(view: View, voice: Voice) -> Iterator[View]:
    assert view.amount is not None
    for text in (view.amount.text + "0", "1" + view.amount.text, "-" + view.amount.text):
        yield replace(view, amount=replace(view.amount, text=text))


def other_unit(view: View, voice: Voice) -> Iterator[View]:
    yield view  # the voice of this mutation speaks of dollars


def more_for_less(view: View, voice: Voice) -> Iterator[View]:
    assert view.amount is not None
    for compared in set(Compared) - {view.amount.compared}:
        yield replace(view, amount=replace(view.amount, compared=compared))


def swapped_direction(view: View, voice: Voice) -> Iterator[View]:
    turned = {Pointing.TOWARDS: Pointing.AWAY, Pointing.AWAY: Pointing.TOWARDS}
    for at, reason in enumerate(view.reasons):
        if reason.outcome is None:
            continue
        other = next(o for o in (view.suggestion, second(view)) if o != reason.outcome)
        for changes in (
            {"outcome": other, "pointing": turned[reason.pointing]},
            {"outcome": other},
            {"pointing": turned[reason.pointing]},
        ):
            wrong = replace(reason, **changes)
            yield replace(view, reasons=(*view.reasons[:at], wrong, *view.reasons[at + 1 :]))


def second(view: View) -> str:
    return view.runner_up or {"higher": "lower", "lower": "higher"}[view.suggestion]


def headings_swapped(view: View, voice: Voice) -> Iterator[View]:
    """As if the case lay on the other side of the mean."""
    yield replace(view, suggestion=second(view))


def other_opening(view: View, voice: Voice) -> Iterator[View]:
    yield from (replace(view, opening=o) for o in Opening if o is not view.opening)


MUTATIONS: dict[str, list[Mutation]] = {
    THREE.name: [
        other_runner_up,
        no_runner_up,
        the_two_swapped,
        reason_for_a_third,
        suggestion_of_a_third,
        swapped_direction,
        other_opening,
    ],
    AMOUNT.name: [
        off_by_a_cent,
        off_by_a_digit,
        other_unit,
        more_for_less,
        swapped_direction,
        headings_swapped,
        other_opening,
    ],
}


@pytest.mark.parametrize(
    ("name", "mutation"),
    [(name, mutation) for name, several in MUTATIONS.items() for mutation in several],
    ids=lambda each: getattr(each, "__name__", each),
)
@pytest.mark.parametrize(("tag", "audience", "form"), TOLD_TO)
def test_every_wrong_text_is_caught(packages, found, name, mutation, tag, audience, form):
    made = caught = 0
    for explanation in found[name][::4]:
        right = writer = right_text(packages[name], explanation, tag, audience, form)
        assert agrees(right.told, right)
        if mutation is other_unit:
            dollars = replace(right.voice.suggesting, unit="USD")
            writer = replace(right, voice=replace(right.voice, suggesting=dollars))
        for wrong in mutation(right.view, right.voice):
            made += 1
            caught += not agrees(writer.of_view(wrong), right)
    assert (caught, made > 0) == (made, True)


@pytest.mark.parametrize("tag", TAGS)
def test_a_digit_changed_in_the_bytes_is_caught_and_so_is_a_second_amount(packages, found, tag):
    package = packages[AMOUNT.name]
    for explanation in found[AMOUNT.name][:6]:
        right = right_text(package, explanation, tag, Audience.APPLICANT, "html")
        assert right.view.amount is not None
        written = amount_in_words(right.view.amount.text, "EUR", right.voice.catalog)
        others = [
            written[:at] + str((int(digit) + 1) % 10) + written[at + 1 :]
            for at, digit in enumerate(written)
            if digit.isdigit()
        ]
        for other in (*others, written.replace("€", "$")):
            wrong = right.body.replace(written, other, 1)
            assert wrong != right.body
            assert not agrees(right.with_body(wrong), right)
        again = f"<p>{right.voice.outcome('1.00', 'suggested')}</p></article>"
        assert not agrees(right.with_body(right.body.replace("</article>", again)), right)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", [THREE.name, AMOUNT.name])
def test_what_the_suggestion_is_compared_with_cannot_be_left_out(packages, found, name, tag):
    for explanation in found[name][:4]:
        for form in RENDER:
            right = right_text(packages[name], explanation, tag, Audience.APPLICANT, form)
            assert not agrees(right.render(replace(right.sentences, contrast="")), right), form


def test_a_first_line_that_would_not_be_true_has_words_of_its_own():
    assert opening_key(Task.BINARY, Opening.CLOSE) == "close"
    assert opening_key(Task.MULTICLASS, Opening.CLOSE) == "close_multiclass"
    assert opening_key(Task.AMOUNT, Opening.MIXED) == "mixed_amount"
    assert opening_key(Task.AMOUNT, Opening.CLEAR) == "clear"


# -- how amounts are written and read ------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "unit", "de", "en", "ar"),
    [
        ("1234.50", "EUR", "1.234,50 €", "€1,234.50", "1,234.50 €"),
        ("1234.50", "eur", "1.234,50 €", "€1,234.50", "1,234.50 €"),
        ("-0.05", "EUR", "-0,05 €", "-€0.05", "-0.05 €"),
        ("1000", "CHF", "1.000 CHF", "CHF 1,000", "1,000 CHF"),
        ("12.125", "KWD", "12,125 KWD", "KWD 12.125", "12.125 KWD"),
        ("30", "days", "30 Tage", "30 days", "30 يومًا"),
        ("1", "months", "1 Monat", "1 month", "شهر واحد"),
        ("2.5", "years", "2,5 Jahre", "2.5 years", "2.5 سنة"),
        ("2.0", "years", "2,0 Jahre", "2.0 years", "2.0 سنة"),
        ("40.0", "per_hundred", "40,0 von 100", "40.0 out of 100", "40.0 من 100"),
    ],
)
def test_an_amount_has_all_its_decimals_and_its_unit(demo, amount, unit, de, en, ar):
    for tag, expect in (("de", de), ("en", en), ("ar", ar)):
        catalog = demo.voice(language(tag), staff=False).catalog
        written = amount_in_words(amount, unit, catalog)
        assert written.replace("\u00a0", " ") == expect


@pytest.mark.parametrize(
    ("text", "locale", "expect"),
    [
        ("1.234,50", "de_DE", "1234.50"),
        ("1234,5", "de_DE", "1234.5"),
        ("1.234", "de_DE", "1234"),
        ("1.234.567", "de_DE", "1234567"),
        ("-12,00", "de_DE", "-12.00"),
        ("1 234,50", "de_DE", "1234.50"),
        ("1,234.50", "en_GB", "1234.50"),
        ("1,234", "en_GB", "1234"),
        ("1234.5", "en_GB", "1234.5"),
        # in the other language's spelling, or in none
        ("1234.50", "de_DE", None),
        ("1,234.50", "de_DE", None),
        ("1.234,50", "en_GB", None),
        ("1.23,4", "de_DE", None),
        ("12.34", "de_DE", None),
        ("1234,", "de_DE", None),
        (",50", "de_DE", None),
        ("", "de_DE", None),
        ("12 €", "de_DE", None),
        ("1e3", "en_GB", None),
        ("NaN", "en_GB", None),
        ("١٢", "de_DE", None),
    ],
)
def test_an_amount_is_read_in_the_spelling_of_the_page_and_no_other(text, locale, expect):
    assert read_amount(text, locale) == expect
