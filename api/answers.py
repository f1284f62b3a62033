"""Answers as the API's description tells of them, apart from JSON documents and problems."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

Responses = dict[int | str, dict[str, Any]]

BINARY = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}
NOT_MODIFIED: Responses = {304: {"description": "The caller has it already."}}


def file(*media: str) -> Responses:
    """A file of one of these media types, never changing, so the caller may have it already."""
    schema = TEXT if media == ("text/plain",) else BINARY
    content = {one: {"schema": schema} for one in media}
    return {200: {"description": "The file.", "content": content}, **NOT_MODIFIED}


def ended(model: type[BaseModel]) -> Responses:
    """A job that ended while the caller waited."""
    return {200: {"model": model, "description": "It ended while the caller waited."}}
