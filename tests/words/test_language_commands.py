"""`warum language`: what is wrong is named line by line, and who read a translation recorded."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pseudo import fill, filled_catalog, forget, other_locales
from test_cli import warum

from explainer.errors import InstallationBroken, MessageMissing, PackageFaulty
from explainer.packages.admit import admit
from explainer.packages.bundled import find_package
from explainer.packages.scaffold import seal
from explainer.packages.translations import german_texts, wording_file
from explainer.text import languages, translation
from explainer.text.catalogs import catalog, catalog_path
from explainer.text.extract import template_of
from explainer.text.languages import Status, language


@pytest.fixture
def locales(tmp_path: Path) -> Iterator[Path]:
    """The product's words, to be changed."""
    with other_locales(tmp_path / "locales") as folder:
        yield folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of its own, to be changed."""
    return Path(shutil.copytree(find_package("unemployment_benefit"), tmp_path / "benefit"))


def row(tag: str) -> languages.Language:
    return languages.all_languages()[tag]


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text, old
    path.write_text(text.replace(old, new, 1), "utf-8")
    forget()


def said_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    code = warum("language", *arguments)
    both = capsys.readouterr()
    return code, [*both.out.splitlines(), *both.err.splitlines()]


ENGLISH = "This page does not exist."
FAULTS = {
    "missing": (f'msgstr "{ENGLISH}"', 'msgstr ""', "error.page.not_found: is not translated"),
    "language": (
        f'msgstr "{ENGLISH}"',
        'msgstr "Diese Seite und die ist es nicht."',
        "reads like de [language]",
    ),
    "script": (f'msgstr "{ENGLISH}"', 'msgstr "There is no such pаge."', "[script]"),
    "character": (f'msgstr "{ENGLISH}"', 'msgstr "There is no \u202esuch page."', "[character]"),
    "markup": (f'msgstr "{ENGLISH}"', 'msgstr "There is <b>no</b> such page."', "[markup]"),
    "slot": ('msgstr "As of: {value}."', 'msgstr "As of: {date}."', "told.as_of: has other slots"),
    "number": ('of 1,000"', 'of 100"', "[number]"),
    "fuzzy": (
        'msgctxt "error.page.not_found"',
        '#, fuzzy\nmsgctxt "error.page.not_found"',
        "error.page.not_found: is fuzzy: it was made for another German text [fuzzy]",
    ),
    "digits": (f'msgstr "{ENGLISH}"', 'msgstr "There is no page ٣."', "[digits]"),
    "file": ('msgid ""', "lost words", "catalog: The catalog cannot be read"),
}
WORDS = {
    "cause": (
        "en",
        f'msgstr "{ENGLISH}"',
        'msgstr "This page is gone because it moved."',
        "error.page.not_found: must not say “because”",
    ),
    "address": (
        "fr",
        'msgstr "Cette page n’existe pas."',
        'msgstr "Ta page n’existe pas."',
        "error.page.not_found: must not say “Ta”",
    ),
    "term": (
        "uk",
        'msgstr "Такої сторінки немає."',
        'msgstr "Така система."',
        "error.page.not_found: must not say “система”",
    ),
}
HINTS = {
    "length": (
        f'msgstr "{ENGLISH}"',
        f'msgstr "{ENGLISH[:-1]}, {ENGLISH[:-1].lower()}, and {ENGLISH.lower()}"',
        "warum.po: error.page.not_found: hint: is very long beside the German text [length]",
    ),
    "ending": (
        f'msgstr "{ENGLISH}"',
        f'msgstr "{ENGLISH[:-1]}"',
        "warum.po: error.page.not_found: hint: does not end like the German text, with . [ending]",
    ),
    "glossary": (
        'msgstr "After the check you will receive a notice (Bescheid)."',
        'msgstr "After the check you will receive a letter."',
        "warum.po: Nach der Prüfung bekommen Sie einen Bescheid.: hint: has another word than the "
        "glossary: notice (Bescheid) [glossary]",
    ),
    "left over": (
        'msgctxt "error.page.not_found"',
        'msgctxt "error.page.gone"\nmsgid "Weg."\nmsgstr "Gone."\n\nmsgctxt "error.page.not_found"',
        "warum.po: error.page.gone: hint: translates no German text there is [left over]",
    ),
}


@pytest.mark.parametrize("rule", FAULTS)
def test_check_names_each_fault_and_its_rule_on_a_line(locales, capsys, rule) -> None:
    old, new, says = FAULTS[rule]
    replaced(locales / "en/LC_MESSAGES/warum.po", old, new)
    code, lines = said_of(capsys, "check", "en")
    found = [line for line in lines if says in line]
    assert (code, len(found)) == (1, 1), lines
    assert found[0].startswith("locales/en/LC_MESSAGES/warum.po: ")
    # and for that language alone
    assert said_of(capsys, "check", "ar")[0] == 0


@pytest.mark.parametrize("rule", WORDS)
def test_check_names_words_that_must_not_stand_in_a_catalog(locales, capsys, rule) -> None:
    tag, old, new, says = WORDS[rule]
    replaced(locales / f"{tag}/LC_MESSAGES/warum.po", old, new)
    code, lines = said_of(capsys, "check", tag)
    found = [line for line in lines if says in line]
    assert (code, len(found)) == (1, 1), lines
    assert found[0].startswith(f"locales/{tag}/LC_MESSAGES/warum.po: ")
    assert found[0].endswith(f"[{rule}]")
    sign = ("sign", tag, "--name", "A. Reader", "--date", "2026-03-01")
    assert said_of(capsys, *sign)[0] == 1


@pytest.mark.parametrize("rule", HINTS)
def test_a_hint_names_its_file_and_message_and_stops_nothing(locales, capsys, rule) -> None:
    old, new, says = HINTS[rule]
    path = locales / "en/LC_MESSAGES/warum.po"
    before = said_of(capsys, "check", "en")
    replaced(path, old, new)
    code, lines = said_of(capsys, "check", "en")
    assert (before[0], code) == (0, 0), lines
    assert set(lines) - set(before[1]) == {f"locales/en/LC_MESSAGES/{says}"}


def test_the_help_of_check_names_every_rule_there_is(capsys) -> None:
    told = "\n".join(said_of(capsys, "check", "--help")[1])
    source = Path(translation.__file__).read_text("utf-8")
    rules = re.findall(r'yield (?:Finding\([^\n]*?)?"([a-z ]+)", f?"\w+ ', source)
    assert len(rules) > 10
    assert not {rule for rule in (*FAULTS, *HINTS, *rules, "spacing") if rule not in told}


def test_the_plainer_german_may_word_a_packages_reasons_in_its_own_way(capsys) -> None:
    for package in ("unemployment_benefit", "mortgage_guarantee"):
        code, lines = said_of(capsys, "check", "de-simple", "--package", package)
        assert (code, [line for line in lines if "[glossary]" in line]) == (0, [])


def test_words_of_a_package_that_must_not_stand_there_are_named_with_its_file(
    package, capsys
) -> None:
    path = wording_file(package, row("fr"))
    replaced(path, 'msgstr "Âge"', 'msgstr "Ton âge"')
    code, lines = said_of(capsys, "check", "fr", "--package", package)
    assert code == 1
    (found,) = [line for line in lines if "[address]" in line]
    assert found.startswith("benefit/locales/fr/wording.po: feature|age|label: must not say “Ton”")


@pytest.mark.parametrize("rule", [rule for rule in FAULTS if rule != "file"])
def test_what_check_calls_a_fault_stops_the_language(locales, rule) -> None:
    old, new, _ = FAULTS[rule]
    replaced(locales / "en/LC_MESSAGES/warum.po", old, new)
    with pytest.raises(MessageMissing) as caught:
        catalog(language("en"))
    assert "warum language check en" in str(caught.value)
    assert catalog(language("ar")).sentence("error.title")


def test_a_catalog_in_another_language_than_it_says_is_found(locales, capsys) -> None:
    russian = catalog_path(row("ru"), "warum")
    words = iter(["и что это для вас", "или как мы были", "не только этот"] * 400)
    fill(row("ru"), lambda text: text if "{" in text or "%" in text else next(words))
    shutil.copy(russian, catalog_path(row("bg"), "warum"))
    forget()
    _, lines = said_of(capsys, "check", "bg")
    assert any("catalog: reads like ru, not like bg [language]" in line for line in lines)
    _, lines = said_of(capsys, "check", "ru")
    assert not any("catalog: reads like" in line for line in lines)


@pytest.mark.parametrize("rule", ["nplurals=3; plural=(n==1 ? 0 : 1)", "nplurals=2; plural=(n>1)"])
def test_plural_forms_that_are_not_those_of_the_language_are_found(locales, capsys, rule) -> None:
    right = "nplurals=2; plural=(n != 1)"
    replaced(locales / "en/LC_MESSAGES/staff.po", right, rule)
    code, lines = said_of(capsys, "check", "en")
    assert (code, any("[plural]" in line for line in lines)) == (1, True), lines


def test_a_package_is_checked_by_the_same_rules_and_its_own(package, capsys) -> None:
    path = wording_file(package, row("en"))
    replaced(
        path, "\"In the program's view, your age", "\"{value}: in the program's view, your age"
    )
    code, lines = said_of(capsys, "check", "en", "--package", package)
    assert code == 1
    assert any("feature|age|reason|can_be_granted" in line and "[slot]" in line for line in lines)
    assert said_of(capsys, "check", "ar", "--package", package)[0] == 0
    path.unlink()
    code, lines = said_of(capsys, "check", "en", "--package", package)
    assert (code, "is not there" in lines[0] or "no catalog" in lines[0]) == (1, True)


def test_update_brings_a_catalog_in_step_and_guesses_nothing(package, capsys) -> None:
    replaced(package / "features.toml", 'label = "Alter"', 'label = "Lebensalter"')
    path = wording_file(package, row("en"))
    code, lines = said_of(capsys, "update", "en", "--package", package, "--check")
    assert (code, lines) == (1, [f"out of step: {path}"])
    assert said_of(capsys, "update", "en", "--package", package)[0] == 0
    text = path.read_text("utf-8")
    assert 'msgid "Lebensalter"\nmsgstr ""\n' in text
    assert 'msgid "Alter"\n' not in text
    assert said_of(capsys, "update", "en", "--package", package, "--check")[0] == 0


def test_a_new_language_is_in_work_until_it_is_whole(locales, package, capsys) -> None:
    code, lines = said_of(capsys, "new", "sq")
    assert code == 0, lines
    forget()
    begun = row("sq")
    assert (begun.autonym, begun.dir, begun.status) == ("shqip", "ltr", Status.IN_WORK)
    assert "sq" not in languages.languages()
    assert said_of(capsys, "new", "sq", "--package", package)[0] == 0
    assert wording_file(package, begun).is_file()
    # it is no part of the package yet
    assert admit(package).stopped == {}
    code, lines = said_of(capsys, "check", "sq")
    assert code == 1
    assert len(lines) > 150


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["uk"], "there already"),
        (["prs"], "there already"),
        (["Klingon"], "no language tag"),
        (["../x"], "no language tag"),
        (["zzz"], "CLDR does not know"),
        (["hr", "--autonym", 'x"\ny'], "signs it may not"),
    ],
)
def test_a_language_that_cannot_be_begun_leaves_the_table_as_it_was(
    locales, capsys, arguments, says
) -> None:
    before = (locales / "languages.toml").read_bytes()
    code, lines = said_of(capsys, "new", *arguments)
    assert (code, says in lines[-1]) == (1, True), lines
    assert (locales / "languages.toml").read_bytes() == before


def test_a_signature_is_of_the_words_that_were_read_and_ends_with_them(locales, capsys) -> None:
    before = (locales / "languages.toml").read_text("utf-8")
    sign = ("sign", "en", "--name", "A. Reader", "--date", "2026-03-01")
    code, lines = said_of(capsys, *sign, "--digest", "0123")
    assert (code, "changed after the sheet" in lines[-1]) == (1, True)
    assert said_of(capsys, *sign)[0] == 0
    forget()
    signed = language("en")
    assert (signed.status, signed.reviewer, signed.reviewed_on) == (
        Status.REVIEWED,
        "A. Reader",
        "2026-03-01",
    )
    # nothing else of the table has changed, and a second signature takes the place of the first
    again = ("sign", "en", "--name", "B. Reader", "--date", "2026-03-02")
    assert said_of(capsys, *again)[0] == 0
    after = (locales / "languages.toml").read_text("utf-8")
    assert "A. Reader" not in after
    written = {"reviewer", "reviewed_on", "digest", "status"}
    kept = [one for one in after.splitlines() if one.partition(" ")[0] not in written]
    assert kept == [one for one in before.splitlines() if one.partition(" ")[0] not in written]
    forget()
    replaced(locales / "en/LC_MESSAGES/warum.po", ENGLISH, "There is no such page.")
    lapsed = language("en")
    assert (lapsed.status, lapsed.lapsed) == (Status.UNREVIEWED, True)


WHO = {
    "reviewer": 'reviewer = "A. Reader"',
    "reviewed_on": 'reviewed_on = "2026-03-01"',
    "digest": 'digest = "0123"',
}


@pytest.mark.parametrize("lacks", [*WHO, "all of it"])
def test_a_language_is_not_called_reviewed_without_saying_who_read_what_and_when(
    locales, lacks
) -> None:
    said = "\n".join(line for name, line in WHO.items() if lacks not in (name, "all of it"))
    table = locales / "languages.toml"
    text = table.read_text("utf-8")
    head, tag, rest = text.partition('tag = "uk"')
    assert tag
    reviewed = rest.replace('status = "unreviewed"', f'status = "reviewed"\n{said}', 1)
    assert reviewed != rest
    table.write_text(head + tag + reviewed, "utf-8")
    languages.all_languages.cache_clear()
    with pytest.raises(InstallationBroken, match="needs the name of its reviewer") as refused:
        languages.all_languages()
    assert refused.value.where == "locales/languages.toml, uk"
    assert "warum language sign" in refused.value.mend
    # with all of it the row is read, and of other words than were signed it says so
    whole = "\n".join(WHO.values())
    table.write_text(
        text.replace(rest, rest.replace('"unreviewed"', f'"reviewed"\n{whole}', 1)), "utf-8"
    )
    languages.all_languages.cache_clear()
    assert (row("uk").status, row("uk").lapsed) == (Status.UNREVIEWED, True)


def test_a_translation_with_faults_cannot_be_signed(locales, capsys) -> None:
    replaced(locales / "en/LC_MESSAGES/warum.po", f'"{ENGLISH}"', '""')
    code, lines = said_of(capsys, "sign", "en", "--name", "A", "--date", "2026-03-01")
    assert (code, "faults" in lines[-1]) == (1, True)
    assert said_of(capsys, "sign", "ar", "--name", " ", "--date", "2026-03-01")[0] == 1


def test_a_package_is_signed_for_in_its_manifest(package, capsys) -> None:
    sign = ("sign", "en", "--name", "A. Reader", "--date", "2026-03-01", "--package", package)
    assert not admit(package).wordings["en"].reviewed
    assert said_of(capsys, *sign)[0] == 0
    opened = admit(package)
    assert (opened.wordings["en"].reviewed, opened.wordings["ar"].reviewed) == (True, False)
    assert said_of(capsys, *sign)[0] == 0
    replaced(wording_file(package, row("en")), '"Age"', '"Years of age"')
    seal(package)
    assert not admit(package).wordings["en"].reviewed


def test_the_sheet_shows_german_the_translation_and_where_it_stands(tmp_path, capsys) -> None:
    file = tmp_path / "sheet.html"
    code, lines = said_of(capsys, "review", "ar", "-o", file)
    assert code == 0, lines
    text = file.read_text("utf-8")
    assert text.count(languages.digest_of_words(language("ar"))[:16]) == 2
    rows = re.findall(r"<tr id=.*?</tr>", text, re.DOTALL)
    rest = catalog(language("ar")).sentence("told.rest.much")
    shown = next(one for one in rows if ">told.rest.much<" in one)
    assert catalog(language("de")).sentence("told.rest.much") in shown
    assert f"<mark>{rest}</mark>" in shown


def test_what_stands_in_a_catalog_is_no_markup_on_the_sheet(package, tmp_path, capsys) -> None:
    replaced(wording_file(package, row("en")), '"Age"', '"<img src=x onerror=alert(1)>"')
    seal(package)
    file = tmp_path / "sheet.html"
    assert said_of(capsys, "review", "en", "--package", package, "-o", file)[0] == 0
    text = file.read_text("utf-8")
    assert "<img" not in text
    assert "&lt;img" in text
    assert "holds" in text or "markup" in text


AGENCY = [
    "{{ 7 * 7 }}",
    "{% for x in y %}{% endfor %}",
    "{value.__class__}",
    "<script>alert(1)</script>",
    "Ihr Alter \u202ewar wichtig",
    "Ihr Alter \u2066war wichtig",
    "x" * 10_000,
]


@pytest.mark.parametrize("text", AGENCY)
def test_template_code_and_text_without_end_in_an_agencys_words_are_refused(package, text) -> None:
    replaced(package / "features.toml", 'label = "Alter"', f'label = "{text}"')
    seal(package)
    with pytest.raises(PackageFaulty) as caught:
        admit(package)
    assert "feature|age|label" in str(caught.value.faults[0])


def test_a_percent_sign_in_an_agencys_words_is_a_percent_sign(package) -> None:
    replaced(package / "features.toml", 'label = "Alter"', 'label = "Alter (100 % und %(n)s)"')
    for tag in ("en", "ar"):
        path = wording_file(package, row(tag))
        template = template_of(german_texts(package))
        path.write_bytes(filled_catalog(row(tag), template, lambda german: german))
    seal(package)
    assert admit(package).wordings["de"].label("age") == "Alter (100 % und %(n)s)"


def test_the_digest_of_a_package_is_that_of_its_file(package) -> None:
    from explainer.packages.translations import digest_of_wording

    data = wording_file(package, row("ar")).read_bytes()
    assert digest_of_wording(package, row("ar")) == hashlib.sha256(data).hexdigest()
