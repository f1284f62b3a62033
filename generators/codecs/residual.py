"""VAR's multi-scale residual codec under its official names (arXiv 2404.02905, algorithms 1 and 2).

A convolutional encoder gives a latent of C channels; scale after scale, the mean of what is left
over is quantised by Euclidean distance, spread to the finest side by bicubic interpolation, passed
through a convolution that several scales share, and subtracted. The decoder is given the sum.

What is read is what the encoder finds. A residual quantiser is not idempotent: the sum of drawn
tokens, described anew, gives other tokens, the more the finer the scale. How many come back has to
be measured for every set of weights.

Pixels are float (B, 3, H, W) in [0, 1]; tokens of all scales are one row (B, T), coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.codecs.convolutions import Block, Resample, norm
from generators.codecs.described import Described
from generators.interface import Codebook, Reading

PATCHES_256 = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
PATCHES_512 = (1, 2, 3, 4, 6, 9, 13, 18, 24, 32)


@dataclass(frozen=True)
class ResidualConfig:
    """Sizes of the codec; the defaults are those of vae_ch160v4096z32."""

    codes: int = 4096
    dim: int = 32
    width: int = 160
    widths: tuple[int, ...] = (1, 1, 2, 2, 4)  # times `width`, a level each
    blocks: int = 2
    sides: tuple[int, ...] = PATCHES_256
    mixers: int = 4  # convolutions that the scales share
    mixed: float = 0.5  # the share of a convolution in what a scale adds
    groups: int = 32

    @property
    def tokens(self) -> int:
        return sum(side * side for side in self.sides)

    def mixer(self, scale: int) -> int:
        """Which convolution a scale goes through: the one whose middle is nearest.

        Two of VAR's ten scales lie half-way, so that rounding decides: this is the official sum.
        """
        edge = 1 / 3 / self.mixers if self.mixers == 4 else 1 / 2 / self.mixers
        middles = np.linspace(edge, 1 - edge, self.mixers)
        return int(np.abs(middles - scale / (len(self.sides) - 1)).argmin())

    def parts(self, row: Tensor) -> tuple[Tensor, ...]:
        """The grids (B, k, k) of a row of tokens (B, T)."""
        starts = np.cumsum([0, *(side * side for side in self.sides)]).tolist()
        return tuple(
            row[:, start : start + side * side].reshape(-1, side, side)
            for start, side in zip(starts, self.sides, strict=False)
        )


class Attention(nn.Module):
    """Self-attention among all places, one head."""

    def __init__(self, config: ResidualConfig, channels: int) -> None:
        super().__init__()
        self.norm = norm(channels, config.groups)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.flatten(2).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, 1))
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.proj_out(mixed.transpose(1, 2).reshape(x.shape))
        return out


class Level(nn.Module):
    """The blocks of one resolution; `attn` is empty but at the coarsest one."""

    downsample: Resample | None
    upsample: Resample | None

    def __init__(self, blocks: Sequence[Block], attn: Sequence[Attention]) -> None:
        super().__init__()
        self.downsample = self.upsample = None
        self.block = nn.ModuleList(blocks)
        self.attn = nn.ModuleList(attn)

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.block):
            x = block(x)
            if len(self.attn):
                x = self.attn[number](x)
        return x


class Middle(nn.Module):
    """Block, attention, block, at the coarsest resolution."""

    def __init__(self, config: ResidualConfig, channels: int) -> None:
        super().__init__()
        self.block_1 = Block(channels, channels, config.groups)
        self.attn_1 = Attention(config, channels)
        self.block_2 = Block(channels, channels, config.groups)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(x)))
        return out


class Encoder(nn.Module):
    """Pixels in [-1, 1] to a latent."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, config.width, 3, padding=1)
        self.down = nn.ModuleList()
        inputs, last = config.width, len(config.widths) - 1
        for number, factor in enumerate(config.widths):
            outputs = factor * config.width
            blocks = [Block(inputs, outputs, config.groups)]
            blocks += [Block(outputs, outputs, config.groups) for _ in range(config.blocks - 1)]
            attn = [Attention(config, outputs) for _ in blocks] if number == last else []
            level = Level(blocks, attn)
            if number != last:
                level.downsample = Resample(outputs, 2)
            self.down.append(level)
            inputs = outputs
        self.mid = Middle(config, inputs)
        self.norm_out = norm(inputs, config.groups)
        self.conv_out = nn.Conv2d(inputs, config.dim, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for level in self.down:
            assert isinstance(level, Level)
            x = level(x)
            if level.downsample is not None:
                x = level.downsample(x)
        out: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(x))))
        return out


class Decoder(nn.Module):
    """A latent to pixels, about [-1, 1]."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        last = len(config.widths) - 1
        inputs = config.widths[last] * config.width
        self.conv_in = nn.Conv2d(config.dim, inputs, 3, padding=1)
        self.mid = Middle(config, inputs)
        levels: list[Level] = []
        for number in range(last, -1, -1):
            outputs = config.widths[number] * config.width
            blocks = [Block(inputs, outputs, config.groups)]
            blocks += [Block(outputs, outputs, config.groups) for _ in range(config.blocks)]
            attn = [Attention(config, outputs) for _ in blocks] if number == last else []
            level = Level(blocks, attn)
            if number:
                level.upsample = Resample(outputs, 1)
            levels.insert(0, level)
            inputs = outputs
        self.up = nn.ModuleList(levels)
        self.norm_out = norm(inputs, config.groups)
        self.conv_out = nn.Conv2d(inputs, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid(self.conv_in(x))
        for level in reversed(self.up):
            assert isinstance(level, Level)
            x = level(x)
            if level.upsample is not None:
                x = level.upsample(x)
        out: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return out


class Mixers(nn.Module):
    """The convolutions that scales share."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.qresi_ls = nn.ModuleList(
            nn.Conv2d(config.dim, config.dim, 3, padding=1) for _ in range(config.mixers)
        )


class Quantiser(nn.Module):
    """Codes of all scales, and what each scale adds to the sum."""

    ema_vocab_hit_SV: Tensor

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.codes, config.dim)
        self.quant_resi = Mixers(config)
        self.register_buffer("ema_vocab_hit_SV", torch.zeros(len(config.sides), config.codes))

    def add(self, scale: int, grid: Tensor) -> Tensor:
        """What the tokens (B, k, k) of a scale add at the finest side, (B, C, K, K)."""
        config = self.config
        codes = self.embedding(grid).permute(0, 3, 1, 2)
        if scale != len(config.sides) - 1:
            codes = F.interpolate(codes, size=(config.sides[-1],) * 2, mode="bicubic")
        mixer = self.quant_resi.qresi_ls[config.mixer(scale)]
        added: Tensor = (1 - config.mixed) * codes + config.mixed * mixer(codes)
        return added

    def shrunk(self, total: Tensor, scale: int) -> Tensor:
        """A map at the side of a scale, by the mean of each cell."""
        return F.interpolate(total, size=(self.config.sides[scale],) * 2, mode="area")

    def distances(self, left: Tensor, scale: int) -> Tensor:
        """Squared distance of what is left over to every code, (B, k, k, V)."""
        finest = scale == len(self.config.sides) - 1
        vectors = (left if finest else self.shrunk(left, scale)).permute(0, 2, 3, 1)
        codes = self.embedding.weight
        squares = vectors.square().sum(-1, keepdim=True) + codes.square().sum(1)
        return squares - 2 * vectors @ codes.T

    def describe(self, latent: Tensor) -> tuple[list[Reading], Tensor]:
        """The tokens of every scale, by how much each won, and the sum of all they add."""
        total, found = torch.zeros_like(latent), []
        for scale in range(len(self.config.sides)):
            best = self.distances(latent - total, scale).topk(2, -1, largest=False)
            found.append(Reading(best.indices[..., 0], best.values[..., 1] - best.values[..., 0]))
            total = total + self.add(scale, found[-1].tokens)
        return found, total

    def total(self, grids: Sequence[Tensor]) -> Tensor:
        """The sum of what some of the scales, from the coarsest, add."""
        return torch.stack([self.add(scale, grid) for scale, grid in enumerate(grids)]).sum(0)


class ResidualCodec(Described, nn.Module):
    """VAR's VQVAE."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv2d(config.dim, config.dim, 3, padding=1)
        self.quantize = Quantiser(config)
        self.post_quant_conv = nn.Conv2d(config.dim, config.dim, 3, padding=1)
        self.decoder = Decoder(config)

    @property
    def codes(self) -> Codebook:
        """The codebook of all scales, compared by distance."""
        return Codebook(self.quantize.embedding.weight.detach(), "l2")

    def latent(self, pixels: Tensor) -> Tensor:
        """What is quantised, (B, C, K, K), of any picture."""
        latent: Tensor = self.quant_conv(self.encoder(pixels * 2 - 1))
        return latent

    def picture(self, total: Tensor) -> Tensor:
        """The pixels of a sum over scales."""
        drawn: Tensor = self.decoder(self.post_quant_conv(total)).clamp(-1, 1)
        return drawn / 2 + 0.5

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> Tensor:
        """Tokens (B, T) that describe any picture best, scale after scale."""
        found, _ = self.quantize.describe(self.latent(pixels))
        return torch.cat([reading.tokens.flatten(1) for reading in found], 1)

    @torch.inference_mode()
    def read(self, pixels: Tensor) -> Reading:
        """The finest tokens, with those of coarser scales beside them.

        They describe a whole picture: of one that has another size nothing is read.
        """
        side = self.config.sides[-1] * 2 ** (len(self.config.widths) - 1)
        if pixels.shape[2:] != (side, side):
            none = pixels.new_zeros(len(pixels), 0, 0)
            empty = Reading(none.long(), none)
            return empty._replace(coarser=(empty,) * (len(self.config.sides) - 1))
        found, _ = self.quantize.describe(self.latent(pixels))
        return found[-1]._replace(coarser=tuple(found[:-1]))

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels of tokens (B, T)."""
        return self.picture(self.quantize.total(self.config.parts(tokens)))
