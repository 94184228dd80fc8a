"""The sheet on which somebody reads a translation: German, the translation, and where it stands.

One file of HTML without anything from outside, to be read on screen or paper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape, unescape
from pathlib import Path

from babel.messages.catalog import Catalog as PoCatalog

from explainer.text.extract import messages_of, template_files
from explainer.text.languages import Language
from explainer.text.translation import SLOT, Finding, Wanted, strings_of

_BLOCK = re.compile(
    r"<(p|h[1-4]|summary|caption|dt|dd|legend|label|button|li|td|th|span)\b[^>]*>"
    r"((?:(?!<(?:p|h[1-4]|dd?|ul|li|table|div|section)\b).)*?)</\1>",
    re.DOTALL,
)
_LINE = re.compile(r"{%\s*(?:end)?trans[^%]*%}")
_JINJA = re.compile(r"{#.*?#}|{%.*?%}", re.DOTALL)

STYLE = """
body { font: 1rem/1.5 "Noto Sans", "Fira Sans", system-ui, sans-serif; margin: 2rem auto;
       max-width: 84rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #777; padding: .5rem; text-align: start; vertical-align: top;
         width: 28%; }
th:first-child, td:first-child { width: 3rem; }
tr { break-inside: avoid; }
.text { display: block; white-space: pre-line; }
.key { font: .75rem monospace; color: #555; overflow-wrap: anywhere; }
.page { border: 1px solid #bbc; border-radius: .4rem; padding: .4rem .7rem;
        background: #f6f7fb; font-size: .875rem; }
.page p { margin: .3rem 0; }
mark { background: #ffe58a; }
.found { color: #8a1c00; }
.sign { margin-block: 2rem; }
.sign span { display: inline-block; border-bottom: 1px solid #000; min-width: 16rem; }
@media print { .page { background: none; } }
"""
ASKED = (
    "Bitte lesen Sie jede Zeile.",
    "Sagt die Übersetzung genau das, was der deutsche Satz sagt, nicht mehr und nicht weniger?",
    "Ist „dafür“ wirklich dafür und „dagegen“ dagegen?",
    "Sind Anrede und Wörter so, wie ein Amt in dieser Sprache schreibt, und leicht zu verstehen?",
    "Rechts steht ein Stück einer Seite, auf der der Satz vorkommt.",
)
"""In German: whoever compares with German reads it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A piece of a page: texts in their order, and which of them is meant."""

    page: str
    texts: tuple[str, ...]
    at: int
    lang: str
    dir: str


@dataclass(frozen=True, slots=True)
class Row:
    """A message on the sheet."""

    key: str
    german: tuple[str, ...]
    said: tuple[str, ...]
    picture: Picture | None
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page or document: its texts in German and, where it is whole, in the language."""

    name: str
    german: tuple[str, ...]
    translated: tuple[str, ...] | None


def texts_of(html: str) -> tuple[str, ...]:
    """What stands in the innermost blocks of a page, in order."""
    found = (unescape(re.sub(r"<[^>]*>", "", inner)) for _, inner in _BLOCK.findall(html))
    return tuple(text for text in (" ".join(one.split()) for one in found) if text)


def rows(
    language: Language,
    po: PoCatalog,
    wanted: Iterable[Wanted],
    findings: Sequence[Finding],
    pages: Sequence[Page],
) -> Iterator[Row]:
    """Every message with what a program found, and a piece of a page where it stands."""
    look = _places(pages)
    for one in wanted:
        id_ = one.sources if len(one.sources) > 1 else one.sources[0]
        message = po.get(id_, context=one.context)
        yield Row(
            one.key,
            one.sources,
            strings_of(message) if message is not None else ("",),
            look(one.sources[0], language),
            tuple(f"{f.says} [{f.rule}]" for f in findings if f.key == one.key),
        )


def with_siblings(all_rows: Sequence[Row], language: Language) -> list[Row]:
    """Rows whose sentence stands on no page here get the place where another of its kind stands.

    Of a kind are keys that differ only in their last part: all stand in the same place.
    """
    known: dict[str, Picture] = {}
    for row in all_rows:
        if row.picture is not None:
            for kind in _kinds(row.key):
                known.setdefault(kind, row.picture)
    found = []
    for row in all_rows:
        place = next((known[kind] for kind in _kinds(row.key) if kind in known), None)
        if row.picture is None and place is not None:
            own = row.german[0] if place.lang == "de" else row.said[0]
            texts = (*place.texts[: place.at], own, *place.texts[place.at + 1 :])
            row = replace(row, picture=replace(place, texts=texts))
        found.append(row)
    return found


def _kinds(key: str) -> Iterator[str]:
    """What a key begins with, the longest first: `told.role_`, `told.role` for `told.role_ai`."""
    if re.fullmatch(r"[a-z_.|0-9]+", key):
        parts = re.split(r"([.|_])", key)
        # not so far that it is only the name of a document
        yield from ("".join(parts[:at]) for at in range(len(parts), 2, -1))


def _places(pages: Sequence[Page]) -> Callable[[str, Language], Picture | None]:
    """Where a German text stands, slots filled in, as a function of it."""

    def look(german: str, language: Language) -> Picture | None:
        plain = unescape(re.sub(r"<[^>]*>", "", german))
        if len(re.findall(r"[^\W\d_]", plain)) < 2:
            return None  # a comma stands everywhere
        parts = (re.escape(" ".join(part.split())) for part in SLOT.split(f" {plain} "))
        slots = r"\s*.{0,80}?\s*".join(parts).strip()
        pattern = re.compile(rf"(?<!\w){slots}(?!\w)")
        best: Picture | None = None
        for page in pages:
            for at, text in enumerate(page.german):
                found = pattern.search(text)
                if found is None:
                    continue
                piece = _piece(page, at, language)
                if found.span() == (0, len(text)):
                    return piece
                best = best or piece
        return best

    return look


def _piece(page: Page, at: int, language: Language) -> Picture:
    """The text, the one before and the one after; translated where that page is."""
    whole = page.translated is not None and len(page.translated) == len(page.german)
    texts = page.translated if whole and page.translated is not None else page.german
    first = max(0, at - 1)
    lang, dir_ = (language.tag, language.dir) if whole else ("de", "ltr")
    return Picture(page.name, texts[first : at + 2], at - first, lang, dir_)


def template_pages(root: Path, say: Callable[[str], str] | None) -> list[Page]:
    """The pages of the site as their templates have them, slots as an ellipsis.

    `say` gives the translation of a German text; without it the pages are German only.
    """
    found = []
    for path in template_files(root):
        name = path.relative_to(root).as_posix()
        german = path.read_text("utf-8")
        html = [_bare(german)]
        if say is not None:
            translated = german
            # the longest first: one text may be the beginning of another
            texts = {str(m) for m, _ in messages_of(path) if isinstance(m, str)}
            for text in sorted(texts, key=len, reverse=True):
                translated = _exchanged(translated, text, say(text))
            html.append(_bare(translated))
        texts_by_language = [texts_of(one) for one in html]
        found.append(Page(name, texts_by_language[0], texts_by_language[1] if say else None))
    return found


def _exchanged(template: str, german: str, said: str) -> str:
    slots = re.sub(r"%\(([a-z_]+)\)s", r"{{ \1 }}", german)
    pattern = (
        r"\s+".join(map(re.escape, slots.split())).replace(r"\{\{", r"{{").replace(r"\}\}", "}}")
    )
    safe = re.sub(r"%\(([a-z_]+)\)s", r"{{ \1 }}", said)
    return re.sub(rf"(%}}\s*|_\(\"){pattern}(?=\s*{{%|\"\))", lambda m: m[1] + safe, template)


def _bare(template: str) -> str:
    calls = re.sub(r"{{[^{}]*?_\(\"([^\"]*)\"\)[^{}]*}}", r"<p>\1</p>", template)
    return re.sub(r"{{.*?}}", "…", _JINJA.sub("", _LINE.sub("", calls)))


def sheet(language: Language, about: str, digest: str, sign: str, all_rows: Sequence[Row]) -> bytes:
    """The whole file. `digest` is that of what is read, `sign` the command that records it."""
    done = sum(all(text.strip() for text in row.said) for row in all_rows)
    body = "\n".join(_row(number, row, language) for number, row in enumerate(all_rows, start=1))
    name = f'<span lang="{language.tag}" dir="{language.dir}">{escape(language.autonym)}</span>'
    blank = "<span>&nbsp;</span>"
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="de"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(language.tag)}: {escape(about)}</title>",
            f"<style>{STYLE}</style></head><body>",
            f"<h1>{escape(about)}: Deutsch – {name}</h1>",
            f"<p>{done} von {len(all_rows)} Texten sind übersetzt.",
            f"Prüfsumme: <code>{digest[:16]}</code></p>",
            f"<p>{' '.join(map(escape, ASKED))}</p>",
            "<table><thead><tr><th>Nr.</th><th>Deutsch</th><th>Übersetzung</th>",
            f"<th>Wo es steht</th></tr></thead><tbody>{body}</tbody></table>",
            f'<div class="sign"><p>Gelesen und für richtig befunden: {blank} am {blank}</p>',
            f"<p>Festgehalten wird das mit: <code>{escape(sign)}</code></p></div>",
            "</body></html>\n",
        )
    ).encode()


def _row(number: int, row: Row, language: Language) -> str:
    german = "<br>".join(f'<span class="text">{escape(text)}</span>' for text in row.german)
    said = "<br>".join(
        f'<span class="text" lang="{language.tag}" dir="{language.dir}">{escape(text)}</span>'
        for text in row.said
    )
    found = "".join(f'<p class="found">{escape(text)}</p>' for text in row.findings)
    return (
        f'<tr><td>{number}</td><td>{german}<div class="key">{escape(row.key)}</div></td>'
        f"<td>{said}{found}</td><td>{_picture(row.picture)}</td></tr>"
    )


def _picture(picture: Picture | None) -> str:
    if picture is None:
        return ""
    lines = (
        f"<p>{f'<mark>{escape(text)}</mark>' if at == picture.at else escape(text)}</p>"
        for at, text in enumerate(picture.texts)
    )
    return (
        f'<div class="key">{escape(picture.page)}</div>'
        f'<div class="page" lang="{picture.lang}" dir="{picture.dir}">{"".join(lines)}</div>'
    )
