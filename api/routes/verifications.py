"""Verifying: what can be proven about a picture that is sent in.

Whoever has no API key gets the verdict and the state of each finding, without numbers, and few of
them. Many verifications of pictures that look alike are probing of the detector, and their answers
are withheld (see `probing`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api import describing, uploads
from api.admission import Asker, Asking, router
from api.answers import ended, file
from api.asking import IdempotencyKey, Key, Prefer, check_done, place, read_job, seconds_to_wait
from api.conditional import serve
from api.describing import COARSE_DETAIL, FULL_DETAIL
from api.documents import AddressedBatch, QueuedVerifications, Verification, Verifications
from api.installation import Here, Installation
from api.lists import Cursor, JobId, Limit, list_jobs
from api.probing import check_not_probing
from api.problems import Kind, Problem, not_found
from provenance import jobs
from provenance.blobs import Digest
from provenance.database import snapshot
from provenance.jobs import Job, State
from provenance.wishes import Verify

routes = router()
_KIND = jobs.Kind.VERIFY

Search = Annotated[
    Literal["quick", "standard", "full"],
    Query(description="How widely shifts, scales and crops are searched; wider takes longer."),
]


@routes.post(
    "/v1/verifications",
    status_code=202,
    responses=ended(Verification),
    openapi_extra=uploads.BODY,
    tags=["verify"],
)
async def ask_for_verdict(
    request: Request,
    response: Response,
    here: Here,
    asker: Asking,
    search: Search = "quick",
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Verification:
    """Verify a picture; 202, or 200 with the verdict if `Prefer: wait=N` was enough."""
    digest = await uploads.receive(here, request)
    job = await run_in_threadpool(
        _place, here, request, asker, digest, search, Key(idempotency_key)
    )
    seconds = seconds_to_wait(prefer)
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
        if await here.watch.until_ended(job.id, seconds):
            response.status_code = 200
    found = await run_in_threadpool(read_job, here, asker, job.id, _KIND)
    described = await run_in_threadpool(describe, here, asker, found)
    if found.state is State.FAILED:
        check_done(found, described.url)
    response.headers["Location"] = described.url
    return described


@routes.post("/v1/verifications/batch", status_code=202, tags=["verify"])
def ask_for_verdicts(
    batch: AddressedBatch,
    request: Request,
    here: Here,
    asker: Asking,
    idempotency_key: IdempotencyKey = None,
) -> QueuedVerifications:
    """Verify pictures at addresses, if this service fetches: all are queued, or none.

    Each is a job of its own, and fails for itself: as fetch-refused, fetch-failed or
    fetch-too-large, or as an upload of the same bytes would.
    """
    if not here.settings.fetch:
        raise Problem(Kind.NOT_FOUND, "this service fetches nothing: upload the pictures")
    asked = []
    for number, one in enumerate(batch.verifications):
        key = Key(None if idempotency_key is None else f"{idempotency_key}#{number}")
        wish = Verify(search=one.search).wish_of(asker.tenant.id, asker.caller_id, one.url)
        asked.append((wish, key.once("verification of", one.url, one.search)))
    placed = place(here, request, asker, asked)
    return QueuedVerifications(verifications=[describe(here, asker, job) for job in placed])


@routes.get("/v1/verifications", tags=["verify"])
def list_verifications(
    here: Here, asker: Asking, limit: Limit = 20, cursor: Cursor = None
) -> Verifications:
    """The tenant's verifications, the newest first."""
    with snapshot(here.engine) as session:
        found, after = list_jobs(here, session, asker, _KIND, limit=limit, cursor=cursor)
    data = [describing.verification(here, job, detail=FULL_DETAIL) for job in found]
    return Verifications(data=data, next=after)


@routes.get("/v1/verifications/{job}", tags=["verify"])
def read_verification(job: JobId, here: Here, asker: Asking) -> Verification:
    """A verification: its verdict once it is done."""
    return describe(here, asker, read_job(here, asker, job, _KIND))


@routes.get(
    "/v1/verifications/{job}/maps/{name}",
    tags=["verify"],
    response_class=Response,
    responses=file("image/png"),
)
def read_map(
    job: JobId,
    name: Annotated[str, Path(max_length=100, description="The name of an overlay.")],
    request: Request,
    here: Here,
    asker: Asking,
) -> Response:
    """A picture that shows where evidence lies."""
    found = read_job(here, asker, job, _KIND)
    check_not_probing(here, asker, found)
    for one in (found.result or {}).get("overlays", []):
        if one["name"] == name:
            data = here.blobs.get(Digest(bytes.fromhex(one["sha256"])))
            return serve(request, data, one["media"])
    raise not_found("overlay")


def describe(here: Installation, asker: Asker, job: Job) -> Verification:
    """The verification as far as the asker may see it; raises if the asker probes."""
    check_not_probing(here, asker, job)
    detail = COARSE_DETAIL if asker.caller is None else FULL_DETAIL
    return describing.verification(here, job, detail=detail)


def _place(
    here: Installation, request: Request, asker: Asker, digest: Digest, search: str, key: Key
) -> Job:
    wish = Verify(search=search).wish(asker.tenant.id, asker.caller_id, digest)
    once = key.once("verification", digest.hex(), search)
    (job,) = place(here, request, asker, [(wish, once)])
    return job
