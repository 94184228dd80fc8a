"""Who is there: in demo mode whoever the visitor chose to be; machines by token."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from starlette.responses import Response

from explainer.core.decision import Actor, Role
from explainer.errors import NotAllowed
from service.permissions import Action, check_may
from service.web.problems import FormExpired
from service.wiring import DEMO_UNIT, Tools, same

COOKIE = "warum_demo"
PERSONS = ("caseworker", "supervisor", "operator", "applicant")


@dataclass(frozen=True, slots=True)
class Session:
    """A demo visit: a random id, and whom the visitor chose to be."""

    sid: str
    person: str = ""
    case_id: str = ""

    @property
    def actor(self) -> Actor:
        """The actor of this visit. Raises NotAllowed before a person was chosen."""
        if self.person == "applicant" and self.case_id:
            return applicant_of(self.case_id)
        if self.person == "caseworker":
            return Actor("demo-caseworker", Role.CASEWORKER, unit=DEMO_UNIT)
        if self.person == "supervisor":
            return Actor("demo-supervisor", Role.SUPERVISOR)
        if self.person == "operator":
            return Actor("demo-operator", Role.OPERATOR)
        raise NotAllowed("Nobody was chosen yet.", "person", "Choose a person first.")

    def signed(self, secret: bytes) -> str:
        text = "|".join((self.sid, self.person, self.case_id))
        data = base64.urlsafe_b64encode(text.encode()).decode()
        return f"{data}.{_mac(secret, 'session', data)}"


def applicant_of(case_id: str) -> Actor:
    """The person whose case this is."""
    return Actor(f"applicant-{case_id}", Role.APPLICANT, case_id=case_id)


def new_session() -> Session:
    return Session(secrets.token_urlsafe(16))


def tools_of(request: Request) -> Tools:
    tools: Tools = request.app.state.tools
    return tools


def session_of(request: Request) -> Session:
    """The visit this request belongs to; a new one where there is none or it was tampered with."""
    known = getattr(request.state, "session", None)
    if isinstance(known, Session):
        return known
    session = _read(request.cookies.get(COOKIE, ""), tools_of(request).secret) or new_session()
    request.state.session = session
    return session


def _read(cookie: str, secret: bytes) -> Session | None:
    data, _, mac = cookie.partition(".")
    if not data.isascii() or not mac.isascii() or not same(mac, _mac(secret, "session", data)):
        return None
    parts = base64.urlsafe_b64decode(data).decode().split("|")
    return Session(*parts) if len(parts) == 3 and parts[1] in ("", *PERSONS) else None


def keep_session(response: Response, session: Session, secret: bytes) -> None:
    """Set the cookie. Without the `Secure` mark: in demo mode there is only the loopback."""
    response.set_cookie(
        COOKIE, session.signed(secret), max_age=86400, httponly=True, samesite="lax", path="/"
    )


def form_token(request: Request) -> str:
    """What every form of this visit carries; another site cannot know it."""
    return _mac(tools_of(request).secret, "form", session_of(request).sid)


def check_form_token(request: Request, token: str) -> None:
    if not token.isascii() or not same(token, form_token(request)):
        raise FormExpired("The form is not of this visit.", "form", "Load the page again.")


def _mac(secret: bytes, purpose: str, text: str) -> str:
    return hmac.new(secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _declared(action: Action | None, find: Callable[[Request], Actor] | None) -> Any:
    def actor_who_may(request: Request) -> Actor | None:
        if action is None or find is None:
            return None
        actor = find(request)
        check_may(actor, action)
        return actor

    actor_who_may.policy = "open" if action is None else action.value  # type: ignore[attr-defined]
    return Depends(actor_who_may)


def visitor(action: Action) -> Any:
    """Dependency: the person of this visit, who must be allowed `action`."""
    return _declared(action, lambda request: session_of(request).actor)


def machine(action: Action) -> Any:
    """Dependency: the holder of the bearer token, who must be allowed `action`."""
    return _declared(action, _holder)


def anybody() -> Any:
    """Dependency: declares that a route is open to all; a route without a policy fails a test."""
    return _declared(None, None)


def no_token() -> NotAllowed:
    return NotAllowed(
        "The request carries no valid token.",
        "authorization",
        "Send `Authorization: Bearer …`; the file demo-api-tokens in the data folder has them.",
    )


def _holder(request: Request) -> Actor:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    digest = hashlib.sha256(token.encode()).hexdigest()
    role = tools_of(request).api_tokens.get(digest) if scheme.lower() == "bearer" else None
    if role is None:
        raise no_token()
    unit = DEMO_UNIT if role == "caseworker" else None
    return Actor(f"api-{role}", Role(role), unit=unit)
