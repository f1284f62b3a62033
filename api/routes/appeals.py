"""Appeals: someone says that the outcome of a job is wrong, and is answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import NAMESPACE_URL, uuid4, uuid5

import sqlalchemy as sa
from fastapi import Path
from pydantic import BaseModel, Field
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from api.admission import Asker, Asking, router
from api.asking import IdempotencyKey
from api.cursors import format_cursor, parse_cursor
from api.documents import TEXT, Taken
from api.installation import Here
from api.lists import Cursor, Limit
from api.problems import Kind, Problem, not_found
from provenance import jobs, outbox
from provenance.database import snapshot, transaction
from provenance.outbox import Event
from provenance.tables import AppealRow

routes = router()

AppealId = Annotated[str, Path(max_length=100, description="The id of an appeal, a UUID.")]


class Objection(Taken):
    """What is wrong with the outcome of a job, in the words of whoever appeals."""

    job: Annotated[str, Field(max_length=100, description="The id of the tenant's job.")]
    reason: Annotated[
        str,
        Field(min_length=1, max_length=4000, pattern=TEXT, description="1 to 4,000 characters."),
    ]


class Reply(Taken):
    """What is answered."""

    answer: Annotated[
        str,
        Field(min_length=1, max_length=4000, pattern=TEXT, description="1 to 4,000 characters."),
    ]


class Appeal(BaseModel):
    id: str
    job: str
    reason: str
    created: datetime
    answer: str | None
    answered: datetime | None


class Appeals(BaseModel):
    data: list[Appeal]
    next: Annotated[str | None, Field(description="Cursor of the next page; null at the end.")]


@routes.post("/v1/appeals", status_code=201, tags=["appeals"])
def appeal(
    objection: Objection, here: Here, asker: Asking, idempotency_key: IdempotencyKey = None
) -> Appeal:
    """Object to the outcome of one of the tenant's jobs."""
    made = str(uuid4())
    if idempotency_key is not None:
        made = str(uuid5(NAMESPACE_URL, f"appeal/{asker.tenant.id}/{idempotency_key}"))
    new = {
        "id": made,
        "tenant": asker.tenant.id,
        "job": objection.job,
        "reason": objection.reason,
        "created": datetime.now(UTC),
    }
    with transaction(here.engine) as session:
        jobs.read(session, objection.job, asker.tenant.id)
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        session.execute(dialect.insert(AppealRow).values(new).on_conflict_do_nothing())
        row = _find(session, asker, made)
        if (row.job, row.reason) != (objection.job, objection.reason):
            raise Problem(Kind.KEY_REUSED, "this key stands for another appeal")
        return _describe(row)


@routes.get("/v1/appeals", tags=["appeals"])
def list_appeals(here: Here, asker: Asking, limit: Limit = 20, cursor: Cursor = None) -> Appeals:
    """The tenant's appeals, the newest first."""
    place = f"appeals/{asker.tenant.id}"
    found = sa.select(AppealRow).where(AppealRow.tenant == asker.tenant.id)
    with snapshot(here.engine) as session:
        if cursor is not None:
            last = session.get(AppealRow, parse_cursor(here.secret, place, cursor))
            assert last is not None, "appeals are never deleted"
            key = sa.tuple_(AppealRow.created, AppealRow.id)
            moment = sa.bindparam(None, last.created, AppealRow.created.type)
            found = found.where(key < sa.tuple_(moment, sa.bindparam(None, last.id)))
        found = found.order_by(AppealRow.created.desc(), AppealRow.id.desc()).limit(limit + 1)
        rows = list(session.scalars(found))
        page = [_describe(row) for row in rows[:limit]]
    after = format_cursor(here.secret, place, page[-1].id) if len(rows) > limit else None
    return Appeals(data=page, next=after)


@routes.get("/v1/appeals/{appeal}", tags=["appeals"])
def read_appeal(appeal: AppealId, here: Here, asker: Asking) -> Appeal:
    """One of the tenant's appeals."""
    with snapshot(here.engine) as session:
        return _describe(_find(session, asker, appeal))


@routes.post("/v1/appeals/{appeal}/answer", tags=["appeals"])
def answer_appeal(appeal: AppealId, reply: Reply, here: Here, asker: Asking) -> Appeal:
    """Answer an appeal of the tenant, once."""
    with transaction(here.engine) as session:
        _find(session, asker, appeal)
        now = datetime.now(UTC)
        given = {"answer": reply.answer, "answered": now}
        change = sa.update(AppealRow).where(AppealRow.id == appeal, AppealRow.answer.is_(None))
        if session.scalar(change.values(given).returning(AppealRow.id)) is None:
            raise Problem(Kind.ALREADY_DONE, "this appeal is answered already")
        answered = _find(session, asker, appeal)
        told = {"id": answered.id, "job": answered.job}
        outbox.put(session, asker.tenant.id, Event.APPEAL_ANSWERED, told, now=now)
        return _describe(answered)


def _find(session: Session, asker: Asker, appeal: str) -> AppealRow:
    found = sa.select(AppealRow).where(AppealRow.id == appeal, AppealRow.tenant == asker.tenant.id)
    row = session.scalar(found.execution_options(populate_existing=True))
    if row is None:
        raise not_found("appeal")
    return row


def _describe(row: AppealRow) -> Appeal:
    return Appeal(
        id=row.id,
        job=row.job,
        reason=row.reason,
        created=row.created,
        answer=row.answer,
        answered=row.answered,
    )
