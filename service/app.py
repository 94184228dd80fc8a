"""The application: routes, errors as words, and the guard around it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from explainer.core.forms import error_form
from explainer.errors import ExplainerError
from service.admission import Starting
from service.events import log
from service.receipts import ReceiptPending
from service.routes import (
    api,
    api_later,
    applicant,
    caseworker,
    deciding,
    demo,
    health,
    operation,
    own,
    public,
    receipts,
    supervisor,
)
from service.settings import LOOPBACK
from service.web.description import describe
from service.web.guards import Guarded
from service.web.pages import fault_page, problem_page, starting_page
from service.web.problems import BY_STATUS, RETRY, Internal, RequestInvalid, http_fault, status_of
from service.wiring import Tools

STATIC = Path(__file__).resolve().parent / "static"


def create_app(tools: Tools, begun: Callable[[], None] = lambda: None) -> ASGIApp:
    """The service, guarded; it closes `tools` when it ends. `begun` is called when all is loaded
    and the first answers are about to be given."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        begun()
        yield
        tools.close()

    app = FastAPI(
        title="Warum",
        version=version("warum"),
        summary="Explains suggestions in plain words and records what people decided.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=lifespan,
    )
    app.state.tools = tools
    for routes in (
        health,
        public,
        demo,
        caseworker,
        deciding,
        applicant,
        receipts,
        own,
        supervisor,
        operation,
        api,
        api_later,
    ):
        app.include_router(routes.router)
    describe(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(ExplainerError, _on_fault)  # type: ignore[arg-type]
    app.add_exception_handler(Starting, _on_starting)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _on_http)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _on_failure)
    return Guarded(app, LOOPBACK, tools.languages_of(None, staff=False))


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _template(request: Request) -> str:
    """The path as declared: an address never stands in a log with an id in it."""
    return getattr(request.scope.get("route"), "path", "")


def _on_fault(request: Request, fault: ExplainerError) -> Response:
    status = status_of(fault)
    reference = secrets.token_hex(4)
    log.warning(
        "refused", code=fault.code, status=status, route=_template(request), reference=reference
    )
    if _is_api(request):
        soon = RETRY if isinstance(fault, ReceiptPending) else None
        return JSONResponse(error_form(fault), status, soon)
    return fault_page(request, fault, reference if status >= 500 else "")


async def _on_starting(request: Request, fault: Starting) -> Response:
    log.info("asked too early", code=fault.code, route=_template(request))
    if _is_api(request):
        return JSONResponse(error_form(fault), status_of(fault), RETRY)
    sent = (await request.form()).multi_items() if request.method == "POST" else []
    fields = [(name, value) for name, value in sent if isinstance(value, str)]
    return await run_in_threadpool(starting_page, request, fields)


def _on_http(request: Request, fault: HTTPException) -> Response:
    if _is_api(request):
        told = http_fault(fault.status_code)
        return JSONResponse(error_form(told), status_of(told), headers=fault.headers)
    key = BY_STATUS.get(fault.status_code, "page.failed")
    return problem_page(request, f"error.{key}", fault.status_code)


def _on_invalid(request: Request, fault: RequestValidationError) -> Response:
    # pydantic's own text quotes the input; names of fields are enough
    if _is_api(request):
        told = _invalid(fault)
        return JSONResponse(error_form(told), status_of(told))
    return problem_page(request, "error.page.invalid", 422)


def _invalid(fault: RequestValidationError) -> RequestInvalid:
    what, mend = "The request does not have the documented form.", "See /api/v1/openapi.json."
    if any(error["type"] == "json_invalid" for error in fault.errors()):
        what, mend = "The body is not JSON, or a key is there twice.", "Send each key once."
        return RequestInvalid(what, "body", mend)
    where = ", ".join(".".join(str(part) for part in error["loc"]) for error in fault.errors())
    return RequestInvalid(what, where[:300], mend)


def _on_failure(request: Request, fault: Exception) -> Response:
    reference = secrets.token_hex(4)
    log.error(
        "failed",
        kind=type(fault).__name__,
        route=_template(request),
        reference=reference,
        status=500,
    )
    if _is_api(request):
        what = "The service failed; nothing was stored."
        return JSONResponse(error_form(Internal(what, reference, "Report it.")), 500)
    return problem_page(request, "error.page.failed", 500, reference)
