"""How often a classifier accuses somebody's own photographs, after each treatment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from provenance.forensics.answer import Classifier, Outcome
from provenance.forensics.scope import middle
from provenance.forensics.treatments import TREATMENTS
from provenance.image import Pixels
from provenance.robustness.harness import rate


@dataclass(frozen=True)
class Row:
    """Photographs after a treatment: how many were judged, and how many of them accused."""

    treatment: str
    judged: int
    accused: int
    out_of_scope: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share that is accused; all of it if nothing was judged."""
        if not self.judged:
            return 0.0, 1.0
        found = rate(self.accused, self.judged)
        return found.low, found.high


def accuse(
    classifier: Classifier, photographs: Callable[[], Iterable[Pixels]], advance: Callable[[], None]
) -> Iterator[Row]:
    """A row a treatment; `photographs` gives them anew each time, (3, H, W)."""
    for name, treat in TREATMENTS.items():
        outcomes = []
        for pixels in photographs():
            outcomes.append(classifier.answer(treat(middle(pixels))).outcome)
            advance()
        outside = outcomes.count(Outcome.OUT_OF_SCOPE)
        accused = outcomes.count(Outcome.EVIDENCE) + outcomes.count(Outcome.OWN)
        yield Row(name, len(outcomes) - outside, accused, outside)
