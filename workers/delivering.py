"""Sending events to webhooks: signed, checked whom to, several at once, and again if need be.

An answer of 2xx has taken the event; anything else, a redirect too, is tried again later, up to the
last of `outbox.RETRIES`. The answer's body is not read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from sqlalchemy import Engine

from provenance import outbox, webhooks
from provenance.database import snapshot, transaction
from provenance.keyring import Keyring, UnknownKey
from provenance.outbound import Outbound, Reach, Refused, Unanswered
from provenance.outbox import Delivery
from provenance.webhooks import Sealed, Webhook
from workers.folder import DataFolder, load_keyring

SECONDS = 10.0  # for a whole attempt
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Courier:
    """What delivers: an installation, and how far its requests may go."""

    folder: DataFolder
    outbound: Outbound
    pool: ThreadPoolExecutor


@contextmanager
def courier(folder: DataFolder, reach: Reach) -> Iterator[Courier]:
    """A courier with its threads, which end with the block."""
    with ThreadPoolExecutor(outbox.AT_ONCE, "deliver") as pool:
        yield Courier(folder, Outbound(reach, SECONDS), pool)


def deliver(this: Courier) -> int:
    """How many deliveries were attempted: those that are due, some at once."""
    engine = this.folder.engine
    if not _waiting(engine):
        return 0
    with transaction(engine) as session:
        due = outbox.claim(session, now=datetime.now(UTC))
    with snapshot(engine) as session:
        found = webhooks.of_ids(session, [one.webhook for one in due])
    ring = load_keyring(this.folder.path)  # a key may have been rotated
    list(this.pool.map(lambda one: _attempt(this, ring, found, one), due))
    return len(due)


def deliver_all(this: Courier) -> None:
    """Attempts until nothing is due."""
    while deliver(this):
        pass


def _waiting(engine: Engine) -> bool:
    with snapshot(engine) as session:
        return outbox.waiting(session, now=datetime.now(UTC))


def _attempt(this: Courier, ring: Keyring, found: dict[str, Webhook], one: Delivery) -> None:
    """One attempt, and how it went; a webhook that was deleted meanwhile gets nothing."""
    webhook = found.get(one.webhook)
    if webhook is None:
        return
    status, error = _send(this.outbound, ring, webhook, one)
    with transaction(this.folder.engine) as session:
        outbox.settle(session, one, status=status, error=error, now=datetime.now(UTC))
    if error is not None:
        _log.info("delivery %s to webhook %s: %s", one.id, webhook.id, error)


def _send(
    outbound: Outbound, ring: Keyring, webhook: Webhook, one: Delivery
) -> tuple[int | None, str | None]:
    """The status of the answer, and why the event has not arrived: None if it has."""
    try:
        secret = webhooks.open_secret(webhook, ring.get(webhook.key))
        headers = {
            "content-type": "application/json",
            "user-agent": f"Countermark/{version('countermark')}",
            **webhooks.sign(secret, one.id, one.body, now=datetime.now(UTC)),
        }
        with outbound.send("POST", webhook.url, headers=headers, body=one.body) as answer:
            taken = 200 <= answer.status < 300
            return answer.status, None if taken else f"answered {answer.status}"
    except (Refused, Unanswered, Sealed, UnknownKey) as e:
        return None, str(e)[:500]
