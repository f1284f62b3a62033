"""The tables of the database, alike on SQLite and PostgreSQL; only migrations change them.

Of the log's tables (entries, nodes, checkpoints, timestamps, lookups) no row is ever changed or
deleted: triggers made by the migrations refuse it. Only `openings`, the salts and values behind
commitments, may be deleted, which is what erasure means. The rows of `fingerprints` repeat what
records say, for the search. The rows of the service (from `tenants` on) are who may ask, what was
asked and what came of it; they change, and nothing of them is public.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
)
from sqlalchemy import Index as Sorted
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# An INTEGER primary key is the row's own number in SQLite, which BIGINT would not be.
Index = BigInteger().with_variant(Integer, "sqlite")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A time in UTC, kept as whole microseconds since 1970: the same on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Table(DeclarativeBase):
    """What every table shares: constraints have names that do not depend on the database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class EntryRow(Table):
    """The canonical bytes of the record at each index, from 0 without a gap."""

    __tablename__ = "entries"

    index: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    record: Mapped[bytes] = mapped_column(LargeBinary)


class NodeRow(Table):
    """The root of every complete subtree; level 0 holds the leaves."""

    __tablename__ = "nodes"
    __table_args__ = {"sqlite_with_rowid": False}

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class CheckpointRow(Table):
    """Every signed checkpoint, and again with more cosignatures; the last number is the newest."""

    __tablename__ = "checkpoints"

    number: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[bytes] = mapped_column(LargeBinary)


class TimestampRow(Table):
    """A checkpoint with one signature of the log, and an RFC 3161 response over these bytes."""

    __tablename__ = "timestamps"

    number: Mapped[int] = mapped_column(Index, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[bytes] = mapped_column(LargeBinary)


class LookupRow(Table):
    """What an entry can be found by: a fact of its record, repeated here for its index."""

    __tablename__ = "lookups"
    __table_args__ = {"sqlite_with_rowid": False}

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    entry: Mapped[int] = mapped_column(
        Index, ForeignKey(EntryRow.index), primary_key=True, autoincrement=False
    )


class OpeningRow(Table):
    """The personal value behind a commitment, with its salt; the only rows that may be deleted."""

    __tablename__ = "openings"

    entry: Mapped[int] = mapped_column(
        Index, ForeignKey(EntryRow.index), primary_key=True, autoincrement=False
    )
    field: Mapped[str] = mapped_column(String(512), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[bytes] = mapped_column(LargeBinary)


class FingerprintRow(Table):
    """What the picture that an entry records looks like: PDQ's 32 bytes and quality, 0 to 100."""

    __tablename__ = "fingerprints"

    entry: Mapped[int] = mapped_column(
        Index, ForeignKey(EntryRow.index), primary_key=True, autoincrement=False
    )
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    quality: Mapped[int] = mapped_column(Integer)


class TenantRow(Table):
    """Who shares keys, pictures and quotas; the id is in public key names, so it says nothing."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    created: Mapped[datetime] = mapped_column(Moment)
    suspended: Mapped[datetime | None] = mapped_column(Moment)
    pictures_a_day: Mapped[int] = mapped_column(Integer)
    checks_a_day: Mapped[int] = mapped_column(Integer)


class CallerRow(Table):
    """An API key: what it may do, and the HMAC of its secret; never the secret."""

    __tablename__ = "callers"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(63), ForeignKey(TenantRow.id))
    name: Mapped[str] = mapped_column(String(100))
    scopes: Mapped[str] = mapped_column(String(255))
    token_key: Mapped[str] = mapped_column(String(100))
    hmac: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime] = mapped_column(Moment)
    expires: Mapped[datetime | None] = mapped_column(Moment)
    revoked: Mapped[datetime | None] = mapped_column(Moment)


class PolicyRow(Table):
    """A version of a policy: what may not be drawn, and who said so. See provenance.policies."""

    __tablename__ = "policies"

    tenant: Mapped[str] = mapped_column(String(63), primary_key=True)
    model: Mapped[str] = mapped_column(String(63), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    author: Mapped[str] = mapped_column(String(100))
    created: Mapped[datetime] = mapped_column(Moment)


class SpentRow(Table):
    """How much of a quota a tenant has used on one day of UTC."""

    __tablename__ = "spent"

    tenant: Mapped[str] = mapped_column(String(63), primary_key=True)
    quota: Mapped[str] = mapped_column(String(16), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    amount: Mapped[int] = mapped_column(Integer)


class JobRow(Table):
    """A wish: what was asked, how far it is, and what came of it. See provenance.jobs."""

    __tablename__ = "jobs"
    __table_args__ = (
        Sorted("ix_jobs_waiting", "state", "kind", "created", "id"),
        Sorted("ix_jobs_listed", "tenant", "created", "id"),
        Sorted("ix_jobs_forgettable", "forgotten", "finished"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    tenant: Mapped[str] = mapped_column(String(63))
    caller: Mapped[str | None] = mapped_column(String(16))
    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    upload: Mapped[bytes | None] = mapped_column(LargeBinary, index=True)
    batch: Mapped[str] = mapped_column(String(200))
    size: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    fence: Mapped[int] = mapped_column(Integer)
    lease: Mapped[datetime | None] = mapped_column(Moment)
    done: Mapped[int] = mapped_column(Integer)
    total: Mapped[int] = mapped_column(Integer)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    fault: Mapped[str | None] = mapped_column(String(32))
    detail: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(Moment)
    sent: Mapped[datetime] = mapped_column(Moment)
    finished: Mapped[datetime | None] = mapped_column(Moment)
    forgotten: Mapped[datetime | None] = mapped_column(Moment)
    trace: Mapped[str | None] = mapped_column(String(55))
    source: Mapped[str | None] = mapped_column(Text)


class ReplayRow(Table):
    """The job that a tenant's idempotency key stands for, and the digest of what was asked."""

    __tablename__ = "replays"

    tenant: Mapped[str] = mapped_column(String(63), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    job: Mapped[str] = mapped_column(String(36))
    created: Mapped[datetime] = mapped_column(Moment, index=True)


class AttachedRow(Table):
    """A blob that the result of a job names, beside its pictures."""

    __tablename__ = "attached"

    job: Mapped[str] = mapped_column(String(36), ForeignKey(JobRow.id), primary_key=True)
    blob: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, index=True)


class PreviewRow(Table):
    """A picture of a job as far as it is drawn; replaced as it grows, gone when the job ends."""

    __tablename__ = "previews"

    job: Mapped[str] = mapped_column(String(36), ForeignKey(JobRow.id), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    step: Mapped[int] = mapped_column(Integer)
    png: Mapped[bytes] = mapped_column(LargeBinary)


class PictureRow(Table):
    """A finished picture: the file, the entry that records it, whose it is and what made it."""

    __tablename__ = "pictures"
    __table_args__ = (Sorted("ix_pictures_listed", "tenant", "entry"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    entry: Mapped[int] = mapped_column(Index, ForeignKey(EntryRow.index), unique=True)
    tenant: Mapped[str] = mapped_column(String(63))
    job: Mapped[str] = mapped_column(String(36), ForeignKey(JobRow.id), index=True)
    number: Mapped[int] = mapped_column(Integer)
    blob: Mapped[bytes] = mapped_column(LargeBinary, index=True)
    media: Mapped[str] = mapped_column(String(32))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[datetime] = mapped_column(Moment)


class ModelRow(Table):
    """A generator that a worker has loaded, and when one last said so."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    seen: Mapped[datetime] = mapped_column(Moment)


class CountRow(Table):
    """A sum of what the workers counted, by name and labels. See provenance.counts."""

    __tablename__ = "counts"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    labels: Mapped[str] = mapped_column(String(200), primary_key=True)
    value: Mapped[float] = mapped_column(Double)


class AppealRow(Table):
    """Someone's objection to the outcome of a job, and what was answered."""

    __tablename__ = "appeals"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(63), index=True)
    job: Mapped[str] = mapped_column(String(36), ForeignKey(JobRow.id))
    reason: Mapped[str] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(Moment)
    answer: Mapped[str | None] = mapped_column(Text)
    answered: Mapped[datetime | None] = mapped_column(Moment)


class WebhookRow(Table):
    """Where a tenant's events go, and the sealed secret that signs them (provenance.webhooks)."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(63), ForeignKey(TenantRow.id), index=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[str] = mapped_column(String(255))
    key: Mapped[str] = mapped_column(String(100))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime] = mapped_column(Moment)


class DeliveryRow(Table):
    """An event on its way to a webhook, and how that went. See provenance.outbox."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Sorted("ix_deliveries_due", "outcome", "due"),
        Sorted("ix_deliveries_listed", "webhook", "created"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    webhook: Mapped[str] = mapped_column(String(36), ForeignKey(WebhookRow.id))
    event: Mapped[str] = mapped_column(String(40))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    outcome: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    status: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    created: Mapped[datetime] = mapped_column(Moment)
    due: Mapped[datetime | None] = mapped_column(Moment)
    ended: Mapped[datetime | None] = mapped_column(Moment)
