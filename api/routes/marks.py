"""Marking a picture that exists already."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import describing, uploads
from api.admission import Asker, Asking, router
from api.answers import ended
from api.asking import IdempotencyKey, Key, Prefer, check_done, place, read_job, seconds_to_wait
from api.documents import NAME, Marking, OutputCompression, OutputFormat, check_compression
from api.installation import Here, Installation
from api.lists import JobId
from api.models import check_model
from api.problems import invalid
from provenance import jobs
from provenance.blobs import Digest
from provenance.database import snapshot
from provenance.jobs import Job, State
from provenance.wishes import BEST, Mark

routes = router()
_KIND = jobs.Kind.MARK


def _ask(
    here: Here,
    model: Annotated[
        str, Query(pattern=NAME, description="Whose codec carries the mark.")
    ] = "icons-128",
    output_format: Annotated[OutputFormat, Query()] = "png",
    output_compression: Annotated[OutputCompression, Query()] = BEST,
) -> Mark:
    """What is asked for; raises the problem that it cannot be had."""
    try:
        check_compression(output_format, output_compression)
    except ValueError as e:
        raise invalid("output_compression", str(e), str(BEST)) from e
    with snapshot(here.engine) as session:
        if not check_model(session, model).uploads:
            raise invalid("model", f"the codec of {model} cannot mark uploads", "icons-128")
    return Mark(model, output_format=output_format, output_compression=output_compression)


Asked = Annotated[Mark, Depends(_ask)]


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
    asked: Asked,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Marking:
    """Mark a picture; 202, or 200 with the marked one if `Prefer: wait=N` was enough."""
    digest = await uploads.receive(here, request)
    job = await run_in_threadpool(_place, here, request, asker, digest, asked, Key(idempotency_key))
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


def _place(
    here: Installation, request: Request, asker: Asker, digest: Digest, asked: Mark, key: Key
) -> Job:
    wish = asked.wish(asker.tenant.id, asker.caller_id, digest)
    written = asked.output_format, str(asked.output_compression)
    once = key.once("mark", digest.hex(), asked.model, *written)
    (job,) = place(here, request, asker, [(wish, once)])
    return job


def _describe(here: Installation, job: Job) -> Marking:
    with snapshot(here.engine) as session:
        return describing.marking(here, session, job)
