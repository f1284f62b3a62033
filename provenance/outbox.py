"""Events for webhooks: written in the transaction that they tell of, sent until they arrive.

An event is a row a webhook that wants it. Whoever sends it claims it by moving on when it is due,
so one that dies over it is followed by another: an event arrives at least once, perhaps twice or
out of order, and after the last of the retries never. Bodies hold ids and outcomes, no prompt and
no person. What callers without a key ask for tells nobody.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance.tables import DeliveryRow, JobRow, WebhookRow

RETRIES = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 86_400)
)
"""How long after each attempt the next one is due; so long as standard-webhooks proposes."""
CLAIMED = timedelta(seconds=60)  # longer than an attempt takes
SHOWN = timedelta(days=7)  # an ended delivery stays in the log so long
AT_ONCE, FOR_ONE = 16, 4  # deliveries, and those of one webhook, so that a slow one holds up none


class Event(StrEnum):
    """What can be told of."""

    GENERATION_DONE = "generation.done"
    GENERATION_FAILED = "generation.failed"
    GENERATION_CANCELLED = "generation.cancelled"
    VERIFICATION_DONE = "verification.done"
    VERIFICATION_FAILED = "verification.failed"
    MARK_DONE = "mark.done"
    MARK_FAILED = "mark.failed"
    APPEAL_ANSWERED = "appeal.answered"


class Outcome(StrEnum):
    """How far a delivery is; the last two are for ever."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


_NAMES = {"generate": "generation", "verify": "verification", "mark": "mark"}


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one webhook."""

    id: str
    webhook: str
    event: Event
    body: bytes
    outcome: Outcome
    attempts: int
    status: int | None  # of the last answer
    error: str | None  # of the last attempt
    created: datetime
    due: datetime | None
    ended: datetime | None


def put(
    session: Session, tenant: str, event: Event, data: Mapping[str, Any], *, now: datetime
) -> None:
    """The event is on its way to every webhook of the tenant that wants it, once this commits."""
    body = {"type": event.value, "timestamp": now.isoformat(), "data": dict(data)}
    wanting = sa.select(WebhookRow).where(WebhookRow.tenant == tenant)
    for webhook in session.scalars(wanting):
        if event.value not in webhook.events.split():
            continue
        session.add(
            DeliveryRow(
                id=f"msg_{uuid4().hex}",
                webhook=webhook.id,
                event=event.value,
                body=json.dumps(body, separators=(",", ":")).encode(),
                outcome=Outcome.PENDING.value,
                attempts=0,
                status=None,
                error=None,
                created=now,
                due=now,
                ended=None,
            )
        )


def put_ended(session: Session, jobs: Sequence[JobRow], *, now: datetime) -> None:
    """The events of jobs that ended."""
    for job in jobs:
        name = f"{_NAMES[job.kind]}.{job.state}"
        if job.caller is None or name not in tuple(Event):
            continue
        data: dict[str, Any] = {"id": job.id, "state": job.state, "fault": job.fault}
        result = job.result or {}
        if "pictures" in result:
            data["images"] = result["pictures"]
        if "verdict" in result:
            data["outcome"] = result["verdict"]["outcome"]
        put(session, job.tenant, Event(name), data, now=now)


def waiting(session: Session, *, now: datetime) -> bool:
    """Whether a delivery is due: a look that locks nothing."""
    return session.scalar(sa.select(DeliveryRow.id).where(*_due(now)).limit(1)) is not None


def claim(session: Session, *, now: datetime) -> list[Delivery]:
    """Deliveries that are due, the longest due first, for whoever calls this to attempt now."""
    found = sa.select(DeliveryRow).where(*_due(now)).order_by(DeliveryRow.due)
    taken: list[DeliveryRow] = []
    each: Counter[str] = Counter()
    for row in session.scalars(found.limit(50 * AT_ONCE).with_for_update(skip_locked=True)):
        if len(taken) < AT_ONCE and each[row.webhook] < FOR_ONE:
            each[row.webhook] += 1
            row.attempts += 1
            row.due = now + CLAIMED
            taken.append(row)
    session.flush()
    return [_delivery(row) for row in taken]


def settle(
    session: Session, delivery: Delivery, *, status: int | None, error: str | None, now: datetime
) -> None:
    """How an attempt went: arrived, to be repeated, or the last one."""
    values: dict[str, Any] = {"status": status, "error": error}
    if error is None:
        values |= {"outcome": Outcome.DELIVERED.value, "due": None, "ended": now}
    elif delivery.attempts > len(RETRIES):
        values |= {"outcome": Outcome.FAILED.value, "due": None, "ended": now}
    else:
        values |= {"due": now + RETRIES[delivery.attempts - 1]}
    held = DeliveryRow.id == delivery.id, DeliveryRow.attempts == delivery.attempts
    pending = DeliveryRow.outcome == Outcome.PENDING.value
    session.execute(sa.update(DeliveryRow).where(*held, pending).values(values))


def page(session: Session, webhook: str, *, limit: int) -> list[Delivery]:
    """The newest deliveries to a webhook."""
    found = sa.select(DeliveryRow).where(DeliveryRow.webhook == webhook)
    newest = found.order_by(DeliveryRow.created.desc(), DeliveryRow.id).limit(limit)
    return [_delivery(row) for row in session.scalars(newest)]


def expire(session: Session, *, now: datetime) -> int:
    """How many ended deliveries left the log."""
    old = sa.delete(DeliveryRow).where(DeliveryRow.ended < now - SHOWN)
    return len(session.scalars(old.returning(DeliveryRow.id)).all())


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return DeliveryRow.outcome == Outcome.PENDING.value, DeliveryRow.due <= now


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(
        id=row.id,
        webhook=row.webhook,
        event=Event(row.event),
        body=bytes(row.body),
        outcome=Outcome(row.outcome),
        attempts=row.attempts,
        status=row.status,
        error=row.error,
        created=row.created,
        due=row.due,
        ended=row.ended,
    )
