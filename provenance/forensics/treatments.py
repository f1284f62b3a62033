"""What happens to photographs, and must not make them look drawn.

Each treatment of the calibration and each hard negative of the training is one of these. Pictures
are (3, H, W) in [0, 1], in and out on the 8-bit grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from provenance.forensics import history
from provenance.image import Pixels
from provenance.robustness import files

Treatment = Callable[[Pixels], Pixels]


def zoom(factor: float, resample: Image.Resampling = Image.Resampling.BICUBIC) -> Treatment:
    """The middle of the picture enlarged to the picture's size, as a camera's digital zoom does."""

    def treat(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[1:]
        h, w = max(8, round(height / factor)), max(8, round(width / factor))
        top, left = (height - h) // 2, (width - w) // 2
        part = files.to_image(pixels[:, top : top + h, left : left + w])
        return files.from_image(part.resize((width, height), resample))

    return treat


def blur(sigma: float) -> Treatment:
    """A Gaussian blur; sigma in px."""

    def treat(pixels: Pixels) -> Pixels:
        return files.rounded(ndimage.gaussian_filter(pixels, (0, sigma, sigma)))

    return treat


def denoise(size: int) -> Treatment:
    """The median of size x size neighbours, two parts in three, as mild denoising."""

    def treat(pixels: Pixels) -> Pixels:
        calm = ndimage.median_filter(pixels, size=(1, size, size))
        return files.rounded(0.35 * pixels + 0.65 * calm)

    return treat


def sharpen(radius: float, percent: int) -> Treatment:
    """An unsharp mask."""

    def treat(pixels: Pixels) -> Pixels:
        mask = ImageFilter.UnsharpMask(radius=radius, percent=percent, threshold=0)
        return files.from_image(files.to_image(pixels).filter(mask))

    return treat


def phone(pixels: Pixels) -> Pixels:
    """Denoised, then sharpened, then JPEG at quality 90: the order of a phone's processor."""
    return resave(90)(sharpen(1.5, 120)(denoise(3)(pixels)))


def resave(quality: int) -> Treatment:
    """JPEG at a quality, chroma 4:2:0."""
    return history.jpeg(quality).apply


def resize(factor: float) -> Treatment:
    """Both sides times a factor, bicubic."""

    def treat(pixels: Pixels) -> Pixels:
        height, width = (max(8, round(side * factor)) for side in pixels.shape[1:])
        return files.resized(pixels, height, width)

    return treat


def shift(pixels: Pixels) -> Pixels:
    """Without its first row and column."""
    return np.ascontiguousarray(pixels[:, 1:, 1:])


TREATMENTS: Mapping[str, Treatment] = {
    "native": files.rounded,
    "re-saved, JPEG 90": resave(90),
    "re-saved, JPEG 75": resave(75),
    "re-saved, JPEG 50": resave(50),
    "re-saved, WebP 80": history.History("WebP", quality=80).apply,
    "zoomed x1.3": zoom(1.3),
    "zoomed x1.6": zoom(1.6),
    "zoomed x2": zoom(2.0),
    "zoomed x2.5": zoom(2.5, Image.Resampling.LANCZOS),
    "blurred, sigma 0.8": blur(0.8),
    "blurred, sigma 1.5": blur(1.5),
    "denoised": denoise(3),
    "sharpened as by a phone": phone,
    "shrunk to 3/4": resize(0.75),
}


PIPELINES: Mapping[str, Treatment] = {
    "as it was": files.rounded,
    "then JPEG 85": resave(85),
    "then WebP 80": history.History("WebP", quality=80).apply,
}
"""How a photograph was delivered after that."""


def every(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Every stratum's name, and the photograph as it looks in it."""
    for name, treat in TREATMENTS.items():
        treated = treat(pixels)
        for pipeline, ship in PIPELINES.items():
            yield f"{name}, {pipeline}", ship(treated)


def hard_negative(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """One of the treatments at a strength drawn anew, for training."""
    resample = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
    chosen: list[Treatment] = [
        zoom(rng.uniform(1.2, 2.6), resample[rng.integers(3)]),
        zoom(rng.uniform(1.2, 2.6), resample[rng.integers(3)]),
        blur(rng.uniform(0.4, 1.6)),
        denoise(int(rng.choice([3, 5]))),
        sharpen(rng.uniform(0.8, 2.5), int(rng.integers(40, 200))),
        phone,
        resize(rng.uniform(0.6, 0.95)),
    ]
    treated = chosen[rng.integers(len(chosen))](pixels)
    return compressed(treated, rng) if rng.random() < 0.6 else treated


def compressed(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """As JPEG or as WebP, at a quality drawn anew, chroma 4:2:0 or (a JPEG at times) 4:4:4."""
    quality = int(rng.integers(50, 98))
    if rng.random() < 0.5:
        return history.History("WebP", quality=quality).apply(pixels)
    return history.jpeg(quality, int(rng.choice([0, 2, 2]))).apply(pixels)
