"""Averaging: what all marked pictures share is what a mark that ignores content adds.

Yang et al., Can Simple Averaging Defeat Modern Watermarks?, NeurIPS 2024. The difference of the
mean marked and the mean unmarked picture is taken off (removal) or put on another (forgery).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from provenance.image import Pixels
from provenance.robustness.attacks import Attack


def pattern(marked: Sequence[Pixels], unmarked: Sequence[Pixels]) -> NDArray[np.float32]:
    """Mean marked minus mean unmarked picture, (3, H, W); all must have one size."""
    shapes = {pixels.shape for pixels in (*marked, *unmarked)}
    if len(shapes) != 1 or not marked or not unmarked:
        raise ValueError(f"averaging needs pictures of one size on both sides, got {shapes}")
    difference: NDArray[np.float32] = np.mean(marked, axis=0) - np.mean(unmarked, axis=0)
    return difference


def removal(difference: NDArray[np.float32]) -> Attack:
    """The attack that takes the pattern off a picture of its size."""
    return Attack("averaging-removal", lambda pixels, rng: _added(pixels, -difference))


def forgery(difference: NDArray[np.float32]) -> Attack:
    """The attack that puts the pattern on a picture of its size."""
    return Attack("averaging-forgery", lambda pixels, rng: _added(pixels, difference))


def _added(pixels: Pixels, difference: NDArray[np.float32]) -> Pixels:
    if pixels.shape != difference.shape:
        raise ValueError(f"the pattern is {difference.shape}, the picture {pixels.shape}")
    changed: Pixels = np.clip(pixels + difference, 0, 1)
    return changed
