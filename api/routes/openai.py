"""The image routes of the OpenAI API: its clients work here with two settings changed.

What that API has and this service does not is refused by name, not ignored. Problems carry the
`error` object that those clients read.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from api.admission import Asker, Asking, router
from api.asking import IdempotencyKey, Key, check_done, read_job
from api.documents import Image, OpenAIWish, Ours, OutputFormat, Wish
from api.installation import Here, Installation
from api.models import check_model, listed
from api.problems import invalid
from api.routes.generations import describe, order, to_wish
from provenance import jobs, models
from provenance.blobs import Digest
from provenance.database import snapshot
from provenance.wishes import BEST

routes = router()
WAIT = 590  # seconds; the clients give up after 600


class Drawn(BaseModel):
    """One picture."""

    b64_json: Annotated[str | None, Field(description="The file in base64.")] = None
    url: Annotated[str | None, Field(description="The file; needs the API key.")] = None
    revised_prompt: Annotated[None, Field(description="Prompts are drawn as they are.")] = None
    countermark: Annotated[Image, Field(description="Its record, proof and manifest.")]


class Answer(BaseModel):
    """The answer of the OpenAI API."""

    created: Annotated[int, Field(description="Seconds since 1970 UTC.")]
    data: list[Drawn]
    output_format: OutputFormat
    size: Annotated[str, Field(description="WIDTHxHEIGHT in pixels.")]
    countermark: Annotated[str, Field(description="Where the job can be read again.")]


class Listed(BaseModel):
    """A model that a worker has now."""

    id: str
    object: Literal["model"] = "model"
    created: Annotated[int, Field(description="When a worker last spoke of it: s since 1970 UTC.")]
    owned_by: str = "countermark"
    draws: Annotated[str, Field(description="What it draws.")]
    width: Annotated[int, Field(description="In pixels.")]
    height: Annotated[int, Field(description="In pixels.")]
    licence: str
    weights: Annotated[str, Field(description="SHA-256 of the weights.")]
    marks: Annotated[list[str], Field(description="How its pictures can be marked.")]
    uploads: Annotated[bool, Field(description="Whether POST /v1/marks can be asked for it.")]


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Listed]


@routes.post("/v1/images/generations", tags=["openai"])
async def create_images(
    wish: OpenAIWish,
    request: Request,
    here: Here,
    asker: Asking,
    idempotency_key: IdempotencyKey = None,
) -> Answer:
    """Draw pictures and wait for them, as the OpenAI API does."""
    size = await run_in_threadpool(_check_size, here, wish)
    ours = wish.countermark or Ours()
    asked = Wish(
        model=wish.model,
        prompt=wish.prompt,
        count=wish.n or 1,
        seed=wish.seed,
        mark=ours.mark,
        survive=ours.survive,
        output_format=wish.output_format or "png",
        output_compression=BEST if wish.output_compression is None else wish.output_compression,
    )
    placed = [to_wish(asked, asker, Key(idempotency_key))]
    (job,) = await run_in_threadpool(order, here, request, asker, [asked], placed)
    await here.watch.until_ended(job.id, WAIT)
    return await run_in_threadpool(_answer, here, asker, job.id, wish, size)


@routes.get("/v1/models", tags=["openai"])
def list_models(here: Here) -> Models:
    """The models that can be asked for now."""
    with snapshot(here.engine) as session:
        return Models(data=[_listed(one, seen) for one, seen in listed(session)])


@routes.get("/v1/models/{model}", tags=["openai"])
def read_model(
    model: Annotated[str, Path(max_length=100, description="The name of a model.")], here: Here
) -> Listed:
    """One model, if it can be asked for now."""
    with snapshot(here.engine) as session:
        check_model(session, model)
        return next(_listed(one, seen) for one, seen in listed(session) if one.name == model)


def _check_size(here: Installation, wish: OpenAIWish) -> str:
    """What the model draws; raises if another size was asked for."""
    with snapshot(here.engine) as session:
        side = check_model(session, wish.model).side
    drawn = f"{side}x{side}"
    if wish.size not in (None, "auto", drawn):
        raise invalid("size", f"{wish.model} draws {drawn}, not {wish.size}", f"auto, {drawn}")
    return drawn


def _answer(here: Installation, asker: Asker, job: str, wish: OpenAIWish, size: str) -> Answer:
    done = describe(here, asker, job)
    check_done(read_job(here, asker, job, jobs.Kind.GENERATE), done.url)
    linked = wish.response_format == "url"
    return Answer(
        created=int((done.finished or done.created).timestamp()),
        data=[_drawn(here, one, linked=linked) for one in done.images],
        output_format=wish.output_format or "png",
        size=size,
        countermark=done.url,
    )


def _drawn(here: Installation, one: Image, *, linked: bool) -> Drawn:
    if linked:
        return Drawn(url=one.url, countermark=one)
    file = here.blobs.get(Digest(bytes.fromhex(one.sha256)))
    return Drawn(b64_json=b64encode(file).decode(), countermark=one)


def _listed(model: models.Model, seen: datetime) -> Listed:
    return Listed(
        id=model.name,
        created=int(seen.timestamp()),
        draws=model.draws,
        width=model.side,
        height=model.side,
        licence=model.licence,
        weights=model.weights,
        marks=list(model.marks),
        uploads=model.uploads,
    )
