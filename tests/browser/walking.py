"""How the pages of the demonstration are reached, one after the other, as people reach them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from playwright.sync_api import Page, expect


def be(page: Page, person: str, tag: str = "de") -> None:
    """Choose a person on the bar of the demonstration."""
    page.goto(f"/?lang={tag}")
    with page.expect_navigation():
        page.locator(f".w-demo button[value={person}]").click()


def open_first_case(page: Page) -> None:
    page.goto("/cases")
    with page.expect_navigation():
        page.locator(".w-list__link").first.click()


def submit(page: Page) -> None:
    """Press the one button of the form that changes something."""
    with page.expect_navigation():
        page.locator(".w-form button[type=submit]").click()


def suggested(page: Page) -> str:
    """What the program suggests on the open case page: the value of the outcome to choose.

    The suggestion is a sentence of the agency; the demonstration has two.
    """
    words = page.locator(".w-suggestion").inner_text()
    grants = any(word in words for word in ("bewilligen", "grant"))
    closer = any(word in words for word in ("genauer", "more closely"))
    assert grants != closer, words
    return "can_be_granted" if grants else "check_more_closely"


def other(outcome: str) -> str:
    pair = {"can_be_granted": "check_more_closely", "check_more_closely": "can_be_granted"}
    return pair[outcome]


def choose(page: Page, outcome: str, relation: str, *codes: str) -> int:
    """Fill in the form as it is; returns how many clicks that took, the last one included."""
    page.locator(f"input[name=outcome][value={outcome}]").check()
    page.locator(f"input[name=relation][value={relation}]").check()
    for code in codes:
        page.locator(f"input[name=codes][value={code}]").check()
    submit(page)
    return 3 + len(codes)


def open_receipt(page: Page) -> None:
    """Follow the link to the receipt, and load that page until the head was signed."""
    with page.expect_navigation():
        page.locator("main a[href*='/receipts/']").first.click()
    for _ in range(120):
        if page.locator(".w-files").count():
            return
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError("the head was not signed")


@dataclass(frozen=True)
class Stop:
    """A page to be looked at."""

    name: str
    tag: str


def walk_staff(page: Page, tag: str) -> Iterator[Stop]:
    """Every page of staff in one language."""
    be(page, "caseworker", tag)
    yield Stop("queue", tag)
    page.goto("/cases?state=decided")
    yield Stop("queue of decided cases", tag)
    open_first_case(page)
    yield Stop("case", tag)
    page.locator("details summary").first.click()
    yield Stop("case with its table", tag)
    submit(page)
    expect(page.locator(".w-errors")).to_be_visible()
    yield Stop("case with errors", tag)
    page.locator("input[name=codes]").first.focus()
    choose(page, "check_more_closely", "not_used", "E6", "P5")
    expect(page.locator(".w-receipt")).to_be_visible()
    yield Stop("decided case", tag)
    open_receipt(page)
    yield Stop("receipts of a decision", tag)
    page.goto("/own-records")
    yield Stop("own records", tag)
    page.locator(".w-own summary").first.click()
    yield Stop("own records, one opened", tag)
    be(page, "supervisor", tag)
    yield Stop("records", tag)
    page.locator("#period").fill("2026")
    page.locator(".w-filter button[type=submit]").click()
    yield Stop("records with an error", tag)
    page.locator("#period").fill("1990-01")
    page.locator(".w-filter button[type=submit]").click()
    yield Stop("no records", tag)
    page.goto("/records")
    page.locator(".w-list__link").first.click()
    yield Stop("purpose", tag)
    submit(page)
    yield Stop("purpose with errors", tag)
    page.locator("input[name=purpose]").first.check()
    page.locator("#purpose_text").fill("Beispiel 12/3")
    submit(page)
    yield Stop("record", tag)
    page.goto("/verify")
    yield Stop("verification", tag)
    submit(page)
    yield Stop("verified", tag)
    be(page, "operator", tag)
    yield Stop("operation", tag)
    page.locator("main details summary").click()
    yield Stop("operation with what was looked at", tag)


def walk_public(page: Page, tag: str) -> Iterator[Stop]:
    """Every page everybody may see, and the applicant's, in one language."""
    page.goto(f"/?lang={tag}")
    yield Stop("start", tag)
    be(page, "applicant", tag)
    yield Stop("applicant", tag)
    open_receipt(page)
    yield Stop("receipt", tag)
    page.goto("/accessibility")
    yield Stop("accessibility", tag)
    page.goto("/feedback")
    yield Stop("feedback", tag)
    page.goto("/nowhere")
    yield Stop("error", tag)


WALKS = [
    ("staff", "de", walk_staff),
    ("staff", "en", walk_staff),
    ("public", "de", walk_public),
    ("public", "en", walk_public),
    ("public", "ar", walk_public),
]
