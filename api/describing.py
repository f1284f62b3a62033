"""Rows as documents: what a caller is told of jobs, pictures and verdicts."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.orm import Session

from api import documents
from api.documents import (
    Fault,
    Finding,
    Generation,
    Image,
    Marking,
    Overlay,
    Progress,
    Verdict,
)
from api.installation import Installation
from api.reasons import Reason
from provenance import pictures
from provenance.jobs import Job, State
from provenance.pictures import Picture

Detail = Literal["coarse", "full"]
COARSE_DETAIL: Detail = "coarse"
FULL_DETAIL: Detail = "full"


def generation(here: Installation, session: Session, job: Job) -> Generation:
    """A job that draws, with its pictures once it is done."""
    url = f"{here.settings.public_url}/v1/generations/{job.id}"
    return Generation(
        **_shared(job, url),
        request=job.wish.request,
        events=f"{url}/events",
        reasons=[Reason(**one) for one in (job.result or {}).get("reasons", ())],
        images=_images(here, session, job),
    )


def marking(here: Installation, session: Session, job: Job) -> Marking:
    """A job that marks an upload, with the marked picture once it is done."""
    url = f"{here.settings.public_url}/v1/marks/{job.id}"
    return Marking(**_shared(job, url), images=_images(here, session, job))


def image(here: Installation, picture: Picture) -> Image:
    """A picture with the addresses of all that belongs to it."""
    url = f"{here.settings.public_url}/v1/images/{picture.id}"
    return Image(
        id=picture.id,
        url=url,
        proof=f"{url}.proof",
        manifest=f"{url}.manifest",
        entry=picture.entry,
        sha256=picture.blob.hex(),
        media_type=picture.media,
        width=picture.width,
        height=picture.height,
        created=picture.created,
        facts=picture.facts,
    )


def verification(here: Installation, job: Job, *, detail: Detail) -> documents.Verification:
    """What verifying came to; `coarse` leaves out every number."""
    url = f"{here.settings.public_url}/v1/verifications/{job.id}"
    result = job.result or {}
    full = detail == FULL_DETAIL
    return documents.Verification(
        **_shared(job, url),
        detail=detail,
        sha256=result.get("sha256") or (job.wish.upload.hex() if job.wish.upload else None),
        width=result.get("width"),
        height=result.get("height"),
        verdict=_verdict(result["verdict"], full=full) if result else None,
        findings={
            name: Finding(**one) if full else Finding(state=one["state"])
            for name, one in result.get("findings", {}).items()
        },
        mark=result.get("mark") if full else None,
        manifest=result.get("manifest") if full else None,
        classifier=result.get("classifier") if full else None,
        overlays=_overlays(result, url) if full else [],
    )


def _verdict(found: dict[str, Any], *, full: bool) -> Verdict:
    return Verdict(**(found if full else {**found, "entries": []}))


def _overlays(result: dict[str, Any], url: str) -> list[Overlay]:
    return [
        Overlay(
            name=one["name"],
            says=one["says"],
            media_type=one["media"],
            url=f"{url}/maps/{one['name']}",
        )
        for one in result.get("overlays", [])
    ]


def _images(here: Installation, session: Session, job: Job) -> list[Image]:
    if job.state is not State.DONE:
        return []
    return [image(here, one) for one in pictures.of_job(session, job.id)]


def _shared(job: Job, url: str) -> dict[str, Any]:
    fault = None if job.fault is None else Fault(code=job.fault, detail=job.detail or "")
    ended = job.state is State.DONE  # the last steps are not reported one by one
    return {
        "id": job.id,
        "state": job.state,
        "progress": Progress(done=job.total if ended else job.done, total=job.total),
        "created": job.created,
        "finished": job.finished,
        "fault": fault,
        "url": url,
    }
