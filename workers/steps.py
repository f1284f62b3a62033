"""The steps of the work on jobs: timed for the metrics, and a span in the trace of each job.

A batch of jobs takes a step together; the step is then timed and traced once for each of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from provenance import tracing
from provenance.counts import Count, Tally
from provenance.jobs import Claim, Fault, Kind

DONE = "done"


class Step(StrEnum):
    """What is done about a job, in this order, as far as its kind needs it."""

    WAIT = "wait"  # from being asked for until a worker first takes it
    CLAIM = "claim"
    FETCH = "fetch"  # a file from the address that the caller named
    DRAW = "draw"  # with the mark read back
    CHECK = "check"  # by the child, and in the log
    MARK = "mark"
    SIGN = "sign"  # the manifest, read back, and the file kept
    APPEND = "append"  # records, pictures and the end of the job, in one transaction


@contextmanager
def step(tally: Tally, name: Step, claims: Sequence[Claim]) -> Iterator[None]:
    """Around one step of the work on these jobs."""
    began, clock, error = datetime.now(UTC), time.monotonic(), None
    try:
        yield
    except Exception as e:
        error = type(e).__name__
        raise
    finally:
        note(tally, name, claims, began, time.monotonic() - clock, error=error)


def note(
    tally: Tally,
    name: Step,
    claims: Sequence[Claim],
    began: datetime,
    seconds: float,
    *,
    error: str | None = None,
) -> None:
    """A step of these jobs that is over."""
    for one in claims:
        tally.time(one.job.wish.kind, name, seconds)
    tracing.record(
        name,
        [one.job.trace for one in claims],
        began,
        timedelta(seconds=seconds),
        facts=[
            {
                "countermark.job": one.job.id,
                "countermark.kind": one.job.wish.kind.value,
                "countermark.attempt": one.job.attempts,
                "countermark.together": len(claims),
            }
            for one in claims
        ],
        error=error,
    )


def ended(tally: Tally, kind: Kind, fault: Fault | None = None) -> None:
    """A job of this kind is done, or has failed."""
    tally.add(Count.ENDED, kind, DONE if fault is None else fault)
