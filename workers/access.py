"""Who may use the service: tenants with mark keys of their own, and their API keys.

An operator's acts, so they run where the data folder is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from provenance import callers, keyring
from provenance.callers import Issued, Quota, Scope, Tenant
from provenance.database import snapshot, transaction
from provenance.keys import Purpose
from provenance.rotation import change_keys
from workers.folder import TENANT, DataFolder, load_keyring, open_folder

PICTURES_A_DAY, CHECKS_A_DAY = 1000, 20_000


def add_tenant(folder: DataFolder, name: str, *, quotas: dict[Quota, int], now: datetime) -> Tenant:
    """A new tenant with an active mark key; raises Exists.

    A crash in between leaves a tenant without a key, whose jobs say so: `countermark keys rotate`
    makes it.
    """
    with transaction(folder.engine) as session:
        tenant = callers.add_tenant(session, name, quotas=quotas, now=now)
    first = partial(keyring.rotate, purpose=Purpose.MARK, owner=tenant.id, now=now)
    change_keys(folder.keys, folder.engine, folder.anchor, first, now=now)
    return tenant


def issue(
    folder: DataFolder,
    tenant: str,
    scopes: Iterable[Scope],
    *,
    name: str,
    now: datetime,
    expires: datetime | None = None,
) -> Issued:
    """A new API key of the tenant of this name; raises NoTenant. It cannot be shown again."""
    key = load_keyring(folder.path).active(Purpose.TOKEN, TENANT)
    with transaction(folder.engine) as session:
        found = callers.find_tenant(session, tenant)
        return callers.create(session, found, scopes, name=name, key=key, now=now, expires=expires)


def list_access(folder: DataFolder) -> list[tuple[Tenant, list[callers.Caller]]]:
    """Every tenant with its API keys."""
    with snapshot(folder.engine) as session:
        return [(one, callers.list_callers(session, one)) for one in callers.list_tenants(session)]


def admin_key(place: Path) -> str:
    """A line with a new API key of every scope, which is told once."""
    with open_folder(place) as folder:
        issued = issue(folder, TENANT, Scope, name="admin", now=datetime.now(UTC))
    return f"API key of every scope, shown this once: {issued.token}"
