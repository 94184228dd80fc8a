"""A page of the site: the frame every page shares, in one language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from explainer.errors import ExplainerError
from explainer.packages.package import ModelPackage
from explainer.text.catalogs import catalog
from explainer.text.languages import Language
from explainer.text.render import environment, leveled
from explainer.text.sentences import translation_banner
from explainer.text.values import moment
from service.web.language_choice import COOKIE, choose_language
from service.web.people import form_token, keep_session, session_of, tools_of
from service.web.problems import RETRY, status_of, words_of
from service.wiring import Tools

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


@dataclass(frozen=True, slots=True)
class LanguageLink:
    """One entry of the language switch."""

    tag: str
    autonym: str
    dir: str
    href: str
    current: bool


@dataclass(frozen=True, slots=True)
class InOtherWords:
    """A sentence on a page that is in another language than the page."""

    lang: str
    dir: str
    text: str


def language_for(request: Request, *, staff: bool, package: ModelPackage | None = None) -> Language:
    """The language of this page, of those whole for the site and for the package."""
    default = "" if package is None else package.manifest.default_language
    return _chosen(request, tools_of(request).languages_of(package, staff=staff), default)


def _chosen(request: Request, offered: Sequence[Language], default: str = "") -> Language:
    return choose_language(
        offered,
        asked=request.query_params.get("lang"),
        kept=request.cookies.get(COOKIE),
        accepted=request.headers.get("accept-language"),
        default=default,
    )


def _not_in(request: Request, shown: Language, package: ModelPackage | None) -> list[InOtherWords]:
    """That this page is not there in the language its reader asked for, in that language if the
    site speaks it; nothing where it is."""
    wanted = language_for(request, staff=False)
    asked = (request.query_params.get("lang") or "").lower()
    if package is not None and wanted != shown:
        speaks = wanted
    elif asked and asked not in {tag.lower() for tag in (shown.tag, *shown.aliases)}:
        speaks = shown
    else:
        return []
    words = catalog(speaks)
    text = words.sentence("error.language.not_offered")
    if shown.is_source:
        text = f"{text} {words.sentence('told.german_instead')}"
    return [InOtherWords(speaks.tag, speaks.dir, text)]


def page(
    request: Request,
    template: str,
    language: Language,
    *,
    staff: bool,
    package: ModelPackage | None = None,
    status: int = 200,
    errors: Sequence[tuple[str, str]] = (),
    here: str = "",
    **context: Any,
) -> Response:
    """Render a page of the site, with its frame.

    `here` is the address to come back to by a link, where it is not the one that was asked for: a
    form that comes back has none of its own.
    """
    tools = tools_of(request)
    session = session_of(request)
    response = _framed(
        template,
        language,
        tools.languages_of(package, staff=staff),
        here or request.url.path,
        status,
        staff=staff,
        package=package,
        person=session.person or None,
        notices=_notices(tools, language) if staff and session.person == "supervisor" else (),
        waiting=_waiting(tools, language) if staff else "",
        not_in=[] if staff else _not_in(request, language, package),
        demo=tools.settings.demo,
        form_token=form_token(request),
        errors=list(errors),
        **context,
    )
    keep_session(response, session, tools.secret)
    if request.query_params.get("lang", "").lower() == language.tag.lower():
        response.set_cookie(COOKIE, language.tag, max_age=31536000, samesite="lax", httponly=True)
    return response


def _waiting(tools: Tools, language: Language) -> str:
    """Why an agency's words may still be missing on a page of staff."""
    if tools.admitted.done:
        return ""
    return catalog(language, staff=True).sentence("error.service.starting")


def _notices(tools: Tools, language: Language) -> list[str]:
    """What supervision has to know of the witnesses, each sentence once."""
    now, words = tools.now(), catalog(language, staff=True)
    late = [one for one in tools.outside.standing() if one.late(now)]
    found = [words.sentence("staff.witness.alarm")] if any(one.alarm for one in late) else []
    open_since = [one.unwitnessed_since for one in late if one.unwitnessed_since is not None]
    if open_since:
        since = moment(min(open_since), language.locale)
        found.append(words.sentence("staff.witness.late").replace("{value}", since))
    return found


def _framed(
    template: str,
    language: Language,
    offered: Sequence[Language],
    path: str,
    status: int,
    *,
    staff: bool,
    package: ModelPackage | None = None,
    **context: Any,
) -> Response:
    links = [
        LanguageLink(one.tag, one.autonym, one.dir, f"{path}?lang={one.tag}", one == language)
        for one in offered
    ]
    body = (
        environment(language, staff=staff, extra=TEMPLATES)
        .get_template(template)
        .render(
            lang=language.tag,
            dir=language.dir,
            languages=links,
            path=path,
            # applicants are told at the top; the document says so once more wherever it is kept.
            # A page of staff that carries one has that document's own
            banner=None if staff and context.get("told_html") else _banner(language, package),
            in_german="" if language.is_source else f"{path}?lang=de",
            **context,
        )
    )
    return HTMLResponse(
        leveled(body, language),
        status,
        {"content-language": language.tag, "vary": "Cookie, Accept-Language"},
    )


def _banner(language: Language, package: ModelPackage | None) -> str | None:
    reviewed = package is None or package.wording(language).reviewed
    return translation_banner(catalog(language), language, package_reviewed=reviewed)


@dataclass(frozen=True, slots=True)
class Problem:
    """What the error page says."""

    title: str
    what: str
    where: str = ""
    mend: str = ""


def problem_page(
    request: Request, key: str, status: int, reference: str = "", mend: str = ""
) -> Response:
    """The error page, in words; `key` names the sentence."""
    language = language_for(request, staff=False)
    words = catalog(language)
    return page(
        request,
        "public/error.html",
        language,
        staff=False,
        here="" if request.method == "GET" else "/",
        status=status,
        problem=Problem(words.sentence("error.title"), words.sentence(key), "", mend),
        reference=reference,
        back_href="/",
    )


def fault_page(request: Request, fault: ExplainerError, reference: str = "") -> Response:
    return problem_page(request, words_of(fault), status_of(fault), reference)


def starting_page(request: Request, sent: Sequence[tuple[str, str]] = ()) -> Response:
    """The page in the place of a case whose package is still being admitted.

    `sent` is what a form came with: from here it can be sent again, so nothing has to be filled
    in twice. Nothing reloads by itself: that would take the page from under a screen reader.
    """
    response = page(
        request,
        "public/starting.html",
        language_for(request, staff=False),
        staff=False,
        here="" if request.method == "GET" else "/",
        status=503,
        sent=sent,
        action=request.url.path,
    )
    response.headers.update(RETRY)
    return response


def refusal_page(request: Request, fault: ExplainerError, offered: Sequence[Language]) -> Response:
    """The error page for a request that is turned away before it is of any visit.

    It makes no visit, and holds no token: another site's form brings no cookie of ours along, and
    an answer that sets one would put a new visit in the place of the visitor's own.
    """
    language = _chosen(request, offered)
    words = catalog(language)
    return _framed(
        "public/error.html",
        language,
        offered,
        "/",
        status_of(fault),
        staff=False,
        not_in=[],
        person=None,
        demo=False,
        form_token="",
        errors=[],
        problem=Problem(words.sentence("error.title"), words.sentence(words_of(fault))),
        reference="",
        back_href="/",
    )
