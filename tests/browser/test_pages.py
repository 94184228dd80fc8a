"""Each page × offered language × light and dark × wide and narrow: what a program can check.

Usually what is light is wide and what is dark is narrow; the long tests turn that round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from walking import WALKS, Stop, be, choose, open_first_case, other, submit, suggested
from windows import OpenPage

pytestmark = pytest.mark.browser

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
GUISES = [
    [("light", 1280), ("dark", 320)],
    pytest.param([("dark", 1280), ("light", 320)], marks=pytest.mark.long),
]

OVERFLOW = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.mark.parametrize(("pages", "tag", "walk"), WALKS, ids=[f"{w[0]}-{w[1]}" for w in WALKS])
@pytest.mark.parametrize("guises", GUISES, ids=["one way", "the other way"])
def test_every_page_in_every_guise(
    open_page: OpenPage,
    pages: str,
    tag: str,
    walk: Callable[[Page, str], Iterator[Stop]],
    guises: list[tuple[str, int]],
) -> None:
    page, axe, seen, faults = open_page(), Axe(), [], []
    for stop in walk(page, tag):
        assert page.locator("html").get_attribute("lang") == tag
        for scheme, width in guises:
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            where = f"{stop.name}, {tag}, {scheme}, {width}"
            faults += [f"{where}: {fault}" for fault in axe_faults(axe, page)]
            if page.evaluate(OVERFLOW):
                faults.append(f"{where}: wider than the window")
        page.set_viewport_size({"width": 1280, "height": 900})
        seen.append(stop.name)
    assert len(seen) == len(set(seen)) == (19 if pages == "staff" else 6)
    assert faults == []


def axe_faults(axe: Axe, page: Page) -> list[str]:
    """What axe finds wrong. Its script is brought in once a page; of what it returns only the
    violations cross over, which is most of the time this takes."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe.axe_script)
    run = "async options => (await axe.run(document, options)).violations"
    violations: list[dict[str, Any]] = page.evaluate(run, OPTIONS)
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for rule in violations
        for node in rule["nodes"]
    ]


def test_axe_finds_something_where_there_is_something(open_page: OpenPage) -> None:
    """A check that cannot fail proves nothing."""
    page = open_page()
    page.goto("/")
    page.evaluate("() => document.querySelector('h1').replaceWith(document.createElement('img'))")
    found = axe_faults(Axe(), page)
    assert any(fault.startswith("image-alt") for fault in found)
    assert any(fault.startswith("page-has-heading-one") for fault in found)


# Everything that has sides, read twice: as it is, and with the direction of writing turned. What
# was left must be right. axe does not look at this.
MIRROR = """() => {
  const root = document.documentElement, before = root.dir;
  const own = element => !element.closest('svg') && element.closest('[dir]') === root;
  const all = [...document.body.querySelectorAll('*')].filter(own);
  const sides = (s, side) => ['padding', 'margin'].map(n => s[n + side])
    .concat(s['border' + side + 'Width'], s[side.toLowerCase()]).join();
  const snap = () => all.flatMap(element => [null, '::before', '::after'].map(part => {
    const s = getComputedStyle(element, part);
    if (part && s.content === 'none') return null;
    return [sides(s, 'Left'), sides(s, 'Right'), s.textAlign];
  }));
  root.dir = 'ltr'; const a = snap();
  root.dir = 'rtl'; const b = snap();
  root.dir = before;
  const wrong = [];
  a.forEach((x, at) => {
    const y = b[at];
    if (x === null || y === null) return;
    const fixed = ['left', 'right'].includes(x[2]) && x[2] === y[2];
    if (x[0] !== y[1] || x[1] !== y[0] || fixed) {
      const element = all[Math.floor(at / 3)];
      wrong.push(`${element.tagName}.${element.className} ${x} | ${y}`);
    }
  });
  return [all.length, wrong];
}"""


def test_right_to_left_is_a_mirror(open_page: OpenPage) -> None:
    page = open_page()
    for walk, tag in ((WALKS[4][2], "ar"), (WALKS[0][2], "de")):
        for stop in walk(page, tag):
            for width in (1280, 320):
                page.set_viewport_size({"width": width, "height": 900})
                count, wrong = page.evaluate(MIRROR)
                assert count > 30
                assert wrong == [], f"{stop.name}, {width}"
            page.set_viewport_size({"width": 1280, "height": 900})


def test_bars_turn_with_the_direction_of_writing(open_page: OpenPage) -> None:
    page = open_page()
    be(page, "caseworker")
    open_first_case(page)
    page.locator("details summary").first.click()
    transform = "() => getComputedStyle(document.querySelector('svg.xb')).transform"
    assert page.evaluate(transform) == "none"
    page.evaluate("() => { document.documentElement.dir = 'rtl' }")
    told = "() => { document.querySelector('.w-told').dir = 'rtl' }"
    page.evaluate(told)
    assert page.evaluate(transform) == "matrix(-1, 0, 0, 1, 0, 0)"


def fonts_of(page: Page, selector: str) -> dict[str, bool]:
    """Fonts that really drew the text of an element, and whether each is one of ours."""
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    used = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    return {font["familyName"]: font["isCustomFont"] for font in used}


@pytest.mark.parametrize(
    ("tag", "family"), [("ar", "Noto Sans Arabic"), ("de", "Fira Sans"), ("en", "Fira Sans")]
)
def test_the_font_that_is_meant_is_the_font_that_draws(
    open_page: OpenPage, tag: str, family: str
) -> None:
    page = open_page()
    be(page, "applicant", tag)
    page.evaluate("() => document.fonts.ready")
    for selector in ("h1", ".w-outcome", ".w-reason__text", ".w-suggestion"):
        used = fonts_of(page, selector)
        assert any(name.startswith(family) for name in used), (selector, used)
        assert all(used.values()), f"{selector}: a font of this machine drew some of it: {used}"


def test_print_shows_what_is_folded_and_no_form(open_page: OpenPage) -> None:
    page = open_page()
    be(page, "caseworker")
    open_first_case(page)
    table = page.locator("table.xb-table")
    expect(table).to_be_hidden()
    page.emulate_media(media="print")
    expect(table).to_be_visible()  # a print that leaves it out would say less
    assert table.locator("tbody tr").last.bounding_box()["height"] > 5
    # what it is stays on the paper: a demonstration
    assert page.locator(".w-demo__text").is_visible()
    for part in ("main form", ".w-demo__form", ".w-languages", ".w-skip"):
        assert not page.locator(part).first.is_visible(), f"{part} is printed"
    assert page.locator(".w-suggestion").is_visible()
    # for and against differ also without colour: filled, and outlined
    fills = page.evaluate(
        """() => ['.xb-pro', '.xb-con'].map(part => {
             const bar = document.querySelector(part);
             return bar === null ? part : getComputedStyle(bar).fill;
           })"""
    )
    assert fills[0] != fills[1]


def test_everything_is_large_enough_to_hit(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 900})
    be(page, "caseworker")
    open_first_case(page)
    small = page.evaluate(
        """() => [...document.querySelectorAll('input:not([type=hidden]), button, select, summary')]
             .map(e => [e.name || e.tagName, e.getBoundingClientRect()])
             .filter(([, box]) => box.width && (box.width < 24 || box.height < 24))
             .map(([name, box]) => `${name} ${box.width}×${box.height}`)"""
    )
    assert small == []


def test_wider_spaced_text_still_fits(open_page: OpenPage) -> None:
    """WCAG 1.4.12: a reader's own spacing must not push anything out of the window."""
    page = open_page(viewport={"width": 320, "height": 900}, bypass_csp=True)
    spacing = (
        "* { line-height: 1.5 !important; letter-spacing: .12em !important; "
        "word-spacing: .16em !important } p { margin-block-end: 2em !important }"
    )
    be(page, "caseworker")
    for path in ("/cases", None, "/verify"):
        if path is None:
            page.goto("/cases")
            page.locator(".w-list__link").first.click()
        else:
            page.goto(path)
        page.add_style_tag(content=spacing)
        assert not page.evaluate(OVERFLOW), path


def test_in_forced_colours_only_the_current_entry_is_marked_and_boxes_stay(
    open_page: OpenPage,
) -> None:
    """Forced colours draw transparent borders, and no backgrounds."""
    page = open_page(forced_colors="active")
    be(page, "caseworker")
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    for bar in (".w-nav__link", ".w-languages__link", ".w-tabs__link"):
        for current, drawn in ((":not([aria-current])", False), ("[aria-current]", True)):
            for link in page.locator(bar + current).all():
                colour = link.evaluate("e => getComputedStyle(e).borderBlockEndColor")
                assert (colour != ground) is drawn, bar + current
    open_first_case(page)
    box = "e => (s => [s.borderTopWidth, s.borderTopStyle])(getComputedStyle(e))"
    assert page.locator(".w-pane--data").evaluate(box) == ["1px", "solid"]


def test_labels_of_a_search_stand_at_one_height(open_page: OpenPage) -> None:
    page = open_page()
    be(page, "supervisor")
    for part in (".kern-label", ":is(.kern-form-input__input, .kern-form-input__select)"):
        tops = [
            round(one.bounding_box()["y"])
            for one in page.locator(f".w-filter .w-field {part}").all()
        ]
        assert len(set(tops[:3])) == 1, (part, tops)


def test_on_a_narrow_screen_a_box_in_a_box_leaves_room_for_words(open_page: OpenPage) -> None:
    page = open_page(viewport={"width": 320, "height": 900})
    be(page, "supervisor")
    page.locator(".w-list__link").first.click()
    page.locator("input[name=purpose]").first.check()
    submit(page)
    assert page.locator(".w-reason__text").first.bounding_box()["width"] > 270


PRINTED_NOWHERE = (".w-jump", ".w-saved", ".w-german")


def test_on_paper_there_is_nothing_to_press(open_page: OpenPage) -> None:
    page = open_page()
    be(page, "caseworker")
    open_first_case(page)
    assert page.locator(".w-jump").is_visible()
    page.emulate_media(media="print")
    assert not page.locator(".w-jump").is_visible()
    # the heads of columns come once, not at the top of every page
    head = page.locator("table thead").first
    assert head.evaluate("e => getComputedStyle(e).display") == "table-row-group"
    page.emulate_media(media="screen")
    choose(page, other(suggested(page)), "deviate", "E6")
    be(page, "applicant", "en")
    page.emulate_media(media="print")
    for part in PRINTED_NOWHERE:
        for one in page.locator(part).all():
            assert not one.is_visible(), part


def test_on_paper_the_program_is_not_cut_off_before_its_suggestion(open_page: OpenPage) -> None:
    page = open_page()
    be(page, "applicant")
    page.emulate_media(media="print")
    before = page.locator(".w-told > :has(~ .w-suggestion)")
    assert before.count() >= 2
    for one in before.all():
        style = "e => [getComputedStyle(e).breakAfter, getComputedStyle(e).breakInside]"
        assert one.evaluate(style) == ["avoid", "avoid"]


LONGEST_PART = 26
"""Letters that stand side by side on a screen of 320 px."""


def test_no_long_word_is_cut_without_a_hyphen(open_page: OpenPage) -> None:
    """A word that does not fit is parted where it may be, or it is not parted."""
    page = open_page(viewport={"width": 320, "height": 900})
    be(page, "caseworker")
    open_first_case(page)
    labels = page.locator("main label").all()
    assert len(labels) > 20
    for label in labels:
        for part in re.split("[\\s\u00ad/-]+", label.text_content() or ""):
            assert len(part) <= LONGEST_PART, f"{part}: nowhere to part it"
    for code in ("D4", "D6", "E1", "L7", "L8", "P3"):
        words = page.locator(f"input[name=codes][value={code}] + label").text_content()
        assert re.search("§\u00a0[0-9a-z]+\u00a0", words), f"{words}: parted within its number"
