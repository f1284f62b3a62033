"""Protecting the detector: few answers about pictures that look alike.

Whoever wants to remove or forge a mark asks about thousands of slightly changed copies of one
picture. So each answer is held against the caller's verifications of the hour before it: if too
many different files looked like this one (PDQ, as for the verdict), the answer is withheld, and
stays so. The same file again is no probing. What is counted lies in the jobs, so it holds for all
API processes together; without a key, everyone counts as one caller.
"""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from api.admission import Asker
from api.installation import Installation
from api.problems import Kind, Problem
from provenance.database import snapshot
from provenance.jobs import Job, State
from provenance.tables import JobRow

ALIKE = 31  # bits of 256 that may differ, the threshold of provenance.fingerprint
WINDOW = timedelta(hours=1)
ANONYMOUS_BUDGET = 20  # different files that look alike, in a window
KEYED_BUDGET = 200
LOOKED_AT = 1_000  # verifications before this one, at most


def check_not_probing(here: Installation, asker: Asker, job: Job) -> None:
    """Raises if this verification is one too many of pictures that look alike."""
    result = job.result or {}
    own = result.get("fingerprint")
    if job.state is not State.DONE or own is None:
        return
    budget = ANONYMOUS_BUDGET if asker.caller is None else KEYED_BUDGET
    looks = int(own, 16)
    alike = {
        file
        for file, other in _before(here, job)
        if other is not None and (looks ^ int(other, 16)).bit_count() <= ALIKE
    }
    if len(alike - {result["sha256"]}) >= budget:
        seconds = int(WINDOW.total_seconds())
        detail = f"more than {budget} files that look like this one within {seconds} seconds"
        raise Problem(Kind.PROBING, detail, headers={"Retry-After": str(seconds)})


def _before(here: Installation, job: Job) -> list[tuple[str, str | None]]:
    """File and fingerprint of the verifications by the same caller, of the window before."""
    same = JobRow.caller == job.wish.caller if job.wish.caller else JobRow.caller.is_(None)
    window = sa.bindparam(None, job.created - WINDOW, JobRow.created.type)
    results = (JobRow.result[name].as_string() for name in ("sha256", "fingerprint"))
    found = sa.select(*results).where(
        JobRow.tenant == job.wish.tenant,
        JobRow.kind == job.wish.kind.value,
        same,
        JobRow.state == State.DONE.value,
        JobRow.created > window,
        JobRow.created < sa.bindparam(None, job.created, JobRow.created.type),
    )
    newest = found.order_by(JobRow.created.desc()).limit(LOOKED_AT)
    with snapshot(here.engine) as session:
        return [(upload, looks) for upload, looks in session.execute(newest)]
