"""Pictures that come in: counted, then looked at, then kept; nothing is decoded here.

A picture is the whole body, or the part `file` of a form. It is kept byte for byte, since a
manifest is bound to the very bytes. Names that come with files are not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from api.forms import FIELD, FORM, read_file
from api.installation import Installation
from api.problems import Fault, Kind, Problem, invalid
from api.signatures import MEDIA_TYPES, SIGNATURE_BYTES, sniff
from provenance.blobs import Digest

SECONDS = 120  # for a whole body to come in
FORM_BYTES = 64 * 1024  # what a form may add to its file

BODY = {
    "requestBody": {
        "required": True,
        "description": "The picture: as the body itself, or as the part `file` of a form.",
        "content": {
            **{media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA_TYPES},
            FORM: {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "string",
                            "format": "binary",
                            "description": "A PNG, JPEG or WebP file.",
                        }
                    },
                },
                "encoding": {FIELD: {"contentType": ", ".join(MEDIA_TYPES)}},
            },
        },
    }
}
"""The body of an upload, for the description of a route."""


async def receive(here: Installation, request: Request) -> Digest:
    """The digest of the picture in a request, once its bytes are kept."""
    declared = request.headers.get("content-type", "")
    media = declared.partition(";")[0].strip().lower()
    if media == FORM:
        parts = read_file(declared, request.stream())
    elif media in (*MEDIA_TYPES, "application/octet-stream"):
        parts = request.stream()
    else:
        raise _unsupported(f"content-type {media[:100]!r}")
    try:
        async with asyncio.timeout(SECONDS):
            return await _keep(here, parts)
    except TimeoutError as e:
        raise Problem(Kind.MALFORMED, f"body: not complete after {SECONDS} seconds") from e


async def _keep(here: Installation, parts: AsyncIterator[bytes]) -> Digest:
    with here.blobs.receive(limit=here.settings.upload_bytes) as upload:
        head, checked = b"", False
        async for part in parts:
            if not checked:
                head += part[:SIGNATURE_BYTES]
                checked = len(head) >= SIGNATURE_BYTES
                if checked:
                    _check_head(head)
            if part:
                await run_in_threadpool(upload.write, part)
        _check_head(head)
        return await run_in_threadpool(upload.finish)


def _check_head(head: bytes) -> None:
    if not head:
        raise invalid(FIELD, "the picture is empty", "at least 1 byte")
    if sniff(head) is None:
        raise _unsupported("what the file starts with is no PNG, JPEG or WebP")


def _unsupported(detail: str) -> Problem:
    limit = ", ".join((*MEDIA_TYPES, FORM))
    return Problem(Kind.UNSUPPORTED_MEDIA, detail, errors=[Fault("body", detail, limit)])
