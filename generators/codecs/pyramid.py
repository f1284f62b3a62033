"""A residual codec of several scales whose marks can be read back, over the networks of `vq`.

A picture is described coarse to fine, by grids of 1 to 16 tokens a side. Each scale quantises what
the scales before left over, and adds its codes, times a gain, to the sum that the decoder is given.
Residual quantisers are not idempotent: what a coarse token added cannot be told from the sum,
because finer tokens answer it. So the gains of coarse scales are small: they lead the drawing, and
leave little in the sum. The finest tokens, three in four of all, are then read as surely as those
of a codec of one scale, for a coarse token that is read wrongly hardly moves them. The reader gives
one vector a place; the coarse tokens are quantised from those anew, and each finest token is the
code that, added to the coarse ones, comes nearest. docs/icons-128-scales.md says how often each
scale is read rightly; detection weighs scales by that.

Pixels are float (B, 3, H, W) in [0, 1]. Tokens of all scales are one row (B, T), coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generators.codecs.vq import AT_ONCE, VQCodec, nearest
from generators.interface import Codebook, Reading


@dataclass(frozen=True)
class PyramidConfig:
    """Sides of the grids, coarse to fine, and what each coarse scale adds; the finest adds 1."""

    sides: tuple[int, ...] = (1, 2, 4, 8, 16)
    gains: tuple[float, ...] = (0.005, 0.005, 0.01, 0.02)

    @property
    def tokens(self) -> int:
        return sum(side * side for side in self.sides)

    def parts(self, row: Tensor) -> tuple[Tensor, ...]:
        """The grids (B, k, k) of a row of tokens (B, T)."""
        starts = np.cumsum([0, *(side * side for side in self.sides)]).tolist()
        return tuple(
            row[:, start : start + side * side].reshape(-1, side, side)
            for start, side in zip(starts, self.sides, strict=False)
        )


def spread(vectors: Tensor, side: int) -> Tensor:
    """A coarse map (B, d, k, k), every cell repeated, at another side."""
    return F.interpolate(vectors, size=(side, side), mode="nearest")


def pooled(vectors: Tensor, side: int) -> Tensor:
    """The mean over every cell: (B, d, K, K) -> (B, d, k, k)."""
    return F.adaptive_avg_pool2d(vectors, side)


def displaced(vectors: Tensor, coarse: Tensor, codebook: Tensor) -> Tensor:
    """Cosine of vectors (N, d) with every code added to the coarse sums (N, d): (N, V)."""
    codes = F.pad(codebook, (0, 1), value=1.0).T.contiguous()
    along = torch.cat([vectors, (vectors * coarse).sum(1, keepdim=True)], 1) @ codes
    squares = torch.cat([2 * coarse, 1 + coarse.square().sum(1, keepdim=True)], 1) @ codes
    return along.mul_(squares.clamp_min_(1e-6).rsqrt_())


class PyramidCodec:
    """Encoder, decoder, reader, finder and codebook of a codec of one scale, used at several."""

    def __init__(self, codec: VQCodec, config: PyramidConfig) -> None:
        self.codec = codec
        self.config = config

    @property
    def codes(self) -> Codebook:
        """The codebook that all scales share, compared by cosine."""
        return self.codec.codes

    def codes_of(self, grid: Tensor) -> Tensor:
        """Code vectors (B, d, k, k) of tokens (B, k, k)."""
        return self.codec.codebook[grid].permute(0, 3, 1, 2)

    def coarse_sum(self, coarse: Sequence[Tensor], like: Tensor) -> Tensor:
        """What coarse code vectors add together, at the finest side; zeros for none."""
        total = torch.zeros_like(like)
        for gain, codes in zip(self.config.gains, coarse, strict=False):
            total = total + gain * spread(codes, self.config.sides[-1])
        return total

    def quantise(self, vectors: Tensor) -> list[Reading]:
        """Tokens of every scale of unit vectors (B, d, 16, 16), coarse to fine."""
        coarse: list[Tensor] = []
        found: list[Reading] = []
        for side in self.config.sides[:-1]:
            left = pooled(vectors - self.coarse_sum(coarse, vectors), side)
            cosine = F.normalize(left, dim=1).permute(0, 2, 3, 1) @ self.codec.codebook.T
            found.append(nearest(cosine))
            coarse.append(self.codes_of(found[-1].tokens))
        return [*found, self._finest(vectors, self.coarse_sum(coarse, vectors))]

    def _finest(self, vectors: Tensor, coarse: Tensor) -> Reading:
        rows, added = (one.permute(0, 2, 3, 1).flatten(0, 2) for one in (vectors, coarse))
        parts = zip(torch.split(rows, AT_ONCE), torch.split(added, AT_ONCE), strict=True)
        found = [nearest(displaced(few, moved, self.codec.codebook)) for few, moved in parts]
        shape = len(vectors), *vectors.shape[2:]
        tokens = torch.cat([part.tokens for part in found]).view(shape)
        return Reading(tokens, torch.cat([part.margin for part in found]).view(shape))

    def _guessed(self, vectors: Tensor) -> Tensor:
        """What coarse tokens add where their cells are not known: they resemble local means."""
        total = torch.zeros_like(vectors)
        for gain, side in zip(self.config.gains, self.config.sides, strict=False):
            wide = self.config.sides[-1] // side + 1  # odd, so that its middle is a place
            mean = F.avg_pool2d(vectors, wide, 1, wide // 2, count_include_pad=False)
            total = total + gain * F.normalize(mean, dim=1)
        return total

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> Tensor:
        """Tokens (B, T) that describe any picture of 128 px best, scale after scale."""
        found = self.quantise(self.codec.vectors(pixels))
        return torch.cat([reading.tokens.flatten(1) for reading in found], 1)

    def read(self, pixels: Tensor) -> Reading:
        """The finest tokens of any whole part of a picture, and all others of a whole picture."""
        return self.tell(self.sense(pixels))

    def sense(self, pixels: Tensor) -> Tensor:
        """The unit vectors (B, d, h, w) that the reader sees, as with one scale."""
        return self.codec.sense(pixels)

    @torch.inference_mode()
    def tell(self, vectors: Tensor) -> Reading:
        """What is read in vectors (B, d, h, w)."""
        side = self.config.sides[-1]
        if vectors.shape[2:] == (side, side):
            *coarser, finest = self.quantise(vectors)
            return finest._replace(coarser=tuple(coarser))
        none = vectors.new_zeros(len(vectors), 0, 0)
        empty = Reading(none.long(), none)
        finest = self._finest(vectors, self._guessed(vectors))
        return finest._replace(coarser=(empty,) * (len(self.config.sides) - 1))

    @torch.inference_mode()
    def find(self, pixels: Tensor) -> Tensor:
        """How likely (log, (B, 64)) the finest grid of tokens starts at each 8 top + left px."""
        return self.codec.find(pixels)

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels (B, 3, 128, 128) in [0, 1] of tokens (B, T)."""
        *coarse, finest = map(self.codes_of, self.config.parts(tokens))
        whole = F.normalize(self.coarse_sum(coarse, finest) + finest, dim=1)
        pixels: Tensor = self.codec.decoder(whole).clamp(0, 1)
        return pixels
