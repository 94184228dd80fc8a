"""The outermost layer: headers on every answer, cross-site writes refused, sizes limited.

A plain ASGI class around the finished application, because a middleware added to it is not
outermost: an unhandled error would be answered without its headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from explainer.core.forms import error_form
from explainer.errors import ExplainerError
from explainer.text.languages import Language
from service.events import log
from service.web.pages import refusal_page
from service.web.people import no_token
from service.web.problems import FormFromElsewhere, RequestTooLarge, status_of

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORM_LIMIT = 64 * 1024
API_LIMIT = 1024 * 1024

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; font-src 'self'; "
    "img-src 'self'; script-src 'none'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    # not no-referrer: with it browsers send `Origin: null` on our own forms
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guarded:
    """The application, guarded. `hosts` are the names it may be called by, `offered` the languages
    of what it says itself."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str], offered: Sequence[Language]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._offered = offered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                # styles may be kept, pages about people never
                static = scope["path"].startswith("/static/")
                headers["cache-control"] = "max-age=3600" if static else "no-store"
            await send(message)

        if _host(Headers(scope=scope).get("host", "")) not in self._hosts:
            # a name that was pointed at this machine by somebody else (DNS rebinding): under it
            # there is no page of ours, and no link to one
            words = "Diese Adresse gibt es hier nicht. This address is not served here."
            await PlainTextResponse(words, 421)(scope, receive, send_with_headers)
            return
        try:
            fault = _fault(scope)
            if fault is not None:
                refusal = await run_in_threadpool(_refusal, Request(scope), fault, self._offered)
                await refusal(scope, receive, send_with_headers)
                return
            await self._app(scope, _limited(receive, _limit(scope)), send_with_headers)
        except Exception as fault:
            # logged already, without what it may quote; a server that saw it would print it whole
            log.error("ended with an error", kind=type(fault).__name__)
            if not started:
                # not even the error page could be made
                last = PlainTextResponse("Es ist ein Fehler aufgetreten. Something failed.", 500)
                await last(scope, receive, send_with_headers)


def _fault(scope: Scope) -> ExplainerError | None:
    """Why this request goes no further, None where nothing is wrong with it."""
    if scope["method"] in SAFE:
        return None
    headers = Headers(scope=scope)
    if _is_api(scope):
        # programs come with a token and without cookies: nobody else's page can act in their name
        if "authorization" not in headers:
            return no_token()
    elif not _same_site(headers):
        return FormFromElsewhere(
            "Forms are accepted from our own pages only.", "the request", "Use the form there."
        )
    length = headers.get("content-length", "0")
    # more digits than any size has: int() itself refuses more than 4300 of them
    if not re.fullmatch("[0-9]{1,18}", length) or int(length) > _limit(scope):
        return RequestTooLarge("The request is too large.", "the request", "Shorten it.")
    return None


def _refusal(request: Request, fault: ExplainerError, offered: Sequence[Language]) -> Response:
    if _is_api(request.scope):
        return JSONResponse(error_form(fault), status_of(fault))
    return refusal_page(request, fault, offered)


def _same_site(headers: Headers) -> bool:
    """Whether an unsafe request comes from our own pages (OWASP: fetch metadata, then origin)."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] == headers.get("host")


def _host(header: str) -> str:
    """The name in a Host header, "" where it is no plain name with a port."""
    try:
        parts = urlsplit(f"//{header}")
        return "" if parts.username is not None or parts.path else parts.hostname or ""
    except ValueError:
        return ""


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/api/")


def _limit(scope: Scope) -> int:
    return API_LIMIT if _is_api(scope) else FORM_LIMIT


def _limited(receive: Receive, limit: int) -> Receive:
    """`receive` that ends the body at the limit, for senders that do not say its length."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            # of all errors, the framework lets only its own pass while it reads a body
            raise HTTPException(413, "The request is too large.")
        return message

    return limited
