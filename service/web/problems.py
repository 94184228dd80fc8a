"""An error becomes a status and words: the one place that knows HTTP status codes."""

from __future__ import annotations

from explainer.errors import ExplainerError


class FormExpired(ExplainerError):
    """A form came without the token of its visit."""

    code = "form.expired"


class FormFromElsewhere(ExplainerError):
    """A changing request does not come from our own pages, as far as its headers say."""

    code = "request.from_elsewhere"


class RequestTooLarge(ExplainerError):
    """A request is longer than any form of ours, or does not say how long it is."""

    code = "request.too_large"


class IdempotencyKeyMissing(ExplainerError):
    """A writing request must carry a random key of its own."""

    code = "request.idempotency_key_missing"


class RequestInvalid(ExplainerError):
    """A request does not have the documented form; `where` names each part that has not."""

    code = "request.invalid"


class RequestUnreadable(ExplainerError):
    """The body of a request cannot be read: not UTF-8, nested too deeply, too many fields."""

    code = "request.unreadable"


class NoSuchAddress(ExplainerError):
    """There is nothing at this address."""

    code = "http.404"


class NoSuchMethod(ExplainerError):
    """The address is there, but not for this method."""

    code = "http.405"


class Internal(ExplainerError):
    """The service failed; nothing was stored. `where` is the number of the event in the log."""

    code = "internal"


STATUS: dict[str, int] = {
    "access.not_allowed": 403,
    "case.exists": 409,
    "case.not_found": 404,
    "decision.assessment_missing": 403,
    "decision.suggestion_outdated": 409,
    "explanation.pending": 503,
    "form.expired": 403,
    "http.404": 404,
    "http.405": 405,
    "language.not_offered": 406,
    "receipt.pending": 503,
    "ledger.idempotency_conflict": 409,
    "request.from_elsewhere": 403,
    "request.idempotency_key_missing": 400,
    "request.invalid": 422,
    "request.too_large": 413,
    "request.unreadable": 400,
    "service.starting": 503,
    "storage.failed": 503,
}
"""Codes with a status of their own; the rest by family."""

FAMILY = (("case.", 422), ("decision.", 422), ("explanation.", 503))

RETRY = {"retry-after": "2"}
"""Said to machines while the service starts: seconds until it is worth asking again."""

WORDS = frozenset(
    {
        "access.not_allowed",
        "case.not_found",
        "form.expired",
        "language.not_offered",
        "request.from_elsewhere",
        "service.starting",
        "storage.failed",
    }
)
"""Codes with words of their own under [error] in locales/sentences.toml."""

BY_STATUS = {
    400: "page.invalid",
    403: "access.not_allowed",
    404: "page.not_found",
    405: "page.method",
    413: "page.too_large",
    422: "page.invalid",
}


def http_fault(status: int) -> ExplainerError:
    """What the framework refuses by status alone, as an error of ours."""
    if status == 404:
        return NoSuchAddress(
            "There is nothing at this address.", "the address", "See /api/v1/openapi.json."
        )
    if status == 405:
        return NoSuchMethod(
            "This address does not take this method.", "the method", "See /api/v1/openapi.json."
        )
    if status == 413:
        return RequestTooLarge("The request is too large.", "the request", "Shorten it.")
    return RequestUnreadable(
        "The body cannot be read.", "the body", "Send JSON in UTF-8, nested a few levels deep."
    )


def status_of(fault: ExplainerError) -> int:
    """The HTTP status of an error; faults of ours are 500."""
    if fault.code in STATUS:
        return STATUS[fault.code]
    return next((status for start, status in FAMILY if fault.code.startswith(start)), 500)


def words_of(fault: ExplainerError) -> str:
    """The key of the sentence a person is shown for this error."""
    if fault.code in WORDS:
        return f"error.{fault.code}"
    return f"error.{BY_STATUS.get(status_of(fault), 'page.failed')}"
