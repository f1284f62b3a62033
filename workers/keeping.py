"""Keeping the log signed and the jobs moving: what one process of an installation does.

`keep` signs a checkpoint once the log has grown, so that proofs can be had; takes jobs back whose
worker died; sends jobs once more whose message was lost; has ended jobs forget what they were
given; and removes what nothing points to. All of it may happen twice or late.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from provenance import forgetting, jobs, tidying
from provenance.blobs import Store
from provenance.counts import Tally
from provenance.database import snapshot, transaction
from provenance.jobs import Fault
from provenance.ledger.anchor import sign_checkpoint
from provenance.ledger.checkpoint import parse_checkpoint
from provenance.ledger.log import latest_checkpoint, log_size
from provenance.ledger.note import parse_note
from provenance.tidying import Tidied
from workers.folder import DataFolder, load_keyring
from workers.queue import Send
from workers.steps import ended

_log = logging.getLogger(__name__)


def sequence(folder: DataFolder) -> int:
    """Signs a checkpoint if the log has grown since the last; how many entries are new in it."""
    signed, size = _sizes(folder.engine)
    if signed == size:
        return 0
    signers = load_keyring(folder.path).log_signers()  # a key may have been rotated
    note = sign_checkpoint(folder.engine, signers, folder.anchor)
    return parse_checkpoint(parse_note(note).text).size - signed


def sweep(engine: Engine, tally: Tally, send: Send) -> None:
    """Gives lost jobs another chance, or ends them, and sends what may not have been sent."""
    with transaction(engine) as session:
        swept = jobs.sweep(session, now=datetime.now(UTC))
    for kind, _ in swept.failed:
        ended(tally, kind, Fault.WORKER_DIED)
    for kind, job in swept.unsent:
        send(kind.value, job)
    if swept.requeued or swept.failed:
        _log.warning("%d jobs taken back, %d failed", len(swept.requeued), len(swept.failed))


def tidy(engine: Engine, blobs: Store, *, forget_after: timedelta) -> Tidied:
    """Has ended jobs forget, then removes what nothing points to."""
    forgot = forget(engine, forget_after)
    tidied = tidying.tidy(engine, blobs, now=datetime.now(UTC))
    if forgot or tidied.blobs:
        _log.info("%d jobs forgot what they were given, %d blobs removed", forgot, tidied.blobs)
    return tidied


def forget(engine: Engine, after: timedelta) -> int:
    """How many jobs that ended so long ago have forgotten what they were given."""
    forgot = 0
    while True:
        with transaction(engine) as session:
            now = datetime.now(UTC)
            some = forgetting.forget(session, before=now - after, now=now)
        forgot += some
        if some < forgetting.MOST:
            return forgot


def _sizes(engine: Engine) -> tuple[int, int]:
    """Of the log as last signed, and now."""
    with snapshot(engine) as session:
        latest = latest_checkpoint(session)
        signed = 0 if latest is None else parse_checkpoint(parse_note(latest).text).size
        return signed, log_size(session)
