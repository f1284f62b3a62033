"""Server-sent events of a job: its progress, its previews, its end; to be taken up where it broke.

An event's id says which attempt at the job it was of and how many steps were done, so a client that
comes back with the last id it saw gets what came after, and nothing twice.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from json import dumps

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from api.installation import Installation
from api.watching import Progress
from provenance import previews
from provenance.database import snapshot
from provenance.jobs import Job
from provenance.previews import Preview

MEDIA_TYPE = "text/event-stream"
SILENCE = 15.0  # seconds after which a comment says that the connection lives
_ID = re.compile(r"(\d{1,6})-(\d{1,12})", re.ASCII)
_END = "end"


@dataclass(frozen=True)
class Seen:
    """What a client has had: up to so many steps of an attempt, or everything."""

    attempt: int = 0
    done: int = -1
    end: bool = False

    def covers(self, progress: Progress) -> bool:
        """Whether the client had news as new as this."""
        return (progress.attempts, progress.done) <= (self.attempt, self.done)


def parse_id(text: str | None) -> Seen:
    """What an event's id says; an id that is none of ours says that nothing was seen."""
    if text == _END:
        return Seen(end=True)
    found = _ID.fullmatch(text or "")
    return Seen(int(found[1]), int(found[2])) if found else Seen()


async def follow(
    here: Installation, job: Job, seen: Seen, describe: Callable[[], BaseModel]
) -> AsyncIterator[str]:
    """The events after `seen`; the last is `done`, with the job as it ended."""
    yield "retry: 1000\n\n"
    news = here.watch.follow(job.id)
    waiting = asyncio.ensure_future(anext(news))
    try:
        while True:
            finished, _ = await asyncio.wait([waiting], timeout=SILENCE)
            if not finished:
                yield ": still here\n\n"
                continue
            progress = waiting.result()
            if progress.ended:
                break
            if not seen.covers(progress):
                async for event in _tell(here, job, seen, progress):
                    yield event
                seen = Seen(progress.attempts, progress.done)
            waiting = asyncio.ensure_future(anext(news))
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await news.aclose()
    ended = await run_in_threadpool(describe)
    yield _event(_END, "done", ended.model_dump_json())


async def _tell(here: Installation, job: Job, seen: Seen, progress: Progress) -> AsyncIterator[str]:
    number = f"{progress.attempts}-{progress.done}"
    after = seen.done if seen.attempt == progress.attempts else 0
    for preview in await run_in_threadpool(_read, here, job, max(0, after)):
        data = {
            "number": preview.number,
            "step": preview.step,
            "b64_json": b64encode(preview.png).decode(),
        }
        yield _event(number, "preview", dumps(data))
    state = {"state": progress.state.value, "done": progress.done, "total": progress.total}
    yield _event(number, "progress", dumps(state))


def _read(here: Installation, job: Job, after: int) -> list[Preview]:
    with snapshot(here.engine) as session:
        return previews.read(session, job.id, after=after)


def _event(number: str, name: str, data: str) -> str:
    return f"id: {number}\nevent: {name}\ndata: {data}\n\n"
