"""Drawing: jobs that are asked for, followed, read and cancelled, one by one or many at once."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from api import describing, events
from api.admission import Asker, Asking, router
from api.answers import ended
from api.asking import IdempotencyKey, Key, Prefer, place, read_job, seconds_to_wait
from api.documents import Batch, Generation, Generations, Queued, Wish
from api.installation import Here, Installation
from api.lists import Cursor, JobId, Limit, list_jobs
from api.models import check_model
from provenance import jobs
from provenance.database import snapshot, transaction
from provenance.jobs import Job
from provenance.replays import Once
from provenance.wishes import LARGEST_SEED, MOST_PICTURES, Generate

routes = router()
_KIND = jobs.Kind.GENERATE


@routes.post("/v1/generations", status_code=202, responses=ended(Generation), tags=["generate"])
async def ask_for_pictures(
    wish: Wish,
    request: Request,
    response: Response,
    here: Here,
    asker: Asking,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Generation:
    """Queue pictures to be drawn; 202, or 200 with the pictures if `Prefer: wait=N` was enough."""
    key = Key(idempotency_key)
    asked = [to_wish(wish, asker, key)]
    (job,) = await run_in_threadpool(order, here, request, asker, [wish], asked)
    seconds = seconds_to_wait(prefer)
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
        if await here.watch.until_ended(job.id, seconds):
            response.status_code = 200
    found = await run_in_threadpool(describe, here, asker, job.id)
    response.headers["Location"] = found.url
    return found


@routes.post("/v1/generations/batch", status_code=202, tags=["generate"])
def ask_for_many(
    batch: Batch,
    request: Request,
    here: Here,
    asker: Asking,
    idempotency_key: IdempotencyKey = None,
) -> Queued:
    """Queue several wishes in one transaction: all of them, or none."""
    asked = []
    for number, wish in enumerate(batch.generations):
        key = Key(None if idempotency_key is None else f"{idempotency_key}#{number}")
        asked.append(to_wish(wish, asker, key))
    placed = order(here, request, asker, batch.generations, asked)
    with snapshot(here.engine) as session:
        read = [jobs.read(session, job.id, asker.tenant.id) for job in placed]
        return Queued(generations=[describing.generation(here, session, job) for job in read])


@routes.get("/v1/generations", tags=["generate"])
def list_generations(
    here: Here, asker: Asking, limit: Limit = 20, cursor: Cursor = None
) -> Generations:
    """The tenant's jobs that draw, the newest first."""
    with snapshot(here.engine) as session:
        found, after = list_jobs(here, session, asker, _KIND, limit=limit, cursor=cursor)
        data = [describing.generation(here, session, job) for job in found]
    return Generations(data=data, next=after)


@routes.get("/v1/generations/{job}", tags=["generate"])
def read_generation(job: JobId, here: Here, asker: Asking) -> Generation:
    """A job that draws: how far it is, and its pictures once it is done."""
    return describe(here, asker, job)


@routes.post("/v1/generations/{job}/cancel", tags=["generate"])
def cancel_generation(job: JobId, here: Here, asker: Asking) -> Generation:
    """Cancel a job that has not ended; what it drew so far is not given out."""
    read_job(here, asker, job, _KIND)
    with transaction(here.engine) as session:
        jobs.cancel(session, job, asker.tenant.id, now=datetime.now(UTC))
    return describe(here, asker, job)


@routes.get(
    "/v1/generations/{job}/events",
    tags=["generate"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `progress`, `preview` and, at last, `done`.",
            "content": {events.MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
        204: {"description": "Everything was sent before `Last-Event-ID` already."},
    },
)
def follow_generation(
    job: JobId,
    here: Here,
    asker: Asking,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=100, description="The id of the last event seen."),
    ] = None,
) -> Response:
    """The job's progress and previews as server-sent events, which can be taken up again."""
    found = read_job(here, asker, job, _KIND)
    seen = events.parse_id(last_event_id)
    if seen.end:
        return Response(status_code=204)
    stream = events.follow(here, found, seen, lambda: describe(here, asker, job))
    return StreamingResponse(stream, media_type=events.MEDIA_TYPE)


def to_wish(wish: Wish, asker: Asker, key: Key) -> tuple[jobs.Wish, Once | None]:
    """The job that a wish asks for; an open seed is drawn here."""
    seed = secrets.randbelow(LARGEST_SEED - MOST_PICTURES) if wish.seed is None else wish.seed
    asked = Generate(
        model=wish.model,
        prompt=wish.prompt,
        seed=seed,
        count=wish.count,
        mark=wish.mark,
        survive=wish.survive,
        output_format=wish.output_format,
        output_compression=wish.output_compression,
    )
    once = key.once("generation", wish.model_dump_json())
    return asked.wish(asker.tenant.id, asker.caller_id), once


def order(
    here: Installation,
    request: Request,
    asker: Asker,
    wishes: list[Wish],
    asked: list[tuple[jobs.Wish, Once | None]],
) -> list[Job]:
    """The jobs of wishes whose models are there; raises Problem's sources."""
    with snapshot(here.engine) as session:
        for name in {wish.model for wish in wishes}:
            check_model(session, name)
    return place(here, request, asker, asked)


def describe(here: Installation, asker: Asker, job: str) -> Generation:
    """The job as it is now."""
    found = read_job(here, asker, job, _KIND)
    with snapshot(here.engine) as session:
        return describing.generation(here, session, found)
