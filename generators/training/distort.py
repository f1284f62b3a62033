"""What happens to pictures on their way, made differentiable for training decoder and reader.

Each distortion maps float (B, 3, H, W) in [0, 1] to the same shape. Rounding to 8 bits and JPEG
have no useful gradient, so both pass it straight through. The bench that claims robustness uses
its own attacks (provenance/robustness), not these.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Distortion = Callable[[Tensor, np.random.Generator], Tensor]


def rounded(pixels: Tensor) -> Tensor:
    """Pixels as an 8-bit file holds them."""
    clamped = pixels.clamp(0, 1)
    return clamped + ((clamped * 255).round() / 255 - clamped).detach()


def jpeg(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Pixels after a JPEG file of quality 25 to 95."""
    out = []
    for picture in (pixels.detach() * 255).round().byte().permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        quality = int(rng.integers(25, 96))
        Image.fromarray(picture).save(
            file, "JPEG", quality=quality, subsampling=int(rng.integers(3))
        )
        out.append(np.asarray(Image.open(file), np.float32).transpose(2, 0, 1) / 255)
    return pixels + (torch.from_numpy(np.stack(out)) - pixels).detach()


def noise(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Gaussian noise of sigma 0.01 to 0.08."""
    seed = torch.Generator().manual_seed(int(rng.integers(2**31)))
    return pixels + torch.randn(pixels.shape, generator=seed) * rng.uniform(0.01, 0.08)


def blur(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Gaussian blur of sigma 0.6 to 2.4 px."""
    sigma = rng.uniform(0.6, 2.4)
    reach = int(3 * sigma + 0.5)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    wide = F.pad(pixels, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(wide, kernel, groups=3), kernel.transpose(2, 3), groups=3)


def resize(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Scaled down to 0.4 to 0.9 and back."""
    side = int(pixels.shape[-1] * rng.uniform(0.4, 0.9))
    mode = "bilinear" if rng.random() < 0.5 else "bicubic"
    small = rounded(F.interpolate(pixels, size=(side, side), mode=mode, antialias=True))
    return F.interpolate(small, size=pixels.shape[-2:], mode=mode, antialias=True)


def brightness(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """All channels times 0.6 to 1.7, saved, and undone by a reader who is up to 6 % off."""
    gain = rng.uniform(0.6, 1.7)
    return rounded(pixels * gain) / (gain * rng.uniform(0.94, 1.06))


def contrast(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Distance from the mean grey times 0.6 to 1.7, saved, and undone up to 6 % off."""
    gain = rng.uniform(0.6, 1.7)
    grey = (pixels * pixels.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    mean = grey.mean((1, 2, 3), keepdim=True)
    saved = rounded((pixels - mean) * gain + mean)
    return (saved - mean) / (gain * rng.uniform(0.94, 1.06)) + mean


def shift(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Moved by at most one pixel each way, edges repeated."""
    dx, dy = rng.integers(0, 3, 2)
    wide = F.pad(pixels, (1, 1, 1, 1), mode="replicate")
    return wide[:, :, dy : dy + pixels.shape[2], dx : dx + pixels.shape[3]]


def resampled(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Scaled to 0.7 to 1.5, saved, and scaled back by a reader who is up to half a pixel off."""
    side = pixels.shape[-1]
    there = round(side * rng.uniform(0.7, 1.5))
    away = F.interpolate(pixels, size=(there, there), mode="bicubic", antialias=True)
    if rng.random() < 0.5:
        away = jpeg(away.clamp(0, 1), rng)
    dx, dy = rng.uniform(-0.5, 0.5, 2) * 2 / side
    scale = 1 + rng.uniform(-0.004, 0.004, 2)
    back = torch.tensor([[[scale[0], 0.0, dx], [0.0, scale[1], dy]]], dtype=pixels.dtype)
    same = F.interpolate(rounded(away), size=(side, side), mode="bicubic", antialias=True)
    grid = F.affine_grid(back, [1, 3, side, side], align_corners=False)
    return F.grid_sample(
        same,
        grid.expand(len(pixels), -1, -1, -1),
        mode="bicubic",
        padding_mode="border",
        align_corners=False,
    )


def sharpen(pixels: Tensor, rng: np.random.Generator) -> Tensor:
    """Plus 0.3 to 1.5 times the difference to a blurred copy."""
    kernel = pixels.new_tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16
    wide = F.pad(pixels, (1, 1, 1, 1), mode="reflect")
    blurred = F.conv2d(wide, kernel.expand(3, 1, 3, 3), groups=3)
    return pixels + (pixels - blurred) * rng.uniform(0.3, 1.5)


DISTORTIONS: tuple[tuple[Distortion, float], ...] = (
    (jpeg, 0.24),
    (noise, 0.18),
    (blur, 0.12),
    (resize, 0.09),
    (brightness, 0.12),
    (contrast, 0.09),
    (resampled, 0.09),
    (sharpen, 0.03),
    (shift, 0.04),
)


def attacked(pixels: Tensor, rng: np.random.Generator, *, groups: int) -> Tensor:
    """Every group of pictures through one random distortion, the first group through none."""
    parts = []
    weights = [w for _, w in DISTORTIONS]
    with torch.autocast(pixels.device.type, enabled=False):  # bf16 depthwise blur takes minutes
        for number, part in enumerate(rounded(pixels.float()).chunk(groups)):
            choice = int(rng.choice(len(DISTORTIONS), p=weights))
            parts.append(rounded(DISTORTIONS[choice][0](part, rng)) if number else part)
    return torch.cat(parts)
