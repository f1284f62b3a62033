"""Events are written with what they tell of, and sent again until they arrive or are given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance import jobs, outbox, webhooks
from provenance.database import transaction
from provenance.jobs import Fault, Job, Kind, Wish
from provenance.keys import Key, KeyState, Purpose
from provenance.outbox import AT_ONCE, CLAIMED, FOR_ONE, RETRIES, SHOWN, Event, Outcome
from provenance.webhooks import Webhook
from tests.databases import KINDS, migrated_database
from tests.provenance.wishes import NOW, asked, at, checking, claimed, drawing

KEY = Key(b"k" * 32, Purpose.TOKEN, "local", 1, KeyState.ACTIVE, NOW, NOW)
URL = "https://example.com/"


@pytest.fixture(params=KINDS)
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    with migrated_database(str(request.param), tmp_path) as engine, transaction(engine) as opened:
        yield opened


def hook(session: Session, *events: Event, tenant: str = "local") -> Webhook:
    return webhooks.add(session, tenant, URL, events or tuple(Event), key=KEY, now=at(0))[0]


def told(session: Session, webhook: Webhook) -> list[dict[str, object]]:
    """The bodies on their way to a webhook, by their events."""
    found = [json.loads(one.body) for one in outbox.page(session, webhook.id, limit=100)]
    return sorted(found, key=lambda body: str(body["type"]))


def owned(wish: Wish) -> Wish:
    return replace(wish, caller="a-key")


def test_each_end_of_a_job_tells_its_ids_and_outcome_and_nothing_else(session: Session) -> None:
    own = hook(session)
    wish = owned(drawing(prompt="a portrait of Alice"))
    drawn, failed, cancelled = (asked(session, wish, seconds=n) for n in range(3))
    jobs.finish(session, claimed(session), {"pictures": ["p1"]}, now=at(5))
    jobs.fail(session, claimed(session), Fault.WEAK_MARK, "the detail", now=at(5))
    jobs.cancel(session, cancelled.id, "local", now=at(5))
    checked = asked(session, owned(checking()))
    result = {"verdict": {"outcome": "no evidence", "entries": [7]}, "sha256": "00", "overlays": []}
    jobs.finish(session, claimed(session, Kind.VERIFY), result, now=at(5))
    assert [(one["type"], one["data"]) for one in told(session, own)] == [
        ("generation.cancelled", {"id": cancelled.id, "state": "cancelled", "fault": None}),
        ("generation.done", {"id": drawn.id, "state": "done", "fault": None, "images": ["p1"]}),
        ("generation.failed", {"id": failed.id, "state": "failed", "fault": "weak-mark"}),
        (
            "verification.done",
            {"id": checked.id, "state": "done", "fault": None, "outcome": "no evidence"},
        ),
    ]
    assert "Alice" not in repr(told(session, own))


def test_a_webhook_is_told_what_it_wants_of_its_own_tenant(session: Session) -> None:
    picky, every = hook(session, Event.GENERATION_FAILED), hook(session)
    other = asked(session, owned(drawing("acme")))
    anonymous = asked(session, drawing())
    for job in (other, anonymous):
        jobs.cancel(session, job.id, job.wish.tenant, now=at(1))
    assert told(session, every) == []
    asked(session, owned(drawing()))
    jobs.finish(session, claimed(session), {"pictures": []}, now=at(2))
    assert [one["type"] for one in told(session, every)] == ["generation.done"]
    assert told(session, picky) == []


def test_a_job_whose_worker_died_thrice_is_told_of(session: Session) -> None:
    own, job = hook(session), asked(session, owned(drawing()))
    for n in range(jobs.ATTEMPTS):
        claimed(session, seconds=1000 * n)
        jobs.sweep(session, now=at(1000 * n + 500))
    (body,) = told(session, own)
    assert body["data"] == {"id": job.id, "state": "failed", "fault": "worker-died"}


def test_what_is_rolled_back_tells_nobody(tmp_path: Path) -> None:
    with migrated_database("sqlite", tmp_path) as engine:
        with transaction(engine) as session:
            own, job = hook(session), asked(session, owned(drawing()))
        with transaction(engine) as session:
            jobs.cancel(session, job.id, "local", now=at(1))
            session.rollback()
        with transaction(engine) as session:
            assert told(session, own) == []


def sent(session: Session, job: Job | None = None) -> outbox.Delivery:
    """A claimed delivery."""
    one = job or asked(session, owned(drawing()))
    jobs.cancel(session, one.id, "local", now=at(0))
    (delivery,) = outbox.claim(session, now=at(0))
    return delivery


def test_a_claim_is_exclusive_until_it_is_too_late(session: Session) -> None:
    hook(session)
    first = sent(session)
    assert not outbox.waiting(session, now=at(1))
    assert outbox.claim(session, now=at(1)) == []
    (again,) = outbox.claim(session, now=at(CLAIMED.total_seconds()))
    assert (again.id, again.attempts) == (first.id, 2)
    outbox.settle(session, first, status=None, error="too late", now=at(61))
    (shown,) = outbox.page(session, first.webhook, limit=9)
    assert (shown.outcome, shown.error) == (Outcome.PENDING, None)


def test_what_arrived_is_not_sent_again_and_shown_for_a_while(session: Session) -> None:
    hook(session)
    delivery = sent(session)
    outbox.settle(session, delivery, status=204, error=None, now=at(2))
    (shown,) = outbox.page(session, delivery.webhook, limit=9)
    assert (shown.outcome, shown.status, shown.due, shown.ended) == (
        Outcome.DELIVERED,
        204,
        None,
        at(2),
    )
    assert outbox.claim(session, now=at(10**9)) == []
    assert outbox.expire(session, now=at(2) + SHOWN) == 0
    assert outbox.expire(session, now=at(3) + SHOWN) == 1


def test_an_attempt_that_fails_is_repeated_later_each_time_and_at_last_given_up(
    session: Session,
) -> None:
    hook(session)
    delivery, moment = sent(session), at(0)
    for wait in RETRIES:
        outbox.settle(session, delivery, status=500, error="answered 500", now=moment)
        assert not outbox.waiting(session, now=moment + wait - RETRIES[0] / 2)
        moment += wait
        (delivery,) = outbox.claim(session, now=moment)
    outbox.settle(session, delivery, status=500, error="answered 500", now=moment)
    (shown,) = outbox.page(session, delivery.webhook, limit=9)
    assert (shown.outcome, shown.attempts) == (Outcome.FAILED, len(RETRIES) + 1)
    assert outbox.claim(session, now=moment + SHOWN) == []


def test_a_webhook_with_much_to_hear_holds_up_no_other(session: Session) -> None:
    busy = hook(session, Event.GENERATION_CANCELLED)
    for n in range(AT_ONCE + 1):
        job = asked(session, owned(drawing()), seconds=n)
        jobs.cancel(session, job.id, "local", now=at(n))
    quiet = hook(session, Event.GENERATION_DONE)
    asked(session, owned(drawing()))
    jobs.finish(session, claimed(session), {"pictures": []}, now=at(100))
    claimed_ = outbox.claim(session, now=at(200))
    assert [one.webhook for one in claimed_] == [busy.id] * FOR_ONE + [quiet.id]


def test_a_deleted_webhook_is_told_nothing_more(session: Session) -> None:
    own = hook(session)
    job = asked(session, owned(drawing()))
    jobs.cancel(session, job.id, "local", now=at(0))
    webhooks.delete(session, own.id, "local")
    assert outbox.claim(session, now=at(1)) == []
    assert session.scalar(sa.text("SELECT count(*) FROM deliveries")) == 0
