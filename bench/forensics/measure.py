"""The figures: ranks, false positives, swaps, coverage; all intervals are over photographs.

Calibration and measurement never share a scene group: groups are dealt into five folds, and a
picture is compared with the photographs of the other four.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from bench.forensics.looks import Look
from bench.forensics.sources import FAMILIES, Sample
from provenance.forensics.conformal import Calibration, calibrate
from provenance.robustness.harness import rate

FOLDS = 5
DRAWS = 1000
REAL = "real"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def folds(samples: Sequence[Sample]) -> NDArray[np.int64]:
    """The fold of each sample, by a digest of its scene group."""
    digests = (sha256(sample.photograph.group.encode()).digest() for sample in samples)
    return np.array([digest[0] % FOLDS for digest in digests])


def share(hits: int, count: int) -> Interval:
    """A share and its Clopper-Pearson interval."""
    found = rate(hits, count)
    return Interval(hits / count, found.low, found.high)


def auc(real: Floats, drawn: Floats) -> Interval:
    """The area under the ROC curve; both are (photographs,), drawn again together."""

    def area(chosen: NDArray[np.int64]) -> float:
        labels = np.repeat([0, 1], len(chosen))
        return float(roc_auc_score(labels, np.concatenate([real[chosen], drawn[chosen]])))

    count = len(real)
    rng = np.random.default_rng(0)
    again = [area(rng.integers(count, size=count)) for _ in range(DRAWS)]
    low, high = np.quantile(again, [0.025, 0.975])
    return Interval(area(np.arange(count)), float(low), float(high))


@dataclass(frozen=True)
class Scores:
    """Scores of one fit by kind and version, (photographs,) each; NaN where there is no look."""

    rows: Mapping[tuple[str, str], Floats]

    def of(self, kind: str, version: str = "native") -> Floats:
        """One row."""
        return self.rows[kind, version]


def gather(looks: Sequence[Look], scores: Sequence[float], photographs: int) -> Scores:
    """The scores of looks, put in order."""
    rows: dict[tuple[str, str], Floats] = {}
    for look, score in zip(looks, scores, strict=True):
        row = rows.setdefault((look.kind, look.version), np.full(photographs, np.nan))
        row[look.photograph] = score
    return Scores(rows)


def calibrations(strata: Scores, fold: NDArray[np.int64]) -> list[Calibration]:
    """For each fold the calibration by the photographs of the others."""
    return [
        calibrate(
            (
                [(at[1], float(row[n])) for at, row in strata.rows.items() if row[n] == row[n]]
                for n in np.flatnonzero(fold != number)
            ),
            member="bench",
            basis="the other folds",
        )
        for number in range(FOLDS)
    ]


def p_values(row: Floats, fold: NDArray[np.int64], by: Sequence[Calibration]) -> Floats:
    """The p of each picture, by the photographs of other folds; NaN where there is none."""
    found = [
        np.nan if np.isnan(score) else by[fold[n]].value(float(score)).p
        for n, score in enumerate(row)
    ]
    return np.array(found)


def balanced(real: Floats, drawn: Floats, threshold: float) -> float:
    """Balanced accuracy at a threshold."""
    return float(((real < threshold).mean() + (drawn >= threshold).mean()) / 2)


def best_threshold(real: Floats, drawn: Floats) -> float:
    """The threshold of the highest balanced accuracy."""
    tried = np.unique(np.concatenate([real, drawn]))
    return float(max(tried, key=lambda t: balanced(real, drawn, float(t))))


@dataclass(frozen=True)
class Swap:
    """Balanced accuracies with both classes in the same form, and exchanged both ways."""

    alike: float
    one: float
    other: float

    @property
    def moves(self) -> float:
        """The largest move by an exchange."""
        return max(abs(self.one - self.alike), abs(self.other - self.alike))


def swap(native: Scores, swapped: Scores, name: str, fold: NDArray[np.int64]) -> Swap:
    """One swap, all families together; the threshold is that of native pictures of other folds."""
    found = np.zeros(3)
    for number in range(FOLDS):
        kept, here = fold != number, fold == number
        threshold = best_threshold(
            np.repeat(native.of(REAL)[kept], len(FAMILIES)),
            np.concatenate([native.of(family)[kept] for family in FAMILIES]),
        )

        def accuracy(
            real: str, drawn: str, t: float = threshold, h: NDArray[np.bool_] = here
        ) -> float:
            ours = np.concatenate([swapped.of(f, f"{name} | {drawn}")[h] for f in FAMILIES])
            return balanced(swapped.of(REAL, f"{name} | {real}")[h], ours, t)

        alike = (accuracy("first", "first") + accuracy("second", "second")) / 2
        row = [alike, accuracy("first", "second"), accuracy("second", "first")]
        found += np.array(row) * here.mean()
    return Swap(*map(float, found))


@dataclass(frozen=True)
class Point:
    """A point of the risk-coverage curve."""

    alpha: float
    coverage: float
    error: float
    decided: int


def risk_coverage(
    real: tuple[Floats, Floats], drawn: tuple[Floats, Floats], alphas: Sequence[float]
) -> list[Point]:
    """Coverage and error of two-sided conformal decisions.

    `real` and `drawn` are of photographs and of counterparts: (p as a photograph, p as a drawing).
    What is too rare as a photograph and not as a drawing is called drawn, the other way round real,
    and everything else is left open.
    """
    found = []
    for alpha in alphas:
        decided = wrong = 0
        for truth, (as_real, as_drawn) in enumerate((real, drawn)):
            says_drawn = (as_real <= alpha) & (as_drawn > alpha)
            says_real = (as_drawn <= alpha) & (as_real > alpha)
            decided += int(says_drawn.sum() + says_real.sum())
            wrong += int((says_real if truth else says_drawn).sum())
        total = len(real[0]) + len(drawn[0])
        found.append(Point(alpha, decided / total, wrong / max(decided, 1), decided))
    return found


def as_drawn(scores: Floats, fold: NDArray[np.int64], seen: Sequence[Floats]) -> Floats:
    """The p of each picture as a drawing: how many of the seen families' score as low or lower.

    Of other folds; the largest over the families, as over strata.
    """
    found = np.zeros(len(scores))
    for number in range(FOLDS):
        here, kept = fold == number, fold != number
        for family in seen:
            below = (family[kept][None] <= scores[here][:, None]).sum(axis=1)
            found[here] = np.maximum(found[here], (1 + below) / (1 + kept.sum()))
    return found
