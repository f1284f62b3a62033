"""How often a real photograph scores as high: split conformal p-values, one set a stratum.

A stratum is what may have happened to a photograph: a treatment (native, re-saved, zoomed, blurred
and so on) and a pipeline that delivered it (as it was, JPEG, WebP). Each calibration photograph
goes through every one of them. Strata are Mondrian categories (Vovk, Gammerman, Shafer 2005,
section 4.5), but which of them a picture belongs to nobody can tell from its pixels, and a file may
say anything. So the p-value is the largest of all,

    p = max over strata of (1 + photographs that score at least as high) / (1 + photographs),

and of photographs exchangeable with those of any one stratum at most a share alpha has p <= alpha.
Only real photographs are needed.
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

FEWEST = 19  # photographs of a stratum: with fewer no p reaches 0.05

Scores = NDArray[np.float64]


class BadCalibration(ProvenanceError):
    """A calibration that cannot be read, or that was made for another member."""


@dataclass(frozen=True)
class Value:
    """A p-value, the stratum it comes from, and how many photographs are in it."""

    p: float
    stratum: str
    photographs: int


@dataclass(frozen=True)
class Calibration:
    """Sorted scores of photographs, by stratum."""

    member: str  # whose scores these are
    basis: str  # of which photographs
    scores: Mapping[str, Scores]

    def __post_init__(self) -> None:
        for stratum, scores in self.scores.items():
            if not _sorted(scores):
                raise BadCalibration(
                    f"{stratum!r} needs at least {FEWEST} scores in ascending order"
                )
        if not self.scores:
            raise BadCalibration("there is no stratum")

    def value(self, score: float) -> Value:
        """How often photographs score as high, where they do so most often."""
        if not np.isfinite(score):
            raise ValueError(f"a score is finite, not {score}")
        found = []
        for stratum, scores in self.scores.items():
            above = len(scores) - int(np.searchsorted(scores, score, side="left"))
            found.append(Value((1 + above) / (1 + len(scores)), stratum, len(scores)))
        return max(found, key=lambda value: value.p)

    def write(self, path: Path) -> None:
        """Keep it as JSON."""
        scores = {name: [round(float(s), 4) for s in one] for name, one in self.scores.items()}
        document = {"member": self.member, "basis": self.basis, "scores": scores}
        path.write_text(json.dumps(document) + "\n")


def read_calibration(path: Path, *, member: str) -> Calibration:
    """The calibration kept in a file; raises BadCalibration, also if it is another member's."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        scores = {name: np.array(one, np.float64) for name, one in document["scores"].items()}
        found = Calibration(document["member"], document["basis"], scores)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadCalibration) as e:
        raise BadCalibration(f"{path}: not a calibration: {e}") from e
    if found.member != member:
        raise BadCalibration(f"{path}: made for {found.member}, not for {member}")
    return found


def calibrate(
    pictures: Iterable[Sequence[tuple[str, float]]], *, member: str, basis: str
) -> Calibration:
    """The calibration of photographs, each a list of strata and its scores in them."""
    found: dict[str, list[float]] = {}
    for picture in pictures:
        for stratum, score in picture:
            found.setdefault(stratum, []).append(score)
    return Calibration(member, basis, {name: np.sort(one) for name, one in found.items()})


def _sorted(scores: Scores) -> bool:
    ordered = bool(np.all(np.diff(scores) >= 0) and np.all(np.isfinite(scores)))
    return scores.ndim == 1 and len(scores) >= FEWEST and ordered
