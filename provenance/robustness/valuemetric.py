"""Attacks that change values and leave every pixel where it was.

Each is a function of pixels (3, H, W), a strength and a random generator. The caller rounds the
result to 8 bits (attacks.attacked); the docstrings name the convention where several exist.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from provenance.image import Pixels
from provenance.robustness import files

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601, as Pillow and torchvision weigh it


def jpeg(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Saved as JPEG of this quality."""
    return files.jpeg(pixels, int(quality))


def webp(pixels: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Saved as lossy WebP of this quality."""
    return files.webp(pixels, int(quality))


def noise(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Plus Gaussian noise; sigma of the full range 1."""
    return pixels + sigma * rng.standard_normal(pixels.shape, np.float32)


def salt_pepper(pixels: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """This share of the pixels set to black or white, half each, all channels together."""
    draw = rng.random(pixels.shape[1:])
    out = pixels.copy()
    out[:, draw < share / 2] = 0
    out[:, (draw >= share / 2) & (draw < share)] = 1
    return out


def blur_sigma(pixels: Pixels, sigma: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur of sigma px, cut at 4 sigma, edges mirrored."""
    return _gaussian(pixels, sigma, int(4 * sigma + 0.5))


def blur_kernel(pixels: Pixels, kernel: float, rng: np.random.Generator) -> Pixels:
    """Gaussian blur of an odd kernel with OpenCV's and torchvision's sigma for it."""
    return _gaussian(pixels, kernel_sigma(int(kernel)), int(kernel) // 2)


def kernel_sigma(kernel: int) -> float:
    """Sigma in px that belongs to a kernel: 0.3 ((k - 1) / 2 - 1) + 0.8, so 1.4 for 7."""
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def _gaussian(pixels: Pixels, sigma: float, radius: int) -> Pixels:
    radius = min(radius, min(pixels.shape[1:]) - 1)
    blurred: Pixels = ndimage.gaussian_filter(
        pixels, (0, sigma, sigma), mode="mirror", radius=(0, radius, radius)
    )
    return blurred


def blur_radius(pixels: Pixels, radius: float, rng: np.random.Generator) -> Pixels:
    """Pillow's GaussianBlur(radius), which approximates sigma = radius by box blurs."""
    return files.from_image(files.to_image(pixels).filter(ImageFilter.GaussianBlur(radius)))


def median(pixels: Pixels, kernel: float, rng: np.random.Generator) -> Pixels:
    """Median of each channel over a square of this side."""
    filtered: Pixels = ndimage.median_filter(
        pixels, size=(1, int(kernel), int(kernel)), mode="mirror"
    )
    return filtered


def brightness(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """All channels times factor."""
    return pixels * np.float32(factor)


def brightness_jitter(pixels: Pixels, reach: float, rng: np.random.Generator) -> Pixels:
    """All channels times one factor drawn from 1 - reach to 1 + reach."""
    return pixels * np.float32(rng.uniform(1 - reach, 1 + reach))


def contrast(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Distance from the mean grey times factor."""
    mean = np.float32(_grey(pixels).mean())
    return (pixels - mean) * np.float32(factor) + mean


def saturation(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Distance from each pixel's own grey times factor."""
    grey = _grey(pixels)
    return (pixels - grey) * np.float32(factor) + grey


def grey(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Without colour."""
    return np.repeat(_grey(pixels)[None], 3, axis=0)


def gamma(pixels: Pixels, exponent: float, rng: np.random.Generator) -> Pixels:
    """All channels to the power of exponent."""
    raised: Pixels = pixels ** np.float32(exponent)
    return raised


def hue(pixels: Pixels, turn: float, rng: np.random.Generator) -> Pixels:
    """Hue turned by this share of the circle, in Pillow's 8-bit HSV."""
    hsv = np.asarray(files.to_image(pixels).convert("HSV")).copy()
    hsv[..., 0] += np.uint8(round(turn * 255) % 256)
    return files.from_image(Image.fromarray(hsv, "HSV"))


def _grey(pixels: Pixels) -> Pixels:
    grey: Pixels = np.tensordot(LUMA, pixels, axes=1).astype(np.float32)
    return grey
