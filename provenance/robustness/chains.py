"""Attacks that are what happens to a picture in the world: several small steps in a row."""

from __future__ import annotations

import numpy as np

from provenance.image import Pixels
from provenance.robustness import files

TINT = np.array([1.01, 1.0, 0.97], np.float32)[:, None, None]  # a display a little warm


def screenshot(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Shown at 125 %, a little darker and warmer, selected a few px short, sent, scaled back.

    Steps: bicubic x1.25; gamma 1.05 and channel gains 1.01, 1.00, 0.97; 1 to 4 px cut from each
    side, drawn for each; JPEG 85; bicubic to the first size. The cut moves the grid and changes
    its pitch by up to 5 % at 128 px.
    """
    height, width = pixels.shape[1:]
    shown = files.resized(pixels, round(height * 1.25), round(width * 1.25))
    shown = files.rounded(shown ** np.float32(1.05) * TINT)
    top, bottom, left, right = (int(n) for n in rng.integers(1, 5, 4))
    selected = shown[:, top : shown.shape[1] - bottom, left : shown.shape[2] - right]
    return files.resized(files.jpeg(selected, 85), height, width)


def social(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Uploaded, scaled to 70 %, saved as JPEG 71, shared again as WebP 75 at the first size."""
    height, width = pixels.shape[1:]
    small = files.resized(pixels, max(8, round(height * 0.7)), max(8, round(width * 0.7)))
    return files.webp(files.resized(files.jpeg(small, 71), height, width), 75)
