"""Jobs: what was asked of the workers, as rows that no crash loses.

A job is queued, running, then done, failed or cancelled, and ends once. A worker claims it by
compare-and-set and holds it under a lease that it renews; each claim has a fencing number, and only
the newest may finish the job, in the very transaction that keeps its results. `sweep` takes jobs
whose lease ran out back into the queue, `ATTEMPTS` times, then fails them. Alike on SQLite and
PostgreSQL; the broker carries nothing that is not here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NewType
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance import outbox
from provenance.blobs import Digest
from provenance.errors import ProvenanceError
from provenance.replays import Once, remember
from provenance.tables import AttachedRow, JobRow, PreviewRow

JobId = NewType("JobId", str)

ATTEMPTS = 3  # a job that killed its worker thrice would kill the fourth
LEASE = timedelta(seconds=30)  # renewed every third of it by the worker that holds the job
RESEND = timedelta(seconds=60)  # a job that waited so long may have lost its message


class NoJob(ProvenanceError):
    """This tenant has no job of this id."""


class Ended(ProvenanceError):
    """The job has ended already, so nothing about it can change."""


class Lost(ProvenanceError):
    """The claim is no longer the newest: the job was cancelled, or is someone else's by now."""


class Kind(StrEnum):
    """What is asked for."""

    GENERATE = "generate"
    VERIFY = "verify"
    MARK = "mark"


class State(StrEnum):
    """How far a job is; the last three are for ever."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (State.DONE, State.FAILED, State.CANCELLED)


class Fault(StrEnum):
    """Why a job failed, by a name that stays; the detail beside it is for people."""

    WEAK_MARK = "weak-mark"  # the picture cannot carry a mark that survives
    BAD_WISH = "bad-wish"  # a wish that no model here can draw
    UNREADABLE = "unreadable"  # the upload is no whole PNG, JPEG or WebP within the limits
    UNMARKABLE = "unmarkable"  # the upload is too small or too flat to mark
    CHECKER_DIED = "checker-died"  # the process that read the upload died over it
    CHECKER_TIMEOUT = "checker-timeout"  # reading the upload took longer than allowed
    UPLOAD_GONE = "upload-gone"  # the uploaded bytes are no longer there
    FETCH_REFUSED = "fetch-refused"  # nothing is fetched from this address
    FETCH_FAILED = "fetch-failed"  # nobody answered with a file, or not in time
    FETCH_TOO_LARGE = "fetch-too-large"  # the file has more bytes than are taken
    BANNED = "banned"  # the prompt or the picture shows what a policy bans; see its reasons
    POLICY = "policy-not-applicable"  # a policy that this worker cannot apply as it says
    NO_KEY = "no-key"  # the tenant has no active mark key
    WORKER_FAILED = "worker-failed"  # a defect of the worker; its log tells more
    WORKER_DIED = "worker-died"  # every worker that tried it died


@dataclass(frozen=True)
class Wish:
    """What a caller asks for, checked at the door.

    `request` has plain JSON values that only the worker of this kind reads. Jobs of one tenant and
    one `batch` may be drawn together; `size` is how many pictures this one asks for. A job without
    an upload may have a `source`, whence the worker fetches it; that is gone once the job ends.
    """

    kind: Kind
    tenant: str
    caller: str | None  # the API key's id; None: anonymous
    request: dict[str, Any]
    upload: Digest | None = None
    batch: str = ""
    size: int = 1
    source: str | None = None  # an address, https://


@dataclass(frozen=True)
class Job:
    """A job as it is now."""

    id: JobId
    wish: Wish
    state: State
    attempts: int
    done: int  # steps of `total`
    total: int
    result: dict[str, Any] | None
    fault: Fault | None
    detail: str | None
    created: datetime
    finished: datetime | None
    trace: str | None = None  # the traceparent of the request that asked for it


@dataclass(frozen=True)
class Claim:
    """The right to work on a job, as long as its fencing number is the newest."""

    job: Job
    fence: int = field(repr=False)


@dataclass(frozen=True)
class Swept:
    """What a sweep did."""

    requeued: tuple[JobId, ...]
    failed: tuple[tuple[Kind, JobId], ...]
    unsent: tuple[tuple[Kind, JobId], ...]  # waiting long enough to be sent once more


def ask(
    session: Session,
    wish: Wish,
    *,
    now: datetime,
    once: Once | None = None,
    trace: str | None = None,
) -> Job:
    """The queued job; with an idempotency key seen before, the job that it stands for.

    `trace` is the traceparent that its work is traced under. Raises Reused. Send the job's id to
    the workers after the commit.
    """
    made = JobId(str(uuid4()))
    if once is not None and (known := remember(session, wish.tenant, once, made, now=now)):
        return read(session, known, wish.tenant)
    session.add(
        JobRow(
            id=made,
            kind=wish.kind.value,
            tenant=wish.tenant,
            caller=wish.caller,
            request=wish.request,
            upload=wish.upload,
            source=wish.source,
            batch=wish.batch,
            size=wish.size,
            state=State.QUEUED.value,
            attempts=0,
            fence=0,
            done=0,
            total=0,
            created=now,
            sent=now,
            trace=trace,
        )
    )
    session.flush()
    return read(session, made, wish.tenant)


def read(session: Session, job: str, tenant: str) -> Job:
    """A tenant's job as the database has it; raises NoJob."""
    found = sa.select(JobRow).where(JobRow.id == job, JobRow.tenant == tenant)
    row = session.scalar(found.execution_options(populate_existing=True))
    if row is None:
        raise NoJob(f"no job has the id {job[:100]!r}")
    return _job(row)


def page(
    session: Session,
    tenant: str,
    *,
    kind: Kind | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int,
) -> list[Job]:
    """A tenant's jobs, the newest first, older than (created, id) of the last one seen."""
    found = sa.select(JobRow).where(JobRow.tenant == tenant)
    if kind is not None:
        found = found.where(JobRow.kind == kind.value)
    if before is not None:
        found = found.where(sa.tuple_(JobRow.created, JobRow.id) < sa.tuple_(*_bound(before)))
    found = found.order_by(JobRow.created.desc(), JobRow.id.desc()).limit(limit)
    return [_job(row) for row in session.scalars(found)]


def cancel(session: Session, job: str, tenant: str, *, now: datetime) -> Job:
    """The job, cancelled; whoever works on it finds its claim lost. Raises NoJob, Ended."""
    mine = JobRow.id == job, JobRow.tenant == tenant
    changed = _end(session, *mine, JobRow.state.not_in(ENDED), state=State.CANCELLED, now=now)
    found = read(session, job, tenant)
    if not changed:
        raise Ended(f"job {job} is {found.state} already")
    return found


def claim(
    session: Session, kind: Kind, *, most: int, now: datetime, lease: timedelta = LEASE
) -> list[Claim]:
    """The oldest queued job of this kind and those that fit with it, at most `most` pictures.

    A job that was tried before comes alone, so that it brings no other down with it.
    """
    queued = sa.select(JobRow.id, JobRow.tenant, JobRow.batch, JobRow.size, JobRow.attempts)
    queued = queued.where(JobRow.state == State.QUEUED.value, JobRow.kind == kind.value)
    queued = queued.order_by(JobRow.created, JobRow.id).with_for_update(skip_locked=True)
    first = session.execute(queued.limit(1)).one_or_none()
    if first is None:
        return []
    taken, room = [first.id], most - first.size
    if room > 0 and first.attempts == 0:
        mates = queued.where(JobRow.tenant == first.tenant, JobRow.batch == first.batch)
        mates = mates.where(JobRow.attempts == 0, JobRow.id != first.id).limit(room)
        for mate in session.execute(mates):
            if mate.size <= room:
                taken.append(mate.id)
                room -= mate.size
    started = {
        "state": State.RUNNING.value,
        "fence": JobRow.fence + 1,
        "attempts": JobRow.attempts + 1,
        "lease": now + lease,
        "done": 0,
        "total": 0,
    }
    change = sa.update(JobRow).where(JobRow.id.in_(taken), JobRow.state == State.QUEUED.value)
    rows = session.scalars(change.values(started).returning(JobRow)).all()
    return [Claim(_job(row), row.fence) for row in sorted(rows, key=lambda r: (r.created, r.id))]


def renew(
    session: Session, claims: Sequence[Claim], *, now: datetime, lease: timedelta = LEASE
) -> list[Claim]:
    """The claims that still hold, their leases from now on."""
    return [one for one in claims if _change(session, one, {"lease": now + lease})]


def report(session: Session, claims: Sequence[Claim], *, done: int, total: int) -> None:
    """Says how far the jobs are; a lost claim says nothing."""
    for one in claims:
        _change(session, one, {"done": done, "total": total})


def fetched(session: Session, claim: Claim, upload: Digest) -> None:
    """What the job's source holds is this blob. Raises Lost."""
    if not _change(session, claim, {"upload": upload}):
        raise Lost(f"job {claim.job.id} is no longer this worker's")


def finish(
    session: Session,
    claim: Claim,
    result: dict[str, Any],
    *,
    now: datetime,
    blobs: Iterable[Digest] = (),
) -> None:
    """The job is done, and `blobs` stay with its result. Raises Lost; then abandon the transaction.

    Pictures keep their own files: see provenance.pictures.
    """
    if not _end(session, *_held(claim), state=State.DONE, now=now, values={"result": result}):
        raise Lost(f"job {claim.job.id} is no longer this worker's")
    session.add_all(AttachedRow(job=claim.job.id, blob=one) for one in set(blobs))


def fail(
    session: Session,
    claim: Claim,
    fault: Fault,
    detail: str,
    *,
    now: datetime,
    result: dict[str, Any] | None = None,
) -> None:
    """The job has failed for good; `result` says more. Raises Lost: abandon the transaction."""
    values = {"fault": fault.value, "detail": detail, "result": result}
    if not _end(session, *_held(claim), state=State.FAILED, now=now, values=values):
        raise Lost(f"job {claim.job.id} is no longer this worker's")


def release(session: Session, claim: Claim, *, now: datetime) -> bool:
    """Back into the queue after a defect; whether it has failed, since that was the last attempt.

    Raises nothing: who lost the claim has nothing to give back.
    """
    if claim.job.attempts >= ATTEMPTS:
        why = f"a worker failed over it {ATTEMPTS} times"
        values = {"fault": Fault.WORKER_FAILED.value, "detail": why}
        return bool(_end(session, *_held(claim), state=State.FAILED, now=now, values=values))
    _change(session, claim, {"state": State.QUEUED.value, "lease": None, "sent": now})
    return False


def unclaim(session: Session, claim: Claim, *, now: datetime) -> None:
    """Back into the queue as if it had not been tried: the worker is told to stop."""
    values = {"state": State.QUEUED.value, "lease": None, "sent": now}
    _change(session, claim, {**values, "attempts": JobRow.attempts - 1})


def sweep(session: Session, *, now: datetime) -> Swept:
    """Takes back every job whose lease ran out; send the unsent once more after the commit."""
    expired = JobRow.state == State.RUNNING.value, JobRow.lease < now
    why = f"the worker died or hung, {ATTEMPTS} times"
    died = {"fault": Fault.WORKER_DIED.value, "detail": why}
    spent = JobRow.attempts >= ATTEMPTS
    failed = _end(session, *expired, spent, state=State.FAILED, now=now, values=died)
    back = {"state": State.QUEUED.value, "lease": None, "sent": now - RESEND}
    change = sa.update(JobRow).where(*expired, JobRow.attempts < ATTEMPTS)
    requeued = session.scalars(change.values(back).returning(JobRow.id)).all()
    stale = sa.update(JobRow).where(JobRow.state == State.QUEUED.value, JobRow.sent <= now - RESEND)
    unsent = session.execute(stale.values(sent=now).returning(JobRow.kind, JobRow.id)).all()
    return Swept(
        tuple(JobId(one) for one in requeued),
        tuple(failed),
        tuple((Kind(kind), JobId(one)) for kind, one in unsent),
    )


def _held(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    running = JobRow.state == State.RUNNING.value
    return JobRow.id == claim.job.id, JobRow.fence == claim.fence, running


def _change(session: Session, claim: Claim, values: dict[str, Any]) -> bool:
    change = sa.update(JobRow).where(*_held(claim)).values(values).returning(JobRow.id)
    return session.scalar(change) is not None


def _end(
    session: Session,
    *which: sa.ColumnElement[bool],
    state: State,
    now: datetime,
    values: dict[str, Any] | None = None,
) -> list[tuple[Kind, JobId]]:
    """Ends the jobs that these conditions choose; their previews go, webhooks will be told."""
    ended = {"state": state.value, "finished": now, "lease": None, "source": None} | (values or {})
    change = sa.update(JobRow).where(*which).values(ended).returning(JobRow)
    rows = session.scalars(change.execution_options(populate_existing=True)).all()
    done = [(Kind(row.kind), JobId(row.id)) for row in rows]
    if done:
        session.execute(sa.delete(PreviewRow).where(PreviewRow.job.in_(one for _, one in done)))
        outbox.put_ended(session, rows, now=now)
    return done


def _bound(last: tuple[datetime, str]) -> tuple[sa.BindParameter[Any], sa.BindParameter[Any]]:
    created, job = last
    return sa.bindparam(None, created, JobRow.created.type), sa.bindparam(None, job)


def _job(row: JobRow) -> Job:
    upload = None if row.upload is None else Digest(bytes(row.upload))
    wish = Wish(Kind(row.kind), row.tenant, row.caller, row.request, upload)
    wish = replace(wish, batch=row.batch, size=row.size, source=row.source)
    return Job(
        id=JobId(row.id),
        wish=wish,
        state=State(row.state),
        attempts=row.attempts,
        done=row.done,
        total=row.total,
        result=row.result,
        fault=None if row.fault is None else Fault(row.fault),
        detail=row.detail,
        created=row.created,
        finished=row.finished,
        trace=row.trace,
    )
