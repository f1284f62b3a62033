"""Waiting for jobs: one question to the database a tick, however many callers wait.

A waiter is told the job as it was at the last look, whenever its state or progress changed.
Without waiters nothing is asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool

from provenance.database import snapshot
from provenance.jobs import ENDED, State
from provenance.tables import JobRow

TICK = 0.05  # seconds between two looks, which is what waiting adds to a job
AGAIN = 1.0  # seconds until a database that does not answer is asked again
LOG = logging.getLogger("countermark.api")


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    state: State
    attempts: int
    done: int
    total: int

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Watch:
    """The jobs that someone waits for in this process, and how far each was when last seen."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiters: Counter[str] = Counter()
        self._seen: dict[str, Progress] = {}
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def until_ended(self, job: str, seconds: float) -> bool:
        """Whether the job ended within so many seconds."""
        async with self._waiting(job):
            try:
                async with asyncio.timeout(seconds):
                    async for progress in self._changes(job):
                        if progress.ended:
                            return True
            except TimeoutError:
                return False
        return False

    async def follow(self, job: str) -> AsyncGenerator[Progress, None]:
        """Each change of a job, the last of which is its end."""
        async with self._waiting(job):
            async for progress in self._changes(job):
                yield progress
                if progress.ended:
                    return

    async def _changes(self, job: str) -> AsyncIterator[Progress]:
        last = None
        while True:
            changed, now = self._changed, self._seen.get(job)
            if now is not None and now != last:
                last = now
                yield now
            else:
                await changed.wait()

    @asynccontextmanager
    async def _waiting(self, job: str) -> AsyncIterator[None]:
        self._waiters[job] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._waiters[job] -= 1
            if self._waiters[job] <= 0:
                del self._waiters[job]
                self._seen.pop(job, None)

    async def _look(self) -> None:
        while self._waiters:
            try:
                seen = await run_in_threadpool(_read, self._engine, list(self._waiters))
            except OperationalError as e:
                LOG.warning("the database does not answer: %s", e.orig)
                await asyncio.sleep(AGAIN)
                continue
            if any(self._seen.get(job) != one for job, one in seen.items()):
                self._seen |= {job: one for job, one in seen.items() if job in self._waiters}
                self._changed.set()
                self._changed = asyncio.Event()
            await asyncio.sleep(TICK)


def _read(engine: Engine, jobs: list[str]) -> dict[str, Progress]:
    columns = sa.select(JobRow.id, JobRow.state, JobRow.attempts, JobRow.done, JobRow.total)
    with snapshot(engine) as session:
        rows = session.execute(columns.where(JobRow.id.in_(jobs))).all()
    return {job: Progress(State(state), *numbers) for job, state, *numbers in rows}
