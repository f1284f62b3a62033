"""Attacks that move pixels: what a token grid fears most.

Each is a function of pixels (3, H, W), a strength and a random generator. Sides are kept unless
the docstring says otherwise; what comes in from outside the picture is black unless it says so.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from provenance.image import Pixels
from provenance.robustness import files

CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)  # (x, y) in units of the sides


def resize(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Sides times factor and back, bicubic both ways."""
    height, width = pixels.shape[1:]
    return files.resized(scale(pixels, factor, rng), height, width)


def scale(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Sides times factor, and left at that size."""
    height, width = (max(8, round(side * factor)) for side in pixels.shape[1:])
    return files.resized(pixels, height, width)


def crop(pixels: Pixels, area: float, rng: np.random.Generator) -> Pixels:
    """A rectangle of this share of the area and the picture's own shape, resized back."""
    return _cropped(pixels, area, 1.0, rng)


def crop_aspect(pixels: Pixels, area: float, rng: np.random.Generator) -> Pixels:
    """As torchvision's RandomResizedCrop: aspect ratio log-uniform in 3/4 to 4/3, resized back."""
    return _cropped(pixels, area, float(np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))), rng)


def _cropped(pixels: Pixels, area: float, aspect: float, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[1:]
    inner_h = min(height, max(1, round(height * np.sqrt(area / aspect))))
    inner_w = min(width, max(1, round(width * np.sqrt(area * aspect))))
    top = int(rng.integers(height - inner_h + 1))
    left = int(rng.integers(width - inner_w + 1))
    return files.resized(pixels[:, top : top + inner_h, left : left + inner_w], height, width)


def crop_corner(pixels: Pixels, side: float, rng: np.random.Generator) -> Pixels:
    """The upper left corner with this share of each side, resized back."""
    height, width = pixels.shape[1:]
    return files.resized(pixels[:, : int(height * side), : int(width * side)], height, width)


def cut(pixels: Pixels, side: float, rng: np.random.Generator) -> Pixels:
    """The middle with this share of each side, not resized: a smaller picture."""
    height, width = pixels.shape[1:]
    inner_h, inner_w = max(8, round(height * side)), max(8, round(width * side))
    top, left = (height - inner_h) // 2, (width - inner_w) // 2
    return pixels[:, top : top + inner_h, left : left + inner_w].copy()


def shift(pixels: Pixels, step: float, rng: np.random.Generator) -> Pixels:
    """Moved right and down by this many whole px, edge pixels repeated."""
    height, width = pixels.shape[1:]
    rows = np.clip(np.arange(height) - int(step), 0, height - 1)
    columns = np.clip(np.arange(width) - int(step), 0, width - 1)
    return pixels[:, rows][:, :, columns]


def flip(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Left and right exchanged."""
    return pixels[:, :, ::-1].copy()


def flip_vertical(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Top and bottom exchanged."""
    return pixels[:, ::-1].copy()


def rotate(pixels: Pixels, degrees: float, rng: np.random.Generator) -> Pixels:
    """Turned counter-clockwise about the middle, bilinear."""
    image = files.to_image(pixels)
    return files.from_image(image.rotate(degrees, Image.Resampling.BILINEAR))


def perspective(pixels: Pixels, reach: float, rng: np.random.Generator) -> Pixels:
    """Each corner drawn inwards by up to half of reach of each side, as torchvision does."""
    sides = np.array(pixels.shape[2:0:-1]) - 1.0
    inwards = np.where(CORNERS == 0, 1, -1) * rng.uniform(0, reach / 2, CORNERS.shape)
    image = files.to_image(pixels)
    back = _homography((CORNERS + inwards) * sides, CORNERS * sides)
    return files.from_image(
        image.transform(image.size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR)
    )


def _homography(source: np.ndarray, target: np.ndarray) -> list[float]:
    """The eight numbers Pillow wants: they take each source point (x, y) to its target."""
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return [float(a) for a in np.linalg.solve(np.array(rows), np.array(right))]


def erase(pixels: Pixels, area: float, rng: np.random.Generator) -> Pixels:
    """A rectangle of this share of the area and the picture's own shape set to black."""
    out = pixels.copy()
    out[_window(pixels, area, rng)] = 0
    return out


def erase_noise(pixels: Pixels, area: float, rng: np.random.Generator) -> Pixels:
    """A rectangle of this share of the area and the picture's own shape set to uniform noise."""
    out = pixels.copy()
    window = _window(pixels, area, rng)
    out[window] = rng.random(out[window].shape, np.float32)
    return out


def _window(pixels: Pixels, area: float, rng: np.random.Generator) -> tuple[slice, slice, slice]:
    height, width = pixels.shape[1:]
    inner_h, inner_w = round(height * np.sqrt(area)), round(width * np.sqrt(area))
    top = int(rng.integers(height - inner_h + 1))
    left = int(rng.integers(width - inner_w + 1))
    return slice(None), slice(top, top + inner_h), slice(left, left + inner_w)
