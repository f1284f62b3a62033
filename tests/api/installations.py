"""Installations for tests of the API: real tables and keys, tenants, a worker without models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from api.app import create_app
from provenance import callers, keyring
from provenance.callers import Quota, Scope, Tenant
from provenance.database import transaction
from provenance.keys import Purpose
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.log import Draft, append
from provenance.ledger.note import Verifier
from provenance.pictures import OWNER
from provenance.settings import Settings, read_settings
from provenance.tables import TenantRow
from tests.api.toy_worker import MODEL, ToyWorker, announce
from tests.databases import migrated_database
from tests.provenance.ledger.logs import picture

NOW = datetime.now(UTC)
MANY = 100_000
QUOTAS = {Quota.PICTURES: MANY, Quota.CHECKS: MANY}
URL = "http://testserver"


@dataclass
class Installed:
    """An installation under test, and who may ask it."""

    settings: Settings
    engine: Engine
    ring: keyring.Keyring
    app: FastAPI
    client: TestClient
    worker: ToyWorker
    tenants: dict[str, Tenant] = field(default_factory=dict)

    def key(
        self, *scopes: Scope, tenant: str = OWNER, expires: datetime | None = None
    ) -> dict[str, str]:
        """The header of a new API key; of all scopes, if none is named."""
        active = self.ring.active(Purpose.TOKEN, OWNER)
        with transaction(self.engine) as session:
            issued = callers.create(
                session,
                self.tenant(tenant),
                scopes or tuple(Scope),
                name="test",
                key=active,
                now=NOW,
                expires=expires,
            )
        return {"Authorization": f"Bearer {issued.token}"}

    @property
    def log(self) -> tuple[Verifier, ...]:
        """The log's keys."""
        return self.ring.log_verifiers()

    def append_unsigned(self, count: int = 1) -> int:
        """The last of so many new entries that no checkpoint covers."""
        drafts = [Draft(picture(f"no picture here {uuid4()}")) for _ in range(count)]
        with transaction(self.engine) as session:
            return append(session, drafts)[-1].index

    def tenant(self, name: str, quotas: dict[Quota, int] = QUOTAS) -> Tenant:
        """The tenant of a name, made when it is first asked for."""
        if name not in self.tenants:
            with transaction(self.engine) as session:
                if name == OWNER:
                    made = callers.find_tenant(session, name)
                else:
                    made = callers.add_tenant(session, name, now=NOW, quotas=quotas)
            self.tenants[name] = made
        return self.tenants[name]


@contextmanager
def installed(folder: Path, kind: str = "sqlite", **changes: object) -> Iterator[Installed]:
    """An installation whose worker works as long as the block lasts."""
    with migrated_database(kind, folder) as engine:
        ring = make_keys(folder)
        url = engine.url.render_as_string(hide_password=False)
        settings = read_settings({"COUNTERMARK_DATABASE": url}, folder)
        settings = replace(settings, public_url=URL, **changes)  # type: ignore[arg-type]
        with transaction(engine) as session:
            session.execute(sa.update(TenantRow).values(pictures_a_day=MANY, checks_a_day=MANY))
        sign_checkpoint(engine, ring.log_signers(), folder / "anchor")
        announce(engine, [MODEL])
        app = create_app(settings)
        worker = ToyWorker(engine, Path(settings.blobs), ring, folder / "anchor")
        client = TestClient(app, raise_server_exceptions=False)
        found = Installed(settings, engine, ring, app, client, worker)
        found.tenant(OWNER)
        with worker, client:
            yield found


def make_keys(folder: Path) -> keyring.Keyring:
    """The keys that an installation's door needs."""
    owners = {Purpose.LOG: "example.com/log", Purpose.TOKEN: OWNER, Purpose.MARK: OWNER}
    return keyring.create(folder / "keys.json", owners, now=NOW)
