"""Idempotency keys: the same request under the same key is the same job, for a day at least.

A key of a tenant stands for one job and for the digest of what was asked; it is remembered in the
transaction that queues the job. Once it has expired it stands for nothing, and may be used anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from provenance.errors import ProvenanceError
from provenance.tables import ReplayRow

REMEMBERED = timedelta(days=1)


class Reused(ProvenanceError):
    """This idempotency key stands for another request."""


@dataclass(frozen=True)
class Once:
    """An idempotency key of the tenant, and the digest of the request it stands for."""

    key: str
    digest: bytes


def remember(session: Session, tenant: str, once: Once, job: str, *, now: datetime) -> str | None:
    """The job that the key stands for already; None if from now on it stands for `job`."""
    new = {
        "tenant": tenant,
        "key": once.key,
        "digest": once.digest,
        "job": job,
        "created": now,
    }
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    kept = dialect.insert(ReplayRow).values(new).on_conflict_do_nothing().returning(ReplayRow.job)
    if session.scalar(kept) is not None:
        return None
    known = session.get_one(ReplayRow, (tenant, once.key))
    if known.digest != once.digest:
        raise Reused(f"idempotency key {once.key[:100]!r} stands for another request")
    return known.job


def expire(session: Session, *, now: datetime) -> int:
    """How many keys stand for nothing from now on."""
    old = sa.delete(ReplayRow).where(ReplayRow.created < now - REMEMBERED)
    return len(session.scalars(old.returning(ReplayRow.job)).all())
