"""Uploads for the grey toy: its codec, which also tells what it quantises, and pictures."""

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
from tests.workers.toys import CODES, GreyCodec, generator
from workers.marking import Marker


class GreyQuantiser(GreyCodec):
    """The code of a patch is the grey level nearest to its mean."""

    def vectors(self, pixels: Tensor) -> Tensor:
        return F.avg_pool2d(pixels.mean(1, keepdim=True), 8)

    def similarity(self, vectors: Tensor) -> Tensor:
        return -(vectors.permute(0, 2, 3, 1) - torch.linspace(0, 1, CODES)).abs()


def toy(folder: Path) -> tuple[Spec, Marker]:
    """A generator whose codec marks uploads; its pairs are written to the folder."""
    spec = replace(generator(folder)[0].spec, build_codec=lambda *weights: GreyQuantiser())
    return spec, Marker("toy", spec, GreyQuantiser())


def photograph(height: int = 128, width: int = 128, *, seed: int = 0, kind: str = "PNG") -> bytes:
    """A file of patches of all greys, each with some colour and grain."""
    rng = np.random.default_rng(seed)
    rows, columns = -(-height // 8), -(-width // 8)
    patches = rng.integers(30, 226, (rows, columns, 1)) + rng.integers(-20, 21, (rows, columns, 3))
    large = patches.repeat(8, 0).repeat(8, 1)[:height, :width]
    grain = rng.integers(-6, 7, large.shape)
    file = BytesIO()
    Image.fromarray((large + grain).clip(0, 255).astype(np.uint8)).save(file, kind)
    return file.getvalue()


def flat() -> bytes:
    """A grey file."""
    file = BytesIO()
    Image.new("RGB", (128, 128), (90, 90, 90)).save(file, "PNG")
    return file.getvalue()
