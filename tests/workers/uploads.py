"""Uploads for a toy with 4,096 codes: its codec, which also tells what it quantises, and files."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from generators.catalog import Spec
from generators.interface import Codebook, Reading
from provenance.watermark.matching import Matching
from tests.workers.toys import DIGEST, generator
from workers.marking import Marker

LEVELS = 64  # of each half of a patch
CODES = LEVELS**2
STEP = 4 / 255  # between levels


class HalvesCodec:
    """A code is the grey levels of the upper and of the lower half of an 8 x 8 patch."""

    codes = Codebook(torch.cartesian_prod(*[torch.linspace(-1, 1, LEVELS)] * 2), "l2")

    def vectors(self, pixels: Tensor) -> Tensor:
        halves = F.avg_pool2d(pixels.mean(1, keepdim=True), (4, 8))[:, 0]
        return torch.stack([halves[:, ::2], halves[:, 1::2]], 1)

    def similarity(self, vectors: Tensor) -> Tensor:
        upper, lower = (vectors[..., None] - STEP * torch.arange(LEVELS)).abs().unbind(1)
        return -(upper[..., :, None] + lower[..., None, :]).flatten(-2)

    def encode(self, pixels: Tensor) -> Tensor:
        return self.read(pixels).tokens

    def read(self, pixels: Tensor) -> Reading:
        levels = self.vectors(pixels) / STEP
        nearest = levels.round().clamp(0, LEVELS - 1)
        tokens = (nearest[:, 0] * LEVELS + nearest[:, 1]).long()
        return Reading(tokens, (1 - (levels - nearest).abs().amax(1)).clamp(min=0))

    def decode(self, tokens: Tensor) -> Tensor:
        halves = torch.stack([tokens // LEVELS, tokens % LEVELS], 2).flatten(1, 2) * STEP
        grey = halves.repeat_interleave(4, 1).repeat_interleave(8, 2)
        return grey[:, None].expand(-1, 3, -1, -1)


def toy(folder: Path) -> tuple[Spec, Marker]:
    """A generator whose codec marks uploads; its pairs are written to the folder."""
    codec, pairs = HalvesCodec(), folder / "halves.safetensors"
    partner = (np.arange(CODES) ^ 1).astype(np.int32)
    Matching(partner, np.ones(CODES, np.float32)).save(pairs, DIGEST)
    spec = generator(folder)[0].spec
    spec = replace(spec, build_codec=lambda weights: codec, pairs=str(pairs))
    return spec, Marker("toy", spec, codec)


def photograph(height: int = 128, width: int = 128, *, seed: int = 0, kind: str = "PNG") -> bytes:
    """A file of half patches of all greys, with a tint and grain."""
    rng = np.random.default_rng(seed)
    rows, columns = -(-height // 4), -(-width // 8)
    patches = rng.integers(30, 226, (rows, columns, 1)) + rng.integers(-20, 21, 3)
    large = patches.repeat(4, 0).repeat(8, 1)[:height, :width]
    grain = rng.integers(-6, 7, large.shape)
    file = BytesIO()
    Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)).save(file, kind)
    return file.getvalue()


def flat() -> bytes:
    """A grey file."""
    file = BytesIO()
    Image.new("RGB", (128, 128), (90, 90, 90)).save(file, "PNG")
    return file.getvalue()


def jpeg(data: bytes, quality: int = 90) -> bytes:
    """The picture of a file, in a new JPEG file."""
    file = BytesIO()
    Image.open(BytesIO(data)).convert("RGB").save(file, "JPEG", quality=quality)
    return file.getvalue()
