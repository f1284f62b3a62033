"""Whether what is sent in has begun to score otherwise.

A calibration holds for pictures like those it was made of. When the scores of uploads move, the
p-values may no longer be what they say, and the member needs calibrating anew: that the scores
moved is all that is claimed, not why, and not that any answer was wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import sqlalchemy as sa
from scipy.stats import ks_2samp
from sqlalchemy.orm import Session

from provenance.errors import ProvenanceError
from provenance.jobs import Kind, State
from provenance.tables import JobRow

FEWEST = 50  # scores of each period: with fewer only a landslide would be seen
ALARM = 1e-3


class TooFew(ProvenanceError):
    """A period with too few scores to compare."""


@dataclass(frozen=True)
class Drift:
    """Two periods compared by the Kolmogorov-Smirnov test of two samples."""

    before: int
    after: int
    statistic: float  # the largest distance between the two distribution functions
    p: float
    medians: tuple[float, float]

    @property
    def moved(self) -> bool:
        """Whether chance would hardly do this."""
        return self.p <= ALARM


def scores(session: Session) -> Iterator[tuple[datetime, float]]:
    """When each upload that the classifier scored was checked, and its score."""
    done = sa.select(JobRow.finished, JobRow.result).where(
        JobRow.kind == Kind.VERIFY.value, JobRow.state == State.DONE.value
    )
    for finished, result in session.execute(done.order_by(JobRow.finished)):
        found = (result or {}).get("classifier") or {}
        if finished is not None and found.get("score") is not None:
            yield finished, float(found["score"])


def compare(before: Sequence[float], after: Sequence[float]) -> Drift:
    """The scores of two periods; raises TooFew."""
    for name, scores in (("before", before), ("after", after)):
        if len(scores) < FEWEST:
            raise TooFew(f"{len(scores)} scores {name}: at least {FEWEST} are needed")
    found = ks_2samp(before, after)
    medians = float(np.median(before)), float(np.median(after))
    return Drift(len(before), len(after), float(found.statistic), float(found.pvalue), medians)
