"""A vector-quantised picture codec whose tokens are meant to be read back.

Four small convolutional networks share one L2-normalised codebook: the encoder turns pixels into
tokens, the decoder turns tokens into pixels, the reader recovers the tokens of a decoded picture
after it was compressed, resized, blurred or brightened, and the finder tells where the grid of
tokens lies in a picture that was cropped or moved. The reader is to the decoder what IndexMark's
Index Encoder is to its codec (arXiv 2505.14673, section 3.4); the decoder is trained to be read, as
wmar's cycle fine-tuning does (arXiv 2506.16349, section 4).

Pixels are float (B, 3, H, W) in [0, 1]; H and W are multiples of the stride. Tokens are int64
(B, H/8, W/8). Nothing here knows about marks, keys or prompts.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from generators.interface import Codebook, Reading

STRIDE = 8
GROUP = 64  # codes whose best is taken at once
AT_ONCE = 256  # vectors compared with the codebook: the memory is used again and not asked for anew
STEEP = 100.0  # steps of a hundredth between neighbours are told apart best


@dataclass(frozen=True)
class VQConfig:
    """Sizes of the codec: V codes of d dimensions, channels at stride 4 and at stride 8.

    The reader costs no more than the encoder, so that detecting is as cheap as encoding.
    """

    codes: int = 4096
    dim: int = 8
    fine: int = 96
    coarse: int = 192
    encoder_blocks: tuple[int, int] = (2, 1)
    decoder_blocks: tuple[int, int] = (4, 2)
    reader_blocks: tuple[int, int] = (0, 3)
    finder: int = 96


class ChannelNorm(nn.Module):
    """RMS normalisation over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        last = x.permute(0, 2, 3, 1)
        return F.rms_norm(last, last.shape[-1:], self.weight.to(last.dtype), 1e-6).permute(
            0, 3, 1, 2
        )


class Block(nn.Module):
    """A residual block of two 3x3 convolutions; starts as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.second(F.silu(self.first(self.norm(x))))
        return out


class GlobalBlock(nn.Module):
    """A residual block that also sees the picture's mean features, so that gain can be undone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = Block(channels)
        self.context = nn.Linear(2 * channels, 2 * channels)
        nn.init.zeros_(self.context.weight)
        nn.init.zeros_(self.context.bias)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.float().mean((2, 3))
        spread = (x.float().square().mean((2, 3)) + 1e-6).sqrt()
        gain, shift = self.context(torch.cat([mean, spread], 1))[:, :, None, None].chunk(2, 1)
        out: Tensor = self.block(x * (1 + gain) + shift)
        return out


class Encoder(nn.Module):
    """Pixels to unit vectors (B, d, H/8, W/8); local, so that a patch keeps its token."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        fine, coarse = config.encoder_blocks
        self.stem = nn.Conv2d(48, config.fine, 3, padding=1)
        self.fine = nn.Sequential(*(Block(config.fine) for _ in range(fine)))
        self.down = nn.Conv2d(4 * config.fine, config.coarse, 1)
        self.coarse = nn.Sequential(*(Block(config.coarse) for _ in range(coarse)))
        self.norm = ChannelNorm(config.coarse)
        self.out = nn.Conv2d(config.coarse, config.dim, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.fine(self.stem(F.pixel_unshuffle(pixels * 2 - 1, 4)))
        x = self.coarse(self.down(F.pixel_unshuffle(x, 2)))
        return F.normalize(self.out(self.norm(x)).float(), dim=1)


class Reader(nn.Module):
    """Decoded, possibly attacked pixels to unit vectors (B, d, H/8, W/8)."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        fine, coarse = config.reader_blocks
        self.stem = nn.Conv2d(48, config.fine, 3, padding=1)
        self.fine = nn.Sequential(*(Block(config.fine) for _ in range(fine)))
        self.down = nn.Conv2d(4 * config.fine, config.coarse, 1)
        self.coarse = nn.Sequential(*(GlobalBlock(config.coarse) for _ in range(coarse)))
        self.norm = ChannelNorm(config.coarse)
        self.out = nn.Conv2d(config.coarse, config.dim, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.fine(self.stem(F.pixel_unshuffle(pixels * 2 - 1, 4)))
        x = self.coarse(self.down(F.pixel_unshuffle(x, 2)))
        return F.normalize(self.out(self.norm(x)).float(), dim=1)


class Finder(nn.Module):
    """Where in a picture the grid of tokens starts: log-probabilities (B, 64) of 8 top + left.

    The decoder leaves faint steps between tokens: how steep the columns and rows of each offset
    are on average is told beside learnt features, and weighed for the picture as a whole.
    """

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        width = config.finder
        self.stem = nn.Conv2d(5 * STRIDE**2, width, 3, padding=1)
        self.block = Block(width)
        self.norm = ChannelNorm(width)
        self.hidden = nn.Linear(width + 4 * STRIDE, 4 * width)
        self.out = nn.Linear(4 * width, STRIDE**2)

    def forward(self, pixels: Tensor) -> Tensor:
        grey = pixels.mean(1, keepdim=True)
        right, down = grey.diff(dim=3), grey.diff(dim=2)
        bends = F.pad(right.diff(dim=3), (1, 1)), F.pad(down.diff(dim=2), (0, 0, 1, 1))
        right, down = F.pad(right, (0, 1)), F.pad(down, (0, 0, 0, 1))
        right, down, along, across = (torch.log1p(STEEP * x.abs()) for x in (right, down, *bends))
        x = F.pixel_unshuffle(torch.cat([pixels * 2 - 1, right, down], 1), STRIDE)
        x = self.norm(self.block(F.silu(self.stem(x)))).float().mean((2, 3))
        profiles = [_profile(right, 3), _profile(down, 2), _profile(along, 3), _profile(across, 2)]
        found: Tensor = self.out(F.silu(self.hidden(torch.cat([x, *profiles], 1))))
        return found.log_softmax(1)


def _profile(steep: Tensor, dim: int) -> Tensor:  # (B, 1, 8h, 8w) -> (B, 8)
    """How much each of the 8 offsets along an axis differs from their mean, in tenths of it."""
    line = steep.float().mean((1, 5 - dim))
    mean = line.view(len(line), -1, STRIDE).mean(1)
    profile: Tensor = 10 * (mean / (mean.mean(1, keepdim=True) + 1e-3) - 1)
    return profile


class Decoder(nn.Module):
    """Code vectors (B, d, h, w) to pixels (B, 3, 8h, 8w), not clamped."""

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        coarse, fine = config.decoder_blocks
        self.stem = nn.Conv2d(config.dim, config.coarse, 3, padding=1)
        self.coarse = nn.Sequential(*(Block(config.coarse) for _ in range(coarse)))
        self.up = nn.Conv2d(config.coarse, 4 * config.fine, 1)
        self.fine = nn.Sequential(*(Block(config.fine) for _ in range(fine)))
        self.norm = ChannelNorm(config.fine)
        self.out = nn.Conv2d(config.fine, 48, 3, padding=1)

    def forward(self, vectors: Tensor) -> Tensor:
        x = self.coarse(self.stem(vectors * vectors.shape[1] ** 0.5))
        x = self.fine(F.pixel_shuffle(self.up(x), 2))
        return F.pixel_shuffle(self.out(self.norm(x)).float(), 4) * 0.5 + 0.5


def nearest(similarity: Tensor) -> Reading:  # (..., V)
    """The most similar codes, and how far they lead the second best.

    Both lie in the two groups with the best codes, which are found much faster than they are.
    """
    size = min(GROUP, similarity.shape[-1] // 2)
    groups = similarity.reshape(*similarity.shape[:-1], -1, size)
    best = groups.amax(-1).topk(2, -1).indices
    among = groups.gather(-2, best[..., None].expand(*best.shape, size)).flatten(-2)
    found = among.topk(2, -1)
    first = found.indices[..., :1]
    tokens = best.gather(-1, first // size) * size + first % size
    return Reading(tokens[..., 0], found.values[..., 0] - found.values[..., 1])


class VQCodec(nn.Module):
    """Encoder, decoder, reader, finder, and the codebook (V, d) of unit rows."""

    codebook: Tensor

    def __init__(self, config: VQConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.reader = Reader(config)
        self.finder = Finder(config)
        start = torch.randn(config.codes, config.dim, generator=torch.Generator().manual_seed(0))
        self.register_buffer("codebook", F.normalize(start, dim=1))

    @property
    def codes(self) -> Codebook:
        """The codebook, compared by cosine."""
        return Codebook(self.codebook, "cosine")

    def similarity(self, vectors: Tensor) -> Tensor:
        """Cosine of every vector with every code: (B, d, h, w) -> (B, h, w, V)."""
        return vectors.permute(0, 2, 3, 1) @ self.codebook.T

    @torch.inference_mode()
    def vectors(self, pixels: Tensor) -> Tensor:
        """What is quantised: unit vectors (B, d, h, w) of any picture."""
        vectors: Tensor = self.encoder(pixels)
        return vectors

    @torch.inference_mode()
    def encode(self, pixels: Tensor) -> Tensor:
        """Tokens (B, h, w) that describe any picture best."""
        return self.similarity(self.vectors(pixels)).argmax(-1)

    def read(self, pixels: Tensor) -> Reading:
        """Tokens that a picture of this codec was decoded from, as well as they can be told."""
        return self.tell(self.sense(pixels))

    @torch.inference_mode()
    def sense(self, pixels: Tensor) -> Tensor:
        """The unit vectors (B, d, h, w) that the reader sees in pixels (B, 3, 8h, 8w)."""
        vectors: Tensor = self.reader(pixels)
        return vectors

    @torch.inference_mode()
    def tell(self, vectors: Tensor) -> Reading:
        """The tokens nearest to vectors (B, d, h, w)."""
        rows = vectors.permute(0, 2, 3, 1)
        parts = torch.split(rows.flatten(0, 2), AT_ONCE)
        found = [nearest(part @ self.codebook.T) for part in parts]
        tokens = torch.cat([part.tokens for part in found])
        margin = torch.cat([part.margin for part in found])
        return Reading(tokens.view(rows.shape[:3]), margin.view(rows.shape[:3]))

    @torch.inference_mode()
    def find(self, pixels: Tensor) -> Tensor:
        """How likely (log, (B, 64)) the grid of tokens starts at each 8 top + left px."""
        found: Tensor = self.finder(pixels)
        return found

    @torch.inference_mode()
    def decode(self, tokens: Tensor) -> Tensor:
        """Pixels (B, 3, 8h, 8w) in [0, 1] of tokens (B, h, w)."""
        vectors = self.codebook[tokens].permute(0, 3, 1, 2)
        pixels: Tensor = self.decoder(vectors).clamp(0, 1)
        return pixels
