"""What nothing points to any more goes: blobs, previews of ended jobs, expired idempotency keys.

Old entries of the log of deliveries go too. A blob is written before the row that points to it, so
only blobs that were written a GRACE ago are looked at; and whoever writes the same bytes again
makes them new, or finds them gone and writes them whole, never in between (see blobs). So no row
that is written within GRACE of its blob ever points to nothing. Pictures are recorded for ever:
their rows go never, and so do not their blobs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from provenance import outbox, replays
from provenance.blobs import Digest, Store
from provenance.database import snapshot, transaction
from provenance.jobs import ENDED
from provenance.tables import AttachedRow, JobRow, PictureRow, PreviewRow

GRACE = timedelta(days=1)  # a row follows its blob within seconds
LOOKED_UP = 500  # blobs at once


@dataclass(frozen=True)
class Tidied:
    """How much went."""

    blobs: int
    drafts: int
    previews: int
    keys: int
    deliveries: int


def tidy(engine: Engine, blobs: Store, *, now: datetime, grace: timedelta = GRACE) -> Tidied:
    """Removes what nothing points to; may run twice at once, and be ended at any moment."""
    with transaction(engine) as session:
        keys = replays.expire(session, now=now)
        ended = sa.select(JobRow.id).where(JobRow.state.in_(ENDED))
        deliveries = outbox.expire(session, now=now)
        gone = sa.delete(PreviewRow).where(PreviewRow.job.in_(ended))
        previews = len(session.scalars(gone.returning(PreviewRow.job)).all())
    before, removed = now - grace, 0
    for some in _parts(blobs.written_before(before)):
        with snapshot(engine) as session:
            kept = pointed_to(session, some)
        removed += sum(blobs.remove(one, before=before) for one in some if one not in kept)
    return Tidied(removed, blobs.remove_drafts(before=before), previews, keys, deliveries)


def pointed_to(session: Session, digests: list[Digest]) -> set[bytes]:
    """Those of the blobs that a row points to."""
    return {
        bytes(found)
        for column in (PictureRow.blob, JobRow.upload, AttachedRow.blob)
        for found in session.scalars(sa.select(column).where(column.in_(digests)))
        if found is not None
    }


def _parts(digests: Iterable[Digest]) -> Iterator[list[Digest]]:
    left = iter(digests)
    while some := list(islice(left, LOOKED_UP)):
        yield some
