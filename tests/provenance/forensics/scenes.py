"""Made-up photographs: noise with the spectrum of a scene, and grain."""

import numpy as np

from provenance.image import Pixels
from provenance.robustness import files


def scene(seed: int = 0, height: int = 192, width: int = 192) -> Pixels:
    """(3, H, W): power falls with the square of the frequency, and every pixel has grain."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) + 1 / height
    planes = []
    for _ in range(3):
        waves = np.fft.rfft2(rng.normal(size=(height, width))) / radius
        plane = np.fft.irfft2(waves, s=(height, width))
        planes.append(0.5 + 0.16 * plane / plane.std())
    grain = rng.normal(scale=0.01, size=(3, height, width))
    return files.rounded(np.array(planes) + grain)
