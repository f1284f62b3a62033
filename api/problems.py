"""What can be refused at the door, each with a stable name (RFC 9457, application/problem+json).

A problem's `type` is `/problems/NAME`, a page of this very server; `NAME` alone is its `code`.
Names never change and are never used for something else. `errors` names each field that is wrong
and the limit it broke. Which status belongs to which name is decided in `app`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MEDIA_TYPE = "application/problem+json"


class Kind(StrEnum):
    """The name of a problem."""

    MALFORMED = "malformed-request"
    UNAUTHENTICATED = "unauthenticated"
    MISSING_SCOPE = "missing-scope"
    CROSS_SITE = "cross-site"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    ALREADY_DONE = "already-done"
    TOO_LARGE = "too-large"
    URI_TOO_LONG = "uri-too-long"
    UNSUPPORTED_MEDIA = "unsupported-media-type"
    RANGE = "range-not-satisfiable"
    INVALID = "invalid"
    KEY_REUSED = "idempotency-key-reused"
    BANNED = "banned"
    CANNOT_MARK = "cannot-mark"
    UNREADABLE = "unreadable-picture"
    RATE_LIMITED = "rate-limited"
    PROBING = "detector-probing"
    QUOTA = "quota-exceeded"
    FAILED = "job-failed"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    STILL_RUNNING = "still-running"


@dataclass(frozen=True)
class Meaning:
    """What a problem says, and what the caller can do about it."""

    title: str
    advice: str


MEANING: dict[Kind, Meaning] = {
    Kind.MALFORMED: Meaning(
        "The request cannot be read", "Send a body in the declared media type and encoding."
    ),
    Kind.UNAUTHENTICATED: Meaning(
        "An API key is needed", "Send `Authorization: Bearer cm_…` with a key that is not revoked."
    ),
    Kind.MISSING_SCOPE: Meaning(
        "The API key may not do this", "Ask whoever runs the service for a key with this scope."
    ),
    Kind.CROSS_SITE: Meaning(
        "The form was not sent from a page of this service",
        "Open the page here and send the form again.",
    ),
    Kind.NOT_FOUND: Meaning(
        "There is nothing here for you",
        "Check the id; what belongs to another tenant looks the same as what does not exist.",
    ),
    Kind.METHOD_NOT_ALLOWED: Meaning(
        "This path does not take this method", "Use one of the methods in the Allow header."
    ),
    Kind.ALREADY_DONE: Meaning(
        "It is too late for this",
        "Read the resource: it has ended, or it is in this state already.",
    ),
    Kind.TOO_LARGE: Meaning("The body is too large", "Send at most as many bytes as `limit` says."),
    Kind.URI_TOO_LONG: Meaning("The address is too long", "Send the value in the body of a POST."),
    Kind.UNSUPPORTED_MEDIA: Meaning(
        "This media type is not taken",
        "Send one of the media types in `limit`; what a picture is, is read from its first bytes.",
    ),
    Kind.RANGE: Meaning(
        "No part of the picture is in this range",
        "Ask for bytes below the length in Content-Range.",
    ),
    Kind.INVALID: Meaning("A field is outside its limits", "Mend each field that `errors` names."),
    Kind.KEY_REUSED: Meaning(
        "This Idempotency-Key was used for another request", "Use a new key for a new request."
    ),
    Kind.BANNED: Meaning(
        "A policy bans what was asked for or drawn",
        "Ask for something else; `reasons` names the concept and what spoke for it.",
    ),
    Kind.CANNOT_MARK: Meaning(
        "The picture cannot carry a mark", "Try another seed, prompt or picture."
    ),
    Kind.UNREADABLE: Meaning(
        "The file is not a readable picture", "Send a whole PNG, JPEG or WebP within the limits."
    ),
    Kind.RATE_LIMITED: Meaning("Too many requests", "Wait as Retry-After says."),
    Kind.PROBING: Meaning(
        "Too many verifications of near-duplicates of one picture",
        "Wait as Retry-After says; this limit protects the detector from being probed.",
    ),
    Kind.QUOTA: Meaning("The quota of the API key is used up", "Wait as Retry-After says."),
    Kind.FAILED: Meaning("The work could not be done", "Send it again, or tell who runs this."),
    Kind.INTERNAL: Meaning(
        "The service failed", "Send it again; if it stays, tell who runs this the request id."
    ),
    Kind.UNAVAILABLE: Meaning("Not available now", "Wait as Retry-After says, then try again."),
    Kind.STILL_RUNNING: Meaning(
        "The work takes longer than a request may wait",
        "Read the job that `instance` names until it is done.",
    ),
}


@dataclass(frozen=True)
class Fault:
    """One field that is wrong, how, and the limit it broke, if it has one."""

    field: str
    detail: str
    limit: str | None = None


class Problem(Exception):
    """A request that is refused; `headers` go out with the answer."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        instance: str | None = None,
        reasons: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.instance = instance
        self.reasons = tuple(reasons)


def not_found(what: str) -> Problem:
    """The one answer for what does not exist and for what is another tenant's."""
    return Problem(Kind.NOT_FOUND, f"no such {what}")


def invalid(field: str, detail: str, limit: str | None = None) -> Problem:
    """One field that is outside its limits."""
    return Problem(Kind.INVALID, f"{field}: {detail}", errors=[Fault(field, detail, limit)])


_CODES = {Kind.BANNED: "content_policy_violation"}  # as clients of that API know it


def document(problem: Problem, status: int, request_id: str) -> dict[str, Any]:
    """The problem as JSON; `error` repeats it for clients of the OpenAI API."""
    meaning = MEANING[problem.kind]
    first = problem.errors[0] if problem.errors else None
    return {
        "type": f"/problems/{problem.kind}",
        "title": meaning.title,
        "status": status,
        "detail": problem.detail,
        "instance": problem.instance,
        "code": problem.kind.value,
        "errors": [
            {"field": one.field, "detail": one.detail, "limit": one.limit} for one in problem.errors
        ],
        **({"reasons": list(problem.reasons)} if problem.reasons else {}),
        "request_id": request_id,
        "error": {
            "message": f"{meaning.title}: {problem.detail}",
            "type": problem.kind.value,
            "param": first.field if first else None,
            "code": _CODES.get(problem.kind, problem.kind.value),
        },
    }
