"""Drawing: a form for a wish, and a page for each job that fills in while it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from api.admission import Asker, Asking
from api.asking import Key, read_job
from api.documents import Wish
from api.installation import Here, Installation
from api.lists import JobId
from api.models import listed
from api.pages.entrance import pages
from api.pages.policies import read_policy
from api.pages.render import page, visitor
from api.pages.session import read_form
from api.problems import Kind, Problem
from api.routes.generations import describe, order, to_wish
from provenance import jobs
from provenance.callers import Scope
from provenance.database import snapshot, transaction
from provenance.jobs import Job
from provenance.models import Model
from provenance.policies import EVERY, Version, current
from provenance.wishes import LARGEST_SEED, LONGEST_PROMPT, MOST_PICTURES, NO_ATTACK

routes = pages()

ATTACKS: dict[str, str] = {
    NO_ATTACK: "nothing: read back from the file as it is",
    "jpeg-75": "JPEG at quality 75",
    "jpeg-50": "JPEG at quality 50",
    "resize-0.75": "shrinking to three quarters and back",
    "blur-sigma-1": "a slight blur",
}
"""Attacks that the page offers by name, of all that a wish may name."""

MARKS: dict[str, str] = {
    "trade": "Trade red tokens for green ones that look like them",
    "lexical": "Favour green tokens",
    "swap": "Swap red for green",
    "both": "Both favour and swap",
}
_NEW = {"prompt": "", "model": "", "mark": "trade", "survive": "", "count": "1", "seed": ""}
_WHOLE = ("count", "seed")


@routes.get("/generate")
def show_form(request: Request, here: Here) -> Response:
    """The form for a wish, and the tenant's last drawings."""
    return _form(request, here, _NEW)


@routes.post("/generate")
async def draw_pictures(request: Request, here: Here, asker: Asking) -> Response:
    """A new job, and its page; the form again, with what is wrong in it."""
    given = {**_NEW, **await read_form(request)}
    try:
        wish = _wish(given)
        asked = to_wish(wish, asker, Key(None))
        (job,) = await run_in_threadpool(order, here, request, asker, [wish], [asked])
    except ValidationError as e:
        return await run_in_threadpool(_form, request, here, given, _faults(e))
    except Problem as e:
        if e.kind is not Kind.NOT_FOUND:
            raise
        return await run_in_threadpool(_form, request, here, given, {"model": e.detail})
    return RedirectResponse(f"/generate/{job.id}", 303)


@routes.get("/generate/{job}")
def show_job(job: JobId, request: Request, here: Here, asker: Asking) -> Response:
    """The pictures of a job, or how far they are."""
    told = describe(here, asker, job).model_dump()
    audits = asker.caller is not None and Scope.AUDIT in asker.caller.scopes
    return page(request, "generation", told=told, audits=audits, attacks=ATTACKS, marks=MARKS)


@routes.post("/generate/{job}/cancel")
def cancel_job(job: JobId, here: Here, asker: Asking) -> Response:
    """The job ends without pictures."""
    read_job(here, asker, job, jobs.Kind.GENERATE)
    with transaction(here.engine) as session:
        jobs.cancel(session, job, asker.tenant.id, now=datetime.now(UTC))
    return RedirectResponse(f"/generate/{job}", 303)


def _form(
    request: Request,
    here: Installation,
    given: dict[str, str],
    faults: dict[str, str] | None = None,
) -> Response:
    asker = visitor(request)
    draws = asker is not None and asker.caller is not None and Scope.GENERATE in asker.caller.scopes
    models, before, kept_out = _known(here, asker if draws else None)
    return page(
        request,
        "generate",
        status=422 if faults else 200,
        draws=draws,
        models=models,
        before=before,
        kept_out=kept_out,
        given=given,
        faults=faults or {},
        marks=MARKS,
        attacks=ATTACKS,
        policy=read_policy(here.settings.data),
        longest=LONGEST_PROMPT,
        most=MOST_PICTURES,
        largest=LARGEST_SEED - MOST_PICTURES,
    )


def _known(here: Installation, asker: Asker | None) -> tuple[list[Model], list[Job], list[str]]:
    """The models that can be drawn with now, the tenant's last jobs, and what is kept out."""
    if asker is None:
        return [], [], []
    with snapshot(here.engine) as session:
        before = jobs.page(session, asker.tenant.id, kind=jobs.Kind.GENERATE, before=None, limit=8)
        now = current(session, asker.tenant.id)
        return [model for model, _ in listed(session)], before, _kept_out(now)


def _kept_out(versions: Sequence[Version]) -> list[str]:
    """The concepts that are kept out, each once, with the model if it is only one's."""
    named = {
        concept.name if version.model == EVERY else f"{concept.name} ({version.model})"
        for version in versions
        for concept in version.concepts
    }
    return sorted(named)


def _wish(given: dict[str, str]) -> Wish:
    """The wish of a form, whose empty fields are not given; raises ValidationError."""
    fields: dict[str, Any] = {
        name: value.strip() for name, value in given.items() if name in _NEW and value.strip()
    }
    for name in _WHOLE:
        if name in fields and fields[name].isascii() and fields[name].isdecimal():
            fields[name] = int(fields[name])
    return Wish.model_validate({"prompt": "", **fields})


def _faults(error: ValidationError) -> dict[str, str]:
    """What is wrong with each field."""
    return {str(one["loc"][0]): one["msg"] for one in error.errors()}
