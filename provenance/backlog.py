"""How much work there is: looks at the jobs, cheap enough to repeat, that lock nothing."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance.jobs import Kind, State
from provenance.tables import JobRow


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
