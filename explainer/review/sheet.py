"""The sheet on which somebody reads a translation: German, the translation, what and where it is.

One file of HTML without anything from outside, to be read on screen or paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from babel.messages.catalog import Catalog as PoCatalog

from explainer.review.pictures import Picture, PictureLine, Truth
from explainer.text.languages import Language
from explainer.text.translation import SLOT, Finding, Wanted, strings_of

STYLE = """
:root { color-scheme: light; }
body { font: 1rem/1.5 "Noto Sans", "Fira Sans", system-ui, sans-serif; margin: 2rem auto;
       max-width: 100rem; padding: 0 1rem; color: #111; background: #fff; }
h1 { font-size: 1.6rem; }
:focus-visible { outline: 3px solid #0b4f9e; outline-offset: 2px; }
@media (max-width: 60rem) { .wide { overflow-x: auto; } table { min-width: 56rem; } }
table { border-collapse: collapse; width: 100%; }
caption { text-align: start; padding-block: .5rem; font-weight: 600; }
thead th { position: sticky; top: 0; background: #e8ebf2; }
th, td { border: 1px solid #777; padding: .5rem; text-align: start; vertical-align: top;
         font-weight: 400; overflow-wrap: anywhere; }
thead th { font-weight: 600; }
tbody tr:target { background: #fff6d6; }
.number { width: 3rem; } .german, .said { width: 24%; } .what { width: 15%; }
tr { break-inside: avoid; }
.text { display: block; white-space: pre-line; overflow-wrap: break-word; }
.text + .text { margin-block-start: .5rem; }
.key { font: .75rem/1.4 monospace; color: #555; }
.what p { margin: 0 0 .4rem; font-size: .875rem; }
.from { font-size: .8125rem; color: #444; margin: 0 0 .3rem; }
.form { font-size: .8125rem; font-weight: 600; margin: 0 0 .3rem; }
.page + .form, .from + .form { margin-block-start: .8rem; }
.page { border: 1px solid #99a; border-radius: .4rem; padding: .4rem .7rem;
        background: #f6f7fb; font-size: .875rem; overflow-wrap: break-word; }
.page p { margin: .25rem 0; text-align: start; }
.lines p { white-space: pre-line; }
.page :is(.h1, .h2, .h3, .h4, .dt) { font-weight: 700; }
.page .h1 { font-size: 1.25rem; } .page .h2 { font-size: 1.1rem; }
.page .button { border: 2px solid #335; border-radius: .3rem; padding: .15rem .6rem;
                width: fit-content; font-weight: 600; }
.page .checkbox::before { content: "☐ "; } .page .radio::before { content: "○ "; }
.page .option::before { content: "▾ "; }
.page .summary::before { content: "▸ "; } .page .label { font-weight: 600; }
.page .notice { border: 1px solid #558; border-radius: .3rem; padding: .3rem .6rem; }
.page .cell { display: inline-block; border: 1px solid #aab; padding: .1rem .4rem; margin: .1rem; }
.page .title { border: 1px solid #889; border-radius: .4rem .4rem 0 0; background: #fff;
               padding: .2rem .6rem; width: fit-content; }
mark { background: #ffe58a; color: inherit; padding-block: .1em;
       text-decoration: underline 2px #7a5c00; text-underline-offset: .2em;
       print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.found { color: #8a1c00; }
.sign { margin-block: 2rem; border: 2px solid #111; padding: 1rem; break-inside: avoid; }
.sign span { display: inline-block; border-bottom: 1px solid #000; min-width: 16rem; }
code { overflow-wrap: anywhere; }
@media print { html { font-size: 62%; } body { margin: 0; max-width: none; padding: 0; }
               .page { background: none; } thead th { position: static; }
               .wide { overflow: visible; } table { min-width: 0; } }
@page { size: A4 landscape; margin: 1cm; }
"""
ASKED = (
    "Bitte lesen Sie jede Zeile.",
    "Sagt die Übersetzung genau das, was der deutsche Satz sagt, nicht mehr und nicht weniger?",
    "Ist „dafür“ wirklich dafür und „dagegen“ dagegen?",
    "Sind Anrede und Wörter so, wie ein Amt in dieser Sprache schreibt, und leicht zu verstehen?",
    "Rechts steht ein Stück einer Seite, auf der der Text vorkommt; "
    "er selbst ist gelb und unterstrichen. Drei Punkte stehen dort für Angaben zum Fall.",
)
"""In German: whoever compares with German reads it."""

NOTES = {
    Truth.MADE: "Ein Fall wie die aufgezeichneten, mit anderen Angaben gerechnet.",
    Truth.EVERY_REASON: "Ein gerechneter Fall, in dem ausnahmsweise jeder Grund steht, "
    "auch einer mit wenig Einfluss.",
    Truth.INVENTED: "Ein ausgedachtes Beispiel: "
    "In keinem der Fälle, die gerechnet wurden, steht dieser Text.",
    Truth.FORESEEN: "Die Seite kann diesen Text zeigen; "
    "zurzeit gibt es keinen Fall, in dem sie es tut.",
}
"""What is said of a picture that is not of a recorded case."""

_ATTRIBUTE = {"spoken": "Wird nur vorgelesen:", "narrow": "Nur auf schmalen Bildschirmen:"}
_TITLE = "Titel des Fensters:"

_ABOUT = (
    ("told.role", "Was das Programm bei dem Antrag getan hat"),
    ("told.heading.", "Überschrift in der Erklärung"),
    ("told.missing.", "Hinweis bei einer Angabe, die fehlt"),
    ("told.strength.", "Wie groß der Einfluss einer Angabe war"),
    ("told.opening.", "Erster Satz über die Gründe"),
    ("told.rest.", "Satz über alle übrigen Angaben"),
    ("told.limit.", "Was den Vorschlag unsicher macht"),
    ("told.unit.", "Eine Zahl mit ihrer Einheit"),
    ("told.one.", "Eine Dauer, wo die Sprache ohne Zahl auskäme"),
    ("told.", "Satz in der Erklärung für die antragstellende Person"),
    ("staff.error.", "Hinweis an einem Feld, das falsch ausgefüllt ist"),
    ("staff.frame.", "Wörter um die Erklärung für die Sachbearbeitung"),
    ("staff.effect.", "Wirkung einer Angabe, in der Tabelle"),
    ("staff.missing.", "In der Tabelle: warum eine Angabe fehlt"),
    ("staff.personal.", "Was in einer Notiz nicht stehen soll"),
    ("staff.witness.", "Nachricht an die Fachaufsicht"),
    ("staff.", "Satz für die Sachbearbeitung"),
    ("error.", "Seite über einen Fehler"),
    ("package|", "Name des Programms oder der Leistung"),
    ("comparison|", "Womit das Programm vergleicht"),
    ("source|", "Woher eine Angabe stammt"),
    ("proxy|", "Geschütztes Merkmal, im Hinweis an die Sachbearbeitung"),
    ("contact|", "Anschrift und Erreichbarkeit"),
    ("checklist|", "Liste zum Ankreuzen: was das Programm nicht weiß"),
    ("demo|", "Hinweis der Vorführung"),
    ("amount|", "Der vorgeschlagene Betrag"),
)
_FORMS = {
    "label": "Name einer Angabe: Überschrift oder Zelle einer Tabelle",
    "help": "Erläuterung zu einer Angabe",
    "supply": "Was man nachreichen kann",
    "choice": "Antwort zur Auswahl",
    "reason": "Grund, ein ganzer Satz",
    "suggested": "Was das Programm vorgeschlagen hat, an die antragstellende Person",
    "suggested_staff": "Was das Programm vorgeschlagen hat, an die Sachbearbeitung",
    "decided": "Was das Amt entschieden hat",
    "decide": "Entscheidung zur Auswahl",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A message on the sheet.

    `places` are pictures of where it stands, one for each of its plural forms; for one without a
    picture why no page contains it, and nothing where there is none so far.
    """

    key: str
    about: tuple[str, ...]
    german: tuple[str, ...]
    said: tuple[str, ...]
    places: tuple[Picture | str, ...]
    findings: tuple[str, ...]

    @property
    def shown(self) -> bool:
        """Whether there is a picture of it."""
        return any(isinstance(place, Picture) for place in self.places)


def rows(
    po: PoCatalog,
    wanted: Iterable[Wanted],
    findings: Sequence[Finding],
    places: Callable[[Wanted], Iterable[Picture | str]],
) -> Iterator[Row]:
    """Every message with what a program found, and where it stands."""
    for one in wanted:
        id_ = one.sources if len(one.sources) > 1 else one.sources[0]
        message = po.get(id_, context=one.context)
        yield Row(
            one.key,
            tuple(_about(one)),
            one.sources,
            strings_of(message) if message is not None else ("",),
            tuple(places(one)),
            tuple(f"{f.says} [{f.rule}]" for f in findings if f.key == one.key),
        )


def _about(one: Wanted) -> Iterator[str]:
    """What kind of text it is, and what its slots are for."""
    key = one.context or ""
    first, *parts = key.split("|")
    if first == "feature":
        yield f"Angabe „{parts[0]}“"
        yield _FORMS.get(parts[1], "")
        if parts[1] == "reason":
            yield f"Spricht für: {parts[2]}"
        if parts[-1] == "missing":
            yield "Die Angabe fehlt"
    elif first == "outcome":
        yield f"Ergebnis „{parts[0]}“"
        yield _FORMS.get(parts[-1], "")
    elif one.context is None:
        yield "Text auf einer Seite"
    else:
        yield next((says for begins, says in _ABOUT if key.startswith(begins)), "")
    if len(one.sources) > 1:
        yield "Mehrere Formen: Einzahl und Mehrzahl"
    slots = dict.fromkeys(SLOT.findall(" ".join(one.sources)))
    if slots:
        yield f"Hier kommt etwas hinein: {', '.join(slots)}"


def sheet(language: Language, about: str, digest: str, sign: str, all_rows: Sequence[Row]) -> bytes:
    """The whole file. `digest` is that of what is read, `sign` the command that records it."""
    done = sum(all(text.strip() for text in row.said) for row in all_rows)
    shown = sum(row.shown for row in all_rows)
    body = "\n".join(_row(number, row, language) for number, row in enumerate(all_rows, start=1))
    name = f'<bdi lang="{language.tag}" dir="{language.dir}">{escape(language.autonym)}</bdi>'
    blank = "<span>&nbsp;</span>"
    faulty = [number for number, row in enumerate(all_rows, start=1) if row.findings]
    links = ", ".join(f'<a href="#t{number}">{number}</a>' for number in faulty)
    found = f"<p>Ein Programm hat etwas gefunden in: {links}</p>" if faulty else ""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="de"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(language.tag)}: {escape(about)}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            f"<h1>{escape(about)}: Deutsch – {name}</h1>",
            f"<p>{done} von {len(all_rows)} Texten sind übersetzt.",
            f"Von {shown} ist zu sehen, wo sie stehen.",
            f"Prüfsumme: <code>{digest[:16]}</code></p>",
            f"<p>{' '.join(map(escape, ASKED))}</p>{found}",
            '<p><a href="#sign">Zur Unterschrift</a></p>',
            '<div class="wide" role="region" aria-labelledby="texts" tabindex="0">',
            f'<table><caption id="texts">{len(all_rows)} Texte</caption>',
            '<thead><tr><th scope="col" class="number">Nr.</th>',
            '<th scope="col" class="german">Deutsch</th>',
            f'<th scope="col" class="said">{name}</th>',
            '<th scope="col" class="what">Was es ist</th>',
            f'<th scope="col">Wo es steht</th></tr></thead><tbody>{body}</tbody></table></div>',
            '<section class="sign" id="sign" aria-label="Unterschrift">',
            f"<p>Ich habe alle {len(all_rows)} Texte gelesen und finde sie richtig.</p>",
            f"<p>Name: {blank} Datum: {blank} Unterschrift: {blank}</p>",
            f"<p>Festgehalten wird das mit: <code>{escape(sign)}</code></p></section>",
            "</main></body></html>\n",
        )
    ).encode()


def _row(number: int, row: Row, language: Language) -> str:
    german = "".join(f'<span class="text">{escape(text)}</span>' for text in row.german)
    said = "".join(
        f'<span class="text" lang="{language.tag}" dir="{language.dir}">{escape(text)}</span>'
        for text in row.said
    )
    found = "".join(f'<p class="found">{escape(text)}</p>' for text in row.findings)
    about = "".join(f"<p>{escape(text)}</p>" for text in row.about if text)
    # a text without a name of its own goes by its German words
    named = not row.german[0].startswith(row.key)
    key = f'<div class="key">{escape(row.key)}</div>' if named else ""
    return (
        f'<tr id="t{number}"><th scope="row" class="number">{number}</th><td>{german}</td>'
        f"<td>{said}{found}</td>"
        f'<td class="what">{about}{key}</td>'
        f"<td>{''.join(_places(row, language))}</td></tr>"
    )


def _places(row: Row, language: Language) -> Iterator[str]:
    for number, place in enumerate(row.places, start=1):
        if len(row.places) > 1:
            yield f'<p class="form">Form {number} von {len(row.places)}</p>'
        if isinstance(place, Picture):
            yield _picture(place, language)
        else:
            yield f'<p class="from">{escape(place or _NO_PICTURE)}</p>'


def _picture(picture: Picture, language: Language) -> str:
    note = NOTES.get(picture.truth, "")
    if picture.lang != language.tag:
        note = f"{_IN_GERMAN} {note}".strip()
    lines = "".join(_line(line, picture) for line in picture.lines)
    level = " lines" if "simple" in picture.lang else ""
    return (
        f'<p class="from"><strong>{escape(picture.page)}</strong> {escape(note)}</p>'
        f'<div class="page{level}" lang="{picture.lang}" dir="{picture.dir}">{lines}</div>'
    )


_NO_PICTURE = "Ein Bild davon gibt es, sobald die Übersetzung keine Fehler mehr hat."
_IN_GERMAN = "Diese Seite gibt es in der Sprache nicht; hier ist die deutsche."


def _line(line: PictureLine, picture: Picture) -> str:
    # the pieces were escaped where the page was rendered
    text = re.sub(r"[ \t]*\n\s+", " ", "".join(_marked(*piece) for piece in line.pieces)).strip()
    other = f' lang="{line.lang}" dir="{line.dir}"' if line.lang != picture.lang else ""
    before = {**_ATTRIBUTE, "title": _TITLE}.get(line.kind)
    said = f'<span class="from" lang="de" dir="ltr">{before}</span> ' if before else ""
    return f'<p class="{line.kind}"{other}>{said}{text}</p>'


def _marked(text: str, meant: bool) -> str:
    return f"<mark>{text}</mark>" if meant and text.strip() else text
