"""Sentences become exact bytes: HTML through one Jinja environment per language, or plain text.

The pages of the site go through the same environments, so that there is one place where text
becomes markup, and one set of rules for escaping.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape  # noqa: TID251 - this is the one place

from explainer.core.disclosure import Audience, Told
from explainer.text.catalogs import Catalog, catalog
from explainer.text.languages import Language, read_once
from explainer.text.level import simple_html, simple_lines
from explainer.text.sentences import (
    ReasonText,
    Sentences,
    contact_lines,
    translation_banner,
)
from explainer.text.values import (
    FIRST_STRONG_ISOLATE,
    LEFT_TO_RIGHT_ISOLATE,
    POP_ISOLATE,
    WORD_JOINER,
)
from explainer.text.voice import Voice
from explainer.text.wording import VALUE

TEMPLATES = Path(__file__).resolve().parent / "templates"


def isolated(text: object) -> str:
    """Escape, and write Unicode isolates as `<bdi>`, which browsers and readers know better."""
    escaped = str(escape(text))
    for opening, tag in (
        (FIRST_STRONG_ISOLATE, "<bdi>"),
        # whole markup, and nothing that ends an attribute it might come to stand in
        (LEFT_TO_RIGHT_ISOLATE, "<bdi dir='ltr'>"),
        (POP_ISOLATE, "</bdi>"),
    ):
        escaped = escaped.replace(opening, tag)
    return Markup(escaped)  # noqa: S704 - everything but our three tags was escaped above


@lru_cache(maxsize=64)
def environment(language: Language, *, staff: bool, extra: Path | None = None) -> Environment:
    """One full environment per language: an overlay would share its translations.

    `extra` is a further folder of templates, that of the site.
    """
    return environment_of(catalog(language, staff=staff), extra)


def environment_of(words: Catalog, extra: Path | None = None) -> Environment:
    """An environment that speaks with `words`, made anew."""
    env = Environment(
        loader=ChoiceLoader(
            [FunctionLoader(_document), *([FileSystemLoader(extra)] if extra else [])]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        # without a language nothing is shown, so nothing is looked up lazily
        auto_reload=False,
        finalize=_finalize,
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_callables(  # type: ignore[attr-defined]
        words.gettext,
        words.ngettext,
        newstyle=True,
        pgettext=words.pgettext,
        npgettext=words.npgettext,
    )
    return env


def _document(name: str) -> tuple[str, str, Callable[[], bool]] | None:
    """A template of documents, in the bytes its version is taken of; None where it is none."""
    path = TEMPLATES / name
    try:
        return read_once(path).decode(), str(path), lambda: True
    except FileNotFoundError:
        return None


def _finalize(value: Any) -> Any:
    """Values that carry isolates become markup at the edge; everything else is left alone."""
    if isinstance(value, str) and not isinstance(value, Markup) and POP_ISOLATE in value:
        return isolated(value)
    return value


def render_html(sentences: Sentences, language: Language) -> Told:
    """The explanation as an HTML fragment, in exactly these bytes."""
    staff = sentences.audience.value == "caseworker"
    template = environment(language, staff=staff).get_template(f"{sentences.audience}/page.html")
    body = leveled(template.render(s=sentences), language)
    return Told(body.encode(), "text/html; charset=utf-8", language.tag, sentences.audience)


def leveled(html: str, language: Language) -> str:
    """A rendered page or document, as its level of German has it."""
    return simple_html(html, language.tag) if language.level else html


def as_markup(told: Told) -> str:
    """A document that was rendered here, to be set into a page of the site as it is."""
    if not told.media_type.startswith("text/html"):
        raise ValueError("only HTML can be set into a page")
    return Markup(told.body.decode())  # noqa: S704 - rendered and escaped by render_html


def render_text(sentences: Sentences, language: Language) -> Told:
    """The explanation as plain text, one sentence group a line."""
    # a text is not laid out, so nothing has to be kept from being torn apart
    body = "\n".join(_lines(sentences, language)).strip().replace(WORD_JOINER, "") + "\n"
    if sentences.dir == "ltr":
        # nothing to isolate where all runs one way; terminals show the marks as boxes
        for mark in (FIRST_STRONG_ISOLATE, LEFT_TO_RIGHT_ISOLATE, POP_ISOLATE):
            body = body.replace(mark, "")
    if language.level:
        body = "\n".join(line for each in body.split("\n") for line in simple_lines(each))
    return Told(body.encode(), "text/plain; charset=utf-8", language.tag, sentences.audience)


def _lines(s: Sentences, language: Language) -> Iterator[str]:
    """What the templates hold, heading by heading: nobody reads less for reading it in text."""
    colon = catalog(language).sentence("told.headed")

    def headed(heading: str) -> str:
        return colon.replace(VALUE, heading)

    if s.banner:
        yield s.banner
        yield ""
    title = s.heading["contributed"]
    yield language.capitals(title) if s.dir == "ltr" else title
    yield ""
    yield from s.role
    yield from s.decided
    yield from (
        line
        for line in (s.suggestion, *s.warnings, s.comparison, s.contrast, s.withheld or "")
        if line
    )
    if s.frame and not s.withheld:
        yield ""
        yield s.frame["quoted"]
        yield ""
    yield from s.opening
    for side in ("towards", "away", "unclear"):
        reasons: tuple[ReasonText, ...] = getattr(s, side)
        if reasons:
            yield ""
            yield headed(s.heading[side])
            for reason in reasons:
                yield from _reason_lines(reason)
    yield ""
    if s.rest:
        yield s.rest
    if s.frame:
        yield ""
        yield headed(s.frame["not_shown"])
    yield from s.limits
    if s.rows:
        # the caption of the page explains its bars; here are none
        yield ""
        yield headed(s.frame["table"])
        yield f"  {s.frame['information']}: {s.frame['value']} – {s.frame['effect']}"
    for row in s.rows:
        above = f". {s.frame['above']}" if row.shown else ""
        yield f"  {row.label}: {row.value} – {row.effect}{above}"
    if s.correct:
        yield ""
        yield headed(s.heading["correct"])
        yield from s.correct
        yield from s.contact


def _reason_lines(reason: ReasonText) -> Iterator[str]:
    if reason.label:
        yield f"- {reason.label}"
        yield f"  {reason.text}"
    else:
        yield f"- {reason.text}"
    yield f"  {reason.strength}{f' ({reason.parts})' if reason.parts else ''}"
    for note in reason.notes:
        yield f"  {note}"
    for note in reason.staff_notes:
        # the stroke the heading speaks of
        yield f"  | {note}"
    if reason.provenance:
        yield f"  {reason.provenance}"


def render_plainly(audience: Audience, voice: Voice, form: str = "html") -> Told:
    """What is left to say where even the text about a missing explanation was refused: that there
    is none, and whom to call.

    Whole sentences one after the other, by no template and with no slot, so that what went wrong
    there cannot reach them.
    """
    language, staff = voice.language, audience is Audience.CASEWORKER
    banner = translation_banner(voice.catalog, language, package_reviewed=voice.wording.reviewed)
    said = [banner] if banner else []
    said.append(voice.say(f"{'staff.told' if staff else 'told'}.plainly"))
    said += () if staff else contact_lines(voice)
    if form == "text":
        body = "\n".join(said).replace(WORD_JOINER, "") + "\n"
        return Told(body.encode(), "text/plain; charset=utf-8", language.tag, audience)
    lines = "".join(f'<p class="w-text">{escape(line)}</p>\n' for line in said)
    head = f'<article class="w-told" lang="{language.tag}" dir="{language.dir}">'
    body = leveled(f"{head}\n{lines}</article>", language)
    return Told(body.encode(), "text/html; charset=utf-8", language.tag, audience)


def standalone(told: Told, language: Language, title: str) -> str:
    """A whole HTML document around an explanation, for a file that is opened by itself."""
    template = environment(language, staff=False).get_template("_base/document.html")
    page = template.render(told=as_markup(told), lang=language.tag, dir=language.dir, title=title)
    return leveled(page, language)
