"""Codecs whose tokens are read by describing a picture anew, as their encoder finds them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from generators.interface import Reading

OFFSETS = 64


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
