"""Pictures that come in: counted, then looked at, then kept; nothing is decoded here.

A picture is the whole body, or the part `file` of a form. It is kept byte for byte, since a
manifest is bound to the very bytes. Names that come with files are not read.
"""

from __future__ import annotations

import asyncio

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from api.installation import Installation
from api.problems import Fault, Kind, Problem, invalid
from api.signatures import MEDIA_TYPES, SIGNATURE_BYTES, sniff
from provenance.blobs import Digest

SECONDS = 120  # for a whole body to come in
FORM = "multipart/form-data"
FIELD = "file"
FORM_BYTES = 64 * 1024  # what a form may add to its file
_PART = 2**20

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
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        async with asyncio.timeout(SECONDS):
            if media == FORM:
                return await _receive_form(here, request)
            if media in (*MEDIA_TYPES, "application/octet-stream"):
                return await _receive_raw(here, request)
    except TimeoutError as e:
        raise Problem(Kind.MALFORMED, f"body: not complete after {SECONDS} seconds") from e
    raise _unsupported(f"content-type {media[:100]!r}")


async def _receive_raw(here: Installation, request: Request) -> Digest:
    with here.blobs.receive(limit=here.settings.upload_bytes) as upload:
        head = b""
        async for part in request.stream():
            if len(head) < SIGNATURE_BYTES:
                head += part[:SIGNATURE_BYTES]
                if len(head) >= SIGNATURE_BYTES:
                    _check_head(head)
            if part:
                await run_in_threadpool(upload.write, part)
        _check_head(head)
        return await run_in_threadpool(upload.finish)


async def _receive_form(here: Installation, request: Request) -> Digest:
    try:
        async with request.form(max_files=1, max_fields=1, max_part_size=FORM_BYTES) as form:
            return await _receive_file(here, form.getlist(FIELD))
    except (MultiPartException, HTTPException) as e:
        if isinstance(e.__cause__, Problem):
            raise e.__cause__ from e
        raise Problem(Kind.MALFORMED, f"body: not a form with one file: {e!s:.200}") from e


async def _receive_file(here: Installation, found: list[UploadFile | str]) -> Digest:
    limit = here.settings.upload_bytes
    if len(found) != 1 or not isinstance(found[0], UploadFile):
        raise invalid(FIELD, "a form holds exactly one file under this name", "1")
    (file,) = found
    if file.size is not None and file.size > limit:
        raise Problem(Kind.TOO_LARGE, f"{FIELD}: at most {limit} bytes are taken here")
    _check_head(await file.read(SIGNATURE_BYTES))
    await file.seek(0)
    with here.blobs.receive(limit=limit) as upload:
        while part := await file.read(_PART):
            await run_in_threadpool(upload.write, part)
        return await run_in_threadpool(upload.finish)


def _check_head(head: bytes) -> None:
    if not head:
        raise invalid(FIELD, "the picture is empty", "at least 1 byte")
    if sniff(head) is None:
        raise _unsupported("what the file starts with is no PNG, JPEG or WebP")


def _unsupported(detail: str) -> Problem:
    limit = ", ".join((*MEDIA_TYPES, FORM))
    return Problem(Kind.UNSUPPORTED_MEDIA, detail, errors=[Fault("body", detail, limit)])
