"""Requests of programs, read strictly: what would be dropped in silence is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from service.web.problems import RequestInvalid

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that takes no parameter it does not declare, none twice, and no key twice."""

    def get_route_handler(self) -> _Handler:
        handler = super().get_route_handler()
        declared = frozenset(field.alias for field in self.dependant.query_params)

        async def strict(request: Request) -> Response:
            _check_parameters(request, declared)
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


class _StrictRequest(Request):
    async def json(self) -> Any:
        return json.loads(await self.body(), object_pairs_hook=_no_repeats)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """As `warum explain` reads a case: of two values under one key, neither can be meant."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise json.JSONDecodeError("A key is there twice", "", 0)
    return dict(pairs)


def _check_parameters(request: Request, declared: frozenset[str]) -> None:
    """A filter that is misspelt would otherwise give everything, as if it had been applied."""
    given = [name for name, _ in request.query_params.multi_items()]
    if set(given) - declared:
        raise RequestInvalid(
            "The request has a parameter that is not known here.",
            "query",
            f"Send none but: {', '.join(sorted(declared)) or 'none at all'}.",
        )
    twice = sorted(name for name in declared if given.count(name) > 1)
    if twice:
        raise RequestInvalid(
            "A parameter is there twice.",
            ", ".join(f"query.{name}" for name in twice),
            "Send each parameter once.",
        )
