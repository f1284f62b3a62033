"""Work is asked for here: row, quota and idempotency key in one transaction, the message after it.

With an Idempotency-Key the same request gives the same job, and so the same answer, however often
it is sent; another request under the same key is refused. A job that failed has a name for why,
and each name is one problem.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

from fastapi import Header, Request

from api.admission import Asker
from api.installation import Installation
from api.problems import Kind, Problem
from provenance import jobs
from provenance.callers import Quota, spend
from provenance.database import snapshot, transaction
from provenance.jobs import Fault, Job, State, Wish
from provenance.replays import Once

LONGEST_WAIT = 60  # seconds that a caller may ask to wait
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*([0-9]{1,6})\s*(?:$|[,;])")
_QUOTAS = {
    jobs.Kind.GENERATE: Quota.PICTURES,
    jobs.Kind.MARK: Quota.PICTURES,
    jobs.Kind.VERIFY: Quota.CHECKS,
}

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,200}$",
        description="1 to 200 visible ASCII characters of the caller's choice. The same key and "
        "request give the same job again, another request under it is refused.",
    ),
]
Prefer = Annotated[
    str | None,
    Header(description=f"wait=N (RFC 7240): wait for the end, N seconds, {LONGEST_WAIT} at most."),
]

_PROBLEMS: dict[Fault, Kind] = {
    Fault.WEAK_MARK: Kind.CANNOT_MARK,
    Fault.UNMARKABLE: Kind.CANNOT_MARK,
    Fault.BAD_WISH: Kind.INVALID,
    Fault.UNREADABLE: Kind.UNREADABLE,
    Fault.CHECKER_DIED: Kind.UNREADABLE,
    Fault.CHECKER_TIMEOUT: Kind.UNREADABLE,
    Fault.UPLOAD_GONE: Kind.FAILED,
    Fault.FETCH_REFUSED: Kind.FAILED,
    Fault.FETCH_FAILED: Kind.FAILED,
    Fault.FETCH_TOO_LARGE: Kind.FAILED,
    Fault.BANNED: Kind.BANNED,
    Fault.POLICY: Kind.FAILED,
    Fault.NO_KEY: Kind.FAILED,
    Fault.WORKER_FAILED: Kind.FAILED,
    Fault.WORKER_DIED: Kind.FAILED,
}


@dataclass(frozen=True)
class Key:
    """An idempotency key as it came in, None without one."""

    text: str | None

    def once(self, *request: str) -> Once | None:
        """What the key stands for: a request told by these texts."""
        if self.text is None:
            return None
        return Once(self.text, sha256(json.dumps(request).encode()).digest())


def place(
    here: Installation, request: Request, asker: Asker, wishes: Sequence[tuple[Wish, Once | None]]
) -> list[Job]:
    """The queued jobs, all or none, and the quota they use up; raises Problem's sources."""
    now, trace = datetime.now(UTC), request.state.trace
    with transaction(here.engine) as session:
        placed = [jobs.ask(session, wish, now=now, once=once, trace=trace) for wish, once in wishes]
        new = [job for job in placed if job.created == now]
        if new:
            amount = sum(job.wish.size for job in new)
            spend(session, asker.tenant, _QUOTAS[new[0].wish.kind], amount, now=now)
    for job in new:
        here.send(job.wish.kind.value, job.id)
    request.state.job_id = ",".join(job.id for job in placed[:10])
    return placed


def read_job(here: Installation, asker: Asker, job: str, kind: jobs.Kind) -> Job:
    """The job of this kind that the asker may read; raises NoJob.

    Whoever has no key may read what was asked without one, by its id.
    """
    with snapshot(here.engine) as session:
        found = jobs.read(session, job, asker.tenant.id)
    if found.wish.kind is not kind or (asker.caller is None and found.wish.caller is not None):
        raise jobs.NoJob(f"no {kind} job has the id {job[:100]!r}")
    return found


def seconds_to_wait(prefer: str | None) -> int:
    """How long a Prefer header asks to wait; 0 if it does not."""
    found = _WAIT.search(prefer or "")
    return min(LONGEST_WAIT, int(found[1])) if found else 0


def check_done(job: Job, instance: str) -> None:
    """Raises the problem that a job without a result stands for."""
    if job.state is State.DONE:
        return
    if job.state is State.FAILED:
        assert job.fault is not None, "a failed job says why"
        raise Problem(
            _PROBLEMS[job.fault],
            f"{job.fault}: {job.detail}",
            instance=instance,
            reasons=(job.result or {}).get("reasons", ()),
        )
    if job.state is State.CANCELLED:
        raise Problem(Kind.ALREADY_DONE, "the job was cancelled", instance=instance)
    detail = "the job goes on; read it again"
    raise Problem(Kind.STILL_RUNNING, detail, instance=instance, headers={"Retry-After": "5"})
