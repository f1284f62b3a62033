"""Who may use which route: one table, asked before anything of a request's body is read.

A route that is not in the table cannot be made. What belongs to another tenant looks as if it did
not exist, so nothing here tells one tenant of another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from api.installation import Installation
from api.limits import Rate
from api.problems import Kind, Problem
from api.sessions import given_session, read_session
from provenance.callers import (
    Caller,
    NotACaller,
    NoTenant,
    Scope,
    Tenant,
    authenticate,
    find_tenant,
)
from provenance.database import snapshot


class Access(StrEnum):
    """What is asked of a caller, if no scope is."""

    PUBLIC = "public"  # nothing: no key is looked at
    ANONYMOUS = "anonymous"  # the scope `verify`, or no key at all, for less
    VISITOR = "visitor"  # nothing: a page is shown to anyone, and says who is signed in


Needs = Access | tuple[Scope, ...]  # any one of the scopes is enough

_GENERATE, _VERIFY, _MARK = (Scope.GENERATE,), (Scope.VERIFY,), (Scope.MARK,)
_AUDIT, _ADMIN, _FETCH = (Scope.AUDIT,), (Scope.ADMIN,), (Scope.FETCH_MANIFESTS,)
_GENERATE_OR_ADMIN = (Scope.GENERATE, Scope.ADMIN)
_PICTURES = (Scope.GENERATE, Scope.MARK, Scope.AUDIT)
_ANYONE = tuple(Scope)

SCOPES: dict[tuple[str, str], Needs] = {
    ("GET", "/health"): Access.PUBLIC,
    ("GET", "/ready"): Access.PUBLIC,
    ("GET", "/metrics"): _ADMIN,
    ("GET", "/openapi.json"): Access.PUBLIC,
    ("GET", "/problems"): Access.PUBLIC,
    ("GET", "/problems/{code}"): Access.PUBLIC,
    ("GET", "/v1/models"): _ANYONE,
    ("GET", "/v1/models/{model}"): _ANYONE,
    ("POST", "/v1/images/generations"): _GENERATE,
    ("GET", "/v1/images/{image}"): _PICTURES,
    ("GET", "/v1/images/{image}.proof"): _PICTURES,
    ("GET", "/v1/images/{image}.manifest"): _PICTURES,
    ("POST", "/v1/generations"): _GENERATE,
    ("GET", "/v1/generations"): _GENERATE,
    ("POST", "/v1/generations/batch"): _GENERATE,
    ("GET", "/v1/generations/{job}"): _GENERATE,
    ("POST", "/v1/generations/{job}/cancel"): _GENERATE,
    ("GET", "/v1/generations/{job}/events"): _GENERATE,
    ("POST", "/v1/verifications"): Access.ANONYMOUS,
    ("POST", "/v1/verifications/batch"): _VERIFY,
    ("GET", "/v1/verifications"): _VERIFY,
    ("GET", "/v1/verifications/{job}"): Access.ANONYMOUS,
    ("GET", "/v1/verifications/{job}/maps/{name}"): _VERIFY,
    ("POST", "/v1/marks"): _MARK,
    ("GET", "/v1/marks/{job}"): _MARK,
    ("GET", "/v1/records"): _AUDIT,
    ("GET", "/v1/records/{index}"): _AUDIT,
    ("GET", "/v1/records/{index}/proof"): _AUDIT,
    ("GET", "/v1/records/{index}/evidence"): _AUDIT,
    ("POST", "/v1/records/{index}/revocation"): _ADMIN,
    ("GET", "/v1/evidence"): _AUDIT,
    ("GET", "/v1/log/checkpoint"): Access.PUBLIC,
    ("GET", "/v1/log/keys"): Access.PUBLIC,
    ("GET", "/v1/log/witnesses"): Access.PUBLIC,
    ("GET", "/v1/log/consistency"): Access.PUBLIC,
    ("GET", "/v1/log/tile/entries/{place:path}"): _AUDIT,
    ("GET", "/v1/log/tile/{level}/{place:path}"): Access.PUBLIC,
    ("POST", "/v1/appeals"): _ANYONE,
    ("GET", "/v1/appeals"): _ANYONE,
    ("GET", "/v1/appeals/{appeal}"): _ANYONE,
    ("POST", "/v1/appeals/{appeal}/answer"): _ADMIN,
    ("GET", "/v1/policies"): _GENERATE_OR_ADMIN,
    ("POST", "/v1/prompt-checks"): _GENERATE_OR_ADMIN,
    ("PUT", "/v1/policies/{model}"): _ADMIN,
    ("GET", "/v1/policies/{model}/versions"): _ADMIN,
    ("POST", "/v1/webhooks"): _ADMIN,
    ("GET", "/v1/webhooks"): _ADMIN,
    ("DELETE", "/v1/webhooks/{webhook}"): _ADMIN,
    ("GET", "/v1/webhooks/{webhook}/deliveries"): _ADMIN,
    ("GET", "/.well-known/c2pa-soft-binding-resolution"): Access.PUBLIC,
    ("GET", "/v1/services/supportedAlgorithms"): Access.PUBLIC,
    ("GET", "/v1/services/capabilities"): Access.PUBLIC,
    ("GET", "/v1/services/status"): Access.PUBLIC,
    ("GET", "/v1/matches/byBinding"): _FETCH,
    ("POST", "/v1/matches/byBinding"): _FETCH,
    ("POST", "/v1/matches/byContent"): _FETCH,
    ("GET", "/v1/manifests/{manifest}"): _FETCH,
    ("GET", "/v1/manifests/{manifest}/receipts"): _FETCH,
    ("POST", "/v1/manifests/{manifest}/receipts"): _FETCH,
}
"""What each route asks of its caller."""

PAGES: dict[tuple[str, str], Needs] = {
    ("GET", "/"): Access.VISITOR,
    ("POST", "/"): Access.ANONYMOUS,
    ("GET", "/verifications/{job}"): Access.ANONYMOUS,
    ("GET", "/verifications/{job}/events"): Access.ANONYMOUS,
    ("GET", "/verifications/{job}/picture"): _VERIFY,
    ("POST", "/verifications/{job}/again"): Access.ANONYMOUS,
    ("GET", "/generate"): Access.VISITOR,
    ("POST", "/generate"): _GENERATE,
    ("GET", "/generate/{job}"): _GENERATE,
    ("POST", "/generate/{job}/cancel"): _GENERATE,
    ("GET", "/audit"): Access.VISITOR,
    ("GET", "/audit/entries/{index}"): _AUDIT,
    ("GET", "/audit/consistency"): Access.VISITOR,
    ("GET", "/audit/proof"): Access.VISITOR,
    ("GET", "/audit/keys"): _AUDIT,
    ("GET", "/audit/reports"): _AUDIT,
    ("GET", "/sign-in"): Access.VISITOR,
    ("POST", "/sign-in"): Access.VISITOR,
    ("POST", "/sign-out"): Access.VISITOR,
    ("GET", "/static/{name}"): Access.PUBLIC,
}
"""What each page asks of its visitor."""

READS = Rate("reads", 60_000, 60)
WRITES = Rate("writes", 1_200, 60)
PUBLIC = Rate("public", 1_200, 60)
ANONYMOUS = Rate("anonymous", 20, 60)
ANONYMOUS_READS = Rate("anonymous-reads", 240, 60)


@dataclass(frozen=True)
class Asker:
    """Who asks: a tenant's caller, or someone without a key on the public tenant's account."""

    tenant: Tenant
    caller: Caller | None

    @property
    def caller_id(self) -> str | None:
        """The id of the API key, None without one."""
        return self.caller.id if self.caller else None


class Admitted(APIRoute):
    """A route that is entered through the table."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        method = next(iter(self.methods or ()))
        needs = (SCOPES | PAGES)[method, self.path]

        async def admitted(request: Request) -> Response:
            await admit(request, needs)
            return await handle(request)

        return admitted


def router() -> APIRouter:
    """A router whose routes all ask the table."""
    return APIRouter(route_class=Admitted)


async def admit(request: Request, needs: Needs) -> None:
    """Lets the request in, or raises the problem that says why not."""
    here: Installation = request.app.state.installation
    asker = None
    if needs is Access.VISITOR:
        request.state.visitor = await run_in_threadpool(_find_visitor, here, request)
    elif needs is not Access.PUBLIC:
        asker = await run_in_threadpool(_identify, here, request, needs)
        request.state.asker = asker
        request.state.caller_id = asker.caller_id
    _take(here, request, asker)
    if asker is not None and asker.caller is not None:
        wanted = _VERIFY if isinstance(needs, Access) else needs
        if not asker.caller.scopes & set(wanted):
            names = " or ".join(wanted)
            raise Problem(Kind.MISSING_SCOPE, f"this needs a key with the scope {names}")


def _identify(here: Installation, request: Request, needs: Needs) -> Asker:
    given = request.headers.get("authorization")
    with snapshot(here.engine) as session:
        if given is None and (signed_in := given_session(request)) is not None:
            return _of_session(here, session, signed_in)
        if given is None and needs is Access.ANONYMOUS and here.settings.anonymous:
            try:
                return Asker(find_tenant(session, here.settings.public_tenant), None)
            except NoTenant as e:
                raise Problem(Kind.UNAVAILABLE, "nobody is served without a key here") from e
        scheme, _, token = (given or "").partition(" ")
        if given is None or scheme.lower() != "bearer":
            raise _unauthenticated("send an API key: Authorization: Bearer cm_…")
        try:
            caller = authenticate(session, token.strip(), here.tokens, now=datetime.now(UTC))
        except NotACaller as e:
            raise _unauthenticated(str(e)) from e
    return Asker(caller.tenant, caller)


def _of_session(here: Installation, session: Session, cookie: str) -> Asker:
    try:
        caller = read_session(session, cookie, here.tokens, now=datetime.now(UTC))
    except NotACaller as e:
        raise _unauthenticated(f"{e}: sign in again") from e
    return Asker(caller.tenant, caller)


def _find_visitor(here: Installation, request: Request) -> Asker | None:
    """Who is signed in, if anyone is; a session that has ended is none."""
    cookie = given_session(request)
    if cookie is None:
        return None
    with snapshot(here.engine) as session:
        try:
            return _of_session(here, session, cookie)
        except Problem:
            return None


def _unauthenticated(detail: str) -> Problem:
    challenge = {"WWW-Authenticate": 'Bearer realm="countermark"'}
    return Problem(Kind.UNAUTHENTICATED, detail, headers=challenge)


def _take(here: Installation, request: Request, asker: Asker | None) -> None:
    """One request of the caller's rate; raises once it is used up."""
    address = request.client.host if request.client else "unknown"
    reading = request.method == "GET"
    if asker is None:
        who, rate = address, PUBLIC
    elif asker.caller is None:
        who, rate = address, ANONYMOUS_READS if reading else ANONYMOUS
    else:
        who, rate = asker.caller.id, READS if reading else WRITES
    allowance = here.buckets.take(who, rate, now=time.monotonic())
    request.state.rate_headers = allowance.headers
    if allowance.wait:
        detail = f"at most {rate.count} {rate.name} in {rate.seconds} seconds"
        raise Problem(Kind.RATE_LIMITED, detail, headers={"Retry-After": str(allowance.wait)})


def _asker(request: Request) -> Asker:
    found: Asker = request.state.asker
    return found


Asking = Annotated[Asker, Depends(_asker)]
