"""Whether everything that an installation has given out is there: log, pictures, files, jobs."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from provenance import jobs
from provenance.blobs import Digest, Store
from provenance.database import snapshot
from provenance.errors import ProvenanceError
from provenance.jobs import State
from provenance.ledger.audit import check_log
from provenance.ledger.log import log_size, read_record
from provenance.ledger.record import GivenOut
from provenance.tables import PictureRow
from workers.folder import DataFolder


class Incomplete(ProvenanceError):
    """Something was lost, or is there that must not be."""


@dataclass(frozen=True)
class Inventory:
    """What was counted."""

    entries: int
    pictures: int
    commanded: int  # records of pictures that were made by command, and have no row


def take_inventory(folder: DataFolder, blobs: Store) -> Inventory:
    """Checks the log, then each picture against its record, its file and its job.

    Raises Broken for the log, Incomplete for the rest.
    """
    with snapshot(folder.engine) as session:
        check_log(session, folder.keyring.log_verifiers(), folder.anchor)
        size = log_size(session)
        rows = {row.entry: row for row in session.scalars(sa.select(PictureRow))}
        commanded = 0
        for index in range(size):
            record = read_record(session, index)
            row = rows.pop(index, None)
            if row is not None:
                _check_picture(session, blobs, row, record)
            elif isinstance(record, GivenOut):
                commanded += 1
        if rows:
            raise Incomplete(f"pictures without a record, at entries {sorted(rows)[:10]}")
        pictures = session.scalar(sa.select(sa.func.count()).select_from(PictureRow)) or 0
        return Inventory(size, pictures, commanded)


def check_ended(session: Session, job: str, tenant: str) -> State:
    """How a job has ended; raises Incomplete if it has not, or not with what it says."""
    found = jobs.read(session, job, tenant)
    if found.state not in jobs.ENDED or found.finished is None:
        raise Incomplete(f"job {job} is still {found.state}")
    done, failed = found.state is State.DONE, found.state is State.FAILED
    if (found.result is not None) is not done or (found.fault is not None) is not failed:
        raise Incomplete(f"job {job} is {found.state}, with the wrong outcome")
    kept = session.scalars(sa.select(PictureRow.id).where(PictureRow.job == job)).all()
    promised = (found.result or {}).get("pictures", [])
    if sorted(kept) != sorted(promised):
        raise Incomplete(f"job {job} promised {len(promised)} pictures, {len(kept)} are there")
    return found.state


def _check_picture(session: Session, blobs: Store, row: PictureRow, record: object) -> None:
    if not isinstance(record, GivenOut) or (row.id, row.blob) != (record.id, record.file):
        raise Incomplete(f"entry {row.entry} does not record picture {row.id}")
    blobs.get(Digest(record.file))
    if check_ended(session, row.job, row.tenant) is not State.DONE:
        raise Incomplete(f"picture {row.id} is of a job that is not done")
