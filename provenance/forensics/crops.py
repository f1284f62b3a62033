"""Square crops of a picture at its own resolution: nothing is ever resized."""

from __future__ import annotations

import numpy as np

from provenance.image import Pixels

SIDE = 128  # px
MOST = 9  # crops of one picture

Corner = tuple[int, int]  # y, x


def corners(height: int, width: int, side: int = SIDE, most: int = MOST) -> list[Corner]:
    """Corners of at most `most` crops, spread evenly; overlapping where the picture is small.

    Raises ValueError if no crop fits.
    """
    if min(height, width) < side:
        raise ValueError(f"no crop of {side} px fits {width} x {height}")
    rows, columns = -(-height // side), -(-width // side)
    while rows * columns > most:
        rows, columns = (rows - 1, columns) if rows > columns else (rows, columns - 1)
    return [
        (round(y), round(x))
        for y in np.linspace(0, height - side, rows)
        for x in np.linspace(0, width - side, columns)
    ]


def cut(pixels: Pixels, places: list[Corner], side: int = SIDE) -> Pixels:
    """The crops (N, 3, side, side) of a picture (3, H, W) at their corners."""
    return np.stack([pixels[:, y : y + side, x : x + side] for y, x in places])
