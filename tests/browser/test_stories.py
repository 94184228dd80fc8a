"""What three people come for, each done in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Demonstration
from playwright.sync_api import Browser, Page, expect
from walking import be, choose, open_first_case, open_receipt, other, submit, suggested
from windows import OpenPage

from explainer.ledger import verify

pytestmark = pytest.mark.browser


def test_a_caseworker_departs_from_the_suggestion(open_page: OpenPage) -> None:
    """As a caseworker I read what the program suggests and why, look at everything it used, and
    decide otherwise for reasons of my own, so that the decision is mine and can be shown to be.
    """
    page = open_page()
    be(page, "caseworker")
    expect(page.locator("h1")).to_have_text("Fälle")
    number = page.locator(".w-list__link").first.inner_text()
    page.locator(".w-list__link").first.click()

    # I read: the suggestion, reasons on both sides, what the program does not know
    expect(page.locator("h1")).to_contain_text(number)
    assert number not in page.url
    outcome = suggested(page)
    expect(page.locator(".w-reason").first).to_be_visible()
    expect(page.locator(".w-limits-box")).to_contain_text("Das Programm rechnet mit Erfahrungen")

    # I open the table: folded at first, and all the values are in it
    table = page.locator("table.xb-table")
    expect(table).to_be_hidden()
    page.get_by_text("Alle Angaben als Tabelle").click()
    expect(table).to_be_visible()
    assert table.locator("tbody tr").count() == page.locator(".w-data__row").count() >= 11

    # I send the form too early: I am told what is missing, and each link leads to its field
    assert page.locator("input:checked").count() == 0
    submit(page)
    summary = page.get_by_role("alert")
    expect(summary).to_be_visible()
    expect(page).to_have_title(re.compile("^Fehler: Fall "))
    links = summary.get_by_role("link")
    assert links.count() == 3
    for at, field in enumerate(("outcome", "relation", "codes")):
        links.nth(at).click()
        expect(page.locator(f"#{field}")).to_be_focused()
        assert page.locator(f"#{field}").get_attribute("aria-invalid") == "true"

    # I decide otherwise, for two reasons and with a note
    page.locator("#note").fill("Neue Bescheinigung\nvom Montag")
    page.locator("input[name=facts]").first.check()
    choose(page, other(outcome), "deviate", "D2", "E6")

    # I get a receipt, and what I decided stands there
    expect(page.locator("#beleg")).to_be_visible()
    assert re.fullmatch(r"[0-9a-f]{64}", page.locator(".w-receipt .w-hash").inner_text())
    decided = page.locator(".w-decision--done")
    for text in ("anders entschieden", "D2", "E6", "Neue Bescheinigung"):
        expect(decided).to_contain_text(text)
    assert page.locator("main form").count() == 0
    page.goto("/cases?state=decided")
    expect(page.get_by_role("link", name=number)).to_be_visible()


@pytest.mark.parametrize(
    ("tag", "direction", "heading"),
    [
        ("de", "ltr", "Die Entscheidung über Ihren Antrag"),
        ("en", "ltr", "The decision on your application"),
        ("ar", "rtl", "القرار بشأن طلبك"),
    ],
)
def test_an_applicant_reads_in_their_language(
    open_page: OpenPage, tag: str, direction: str, heading: str
) -> None:
    """As somebody who applied I read, in my language, what was decided, by whom, what the program
    contributed, and how I can object or talk to a person.
    """
    page = open_page()
    be(page, "applicant")
    page.locator(".w-languages summary").click()
    page.locator(f".w-languages a[hreflang={tag}]").click()
    root = page.locator("html")
    expect(root).to_have_attribute("lang", tag)
    expect(root).to_have_attribute("dir", direction)
    expect(page.locator("h1")).to_have_text(heading)
    # first the decision, then what the program contributed, then how to object
    tops = [
        page.locator(part).bounding_box()["y"]
        for part in (".w-outcome", ".w-block-two", ".w-remedies")
    ]
    assert tops == sorted(tops)
    assert page.locator(".w-reason").count() >= 1
    assert page.locator(".w-phone").get_attribute("href").startswith("tel:")
    # no number of the model, no table
    assert page.locator("table").count() == 0
    # it says that nobody read the translation, and where the German text is
    assert page.locator(".w-banner").count() == (0 if tag == "de" else 1)
    if tag != "de":
        page.locator(".w-translation a").click()
        expect(root).to_have_attribute("lang", "de")
        expect(page.locator("h1")).to_have_text("Die Entscheidung über Ihren Antrag")


def test_a_supervisor_opens_a_record_for_a_purpose(open_page: OpenPage) -> None:
    """As supervision I find the record of a case about which somebody complains, say what I open
    it for, read what was shown and decided, and check that nothing was changed since.
    """
    page = open_page()
    decided = decide_one(page)
    be(page, "supervisor")
    page.get_by_label("Fallnummer").fill(decided)
    page.get_by_label("Grund", exact=True).select_option("L3")
    page.get_by_role("button", name="Suchen").click()
    assert decided not in page.url
    rows = page.locator(".w-list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("nicht benutzt")
    rows.locator("a").click()

    # without a purpose nothing opens
    submit(page)
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_role("alert").get_by_role("link").first.click()
    expect(page.locator("#purpose")).to_be_focused()
    page.get_by_label("Beschwerde").check()
    page.locator("#purpose_text").fill("Schreiben vom 3. Mai")
    submit(page)
    expect(page.locator("h1")).to_contain_text(decided)
    expect(page.locator("main")).to_contain_text("Geöffnet für diesen Zweck: Beschwerde.")
    expect(page.locator(".w-shown .w-told--caseworker")).to_be_visible()
    assert "demo-caseworker" not in page.content()

    page.get_by_role("link", name="Protokoll prüfen").click()
    submit(page)
    expect(page.locator(".w-verdict__title")).to_contain_text("keine Abweichung")


def decide_one(page: Page) -> str:
    be(page, "caseworker")
    number = page.locator(".w-list__link").first.inner_text()
    open_first_case(page)
    choose(page, "can_be_granted", "not_used", "L3")
    expect(page.locator("#beleg")).to_be_visible()
    return number


def test_departing_takes_as_many_clicks_as_agreeing(open_page: OpenPage) -> None:
    """As a caseworker I lose no time by thinking for myself."""
    page = open_page()
    be(page, "caseworker")
    counted = []
    for relation, code in (("agree", "A1"), ("deviate", "E6")):
        open_first_case(page)
        outcome = suggested(page)
        fields = page.locator("main form").locator("input, textarea, select").count()
        wanted = outcome if relation == "agree" else other(outcome)
        counted.append((fields, choose(page, wanted, relation, code)))
        expect(page.locator("#beleg")).to_be_visible()
    assert counted[0] == counted[1]


def test_agreeing_is_not_shorter_than_it_looks(open_page: OpenPage) -> None:
    """As a caseworker I cannot agree without saying why."""
    page = open_page()
    be(page, "caseworker")
    open_first_case(page)
    choose(page, suggested(page), "agree")
    expect(page.get_by_role("alert").get_by_role("link")).to_have_attribute("href", "#codes")


def test_the_choices_of_a_decision_look_alike(open_page: OpenPage) -> None:
    """As a caseworker I am not led: no choice is larger, bolder or nearer than another."""
    page = open_page()
    be(page, "caseworker")
    open_first_case(page)
    for name in ("outcome", "relation", "codes"):
        looks = page.evaluate(
            """name => [...document.querySelectorAll(`input[name=${name}]`)].map(input => {
                 const label = document.querySelector(`label[for=${input.id}]`);
                 const a = getComputedStyle(input), b = getComputedStyle(label);
                 return [a.width, a.height, a.borderColor, b.fontSize, b.fontWeight].join();
               })""",
            name,
        )
        assert len(set(looks)) == 1


def test_the_whole_decision_by_keyboard_without_script(open_page: OpenPage) -> None:
    """As a caseworker who uses the keyboard, with script switched off, I do the whole of it."""
    page = open_page(java_script_enabled=False)
    page.goto("/")
    press_until(page, ".w-demo button[value=caseworker]")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Fälle")
    press_until(page, ".w-list__link")
    page.keyboard.press("Enter")
    expect(page.locator("#entscheidung")).to_be_visible()
    # the link past everything is the first stop and leads to the content
    page.keyboard.press("Tab")
    expect(page.locator(".w-skip")).to_be_focused()
    page.keyboard.press("Enter")
    press_until(page, "details summary")
    page.keyboard.press("Enter")
    expect(page.locator("table.xb-table")).to_be_visible()
    press_until(page, "#outcome")
    page.keyboard.press("Space")
    press_until(page, "#relation")
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    expect(page.locator("input[name=relation][value=not_used]")).to_be_checked()
    press_until(page, "input[name=codes][value=E6]")
    page.keyboard.press("Space")
    press_until(page, "#note")
    page.keyboard.type("ohne Maus")
    press_until(page, ".w-form button[type=submit]")
    page.keyboard.press("Enter")
    expect(page.locator("#beleg")).to_be_visible()
    expect(page.locator(".w-decision--done")).to_contain_text("ohne Maus")


def press_until(page: Page, wanted: str, most: int = 90) -> None:
    """Press Tab until the first `wanted` has the focus, which must be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and page.locator(wanted).first.and_(focused).count():
            expect(focused).to_be_in_viewport()
            return
    raise AssertionError(f"{wanted} cannot be reached with Tab")


def test_an_applicant_keeps_a_receipt_and_anybody_can_check_it(
    open_page: OpenPage, browser: Browser, demonstration: Demonstration, tmp_path: Path
) -> None:
    """As somebody who applied I take the receipt and the text with me, and years later somebody who
    has nothing but the checking page and the key finds that this is what I was told.
    """
    page = open_page(accept_downloads=True)
    be(page, "applicant", "de")
    open_receipt(page)
    kept = []
    for name in ("Beleg herunterladen", "Text herunterladen"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        kept.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(kept[-1])
    assert [path.suffix for path in kept] == [".tlog-proof", ".html"]
    assert kept[0].stem == kept[1].stem

    context = browser.new_context(offline=True, locale="de-DE")
    checking = context.new_page()
    checking.goto(Path(verify.__file__).with_suffix(".html").as_uri())
    key = demonstration.data / "seals" / "ledger" / "verifier.key"
    checking.locator("#keys").fill(key.read_text("ascii"))
    checking.locator("#receipt").set_input_files(kept[0])
    checking.locator("#told").set_input_files(kept[1])
    checking.locator("button[type=submit]").click()
    expect(checking.locator("#said")).to_contain_text("Er steht für genau die Datei")
    kept[1].write_bytes(kept[1].read_bytes() + b" ")
    checking.locator("#told").set_input_files(kept[1])
    checking.locator("button[type=submit]").click()
    expect(checking.locator("#said")).to_contain_text("ist nicht die, für die der Eintrag steht")
    context.close()


def test_a_caseworker_reads_their_own_entries_and_nobody_else_can(open_page: OpenPage) -> None:
    """As a caseworker I look up what I entered, whole; supervision has no way to that page."""
    page = open_page()
    be(page, "caseworker")
    number = page.locator(".w-list__link").first.inner_text()
    open_first_case(page)
    choose(page, "can_be_granted", "not_used", "E6")
    page.get_by_role("link", name="Meine Einträge").click()
    first = page.locator(".w-own details").first
    expect(first.locator("summary")).to_contain_text(number)
    first.locator("summary").click()
    expect(first).to_contain_text("Ergebnis eines persönlichen Gesprächs")
    first.get_by_role("link", name=f"Beleg zu Fall {number}").click()
    expect(page.locator("h1")).to_have_text(f"Beleg zu Fall {number}")
    be(page, "supervisor")
    assert page.get_by_role("link", name="Meine Einträge").count() == 0
