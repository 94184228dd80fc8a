"""Pages in the plainer level of German: lines, emphasis, and what it may call itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from offices import Office, decide_by_form, demo_settings, open_office
from pseudo import BANNER, plain_german, speaking

from explainer.core.disclosure import Audience
from explainer.packages.bundled import find_package
from explainer.pipeline import explain, tell
from explainer.text import languages
from explainer.text.languages import language
from explainer.text.level import simple_html, simple_lines

TAG = "de-simple"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("plain")
    with plain_german(folder / "locales"):
        package = speaking(
            find_package("unemployment_benefit"),
            folder / "unemployment_benefit",
            tag=TAG,
            say=lambda text: text,
        )
        opened = open_office(demo_settings(folder / "data", package), 6)
        decide_by_form(opened.visitor("caseworker"), opened.cases[0].id)
        opened.tools.seals.now()
        yield opened
        opened.tools.close()


def lines_of(body: str) -> list[str]:
    """What is read on one line: between two tags of blocks or two line feeds."""
    inline = re.sub(r"</?(?:bdi|strong|a)\b[^>]*>", "", body)
    return [" ".join(line.split()) for line in re.split(r"<[^>]*>|\n", inline) if line.strip()]


def test_every_sentence_begins_a_line_and_words_that_turn_it_round_are_bold(office: Office) -> None:
    applicant = office.visitor("applicant", office.cases[0].id)
    answer = applicant.get(f"/application?lang={TAG}")
    assert answer.lang == TAG
    told = answer.body[answer.body.index("<article") : answer.body.index("</article>")]
    several = [line for line in lines_of(told) if re.search(r"[a-zäöü][.!?] [A-ZÄÖÜ]", line)]
    assert several == []
    assert "entscheidet <strong>nicht</strong>." in told
    assert not re.search(r"(?<!<strong>)\bnicht\b", re.sub(r"<bdi>.*?</bdi>", "", told))
    # in German itself nothing of the kind
    assert "<strong>" not in applicant.get("/application?lang=de").body


def test_what_is_recorded_as_told_stands_in_the_page_byte_by_byte(office: Office) -> None:
    applicant = office.visitor("applicant", office.cases[0].id)
    body = applicant.get(f"/application?lang={TAG}").body
    told = str(office.entries()[-1].payload["told"])
    assert "<strong>nicht</strong>" in told
    assert told.strip() in body


def test_a_draft_says_so_and_does_not_call_itself_leichte_sprache(office: Office) -> None:
    visitor = office.visitor("applicant", office.cases[0].id)
    for path in ("/", "/application", "/accessibility", "/nowhere"):
        body = visitor.get(f"{path}?lang={TAG}").body
        says = "Das ist ein Entwurf.\nNoch <strong>niemand</strong> hat den Text geprüft."
        # what is kept of the explanation says it, too
        assert body.count(says) == (2 if path == "/application" else 1), path
        # the statement on accessibility says that there is none
        assert "Leichte Sprache" not in body.replace("Leichte Sprache und Gebärdensprache", "")
        assert "Deutsch – einfach (Entwurf)" in body


def test_a_level_is_never_inferred(office: Office) -> None:
    for header in ("de", "de-DE", "de-AT, en;q=0.5", "de-x-simple", "*"):
        assert office.visitor(**{"accept-language": header}).get("/").lang == "de"
    for header in ("de-simple", "de-simple-x-leicht", "de-DE-simple", "vi-x-y, DE-Simple;q=0.1"):
        assert office.visitor(**{"accept-language": header}).get("/").lang == TAG


def test_a_plain_text_has_a_line_for_each_sentence(office: Office) -> None:
    package = office.tools.packages["unemployment_benefit"]
    from explainer.core.case import read_case

    case = read_case(package.golden[0].case, package.catalogue)
    explanation = explain(case, package, package.manifest.created)
    told = tell(explanation, Audience.APPLICANT, language(TAG), package, form="text").body.decode()
    assert "Das ist ein Entwurf. \nNoch niemand hat den Text geprüft.\n" in told
    assert not re.search(r"[a-zäöü][.!?] [A-ZÄÖÜ]", told)
    joined = told.replace(" \n", " ")
    german = tell(explanation, Audience.APPLICANT, language("de"), package, form="text")
    squeezed = [" ".join(line.split()) for line in joined.splitlines()]
    assert [*BANNER.values(), ""] == squeezed[:2]
    # money is spelled out at this level
    spelled = re.sub(r"(\d),00\s\$", r"\1 US-Dollar", german.body.decode())
    assert "US-Dollar" in spelled
    assert squeezed[2:] == [" ".join(x.split()) for x in spelled.splitlines()]


def test_after_a_check_by_readers_it_is_called_by_its_name_until_its_text_changes(tmp_path) -> None:
    with plain_german(tmp_path / "locales"):
        row = languages.all_languages()[TAG]
        table = tmp_path / "locales" / "languages.toml"
        signed = (
            'status = "reviewed"\nreviewer = "Prüfgruppe"\nreviewed_on = "2026-03-01"\n'
            f'digest = "{languages.digest_of_words(row)}"'
        )
        table.write_text(table.read_text("utf-8").replace('status = "draft"', signed), "utf-8")
        languages.all_languages.cache_clear()
        checked = languages.all_languages()[TAG]
        assert (checked.status, checked.lapsed) == (languages.Status.REVIEWED, False)
        assert checked.autonym == "Deutsch – Leichte Sprache"
        po = tmp_path / "locales" / "de@simple" / "LC_MESSAGES" / "warum.po"
        po.write_text(po.read_text("utf-8").replace("Entwurf", "Vorschlag"), "utf-8")
        languages.all_languages.cache_clear()
        changed = languages.all_languages()[TAG]
        assert (changed.status, changed.lapsed) == (languages.Status.DRAFT, True)
        assert "Leichte Sprache" not in changed.autonym


SENTENCES = [
    ("Eins ist da. Zwei ist da.", ["Eins ist da.", "Zwei ist da."]),
    ("Am 1. März 2026. Danach nicht.", ["Am 1. März 2026.", "Danach <strong>nicht</strong>."]),
    (
        "Stimmt etwas nicht? Kein Problem!",
        ["Stimmt etwas <strong>nicht</strong>?", "<strong>Kein</strong> Problem!"],
    ),
    ("Es steht unter „Frist“. Dort.", ["Es steht unter „Frist“. Dort."]),
    ("Die Nichte ist sehrend. 2 Kinder.", ["Die Nichte ist sehrend.", "2 Kinder."]),
    ("Angabe: <bdi>Nicht da. Ja.</bdi>. Ende.", ["Angabe: <bdi>Nicht da. Ja.</bdi>.", "Ende."]),
    ('<span title="Kein Tip. So">Gut. So</span>', ['<span title="Kein Tip. So">Gut.', "So</span>"]),
    ('<p lang="de">Nicht so. So.</p>', ['<p lang="de">Nicht so. So.</p>']),
    ("<title>Kein Titel. Da</title>", ["<title>Kein Titel. Da</title>"]),
]


@pytest.mark.parametrize(("html", "lines"), SENTENCES)
def test_lines_and_emphasis_touch_nothing_but_sentences(html: str, lines: list[str]) -> None:
    once = simple_html(html, TAG)
    assert once == "\n".join(lines)
    assert simple_html(once, TAG) == once


def test_the_lines_of_a_note_stay_under_its_mark() -> None:
    assert list(simple_lines("  | Eins ist da. Zwei.")) == ["  | Eins ist da. ", "    Zwei."]
    assert list(simple_lines("")) == [""]
