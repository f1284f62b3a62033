"""Pictures that the classifier has nothing to say about, and which pipeline the others are of.

The classifier knows photographs and pictures that were drawn to look like them. Everything here is
read from the pixels: what a file is called, and what its metadata says, cannot change an answer.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from provenance.forensics.crops import SIDE
from provenance.image import Pixels

SMALLEST = 144  # px: a crop of 128 must still fit when the picture is made smaller by a tenth
FEWEST_COLOURS = 1024  # of the picture's middle megapixel; photographs have tens of thousands
FLAT = 0.5  # share of 8 x 8 blocks without any change from which a picture is called a drawing
STEP = 1.5 / 255  # the largest difference inside a block that counts as none
MIDDLE = 1024  # px: the part of a larger picture that is looked at
BLOCKY = 1.15  # how much steps at a grid of 8 px must stand out to be those of a JPEG


class OutOfScope(StrEnum):
    """Why the classifier does not answer."""

    SMALL = "smaller than 144 px"
    ONE_COLOUR = "one colour, or nearly"
    DRAWING = "flat areas or few colours, as in drawings and screenshots"


def scope(pixels: Pixels) -> OutOfScope | None:
    """Why a picture (3, H, W) is out of scope, or None if it is in it."""
    if min(pixels.shape[1:]) < SMALLEST:
        return OutOfScope.SMALL
    middle = _middle(pixels)
    if middle.std(axis=(1, 2)).max() < 2 / 255:
        return OutOfScope.ONE_COLOUR
    eight = np.rint(middle * 255).astype(np.uint32)
    colours = np.unique(eight[0] << 16 | eight[1] << 8 | eight[2]).size
    if colours < FEWEST_COLOURS or flat_share(middle) >= FLAT:
        return OutOfScope.DRAWING
    return None


def flat_share(pixels: Pixels) -> float:
    """The share of 8 x 8 blocks in which no channel changes by more than one step."""
    height, width = (side // 8 * 8 for side in pixels.shape[1:])
    blocks = pixels[:, :height, :width].reshape(3, height // 8, 8, width // 8, 8)
    change = blocks.max(axis=(2, 4)) - blocks.min(axis=(2, 4))
    return float((change.max(axis=0) <= STEP).mean())


def category(pixels: Pixels) -> str:
    """The pipeline of a picture as its pixels show it: blocks of a JPEG or none, small or large."""
    blocks = "blocks" if blockiness(_middle(pixels)) >= BLOCKY else "no blocks"
    return f"{blocks}, {'small' if min(pixels.shape[1:]) < 2 * SIDE else 'large'}"


def blockiness(pixels: Pixels) -> float:
    """How much larger second differences are across the best-fitting grid of 8 px than elsewhere.

    1 is no grid. The grid may lie anywhere, so a crop has that of its picture.
    """
    luma = np.tensordot(np.float32([0.299, 0.587, 0.114]), pixels, 1)
    return min(_comb(luma), _comb(luma.T))


def _comb(luma: NDArray[np.float32]) -> float:
    across = np.abs(luma[:, :-3] - 3 * luma[:, 1:-2] + 3 * luma[:, 2:-1] - luma[:, 3:])
    columns = np.minimum(across, 0.1).mean(axis=0) + 1e-6
    phases = np.array([columns[phase::8].mean() for phase in range(8)])
    best = int(phases.argmax())
    return float(phases[best] / np.median(np.delete(phases, best)))


def _middle(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[1:]
    top, left = max(0, (height - MIDDLE) // 2), max(0, (width - MIDDLE) // 2)
    return pixels[:, top : top + MIDDLE, left : left + MIDDLE]
