"""Whether a picture was drawn by a model of ours, from its pixels alone and without a mark.

What our codec's decoder drew, it can draw again. Let r read tokens and D decode them, let J_q
compress at a JPEG quality q, or not at all, and let v be the mean square by which pixels stray from
the mean of their token's 8 x 8 px. The statistic is

    log10( min over q of mse(J_q(D(r(x))), x) / v(x) ),

the share of the picture's detail that the redrawing does not explain. It is in the spirit of the
quantisation and encoding losses of arXiv 2606.28386 (section 3); r is trained to undo D and stands
in the encoder's place, and the compression that the picture went through is put on the redrawing
too. It is compared with pictures of the same kind that no model of ours drew: p = (1 + those as
low) / (1 + all). Whatever went through the codec, a photograph too, counts as drawn by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provenance.errors import ProvenanceError
from provenance.forensics.treatments import resave
from provenance.image import Pixels
from provenance.robustness import files

ALPHA = 1e-3
QUALITIES = (95, 90, 85, 80, 75, 70, 65, 60, 50, 40)  # beside none
EXACT = 1e-6  # mean square that counts as none: below rounding to 8 bits
TOKEN = 8  # px
WEIGHTS = Path(__file__).parent / "weights"

Redraw = Callable[[Pixels], Pixels]


class BadTrace(ProvenanceError):
    """The calibration of a trace that cannot be read, or is another model's."""


@dataclass(frozen=True)
class Traced:
    """How a picture compares with what the model did not draw."""

    model: str
    p: float
    alpha: float
    statistic: float  # log10 of the share that is not explained; lower is closer
    quality: int | None  # the compression that fits best; None: none
    pictures: int  # that it was compared with
    map: NDArray[np.float32]  # (h, w): root mean square of what differs, a token each

    @property
    def own(self) -> bool:
        """Whether the model's codec drew it, as far as can be told."""
        return self.p <= self.alpha


@dataclass(frozen=True)
class Tracer:
    """A codec of ours, the size of what it draws, and statistics of what it did not."""

    model: str
    side: int  # px
    redraw: Redraw  # (3, side, side) to the picture of the tokens that are read in it
    others: NDArray[np.float64]  # sorted statistics
    alpha: float = ALPHA

    def trace(self, pixels: Pixels) -> Traced | None:
        """The trace in a picture (3, H, W), or None if it is not of the model's size."""
        if pixels.shape[1:] != (self.side, self.side):
            return None
        statistic, quality, rest = compare(pixels, self.redraw(pixels))
        below = int(np.searchsorted(self.others, statistic, side="right"))
        p = (1 + below) / (1 + len(self.others))
        count = len(self.others)
        return Traced(self.model, p, self.alpha, statistic, quality, count, token_map(rest))


def compare(pixels: Pixels, redrawn: Pixels) -> tuple[float, int | None, Pixels]:
    """The statistic, the quality that fits best, and what differs there."""
    drawn = files.rounded(redrawn)
    tried: list[tuple[int | None, Pixels]] = [(None, drawn)]
    tried += [(quality, resave(quality)(drawn)) for quality in QUALITIES]
    found = [(float(np.square(one - pixels).mean()), quality, one) for quality, one in tried]
    square, quality, best = min(found, key=lambda one: one[0])
    share = (square + EXACT) / (detail(pixels) + EXACT)
    return float(np.log10(share)), quality, best - pixels


def detail(pixels: Pixels) -> float:
    """The mean square by which pixels stray from the mean of their token's 8 x 8 px."""
    height, width = (side // TOKEN for side in pixels.shape[1:])
    blocks = pixels.reshape(3, height, TOKEN, width, TOKEN)
    return float(np.square(blocks - blocks.mean(axis=(2, 4), keepdims=True)).mean())


def token_map(rest: Pixels) -> NDArray[np.float32]:
    """The root mean square of a difference (3, H, W) in each token's 8 x 8 px, (h, w)."""
    height, width = (side // TOKEN for side in rest.shape[1:])
    blocks = rest.reshape(3, height, TOKEN, width, TOKEN)
    found: NDArray[np.float32] = np.sqrt(np.square(blocks).mean(axis=(0, 2, 4)))
    return found


def write_others(path: Path, model: str, basis: str, statistics: Sequence[float]) -> None:
    """Keep the statistics of what the model did not draw."""
    ordered = [round(value, 4) for value in sorted(statistics)]
    document = {"model": model, "basis": basis, "statistics": ordered}
    path.write_text(json.dumps(document) + "\n")


def load_tracer(path: Path, redraw: Redraw, *, model: str, side: int) -> Tracer:
    """A tracer whose `model` is the one that the file is of; raises BadTrace."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
        others = np.array(document["statistics"], np.float64)
        name = document["model"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise BadTrace(f"{path}: not the calibration of a trace: {e}") from e
    if name != model:
        raise BadTrace(f"{path}: of {name}, not of {model}")
    if others.ndim != 1 or len(others) < 1 / ALPHA or not np.all(np.diff(others) >= 0):
        raise BadTrace(f"{path}: needs {round(1 / ALPHA)} statistics or more, in order")
    return Tracer(model, side, redraw, others)
