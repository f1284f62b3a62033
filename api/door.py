"""What every request passes first and every answer last: id, size, headers, log line, metrics.

A body is counted while it streams in, before anyone looks at it. What went wrong inside becomes a
problem document in `app`; what goes wrong here is raised into the same place.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from uuid import uuid4

from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics, known_method
from api.problems import Kind, Problem
from provenance import tracing
from provenance.tracing import Arrived

LOG = logging.getLogger("countermark.api")
DRAIN_BYTES = 32 * 2**20  # read on and thrown away, so that the client gets to read why
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-site",
    "X-Frame-Options": "DENY",
}


class Door:
    """An ASGI application around another.

    `body_limit` is asked with the request's path; `refuse` makes the answer to an error that
    nothing inside has caught.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        body_limit: Callable[[str], int],
        refuse: Callable[[Request, Exception], Response],
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._refuse = refuse
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        given = headers.get("x-request-id", "")
        state["request_id"] = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        token = REQUEST_ID.set(state["request_id"])
        method, status, started = scope["method"], 500, time.perf_counter()
        arrived = tracing.arrive(known_method(method), headers.get("traceparent"))
        state["trace"] = arrived.text
        started_answer = False
        if method == "HEAD":  # answered as GET is, without the body
            scope["method"] = "GET"

        async def answer(message: Message) -> None:
            nonlocal status, started_answer
            if message["type"] == "http.response.start":
                status, started_answer = message["status"], True
                _add_headers(MutableHeaders(scope=message), scope)
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        limit = self._body_limit(scope["path"])
        try:
            await self._app(scope, _limited(receive, headers, limit), answer)
        except Exception as e:
            if started_answer:
                raise
            await self._refuse(Request(scope), e)(scope, receive, answer)
        finally:
            self._report(scope, arrived, status, method, time.perf_counter() - started)
            REQUEST_ID.reset(token)

    def _report(
        self, scope: Scope, arrived: Arrived, status: int, method: str, seconds: float
    ) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.observe(known_method(method), route, status, seconds)
        arrived.leave(known_method(method), route, status)
        state = scope["state"]
        LOG.info(
            "request",
            extra={
                "request_id": state["request_id"],
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1000, 1),
                "caller": state.get("caller_id"),
                "job_id": state.get("job_id"),
                "traceparent": arrived.text,
            },
        )


def _limited(receive: Receive, headers: Headers, limit: int) -> Receive:
    """The body, as long as it keeps within the limit; Problem once it does not."""
    seen = 0
    declared = headers.get("content-length", "")

    async def limited() -> Message:
        nonlocal seen
        if declared.isdecimal() and int(declared) > limit:
            await _drain(receive)
            raise _too_large(limit)
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            if message.get("more_body", False):
                await _drain(receive)
            raise _too_large(limit)
        return message

    return limited


async def _drain(receive: Receive) -> None:
    left = DRAIN_BYTES
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _too_large(limit: int) -> Problem:
    return Problem(Kind.TOO_LARGE, f"body: at most {limit} bytes are taken here")


def _add_headers(headers: MutableHeaders, scope: Scope) -> None:
    state = scope["state"]
    headers["X-Request-Id"] = state["request_id"]
    for name, value in state.get("rate_headers", {}).items():
        headers[name] = value
    for name, value in _SECURITY.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
