"""A codec so plain that it can be reckoned by hand: a token is a patch of one of 64 colours.

Every patch gets darker from left to right, so that it is neither a mirrored nor a shifted one.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

DIGEST = b"palette" * 4
LEVELS = torch.tensor([0.2, 0.4, 0.6, 0.8])
PALETTE = torch.cartesian_prod(LEVELS, LEVELS, LEVELS)  # (64, 3)
CODES = len(PALETTE)
SHADE = torch.linspace(0.08, -0.08, 8)


class Reading(NamedTuple):
    tokens: Tensor
    margin: Tensor
    coarser: "tuple[Reading, ...]" = ()


class Palette:
    """Vectors are mean colours; the margin falls with all that is not a patch of one colour."""

    def __init__(self) -> None:
        self.pixels_read = 0

    def vectors(self, pixels: Tensor) -> Tensor:
        return F.avg_pool2d(pixels, 8)

    def similarity(self, vectors: Tensor) -> Tensor:
        return -torch.cdist(vectors.permute(0, 2, 3, 1), PALETTE[None, None])

    def encode(self, pixels: Tensor) -> Tensor:
        return self.similarity(self.vectors(pixels)).argmax(-1)

    def decode(self, tokens: Tensor) -> Tensor:
        colours = PALETTE[tokens].permute(0, 3, 1, 2)
        shade = SHADE.repeat(tokens.shape[2])
        return colours.repeat_interleave(8, 2).repeat_interleave(8, 3) + shade

    def read(self, pixels: Tensor) -> Reading:
        self.pixels_read += pixels[:, 0].numel()
        tokens = self.encode(pixels)
        error = (pixels - self.decode(tokens)).square().mean(1, keepdim=True)
        return Reading(tokens, torch.exp(-F.avg_pool2d(error, 8)[:, 0] / 0.01))

    def find(self, pixels: Tensor) -> Tensor:
        """The surer the margins at an offset, the likelier it is."""
        places = [(top, left) for top in range(8) for left in range(8)]
        high, wide = (side - 8 for side in pixels.shape[2:])
        margins = [self.read(pixels[:, :, t : t + high, w : w + wide]).margin for t, w in places]
        return (20 * torch.stack([m.mean((1, 2)) for m in margins], 1)).log_softmax(1)


def tokens(height: int, width: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(CODES, (height, width), generator=rng)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Pixels (3, 8h, 8w) of random tokens."""
    drawn: np.ndarray = Palette().decode(tokens(height, width, seed)[None])[0].numpy()
    return drawn
