"""Answers to conditional and partial requests (RFC 9110, 13 and 14): ETag, If-None-Match, Range.

What is served this way never changes: its tag is its SHA-256. Several ranges at once are answered
with the whole, as the standard allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256

from fastapi import Request, Response

from api.problems import Kind, Problem

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)


def serve(
    request: Request, data: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The bytes, a part of them, or word that the caller has them already."""
    tag = f'"{sha256(data).hexdigest()}"'
    sent = {"ETag": tag, "Accept-Ranges": "bytes", **(headers or {})}
    if _holds(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=sent)
    wanted = request.headers.get("range")
    condition = request.headers.get("if-range")
    if wanted is None or (condition is not None and condition != tag):
        return Response(data, media_type=media_type, headers=sent)
    part = _part(wanted, len(data))
    if part is None:
        return Response(data, media_type=media_type, headers=sent)
    first, last = part
    sent["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
    return Response(data[first : last + 1], status_code=206, media_type=media_type, headers=sent)


def _holds(listed: str | None, tag: str) -> bool:
    """Whether the caller has what this tag names; a weak tag counts, as for every GET."""
    if listed is None:
        return False
    named = [one.strip().removeprefix("W/") for one in listed.split(",")]
    return "*" in named or tag in named


def _part(wanted: str, length: int) -> tuple[int, int] | None:
    """First and last byte, None if the header is not one range of bytes; raises Problem."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        first, last = max(0, length - int(found[2])), length - 1
    else:
        first, last = int(found[1]), min(length - 1, int(found[2] or length - 1))
        if found[2] and int(found[2]) < first:
            return None
    if first > last:
        raise Problem(
            Kind.RANGE,
            f"the resource has {length} bytes",
            headers={"Content-Range": f"bytes */{length}"},
        )
    return first, last
