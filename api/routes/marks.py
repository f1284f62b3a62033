"""Marking a picture that exists already."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import describing, uploads
from api.admission import Asker, Asking, router
from api.answers import ended
from api.asking import IdempotencyKey, Key, Prefer, check_done, place, read_job, seconds_to_wait
from api.documents import NAME, Marking
from api.installation import Here, Installation
from api.lists import JobId
from api.models import check_model
from provenance import jobs
from provenance.blobs import Digest
from provenance.database import snapshot
from provenance.jobs import Job, State
from provenance.wishes import Mark

routes = router()
_KIND = jobs.Kind.MARK

Model = Annotated[str, Query(pattern=NAME, description="Whose codec carries the mark.")]


@routes.post(
    "/v1/marks",
    status_code=202,
    responses=ended(Marking),
    openapi_extra=uploads.BODY,
    tags=["mark"],
)
async def ask_for_mark(
    request: Request,
    response: Response,
    here: Here,
    asker: Asking,
    model: Model = "icons-128",
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Marking:
    """Mark a picture; 202, or 200 with the marked one if `Prefer: wait=N` was enough."""
    await run_in_threadpool(_check_model, here, model)
    digest = await uploads.receive(here, request)
    key = Key(idempotency_key)
    job = await run_in_threadpool(_place, here, request, asker, digest, model, key)
    seconds = seconds_to_wait(prefer)
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
        if await here.watch.until_ended(job.id, seconds):
            response.status_code = 200
    found = await run_in_threadpool(read_job, here, asker, job.id, _KIND)
    described = await run_in_threadpool(_describe, here, found)
    if found.state is State.FAILED:
        check_done(found, described.url)
    response.headers["Location"] = described.url
    return described


@routes.get("/v1/marks/{job}", tags=["mark"])
def read_marking(job: JobId, here: Here, asker: Asking) -> Marking:
    """A job that marks: the marked picture once it is done."""
    return _describe(here, read_job(here, asker, job, _KIND))


def _check_model(here: Installation, model: str) -> None:
    with snapshot(here.engine) as session:
        check_model(session, model)


def _place(
    here: Installation, request: Request, asker: Asker, digest: Digest, model: str, key: Key
) -> Job:
    wish = Mark(model=model).wish(asker.tenant.id, asker.caller_id, digest)
    once = key.once("mark", digest.hex(), model)
    (job,) = place(here, request, asker, [(wish, once)])
    return job


def _describe(here: Installation, job: Job) -> Marking:
    with snapshot(here.engine) as session:
        return describing.marking(here, session, job)
