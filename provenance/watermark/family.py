"""Everything that one search tries, so that its best result can be paid for.

The more keys, lists, schemes and geometric views are tried, the smaller the smallest p by chance.
Bonferroni's bound holds however the trials depend on each other, and however early one stops, as
long as all that might have been tried are counted.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trials:
    """What is tried under one scheme of a model; `views` counts those that may be looked at."""

    model: str
    scheme: str
    keys: int
    lists: int
    views: int

    @property
    def size(self) -> int:
        return self.keys * self.lists * self.views


@dataclass(frozen=True)
class Family:
    """All trials of one search, each with one test chosen beforehand."""

    trials: tuple[Trials, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.trials)

    def correct(self, p: float) -> float:
        """A bound on the chance that any trial of the family gives so small a p."""
        return min(1.0, p * max(1, self.size))

    def __str__(self) -> str:
        parts = (
            f"{t.model} {t.scheme}: {t.keys} keys x {t.lists} lists x {t.views} views"
            for t in self.trials
        )
        return f"{self.size} trials ({'; '.join(parts)})"
