"""What is logged: events by name, with an allow-list of fields, one JSON object a line.

No case number, name, value or free text is ever among the fields (requirement G20).
"""

from __future__ import annotations

import json
import logging
import sys

import structlog

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "code",
        "kind",
        "route",
        "status",
        "reference",
        "package",
        "version",
        "digest",
        "log",
        "seq",
        "count",
        "seconds",
        "setting",
        "port",
    }
)


def _only_allowed(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    return {key: value for key, value in event.items() if key in ALLOWED}


structlog.configure(
    # in a terminal only what went wrong; a running service logs from INFO on (see `serve`)
    wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_allowed,
        structlog.processors.JSONRenderer(serializer=json.dumps),
    ],
    logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    cache_logger_on_first_use=False,
)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def log_everything() -> None:
    """Log from INFO on, for a service that runs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
