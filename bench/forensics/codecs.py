"""Small picture codecs whose reconstructions of photographs stand for generated pictures.

What a detector finds in a generated picture is mostly its decoder. So that no single decoder is
what it learns, these differ in stride, bottleneck, how they enlarge and what they were fitted to:

* `gaussian`: stride 4, continuous with noise (a KL autoencoder, arXiv 2112.10752 section 3.1),
  enlarges by repeating pixels, fitted against a discriminator of patches;
* `levels`: stride 8, finite scalar quantisation (FSQ, arXiv 2309.15505), enlarges by pixel
  shuffle, fitted to pixels and to the size of their Fourier coefficients;
* `binary`: stride 8, the sign of each of 18 numbers (LFQ, arXiv 2310.05737 section 3.1), enlarges
  by transposed convolutions, fitted to the same.

Pixels are float (B, 3, H, W) in [0, 1]; H and W are multiples of the stride.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from generators.codecs.convolutions import Block

Kind = Literal["gaussian", "levels", "binary"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STRIDES: dict[Kind, int] = {"gaussian": 4, "levels": 8, "binary": 8}
LEVELS = (8, 8, 8, 6, 5, 5)  # of the six numbers of `levels`: 76,800 codes
BITS = 18  # of `binary`: 262,144 codes
CHANNELS = 4  # of `gaussian`
GROUPS = 8
WIDTH = 32  # at half the picture's size; twice as many at a quarter, four times at an eighth


class SmallCodec(nn.Module):
    """An encoder, a bottleneck and a decoder of one kind."""

    def __init__(self, kind: Kind, width: int = WIDTH) -> None:
        super().__init__()
        self.kind: Kind = kind
        steps = STRIDES[kind].bit_length() - 2  # halvings after the stem's
        numbers = {"gaussian": CHANNELS, "levels": len(LEVELS), "binary": BITS}[kind]
        widths = [width * 2**step for step in range(steps + 1)]
        self.stem = nn.Conv2d(12, widths[0], 3, padding=1)
        self.down = nn.Sequential(*(_halve(a, b) for a, b in zip(widths, widths[1:], strict=False)))
        self.bottleneck = nn.Conv2d(widths[-1], numbers, 1)
        self.opening = nn.Conv2d(numbers, widths[-1], 3, padding=1)
        self.inner = nn.Sequential(*(Block(widths[-1], widths[-1], GROUPS) for _ in range(2)))
        pairs = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.Sequential(*(_Enlarge(kind, a, b) for a, b in pairs))
        self.closing = _Enlarge(kind, widths[0], width // 2)
        self.out = nn.Conv2d(width // 2, 3, 3, padding=1)

    def encode(self, pixels: Tensor) -> Tensor:
        """What the decoder is given, (B, numbers, H/stride, W/stride)."""
        x = self.down(self.stem(F.pixel_unshuffle(pixels * 2 - 1, 2)))
        x = self.bottleneck(x)
        if self.kind == "gaussian":
            noisy: Tensor = x + 0.1 * torch.randn_like(x) if self.training else x
            return noisy
        if self.kind == "binary":
            soft = torch.tanh(x)
            signs: Tensor = soft + (torch.where(soft > 0, 1.0, -1.0) - soft).detach()
            return signs
        half = (x.new_tensor(LEVELS)[:, None, None] - 1) / 2
        soft = half * torch.tanh(x)
        shift = torch.where(half % 1 == 0, 0.0, 0.5)  # an even number of levels lies between
        hard = torch.minimum((soft + shift).round() - shift, half)
        found: Tensor = (soft + (hard - soft).detach()) / half
        return found

    def decode(self, numbers: Tensor) -> Tensor:
        """Pixels, not clamped."""
        x = self.up(self.inner(self.opening(numbers)))
        pixels: Tensor = self.out(F.silu(self.closing(x))) * 0.5 + 0.5
        return pixels

    def forward(self, pixels: Tensor) -> Tensor:
        return self.decode(self.encode(pixels))


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    block = Block(inputs, inputs, GROUPS)
    return nn.Sequential(block, nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))


class _Enlarge(nn.Module):
    def __init__(self, kind: Kind, inputs: int, outputs: int) -> None:
        super().__init__()
        self.kind = kind
        self.block = Block(inputs, inputs, GROUPS)
        if kind == "binary":
            self.grow: nn.Module = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
        elif kind == "levels":
            self.grow = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)
        else:
            self.grow = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        if self.kind == "gaussian":
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = self.grow(x)
        return F.pixel_shuffle(x, 2) if self.kind == "levels" else x


def load(kind: Kind, folder: Path) -> SmallCodec:
    """The codec that `python -m bench.forensics.counterparts` left in a folder."""
    codec = SmallCodec(kind)
    weights = load_file(folder / f"forensics-{kind}.safetensors")
    codec.load_state_dict({name: value.float() for name, value in weights.items()})
    return codec.eval()
