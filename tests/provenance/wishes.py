"""Jobs, and the hands that work on them, for the tests of the service's tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from provenance import jobs
from provenance.blobs import Digest
from provenance.jobs import Claim, Job, Kind, Wish
from provenance.replays import Once
from provenance.wishes import Generate, Verify

NOW = datetime(2026, 11, 25, 22, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after NOW."""
    return NOW + timedelta(seconds=seconds)


def drawing(
    tenant: str = "local", *, prompt: str = "a", count: int = 1, model: str = "toy"
) -> Wish:
    return Generate(model, prompt, seed=1, count=count, mark="lexical").wish(tenant, None)


def checking(tenant: str = "local") -> Wish:
    return Verify("quick").wish(tenant, None, Digest(b"\x01" * 32))


def asked(session: Session, wish: Wish, *, seconds: float = 0, once: Once | None = None) -> Job:
    return jobs.ask(session, wish, now=at(seconds), once=once)


def claimed(session: Session, kind: Kind = Kind.GENERATE, *, seconds: float = 0) -> Claim:
    (one,) = jobs.claim(session, kind, most=1, now=at(seconds))
    return one
