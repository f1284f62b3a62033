"""What the workers count, added up in the database for whoever asks for /metrics.

A worker counts in memory and adds what is new to the rows every FLUSH seconds, so the rows are the
sum over all workers there ever were, and every API process tells the same. A worker that is killed
takes the counts of its last seconds with it, and nothing else: counts are for watching, not for
proof.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from enum import StrEnum
from threading import Lock

import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from provenance.database import transaction
from provenance.tables import CountRow

FLUSH = 5.0  # seconds
BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds, at most
LONGER = "+Inf"
_GAP = "\t"  # between the labels of a row


class Count(StrEnum):
    """What is counted, and by which labels."""

    ENDED = "ended"  # jobs: kind, outcome
    VERDICTS = "verdicts"  # verifications that were done: verdict
    STEPS = "steps"  # steps of the work on a job: kind, step, the bucket its time falls into
    STEP_SECONDS = "step-seconds"  # of all those steps together: kind, step


Key = tuple[Count, tuple[str, ...]]


class Tally:
    """What one worker has counted since it last told the database; for all of its threads."""

    def __init__(self) -> None:
        self._new: Counter[Key] = Counter()
        self._lock = Lock()

    def add(self, count: Count, *labels: str, amount: float = 1.0) -> None:
        """So much more."""
        with self._lock:
            self._new[count, labels] += amount  # type: ignore[assignment]

    def time(self, kind: str, step: str, seconds: float) -> None:
        """One more step that took so long."""
        place = bisect_left(BUCKETS, seconds)
        bucket = str(BUCKETS[place]) if place < len(BUCKETS) else LONGER
        self.add(Count.STEPS, kind, step, bucket)
        self.add(Count.STEP_SECONDS, kind, step, amount=seconds)

    def flush(self, engine: Engine) -> None:
        """Adds what is new to the rows; what could not be added is still new."""
        with self._lock:
            new, self._new = self._new, Counter()
        if not new:
            return
        try:
            with transaction(engine) as session:
                _add(session, new)
        except BaseException:
            with self._lock:
                self._new.update(new)
            raise


def totals(session: Session) -> dict[Key, float]:
    """Everything the workers counted so far."""
    rows = session.execute(sa.select(CountRow.name, CountRow.labels, CountRow.value))
    return {(Count(name), tuple(labels.split(_GAP))): value for name, labels, value in rows}


def _add(session: Session, new: Counter[Key]) -> None:
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    # Sorted: two workers that lock the same rows in another order would wait for each other.
    for (count, labels), amount in sorted(new.items()):
        row = dialect.insert(CountRow).values(
            name=count.value, labels=_GAP.join(labels), value=amount
        )
        change = {"value": CountRow.value + row.excluded.value}
        session.execute(
            row.on_conflict_do_update(index_elements=[CountRow.name, CountRow.labels], set_=change)
        )
