"""Pictures as far as they are drawn, for whoever waits; gone when their job ends."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance.jobs import Claim, JobId, State
from provenance.tables import JobRow, PreviewRow


@dataclass(frozen=True)
class Preview:
    """One picture of a job after `step` of the job's steps, as a PNG file."""

    number: int  # from 0, within its job
    step: int
    png: bytes


def show(session: Session, claim: Claim, previews: list[Preview]) -> None:
    """Replaces the previews of a job; a lost claim shows nothing."""
    held = JobRow.id == claim.job.id, JobRow.fence == claim.fence
    running = JobRow.state == State.RUNNING.value
    locked = sa.select(JobRow.id).where(*held, running).with_for_update()
    if session.scalar(locked) is None:
        return
    session.execute(sa.delete(PreviewRow).where(PreviewRow.job == claim.job.id))
    rows = [
        {"job": claim.job.id, "number": one.number, "step": one.step, "png": one.png}
        for one in previews
    ]
    if rows:
        session.execute(sa.insert(PreviewRow), rows)


def read(session: Session, job: JobId, *, after: int = 0) -> list[Preview]:
    """The previews of a job that are newer than a step, in the order of its pictures."""
    found = sa.select(PreviewRow).where(PreviewRow.job == job, PreviewRow.step > after)
    rows = session.scalars(found.order_by(PreviewRow.number))
    return [Preview(row.number, row.step, bytes(row.png)) for row in rows]
