"""How words are set: nothing is torn apart at the end of a line, no sentence ends twice, French
signs stand where they belong, and easy German spells out what others write as a sign."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from mutations import DAY, agrees, explained_by, right_text

from explainer.core.attribution import Contribution
from explainer.core.case import Missing, Value, read_case
from explainer.core.disclosure import Audience
from explainer.core.explanation import Limit
from explainer.errors import MessageMissing, WordingIncomplete
from explainer.packages.bundled import bundled_packages
from explainer.packages.manifest import read_manifest
from explainer.pipeline import RENDER, explain, tell
from explainer.text.catalogs import catalog, read_strictly, sound_messages
from explainer.text.languages import all_languages, language
from explainer.text.read_values import read_number
from explainer.text.translation import Wanted
from explainer.text.values import UNITS, amount_in_words, unbroken
from explainer.text.wording import check_texts

OFFERED = read_manifest(
    (bundled_packages() / "unemployment_benefit" / "manifest.toml").read_bytes()
).offered


# -- numbers stay in one line ------------------------------------------------------------------

HOURS = {
    "030 23125 123": "030_23125_123",
    "+49 (0)30 23125-123": "+49_(0)30_23125~-~123",
    "030/23125 123": "030~/~23125_123",
    "Montag bis Freitag, 8:00 bis 12:00 Uhr": "Montag bis Freitag, 8:00_bis_12:00_Uhr",
    "Pazartesi–cuma, saat 9:00–13:00": "Pazartesi–cuma, saat 9:00~–~13:00",
    "Mo 9:00 – 13:00, Di 8.30 - 9.45": "Mo 9:00_~–~_13:00, Di 8.30_~-~_9.45",
    "من الاثنين إلى الجمعة، من الساعة 8:00 إلى الساعة 12:00": (
        "من الاثنين إلى الجمعة، من الساعة 8:00_إلى_الساعة_12:00"
    ),
    "دوشنبه تا جمعه، ساعت 9:00 تا 13:00": "دوشنبه تا جمعه، ساعت 9:00_تا_13:00",
    "Musteramt Musterstadt": "Musteramt Musterstadt",
    "Rufen Sie uns an, immer": "Rufen Sie uns an, immer",
}


@pytest.mark.parametrize(("line", "kept"), HOURS.items())
def test_times_and_phone_numbers_stay_in_one_piece(line, kept):
    assert unbroken(line) == kept.replace("_", "\u00a0").replace("~", "\u2060")


@pytest.mark.parametrize("tag", OFFERED)
def test_hours_are_whole_on_the_page_and_the_text_has_no_sign_nobody_sees(demo, mortgage, tag):
    for package in (demo, mortgage):
        explanation = explain(read_case(package.golden[0].case, package.catalogue), package, DAY)
        told = {
            f: tell(explanation, Audience.APPLICANT, language(tag), package, form=f) for f in RENDER
        }
        page, text = (told[form].body.decode() for form in ("html", "text"))
        lines = re.findall(r'<span class="w-contact__line"><bdi>(.*?)</bdi>', page)
        (hours,) = (line for line in lines if line.count(":00") == 2)
        (phone,) = (line for line in lines if line.startswith("030"))
        assert not re.search(r"[0-9] [0-9]", phone)
        between = hours[hours.index(":00") : hours.rindex(":00")]
        assert " " not in between
        assert not re.search("(?<!\u2060)[–-]|[–-](?!\u2060)", between)
        assert "\u2060" not in text


@pytest.mark.parametrize("tag", OFFERED)
@pytest.mark.parametrize("unit", [*UNITS, "chf"])
def test_a_number_stays_with_its_unit(tag, unit):
    for amount in ("1", "2", "5", "21", "1234", "1234567.5"):
        assert " " not in amount_in_words(amount, unit, catalog(language(tag)))


# -- no sentence ends twice --------------------------------------------------------------------

PUT_AT_AN_END = (
    "feature|job_lost_by|choice|slack_work",
    "outcome|can_be_granted|label",
    "source|application_form",
    "proxy|sex",
    "contact|office",
    "contact|function",
)


@pytest.mark.parametrize("key", PUT_AT_AN_END)
@pytest.mark.parametrize("words", ["Auskunft der Abt.", "Was?", "Ja!", "Anders …", "Antrag:", "ا؟"])
def test_what_is_put_at_the_end_of_a_sentence_may_not_end_one(demo, key, words):
    texts = demo.wordings["de"].texts
    assert key in texts
    with pytest.raises(WordingIncomplete, match="would end twice") as refused:
        check_texts({**texts, key: words.replace(" …", "…")}, "wording.toml")
    assert key in str(refused.value)
    for good in ("Auskunft der Abteilung", "Verein (e. V.)", "Mehr als 1.000"):
        check_texts({**texts, key: good}, "wording.toml")
    # elsewhere a full stop is where it belongs
    check_texts(
        {**texts, "feature|age|label": "Alter d. Person", "demo|note": "So."}, "wording.toml"
    )


@pytest.mark.parametrize("tag", OFFERED)
def test_no_sentence_of_a_document_ends_twice(demo, mortgage, tag):
    for package in (demo, mortgage):
        for golden in package.golden[::7]:
            explanation = explain(read_case(golden.case, package.catalogue), package, DAY)
            for audience in Audience if language(tag).staff else [Audience.APPLICANT]:
                text = tell(
                    explanation, audience, language(tag), package, form="text"
                ).body.decode()
                bare = re.sub("[\u2066-\u2069]", "", text)
                assert re.findall(r"[.!?:]\s*[.!?:](?!\s*\n)|\.\.", bare) == []


# -- French sets signs apart -------------------------------------------------------------------


def french(german: str, text: str) -> tuple[str, ...]:
    """The French text of a message, where nothing is wrong with it."""
    data = (
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
        f'msgid "{german}"\nmsgstr "{text}"\n'
    ).encode()
    wanted = [Wanted(None, (german,), True)]
    (found,) = sound_messages(
        all_languages()["fr"], read_strictly(data, "test.po"), wanted
    ).values()
    return found


@pytest.mark.parametrize(
    "text",
    [
        "Votre âge: x",
        "Votre âge : x",
        "Quoi?",
        "Non !",
        "Oui; non",
        "« Oui »",
        "«Oui\u00a0»",
        "%(n)s:",
    ],
)
def test_french_signs_without_their_space_are_a_fault(text):
    german = "%(n)s:" if "%" in text else "Ihr Alter"
    with pytest.raises(MessageMissing, match="no-break space"):
        french(german, text)


@pytest.mark.parametrize(
    "text",
    [
        "Votre âge\u00a0: x",
        "Quoi\u202f?!",
        "Oui\u00a0; de 8:00 à 12:00",
        "«\u00a0Oui\u202f»",
        "Voir https://example.org",
    ],
)
def test_french_signs_with_their_space_are_none(text):
    assert french("Ihr Alter", text) == (text,)


def test_in_a_french_document_every_sign_stands_apart(demo, mortgage):
    """Also where the program puts it: behind a heading of a plain text."""
    for package in (demo, mortgage):
        for golden in package.golden[::7]:
            explanation = explain(read_case(golden.case, package.catalogue), package, DAY)
            for form in RENDER:
                told = tell(explanation, Audience.APPLICANT, language("fr"), package, form=form)
                words = re.sub(r"<[^>]*>|&#?\w+;", "", told.body.decode())
                assert (
                    re.findall(r".{9}[^\u00a0\u202f][:;!?»](?![0-9])|«[^\u00a0\u202f]", words) == []
                )
    assert "proposition\u00a0:\n" in words


# -- easy German -------------------------------------------------------------------------------


def test_easy_german_spells_out_money(demo):
    simple = catalog(language("de-simple"))
    for amount, unit, said in (
        ("250", "usd", "250 US-Dollar"),
        ("1234.50", "eur", "1.234,50 Euro"),
        ("-0.05", "EUR", "-0,05 Euro"),
        ("2", "CHF", "2 Schweizer Franken"),
    ):
        written = amount_in_words(amount, unit, simple)
        assert written.replace("\u00a0", " ") == said
        assert float(read_number(said, unit, simple) or "nan") == float(amount)
        # neither by its sign nor by its code
        assert read_number(said.rsplit(" ", 1)[0] + f" {unit.upper()}", unit, simple) is None
    told = 0
    for golden in demo.golden:
        explanation = explain(read_case(golden.case, demo.catalogue), demo, DAY)
        text = tell(explanation, Audience.APPLICANT, language("de-simple"), demo).body.decode()
        assert not set(re.sub(r"<[^>]*>|&#?\w+;", "", text)) & set("$€%§&/()")
        told += "US-Dollar" in text
    assert told


def test_in_easy_german_the_most_important_is_not_said_to_be_important_and_more_so():
    """ "Das war wichtig. Das war am wichtigsten.": the second would take the first back."""
    said = catalog(language("de-simple")).sentence
    for strength in ("very_large", "large", "small"):
        assert said("told.leading").split()[:2] != said(f"told.strength.{strength}").split()[:2]


# -- one, or several ---------------------------------------------------------------------------


@pytest.mark.parametrize("tag", OFFERED)
@pytest.mark.parametrize("name", ["demo", "mortgage"])
def test_one_gap_is_told_as_one(request, name, tag):
    package = request.getfixturevalue(name)
    real = explain(read_case(package.golden[0].case, package.catalogue), package, DAY)
    optional = [f.name for f in package.catalogue if f.optional]
    bare = "_bare" if name == "mortgage" else ""
    for count, moved, key in ((1, 2.0, "one"), (2, 2.0, "many"), (2, 1e-6, "one")):
        gone = optional[:count]
        values = {f.feature.name: f.value for f in real.findings}
        values |= dict.fromkeys(gone, Value(None, Missing.NOT_GIVEN))
        contributions = [
            Contribution(
                f.feature.name,
                2.0 if f.feature.name == gone[0] else moved if f.feature.name in gone else 1e-6,
                True,
            )
            for f in real.findings
        ]
        found = explained_by(package, real, contributions, values, real.comparison.base)
        found = replace(found, limits=frozenset({Limit.MANY_MISSING}))
        for audience in Audience if language(tag).staff else [Audience.APPLICANT]:
            for form in RENDER:
                right = right_text(package, found, tag, audience, form)
                said = right.voice.say(f"told.limit.{key}_missing{bare}")
                assert right.sentences.warnings == (said,)
                assert agrees(right.told, right)
                other = replace(right.view, gaps=3 if key == "one" else 1)
                assert not agrees(right.of_view(other), right)
