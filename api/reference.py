"""The API's OpenAPI document as one Markdown page, for docs/reference.md.

`curl -s http://127.0.0.1:8000/openapi.json | python -m api.reference > docs/reference.md`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

HEAD = """# API reference

Every route with its parameters, bodies and answers, and every document field by field, written from
`/openapi.json` by `python -m api.reference`. [The API](api.md) says how keys, waiting, lists and
problems work. A problem document (`application/problem+json`) is the answer to whatever is refused.
"""
SUBJECTS = {
    "verify": "Verifying",
    "generate": "Drawing",
    "openai": "Drawing, as the OpenAI API does",
    "images": "Pictures",
    "mark": "Marking",
    "audit": "Auditing",
    "appeals": "Appeals",
    "policies": "Policies",
    "webhooks": "Webhooks",
    "c2pa": "C2PA Soft Binding Resolution",
    "state": "State",
}
_LIMITS = {
    "minimum": "from {}",
    "maximum": "to {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "pattern": "`{}`",
}


def render(document: dict[str, Any]) -> str:
    """The whole page."""
    return "".join(
        [HEAD, *_routes(document["paths"]), *_documents(document["components"]["schemas"])]
    )


def _routes(paths: dict[str, Any]) -> Iterator[str]:
    every = [
        (operation.get("tags", ["other"])[0], method.upper(), path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    tags = list(dict.fromkeys([*SUBJECTS, *(tag for tag, *_ in every)]))
    for tag in tags:
        mine = [one for one in every if one[0] == tag]
        if mine:
            yield f"\n## {SUBJECTS.get(tag, tag)}\n"
        for _, method, path, operation in mine:
            yield from _route(method, path, operation)


def _route(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"\n### `{method} {path}`\n\n{_line(operation.get('description', ''))}\n"
    given = operation.get("parameters", [])
    if given:
        yield "\n| parameter | in | type | what |\n|---|---|---|---|\n"
    for one in given:
        need = "" if one.get("required") else ", may be left out"
        kind = _type(one["schema"]) + need
        told = _line(one.get("description", one["schema"].get("description", "")))
        yield f"| `{one['name']}` | {one['in']} | {kind} | {told} |\n"
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield f"\nBody: {_contents(body)}.\n"
    answers = "; ".join(_answer(status, one) for status, one in operation["responses"].items())
    yield f"\nAnswers: {answers}.\n"


def _answer(status: str, response: dict[str, Any]) -> str:
    content = {
        kind: one
        for kind, one in response.get("content", {}).items()
        if kind != "application/problem+json"
    }
    if int(status) >= 400 and not content:
        _, _, kinds = response["description"].partition(": ")
        return f"{status} `{kinds.replace(', ', '`, `')}`" if kinds else status
    return f"{status} {_contents(content)}" if content else status


def _contents(content: dict[str, Any]) -> str:
    """Media types, grouped by what they hold."""
    held: dict[str, list[str]] = {}
    for media, one in content.items():
        held.setdefault(_type(one.get("schema", {})), []).append(f"`{media}`")
    return ", ".join(f"{kind} as {' or '.join(kinds)}" for kind, kinds in held.items())


def _documents(schemas: dict[str, Any]) -> Iterator[str]:
    yield "\n## Documents\n"
    for name, schema in sorted(schemas.items()):
        yield f"\n### {name}\n\n"
        if schema.get("description"):
            yield f"{_line(schema['description'])}\n\n"
        if "enum" in schema:
            yield f"One of {_choices(schema)}.\n"
            continue
        yield "| field | type | what |\n|---|---|---|\n"
        required = schema.get("required", [])
        for field, one in schema.get("properties", {}).items():
            need = "" if field in required else ", may be left out"
            yield f"| `{field}` | {_type(one)}{need} | {_told(one)} |\n"


def _type(schema: dict[str, Any]) -> str:
    """What a schema holds, in a word or two."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`".replace('"', "")
    if "enum" in schema:
        return _choices(schema)
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
        return f"object of {_type(schema['additionalProperties'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _told(schema: dict[str, Any]) -> str:
    """What a field means, and its limits."""
    parts = [_line(schema.get("description", ""))]
    options = [schema, *schema.get("anyOf", [])]
    parts += [
        text.format(one[limit]).replace("|", "\\|")
        for one in options
        for limit, text in _LIMITS.items()
        if limit in one
    ]
    if schema.get("default") is not None:
        parts.append(f"default `{json.dumps(schema['default'])}`")
    return "; ".join(part for part in parts if part)


def _choices(schema: dict[str, Any]) -> str:
    return ", ".join(f"`{one}`" for one in schema["enum"])


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render(json.load(sys.stdin)))
