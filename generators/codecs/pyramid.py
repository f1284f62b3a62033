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

from generators.codecs.vq import STRIDE, VQCodec, nearest
from generators.interface import Codebook, Reading

AT_ONCE = 4  # pictures compared with the codebook at once


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
    """Cosine of vectors with every code added to the coarse sum: (B, d, h, w) -> (B, h, w, V)."""
    v, s = vectors.permute(0, 2, 3, 1), coarse.permute(0, 2, 3, 1)
    length = (1 + s.square().sum(-1, keepdim=True) + 2 * (s @ codebook.T)).clamp_min(1e-6)
    cosine: Tensor = ((v * s).sum(-1, keepdim=True) + v @ codebook.T) * length.rsqrt()
    return cosine


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
        parts = [
            nearest(displaced(few, added, self.codec.codebook))
            for few, added in zip(
                torch.split(vectors, AT_ONCE), torch.split(coarse, AT_ONCE), strict=True
            )
        ]
        return Reading(torch.cat([p.tokens for p in parts]), torch.cat([p.margin for p in parts]))

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

    @torch.inference_mode()
    def read(self, pixels: Tensor) -> Reading:
        """The finest tokens of any whole part of a picture, and all others of a whole picture."""
        vectors = self.codec.reader(pixels)
        side = self.config.sides[-1]
        if pixels.shape[2:] == (side * STRIDE, side * STRIDE):
            *coarser, finest = self.quantise(vectors)
            return finest._replace(coarser=tuple(coarser))
        none = vectors.new_zeros(len(pixels), 0, 0)
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
