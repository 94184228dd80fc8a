"""No sentence reaches a page that nobody admitted: whatever opens a package looks at its words, and
what is in force was read once."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from explainer.core.case import read_case
from explainer.core.disclosure import Audience
from explainer.errors import NotPlain, PackageFaulty
from explainer.packages.admit import admit, check
from explainer.packages.bundled import find_package
from explainer.packages.package import open_package
from explainer.packages.plainly import banned
from explainer.packages.scaffold import seal
from explainer.pipeline import explain, tell
from explainer.plain.lists import FAIL, TERM, lists_of
from explainer.text.languages import all_languages, language

DAY = date(2026, 3, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(find_package("unemployment_benefit"), tmp_path / "benefit"))


def with_words(folder: Path, name: str, was: str, becomes: str) -> None:
    path = folder / name
    text = path.read_text("utf-8")
    assert was in text
    path.write_text(text.replace(was, becomes), "utf-8")
    seal(folder)


PLACES = {
    "a reason": (
        "features.toml",
        "Ihr Alter sprach aus Sicht des Programms für die Bewilligung.",
        "Wir bewilligen, weil Ihr Alter für die Bewilligung spricht.",
        "feature|age|reason|can_be_granted",
    ),
    "the value of a choice": (
        "features.toml",
        '"Anderer Anlass"',
        '"Das Programm hat entschieden"',
        "feature|job_lost_by|choice|other",
    ),
    "what can be handed in": (
        "features.toml",
        "Sie können Ihre letzte Lohnabrechnung noch abgeben.",
        "Sie haben Ihre Lohnabrechnung verschwiegen.",
        "feature|replacement_rate|supply",
    ),
    "a source": (
        "wording.toml",
        '"Statistik zum Arbeitsmarkt"',
        '"Menschen wie Sie"',
        "source|labour_market_statistics",
    ),
    "a suggestion": (
        "wording.toml",
        "Das Programm hat vorgeschlagen, Ihren Antrag zu bewilligen.",
        "Das Programm hat entschieden, Ihren Antrag zu bewilligen.",
        "outcome|can_be_granted|suggested",
    ),
    "the comparison": (
        "wording.toml",
        "Das Programm hat Ihren Antrag mit einer Vergleichsgruppe verglichen: 300 Anträge",
        "Das Programm hat Sie mit Menschen wie Sie verglichen: 300 Anträge",
        "comparison|applicant",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_german_words_that_turn_what_is_said_keep_a_sealed_package_out(folder, place):
    """Also without `warum package check`: the service's own start refuses it."""
    name, was, becomes, key = PLACES[place]
    with_words(folder, name, was, becomes)
    with pytest.raises(PackageFaulty) as refused:
        admit(folder)
    faults = [fault for fault in refused.value.faults if isinstance(fault, NotPlain)]
    assert faults
    assert {fault.where for fault in faults} == {f"{key}, de"}
    assert all(fault.mend for fault in faults)


def test_what_a_thing_is_called_may_speak_of_causes_and_doubts(folder):
    """Nothing is said by it of why a suggestion came about."""
    with_words(
        folder, "features.toml", '"Anderer Anlass"', '"Kündigung wegen einer langen Krankheit"'
    )
    with_words(folder, "wording.toml", '"Statistik zum Arbeitsmarkt"', '"Bescheid aufgrund Gesetz"')
    assert "de" in open_package(folder).wordings


def test_a_translation_with_such_words_is_left_out_and_says_why(folder, monkeypatch):
    english = (folder / "locales/en/wording.po").read_text("utf-8")
    at = english.index('msgctxt "feature|tenure|supply"')
    was = english[english.index("msgstr", at) : english.index("\n\n", at)]
    with_words(
        folder, "locales/en/wording.po", was, 'msgstr "You failed to hand in your certificate."'
    )
    package = open_package(folder)
    assert "en" not in package.wordings
    assert package.stopped["en"].where == "feature|tenure|supply, en"
    assert "blame" in package.stopped["en"].what
    assert {"de", "uk"} <= set(package.wordings)
    with_words(folder, "locales/en/wording.po", '"Married"', '"The program decided"')
    for longer in ("_texts", "_witnesses", "_borders"):
        monkeypatch.setattr(f"explainer.packages.admit.{longer}", lambda *_: [])
    with pytest.raises(PackageFaulty) as refused:
        check(folder, lambda *_: b"", lambda *_: None)
    unplain = [fault for fault in refused.value.faults if isinstance(fault, NotPlain)]
    # each of them, and none twice
    assert len({str(fault) for fault in unplain}) == len(unplain)
    said = {fault.where for fault in unplain}
    assert {"feature|tenure|supply, en", "feature|married|choice|yes, en"} <= said


@pytest.mark.parametrize("tag", sorted(all_languages()))
def test_every_word_of_every_list_is_found_and_no_near_miss(tag):
    tried = 0
    for entry in lists_of(tag).banned:
        if entry.severity == FAIL and entry.kind != TERM:
            tried += 1
            texts = {"feature|age|label": "Gut.", "feature|age|reason|x": f"Gut. {entry.caught}"}
            (fault, *_) = banned(texts, tag)
            assert fault.where == f"feature|age|reason|x, {tag}"
            assert not list(banned({"feature|age|reason|x": entry.passes}, tag))
    assert tried > 10


def test_what_is_in_force_was_read_once(folder):
    """Neither a file that changes beneath it, nor one that comes to lie beside it, is read."""
    package = admit(folder)
    explanation = explain(read_case(package.golden[0].case, package.catalogue), package, DAY)
    before = {
        tag: tell(explanation, Audience.APPLICANT, language(tag), package).body
        for tag in package.wordings
    }
    for path in [*folder.glob("*.toml"), *folder.glob("locales/*/wording.po")]:
        path.write_text(path.read_text("utf-8").replace("Alter", "Betrug").replace("age", "fraud"))
    (folder / "locales" / "xx").mkdir()
    shutil.copy(folder / "locales/en/wording.po", folder / "locales/xx/wording.po")
    (folder / "wording.override.toml").write_text('[contact]\nphone = "0"\n')
    for tag, body in before.items():
        assert tell(explanation, Audience.APPLICANT, language(tag), package).body == body
    # and nobody opens it any more
    with pytest.raises(PackageFaulty):
        admit(folder)


def test_a_file_beside_the_sealed_ones_is_no_part_of_the_package(folder):
    (folder / "wording.override.toml").write_text('[contact]\nphone = "0"\n')
    with pytest.raises(PackageFaulty) as refused:
        admit(folder)
    assert "wording.override.toml" in str(refused.value.faults[0])
