"""Lists of a tenant's jobs, newest first, a page at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path, Query
from sqlalchemy.orm import Session

from api.admission import Asker
from api.cursors import MAX_CURSOR, format_cursor, parse_cursor
from api.installation import Installation
from provenance import jobs
from provenance.jobs import Job

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

JobId = Annotated[str, Path(max_length=100, description="The id of a job, a UUID.")]
Limit = Annotated[int, Query(ge=1, le=100, description="At most so many on a page.")]
Cursor = Annotated[
    str | None,
    Query(max_length=MAX_CURSOR, description="`next` of the page before, unchanged."),
]


def list_jobs(
    here: Installation,
    session: Session,
    asker: Asker,
    kind: jobs.Kind,
    *,
    limit: int,
    cursor: str | None,
) -> tuple[list[Job], str | None]:
    """A page of the tenant's jobs of a kind, and the cursor of the next."""
    place = f"jobs/{kind}/{asker.tenant.id}"
    before = None
    if cursor is not None:
        micros, _, last = parse_cursor(here.secret, place, cursor).partition("/")
        before = _EPOCH + int(micros) * _MICROSECOND, last
    found = jobs.page(session, asker.tenant.id, kind=kind, before=before, limit=limit + 1)
    if len(found) <= limit:
        return found, None
    end = found[limit - 1]
    position = f"{(end.created - _EPOCH) // _MICROSECOND}/{end.id}"
    return found[:limit], format_cursor(here.secret, place, position)
