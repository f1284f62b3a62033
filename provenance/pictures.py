"""Finished pictures: which file, which entry of the log, whose, and from which job.

A row is written in the transaction that appends the entry, so no picture is without its record and
no record of the service without its picture. Who owns a picture is said here and nowhere in public.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance.blobs import Digest
from provenance.errors import ProvenanceError
from provenance.jobs import JobId
from provenance.tables import EntryRow, PictureRow

OWNER = "local"  # the installation's own tenant, whose are the entries that have no row here


class NoPicture(ProvenanceError):
    """This tenant has no picture of this id."""


@dataclass(frozen=True)
class Picture:
    """A picture that can be given out; `facts` has plain JSON values about how it was made."""

    id: str
    entry: int
    tenant: str
    job: JobId
    number: int  # from 0, within its job
    blob: Digest
    media: str
    width: int
    height: int
    facts: dict[str, Any]
    created: datetime


def picture_id(job: JobId, number: int) -> str:
    """The same job and number give the same id, so that no retry records a picture twice."""
    return str(uuid5(UUID(job), str(number)))


def store(session: Session, pictures: Iterable[Picture]) -> None:
    """Keeps the pictures, in the transaction that appended their entries."""
    rows = [dict(vars(one)) for one in pictures]
    session.execute(sa.insert(PictureRow), rows)


def read(session: Session, picture: str, tenant: str) -> Picture:
    """A tenant's picture; raises NoPicture."""
    found = sa.select(PictureRow).where(PictureRow.id == picture, PictureRow.tenant == tenant)
    row = session.scalar(found)
    if row is None:
        raise NoPicture(f"no picture has the id {picture[:100]!r}")
    return _picture(row)


def of_job(session: Session, job: JobId) -> list[Picture]:
    """The pictures of a job, in the order they were asked for."""
    found = sa.select(PictureRow).where(PictureRow.job == job).order_by(PictureRow.number)
    return [_picture(row) for row in session.scalars(found)]


def of_entries(session: Session, entries: Sequence[int], tenant: str) -> dict[int, Picture]:
    """The tenant's pictures that these entries record, by entry."""
    mine = PictureRow.entry.in_(entries), PictureRow.tenant == tenant
    rows = session.scalars(sa.select(PictureRow).where(*mine))
    return {row.entry: _picture(row) for row in rows}


def visible(session: Session, entries: Sequence[int], tenant: str) -> list[int]:
    """Those of the entries that this tenant may be told about, in order.

    Its own pictures' entries; for the installation's own tenant those of no other.
    """
    if not entries:
        return []
    owners = sa.select(PictureRow.entry, PictureRow.tenant).where(PictureRow.entry.in_(entries))
    owner = {entry: named for entry, named in session.execute(owners)}
    return [one for one in entries if owner.get(one, OWNER) == tenant]


def page(session: Session, tenant: str, *, before: int | None, limit: int) -> list[int]:
    """The entries that a tenant may be told about, the newest first, below `before`."""
    joined = sa.outerjoin(EntryRow, PictureRow, PictureRow.entry == EntryRow.index)
    found = sa.select(EntryRow.index).select_from(joined)
    mine = PictureRow.tenant == tenant
    found = found.where(mine | PictureRow.id.is_(None) if tenant == OWNER else mine)
    if before is not None:
        found = found.where(EntryRow.index < before)
    return list(session.scalars(found.order_by(EntryRow.index.desc()).limit(limit)))


def _picture(row: PictureRow) -> Picture:
    return Picture(
        id=row.id,
        entry=row.entry,
        tenant=row.tenant,
        job=JobId(row.job),
        number=row.number,
        blob=Digest(bytes(row.blob)),
        media=row.media,
        width=row.width,
        height=row.height,
        facts=row.facts,
        created=row.created,
    )
