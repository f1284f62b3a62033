"""Secrets are shown once, kept sealed, and sign as standard-webhooks says."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance import webhooks
from provenance.database import transaction
from provenance.keys import Key, KeyState, Purpose
from provenance.outbox import Event
from provenance.webhooks import MOST, NoWebhook, Sealed, TooMany, open_secret, parse_secret, sign
from tests.databases import migrated_database
from tests.provenance.wishes import NOW, at

KEY = Key(b"k" * 32, Purpose.TOKEN, "local", 1, KeyState.ACTIVE, NOW, NOW)
URL = "https://example.com/"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with migrated_database("sqlite", tmp_path) as engine, transaction(engine) as opened:
        yield opened


def test_sign_is_the_published_example() -> None:
    secret = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    now = datetime.fromtimestamp(1614265330, UTC)
    headers = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', now=now)
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_given_once_and_opened_with_its_key_alone(session: Session) -> None:
    made, shown = webhooks.add(session, "local", URL, list(Event), key=KEY, now=at(0))
    secret = parse_secret(shown)
    assert len(secret) == 32
    assert shown == "whsec_" + b64encode(secret).decode()
    assert webhooks.read(session, made.id, "local") == made
    assert open_secret(made, KEY) == secret
    kept = repr(session.execute(sa.text("SELECT * FROM webhooks")).all())
    assert repr(secret)[2:-1] not in kept
    assert shown not in kept
    for harmed in (
        replace(made, id="other"),
        replace(made, sealed=made.sealed[:-1] + bytes([made.sealed[-1] ^ 1])),
    ):
        with pytest.raises(Sealed):
            open_secret(harmed, KEY)
    with pytest.raises(Sealed):
        open_secret(made, replace(KEY, material=b"o" * 32))


def test_a_webhook_is_its_tenant_s_own(session: Session) -> None:
    session.execute(sa.text("INSERT INTO tenants VALUES ('acme', 'acme', 0, NULL, 1, 1)"))
    made, _ = webhooks.add(session, "acme", URL, [Event.MARK_DONE], key=KEY, now=at(0))
    assert webhooks.of_tenant(session, "local") == []
    assert webhooks.of_tenant(session, "acme") == [made]
    for act in (webhooks.read, webhooks.delete):
        with pytest.raises(NoWebhook):
            act(session, made.id, "local")
    webhooks.delete(session, made.id, "acme")
    assert webhooks.of_tenant(session, "acme") == []


def test_a_tenant_has_so_many_and_no_more(session: Session) -> None:
    for _ in range(MOST):
        webhooks.add(session, "local", URL, [Event.MARK_DONE], key=KEY, now=at(0))
    with pytest.raises(TooMany, match="delete one"):
        webhooks.add(session, "local", URL, [Event.MARK_DONE], key=KEY, now=at(0))
