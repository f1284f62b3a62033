"""How far one picture is from another, in decibels and by structure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from provenance.image import Pixels
from provenance.robustness.valuemetric import LUMA

SIGMA, RADIUS = 1.5, 5  # the 11 x 11 window of Wang et al. 2004
SMALLEST = 2 * RADIUS + 1  # px: a side that holds one window
C1, C2 = 0.01**2, 0.03**2


def mean_squared_error(one: Pixels, other: Pixels) -> float:
    """Over all channels and pixels; ValueError if the sizes differ."""
    if one.shape != other.shape:
        raise ValueError(f"pictures of two sizes cannot be compared: {one.shape}, {other.shape}")
    return float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))


def psnr(one: Pixels, other: Pixels) -> float:
    """Peak signal-to-noise ratio in dB for a peak of 1; infinite for equal pictures."""
    return decibels(mean_squared_error(one, other))


def decibels(error: float) -> float:
    """A mean squared error against a peak of 1 in dB."""
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(one: Pixels, other: Pixels) -> float:
    """Structural similarity of the luma, -1 to 1 (Wang et al. 2004, eq. 13).

    Gaussian window 11 x 11, sigma 1.5, K1 .01, K2 .03, the mean over whole windows only.
    ValueError if the sizes differ or a side is below 11 px.
    """
    if one.shape != other.shape:
        raise ValueError(f"pictures of two sizes cannot be compared: {one.shape}, {other.shape}")
    if min(one.shape[1:]) < SMALLEST:
        raise ValueError(f"SSIM needs 11 x 11 px at least, got {one.shape[1:]}")
    x, y = (np.tensordot(LUMA.astype(np.float64), p, axes=1) for p in (one, other))
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    similar = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    return float(np.mean(similar / ((mean_x**2 + mean_y**2 + C1) * (var_x + var_y + C2))))


def _window(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    smooth = ndimage.gaussian_filter(plane, SIGMA, radius=RADIUS)
    whole: NDArray[np.float64] = smooth[RADIUS:-RADIUS, RADIUS:-RADIUS]
    return whole
