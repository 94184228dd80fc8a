"""What /api/v1/openapi.json says beyond the routes: the documented JSON forms, and the token."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

CASE, EXPLANATION = "Case", "ExplanationOut"
FORMS = {CASE: "case-1", EXPLANATION: "view-1"}
"""Names in the description, and the schemas in docs/ that stand behind them."""

TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "One token for each role; the demonstration keeps them in a file of its own.",
}


def described(name: str) -> dict[str, Any]:
    """The content of a request or an answer that has one of the documented forms."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def describe(app: FastAPI) -> None:
    """Add to the description of `app` what the signatures of its routes cannot say."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = plain()
            components = made.setdefault("components", {})
            for name, file in FORMS.items():
                components.setdefault("schemas", {}).update(_components(name, file))
            components["securitySchemes"] = {"token": TOKEN}
            made["security"] = [{"token": []}]
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]


def _components(name: str, file: str) -> dict[str, Any]:
    """A schema and its definitions, each under a name of its own: `$defs` are not for OpenAPI."""
    schema = json.loads(schema_file(file).read_text("utf-8"))
    definitions = schema.pop("$defs", {})
    for key in ("$schema", "$id"):
        schema.pop(key, None)
    found = {name: schema, **{f"{name}.{inner}": one for inner, one in definitions.items()}}
    if name == EXPLANATION:
        for choice in schema["oneOf"]:
            _with_entry(definitions[choice["$ref"].removeprefix("#/$defs/")])
    renamed: dict[str, Any] = _rename(found, name)
    return renamed


def _with_entry(form: dict[str, Any]) -> None:
    """An answer says besides where in the ledger it stands that it was shown."""
    form["properties"]["entry"] = {
        "type": "integer",
        "minimum": 0,
        "description": "Position in the ledger of the entry about this answer; send it as `shown`.",
    }
    form["required"] = [*form["required"], "entry"]


def _rename(node: Any, name: str) -> Any:
    if isinstance(node, dict):
        renamed = {key: _rename(value, name) for key, value in node.items()}
        if isinstance(node.get("$ref"), str):
            inner = node["$ref"].removeprefix("#/$defs/")
            renamed["$ref"] = f"#/components/schemas/{name}.{inner}"
        return renamed
    return [_rename(one, name) for one in node] if isinstance(node, list) else node


@cache
def schema_file(name: str) -> Path:
    """The documented schema: in a checkout in docs/, in a wheel beside the service."""
    service = Path(__file__).resolve().parents[1]
    folders = (service / "_schemas", service.parent / "docs")
    places = (folder / f"{name}.schema.json" for folder in folders)
    return next(place for place in places if place.is_file())
