"""Who may ask: tenants, their API keys, and what they may use a day.

A key is `cm_`, twelve characters that name it, forty that are secret, six of a checksum: a typing
error or a scanner needs no database. Only an HMAC of it is kept, under the installation's token
key; who reads the database can use none. An unknown, a wrong and a mistyped key look the same.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from string import ascii_letters, digits
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from provenance.errors import ProvenanceError
from provenance.keys import TENANT, Key
from provenance.tables import CallerRow, SpentRow, TenantRow

PREFIX = "cm_"
_ID, _SECRET, _SUM = 12, 40, 6  # characters; 40 of 62 are 238 bits
_ALPHABET = digits + ascii_letters
_DOMAIN = b"countermark-api-key/1\n"


class NotACaller(ProvenanceError):
    """No valid API key: not one of ours, expired or revoked."""


class NoTenant(ProvenanceError):
    """No tenant of this name or id, or one that is suspended."""


class Exists(ProvenanceError):
    """A tenant of this name is there already."""


class OverQuota(ProvenanceError):
    """More than the tenant may use today; `reset` is when the next day begins."""

    def __init__(self, quota: Quota, limit: int, reset: datetime) -> None:
        super().__init__(f"more than {limit} {quota} today")
        self.quota, self.limit, self.reset = quota, limit, reset


class Scope(StrEnum):
    """What a key may be used for."""

    GENERATE = "generate"
    VERIFY = "verify"
    MARK = "mark"
    AUDIT = "audit"
    ADMIN = "admin"  # revocations, appeals, webhooks, metrics; never another tenant's pictures
    FETCH_MANIFESTS = "fetch:manifests"  # this and the next two are C2PA's names
    STORE_MANIFESTS = "store:manifests"
    STORE_BINDINGS = "store:bindings"


class Quota(StrEnum):
    """What is counted a day."""

    PICTURES = "pictures"  # drawn or marked
    CHECKS = "checks"


@dataclass(frozen=True)
class Tenant:
    """Who shares keys, pictures and quotas."""

    id: str  # owns the keys of marks, so it is part of their public names
    name: str
    created: datetime
    suspended: datetime | None
    quotas: dict[Quota, int]


@dataclass(frozen=True)
class Caller:
    """Whoever shows a valid API key."""

    id: str
    name: str
    tenant: Tenant
    scopes: frozenset[Scope]
    created: datetime
    expires: datetime | None
    revoked: datetime | None = None


@dataclass(frozen=True)
class Issued:
    """A new caller with its key in full, which nobody can ever show again."""

    caller: Caller
    token: str = field(repr=False)


def add_tenant(
    session: Session, name: str, *, now: datetime, quotas: dict[Quota, int], id: str | None = None
) -> Tenant:
    """A new tenant; raises Exists. It can mark once its id owns an active mark key."""
    if not TENANT.fullmatch(name):
        raise NoTenant(f"a tenant is named like a host (a-z, 0-9, -), not {name[:100]!r}")
    made = id or f"t{secrets.token_hex(5)}"
    taken = sa.select(TenantRow.id).where((TenantRow.name == name) | (TenantRow.id == made))
    if session.scalar(taken) is not None:
        raise Exists(f"a tenant {name!r} is there already")
    row = TenantRow(
        id=made,
        name=name,
        created=now,
        suspended=None,
        pictures_a_day=quotas[Quota.PICTURES],
        checks_a_day=quotas[Quota.CHECKS],
    )
    session.add(row)
    session.flush()
    return _tenant(row)


def find_tenant(session: Session, name: str) -> Tenant:
    """The tenant of a name; raises NoTenant."""
    row = session.scalar(sa.select(TenantRow).where(TenantRow.name == name))
    if row is None:
        raise NoTenant(f"no tenant is called {name[:100]!r}: `countermark tenants add` makes one")
    return _tenant(row)


def read_tenant(session: Session, id: str) -> Tenant:
    """The tenant of an id; raises NoTenant."""
    row = session.get(TenantRow, id)
    if row is None:
        raise NoTenant(f"no tenant has the id {id[:100]!r}")
    return _tenant(row)


def list_tenants(session: Session) -> list[Tenant]:
    """Every tenant, by name."""
    return [_tenant(row) for row in session.scalars(sa.select(TenantRow).order_by(TenantRow.name))]


def suspend(session: Session, tenant: Tenant, *, now: datetime) -> None:
    """From now on none of the tenant's keys is accepted."""
    session.execute(sa.update(TenantRow).where(TenantRow.id == tenant.id).values(suspended=now))


def create(
    session: Session,
    tenant: Tenant,
    scopes: Iterable[Scope],
    *,
    name: str,
    key: Key,
    now: datetime,
    expires: datetime | None = None,
) -> Issued:
    """A new API key of a tenant; `key` is the active token key of the keyring."""
    part = "".join(secrets.choice(_ALPHABET) for _ in range(_ID + _SECRET))
    token = PREFIX + part + _checksum(part)
    row = CallerRow(
        id=part[:_ID],
        tenant=tenant.id,
        name=name,
        scopes=" ".join(sorted(set(scopes))),
        token_key=key.key_id,
        hmac=_digest(key, token),
        created=now,
        expires=expires,
        revoked=None,
    )
    session.add(row)
    session.flush()
    return Issued(_caller(row, tenant), token)


def authenticate(session: Session, token: str, keys: Sequence[Key], *, now: datetime) -> Caller:
    """Whose key this is; `keys` are the token keys that are accepted. Raises NotACaller."""
    row = session.get(CallerRow, _parse(token))
    key = next((one for one in keys if row is not None and one.key_id == row.token_key), None)
    if row is None or key is None or not hmac.compare_digest(_digest(key, token), row.hmac):
        raise NotACaller("not a valid API key")
    return _accepted(session, row, now)


def read_caller(session: Session, id: str, keys: Sequence[Key], *, now: datetime) -> Caller:
    """Whose key this id names, if `authenticate` would accept it now; raises NotACaller."""
    row = session.get(CallerRow, id)
    if row is None or row.token_key not in {key.key_id for key in keys}:
        raise NotACaller("not a valid API key")
    return _accepted(session, row, now)


def list_callers(session: Session, tenant: Tenant) -> list[Caller]:
    """Every API key of a tenant, the oldest first."""
    rows = sa.select(CallerRow).where(CallerRow.tenant == tenant.id).order_by(CallerRow.created)
    return [_caller(row, tenant) for row in session.scalars(rows)]


def revoke(session: Session, id: str, *, now: datetime) -> None:
    """The API key is accepted no more; raises NotACaller if there is none of this id."""
    change = sa.update(CallerRow).where(CallerRow.id == id, CallerRow.revoked.is_(None))
    if session.scalar(change.values(revoked=now).returning(CallerRow.id)) is None:
        raise NotACaller(f"no API key has the id {id[:100]!r}, or it is revoked already")


def spend(session: Session, tenant: Tenant, quota: Quota, amount: int, *, now: datetime) -> int:
    """What is left today after this; raises OverQuota, and the transaction must be abandoned."""
    day = now.astimezone(UTC).date()
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    first = {"tenant": tenant.id, "quota": quota.value, "day": day.isoformat(), "amount": amount}
    add = dialect.insert(SpentRow).values(first)
    add = add.on_conflict_do_update(
        index_elements=[SpentRow.tenant, SpentRow.quota, SpentRow.day],
        set_={"amount": SpentRow.amount + amount},
    )
    spent = session.scalar(add.returning(SpentRow.amount))
    assert spent is not None, "an upsert returns its row"
    limit: int = tenant.quotas[quota]
    if spent > limit:
        reset = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        raise OverQuota(quota, limit, reset)
    return int(limit - spent)


def _accepted(session: Session, row: CallerRow, now: datetime) -> Caller:
    if row.revoked is not None or (row.expires is not None and row.expires <= now):
        raise NotACaller("this API key has expired or was revoked")
    tenant = read_tenant(session, row.tenant)
    if tenant.suspended is not None:
        raise NotACaller(f"the tenant {tenant.name!r} is suspended")
    return _caller(row, tenant)


def _parse(token: str) -> str:
    """The id that a key names, if it is written as ours are."""
    part, checksum = token.removeprefix(PREFIX)[:-_SUM], token[-_SUM:]
    written = token.isascii() and token.startswith(PREFIX) and len(part) == _ID + _SECRET
    if not written or checksum != _checksum(part):
        raise NotACaller("not a valid API key")
    return part[:_ID]


def _checksum(part: str) -> str:
    number, text = crc32(part.encode()), ""
    for _ in range(_SUM):
        number, place = divmod(number, len(_ALPHABET))
        text = _ALPHABET[place] + text
    return text


def _digest(key: Key, token: str) -> bytes:
    return hmac.digest(key.material, _DOMAIN + token.encode(), sha256)


def _tenant(row: TenantRow) -> Tenant:
    quotas = {Quota.PICTURES: row.pictures_a_day, Quota.CHECKS: row.checks_a_day}
    return Tenant(row.id, row.name, row.created, row.suspended, quotas)


def _caller(row: CallerRow, tenant: Tenant) -> Caller:
    scopes = frozenset(Scope(one) for one in row.scopes.split())
    return Caller(row.id, row.name, tenant, scopes, row.created, row.expires, row.revoked)
