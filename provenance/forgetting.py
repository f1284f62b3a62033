"""What a job was given goes: a stated time after the job has ended, or at once if it is erased.

A drawing was given a prompt. Once it is forgotten, the opening in the log's table holds the only
copy, and erasing that deletes the job's copy in the same transaction. The idempotency key still
stands for the job, by a digest of the request. Other jobs were given an upload: row and result let
go of it, of what its manifest states and of the overlays that show it, and `tidying` removes the
files. Not promised: that a database's own files and backups forget as fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance.jobs import ENDED
from provenance.ledger import log
from provenance.ledger.log import Entry
from provenance.ledger.record import Subject
from provenance.tables import AttachedRow, JobRow, PictureRow

MOST = 200  # jobs in one transaction, so that others can write in between
PROMPT = "prompt"
GIVEN = frozenset({PROMPT, "original"})  # fields of records that a job was given


def erase(
    session: Session, subject: Subject, fields: Sequence[str], *, reason: str, at: datetime
) -> Entry:
    """Deletes the openings of these fields and what the entry's job still holds; the log says so.

    Raises NotLogged if one of them is not there to be deleted.
    """
    entry = log.erase(session, subject, fields, reason=reason, at=at)
    if GIVEN & set(fields):
        made = sa.select(PictureRow.job).where(PictureRow.entry == subject.index)
        _forget(session, sa.select(JobRow).where(JobRow.id.in_(made)), now=at)
    return entry


def forget(session: Session, *, before: datetime, now: datetime) -> int:
    """How many jobs that ended before a time have forgotten now; fewer than MOST: all have."""
    due = sa.select(JobRow).where(
        JobRow.forgotten.is_(None), JobRow.state.in_(ENDED), JobRow.finished < before
    )
    return _forget(session, due.order_by(JobRow.finished).limit(MOST), now=now)


def _forget(session: Session, which: sa.Select[JobRow], *, now: datetime) -> int:
    rows = session.scalars(which.with_for_update()).all()
    for row in rows:
        row.forgotten = now
        if row.request.get(PROMPT) is not None:
            row.request = {**row.request, PROMPT: None}
        if row.result is not None and "overlays" in row.result:
            row.result = {**row.result, "overlays": []}
        if row.result is not None and row.result.get("manifest") is not None:
            row.result = {**row.result, "manifest": {**row.result["manifest"], "statement": None}}
        row.upload = None
    session.execute(sa.delete(AttachedRow).where(AttachedRow.job.in_([row.id for row in rows])))
    session.flush()
    return len(rows)
