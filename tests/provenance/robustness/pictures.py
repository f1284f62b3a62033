"""Small pictures that tests attack: smooth colour, an edge and some texture."""

from __future__ import annotations

import numpy as np

from provenance.image import Pixels
from provenance.robustness.files import rounded


def drawing(seed: int = 0, height: int = 64, width: int = 64) -> Pixels:
    """A picture (3, height, width) on the 8-bit grid, in 0.1 to 0.9, different for each seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in rng.uniform(0.5, 3, (3, 3))]
    picture = 0.5 + 0.25 * np.stack(waves) + 0.1 * ((x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.05)
    return rounded(np.clip(picture + 0.02 * rng.standard_normal(picture.shape), 0.1, 0.9))
