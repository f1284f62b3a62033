"""How the service is: alive, ready, counted, described."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api.admission import router
from api.answers import TEXT, Responses
from api.broker import State as BrokerState
from api.installation import Here
from api.metrics import CONTENT_TYPE
from api.models import listed
from api.problems import MEANING, Kind, not_found
from provenance import backlog
from provenance.database import snapshot
from provenance.tables import JobRow

routes = router()
LATE = 300  # seconds that a job, or an entry of the log, may wait before the service is not ready

_JSON: Responses = {200: {"content": {"application/json": {"schema": {"type": "object"}}}}}
_COUNTED: Responses = {200: {"content": {"text/plain": {"schema": TEXT}}}}


class Health(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """How the parts behind the door are."""

    status: Literal["ready", "not ready"]
    database: Literal["ok", "down"]
    broker: Annotated[BrokerState, Field(description="None if the workers need none.")]
    models: Annotated[list[str], Field(description="That a worker spoke of lately.")]
    waiting: Annotated[int, Field(description="Jobs that wait.")]
    oldest_wait: Annotated[int, Field(description="Of the job that waits longest, in seconds.")]
    log_entries: int
    unsigned_entries: Annotated[int, Field(description="That no checkpoint covers yet.")]
    unsigned_seconds: Annotated[int, Field(description="Age of the oldest of these entries.")]


class Listed(BaseModel):
    """A problem that this service answers with."""

    type: str
    code: str
    title: str
    advice: Annotated[str, Field(description="What the caller can do about it.")]


class Problems(BaseModel):
    data: list[Listed]


@routes.get("/health", tags=["state"])
def read_health() -> Health:
    """The process lives; nothing behind it is asked."""
    return Health()


@routes.get("/ready", tags=["state"], responses={503: {"model": Ready}})
def read_ready(response: Response, here: Here) -> Ready:
    """Whether work is done: database, broker, workers, queue and log; 503 if not."""
    broker = here.broker.state()
    try:
        with snapshot(here.engine) as session:
            ready = _look(session, broker)
    except SQLAlchemyError:
        ready = Ready(
            status="not ready",
            database="down",
            broker=broker,
            models=[],
            waiting=0,
            oldest_wait=0,
            log_entries=0,
            unsigned_entries=0,
            unsigned_seconds=0,
        )
    if ready.status != "ready":
        response.status_code = 503
    return ready


@routes.get("/metrics", tags=["state"], response_class=Response, responses=_COUNTED)
def read_metrics(here: Here) -> Response:
    """What was counted, for Prometheus."""
    return Response(here.metrics.render(), media_type=CONTENT_TYPE)


@routes.get("/openapi.json", tags=["state"], response_class=JSONResponse, responses=_JSON)
def read_description(request: Request) -> JSONResponse:
    """This API, described field by field (OpenAPI 3.1)."""
    described: dict[str, Any] = request.app.openapi()
    return JSONResponse(described)


@routes.get("/problems", tags=["state"])
def list_problems() -> Problems:
    """Every problem that this service answers with."""
    return Problems(data=[_listed(kind) for kind in Kind])


@routes.get("/problems/{code}", tags=["state"])
def read_problem(
    code: Annotated[str, Path(max_length=100, description="The name of a problem.")],
) -> Listed:
    """What a problem says, and what to do about it."""
    if code not in tuple(Kind):
        raise not_found("problem")
    return _listed(Kind(code))


def _listed(kind: Kind) -> Listed:
    meaning = MEANING[kind]
    return Listed(
        type=f"/problems/{kind}", code=kind.value, title=meaning.title, advice=meaning.advice
    )


def _look(session: Session, broker: BrokerState) -> Ready:
    waiting = JobRow.state == "queued"
    count, oldest = session.execute(
        sa.select(sa.func.count(), sa.func.min(JobRow.created)).where(waiting)
    ).one()
    left, now = backlog.unsigned(session), datetime.now(UTC)
    names = [one.name for one, _ in listed(session)]
    late = int((now - oldest).total_seconds()) if count else 0
    age = int((now - (left.oldest or now)).total_seconds())
    works = bool(names) and broker != "down" and max(late, age) < LATE
    return Ready(
        status="ready" if works else "not ready",
        database="ok",
        broker=broker,
        models=names,
        waiting=count,
        oldest_wait=max(0, late),
        log_entries=left.size,
        unsigned_entries=left.entries,
        unsigned_seconds=max(0, age),
    )
