"""What the routes of one API process share: database, blobs, queue, keys, limits, counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from api.limits import Buckets
from api.metrics import Metrics
from api.watching import Watch
from provenance import keyring
from provenance.blobs import Store, open_blobs
from provenance.database import connect
from provenance.keyring import Keyring
from provenance.keys import Key, Purpose
from provenance.ledger.note import Verifier
from provenance.settings import Settings
from workers import queue
from workers.queue import Send

KEYS = "keys.json"


@dataclass(frozen=True)
class Installation:
    """An installation as the door sees it; it reads public halves and the token keys alone."""

    settings: Settings
    engine: Engine
    blobs: Store
    send: Send
    tokens: tuple[Key, ...]  # whose API keys are accepted, the active one first
    log: tuple[Verifier, ...]  # every key the log ever signed with
    watch: Watch
    metrics: Metrics
    buckets: Buckets = field(default_factory=Buckets)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.log[0].name

    @property
    def secret(self) -> bytes:
        """What signs cursors."""
        return self.tokens[0].material


def open_installation(settings: Settings) -> Installation:
    """The installation of these settings; raises BadKeyring or BadPlace."""
    ring = keyring.load(settings.data / KEYS)
    engine = connect(settings.database)
    return Installation(
        settings=settings,
        engine=engine,
        blobs=open_blobs(settings.blobs),
        send=queue.connect(settings.broker, settings.queues),
        tokens=_tokens(ring),
        log=ring.log_verifiers(),
        watch=Watch(engine),
        metrics=Metrics(engine),
    )


def _tokens(ring: Keyring) -> tuple[Key, ...]:
    accepted = ring.checking(Purpose.TOKEN)
    return tuple(sorted(accepted, key=lambda key: -key.epoch))


def _installed(request: Request) -> Installation:
    found: Installation = request.app.state.installation
    return found


Here = Annotated[Installation, Depends(_installed)]
