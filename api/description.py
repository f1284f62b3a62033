"""The OpenAPI document: what FastAPI derives, with every problem, scope and header added.

Problems are added from the table of scopes and from what a route takes in, so no route can forget
to say how it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from api.admission import SCOPES, Access, Needs
from api.problems import MEDIA_TYPE, Kind

_ALWAYS = (Kind.NOT_FOUND, Kind.METHOD_NOT_ALLOWED, Kind.RATE_LIMITED)
_FAILURES = (Kind.INTERNAL, Kind.UNAVAILABLE)
_SCHEMA = "Problem"
_NULLABLE = {"type": ["string", "null"]}

PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457: why a request was refused.",
    "required": ["type", "title", "status", "detail", "code", "errors", "request_id", "error"],
    "properties": {
        "type": {"type": "string", "description": "/problems/CODE, a page of this server."},
        "title": {"type": "string", "description": "The same for all problems of the type."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "What was wrong this time."},
        "instance": {**_NULLABLE, "description": "The resource it happened to."},
        "code": {"type": "string", "enum": [kind.value for kind in Kind]},
        "errors": {
            "type": "array",
            "description": "Each field that is wrong, and the limit it broke.",
            "items": {
                "type": "object",
                "required": ["field", "detail", "limit"],
                "properties": {
                    "field": {"type": "string"},
                    "detail": {"type": "string"},
                    "limit": _NULLABLE,
                },
            },
        },
        "request_id": {"type": "string", "description": "Also in X-Request-Id and in the log."},
        "error": {
            "type": "object",
            "description": "The same as the OpenAI API would say it.",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": _NULLABLE,
                "code": {"type": "string"},
            },
        },
    },
}


def describe(app: FastAPI, status: Mapping[Kind, int]) -> dict[str, Any]:
    """The document of an application's routes."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas[_SCHEMA] = PROBLEM
    document["components"]["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, cm_…; `countermark keys create` makes one.",
        }
    }
    for (method, path), needs in SCOPES.items():
        route = next(
            one
            for one in app.routes
            if isinstance(one, APIRoute) and one.path == path and method in (one.methods or ())
        )
        operation = document["paths"][route.path_format][method.lower()]
        _add(operation, needs, status)
    return document


def _add(operation: dict[str, Any], needs: Needs, status: Mapping[Kind, int]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    kinds: dict[int, list[Kind]] = {}
    for kind in _kinds(operation, needs):
        kinds.setdefault(status[kind], []).append(kind)
    for code, listed in sorted(kinds.items()):
        responses.setdefault(str(code), {"description": HTTPStatus(code).phrase})
        responses[str(code)]["description"] += ": " + ", ".join(listed)
        content = responses[str(code)].setdefault("content", {})
        content[MEDIA_TYPE] = {"schema": {"$ref": f"#/components/schemas/{_SCHEMA}"}}
    for code, response in responses.items():
        response.setdefault("description", HTTPStatus(int(code)).phrase)
    if needs is Access.PUBLIC:
        operation["security"] = []
    else:
        operation["security"] = [{"key": []}]
        if needs is Access.ANONYMOUS:
            operation["security"].append({})
        named = "verify, or no key for less" if needs is Access.ANONYMOUS else " or ".join(needs)
        operation["description"] = f"{operation.get('description', '')}\n\nScope: {named}."


def _kinds(operation: dict[str, Any], needs: Needs) -> Iterator[Kind]:
    """How an operation may refuse."""
    yield from (*_ALWAYS, *_FAILURES)
    if needs is not Access.PUBLIC:
        yield from (Kind.UNAUTHENTICATED, Kind.MISSING_SCOPE)
    if operation.get("parameters"):
        yield Kind.INVALID
    if any(one["name"] == "Range" for one in operation.get("parameters", [])):
        yield Kind.RANGE
    if any(one["name"] == "value" for one in operation.get("parameters", [])):
        yield Kind.URI_TOO_LONG
    if "requestBody" in operation:
        yield from (Kind.MALFORMED, Kind.TOO_LARGE, Kind.INVALID, Kind.ALREADY_DONE)
        yield from (Kind.KEY_REUSED, Kind.QUOTA, Kind.UNSUPPORTED_MEDIA)
    if "tags" in operation and set(operation["tags"]) & {"verify", "mark", "openai", "c2pa"}:
        yield from (Kind.UNREADABLE, Kind.CANNOT_MARK, Kind.PROBING, Kind.STILL_RUNNING)
        yield from (Kind.BANNED, Kind.FAILED)
    if operation["operationId"].startswith("cancel"):
        yield Kind.ALREADY_DONE
