"""Pixels through real 8-bit files, for every attack alike.

An attack is only worth its name if what comes out could have been saved: pictures pass through
Pillow's encoders, never through a model of them, and always end on the 8-bit grid.
Pixels are float32 (3, H, W) in [0, 1], C order.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from provenance.image import Pixels


def rounded(pixels: NDArray[np.floating]) -> Pixels:
    """The nearest picture an 8-bit file can hold."""
    eight = np.rint(np.clip(pixels, 0, 1) * 255)
    return np.ascontiguousarray(eight, np.float32) / np.float32(255)


def to_image(pixels: NDArray[np.floating]) -> Image.Image:
    """An 8-bit RGB image of (3, H, W) pixels."""
    eight = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(eight.transpose(1, 2, 0)))


def from_image(image: Image.Image) -> Pixels:
    """The (3, H, W) pixels of an image."""
    eight = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    return np.ascontiguousarray(eight, np.float32) / np.float32(255)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """Pixels after Pillow's JPEG at a quality of 1 to 100, chroma subsampled 4:2:0."""
    file = io.BytesIO()
    to_image(pixels).save(file, "JPEG", quality=quality)
    return from_image(Image.open(file))


def webp(pixels: Pixels, quality: int) -> Pixels:
    """Pixels after Pillow's lossy WebP at a quality of 0 to 100."""
    file = io.BytesIO()
    to_image(pixels).save(file, "WEBP", quality=quality)
    return from_image(Image.open(file))


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Pixels at another size: bicubic, antialiased when made smaller."""
    return from_image(to_image(pixels).resize((width, height), Image.Resampling.BICUBIC))


def check_pixels(pixels: Pixels) -> None:
    """Raise ValueError unless float32 (3, H, W) in [0, 1], at least 8 px on each side."""
    if pixels.dtype != np.float32 or pixels.ndim != 3 or pixels.shape[0] != 3:
        raise ValueError(f"pixels must be float32 (3, H, W), got {pixels.dtype} {pixels.shape}")
    if min(pixels.shape[1:]) < 8:
        raise ValueError(f"pixels must be at least 8 x 8, got {pixels.shape[1:]}")
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"pixels must lie in [0, 1], got {pixels.min()} to {pixels.max()}")
