"""Checking a picture: the front page, and a page for each result that its link shows again.

It works without scripts: a form, and a page that loads itself anew until the job has ended. What
was sent in is shown again only to its tenant, so that nobody can publish pictures here; to others
the browser shows its own copy.
"""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from api import events, uploads
from api.admission import Asker, Asking
from api.asking import place, read_job
from api.conditional import serve
from api.describing import FULL_DETAIL
from api.documents import Verification
from api.installation import Here, Installation
from api.lists import JobId
from api.pages.entrance import pages
from api.pages.render import page
from api.problems import Kind, Problem, not_found
from api.routes.verifications import Search, describe
from api.signatures import SIGNATURE_BYTES, sniff
from provenance import jobs, pictures
from provenance.blobs import Digest
from provenance.callers import Scope
from provenance.database import snapshot
from provenance.jobs import Job
from provenance.pictures import Picture
from provenance.verdict.finding import (
    ClassifierState,
    FingerprintState,
    ManifestState,
    MarkState,
    OriginState,
    RecordState,
    RevocationState,
)
from provenance.wishes import SEARCHES, Verify

routes = pages()

MOST_ALIKE = 6  # recorded pictures shown beside the one that was sent in
_KIND = jobs.Kind.VERIFY
_PLAIN = re.compile(r"[0-9]+x[0-9]+")  # a geometry under which the map lies on the picture
_SHOWN = {Scope.GENERATE, Scope.MARK, Scope.AUDIT}  # any one of them opens pictures
_POINTLESS = {
    RecordState.NONE,
    ManifestState.ABSENT,
    ManifestState.FOREIGN,
    ManifestState.UNTRUSTED,
    ManifestState.INVALID,
    MarkState.INCONCLUSIVE,
    MarkState.NOT_DETECTED,
    FingerprintState.NONE,
    FingerprintState.INCONCLUSIVE,
    RevocationState.STANDS,
    OriginState.MADE,
    *ClassifierState,
}
"""What names no record."""
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=100)]


@routes.get("/")
def show_front(request: Request, here: Here) -> Response:
    """The form for a picture."""
    settings = here.settings
    return page(request, "verify", limit=settings.upload_bytes, anonymous=settings.anonymous)


@routes.post("/")
async def check_picture(
    request: Request, here: Here, asker: Asking, search: Search = "quick"
) -> Response:
    """A new check; its page."""
    digest = await uploads.receive(here, request)
    return await run_in_threadpool(_order, here, request, asker, digest, search)


@routes.post("/verifications/{job}/again")
def check_again(
    job: JobId, request: Request, here: Here, asker: Asking, search: Search = "standard"
) -> Response:
    """A new check of the same bytes, which looks more widely."""
    upload = _upload(read_job(here, asker, job, _KIND))
    return _order(here, request, asker, upload, search)


@routes.get("/verifications/{job}")
def show_result(job: JobId, request: Request, here: Here, asker: Asking) -> Response:
    """How far the check is, and what it came to."""
    found = read_job(here, asker, job, _KIND)
    told = describe(here, asker, found)
    search = found.wish.request["search"]
    wider = SEARCHES[SEARCHES.index(search) + 1 :][:1]
    return page(
        request,
        "verification",
        told=told.model_dump(),
        kept=found.wish.upload is not None,
        search=search,
        wider=wider[0] if wider and found.wish.upload is not None else None,
        points=_points(told),
        alike=_alike(here, asker, told),
        audits=asker.caller is not None and Scope.AUDIT in asker.caller.scopes,
        fits=bool(_PLAIN.fullmatch((told.mark or {}).get("geometry") or "")),
    )


@routes.get("/verifications/{job}/events")
def follow_check(
    job: JobId, here: Here, asker: Asking, last_event_id: LastEventId = None
) -> Response:
    """The progress of the check as server-sent events."""
    found = read_job(here, asker, job, _KIND)
    seen = events.parse_id(last_event_id)
    if seen.end:
        return Response(status_code=204)

    def ended() -> Verification:
        try:
            return describe(here, asker, read_job(here, asker, job, _KIND))
        except Problem as e:  # an answer that is withheld: the page says so
            if e.kind is not Kind.PROBING:
                raise
            return describe(here, asker, found)

    stream = events.follow(here, found, seen, ended)
    return StreamingResponse(stream, media_type=events.MEDIA_TYPE)


@routes.get("/verifications/{job}/picture")
def show_picture(job: JobId, request: Request, here: Here, asker: Asking) -> Response:
    """What was sent in, for whoever shares its tenant."""
    data = here.blobs.get(_upload(read_job(here, asker, job, _KIND)))
    media = sniff(data[:SIGNATURE_BYTES])
    if media is None:
        raise not_found("picture")
    return serve(request, data, media, {"Cache-Control": "private, max-age=3600"})


def _upload(job: Job) -> Digest:
    """What was sent in or fetched, as long as it is not forgotten; raises Problem."""
    if job.wish.upload is None:
        raise not_found("picture")
    return job.wish.upload


def _order(
    here: Installation, request: Request, asker: Asker, digest: Digest, search: str
) -> Response:
    wish = Verify(search=search).wish(asker.tenant.id, asker.caller_id, digest)
    (job,) = place(here, request, asker, [(wish, None)])
    return RedirectResponse(f"/verifications/{job.id}", 303)


def _points(told: Verification) -> bool:
    """Whether any finding names a record, as far as the asker is told."""
    if told.detail == FULL_DETAIL:
        return any(one.entries for one in told.findings.values())
    states = {one.state for one in told.findings.values()}
    return not states <= _POINTLESS


def _alike(here: Installation, asker: Asker, told: Verification) -> list[Picture]:
    """The recorded pictures that the findings point to, as far as the asker may see them."""
    if asker.caller is None or not asker.caller.scopes & _SHOWN:
        return []
    entries = {entry for one in told.findings.values() for entry in one.entries}
    with snapshot(here.engine) as session:
        found = pictures.of_entries(session, sorted(entries), asker.tenant.id)
    return [found[entry] for entry in sorted(found)][:MOST_ALIKE]
