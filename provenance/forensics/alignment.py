"""Making a drawn counterpart differ from its photograph in how it was drawn, and in nothing else.

Counterparts have the photograph's content, size and codec history. What is left of easy differences
is mixed away: in pixels, and in bands of frequencies, where the part of the counterpart above a
random radius is replaced by the photograph's (a scalar mix of all coefficients, as in the code of
arXiv 2505.14359, is a mix of pixels, since the DCT is linear), or the mean amplitude at every
radius is made that of the photograph. Pictures are (3, H, W) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from provenance.errors import ProvenanceError
from provenance.forensics.history import History
from provenance.image import Pixels
from provenance.robustness import files

MOST = 0.12  # mean absolute error above which a counterpart is no counterpart
LEAST = 0.0005  # and below which it is the photograph itself


class BrokenCounterpart(ProvenanceError):
    """A source of counterparts that draws something else than the photograph."""


@dataclass(frozen=True)
class Alignment:
    """Which steps are taken, each with its probability."""

    history: float = 1.0
    pixels: float = 0.0
    bands: float = 0.0
    spectrum: float = 0.0


def align(
    drawn: Pixels,
    photograph: Pixels,
    history: History,
    steps: Alignment,
    rng: np.random.Generator,
) -> Pixels:
    """A counterpart after the steps, on the 8-bit grid; both are (3, H, W)."""
    if drawn.shape != photograph.shape:
        sizes = f"{drawn.shape} and {photograph.shape}"
        raise ValueError(f"a counterpart has its photograph's size, not {sizes}")
    if rng.random() < steps.bands:
        drawn = swap_band(drawn, photograph, rng.uniform(0.25, 0.75), rng.uniform(0.3, 1.0))
    if rng.random() < steps.spectrum:
        drawn = match_spectrum(drawn, photograph)
    if rng.random() < steps.pixels:
        drawn = files.rounded(drawn + rng.uniform(0, 0.6) * (photograph - drawn))
    return history.apply(drawn) if rng.random() < steps.history else files.rounded(drawn)


def swap_band(drawn: Pixels, photograph: Pixels, radius: float, ratio: float) -> Pixels:
    """The DCT coefficients from `radius` on mixed towards the photograph's by `ratio`.

    The radius of coefficient (u, v) is sqrt((u/H)^2 + (v/W)^2): 0 is the mean, 1 the finest.
    """
    mask = ratio * (radii(*drawn.shape[1:]) >= radius)
    difference = fft.dctn(photograph - drawn, axes=(1, 2), norm="ortho")
    return files.rounded(drawn + fft.idctn(mask * difference, axes=(1, 2), norm="ortho"))


def radii(height: int, width: int) -> NDArray[np.float64]:
    """The radius of each DCT coefficient, (H, W)."""
    return np.hypot(np.arange(height)[:, None] / height, np.arange(width) / width)


def match_spectrum(drawn: Pixels, photograph: Pixels, rings: int = 32) -> Pixels:
    """The mean amplitude in each ring of frequencies made the photograph's, phases kept."""
    height, width = drawn.shape[1:]
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    ring = np.minimum((radius * 2 * rings).astype(int), rings - 1)
    ours, theirs = fft.rfft2(drawn), fft.rfft2(photograph)
    count = np.bincount(ring.ravel(), minlength=rings)
    for channel in range(3):
        sums = [
            np.bincount(ring.ravel(), np.abs(one[channel]).ravel(), rings) for one in (ours, theirs)
        ]
        gain = np.where(count > 0, sums[1] / np.maximum(sums[0], 1e-9), 1.0)
        gain[0] = 1.0  # the mean and the slowest waves are content
        ours[channel] *= gain[ring]
    return files.rounded(fft.irfft2(ours, s=(height, width)))


def check_counterparts(drawn: list[Pixels], photographs: list[Pixels], *, source: str) -> float:
    """The mean absolute error; raises BrokenCounterpart if it is not that of a reconstruction."""
    errors = [float(np.abs(a - b).mean()) for a, b in zip(drawn, photographs, strict=True)]
    error = float(np.mean(errors))
    if not LEAST <= error <= MOST:
        raise BrokenCounterpart(
            f"{source}: mean error {error:.4f} between photographs and counterparts is outside "
            f"{LEAST} to {MOST}"
        )
    return error
