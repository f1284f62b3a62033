"""What the routes of one API process share: database, blobs, queue, keys, limits, counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from api.broker import Broker
from api.keys import Keys
from api.limits import Buckets
from api.metrics import Metrics
from api.watching import Watch
from provenance.blobs import Store, open_blobs
from provenance.database import connect
from provenance.keys import Key
from provenance.ledger.note import Verifier
from provenance.outbound import Reach
from provenance.settings import Settings, reach
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
    broker: Broker
    keys: Keys
    watch: Watch
    metrics: Metrics
    buckets: Buckets = field(default_factory=Buckets)

    @property
    def tokens(self) -> tuple[Key, ...]:
        """The keys whose API keys are accepted, the active one first."""
        return self.keys.now().tokens

    @property
    def log(self) -> tuple[Verifier, ...]:
        """Every key the log ever signed with."""
        return self.keys.now().log

    @property
    def reach(self) -> Reach:
        """How far requests to addresses that callers name may go."""
        return reach(self.settings)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self.log[0].name

    @property
    def secret(self) -> bytes:
        """What signs cursors, until the token key is rotated."""
        return self.tokens[0].material


def open_installation(settings: Settings) -> Installation:
    """The installation of these settings; raises BadKeyring or BadPlace."""
    keys = Keys(settings.data / KEYS)
    engine = connect(settings.database)
    return Installation(
        settings=settings,
        engine=engine,
        blobs=open_blobs(settings.blobs),
        send=queue.connect(settings.broker, settings.queues),
        broker=Broker(settings.broker),
        keys=keys,
        watch=Watch(engine),
        metrics=Metrics(engine),
    )


def _installed(request: Request) -> Installation:
    found: Installation = request.app.state.installation
    return found


Here = Annotated[Installation, Depends(_installed)]
