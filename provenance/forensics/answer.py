"""The classifier's answer about one picture, from its pixels alone.

The order is: our own model's trace, then scope, then the member's score as a p-value, then the
same for the picture as it would look after the next platform (JPEG, resized, moved by a pixel). If
any of these does not stand by the evidence, the answer is "insufficient evidence". No answer says
that a picture is real: the absence of evidence is not evidence of a camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from provenance.forensics.conformal import Calibration, Value
from provenance.forensics.member import CropScores, Member, look
from provenance.forensics.scope import OutOfScope, middle, scope
from provenance.forensics.trace import Traced, Tracer
from provenance.forensics.treatments import Treatment, resave, resize, shift
from provenance.image import Pixels

ALPHA = 0.05
RESHIPMENTS: Mapping[str, Treatment] = {
    "JPEG 75": resave(75),
    "resized to 0.9": resize(0.9),
    "resized to 1.1": resize(1.1),
    "moved by one pixel": shift,
}
FEW = 5  # crops of each of these


class Outcome(StrEnum):
    """What can be said; in this order it is tried."""

    OWN = "our model"
    OUT_OF_SCOPE = "out of scope"
    EVIDENCE = "AI evidence"
    INSUFFICIENT = "insufficient evidence"


@dataclass(frozen=True)
class Reshipped:
    """The evidence after one re-shipment."""

    name: str
    score: float
    p: float


@dataclass(frozen=True)
class Answer:
    """What was found, and everything it was found from."""

    outcome: Outcome
    reason: str
    alpha: float
    member: str
    traced: Traced | None = None
    value: Value | None = None
    crops: CropScores | None = None
    reshipped: tuple[Reshipped, ...] = ()


@dataclass(frozen=True)
class Classifier:
    """A member, its calibration, and at most how many photographs may be called drawn."""

    member: Member
    calibration: Calibration
    tracer: Tracer | None = None
    alpha: float = ALPHA

    def answer(self, pixels: Pixels) -> Answer:
        """The answer about a picture (3, H, W) in [0, 1] on the 8-bit grid."""
        traced = None if self.tracer is None else self.tracer.trace(pixels)
        if traced is not None and traced.own:
            reason = f"drawn by {traced.model}, or passed through its codec"
            return Answer(Outcome.OWN, reason, self.alpha, self.member.name, traced)
        outside = scope(pixels)
        if outside is not None:
            return self._out(outside, traced)
        pixels = middle(pixels)
        crops = look(self.member, pixels)
        value = self.calibration.value(crops.score)
        if value.p > self.alpha:  # none as it is; sent on it could only lose
            share = f"as many as {value.p:.0%} of photographs score as high ({value.stratum})"
            return Answer(
                Outcome.INSUFFICIENT, share, self.alpha, self.member.name, traced, value, crops
            )
        reshipped = tuple(self._reship(name, treat(pixels)) for name, treat in RESHIPMENTS.items())
        outcome, reason = self._outlasting(value, reshipped)
        return Answer(
            outcome, reason, self.alpha, self.member.name, traced, value, crops, reshipped
        )

    def _out(self, outside: OutOfScope, traced: Traced | None) -> Answer:
        return Answer(Outcome.OUT_OF_SCOPE, outside.value, self.alpha, self.member.name, traced)

    def _reship(self, name: str, pixels: Pixels) -> Reshipped:
        score = look(self.member, pixels, most=FEW).score
        return Reshipped(name, score, self.calibration.value(score).p)

    def _outlasting(self, value: Value, reshipped: Sequence[Reshipped]) -> tuple[Outcome, str]:
        flips = [one.name for one in reshipped if one.p > self.alpha]
        if flips:
            return Outcome.INSUFFICIENT, f"the evidence does not outlast: {', '.join(flips)}"
        return Outcome.EVIDENCE, f"at most {value.p:.1%} of photographs score as high"
