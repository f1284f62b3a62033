"""Signing in on the page: a cookie that says whose API key was shown, and until when.

It holds the key's id, never the key, and is signed with the installation's token key; what ends the
key (`keys withdraw`, an expiry, a suspended tenant, a retired token key) ends the session with it.
The cookie counts for reads, and for writes that a page of this very origin sends (see ADR 6).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from urllib.parse import urlsplit

from fastapi import Request
from sqlalchemy.orm import Session

from provenance.callers import Caller, NotACaller, read_caller
from provenance.keys import Key

COOKIE = "countermark-session"
LASTS = timedelta(hours=12)
SAFE = ("GET", "HEAD")
_DOMAIN = b"countermark-session/1\n"
_LONGEST = 200  # characters of a cookie that is looked at


def format_session(caller: Caller, key: Key, *, now: datetime) -> str:
    """The cookie of whoever just showed this caller's key."""
    body = f"{caller.id}.{int((now + LASTS).timestamp())}"
    return f"{body}.{_tag(key, body)}"


def read_session(session: Session, cookie: str, keys: Sequence[Key], *, now: datetime) -> Caller:
    """Whose session this is; raises NotACaller."""
    body, _, tag = cookie[:_LONGEST].rpartition(".")
    given = tag.encode()
    if not any(hmac.compare_digest(given, _tag(key, body).encode()) for key in keys):
        raise NotACaller("the session is none of this service's")
    caller, _, until = body.partition(".")
    if now.timestamp() >= int(until):
        raise NotACaller("the session has ended")
    return read_caller(session, caller, keys, now=now)


def given_session(request: Request) -> str | None:
    """The session cookie of a request, where one counts."""
    if request.method in SAFE or is_same_origin(request):
        return request.cookies.get(COOKIE)
    return None


def is_same_origin(request: Request) -> bool:
    """Whether a page of this origin sent the request, by what browsers say and pages cannot."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin, host = request.headers.get("origin"), request.headers.get("host")
    return origin is not None and host is not None and urlsplit(origin).netloc == host


def _tag(key: Key, body: str) -> str:
    digest = hmac.digest(key.material, _DOMAIN + body.encode(), sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")
