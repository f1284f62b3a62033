"""How often a real photograph scores as high: split conformal p-values, one set a pipeline.

A score is compared with the scores of calibration photographs that went through the same pipeline
(Mondrian categories: Vovk, Gammerman, Shafer 2005, section 4.5), and within it once for every
stratum of treatments: native, re-saved, zoomed and so on, since nobody can see from the pixels
which of them a photograph has been through. The p-value is the largest of them,

    p = max over strata of (1 + photographs that score at least as high) / (1 + photographs),

so of photographs exchangeable with those of any one stratum at most a share alpha has p <= alpha.
Only real photographs are needed. The pipeline is read from the pixels, never from the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ProvenanceError

FEWEST = 19  # photographs of a category: with fewer no p reaches 0.05
ALL = "all"  # the category that every picture is in

Scores = NDArray[np.float64]


class BadCalibration(ProvenanceError):
    """A calibration that cannot be read, or that was made for another member."""


@dataclass(frozen=True)
class Scored:
    """The score of one photograph after one treatment; `photograph` tells them apart."""

    photograph: int
    stratum: str
    category: str
    score: float


@dataclass(frozen=True)
class Value:
    """A p-value, the category and stratum it comes from, and how many photographs are in it."""

    p: float
    category: str
    stratum: str
    photographs: int


@dataclass(frozen=True)
class Calibration:
    """Sorted scores by category and stratum: of each photograph the highest there."""

    member: str  # whose scores these are
    basis: str  # of which photographs
    scores: Mapping[str, Mapping[str, Scores]]

    def value(self, score: float, category: str) -> Value:
        """How often photographs score as high, in the category or, if it is too small, in all."""
        if not np.isfinite(score):
            raise ValueError(f"a score is finite, not {score}")
        chosen = category if category in self.scores else ALL
        found = []
        for stratum, scores in self.scores[chosen].items():
            above = len(scores) - int(np.searchsorted(scores, score, side="left"))
            p = (1 + above) / (1 + len(scores))
            found.append(Value(p, chosen, stratum, len(scores)))
        return max(found, key=lambda value: value.p)

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        scores = {
            category: {name: [round(float(s), 4) for s in one] for name, one in strata.items()}
            for category, strata in self.scores.items()
        }
        document = {"member": self.member, "basis": self.basis, "scores": scores}
        path.write_text(json.dumps(document, indent=1) + "\n")


def calibrate(scored: Iterable[Scored], *, member: str, basis: str) -> Calibration:
    """The calibration from the scores of photographs after every treatment.

    Categories with fewer than 19 photographs in some stratum that they have are left to `all`;
    raises BadCalibration if there are too few even so.
    """
    best: dict[tuple[str, str], dict[int, float]] = {}
    for one in scored:
        for category in (one.category, ALL):
            kept = best.setdefault((category, one.stratum), {})
            kept[one.photograph] = max(one.score, kept.get(one.photograph, -np.inf))
    found: dict[str, dict[str, Scores]] = {}
    for (category, stratum), scores in best.items():
        found.setdefault(category, {})[stratum] = np.sort(np.array([*scores.values()]))
    large = {category: strata for category, strata in found.items() if _enough(strata)}
    if ALL not in large:
        raise BadCalibration(f"{basis}: every stratum needs at least {FEWEST} photographs")
    return Calibration(member, basis, large)


def _enough(strata: Mapping[str, Scores]) -> bool:
    return min(map(len, strata.values())) >= FEWEST


def read_calibration(path: Path, *, member: str) -> Calibration:
    """The calibration kept in a file; raises BadCalibration, also if it is another member's."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        scores = {
            category: {name: np.array(one, np.float64) for name, one in strata.items()}
            for category, strata in document["scores"].items()
        }
        found = Calibration(document["member"], document["basis"], scores)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise BadCalibration(f"{path}: not a calibration: {e}") from e
    if found.member != member:
        raise BadCalibration(f"{path}: made for {found.member}, not for {member}")
    if ALL not in scores or not all(map(_sorted, _every(scores))):
        raise BadCalibration(f"{path}: not a calibration: scores missing or not sorted")
    return found


def _every(scores: Mapping[str, Mapping[str, Scores]]) -> Sequence[Scores]:
    return [one for strata in scores.values() for one in strata.values()]


def _sorted(scores: Scores) -> bool:
    ordered = bool(np.all(np.diff(scores) >= 0) and np.all(np.isfinite(scores)))
    return scores.ndim == 1 and len(scores) >= FEWEST and ordered
