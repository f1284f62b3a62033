"""Holding jobs: a thread renews their leases for as long as their worker works on them.

A worker that hangs is not renewed for ever: after LONGEST the leases run out, and a sweep gives the
jobs to another. Whoever no longer holds a job cannot finish it, so the worst is wasted work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from provenance import jobs
from provenance.counts import Tally
from provenance.database import transaction
from provenance.jobs import Claim, Fault, Kind, Lost
from workers.steps import Step, ended, note

LONGEST = timedelta(minutes=15)  # eight pictures at every strength, on a busy machine
_log = logging.getLogger(__name__)


class Stopping(Exception):
    """The worker was told to stop, and gives back what it has not finished."""


class Hold:
    """Some claims, and which of them still hold as far as is known."""

    def __init__(self, claims: Sequence[Claim], stop: threading.Event) -> None:
        self._held = {one.job.id for one in claims}
        self._stop = stop

    def check(self) -> None:
        """Raise Lost once none of the jobs is this worker's any more, Stopping if it is to stop."""
        if self._stop.is_set():
            raise Stopping
        if not self._held:
            raise Lost("every job of the batch was cancelled, or is someone else's by now")

    def keep(self, claims: Sequence[Claim]) -> None:
        """Only these hold still."""
        self._held = {one.job.id for one in claims}


def take(engine: Engine, tally: Tally, kind: Kind, *, most: int, lease: timedelta) -> list[Claim]:
    """The jobs to work on now, claimed; none if none of this kind waits."""
    began, clock = datetime.now(UTC), monotonic()
    with transaction(engine) as session:
        claims = jobs.claim(session, kind, most=most, now=datetime.now(UTC), lease=lease)
    for one in claims:
        if one.job.attempts == 1:
            waited = (began - one.job.created).total_seconds()
            note(tally, Step.WAIT, [one], one.job.created, max(0.0, waited))
    note(tally, Step.CLAIM, claims, began, monotonic() - clock)
    return claims


@contextmanager
def held(
    engine: Engine, claims: Sequence[Claim], *, lease: timedelta, stop: threading.Event
) -> Iterator[Hold]:
    """The claims, renewed until the block ends."""
    hold, done = Hold(claims, stop), threading.Event()
    thread = threading.Thread(target=_renew, args=(engine, claims, lease, hold, done), daemon=True)
    thread.start()
    try:
        yield hold
    finally:
        done.set()
        thread.join()


def _renew(
    engine: Engine,
    claims: Sequence[Claim],
    lease: timedelta,
    hold: Hold,
    done: threading.Event,
) -> None:
    end = monotonic() + LONGEST.total_seconds()
    while not done.wait(lease.total_seconds() / 3) and monotonic() < end:
        try:
            with transaction(engine) as session:
                hold.keep(jobs.renew(session, claims, now=datetime.now(UTC), lease=lease))
        except SQLAlchemyError as e:  # the next turn may find the database again
            _log.warning("leases not renewed: %s", e)


def fail_job(
    engine: Engine,
    tally: Tally,
    claim: Claim,
    fault: Fault,
    detail: str,
    *,
    result: dict[str, Any] | None = None,
) -> None:
    """The job has failed for good, unless it is someone else's by now."""
    try:
        with transaction(engine) as session:
            jobs.fail(session, claim, fault, detail, now=datetime.now(UTC), result=result)
    except Lost as e:
        _log.info("%s", e)
    else:
        ended(tally, claim.job.wish.kind, fault)


def give_back(engine: Engine, tally: Tally, claims: Sequence[Claim]) -> None:
    """Back into the queue after a defect; if even that fails, the leases run out."""
    now = datetime.now(UTC)
    try:
        with transaction(engine) as session:
            spent = [one for one in claims if jobs.release(session, one, now=now)]
    except SQLAlchemyError as e:
        _log.warning("jobs not given back, their leases will run out: %s", e)
        return
    for one in spent:
        ended(tally, one.job.wish.kind, Fault.WORKER_FAILED)


def put_back(engine: Engine, claims: Sequence[Claim]) -> None:
    """Back into the queue untried, since the worker stops."""
    with transaction(engine) as session:
        for one in claims:
            jobs.unclaim(session, one, now=datetime.now(UTC))
