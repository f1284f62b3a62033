"""Pictures that the classifier has nothing to say about.

The classifier knows photographs and pictures that were drawn to look like them. Everything here is
read from the pixels: what a file is called, and what its metadata says, cannot change an answer.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from provenance.image import Pixels

SMALLEST = 144  # px: a crop of 128 must still fit when the picture is made smaller by a tenth
FEWEST_COLOURS = 1024  # of the picture's middle megapixel; photographs have tens of thousands
SOME = 64  # rows in which colours are counted first
FLAT = 0.5  # share of 8 x 8 blocks without any change from which a picture is called a drawing
STEP = 1.5 / 255  # the largest difference inside a block that counts as none
MIDDLE = 1024  # px: the part of a larger picture that is looked at


class OutOfScope(StrEnum):
    """Why the classifier does not answer."""

    SMALL = "smaller than 144 px"
    ONE_COLOUR = "one colour, or nearly"
    DRAWING = "flat areas or few colours, as in drawings and screenshots"


def scope(pixels: Pixels) -> OutOfScope | None:
    """Why a picture (3, H, W) is out of scope, or None if it is in it."""
    if min(pixels.shape[1:]) < SMALLEST:
        return OutOfScope.SMALL
    part = middle(pixels)
    if part.std(axis=(1, 2)).max() < 2 / 255:
        return OutOfScope.ONE_COLOUR
    if _few_colours(part) or flat_share(part) >= FLAT:
        return OutOfScope.DRAWING
    return None


def _few_colours(pixels: Pixels) -> bool:
    """Whether a picture (3, H, W) has fewer than FEWEST_COLOURS; some rows of most have more."""
    for part in (pixels[:, :SOME], pixels):
        eight = np.rint(part * 255).astype(np.uint32)
        if np.unique(eight[0] << 16 | eight[1] << 8 | eight[2]).size >= FEWEST_COLOURS:
            return False
    return True


def flat_share(pixels: Pixels) -> float:
    """The share of 8 x 8 blocks in which no channel changes by more than one step."""
    height, width = (side // 8 * 8 for side in pixels.shape[1:])
    blocks = pixels[:, :height, :width].reshape(3, height // 8, 8, width // 8, 8)
    change = blocks.max(axis=(2, 4)) - blocks.min(axis=(2, 4))
    return float((change.max(axis=0) <= STEP).mean())


def middle(pixels: Pixels) -> Pixels:
    """The middle 1024 px of a picture (3, H, W): a larger one is judged by them."""
    top, left = (max(0, (side - MIDDLE) // 2) // 16 * 16 for side in pixels.shape[1:])
    return np.ascontiguousarray(pixels[:, top : top + MIDDLE, left : left + MIDDLE])
