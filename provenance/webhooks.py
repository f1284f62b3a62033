"""Webhooks of a tenant: where its events go, and the secret that signs them (standard-webhooks).

The secret, `whsec_…`, is shown once. It is kept encrypted (AES-256-GCM) under a key that only the
installation's token key gives, so who reads the database alone can sign nothing; a key that was
retired still opens what was sealed with it.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from provenance.errors import ProvenanceError
from provenance.keys import Key, Purpose
from provenance.outbox import Event
from provenance.tables import DeliveryRow, WebhookRow

PREFIX = "whsec_"
MOST = 20  # of one tenant
_SECRET_BYTES, _NONCE_BYTES = 32, 12
_DOMAIN = b"countermark-webhook/1\n"


class NoWebhook(ProvenanceError):
    """This tenant has no webhook of this id."""


class TooMany(ProvenanceError):
    """The tenant has as many webhooks as it may."""


class Sealed(ProvenanceError):
    """The secret cannot be opened with this key."""


@dataclass(frozen=True)
class Webhook:
    """Where events go, and which."""

    id: str
    tenant: str
    url: str
    events: tuple[Event, ...]
    created: datetime
    key: str  # the id of the token key that its secret is sealed with
    sealed: bytes = field(repr=False)


def add(
    session: Session, tenant: str, url: str, events: Iterable[Event], *, key: Key, now: datetime
) -> tuple[Webhook, str]:
    """A new webhook, and its secret, which cannot be shown again; raises TooMany."""
    own = sa.select(sa.func.count()).where(WebhookRow.tenant == tenant)
    if (session.scalar(own) or 0) >= MOST:
        raise TooMany(f"a tenant has at most {MOST} webhooks: delete one")
    made, secret = str(uuid4()), secrets.token_bytes(_SECRET_BYTES)
    row = WebhookRow(
        id=made,
        tenant=tenant,
        url=url,
        events=" ".join(sorted({event.value for event in events})),
        key=key.key_id,
        sealed=_seal(secret, key, made),
        created=now,
    )
    session.add(row)
    session.flush()
    return _webhook(row), PREFIX + b64encode(secret).decode()


def read(session: Session, id: str, tenant: str) -> Webhook:
    """A tenant's webhook; raises NoWebhook."""
    found = sa.select(WebhookRow).where(WebhookRow.id == id, WebhookRow.tenant == tenant)
    row = session.scalar(found)
    if row is None:
        raise NoWebhook(f"no webhook has the id {id[:100]!r}")
    return _webhook(row)


def of_tenant(session: Session, tenant: str) -> list[Webhook]:
    """A tenant's webhooks, the oldest first."""
    own = sa.select(WebhookRow).where(WebhookRow.tenant == tenant)
    ordered = own.order_by(WebhookRow.created, WebhookRow.id)
    return [_webhook(row) for row in session.scalars(ordered)]


def of_ids(session: Session, ids: Iterable[str]) -> dict[str, Webhook]:
    """The webhooks of these ids."""
    rows = session.scalars(sa.select(WebhookRow).where(WebhookRow.id.in_(set(ids))))
    return {row.id: _webhook(row) for row in rows}


def delete(session: Session, id: str, tenant: str) -> None:
    """The webhook goes, with all that was on its way to it; raises NoWebhook."""
    read(session, id, tenant)
    session.execute(sa.delete(DeliveryRow).where(DeliveryRow.webhook == id))
    session.execute(sa.delete(WebhookRow).where(WebhookRow.id == id))


def open_secret(webhook: Webhook, key: Key) -> bytes:
    """What signs the webhook's events; raises Sealed."""
    nonce, sealed = webhook.sealed[:_NONCE_BYTES], webhook.sealed[_NONCE_BYTES:]
    try:
        return AESGCM(_wrapping(key)).decrypt(nonce, sealed, webhook.id.encode())
    except InvalidTag as e:
        raise Sealed(f"the secret of webhook {webhook.id} is not sealed with {key.key_id}") from e


def sign(secret: bytes, id: str, body: bytes, *, now: datetime) -> Mapping[str, str]:
    """The headers of standard-webhooks for a message sent now."""
    seconds = int(now.timestamp())
    message = f"{id}.{seconds}.".encode() + body
    signature = b64encode(hmac.digest(secret, message, "sha256")).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{signature}",
    }


def parse_secret(text: str) -> bytes:
    """The bytes of a secret as it is shown, for whoever checks signatures."""
    return b64decode(text.removeprefix(PREFIX), validate=True)


def _seal(secret: bytes, key: Key, webhook: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_wrapping(key)).encrypt(nonce, secret, webhook.encode())


def _wrapping(key: Key) -> bytes:
    assert key.purpose is Purpose.TOKEN, key.purpose
    return hmac.digest(key.material, _DOMAIN, sha256)


def _webhook(row: WebhookRow) -> Webhook:
    events = tuple(Event(one) for one in row.events.split())
    return Webhook(row.id, row.tenant, row.url, events, row.created, row.key, bytes(row.sealed))
