"""Codecs whose tokens are read by describing a picture anew, as their encoder finds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from generators.interface import Reading

OFFSETS = 64
AT_ONCE = 4096  # vectors compared with the codebook at once


class Described(ABC):
    """What such codecs have in common."""

    @abstractmethod
    def read(self, pixels: Tensor) -> Reading:
        """The tokens that the encoder finds, and by how much the best code won."""

    def encode(self, pixels: Tensor) -> Tensor:
        """Tokens that describe any picture best."""
        return self.read(pixels).tokens

    def find(self, pixels: Tensor) -> Tensor:
        """Nothing is known of where the grid lies: every offset is as likely, (B, 64)."""
        return torch.full((len(pixels), OFFSETS), 1 / OFFSETS).log()


def by_cosine(
    latent: Callable[[Tensor], Tensor], pixels: Tensor, *, codes: Tensor, stride: int
) -> Reading:
    """The tokens of pixels (B, 3, H, W) whose codes (V, d) are nearest, and by how much cosine.

    `latent` gives vectors (B, d, h, w), not yet of length one. What is beyond the last whole token
    is not read.
    """
    high, wide = (side // stride * stride for side in pixels.shape[2:])
    if not high * wide:
        none = pixels.new_zeros(len(pixels), 0, 0)
        return Reading(none.long(), none)
    vectors = F.normalize(latent(pixels[:, :, :high, :wide]), dim=1).permute(0, 2, 3, 1)
    best = [(p @ codes.T).topk(2, -1) for p in torch.split(vectors.flatten(0, 2), AT_ONCE)]
    tokens = torch.cat([one.indices[:, 0] for one in best]).view(vectors.shape[:3])
    margin = torch.cat([one.values[:, 0] - one.values[:, 1] for one in best])
    return Reading(tokens, margin.view(vectors.shape[:3]))
