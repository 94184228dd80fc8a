"""The list of languages: folded, opened without a script, and read in its own tongues."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from walking import be
from windows import OpenPage

NARROW = {"width": 320, "height": 900}


@pytest.mark.parametrize("tag", ["de", "de-simple", "ar", "uk", "tr", "fr"])
def test_on_a_phone_it_takes_little_room_and_no_time_or_number_is_torn(
    open_page: OpenPage, tag: str
) -> None:
    page = open_page(viewport=NARROW)
    be(page, "applicant")
    page.goto(f"/application?lang={tag}")
    # one line, or two where the name is long and the letters are large
    assert page.locator(".w-languages").bounding_box()["height"] <= 96
    # what stands between two times, or within a number, is in one line
    torn = page.evaluate(
        r"""() => {
          const torn = [];
          const walker = document.createTreeWalker(document.querySelector('main'), 4);
          while (walker.nextNode()) {
            const node = walker.currentNode;
            for (const found of node.data.matchAll(
                /\d{1,2}:\d\d.{1,16}\d{1,2}:\d\d|\d[\d .,\u00a0\u202f]*\d(\u00a0[^\s,.]+)?/g)) {
              const range = document.createRange();
              range.setStart(node, found.index);
              range.setEnd(node, found.index + found[0].length);
              const tops = [...range.getClientRects()].map(box => Math.round(box.top));
              if (Math.max(...tops) - Math.min(...tops) > 4) torn.push(found[0]);
            }
          }
          return torn;
        }"""
    )
    assert torn == []


def test_a_keyboard_opens_it_and_reaches_every_language(open_page: OpenPage) -> None:
    page = open_page(viewport=NARROW)
    be(page, "applicant")
    page.goto("/application?lang=de")
    links = page.locator(".w-languages__link")
    expect(links.first).to_be_hidden()
    page.locator(".w-languages summary").focus()
    page.keyboard.press("Enter")
    expect(links.first).to_be_visible()
    for at in range(links.count()):
        page.keyboard.press("Tab")
        assert links.nth(at).evaluate("e => e === document.activeElement")
        box = links.nth(at).bounding_box()
        assert box["height"] >= 44
        assert 0 <= box["x"] <= box["x"] + box["width"] <= NARROW["width"]
    assert links.count() == 12
    # in its own name, to be read aloud in its own language and direction
    arabic = page.locator(".w-languages__link[lang=ar]")
    assert arabic.get_attribute("dir") == "rtl"
    arabic.focus()
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    now = page.locator(".w-languages__now")
    assert (now.get_attribute("lang"), now.get_attribute("dir")) == ("ar", "rtl")
    page.emulate_media(media="print")
    expect(page.locator(".w-languages")).to_be_hidden()


def test_two_languages_are_not_folded(open_page: OpenPage) -> None:
    page = open_page()
    be(page, "caseworker")
    expect(page.locator(".w-languages__link").first).to_be_visible()
    assert page.locator(".w-languages details").count() == 0
