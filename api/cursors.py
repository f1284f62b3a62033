"""Where a list goes on: opaque, signed, and good for the same list and filters only.

A cursor holds the last position seen, not a page number, so that rows which come in meanwhile are
neither skipped nor shown twice.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

from api.problems import Fault, Kind, Problem

MAX_CURSOR = 400  # characters
_TAG_BYTES = 16
_CONTEXT = b"countermark-cursor/1\n"


def format_cursor(secret: bytes, place: str, position: str) -> str:
    """The cursor after `position` of the list that `place` names, filters and tenant included."""
    tag = _tag(secret, place, position.encode())
    return urlsafe_b64encode(tag + position.encode()).decode().rstrip("=")


def parse_cursor(secret: bytes, place: str, cursor: str) -> str:
    """The position that was signed for this very list; raises Problem for anything else."""
    try:
        data = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        tag, position = data[:_TAG_BYTES], data[_TAG_BYTES:]
        if not hmac.compare_digest(tag, _tag(secret, place, position)):
            raise _unknown()
        if format_cursor(secret, place, position.decode()) != cursor:
            raise _unknown()
        return position.decode()
    except (UnicodeError, binascii.Error, ValueError) as e:
        raise _unknown() from e


def _tag(secret: bytes, place: str, position: bytes) -> bytes:
    message = _CONTEXT + place.encode() + b"\n" + position
    return hmac.digest(secret, message, "sha256")[:_TAG_BYTES]


def _unknown() -> Problem:
    detail = "this list and these filters never gave out such a cursor"
    return Problem(Kind.NOT_FOUND, f"cursor: {detail}", errors=[Fault("cursor", detail)])
