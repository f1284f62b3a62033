"""LlamaGen's codecs VQ-16 and VQ-8 under their official names (arXiv 2406.06525, section 3.1).

VQGAN's convolutional encoder and decoder around a codebook whose codes, and the vectors compared
with them, are normalised. What is read is what the encoder finds: how many tokens come back from
decoded pixels has to be measured for every set of weights.

Pixels are float (B, 3, H, W) in [0, 1], H and W multiples of the stride; tokens (B, h, w).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.codecs.convolutions import Block, Resample, norm
from generators.codecs.described import Described, by_cosine
from generators.interface import Codebook, Reading


@dataclass(frozen=True)
class VQGANConfig:
    """Sizes of the codec; the defaults are those of VQ-16."""

    codes: int = 16384
    dim: int = 8
    channels: int = 256  # of the latent, before it is brought to `dim`
    width: int = 128
    widths: tuple[int, ...] = (1, 1, 2, 2, 4)  # times `width`, a level each
    blocks: int = 2
    groups: int = 32

    @property
    def stride(self) -> int:
        return int(2 ** (len(self.widths) - 1))


class Attention(nn.Module):
    """Self-attention among all places, one head."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm = norm(channels, groups)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in "qkvo")

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        q, k, v = (part(normed).flatten(2).transpose(1, 2) for part in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.proj_out(mixed.transpose(1, 2).reshape(x.shape))
        return out


class Level(nn.Module):
    """The blocks of one resolution, each followed by attention at the coarsest; a resampling."""

    def __init__(
        self, inputs: int, outputs: int, count: int, groups: int, *, attention: bool
    ) -> None:
        super().__init__()
        sizes = [inputs, *[outputs] * (count - 1)]
        self.res = nn.ModuleList(Block(size, outputs, groups) for size in sizes)
        looks = count if attention else 0
        self.attn = nn.ModuleList(Attention(outputs, groups) for _ in range(looks))

    def forward(self, x: Tensor) -> Tensor:
        for number, block in enumerate(self.res):
            x = block(x)
            if len(self.attn):
                x = self.attn[number](x)
        for name in ("downsample", "upsample"):
            if hasattr(self, name):
                x = getattr(self, name)(x)
        return x


def _middle(channels: int, groups: int) -> nn.ModuleList:
    return nn.ModuleList(
        [
            Block(channels, channels, groups),
            Attention(channels, groups),
            Block(channels, channels, groups),
        ]
    )


def _through(parts: Iterable[nn.Module], x: Tensor) -> Tensor:
    for part in parts:
        x = part(x)
    return x


class Encoder(nn.Module):
    """Pixels in [-1, 1] to a latent."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, config.width, 3, padding=1)
        self.conv_blocks = nn.ModuleList()
        inputs, last = config.width, len(config.widths) - 1
        for number, factor in enumerate(config.widths):
            outputs = factor * config.width
            level = Level(inputs, outputs, config.blocks, config.groups, attention=number == last)
            if number != last:
                level.downsample = Resample(outputs, 2)
            self.conv_blocks.append(level)
            inputs = outputs
        self.mid = _middle(inputs, config.groups)
        self.norm_out = norm(inputs, config.groups)
        self.conv_out = nn.Conv2d(inputs, config.channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = _through([*self.conv_blocks, *self.mid], self.conv_in(x))
        out: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return out


class Decoder(nn.Module):
    """A latent to pixels, about [-1, 1]; its levels are listed coarse to fine."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        last = len(config.widths) - 1
        inputs = config.widths[last] * config.width
        self.conv_in = nn.Conv2d(config.channels, inputs, 3, padding=1)
        self.mid = _middle(inputs, config.groups)
        self.conv_blocks = nn.ModuleList()
        for number in range(last, -1, -1):
            outputs = config.widths[number] * config.width
            level = Level(
                inputs, outputs, config.blocks + 1, config.groups, attention=number == last
            )
            if number:
                level.upsample = Resample(outputs, 1)
            self.conv_blocks.append(level)
            inputs = outputs
        self.norm_out = norm(inputs, config.groups)
        self.conv_out = nn.Conv2d(inputs, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = _through([*self.mid, *self.conv_blocks], self.conv_in(x))
        out: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return out


class Quantiser(nn.Module):
    """The codes."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.codes, config.dim)

    def codes(self) -> Tensor:
        """The codes (V, d), of length one."""
        return F.normalize(self.embedding.weight, dim=-1)


class VQGANCodec(Described, nn.Module):
    """LlamaGen's VQ model."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quantize = Quantiser(config)
        self.quant_conv = nn.Conv2d(config.channels, config.dim, 1)
        self.post_quant_conv = nn.Conv2d(config.dim, config.channels, 1)

    @property
    def codes(self) -> Codebook:
        """The codebook, compared by cosine."""
        return Codebook(self.quantize.codes().detach(), "cosine")

    def latent(self, pixels: Tensor) -> Tensor:
        """What is quantised, (B, d, h, w), before it is normalised."""
        latent: Tensor = self.quant_conv(self.encoder(pixels * 2 - 1))
        return latent

    @torch.inference_mode()
    def read(self, pixels: Tensor) -> Reading:
        """The tokens that the encoder finds, and by how much cosine the best code won.

        What is beyond the last whole token is not read.
        """
        codes, stride = self.quantize.codes(), self.config.stride
        return by_cosine(self.latent, pixels, codes=codes, stride=stride)

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels of tokens (B, h, w)."""
        vectors = self.quantize.codes()[tokens].permute(0, 3, 1, 2)
        drawn: Tensor = self.decoder(self.post_quant_conv(vectors)).clamp(-1, 1)
        return drawn / 2 + 0.5
