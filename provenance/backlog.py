"""How much work there is: looks at jobs and log, cheap enough to repeat, that lock nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance.jobs import Kind, State
from provenance.ledger.log import log_size, read_record
from provenance.tables import CheckpointRow, JobRow


@dataclass(frozen=True)
class Unsigned:
    """What the last checkpoint does not cover of a log of so many entries."""

    size: int
    entries: int
    oldest: datetime | None


def count(session: Session) -> dict[tuple[Kind, State], int]:
    """How many jobs there are of each kind and state."""
    rows = session.execute(
        sa.select(JobRow.kind, JobRow.state, sa.func.count()).group_by(JobRow.kind, JobRow.state)
    )
    return {(Kind(kind), State(state)): number for kind, state, number in rows}


def oldest(session: Session) -> dict[Kind, datetime]:
    """When the job of each kind that waits longest was asked for."""
    queued = sa.select(JobRow.kind, sa.func.min(JobRow.created))
    queued = queued.where(JobRow.state == State.QUEUED.value).group_by(JobRow.kind)
    return {Kind(kind): created for kind, created in session.execute(queued)}


def waiting(session: Session, kind: Kind) -> bool:
    """Whether a job of this kind is queued: a look, cheap enough to repeat, that locks nothing."""
    queued = sa.select(JobRow.id).where(JobRow.state == State.QUEUED.value)
    return session.scalar(queued.where(JobRow.kind == kind.value).limit(1)) is not None


def unsigned(session: Session) -> Unsigned:
    """How much of the log is not signed yet, and since when."""
    size = log_size(session)
    signed = session.scalar(sa.select(sa.func.max(CheckpointRow.size))) or 0
    oldest = read_record(session, signed).at if signed < size else None
    return Unsigned(size, size - signed, oldest)
