"""What went wrong inside, as the problem that a caller is told.

Errors of `provenance` keep their text, which is one line that a person can act on; whatever nobody
foresaw is told without any detail.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.problems import Fault, Kind, Problem
from provenance.blobs import NoBlob, TooLong, Unreachable
from provenance.callers import OverQuota
from provenance.jobs import Ended, NoJob
from provenance.ledger.errors import NotLogged
from provenance.pictures import NoPicture
from provenance.replays import Reused
from provenance.webhooks import NoWebhook

KNOWN: dict[type[Exception], Kind] = {
    NoJob: Kind.NOT_FOUND,
    NoPicture: Kind.NOT_FOUND,
    NoBlob: Kind.NOT_FOUND,
    NoWebhook: Kind.NOT_FOUND,
    NotLogged: Kind.NOT_FOUND,
    Ended: Kind.ALREADY_DONE,
    Reused: Kind.KEY_REUSED,
    TooLong: Kind.TOO_LARGE,
}
_FIELDS: dict[type[Exception], str] = {Reused: "Idempotency-Key", TooLong: "body"}
_HEADERS: dict[type[Exception], dict[str, str]] = {
    NotLogged: {"Retry-After": "1"}
}  # until the next checkpoint, if it is that
# PostgreSQL's codes for writing to a replica, and for beginning to.
_READ_ONLY = ("25006", "0A000")


def to_problem(request: Request, error: Exception) -> Problem:
    """The problem that an error is; INTERNAL, without detail, for what nobody foresaw."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return _of_http(request, error)
        case RequestValidationError():
            return _of_validation(error)
        case OverQuota():
            wait = max(1, int((error.reset - datetime.now(UTC)).total_seconds()))
            return Problem(Kind.QUOTA, str(error), headers={"Retry-After": str(wait)})
        case DBAPIError():
            return _of_database(error)
        case Unreachable():  # its text tells where the blobs are
            headers = {"Retry-After": "5"}
            return Problem(Kind.UNAVAILABLE, "the blobs do not answer", headers=headers)
        case _ if type(error) in KNOWN:
            return _of_provenance(error)
        case _:
            return _unforeseen()


def _of_provenance(error: Exception) -> Problem:
    made = type(error)
    faults = [Fault(_FIELDS[made], str(error))] if made in _FIELDS else []
    return Problem(KNOWN[made], str(error), errors=faults, headers=_HEADERS.get(made))


def _of_http(request: Request, error: HTTPException) -> Problem:
    """What the framework itself refuses, or found refused while it read the body."""
    if isinstance(error.__cause__, Problem):
        return error.__cause__
    match error.status_code:
        case 404:
            return Problem(Kind.NOT_FOUND, "no such path")
        case 405:
            allowed = ", ".join(_methods(request))
            return Problem(
                Kind.METHOD_NOT_ALLOWED, f"this path takes {allowed}", headers={"Allow": allowed}
            )
        case _:
            return Problem(Kind.MALFORMED, f"body: {error.detail}")


def _methods(request: Request) -> list[str]:
    """Every method of the path, which is that of the first route it fits."""
    fitting = (r for r in request.app.routes if r.matches(request.scope)[0] is not Match.NONE)
    path = next(fitting).path
    found = {method for r in request.app.routes if r.path == path for method in r.methods}
    return sorted(found | ({"HEAD"} if "GET" in found else set()))


def _of_validation(error: RequestValidationError) -> Problem:
    faults = [_fault(one) for one in error.errors()]
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return Problem(Kind.MALFORMED, f"body: {faults[0].detail}", errors=faults)
    named = "; ".join(f"{one.field}: {one.detail}" for one in faults[:5])
    return Problem(Kind.INVALID, named[:1000], errors=faults[:50])


def _fault(error: dict[str, object]) -> Fault:
    place = error["loc"]
    assert isinstance(place, tuple), "pydantic names a place"
    inner = [str(part)[:100] for part in place[1:]] or [str(place[0])]
    context = error.get("ctx") or {}
    assert isinstance(context, dict), "pydantic gives a context by name"
    limits = [f"{name} {value}" for name, value in context.items() if name != "error"]
    return Fault(".".join(inner), str(error["msg"])[:300], ", ".join(limits)[:300] or None)


def _of_database(error: DBAPIError) -> Problem:
    """A database that cannot be reached now, or only read, or a defect of ours."""
    headers = {"Retry-After": "5"}
    if error.connection_invalidated or isinstance(error, OperationalError):
        return Problem(Kind.UNAVAILABLE, "the database does not answer", headers=headers)
    if getattr(error.orig, "sqlstate", None) in _READ_ONLY:
        return Problem(Kind.UNAVAILABLE, "this is a copy that can only be read", headers=headers)
    return _unforeseen()


def _unforeseen() -> Problem:
    return Problem(Kind.INTERNAL, "see the service's log under this request id")
