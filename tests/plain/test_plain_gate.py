"""The gate as a whole: the product, packages, what people accepted, and what the page says."""

from __future__ import annotations

import importlib.util
import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from explainer.cli.packages import tell_as_text
from explainer.errors import LanguageNotOffered, ManifestInvalid, NotPlain, PackageFaulty
from explainer.packages.admit import check
from explainer.packages.bundled import bundled_packages
from explainer.packages.plainly import (
    package_findings,
    package_messages,
    package_texts,
    plain_findings,
    recorded,
    without_contact,
)
from explainer.packages.scaffold import seal
from explainer.plain.formulas import measure
from explainer.plain.gate import (
    Message,
    Place,
    check_message,
    read_acceptances,
    report,
    summary,
    with_acceptances,
)
from explainer.plain.product import findings, messages
from explainer.text.languages import all_languages

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted(path.parent.name for path in bundled_packages().glob("*/manifest.toml"))


# -- the product and its packages ---------------------------------------------------------------


@pytest.mark.parametrize("tag", all_languages())
def test_no_text_of_the_product_is_at_fault(tag):
    assert [line for line in report(findings(tag)) if line.startswith("fail")] == []


@pytest.mark.parametrize("name", OURS)
def test_no_text_of_the_demonstration_is_at_fault(name):
    found = package_findings(bundled_packages() / name)
    assert [line for line in report(found) if line.startswith("fail")] == []


FOR_WHOM = re.compile(
    r"\b(?:positi[fv]|n[eé]gati[fv]|pozytyw|negatyw|положител|позитив|негатив|отрицател"
    r"|olumlu|olumsuz)\w*|مثبت|منفی|منفي|إيجاب|سلبي",
    re.IGNORECASE,
)


@pytest.mark.parametrize("tag", all_languages())
def test_no_text_calls_anything_positive_or_negative(tag):
    """What is good for one of those concerned is bad for another: the direction is said."""
    ours = [package_texts(bundled_packages() / name)[tag] for name in OURS]
    told = [m for texts in ours for m in package_messages(texts)]
    told += messages(all_languages()[tag])
    assert len(told) > 300
    assert [m.key for m in told if FOR_WHOM.search(m.text)] == []


@pytest.mark.parametrize("tag", sorted(set(all_languages()) - {"de", "de-simple", "en"}))
def test_every_translation_names_each_thing_as_its_glossary_does(tag):
    """English has words for staff as well, and the plainer German says much in its own way."""
    found = [*findings(tag)]
    for name in OURS:
        found += package_findings(bundled_packages() / name, (tag,))
    assert [f"{f.key}: {f.found}" for f in found if f.rule == "glossary"] == []


def test_what_is_found_is_named_by_the_german_text_it_translates():
    keys = {message.key for message in messages(all_languages()["uk"])}
    assert "Rechtsbehelfsbelehrung aus Ihrem Bescheid" in keys
    assert "told.role" in keys


def test_what_things_are_called_in_a_package_is_told_apart_from_its_sentences():
    texts = package_texts(bundled_packages() / "unemployment_benefit")["de"]
    places = {message.key: message.place for message in package_messages(texts)}
    for name in (
        "feature|job_lost_by|label",
        "feature|job_lost_by|choice|slack_work",
        "outcome|can_be_granted|label",
        "source|benefit_rules",
    ):
        assert places[name] is Place.NAME
    assert places["feature|job_lost_by|reason|can_be_granted"] is Place.TOLD
    assert places["outcome|can_be_granted|suggested"] is Place.TOLD


def test_every_german_message_is_looked_at_and_those_for_staff_as_such():
    german = list(messages(all_languages()["de"]))
    places = {message.key: message.place for message in german}
    assert places["told.role"] is Place.TOLD
    assert places["error.page.failed"] is Place.PAGE
    assert places["staff.told.proxy"] is Place.STAFF_TOLD
    assert places["staff.error.purpose"] is Place.STAFF
    assert next(m for m in german if m.key == "staff.told.decisive").counterfactual
    assert len(german) > 300
    assert len({message.text for message in german} & {"Entscheidung speichern"}) == 1


@pytest.mark.parametrize("tag", ["de", "en"])
@pytest.mark.parametrize("name", OURS)
def test_every_recorded_text_is_long_enough_to_be_measured_without_its_contact(name, tag):
    folder = bundled_packages() / name
    texts = package_texts(folder)[tag]
    told = [without_contact(text, texts) for _, text in recorded(folder, tag)]
    assert len(told) == 10
    assert all(measure(text, tag) is not None for text in told)
    assert all(texts["contact|phone"] not in text for text in told)


def test_the_page_holds_the_figures_and_rules_of_today():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = (ROOT / "docs" / "plain-language.md").read_text("utf-8")
    assert generate._plain_language() == page
    assert "| `unemployment_benefit` | `de` | 10 of 10 |" in page


# -- an agency's package ------------------------------------------------------------------------


@pytest.fixture
def ours(tmp_path) -> Path:
    """A copy of a package that may be spoiled."""
    return Path(shutil.copytree(bundled_packages() / "unemployment_benefit", tmp_path / "ours"))


def spoil(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text("utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), "utf-8")


SPOILED = [
    ("features.toml", "Ihr Alter sprach", "Weil Sie alt sind, sprach", "de", "cause"),
    (
        "features.toml",
        'label = "Wohnort"',
        'label = "Wohnort (ggf. Stadtregion)"',
        "de",
        "abbreviation",
    ),
    ("features.toml", 'no = "Ohne Kinder"', 'no = "more_than_0"', "de", "form"),
    (
        "wording.toml",
        "Wir haben Ihren Antrag bewilligt.",
        "Das Programm hat Ihren Antrag bewilligt.",
        "de",
        "machine-decides",
    ),
    (
        "wording.toml",
        "Was sich seit dem Antrag geändert hat",
        "Was der Sachbearbeiter sah",
        "de",
        "term",
    ),
    (
        "locales/en/wording.po",
        "We have granted your application.",
        "The program granted your application.",
        "en",
        "machine-decides",
    ),
    ("locales/ar/wording.po", "من وجهة نظر البرنامج، كان", "بسبب البرنامج، كان", "ar", "cause"),
]


@pytest.mark.parametrize(("name", "old", "new", "tag", "rule"), SPOILED, ids=lambda v: str(v)[:30])
def test_an_agencys_words_are_held_to_the_same_rules(ours, name, old, new, tag, rule):
    spoil(ours, name, old, new)
    stopping = [f for f in package_findings(ours, (tag,)) if f.severity == "fail"]
    assert {f.rule for f in stopping} == {rule}


def test_a_language_can_be_asked_for_alone_and_must_be_one(ours):
    spoil(ours, "features.toml", "Ihr Alter sprach", "Weil Sie alt sind, sprach")
    assert {f.language for f in plain_findings("de", ours)} == {"de"}
    assert not [f for f in plain_findings("ar", ours) if f.severity == "fail"]
    assert {f.language for f in plain_findings("en")} == {"en"}
    with pytest.raises(LanguageNotOffered, match="Choose from de"):
        plain_findings("xx", ours)


def test_an_address_is_no_prose(ours):
    spoil(ours, "wording.toml", "Musterstraße 1", "Musterstr. 1 (Hof), z. B. über c/o")
    assert [f for f in package_findings(ours, ("de",)) if f.key.startswith("contact")] == []


def test_a_reason_is_read_with_the_shortest_and_the_longest_choice():
    texts = package_texts(bundled_packages() / "unemployment_benefit")["de"]
    (reason,) = [
        m for m in package_messages(texts) if m.key == "feature|job_lost_by|reason|can_be_granted"
    ]
    assert reason.values == ("Anderer Anlass", "Zu wenig Arbeit im Betrieb")


def test_a_document_that_is_too_hard_is_a_fault_of_the_package(ours):
    hard = "Verwaltungsverfahrensrechtliche Berücksichtigungsmöglichkeiten bestehen.\n" * 40
    (ours / "golden" / "UB-0004.applicant.de.txt").write_text(hard, "utf-8")
    found = package_findings(ours, ("de",))
    assert {"wstf1", "amstad", "lix"} == {
        f.rule for f in found if f.severity == "fail" and f.key == "UB-0004.applicant.de.txt"
    }


def test_warum_package_check_names_what_is_not_plain_and_how_to_mend_it(make_package):
    folder = make_package(
        manifest=lambda text: text.replace('offered = ["de", "en"]', 'offered = ["de"]'),
        files={"locales/en/wording.po": None},
    )
    quiet = lambda *_: None  # noqa: E731
    assert [f for f in check(folder, tell_as_text, quiet).plain if f.severity == "fail"] == []
    spoil(folder, "wording.toml", '"note" = "', '"note" = "Das ist eindeutig. ')
    seal(folder)
    with pytest.raises(PackageFaulty) as refused:
        check(folder, tell_as_text, quiet)
    (fault,) = refused.value.faults
    assert isinstance(fault, NotPlain)
    assert "[certainty] eindeutig" in str(fault)
    assert "Better:" in str(fault)


# -- what people accepted -----------------------------------------------------------------------

PASSIVE = Message("told.key", "Der Brief wird von uns geschrieben.", Place.TOLD)


def accepting(**changes: str) -> bytes:
    row = {
        "language": '"de"',
        "key": '"told.key"',
        "rule": '"passive"',
        "digest": f'"{PASSIVE.digest}"',
        "name": '"A. Person"',
        "date": "2026-11-22",
        **changes,
    }
    return ("[[accepted]]\n" + "".join(f"{k} = {v}\n" for k, v in row.items() if v)).encode()


def judged(message: Message, data: bytes) -> list[tuple[str, str, bool]]:
    found = with_acceptances(check_message(message, "de"), read_acceptances(data, "x"), ["de"])
    return [(f.severity, f.rule, f.open) for f in found]


def test_a_warning_is_open_until_a_person_accepts_it():
    assert judged(PASSIVE, b"") == [("warn", "passive", True)]
    assert judged(PASSIVE, accepting()) == [("warn", "passive", False)]
    found = with_acceptances(
        check_message(PASSIVE, "de"), read_acceptances(accepting(), "x"), ["de"]
    )
    assert summary(found) == "faults: 0, open warnings: 0, accepted: 1, notes: 0"
    assert "accepted by A. Person" in "\n".join(report(found))
    assert found[0].accepted is not None
    assert found[0].accepted.date == date(2026, 11, 22)


def test_an_acceptance_is_void_when_the_message_changes():
    changed = Message("told.key", "Der Brief wird von uns gesandt.", Place.TOLD)
    assert judged(changed, accepting()) == [
        ("warn", "passive", True),
        ("warn", "acceptance", True),
    ]


def test_a_fault_cannot_be_accepted():
    banned = Message("told.key", "Der Vorschlag ist sicher.", Place.TOLD)
    data = accepting(rule='"certainty"', digest=f'"{banned.digest}"')
    assert judged(banned, data) == [("fail", "certainty", False), ("warn", "acceptance", True)]


@pytest.mark.parametrize(
    "data",
    [
        accepting(name='""'),
        accepting(name='"  "'),
        accepting(name=""),
        accepting(date='"2026-11-22"'),
        accepting(date="2026-11-22T10:00:00"),
        accepting(digest="5"),
        accepting(more='"x"'),
        b"accepted = 1\n",
        b"[[accepted]\n",
        b"\xff",
    ],
)
def test_an_acceptance_without_a_person_or_a_day_is_refused(data):
    with pytest.raises(ManifestInvalid, match=r"plain\.toml"):
        read_acceptances(data, "plain.toml")


def test_an_agency_accepts_in_its_own_package(ours):
    spoil(ours, "features.toml", "Ihr Alter sprach", "Ihr Alter wird geprüft und sprach")
    key = "feature|age|reason|can_be_granted"
    (found, *_) = [
        f for f in package_findings(ours, ("de",)) if f.key == key and f.rule == "passive"
    ]
    assert found.open
    data = accepting(key=f'"{key}"', digest=f'"{found.digest}"')
    (ours / "plain.toml").write_bytes(data)
    (again, *_) = [
        f for f in package_findings(ours, ("de",)) if f.key == key and f.rule == "passive"
    ]
    assert not again.open


def test_a_report_shows_faults_first_says_how_to_mend_them_and_hides_notes():
    found = [
        *check_message(PASSIVE, "de"),
        *check_message(Message("told.other", "Der Vorschlag ist sicher.", Place.TOLD), "de"),
    ]
    lines = list(report(found))
    assert lines[0] == "fail  de  told.other  [certainty] sicher"
    assert lines[1].strip() == "Der Vorschlag ist sicher."
    assert "Better: Diese Angaben waren" in lines[2]
    assert lines[-1] == "faults: 1, open warnings: 1, accepted: 0, notes: 0"
