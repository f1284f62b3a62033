"""Events arrive signed; what does not arrive is tried again; nothing leaves for private hosts."""

from __future__ import annotations

import hmac
import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from provenance import jobs, keyring, outbox, webhooks
from provenance.database import snapshot, transaction
from provenance.jobs import Wish
from provenance.keys import Purpose
from provenance.outbound import Outbound, Reach
from provenance.outbox import Delivery, Event, Outcome
from provenance.tables import DeliveryRow
from provenance.webhooks import Webhook, parse_secret
from provenance.wishes import Generate
from tests.workers.listeners import Listener, listening
from workers.delivering import Courier, courier, deliver, deliver_all
from workers.folder import DataFolder, make, open_folder


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    make(tmp_path / "data", now=datetime.now(UTC))
    with open_folder(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def own(folder: DataFolder) -> Iterator[Courier]:
    with courier(folder, Reach.ANYWHERE) as made:
        yield made


def hook(folder: DataFolder, url: str) -> tuple[Webhook, str]:
    key = folder.keyring.active(Purpose.TOKEN, "local")
    with transaction(folder.engine) as session:
        now = datetime.now(UTC)
        return webhooks.add(session, "local", url, list(Event), key=key, now=now)


def cancelled(folder: DataFolder) -> str:
    """A job that someone with a key cancelled, so that there is something to tell."""
    wish: Wish = Generate("toy", "a", 1, 1, "lexical").wish("local", "a-key")
    with transaction(folder.engine) as session:
        now = datetime.now(UTC)
        job = jobs.ask(session, wish, now=now)
        jobs.cancel(session, job.id, "local", now=now)
    return job.id


def deliveries(folder: DataFolder, webhook: Webhook) -> list[Delivery]:
    with snapshot(folder.engine) as session:
        return outbox.page(session, webhook.id, limit=100)


def make_due(folder: DataFolder) -> None:
    with transaction(folder.engine) as session:
        session.execute(
            sa.update(DeliveryRow)
            .where(DeliveryRow.due.is_not(None))
            .values(due=datetime.now(UTC) - timedelta(seconds=1))
        )


def test_an_event_arrives_signed_and_once(
    folder: DataFolder, own: Courier, listener: Listener
) -> None:
    webhook, shown = hook(folder, listener.url)
    job = cancelled(folder)
    assert [deliver(own) for _ in range(2)] == [1, 0]
    ((headers, body),) = listener.got
    assert json.loads(body)["data"]["id"] == job
    assert headers["content-type"] == "application/json"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = b64encode(hmac.digest(parse_secret(shown), signed, "sha256")).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    (one,) = deliveries(folder, webhook)
    assert (one.id, one.outcome, one.status) == (headers["webhook-id"], Outcome.DELIVERED, 204)


def test_an_event_that_is_not_taken_is_sent_again_under_the_same_id(
    folder: DataFolder, own: Courier, listener: Listener
) -> None:
    webhook, _ = hook(folder, listener.url)
    cancelled(folder)
    listener.status = 500
    deliver_all(own)
    (one,) = deliveries(folder, webhook)
    assert (one.outcome, one.status, one.error) == (Outcome.PENDING, 500, "answered 500")
    listener.status = 200
    make_due(folder)
    deliver_all(own)
    (one,) = deliveries(folder, webhook)
    assert (one.outcome, one.attempts) == (Outcome.DELIVERED, 2)
    assert len({headers["webhook-id"] for headers, _ in listener.got}) == 1


def test_a_redirect_is_not_followed(folder: DataFolder, own: Courier, listener: Listener) -> None:
    webhook, _ = hook(folder, listener.url)
    cancelled(folder)
    listener.status, listener.headers = 307, {"Location": f"{listener.url}/elsewhere"}
    deliver_all(own)
    assert len(listener.got) == 1
    assert deliveries(folder, webhook)[0].error == "answered 307"


def test_nothing_leaves_for_a_private_host_unless_that_is_allowed(
    folder: DataFolder, listener: Listener
) -> None:
    webhook, _ = hook(folder, listener.url.replace("http://", "https://"))
    cancelled(folder)
    with courier(folder, Reach.PUBLIC) as strict:
        deliver_all(strict)
    assert listener.got == []
    assert "not public" in (deliveries(folder, webhook)[0].error or "")


def test_a_name_that_turns_private_is_found_out_when_it_is_sent(
    folder: DataFolder, listener: Listener
) -> None:
    webhook, _ = hook(folder, "https://hooks.example/")
    cancelled(folder)
    turned = Outbound(Reach.PUBLIC, 5, resolve=lambda host, port: [("10.0.0.1", port)])
    with courier(folder, Reach.PUBLIC) as strict:
        deliver_all(Courier(folder, turned, strict.pool))
    assert "10.0.0.1, which is not public" in (deliveries(folder, webhook)[0].error or "")


def test_a_secret_still_signs_after_the_token_key_was_retired(
    folder: DataFolder, own: Courier, listener: Listener
) -> None:
    webhook, _ = hook(folder, listener.url)
    cancelled(folder)
    now = datetime.now(UTC)
    for step in (partial(keyring.rotate, now=now), keyring.retire):
        keyring.change(folder.keys, partial(step, purpose=Purpose.TOKEN, owner="local"))
    deliver_all(own)
    assert deliveries(folder, webhook)[0].outcome is Outcome.DELIVERED


def test_many_events_to_several_webhooks_arrive_once_each_whoever_delivers(
    folder: DataFolder, own: Courier, listener: Listener
) -> None:
    hooks = [hook(folder, listener.url)[0] for _ in range(2)]
    jobs_ = {cancelled(folder) for _ in range(6)}
    threads = [threading.Thread(target=deliver_all, args=(own,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [headers["webhook-id"] for headers, _ in listener.got]
    assert len(ids) == len(set(ids)) == len(jobs_) * len(hooks)
    assert {json.loads(body)["data"]["id"] for _, body in listener.got} == jobs_
